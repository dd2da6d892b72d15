"""Several nodes on the loop of a test, and the decorators of tests that run on the first of them.

    @across()                   a process of node `here`, with the node `there`
    async def test_x(there): …

    @across(3)                  with `there` and `third`
    @probe_across({…})          what it returns is what Erlang answered to the probe of its name

The nodes meet over TCP of this machine, on the simulator over its network. `options` are those of every node; a node of
its own kind is made in the test with `another`.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.testing import harness
from beampy.testing.substrate import Known
from tests.conformance.vectors import Body, Reading, compare, erlang

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from beampy.dist.address import Address

NAMES = ("here@127.0.0.1", "there@127.0.0.1", "third@127.0.0.1")
MISSING = "nonode@127.0.0.1"
COOKIE = "a cookie of these tests"

known: ContextVar[dict[str, Address]] = ContextVar("known")


@contextlib.asynccontextmanager
async def another(name: str, **options: Any) -> AsyncIterator[bp.Node]:
    """One more node, which the others can find; it stops at the end. Not connected."""
    settings: dict[str, Any] = {"cookie": COOKIE, "unix": False, "tls": False, **options}
    node = bp.Node(name, discovery=Known(known.get(), False), **settings)
    try:
        node._open()
        await node._join()
        yield node
    finally:
        await node._close()


@contextlib.asynccontextmanager
async def cluster(count: int, **options: Any) -> AsyncIterator[list[bp.Node]]:
    """`count` nodes that are connected with each other."""
    token = known.set({})
    try:
        async with contextlib.AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(another(name, **options)) for name in NAMES[:count]]
            for at, node in enumerate(nodes):
                for other in nodes[at + 1 :]:
                    await connected(node, other)
            yield nodes
    finally:
        known.reset(token)


async def connected(one: bp.Node, two: bp.Node) -> None:
    """Connect two nodes, and wait until both know."""
    assert one._peers is not None
    await one._peers.connect(two.name)
    await until(lambda: is_up(two, one))


def is_up(node: bp.Node, other: bp.Node) -> bool:
    """Whether a node is connected with another."""
    assert node._peers is not None
    return other.name in node._peers.nodes("all")


def cut(node: bp.Node) -> None:
    """All connections of a node break, as when its machine halts."""
    assert node._peers is not None
    for connection in list(node._peers.connections):
        connection.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no message tells of."""
    async with asyncio.timeout(harness.DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


def across(count: int = 2, **options: Any) -> Callable[[Body], Any]:
    """The test runs as a process of the first of `count` connected nodes; it takes the others."""

    def decorate(body: Body) -> Any:
        return _test(body, count, options, lambda _: None)

    return decorate


def probe_across(reading: Reading | None = None, count: int = 2, **options: Any) -> Callable[[Body], Any]:
    """The same, and what the test returns is what Erlang answered."""

    def decorate(body: Body) -> Any:
        name = body.__name__.removeprefix("test_")
        wanted = erlang(name, reading)
        return _test(body, count, options, lambda answer: compare(name, answer, wanted))

    return decorate


def _test(body: Body, count: int, options: dict[str, Any], check: Callable[[Any], None]) -> Any:
    async def test() -> None:
        async with cluster(count, **options) as nodes:
            check(await nodes[0].run(body, *nodes[1:]))

    test.__name__, test.__qualname__ = body.__name__, body.__qualname__
    test.__module__, test.__doc__ = body.__module__, body.__doc__
    return test


async def gone(node: bp.Node) -> bp.Pid:
    """The pid of a process of another node that has been killed."""
    pid, ref = await bp.spawn(mute, node=node.name, monitor=True)
    bp.exit(pid, "kill")
    assert (await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)).reason == "killed"
    return pid


# processes on other nodes: functions that are found there


async def mute() -> None:
    """A process that only an exit signal ends."""
    await bp.receive(("never",))


async def echo() -> None:
    """Answers what it is sent with (pid, x), until x is "die"."""
    while True:
        pid, x = await bp.receive((bp.Pid, ...))
        if x == "die":
            bp.exit("died")
        bp.send(pid, x)


async def early() -> None:
    bp.exit("early")


async def shout(to: bp.Pid) -> None:
    bp.send(to, "shout")
    bp.exit("early")
