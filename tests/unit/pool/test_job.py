"""Jobs: how they end, what their callers get, and what the pool hears of those it has given up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from contextvars import ContextVar

import pytest

import beampy as bp
from beampy.pool.context import carry
from beampy.pool.messages import Busy, Drain, Drained, Gone, Still
from tests.unit.pool.runner_ground import with_runner

real = pytest.mark.loops("asyncio", "uvloop")  # where a thread really is one

SETTINGS = (None, None, None)
HELD: dict[str, threading.Event] = {}
SEEN: list[object] = []


async def forever():
    await asyncio.sleep(1e6)


async def double(x):
    return 2 * x


def halve(x):
    return x / 2


def gives_coroutine(x):
    return double(x)


class Strange(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)
        self.one, self.two = one, two


async def raises_strange():
    raise Strange(1, 2)


def raises_value():
    raise ValueError("no")


@with_runner()
async def test_functions_of_all_kinds(both):
    assert await both.call(double, 4) == 8
    assert await both.call(halve, 4) == 2
    assert await both.call(gives_coroutine, 4) == 8
    assert await both.call("math.hypot", 3, 4) == 5
    assert await both.call(int, "12", base=3) == 5


@with_runner()
async def test_exceptions_pass_unchanged(both):
    with pytest.raises(Strange) as caught:
        await both.call(raises_strange)
    assert (caught.value.one, caught.value.two) == (1, 2)
    with pytest.raises(ValueError, match="no"):
        await both.call(raises_value)
    with pytest.raises(ModuleNotFoundError):
        await both.call("nowhere.at.all")
    with pytest.raises(bp.errors.BadFunction):
        await both.call(7)


@with_runner()
async def test_a_generator_is_to_be_streamed(both):
    with pytest.raises(TypeError, match=r"read it with pool\.stream"):
        await both.call(numbers, 3)


async def exits():
    sys.exit(3)


def exits_in_thread():
    sys.exit(3)


async def interrupts():
    raise KeyboardInterrupt


def interrupts_in_thread():
    raise KeyboardInterrupt


class Worse(BaseException):
    pass


async def raises_worse():
    raise Worse("very")


@pytest.mark.parametrize(
    ("fn", "kind"),
    [
        (exits, "SystemExit"),
        (exits_in_thread, "SystemExit"),
        (interrupts, "KeyboardInterrupt"),
        (interrupts_in_thread, "KeyboardInterrupt"),
        (raises_worse, "Worse"),
    ],
)
async def test_what_ends_programs_ends_the_job_only(fn, kind):
    @with_runner()
    async def body(both):
        with pytest.raises(bp.errors.RemoteError, match=kind):
            await both.call(fn)
        assert await both.call(double, 1) == 2
        both.tell(Drain(1))
        assert await both.next(Drained) == Drained(1)

    await body()


def gives_lock():
    return threading.Lock()


class Unsendable(Exception):
    def __init__(self):
        super().__init__("holds a lock")
        self.lock = threading.Lock()


def raises_unsendable():
    raise Unsendable


@with_runner()
async def test_what_cannot_be_encoded_is_an_error_and_the_slot_is_free(both):
    with pytest.raises(bp.errors.EncodeError, match="lock"):
        await both.call(gives_lock)
    with pytest.raises(bp.errors.RemoteError, match="holds a lock"):
        await both.call(raises_unsendable)
    assert not both.here.jobs
    assert await both.call(double, 1) == 2


# given up


@with_runner()
async def test_a_cancelled_async_job_is_gone(both):
    call = both.call(forever, number=41)
    await both.until(lambda: both.here.jobs)
    call.cancel()
    both.tell(Still((41,)))
    assert await both.next(Gone) == Gone((41,))
    assert not both.here.jobs


@with_runner()
async def test_a_job_that_never_began_is_gone(both):
    calls = [both.call(forever, number=number) for number in range(50)]
    for call in calls:
        call.cancel()
    both.tell(Still(tuple(range(50))))
    gone: set[int] = set()
    while len(gone) < 50:
        gone |= set((await both.next(Gone)).jobs)
    assert gone == set(range(50))
    both.tell(Drain(1))
    assert await both.next(Drained) == Drained(1)


@with_runner()
async def test_unknown_jobs_are_gone_in_one_message(both):
    both.tell(Still((1, 2, 3)))
    assert await both.next(Gone) == Gone((1, 2, 3))


async def slow_to_clean():
    try:
        await asyncio.sleep(1e6)
    finally:
        SEEN.append("cleaning")
        while "go on" not in SEEN:
            await asyncio.sleep(0.01)
        SEEN.append("clean")


@with_runner()
async def test_a_job_is_gone_when_its_cleanup_is_done(both):
    SEEN.clear()
    call = both.call(slow_to_clean, number=5)
    await both.until(lambda: both.here.jobs)
    call.cancel()
    both.tell(Still((5,)))
    await both.until(lambda: SEEN)
    both.tell(Drain(1))
    assert "1 job runs" in (await both.next(Busy)).why
    SEEN.append("go on")
    assert await both.next(Gone) == Gone((5,))
    assert SEEN == ["cleaning", "go on", "clean"]


def held(name):
    HELD[name] = event = threading.Event()
    while not event.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            event.wait(10)
    return "let go"


@real
@with_runner()
async def test_a_thread_that_does_not_end_is_a_zombie(both):
    call = both.call(held, "zombie", number=9)
    await both.until(lambda: "zombie" in HELD)
    call.cancel()
    both.tell(Still((9,)))
    await both.until(lambda: both.here.zombies)
    both.tell(Drain(1))
    why = (await both.next(Busy)).why
    assert "1 thread has not ended" in why
    assert "held" in why
    assert await both.call(double, 1) == 2
    HELD.pop("zombie").set()
    assert await both.next(Gone) == Gone((9,))
    both.tell(Drain(2))
    assert await both.next(Drained) == Drained(2)


def spins(name):
    HELD[name] = threading.Event()
    while True:
        time.sleep(0.0005)


@real
@with_runner()
async def test_a_thread_that_runs_python_ends_and_is_gone(both):
    for number in range(10):
        call = both.call(spins, f"spin {number}", number=number)
        await both.until(lambda number=number: f"spin {number}" in HELD)
        call.cancel()
        both.tell(Still((number,)))
        assert await both.next(Gone) == Gone((number,))
    HELD.clear()
    assert not both.here.zombies


@real
@with_runner()
async def test_killed_jobs_are_gone(both):
    call = both.call(forever, number=3)
    await both.until(lambda: both.here.jobs)
    both.here.jobs[3].process.kill()
    with pytest.raises(bp.errors.CallKilled):
        await call
    both.tell(Still((3,)))
    assert await both.next(Gone) == Gone((3,))


# deadlines


@with_runner()
async def test_its_own_deadline_ends_a_job_whose_caller_says_nothing(both):
    call = both.call(forever, timeout=0.1)
    with pytest.raises(bp.errors.CallKilled, match="timeout"):
        await call
    assert not both.here.jobs


@with_runner()
async def test_deadlines_of_almost_equal_length_share_a_bucket(both):
    calls = [both.call(forever, timeout=30 - n / 1000) for n in range(20)]
    await both.until(lambda: len(both.here.jobs) == 20)
    buckets = [seconds for seconds, bucket in both.core.deadlines.buckets.items() if bucket]
    assert [seconds for seconds in buckets if seconds > 10] == [30.5]
    for call in calls:
        call.cancel()
    await both.until(lambda: not both.here.jobs)
    assert not any(seconds > 10 and bucket for seconds, bucket in both.core.deadlines.buckets.items())


@with_runner()
async def test_a_deadline_goes_with_its_job(both):
    assert await both.call(double, 2, timeout=20) == 4
    assert not both.core.deadlines.buckets[20.5]


# context


REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


async def says_request():
    return REQUEST.get()


def says_request_in_thread():
    return REQUEST.get()


async def streams_request():
    yield REQUEST.get()
    await asyncio.sleep(0)
    yield REQUEST.get()


@with_runner()
async def test_carried_context_is_there(both):
    token = REQUEST.set("r-17")
    settings = (None, carry((REQUEST,)), "a name")
    REQUEST.reset(token)
    node = both.spec.name
    for fn in (says_request, says_request_in_thread):
        assert await bp.remote_call(node, "beampy.pool.job:run", 1, fn, (), {}, settings) == "r-17"
    items = bp.remote_call.stream(node, "beampy.pool.job:stream", 1, streams_request, (), {}, settings)
    assert [item async for item in items] == ["r-17", "r-17"]
    assert await both.call(says_request) == "none"


async def label():
    return bp.process_info(bp.self()).label


@with_runner()
async def test_a_job_is_shown_by_name(both):
    assert (await both.call(label)).endswith("test_job.label")
    settings = (None, None, "my name")
    assert await bp.remote_call(both.spec.name, "beampy.pool.job:run", 1, label, (), {}, settings) == "my name"


# streams


def numbers(n):
    yield from range(n)


async def async_numbers(n):
    for number in range(n):
        yield number


def a_list(n):
    return list(range(n))


async def a_list_later(n):
    return list(range(n))


async def an_async_generator_later(n):
    return async_numbers(n)


@pytest.mark.parametrize("fn", [numbers, async_numbers, a_list, a_list_later, an_async_generator_later])
async def test_streams_of_all_kinds(fn):
    @with_runner()
    async def body(both):
        assert [item async for item in both.stream(fn, 50)] == list(range(50))
        assert [item async for item in both.stream(fn, 0)] == []
        await both.until(lambda: not both.here.jobs)

    await body()


def cleaned(name):
    try:
        for number in range(10**6):
            SEEN.append(number)
            yield number
    finally:
        SEEN.append(name)


async def async_cleaned(name):
    try:
        for number in range(10**6):
            SEEN.append(number)
            yield number
    finally:
        SEEN.append(name)


@pytest.mark.parametrize("fn", [cleaned, async_cleaned])
async def test_a_stream_that_is_left_is_cleaned_up(fn):
    SEEN.clear()

    @with_runner()
    async def body(both):
        items = both.stream(fn, "clean", window=4)
        assert [await anext(items) for _ in range(10)] == list(range(10))
        await both.until(lambda: len(SEEN) >= 14)
        assert len(SEEN) <= 15  # no more than the window ahead
        await items.aclose()
        both.tell(Still((1,)))
        assert await both.next(Gone) == Gone((1,))
        assert SEEN[-1] == "clean"

    await body()


async def raises_later():
    yield 1
    raise Strange(3, 4)


def interrupts_later():
    yield 1
    raise KeyboardInterrupt


async def interrupts_later_async():
    yield 1
    raise KeyboardInterrupt


@with_runner()
async def test_errors_of_streams(both):
    got = []
    with pytest.raises(Strange):
        async for item in both.stream(raises_later):
            got.append(item)  # noqa: PERF401
    for fn in (interrupts_later, interrupts_later_async):
        with pytest.raises(bp.errors.RemoteError, match="KeyboardInterrupt"):
            async for item in both.stream(fn):
                got.append(item)  # noqa: PERF401
    assert got == [1, 1, 1]
    with pytest.raises(TypeError, match="not iterable"):
        async for _ in both.stream(halve, 3):
            pass
    assert await both.call(double, 1) == 2


@with_runner()
async def test_a_stream_keeps_its_runner(both):
    items = both.stream(async_numbers, 100, window=2)
    assert await anext(items) == 0
    both.tell(Drain(1))
    assert "async_numbers" in (await both.next(Busy)).why
    assert [item async for item in items] == list(range(1, 100))
    await both.until(lambda: not both.here.jobs)
    both.tell(Drain(2))
    assert await both.next(Drained) == Drained(2)


@with_runner()
async def test_the_deadline_of_a_stream(both):
    with pytest.raises(bp.errors.CallKilled, match="timeout"):
        async for _ in both.stream(endless, timeout=0.1):
            pass
    await both.until(lambda: not both.here.jobs)


async def endless():
    while True:
        yield 1
        await asyncio.sleep(0.01)


@real
@with_runner()
async def test_a_stuck_generator_is_a_zombie(both):
    items = both.stream(stuck, "stream")
    assert await anext(items) == 1  # it does not wait for the second one
    await both.until(lambda: "stream" in HELD)
    await items.aclose()
    both.tell(Still((1,)))
    await both.until(lambda: both.here.zombies)
    HELD.pop("stream").set()
    assert await both.next(Gone) == Gone((1,))


def stuck(name):
    yield 1
    held(name)
    yield 2


def unsendable_then_slow():
    yield threading.Lock()
    time.sleep(0.01)
    yield 2


@real
@with_runner()
async def test_an_item_that_cannot_be_encoded_ends_the_stream(both):
    with pytest.raises(bp.errors.EncodeError, match="lock"):
        async for _ in both.stream(unsendable_then_slow):
            pass
    await both.until(lambda: not both.here.jobs)


def slow(n):
    for number in range(n):
        time.sleep(0.002)
        yield number


@real
@with_runner()
async def test_every_item_of_a_slow_generator_comes_once_and_in_order(both):
    for window in (1, 3, 16):
        assert [item async for item in both.stream(slow, 40, window=window)] == list(range(40))


async def killed_by_itself():
    bp.exit(bp.self(), "kill")
    await asyncio.sleep(1)


@with_runner()
async def test_a_job_that_kills_itself(both):
    with pytest.raises(bp.errors.CallKilled):
        await both.call(killed_by_itself, number=1)
    both.tell(Still((1,)))
    assert await both.next(Gone) == Gone((1,))


async def waits_for_thread():
    return await asyncio.to_thread(os.getpid)


@with_runner()
async def test_async_jobs_may_use_threads(both):
    assert await both.call(waits_for_thread) == os.getpid()
