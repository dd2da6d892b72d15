"""The pool as its users see it, with machines on the same loop: every path of a call, on every loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import beampy as bp
from beampy.pool.pool import Pool
from beampy.testing import harness
from beampy.testing.pool_backend import Dies, Fail, Hangs, Liar, LoopBackend, Other, Silent, Twice


def pooled(body: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Run a body as a process of a node without a name."""

    @functools.wraps(body)
    async def test() -> None:
        SEEN.clear()
        await harness.run(body)

    return test


async def double(x: int) -> int:
    return 2 * x


async def fail(text: str) -> None:
    raise ValueError(text)


async def forever() -> None:
    await asyncio.Event().wait()


# What runs on a runner is looked up in this module, there as here, and machines of the loop share it.
SEEN: list[Any] = []


async def note(x: Any) -> None:
    SEEN.append(x)


async def once() -> str:
    SEEN.append(1)
    if len(SEEN) == 1:
        await asyncio.Event().wait()
    return "second"


async def third_time() -> str:
    SEEN.append(1)
    if len(SEEN) < 3:
        raise ConnectionError("not yet")
    return "there"


def may_go() -> bool:
    SEEN.append(1)
    return len(SEEN) > 2


async def slow(x: int) -> int:
    await asyncio.sleep(0.05)
    SEEN.append(x)
    return x


async def child(parent: bp.Pid) -> None:
    bp.send(parent, bp.self())
    await bp.receive()


@pooled
async def test_a_call_boots_a_machine_and_its_value_comes_back():
    backend = LoopBackend()
    async with Pool(backend=backend) as pool:
        assert await pool.call(double, 21) == 42
        assert len(backend.machines) == 1
    assert backend.machines == []


@pooled
async def test_arguments_pass_through_whole():
    async def told(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    async with Pool(backend=LoopBackend()) as pool:
        assert await pool.call(told, 1, timeout="mine", fn=2, priority=3) == (
            (1,),
            {"timeout": "mine", "fn": 2, "priority": 3},
        )


@pooled
async def test_an_exception_is_the_callers():
    async with Pool(backend=LoopBackend()) as pool:
        with pytest.raises(ValueError, match="no good") as caught:
            await pool.call(fail, "no good")
        assert isinstance(caught.value.__cause__, bp.errors.RemoteTraceback)
        assert await pool.call(double, 1) == 2


@pooled
async def test_a_lost_runner_fails_its_calls_by_name_and_nobody_is_killed():
    backend = LoopBackend()
    async with Pool(backend=backend) as pool:
        calls = [pool.call(forever) for _ in range(3)]
        assert await pool.call(double, 1) == 2
        backend.kill(backend.machines[0], oom=True)
        for call in calls:
            with pytest.raises(bp.errors.RunnerLost) as caught:
                await call
            assert caught.value.status == -9
            assert caught.value.oom
        assert await pool.call(double, 2) == 4
        assert backend.booted == 2


@pooled
async def test_calls_that_wait_are_served_by_the_next_runner():
    backend = LoopBackend()
    async with Pool(backend=backend, max=1, max_concurrency=1) as pool:
        first = pool.call(forever)
        second = pool.call(double, 3)
        await until(lambda: running(pool))
        backend.kill(backend.machines[0])
        with pytest.raises(bp.errors.RunnerLost):
            await first
        assert await second == 6


@pooled
async def test_min_runners_are_there_and_are_replaced():
    backend = LoopBackend()
    async with Pool(backend=backend, min=2) as pool:
        while sum(runner["state"] == "up" for runner in pool.runners()) < 2:
            await asyncio.sleep(0.01)
        await pool.call(double, 1)
        backend.kill(backend.machines[0])
        while backend.booted < 3:
            await asyncio.sleep(0.01)
        assert await pool.call(double, 2) == 4


async def until(fn: Callable[[], object]) -> None:
    async with asyncio.timeout(harness.DEADLINE):
        while not fn():
            await asyncio.sleep(0.005)


def running(pool: Pool) -> int:
    return sum(runner["calls"] for runner in pool.runners())


@pooled
async def test_one_deadline_covers_the_queue():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        first = pool.call(forever)
        await until(lambda: running(pool))
        with pytest.raises(bp.errors.PoolTimeout, match="it was queued") as caught:
            await pool.options(timeout=0.05).call(double, 1)
        assert isinstance(caught.value, TimeoutError)
        first.cancel()
        assert await pool.call(double, 1) == 2


@pooled
async def test_one_deadline_covers_the_boot():
    async with Pool(backend=LoopBackend(delay=60.0)) as pool:
        with pytest.raises(bp.errors.PoolTimeout, match="it was booting"):
            await pool.options(timeout=0.05).call(double, 1)


@pooled
async def test_one_deadline_covers_the_run_and_frees_the_slot():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        with pytest.raises(bp.errors.PoolTimeout, match=r"it was running \(on "):
            await pool.options(timeout=0.5).call(forever)
        assert await pool.call(double, 1) == 2


@pooled
async def test_cancelling_a_call_that_runs_cancels_its_function():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        call = pool.call(forever)
        await until(lambda: running(pool))
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await pool.call(double, 1) == 2


@pooled
async def test_cancelling_a_call_that_waits_takes_it_out_of_the_queue():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        first = pool.call(forever)
        second = pool.call(double, 2)
        assert pool._manager.plan.waiting == 2
        second.cancel()
        assert pool._manager.plan.waiting == 1
        first.cancel()
        assert await pool.call(double, 1) == 2
        assert pool._manager.calls == {}


@pooled
async def test_the_end_of_a_caller_ends_its_calls():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:

        async def caller() -> None:
            await pool.options(timeout=None).call(forever)

        pid, ref = bp.spawn_monitor(caller)
        await until(lambda: running(pool))
        bp.exit(pid, "kill")
        assert (await bp.receive(bp.Down)).ref == ref
        assert await pool.call(double, 1) == 2


@pooled
async def test_what_was_submitted_outlives_who_submitted_it():
    seen = []

    async with Pool(backend=LoopBackend()) as pool:

        async def caller() -> None:
            handle = pool.submit(double, 4)
            handle.add_done_callback(lambda call: seen.append(call.result()))

        _, ref = bp.spawn_monitor(caller)
        assert (await bp.receive(bp.Down)).ref == ref
        await until(lambda: seen)
    assert seen == [8]


@pooled
async def test_a_full_queue_refuses():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1, max_queue=1) as pool:
        first = pool.call(forever)
        await until(lambda: running(pool))
        second = pool.call(double, 1)
        with pytest.raises(bp.errors.PoolSaturated) as caught:
            await pool.call(double, 2)
        assert (caught.value.waiting, caught.value.limit) == (1, 1)
        first.cancel()
        assert await second == 2


