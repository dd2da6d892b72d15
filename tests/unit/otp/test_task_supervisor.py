"""TaskSupervisor: tasks that are somebody else's children."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.signals import Crash
from beampy.errors import (
    BadFunction,
    BadSpec,
    ChildError,
    NoProcess,
    NotRegistered,
    NotTaskOwner,
    ServerExited,
    StartFailed,
    TaskTimeout,
)
from beampy.otp import debug
from beampy.otp.task import Task, callers
from beampy.otp.task_supervisor import TaskSupervisor
from beampy.testing import harness
from tests.unit.otp.tidy import Body, process, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = 3600.0


async def double(n: int) -> int:
    return 2 * n


async def fail(text: str = "boom") -> None:
    raise ValueError(text)


async def told() -> Any:
    message = await bp.receive()
    if message == "fail":
        await fail()
    return message


async def forever(*_: object) -> None:
    await asyncio.sleep(FOREVER)


async def deaf(tell: bp.Pid) -> None:
    bp.trap_exit(True)
    bp.send(tell, "deaf")
    async for _ in bp.mailbox():
        pass


def supervised(**options: Any) -> Callable[[Callable[..., Any]], Body]:
    """The test gets a task supervisor, which is stopped after it."""

    def decorate(test: Callable[..., Any]) -> Body:
        async def run(*args: Any) -> None:
            tasks = await TaskSupervisor.start_link(**options)
            await test(tasks, *args)
            await tasks.stop()

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        return process(run)

    return decorate


async def down_of(pid: bp.Pid, ref: bp.Ref) -> Any:
    down = await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)
    assert down.target == pid
    return down.reason


# --- tasks with an owner


@supervised()
async def test_a_supervised_task_gives_its_value_to_its_owner(tasks: TaskSupervisor):
    for start in (tasks.spawn, tasks.spawn_nolink):
        task: Task[int] = await start(double, 4)
        assert task.owner == bp.self()
        assert await task == 8


@supervised()
async def test_it_is_a_child_of_the_supervisor(tasks: TaskSupervisor):
    async def family() -> tuple[bp.Pid, tuple[bp.Pid, ...]]:
        return api.ancestors()[0], callers()

    for start in (tasks.spawn, tasks.spawn_nolink):
        assert await (await start(family)) == (tasks.pid, (bp.self(),))


@supervised()
async def test_children_are_listed_while_they_run(tasks: TaskSupervisor):
    assert await tasks.children() == []
    first, second = await tasks.spawn(told), await tasks.spawn_nolink(told)
    third = await tasks.start_child(told)
    assert await tasks.children() == [first.pid, second.pid, third]
    info = bp.process_info(first.pid)
    assert info is not None
    assert set(info.links) == {tasks.pid, bp.self()}
    assert info.label == "told"
    for pid in (first.pid, second.pid, third):
        bp.send(pid, "end")
    assert await asyncio.gather(first, second) == ["end", "end"]
    await tasks.children()  # it has heard of their ends after this
    assert await tasks.children() == []


@supervised()
async def test_the_mailbox_of_a_task_is_its_own(tasks: TaskSupervisor):
    task = await tasks.spawn(told)
    bp.send(task.pid, "first")
    assert await task == "first"


@supervised()
async def test_other_functions_run_in_threads(tasks: TaskSupervisor):
    assert await (await tasks.spawn(int, "7")) == 7
    assert await (await tasks.spawn_nolink(lambda: double(3))) == 6
    with pytest.raises(BadFunction, match=r"TaskSupervisor\.spawn"):
        await tasks.spawn(3)  # type: ignore[call-overload]


@supervised()
async def test_an_awaited_failure_is_raised(tasks: TaskSupervisor):
    for start in (tasks.spawn, tasks.spawn_nolink):
        task: Task[None] = await start(told)
        asyncio.get_running_loop().call_soon(bp.send, task.pid, "fail")
        with pytest.raises(ValueError, match="boom"):
            await task


@supervised()
async def test_a_failure_that_nobody_awaits_ends_the_owner_and_not_the_supervisor(tasks: TaskSupervisor):
    async def own(tell: bp.Pid) -> None:
        task = await tasks.spawn(told)
        bp.send(tell, task.pid)
        await bp.receive()

    owner, ref = bp.spawn_monitor(own, bp.self())
    bp.send(await harness.expect(bp.Pid), "fail")
    assert await down_of(owner, ref) == Crash("ValueError", "boom")
    assert await tasks.children() == []


@supervised()
async def test_without_a_link_the_failure_waits_for_the_await(tasks: TaskSupervisor):
    task = await tasks.spawn_nolink(told)
    bp.send(task.pid, "fail")
    await harness.ended(task.pid)
    with pytest.raises(ValueError, match="boom"):
        await task


@supervised()
async def test_a_linked_task_ends_with_its_owner_and_another_one_does_not(tasks: TaskSupervisor):
    async def own(tell: bp.Pid) -> None:
        linked, free = await tasks.spawn(forever), await tasks.spawn_nolink(told)
        bp.send(tell, (linked.pid, free.pid))
        await bp.receive()

    for end in ("kill", "shutdown"):
        owner, ref = bp.spawn_monitor(own, bp.self())
        linked, free = await harness.expect((..., ...))
        bp.exit(owner, end)
        await down_of(owner, ref)
        await harness.ended(linked)
        assert await tasks.children() == [free]
        bp.send(free, "end")
        assert await harness.ended(free) == "normal"


@supervised()
async def test_only_its_owner_may_use_a_task(tasks: TaskSupervisor):
    task = await tasks.spawn(forever)

    async def use() -> None:
        await task

    with pytest.raises(NotTaskOwner):
        await (await tasks.spawn_nolink(use))
    await task.shutdown()


@supervised()
async def test_wait_shutdown_ignore_and_cancel(tasks: TaskSupervisor):
    task = await tasks.spawn(forever)
    assert await task.wait(0) is None
    assert await task.shutdown() is None
    task = await tasks.spawn(forever)
    assert await task.shutdown("brutal_kill") is None
    task = await tasks.spawn(forever)
    assert task.cancel()
    await harness.ended(task.pid)
    free = await tasks.spawn(told)
    free.ignore()
    bp.send(free.pid, "end")
    assert await harness.ended(free.pid) == "normal"


@supervised()
async def test_a_deadline(tasks: TaskSupervisor):
    task = await tasks.spawn(forever, timeout=0.02)
    with pytest.raises(TaskTimeout):
        await task


@supervised()
async def test_an_owner_that_is_gone_before_its_task_begins(tasks: TaskSupervisor):
    async def own() -> None:
        await tasks.spawn(forever)
        await forever()

    for turns in range(12):  # the call, its answer, and the task's beginning: killed at each of them
        owner = bp.spawn(own)
        for _ in range(turns):
            await asyncio.sleep(0)
        bp.exit(owner, "kill")
        for pid in await tasks.children():
            await harness.ended(pid)
    assert await tasks.children() == []


@supervised()
async def test_a_start_that_is_given_up_starts_nothing_that_stays(tasks: TaskSupervisor):
    async def start() -> Task[None]:
        return await tasks.spawn(forever)

    for turns in range(12):
        starting = asyncio.create_task(start())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        try:
            task = await starting
        except asyncio.CancelledError:
            pass
        else:
            await task.shutdown()
        for pid in await tasks.children():
            await harness.ended(pid)
    assert await tasks.children() == []


@supervised()
async def test_a_thousand(tasks: TaskSupervisor):
    started = [await tasks.spawn(double, n) for n in range(1000)]
    assert await asyncio.gather(*started) == list(range(0, 2000, 2))


@supervised(max_children=2)
async def test_max_children(tasks: TaskSupervisor):
    first, _ = await tasks.spawn(told), await tasks.start_child(forever)
    for start in (tasks.spawn, tasks.spawn_nolink, tasks.start_child):
        with pytest.raises(ChildError, match="max_children"):
            await start(double, 1)
    bp.send(first.pid, "end")
    await first
    assert await (await tasks.spawn(double, 1)) == 2


# --- children without an owner


async def test_the_failure_of_a_child_is_logged_and_is_nobody_elses(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        tasks = await TaskSupervisor.start_link()
        pid = await tasks.start_child(told)
        bp.send(pid, "fail")
        assert await harness.ended(pid) == Crash("ValueError", "boom")
        assert await tasks.children() == []
        await tasks.stop()

    await harness.run(body)
    assert len(caplog.records) == 1
    assert "ValueError: boom" in caplog.text


@pytest.mark.parametrize(
    ("restart", "how", "again"),
    [
        ("temporary", "fail", False),
        ("temporary", "end", False),
        ("transient", "fail", True),
        ("transient", "end", False),
        ("permanent", "fail", True),
        ("permanent", "end", True),
    ],
)
@process
async def test_restarts(restart: Any, how: str, again: bool):
    tasks = await TaskSupervisor.start_link()
    pid = await tasks.start_child(told, restart=restart)
    bp.send(pid, how)
    await harness.ended(pid)
    children = await tasks.children()
    assert len(children) == again
    assert pid not in children
    await tasks.stop()


@process
async def test_too_many_restarts_end_the_supervisor_and_its_tasks():
    tasks = await TaskSupervisor.start(max_restarts=2, period=FOREVER)
    owned = await tasks.spawn_nolink(forever)
    ref = bp.monitor(tasks.pid)
    await tasks.start_child(fail, restart="permanent")
    assert await down_of(tasks.pid, ref) == "shutdown"
    with pytest.raises(ServerExited, match="shutdown"):
        await owned


@supervised()
async def test_stopping_a_child(tasks: TaskSupervisor):
    pid = await tasks.start_child(forever, restart="permanent")
    assert await tasks.stop_child(pid) is None
    assert not bp.is_alive(pid)
    assert await tasks.children() == []
    with pytest.raises(ChildError, match="no such child"):
        await tasks.stop_child(pid)


@supervised(shutdown=0.02)
async def test_stopping_a_deaf_child_kills_it(tasks: TaskSupervisor):
    pid = await tasks.start_child(deaf, bp.self())
    await harness.expect("deaf")
    await tasks.stop_child(pid)
    assert not bp.is_alive(pid)


@supervised(shutdown="brutal_kill")
async def test_stopping_by_killing(tasks: TaskSupervisor):
    pid = await tasks.start_child(deaf, bp.self())
    await harness.expect("deaf")
    await tasks.stop_child(pid)
    assert not bp.is_alive(pid)


@supervised()
async def test_wrong_restarts_are_refused(tasks: TaskSupervisor):
    with pytest.raises(BadSpec, match="restart"):
        await tasks.start_child(double, 1, restart="always")  # type: ignore[arg-type]


# --- its end


@pytest.mark.parametrize("shutdown", [5.0, "infinity", "brutal_kill"])
@process
async def test_its_tasks_end_with_it(shutdown: Any):
    tasks = await TaskSupervisor.start_link(shutdown=shutdown)
    linked, free = await tasks.spawn(forever), await tasks.spawn_nolink(forever)
    child = await tasks.start_child(forever, restart="permanent")
    waiting = asyncio.gather(linked, free, return_exceptions=True)
    await asyncio.sleep(0)
    await tasks.stop()
    for error in await waiting:
        assert isinstance(error, ServerExited)
        assert error.reason == ("killed" if shutdown == "brutal_kill" else "shutdown")
    for pid in (linked.pid, free.pid, child, tasks.pid):
        assert not bp.is_alive(pid)


async def test_what_does_not_end_in_time_is_killed(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        before = set(bp.processes())
        tasks = await TaskSupervisor.start_link(shutdown=0.02)
        pid = await tasks.start_child(deaf, bp.self())
        await harness.expect("deaf")
        await tasks.stop()
        assert not bp.is_alive(pid)
        await tidy(before)

    await harness.run(body)
    assert "did not end within 0.02 s and is killed" in caplog.text


@process
async def test_it_ends_with_its_parent():
    async def parent(tell: bp.Pid) -> None:
        tasks = await TaskSupervisor.start_link()
        bp.send(tell, (tasks.pid, await tasks.start_child(forever)))
        await bp.receive()

    pid = bp.spawn(parent, bp.self())
    supervisor, child = await harness.expect((..., ...))
    bp.exit(pid, "shutdown")
    await harness.ended(supervisor)
    assert not bp.is_alive(child)


async def test_one_that_is_not_linked_ends_with_the_node():
    async def body() -> bp.Pid:
        tasks = await TaskSupervisor.start()
        await tasks.start_child(forever)
        return tasks.pid

    await harness.run(body, shutdown_timeout=FOREVER)


# --- clients


@process
async def test_clients():
    tasks = await TaskSupervisor.start_link(name="tasks")
    named = TaskSupervisor.client("tasks")
    assert named.pid == tasks.pid
    assert await (await named.spawn(double, 1)) == 2
    assert tasks == TaskSupervisor.client(tasks.pid) != named
    assert pickle.loads(pickle.dumps(tasks)) == tasks
    assert hash(pickle.loads(pickle.dumps(tasks))) == hash(tasks)
    assert "tasks" in repr(named)
    assert tasks != "tasks"
    await tasks.stop()
    with pytest.raises(NotRegistered):
        _ = named.pid
    with pytest.raises(NoProcess):
        await tasks.spawn(double, 1)
    with pytest.raises(NoProcess):
        await named.start_child(double, 1)


@process
async def test_wrong_options_are_refused():
    for options in ({"max_children": -1}, {"max_children": "2"}, {"max_restarts": -1}, {"period": 0}):
        with pytest.raises(StartFailed) as caught:
            await TaskSupervisor.start_link(**options)  # type: ignore[arg-type]
        assert isinstance(caught.value.__cause__, BadSpec)


@process
async def test_as_a_child_of_a_supervisor():
    spec = TaskSupervisor.child_spec(name="tasks", max_children=3)
    assert (spec.id, spec.type, spec.shutdown) == ("tasks", "supervisor", "infinity")
    start, args = spec.call
    tasks = await start(*args)
    assert (await debug.get_state(tasks))["max_children"] == 3
    await tasks.stop()


@process
async def test_strangers_are_ignored():
    tasks = await TaskSupervisor.start_link()
    pid, ref = bp.spawn_monitor(forever)
    for message in ("hello", bp.Exit(pid, "x")):
        bp.send(tasks.pid, message)
    bp.exit(pid, "kill")
    await down_of(pid, ref)
    assert await tasks.children() == []
    await tasks.stop()


def test_from_threads():
    with bp.start() as node:
        tasks = TaskSupervisor.start().result(5)
        task = tasks.spawn(double, 4).result(5)
        assert task.result(5) == 8
        failing = tasks.spawn(fail).result(5)
        with pytest.raises(ValueError, match="boom"):
            failing.result(5)
        pid = tasks.start_child(forever).result(5)
        assert tasks.children().result(5) == [pid]
        tasks.stop().result(5)
        assert node._outside is not None
        assert not node._outside._mailbox
