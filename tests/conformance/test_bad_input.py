"""What goes wrong in people's hands: each a clear error at the place of the mistake; nothing hangs, nothing is lost.

Errors are beampy's own (BeampyError) and also what Python would have raised (TypeError, ValueError …).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import pickle
import threading
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import (
    AlreadyStarted,
    BadDestination,
    BadFunction,
    BadName,
    BadPattern,
    BadReturn,
    BeampyError,
    EncodeError,
    NameTaken,
    NotInNode,
    NotInProcess,
    NotRegistered,
    ServerExited,
    StartFailed,
)
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.vectors import process
from tests.conformance.vocabulary import NONE, absent, dead, forever, get1, idler, mailbox, nothing, reason, until

NONSENSE = [7, None, b"main", object(), (), ("main",), ("main", 7), ("a", "b", "c"), ["main"], {"main": 1}, print]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The errors that were logged."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# spawning what is no async function


def plain(*_: Any) -> None:
    raise AssertionError("what is no process's function is not even called")


async def generator():
    yield 1


class Callable_:
    def __call__(self) -> None:
        raise AssertionError("what is no process's function is not even called")


class AsyncCallable:
    async def __call__(self) -> None:
        bp.exit("called")


NO_FUNCTIONS = [
    plain,
    functools.partial(plain, 1),
    Callable_(),
    Callable_,
    generator,
    print,
    7,
    None,
    "plain",
    lambda: None,
    lambda: 42,
    lambda: asyncio.get_running_loop().create_future(),
]


@process()
async def test_spawn_of_no_async_function():
    before = bp.processes()
    for fn in NO_FUNCTIONS:
        for spawn in (bp.spawn, bp.spawn_link, bp.spawn_monitor):
            with pytest.raises(BadFunction, match="spawn") as caught:
                spawn(fn, name="taken by nobody")
            assert isinstance(caught.value, TypeError)
    assert bp.processes() == before
    assert bp.whereis("taken by nobody") is None
    info = bp.process_info(bp.self())
    assert (info.links, info.monitors) == ((), ())


@process()
async def test_spawn_of_a_coroutine_says_to_leave_out_the_call():
    # Warnings are errors here: the coroutine is closed, so nothing warns that it was never awaited.
    with pytest.raises(BadFunction, match="leave out the call"):
        bp.spawn(nothing())


@process()
async def test_spawn_with_arguments_that_do_not_fit():
    with pytest.raises(TypeError):
        bp.spawn(nothing, "one too many")
    with pytest.raises(TypeError):
        bp.spawn(nothing, no_such_option=True)


@process()
async def test_spawn_takes_whatever_gives_a_coroutine():
    @functools.wraps(nothing)
    def wrapped():
        return nothing()

    for fn in (AsyncCallable(), functools.partial(AsyncCallable()), lambda: AsyncCallable()(), wrapped):
        _, ref = bp.spawn_monitor(fn)
        assert await reason(ref) in ("called", "normal")


# verbs where there is no node, or no process


def verbs(pid: Any, ref: Any) -> list[Any]:
    return [
        bp.self,
        lambda: bp.send(pid, 1),
        lambda: bp.send("name", 1),
        lambda: bp.spawn(nothing),
        lambda: bp.spawn_link(nothing),
        lambda: bp.link(pid),
        lambda: bp.unlink(pid),
        lambda: bp.monitor(pid),
        lambda: bp.demonitor(ref),
        lambda: bp.exit(pid, "x"),
        bp.alias,
        lambda: bp.unalias(ref),
        lambda: bp.trap_exit(True),
        lambda: bp.register("name", pid),
        lambda: bp.unregister("name"),
        lambda: bp.whereis("name"),
        bp.registered,
        lambda: bp.send_after(1, pid, 1),
        lambda: bp.start_timer(1, pid, 1),
        lambda: bp.cancel_timer(ref),
        lambda: bp.is_alive(pid),
        lambda: bp.process_info(pid),
        bp.processes,
        bp.ancestors,
        lambda: bp.call(pid, 1),
        lambda: bp.cast(pid, 1),
        lambda: bp.stop(pid),
        lambda: bp.set_label("x"),
    ]


PID, REF = bp.Pid("a@nowhere", 1, 4), bp.Ref("a@nowhere", 1, 4)


async def test_verbs_outside_of_a_node():
    for verb in verbs(PID, REF):
        with pytest.raises(NotInNode) as caught:
            verb()
        assert isinstance(caught.value, RuntimeError)


@process()
async def test_verbs_in_a_thread_of_nobody():
    # A bare thread has no context: it does not know which process it would speak for.
    raised: list[BaseException] = []

    def body() -> None:
        for verb in verbs(PID, REF):
            try:
                verb()
            except BaseException as error:
                raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert [type(error) for error in raised] == [NotInNode] * len(verbs(PID, REF))


async def test_verbs_after_the_node_has_stopped():
    async with bp.Node() as node:
        pid = bp.self()
    for use in (lambda: node.spawn(nothing), lambda: node.run(nothing), node.statistics, lambda: node.loop):
        with pytest.raises(NotInNode):
            use()
    with pytest.raises(NotInNode):
        bp.send(pid, 1)


async def test_spawn_after_stop_by_what_outlived_its_node():
    # A task that goes on when its node has stopped speaks for a process that has ended.
    stopped = asyncio.Event()
    answers: list[Any] = []

    async def task() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await stopped.wait()
            for verb in (lambda: bp.spawn(nothing), lambda: bp.monitor(PID), lambda: bp.send(PID, 1)):
                try:
                    answers.append(verb())
                except BeampyError as error:
                    answers.append(type(error))

    async def body() -> None:
        tasks.append(asyncio.create_task(task()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    await harness.run(body)
    stopped.set()
    await tasks[0]
    assert answers == [NotInProcess, NotInProcess, None]


async def test_a_node_runs_once():
    node = bp.Node()
    async with node:
        with pytest.raises(BeampyError):
            async with node:
                pass
    with pytest.raises(BeampyError):
        async with node:
            pass


# receiving where there is no process


@process()
async def test_receive_in_a_task():
    bp.send(bp.self(), "for the process")

    async def iterate() -> None:
        async for _ in bp.mailbox():
            pass

    for make in (
        bp.receive,
        lambda: bp.receive(str),
        lambda: bp.receive(timeout=1),
        lambda: bp.receive(timeout=0),
        iterate,
    ):
        with pytest.raises(NotInProcess, match="receive") as caught:
            await asyncio.gather(make())
        assert isinstance(caught.value, RuntimeError)
    assert await get1() == "for the process"


async def test_receive_outside_of_a_node():
    for make in (bp.receive, lambda: bp.receive(str), lambda: bp.receive(timeout=0)):
        with pytest.raises(NotInProcess):
            await make()


@process()
async def test_receive_in_another_process_than_the_one_that_asked():
    # An awaitable is its maker's only until it is awaited: whoever awaits it receives.
    me = bp.self()
    pending = bp.receive()

    async def other():
        bp.send(bp.self(), "for the other")
        bp.send(me, await pending)

    bp.spawn(other)
    assert await get1() == "for the other"


# names


@one_node.NAMES
@process()
async def test_a_name_that_is_taken():
    holder = idler()
    bp.register("taken", holder)
    before = bp.processes()
    for attempt in (
        lambda: bp.register("taken", bp.self()),
        lambda: bp.register("another", holder),
        lambda: bp.spawn(forever, name="taken"),
        lambda: bp.spawn_link(forever, name="taken"),
    ):
        with pytest.raises(NameTaken, match=r"taken.*is taken by") as caught:
            attempt()
        assert caught.value.pid == holder
    with pytest.raises(AlreadyStarted) as started:
        await Wrong.start(name="taken")
    assert started.value.pid == holder
    assert (bp.whereis("taken"), bp.whereis("another")) == (holder, None)
    assert bp.process_info(bp.self()).links == ()
    await until(lambda: bp.processes() == before)


@process()
async def test_bad_process_names():
    before = bp.registered()
    for name in ("", "undefined", 7, b"x", ("a", "b")):
        with pytest.raises(BadName) as caught:
            bp.register(name, bp.self())
        assert isinstance(caught.value, ValueError)
        with pytest.raises(BadName):
            bp.spawn(nothing, name=name)
    assert bp.registered() == before


@pytest.mark.parametrize(
    "name", ["", "@", "a@", "@b", "a@b@c", "a b", "a@b c", "ä@b", "a@b\n", "a/b", 7, b"a", "a" * 300]
)
def test_bad_node_names(name: Any) -> None:
    with pytest.raises(BadName, match="node name") as caught:
        bp.Node(name)
    assert isinstance(caught.value, ValueError)


# destinations


@process()
async def test_send_to_nonsense():
    bp.register("main", bp.self())
    for dest in NONSENSE:
        for verb in (
            lambda dest=dest: bp.send(dest, "x"),
            lambda dest=dest: bp.cast(dest, "x"),
            lambda dest=dest: bp.send_after(0, dest, "x"),
            lambda dest=dest: bp.start_timer(0, dest, "x"),
            lambda dest=dest: bp.monitor(dest),
            lambda dest=dest: bp.link(dest),
            lambda dest=dest: bp.unlink(dest),
            lambda dest=dest: bp.exit(dest, "x"),
            lambda dest=dest: bp.register("x", dest),
            lambda dest=dest: bp.is_alive(dest),
            lambda dest=dest: bp.process_info(dest),
            lambda dest=dest: bp.reply(dest, "x"),
        ):
            with pytest.raises(BadDestination) as caught:
                verb()
            assert isinstance(caught.value, TypeError)
            assert str(caught.value)
        for verb in (bp.call, bp.stop):
            with pytest.raises(BadDestination):
                await verb(dest, "x")
    assert await mailbox() == []


@process()
async def test_send_to_nonsense_from_a_thread():
    def body() -> list[type]:
        raised = []
        for dest in [*NONSENSE, "nobody"]:
            try:
                bp.send(dest, "x")
            except BeampyError as error:
                raised.append(type(error))
        return raised

    assert await asyncio.to_thread(body) == [*[BadDestination] * len(NONSENSE), NotRegistered]


@process()
async def test_names_and_aliases_are_no_processes_to_link_or_end():
    bp.register("main", bp.self())
    for it in ("main", ("main", bp.self().node), bp.alias()):
        for verb in (bp.link, bp.unlink, lambda it: bp.exit(it, "x"), bp.is_alive, bp.process_info):
            with pytest.raises(BadDestination):
                verb(it)


@process()
async def test_exit_with_arguments_that_do_not_fit():
    with pytest.raises(TypeError):
        bp.exit(bp.self(), "x", "y")


@one_node.SHARED
@process(strict=True)
async def test_a_message_that_cannot_travel():
    # A strict node copies messages as if they went to another node: the sender is told, nobody else suffers.
    pid, ref = bp.spawn_monitor(forever)
    held = threading.Lock()
    for message in (held, (1, [held]), lambda: held):
        with pytest.raises(EncodeError) as caught:
            bp.send(pid, message)
        assert isinstance(caught.value, TypeError)
    assert bp.is_alive(pid)
    bp.exit(pid, "kill")
    assert await reason(ref) == "killed"


# patterns


class Evil:
    """Everything one may ask of it raises, and it is no pattern."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")

    def __bool__(self) -> bool:
        raise RuntimeError("no bool")

    __hash__ = None  # type: ignore[assignment]


