"""What tests of references between nodes stand on: two nodes that are told what happens, and messages to send."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator
from typing import Any

import beampy as bp
from tests.security.ground import peers_of
from tests.unit.dist.ports import until
from tests.unit.wire.lender import Lenders

A, B = "a@127.0.0.1", "b@127.0.0.1"
LARGE = "x" * 100_000  # above a frame's 64 KiB, so it goes in pieces


@dataclasses.dataclass
class Held:
    """Its class has to be found, so it waits to be decoded."""

    ref: Any
    more: str = ""


doors: list[asyncio.Event] = []  # what a process of the other node waits for
GO = threading.Event()
READING = threading.Event()


class Slow:
    """Takes its time to be decoded."""

    def __init__(self, ref: Any) -> None:
        self.ref = ref

    def __setstate__(self, state: Any) -> None:
        READING.set()
        GO.wait(10)
        self.__dict__.update(state)


class Unreadable:
    """Cannot be decoded."""

    def __init__(self, ref: Any) -> None:
        self.ref = ref

    def __setstate__(self, state: Any) -> None:
        raise ValueError("never again")


class WithRef(Exception):
    """An exception with a reference."""


@contextlib.asynccontextmanager
async def two(**options: Any) -> AsyncIterator[tuple[bp.Node, bp.Node, Lenders, Lenders]]:
    """Two nodes whose references are those of these tests. Nothing may be kept at the end."""
    async with bp.Node(A, **options) as a, bp.Node(B, **options) as b:
        ours, theirs = inject(a), inject(b)
        yield a, b, ours, theirs
        await until(lambda: not theirs.held and not ours.held)


def inject(node: bp.Node) -> Lenders:
    peers = peers_of(node)
    assert not peers.table
    lenders = Lenders()
    peers.options = dataclasses.replace(peers.options, references=lenders)
    return lenders


async def start(fn: Any, *args: Any) -> bp.Pid:
    pid: bp.Pid = await bp.spawn(fn, *args, node=B)
    return pid


async def echo(to: bp.Pid) -> None:
    while True:
        bp.send(to, await bp.receive())


async def mute() -> None:
    await bp.receive(("never",))


async def sleeper() -> None:
    await asyncio.Event().wait()


async def run(test: Any, **options: Any) -> None:
    """Run the test as a process of node A: `test(ours, theirs)`, what A's and B's references were told."""
    async with two(**options) as (a, _, ours, theirs):
        await a.run(test, ours, theirs)


def names(log: list[tuple[Any, ...]]) -> list[str]:
    return [entry[0] for entry in log]


def peer_of_mine(name: str) -> Any:
    return bp.api.self_process().node.remote.peer(name)  # type: ignore[attr-defined]
