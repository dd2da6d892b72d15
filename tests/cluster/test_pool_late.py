"""An answer that came before its runner ended is the call's, whatever is needed to read it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from beampy.pool import reaping
from beampy.pool.pool import Pool
from beampy.testing import harness
from tests.cluster.test_pool import until

pytestmark = [pytest.mark.cluster, pytest.mark.loops("asyncio", "uvloop")]


class Oops(Exception):
    pass


async def nothing() -> None:
    pass


async def raises(path: str) -> None:
    asyncio.get_running_loop().call_later(0.1, Path(path).touch)
    raise Oops(1)


async def raises_and_ends() -> None:
    asyncio.get_running_loop().call_later(0.05, os._exit, 1)
    raise Oops(7)


async def test_an_exception_that_came_before_the_end_of_its_runner_keeps_its_type(tmp_path: Path) -> None:
    async with Pool(max=1) as pool:
        # The first Oops of this runner comes with what its class is, and to nobody: it is not read.
        await pool.call(nothing)
        cancelled = pool.call(raises, str(tmp_path / "raised"))
        await asyncio.sleep(0)
        while not (tmp_path / "raised").exists():  # it was answered, and that is not read here
            time.sleep(0.01)  # noqa: ASYNC251
        cancelled.cancel()
        await until(lambda: not pool._manager.zombies and not pool._manager.calls)
        await pool.call(nothing)
        runner = reaping.look(pool.runners()[0]["os_pid"])
        assert runner is not None
        call = pool.call(raises_and_ends)
        await asyncio.sleep(0)  # it is sent; and from here on nothing is read until the runner has ended
        deadline = time.monotonic() + harness.DEADLINE
        while reaping.alive(runner) and time.monotonic() < deadline:
            time.sleep(0.01)  # noqa: ASYNC251
        with pytest.raises(Oops):
            await call
