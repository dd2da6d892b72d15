"""The sending half of a channel: frames are queued as they are sent, and taken when the connection can write.

The rule: small frames leave in the order they came, all together as one chunk; what is big leaves in fragments that
take turns (bulk.py); and nobody overtakes himself. It knows bodies only as bytes. Pure.

This is the hot path of every message that leaves a node: frames are no objects, and what looks written twice here is so
that no message pays for a call.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from beampy.errors import EncodeError
from beampy.wire import frame
from beampy.wire.bulk import Outbox, Outgoing
from beampy.wire.frame import (
    ADDRESSED,
    ADDRESSED_REST,
    BUFFERS,
    DEMONITOR,
    MAX_BUFFERS,
    MAX_FRAGMENT,
    MAX_SMALL,
    MONITOR,
    MONITORED,
    MONITORED_REST,
    NAMED,
    NAMED_REST,
    PREFIX,
    SEND_NAME,
    SEND_PID,
    SEND_REF,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Chunk = bytes | memoryview

# Bodies up to this are copied into one chunk with their neighbours: cheaper than a chunk of their own.
JOINED = 16 * 1024

_pack = ADDRESSED.pack
_pack_named = NAMED.pack


class Sending:
    """What waits to be sent.

    `queued` counts the bytes that `take` has not handed out; `bulk` those of them that are messages in pieces, and what
    waits behind them.
    """

    __slots__ = ("_due", "_held", "_leaving", "_max_message", "_out", "_outbox", "_sealed", "_wrote", "bulk", "queued")

    def __init__(self, window: int, fragment: int, max_message: int) -> None:
        if not 0 < fragment <= MAX_FRAGMENT:
            raise ValueError(f"fragment: 1 to {MAX_FRAGMENT} bytes, not {fragment}")
        if not 4 * fragment <= window <= 0xFFFFFFFF:
            raise ValueError(f"window: 4 fragments to 4 GiB, not {window} bytes")
        self.queued = 0
        self.bulk = 0
        self._out: list[Any] = []  # pieces of small frames
        self._sealed: list[Chunk] = []  # chunks before them
        self._due: list[Callable[[], object]] = []
        self._max_message = max_message
        self._outbox = Outbox(window, fragment, max_message)
        self._held = self._outbox.held
        self._leaving = False  # after the goodbye
        self._wrote = False  # since the last tick

    def send_pid(
        self,
        serial: int,
        creation: int,
        sender: int,
        kind: int,
        parts: Sequence[bytes],
        buffers: Sequence[Any] = (),
        on_sent: Callable[[], object] | None = None,
    ) -> None:
        """Queue a message for a process of the peer's. `sender` is the serial of ours, 0 for nobody.

        `parts` are bytes-like, flat and of single bytes; they make up the in-band body. `buffers` are flat too, of any
        format. Nothing is copied now: neither may change until `on_sent` is called (see `take`). Raises EncodeError
        for what no frame can hold.
        """
        if not buffers and len(parts) == 1 and on_sent is None:
            body = parts[0]
            size = len(body)
            if size <= JOINED and (sender not in self._held or not sender):
                out = self._out
                out.append(_pack(ADDRESSED_REST + size, SEND_PID, kind, creation, serial, sender))
                out.append(body)
                self.queued += ADDRESSED.size + size
                return
        self._post(sender, frame.addressed(SEND_PID, kind, creation, serial, sender), parts, buffers, on_sent)

    def send_ref(
        self,
        id: int,
        creation: int,
        sender: int,
        kind: int,
        parts: Sequence[bytes],
        buffers: Sequence[Any] = (),
        on_sent: Callable[[], object] | None = None,
    ) -> None:
        """Queue a message, such as a reply, for an alias of the peer's; otherwise as `send_pid`."""
        if not buffers and len(parts) == 1 and on_sent is None:
            body = parts[0]
            size = len(body)
            if size <= JOINED and (sender not in self._held or not sender):
                out = self._out
                out.append(_pack(ADDRESSED_REST + size, SEND_REF, kind, creation, id, sender))
                out.append(body)
                self.queued += ADDRESSED.size + size
                return
        self._post(sender, frame.addressed(SEND_REF, kind, creation, id, sender), parts, buffers, on_sent)

    def send_name(
        self,
        name: str,
        sender: int,
        kind: int,
        parts: Sequence[bytes],
        buffers: Sequence[Any] = (),
        on_sent: Callable[[], object] | None = None,
    ) -> None:
        """Queue a message for whoever is registered under `name` at the peer; otherwise as `send_pid`."""
        if not buffers and len(parts) == 1 and on_sent is None:
            body = parts[0]
            size = len(body)
            text = frame.name_bytes(name)
            if size <= JOINED and (sender not in self._held or not sender):
                rest = NAMED_REST + len(text) + size
                self._out += (_pack_named(rest, SEND_NAME, kind, sender, len(text)), text, body)
                self.queued += 4 + rest
                return
        self._post(sender, frame.named(name, sender, kind), parts, buffers, on_sent)

    def monitor(self, sender: int, creation: int, serial: int, ref: int, flags: int = 0) -> None:
        """Queue a monitor: `sender` watches a process of the peer's under its own `ref`; `flags`: see control.py."""
        packed = MONITORED.pack(MONITORED_REST, MONITOR, flags, creation, serial, sender, ref)
        if sender in self._held and sender:
            self._hold(sender, packed, None)
        else:
            self._out.append(packed)
            self.queued += MONITORED.size

    def monitor_name(self, sender: int, name: str, ref: int, flags: int = 0) -> None:
        """Queue a monitor of whoever is registered under `name` at the peer; `demonitor` with serial 0 ends it."""
        text = frame.name_bytes(name)
        packed = MONITORED.pack(MONITORED_REST + len(text), MONITOR, flags, 0, 0, sender, ref) + text
        if sender in self._held and sender:
            self._hold(sender, packed, None)
        else:
            self._out.append(packed)
            self.queued += len(packed)

    def demonitor(self, sender: int, creation: int, serial: int, ref: int) -> None:
        """Queue the end of a monitor."""
        packed = MONITORED.pack(MONITORED_REST, DEMONITOR, 0, creation, serial, sender, ref)
        if sender in self._held and sender:
            self._hold(sender, packed, None)
        else:
            self._out.append(packed)
            self.queued += MONITORED.size

    def control(
        self,
        sender: int,
        args: tuple[Any, ...],
        kind: int = 0,
        parts: Sequence[bytes] = (),
        buffers: Sequence[Any] = (),
        on_sent: Callable[[], object] | None = None,
    ) -> None:
        """Queue a control frame: `args` is plain data that begins with its code (control.py), and may have a body."""
        self._post(sender, frame.controlled(sender, args, kind), parts, buffers, on_sent)

    def goodbye(self, reason: str) -> None:
        """Queue the last frame. Messages in pieces, and what waits behind them, are dropped: wait for them before."""
        self._out.append(frame.farewell(reason))
        self._drop_bulk()
        self._leaving = True

    def _post(
        self,
        sender: int,
        header: bytes,
        parts: Sequence[Any],
        buffers: Sequence[Any],
        on_sent: Callable[[], object] | None,
    ) -> None:
        """Queue any message: in a frame of its own, or in pieces."""
        in_band = sum(map(len, parts))
        size = in_band
        views: list[memoryview] = []
        if buffers:
            if len(buffers) > MAX_BUFFERS:
                raise EncodeError("a message", f"it has {len(buffers)} buffers, and {MAX_BUFFERS} are possible")
            views = [PickleBuffer(buffer).raw() for buffer in buffers]
            size += sum(view.nbytes for view in views)
        if size + 4 * len(views) <= MAX_SMALL:
            self._post_small(sender, header, parts, views, on_sent)
            return
        if size > self._max_message:
            raise EncodeError("a message", f"it has {size} bytes, and {self._max_message} are possible")
        message = Outgoing(sender, header, parts, in_band, views, size, on_sent)
        if not self._leaving:
            self.queued += message.left
            self.bulk += message.left
            self._outbox.add(message)
        elif on_sent is not None:
            self._due.append(on_sent)

    def _post_small(
        self,
        sender: int,
        header: bytes,
        parts: Sequence[Any],
        views: list[memoryview],
        on_sent: Callable[[], object] | None,
    ) -> None:
        op, head = header[4], header[5:]
        if views:
            op |= BUFFERS
            head += frame.table(views)
        pieces = [*parts, *views]
        size = sum(map(len, pieces))
        rest = 1 + len(head) + size
        head = PREFIX.pack(rest, op) + head
        if sender in self._held and sender:
            self._hold(sender, b"".join((head, *pieces)), on_sent)
            return
        self.queued += 4 + rest
        self._out.append(head)
        if size <= JOINED:
            self._out += pieces
        else:
            self._sealed.append(b"".join(self._out))
            self._sealed += pieces
            self._out.clear()
        if on_sent is not None:
            self._due.append(on_sent)

    def _hold(self, sender: int, packed: bytes, on_sent: Callable[[], object] | None) -> None:
        """Keep a small frame back: its sender has an unfinished message."""
        self._held[sender].append((packed, on_sent))
        self.queued += len(packed)
        self.bulk += len(packed)

    def is_behind(self, sender: int) -> bool:
        """Whether a sender has an unfinished message in pieces, which holds back what else it sends."""
        return sender in self._held

    def small(self) -> bytes | None:
        """All there is, where that is nothing but small frames; None where `take` has to say what comes first."""
        if self._sealed or self._due or self._held:
            return None
        packed = b"".join(self._out)
        self._out = []
        self.queued = 0
        self._wrote = True
        return packed

    def take(self, limit: int) -> tuple[list[Chunk], list[Callable[[], object]]]:
        """What to write now, and what to call once it is written: (chunks, due).

        First all small frames, then fragments of the bulk messages in turns, up to about `limit` bytes. The chunks are
        yours; views among them are of the senders' own buffers. `due` are the `on_sent` of the messages that end in
        these chunks. Nothing to write is ([], []), though `queued` may be above 0: what is left waits for the peer.
        """
        chunks = self._sealed
        if chunks:
            self._sealed = []
            taken = sum(map(len, chunks))
        else:
            chunks = []
            taken = 0
        if self._out:
            small = b"".join(self._out)
            self._out = []
            taken += len(small)
            chunks.append(small)
        due, self._due = self._due, []
        if self._held and limit > 0:
            bulk = self._outbox.take(chunks, due, max(1, limit - taken))  # a little of it in any case
            self.bulk -= bulk
            taken += bulk
        self.queued -= taken
        if chunks:
            self._wrote = True
        return chunks, due

    def _drop_bulk(self) -> None:
        """Forget messages in pieces and what waits behind them; their `on_sent` are due."""
        self._due += self._outbox.drop()
        self.bulk = 0
        self.queued = sum(map(len, self._out)) + sum(map(len, self._sealed))
