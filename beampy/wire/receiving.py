"""The receiving half of a channel: bytes in pieces of any size become calls of the handler, in order.

The rule: a small frame's body is lent to the handler and not copied; a fragment of a big message is read straight into
that message's own buffer; what is malformed ends the channel, and nothing is handed on in part. It knows bodies only as
bytes. Pure.

This is the hot path of every message that reaches a node: the loop in `_parse` is unrolled for the frames that matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from beampy.errors import RemoteProtocolError
from beampy.wire import frame
from beampy.wire.buffers import Pool
from beampy.wire.bulk import Inbox, Incoming
from beampy.wire.frame import (
    ADDRESSED,
    ADDRESSED_REST,
    BEGIN,
    BUFFERS,
    CONTROL,
    CREDIT,
    DATA,
    DEMONITOR,
    FRAGMENT,
    FRAGMENT_REST,
    GOODBYE,
    GRANT,
    KNOWN,
    MAX_NAME,
    MAX_REST,
    MONITOR,
    MONITORED,
    MONITORED_REST,
    NAMED,
    PREFIX,
    REF,
    SEND_NAME,
    SEND_PID,
    SEND_REF,
    TICK,
)
from beampy.wire.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Callable

# What one read takes in: thousands of small messages, and the first fragments of a message that just began.
SCRATCH = 256 * 1024
# While messages come in pieces: what of a piece may be read together with its header, and so be copied.
SCRATCH_IN_BULK = 16 * 1024

_unpack = ADDRESSED.unpack_from
_unpack_ref = REF.unpack_from
_unpack_named = NAMED.unpack_from
_HEADER = ADDRESSED.size


class Handler(Protocol):
    """Who takes what was received. The calls come in order, from within `received` or `feed`.

    Where `buffers` is None, `body` is borrowed: a view of a buffer that is read into again as soon as the call returns.
    Otherwise `body` and the `buffers` are the handler's own, the buffers writable. What a handler raises comes out of
    `received`, and the channel is dead.
    """

    def to_pid(
        self, serial: int, creation: int, sender: int, kind: int, body: memoryview, buffers: list[memoryview] | None, /
    ) -> object: ...

    def to_ref(
        self, id: int, creation: int, sender: int, kind: int, body: memoryview, buffers: list[memoryview] | None, /
    ) -> object: ...

    def to_name(
        self, name: str, sender: int, kind: int, body: memoryview, buffers: list[memoryview] | None, /
    ) -> object: ...

    def monitored(self, sender: int, creation: int, serial: int, ref: int, flags: int, /) -> object: ...

    def monitored_name(self, name: str, sender: int, ref: int, flags: int, /) -> object: ...

    def demonitored(self, sender: int, creation: int, serial: int, ref: int, /) -> object: ...

    def control(
        self, sender: int, args: list[Any], kind: int, body: memoryview, buffers: list[memoryview] | None, /
    ) -> object: ...

    def goodbye(self, reason: str, /) -> object: ...


class Receiving(Sending):
    """What comes in. It stands on the sending half, since what is read is granted anew."""

    __slots__ = (
        "_dead",
        "_end",
        "_gone",
        "_grant_at",
        "_handler",
        "_heard",
        "_inbox",
        "_methods",
        "_scratch",
        "_streams",
        "_target",
        "_to_pid",
        "_to_ref",
        "_todo",
        "_ungranted",
        "_view",
        "_window",
    )

    def __init__(self, handler: Handler, window: int, fragment: int, max_message: int, pool: Pool | None) -> None:
        super().__init__(window, fragment, max_message)
        self._handler = handler
        self._to_pid = handler.to_pid
        self._to_ref = handler.to_ref
        self._methods: dict[int, Callable[..., object]] = {
            SEND_PID: handler.to_pid,
            SEND_REF: handler.to_ref,
            SEND_NAME: handler.to_name,
            CONTROL: handler.control,
        }
        self._dead = ""  # why nothing more is taken in
        self._gone = False  # the peer has said goodbye
        self._scratch = bytearray(SCRATCH)
        self._view = memoryview(self._scratch)
        self._end = 0  # how far scratch is filled
        self._inbox = Inbox(self._methods, pool if pool is not None else Pool(0), max_message)
        self._streams = self._inbox.streams
        self._target: Incoming | None = None  # what the rest of a fragment is read into, and how much that is
        self._todo = 0
        self._window = window
        self._ungranted = 0
        self._grant_at = window // 4
        self._heard = False  # since the last tick

    def get_buffer(self) -> memoryview:
        """Where to read the next bytes to; never empty. Then say `received(n)`."""
        target = self._target
        if target is None:
            end = self._end
            return self._view[end : end + SCRATCH_IN_BULK] if self._streams else self._view[end:]
        # The rest of the fragment, and in the room of the next one that one's header, which it overwrites.
        return target.view[target.off : target.off + self._todo + FRAGMENT.size]

    def received(self, n: int) -> None:
        """`n` bytes were read into the buffer. Calls the handler; raises RemoteProtocolError, and from then on always.

        What comes after the peer's goodbye is not looked at. Flush when `queued` is above 0 afterwards: there may be
        a grant to send, or new credit to send with.
        """
        if self._dead:
            raise RemoteProtocolError(self._dead)
        self._heard = True
        try:
            target = self._target
            if target is None:
                if not self._gone:
                    self._parse(self._end + n)
            elif n < self._todo:
                target.off += n
                self._todo -= n
            else:
                self._land(target, n - self._todo)
        except BaseException as error:
            self._die(error.why if isinstance(error, RemoteProtocolError) else "the handler raised")
            raise

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take in bytes that are here already: for pipes and tests. The same as reading them in pieces of any size."""
        view = memoryview(data)
        while len(view):
            room = self.get_buffer()
            n = min(len(room), len(view))
            room[:n] = view[:n]
            self.received(n)
            view = view[n:]

    def _die(self, why: str) -> None:
        """Take in nothing more, and forget what is half received."""
        self._dead = self._dead or why
        self._target = None
        self._end = 0
        self._inbox.drop()

    def _parse(self, end: int) -> None:
        """Take in the frames in scratch[:end]; what is not whole is kept, at its front."""
        scratch, view = self._scratch, self._view
        to_pid, to_ref, to_name = self._to_pid, self._to_ref, self._handler.to_name
        pos = 0
        while (left := end - pos) >= 5:
            if left >= _HEADER:
                rest, op, kind, creation, id, sender = _unpack(scratch, pos)
                stop = pos + 4 + rest
                if ADDRESSED_REST <= rest <= MAX_REST and stop <= end:
                    if op == SEND_PID:
                        to_pid(id, creation, sender, kind, view[pos + _HEADER : stop], None)
                        pos = stop
                        continue
                    if op == SEND_REF:
                        to_ref(id, creation, sender, kind, view[pos + _HEADER : stop], None)
                        pos = stop
                        continue
                    if op == SEND_NAME:
                        _, _, kind, sender, size = _unpack_named(scratch, pos)
                        body = pos + NAMED.size + size
                        if not size > 0 or body > stop:
                            raise RemoteProtocolError("a name that is empty or longer than its frame")
                        name = frame.read_text(view[pos + NAMED.size : body])
                        to_name(name, sender, kind, view[body:stop], None)
                        pos = stop
                        continue
                    if op in (MONITOR, DEMONITOR) and rest == MONITORED_REST:
                        (ref,) = _unpack_ref(scratch, pos + _HEADER)
                        if op == MONITOR:
                            self._handler.monitored(sender, creation, id, ref, kind)
                        else:
                            self._handler.demonitored(sender, creation, id, ref)
                        pos = stop
                        continue
            stop = self._other(pos, end)
            if stop < 0:
                break
            pos = stop
        if pos and left:
            view[:left] = view[pos:end]
        self._end = left

    def _other(self, pos: int, end: int) -> int:
        """Take in the frame at `pos`, of any kind; where the next one is, or -1 when this one is not whole."""
        rest, op = PREFIX.unpack_from(self._scratch, pos)
        if not 0 < rest <= MAX_REST:
            raise RemoteProtocolError(f"a frame of {rest} bytes")
        if op not in KNOWN:
            raise RemoteProtocolError(f"no frame has op {op}")
        stop: int = pos + 4 + rest
        if op == DATA:
            return self._data(pos, end, rest)
        if stop > end:
            return -1
        at = pos + PREFIX.size
        if op == TICK:
            if rest != 1:
                raise RemoteProtocolError("a tick with something in it")
        elif op == CREDIT:
            if rest != GRANT.size - 4:
                raise RemoteProtocolError("a grant of the wrong length")
            self._outbox.granted(GRANT.unpack_from(self._scratch, pos)[2])
        elif op == BEGIN:
            self._inbox.begin(self._view, pos, stop)
        elif op == GOODBYE:
            if rest > 1 + frame.MAX_REASON:
                raise RemoteProtocolError("a goodbye that is too long")
            reason = frame.read_text(self._view[at:stop])
            self._gone = True
            self._inbox.drop()
            self._handler.goodbye(reason)
            return end
        elif op == MONITOR and MONITORED_REST < rest <= MONITORED_REST + MAX_NAME:
            _, _, flags, _, _, sender, ref = MONITORED.unpack_from(self._scratch, pos)
            name = frame.read_text(self._view[pos + MONITORED.size : stop])
            self._handler.monitored_name(name, sender, ref, flags)
        elif op in (MONITOR, DEMONITOR):  # the length of one by pid never comes here
            raise RemoteProtocolError("a monitor of the wrong length")
        else:
            self._message(op, at, stop)
        return stop

    def _message(self, op: int, at: int, stop: int) -> None:
        """Hand on a small message: the kinds of which there are few, and those with buffers."""
        view = self._view
        method = self._methods[op & ~BUFFERS]
        lead, at = frame.read_header(op & ~BUFFERS, view, at, stop)
        if op < BUFFERS:
            method(*lead, view[at:stop], None)
            return
        sizes, at = frame.read_table(view, at, stop)
        pieces = []
        for size in (stop - at - sum(sizes), *sizes):
            pieces.append(memoryview(bytearray(view[at : at + size])))
            at += size
        method(*lead, pieces[0], pieces[1:])

    # bulk

    def _data(self, pos: int, end: int, rest: int) -> int:
        """Take in what there is of the fragment at `pos`; what is missing is read straight to its place."""
        if rest <= FRAGMENT_REST:
            raise RemoteProtocolError("a fragment of nothing")
        at = pos + FRAGMENT.size
        if at > end:
            return -1
        _, _, id = FRAGMENT.unpack_from(self._scratch, pos)
        target = self._begin_fragment(rest, id)
        n = min(end - at, self._todo)
        target.view[target.off : target.off + n] = self._view[at : at + n]
        if n < self._todo:
            target.off += n
            self._todo -= n
        else:
            self._land(target, 0)
        return at + n

    def _begin_fragment(self, rest: int, id: int) -> Incoming:
        """From here on read into the message of stream `id`, for one fragment."""
        size = rest - FRAGMENT_REST
        target = self._streams.get(id)
        if target is None:
            raise RemoteProtocolError(f"a fragment of stream {id}, which is not open")
        if size > len(target.view) - target.off:
            raise RemoteProtocolError("a fragment that is longer than what it is a part of")
        ungranted = self._ungranted + size
        if ungranted > self._window:
            raise RemoteProtocolError("more bytes of bulk than were granted")
        if ungranted >= self._grant_at:
            self._out.append(GRANT.pack(GRANT.size - 4, CREDIT, ungranted))
            self.queued += GRANT.size
            ungranted = 0
        self._ungranted = ungranted
        self._target = target
        self._todo = size
        return target

    def _land(self, target: Incoming, extra: int) -> None:
        """The fragment is complete in its message's buffer, with `extra` bytes of the next frame behind it."""
        off = target.off = target.off + self._todo
        self._target = None
        if not extra:
            if off == len(target.view):
                self._inbox.filled(target)
            return
        if extra == FRAGMENT.size:
            rest, op, id = FRAGMENT.unpack_from(target.view, off)
            if op == DATA and FRAGMENT_REST < rest <= MAX_REST:
                self._begin_fragment(rest, id)
                return
        self._view[:extra] = target.view[off : off + extra]
        self._parse(extra)
