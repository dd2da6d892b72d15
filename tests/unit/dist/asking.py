"""What the tests of blocking connections share: nodes that answer, threads that ask, a process that answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import beampy as bp
from beampy.core.current import here
from beampy.dist.blocking import Blocking
from beampy.testing.cluster_node import say
from tests.security.ground import COOKIE, peers_of

A, B = "a@127.0.0.1", "b@127.0.0.1"
ASK = "ask"  # the purpose of these tests
WAIT = 10.0  # seconds: nothing here takes a tenth of it
SOON = 0.2  # seconds: a deadline that is to be missed
MIB = 1024 * 1024

CARRIERS: dict[str, dict[str, Any]] = {
    "unix": {"unix": True, "tls": False},
    "tcp": {"unix": False, "tls": False},
    "tls": {"unix": False, "tls": True},
}


class Asked:
    """What a node answers: an echo, bytes of any number, an error, or nothing at all until `go`."""

    def __init__(self) -> None:
        self.log: list[tuple[str, list[Any]]] = []
        self.go = asyncio.Event()

    async def __call__(self, op: str, args: list[Any]) -> Any:
        self.log.append((op, args))
        if op == "fail":
            raise FileNotFoundError(*args)
        if op == "bytes":
            return bytes(args[0])
        if op == "wait":
            await self.go.wait()
        return [op, args]


@contextlib.asynccontextmanager
async def nodes(*names: str, **options: Any) -> AsyncIterator[list[bp.Node]]:
    """Nodes with the name service, which answer ASK; nothing of them is left."""
    settings = {"cookie": COOKIE, "setup_timeout": 3.0} | options
    async with contextlib.AsyncExitStack() as stack:
        found = [await stack.enter_async_context(bp.Node(name, **settings)) for name in names]
        for node in found:
            asked = Asked()
            node.asked = asked  # type: ignore[attr-defined]
            peers_of(node).purposes.register(ASK, asked)
        yield found
    for node in found:
        peers = peers_of(node)
        assert not len(peers.purposes)
        assert not peers.half_open
        assert not peers.connections
        assert not peers.searches


def asked_of(node: bp.Node) -> Asked:
    return node.asked  # type: ignore[attr-defined,no-any-return]


async def connect(name: str) -> None:
    await bp.connect(name)


async def in_thread(fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)` in a thread that ends with it."""
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, fn, *args)


def line_to(node: bp.Node, name: str) -> Blocking:
    return peers_of(node).blocking_to(name, ASK)()


def carrier_of(node: bp.Node) -> str:
    [known] = peers_of(node).info()
    return str(known["carrier"]).split()[0]


async def origin(other: str = "") -> None:
    """What the process at the other end runs."""
    here("origin").node.remote.purposes.register(ASK, Asked())
    if other:
        await bp.connect(other)
    say("registered")
    while True:
        bp.send(await bp.receive(), "yes")
