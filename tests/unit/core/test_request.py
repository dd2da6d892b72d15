"""request: every way a call settles, whoever waits for it; and nothing of it is left afterwards."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.request import Failed, Request, rebuilt
from beampy.core.signals import Crash
from beampy.errors import (
    BadDestination,
    CallFailed,
    CallingSelf,
    CallTimeout,
    NodeDown,
    NoProcess,
    RemoteError,
    RemoteTraceback,
    ServerExited,
)
from beampy.testing import harness

LONG = 30.0


class Refused(Exception):
    """What a server says no with."""


async def server() -> None:
    """Answers as it is asked to."""
    held: list[bp.Ref] = []
    async for message in bp.mailbox():
        match message:
            case ("answer", bp.Ref() as ref, value):
                bp.send(ref, value)
            case ("fail", bp.Ref() as ref, error):
                bp.send(ref, Failed(Crash.of(error), bp.self()))
            case ("hold", bp.Ref() as ref):
                held.append(ref)
            case ("twice", bp.Ref() as ref):
                bp.send(ref, "first")
                bp.send(ref, "second")
            case ("release", value):
                for ref in held:
                    bp.send(ref, value)
                held.clear()
            case ("end", reason):
                bp.exit(reason)
            case _:
                raise AssertionError(message)


def ask(pid: bp.Pid, *words: Any, timeout: float | None = LONG) -> Request:
    """A call in flight: the ref goes behind the first word."""
    pending = bp.request(pid, timeout)
    bp.send(pid, (words[0], pending.ref, *words[1:]))
    return pending


def watchers(pid: bp.Pid) -> int:
    process = api.self_process().node.find(pid)
    return 0 if process is None else len(process._watchers or ())


def traces(pid: bp.Pid) -> tuple[int, int]:
    """What calls have left behind: monitors on the server, deadlines."""
    return watchers(pid), api.self_process().node.statistics()["deadlines"]


# all ways to settle × all who may wait

HOW = {
    "answer": ("value", "value"),
    "error": (Refused, "no"),
    "exit": (ServerExited, "boom"),
    "timeout": (CallTimeout, None),
    "cancel": (asyncio.CancelledError, None),
}


def settle(how: str, pid: bp.Pid, pending: Request) -> None:
    """Make the held call end."""
    match how:
        case "answer":
            bp.send(pid, ("answer", pending.ref, "value"))
        case "error":
            bp.send(pid, ("fail", pending.ref, Refused("no")))
        case "exit":
            bp.send(pid, ("end", "boom"))
        case "timeout":
            pending.ring()
        case "cancel":
            assert pending.cancel("enough")


async def by_process(pending: Request) -> Any:
    return await pending


async def by_task(pending: Request) -> Any:
    async def wait() -> Any:
        return await pending

    return await asyncio.create_task(wait())


async def by_gather(pending: Request) -> Any:
    (found,) = await asyncio.gather(pending)
    return found


async def by_wait(pending: Request) -> Any:
    done, _ = await asyncio.wait([pending])
    return done.pop().result()


async def by_wait_for(pending: Request) -> Any:
    return await asyncio.wait_for(pending, LONG)


async def by_shield(pending: Request) -> Any:
    return await asyncio.shield(pending)


async def by_callback(pending: Request) -> Any:
    done = asyncio.get_running_loop().create_future()
    pending.add_done_callback(done.set_result)
    assert await done is pending
    return pending.result()


async def by_two(pending: Request) -> Any:
    task = asyncio.create_task(by_process(pending))
    await asyncio.sleep(0)
    try:
        return await pending
    finally:
        await asyncio.wait([task])
        assert (task.cancelled(), None if task.cancelled() else task.exception()) == (
            pending.cancelled(),
            None if pending.cancelled() else pending.exception(),
        )


async def by_another_process(pending: Request) -> Any:
    me = bp.self()

    async def other() -> None:
        try:
            value = await pending
        except BaseException as error:
            bp.send(me, error)
        else:
            bp.send(me, value)

    bp.spawn(other)
    found = await bp.receive(lambda m: not isinstance(m, tuple))
    if isinstance(found, BaseException):
        raise found
    return found


WHO = (by_process, by_task, by_gather, by_wait, by_wait_for, by_shield, by_callback, by_two, by_another_process)


@pytest.mark.parametrize("who", WHO, ids=lambda f: f.__name__)
@pytest.mark.parametrize("before", [True, False], ids=["settled", "waiting"])
@pytest.mark.parametrize("how", HOW)
async def test_settling(how: str, before: bool, who: Any) -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        pending = ask(pid, "hold")
        assert not pending.done()
        assert "waiting" in repr(pending)
        assert traces(pid) == (1, 1)
        if before:
            settle(how, pid, pending)
            while not pending.done():
                await asyncio.sleep(0)
        else:
            asyncio.get_running_loop().call_later(0.001, settle, how, pid, pending)
        kind, text = HOW[how]
        if isinstance(kind, str):
            assert await who(pending) == text
            assert pending.result() == text
            assert pending.exception() is None
        else:
            with pytest.raises(kind, match=text) as caught:  # type: ignore[arg-type]
                await who(pending)
            if how == "cancel":
                assert who is not by_process or caught.value.args == ("enough",)
                with pytest.raises(asyncio.CancelledError):
                    pending.exception()
            else:
                assert pending.exception() is not None
            with pytest.raises(kind):  # type: ignore[arg-type]
                pending.result()
        assert pending.done()
        assert pending.cancelled() == (how == "cancel")
        assert traces(pid) == (0, 0)
        assert harness.flush() == []

    await harness.run(body)


@pytest.mark.parametrize("how", HOW)
async def test_settling_what_nobody_waits_for(how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        pending = ask(pid, "hold")
        settle(how, pid, pending)
        while not pending.done():
            await asyncio.sleep(0)
        assert traces(pid) == (0, 0)
        del pending
        gc.collect()
        assert harness.flush() == []

    with caplog.at_level(logging.WARNING):
        await harness.run(body)
    said = "nobody looked at the failure of a call to" in caplog.text
    assert said == (how in ("error", "exit", "timeout"))


@pytest.mark.parametrize("first", HOW)
@pytest.mark.parametrize("second", HOW)
async def test_settling_twice_is_settling_once(first: str, second: str) -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        pending = ask(pid, "hold")
        settle(first, pid, pending)
        while not pending.done():
            await asyncio.sleep(0)
        state = repr(pending)
        if second == "cancel":
            assert not pending.cancel()
        else:
            settle(second, pid, pending)
            pending.take_message(pending.ref, "late")
            pending.take_down("late")
            pending.ring()
            await asyncio.sleep(0)
        assert repr(pending) == state
        kind, text = HOW[first]
        if isinstance(kind, str):
            assert await pending == text
        else:
            with pytest.raises(kind, match=text):  # type: ignore[arg-type]
                await pending

    await harness.run(body)


async def test_the_first_answer_counts_and_no_late_one_reaches_the_mailbox() -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        assert await ask(pid, "twice") == "first"
        late = ask(pid, "hold", timeout=0.001)
        with pytest.raises(CallTimeout) as caught:
            await late
        assert (caught.value.target, caught.value.seconds) == (pid, 0.001)
        bp.send(pid, ("release", "late"))
        assert await ask(pid, "answer", "in order behind it") == "in order behind it"
        assert harness.flush() == []

    await harness.run(body)


# failing at once


async def test_calls_that_cannot_be_asked() -> None:
    async def nothing() -> None:
        pass

    async def body() -> None:
        dead = bp.spawn(nothing)
        await harness.ended(dead)
        me = bp.self()
        node = api.self_process().node
        for dest, kind in (
            (dead, NoProcess),
            ("nobody", NoProcess),
            (("nobody", node.name), NoProcess),
            (("anybody", "else@where"), NodeDown),
            (bp.Pid("else@where", 1, 1), NodeDown),
            (me, CallingSelf),
        ):
            pending = bp.request(dest)
            assert pending.done()
            assert pending.target is None
            with pytest.raises(kind) as caught:
                await pending
            assert isinstance(caught.value, CallFailed)
            assert caught.value.target == dest
        for dest in (5, None, bp.alias(), ("a", "b", "c")):
            with pytest.raises(BadDestination):
                await bp.request(dest)
        assert node.statistics()["deadlines"] == 0

    await harness.run(body)


async def test_calls_find_names_and_things_with_a_pid() -> None:
    class Client:
        def __init__(self, pid: bp.Pid) -> None:
            self.pid = pid

    async def body() -> list[Any]:
        pid = bp.spawn(server, name="server")
        found = []
        for dest in ("server", ("server", pid.node), Client(pid)):
            pending = bp.request(dest)
            bp.send(dest, ("answer", pending.ref, 1))
            found.append(await pending)
        return found

    assert await harness.run(body) == [1, 1, 1]


async def test_the_server_ends_before_it_reads_the_question() -> None:
    async def short() -> None:
        bp.exit("shutdown")

    async def body() -> None:
        pid = bp.spawn(short)
        with pytest.raises(ServerExited) as caught:
            await ask(pid, "hold")
        assert (caught.value.target, caught.value.reason) == (pid, "shutdown")

    await harness.run(body)


@pytest.mark.parametrize("timeout", [0, -1, 0.001])
async def test_deadlines(timeout: float) -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        with pytest.raises(CallTimeout) as caught:
            await ask(pid, "hold", timeout=timeout)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.seconds == timeout
        assert traces(pid) == (0, 0)

    await harness.run(body)


async def test_without_a_deadline_there_is_none() -> None:
    async def body() -> object:
        pid = bp.spawn(server)
        pending = ask(pid, "hold", timeout=None)
        assert traces(pid) == (1, 0)
        bp.send(pid, ("release", "at last"))
        return await pending

    assert await harness.run(body) == "at last"


# whoever waited is gone


async def cancelled_by_timeout(pending: Request) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await pending


async def cancelled_as_task(pending: Request) -> None:
    task = asyncio.create_task(by_process(pending))
    await asyncio.sleep(0)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_in_gather(pending: Request) -> None:
    gathered = asyncio.gather(pending, asyncio.sleep(LONG))
    await asyncio.sleep(0)
    gathered.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathered


@pytest.mark.parametrize("how", [cancelled_by_timeout, cancelled_as_task, cancelled_in_gather])
async def test_cancelling_who_waits_takes_monitor_alias_and_deadline_off(how: Any) -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        pending = ask(pid, "hold")
        await how(pending)
        assert pending.cancelled()
        assert pending.ref._holder is None
        assert traces(pid) == (0, 0)
        bp.send(pid, ("release", "late"))
        assert await ask(pid, "answer", 1) == 1
        assert harness.flush() == []

    await harness.run(body)


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize("timeout", [None, 0.01])
@pytest.mark.parametrize("ending", ["kill", "shutdown", "return", "crash", "task"])
async def test_the_end_of_the_caller_leaves_nothing_on_the_server(
    ending: str, timeout: float | None, awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def caller(pid: bp.Pid, to: bp.Pid) -> None:
        pending = ask(pid, "hold", timeout=timeout)
        if ending == "task":
            asyncio.create_task(by_process(pending)).add_done_callback(lambda _: None)
            await asyncio.sleep(0)
        bp.send(to, "asked")
        if ending == "crash":
            raise ValueError("crash")
        if ending in ("return", "task"):
            return
        if awaited:
            await pending
        else:
            await bp.receive()

    async def body() -> None:
        pid = bp.spawn(server)
        client, ref = bp.spawn_monitor(caller, pid, bp.self())
        await harness.expect("asked")
        if ending in ("kill", "shutdown"):
            await asyncio.sleep(0)
            bp.exit(client, ending)
        await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)
        while traces(pid)[0]:
            assert timeout is not None, "without a deadline it must be gone at once"
            await asyncio.sleep(0.001)
        while api.self_process().node.statistics()["deadlines"]:
            await asyncio.sleep(0.001)
        bp.send(pid, ("release", "for nobody"))
        assert await ask(pid, "answer", 1) == 1
        gc.collect()

    await harness.run(body)
    assert "nobody looked" not in caplog.text


async def test_an_exit_signal_to_who_waits_gives_the_call_up() -> None:
    async def caller(pid: bp.Pid, to: bp.Pid) -> None:
        try:
            bp.send(to, "asks")
            await ask(pid, "hold")
        finally:
            bp.send(to, ("left behind", watchers(pid)))

    async def body() -> None:
        pid = bp.spawn(server)
        client = bp.spawn(caller, pid, bp.self())
        await harness.expect("asks")
        await asyncio.sleep(0)
        bp.exit(client, "enough")
        assert await harness.expect(("left behind", ...)) == ("left behind", 0)

    await harness.run(body)


async def test_thousands_of_calls_that_time_out_leave_nothing() -> None:
    async def body() -> None:
        node = api.self_process().node
        pid = bp.spawn(server)
        await ask(pid, "answer", 1)
        before = node.statistics()
        for _ in range(5):
            found = await asyncio.gather(
                *(ask(pid, "hold", timeout=0.001) for _ in range(1000)), return_exceptions=True
            )
            assert {type(error) for error in found} == {CallTimeout}
        after = node.statistics()
        for figure in ("processes", "runnable", "timers", "deadlines", "names", "zombies"):
            assert after[figure] == before[figure], figure
        assert watchers(pid) == 0
        bp.send(pid, ("release", "late"))
        assert await ask(pid, "answer", 1) == 1
        assert harness.flush() == []

    await harness.run(body)


async def test_calls_of_every_timeout_leave_no_timers_of_the_loop() -> None:
    async def body() -> int:
        pid = bp.spawn(server)
        for n in range(2000):
            await ask(pid, "answer", n, timeout=LONG + n / 1000)
        return len(api.self_process().node.deadlines.buckets)

    assert await harness.run(body) <= 200


# several processes wait for one call


async def test_two_processes_may_wait_for_one_call() -> None:
    async def body() -> list[Any]:
        me = bp.self()
        pid = bp.spawn(server)
        pending = ask(pid, "hold")

        async def waiter(name: str) -> None:
            bp.send(me, (name, await pending))

        bp.spawn(waiter, "a")
        bp.spawn(waiter, "b")
        await asyncio.sleep(0)
        bp.send(pid, ("release", 5))
        return sorted([await harness.expect((str, int)), await harness.expect((str, int))])

    assert await harness.run(body) == [("a", 5), ("b", 5)]


async def test_killing_one_of_two_that_wait_cancels_the_call_for_both() -> None:
    """As with a future of asyncio's: cancelling who waits for it cancels it. asyncio.shield keeps it."""

    async def body() -> None:
        me = bp.self()
        pid = bp.spawn(server)
        pending = ask(pid, "hold")

        async def waiter(name: str) -> None:
            try:
                await pending
            except asyncio.CancelledError:
                bp.send(me, (name, "cancelled"))

        bp.spawn(waiter, "a")
        second = bp.spawn(waiter, "b")
        await asyncio.sleep(0)
        bp.exit(second, "kill")
        assert await harness.expect((str, ...)) == ("a", "cancelled")
        assert watchers(pid) == 0

    await harness.run(body)


