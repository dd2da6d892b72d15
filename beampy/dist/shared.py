"""Shared memory: what a node has of it, for all its connections to nodes of this host.

Rule: large buffers of messages do not go through a socket where both ends can see the same pages; who sends and who
receives notices nothing but the time. It is chosen by itself, and a message goes the usual way where it cannot be: over
the limit, without a unix socket, on another system, with `shared_memory=False`.

Place: peers.py has one, and gives each unix connection a lane (shared_lane.py). The pool of segments (segments.py) is
made with the first lane. `settle` is for objects that stay and are sent often: their buffers lie in segments for good.

Benchmark: benchmarks/remote_shared.py.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import secrets
from collections import deque
from contextlib import contextmanager, suppress
from errno import EMFILE, ENFILE
from typing import TYPE_CHECKING, Any

from beampy.dist import shared_pages as pages
from beampy.dist.segments import Segment, Segments
from beampy.dist.shared_lane import LEAST, Lane
from beampy.wire.codec_buffers import is_frame, reduce_settling

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterable, Iterator

    from beampy.core.node import LocalNode
    from beampy.dist.peer import Peer

log = logging.getLogger("beampy.dist")

# Seconds between two looks at what of others' memory is not used any more: often while messages come, then more rarely.
FIRST_SWEEP, LAST_SWEEP = 0.002, 0.1
GRACE = 1.0  # seconds that a peer has to read what it was sent before the connection ended; as peers.CLOSE_TIME
TRIM = 1.0  # seconds between two looks at what has been idle for long
FEATURE = "shared"  # what the handshake calls it
SECRET = 16  # bytes, which nobody guesses
# What `settle` may meet besides large buffers, in bytes of pickle: 20 ms. It is for arrays, not for what holds them.
MOST_IN_BAND = 4 * 1024 * 1024


class Shared:
    """One node's. `wanted`: see `Options.shared_memory`; `limit`: bytes of all its segments, see segments.py."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wanted: bool = True, limit: int | None = None) -> None:
        self.loop = loop
        self.wanted = wanted and pages.AVAILABLE
        self.features = frozenset({FEATURE} if self.wanted else ())
        self.segments = Segments(limit)
        self.secret = secrets.token_bytes(SECRET)
        self.lanes: set[Lane] = set()
        self._probe: pages.File | None = None
        self._spare: int | None = None  # a descriptor that is kept, for `opened`
        self._sweeper: asyncio.TimerHandle | None = None
        self._wait = FIRST_SWEEP
        self._closing: deque[tuple[float, Segment]] = deque()  # when, and what

    def lane(self, peer: Peer, carrier: str, flags: Collection[str]) -> Lane | None:
        """For a connection that is up, if it is of the right kind. Nothing is shared before both sides have agreed."""
        if carrier != "unix" or not self.wanted or FEATURE not in flags:
            return None
        lane = Lane(self, peer, peer.peers.options.max_message)
        self.lanes.add(lane)
        lane.offer()
        self._keep_spare()
        return lane

    def probe(self) -> pages.File | None:
        """The file that peers try to read; None where there can be none."""
        if self._probe is None:
            try:
                file = pages.make("beampy-probe", pages.PAGE)
                os.pwrite(file.fd, self.secret, 0)
            except OSError as error:
                log.warning("no shared memory: %s", error)
                return None
            self._probe = file
        return self._probe

    @contextmanager
    def opened(self, pid: int, file: pages.File) -> Iterator[int]:
        """As `pages.open_of`, and closed at the end; also where this process has all the descriptors that it may have.

        Messages that arrive must not need what a server that is full has not: their connection would end.
        """
        try:
            fd = pages.open_of(pid, file)
        except OSError as error:
            if error.errno not in (EMFILE, ENFILE) or self._spare is None:
                raise
            os.close(self._spare)
            self._spare = None
            fd = pages.open_of(pid, file)
        try:
            yield fd
        finally:
            os.close(fd)
            self._keep_spare()

    def _keep_spare(self) -> None:
        if self._spare is None and self.lanes:
            with suppress(OSError):  # it is full: the next message tries again
                self._spare = os.open(os.devnull, os.O_RDONLY)

    def sweep_soon(self) -> None:
        """There is something to give back, or to close, sooner or later."""
        if self._sweeper is not None and self._wait > LAST_SWEEP:  # it only waits for what is idle
            self._sweeper.cancel()
            self._sweeper = None
        self._wait = FIRST_SWEEP
        if self._sweeper is None and self.wanted:
            self._sweeper = self.loop.call_later(self._wait, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self.loop.time()
        for lane in self.lanes:
            lane.forget(now)
            if lane.dropped:
                lane.tell()
                lane.peer.wrote(None)
        borrowed = any(lane.borrowed for lane in self.lanes)
        while self._closing and self._closing[0][0] <= now:
            self.segments.give_back(self._closing.popleft()[1], spoiled=True)
        if self.segments.trim(now) or borrowed or self._closing:
            self._wait = min(2 * self._wait, LAST_SWEEP if borrowed else TRIM)
            self._sweeper = self.loop.call_later(self._wait, self._sweep)

    def awaits(self) -> bool:
        """Whether something that is lent may still be on its way: see `Lane.have_arrived`."""
        arrived = [lane.have_arrived() for lane in self.lanes]  # all of them are asked
        return not all(arrived)

    def over(self, lane: Lane, segments: Iterable[Segment]) -> None:
        """A connection has ended, over which these are lent: they are closed a little later."""
        self.lanes.discard(lane)
        if not self.lanes:
            self._close_probe()
        due = self.loop.time() + GRACE
        self._closing += ((due, segment) for segment in segments)
        if self._closing:
            self.sweep_soon()

    def stop(self) -> None:
        """The node ends; its connections have ended. Objects that lie in segments live on."""
        self.wanted = False
        while self._closing:
            self.segments.give_back(self._closing.popleft()[1], spoiled=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self.segments.close()
        self._close_probe()

    def _close_probe(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        if self._probe is not None:
            os.close(self._probe.fd)
            self._probe = None


def settle(node: LocalNode, obj: Any) -> Any:
    """A copy of `obj` as it is now, whose large buffers are read-only and lie where nodes of this host can map them.

    Sending it to one of these copies nothing, as often as it is sent. What has no large buffers, or cannot be copied by
    pickling, or finds no room, is returned as it is: `settle(node, obj) is obj`. From any thread; it takes as long as
    one copy.

    >>> settled = settle(node, numpy.ones(1_000_000))
    >>> settled.flags.writeable
    False
    """
    shared: Shared | None = getattr(node.remote, "shared", None)
    if shared is None or isinstance(obj, bytes | str | int | float):
        return obj
    beside = _Beside()
    sink = _Bounded()
    try:
        _Pickler(sink, beside).dump(obj)
    except Exception:  # whatever a __reduce__ raises: it stays as it is
        return obj
    if not any(type(part) is memoryview for part in beside.parts):
        return obj
    placed: list[Any] = []
    for part in beside.parts:
        room = place(shared.segments, part) if type(part) is memoryview else part
        if room is None:
            return obj
        placed.append(room)
    try:
        return pickle.loads(sink.getbuffer(), buffers=placed)
    except Exception:
        return obj


def place(segments: Segments, view: memoryview) -> memoryview | None:
    """A read-only copy of a buffer, in a segment of its own; the same memory, where it lies in one already."""
    if segments.find(view) is not None:
        return view.toreadonly()
    segment = segments.take(view.nbytes)
    if segment is None:
        return None
    if not segments.fill(segment, 0, view):
        segments.give_back(segment)
        return None
    try:
        return segments.settle(segment)[: view.nbytes]
    except OSError as error:
        log.warning("no shared memory: %s", error)
        segments.give_back(segment)
        return None


class _Beside:
    """What a pickler puts beside the body, in its order: large buffers, and polars frames that stay as they are."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self._frames: dict[int, tuple[pickle.PickleBuffer, Any]] = {}  # by the buffers that stand for them

    def keep(self, frame: Any) -> pickle.PickleBuffer:
        """What stands for a frame: who reads takes whatever it is given for a buffer."""
        buffer = pickle.PickleBuffer(bytearray(1))
        self._frames[id(buffer)] = buffer, frame
        return buffer

    def stays(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether a buffer stays in the body."""
        if id(buffer) in self._frames:
            self.parts.append(self._frames[id(buffer)][1])
            return False
        view = buffer.raw()
        if view.nbytes < LEAST:
            return True
        self.parts.append(view)
        return False


class _Pickler(pickle.Pickler):
    """A pickler that knows polars frames."""

    def __init__(self, sink: _Bounded, beside: _Beside) -> None:
        super().__init__(sink, 5, buffer_callback=beside.stays)
        self.keep = beside.keep

    def reducer_override(self, obj: Any) -> Any:
        return reduce_settling(obj, self.keep) if is_frame(type(obj)) else NotImplemented


class _Bounded(io.BytesIO):
    """A file that is not for what is large without large buffers."""

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > MOST_IN_BAND:  # a PickleBuffer has no length
            raise ValueError("too much in band")
        return super().write(data)