@pooled
async def test_higher_priorities_go_first():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        calls = [pool.options(priority=priority).call(note, priority) for priority in (0, 1, 5, 1)]
        await asyncio.gather(*calls)
    assert SEEN == [5, 1, 1, 0]


@pooled
async def test_a_call_with_retries_is_run_again_where_its_runner_was_lost():
    backend = LoopBackend()
    async with Pool(backend=backend, max_concurrency=1) as pool:
        call = pool.options(retries=1, backoff=0.01).call(once)
        await until(lambda: SEEN)
        backend.kill(backend.machines[0])
        assert await call == "second"
        assert pool.metrics()["retries"] == 1


@pooled
async def test_the_last_attempt_that_is_lost_is_the_callers_and_says_how_many_there_were():
    backend = LoopBackend()
    async with Pool(backend=backend, max_concurrency=1) as pool:
        call = pool.options(retries=1, backoff=0.01).call(forever)
        for attempt in (1, 2):
            await until(lambda attempt=attempt: backend.booted == attempt and running(pool))
            backend.kill(backend.machines[0])
        with pytest.raises(bp.errors.RunnerLost) as caught:
            await call
        assert caught.value.attempts == 2


@pooled
async def test_retry_on_an_exception():
    async with Pool(backend=LoopBackend()) as pool:
        retrying = pool.options(retries=5, retry_on=(ConnectionError,), backoff=0.001)
        assert await retrying.call(third_time) == "there"
        with pytest.raises(ValueError, match="other"):
            await retrying.call(fail, "other")
        SEEN.clear()
        with pytest.raises(ConnectionError):
            await retrying.options(retries=1).call(third_time)


