"""handle: the end of some work, seen from a process, from another thread and from another loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import threading
import weakref
from collections.abc import Generator
from typing import Any

import pytest

import beampy as bp
from beampy.errors import NotInNode
from beampy.handle import Handle, Known, Pending, ThreadHandle, blocking
from beampy.testing import harness

LONG = 30.0
WAIT = 5.0

own_loop = pytest.mark.loops("asyncio")  # the node brings its own
loops = pytest.mark.loops("asyncio", "uvloop")


class Work(bp.Server):
    def __init__(self) -> None:
        self.ended = threading.Event()

    @bp.call
    async def value(self, value: Any) -> Any:
        return value

    @bp.call(raises=LookupError)
    async def fail(self) -> None:
        raise LookupError("as asked")


async def value(value: Any) -> Any:
    return value


async def fail() -> None:
    raise LookupError("as asked")


class Forever:
    """Work that ends only when it is stopped, and says so."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()

    async def __call__(self) -> None:
        try:
            self.began.set()
            await bp.receive()
        finally:
            self.ended.set()


@pytest.fixture
def node() -> Generator[bp.Node]:
    with bp.start("elsewhere") as node:
        yield node


# on a thread


@own_loop
def test_the_value_and_the_failure(node: bp.Node) -> None:
    handle = node.run(value, 5)
    assert isinstance(handle, ThreadHandle)
    assert handle.result(WAIT) == 5
    assert handle.result() == 5
    assert handle.exception() is None
    assert (handle.done(), handle.cancelled(), handle.cancel()) == (True, False, False)
    failed = node.run(fail)
    assert isinstance(failed.exception(WAIT), LookupError)
    with pytest.raises(LookupError, match="as asked"):
        failed.result()
    assert (failed.done(), failed.cancelled()) == (True, False)


@own_loop
def test_calls_and_starts_give_handles(node: bp.Node) -> None:
    work = Work.start().result(WAIT)
    assert work.value("x").result(WAIT) == "x"
    assert isinstance(work.fail().exception(WAIT), LookupError)
    handle: Handle[Any] = bp.call(work, "no such request", timeout=WAIT)
    assert handle.exception(WAIT) is not None


@own_loop
def test_waiting_too_short(node: bp.Node) -> None:
    forever = Forever()
    handle = node.run(forever)
    for timeout in (0, 0.01):
        with pytest.raises(TimeoutError, match=f"not done after {timeout} s; it goes on"):
            handle.result(timeout)
        with pytest.raises(TimeoutError):
            handle.exception(timeout)
    assert not handle.done()
    handle.cancel()
    assert forever.ended.wait(WAIT)


@own_loop
def test_cancelling_stops_the_work(node: bp.Node) -> None:
    forever = Forever()
    handle = node.run(forever)
    assert forever.began.wait(WAIT)
    assert handle.cancel()
    assert forever.ended.wait(WAIT)
    assert handle.cancelled()
    for take in (handle.result, handle.exception):
        with pytest.raises(concurrent.futures.CancelledError):
            take(WAIT)


@own_loop
def test_cancelling_at_once(node: bp.Node) -> None:
    for _ in range(50):
        assert node.run(Forever()).cancel()


