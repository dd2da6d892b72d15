"""What the attacks have in common: a node on loopback, raw sockets to it, and how it must be after."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.dist.discovery import StaticDiscovery
from beampy.wire.handshake import Identity, Initiator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from beampy.dist.peers import Peers

COOKIE = "k3Jt0cXnq9Vb2mZr7LwYdA"
OTHER = "Qh8sT1zFvE5oGx6uPy4iWj"
FEATURES = frozenset({"bulk", "credit", "refs"})
WAIT = 10.0  # seconds: nothing here takes a tenth of it


def peers_of(node: bp.Node) -> Peers:
    """The connections of a node."""
    peers = node._peers
    assert peers is not None
    return peers


@contextlib.asynccontextmanager
async def cluster(*names: str, at: dict[str, str] | None = None, **options: Any) -> AsyncIterator[list[bp.Node]]:
    """Nodes on loopback TCP that find each other in a table; `at` says otherwise for some. Nothing is left of them."""
    table: dict[str, str] = {}
    settings = {"cookie": COOKIE, "unix": False, "tls": False, "setup_timeout": 3.0} | options
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for name in names:
            discovery = StaticDiscovery({})
            discovery._nodes = Table(table)  # type: ignore[assignment]
            node = await stack.enter_async_context(bp.Node(f"{name}@127.0.0.1", discovery=discovery, **settings))
            table[node.name] = f"127.0.0.1:{peers_of(node).listeners.port}"
            nodes.append(node)
        table.update(at or {})
        yield nodes
    for node in nodes:
        peers = peers_of(node)
        assert not peers.half_open
        assert not peers.connections
        assert all(peer.channel is None and peer.attempt is None for peer in peers.table.values())


class Table(dict):  # type: ignore[type-arg]
    """Addresses that come to be known later."""

    def __init__(self, table: dict[str, str]) -> None:
        super().__init__()
        self.table = table

    def get(self, name: str, default: Any = None) -> Any:
        from beampy.dist.discovery import _addresses

        return _addresses(self.table[name]) if name in self.table else default


async def until(fn: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WAIT):
        while not fn():
            await asyncio.sleep(0.002)


def quiet(*nodes: bp.Node) -> Callable[[], bool]:
    """Whether nothing is half open at these nodes."""
    return lambda: not any(peers_of(node).half_open for node in nodes)


def port_of(node: bp.Node) -> int:
    """Where a node listens."""
    port = peers_of(node).listeners.port
    assert port
    return port


async def raw(node: bp.Node) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare TCP connection to a node."""
    return await asyncio.open_connection("127.0.0.1", port_of(node))


async def closed(reader: asyncio.StreamReader) -> bytes:
    """Wait for the other side to close; what it said last."""
    async with asyncio.timeout(WAIT):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def initiator(name: str, to: bp.Node, cookie: str = COOKIE, nonce: bytes = bytes(range(32))) -> Initiator:
    """A handshake of the attacker's own."""
    me = Identity(name, 77, FEATURES, FEATURES, hidden=False)
    return Initiator(me, [cookie.encode()], peer=to.name, nonce=nonce)


async def authenticated(
    node: bp.Node, name: str = "evil@127.0.0.1", cookie: str = COOKIE
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of somebody who has the cookie, after the handshake, with no beampy at its end."""
    reader, writer = await raw(node)
    machine = initiator(name, node, cookie)
    writer.write(machine.output())
    try:
        async with asyncio.timeout(WAIT):
            while not machine.done:
                machine.feed(await reader.read(4096))
                writer.write(machine.output())
    except BaseException:
        writer.close()
        raise
    await until(lambda: name in peers_of(node).nodes("all"))
    return reader, writer


async def is_well(a: bp.Node, b: bp.Node) -> None:
    """Two nodes work: they connect, and a message and its answer go through."""

    async def answer() -> None:
        bp.send(await bp.receive(), "yes")

    pid = b.spawn(answer)

    async def ask() -> Any:
        alias = bp.alias()
        bp.send(pid, alias)
        answered = await bp.receive(timeout=WAIT)
        bp.unalias(alias)
        return answered

    assert await a.run(ask) == "yes"


def warnings_of(caplog: Any) -> list[str]:
    """What was logged about connections, from warnings on."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "beampy.dist" and record.levelno >= logging.WARNING
    ]
