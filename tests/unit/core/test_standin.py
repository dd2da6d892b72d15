"""Arguments that stand for something: what they become, all at once, and what one failure does to the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beampy.core.standin import FETCHED, StandIn, coming, exist, has_standins, held, resolved


class Thing(StandIn):
    """Stands for what `work` gives."""

    def __init__(self, work: Any) -> None:
        self.work = work
        self.asked = 0

    async def value_here(self) -> Any:
        self.asked += 1
        return await self.work()


async def test_each_is_fetched_once_however_often_it_is_there() -> None:
    async def value() -> int:
        return 7

    thing, other = Thing(value), Thing(value)
    inside = [thing]
    assert has_standins((1, thing), {})
    assert await resolved((1, thing, inside, thing), {"a": thing, "b": other, "c": 3}) == (
        (1, 7, inside, 7),
        {"a": 7, "b": 7, "c": 3},
    )
    assert (thing.asked, other.asked) == (1, 1)
    assert await resolved((1,), {"key": 2}) == ((1,), {"key": 2})


async def test_all_are_fetched_at_the_same_time() -> None:
    meets = asyncio.Event()

    async def first() -> str:
        await meets.wait()
        return "first"

    async def second() -> str:
        meets.set()
        return "second"

    assert await resolved((Thing(first),), {"b": Thing(second)}) == (("first",), {"b": "second"})


async def test_the_first_failure_ends_the_others_and_says_which_argument_it_was() -> None:
    begun = asyncio.Event()
    ended: list[str] = []

    async def slow() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("slow")

    async def wrong() -> None:
        await begun.wait()
        raise KeyError("x")

    with pytest.raises(KeyError) as failed:
        await resolved((Thing(slow),), {"key": Thing(wrong)})
    assert ended == ["slow"]
    assert failed.value.__notes__ == [f"{FETCHED} 'key'; the function was not called"]


async def test_who_is_cancelled_ends_them_all() -> None:
    begun = 0
    ended: list[int] = []

    async def slow() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    task = asyncio.ensure_future(resolved((Thing(slow), Thing(slow)), {}))
    while begun < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [1, 1]


class Late(StandIn):
    """One that exists when its future is done."""

    def __init__(self, there: asyncio.Future[None]) -> None:
        self.there = there

    def coming(self) -> asyncio.Future[None] | None:
        return None if self.there.done() else self.there


async def test_what_does_not_exist_yet_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    one, other = Late(loop.create_future()), Late(loop.create_future())
    assert coming((1, one), {"other": other, "inside": [one]}) == [one, other]
    waits = asyncio.ensure_future(exist((1, one), {"other": other}))
    one.there.set_result(None)
    await asyncio.sleep(0)
    assert not waits.done()
    other.there.set_exception(ValueError("it was not made"))
    with pytest.raises(ValueError, match="not made"):
        await waits
    await exist((1, one), {})


async def test_arguments_for_later_have_handles_of_their_own() -> None:
    late = Late(asyncio.get_running_loop().create_future())
    inside = [late]
    (kept, same, one), kwargs = held((late, inside, 1), {"late": late, "two": 2})
    late.there = asyncio.get_running_loop().create_future()  # as a change in place
    assert kept is not late
    assert kept.there is kwargs["late"].there is not late.there
    assert (same, one, kwargs["two"]) == (inside, 1, 2)
    assert same is inside