@own_loop
def test_a_keyboard_interrupt_while_it_waits_stops_the_work(node: bp.Node, monkeypatch: pytest.MonkeyPatch) -> None:
    forever = Forever()
    handle = node.run(forever)
    assert forever.began.wait(WAIT)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(concurrent.futures, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            handle.result()
    assert forever.ended.wait(WAIT)
    assert handle.cancelled()


@own_loop
def test_callbacks_come_on_the_thread_that_ends_it(node: bp.Node) -> None:
    threads: list[Any] = []
    called = threading.Event()

    def note(handle: Any) -> None:
        threads.append((handle, threading.current_thread() is not threading.main_thread()))
        called.set()

    forever = Forever()
    handle = node.run(forever)
    assert isinstance(handle, ThreadHandle)
    assert forever.began.wait(WAIT)
    handle.add_done_callback(note)
    work = Work.start().result(WAIT)
    done = work.value(1)
    assert isinstance(done, ThreadHandle)
    done.result(WAIT)
    handle.cancel()
    assert called.wait(WAIT)
    assert threads[0][0] is handle
    done.add_done_callback(note)
    assert len(threads) == 2


@own_loop
def test_reprs(node: bp.Node) -> None:
    forever = Forever()
    handle = node.run(forever)
    assert repr(handle) == "<Handle of Forever running…>"
    handle.cancel()
    assert repr(handle) == "<Handle of Forever cancelled>"
    done = node.run(value, 5)
    done.result(WAIT)
    assert repr(done) == "<Handle of value done: 5>"
    failed = node.run(fail)
    failed.exception(WAIT)
    assert repr(failed) == "<Handle of fail failed: LookupError('as asked')>"


@own_loop
def test_only_a_failure_that_nobody_looked_at_is_logged(node: bp.Node, caplog: pytest.LogCaptureFixture) -> None:
    def ended(fn: Any, *args: Any) -> Handle[Any]:
        done = threading.Event()
        handle = node.run(fn, *args)
        handle.add_done_callback(lambda _: done.set())
        assert done.wait(WAIT)
        return handle

    with caplog.at_level(logging.WARNING):
        ended(value, 5)
        ended(fail).exception(WAIT)
        forever = node.run(Forever())
        forever.cancel()
        del forever
        gc.collect()
        assert caplog.records == []
        ended(fail)
        gc.collect()
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("beampy.handle", "nobody looked at the failure of fail")


class Lost(Exception):
    """A failure that can be seen to be freed: exceptions of Python's own have no weak references."""


@pytest.mark.parametrize("awaits", [True, False])
async def test_a_known_failure_and_its_handle_do_not_keep_each_other(awaits: bool) -> None:
    async def looked() -> weakref.ref[Lost]:
        handle: Known[None] = Known(None, Lost(), "a test")
        try:
            await handle if awaits else handle.result()
        except Lost as error:
            del handle  # this frame is in the traceback, too
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        assert (await looked())() is None
    finally:
        gc.enable()


@own_loop
def test_a_handle_that_told_of_its_end_does_not_keep_itself(node: bp.Node) -> None:
    told = threading.Event()
    gc.disable()
    try:
        handle: Any = node.run(value, 5)
        handle.add_done_callback(lambda _: told.set())
        assert told.wait(WAIT)
        assert handle.result(WAIT) == 5
        seen = weakref.ref(handle)
        del handle
        assert seen() is None
    finally:
        gc.enable()


@own_loop
def test_the_end_of_the_node_is_the_end_of_the_wait() -> None:
    node = bp.start()
    handle = node.run(Forever())
    node.stop().result(WAIT)
    with pytest.raises((bp.errors.Exited, NotInNode)):
        handle.result(WAIT)
    with pytest.raises(NotInNode):
        node.run(value, 1)


class Gone:
    """An event loop that was closed."""

    def is_closed(self) -> bool:
        return True


def test_a_loop_that_is_gone_is_noticed() -> None:
    loop: Any = Gone()
    handle = ThreadHandle(loop, concurrent.futures.Future[None](), lambda: None, "lost work")
    with pytest.raises(NotInNode, match="lost work"):
        handle.result()


# on another loop


@loops
async def test_awaiting_on_another_loop() -> None:
    node = await asyncio.to_thread(bp.start)
    try:
        assert await node.run(value, 5) == 5
        handle = node.run(value, 6)
        assert await handle == await handle == 6
        with pytest.raises(LookupError):
            await node.run(fail)
        found = await asyncio.gather(node.run(value, 1), node.run(fail), return_exceptions=True)
        assert found[0] == 1
        assert isinstance(found[1], LookupError)
    finally:
        await node.stop()


@loops
async def test_cancelling_who_awaits_stops_the_work() -> None:
    node = await asyncio.to_thread(bp.start)
    try:
        forever = Forever()
        handle = node.run(forever)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await handle
        assert await asyncio.to_thread(forever.ended.wait, WAIT)
        assert handle.cancelled()
    finally:
        await node.stop()


# in a process


async def test_in_a_process_it_is_the_coroutine_itself() -> None:
    async def body() -> None:
        handle = Work.start()
        assert isinstance(handle, Pending)
        assert (handle.done(), handle.cancelled()) == (False, False)
        work = await handle
        assert handle.done()
        assert not handle.cancel()
        assert await work.value(5) == 5
        with pytest.raises(LookupError):
            await work.fail()

    await harness.run(body)


async def test_waiting_in_the_loop_that_does_the_work_is_refused() -> None:
    async def body() -> None:
        handle = Work.start()
        for take in (handle.result, handle.exception):
            with pytest.raises(RuntimeError, match="await the handle instead"):
                take(1)
        await handle

    await harness.run(body)
    assert "Handle.result() would block" in str(blocking("result"))


@own_loop
def test_waiting_in_the_nodes_own_thread_is_refused(node: bp.Node) -> None:
    async def inside(handle: Handle[Any]) -> str:
        with pytest.raises(RuntimeError, match="await the handle instead"):
            handle.result()
        return "refused"

    forever = Forever()
    assert node.run(inside, node.run(forever)).result(WAIT) == "refused"
    done = node.run(value, 5)
    assert done.result(WAIT) == 5

    async def reads() -> Any:
        return done.result()  # it is there: nothing would block

    assert node.run(reads).result(WAIT) == 5


async def test_cancelling_what_was_never_awaited() -> None:
    async def body() -> int:
        handle = Work.start()
        assert handle.cancel()
        assert handle.done()
        assert not handle.cancel()
        return len(bp.processes())

    assert await harness.run(body) == await harness.run(count)


async def count() -> int:
    return len(bp.processes())


async def test_a_handle_that_is_awaited_is_cancelled_by_cancelling_who_awaits_it() -> None:
    class Slow(bp.Server):
        async def init(self) -> None:
            await asyncio.sleep(LONG)

    async def body() -> None:
        handle = Slow.start()

        async def waits() -> Any:
            return await handle

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not handle.cancel()
        assert not handle.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert handle.done()

    await harness.run(body)


def test_the_interface_itself_does_nothing() -> None:
    handle: Handle[None] = Handle()
    for use in (handle.__await__, handle.result, handle.exception, handle.done, handle.cancelled, handle.cancel):
        with pytest.raises(NotImplementedError):
            use()
