"""Blocking: a connection of its own for a thread that must not, or cannot, wait for the event loop.

Rule: nothing here touches a loop: plain sockets, a lock, and a deadline on every wait. An `import` statement may run on
the very thread of a node's loop, where waiting for a message would wait for itself; it asks over this. The loop stands
still meanwhile, for as long as the answer takes and never longer than the deadline.

Place: dist; the other end is purposes.py, and where to connect to is found on the loop beforehand (whereabouts.py).
One connection is kept and used again. A forked child closes its copy without a word to the other side, and makes its
own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import ssl
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from beampy.dist import tls
from beampy.dist.connection import tune
from beampy.errors import HandshakeFailed, NotConnected, RemoteError, RemoteProtocolError, UnknownNode
from beampy.wire import requests
from beampy.wire.handshake import Initiator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from beampy.wire.handshake import Identity, Peer

GREETING = 4096  # bytes read at once in the handshake, as on the other carriers
SETUP_TIME = 7.0  # seconds for one attempt to connect; OTP's net_setuptime


class Route(NamedTuple):
    """Where and how to connect: `address` is a path for AF_UNIX, else what a socket of `family` connects to.

    With a `context` TLS is spoken, to a server that its certificate calls `host`. The text in `shown` is for errors.
    """

    family: int
    address: Any
    shown: str
    context: ssl.SSLContext | None = None
    host: str = ""


class Stale(ConnectionError):
    """The connection was closed while it was idle, or breaks: another one may do."""


class Blocking:
    """A connection to the node `node` for requests, made at the first of them. Any thread may use it, one at a time.

    `routes(seconds)` gives what to try, in order, and may wait that long; it raises NotConnected. `me` and `cookies`
    are those of this node, `cookies()` being asked for every handshake. With a `creation` that is not 0, another start
    of that node is none that we look for. `setup_timeout` is for each connection made, in seconds.

    >>> line = Blocking("a@10.0.0.1", "code", routes, identity, lambda: cookies.for_node("a@10.0.0.1"))
    >>> line.request("entries", [["helpers"]], timeout=30.0)
    >>> line.close()
    """

    def __init__(
        self,
        node: str,
        purpose: str,
        routes: Callable[[float], Sequence[Route]],
        me: Identity,
        cookies: Callable[[], Sequence[bytes]],
        *,
        creation: int = 0,
        setup_timeout: float = SETUP_TIME,
    ) -> None:
        self.node = node
        self.purpose = purpose
        self.peer: Peer | None = None  # who answered the last handshake
        self._routes = routes
        self._me = me
        self._cookies = cookies
        self._creation = creation
        self._setup_timeout = setup_timeout
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._closed = False
        with _guard:
            _all.add(self)

    def __repr__(self) -> str:
        return f"<Blocking {self.purpose} {self.node}{'' if self._sock is None else ' connected'}>"

    def request(self, op: str, args: list[Any], timeout: float) -> Any:
        """The answer, which is plain msgpack data: lists, dicts, texts, bytes, numbers.

        `timeout` is in seconds, for all of it: waiting for other threads, connecting, and the answer. Raises
        NotConnected, which says why; RemoteError for what failed there; RemoteProtocolError for an answer that is none,
        and ValueError or TypeError for what cannot be asked. Requests are questions: one may be put twice, when a
        connection breaks.
        """
        frame = requests.request(op, args)
        end = time.monotonic() + timeout
        if not self._lock.acquire(timeout=max(0.0, timeout)):
            raise NotConnected(self.node, f"other threads ask it for other things, for {timeout:g} s")
        try:
            return self._ask(frame, end)
        except TimeoutError:
            raise NotConnected(self.node, f"no answer in {timeout:g} s") from None
        finally:
            self._lock.release()
            if self._closed:
                self._let_go()

    def _ask(self, frame: bytes, end: float) -> Any:
        try:
            try:
                return self._exchange(self._open(end), frame, end)
            except Stale:
                self._drop()
                return self._exchange(self._open(end), frame, end)
        except Stale as error:
            self._drop()
            raise NotConnected(self.node, str(error)) from None
        except RemoteProtocolError as error:
            self._drop()
            raise RemoteProtocolError(f"{self.node} answers what is no answer: {error.why}") from None
        except RemoteError:
            raise  # it is an answer, and the next one follows
        except BaseException:  # who was interrupted would take the answer for that of the next request
            self._drop()
            raise

    def close(self) -> None:
        """Close it, for good. Never blocks; who waits for an answer gets NotConnected, and who connects closes then."""
        self._closed = True
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of the carrier itself: a TLS one, too, wakes at once
        self._let_go()

    def _let_go(self) -> None:
        """Close the socket of what was closed, unless somebody asks just now: then he does it."""
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    # requests

    def _exchange(self, sock: socket.socket, frame: bytes, end: float) -> Any:
        try:
            view = memoryview(frame)
            while view:
                sock.settimeout(_left(end))
                view = view[sock.send(view) :]
            size = requests.length(self._read(sock, requests.HEADER, end), requests.MAX_ANSWER)
            return requests.read_answer(self._read(sock, size, end))
        except (TimeoutError, Stale):
            raise
        except OSError as error:
            raise Stale(f"the connection broke ({error.strerror or error})") from None

    def _read(self, sock: socket.socket, size: int, end: float) -> bytearray:
        got = bytearray(size)
        view = memoryview(got)
        while view:
            sock.settimeout(_left(end))
            n = sock.recv_into(view)
            if not n:
                raise Stale("it closed the connection")
            view = view[n:]
        return got

    # connecting

    def _open(self, end: float) -> socket.socket:
        if self._closed:
            raise NotConnected(self.node, "this connection to it was closed")
        if self._sock is None:
            self._sock = self._connect(min(end, time.monotonic() + self._setup_timeout))
            if self._closed:  # meanwhile
                raise NotConnected(self.node, "this connection to it was closed")
        return self._sock

    def _connect(self, end: float) -> socket.socket:
        error: NotConnected = UnknownNode(self.node, "it has no address that can be reached from here")
        try:
            routes = self._routes(_left(end))
        except TimeoutError:
            raise UnknownNode(self.node, "its address was not found in time") from None
        for route in routes:
            try:
                return self._try(route, end)
            except NotConnected as failed:
                error = failed
            except RemoteProtocolError as failed:
                error = HandshakeFailed(self.node, f"{failed.why} (at {route.shown})")
            except TimeoutError:
                error = HandshakeFailed(self.node, f"no handshake at {route.shown} in time")
            except ssl.SSLError as failed:
                error = HandshakeFailed(self.node, f"no TLS connection to {route.shown} ({failed.reason or failed})")
            except OSError as failed:
                error = UnknownNode(self.node, f"nobody answers at {route.shown} ({failed.strerror or failed})")
            if time.monotonic() >= end:
                break
        raise error

    def _try(self, route: Route, end: float) -> socket.socket:
        sock = socket.socket(route.family, socket.SOCK_STREAM)
        try:
            tune(sock)
            sock.settimeout(_left(end))
            sock.connect(route.address)
            binding = b""
            if route.context is not None:
                sock.settimeout(_left(end))
                name = route.host if route.context.check_hostname else None
                sock = route.context.wrap_socket(sock, server_hostname=name)
                binding = tls.server_fingerprint(cast("tls.SSLInfo", sock))
            self.peer = self._greet(sock, binding, end)
        except BaseException:
            sock.close()
            raise
        return sock

    def _greet(self, sock: socket.socket, binding: bytes, end: float) -> Peer:
        """The handshake."""
        machine = Initiator(
            self._me,
            self._cookies(),
            peer=self.node,
            nonce=secrets.token_bytes(32),
            binding=binding,
            purpose=self.purpose,
        )
        while True:
            if out := machine.output():
                sock.settimeout(_left(end))
                sock.sendall(out)
            if machine.result is not None:
                break
            sock.settimeout(_left(end))
            data = sock.recv(GREETING)
            if not data:
                machine.eof()
            if machine.feed(data) and machine.question is not None:
                machine.answer(False)  # that is about main connections: no end of ours is dead
            if machine.error is not None:
                raise machine.error
        if machine.rest:
            raise RemoteProtocolError("it speaks before it is asked")
        if self._creation not in (0, machine.result.creation):
            raise HandshakeFailed(self.node, "it was started again, and is not the one that we look for")
        return machine.result


def _left(end: float) -> float:
    """Seconds until `end`, more than 0. TimeoutError when there are none."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


# All of this process, for a child that is forked: its copies of their descriptors must not stay open in it.
_all: weakref.WeakSet[Blocking] = weakref.WeakSet()
_guard = threading.Lock()


def close_all(me: Identity) -> None:
    """Close those that this very identity has: its node stops."""
    with _guard:
        found = [one for one in _all if one._me is me]
    for one in found:
        one.close()


def _forked() -> None:
    """In the child of a fork."""
    global _guard
    _guard = threading.Lock()
    for one in list(_all):
        one._lock = threading.Lock()  # the thread that may have held it is not here
        one._drop()  # plain closing: no farewell of TLS, which the parent goes on with


os.register_at_fork(before=lambda: _guard.acquire(), after_in_parent=lambda: _guard.release(), after_in_child=_forked)
