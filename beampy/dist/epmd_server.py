"""The name service itself, for a machine on which no epmd runs: any node can be it.

Rule: one request per connection, answered or refused in the moment in which it is complete; a registration is a
connection that stays open, and its end frees the name. The port is the lock: who binds loopback serves, who comes too
late gets False and becomes a client. When the server goes, the connections of all registrations break, and whichever
node binds the port first takes over; this server remembers nothing that its clients do not tell it again.

It serves anybody, real Erlang nodes and `epmd -names` included; only programs of this machine may register, nobody may
stop it. Every client is bounded: in bytes, in seconds, in number. A flood of idle connections costs those that have
waited longest, so an honest question, which takes milliseconds, is answered.

Place: dist, under discovery, which starts it when nobody answers. The bytes are epmd's.

Not done: a process that is stopped (SIGSTOP, a long C call) and serves keeps the port, and questions time out until it
goes on. Nodes of one machine that are told different `addresses` get those of the one that serves.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from beampy.dist import epmd
from beampy.dist.address import ANYWHERE, is_loopback
from beampy.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("beampy.epmd")

MAX_WAITING = 128  # connections without a registration; each lives for milliseconds, at most PATIENCE
MAX_REGISTERED = 1024  # nodes of one machine; each costs a file descriptor
PATIENCE = 5.0  # seconds from the connect to the last byte of the answer
BACKLOG = 128  # connections that the kernel keeps for us; a whole machine registers again at once
_FIRST_CREATION = 4  # 0 to 3 are what nodes without a creation, and old ones, have
_CREATIONS = (1 << 32) - _FIRST_CREATION


@dataclass(slots=True)
class Stats:
    """What a server has seen since it was made; numbers of connections."""

    accepted: int = 0
    registrations: int = 0
    lookups: int = 0
    listings: int = 0
    name_in_use: int = 0
    not_local: int = 0
    full: int = 0  # registrations beyond MAX_REGISTERED
    garbage: int = 0
    timeouts: int = 0
    displaced: int = 0  # closed to make room for newer ones
    refused: int = 0  # KILL and STOP


class EpmdServer:
    """A name service on `port` of loopback and of `addresses` (IP addresses of this machine; "0.0.0.0" is all).

    >>> server = EpmdServer(4369)
    >>> if await server.start():
    ...     await server.stop()
    """

    def __init__(self, port: int | None = None, addresses: Iterable[str] | None = None) -> None:
        self.port = epmd.default_port() if port is None else port
        self.stats = Stats()
        # A wildcard cannot be bound beside an address of its family: it is the lock then.
        told = epmd.default_addresses() if addresses is None else tuple(addresses)
        wild = next((host for host in told if host in ANYWHERE and ":" not in host), None)
        self._lock = epmd.LOOPBACK if wild is None else "0.0.0.0"
        self._more = [host for host in dict.fromkeys(told) if host != self._lock and (wild is None or ":" in host)]
        self._servers: list[asyncio.AbstractServer] = []
        self._registered: dict[str, _Client] = {}
        self._waiting: dict[_Client, None] = {}  # oldest first
        self._creation = 0

    @property
    def serving(self) -> bool:
        """Whether it has the port."""
        return bool(self._servers)

    @property
    def names(self) -> dict[str, int]:
        """Who is registered: name → port."""
        return {name: client.info.port for name, client in self._registered.items() if client.info is not None}

    def snapshot(self) -> dict[str, int]:
        """The statistics, with how many are `registered` and `waiting` now."""
        return asdict(self.stats) | {"registered": len(self._registered), "waiting": len(self._waiting)}

    async def start(self) -> bool:
        """Take the port; False when somebody else has it. OSError when it cannot be bound for another reason."""
        try:
            lock = await self._listen(self._lock)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        self._servers.append(lock)
        # Old creations must not come again when another node takes over: all draw from one clock.
        clock = asyncio.get_running_loop().time()
        self._creation = int(clock * 1000) % _CREATIONS
        for host in self._more:
            try:
                self._servers.append(await self._listen(host))
            except OSError as error:
                log.warning("the name service cannot listen on %s:%d: %s", host, self.port, error)
        log.info("this node is the name service of %s:%d now", self._lock, self.port)
        return True

    async def stop(self) -> None:
        """Free the port and close every connection; another node takes over."""
        while self._servers:
            self._servers.pop().close()  # loopback, the lock, is the last: who gets it finds the others free
        clients = [*self._registered.values(), *self._waiting]
        for client in clients:
            client.transport.abort()
        for client in clients:
            await client.lost.wait()

    async def _listen(self, host: str) -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()
        # SO_REUSEADDR lets a successor bind while old connections are in TIME_WAIT, and lets two bind before
        # either listens; then it is listen() that fails, and its sockets have to be closed here.
        server = await loop.create_server(
            lambda: _Client(self), host, self.port, backlog=BACKLOG, reuse_address=True, start_serving=False
        )
        bound = [sock.fileno() for sock in server.sockets]
        try:
            await server.start_serving()
            # uvloop says nothing when listen() fails, and leaves a socket that is closed.
            if [sock.fileno() for sock in server.sockets] != bound:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        except BaseException:
            server.close()
            raise
        return server

    # -- what clients ask for -----------------------------------------------------------------

    def admit(self, client: _Client) -> None:
        """A connection is there; when there are too many, the oldest one that has no name goes."""
        self.stats.accepted += 1
        if not self._servers:
            client.transport.abort()
        elif len(self._waiting) >= MAX_WAITING:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            self.stats.displaced += 1
            oldest.transport.abort()
        self._waiting[client] = None

    def forget(self, client: _Client) -> None:
        """A connection is gone, and its name with it."""
        self._waiting.pop(client, None)
        if client.info is not None and self._registered.get(client.info.name) is client:
            del self._registered[client.info.name]

    def answer(self, client: _Client, request: epmd.Request) -> bytes | None:
        """The answer to a request; None closes the connection without one."""
        match request:
            case epmd.Alive(info):
                return self._register(client, info)
            case epmd.PortPlease(name):
                self.stats.lookups += 1
                holder = self._registered.get(name)
                return epmd.encode_port_answer(None if holder is None else holder.info)
            case epmd.Names():
                self.stats.listings += 1
                return epmd.encode_names_answer(self.port, self.names)
            case epmd.Refused(kill):
                self.stats.refused += 1
                return b"NO" if kill else None  # as epmd without -relaxed_command_check

    def _register(self, client: _Client, info: epmd.PortInfo) -> bytes | None:
        if not client.local:
            self.stats.not_local += 1
            return None
        self._creation = (self._creation + 1) % _CREATIONS
        creation = _FIRST_CREATION + self._creation
        if info.highest < epmd.VERSION:
            creation = 1 + creation % 3  # the two bits that old nodes have
        if info.name in self._registered:
            self.stats.name_in_use += 1
            return epmd.encode_alive_answer(1, creation, info.highest)
        if len(self._registered) >= MAX_REGISTERED:
            self.stats.full += 1
            return epmd.encode_alive_answer(1, creation, info.highest)
        self.stats.registrations += 1
        client.info = info
        self._registered[info.name] = client
        self._waiting.pop(client, None)
        return epmd.encode_alive_answer(0, creation, info.highest)


class _Client(asyncio.Protocol):
    """The server's end of a connection."""

    def __init__(self, server: EpmdServer) -> None:
        self._server = server
        self._data = bytearray()
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None
        self.info: epmd.PortInfo | None = None  # what is registered on this connection
        self.local = False
        self.lost = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.local = bool(peer) and is_loopback(str(peer[0]))
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._too_slow)
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            if self.info is None:
                return  # closing
            self._garbage()  # a registered node has nothing more to say
            return
        self._data += data[: epmd.MAX_REQUEST + 3]  # more than a request can have is garbage all the same
        try:
            request = epmd.decode_request(self._data)
        except RemoteProtocolError as error:
            log.debug("garbage from %s: %s", self.transport.get_extra_info("peername"), error)
            self._garbage()
            return
        if request is None:
            return
        self._answered = True
        self._data.clear()
        answer = self._server.answer(self, request)
        if answer is not None:
            self.transport.write(answer)
        if self.info is None:
            self.transport.close()
        elif self._timer is not None:
            self._timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._server.forget(self)
        self.lost.set()

    def _garbage(self) -> None:
        self._server.stats.garbage += 1
        self.transport.abort()

    def _too_slow(self) -> None:
        self._server.stats.timeouts += 1
        self.transport.abort()
