"""task_surface: a process answers as an asyncio.Task does. The same script runs on both, and the notes are compared."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy import api
from beampy.testing import harness

if TYPE_CHECKING:
    from beampy.core.process import Process

LONG = 30.0

Notes = list[Any]

current_task = asyncio.current_task


async def pause(rounds: int = 3) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


async def in_a_task(worker: Any, script: Any) -> Notes:
    notes: Notes = []
    task = asyncio.get_running_loop().create_task(worker(notes))
    await script(task, notes)
    found = list(notes)
    while not task.done():
        task.cancel()
        await pause()
    return found


async def in_a_process(worker: Any, script: Any) -> Notes:
    async def body() -> Notes:
        notes: Notes = []
        pid = bp.spawn(worker, notes)
        process = api.self_process().node.find(pid)
        assert process is not None
        process.extras().quiet = True
        await script(process, notes)
        found = list(notes)
        while not process.done():
            process.cancel()
            await pause()
        return found

    return await harness.run(body)


# workers: what the task does


async def sleeps(notes: Notes) -> str:
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError as error:
        notes.append(("cancelled", error.args))
        raise
    return "slept"


async def waits_for_a_future(notes: Notes) -> str:
    future = asyncio.get_running_loop().create_future()
    try:
        await future
    except asyncio.CancelledError as error:
        notes.append(("cancelled", error.args, future.cancelled()))
        raise
    return "done"


async def goes_on(notes: Notes) -> str:
    for _ in range(3):
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError as error:
            task = current_task()
            notes.append(("cancelled", error.args, task.cancelling(), task.uncancel()))
    return "value"


async def returns(notes: Notes) -> str:
    return "value"


async def fails(notes: Notes) -> None:
    raise ValueError("x")


async def cancels_itself(notes: Notes) -> str:
    task = current_task()
    notes.append(("cancel", task.cancel("me"), task.cancelling()))
    notes.append("goes on to its next await")
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError as error:
        notes.append(error.args)
        raise
    return "no"


# scripts: what is done to it


async def is_cancelled(task: Any, notes: Notes) -> None:
    await pause()
    notes.append((task.done(), task.cancelled(), task.cancelling()))
    notes.append((task.cancel("why"), task.cancelling(), task.done()))
    await pause()
    notes.append((task.done(), task.cancelled(), task.cancel()))
    for ask in (task.result, task.exception):
        try:
            notes.append(repr(ask()))
        except (asyncio.CancelledError, asyncio.InvalidStateError, ValueError) as error:
            notes.append(type(error))


async def is_cancelled_before_it_begins(task: Any, notes: Notes) -> None:
    notes.append(task.cancel("early"))
    await pause()
    notes.append((task.done(), task.cancelled(), task.cancelling()))


async def is_cancelled_twice(task: Any, notes: Notes) -> None:
    await pause()
    notes.append((task.cancel("first"), task.cancel("second"), task.cancelling()))
    await pause()
    notes.append((task.done(), task.cancelled()))
    task.cancel()
    await pause()
    task.cancel("third")
    await pause()
    notes.append(task.done())
    if task.done() and not task.cancelled():
        notes.append(repr(task.exception()))


async def ends(task: Any, notes: Notes) -> None:
    for ask in (task.result, task.exception):
        try:
            ask()
        except asyncio.InvalidStateError:
            notes.append("invalid state")
    await pause()
    notes.append((task.done(), task.cancelled(), task.cancel(), task.cancelling()))
    for ask in (task.result, task.exception):
        try:
            notes.append(repr(ask()))
        except BaseException as error:
            notes.append(type(error))


async def is_watched(task: Any, notes: Notes) -> None:
    var = contextvars.ContextVar("var", default="none")
    var.set("here")
    context = contextvars.copy_context()
    context.run(var.set, "there")

    def first(ended: Any) -> None:
        notes.append(("first", ended is task, ended.done(), var.get()))

    def second(_: Any) -> None:
        notes.append(("second", var.get()))

    def never(_: Any) -> None:
        notes.append("never")

    task.add_done_callback(first)
    task.add_done_callback(second, context=context)
    task.add_done_callback(never)
    task.add_done_callback(never)
    notes.append((task.remove_done_callback(never), task.remove_done_callback(never)))
    await pause(1)
    task.cancel()
    await pause(4)
    task.add_done_callback(second)
    notes.append("not at once")
    await pause(1)
    if task.done() and not task.cancelled():
        task.exception()


WORKERS = [sleeps, waits_for_a_future, goes_on, returns, fails, cancels_itself]
SCRIPTS = [is_cancelled, is_cancelled_before_it_begins, is_cancelled_twice, ends, is_watched]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("worker", WORKERS, ids=lambda f: f.__name__)
async def test_as_a_task(worker: Any, script: Any) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)  # a task whose failure nobody takes says so there
    try:
        expected = await in_a_task(worker, script)
        assert await in_a_process(worker, script) == expected
    finally:
        loop.set_exception_handler(None)


async def test_uncancel_takes_a_cancellation_off_that_has_not_come_yet() -> None:
    """As tasks do from Python 3.13 on."""

    async def body() -> object:
        task = current_task()
        assert task is not None
        task.cancel()
        task.cancel()
        assert (task.cancelling(), task.uncancel(), task.uncancel(), task.uncancel()) == (2, 1, 0, 0)
        await asyncio.sleep(0)
        return "not cancelled"

    assert await harness.run(body) == "not cancelled"


async def test_a_process_that_waits_for_a_message_is_cancelled() -> None:
    async def receives(notes: Notes, *pattern: Any) -> None:
        try:
            await bp.receive(*pattern)
        except asyncio.CancelledError as error:
            notes.append(error.args)
            notes.append(await bp.receive())
            await bp.receive()

    async def body() -> None:
        for pattern in ((), (str,)):
            notes: Notes = []
            pid = bp.spawn(receives, notes, *pattern)
            process = api.self_process().node.find(pid)
            assert process is not None
            await pause()
            assert process.cancel("why")
            assert process._must_cancel
            await pause()
            assert notes == [("why",)]
            assert not process._must_cancel
            bp.send(pid, "a message")
            await pause()
            assert notes == [("why",), "a message"]
            bp.exit(pid, "kill")

    await harness.run(body)


async def test_a_cancellation_and_an_exit_signal() -> None:
    """The signal's reason stands, whichever came first; and the cancellation of an exiting process still comes."""

    async def stubborn(notes: Notes) -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError as error:
                notes.append(error.args)

    async def body() -> None:
        for first_cancel in (True, False):
            notes: Notes = []
            pid, ref = bp.spawn_monitor(stubborn, notes)
            process = api.self_process().node.find(pid)
            assert process is not None
            await pause()
            if first_cancel:
                process.cancel("cancelled")
                await pause()
            bp.exit(pid, "shutdown")
            await pause()
            if not first_cancel:
                assert not process._must_cancel
                process.cancel("cancelled")
            down = await harness.expect(bp.Down)
            assert (down.ref, down.reason) == (ref, "shutdown")
            assert set(notes) == {("cancelled",), ("exit signal: 'shutdown'",)}

    await harness.run(body)


