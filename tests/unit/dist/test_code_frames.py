"""Frames about code: before all that is written after them, taken in as they come, passed over by who takes none."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import beampy as bp
from beampy.errors import EncodeError
from beampy.wire import control
from beampy.wire.codec_loads import loads_any, loads_known
from tests.security.ground import peers_of
from tests.unit.dist.ports import until

pytestmark = pytest.mark.loops("asyncio", "uvloop")

A, B = "a@127.0.0.1", "b@127.0.0.1"
LARGE = "x" * 300_000  # it goes in pieces


class Told:
    """Says that it is written, each time."""


class Hook:
    """Says something before each Told, and writes down what the other side says."""

    kinds: frozenset[Any] = frozenset({Told})
    loads = staticmethod(loads_any)
    loads_known = staticmethod(loads_known)

    def __init__(self, say: Callable[[bytes], bool], log: list[Any]) -> None:
        self.say = say
        self.log = log
        self.written: list[bool] = []

    def encode(self, obj: Any) -> Any:
        if type(obj) is not Told:
            return NotImplemented
        self.written.append(self.say(b"told"))
        return str, ("told",)

    def heard(self, data: bytes) -> None:
        if data == b"nonsense":
            raise ValueError("nothing about code")
        self.log.append(data)


class Codes:
    """What a node's Options call `code`. `log`: what was heard."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.hooks: list[Hook] = []

    def hook(self, peer: str, say: Callable[[bytes], bool]) -> Hook:
        self.hooks.append(Hook(say, self.log))
        return self.hooks[-1]

    def up(self, peer: str, flags: frozenset[str]) -> None:
        """Nothing."""

    def down(self, peer: str) -> None:
        """Nothing."""


@contextlib.asynccontextmanager
async def two(theirs: Codes | None) -> AsyncIterator[tuple[bp.Node, bp.Node, Codes]]:
    """Two nodes with these ways of sending code."""
    async with bp.Node(A, accept_code=None) as a, bp.Node(B, accept_code=None) as b:
        ours = Codes()
        for node, code in ((a, ours), (b, theirs)):
            peers = peers_of(node)
            assert not peers.table
            peers.options = dataclasses.replace(peers.options, code=code)
        yield a, b, ours


async def taker(log: list[Any]) -> None:
    bp.register("taker", bp.self())
    while True:
        log.append(await bp.receive())


async def test_it_comes_before_its_message_whatever_becomes_of_that() -> None:
    theirs = Codes()

    async def test() -> None:
        pid = bp.spawn(taker, theirs.log)
        await until(lambda: bp.whereis("taker") == pid)
        await a.run(sends)
        await until(lambda: len(theirs.log) == 5)
        bp.exit(pid, "kill")

    async def sends() -> None:
        bp.send(("nobody", B), Told())
        bp.send(("taker", B), [LARGE, Told()])
        bp.send(("taker", B), "behind it")
        with pytest.raises(EncodeError):
            bp.send(("taker", B), [Told(), threading.Lock()])

    async with two(theirs) as (a, b, _):
        await b.run(test)
        assert theirs.log == [b"told", b"told", b"told", [LARGE, "told"], "behind it"]


async def test_without_a_connection_nothing_is_said() -> None:
    async def test() -> None:
        peer = peers_of(a).peer(B)
        peer.encoder.encode(Told())
        assert ours.hooks[-1].written == [False]
        bp.send(("nobody", B), Told())  # it connects, and what is said waits with the message
        assert ours.hooks[-1].written == [False, True]
        await until(lambda: theirs.log == [b"told"])
        assert bp.disconnect(B)
        assert len(ours.hooks) == 2
        peer.encoder.encode(Told())
        assert ours.hooks[-1].written == [False]

    theirs = Codes()
    async with two(theirs) as (a, _, ours):
        await a.run(test)


async def test_who_takes_no_code_passes_it_over() -> None:
    async def test() -> None:
        bp.send(("nobody", B), Told())
        await bp.connect(B)
        assert await bp.ping(B)

    async with two(None) as (a, b, _):
        await a.run(test)
        assert peers_of(b).table[A].was_up


@pytest.mark.parametrize("how", ["nonsense", "a shape of its own", "too much"])
async def test_what_is_not_the_protocol_ends_the_connection(how: str) -> None:
    async def test() -> None:
        await bp.connect(B)
        peer = peers_of(a).table[B]
        assert peer.channel is not None
        if how == "nonsense":
            assert peer.tell_code(b"nonsense")
        elif how == "too much":
            assert peer.tell_code(bytes(control.MAX_CODE + 1))
        else:
            peer.channel.control(0, (control.CODE,), 1, (b"x",))
            peer.wrote(None)
        await until(lambda: peer.state == "down")

    async with two(Codes()) as (a, _, _):
        await a.run(test)
