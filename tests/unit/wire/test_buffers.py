"""The pool: memory is used again when nothing can see it, and never before."""

from __future__ import annotations

import ctypes
import gc
import mmap
import threading

import pytest

from beampy.wire.buffers import HUGE_FROM, KEPT_FOR, LOOKED_AT, SMALLEST, Pool, size_class

N = SMALLEST


def test_what_is_let_go_is_used_again():
    pool = Pool()
    memory = id(pool.take(N))
    assert id(pool.take(N)) == memory
    assert id(pool.take(N - 5 if size_class(N - 5) == size_class(N) and N - 5 >= SMALLEST else N)) == memory
    assert pool.size == size_class(N)


def test_what_is_held_is_not():
    pool = Pool()
    held = [pool.take(N) for _ in range(20)]
    assert len({id(buffer) for buffer in held}) == 20


class Holder:
    """An object with a buffer in it, in a cycle: only the collector frees it."""

    def __init__(self, buffer):
        self.buffer = buffer
        self.me = self


def of_ctypes(buffer):
    return (ctypes.c_char * 10).from_buffer(buffer)


def of_numpy(buffer):
    return pytest.importorskip("numpy").frombuffer(buffer, dtype="u1")


def of_numpy_slice(buffer):
    return pytest.importorskip("numpy").frombuffer(memoryview(buffer)[8:1024], dtype="<u8")[::2].reshape(-1, 1).T


def of_an_exception(buffer):
    def fail(view):
        raise ValueError

    try:
        fail(memoryview(buffer)[:5])
    except ValueError as error:
        return error  # its traceback holds the frame, and that the view


def of_a_closure(buffer):
    view = memoryview(buffer)
    return lambda: view[0]


def of_a_generator(buffer):
    def walk(view):
        yield
        yield view[0]

    running = walk(memoryview(buffer)[3:])
    next(running)
    return running


VIEWS = {
    "itself": lambda buffer: buffer,
    "list": lambda buffer: [buffer],
    "memoryview": memoryview,
    "slice": lambda buffer: memoryview(buffer)[100:200],
    "slice of slice": lambda buffer: memoryview(memoryview(buffer)[100:200])[5:6],
    "cast": lambda buffer: memoryview(buffer)[:80].cast("d"),
    "readonly": lambda buffer: memoryview(buffer).toreadonly(),
    "cycle": Holder,
    "ctypes": of_ctypes,
    "numpy": of_numpy,
    "numpy slice": of_numpy_slice,
    "exception": of_an_exception,
    "closure": of_a_closure,
    "generator": of_a_generator,
}


@pytest.mark.parametrize("size", [N, HUGE_FROM])
@pytest.mark.parametrize("kind", VIEWS)
def test_a_buffer_that_anything_can_see_is_not_handed_out(kind, size):
    pool = Pool()
    memory = pool.take(size)
    address = id(memory)
    view = VIEWS[kind](memory)
    del memory
    for _ in range(2 * LOOKED_AT):
        other = pool.take(size)
        assert id(other) != address
        memoryview(other)[:8] = b"scribble"
    del view, other
    gc.collect()
    addresses = set()
    for _ in range(4):
        buffer = pool.take(size)
        addresses.add(id(buffer))
        del buffer
    assert address in addresses


@pytest.mark.parametrize("size", [0, 1, SMALLEST - 1])
def test_small_ones_are_fresh_and_exact(size):
    pool = Pool()
    assert pool.take(size) == bytearray(size)
    assert pool.size == 0


def test_big_ones_are_mapped_and_written_like_any_other():
    pool = Pool()
    buffer = pool.take(HUGE_FROM + 1)
    assert isinstance(buffer, mmap.mmap if hasattr(mmap, "MADV_HUGEPAGE") else bytearray)
    view = memoryview(buffer)[: HUGE_FROM + 1]
    view[-3:] = b"end"
    assert not view.readonly
    assert bytes(view[-4:]) == b"\0end"


def test_a_class_is_at_least_as_big_and_a_quarter_bigger_at_most():
    for n in [
        *range(SMALLEST, SMALLEST + 2000),
        *(1 << k for k in range(17, 34)),
        *((1 << k) + 1 for k in range(23, 34)),
    ]:
        room = size_class(n)
        assert n <= room <= n * 1.25 + 1
        assert size_class(room) == room


def test_the_limit_bounds_what_the_pool_knows():
    pool = Pool(10 * N)
    held = [pool.take(N) for _ in range(30)]
    assert pool.size <= pool.limit
    held.clear()
    again = [pool.take(N) for _ in range(30)]
    assert len({id(buffer) for buffer in again}) == 30
    big = pool.take(11 * N)
    assert len(big) >= 11 * N
    assert pool.size <= pool.limit


def test_one_size_makes_room_for_another():
    pool = Pool(8 * N)
    for _ in range(8):
        pool.take(N)
    first = [pool.take(N) for _ in range(8)]
    del first
    memory = id(pool.take(4 * N))
    assert id(pool.take(4 * N)) == memory
    assert pool.size <= pool.limit


def test_no_limit_at_all_pools_nothing():
    pool = Pool(0)
    assert len(pool.take(N)) >= N
    assert pool.size == 0


def test_trim_forgets_what_was_not_used():
    pool = Pool()
    pool.trim(100.0)
    pool.take(N)
    pool.take(HUGE_FROM)
    pool.trim(100.0 + KEPT_FOR - 1)
    assert pool.size == size_class(N) + size_class(HUGE_FROM)
    pool.take(N)
    pool.trim(100.0 + KEPT_FOR)
    assert pool.size == size_class(N)
    pool.trim(100.0 + 2 * KEPT_FOR)
    assert pool.size == 0
    assert len(pool.take(N)) >= N


def test_what_is_forgotten_in_use_stays_its_users():
    pool = Pool()
    mine = pool.take(N)
    mine[:4] = b"mine"
    pool.trim(KEPT_FOR)
    assert pool.size == 0
    assert all(pool.take(N) is not mine for _ in range(5))
    assert mine[:4] == b"mine"


def test_threads_never_get_the_same_one():
    pool = Pool()
    taken = {}
    wrong = []

    def work():
        for _ in range(2000):
            buffer = pool.take(N)
            if taken.setdefault(id(buffer), threading.get_ident()) != threading.get_ident():
                wrong.append(id(buffer))
            taken.pop(id(buffer), None)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not wrong
