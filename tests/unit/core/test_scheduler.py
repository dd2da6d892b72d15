"""scheduler: how much a tick does, who runs when, and that nothing a process does leaves the run queue unusable."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core import scheduler as scheduling
from beampy.core.scheduler import CLOCK_EVERY, SLICE, TICK_STEPS, Scheduler, current_tasks
from beampy.testing import harness

LONG = 30.0

own_loop = pytest.mark.loops("asyncio")  # the test makes its own loops


def scheduler() -> Scheduler:
    return api.self_process()._scheduler


async def spins(rounds: int) -> None:
    """Takes one step for each message to itself."""
    me = bp.self()
    for n in range(rounds):
        bp.send(me, n)
        await bp.receive()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now


# the bounds of a tick


async def steps_a_tick(processes: int, rounds: int, *others: bp.Pid) -> list[float]:
    """The steps of each tick (or the mean of a few), from now on, while processes that never wait do their rounds."""
    mine = scheduler()
    pids = [bp.spawn(spins, rounds) for _ in range(processes)] + list(others)
    seen = []
    before = mine.steps, mine.ticks
    while any(map(bp.is_alive, pids)):
        await asyncio.sleep(0)
        if mine.ticks > before[1]:
            seen.append((mine.steps - before[0]) / (mine.ticks - before[1]))
        before = mine.steps, mine.ticks
    return seen


async def test_a_tick_ends_after_so_many_steps() -> None:
    async def body() -> None:
        mine = scheduler()
        mine.clock = Clock()  # time stands still: only the steps count
        seen = await steps_a_tick(5, 2 * TICK_STEPS)
        assert max(seen) <= TICK_STEPS + SLICE
        assert sum(steps >= TICK_STEPS for steps in seen) >= 4
        assert sum(seen) >= 5 * (2 * TICK_STEPS - SLICE)  # what its last slice took is not counted

    await harness.run(body)


async def test_a_tick_ends_when_its_time_is_over() -> None:
    async def body() -> None:
        clock = scheduler().clock = Clock()

        async def slow() -> None:
            me = bp.self()
            await asyncio.sleep(0)
            for _ in range(1000):
                clock.now += scheduling.TICK_SECONDS / 10  # each step takes a tenth of a tick
                bp.send(me, "again")
                await bp.receive()

        seen = await steps_a_tick(0, 0, bp.spawn(slow))
        # Over after ten steps; seen at the next look, which a slice may delay.
        assert max(seen) <= 10 + CLOCK_EVERY + SLICE

    await harness.run(body)


async def test_the_clock_is_asked_now_and_then() -> None:
    async def body() -> None:
        clock = scheduler().clock = Clock()
        seen = await steps_a_tick(3, 3000)
        assert clock.looks <= 2 * len(seen) + sum(seen) / CLOCK_EVERY

    await harness.run(body)


async def test_the_loop_gets_its_turn_between_ticks() -> None:
    """Processes that never wait do not keep a callback, a timer or a task waiting for their end."""

    async def body() -> None:
        loop = asyncio.get_running_loop()
        turns = []

        def turn() -> None:
            turns.append(scheduler().steps)
            if bp.is_alive(pid):
                loop.call_soon(turn)

        scheduler().clock = Clock()
        pid = bp.spawn(spins, 10 * TICK_STEPS)
        loop.call_soon(turn)
        await harness.ended(pid)
        assert len(turns) >= 8
        assert max(b - a for a, b in itertools.pairwise(turns)) <= TICK_STEPS + SLICE

    await harness.run(body)


async def test_a_clock_of_the_loops_own_is_taken() -> None:
    class Loop:
        def scheduler_clock(self) -> float:
            return 42.0

    loop: Any = Loop()
    assert Scheduler(loop).clock() == 42.0


# fairness


async def test_a_backlog_is_taken_in_slices() -> None:
    async def body() -> None:
        order: list[str] = []

        async def reader(name: str) -> None:
            async for message in bp.mailbox():
                if message == "end":
                    return
                order.append(name)

        scheduler().clock = Clock()
        pids = [bp.spawn(reader, name) for name in "ab"]
        await asyncio.sleep(0)
        for pid in pids:
            for n in range(5 * SLICE):
                bp.send(pid, n)
            bp.send(pid, "end")
        for pid in pids:
            await harness.ended(pid)
        runs = [1]
        for before, name in itertools.pairwise(order):
            if name == before:
                runs[-1] += 1
            else:
                runs.append(1)
        assert len(order) == 10 * SLICE
        assert max(runs[:-1]) <= SLICE + 2
        assert len(runs) >= 9

    await harness.run(body)


async def test_a_selective_receive_in_the_middle_of_a_slice() -> None:
    """It makes another mailbox of the same messages: each is still taken once, in order."""

    async def body() -> list[Any]:
        me = bp.self()

        async def reader() -> None:
            seen = []
            async for message in bp.mailbox():
                seen.append(message)
                if message == 2:
                    seen.append(await bp.receive(str))
                if message == "end":
                    bp.send(me, seen)
                    return

        pid = bp.spawn(reader)
        await asyncio.sleep(0)
        for message in (1, 2, 3, "a", 4, 5, "end"):
            bp.send(pid, message)
        return await harness.expect(list)

    assert await harness.run(body) == [1, 2, "a", 3, 4, 5, "end"]


async def test_a_selective_receive_at_the_end_of_a_slice_forgets_nobody() -> None:
    async def body() -> list[Any]:
        me = bp.self()

        async def reader() -> None:
            seen = [await bp.receive()]
            seen.append(await bp.receive(str))  # what it passes over is all there is
            seen.append(await bp.receive())
            seen.append(await bp.receive())
            bp.send(me, seen)

        pid = bp.spawn(reader)
        await asyncio.sleep(0)
        for message in (1, 2, 3, "a"):
            bp.send(pid, message)
        return await harness.expect(list)

    assert await harness.run(body) == [1, "a", 2, 3]


async def test_processes_take_turns_in_the_order_they_became_runnable() -> None:
    async def body() -> str:
        order = []

        async def turns(name: str) -> None:
            for _ in range(3):
                order.append(name)
                await asyncio.sleep(0)

        for pid in [bp.spawn(turns, name) for name in "abc"]:
            await harness.ended(pid)
        return "".join(order)

    assert await harness.run(body) == "abcabcabc"


async def test_what_is_pushed_during_a_tick_runs_in_it() -> None:
    async def body() -> None:
        mine = scheduler()
        mine.clock = Clock()
        ticks = []

        async def chain(left: int, to: bp.Pid) -> None:
            ticks.append(mine.ticks)
            if left:
                bp.spawn(chain, left - 1, to)
            else:
                bp.send(to, "done")

        bp.spawn(chain, 100, bp.self())
        await harness.expect("done")
        assert ticks[-1] - ticks[0] <= 1

    await harness.run(body)


async def test_a_push_from_a_callback_arms_the_scheduler_once() -> None:
    async def body() -> None:
        mine = scheduler()
        me = bp.self()
        loop = asyncio.get_running_loop()
        armed = []

        def push() -> None:
            armed.append(mine.armed)
            bp.send(me, "from a callback")
            armed.append(mine.armed)

        loop.call_soon(push)
        assert await bp.receive() == "from a callback"
        assert armed == [False, True]

    await harness.run(body)


# what processes do to it


@own_loop
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("backlog", [0, 3])
def test_an_interrupt_in_a_process_comes_out_and_leaves_the_scheduler_usable(
    kind: type[BaseException], backlog: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def interrupted() -> None:
        async for message in bp.mailbox():
            if message == "go":
                raise kind

    async def begin(node: bp.Node) -> bp.Pid:
        node._open()
        return node.spawn(interrupted)

    async def go(node: bp.Node, pid: bp.Pid) -> None:
        async def send() -> None:
            for message in range(backlog):
                bp.send(pid, message)
            bp.send(pid, "go")

        await node.run(send)
        await asyncio.sleep(LONG)

    async def echo(to: bp.Pid) -> None:
        bp.send(to, await bp.receive())

    async def body() -> object:
        bp.send(bp.spawn(echo, bp.self()), "alive")
        return await harness.expect(str)

    async def after(node: bp.Node) -> object:
        found = await node.run(body)
        await node.stop()
        return found

    node = bp.Node()
    with asyncio.Runner() as runner:
        pid = runner.run(begin(node))
        with pytest.raises(kind):
            runner.run(go(node, pid))
        assert node._core.find(pid) is None
        assert runner.run(after(node)) == "alive"
    assert kind.__name__ in caplog.text


async def test_whatever_a_process_raises_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(BaseException):
        pass

    async def raises(error: BaseException) -> None:
        raise error

    async def body() -> list[str]:
        reasons = []
        for error in (ValueError("x"), Odd("y"), GeneratorExit(), StopAsyncIteration(), asyncio.CancelledError()):
            reason = await harness.ended(bp.spawn(raises, error))
            reasons.append(getattr(reason, "type", reason).rpartition(".")[2])
        return reasons

    found = await harness.run(body)
    assert found == ["ValueError", "Odd", "GeneratorExit", "StopAsyncIteration", "cancelled"]
    assert len(caplog.records) == 4


async def test_a_done_callback_that_fails_is_the_loops_business() -> None:
    async def nothing() -> None:
        pass

    async def body() -> list[Any]:
        loop = asyncio.get_running_loop()
        said: list[Any] = []
        loop.set_exception_handler(lambda _, context: said.append(context["exception"]))
        called: list[Any] = []

        def fails(process: Any) -> None:
            called.append(process.done())
            raise ValueError("callback")

        node = api.self_process().node
        pid = bp.spawn(nothing)
        process = node.find(pid)
        assert process is not None
        process.add_done_callback(fails)
        process.add_done_callback(lambda p: called.append(p.get_name()))
        await harness.ended(pid)
        while len(called) < 2:
            await asyncio.sleep(0)
        loop.set_exception_handler(None)
        assert [str(error) for error in said] == ["callback"]
        return called

    first, second = await harness.run(body)
    assert first is True
    assert "nothing" in second


async def test_reductions_are_counted() -> None:
    async def body() -> None:
        def reductions(pid: bp.Pid) -> int:
            info = bp.process_info(pid)
            assert info is not None
            return info.reductions

        async def reader() -> None:
            async for message in bp.mailbox():
                if message == "end":
                    return

        pid = bp.spawn(reader)
        assert reductions(pid) == 0
        await asyncio.sleep(0)
        start = reductions(pid)
        for n in range(250):
            bp.send(pid, n)
        while (info := bp.process_info(pid)) and (info.message_queue_len or info.status != "waiting"):
            await asyncio.sleep(0)
        assert 250 <= reductions(pid) - start <= 256

    await harness.run(body)


async def test_statistics_count_steps_and_ticks() -> None:
    async def body() -> None:
        node = api.self_process().node
        before = node.statistics()
        for _ in range(10):
            bp.send(bp.self(), 1)
            await bp.receive()
            await asyncio.sleep(0)
        after = node.statistics()
        assert after["ticks"] - before["ticks"] == 10
        assert 10 <= after["steps"] - before["steps"] <= 30
        assert after["runnable"] == 0

    await harness.run(body)


# asyncio's current task


async def test_the_current_task_is_the_process_in_its_steps_and_nobody_after_a_tick() -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        seen: list[Any] = []

        async def other() -> None:
            seen.append(asyncio.current_task())

        me = asyncio.current_task()
        pid = bp.spawn(other)
        process = api.self_process().node.find(pid)
        loop.call_soon(lambda: seen.append(asyncio.current_task(loop)))
        await harness.ended(pid)
        assert asyncio.current_task() is me
        await asyncio.sleep(0)
        assert seen == [process, None]
        assert current_tasks()[loop] is me

    await harness.run(body)


async def test_the_current_task_is_restored_after_a_step_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("x")

    async def body() -> None:
        loop = asyncio.get_running_loop()
        with caplog.at_level(logging.CRITICAL):
            await harness.ended(bp.spawn(fails))
        seen: list[Any] = []
        loop.call_soon(lambda: seen.append(asyncio.current_task(loop)))
        await asyncio.sleep(0)
        assert seen == [None]

    await harness.run(body)


async def test_tasks_and_processes_do_not_take_each_others_place() -> None:
    async def body() -> None:
        me = asyncio.current_task()
        inside = []

        async def task() -> None:
            inside.append(asyncio.current_task())
            await asyncio.sleep(0)
            inside.append(asyncio.current_task())

        made = asyncio.create_task(task())
        for _ in range(3):
            await asyncio.sleep(0)
            assert asyncio.current_task() is me
        await made
        assert inside == [made, made]

    await harness.run(body)


@own_loop
def test_a_python_that_keeps_its_current_task_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling.sys, "version_info", (3, 14, 0))
    with pytest.raises(RuntimeError, match=r"3\.11 to 3\.13"):
        current_tasks()
