"""A lane: the memory that the two ends of one connection share, in both directions. wire/SHARED.md has the bytes.

Rule: what is lent is not written to until the other side has given it back. A large buffer is copied once, here, into a
segment of ours, and the message says where it is; the other side maps the pages *privately*: it may write to them, and
what it writes nobody else sees. When the last object in a mapping is gone there, its number comes back and the segment
is used again. What is *settled* (shared.py) never changes, so one mapping of it serves several messages, unless
somebody here has written to it. Nothing is lent before the other side has proved that it can read our memory: each side
shows a file with a secret in it, and the other one reads it.

Place: peer.py lends when it writes a message, reading.py borrows when one arrives, shared.py has what all lanes of a
node have in common. It runs on the loop, but for the finalizers of mappings, which only unmap and append.
"""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from beampy.dist import shared_pages as pages
from beampy.errors import RemoteProtocolError
from beampy.wire import control
from beampy.wire.carrier import SHARED, section_of, with_section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from beampy.dist.peer import Peer
    from beampy.dist.segments import Segment
    from beampy.dist.shared import Shared
    from beampy.wire.codec import Body

log = logging.getLogger("beampy.dist")

# A buffer from here on is shared: below, a mapping and its release cost as much as the socket (benchmarks).
LEAST = 1024 * 1024
# Smaller buffers of one message share segments of about this size: fewer files, and little that one of them pins.
GROUP = 8 * 1024 * 1024
# Groups of one message, at most: as many as one of 4 GiB has, which is what a message may have by default.
MOST_GROUPS = 4096
# What is settled never changes, so its mapping serves the next message that has it: without, 100 MB that are looked at
# cost 10 ms for pages that are found again. Kept for so many seconds without use, so many of one connection, and none
# of more bytes: to look whether it was written to, and to unmap it, takes 10 ms of the loop then.
KEPT_MAPPED = 1.0
MOST_MAPPED = 16
LARGEST_MAPPED = 256 * 1024 * 1024
ALIGNED = 64  # bytes: a cache line, and what vector instructions and torch like

Said = control.SharedOffer | control.SharedAnswer | control.SharedRelease | control.SharedSync
Piece = list[int]  # index among the message's buffers, offset in the segment, bytes
Group = list[Any]  # number, descriptor, inode, pieces; True where it is settled


