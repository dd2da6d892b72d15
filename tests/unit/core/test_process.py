"""process: how it is stepped. What it hears and how it ends: tests/conformance; its mailbox: test_mailbox.py."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.extras import Become
from beampy.core.request import Request
from beampy.core.state import NOT_WAITING
from beampy.testing import harness

if TYPE_CHECKING:
    from beampy.core.process import Process

LONG = 30.0


def process(pid: bp.Pid) -> Process:
    found = api.self_process().node.find(pid)
    assert found is not None
    return found


async def idle() -> None:
    await bp.receive(("never",))


async def pause(rounds: int = 3) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


# what it may wait for


async def test_each_thing_to_wait_for_gives_its_value() -> None:
    async def server() -> None:
        bp.send(await bp.receive(), "an answer")

    async def body() -> list[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        loop.call_soon(future.set_result, "a future")
        pending = bp.request(bp.spawn(server))
        bp.send(pending.dest, pending.ref)
        bp.send_after(0, bp.self(), "a message")
        return [
            await future,
            await asyncio.sleep(0, "a turn"),
            await asyncio.sleep(0.001, "a while"),
            await asyncio.create_task(asyncio.sleep(0, "a task")),
            await pending,
            await bp.receive(),
            await bp.receive(timeout=0.001, default="nothing"),
        ]

    expected = ["a future", "a turn", "a while", "a task", "an answer", "a message", "nothing"]
    assert await harness.run(body) == expected


async def test_a_future_that_is_done_costs_no_turn_of_another_kind() -> None:
    async def body() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        future.set_result("done")
        return await future

    assert await harness.run(body) == "done"


class Yields:
    """Awaiting it yields what it was made with."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        return (yield self.value)


@pytest.mark.parametrize("nonsense", [5, "x", object(), [None], asyncio.sleep])
async def test_waiting_for_nonsense_is_an_error_there(nonsense: Any) -> None:
    async def body() -> str:
        with pytest.raises(RuntimeError, match="a process cannot wait for"):
            await Yields(nonsense)
        await asyncio.sleep(0)
        return "and it goes on"

    assert await harness.run(body) == "and it goes on"


@pytest.mark.loops("asyncio")
async def test_a_future_of_another_loop_is_refused() -> None:
    loop = asyncio.new_event_loop()
    elsewhere = loop.create_future()

    async def body() -> None:
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await elsewhere

    await harness.run(body)
    loop.close()


async def test_a_future_awaited_without_await_is_refused() -> None:
    async def body() -> None:
        with pytest.raises(RuntimeError, match="a process cannot wait for"):
            await Yields(asyncio.get_running_loop().create_future())

    await harness.run(body)


async def test_what_is_handed_over_is_not_lost_when_the_wait_is_cut() -> None:
    """A message comes and a cancellation before the process runs: the message is still unread, first in order."""

    async def body() -> list[Any]:
        me = bp.self()

        async def reader() -> None:
            try:
                await bp.receive()
            except asyncio.CancelledError:
                bp.send(me, [await bp.receive(), await bp.receive()])

        pid = bp.spawn(reader)
        await pause()
        bp.send(pid, "first")
        process(pid).cancel()
        bp.send(pid, "second")
        return await harness.expect(list)

    assert await harness.run(body) == ["first", "second"]


async def test_an_answer_that_comes_with_a_cancellation() -> None:
    """The cancellation is what it hears of; the call is settled, and nothing is left of it."""

    async def body() -> object:
        me = bp.self()
        server = bp.spawn(idle)

        async def caller() -> None:
            pending = bp.request(server)
            bp.send(me, pending)
            try:
                await pending
            except asyncio.CancelledError:
                bp.send(me, ("cancelled", pending.done(), pending.cancelled()))
                raise

        one = process(bp.spawn(caller))
        pending = await harness.expect(Request)
        await pause()
        bp.send(pending.ref, "answer")
        one.cancel()
        return await harness.expect(("cancelled", bool, bool))

    assert await harness.run(body) == ("cancelled", True, False)


@pytest.mark.parametrize("how", ["kill", "shutdown"])
@pytest.mark.parametrize(
    "where", ["receive", "select", "sleep", "turn", "future", "done future", "task", "call", "start"]
)
async def test_it_is_reached_wherever_it_waits(where: str, how: str) -> None:
    async def server() -> None:
        await idle()

    async def body() -> None:
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        pid = bp.spawn(server)
        future: asyncio.Future[None] = loop.create_future()

        async def waits() -> None:
            try:
                match where:
                    case "receive":
                        await bp.receive()
                    case "select":
                        await bp.receive(str)
                    case "sleep":
                        await asyncio.sleep(LONG)
                    case "turn":
                        while True:
                            await asyncio.sleep(0)
                    case "future" | "done future":
                        await future
                    case "task":
                        await asyncio.create_task(asyncio.sleep(LONG))
                    case "call":
                        await bp.request(pid, None)
                seen.append("went on")
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            except GeneratorExit:
                seen.append("closed")
                raise

        victim, ref = bp.spawn_monitor(waits)
        if where != "start":
            await pause()
        if where == "done future":
            future.set_result(None)
        bp.exit(victim, how)
        down = await harness.expect(bp.Down)
        await pause()
        assert (down.ref, down.reason) == (ref, "killed" if how == "kill" else "shutdown")
        # Before its first line nothing is thrown into it.
        assert seen == ([] if where == "start" else ["closed" if how == "kill" else "cancelled"])
        assert not process(pid)._watchers
        assert api.self_process().node.statistics()["runnable"] == 0

    await harness.run(body)


