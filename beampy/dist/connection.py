"""Connection: one carrier between two nodes, as an asyncio protocol. First the handshake, then a channel.

Rule: all decisions are elsewhere (wire/handshake.py, wire/channel.py, peers.py); this moves bytes. What is sent in one
tick of the scheduler goes out in one write at its end. Bulk is written in small portions, so that little of it stands
in front of the next small message. Any error ends this connection and nothing else.

Benchmarks: benchmarks/remote.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
from typing import TYPE_CHECKING, Any

from beampy.dist import tls
from beampy.dist.far_process import far_process
from beampy.dist.trust import is_trusted
from beampy.errors import HandshakeFailed, NotConnected, RemoteProtocolError, Superseded
from beampy.wire.greeting import MAIN
from beampy.wire.handshake import Alive, Authenticated

if TYPE_CHECKING:
    from beampy.dist.address import Address
    from beampy.dist.far_process import FarProcess
    from beampy.dist.peers import Peers
    from beampy.wire.channel import Channel
    from beampy.wire.handshake import Acceptor, Initiator, Peer

log = logging.getLogger("beampy.dist")

GREETING = 4096  # bytes read at once before the peer has proved itself
PORTION = 256 * 1024  # bytes of bulk per write: 0.2 ms of a unix socket, so small messages pass soon
HIGH_WATER = 256 * 1024  # bytes the transport may hold before we stop giving it more
LOW_WATER = 64 * 1024
CLOSE_TIME = 1.0  # seconds for what was written to be sent when a connection is closed
KEEPALIVE_IDLE, KEEPALIVE_EVERY, KEEPALIVE_COUNT = 5, 2, 4  # seconds, seconds, probes: a dead host is seen in 13 s
UNIX_BUFFER = 512 * 1024  # bytes; with the system's 208 KiB bulk is cut into small writes, with more it is in the way
USER_TIMEOUT = 13_000  # milliseconds that sent data may stay unacknowledged

_numbers = itertools.count(1)


class Connection(asyncio.BufferedProtocol):
    """One carrier. `expected` is the node we connect to, None for a connection that came in."""

    def __init__(self, peers: Peers, expected: str | None) -> None:
        self.peers = peers
        self.expected = expected
        self.begun = 0  # greater than that of all whose handshake began before
        self.transport: Any = None
        self.channel: Channel | None = None
        self.peer: Any = None  # the dist.peer.Peer, once it is up
        self.machine: Initiator | Acceptor | None = None
        self.error: BaseException | None = None  # why it ended
        self.ready: asyncio.Future[None] = peers.loop.create_future()
        self.paused = False
        self.closed = False
        self.armed = False
        self.carrier = ""
        self.busy_wait = peers.busy_wait if peers.options.busy_wait else None
        self.way: Address | None = None  # where we connected to
        self.process: FarProcess | None = None  # at the other end of a unix socket
        self._deadline: asyncio.TimerHandle | None = None
        self._greeting = memoryview(bytearray(GREETING))  # a view: asyncio slices it and reads on

    # the carrier

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.begun = next(_numbers)
        self.carrier = describe(transport)
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            tune(sock)
        if self.peers.stopping:
            self.fail(NotConnected(self.peers.node.name, "this node is stopping"))
            return
        if self.expected is None and self.carrier == "unix" and not is_trusted(sock):
            log.warning("refused a connection over a unix socket: it is another user's")
            self.fail(NotConnected("an unknown node", "another user's"))
            return
        if self.carrier == "unix" and sock is not None:
            self.process = far_process(sock)
        try:
            self.machine = self.peers.machine(self, self._binding(transport))
        except NotConnected as refused:
            self.fail(refused)
            return
        self._deadline = self.peers.loop.call_later(self.peers.options.setup_timeout, self._late)
        self.transport.write(self.machine.output())

    def _binding(self, transport: Any) -> bytes:
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is None:
            return b""
        return tls.server_fingerprint(ssl_object) if self.expected else self.peers.tls.fingerprint

    def get_buffer(self, sizehint: int) -> Any:
        return self._greeting if self.channel is None else self.channel.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        if self.busy_wait is not None:
            self.busy_wait.heard()
        channel = self.channel
        if channel is None:
            self._greet(bytes(memoryview(self._greeting)[:nbytes]))
            return
        try:
            self.peers.scheduler.run_after(channel.received, nbytes)
        except RemoteProtocolError as broken:
            log.error("%s sent what is not the protocol over %s: %s", self._who(), self.carrier, broken.why)
            self.fail(broken)
        except ConnectionAbortedError as gone:  # what was sent is not there any more, and nor is who sent it
            log.info("%s: %s", self._who(), gone)
            self.fail(NotConnected(self._who(), "connection_closed"))
        except MemoryError:
            log.error("%s sent a message that does not fit into memory over %s", self._who(), self.carrier)
            self.fail(RemoteProtocolError("a message that does not fit into memory"))
        else:
            if channel.queued and not self.armed:
                self.arm()

    def take(self, data: bytes) -> None:
        """Bytes that were read in another way, such as those that came together with the end of the handshake."""
        view = memoryview(data)
        while view and not self.closed:
            buffer = memoryview(self.get_buffer(-1))
            n = min(len(view), len(buffer))
            buffer[:n] = view[:n]
            view = view[n:]
            self.buffer_updated(n)

    def eof_received(self) -> bool:
        if self.machine is not None:
            with contextlib.suppress(NotConnected, RemoteProtocolError):
                self.machine.eof()
            if self.machine.error is not None:
                self.error = self.error or self.machine.error
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._end_greeting()
        if self.error is None and exc is not None:
            self.error = exc
        if self.error is None and self.channel is None:
            self.error = HandshakeFailed(self._who(), "it closed the connection during the handshake")
        self.peers.lost(self)
        if not self.ready.done():
            self.ready.set_exception(self.error or NotConnected(self._who(), "closed"))
            self.ready.exception()  # not every connection has somebody who waits for it
        self.transport = None

    def given_up(self) -> None:
        """Who waited for the carrier waits no more, and the loop has closed it. Of one that was handed to us already
        asyncio still says that it is lost; uvloop never does."""
        if self.transport is not None:
            transport = self.transport
            self.error = self.error or NotConnected(self._who(), "given up")
            self.connection_lost(None)
            transport.abort()

    def fail(self, error: BaseException) -> None:
        """End it because of `error`, without waiting for what is not sent yet."""
        if self.error is None:
            self.error = error
        self._end_greeting()
        if self.transport is not None and not self.closed:
            if self.channel is None:
                self.close()  # a refusal that says why may be on its way
            else:
                self.closed = True
                self.transport.abort()

    def close(self) -> None:
        """End it in order: what was written is sent first, to who reads it within CLOSE_TIME."""
        if self.transport is not None and not self.closed:
            self._end_greeting()
            self._deadline = self.peers.loop.call_later(CLOSE_TIME, self.transport.abort)
            self.transport.close()

    # the handshake

    def _greet(self, data: bytes) -> None:
        machine = self.machine
        if machine is None:
            return  # it has failed, and only the closing is not through yet
        try:
            for event in machine.feed(data):
                if isinstance(event, Authenticated):
                    machine.answer(self.peers.decide(self, event.peer))  # type: ignore[arg-type]
                elif isinstance(event, Alive):
                    machine.answer(self.peers.is_dead(event.peer))  # type: ignore[arg-type]
            if machine.error is not None:
                raise machine.error
        except (NotConnected, RemoteProtocolError) as refused:
            self.transport.write(machine.output())
            if self.expected is None:
                # The lesser of two connections made at once is refused, and nobody minds.
                level = logging.DEBUG if isinstance(refused, Superseded) else logging.WARNING
                log.log(level, "refused a connection over %s: %s", self.carrier, refused)
            self.fail(refused)
            return
        out = machine.output()
        if out:
            self.transport.write(out)
        if machine.done:
            self._end_greeting()
            assert machine.result is not None
            self._up(machine.result, machine.rest)

    def _up(self, who: Peer, rest: bytes) -> None:
        if who.purpose != MAIN:
            self.closed = True  # for this protocol: the carrier goes on with another one
            self.peers.hand_over(self, who, rest)
            return
        self.peers.up(self, who)
        if self.channel is None:
            return  # too late
        if not self.ready.done():
            self.ready.set_result(None)
        if rest:
            self.take(rest)

    def _end_greeting(self) -> None:
        self.machine = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        seconds = self.peers.options.setup_timeout
        if self.expected is None:
            log.warning("closed a connection over %s: no handshake in %s s", self.carrier, seconds)
        self.error = HandshakeFailed(self._who(), f"no handshake in {seconds} s")
        self._end_greeting()
        if self.transport is not None:
            self.transport.abort()

    def reason(self) -> str:
        """Why an open connection ended, as OTP calls it in NodeDown."""
        error = self.error
        if isinstance(error, NotConnected):
            return error.why
        return "protocol_error" if isinstance(error, RemoteProtocolError) else "connection_closed"

    def _who(self) -> str:
        if self.peer is not None:
            return str(self.peer.name)
        return self.expected or "an unknown node"

    # writing

    def arm(self) -> None:
        """There is something to send: it goes out at the end of this tick."""
        if not self.armed:
            self.armed = True
            self.peers.scheduler.at_end(self.flush)

    def flush(self) -> None:
        """Write what is queued, as far as the transport takes it."""
        self.armed = False
        channel, transport = self.channel, self.transport
        if channel is None or self.closed or transport is None:
            return
        shared = self.peer.shared
        if shared is not None and shared.dropped:
            shared.tell()  # what they may use again, with the rest
        if not self.paused and (small := channel.small()) is not None:
            if small:
                transport.write(small)
                if self.busy_wait is not None:
                    self.busy_wait.wrote()
            if (self.peer.parking.busy or self.peer.bulk_parking.busy) and not self.paused:
                self.peer.wrote_out()
            return
        waits = False
        while channel.queued and not self.paused:
            chunks, _ = channel.take(PORTION)  # nobody asks yet to be told when his buffers are written
            if not chunks:
                waits = True  # for the other side's credit
                break
            if len(chunks) == 1:
                transport.write(chunks[0])
            else:
                transport.writelines(chunks)
            if transport.get_write_buffer_size() >= HIGH_WATER:
                break
        if channel.queued and not self.paused and not waits:
            self.armed = True
            self.peers.loop.call_soon(self.flush)  # the transport pauses us meanwhile, or has written it all
        if not self.paused:
            self.peer.wrote_out()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.flush()


def tune(sock: Any) -> None:
    """Small frames leave at once; a host that is gone is noticed."""
    with contextlib.suppress(OSError):
        if sock.family == socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNIX_BUFFER)
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)


def describe(transport: Any) -> str:
    """What carries it, for logs: `unix`, `tcp 10.0.0.1:4711`, `tls 10.0.0.1:4711`, `pipe`."""
    if transport.get_extra_info("pipe") is not None:
        return "pipe"
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return "unix"
    kind = "tls" if transport.get_extra_info("ssl_object") is not None else "tcp"
    return f"{kind} {peer[0]}:{peer[1]}"
