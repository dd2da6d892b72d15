"""api: the verbs say the same in a process, in its tasks and in its threads; and they name themselves when misused."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import BadDestination, NameTaken, NoProcess, NotInNode, NotInProcess, NotLocal, NotRegistered
from beampy.handle import Pending, ThreadHandle
from beampy.testing import harness

LONG = 30.0
WAIT = 5.0

FAR = bp.Pid("b@h", 1, 1)


async def idle() -> None:
    await bp.receive(("never",))


async def in_the_process(fn: Any) -> Any:
    return fn()


async def in_a_task(fn: Any) -> Any:
    async def task() -> Any:
        return fn()

    return await asyncio.create_task(task())


async def in_a_thread(fn: Any) -> Any:
    return await asyncio.to_thread(fn)


async def in_a_thread_of_an_executor(fn: Any) -> Any:
    run = functools.partial(contextvars.copy_context().run, fn)
    return await asyncio.get_running_loop().run_in_executor(None, run)


places = pytest.mark.parametrize(
    "place", [in_the_process, in_a_task, in_a_thread, in_a_thread_of_an_executor], ids=lambda f: f.__name__
)
loops = pytest.mark.loops("asyncio", "uvloop")  # a simulated loop runs what is meant for threads inline


# every verb, from everywhere


@loops
@places
async def test_spawning(place: Any) -> None:
    async def body() -> None:
        me = bp.self()
        node = api.self_process().node
        pid = await place(lambda: bp.spawn(idle, name="idle"))
        assert bp.whereis("idle") == pid
        info = bp.process_info(pid)
        assert info is not None
        assert info.ancestors[0] == me
        pid, ref = await place(lambda: bp.spawn(idle, monitor=True, link=True, trap_exit=True, max_mailbox=10))
        info = bp.process_info(pid)
        assert info is not None
        assert (info.links, info.monitored_by, info.trap_exit) == ((me,), (me,), True)
        await place(lambda: bp.unlink(pid))
        await place(lambda: bp.exit(pid, "kill"))
        assert await harness.expect(bp.Down) == bp.Down(ref, pid, "killed")
        linked = await place(lambda: bp.spawn_link(idle))
        monitored, ref = await place(lambda: bp.spawn_monitor(idle, name="m"))
        mine = bp.process_info(me)
        assert mine is not None
        assert (mine.links, mine.monitors) == ((linked,), (monitored,))
        with pytest.raises(NameTaken):
            await place(lambda: bp.spawn(idle, name="m"))
        assert node.statistics()["names"] == 2

    await harness.run(body)


@loops
@places
async def test_links_and_monitors(place: Any) -> None:
    async def body() -> None:
        me = bp.self()
        bp.trap_exit()
        pid = bp.spawn(idle)
        assert await place(lambda: bp.link(pid)) is True
        assert await place(lambda: bp.unlink(pid)) is True
        assert await place(lambda: bp.link(pid)) is True
        ref = await place(lambda: bp.monitor(pid, tag="tag"))
        aliased = await place(lambda: bp.monitor(pid, alias="demonitor"))
        gone = await place(lambda: bp.monitor(pid))
        assert await place(lambda: bp.demonitor(gone)) is True
        assert await place(lambda: bp.demonitor(gone, flush=True)) is False
        await place(lambda: bp.send(aliased, "by alias"))
        await harness.expect("by alias")
        await place(lambda: bp.exit(pid, "boom"))
        assert await harness.expect(bp.Exit) == bp.Exit(pid, "boom")
        downs = {await harness.expect(bp.Down), await harness.expect(bp.Down)}
        assert downs == {bp.Down(ref, pid, "boom", "tag"), bp.Down(aliased, pid, "boom")}
        assert await place(lambda: bp.link(pid)) is True
        assert await harness.expect(bp.Exit) == bp.Exit(pid, "noproc")
        assert await place(lambda: bp.trap_exit(False)) is True
        with pytest.raises(NoProcess):
            await place(lambda: bp.link(pid))
        assert harness.flush() == []
        assert await place(bp.self) == me

    await harness.run(body)


@loops
@places
async def test_names(place: Any) -> None:
    async def body() -> None:
        pid = bp.spawn(idle)
        await place(lambda: bp.register("name", pid))
        assert await place(lambda: bp.whereis("name")) == pid
        assert await place(bp.registered) == ["name"]
        with pytest.raises(NameTaken):
            await place(lambda: bp.register("other", pid))
        await place(lambda: bp.unregister("name"))
        with pytest.raises(NotRegistered):
            await place(lambda: bp.unregister("name"))
        assert await place(lambda: bp.whereis("name")) is None
        with pytest.raises(NotLocal):
            await place(lambda: bp.register("name", FAR))

    await harness.run(body)


@loops
@places
async def test_timers(place: Any) -> None:
    async def body() -> None:
        me = bp.self()
        await place(lambda: bp.send_after(0.001, me, "later"))
        await harness.expect("later")
        ref = await place(lambda: bp.start_timer(0.001, me, "later"))
        assert await harness.expect(bp.Timeout) == bp.Timeout(ref, "later")
        ref = await place(lambda: bp.send_after(LONG, me, "never"))
        left = await place(lambda: bp.cancel_timer(ref))
        assert left is not None
        assert 0 < left <= LONG + 0.001
        assert await place(lambda: bp.cancel_timer(ref)) is None
        for seconds in (-1, float("nan"), -0.001):
            with pytest.raises(ValueError, match="not negative"):
                await place(lambda seconds=seconds: bp.send_after(seconds, me, "x"))

    await harness.run(body)


@loops
@places
async def test_aliases(place: Any) -> None:
    async def body() -> None:
        once = await place(lambda: bp.alias("reply"))
        kept = await place(bp.alias)
        for _ in range(2):
            bp.send(once, "once")
            bp.send(kept, "kept")
        assert await place(lambda: bp.unalias(kept)) is True
        assert await place(lambda: bp.unalias(kept)) is False
        bp.send(kept, "too late")
        assert harness.flush() == ["once", "kept", "kept"]

    await harness.run(body)


@loops
@places
async def test_looking(place: Any) -> None:
    async def body() -> None:
        pid = bp.spawn(idle)
        assert await place(lambda: bp.is_alive(pid)) is True
        assert pid in await place(bp.processes)
        info = await place(lambda: bp.process_info(pid))
        assert info.pid == pid
        ancestors = await place(bp.ancestors)
        assert ancestors == bp.ancestors()
        await place(lambda: bp.set_label("a label"))
        mine = bp.process_info(bp.self())
        assert mine is not None
        assert mine.label == "a label"
        bp.exit(pid, "kill")
        assert await place(lambda: bp.is_alive(pid)) is False
        assert await place(lambda: bp.process_info(pid)) is None
        for ask in (bp.is_alive, bp.process_info):
            with pytest.raises(NotLocal):
                await place(lambda ask=ask: ask(FAR))
            with pytest.raises(BadDestination):
                await place(lambda ask=ask: ask("name"))

    await harness.run(body)


@loops
async def test_a_call_from_a_thread_of_the_process() -> None:
    class Echo(bp.Server):
        @bp.call
        async def echo(self, value: Any) -> Any:
            return value

    async def body() -> Any:
        echo = await Echo.start()
        pending = await asyncio.to_thread(echo.echo, 5)
        return await asyncio.to_thread(pending.result, WAIT)

    assert await harness.run(body) == 5


# exit


async def test_exit_has_two_meanings_and_no_third() -> None:
    async def leaves(*reason: Any) -> None:
        bp.exit(*reason)

    async def body() -> None:
        assert await harness.ended(bp.spawn(leaves)) == "normal"
        assert await harness.ended(bp.spawn(leaves, "boom")) == "boom"
        assert await harness.ended(bp.spawn(leaves, None)) is None
        pid = bp.spawn(idle)
        assert bp.exit(pid, "normal") is None
        assert bp.is_alive(pid)
        for dest in ("name", 5, None, bp.alias()):
            with pytest.raises(BadDestination):
                bp.exit(dest, "x")

    await harness.run(body)


async def test_exit_of_a_task_ends_its_process() -> None:
    seen: list[Any] = []

    async def task() -> None:
        try:
            bp.exit("by a task")
        except asyncio.CancelledError as error:
            seen.append(error.args)
            raise

    async def worker() -> None:
        await asyncio.create_task(task())

    async def body() -> object:
        pid, _ = bp.spawn_monitor(worker)
        down = await harness.expect(bp.Down)
        assert down.target == pid
        return down.reason

    assert await harness.run(body) == "by a task"
    assert seen == [("exit('by a task') of the task's process",)]


# timed and submit


@api.timed
async def doubled(n: int) -> int:
    """Twice as much."""
    await asyncio.sleep(0)
    return 2 * n


async def test_timed_keeps_what_it_wraps() -> None:
    assert doubled.__doc__ == "Twice as much."
    assert list(inspect.signature(doubled).parameters) == ["n"]

    async def body() -> int:
        handle = doubled(2)
        assert isinstance(handle, Pending)
        return await handle

    assert await harness.run(body) == 4


@loops
async def test_timed_from_a_thread_speaks_for_the_caller() -> None:
    @api.timed
    async def who() -> bp.Pid:
        return bp.self()

    async def body() -> None:
        handle = await asyncio.to_thread(who)
        assert isinstance(handle, ThreadHandle)
        assert await asyncio.to_thread(handle.result, WAIT) == bp.self()
        handle = await asyncio.to_thread(doubled, 4)
        assert await asyncio.to_thread(handle.result, WAIT) == 8

    await harness.run(body)


# where there is nobody

VERBS: list[tuple[str, Any]] = [
    ("self", bp.self),
    ("spawn", lambda: bp.spawn(idle)),
    ("send", lambda: bp.send("name", 1)),
    ("link", lambda: bp.link(FAR)),
    ("unlink", lambda: bp.unlink(FAR)),
    ("monitor", lambda: bp.monitor(FAR)),
    ("demonitor", lambda: bp.demonitor(bp.Ref("a@h", 1, 1))),
    ("exit", lambda: bp.exit("boom")),
    ("trap_exit", lambda: bp.trap_exit()),
    ("alias", bp.alias),
    ("register", lambda: bp.register("name", FAR)),
    ("unregister", lambda: bp.unregister("name")),
    ("whereis", lambda: bp.whereis("name")),
    ("registered", bp.registered),
    ("processes", bp.processes),
    ("is_alive", lambda: bp.is_alive(FAR)),
    ("process_info", lambda: bp.process_info(FAR)),
    ("ancestors", bp.ancestors),
    ("set_label", lambda: bp.set_label("x")),
    ("send_after", lambda: bp.send_after(1, FAR, 1)),
    ("start_timer", lambda: bp.start_timer(1, FAR, 1)),
    ("cancel_timer", lambda: bp.cancel_timer(bp.Ref("a@h", 1, 1))),
    ("doubled", lambda: doubled(1)),
]


@pytest.mark.parametrize(("name", "verb"), VERBS, ids=[name for name, _ in VERBS])
def test_where_no_node_runs_the_verb_says_its_name(name: str, verb: Any) -> None:
    with pytest.raises(NotInNode) as caught:
        verb()
    assert caught.value.verb == name


CHANGING = {"spawn", "link", "unlink", "monitor", "demonitor", "exit", "trap_exit", "alias", "send_after",
            "start_timer", "cancel_timer"}  # fmt: skip


@pytest.mark.parametrize(("name", "verb"), [v for v in VERBS if v[0] in CHANGING], ids=sorted(CHANGING, key=str))
async def test_a_process_that_has_ended_changes_nothing_more(name: str, verb: Any) -> None:
    async def body() -> None:
        said: list[Any] = []

        async def task() -> None:
            try:
                await asyncio.sleep(LONG)
            finally:
                try:
                    said.append(verb())
                except BaseException as error:
                    said.append(error)

        async def short() -> None:
            said.append(asyncio.create_task(task()))
            await asyncio.sleep(0)

        await harness.ended(bp.spawn(short))
        await asyncio.wait([said[0]])
        assert isinstance(said[1], NotInProcess)
        assert said[1].where == "a process that has ended"

    await harness.run(body)


# the module


def test_every_verb_is_listed_and_described() -> None:
    for name in api.__all__:
        verb = getattr(api, name)
        assert inspect.getdoc(verb), name


@pytest.mark.loops("asyncio")
def test_a_verb_in_a_thread_whose_loop_is_gone_is_refused() -> None:
    kept: list[Any] = []

    async def main() -> None:
        kept.append(contextvars.copy_context())

    bp.run(main)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            kept[0].run(lambda: bp.spawn(idle))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(WAIT)
    assert isinstance(errors[0], NotInProcess | NotInNode)
