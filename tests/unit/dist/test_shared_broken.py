"""Shared memory, and what moves large objects: what was broken once."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
from types import SimpleNamespace
from typing import Any

import pytest

from beampy.dist import shared_pages as pages
from beampy.dist.peer import Peer
from beampy.dist.shared import LAST_SWEEP, settle
from beampy.dist.shared_lane import KEPT_MAPPED, LEAST, MOST_GROUPS
from beampy.errors import RemoteProtocolError
from beampy.refs.room import exceeds
from beampy.refs.sizes import stated
from beampy.wire.buffers import Pool
from tests.unit.dist.test_shared import LIMIT, MOST, data, ends, kept, node_of

__all__ = ["ends"]  # the fixture

np = pytest.importorskip("numpy")
linux = pytest.mark.skipif(not pages.AVAILABLE, reason="a system without memory files")


@linux
async def test_who_has_no_descriptor_left_still_receives(ends):
    """A server that was full lost its connection with each large message."""
    one, other = ends
    section, _ = kept(one.lane, sent := data())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, before[1]))
    try:
        with pytest.raises(OSError, match="open files"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(3):
            assert other.lane.arrived(section, None) == [sent]
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@linux
@pytest.mark.loops("asyncio", "uvloop")
async def test_what_comes_after_a_quiet_time_is_given_back_as_soon(ends):
    """While something was only idle, the next look was a second away, and a stream made fresh memory meanwhile."""
    one, other = ends
    other.shared.segments.give_back(other.shared.segments.take(LEAST))
    loop = other.shared.loop
    other.shared.sweep_soon()
    async with asyncio.timeout(20):
        while other.shared._sweeper.when() - loop.time() <= 2 * LAST_SWEEP:
            await asyncio.sleep(0.001)
    other.lane.arrived(kept(one.lane, data())[0], None)
    assert other.shared._sweeper.when() - loop.time() <= LAST_SWEEP


@linux
async def test_a_section_has_so_many_groups_and_no_more(ends):
    """A peer could make us map as much as the system lets a process."""
    one, other = ends
    ((number, fd, inode, _),), _ = kept(one.lane, data())
    with pytest.raises(RemoteProtocolError, match="another shape"):
        other.lane.arrived([[number, fd, inode, [[0, 0, 1]]]] * (MOST_GROUPS + 1), None)
    assert len(other.lane.arrived([[number, fd, inode, [[0, 0, 1]]]] * 3, None)) == 3


@linux
async def test_what_has_more_groups_than_that_travels(ends, monkeypatch):
    from beampy.dist import shared_lane

    monkeypatch.setattr(shared_lane, "MOST_GROUPS", 2)
    one, other = ends
    rows = settle(node_of(one), np.arange(5 * LEAST // 8, dtype=np.int64)).reshape(5, -1)
    sent = [memoryview(row).cast("B") for row in rows] + [memoryview(data())]
    section, rest = kept(one.lane, *sent)
    assert len(section) == 2
    came = other.lane.arrived(section, [memoryview(bytearray(piece)) for piece in rest])
    assert [bytes(piece) for piece in came] == [bytes(piece) for piece in sent]
    del came


@linux
async def test_one_mapping_serves_what_is_settled(ends):
    one, other = ends
    fixed = settle(node_of(one), np.arange(3 * LEAST // 8, dtype=np.int64))
    kept_there = []
    for part in (fixed[LEAST // 8 :], fixed, fixed[: LEAST // 8], fixed):
        section, _ = kept(one.lane, part.data.cast("B"))
        (came,) = other.lane.arrived(section, None)
        assert bytes(came) == part.tobytes()
        kept_there.append(came)
    assert len({pages.address_of(kept_there[n]) for n in (1, 2, 3)}) == 1
    other.lane.tell()
    one.hears(other)
    assert len(one.lane.lent) == other.lane.borrowed == 1
    other.lane.forget(other.shared.loop.time() + KEPT_MAPPED)
    other.lane.tell()
    assert other.lane.borrowed == 1
    del came, kept_there
    other.lane.tell()
    one.hears(other)
    assert len(one.lane.lent) == other.lane.borrowed == 0
    del fixed, part
    assert one.shared.segments.count == 0


@linux
async def test_who_writes_to_what_is_read_only_writes_for_himself(ends):
    """torch.from_numpy ended the process that had put the array, and no other one."""
    one, other = ends
    fixed = settle(node_of(one), np.zeros(LEAST // 8))
    scribble(fixed.data)
    section, _ = kept(one.lane, fixed.data.cast("B"))
    (came,) = other.lane.arrived(section, None)
    assert not any(came)
    scribble(came)
    assert any(came)
    section, _ = kept(one.lane, fixed.data.cast("B"))
    (again,) = other.lane.arrived(section, None)
    assert not any(again)
    del came, again, fixed


def scribble(view: Any) -> None:
    ctypes.memset(pages.address_of(view), 1, 100)


@linux
async def test_mappings_are_kept_for_a_while_and_a_few_of_them(ends, monkeypatch):
    from beampy.dist import shared_lane

    monkeypatch.setattr(shared_lane, "MOST_MAPPED", 2)
    one, other = ends
    fixed = [settle(node_of(one), np.full(LEAST // 8, n)) for n in range(4)]
    for each in fixed:
        other.lane.arrived(kept(one.lane, each.data.cast("B"))[0], None)
    other.lane.tell()
    assert other.lane.borrowed == 2
    monkeypatch.setattr(shared_lane, "LARGEST_MAPPED", LEAST - 1)
    other.lane.arrived(kept(one.lane, fixed[0].data.cast("B"))[0], None)
    other.lane.tell()
    assert other.lane.borrowed == 2
    one.lane.end()
    other.lane.end()
    other.lane.tell()
    assert other.lane.borrowed == 0
    del fixed, each


@pytest.mark.parametrize("size", [20_000, LEAST, 3 * LEAST])
def test_a_read_only_view_of_what_can_change_is_copied(size):
    """A view that numpy has as read-only was sent as the array was when its bytes left."""
    array = np.zeros(size, np.uint8)
    view = array[10:]
    view.flags.writeable = False
    (copy,) = Pool().snapshot([memoryview(view)])
    array[:] = 5
    assert not any(copy)


def test_what_cannot_change_is_not_copied():
    array = np.zeros(LEAST, np.uint8)
    array.flags.writeable = False
    whole = np.frombuffer(b"x" * LEAST, np.uint8)
    sent = [
        memoryview(array),
        memoryview(array[5:]),
        memoryview(whole),
        memoryview(whole[5:]),
        memoryview(b"x" * LEAST),
    ]
    for one, copy in zip(sent, Pool().snapshot(sent), strict=True):
        assert copy is one


def test_of_what_is_too_large_nothing_is_copied():
    """A copy of 5 GB was made of what is refused, where there was hardly memory for the object."""
    most = SimpleNamespace(max_message=3 * LEAST)
    peer: Any = SimpleNamespace(peers=SimpleNamespace(options=most, pool=Pool()), shared=None)
    large, small = memoryview(bytearray(2 * LEAST)), memoryview(bytearray(LEAST))
    assert Peer.kept(peer, 0, [b"body"], [large, large])[2][0] is large
    assert Peer.kept(peer, 0, [b"body"], [large, small])[2][0] is not large


class Secretive:
    """An object of a known package, whose size cannot be had, as a sparse tensor's."""

    __module__ = "torch"

    @property
    def nbytes(self) -> int:
        raise RuntimeError("nbytes is not defined for sparse tensors")


def test_an_object_that_does_not_say_its_size_is_measured():
    """`ref.get()` of a sparse tensor failed."""
    assert stated(Secretive()) is None
    assert exceeds(Secretive(), 10**6) is None


assert LIMIT < MOST
