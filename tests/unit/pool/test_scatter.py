"""scatter: how things are cut, and that all parts are one call's worth of success or failure."""

from __future__ import annotations

import array
import asyncio
import collections
import gc
import operator
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beampy as bp
from beampy.errors import BadFunction, PoolClosed
from beampy.pool.scatter import cut, scattered
from beampy.testing import harness
from tests.unit.otp.tidy import process
from tests.unit.pool.many_ground import OPTIONS, FakePool, at_once, turns


def scatter(pool: FakePool, fn: Any, items: Any, parts: int | None = None) -> Any:
    return scattered(pool, fn, items, parts, OPTIONS)


# --- cutting


@given(st.lists(st.integers(), max_size=60), st.integers(1, 80))
def test_parts_are_contiguous_even_and_none_is_empty(items, parts):
    pieces = cut(items, parts)
    assert [item for piece in pieces for item in piece] == items
    assert len(pieces) == min(parts, len(items))
    sizes = [len(piece) for piece in pieces]
    assert all(sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1


class Window:
    """A sequence in length and slices only, as a frame."""

    def __init__(self, *rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: slice) -> Window:
        return Window(*self.rows[operator.index(at.start) : at.stop])


class ByNumber:
    """A data set: items by their number, and no slices."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: int) -> int:
        if operator.index(at) >= 3:
            raise IndexError(at)
        return at * 10


@pytest.mark.parametrize(
    ("items", "pieces"),
    [
        ([1, 2, 3], [[1, 2], [3]]),
        ((1, 2, 3), [(1, 2), (3,)]),
        (range(3), [range(2), range(2, 3)]),
        (b"abc", [b"ab", b"c"]),
        ("abc", ["ab", "c"]),
        (array.array("i", [1, 2, 3]), [array.array("i", [1, 2]), array.array("i", [3])]),
        ({1: "a", 2: "b", 3: "c"}, [[1, 2], [3]]),
        ({1: "a", 2: "b", 3: "c"}.values(), [["a", "b"], ["c"]]),
        (collections.deque([1, 2, 3]), [[1, 2], [3]]),
        (iter([1, 2, 3]), [[1, 2], [3]]),
        ((n for n in (1, 2, 3)), [[1, 2], [3]]),
        (ByNumber(), [[0, 10], [20]]),
        (collections.OrderedDict.fromkeys("abc"), [["a", "b"], ["c"]]),
        (collections.defaultdict(int, a=1, b=2, c=3), [["a", "b"], ["c"]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_can_be_sliced_keeps_its_type_and_the_rest_is_listed(items, pieces):
    assert cut(items, 2) == pieces


def test_a_frame_gives_frames():
    assert [piece.rows for piece in cut(Window(1, 2, 3, 4, 5), 2)] == [(1, 2, 3), (4, 5)]


def test_an_array_gives_arrays():
    numpy = pytest.importorskip("numpy")
    pieces = cut(numpy.arange(10).reshape(5, 2), 2)
    assert [piece.tolist() for piece in pieces] == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9]]]


def test_a_set_is_listed_whole():
    assert sorted(item for piece in cut({1, 2, 3}, 2) for item in piece) == [1, 2, 3]


# --- calls


@process
async def test_results_come_in_the_order_of_the_parts():
    pool = FakePool(width=3)
    sums = scatter(pool, sum, range(10))
    assert pool.started == [(range(4),), (range(4, 7),), (range(7, 10),)]
    for args in reversed(pool.started):
        pool.finish(*args)
    assert await sums == [6, 15, 24]
    assert sums.done()
    assert not sums.cancelled()
    assert sums.result() == [6, 15, 24]


@process
async def test_parts_may_be_more_than_the_pool_runs_at_once_and_not_more_than_items():
    pool = FakePool(width=2, delay=at_once)
    assert await scatter(pool, sum, range(10), parts=5) == [1, 5, 9, 13, 17]
    assert await scatter(pool, sum, range(2), parts=5) == [0, 1]
    assert len(pool.started) == 7


@process
async def test_nothing_gives_nothing():
    pool = FakePool()
    assert await scatter(pool, sum, []) == []
    assert pool.started == []


def fails(items: Any) -> int:
    if 4 in items:
        raise ValueError(len(items))
    return len(items)


@process
async def test_the_first_failure_is_that_of_the_whole_and_cancels_the_others():
    pool = FakePool(width=3)
    counts = scatter(pool, fails, range(9))
    pool.finish(range(3, 6))
    with pytest.raises(ValueError, match="3"):
        await counts
    assert pool.cancelled == [(range(3),), (range(6, 9),)]
    assert isinstance(counts.exception(), ValueError)


@process
async def test_cancelling_cancels_all():
    pool = FakePool(width=3)
    counts = scatter(pool, fails, range(9))
    assert counts.cancel()
    assert len(pool.cancelled) == 3
    with pytest.raises(asyncio.CancelledError):
        await counts
    waiting = asyncio.ensure_future(scatter(pool, fails, range(9)))
    await turns()
    waiting.cancel()
    await turns()
    assert len(pool.cancelled) == 6


@process
async def test_a_failure_that_nobody_looks_at_is_logged(caplog):
    pool = FakePool(width=3)
    counts = scatter(pool, fails, range(9))
    pool.finish(range(3, 6))
    await turns()
    del counts
    gc.collect()
    assert "nobody looked at the failure of a call to 'scatter of" in caplog.text
    assert caplog.text.count("nobody looked") == 1


@process
async def test_it_ends_with_its_process():
    pool = FakePool(width=3)

    async def body() -> None:
        await scatter(pool, sum, range(9))

    pid = bp.spawn(body)
    await turns()
    assert len(pool.running) == 3
    bp.exit(pid, "shutdown")
    await harness.ended(pid)
    assert not pool.running


@process
async def test_asyncio_takes_it_for_a_future():
    pool = FakePool(width=3, delay=at_once)
    first = scatter(pool, sum, range(9))
    assert asyncio.isfuture(first)
    assert await asyncio.gather(first, scatter(pool, len, range(9))) == [[3, 12, 21], [3, 3, 3]]
    done, _ = await asyncio.wait([scatter(pool, sum, range(3))])
    assert done.pop().result() == [0, 1, 2]


@pytest.mark.loops("asyncio", "uvloop")
@process
async def test_other_threads_take_its_result():
    pool = FakePool(width=3, delay=at_once)
    assert await asyncio.to_thread(lambda: scatter(pool, sum, range(9)).result(harness.DEADLINE)) == [3, 12, 21]

    def failing() -> None:
        with pytest.raises(ValueError, match="3"):
            scatter(pool, fails, range(9)).result(harness.DEADLINE)

    await asyncio.to_thread(failing)
    assert pool.threads == {threading.get_ident()}


@process
async def test_bad_input_is_refused_at_the_call():
    pool = FakePool()

    def generator(items: Any) -> Any:
        yield items

    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="parts"):
            scatter(pool, sum, [1], parts=wrong)
    with pytest.raises(BadFunction):
        scatter(pool, generator, [1])
    with pytest.raises(TypeError):
        scatter(pool, sum, 3)
    pool.close()
    with pytest.raises(PoolClosed):
        scatter(pool, sum, [1])
    assert pool.started == []
