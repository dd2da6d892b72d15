"""A listening server of the simulator: asyncio.Server over simnet's table of addresses.

Rule: a server accepts in the context in which it was made, so its protocols run on its host.
Closing it ends the listening only; wait_closed() waits for its connections too, as asyncio's
does since Python 3.12.

Place: testing, under simnet, which looks servers up and brings them connections.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Hashable, Sequence

    from beampy.testing.simtransport import SimTransport


class SimSocket:
    """What is left of a listening socket: the address in it.

    Example:
        port = server.sockets[0].getsockname()[1]
    """

    def __init__(self, family: socket.AddressFamily, address: Any) -> None:
        self.family = family
        self._address = address

    def getsockname(self) -> Any:
        return self._address

    def fileno(self) -> int:
        return -1  # as a closed one: there is nothing to poll

    def __repr__(self) -> str:
        return f"<SimSocket {self._address!r}>"


class SimServer(asyncio.AbstractServer):
    """Made by SimLoop.create_server and create_unix_server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listeners: dict[Any, SimServer],
        keys: Sequence[Hashable],
        protocol_factory: Callable[[], Any],
        sockets: tuple[SimSocket, ...],
    ) -> None:
        self.context = contextvars.copy_context()
        self._loop = loop
        self._listeners = listeners
        self._keys = keys
        self._factory = protocol_factory
        self._sockets = sockets
        self._serving = False
        self._closed = False
        self._connections: dict[SimTransport, None] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None
        for key in keys:
            listeners[key] = self

    def __repr__(self) -> str:
        return f"<SimServer {list(self._keys)}{' closed' if self._closed else ''}>"

    @property
    def sockets(self) -> tuple[SimSocket, ...]:
        return () if self._closed else self._sockets

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._serving

    async def start_serving(self) -> None:
        self.serve()
        await asyncio.sleep(0)

    def serve(self) -> None:
        """Accept from now on."""
        if self._closed:
            raise RuntimeError(f"server {self!r} is closed")
        self._serving = True

    async def serve_forever(self) -> None:
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        self.serve()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()
            await self.wait_closed()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._serving = False
        for key in self._keys:
            del self._listeners[key]
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake()

    def close_clients(self) -> None:
        for transport in list(self._connections):
            transport.close()

    def abort_clients(self) -> None:
        for transport in list(self._connections):
            transport.abort()

    async def wait_closed(self) -> None:
        if not self._closed or self._connections:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def accept(self, transport: SimTransport) -> None:
        """A connection from simnet: give it a protocol, in the next pass of the loop."""
        self._connections[transport] = None
        transport.server = self
        self._loop.call_soon(self._accept, transport, context=transport.context)

    def forget(self, transport: SimTransport) -> None:
        """A connection is gone."""
        self._connections.pop(transport, None)
        self._wake()

    def _accept(self, transport: SimTransport) -> None:
        if not self._serving:
            transport.crash(None)  # closed while it was in the backlog
            self.forget(transport)
            return
        try:
            protocol = self._factory()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            transport.crash(None)
            self.forget(transport)
            self._loop.call_exception_handler(
                {"message": "Error on transport creation for incoming connection", "exception": exc}
            )
        else:
            transport.start(protocol)

    def _wake(self) -> None:
        if self._closed and not self._connections:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()