async def async_predicate(_: Any) -> bool:
    return True


@process()
async def test_bad_patterns():
    bp.send(bp.self(), "stays")
    for pattern in ("text", 7, b"x", ["list"], {"a": 1}, {1, 2}, Evil(), ..., async_predicate):
        for options in ({}, {"timeout": 0}, {"timeout": 0, "default": None}):
            with pytest.raises(BadPattern) as caught:
                await bp.receive(pattern, **options)
            assert isinstance(caught.value, TypeError)
            assert "is no pattern" in str(caught.value)
    assert await mailbox() == ["stays"]


@process()
async def test_a_predicate_that_raises_takes_nothing():
    me = bp.self()
    for message in (1, "two", 3):
        bp.send(me, message)
    with pytest.raises(TypeError):
        await bp.receive(lambda m: m > 1)
    assert await mailbox() == [1, "two", 3]


@process()
async def test_a_value_that_cannot_be_compared_does_not_match():
    me, evil = bp.self(), Evil()
    bp.send(me, ("result", evil))
    bp.send(me, ("result", 7))
    assert await bp.receive(("result", 7)) == ("result", 7)
    assert (await bp.receive(("result", evil)))[1] is evil
    assert await bp.receive(("result", evil), timeout=0, default=None) is None


# callbacks


