"""Task, Task.Supervisor, async_stream and Agent as Elixir documents and tests them, and where beampy means to differ.

Each test is a case of Elixir's own suites (task_test, task/supervisor_test, agent_test), under a name like theirs.
The differences are the tests whose names say `differs`; otp/task.py argues for them.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

import beampy as bp
from beampy.core.signals import Crash
from beampy.errors import NoProcess, NotTaskOwner, ServerExited, TaskTimeout
from beampy.otp.agent import Agent
from beampy.otp.stream import async_stream
from beampy.otp.task import Task, callers
from beampy.otp.task_supervisor import TaskSupervisor
from beampy.testing import harness
from tests.conformance import one_node
from tests.unit.otp.tidy import process

FOREVER = 3600.0


async def wait_and_send(caller: bp.Pid, atom: str) -> str:
    bp.send(caller, "ready")
    await bp.receive(lambda m: m is True)
    bp.send(caller, atom)
    return atom


async def sleep(seconds: float = FOREVER) -> None:
    await asyncio.sleep(seconds)


async def value(it: Any) -> Any:
    return it


async def leave(reason: Any) -> None:
    bp.exit(reason)


async def fail(text: str = "oops") -> None:
    raise ValueError(text)


def later(fn: Any, *args: Any) -> None:
    """Once everybody has had a turn."""
    asyncio.get_running_loop().call_soon(fn, *args)


async def end_of(pid: bp.Pid, ref: bp.Ref) -> Any:
    down = await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)
    assert down.target == pid
    return down.reason


# --- Task.async, start_link, await


@process
async def test_async_is_linked_and_answers_its_owner():
    task = Task.spawn(wait_and_send, bp.self(), "done")
    await harness.expect("ready")
    info = bp.process_info(bp.self())
    assert info is not None
    assert info.links == (task.pid,)
    assert task.owner == bp.self()
    bp.send(task.pid, True)
    assert await task == "done"
    await harness.expect("done")  # said by the task itself; its answer never was a message


@process
async def test_async_sets_callers_and_ancestors():
    async def family() -> Any:
        return callers(), bp.ancestors()[0]

    assert await Task.spawn(family) == ((bp.self(),), bp.self())


@process
async def test_start_link_differs_it_is_spawn_link():
    # Elixir's Task.start_link is a process for its effects; that is what bp.spawn_link makes.
    pid = bp.spawn_link(wait_and_send, bp.self(), "done")
    await harness.expect("ready")
    bp.send(pid, True)
    await harness.expect("done")
    await harness.ended(pid)


@process
async def test_await_differs_it_has_no_timeout():
    # Elixir gives up after 5 s. Python has asyncio.timeout for that; like Elixir's exit, it ends the task.
    task = Task.spawn(sleep)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await task
    await harness.arrived(task.pid)
    assert not bp.is_alive(task.pid)


@one_node.TASKS
@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", 1), "other"])
@process
async def test_await_exits_on_the_tasks_exit(reason: Any):
    # Elixir exits the caller with {Reason, {Task, :await, …}}, which it may catch.
    with pytest.raises(ServerExited) as caught:
        await Task.spawn(leave, reason)
    assert caught.value.reason == reason


@process
async def test_await_differs_an_exception_is_raised_as_itself():
    with pytest.raises(ValueError, match="oops"):
        await Task.spawn(fail)


@process
async def test_await_raises_when_called_from_a_non_owner_process():
    task = Task.spawn(sleep)

    async def stranger() -> None:
        await task

    with pytest.raises(NotTaskOwner, match=r"await: the task .* belongs to"):
        await Task.spawn(stranger)
    await task.shutdown()


@process
async def test_an_unawaited_failure_takes_its_owner_along():
    async def own(tell: bp.Pid) -> None:
        task = Task.spawn(wait_and_fail, tell)
        await bp.receive()
        await task

    owner, ref = bp.spawn_monitor(own, bp.self())
    bp.send(await harness.expect(bp.Pid), True)
    assert await end_of(owner, ref) == Crash("ValueError", "oops")


async def wait_and_fail(tell: bp.Pid) -> None:
    bp.send(tell, bp.self())
    await bp.receive(lambda m: m is True)
    await fail()


@process
async def test_an_unawaited_failure_is_an_exit_message_where_exits_are_trapped():
    bp.trap_exit(True)
    task = Task.spawn(wait_and_fail, bp.self())
    bp.send(await harness.expect(bp.Pid), True)
    assert await harness.expect(bp.Exit) == bp.Exit(task.pid, Crash("ValueError", "oops"))
    with pytest.raises(ValueError, match="oops"):
        await task


@process
async def test_trapping_exits_differs_a_value_leaves_no_exit_message():
    # In Elixir {:EXIT, pid, :normal} of every task arrives at a caller that traps exits.
    bp.trap_exit(True)
    assert await Task.spawn(value, 1) == 1
    await harness.nothing()


@process
async def test_the_owners_exit_differs_its_tasks_end_with_it_also_when_it_was_normal():
    # Elixir's tasks of a caller that exits normally run on, for nobody.
    async def own(tell: bp.Pid) -> None:
        bp.send(tell, Task.spawn(sleep).pid)

    bp.spawn(own, bp.self())
    assert await harness.ended(await harness.expect(bp.Pid)) in ("shutdown", "noproc")


# --- Task.yield


@process
async def test_yield_returns_the_reply_when_it_is_there():
    task = Task.spawn(value, "hi")
    await harness.ended(task.pid)
    assert await task.wait(0) == "hi"


@process
async def test_yield_returns_nil_on_timeout_and_can_be_repeated():
    task = Task.spawn(wait_and_send, bp.self(), "done")
    await harness.expect("ready")
    assert await task.wait(0) is None
    assert await task.wait(0.01) is None
    bp.send(task.pid, True)
    assert await task.wait(FOREVER) == "done"
    await harness.expect("done")


@one_node.TASKS
@process
async def test_yield_returns_the_exit_differs_it_is_raised():
    task = Task.spawn(leave, "bye", nolink=True)
    with pytest.raises(ServerExited, match="bye"):
        await task.wait(FOREVER)


@process
async def test_yield_many_is_asyncio_wait():
    quick, slow = Task.spawn(value, 1), Task.spawn(sleep)
    done, pending = await asyncio.wait([quick, slow], timeout=0.01)
    assert (done, pending) == ({quick}, {slow})
    await slow.shutdown()


# --- Task.shutdown


@process
async def test_shutdown_returns_the_result_when_the_reply_is_there():
    task = Task.spawn(value, "result")
    await harness.ended(task.pid)
    assert await task.shutdown() == "result"
    task = Task.spawn(value, "result")
    await harness.ended(task.pid)
    assert await task.shutdown("brutal_kill") == "result"


@process
async def test_shutdown_returns_nil_on_shutting_down_the_task():
    for how in (5.0, "brutal_kill"):
        task = Task.spawn(sleep)
        await task.wait(0)
        assert await task.shutdown(how) is None  # type: ignore[arg-type]
        assert not bp.is_alive(task.pid)
        await harness.nothing()


@one_node.TASKS
@process
async def test_shutdown_returns_the_exit_on_abnormal_differs_it_is_raised():
    task = Task.spawn(leave, "abnormal", nolink=True)
    await harness.ended(task.pid)
    with pytest.raises(ServerExited, match="abnormal"):
        await task.shutdown()


@process
async def test_shutdown_kills_after_its_timeout_when_exits_are_trapped():
    async def deaf(tell: bp.Pid) -> None:
        bp.trap_exit(True)
        bp.send(tell, "ready")
        await sleep()

    task = Task.spawn(deaf, bp.self())
    await harness.expect("ready")
    assert await task.shutdown(0.01) is None
    assert not bp.is_alive(task.pid)


@process
async def test_shutdown_when_exits_are_trapped_leaves_no_exit_message():
    bp.trap_exit(True)
    for how in (5.0, "brutal_kill"):
        task = Task.spawn(sleep)
        await task.shutdown(how)  # type: ignore[arg-type]
    await harness.nothing()


@process
async def test_shutdown_of_a_task_that_somebody_kills_meanwhile():
    async def slow_to_end(tell: bp.Pid) -> None:
        bp.send(tell, "ready")
        try:
            await sleep()
        finally:
            await sleep()

    task = Task.spawn(slow_to_end, bp.self())
    await harness.expect("ready")
    later(bp.exit, task.pid, "kill")
    assert await task.shutdown(None) is None


# --- Task.ignore


@process
async def test_ignore_unlinks_and_drops_the_answer():
    task = Task.spawn(wait_and_send, bp.self(), "done")
    await harness.expect("ready")
    task.ignore()
    info = bp.process_info(bp.self())
    assert info is not None
    assert (info.links, info.monitors) == ((), ())
    bp.send(task.pid, True)
    assert await harness.ended(task.pid) == "normal"
    assert harness.flush() == ["done"]
    with pytest.raises(NotTaskOwner):
        await task


# --- Task.Supervisor


@process
async def test_supervisor_async_nolink_does_not_bring_down_the_caller():
    tasks = await TaskSupervisor.start_link()
    task = await tasks.spawn_nolink(leave, "unknown")
    with pytest.raises(ServerExited, match="unknown"):
        await task
    assert bp.is_alive(tasks.pid)
    await tasks.stop()


@process
async def test_supervisor_async_links_the_caller_and_the_supervisor():
    tasks = await TaskSupervisor.start_link()
    task = await tasks.spawn(sleep)
    info = bp.process_info(task.pid)
    assert info is not None
    assert set(info.links) == {bp.self(), tasks.pid}
    assert info.ancestors[0] == tasks.pid
    await task.shutdown()
    await tasks.stop()


@process
async def test_supervisor_async_raises_when_there_is_no_supervisor():
    with pytest.raises(NoProcess):
        await TaskSupervisor.client("nobody").spawn(value, 1)


@process
async def test_supervisor_async_raises_when_max_children_is_reached():
    tasks = await TaskSupervisor.start_link(max_children=1)
    await tasks.start_child(sleep)
    for start in (tasks.spawn, tasks.spawn_nolink, tasks.start_child):
        with pytest.raises(bp.errors.ChildError, match="max_children"):
            await start(value, 1)
    await tasks.stop()


@process
async def test_supervisor_terminate_child():
    tasks = await TaskSupervisor.start_link()
    pid = await tasks.start_child(sleep)
    assert await tasks.children() == [pid]
    await tasks.stop_child(pid)
    assert await tasks.children() == []
    await tasks.stop()


@process
async def test_supervisor_counts_and_stops_its_children():
    tasks = await TaskSupervisor.start_link()
    pids = [await tasks.start_child(sleep) for _ in range(3)]
    refs = [bp.monitor(pid) for pid in pids]
    await tasks.stop()
    for pid, ref in zip(pids, refs, strict=True):
        assert await end_of(pid, ref) == "shutdown"


# --- Task.async_stream


async def results(*args: Any, **options: Any) -> list[Any]:
    return [item async for item in async_stream(*args, **options)]


@process
async def test_async_stream_streams_in_order():
    assert await results(range(1, 6), value, max_concurrency=4) == [1, 2, 3, 4, 5]
    assert sorted(await results(range(1, 6), value, max_concurrency=4, ordered=False)) == [1, 2, 3, 4, 5]


@process
async def test_async_stream_is_lazy_and_takes_ahead_by_a_bounded_number():
    taken = itertools.count()
    stream = async_stream(taken, value, max_concurrency=3)
    assert [await anext(stream) for _ in range(4)] == [0, 1, 2, 3]
    await stream.aclose()
    assert next(taken) <= 4 + 2 * 3 - 1


@process
async def test_async_stream_with_max_concurrency_zero_is_refused():
    with pytest.raises(ValueError, match="max_concurrency"):
        async_stream([1], value, max_concurrency=0)


@process
async def test_async_stream_failing_differs_it_raises_in_its_place():
    # In Elixir the link ends the caller, whatever was read until then.
    async def odd_fails(n: int) -> int:
        return await fail() if n % 2 else n  # type: ignore[return-value]

    stream = async_stream(range(9), odd_fails, max_concurrency=4)
    assert await anext(stream) == 0
    with pytest.raises(ValueError, match="oops"):
        await anext(stream)


@process
async def test_async_stream_nolink_is_return_exceptions():
    items = await results(range(3), leave, return_exceptions=True)
    assert [error.reason for error in items] == [0, 1, 2]


@process
async def test_async_stream_with_timeout_exits():
    with pytest.raises(TaskTimeout):
        await results([FOREVER], sleep, timeout=0.01)


@process
async def test_async_stream_with_on_timeout_kill_task():
    items = await results([0, FOREVER, 0], sleep, max_concurrency=1, timeout=0.02, on_timeout="kill")
    assert [type(item) for item in items] == [type(None), TaskTimeout, type(None)]


@process
async def test_async_stream_with_inner_halt_and_slow_tasks():
    stream = async_stream([0, FOREVER, FOREVER], sleep, max_concurrency=4)
    async for _ in stream:
        break
    await stream.aclose()
    await harness.nothing()


@process
async def test_async_stream_sets_callers():
    async def who(_: int) -> Any:
        return callers()

    assert await results(range(2), who) == [(bp.self(),)] * 2


@process
async def test_async_stream_ends_its_tasks_when_the_parent_is_killed():
    async def parent(tell: bp.Pid) -> None:
        async def item(_: int) -> None:
            bp.send(tell, bp.self())
            await sleep()

        await results(range(4), item, max_concurrency=4)

    pid = bp.spawn(parent, bp.self())
    items = [await harness.expect(bp.Pid) for _ in range(4)]
    bp.exit(pid, "kill")
    for item in items:
        await harness.ended(item)


# --- Agent


@process
async def test_agent_get_update_get_and_update_and_cast():
    agent = await Agent.start_link(dict)
    assert await agent.update(lambda it: it | {"hello": "world"}) is None
    assert await agent.get(lambda it: it["hello"]) == "world"
    assert await agent.get_and_update(lambda it: (it.pop("hello"), it)) == "world"
    assert await agent.get(len) == 0
    agent.cast(lambda it: it | {"a": 1})
    assert await agent.get(dict) == {"a": 1}
    await agent.stop()


@process
async def test_agent_runs_functions_in_its_own_process():
    agent = await Agent.start_link(0)
    assert await agent.get(lambda _: bp.self()) == agent.pid
    await agent.stop()


async def test_agent_an_error_ends_it_and_reaches_the_caller(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        agent = await Agent.start(0)
        with pytest.raises(ZeroDivisionError):
            await agent.update(lambda n: 1 // n)
        with pytest.raises(NoProcess):
            await agent.get(str)

    await harness.run(body)


# --- at scale


@process
async def test_ten_thousand_tasks_at_once():
    tasks = [Task.spawn(value, n) for n in range(10_000)]
    for n, task in enumerate(tasks):
        assert await task == n


@process
async def test_ten_thousand_tasks_stopped_at_once():
    tasks = [Task.spawn(sleep) for _ in range(10_000)]
    await tasks[0].wait(0)
    for task in tasks:
        task.cancel()
    await harness.ended(tasks[-1].pid)
