"""Bulk: messages too big for one frame, cut into pieces on one side and put together on the other.

The rule on the sending side: at most MAX_STREAMS messages are open, their fragments take turns, and the frames that a
sender queues behind its own unfinished message wait for it, so a receiver sees each sender's frames in their order. The
rule on the receiving side: a piece is read straight into the message's own buffer, what is open is bounded, and a
message is handed on when it is whole. Neither knows sockets, nor what a message means. Pure.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from beampy.errors import RemoteProtocolError
from beampy.wire.frame import (
    BEGIN,
    BEGUN,
    DATA,
    FRAGMENT,
    FRAGMENT_REST,
    MAX_SMALL,
    MAX_STREAMS,
    read_header,
)
from beampy.wire.fresh import fresh_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from beampy.wire.buffers import Pool

# In the table of sizes: this buffer is a bytes object, and the receiver makes it one.
IMMUTABLE = 1 << 63


class Outgoing:
    """A message on its way out: what is left of it."""

    __slots__ = ("begin", "id", "left", "off", "on_sent", "pieces", "sender", "total", "view")

    def __init__(
        self,
        sender: int,
        header: bytes,
        parts: Sequence[Any],
        in_band: int,
        buffers: Sequence[memoryview],
        total: int,
        on_sent: Callable[[], object] | None,
    ) -> None:
        self.id = 0
        self.sender = sender
        self.total = total
        self.on_sent = on_sent
        self.begin = (len(buffers), in_band, total, header[4:])
        if len(parts) > 1 and in_band <= MAX_SMALL:
            parts = (b"".join(parts),)
        pieces = [memoryview(part) for part in parts if len(part)]
        if buffers:
            sizes = [buffer.nbytes | (IMMUTABLE if type(buffer.obj) is bytes else 0) for buffer in buffers]
            pieces.insert(0, memoryview(struct.pack(f">{len(sizes)}Q", *sizes)))
            pieces += [buffer for buffer in buffers if buffer.nbytes]
        self.left = sum(piece.nbytes for piece in pieces)
        self.pieces = iter(pieces)
        self.view: memoryview = next(self.pieces)
        self.off = 0

    def begun(self, id: int) -> bytes:
        """The BEGIN frame, as stream `id`."""
        self.id = id
        count, in_band, total, header = self.begin
        return BEGUN.pack(BEGUN.size - 4 + len(header), BEGIN, id, count, in_band, total) + header


class Outbox:
    """The bulk messages that wait to be sent, and the frames that wait behind them."""

    __slots__ = ("_fragment", "_id", "_max_message", "_open", "_open_bytes", "_ready", "_window", "credit", "held")

    def __init__(self, window: int, fragment: int, max_message: int) -> None:
        self.credit = window
        self._window = window
        # Sender → what it has queued behind its unfinished bulk message. A key without an entry is one that has none.
        self.held: dict[int, deque[Outgoing | tuple[bytes, Callable[[], object] | None]]] = {}
        self._fragment = fragment
        self._max_message = max_message
        self._open: deque[Outgoing] = deque()
        self._open_bytes = 0
        self._ready: deque[Outgoing] = deque()  # the next of each sender, in the order they may open
        self._id = 0

    def add(self, message: Outgoing) -> None:
        """Queue a message behind its sender's others."""
        queue = self.held.get(message.sender)
        if queue is None:
            self.held[message.sender] = deque()
            self._ready.append(message)
        else:
            queue.append(message)

    def take(self, chunks: list[Any], due: list[Callable[[], object]], limit: int) -> int:
        """Append fragments in turns up to about `limit` bytes; how many queued bytes that were."""
        self._open_more(chunks)
        turns, credit, fragment = self._open, self.credit, self._fragment
        taken = 0
        while turns and taken < limit:
            message = turns[0]
            view, off = message.view, message.off
            size = len(view) - off
            if size > fragment:
                size = fragment
            if size > credit:
                break  # until the peer has read more
            end = off + size
            chunks.append(FRAGMENT.pack(FRAGMENT_REST + size, DATA, message.id))
            chunks.append(view[off:end])
            credit -= size
            taken += size
            message.off = end
            message.left -= size
            if message.left:
                if end == len(view):
                    message.view, message.off = next(message.pieces), 0
                turns.rotate(-1)
            else:
                turns.popleft()
                taken += self._finish(message, chunks, due)
                self._open_more(chunks)
        self.credit = credit
        return taken

    def _open_more(self, chunks: list[Any]) -> None:
        while self._ready and len(self._open) < MAX_STREAMS:
            if self._open_bytes + self._ready[0].total > self._max_message:
                break  # the peer holds no more at once; the first in line goes first
            message = self._ready.popleft()
            self._id = self._id % 0xFFFFFFFF + 1
            chunks.append(message.begun(self._id))
            self._open.append(message)
            self._open_bytes += message.total

    def _finish(self, message: Outgoing, chunks: list[Any], due: list[Callable[[], object]]) -> int:
        """The message is out: so is what waited for it, up to its sender's next one."""
        self._open_bytes -= message.total
        if message.on_sent is not None:
            due.append(message.on_sent)
        queue = self.held[message.sender]
        freed = 0
        while queue:
            entry = queue.popleft()
            if isinstance(entry, Outgoing):
                self._ready.append(entry)
                return freed
            frame, on_sent = entry
            chunks.append(frame)
            freed += len(frame)
            if on_sent is not None:
                due.append(on_sent)
        del self.held[message.sender]
        return freed

    def granted(self, n: int) -> None:
        """The peer has read `n` bytes more of it."""
        if not 0 < n <= self._window - self.credit:
            raise RemoteProtocolError(f"a grant of {n} bytes, and {self._window - self.credit} are under way")
        self.credit += n

    def drop(self) -> list[Callable[[], object]]:
        """Forget everything; what is to be told that its memory is no longer needed."""
        waiting: list[Any] = [*self._open, *self._ready]
        for queue in self.held.values():
            waiting += queue
        self.held.clear()
        self._open.clear()
        self._ready.clear()
        self._open_bytes = 0
        told = [entry.on_sent if isinstance(entry, Outgoing) else entry[1] for entry in waiting]
        return [on_sent for on_sent in told if on_sent is not None]


