"""Dial: one attempt to connect to a node: ask where it is, then try its addresses in order until one is it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from beampy.core.ids import node_name
from beampy.dist.address import Address, choose, here, is_loopback
from beampy.dist.connection import Connection
from beampy.errors import (
    BadName,
    CookieMismatch,
    HandshakeFailed,
    NotAllowed,
    NotConnected,
    RemoteProtocolError,
    Superseded,
    UnknownNode,
    VersionMismatch,
)

if TYPE_CHECKING:
    from beampy.dist.peers import Peers

FINAL = (CookieMismatch, NotAllowed, Superseded, VersionMismatch)  # no other address of the same node changes these


async def dial(peers: Peers, name: str) -> None:
    """Return when the node is connected. NotConnected says why it is not."""
    check(name)
    ways = choose(await find(peers, name), here(), unix=peers.options.unix)
    error: NotConnected = UnknownNode(name, "it has no address that can be reached from here")
    for way in ways:
        try:
            await _try(peers, name, way)
            return
        except FINAL:
            raise
        except NotConnected as failed:
            error = failed
        except RemoteProtocolError as failed:
            error = HandshakeFailed(name, f"{failed.why} (at {way})")
        except ssl.SSLError as failed:
            error = HandshakeFailed(name, f"no TLS connection to {way} ({failed.reason or failed})")
        except TimeoutError:
            error = HandshakeFailed(name, f"no answer at {way} in {peers.options.setup_timeout} s")
        except OSError as failed:
            error = UnknownNode(name, f"nobody answers at {way} ({failed.strerror or failed})")
    raise error


async def find(peers: Peers, name: str) -> list[Address]:
    """Where it may be: what discovery says, or else somebody who introduces us."""
    try:
        found: list[Address] = await peers.listeners.discovery.lookup(name)
        return found
    except UnknownNode as unknown:
        if peers.options.introduce is None:
            raise
        return await peers.options.introduce(name, unknown)


def check(name: str) -> None:
    """UnknownNode for what is no full node name: destinations, such as those of send, may hold anything."""
    try:
        full = node_name(name)
    except BadName as wrong:
        raise UnknownNode(name, str(wrong)) from None
    if full != name:
        raise UnknownNode(name, f"that is no full name of a node; {full} is one")


async def _try(peers: Peers, name: str, way: Address) -> None:
    connection = Connection(peers, name)
    connection.way = way
    async with asyncio.timeout(peers.options.setup_timeout):
        try:
            await _open(peers, name, way, connection)
        except BaseException:
            connection.given_up()
            raise
        try:
            await connection.ready
        except BaseException:
            connection.fail(NotConnected(name, "given up"))
            raise


async def _open(peers: Peers, name: str, way: Address, connection: Connection) -> None:
    loop = peers.loop
    if way.unix is not None:
        await loop.create_unix_connection(lambda: connection, way.unix)
        return
    secure = wants_tls(peers, name, way)
    context = peers.tls.client if secure else None
    await loop.create_connection(
        lambda: connection,
        way.host,
        way.port,
        ssl=context,
        server_hostname=None if context is None else way.host if context.check_hostname else "",
        **(peers.tls_times() if secure else {}),
    )


def wants_tls(peers: Peers, name: str, way: Address) -> bool:
    """Whether to speak TLS. What the name service says may ask for more than our own rule, never for less."""
    required = peers.options.tls is not False and (peers.options.tls is not None or not is_loopback(way.host))
    if required and way.tls is False:
        raise HandshakeFailed(name, f"it speaks no TLS at {way}, and this node asks for it there (tls=False allows it)")
    return required or bool(way.tls)
