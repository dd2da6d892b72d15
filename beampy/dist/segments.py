"""Segments: pieces of memory of this process that other processes of the host can map, used again and again.

Rule: a segment is written to only while nobody else can see it. Whoever may see it is counted as a *use*; with the last
one gone it is idle, and may be taken again. Where it cannot be known that the last one is gone, it is *spoiled*: closed
when we are done with it and never used again. Its pages stay good in every mapping until that one goes, too, and what
is left of a process that was killed the kernel frees.

Why a pool: the first touch of fresh pages costs seven times the copy. Measured, 100 MB into a fresh segment 37 ms (2.7
GB/s), into one that is used again 5 ms (19 GB/s).

Place: shared.py has one pool for each node. Any thread may call. It knows nothing of peers and messages.
"""

from __future__ import annotations

import logging
import os
import resource
import threading
import weakref
from bisect import bisect_right
from collections import deque
from errno import EMFILE, ENFILE, ENOMEM, ENOSPC
from typing import Any

from beampy.dist import shared_pages as pages
from beampy.wire.buffers import KEPT_FOR, size_class

log = logging.getLogger("beampy.dist")

SHARE = 4  # one part in so many of the memory that this process may have, for all its segments
IDLE = 512 * 1024**2  # bytes that nobody uses and that are kept: five messages of 100 MB
MUCH_KEPT_FOR = 1.0  # seconds that more than that is: so that larger messages, one after the other, find used pages
MOST = 256  # segments, each with a descriptor: processes mostly may have 1024
JUST_NOW = float("inf")  # the time of what has become idle since the last look at the clock
MOST_OF_FILES = 4  # … and at most one part in so many of those that this one may have


class Segment:
    """One memory file, and its mapping here. `uses` counts who may see it."""

    __slots__ = ("address", "file", "settled", "since", "size", "spoiled", "uses", "written")

    def __init__(self, file: pages.File, size: int) -> None:
        self.file = file
        self.size = size
        self.address = 0  # of our mapping; 0: not mapped yet
        self.written = 0  # how far it has pages
        self.uses = 0
        self.settled = False  # objects of this process lie in it: it is mapped privately, and never changes
        self.spoiled = False
        self.since = 0.0

    def __repr__(self) -> str:
        return f"<Segment {self.file.fd} of {self.size} bytes, {self.uses} uses>"


