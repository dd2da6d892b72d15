"""Listeners: where a node waits for others: a unix socket for those of this host, and a TCP port.

The unix socket lies in a directory that only its user can enter, and who connects to it must be that user or root; it
is authenticated like any other carrier all the same. TCP binds loopback unless told otherwise, and speaks TLS on every
other address. Then the name is registered: from there on the node can be found.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Any

from beampy.dist.address import ANYWHERE, Address, encode_extra, here
from beampy.dist.connection import Connection
from beampy.dist.discovery import EpmdDiscovery
from beampy.dist.trust import private_directory, remove_dead_sockets
from beampy.errors import NotConnected

if TYPE_CHECKING:
    import asyncio

    from beampy.dist.peers import Peers

BACKLOG = 128  # connections that wait to be accepted


class Listeners:
    """The sockets a node listens on, and its registration."""

    def __init__(self, peers: Peers) -> None:
        self.peers = peers
        self.discovery: Any = peers.options.discovery or EpmdDiscovery()
        self.servers: list[asyncio.AbstractServer] = []
        self.port = 0
        self.path: str | None = None
        self.registered = False

    async def start(self) -> None:
        """Listen and register. NameInUse, NotConnected, OSError."""
        options = self.peers.options
        if not options.listen:
            return
        try:
            address = await self._listen()
            await self.discovery.start(self.peers.node.name, self.port, encode_extra(address), options.hidden)
            self.registered = True
        except BaseException:
            await self.stop()
            raise

    async def open(self) -> None:
        """Listen, also where the options say not to, and register nowhere: for those who are told where. OSError."""
        if not self.servers:
            try:
                await self._listen()
            except BaseException:
                await self.stop()
                raise

    def addresses(self) -> list[Address]:
        """Where it listens, for those who are told."""
        if not self.servers:
            return []
        bind, host = self.peers.options.bind, self.peers.node.name.partition("@")[2]
        return [self._address(host if bind in ANYWHERE else bind, self.port)]

    async def _listen(self) -> Address:
        """Open the sockets. What is published of them."""
        options, name = self.peers.options, self.peers.node.name
        if options.unix:
            await self._listen_unix()
        port = options.port or self.discovery.fixed_port(name) or 0
        secure = self.peers.secure(options.bind)
        try:
            server = await self.peers.loop.create_server(
                lambda: Connection(self.peers, None),
                options.bind,
                port,
                ssl=self.peers.tls.server if secure else None,
                **(self.peers.tls_times() if secure else {}),
                backlog=BACKLOG,
            )
        except OSError as error:
            raise OSError(error.errno, f"{name} cannot listen on {options.bind}:{port}: {_why(error)}") from error
        self.servers.append(server)
        self.port = server.sockets[0].getsockname()[1]
        return self._address("" if options.bind in ANYWHERE or options.bind == name.partition("@")[2] else options.bind)

    def _address(self, host: str, port: int = 0) -> Address:
        place, secure = here(), self.peers.secure(self.peers.options.bind)
        return Address(host, port, secure, self.path, place.boot_id, place.netns)

    async def _listen_unix(self) -> None:
        node = self.peers.node
        key = hashlib.sha256(f"{node.name} {node.creation}".encode()).hexdigest()[:24]
        directory = private_directory()
        if directory is None:
            return
        remove_dead_sockets(directory)
        path = str(directory / f"{key}.sock")
        server = await self.peers.loop.create_unix_server(lambda: Connection(self.peers, None), path, backlog=BACKLOG)
        self.servers.append(server)
        self.path = path

    async def stop(self) -> None:
        """Take the name back, and listen no more."""
        if self.registered:
            self.registered = False
            with contextlib.suppress(NotConnected, OSError):
                await self.discovery.stop()
        for server in self.servers:
            server.close()
        self.servers.clear()
        if self.path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self.path = None


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
