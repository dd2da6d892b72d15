"""The simulator's network: hosts, links that can be cut or held, servers, connections.

Rule: a host is a name. Which host code runs on is a context variable, so whatever it starts runs
there too; links join hosts, and what a link does is a rule of the network (`partition`, `hold`,
`heal`); how long anything takes and how a stream is cut into pieces is drawn from the loop's seed.

    async def main() -> None:
        with simnet.host("n1"):
            server = await asyncio.start_server(serve, "n1", 9000)
        with simnet.host("n2"):
            reader, writer = await asyncio.open_connection("n1", 9000)
        simnet.net().partition("n1", "n2")

Addresses: a host listens on its own name (also on its aliases), on loopback (seen by itself only)
or on both (None, "" or "0.0.0.0"); code that named no host runs on "localhost". Unix paths are
private to a host. A connection to a port that nobody serves is refused, over a cut link it is
unreachable, on a held link or towards a dead host it hangs until `connect_timeout`.

Place: testing, under simloop; what a link's state means to a connection is simtransport's.

Not modelled: TLS, datagrams, name resolution, socket options and files (a transport has no
socket, so no keepalive, no SO_PEERCRED, no path of a unix socket on disk), the kernel's buffers
beyond one window of bytes per direction, its retransmission timeout (an unanswered sender never
learns by itself: use ticks), the backlog of a listener, packet loss short of a cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from beampy.testing.simlinks import Links, LinkState
from beampy.testing.simserver import SimServer, SimSocket
from beampy.testing.simtransport import SimTransport, connect_ends

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from beampy.testing.simloop import SimLoop

HOST: contextvars.ContextVar[str] = contextvars.ContextVar("beampy_sim_host", default="localhost")

_ANYWHERE = (None, "", "0.0.0.0", "::")
_LOOPBACK = ("localhost", "::1")
# Linux' default of net.ipv4.tcp_syn_retries gives up after 127 s.
_CONNECT_TIMEOUT = 127.0
_WINDOW = 64 * 1024
_EPHEMERAL = 49152

Key = tuple[str, str, "int | str"]  # host, "public" or "loopback" or "unix", port or path


@contextlib.contextmanager
def host(name: str) -> Iterator[str]:
    """The code in the block, and every task it starts, runs on this host.

    Example:
        with simnet.host("n1"):
            task = asyncio.create_task(serve())
    """
    token = HOST.set(name)
    try:
        yield name
    finally:
        HOST.reset(token)


def current_host() -> str:
    """The host that the running code is on."""
    return HOST.get()


def net() -> Net:
    """The network of the running simulation; LookupError on any other loop."""
    found = getattr(asyncio.get_running_loop(), "net", None)
    if not isinstance(found, Net):
        raise LookupError("the running event loop is not a SimLoop")
    return found


class Net:
    """The network of one SimLoop (`loop.net`).

    `window` bounds the bytes of one direction that are sent and not yet read; `links` holds the
    default latencies (`links.remote`, `links.local`).
    """

    def __init__(self, loop: SimLoop, rng: random.Random) -> None:
        self.loop = loop
        self.links = Links()
        self.state = self.links.state
        self.window = _WINDOW
        self.connect_timeout = _CONNECT_TIMEOUT
        self._rng = rng
        self._aliases: dict[str, str] = {}
        self._busy_until: dict[tuple[str, str], float] = {}
        self._listeners: dict[Key, SimServer] = {}
        self._pairs: dict[SimTransport, SimTransport] = {}  # client end to server end
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._last_port = _EPHEMERAL

    # -- what tests do to it ------------------------------------------------------------------

    def alias(self, address: str, name: str) -> None:
        """Another address of a host.

        Example:
            net.alias("10.0.0.1", "n1")
        """
        self._aliases[address] = name

    def set_link(self, a: str, b: str, *, latency: float | None = None, bandwidth: float | None = None) -> None:
        """Mean one-way latency in seconds and bytes per second between two hosts, both ways.

        Example:
            net.set_link("laptop", "cloud", latency=0.08, bandwidth=2e6)
        """
        self.links.set_link(a, b, latency, bandwidth)

    def partition(self, a: str, b: str | None = None, *, both: bool = True) -> None:
        """Cut the link between two hosts, or one host off from all others.

        What is sent meanwhile is lost. `both=False` cuts the way from a to b only.

        Example:
            net.partition("n1", "n2")
        """
        self.links.rule(a, b, LinkState.CUT, both=both)
        self._relink()

    def hold(self, a: str, b: str | None = None, *, both: bool = True) -> None:
        """Keep back everything sent between two hosts (or from and to one) until the release."""
        self.links.rule(a, b, LinkState.HELD, both=both)
        self._relink()

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """End partitions and holds: of one link, of all links of a host, or all there are.

        Connections that lost bytes are reset on both ends; what was held goes on its way.
        """
        if a is None:
            self.links.open_all()
        else:
            self.links.rule(a, b, LinkState.OPEN)
        self._relink()

    release = heal

    def crash(self, name: str, *, silent: bool = False) -> None:
        """The programs on a host die: its servers and connections are gone.

        By default the machine lives on: peers are reset, connects are refused, and the host may
        be used again at once. `silent=True` takes the machine away: peers hear nothing, connects
        hang, and the host stays down until `restart`. The code on the host keeps running: its
        protocols get connection_lost(ConnectionAbortedError), and ending its tasks is up to you.

        Example:
            net.crash("n2", silent=True)
        """
        for server in [server for key, server in self._listeners.items() if key[0] == name]:
            server.close()
        reason = ConnectionAbortedError(errno.ECONNABORTED, f"host {name} crashed")
        for end in [end for pair in self._pairs.items() for end in pair if end.here == name]:
            if silent:
                end.wire.clear()
                end.reset(reason)
            else:
                end.crash(reason)
        if silent:
            self.links.set_down(name, True)
            self._relink()

    def restart(self, name: str) -> None:
        """A host that crashed silently is reachable again; nothing runs on it yet."""
        self.links.set_down(name, False)
        self._relink()

    def leftovers(self) -> list[SimServer | SimTransport]:
        """What nobody closed: listening servers, and connections of which no end is closing."""
        pairs = [a for a, b in self._pairs.items() if not a.is_closing() and not b.is_closing()]
        return [*dict.fromkeys(self._listeners.values()), *pairs]

    # -- chance -------------------------------------------------------------------------------

    def arrival(self, here: str, there: str, size: int = 0) -> float:
        """When so many bytes, sent now, are there; to the microsecond, so that moments meet."""
        link = self.links.link(here, there)
        start = self.loop.time()
        if link.bandwidth is not None and size:
            start = max(start, self._busy_until.get((here, there), 0.0)) + size / link.bandwidth
            self._busy_until[here, there] = start
        return start + int(self._rng.expovariate(1.0) * link.latency * 1e6) / 1e6

    def chop(self, data: memoryview) -> Iterator[bytes]:
        """Cut a piece of a stream where the seed says; half of the pieces stay whole."""
        while len(data) > 1 and self._rng.random() < 0.5:
            cut = self._rng.randrange(1, len(data))
            yield bytes(data[:cut])
            data = data[cut:]
        yield bytes(data)

    # -- servers ------------------------------------------------------------------------------

    async def create_server(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: int | None = None,
        *,
        start_serving: bool = True,
        **options: Any,
    ) -> SimServer:
        """Listen on the current host; `host` is one of its addresses, or a list of them."""
        _refuse(options)
        names = list(host) if isinstance(host, list | tuple) else [host]
        port = port or self._free_port()
        keys: list[Key] = [(HOST.get(), scope, port) for name in names for scope in self._scopes(name)]
        sockets = [SimSocket(socket.AF_INET, (name or "0.0.0.0", port)) for name in names]
        return await self._listen(protocol_factory, keys, sockets, start_serving)

    async def create_unix_server(
        self,
        protocol_factory: Callable[[], Any],
        path: Any = None,
        *,
        start_serving: bool = True,
        **options: Any,
    ) -> SimServer:
        """Listen on a path, which only code on the same host can connect to."""
        _refuse(options)
        where = os.fsdecode(path)
        sockets = [SimSocket(socket.AF_UNIX, where)]
        keys: list[Key] = [(HOST.get(), "unix", where)]
        return await self._listen(protocol_factory, keys, sockets, start_serving)

    async def _listen(
        self,
        protocol_factory: Callable[[], Any],
        keys: list[Key],
        sockets: list[SimSocket],
        start_serving: bool,
    ) -> SimServer:
        self._check_up()
        keys = list(dict.fromkeys(keys))
        for key in keys:
            if key in self._listeners:
                raise OSError(errno.EADDRINUSE, f"address already in use: {key[2]!r} on {key[0]}")
        server = SimServer(self.loop, self._listeners, keys, protocol_factory, tuple(sockets))
        if start_serving:
            await server.start_serving()
        return server

    def _scopes(self, name: str | None) -> tuple[str, ...]:
        """Which of the current host's two interfaces an address to listen on means."""
        if name in _ANYWHERE:
            return ("public", "loopback")
        if _is_loopback(name):
            return ("loopback",)
        if self._aliases.get(str(name), name) != HOST.get():
            raise OSError(errno.EADDRNOTAVAIL, f"{name!r} is no address of host {HOST.get()!r}")
        return ("public",)

    def _free_port(self) -> int:
        self._last_port += 1
        return self._last_port

    # -- connections --------------------------------------------------------------------------

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> tuple[SimTransport, Any]:
        """Connect from the current host to a port of another one, or of itself."""
        _refuse(options)
        here, port = HOST.get(), port or 0
        name = host or "localhost"
        local = options.get("local_addr") or (here, self._free_port())
        key: Key = (self._aliases.get(name, name), "public", port)
        if _is_loopback(name):
            key = (here, "loopback", port)
            local = ("127.0.0.1", local[1])
        return await self._connect(protocol_factory, key, local, (name, port))

    async def create_unix_connection(
        self, protocol_factory: Callable[[], Any], path: Any = None, **options: Any
    ) -> tuple[SimTransport, Any]:
        """Connect to a path of the current host."""
        _refuse(options)
        where = os.fsdecode(path)
        return await self._connect(protocol_factory, (HOST.get(), "unix", where), "", where)

    async def _connect(
        self, protocol_factory: Callable[[], Any], key: Key, local: Any, remote: Any
    ) -> tuple[SimTransport, Any]:
        self._check_up()
        here, there = HOST.get(), key[0]
        deadline = self.loop.time() + self.connect_timeout
        await self._travel(here, there, deadline)
        server = self._listeners.get(key)
        if server is None or not server.is_serving():
            await self._travel(there, here, deadline)
            if key[1] == "unix":
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), remote)
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {remote}")
        client = SimTransport(self, here, there, contextvars.copy_context(), local, remote)
        accepted = SimTransport(self, there, here, server.context.copy(), remote, local)
        connect_ends(client, accepted)
        self._pairs[client] = accepted
        server.accept(accepted)
        try:
            await self._travel(there, here, deadline)
            protocol = protocol_factory()
            made = self.loop.create_future()
            self.loop.call_soon(client.start, protocol, context=client.context)
            self.loop.call_soon(_set, made)
            await made
        except BaseException:
            client.abort()
            raise
        return client, protocol

    async def _travel(self, here: str, there: str, deadline: float) -> None:
        """One packet of a connect makes its way, or waits for the link, or fails."""
        while True:
            waiter = self.loop.create_future()
            state = self.state(here, there)
            when = self.arrival(here, there)
            if state is LinkState.HELD or self.links.down & {here, there}:
                when = deadline
                self._waiters[waiter] = None
            timer = self.loop.call_at(when, _set, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiters.pop(waiter, None)
            if self.loop.time() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, f"connect from {here} to {there} timed out")
            if state is LinkState.OPEN and self.state(here, there) is LinkState.OPEN:
                return
            if state is LinkState.CUT and when < deadline:
                raise OSError(errno.EHOSTUNREACH, f"no route from {here} to {there}")

    def _check_up(self) -> None:
        if HOST.get() in self.links.down:
            raise OSError(errno.ENETDOWN, f"host {HOST.get()} is down")

    def forget(self, end: SimTransport) -> None:
        """A protocol heard that its end is gone."""
        if end.server is not None:
            end.server.forget(end)
        if end.peer.lost:
            self._pairs.pop(end, None)
            self._pairs.pop(end.peer, None)

    def _relink(self) -> None:
        """Some links are in another state."""
        for client, accepted in list(self._pairs.items()):
            ends = (client, accepted)
            if any(e.lost_bytes and self.state(e.here, e.there) is LinkState.OPEN for e in ends):
                when = self.arrival(client.here, client.there)
                self.loop.call_at(when, _reset, *ends)
            for end in ends:
                end.link_changed()
        for waiter in self._waiters:
            _set(waiter)


def _is_loopback(name: str | None) -> bool:
    return name in _LOOPBACK or str(name).startswith("127.")


def _refuse(options: dict[str, Any]) -> None:
    for option in ("ssl", "sock"):
        if options.get(option) is not None:
            raise NotImplementedError(f"{option}=: the simulator has in-memory streams only")


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _reset(*ends: SimTransport) -> None:
    for end in ends:
        end.wire.clear()
        end.reset(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
