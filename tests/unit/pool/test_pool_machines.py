"""The machines of a pool, on the same loop: they boot, or do not, are let go, and kept."""

from __future__ import annotations

import asyncio

import pytest

import beampy as bp
from beampy.pool.pool import Pool
from beampy.testing.pool_backend import Dies, Fail, Hangs, Liar, LoopBackend, Other, Silent, Twice
from tests.unit.pool.ground import SEEN, double, forever, pooled, running, until


def may_go() -> bool:
    SEEN.append(1)
    return len(SEEN) > 2


async def child(parent: bp.Pid) -> None:
    bp.send(parent, bp.self())
    await bp.receive()


@pooled
async def test_min_runners_are_there_and_are_replaced():
    backend = LoopBackend()
    async with Pool(backend=backend, min=2) as pool:
        await until(lambda: sum(runner["state"] == "up" for runner in pool.runners()) == 2)
        await pool.call(double, 1)
        backend.kill(backend.machines[0])
        await until(lambda: backend.booted == 3)
        assert await pool.call(double, 2) == 4


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

    async with Pool(backend=backend, idle_shutdown_after=0.02, max_concurrency=1) as pool:
        pid = await pool.options(link=False).place_child(child, bp.self())
        assert await bp.receive() == pid
        assert pid.node == pool.runners()[0]["node"]
        assert await pool.call(double, 1) == 2  # on another one, which ends when it was idle for as long
        assert backend.booted == 2
        await until(lambda: len(backend.machines) == 1)
        assert running(pool) == 1
        bp.send(pid, "stop")
        await until(lambda: not backend.machines)
