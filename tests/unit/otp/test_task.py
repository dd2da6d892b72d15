"""Task: one function in a process of its own, its handle, and who hears of its failure."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import pickle
import threading
from functools import partial
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.signals import Crash
from beampy.errors import (
    BadFunction,
    CallTimeout,
    EncodeError,
    Exited,
    NotInNode,
    NotTaskOwner,
    RemoteTraceback,
    ServerExited,
    TaskTimeout,
)
from beampy.otp.task import Task, callers
from beampy.testing import harness
from tests.unit.otp.tidy import assert_unattached, process, tidy, unlooked_at

FOREVER = 3600.0


async def double(n: int) -> int:
    return 2 * n


async def fail(text: str = "boom") -> None:
    raise ValueError(text)


async def fail_when_told(text: str = "boom") -> None:
    await bp.receive()
    raise ValueError(text)


async def answer_when_told() -> Any:
    return await bp.receive()


async def forever(*_: object) -> None:
    await asyncio.sleep(FOREVER)


class Awkward:
    """An async callable that is no function."""

    async def __call__(self, n: int) -> int:
        return n + 1


# --- values


@process
async def test_a_task_gives_its_value():
    task = Task.spawn(double, 4)
    assert not task.done()
    assert await task == 8
    assert task.done()
    assert await task == 8  # again
    assert task.result() == 8
    assert task.exception() is None


@process
async def test_it_runs_in_a_process_of_its_own_that_ends_with_the_value():
    async def me() -> bp.Pid:
        return bp.self()

    task = Task.spawn(me)
    assert bp.is_alive(task.pid)
    assert task.owner == bp.self()
    assert await task == task.pid != bp.self()
    assert not bp.is_alive(task.pid)


@process
async def test_it_starts_at_once_and_not_at_the_await():
    me, sent = bp.self(), "begun"

    async def say() -> None:
        bp.send(me, sent)

    task = Task.spawn(say)
    await harness.expect(sent)
    await task


@process
async def test_None_is_a_value():
    async def nothing() -> None: ...

    assert await Task.spawn(nothing) is None


@process
async def test_gather_wait_and_as_completed_take_tasks():
    tasks = [Task.spawn(double, n) for n in range(5)]
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8]
    tasks = [Task.spawn(double, n) for n in range(5)]
    done, pending = await asyncio.wait(tasks)
    assert (done, pending) == (set(tasks), set())
    assert sorted(task.result() for task in done) == [0, 2, 4, 6, 8]
    tasks = [Task.spawn(double, n) for n in range(5)]
    assert sorted([await one for one in asyncio.as_completed(tasks)]) == [0, 2, 4, 6, 8]


@process
async def test_a_task_group_of_asyncio_may_wait_for_tasks():
    async def value(task: Task[int]) -> int:
        return await task

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(value(Task.spawn(double, n))) for n in range(3)]
    assert [task.result() for task in waiting] == [0, 2, 4]


@process
async def test_ten_thousand_at_once():
    tasks = [Task.spawn(double, n) for n in range(10_000)]
    assert await asyncio.gather(*tasks) == list(range(0, 20_000, 2))


@process
async def test_ten_thousand_one_after_the_other_leave_nothing():
    for n in range(10_000):
        assert await Task.spawn(double, n) == 2 * n
    assert_unattached()


@process
async def test_tasks_start_tasks():
    async def sum_to(n: int) -> int:
        return n + (await Task.spawn(sum_to, n - 1) if n else 0)

    assert await Task.spawn(sum_to, 50) == 1275


@process
async def test_a_strict_node_copies_the_value():
    kept: list[list[int]] = []

    async def give() -> list[int]:
        kept.append([1])
        return kept[0]

    assert await Task.spawn(give) is kept[0]


async def test_on_a_strict_node_a_value_is_a_copy_and_one_that_cannot_travel_an_error():
    kept: list[Any] = [[1], threading.Lock()]

    async def give(n: int) -> Any:
        return kept[n]

    async def body() -> None:
        assert await Task.spawn(give, 0) == [1]
        assert await Task.spawn(give, 0) is not kept[0]
        with pytest.raises(EncodeError):
            await Task.spawn(give, 1)

    await harness.run(body, strict=True)


# --- functions


@process
async def test_async_functions_of_every_make_run_in_the_process():
    async def who(*_: object) -> bp.Pid | None:
        return bp.self() if api.self_process().owns_current_task() else None

    class Maker:
        async def method(self) -> bp.Pid | None:
            return await who()

        __call__ = method

    for fn in (who, partial(who, 1), partial(partial(who, 1), 2), Maker().method, Maker()):
        task = Task.spawn(fn)
        assert await task == task.pid
    assert await Task.spawn(Awkward(), 2) == 3


@process
async def test_other_functions_run_in_a_thread():
    loop_thread = threading.get_ident()

    def work(n: int) -> tuple[int, bp.Pid]:
        bp.send(me, threading.get_ident())
        return n + 1, bp.self()

    me = bp.self()
    task = Task.spawn(work, 1)
    assert await task == (2, task.pid)
    thread = await harness.expect(int)
    if api.self_process().node.loop.__class__.__name__ != "SimLoop":  # its threads are not threads
        assert thread != loop_thread
    assert await Task.spawn(lambda: double(2)) == 4
    assert await Task.spawn(int, "7") == 7


@process
async def test_an_error_of_a_function_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        await Task.spawn(lambda: 1 // 0)


@process
async def test_what_is_no_function_is_refused():
    with pytest.raises(BadFunction, match="leave out the call"):
        Task.spawn(double(1))
    with pytest.raises(BadFunction, match="a int"):
        Task.spawn(3)
    with pytest.raises(TypeError):
        await Task.spawn(double)


@process
async def test_a_task_has_the_context_of_its_owner():
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(5)

    async def read() -> int:
        value = variable.get()
        variable.set(6)
        return value

    assert await Task.spawn(read) == 5
    assert await Task.spawn(variable.get) == 5
    assert variable.get() == 5


@process
async def test_callers_are_those_on_whose_behalf_it_runs():
    async def chain(n: int) -> tuple[tuple[bp.Pid, ...], bp.Pid]:
        if n:
            return await Task.spawn(chain, n - 1)
        return callers(), api.ancestors()[0]

    assert callers() == ()
    first = Task.spawn(chain, 1)
    seen, parent = await first
    assert seen == (first.pid, bp.self())
    assert parent == first.pid

    async def in_asyncio_task() -> tuple[bp.Pid, ...]:
        async def inner() -> tuple[bp.Pid, ...]:
            return callers()

        return await asyncio.create_task(inner())

    assert await Task.spawn(in_asyncio_task) == (bp.self(),)
    assert await Task.spawn(callers) == (bp.self(),)
    assert callers() == ()


# --- failures, awaited


@process
async def test_an_awaited_failure_is_raised_as_itself_and_nowhere_else():
    with pytest.raises(ValueError, match="boom") as caught:
        await Task.spawn(fail)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in fail" in str(caught.value.__cause__)
    assert any("raised in <Pid" in note for note in caught.value.__notes__)


@process
async def test_a_failure_that_was_awaited_can_be_asked_for_again():
    task = Task.spawn(fail)
    for _ in range(2):
        with pytest.raises(ValueError, match="boom"):
            await task
    assert isinstance(task.exception(), ValueError)


@process
async def test_an_owner_that_gathers_sees_the_failure():
    slow = Task.spawn(answer_when_told)
    with pytest.raises(ValueError, match="boom"):
        await asyncio.gather(slow, Task.spawn(fail))
    bp.send(slow.pid, "on")  # gather leaves the others running
    assert await slow == "on"
    results = await asyncio.gather(Task.spawn(double, 1), Task.spawn(fail), return_exceptions=True)
    assert results[0] == 2
    assert isinstance(results[1], ValueError)


@process
async def test_an_owner_that_waits_with_asyncio_sees_the_failure():
    task = Task.spawn(fail)
    await asyncio.wait([task])
    assert isinstance(task.exception(), ValueError)


async def test_an_awaited_failure_is_reported_by_nobody(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        with pytest.raises(ValueError, match="boom"):
            await Task.spawn(fail)
        with pytest.raises(ValueError, match="boom"):
            await Task.spawn(fail, nolink=True)

    await harness.run(body)
    unlooked_at()
    assert caplog.records == []


@process
async def test_a_task_killed_while_it_is_awaited_says_so():
    for nolink in (False, True):
        task = Task.spawn(forever, nolink=nolink)
        asyncio.get_running_loop().call_soon(lambda pid=task.pid: bp.exit(pid, "kill"))
        with pytest.raises(ServerExited, match="exited before it answered: killed") as caught:
            await task
        assert caught.value.target == task.pid
        assert caught.value.reason == "killed"


@process
async def test_a_task_ended_by_another_while_it_is_awaited_says_so():
    for reason in ("shutdown", "boom", ("shutdown", 1)):
        task = Task.spawn(forever)
        asyncio.get_running_loop().call_soon(bp.exit, task.pid, reason)
        with pytest.raises(ServerExited) as caught:
            await task
        assert caught.value.reason == reason


@process
async def test_a_task_that_exits_has_no_value():
    async def leave(reason: str) -> None:
        bp.exit(reason)

    for reason in ("normal", "shutdown", "because"):
        with pytest.raises(ServerExited) as caught:
            await Task.spawn(leave, reason)
        assert caught.value.reason == reason


@process
async def test_a_task_that_cancels_itself_has_no_value():
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ServerExited) as caught:
        await Task.spawn(give_up)
    assert caught.value.reason == "cancelled"


@process
async def test_an_error_whose_constructor_its_args_do_not_fit_arrives_as_itself():
    class Odd(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"{a} and {b}")

    async def odd() -> None:
        raise Odd(1, 2)

    with pytest.raises(Odd, match="1 and 2"):
        await Task.spawn(odd)


@process
async def test_an_error_that_cannot_be_copied_is_told_as_text():
    class Odd(Exception):
        def __new__(cls, *args: int) -> Any:
            return super().__new__(cls) if len(args) == 2 else ValueError("not Odd")

        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"{a} and {b}")

    async def odd() -> None:
        raise Odd(1, 2)

    with pytest.raises(bp.errors.RemoteError, match="1 and 2"):
        await Task.spawn(odd)


# --- failures, not awaited


async def owner_of(tell: bp.Pid, fn: Any, *args: Any, nolink: bool = False, trap: bool = False) -> Any:
    """Spawns a task and waits for something else."""
    if trap:
        bp.trap_exit(True)
    task = Task.spawn(fn, *args, nolink=nolink)
    bp.send(tell, task.pid)
    message = await bp.receive()
    bp.send(tell, message)
    return await task


async def new_owner(fn: Any, *args: Any, **options: Any) -> tuple[bp.Pid, bp.Pid]:
    """(owner, its task)"""
    owner = bp.spawn(partial(owner_of, **options), bp.self(), fn, *args)
    return owner, await harness.expect(bp.Pid)


async def test_a_failure_that_nobody_awaits_ends_the_owner(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        owner, task = await new_owner(fail_when_told)
        bp.send(task, "now")
        reason = await harness.ended(owner)
        assert isinstance(reason, Crash)
        assert (reason.type, reason.message) == ("ValueError", "boom")

    await harness.run(body)
    unlooked_at()
    assert len(caplog.records) == 1  # by the task, with its traceback; the owner's end is no news
    assert "fail_when_told" in caplog.text


@process
async def test_a_task_killed_while_nobody_awaits_it_ends_the_owner():
    owner, task = await new_owner(forever)
    bp.exit(task, "kill")
    assert await harness.ended(owner) == "killed"


@process
async def test_an_owner_that_traps_exits_is_told():
    owner, task = await new_owner(fail_when_told, trap=True)
    bp.monitor(owner)
    bp.send(task, "now")
    crash = Crash("ValueError", "boom")
    assert await harness.expect(bp.Exit) == bp.Exit(task, crash)
    down = await harness.expect(bp.Down)  # it went on to await the task
    assert down.reason == crash


@process
async def test_an_owner_that_traps_exits_hears_nothing_of_a_value():
    bp.trap_exit(True)
    assert await Task.spawn(double, 1) == 2
    task = Task.spawn(answer_when_told)
    bp.send(task.pid, "x")
    await harness.ended(task.pid)
    await harness.nothing()
    assert await task == "x"
    with pytest.raises(ValueError, match="boom"):
        await Task.spawn(fail)
    killed = Task.spawn(forever)
    asyncio.get_running_loop().call_soon(bp.exit, killed.pid, "kill")
    with pytest.raises(ServerExited):
        await killed


@process
async def test_a_failure_while_another_task_is_awaited_ends_the_owner():
    async def two(tell: bp.Pid) -> None:
        first, second = Task.spawn(forever), Task.spawn(fail_when_told)
        bp.send(tell, (first.pid, second.pid))
        await first
        await second

    owner = bp.spawn(two, bp.self())
    first, second = await harness.expect((..., ...))
    bp.send(second, "now")
    assert await harness.ended(owner) == Crash("ValueError", "boom")
    assert await harness.ended(first) in ("shutdown", "noproc")


async def test_without_a_link_a_failure_waits_for_the_await(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        owner, task = await new_owner(fail_when_told, nolink=True)
        bp.send(task, "now")
        await harness.ended(task)
        assert bp.is_alive(owner)
        bp.monitor(owner)
        bp.send(owner, "go on")
        await harness.expect("go on")
        assert (await harness.expect(bp.Down)).reason == Crash("ValueError", "boom")

    await harness.run(body)
    assert len(caplog.records) == 1  # the owner's crash


async def test_without_a_link_a_failure_that_nobody_looks_at_is_logged(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        task = Task.spawn(fail, nolink=True)
        await harness.ended(task.pid)
        del task
        unlooked_at()

    await harness.run(body)
    assert "nobody looked at the failure of <Task" in caplog.text
    assert len(caplog.records) == 1


@process
async def test_an_unlinked_task_is_as_one_without_a_link():
    task = Task.spawn(fail_when_told)
    bp.unlink(task.pid)
    bp.send(task.pid, "now")
    await harness.ended(task.pid)
    with pytest.raises(ValueError, match="boom"):
        await task


# --- owners


@process
async def test_tasks_end_with_their_owner_however_that_ends():
    async def own(tell: bp.Pid, nolink: bool, awaits: bool, end: str) -> None:
        task = Task.spawn(forever, nolink=nolink)
        bp.send(tell, task.pid)
        if end == "return":
            return
        if end == "raise":
            bp.exit("gone")
        await (task if awaits else bp.receive())

    for nolink in (False, True):
        for awaits in (False, True):
            for end in ("return", "raise", "kill", "shutdown", "crash"):
                owner = bp.spawn(own, bp.self(), nolink, awaits, end)
                task = await harness.expect(bp.Pid)
                if end not in ("return", "raise"):
                    bp.exit(owner, end)
                await harness.ended(owner)
                assert await harness.ended(task) in ("shutdown", "noproc"), (nolink, awaits, end)


@process
async def test_tasks_of_tasks_end_with_the_first_owner():
    async def nest(tell: bp.Pid, n: int) -> None:
        bp.send(tell, bp.self())
        if n:
            await Task.spawn(nest, tell, n - 1)
        await forever()

    task = Task.spawn(nest, bp.self(), 3)
    pids = [await harness.expect(bp.Pid) for _ in range(4)]
    assert await task.shutdown() is None
    assert pids[0] == task.pid
    for pid in pids:
        await harness.ended(pid)


@process
async def test_only_its_owner_may_use_a_task():
    task = Task.spawn(forever)

    async def use(use: str) -> None:
        if use == "await":
            await task
        elif use == "ignore":
            task.ignore()
        else:
            await getattr(task, use)()

    for verb in ("await", "wait", "shutdown", "ignore"):
        with pytest.raises(NotTaskOwner, match=f"{verb}: .* belongs to") as caught:
            await Task.spawn(use, verb)
        assert caught.value.owner == bp.self()
    assert bp.is_alive(task.pid)
    await task.shutdown()


@process
async def test_asyncio_tasks_of_its_owner_may_use_it():
    task = Task.spawn(answer_when_told)

    async def use() -> Any:
        return await task

    waiting = asyncio.create_task(use())
    bp.send(task.pid, 3)
    assert await waiting == 3


async def test_the_body_of_a_node_owns_tasks_like_a_process():
    async with bp.Node():
        before = set(bp.processes())
        assert await Task.spawn(double, 2) == 4
        assert await asyncio.gather(*(Task.spawn(double, n) for n in range(10))) == list(range(0, 20, 2))
        with pytest.raises(ValueError, match="boom"):
            await Task.spawn(fail)
        task = Task.spawn(forever)
        assert await task.wait(0.01) is None
        assert await task.shutdown() is None
        await tidy(before)


async def test_a_failure_that_the_body_of_a_node_does_not_await_ends_it(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        async with bp.Node():
            task = Task.spawn(fail)
            await asyncio.sleep(FOREVER)
            await task

    with pytest.raises(Exited, match="boom"):
        await body()
    assert len(caplog.records) == 1


def test_outside_of_any_node_there_are_no_tasks():
    with pytest.raises(NotInNode):
        Task.spawn(double, 1)


# --- cancelling


@process
async def test_cancelling_the_code_that_awaits_it_stops_the_task():
    for nolink in (False, True):
        task = Task.spawn(forever, nolink=nolink)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await task
        assert await harness.ended(task.pid) in ("shutdown", "noproc")
        assert task.cancelled()
        with pytest.raises(asyncio.CancelledError):
            await task


@process
async def test_cancelling_an_asyncio_task_that_awaits_it_stops_the_task():
    task = Task.spawn(forever)

    async def use() -> None:
        await task

    waiting = asyncio.create_task(use())
    await task.wait(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await harness.ended(task.pid) in ("shutdown", "noproc")


@process
async def test_cancelling_a_gather_stops_its_tasks():
    tasks = [Task.spawn(forever) for _ in range(3)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.gather(*tasks)
    for task in tasks:
        assert await harness.ended(task.pid) in ("shutdown", "noproc")


@process
async def test_cancelling_a_gather_of_calls():
    pid = bp.spawn(forever)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.gather(bp.call(pid, 1), bp.call(pid, 2))
    bp.exit(pid, "kill")


@process
async def test_cancelling_the_handle_stops_the_task():
    task = Task.spawn(forever)
    assert task.cancel()
    assert not task.cancel()
    assert task.cancelled()
    assert await harness.ended(task.pid) in ("shutdown", "noproc")
    done = Task.spawn(double, 1)
    await done
    assert not done.cancel()


@process
async def test_a_cancelled_task_may_clean_up_and_say_so():
    me = bp.self()

    async def careful() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            bp.send(me, "clean")
        return "late"

    task = Task.spawn(careful)
    await task.wait(0.01)
    task.cancel()
    await harness.expect("clean")


@process
async def test_a_task_cancelled_before_its_first_step_never_runs():
    async def never(tell: bp.Pid) -> None:
        bp.send(tell, "ran")

    task = Task.spawn(never, bp.self())
    task.cancel()
    await harness.ended(task.pid)
    await harness.nothing()


@process
async def test_a_shielded_task_survives_a_timeout():
    task = Task.spawn(answer_when_told)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.shield(task)
    bp.send(task.pid, "later")
    assert await task == "later"


# --- wait


@process
async def test_wait_gives_none_while_it_runs_and_may_be_repeated():
    task = Task.spawn(answer_when_told)
    for seconds in (0, 0.01, 0):
        assert await task.wait(seconds) is None
    assert await task.wait(0, "not yet") == "not yet"
    bp.send(task.pid, 1)
    assert await task.wait() == 1
    assert await task.wait(0, "not yet") == 1
    assert await task == 1


@process
async def test_wait_raises_the_failure():
    task = Task.spawn(fail)
    with pytest.raises(ValueError, match="boom"):
        await task.wait(FOREVER)


@process
async def test_a_cancelled_wait_leaves_the_task_alone():
    task = Task.spawn(answer_when_told)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await task.wait()
    bp.send(task.pid, "still here")
    assert await task == "still here"


@process
async def test_between_waits_the_link_is_on():
    async def waits_once(tell: bp.Pid) -> None:
        task = Task.spawn(fail_when_told)
        await task.wait(0)
        bp.send(tell, task.pid)
        await bp.receive()

    owner = bp.spawn(waits_once, bp.self())
    task = await harness.expect(bp.Pid)
    info = bp.process_info(owner)
    assert info is not None
    assert info.links == (task,)
    bp.send(task, "now")
    assert await harness.ended(owner) == Crash("ValueError", "boom")


# --- shutdown and ignore


@process
async def test_shutdown_of_a_running_task():
    for how in (5.0, None, "brutal_kill"):
        for nolink in (False, True):
            task = Task.spawn(forever, nolink=nolink)
            await task.wait(0)
            assert await task.shutdown(how) is None  # type: ignore[arg-type]
            assert not bp.is_alive(task.pid)
            assert task.done()
            assert await task.shutdown(how) is None  # type: ignore[arg-type]  # again


@process
async def test_shutdown_of_a_task_that_has_not_begun():
    for how in (5.0, "brutal_kill"):
        task = Task.spawn(double, 1)
        assert await task.shutdown(how) is None  # type: ignore[arg-type]
        assert not bp.is_alive(task.pid)


@process
async def test_shutdown_returns_a_value_that_came_first():
    task = Task.spawn(double, 1)
    await harness.ended(task.pid)
    assert await task.shutdown() == 2


@process
async def test_shutdown_returns_a_value_that_the_task_gives_on_its_way_out():
    async def save() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            return "saved"
        return "never"

    task = Task.spawn(save)
    await task.wait(0)
    assert await task.shutdown() == "saved"


@process
async def test_shutdown_raises_a_failure_that_came_first():
    task = Task.spawn(fail, nolink=True)
    await harness.ended(task.pid)
    with pytest.raises(ValueError, match="boom"):
        await task.shutdown()


async def test_a_failing_cleanup_is_logged_and_shutdown_goes_on(caplog: pytest.LogCaptureFixture):
    async def untidy() -> None:
        try:
            await forever()
        finally:
            raise ValueError("in the cleanup")

    async def body() -> None:
        task = Task.spawn(untidy)
        await task.wait(0)
        assert await task.shutdown() is None

    await harness.run(body)
    assert "in the cleanup" in caplog.text


@process
async def test_shutdown_kills_a_task_that_takes_too_long():
    async def slow() -> None:
        try:
            await forever()
        finally:
            await forever()

    task = Task.spawn(slow)
    await task.wait(0)
    assert await task.shutdown(0.02) is None
    assert not bp.is_alive(task.pid)


@process
async def test_shutdown_kills_a_task_that_traps_exits():
    async def deaf() -> None:
        bp.trap_exit(True)
        async for _ in bp.mailbox():
            pass

    task = Task.spawn(deaf)
    await task.wait(0)
    assert await task.shutdown(0.02) is None
    assert not bp.is_alive(task.pid)


@process
async def test_a_cancelled_shutdown_has_told_the_task():
    async def slow() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.03)

    task = Task.spawn(slow)
    await task.wait(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await task.shutdown()
    assert await harness.ended(task.pid) == "shutdown"


@process
async def test_an_ignored_task_runs_on_for_nobody():
    task = Task.spawn(answer_when_told)
    task.ignore()
    assert_unattached()
    assert bp.is_alive(task.pid)
    bp.send(task.pid, "value")
    assert await harness.ended(task.pid) == "normal"
    await harness.nothing()
    with pytest.raises(NotTaskOwner, match="ignored"):
        await task
    done = Task.spawn(double, 1)
    await done
    done.ignore()
    assert await done == 2


@process
async def test_an_ignored_task_outlives_its_owner():
    async def own(tell: bp.Pid) -> None:
        task = Task.spawn(answer_when_told)
        task.ignore()
        bp.send(tell, task.pid)

    owner = bp.spawn(own, bp.self())
    task = await harness.expect(bp.Pid)
    await harness.ended(owner)
    assert bp.is_alive(task)
    bp.send(task, "end")
    assert await harness.ended(task) == "normal"


async def test_the_failure_of_an_ignored_task_is_logged(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        task = Task.spawn(fail)
        task.ignore()
        await harness.ended(task.pid)

    await harness.run(body)
    unlooked_at()
    assert len(caplog.records) == 1
    assert "ValueError: boom" in caplog.text


# --- deadlines


@process
async def test_a_task_may_have_a_deadline():
    for nolink in (False, True):
        task = Task.spawn(forever, nolink=nolink, timeout=0.02)
        with pytest.raises(TaskTimeout, match=r"ran longer than 0\.02 s and was stopped") as caught:
            await task
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(caught.value, CallTimeout)
        assert await harness.ended(task.pid) in ("shutdown", "noproc")
    assert await Task.spawn(double, 1, timeout=FOREVER) == 2
    for seconds in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="timeout is a number of seconds"):
            Task.spawn(double, 1, timeout=seconds)


async def test_a_deadline_that_nobody_awaits_ends_the_owner(caplog: pytest.LogCaptureFixture):
    async def own() -> None:
        task = Task.spawn(forever, timeout=0.02)
        await bp.receive()
        del task

    async def body() -> None:
        reason = await harness.ended(bp.spawn(own))
        assert isinstance(reason, Crash)
        assert reason.type.endswith("TaskTimeout")

    await harness.run(body)
    assert "ran longer than" in caplog.text


# --- what it is


@process
async def test_how_it_shows():
    task = Task.spawn(forever)
    assert repr(task) == f"<Task {task.pid.node} {task.pid.serial} forever running>"
    info = bp.process_info(task.pid)
    assert info is not None
    assert info.label == "forever"
    assert info.links == (bp.self(),)
    mine = bp.process_info(bp.self())
    assert mine is not None
    assert mine.tasks == 1
    task.cancel()
    assert "cancelled" in repr(task)
    assert {task: 1}[task] == 1
    assert task != Task.spawn(double, 1)


@process
async def test_a_handle_stays_at_home():
    task = Task.spawn(double, 1)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(task)
    await task


@process
async def test_errors_of_tasks_travel():
    for error in (TaskTimeout(bp.self(), 1.0), NotTaskOwner("await", bp.self(), None)):
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error)


# --- threads


@pytest.mark.loops("asyncio")
@process
async def test_threads_of_a_process_use_its_tasks():
    def work() -> list[Any]:
        task = Task.spawn(double, 4)
        values: list[Any] = [task.result(5), task.result(), Task.spawn(lambda: 1).result(5)]
        with pytest.raises(ValueError, match="boom"):
            Task.spawn(fail).result(5)
        assert isinstance(Task.spawn(fail).exception(5), ValueError)
        slow = Task.spawn(forever)
        with pytest.raises(TimeoutError):
            slow.result(0.01)
        assert slow.wait(0.01).result(5) is None
        assert slow.shutdown().result(5) is None
        gone = Task.spawn(forever)
        assert gone.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            gone.result(5)
        with pytest.raises(concurrent.futures.CancelledError):
            gone.result(5)  # now that it is settled
        return values

    assert await asyncio.to_thread(work) == [8, 8, 1]
    assert await Task.spawn(work) == [8, 8, 1]


def test_a_node_of_start_is_used_from_any_thread(caplog: pytest.LogCaptureFixture):
    with bp.start() as node:
        task = Task.spawn(double, 4)
        assert task.result(5) == 8
        assert asyncio.run(awaited(task)) == 8
        assert asyncio.run(awaited(Task.spawn(double, 5))) == 10
        with pytest.raises(ValueError, match="boom"):
            Task.spawn(fail).result(5)
        slow = Task.spawn(forever)
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(awaited(slow), 0.01))
        with pytest.raises(concurrent.futures.CancelledError):
            slow.result(5)
        assert node._outside is not None
        assert not node._outside._mailbox  # nobody would read it
        left = Task.spawn(forever)
    assert left.cancelled()
    assert caplog.records == []


async def awaited(task: Task[Any]) -> Any:
    return await task


def test_a_failure_that_a_thread_never_asks_for_is_logged(caplog: pytest.LogCaptureFixture):
    with bp.start() as node:
        task = Task.spawn(fail)
        assert task.exception(5) is not None
        assert node._outside is not None
        assert not node._outside._mailbox
        quiet = Task.spawn(fail)
        node.run(settled, quiet).result(5)
        del quiet
        unlooked_at()
    assert "nobody looked at the failure" in caplog.text


async def settled(task: Task[Any]) -> None:
    await harness.ended(task.pid)
