"""One end of an in-memory stream connection: asyncio's Transport over a deque.

Rule: the bytes of one direction are a deque, so they never overtake each other, whatever the
latency drawn for each piece. A direction has three places for bytes, as a real one has: the
transport's own buffer (bounded by pause_writing), the wire (at most `net.window` bytes sent and
not yet read, so a reader that pauses stops its writer), and the reader's inbox.

Place: testing, under simnet, which decides the latency, the cuts and the state of each link;
this file decides what they mean to a connection:
- a link on hold keeps the bytes back; they arrive, in order, after the release;
- a cut link loses them: nobody notices while the cut lasts, and once it is healed both ends are
  reset, as TCP does when its retransmission comes too late. A connection that was silent
  during the cut survives it;
- bytes for an end that is gone are answered with a reset.

Not modelled: acknowledgements travel in no time, so a one-way cut stops one direction only.
"""

from __future__ import annotations

import asyncio
import errno
import zlib
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any

from beampy.testing.simlinks import LinkState

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Iterable

    from beampy.testing.simnet import Net
    from beampy.testing.simserver import SimServer

# asyncio's own limits: read sizes of selector transports, and the default high-water mark.
_MAX_READ = 256 * 1024
_HIGH_WATER = 64 * 1024


class Mark(Enum):
    """What travels on the wire beside bytes."""

    FIN = "fin"
    RST = "rst"


