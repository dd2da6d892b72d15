"""Whatever is done with tasks and streams, in whatever order: values are right, and nothing is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import beampy as bp
from beampy.otp.stream import async_stream
from beampy.otp.task import Task
from beampy.testing import harness, simloop
from tests.unit.otp.tidy import tidy

FOREVER = 3600.0
TURNS = st.integers(0, 4)
SEEDS = st.integers(0, 2**16)


class Boom(Exception):
    """What a task fails with."""


async def turns(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def work(kind: str, n: int) -> int:
    """One of the ways a task may go."""
    try:
        await turns(n)
        match kind:
            case "value":
                return n
            case "fail":
                raise Boom(n)
            case "exit":
                bp.exit("bye")
            case "nested":
                return await Task.spawn(work, "value", n)
            case "nested fail":
                return await Task.spawn(work, "fail", n)
            case "deaf":
                bp.trap_exit(True)
        await asyncio.sleep(FOREVER)
    finally:
        if kind == "slow to end":
            await turns(3)
    return n


KINDS = ("value", "fail", "exit", "nested", "nested fail", "forever", "slow to end")
USES = ("await", "gather", "cancel", "shutdown", "kill task", "ignore", "wait", "drop", "timeout", "outside kill")


async def use(task: Task[int], how: str) -> Any:
    match how:
        case "await":
            async with asyncio.timeout(1):
                return await task
        case "gather":
            async with asyncio.timeout(1):
                return (await asyncio.gather(task, asyncio.sleep(0)))[0]
        case "cancel":
            task.cancel()
        case "shutdown":
            return await task.shutdown()
        case "kill task":
            return await task.shutdown("brutal_kill")
        case "ignore":
            task.ignore()
        case "wait":
            return await task.wait(0.01)
        case "timeout":
            async with asyncio.timeout(0):
                return await task
        case "outside kill":
            bp.exit(task.pid, "kill")
            return await task
    return None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), TURNS, st.lists(st.sampled_from(USES), max_size=3), TURNS), max_size=6),
    SEEDS,
)
def test_tasks_used_in_any_way(plan: list[tuple[str, int, list[str], int]], seed: int) -> None:
    async def body() -> None:
        before = set(bp.processes())
        tasks = [(Task.spawn(work, kind, n, nolink=True), kind, n, uses, gap) for kind, n, uses, gap in plan]
        for task, kind, n, uses, gap in tasks:
            await turns(gap)
            for how in uses:
                try:
                    value = await use(task, how)
                except (Boom, bp.errors.ServerExited, bp.errors.NotTaskOwner, TimeoutError, asyncio.CancelledError):
                    assert how != "wait" or task.done()
                else:
                    assert value is None or (kind in ("value", "nested") and value == n)
        for task, *_ in tasks:
            task.exception() if task.done() and not task.cancelled() else None
            bp.exit(task.pid, "kill")
        tasks.clear()
        await tidy(before)

    simloop.run(lambda: harness.run(body), seed=seed)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), TURNS), min_size=1, max_size=5),
    TURNS,
    st.sampled_from(["return", "crash", "kill", "shutdown", "await", "gather"]),
    SEEDS,
)
def test_linked_tasks_and_their_owner_end_together(plan: list[tuple[str, int]], gap: int, end: str, seed: int) -> None:
    async def own(tell: bp.Pid) -> Any:
        tasks = [Task.spawn(work, kind, n) for kind, n in plan]
        bp.send(tell, tuple(task.pid for task in tasks))
        await turns(gap)
        if end == "crash":
            bp.exit("crash")
        if end == "await":
            return [await task for task in tasks]
        if end == "gather":
            return await asyncio.gather(*tasks)
        return None

    async def body() -> None:
        before = set(bp.processes())
        owner, ref = bp.spawn_monitor(own, bp.self())
        pids = await harness.expect(lambda m: isinstance(m, tuple) and not isinstance(m, bp.Down))
        await turns(gap)
        if end not in ("return", "crash"):
            bp.exit(owner, "kill" if end == "kill" else "shutdown")
        await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)
        for pid in pids:
            await harness.ended(pid)
        await tidy(before)

    simloop.run(lambda: harness.run(body), seed=seed)


@settings(max_examples=150, deadline=None)
@given(
    items=st.lists(st.tuples(st.sampled_from(KINDS), TURNS), max_size=9),
    limit=st.integers(1, 4),
    ordered=st.booleans(),
    is_async=st.booleans(),
    kills=st.booleans(),
    errors=st.booleans(),
    stop_after=st.integers(0, 10),
    gap=TURNS,
    seed=SEEDS,
)
def test_streams_read_in_any_way(
    items: list[tuple[str, int]],
    limit: int,
    ordered: bool,
    is_async: bool,
    kills: bool,
    errors: bool,
    stop_after: int,
    gap: int,
    seed: int,
) -> None:
    running = most = 0

    async def counted(item: tuple[str, int]) -> tuple[str, int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return item[0], await work(*item)
        finally:
            running -= 1

    async def source() -> Any:
        for item in items:
            await turns(item[1])
            yield item

    async def body() -> None:
        before = set(bp.processes())
        stream: Any = async_stream(
            source() if is_async else items,
            counted,
            max_concurrency=limit,
            ordered=ordered,
            timeout=0.1,
            on_timeout="kill" if kills else "exit",
            return_exceptions=errors,
        )
        seen: list[Any] = []
        failure: Exception | None = None
        try:
            if stop_after:
                async for value in stream:
                    await turns(gap)
                    seen.append(value)
                    if len(seen) == stop_after:
                        break
        except Exception as error:
            failure = error
        await stream.aclose()
        await turns(1)  # who was killed is gone, and its code is closed at its next turn
        assert running == 0
        assert set(bp.processes()) <= before
        assert most <= limit
        good = [item for item in items if item[0] in ("value", "nested")]
        values = [value for value in seen if isinstance(value, tuple)]
        if failure is None and ordered:
            expected = [item if item in good else None for item in items[:stop_after]]
            assert [value if isinstance(value, tuple) else None for value in seen] == expected
        elif failure is None:
            assert len(seen) == min(stop_after, len(items))
        assert all(value in good for value in values)
        assert failure is None or not errors
        del stream, failure
        await tidy(before)

    simloop.run(lambda: harness.run(body), seed=seed)
