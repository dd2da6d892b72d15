"""Segments: memory is used again when nobody can see it, never before, and closed in the end."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest

from beampy.dist import shared_pages as pages
from beampy.dist.segments import IDLE, MOST, MUCH_KEPT_FOR, Segments
from beampy.wire.buffers import KEPT_FOR, size_class

pytestmark = pytest.mark.skipif(not pages.AVAILABLE, reason="a system without memory files")

N = 1_000_000
ROOM = size_class(N)
LIMIT = 64 * 1024**2


@pytest.fixture
def segments():
    pool = Segments(LIMIT)
    yield pool
    pool.close()
    assert (pool.count, pool.size) == (0, 0)


def read(segment, offset, size):
    """As another process would."""
    fd = pages.open_of(os.getpid(), segment.file)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def files():
    """The memory files of this process."""
    found = Path("/proc/self/fd")
    return sorted(one.name for one in found.iterdir() if os.path.islink(one) and "memfd:beampy" in os.readlink(one))


def test_what_is_given_back_is_used_again(segments):
    first = segments.take(N)
    segments.give_back(first)
    assert segments.take(N - 1) is first
    second = segments.take(N)
    assert second is not first
    assert segments.size == 2 * ROOM
    segments.close()
    assert segments.take(N) is None
    segments.give_back(first)
    segments.give_back(second)


def test_every_use_counts(segments):
    first = segments.take(N)
    segments.use(first)
    segments.give_back(first)
    second = segments.take(N)
    assert second is not first
    segments.give_back(first)
    assert segments.take(N) is first
    segments.give_back(first)
    segments.give_back(second)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_is_filled_in_is_what_others_read(segments, times):
    for turn in range(times):  # the first time it is written, and copied from then on
        segment = segments.take(N)
        data = os.urandom(1000) * 500
        assert segments.fill(segment, 0, memoryview(data))
        assert segments.fill(segment, 500_032, memoryview(bytearray(b"y" * 1000)))
        assert read(segment, 0, 500_000) == data
        assert read(segment, 500_032, 1000) == b"y" * 1000
        assert (segment.address != 0) is (turn > 0)
        segments.give_back(segment)
    assert segments.count == 1


def test_more_than_was_ever_written_is_written_too(segments):
    segment = segments.take(N)
    segments.fill(segment, 0, memoryview(b"a" * 100))
    segments.give_back(segment)
    assert segments.take(N) is segment
    assert segments.fill(segment, 0, memoryview(b"b" * N))
    assert read(segment, 0, N) == b"b" * N
    segments.give_back(segment)


def test_a_spoiled_one_is_never_used_again(segments):
    segment = segments.take(N)
    segments.use(segment)
    segments.give_back(segment, spoiled=True)
    segments.give_back(segment)
    assert segments.count == 0
    other = segments.take(N)
    assert other is not segment
    segments.give_back(other)


def test_no_segment_can_shrink_or_grow(segments):
    segment = segments.take(N)
    for size in (N // 2, 2 * ROOM):
        with pytest.raises(PermissionError):
            os.ftruncate(segment.file.fd, size)
    segments.give_back(segment)


def test_the_limit_of_bytes_closes_what_is_idle_and_then_refuses(segments):
    held = [segments.take(LIMIT // 4) for _ in range(4)]
    assert segments.take(N) is None
    segments.give_back(held.pop())
    assert segments.take(LIMIT // 2) is None
    small = segments.take(N)  # the idle one went for it
    assert small is not None
    assert segments.size <= LIMIT
    for one in (*held, small):
        segments.give_back(one)


def test_the_limit_of_files(segments):
    before = len(files())
    segments.most = 3
    held = [segments.take(N) for _ in range(3)]
    assert segments.take(N) is None
    segments.give_back(held.pop())
    held.append(segments.take(10 * N))
    assert held[-1] is not None
    assert len(files()) == before + 3
    for one in held:
        segments.give_back(one)
    assert MOST <= 1024


def test_the_default_limit_is_a_part_of_the_memory_there_is():
    segments = Segments()
    assert 0 < segments.limit < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_what_is_idle_for_long_is_closed(segments):
    segments.give_back(segments.take(N))
    assert segments.trim(100.0)  # the first look after that, however long ago the one before was
    assert segments.trim(100.0 + KEPT_FOR - 1)
    assert segments.count == 1
    assert not segments.trim(100.0 + KEPT_FOR)
    assert segments.count == 0


def test_much_that_is_idle_is_closed_sooner():
    segments = Segments(1 << 40)
    held = [segments.take(IDLE // 2 + 1) for _ in range(2)]  # nothing of it is touched
    for one, now in zip(held, (100.0, 100.5), strict=True):
        segments.give_back(one)
        segments.trim(now)
    segments.trim(100.0 + MUCH_KEPT_FOR)
    assert segments.count == 1
    segments.close()


def test_files_are_closed(segments):
    before = files()
    held = [segments.take(N) for _ in range(3)]
    assert len(files()) == len(before) + 3
    for one in held:
        segments.give_back(one)
    segments.close()
    assert files() == before


# objects that lie in segments


def settled(segments, data):
    segment = segments.take(len(data))
    segments.fill(segment, 0, memoryview(data))
    return segment, segments.settle(segment)[: len(data)]


def test_a_settled_view_is_found_and_cannot_be_written_to(segments):
    segment, view = settled(segments, b"x" * N)
    assert view.readonly
    assert bytes(view) == b"x" * N
    assert segments.find(view) == (segment, 0)
    assert segments.find(view[1000:2000]) == (segment, 1000)
    assert segments.find(memoryview(bytearray(N))) is None
    assert segments.find(memoryview(b"elsewhere")) is None
    del view


def test_it_lives_as_long_as_any_view_of_it(segments):
    segment, view = settled(segments, b"x" * N)
    part = view[10:20]
    del view
    gc.collect()
    assert segments.count == 1
    assert segment.uses == 1
    assert bytes(part) == b"x" * 10
    del part
    assert segments.count == 0  # it is no part of what is used again and again
    assert segments._settled == []


def test_who_has_it_lent_keeps_it(segments):
    segment, view = settled(segments, b"x" * N)
    segments.use(segment)
    del view
    assert read(segment, 0, 3) == b"xxx"
    segments.give_back(segment)
    assert segments.count == 0


def test_many_settled_ones_are_told_apart(segments):
    held = [settled(segments, bytes([n]) * N) for n in range(10)]
    del held[3]
    for segment, view in held:
        assert segments.find(view[5:]) == (segment, 5)
        assert read(segment, 0, 2) == bytes(view[:2])
    del held, segment, view


def test_the_last_view_may_go_while_the_lock_is_held(segments):
    """A finalizer runs wherever it likes: it neither waits nor is it forgotten."""
    _, view = settled(segments, b"x" * N)
    with segments._lock:
        del view
        assert segments.count == 1
    assert not segments.trim(1.0)
    assert segments.count == 0


def test_objects_outlive_the_node(segments):
    _, view = settled(segments, b"x" * N)
    segments.close()
    assert bytes(view[:3]) == b"xxx"
    del view
    assert segments.count == 0


def test_a_forked_child_lets_nothing_go(segments):
    segment, view = settled(segments, b"x" * N)
    segments.give_back(segments.take(5 * N))
    before = files()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            del view
            gc.collect()
            segments.trim(1e9)
            segments.close()
            code = 0 if segments.take(N) is None and files() == before else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert bytes(view[:3]) == b"xxx"
    assert segments.find(view) == (segment, 0)
    assert read(segment, 0, 3) == b"xxx"
    del view


def test_threads_share_a_pool(segments):
    failed = []

    def work(mark):
        for _ in range(50):
            segment = segments.take(N)
            if segment is None:
                continue
            data = bytes([mark]) * 5000
            segments.fill(segment, 0, memoryview(data))
            if read(segment, 0, 5000) != data:
                failed.append(mark)
            segments.give_back(segment)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert segments.count <= 4


# what others may open


def test_a_descriptor_that_is_something_else_by_now_is_not_opened(segments, tmp_path):
    segment = segments.take(N)
    file = segment.file
    segments.give_back(segment)
    segments.close()
    with pytest.raises(OSError, match=r"another file|No such file"):
        pages.open_of(os.getpid(), file)
    with (tmp_path / "other").open("w") as other, pytest.raises(OSError):  # it has no seals
        pages.open_of(os.getpid(), pages.File(other.fileno(), os.fstat(other.fileno()).st_ino))


def test_a_pipe_is_not_opened_either():
    ours, theirs = os.pipe()  # opening it would wait for somebody to write
    with pytest.raises(OSError, match="another file"):
        pages.open_of(os.getpid(), pages.File(ours, os.fstat(ours).st_ino))
    os.close(ours)
    os.close(theirs)
