"""The pool as its users see it, with machines on the same loop: values, errors, and the life of a pool."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

import beampy as bp
from beampy.pool import closing
from beampy.pool.pool import Pool
from beampy.testing.pool_backend import LoopBackend
from tests.unit.pool.ground import SEEN, double, fail, forever, pooled, running, until


async def slow(x: int) -> int:
    await asyncio.sleep(0.05)
    SEEN.append(x)
    return x


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
            handle = pool.submit(forever)
            raise KeyError
    with pytest.raises(bp.errors.PoolClosed):
        handle.result()


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
async def test_what_lives_on_the_runners_ends_before_them_and_its_failures_are_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(closing, "HOOKS", 0.1)
    backend = LoopBackend()
    failed, ended, late = Future[None](), Future[None](), Future[None]()
    there: list[int] = []

    def guest() -> Future[None]:
        there.append(len(backend.machines))
        ended.set_result(None)
        return ended

    failed.set_exception(OSError("it has lost its way"))
    async with Pool(backend=backend, name="hosts") as pool:
        await pool.call(double, 1)
        pool._manager.guests += [lambda: failed, guest, lambda: late]
    assert there == [1]
    assert backend.machines == []
    said = [(record.levelname, record.getMessage()) for record in caplog.records if "hosts" in record.getMessage()]
    assert said == [
        ("ERROR", "pool hosts: what lives on its runners ended with an error"),
        ("WARNING", "pool hosts: what lives on its runners did not end in 0.1 s, its runners end now"),
    ]
    assert "it has lost its way" in caplog.text


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