@pooled
async def test_the_failure_of_a_boot_is_shown_to_who_waits_with_what_the_machine_wrote():
    backend = LoopBackend(plans=[Dies(3, "ImportError: libfoo.so.1")] * 4)
    async with Pool(backend=backend, boot_rounds=2, backoff=0.01) as pool:
        with pytest.raises(bp.errors.BootFailed, match=r"status 3(.|\n)*libfoo"):
            await pool.call(double, 1)
        assert backend.booted == 2
        backend.plans.clear()
        assert await pool.call(double, 1) == 2


@pooled
async def test_a_backend_that_raises():
    backend = LoopBackend(plans=[Fail("no quota left")] * 3)
    async with Pool(backend=backend, boot_rounds=3, backoff=0.01) as pool:
        with pytest.raises(bp.errors.BootFailed, match="RuntimeError: no quota left"):
            await pool.call(double, 1)


@pooled
async def test_growth_does_not_collapse_after_boots_that_fail():
    backend = LoopBackend(plans=[Fail()] * 6)
    async with Pool(backend=backend, max=6, max_concurrency=1, backoff=0.01) as pool:
        calls = [pool.options(timeout=None).call(forever) for _ in range(6)]
        await until(lambda: running(pool) == 6)
        assert backend.booted == 12
        assert backend.most == 6
        for call in calls:
            call.cancel()


@pooled
async def test_a_machine_that_never_calls_home_is_deleted():
    backend = LoopBackend(plans=[Silent()])
    async with Pool(backend=backend, boot_timeout=0.2, backoff=0.01) as pool:
        assert await pool.call(double, 1) == 2
        assert len(backend.machines) == 1
        assert backend.booted == 2


@pooled
async def test_a_boot_that_does_not_return_is_given_up():
    backend = LoopBackend(plans=[Hangs()])
    async with Pool(backend=backend, boot_timeout=0.2, backoff=0.01) as pool:
        assert await pool.call(double, 1) == 2
        assert len(backend.machines) == 1


@pooled
async def test_a_runner_that_lies_about_its_ticket_is_refused():
    backend = LoopBackend(plans=[Liar()])
    async with Pool(backend=backend, boot_timeout=1.0, backoff=0.01) as pool:
        assert await pool.call(double, 1) == 2
        assert backend.booted == 2
        assert len(backend.machines) == 1


@pooled
async def test_of_a_machine_that_was_booted_twice_one_is_a_runner():
    backend = LoopBackend(plans=[Twice()])
    async with Pool(backend=backend, max=1) as pool:
        # The connection of the second takes the place of the first one's, of the same name, also while a call is there.
        assert await pool.options(retries=2, backoff=0.0).call(double, 1) == 2
        assert len(pool.runners()) == 1


@pooled
async def test_another_version_is_refused_by_name():
    backend = LoopBackend(plans=[Other()] * 2)
    async with Pool(backend=backend, boot_rounds=1) as pool:
        with pytest.raises(bp.errors.BootFailed, match=r"it runs beampy 0\.0\.1"):
            await pool.call(double, 1)


@pooled
async def test_what_cannot_be_encoded_is_the_callers_error_and_leaks_nothing():
    async def odd() -> Any:
        return asyncio.get_running_loop()

    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        for _ in range(3):
            with pytest.raises(bp.errors.EncodeError):
                await pool.call(double, asyncio.get_running_loop())
            with pytest.raises(bp.errors.EncodeError):
                await pool.call(odd)
        assert await pool.call(double, 1) == 2
        assert running(pool) == 0


@pooled
async def test_an_idle_runner_is_let_go_and_the_next_call_boots_another():
    backend = LoopBackend()
    async with Pool(backend=backend, idle_shutdown_after=0.02) as pool:
        assert await pool.call(double, 1) == 2
        await until(lambda: not backend.machines)
        assert await pool.call(double, 2) == 4
        assert backend.booted == 2


@pooled
async def test_a_predicate_on_the_runner_keeps_it():
    backend = LoopBackend()
    async with Pool(backend=backend, idle_shutdown_after=(0.01, may_go)) as pool:
        assert await pool.call(double, 1) == 2
        await until(lambda: not backend.machines)
    assert len(SEEN) == 3


@pooled
async def test_a_single_use_runner_ends_after_its_call():
    backend = LoopBackend()
    async with Pool(backend=backend, single_use=True, max=2) as pool:
        assert await asyncio.gather(*[pool.call(double, n) for n in range(4)]) == [0, 2, 4, 6]
        assert backend.booted == 4
        await until(lambda: not backend.machines)