# the future's face


async def test_callbacks_are_called_once_and_can_be_taken_off() -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        called: list[Any] = []
        pending = ask(pid, "hold")
        pending.add_done_callback(called.append)
        pending.add_done_callback(called.append)

        def never(_: Any) -> None:
            raise AssertionError

        pending.add_done_callback(never)
        assert pending.remove_done_callback(never) == 1
        assert pending.remove_done_callback(never) == 0
        settle("answer", pid, pending)
        assert await pending == "value"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert called == [pending, pending]
        pending.add_done_callback(called.append)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(called) == 3
        assert pending.get_loop() is asyncio.get_running_loop()

    await harness.run(body)


async def test_taking_the_result_too_early() -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        pending = ask(pid, "hold")
        for take in (pending.result, pending.exception):
            with pytest.raises(RuntimeError, match="await the handle"):
                take()
            with pytest.raises(RuntimeError, match="await the handle"):
                take(1)
        pending.cancel()

    await harness.run(body)


async def test_reprs() -> None:
    async def body() -> None:
        pid = bp.spawn(server)
        for how, word in (("answer", "answered"), ("error", "failed"), ("cancel", "cancelled")):
            pending = ask(pid, "hold")
            settle(how, pid, pending)
            await asyncio.wait([pending])
            assert repr(pending) == f"<Request {pending.ref.id} to {pid!r} {word}>"
            pending.cancelled() or pending.exception()

    await harness.run(body)