# becoming something else


async def test_becoming_keeps_pid_links_and_messages() -> None:
    async def later(to: bp.Pid) -> None:
        bp.send(to, ("later", bp.self(), await bp.receive()))
        await idle()

    async def first(to: bp.Pid) -> Become:
        bp.link(to)
        bp.send(to, ("first", bp.self(), await bp.receive()))
        return Become(later(to))

    async def body() -> None:
        bp.trap_exit()
        me = bp.self()
        pid = bp.spawn(first, me, name="becomes")
        bp.send(pid, 1)
        bp.send(pid, 2)
        assert await harness.expect(("first", ..., ...)) == ("first", pid, 1)
        assert await harness.expect(("later", ..., ...)) == ("later", pid, 2)
        assert bp.whereis("becomes") == pid
        assert process(pid).initial_call().endswith("later")
        bp.exit(pid, "boom")
        assert await harness.expect(bp.Exit) == bp.Exit(pid, "boom")

    await harness.run(body)


async def test_what_the_first_coroutine_held_is_gone() -> None:
    class Big:
        pass

    kept: list[Any] = []

    async def first() -> Become:
        big = Big()
        kept.append(weakref.ref(big))
        await asyncio.sleep(0)
        return Become(idle())

    async def body() -> None:
        pid = bp.spawn(first)
        bp.send(pid, "a message of the start")
        await pause(5)
        gc.collect()
        assert kept[0]() is None
        bp.exit(pid, "kill")
        await pause()

    await harness.run(body)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_becoming_after_a_kill_is_nothing() -> None:
    async def first() -> Become:
        bp.exit(bp.self(), "kill")
        return Become(idle())

    async def body() -> object:
        return await harness.ended(bp.spawn(first))

    assert await harness.run(body) in ("killed", "noproc")


# an exit signal to itself


@pytest.mark.parametrize("reason", ["boom", "kill"])
async def test_a_signal_to_itself_is_obeyed_at_once(reason: str) -> None:
    went_on: list[str] = []

    async def ends_itself() -> None:
        bp.exit(bp.self(), reason)
        went_on.append("never")

    async def body() -> object:
        bp.spawn_monitor(ends_itself)
        return (await harness.expect(bp.Down)).reason

    assert await harness.run(body) == ("killed" if reason == "kill" else reason)
    assert went_on == []


# tasks


async def test_it_owns_the_tasks_it_starts_and_no_others() -> None:
    async def body() -> None:
        me = api.self_process()
        task = asyncio.create_task(asyncio.sleep(LONG))
        assert me.extras().tasks == {task}
        assert me.owns_current_task()
        done = asyncio.create_task(asyncio.sleep(0))
        await done
        await pause()
        assert me.extras().tasks == {task}

        async def inside() -> bool:
            return me.owns_current_task()

        assert not await asyncio.create_task(inside())
        task.cancel()

    await harness.run(body)


async def test_nothing_of_an_ended_process_is_kept() -> None:
    async def worker(notes: list[Any]) -> None:
        notes.append(weakref.ref(api.self_process()))
        bp.trap_exit()
        bp.alias()
        bp.monitor(bp.self())
        await asyncio.sleep(0)

    async def body() -> None:
        notes: list[Any] = []
        for _ in range(10):
            pid = bp.spawn(worker, notes)
            bp.send(pid, "unread")
            await harness.ended(pid)
        await pause(5)
        gc.collect()
        assert [note() for note in notes] == [None] * 10

    await harness.run(body)


async def test_a_process_in_the_queue_runs_once_for_each_thing() -> None:
    """Woken by a message and by an alarm in one tick, it is not stepped twice for one wait."""

    async def body() -> None:
        me = bp.self()

        async def reader() -> None:
            found = await bp.receive(str, timeout=LONG)
            await asyncio.sleep(0)
            bp.send(me, [found, await bp.receive(timeout=0, default="empty")])

        pid = bp.spawn(reader)
        await pause()
        one = process(pid)
        one.wake()
        one.wake()
        assert one._waiting == NOT_WAITING
        assert list(one._scheduler.queue).count(one) == 1
        bp.send(pid, "x")
        assert await harness.expect(list) == ["x", "empty"]

    await harness.run(body)