class Wrong(bp.Server):
    """Callbacks that answer what no callback may."""

    async def handle_cast(self, request):
        return request

    async def handle_info(self, message):
        return message

    async def handle_continue(self, then):
        return then


@process()
async def test_a_callback_with_a_wrong_answer(caplog):
    wrong: list[Any] = [7, "noreply", ("noreply", 1), bp.Reply(1), bp.IGNORE, Evil(), [None]]
    for answer in wrong:
        for to_send in (bp.cast, bp.send, lambda s, a: bp.cast(s, bp.NoReply(then=a))):
            server = await Wrong.start()
            ref = bp.monitor(server)
            caplog.clear()
            to_send(server.pid, answer)
            crash = await reason(ref)
            assert isinstance(crash.exception, BadReturn)
            assert "it may return None, NoReply(…) or Stop(reason)" in crash.message
            assert len(errors(caplog)) == 1


@process()
async def test_a_constructor_that_does_not_fit():
    with pytest.raises(StartFailed) as caught:
        await Wrong.start("one too many")
    assert isinstance(caught.value.__cause__, TypeError)
    assert "takes no arguments" in str(caught.value)


@process()
async def test_a_method_that_is_not_there():
    server = await Wrong.start()
    with pytest.raises(AttributeError, match=r"no method 'nope'.*@bp.call"):
        server.nope()
    with pytest.raises(NotImplementedError, match="has no handle_call"):
        await bp.call(server, "nope")