class Lane:
    """One connection's. `most`: bytes of one message."""

    def __init__(self, shared: Shared, peer: Peer, most: int) -> None:
        self.shared = shared
        self.peer = peer
        self.most = most
        self.open = False  # they can read our memory
        self.dropped: deque[tuple[int, bool]] = deque()  # numbers that nobody here uses any more; spoiled or not
        self.borrowed = 0  # numbers that we have not given back
        self.lent: dict[int, Segment] = {}
        self._pid = 0  # theirs, when we can read their memory
        self._number = 0  # the last one
        self._asked = self._arrived = 0  # numbers up to which we have asked whether all has arrived, and know it
        self._over = False
        self._settled: dict[int, tuple[float, Any]] = {}  # mappings by inode, and when they came; the last one last

    def _say(self, args: tuple[Any, ...]) -> None:
        if self.peer.channel is not None:
            self.peer.channel.control(0, args)

    def heard(self, said: Said) -> None:
        """A control array of ours arrived."""
        match said:
            case control.SharedOffer():
                self.offered(*said)
                self.peer.wrote(None)
            case control.SharedAnswer():
                self.answered(said.secret)
            case control.SharedRelease():
                self.released(said.numbers, said.spoiled)
            case control.SharedSync():
                if said.answer:
                    self._arrived = max(self._arrived, said.number)
                else:
                    self._say((control.SHARED_SYNC, said.number, True))
                    self.peer.wrote(None)

    # who can read whose memory

    def offer(self) -> None:
        """Show them a file of ours, to try."""
        file = self.shared.probe()
        if file is not None:
            self._say((control.SHARED_OFFER, os.getpid(), file.fd, file.inode, self.shared.secret))

    def offered(self, pid: int, fd: int, inode: int, secret: bytes) -> None:
        """They show us a file of theirs."""
        try:
            found = pages.open_of(pid, pages.File(fd, inode))
            try:
                same = secrets.compare_digest(os.pread(found, len(secret), 0), secret)
            finally:
                os.close(found)
        except OSError as error:  # another user's, another container's
            log.debug("no shared memory from %s: %s", self.peer.name, error)
            return
        if same:
            self._pid = pid
            self._say((control.SHARED_ANSWER, secret))

    def answered(self, secret: bytes) -> None:
        """They have read ours."""
        if secrets.compare_digest(secret, self.shared.secret):
            self.open = True

    # sending

    def kept(
        self, kind: int, parts: list[bytes], buffers: Sequence[Any], snapshot: Callable[[Sequence[Any]], list[Any]]
    ) -> Body:
        """A body whose buffers are as they are now: the large ones in memory of ours, the others as `snapshot` does it.

        EncodeError, MemoryError; then nothing is lent.
        """
        rest, groups = self.lend(buffers)
        if not groups:
            return kind, parts, snapshot(buffers)
        try:
            return *with_section(kind, parts, SHARED, groups), snapshot(rest)
        except BaseException:
            self.withdraw(groups)
            raise

    def taken_back(self, kind: int, parts: list[bytes]) -> None:
        """A body that was kept will not be sent."""
        self.withdraw(section_of(kind, parts, SHARED) or ())

    def lend(self, buffers: Sequence[Any]) -> tuple[Sequence[Any], list[Group]]:
        """What of a message's buffers still has to travel, and the section that says where the others are.

        These may change from here on. Of a message that is too large nothing is lent: who sends it will see.
        """
        if not self.open or not any(map(_is_large, buffers)) or sum(map(len, buffers)) > self.most:
            return buffers, []
        groups: list[Group] = []
        waiting: list[tuple[int, memoryview]] = []  # pieces of the next group
        size = 0
        pool = self.shared.segments
        for index, one in enumerate(buffers):
            if not _is_large(one):
                continue
            if len(groups) == MOST_GROUPS:
                break
            settled = pool.find(one)
            if settled is not None:
                pool.use(settled[0])
                groups.append([*self._group(settled[0], [[index, settled[1], one.nbytes]]), True])
                continue
            waiting.append((index, one))
            size += -(-one.nbytes // ALIGNED) * ALIGNED
            if size >= GROUP:
                self._fill(waiting, size, groups)
                waiting, size = [], 0
        if waiting and len(groups) < MOST_GROUPS:
            self._fill(waiting, size, groups)
        shared = {piece[0] for group in groups for piece in group[3]}
        return [one for index, one in enumerate(buffers) if index not in shared], groups

    def _fill(self, waiting: list[tuple[int, memoryview]], size: int, groups: list[Group]) -> None:
        """Copy some buffers into one segment, if there is one for them; they travel otherwise."""
        pool = self.shared.segments
        segment = pool.take(size)
        if segment is None:
            return
        offset = 0
        pieces: list[Piece] = []
        for index, view in waiting:
            if not pool.fill(segment, offset, view):
                pool.give_back(segment)
                return
            pieces.append([index, offset, view.nbytes])
            offset += -(-view.nbytes // ALIGNED) * ALIGNED
        groups.append(self._group(segment, pieces))

    def _group(self, segment: Segment, pieces: list[Piece]) -> Group:
        self._number += 1
        self.lent[self._number] = segment
        return [self._number, segment.file.fd, segment.file.inode, pieces]

    def withdraw(self, groups: Sequence[Group]) -> None:
        """The message with this section will not be sent."""
        for group in groups:
            self._returned(group[0], False)

    def released(self, numbers: Sequence[int], spoiled: Sequence[int]) -> None:
        """They have let go of these. `spoiled`: a fork of theirs may still see them."""
        for number in numbers:
            self._returned(number, False)
        for number in spoiled:
            self._returned(number, True)

    def _returned(self, number: int, spoiled: bool) -> None:
        segment = self.lent.pop(number, None)
        if segment is not None:
            self.shared.segments.give_back(segment, spoiled)
            self.shared.sweep_soon()

    def have_arrived(self) -> bool:
        """Whether all that is lent has arrived there, so that we may go; when it is written, they are asked."""
        if not self.lent or self._arrived >= self._number:
            return True
        if self._asked < self._number:
            self._asked = self._number
            self._say((control.SHARED_SYNC, self._number, False))
            self.peer.wrote(None)
        return False

    # receiving

    def arrived(self, groups: Any, buffers: Sequence[Any] | None) -> list[Any]:
        """All buffers of a message that arrived with this section, in their order. Those that are shared are mapped.

        RemoteProtocolError for a section that is none. ConnectionAbortedError for memory that is not there any more:
        its node has just ended, or has closed the connection.
        """
        found = _checked(groups, self.most)
        if not self._pid:
            raise RemoteProtocolError("shared memory that was never agreed on")
        placed: list[tuple[int, Any]] = []
        for number, fd, inode, pieces, settled in found:
            (self._map_settled if settled else self._map)(number, pages.File(fd, inode), pieces, placed)
        placed.sort(key=_index)
        every = list(buffers or ())
        for index, view in placed:
            if index > len(every):
                raise RemoteProtocolError(f"a shared buffer in place {index} of {len(every)}")
            every.insert(index, view)
        self.shared.sweep_soon()
        return every

    def _map(self, number: int, file: pages.File, pieces: list[Piece], placed: list[tuple[int, Any]]) -> None:
        first, end = _extent(pieces)
        start = first // pages.PAGE * pages.PAGE
        view = pages.view_of(self._mapped(number, file, start, end))
        placed += ((index, view[offset - start : offset - start + size]) for index, offset, size in pieces)

    def _map_settled(self, number: int, file: pages.File, pieces: list[Piece], placed: list[tuple[int, Any]]) -> None:
        """What never changes there, and is read-only here: all who have it see one mapping.

        Unless somebody has written to it all the same, as torch.from_numpy makes possible.
        """
        start, end = _extent(pieces)
        _, exporting = self._settled.pop(file.inode, (0.0, b""))
        if end <= len(exporting) and not pages.is_written(ctypes.addressof(exporting) + start, end - start):
            self.borrowed += 1
            self.dropped.append((number, False))  # the number that it was mapped with keeps it
        else:
            exporting = self._mapped(number, file, 0, end, whole=True)
        if len(exporting) <= LARGEST_MAPPED:
            self._settled[file.inode] = self.shared.loop.time(), exporting
        if len(self._settled) > MOST_MAPPED:
            del self._settled[next(iter(self._settled))]
        view = pages.view_of(exporting).toreadonly()
        placed += ((index, view[offset : offset + size]) for index, offset, size in pieces)

    def _mapped(self, number: int, file: pages.File, start: int, end: int, whole: bool = False) -> Any:
        """The exporter of a new mapping; `whole`: up to the end of the file."""
        try:
            with self.shared.opened(self._pid, file) as fd:
                most = os.fstat(fd).st_size
                if end > most:
                    raise RemoteProtocolError("a shared buffer that ends behind its segment")
                end = most if whole else end
                address = pages.map_private(fd, start, end - start)
        except OSError as error:
            raise ConnectionAbortedError(
                f"its shared memory cannot be mapped, it may have just ended: {error}"
            ) from None
        exporting = pages.exporter(address, end - start)
        self.borrowed += 1
        _Mapping.watch(exporting, self, number, address, end - start)
        return exporting

    def forget(self, now: float) -> None:
        """Let go of mappings that no message had for a while."""
        while self._settled:
            inode, (since, _) = next(iter(self._settled.items()))
            if now - since < KEPT_MAPPED:
                break
            del self._settled[inode]

    def tell(self) -> None:
        """Give back what is not used any more."""
        dropped = self.dropped
        numbers: list[int] = []
        spoiled: list[int] = []
        while dropped:
            number, forked = dropped.popleft()
            (spoiled if forked else numbers).append(number)
        self.borrowed -= len(numbers) + len(spoiled)
        if self._over:
            return
        most = control.MAX_RELEASED // 2
        while numbers or spoiled:
            self._say((control.SHARED_RELEASE, numbers[:most], spoiled[:most]))
            numbers, spoiled = numbers[most:], spoiled[most:]

    def end(self) -> None:
        """The connection has ended. What they have of ours is never used again, and what we have of theirs stays.

        What is on its way may still be read: so ours is closed a little later.
        """
        self._over, self.open = True, False
        self.shared.over(self, self.lent.values())
        self.lent.clear()
        self._settled.clear()


def _is_large(one: Any) -> bool:
    return type(one) is not bytes and one.nbytes >= LEAST and type(one.obj) is not bytes


def _extent(pieces: list[Piece]) -> tuple[int, int]:
    return min(offset for _, offset, _ in pieces), max(offset + size for _, offset, size in pieces)


def _index(entry: tuple[int, Any]) -> int:
    return entry[0]


def _checked(groups: Any, most: int) -> list[tuple[int, int, int, list[Piece], bool]]:
    """A section that arrived. RemoteProtocolError where it is none."""
    found: list[tuple[int, int, int, list[Piece], bool]] = []
    total = 0
    if type(groups) is list and 0 < len(groups) <= MOST_GROUPS:
        for group in groups:
            if type(group) is not list or len(group) < 4 or type(group[3]) is not list or not group[3]:
                break
            if not all(type(one) is int and one >= 0 for one in group[:3]):
                break
            for piece in group[3]:
                if type(piece) is not list or len(piece) != 3 or not all(type(n) is int and n >= 0 for n in piece):
                    raise RemoteProtocolError("a shared buffer of another shape")
                if not piece[2]:
                    raise RemoteProtocolError("a shared buffer of nothing")
                total += piece[2]
            found.append((group[0], group[1], group[2], group[3], len(group) > 4 and group[4] is True))
        else:
            if total > most:
                raise RemoteProtocolError(f"shared buffers of {total} bytes in one message, and {most} are possible")
            return found
    raise RemoteProtocolError("a section of shared memory of another shape")


class _Mapping(weakref.ref[Any]):
    """Tells when nobody can see a mapping any more."""

    __slots__ = ("address", "forks", "lane", "number", "size")
    lane: Lane
    number: int
    address: int
    size: int
    forks: int

    @staticmethod
    def watch(exporting: Any, lane: Lane, number: int, address: int, size: int) -> None:
        """Call `_unseen` when `exporting` is gone."""
        mapping = _Mapping(exporting, _unseen)
        mapping.lane, mapping.number, mapping.address, mapping.size = lane, number, address, size
        mapping.forks = _forks
        _mappings[id(mapping)] = mapping


_mappings: dict[int, _Mapping] = {}  # by their ids: a weak reference to such an object has no hash
_forks = 0  # of this process so far: a child that was forked while a mapping was there sees it for as long as it likes


def _unseen(mapping: Any, unmap: Callable[[int, int], None] = pages.unmap) -> None:
    del _mappings[id(mapping)]
    unmap(mapping.address, mapping.size)
    mapping.lane.dropped.append((mapping.number, mapping.forks != _forks))


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_parent=_forked, after_in_child=_forked)