async def test_what_it_is_called_and_runs() -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()

        async def idle() -> None:
            await bp.receive(("never",))

        pid = bp.spawn(idle)
        process = api.self_process().node.find(pid)
        assert process is not None
        await pause()
        assert process.get_loop() is loop
        assert process.get_coro().__name__ == "idle"
        assert process.get_context()[contextvars_of(process)] is process
        assert [frame.f_code.co_name for frame in process.get_stack()] == ["idle"]
        process.set_name("worker")
        assert process.get_name() == f"worker-{pid.serial}"
        assert not asyncio.isfuture(process)
        assert hash(process) != 0
        bp.exit(pid, "kill")
        await pause()
        assert process.get_stack() == []
        assert process.done()
        assert process.exception() is None
        assert process.result() is None

    await harness.run(body)


def contextvars_of(process: Process) -> Any:
    from beampy.core.current import current

    return current


async def test_a_killed_process_calls_back() -> None:
    async def idle() -> None:
        await bp.receive(("never",))

    async def body() -> None:
        called: Notes = []
        pid = bp.spawn(idle)
        process = api.self_process().node.find(pid)
        assert process is not None
        process.add_done_callback(called.append)
        bp.exit(pid, "kill")
        assert called == []
        await pause()
        assert called == [process]
        assert not process.cancel()

    await harness.run(body)