# errors that come from elsewhere


class Picky(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(a)
        self.b = b


class Shapeshifter(Exception):
    def __reduce__(self) -> Any:
        return ValueError, ("something else",)


PID = bp.Pid("a@h", 1, 7)


def crash_of(error: BaseException) -> Crash:
    try:
        raise error
    except BaseException as caught:
        return Crash.of(caught)


def test_an_error_is_raised_as_itself_with_where_it_happened() -> None:
    original = Refused("no", 5)
    original.add_note("a note of its own")
    crash = crash_of(original)
    error = rebuilt(crash, PID)
    assert type(error) is Refused
    assert error is not original
    assert error.args == ("no", 5)
    assert isinstance(error.__cause__, RemoteTraceback)
    assert "in crash_of" in str(error.__cause__)
    assert error.__notes__ == ["a note of its own", f"raised in {PID!r}"]
    assert original.__notes__ == ["a note of its own"]


def test_an_error_whose_args_do_not_fit_its_constructor_is_copied_without_it() -> None:
    error = rebuilt(crash_of(Picky(1, 2)), PID)
    assert type(error) is Picky
    assert error.args == Picky(1, 2).args
    assert error.__notes__ == [f"raised in {PID!r}"]


@pytest.mark.parametrize("original", [Shapeshifter("x"), KeyboardInterrupt()])
def test_what_cannot_be_copied_as_itself_is_told(original: BaseException) -> None:
    crash = crash_of(original)
    error = rebuilt(crash, PID)
    assert isinstance(error, RemoteError)
    assert (error.kind, error.message, error.traceback) == (crash.type, crash.message, crash.traceback)
    assert error.__notes__ == [f"raised in {PID!r}"]


def test_an_error_that_came_as_text_only() -> None:
    error = rebuilt(Crash("shop.SoldOut", "no more", "Traceback …"), PID)
    assert str(error) == "shop.SoldOut: no more"
