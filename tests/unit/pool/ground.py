"""What tests of whole pools stand on: a node for the test, a way to wait, and functions to call.

Machines are on the loop of the test, and what runs on them is looked up by its name, in these same modules. So the list
that such a function fills is also the test's.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from beampy.pool.pool import Pool
from beampy.testing import harness

Body = Callable[..., Coroutine[Any, Any, None]]

SEEN: list[Any] = []  # what ran, by the functions below and those of tests


def pooling(*seen: list[Any]) -> Callable[[Body], Body]:
    """Run a body as a process of a node without a name; these lists are empty when it begins."""

    def decorate(body: Body) -> Body:
        @functools.wraps(body)
        async def test(*args: Any, **kwargs: Any) -> None:
            for each in seen:
                each.clear()
            await harness.run(functools.partial(body, *args, **kwargs))

        return test

    return decorate


pooled = pooling(SEEN)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(harness.DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


def running(pool: Pool) -> int:
    """The calls and children that are on its runners."""
    return sum(runner["calls"] for runner in pool.runners())


async def double(x: int) -> int:
    return 2 * x


async def fail(text: str) -> None:
    raise ValueError(text)


async def forever() -> None:
    await asyncio.Event().wait()


async def third_time() -> str:
    """Fails twice."""
    SEEN.append(1)
    if len(SEEN) < 3:
        raise ConnectionError("not yet")
    return "there"