# errors that cannot be shown


class EvilError(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class EvilServer(bp.Server):
    def __init__(self):
        self.evil = Evil()

    async def handle_call(self, request, from_):
        if request == "exit":
            bp.exit(Evil())
        raise EvilError


@process()
async def test_an_exception_that_cannot_be_shown_in_a_process(caplog):
    async def body():
        bp.set_label(Evil())
        bp.send(bp.self(), Evil())
        raise EvilError

    _, ref = bp.spawn_monitor(body)
    crash = await reason(ref)
    assert crash.type.endswith("EvilError")
    assert "whose str() raised RuntimeError" in crash.message
    assert "raise EvilError" in crash.traceback
    [report] = errors(caplog)
    for part in ("crashed", "EvilError", "raise EvilError", "unread messages: 1"):
        assert part in report, report


@process()
async def test_an_exception_that_cannot_be_shown_in_a_server(caplog):
    server = await EvilServer.start()
    ref = bp.monitor(server)
    with pytest.raises(EvilError):
        await bp.call(server, "boom")
    crash = await reason(ref)
    assert crash.type.endswith("EvilError")
    [report] = errors(caplog)
    for part in ("crashed", "EvilServer", "last message", "'boom'", "whose repr() raised RuntimeError"):
        assert part in report, report


@one_node.SHARED
@process()
async def test_a_reason_that_cannot_be_shown(caplog):
    server = await EvilServer.start()
    ref = bp.monitor(server)
    with pytest.raises(ServerExited) as caught:
        await bp.call(server, "exit")
    assert "whose str() raised RuntimeError" in str(caught.value)
    assert isinstance((await get1()).reason, Evil)
    assert len(errors(caplog)) == 1
    server = await EvilServer.start()
    why = Evil()
    await server.stop(why)
    assert bp.demonitor(ref, flush=True) is False


@process()
async def test_an_error_that_cannot_be_shown_can_be_printed():
    for error in (
        BadDestination(Evil()),
        BadPattern(Evil()),
        BadName("process", Evil(), "a rule"),
        ServerExited(PID, Evil()),
        StartFailed("x", Evil()),
        bp.errors.Exited(PID, Evil()),
        bp.errors.BadRef("demonitor", Evil()),
        bp.errors.BadSpec("a problem", spec=Evil()),
        bp.errors.ProcessExit(Evil()),
    ):
        assert "raised RuntimeError" in str(error)


@process()
async def test_a_start_that_fails_with_what_cannot_be_shown():
    class Failing(bp.Server):
        async def init(self):
            raise EvilError

    with pytest.raises(StartFailed) as caught:
        await Failing.start()
    assert isinstance(caught.value.__cause__, EvilError)
    assert "EvilError" in str(caught.value)


def test_a_crash_without_a_picklable_exception_travels() -> None:
    class Local(Exception):
        pass

    crash = bp.Crash.of(Local("here"))
    copy = pickle.loads(pickle.dumps(crash))
    assert (copy, copy.exception, copy.traceback) == (crash, None, crash.traceback)


# code that will not end


async def _zombie(caplog: pytest.LogCaptureFixture, me: bp.Pid, again: list[bool]) -> None:
    where = []

    async def body():
        where.append(api.self_process().node)
        bp.register("undead", bp.self())
        bp.send(me, "ready")
        while True:
            try:
                await bp.receive()
            except BaseException:
                if not again[0]:
                    raise
                bp.send(me, "still here")
                bp.send("main", "still here")

    bp.register("main", bp.self())
    pid, ref = bp.spawn_monitor(body)
    await harness.expect("ready")
    bp.exit(pid, "kill")
    assert await reason(ref) == "killed"
    assert bp.whereis("undead") is None
    assert (bp.is_alive(pid), bp.process_info(pid)) == (False, None)
    await until(lambda: where[0].statistics()["zombies"] == 1)
    bp.send(pid, "wake up")
    assert await mailbox() == []
    [report] = errors(caplog)
    assert "was killed but its code goes on" in report
    assert "undead" not in where[0].registry.pids


async def test_a_process_that_swallows_its_kill(caplog):
    again = [True]

    async def body():
        await _zombie(caplog, bp.self(), again)

    await harness.run(body)  # returns: a zombie does not keep its node
    again[0] = False


async def _stubborn_at_the_end(how: str, pids: list[bp.Pid]) -> None:
    me = bp.self()

    async def traps():
        bp.trap_exit(True)
        bp.send(me, "ready")
        async for _ in bp.mailbox():
            pass

    async def cleans():
        try:
            bp.send(me, "ready")
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(600)

    pids.append(bp.spawn(traps if how == "traps" else cleans))
    await harness.expect("ready")


@pytest.mark.parametrize("how", ["traps", "cleans"])
async def test_a_process_that_does_not_end_with_its_node_is_killed_and_named(how, caplog):
    pids: list[bp.Pid] = []
    await harness.run(_stubborn_at_the_end, how, pids, shutdown_timeout=0.03, exit_grace=600)
    [report] = errors(caplog)
    assert "did not end in time and is killed" in report
    assert how in report


@process()
async def test_a_process_that_eats_an_exit_signal_ends_all_the_same():
    # It may catch the cancellation, even several times: it receives no more messages, so its loop comes to its end.
    me = bp.self()

    async def body():
        bp.send(me, "ready")
        for _ in range(5):
            try:
                await bp.receive()
            except asyncio.CancelledError:
                bp.send(me, "caught")

    pid, ref = bp.spawn_monitor(body)
    await harness.expect("ready")
    bp.exit(pid, "oops")
    assert await reason(ref) == "oops"
    assert await mailbox() == ["caught"] * 5
    assert await absent() == NONE


@process()
async def test_a_call_that_failed_unseen_is_logged(caplog):
    gone = await dead()
    bp.call(gone, "x")
    await until(lambda: bool(errors(caplog)))
    [report] = errors(caplog)
    assert "nobody looked at the failure of a call" in report