class SimTransport(asyncio.Transport):
    """The transport that simnet gives to a protocol; made in pairs by `connect_ends`."""

    peer: SimTransport

    def __init__(
        self,
        net: Net,
        here: str,
        there: str,
        context: contextvars.Context,
        sockname: Any,
        peername: Any,
    ) -> None:
        super().__init__({"sockname": sockname, "peername": peername, "socket": None})
        self.here = here
        self.there = there
        self.context = context  # in which its protocol is called: the protocol's host is in it
        self.server: SimServer | None = None  # which accepted it
        self.lost = False  # connection_lost was called, or is about to be
        self.lost_bytes = False  # a cut link swallowed something that this end sent
        self.wire: deque[tuple[float, bytes | Mark]] = deque()
        self._net = net
        self._loop = net.loop
        self._protocol: Any = None
        self._started = False
        self._closing = False
        self._reason: BaseException | None = None
        # sending
        self._buffer: deque[memoryview] = deque()
        self._buffered = 0
        self._in_flight = 0
        self._due = 0.0
        self._eof = False
        self._fin_sent = False
        self._pumping = False
        self._writing_paused = False
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        # receiving
        self._inbox: deque[bytes | memoryview | Mark] = deque()
        self._reading_paused = False

    def __repr__(self) -> str:
        state = "closed" if self.lost else "closing" if self._closing else "open"
        return f"<SimTransport {self.here} -> {self.there} {state}>"

    # -- life ---------------------------------------------------------------------------------

    def start(self, protocol: Any) -> None:
        """Hand the connection to its protocol; what has arrived already follows."""
        self._protocol = protocol
        self._started = True
        if self.lost:
            self._loop.call_soon(self._say_lost, context=self.context)
        protocol.connection_made(self)
        self._read()

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Stop reading; what is written still leaves, then connection_lost(None)."""
        if not self._closing:
            self._closing = self._eof = True
            self._pump()

    def abort(self) -> None:
        """Close at once; what has not left yet never will."""
        self._drop(None)

    def reset(self, exc: Exception | None) -> None:
        """The connection broke: connection_lost(exc), and nothing more leaves."""
        self._fin_sent = True
        self._drop(exc)

    def crash(self, exc: Exception | None) -> None:
        """The program at this end died: the peer is reset."""
        if not self.lost:
            self._send(Mark.RST)
            self.reset(exc)

    def _drop(self, exc: BaseException | None) -> None:
        self._buffer.clear()
        self._buffered = 0
        self._closing = self._eof = True
        self._finish(exc)

    def _finish(self, exc: BaseException | None) -> None:
        """This end is gone: say so to the peer, unless it knows, and to the protocol."""
        if self.lost:
            return
        self.lost = True
        if not self._fin_sent:
            self._fin_sent = True
            # As kernels do: closing on bytes that nobody read is a reset.
            self._send(Mark.RST if self._inbox else Mark.FIN)
        self._inbox.clear()
        self._reason = exc
        if self._started:
            self._loop.call_soon(self._say_lost, context=self.context)

    def _say_lost(self) -> None:
        try:
            self._protocol.connection_lost(self._reason)
        finally:
            self._net.forget(self)

    def _fatal(self, exc: BaseException, message: str) -> None:
        """The protocol raised where it must not: report it and close, as asyncio does."""
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
        )
        self._drop(exc)

    # -- sending ------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a snapshot of the data, in pieces that the seed decides."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._closing:
            return
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        piece = memoryview(bytes(data))
        self._buffer.append(piece)
        self._buffered += len(piece)
        self._pump()
        if self._buffered > self._high and not self._writing_paused:
            self._writing_paused = True
            self._tell("pause_writing")

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Half-close: the peer sees the end of the stream; reading goes on."""
        if not self._eof:
            self._eof = True
            self._pump()

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low

    def _pump(self) -> None:
        """Move what the window admits from the buffer to the wire, then the end of the stream."""
        self._pumping = False
        room = self._net.window - self._in_flight
        while self._buffer and room > 0:
            piece = self._buffer.popleft()
            if len(piece) > room:
                self._buffer.appendleft(piece[room:])
                piece = piece[:room]
            room -= len(piece)
            self._buffered -= len(piece)
            self._in_flight += len(piece)
            for part in self._net.chop(piece):
                self._send(part)
        if self._writing_paused and self._buffered <= self._low:
            self._writing_paused = False
            self._tell("resume_writing")
        if self._buffer or not self._eof:
            return
        if self._closing:
            self._finish(None)
        elif not self._fin_sent:
            self._fin_sent = True
            self._send(Mark.FIN)

    def _tell(self, what: str) -> None:
        try:
            getattr(self._protocol, what)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # asyncio reports it and goes on; so do we
            self._loop.call_exception_handler(
                {"message": f"protocol.{what}() failed", "exception": exc, "transport": self}
            )

    def _send(self, item: bytes | Mark) -> None:
        size = 0 if isinstance(item, Mark) else len(item)
        due = max(self._due, self._net.arrival(self.here, self.there, size))
        self.wire.append((due, item))
        if due > self._due or len(self.wire) == 1:  # else a timer of that moment is set already
            self._due = due
            self._loop.call_at(due, self._arrive, context=self.peer.context)

    def _arrive(self) -> None:
        """What is due on the wire reaches the other host (this runs in the peer's context)."""
        state = self._net.state(self.here, self.there)
        if state is LinkState.HELD:
            return
        now = self._loop.time()
        wire, peer = self.wire, self.peer
        while wire and wire[0][0] <= now:
            item = wire.popleft()[1]
            if state is LinkState.CUT or self.lost_bytes:
                self.lost_bytes = True
            elif item is Mark.RST:
                peer.reset(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
            elif peer.lost:
                if item is not Mark.FIN:
                    peer._send(Mark.RST)
            else:
                peer._inbox.append(item)
        peer._read()

    def link_changed(self) -> None:
        """The link of this direction is in another state: set what was held on its way."""
        if self.wire and self._net.state(self.here, self.there) is LinkState.OPEN:
            when = max(self.wire[0][0], self._net.arrival(self.here, self.there, 0))
            self._loop.call_at(when, self._arrive, context=self.peer.context)

    # -- receiving ----------------------------------------------------------------------------

    def is_reading(self) -> bool:
        return not self._closing and not self._reading_paused

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._loop.call_soon(self._read, context=self.context)

    def _read(self) -> None:
        """Give the protocol what is in the inbox, glued together as one read would find it."""
        inbox = self._inbox
        while inbox and self._started and not self._reading_paused and not self._closing:
            first = inbox.popleft()
            if isinstance(first, Mark):
                self._read_eof()
                continue
            try:
                self._deliver(first)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fatal(exc, "Fatal error: the protocol failed to take received data.")

    def _deliver(self, data: bytes | memoryview) -> None:
        inbox, protocol = self._inbox, self._protocol
        while inbox and isinstance(more := inbox[0], bytes) and len(data) + len(more) <= _MAX_READ:
            data = bytes(data) + more
            inbox.popleft()
        if not isinstance(protocol, asyncio.BufferedProtocol):
            self._took(data)
            protocol.data_received(bytes(data))
            return
        buffer = memoryview(protocol.get_buffer(-1)).cast("B")
        if not len(buffer):
            raise RuntimeError("get_buffer() returned an empty buffer")
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        if size < len(data):  # the rest waits for the next read
            inbox.appendleft(memoryview(data)[size:])
        self._took(data[:size])
        protocol.buffer_updated(size)

    def _took(self, data: bytes | memoryview) -> None:
        """These bytes are read: the window of the peer opens by as much."""
        self._loop.note("rx", self.there, self.here, len(data), zlib.crc32(data))
        peer = self.peer
        peer._in_flight -= len(data)
        if peer._buffer and not peer._pumping:
            peer._pumping = True
            self._loop.call_soon(peer._pump, context=peer.context)

    def _read_eof(self) -> None:
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal(exc, "Fatal error: protocol.eof_received() call failed.")
        else:
            if not keep_open:
                self.close()


def connect_ends(a: SimTransport, b: SimTransport) -> None:
    """Make two transports the ends of one connection."""
    a.peer, b.peer = b, a