@pooled
async def test_a_pool_can_be_made_larger_and_smaller_while_it_runs():
    backend = LoopBackend()
    async with Pool(backend=backend, max=1, max_concurrency=1) as pool:
        calls = [pool.options(timeout=None).call(forever) for _ in range(3)]
        await until(lambda: running(pool) == 1)
        pool.resize(max=3)
        await until(lambda: running(pool) == 3)
        pool.resize(max=1)
        for call in calls:
            call.cancel()
        await until(lambda: len(backend.machines) == 1)
        with pytest.raises(ValueError, match="min is at most max"):
            pool.resize(min=5)


@pooled
async def test_a_placed_child_has_a_slot_and_keeps_its_runner():
    backend = LoopBackend()

    async with Pool(backend=backend, idle_shutdown_after=0.02) as pool:
        pid = await pool.options(link=False).place_child(child, bp.self())
        assert await bp.receive() == pid
        assert pid.node == pool.runners()[0]["node"]
        await asyncio.sleep(0.1)
        assert running(pool) == 1
        bp.send(pid, "stop")
        await until(lambda: not backend.machines)


@pooled
async def test_the_process_that_started_a_pool_takes_it_along():
    backend = LoopBackend()
    pools = []

    async def owner() -> None:
        pool = await Pool(backend=backend).start()
        pools.append(pool)
        await pool.call(double, 1)
        bp.exit("kill")

    _, ref = bp.spawn_monitor(owner)
    assert (await bp.receive(bp.Down)).ref == ref
    await until(lambda: backend.booted and not backend.machines)
    with pytest.raises(bp.errors.PoolClosed):
        await pools[0].call(double, 1)


@pooled
async def test_leaving_the_block_waits_for_what_was_submitted_and_an_exception_does_not():
    async with Pool(backend=LoopBackend()) as pool:
        handle = pool.submit(slow, 1)
    assert (SEEN, handle.result()) == ([1], 1)
    with pytest.raises(KeyError):
        async with Pool(backend=LoopBackend()) as pool:
            handle = pool.submit(slow, 2)
            raise KeyError
    with pytest.raises(bp.errors.PoolClosed):
        handle.result()
    assert SEEN == [1]


@pooled
async def test_a_pool_that_is_not_running_says_so():
    pool = Pool(backend=LoopBackend())
    with pytest.raises(bp.errors.PoolClosed, match="it has not been started"):
        pool.call(double, 1)
    async with pool:
        pass
    with pytest.raises(bp.errors.PoolClosed, match="it was stopped"):
        pool.call(double, 1)


@pooled
async def test_a_remote_function():
    async with Pool(backend=LoopBackend()) as pool:

        @pool.remote
        async def area(r: int) -> int:
            """Of a square."""
            return r * r

        assert await area(3) == 9
        assert await area.local(3) == 9
        assert area.__doc__ == "Of a square."
        assert await area.map([1, 2, 3]) == [1, 4, 9]
        assert await area.options(timeout=5)(4) == 16


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min": 2, "max": 1}, "min is at most max"),
        ({"min": -1}, "min is a whole number"),
        ({"max": 0}, "max is a whole number, 1 or more"),
        ({"timeout": -1}, "timeout is a number of seconds"),
        ({"boot_timeout": None}, "boot_timeout is a number of seconds"),
        ({"idle_shutdown_after": (1, 2)}, "idle_shutdown_after"),
        ({"isolation": "fork"}, "'thread' or 'process'"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"name": "a b"}, "name is letters"),
    ],
)
def test_options_that_are_wrong(options, said):
    with pytest.raises(ValueError, match=said):
        Pool(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"env": {"A": 1}}, "env is names and values as text, and 'A': 1"),
        ({"preload": "numpy"}, r"as in \['numpy'\]"),
        ({"strategy": 3}, "strategy is a function"),
        ({"on_shrink": "x"}, "on_shrink is a function"),
        ({"context": ["x"]}, "'x' is none"),
    ],
)
def test_options_of_a_wrong_kind(options, said):
    with pytest.raises(TypeError, match=said):
        Pool(**options)


def test_call_options_that_are_wrong():
    with pytest.raises(TypeError, match="there is no 'retry'; there are timeout, link"):
        Pool().options(retry=3)
    with pytest.raises(ValueError, match="retry_on is exception classes"):
        Pool().options(retry_on=("OSError",))
