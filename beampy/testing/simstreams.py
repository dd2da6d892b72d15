"""The stream half of asyncio's loop interface, in the simulator: every socket is simnet's.

Rule: what a simulation cannot do raises NotImplementedError and says so; nothing here ever
touches a real socket, file descriptor or process.

Place: testing, mixed into simloop's SimLoop.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from beampy.testing.simnet import Net

    Loop = asyncio.BaseEventLoop
else:
    Loop = object

_ABSENT = (
    "add_reader add_writer connect_accepted_socket connect_read_pipe connect_write_pipe "
    "create_datagram_endpoint remove_reader remove_writer sendfile sock_accept sock_connect "
    "sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendfile "
    "sock_sendto start_tls subprocess_exec subprocess_shell"
)


class StreamMethods(Loop):
    """The methods of a loop that open streams; asyncio.start_server and friends call them."""

    net: Net

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect to a simulated host (see simnet.Net.create_connection)."""
        return await self.net.create_connection(protocol_factory, host, port, **options)

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """Listen on the current simulated host (see simnet.Net.create_server)."""
        return await self.net.create_server(protocol_factory, host, port, **options)

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **options: Any) -> tuple[Any, Any]:
        """Connect to a path of the current simulated host."""
        return await self.net.create_unix_connection(protocol_factory, path, **options)

    async def create_unix_server(self, protocol_factory: Any, path: Any = None, **options: Any) -> Any:
        """Listen on a path of the current simulated host; no file appears."""
        return await self.net.create_unix_server(protocol_factory, path, **options)

    async def getaddrinfo(self, host: Any, port: Any, **_options: Any) -> list[Any]:
        """Every name is its own address."""
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Every address is its own name."""
        return str(sockaddr[0]), str(sockaddr[1])


def _absent(name: str) -> Callable[..., NoReturn]:
    def method(_loop: object, *_args: Any, **_options: Any) -> NoReturn:
        raise NotImplementedError(f"SimLoop.{name}: the simulator has in-memory streams only")

    method.__name__ = name
    return method


for _name in _ABSENT.split():
    setattr(StreamMethods, _name, _absent(_name))
