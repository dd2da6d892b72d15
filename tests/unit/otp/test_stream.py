"""async_stream: what is started when, what comes out, and that nothing is left behind wherever it ends."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.core.signals import Crash
from beampy.errors import (
    BadFunction,
    EncodeError,
    NotInNode,
    NotInProcess,
    NotTaskOwner,
    RemoteTraceback,
    ServerExited,
    TaskTimeout,
)
from beampy.otp.stream import Stream, async_stream
from beampy.otp.task import callers
from beampy.testing import harness
from tests.unit.otp.tidy import assert_unattached, process, tidy, unlooked_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FOREVER = 3600.0

both = pytest.mark.parametrize("ordered", [True, False])


async def double(n: int) -> int:
    return 2 * n


async def fail(n: int) -> int:
    raise ValueError(f"item {n}")


async def fail_at_three(n: int) -> int:
    return await fail(n) if n == 3 else n


async def forever(*_: object) -> None:
    await asyncio.sleep(FOREVER)


async def told(n: int) -> Any:
    """Says that it runs, and ends when it is told what to give."""
    bp.send("reader", ("begun", n, bp.self()))
    return await bp.receive()


async def numbers(n: int) -> AsyncIterator[int]:
    for i in range(n):
        await asyncio.sleep(0)
        yield i


async def all_of(stream: Stream[Any]) -> list[Any]:
    return [value async for value in stream]


async def read_to_error(stream: Stream[Any]) -> tuple[list[Any], Exception]:
    """The results before the failure, and the failure."""
    values = []
    try:
        async for value in stream:
            values.append(value)  # noqa: PERF401
    except Exception as error:
        return values, error
    raise AssertionError("the stream has not failed")


def is_reader() -> None:
    bp.register("reader", bp.self())


class Gauge:
    """How many are in it, and the most that ever were."""

    def __init__(self) -> None:
        self.now = self.most = self.entered = 0

    async def __call__(self, n: int) -> int:
        self.entered += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for _ in range(n % 3):
                await asyncio.sleep(0)
        finally:
            self.now -= 1
        return n


class Counted:
    """An input that knows how much was taken of it."""

    def __init__(self, n: int | None = None) -> None:
        self.taken = 0
        self.n = n

    def __iter__(self) -> Iterator[int]:
        for i in itertools.count() if self.n is None else range(self.n):
            self.taken += 1
            yield i


# --- results


@both
@pytest.mark.parametrize("limit", [1, 2, 7, 100])
@process
async def test_every_item_gives_its_result_once(limit: int, ordered: bool):
    for n in (0, 1, 2, 6, 7, 8, 50):
        values = await all_of(async_stream(range(n), Gauge(), max_concurrency=limit, ordered=ordered))
        assert (values if ordered else sorted(values)) == list(range(n))
    assert_unattached()


@process
async def test_results_are_in_the_order_of_the_items_whatever_comes_first():
    async def slower_first(n: int) -> int:
        await asyncio.sleep((5 - n) * 0.005)
        return n

    assert await all_of(async_stream(range(5), slower_first, max_concurrency=5)) == [0, 1, 2, 3, 4]
    assert await all_of(async_stream(range(5), slower_first, max_concurrency=5, ordered=False)) == [4, 3, 2, 1, 0]


@process
async def test_by_default_as_many_run_as_there_are_cpus():
    gauge = Gauge()
    await all_of(async_stream(range(50), gauge))
    assert gauge.most <= (os.cpu_count() or 1)


@process
async def test_each_item_runs_in_a_process_of_its_own():
    async def who(_: int) -> bp.Pid:
        return bp.self()

    pids = await all_of(async_stream(range(20), who, max_concurrency=3))
    assert len({bp.self(), *pids}) == 21
    assert not any(map(bp.is_alive, pids))


@process
async def test_None_is_a_result():
    async def nothing(_: int) -> None: ...

    assert await all_of(async_stream(range(3), nothing)) == [None] * 3


@both
@process
async def test_ten_thousand_items(ordered: bool):
    total = 0
    async for value in async_stream(range(10_000), double, max_concurrency=8, ordered=ordered):
        total += value
    assert total == 10_000 * 9_999
    assert_unattached()


@process
async def test_other_functions_run_in_threads():
    assert await all_of(async_stream(range(5), str, max_concurrency=2)) == ["0", "1", "2", "3", "4"]
    assert await all_of(async_stream(range(3), lambda n: double(n), max_concurrency=2)) == [0, 2, 4]


@process
async def test_items_have_the_context_of_the_reader():
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(5)

    async def read(_: int) -> Any:
        value = variable.get()
        variable.set(6)
        return value, callers()

    assert await all_of(async_stream(range(3), read, max_concurrency=1)) == [(5, (bp.self(),))] * 3


@process
async def test_an_async_input():
    for limit in (1, 2, 5):
        values = await all_of(async_stream(numbers(20), Gauge(), max_concurrency=limit))
        assert values == list(range(20))


@process
async def test_a_slow_async_input_keeps_no_result_waiting():
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[int]:
        yield 1
        await gate.wait()
        yield 2

    stream = async_stream(slow(), double, max_concurrency=4)
    assert await anext(stream) == 2
    gate.set()
    assert await all_of(stream) == [4]


@process
async def test_streams_of_streams():
    first = async_stream(range(30), double, max_concurrency=3)
    second = async_stream(first, double, max_concurrency=2)
    assert await all_of(async_stream(second, str)) == [str(4 * n) for n in range(30)]


@process
async def test_streams_inside_of_items():
    async def inner(n: int) -> int:
        return sum(await all_of(async_stream(range(n), double, max_concurrency=2)))

    assert await all_of(async_stream(range(10), inner, max_concurrency=3)) == [n * (n - 1) for n in range(10)]


@process
async def test_nothing_shows_in_the_mailbox():
    bp.trap_exit(True)
    bp.send(bp.self(), "mine")
    await all_of(async_stream(range(20), double, max_concurrency=3))
    await all_of(async_stream(range(20), fail, max_concurrency=3, return_exceptions=True))
    async for _ in async_stream(range(20), forever, max_concurrency=3, timeout=0.01, on_timeout="kill"):
        break
    assert harness.flush() == ["mine"]
    await harness.nothing()


async def test_on_a_strict_node_results_are_copies():
    kept = [1]

    async def give(_: int) -> list[int]:
        return kept

    async def body() -> None:
        (value,) = await all_of(async_stream([0], give))
        assert value == kept
        assert value is not kept
        with pytest.raises(EncodeError):
            await all_of(async_stream([0], cannot_travel))

    async def cannot_travel(_: int) -> Any:
        return threading.Lock()

    await harness.run(body, strict=True)


async def test_the_body_of_a_node_reads_streams_like_a_process():
    async with bp.Node():
        before = set(bp.processes())
        assert await all_of(async_stream(range(50), double, max_concurrency=4)) == list(range(0, 100, 2))
        assert await all_of(async_stream(numbers(5), double)) == list(range(0, 10, 2))
        async for _ in async_stream(range(5), double):
            break
        with pytest.raises(ValueError, match="item 0"):
            await all_of(async_stream(range(3), fail))
        await tidy(before)


# --- how much runs


@both
@pytest.mark.parametrize("limit", [1, 2, 5])
@process
async def test_never_more_than_max_concurrency_run(limit: int, ordered: bool):
    gauge = Gauge()
    await all_of(async_stream(range(40), gauge, max_concurrency=limit, ordered=ordered))
    assert gauge.most == limit
    gauge = Gauge()
    await all_of(async_stream(numbers(40), gauge, max_concurrency=limit, ordered=ordered))
    assert 1 <= gauge.most <= limit


@both
@pytest.mark.parametrize("limit", [1, 2, 5])
@process
async def test_the_input_is_taken_only_as_it_is_read(limit: int, ordered: bool):
    items = Counted()  # endless
    stream = async_stream(items, double, max_concurrency=limit, ordered=ordered)
    assert items.taken == 0
    await asyncio.sleep(0)
    assert items.taken == 0
    for read in range(1, 30):
        await anext(stream)
        await settled()
        assert items.taken <= read + 2 * limit - 1
    await stream.aclose()


async def settled() -> None:
    """Everybody has had several turns."""
    for _ in range(5):
        await asyncio.sleep(0)


@process
async def test_an_async_input_is_taken_only_as_it_is_read():
    taken = 0

    async def endless() -> AsyncIterator[int]:
        nonlocal taken
        for i in itertools.count():
            taken += 1
            yield i

    stream = async_stream(endless(), double, max_concurrency=3)
    await settled()
    assert taken == 0
    for read in range(1, 30):
        assert await anext(stream) == 2 * (read - 1)
        await settled()
        assert taken <= read + 2 * 3 - 1 + 1  # and one that is taken and waits for nothing
    await stream.aclose()


@process
async def test_a_slow_item_does_not_keep_the_others_from_running():
    is_reader()
    stream = async_stream(itertools.count(), told, max_concurrency=2)
    reading = asyncio.create_task(anext(stream))
    _, _, slow = await harness.expect(("begun", 0, ...))
    for n in (1, 2):  # two results may wait: then nothing more is started
        _, _, pid = await harness.expect(("begun", n, ...))
        bp.send(pid, n)
    await harness.nothing(("begun", ..., ...))
    bp.send(slow, "slow")
    assert await reading == "slow"
    assert await anext(stream) == 1
    await stream.aclose()
    harness.flush()


@process
async def test_results_of_items_come_as_they_are_ready_where_order_does_not_matter():
    is_reader()
    stream = async_stream(range(3), told, max_concurrency=3, ordered=False)
    for last in (2, 0, 1):
        reading = asyncio.create_task(anext(stream))
        if last == 2:
            pids = {n: pid for _, n, pid in [await harness.expect(("begun", ..., ...)) for _ in range(3)]}
        bp.send(pids[last], last)
        assert await reading == last
    assert await all_of(stream) == []


# --- failures


@process
async def test_a_failure_is_raised_in_its_place_and_ends_the_stream():
    seen, error = await read_to_error(async_stream(itertools.count(), fail_at_three, max_concurrency=2))
    assert seen == [0, 1, 2]
    assert (type(error), str(error)) == (ValueError, "item 3")
    assert isinstance(error.__cause__, RemoteTraceback)
    assert_unattached()


@both
@process
async def test_when_a_failure_is_raised_the_other_items_have_ended(ordered: bool):
    is_reader()

    async def one_fails(n: int) -> None:
        if n == 0:
            await fail(n)
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)
            bp.send("reader", ("clean", n))

    with pytest.raises(ValueError, match="item 0"):
        await all_of(async_stream(range(9), one_fails, max_concurrency=3, ordered=ordered))
    assert sorted(harness.flush()) == [("clean", 1), ("clean", 2)]


@process
async def test_a_stream_that_has_failed_gives_nothing_more():
    stream = async_stream(range(9), fail)
    with pytest.raises(ValueError, match="item 0"):
        await anext(stream)
    assert await all_of(stream) == []
    assert "closed" in repr(stream)


@both
@process
async def test_failures_as_results(ordered: bool):
    stream = async_stream(range(6), fail_at_three, max_concurrency=2, ordered=ordered, return_exceptions=True)
    values = await all_of(stream)
    errors = [value for value in values if isinstance(value, Exception)]
    assert [str(error) for error in errors] == ["item 3"]
    assert sorted(value for value in values if not isinstance(value, Exception)) == [0, 1, 2, 4, 5]
    if ordered:
        assert values[3] is errors[0]


@process
async def test_an_item_that_is_killed_or_exits():
    is_reader()

    async def leave(n: int) -> None:
        bp.exit(("reason", n))

    values = await all_of(async_stream(range(3), leave, return_exceptions=True))
    assert [(type(error), error.reason) for error in values] == [(ServerExited, ("reason", n)) for n in range(3)]
    stream = async_stream(range(2), told, max_concurrency=1)
    reading = asyncio.create_task(anext(stream))
    _, _, pid = await harness.expect(("begun", 0, ...))
    bp.exit(pid, "kill")
    with pytest.raises(ServerExited, match="killed"):
        await reading
    assert await all_of(stream) == []


async def test_failures_are_reported_by_nobody_but_the_reader(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        with pytest.raises(ValueError, match="item 0"):
            await all_of(async_stream(range(3), fail, max_concurrency=1))
        await all_of(async_stream(range(3), fail, return_exceptions=True))
        async for _ in async_stream(range(9), fail, max_concurrency=3, return_exceptions=True):
            break

    await harness.run(body)
    unlooked_at()
    assert caplog.records == []


async def test_failures_that_the_reader_does_not_come_to_are_counted(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        with pytest.raises(ValueError, match="item 0"):
            await all_of(async_stream(range(3), fail, max_concurrency=3))

    await harness.run(body)
    (record,) = caplog.records
    assert record.getMessage().startswith("2 failures in <Stream of fail")
    assert "item 1" in record.getMessage()


@both
@process
async def test_an_error_of_the_input_comes_after_the_results(ordered: bool):
    def broken() -> Iterator[int]:
        yield from range(4)
        raise LookupError("no more")

    async def broken_async() -> AsyncIterator[int]:
        for n in broken():
            yield n

    for items in (broken(), broken_async()):
        stream: Stream[int] = async_stream(items, double, max_concurrency=2, ordered=ordered)  # type: ignore[arg-type]
        seen, error = await read_to_error(stream)
        assert sorted(seen) == [0, 2, 4, 6]
        assert (type(error), str(error)) == (LookupError, "no more")


@process
async def test_a_cancelled_input_cancels_the_reader():
    async def cancelled() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    stream = async_stream(cancelled(), double)
    assert await anext(stream) == 2
    with pytest.raises(asyncio.CancelledError):
        await anext(stream)


# --- deadlines


@process
async def test_an_item_over_its_time_ends_the_stream():
    async def one_is_slow(n: int) -> int:
        if n == 2:
            await forever()
        return n

    stream = async_stream(range(9), one_is_slow, max_concurrency=2, timeout=0.03)
    seen, error = await read_to_error(stream)
    assert isinstance(error, TaskTimeout)
    assert "longer than 0.03 s" in str(error)
    assert isinstance(error, TimeoutError)
    assert seen == [0, 1]


@both
@process
async def test_an_item_over_its_time_is_killed_and_the_stream_goes_on(ordered: bool):
    async def some_are_slow(n: int) -> int:
        if n % 3 == 2:
            await forever()
        return n

    stream = async_stream(range(9), some_are_slow, max_concurrency=3, ordered=ordered, timeout=0.03, on_timeout="kill")
    values = await all_of(stream)
    assert sum(isinstance(value, TaskTimeout) for value in values) == 3
    assert sorted(value for value in values if not isinstance(value, TaskTimeout)) == [0, 1, 3, 4, 6, 7]
    if ordered:
        assert [isinstance(value, TaskTimeout) for value in values] == [False, False, True] * 3


@process
async def test_on_timeout_kill_a_failure_is_still_a_failure():
    with pytest.raises(ValueError, match="item 0"):
        await all_of(async_stream(range(3), fail, on_timeout="kill"))


@process
async def test_an_item_told_that_its_time_is_over_may_clean_up():
    is_reader()

    async def careful(n: int) -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            bp.send("reader", "clean")
        return "too late"

    values = await all_of(async_stream(range(2), careful, max_concurrency=2, timeout=0.02, return_exceptions=True))
    assert [type(value) for value in values] == [TaskTimeout] * 2
    assert harness.flush() == ["clean"] * 2


async def test_an_item_that_does_not_end_in_its_grace_is_killed():
    async def deaf(_: int) -> None:
        bp.trap_exit(True)
        async for _message in bp.mailbox():
            pass

    async def body() -> None:
        before = set(bp.processes())
        (value,) = await all_of(async_stream([1], deaf, timeout=0.02, return_exceptions=True))
        assert isinstance(value, TaskTimeout)
        stream = async_stream([1], deaf)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await anext(stream)
        await tidy(before)

    await harness.run(body, exit_grace=0.05)


@process
async def test_time_counts_from_the_start_of_each_item():
    async def takes_a_while(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    assert await all_of(async_stream(range(10), takes_a_while, max_concurrency=1, timeout=5.0)) == list(range(10))


# --- ends


async def careful(n: int) -> int:
    """Takes as many turns as its number says, and as many to clean up."""
    try:
        for _ in range(n % 4):
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        for _ in range(n % 3):
            await asyncio.sleep(0)
        raise
    return n


class Closing:
    """An async input that says when it was closed."""

    def __init__(self, n: int) -> None:
        self.closed = False
        self._numbers = numbers(n)

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        return await anext(self._numbers)

    async def aclose(self) -> None:
        await self._numbers.aclose()  # type: ignore[attr-defined]
        self.closed = True


SHAPES = [(limit, ordered, is_async) for limit in (1, 2, 3) for ordered in (True, False) for is_async in (False, True)]
ITEMS = 7


@pytest.mark.parametrize(("limit", "ordered", "is_async"), SHAPES)
@process
async def test_leaving_at_every_point_leaves_nothing(limit: int, ordered: bool, is_async: bool):
    for how in ("break", "aclose", "with", "raise", "drop"):
        for point in range(ITEMS + 2):
            before = set(bp.processes())
            items: Any = Closing(ITEMS) if is_async else range(ITEMS)
            stream = async_stream(items, careful, max_concurrency=limit, ordered=ordered)
            read = await leave(stream, how, point)
            assert read == min(point, ITEMS), (how, point)
            if how in ("aclose", "with"):
                assert set(bp.processes()) <= before
                assert await all_of(stream) == []
            del stream
            if how == "raise":
                unlooked_at()  # the error's traceback holds the stream
            await tidy(before)
            if is_async and point:
                await settled()
                assert items.closed


async def leave(stream: Stream[Any], how: str, point: int) -> int:
    """Read as far as `point` and leave. How many were read."""
    read = 0
    if how == "with":
        async with stream:
            while read < point:
                if await anext(stream, None) is None:
                    break
                read += 1
    elif how == "raise":
        try:
            async for _ in stream:
                if read == point:
                    raise KeyError
                read += 1
        except KeyError:
            return read
    elif point:
        async for _ in stream:
            read += 1
            if read == point:
                break
        if how == "aclose":
            await stream.aclose()
    elif how == "aclose":
        await stream.aclose()
    return read


async def read_until(tell: bp.Pid, limit: int, ordered: bool, is_async: bool, point: int, end: str) -> None:
    """Reads as far as `point`, and then waits for its end, or for the next result, which never comes."""
    items: Any = numbers(ITEMS) if is_async else range(ITEMS)

    async def stuck_at_point(n: int) -> int:
        return n if n < point else await forever()  # type: ignore[return-value]

    stream = async_stream(items, stuck_at_point, max_concurrency=limit, ordered=ordered)
    for _ in range(point):
        await anext(stream)
    bp.send(tell, bp.self())
    if end == "return":
        return
    if end == "crash":
        bp.exit("crash")
    if end == "busy":
        await bp.receive()
    await anext(stream)


@pytest.mark.parametrize(("limit", "ordered", "is_async"), SHAPES)
@process
async def test_the_end_of_the_reader_at_every_point_leaves_nothing(limit: int, ordered: bool, is_async: bool):
    for end in ("return", "crash", "busy", "kill", "shutdown"):
        for point in range(ITEMS):
            before = set(bp.processes())
            reader, ref = bp.spawn_monitor(read_until, bp.self(), limit, ordered, is_async, point, end)
            await harness.expect(reader)
            if end not in ("return", "crash"):
                bp.exit(reader, "kill" if end == "busy" else end)
            await harness.expect(lambda m, ref=ref: isinstance(m, bp.Down) and m.ref == ref)
            await tidy(before)


@pytest.mark.parametrize(("limit", "ordered", "is_async"), SHAPES)
@process
async def test_cancelling_the_reader_at_every_point_leaves_nothing(limit: int, ordered: bool, is_async: bool):
    async def stuck_at(n: int) -> int:
        return n if n < point else await forever()  # type: ignore[return-value]

    for point in range(ITEMS):
        before = set(bp.processes())
        items: Any = numbers(ITEMS) if is_async else range(ITEMS)
        stream = async_stream(items, stuck_at, max_concurrency=limit, ordered=ordered)
        for _ in range(point):
            await anext(stream)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await anext(stream)
        assert set(bp.processes()) <= before  # they have ended when the cancellation comes through
        assert await all_of(stream) == []
        await tidy(before)


@process
async def test_closing_while_an_asyncio_task_reads_ends_its_reading():
    stream = async_stream(range(3), forever)
    reading = asyncio.create_task(all_of(stream))
    await settled()
    await stream.aclose()
    assert await reading == []


@process
async def test_closing_again_and_after_the_end_is_harmless():
    stream = async_stream(range(3), double)
    assert await all_of(stream) == [0, 2, 4]
    await stream.aclose()
    await stream.aclose()
    unread = async_stream(range(3), double)
    await unread.aclose()
    assert await all_of(unread) == []


@process
async def test_a_stream_that_is_never_read_starts_nothing():
    items = Counted(5)
    async_stream(items, double)
    async_stream(numbers(5), double)
    assert items.taken == 0
    assert_unattached()


async def test_a_failing_close_of_the_input_is_logged(caplog: pytest.LogCaptureFixture):
    async def awkward() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise LookupError("while closing")

    async def body() -> None:
        async with async_stream(awkward(), double) as stream:
            await anext(stream)

    await harness.run(body)
    assert "while closing" in caplog.text


# --- who may use it


@process
async def test_only_its_owner_reads_a_stream():
    stream = async_stream(range(3), double)

    async def read() -> None:
        await anext(stream)

    _, ref = bp.spawn_monitor(read)
    down = await harness.expect(bp.Down)
    assert down.ref == ref
    assert isinstance(down.reason, Crash)
    assert down.reason.type == f"{NotTaskOwner.__module__}.NotTaskOwner"
    assert await all_of(stream) == [0, 2, 4]


@process
async def test_one_reader_at_a_time():
    stream = async_stream(range(3), forever)
    reading = asyncio.create_task(anext(stream))
    await settled()
    with pytest.raises(RuntimeError, match="one reader at a time"):
        await anext(stream)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.loops("asyncio")
@process
async def test_not_in_threads():
    stream = async_stream(range(3), double)

    def elsewhere() -> None:
        with pytest.raises(NotInProcess, match=r"async_stream: this thread .* node\.run"):
            async_stream(range(3), double)
        with pytest.raises(NotInProcess, match="async_stream: this thread"):
            asyncio.run(all_of(stream))

    await asyncio.to_thread(elsewhere)
    await stream.aclose()


def test_not_outside_of_a_process():
    with pytest.raises(NotInNode):
        async_stream(range(3), double)
    with bp.start() as node:
        with pytest.raises(NotInProcess, match=r"node\.run"):
            async_stream(range(3), double)

        async def inside() -> list[int]:
            return await all_of(async_stream(range(3), double))

        assert node.run(inside).result(5) == [0, 2, 4]


@process
async def test_wrong_arguments():
    for limit in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="max_concurrency"):
            async_stream([1], double, max_concurrency=limit)  # type: ignore[call-overload]
    for seconds in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="timeout is a number of seconds"):
            async_stream([1], double, timeout=seconds)
    with pytest.raises(ValueError, match="on_timeout"):
        async_stream([1], double, on_timeout="explode")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="neither iterable nor async iterable"):
        async_stream(3, double)  # type: ignore[call-overload]
    with pytest.raises(BadFunction):
        async_stream([1], 3)  # type: ignore[call-overload]
    assert_unattached()


@process
async def test_how_it_shows():
    stream = async_stream(range(5), forever, max_concurrency=2)
    assert repr(stream) == "<Stream of forever 0 running, 0 unread>"
    reading = asyncio.create_task(anext(stream))
    await settled()
    assert repr(stream) == "<Stream of forever 2 running, 0 unread>"
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert repr(stream) == "<Stream of forever closed>"