class Segments:
    """The segments of one node.

    `limit` bounds the bytes of all of them, by default a quarter of the memory that this process may have.

    >>> segments = Segments()
    >>> segment = segments.take(1_000_000)
    >>> segments.fill(segment, 0, memoryview(b"abc"))
    True
    >>> segments.give_back(segment)
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = MOST if files < 0 else min(MOST, files // MOST_OF_FILES)
        self.size = 0  # bytes of all
        self.count = 0
        self.idle_size = 0
        self._idle: list[Segment] = []  # the longest idle first
        self._settled: list[tuple[int, Segment]] = []  # by the address where they begin
        self._unseen: deque[Segment] = deque()  # whose objects are gone: finalizers say so here
        self._lock = threading.Lock()
        self._closed = False
        self._forked = False  # this is a copy, in a child
        _pools.add(self)

    @property
    def limit(self) -> int:
        """Bytes of all of them, at most."""
        if self._limit is None:  # asked of the system when it matters first
            self._limit = pages.memory_limit() // SHARE
        return self._limit

    def take(self, n: int) -> Segment | None:
        """A segment for `n` bytes, whatever is in it, with one use. None where the limits are met."""
        room = size_class(n)
        with self._lock:
            segment = self._idle_one(room) or self._make(room)
            if segment is not None:
                segment.uses = 1
        self._look()
        return segment

    def _idle_one(self, room: int) -> Segment | None:
        if self._closed:
            return None
        for place in range(len(self._idle) - 1, -1, -1):  # the last one used first: its pages may be in a cache
            if self._idle[place].size == room:
                self.idle_size -= room
                return self._idle.pop(place)
        return None

    def _make(self, room: int) -> Segment | None:
        while self._idle and (self.size + room > self.limit or self.count >= self.most):
            self._close_idle()
        if self._closed or self.size + room > self.limit or self.count >= self.most:
            return None
        try:
            segment = Segment(pages.make("beampy", room), room)
        except OSError as error:
            if error.errno not in (EMFILE, ENFILE, ENOMEM, ENOSPC):  # a system that forbids it does so for good
                log.warning("no shared memory: %s", error)
                self._limit = 0
            return None
        self.size += room
        self.count += 1
        return segment

    def fill(self, segment: Segment, offset: int, view: memoryview) -> bool:
        """Copy a flat view to `offset`, which is no page behind what was filled. False: there is no memory for it.

        Other threads run meanwhile.
        """
        end = offset + view.nbytes
        try:
            if end <= segment.written:
                self._map(segment)
                pages.copy(segment.address + offset, pages.address_of(view), view.nbytes)
            else:
                pages.write(segment.file.fd, view, offset)
                segment.written = end
        except OSError as error:
            log.warning("no shared memory: %s", error)
            return False
        return True

    def _map(self, segment: Segment) -> None:
        if not segment.address:
            segment.address = pages.map_shared(segment.file.fd, segment.size)

    def use(self, segment: Segment) -> None:
        """One more may see it."""
        with self._lock:
            segment.uses += 1
        self._look()

    def give_back(self, segment: Segment, spoiled: bool = False) -> None:
        """One fewer may see it; `spoiled`: or that is not known."""
        with self._lock:
            segment.spoiled = segment.spoiled or spoiled
            self._used_less(segment)
        self._look()

    def _used_less(self, segment: Segment) -> None:
        if self._forked:
            return
        segment.uses -= 1
        if segment.uses:
            return
        if segment.settled:
            self._settled.remove((segment.address, segment))
        if segment.spoiled or segment.settled or self._closed:  # what was kept for long is not used as often as that
            self._close(segment)
            return
        segment.since = JUST_NOW
        self._idle.append(segment)
        self.idle_size += segment.size

    # objects of this process that lie in segments

    def settle(self, segment: Segment) -> memoryview:
        """What was filled in, for objects of this process: to be read only, as long as the view or one of it lives.

        The use of `take` becomes theirs. OSError.
        """
        if segment.address:
            pages.unmap(segment.address, segment.size)
            segment.address = 0
        # Code that takes no notice of what is read-only (torch.from_numpy) then writes to pages that only we see.
        segment.address = pages.map_private(segment.file.fd, 0, segment.size)
        exporting = pages.exporter(segment.address, segment.size)
        with self._lock:
            segment.settled = True
            self._settled.insert(bisect_right(self._settled, segment.address, key=_address), (segment.address, segment))
        watch = _Watch(exporting, _gone)
        watch.pool, watch.segment = self, segment
        _watches[id(watch)] = watch
        return pages.view_of(exporting).toreadonly()

    def find(self, view: Any) -> tuple[Segment, int] | None:
        """The settled segment that a view is of, and where in it; None: it is of other memory."""
        if not self._settled:
            return None
        address = pages.address_of(view)
        with self._lock:
            place = bisect_right(self._settled, address, key=_address) - 1
            if place < 0:
                return None
            start, segment = self._settled[place]
        return (segment, address - start) if address + view.nbytes <= start + segment.size else None

    def _look(self) -> None:
        """Take in what finalizers have said. Never waits: who has the lock looks when he has given it back."""
        while self._unseen and self._lock.acquire(blocking=False):
            try:
                while self._unseen:
                    self._used_less(self._unseen.popleft())
            finally:
                self._lock.release()

    # the end of it

    def trim(self, now: float) -> bool:
        """Close what has been idle for long; whether more is idle. `now` is the time of any one clock, in seconds."""
        with self._lock:
            for segment in reversed(self._idle):
                if segment.since != JUST_NOW:
                    break
                segment.since = now  # since the last look
            while self._idle:
                kept_for = KEPT_FOR if self.idle_size <= IDLE else MUCH_KEPT_FOR
                if now - self._idle[0].since < kept_for:
                    break
                self._close_idle()
        self._look()
        return bool(self._idle)

    def close(self) -> None:
        """Close what is idle now, and the rest when the last use of it has gone."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._close_idle()
        self._look()

    def _close_idle(self) -> None:
        segment = self._idle.pop(0)
        self.idle_size -= segment.size
        self._close(segment)

    def _close(self, segment: Segment) -> None:
        self.size -= segment.size
        self.count -= 1
        if segment.address:
            pages.unmap(segment.address, segment.size)
        os.close(segment.file.fd)

    # forks

    def _forked_there(self) -> None:
        """In the child: all of this is the parent's."""
        self._lock = threading.Lock()
        self._forked = self._closed = True
        self._idle.clear()


def _address(entry: tuple[int, Segment]) -> int:
    return entry[0]


class _Watch(weakref.ref[Any]):
    """Tells when nobody can see a settled segment any more."""

    __slots__ = ("pool", "segment")
    pool: Segments
    segment: Segment


_watches: dict[int, _Watch] = {}  # by their ids: a weak reference to such an object has no hash


def _gone(watch: Any) -> None:
    del _watches[id(watch)]
    watch.pool._unseen.append(watch.segment)
    watch.pool._look()


_pools: weakref.WeakSet[Segments] = weakref.WeakSet()


def _in_child() -> None:
    for pool in list(_pools):
        pool._forked_there()


os.register_at_fork(after_in_child=_in_child)