class Incoming:
    """A message on its way in. `view` is the segment that is being filled, up to `off`."""

    __slots__ = ("_segments", "body", "buffers", "id", "lead", "method", "off", "total", "view")

    def __init__(self, id: int, lead: tuple[Any, ...], method: Callable[..., object], total: int) -> None:
        self.id = id
        self.lead = lead
        self.method = method
        self.total = total
        self.body = memoryview(b"")
        self.buffers: list[memoryview | bytes] = []
        self.view = self.body
        self.off = 0
        self._segments: Iterator[memoryview] = iter(())

    def begin(self, count: int, in_band: int, pool: Pool) -> bool:
        """Make room for the first segment; False when there is none."""
        self._segments = self._rooms(count, in_band, pool)
        return self.advance()

    def advance(self) -> bool:
        """Make room for the next segment; False when the message is whole."""
        self.off = 0
        view = next(self._segments, None)
        if view is None:
            return False
        self.view = view
        return True

    def _rooms(self, count: int, in_band: int, pool: Pool) -> Iterator[memoryview]:
        sizes: tuple[int, ...] = ()
        if count:
            table = bytearray(8 * count)
            yield memoryview(table)
            sizes = struct.unpack(f">{count}Q", table)
        if in_band + sum(size & ~IMMUTABLE for size in sizes) != self.total:
            raise RemoteProtocolError("a bulk message whose sizes do not add up")
        if in_band:
            self.body = memoryview(pool.take(in_band))[:in_band]
            yield self.body
        for entry in sizes:
            size = entry & ~IMMUTABLE
            made = fresh_bytes(size) if entry != size else None
            if made is None:
                buffer = memoryview(pool.take(size))[:size]
                self.buffers.append(buffer)
            else:
                self.buffers.append(made[0])
                buffer = made[1]
            if size:
                yield buffer
            if made is None and entry != size:
                self.buffers[-1] = bytes(buffer)

    def deliver(self) -> None:
        """Hand it on. Nothing here keeps its memory."""
        self.view = memoryview(b"")
        self.method(*self.lead, self.body, self.buffers)


class Inbox:
    """The bulk messages that are being received."""

    __slots__ = ("_max_message", "_methods", "_open_bytes", "_pool", "streams")

    def __init__(self, methods: dict[int, Callable[..., object]], pool: Pool, max_message: int) -> None:
        self.streams: dict[int, Incoming] = {}
        self._methods = methods
        self._pool = pool
        self._max_message = max_message
        self._open_bytes = 0

    def begin(self, data: memoryview, at: int, stop: int) -> None:
        """Take in a BEGIN frame, which starts at `at`, its length included."""
        if stop - at < BEGUN.size + 1:
            raise RemoteProtocolError("a BEGIN that is too short")
        _, _, id, count, in_band, total = BEGUN.unpack_from(data, at)
        at += BEGUN.size
        op = data[at]
        lead, end = read_header(op, data, at + 1, stop)
        if end != stop:
            raise RemoteProtocolError("a BEGIN with something behind its header")
        if id in self.streams:
            raise RemoteProtocolError(f"stream {id} is open already")
        if len(self.streams) >= MAX_STREAMS:
            raise RemoteProtocolError(f"more than {MAX_STREAMS} streams at once")
        if self._open_bytes + total > self._max_message:
            raise RemoteProtocolError(f"messages of more than {self._max_message} bytes at once")
        if in_band > total:
            raise RemoteProtocolError("a bulk message whose sizes do not add up")
        message = Incoming(id, lead, self._methods[op], total)
        if message.begin(count, in_band, self._pool):
            self.streams[id] = message
            self._open_bytes += total
        else:
            message.deliver()

    def filled(self, message: Incoming) -> None:
        """A segment is full: go on to the next, or hand the message on."""
        if not message.advance():
            del self.streams[message.id]
            self._open_bytes -= message.total
            message.deliver()

    def drop(self) -> None:
        """Forget what is not whole."""
        self.streams.clear()
        self._open_bytes = 0
