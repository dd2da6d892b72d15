"""Whereabouts: where a blocking connection to a node goes, found on the loop and read in any thread.

Rule: a thread that blocks cannot ask the name service, which may be served by the very loop that it blocks. So an
address is found beforehand: the one at which the main connection met that node, or, when that node connected to us,
what discovery says, with its hosts looked up. A search that failed is made again when somebody asks the next time.

Place: dist, between peers.py and blocking.py.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from copy import copy
from typing import TYPE_CHECKING, Any

from beampy.dist.address import choose, here
from beampy.dist.blocking import Blocking, Route
from beampy.dist.dial import check, find, wants_tls
from beampy.errors import NotConnected, UnknownNode

if TYPE_CHECKING:
    from beampy.dist.address import Address
    from beampy.dist.peers import Peers

STOPPING = "this node is stopping"


class Way:
    """The way to a node, for threads that block: calling it makes a connection. See `Peers.blocking_to`."""

    def __init__(self, peers: Peers, name: str, purpose: str) -> None:
        self._peers = peers
        self._name = name
        self._purpose = purpose
        self._routes = Whereabouts(peers, name)

    def __call__(self) -> Blocking:
        peers, name = self._peers, self._name
        if peers.stopping:
            raise NotConnected(name, STOPPING)
        return Blocking(
            name,
            self._purpose,
            self._routes,
            peers.identity,
            lambda: peers.options.cookies.for_node(name),
            creation=self._routes.creation,
            setup_timeout=peers.options.setup_timeout,
        )

    def look_up(self, seconds: float) -> None:
        """Wait until the address is found, so that the loop's own thread can connect. Not on that thread.

        NotConnected where there is none, TimeoutError.
        """
        self._routes(seconds)


class Whereabouts:
    """The routes to one node, as a function of the seconds that it may take. Made on the loop.

    `creation` is that of the node's present start, 0 as long as it is not connected.
    """

    def __init__(self, peers: Peers, name: str) -> None:
        check(name)
        self._peers = peers
        self._name = name
        self._loop_thread = threading.get_ident()
        self._lock = threading.Lock()
        self._found: Future[list[Route]] = Future()
        self._failed: BaseException | None = None  # why the last search found nothing
        peer = peers.table.get(name)
        self.creation = peer.creation if peer is not None and peer.state == "up" else 0
        self._search(self._found)

    def __call__(self, seconds: float) -> list[Route]:
        """Any thread. NotConnected when there are none, TimeoutError when it takes longer."""
        with self._lock:
            found = self._found
            failed = found.exception() if found.done() else None
            if failed is not None:
                self._failed = failed
                found = self._found = Future()
                try:
                    self._peers.loop.call_soon_threadsafe(self._search, found)
                except RuntimeError:  # the loop is closed
                    found.set_exception(NotConnected(self._name, STOPPING))
        if not found.done() and threading.get_ident() == self._loop_thread:
            why = "its address is still looked up, by the event loop that would wait for it here"
            raise copy(self._failed or NotConnected(self._name, why))
        error = found.exception(seconds)
        if error is not None:
            raise copy(error)  # the one that is kept would keep the frames of all who ask, and what is in these
        return found.result()

    # on the loop

    def _search(self, found: Future[list[Route]]) -> None:
        peers, name = self._peers, self._name
        peer = peers.table.get(name)
        connection = None if peer is None else peer.connection
        if peers.stopping:
            found.set_exception(NotConnected(name, STOPPING))
        elif connection is not None and connection.carrier == "pipe":
            found.set_exception(
                NotConnected(name, "it is connected over a pipe, and there is no address for a second connection")
            )
        elif connection is not None and connection.way is not None:
            found.set_result([_as_connected(peers, connection.way, connection.transport)])
        else:
            task = peers.context.run(peers.loop.create_task, self._look_up())
            peers.searches.add(task)
            task.add_done_callback(lambda done: self._settle(done, found))

    def _settle(self, task: asyncio.Task[list[Route]], found: Future[list[Route]]) -> None:
        self._peers.searches.discard(task)
        error = NotConnected(self._name, STOPPING) if task.cancelled() else task.exception()
        if error is None:
            found.set_result(task.result())
        elif isinstance(error, NotConnected):
            found.set_exception(error)
        else:
            found.set_exception(NotConnected(self._name, f"its address cannot be looked up: {error!r}"))

    async def _look_up(self) -> list[Route]:
        peers, name = self._peers, self._name
        error: NotConnected = UnknownNode(name, "it has no address that can be reached from here")
        routes: list[Route] = []
        try:
            async with asyncio.timeout(peers.options.setup_timeout):
                for way in choose(await find(peers, name), here(), unix=peers.options.unix):
                    try:
                        routes += await _routes(peers, name, way)
                    except NotConnected as failed:
                        error = failed
                    except OSError as failed:
                        error = UnknownNode(name, f"its host {way.host} is not known ({failed.strerror or failed})")
        except TimeoutError:
            error = UnknownNode(name, f"its address was not found in {peers.options.setup_timeout:g} s")
        if not routes:
            raise error
        return routes


def _as_connected(peers: Peers, way: Address, transport: Any) -> Route:
    """The route that the main connection has taken."""
    if way.unix is not None:
        return Route(socket.AF_UNIX, way.unix, str(way))
    address = transport.get_extra_info("peername")
    secure = transport.get_extra_info("ssl_object") is not None
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return Route(family, address, str(way), peers.tls.client if secure else None, way.host)


async def _routes(peers: Peers, name: str, way: Address) -> list[Route]:
    """The routes to an address of discovery's: one for each that its host has."""
    if way.unix is not None:
        return [Route(socket.AF_UNIX, way.unix, str(way))]
    context = peers.tls.client if wants_tls(peers, name, way) else None
    found = await peers.loop.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM)
    return [Route(family, address, str(way), context, way.host) for family, _, _, _, address in found]
