"""dynamic: children that come and go."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import beampy as bp
from beampy.errors import AlreadyStarted, BadSpec, ChildError, ServerExited, StartFailed
from beampy.otp import debug
from beampy.otp.child import ChildCount, ChildInfo, ChildSpec
from beampy.otp.dynamic import DynamicSupervisor
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness
from tests.unit.otp.children import run

worker = DynamicSupervisor.worker


class Counter(bp.Server):
    def __init__(self, start: int = 0, step: int = 1) -> None:
        self.n = start
        self.step = step

    @bp.call
    async def add(self) -> int:
        self.n += self.step
        return self.n


async def idle(*_: Any) -> None:
    await bp.receive(("never",))


async def up(*what: Any) -> None:
    """A worker that says that it is up and ends when it is told to."""
    bp.send("tester", ("up", *what, bp.self()))
    _, reason = await bp.receive(("exit", ...))
    bp.exit(reason)


async def deaf() -> None:
    """It traps exits and takes no notice of them."""
    bp.trap_exit(True)
    bp.send("tester", ("up", bp.self()))
    await bp.receive(("never",))


async def slow_to_end(seconds: float | None = None) -> None:
    """It needs some seconds to end, or until it is told to go."""
    bp.trap_exit(True)
    bp.send("tester", ("up", bp.self()))
    await bp.receive(bp.Exit)
    await bp.receive(lambda m: m == "go", timeout=seconds, default=None)
    bp.exit("shutdown")


async def is_up(*what: Any) -> bp.Pid:
    pid = (await harness.expect(("up", *what, bp.Pid)))[-1]
    assert isinstance(pid, bp.Pid)
    return pid


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What supervisors logged, from after the last pid."""
    return [r.message.rpartition("> ")[2] for r in caplog.records if r.name == "beampy.supervisor"]


# starting and stopping


async def test_children_are_known_by_what_their_start_gave() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link(name="dyn")
        counter = await d.start_child((Counter, 10))
        other = await d.start_child(Counter)  # the id of a spec names nothing
        pid = await d.start_child(worker(idle, restart="temporary"))
        assert await counter.add() == 11
        assert sorted(await d.which_children(), key=lambda info: info.pid) == [
            ChildInfo("Counter", counter.pid, "worker"),
            ChildInfo("Counter", other.pid, "worker"),
            ChildInfo("idle", pid, "worker"),
        ]
        assert await d.count_children() == ChildCount(3, 3, 0, 3)
        assert (await d.get_childspec(pid)).restart == "temporary"
        assert (await d.get_childspec(counter)).call == (Counter.start_link, (10,))
        await d.terminate_child(counter)
        await d.terminate_child(pid)
        assert not bp.is_alive(pid)
        assert await d.which_children() == [ChildInfo("Counter", other.pid, "worker")]
        await DynamicSupervisor.client("dyn").stop()
        assert not bp.is_alive(other.pid)

    await run(test)


async def test_what_ended_may_be_terminated_and_a_stranger_not() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        pid = await d.start_child(worker(up, restart="temporary"))
        bp.send(pid, ("exit", "normal"))
        await harness.ended(pid)
        await d.terminate_child(pid)
        for stranger in (bp.self(), "a", 5):
            with pytest.raises(ChildError) as error:
                await d.terminate_child(stranger)
            assert (error.value.why, error.value.id) == ("not_found", stranger)
        with pytest.raises(ChildError, match="no such child"):
            await d.get_childspec(pid)

    await run(test)


async def test_there_may_be_a_most() -> None:
    class Few(DynamicSupervisor):
        max_children = 2

    async def test() -> None:
        d = await Few.start_link()
        first = await d.start_child(worker(up, 1, restart="temporary"))
        await d.start_child(worker(idle))
        with pytest.raises(ChildError, match="as many children as it may have") as error:
            await d.start_child(worker(idle))
        assert error.value.why == "max_children"
        bp.send(first, ("exit", "normal"))
        await harness.ended(first)
        await d.start_child(worker(idle))
        with pytest.raises(ChildError):
            await (await Few.start_link(max_children=0)).start_child(worker(idle))

    await run(test)


async def test_extra_arguments_come_first() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link(extra_arguments=(10,))
        assert await (await d.start_child((Counter, 5))).add() == 15
        named = await d.start_child(Counter.child_spec(5, name="c"))
        assert await named.add() == 15
        await d.start_child(worker(up, "b"))
        pid = await is_up(10, "b")
        bp.send(pid, ("exit", "oops"))
        assert await is_up(10, "b") != pid

    await run(test)


async def test_a_start_that_fails_is_the_callers_business() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        counter = await d.start_child(Counter.child_spec(name="c"))
        with pytest.raises(AlreadyStarted) as taken:
            await d.start_child(Counter.child_spec(name="c"))
        assert taken.value.pid == counter.pid
        with pytest.raises(StartFailed, match="division") as failed:
            await d.start_child(ChildSpec("a", lambda: 1 / 0))
        assert isinstance(failed.value.reason, bp.Crash)
        with pytest.raises(BadSpec, match=r"Supervisor\.worker"):
            await d.start_child(idle)
        with pytest.raises(BadSpec, match="auto_shutdown"):
            await d.start_child(worker(idle, restart="transient", significant=True))
        assert await d.start_child(ChildSpec("a", lambda: bp.IGNORE)) is None
        assert (await d.count_children()).specs == 1

    await run(test)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"intensity": -1}, "intensity"),
        ({"period": 0}, "period"),
        ({"max_children": -1}, "max_children"),
        ({"max_children": "many"}, "max_children"),
        ({"extra_arguments": [1]}, "extra_arguments"),
        ({"auto_shutdown": "x"}, "auto_shutdown"),
    ],
)
async def test_bad_options(options: Any, problem: str) -> None:
    async def test() -> None:
        with pytest.raises(BadSpec, match=problem):
            await DynamicSupervisor.start_link(**options)

    await run(test)


async def test_it_is_a_child_itself_and_shows_its_state() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([DynamicSupervisor.child_spec(name="dyn", max_children=3)])
        [info] = await sup.which_children()
        assert (info.id, info.type) == ("dyn", "supervisor")
        assert await debug.get_state("dyn") == {
            **{"intensity": 3, "period": 5.0, "max_children": 3, "extra_arguments": ()},
            **{"auto_shutdown": "never", "children": []},
        }

    await run(test)


# ends


@pytest.mark.parametrize(
    ("restart", "reason", "restarted"),
    [
        ("permanent", "normal", True),
        ("permanent", "oops", True),
        ("transient", ("shutdown", "x"), False),
        ("transient", "oops", True),
        ("temporary", "oops", False),
    ],
)
async def test_an_end_restarts_or_forgets(restart: Any, reason: Any, restarted: bool) -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        pid = await d.start_child(worker(up, restart=restart))
        assert await is_up() == pid
        bp.send(pid, ("exit", reason))
        await harness.ended(pid)
        listed = [info.pid for info in await d.which_children()]
        assert listed == ([await is_up()] if restarted else [])
        assert pid not in listed

    await run(test)


async def test_too_many_restarts_end_it_and_all_children(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link(intensity=1)
        other = await d.start_child(worker(idle))
        pid = await d.start_child(worker(up))
        for _ in range(2):
            pid = await is_up()
            bp.send(pid, ("exit", "oops"))
        assert await harness.expect(bp.Exit) == bp.Exit(d.pid, "shutdown")
        assert not bp.is_alive(other)

    await run(test)
    assert lines(caplog) == [
        *["ended: oops; restarting it"] * 2,
        "gives up: child 'up' ended and that is more than 1 restarts in 5.0 s",
    ]


async def test_a_restart_that_fails_is_tried_again() -> None:
    def start_up() -> bp.Pid:
        return bp.spawn_link(up)

    starts: list[Any] = [start_up, lambda: 1 / 0, lambda: bp.exit("not yet"), start_up]

    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        pid = await d.start_child(ChildSpec("a", lambda: starts.pop(0)()))
        assert await is_up() == pid
        bp.exit(pid, "kill")
        new = await is_up()
        assert [info.pid for info in await d.which_children()] == [new]
        assert starts == []

    await run(test)


async def test_one_that_cannot_be_restarted_is_listed_and_can_be_terminated() -> None:
    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise ValueError("never again")

    starts: list[Any] = [lambda: bp.spawn_link(idle)]

    async def test() -> None:
        d = await DynamicSupervisor.start_link(intensity=1_000_000)
        pid = await d.start_child(ChildSpec("a", lambda: starts.pop()() if starts else fail()))
        bp.exit(pid, "kill")
        await harness.ended(pid)
        assert await d.which_children() == [ChildInfo("a", "restarting", "worker")]
        assert await d.count_children() == ChildCount(1, 0, 0, 1)
        await d.terminate_child(pid)
        assert await d.which_children() == []
        await d.stop()

    await run(test)


async def test_a_restart_that_is_ignored_forgets_the_child() -> None:
    starts: list[Any] = [lambda: bp.spawn_link(idle)]

    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        pid = await d.start_child(ChildSpec("a", lambda: starts.pop()() if starts else bp.IGNORE))
        bp.exit(pid, "kill")
        await harness.ended(pid)
        assert await d.which_children() == []

    await run(test)


@pytest.mark.parametrize(("auto_shutdown", "left"), [("any_significant", 1), ("all_significant", 0)])
async def test_significant_children(auto_shutdown: Any, left: int) -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link(auto_shutdown=auto_shutdown)
        other = await d.start_child(worker(up, 0, restart="temporary"))
        pids = [await d.start_child(worker(up, n, restart="transient", significant=True)) for n in (1, 2)]
        bp.send(other, ("exit", "normal"))
        await harness.ended(other)
        assert (await d.count_children()).active == 2
        for pid in pids[left:]:
            bp.send(pid, ("exit", "normal"))
            await harness.ended(pid)
        if left == 0:
            bp.send(pids[0], ("exit", "normal"))
        assert await harness.expect(bp.Exit) == bp.Exit(d.pid, "shutdown")
        assert not any(map(bp.is_alive, pids))

    await run(test)


# its own end


@pytest.mark.loops("sim")  # seconds pass, and are looked at
async def test_its_children_are_stopped_at_the_same_time(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> float:
        d = await DynamicSupervisor.start_link()
        children = [
            *[worker(slow_to_end, 1.0, shutdown="infinity")] * 20,
            *[worker(deaf, shutdown=0.5)] * 20,
            *[worker(deaf, shutdown="brutal_kill")] * 20,
        ]
        pids = [await d.start_child(child) for child in children]
        for _ in pids:
            await is_up()
        clock = asyncio.get_running_loop().time
        began = clock()
        await d.stop()
        assert not any(map(bp.is_alive, pids))
        return clock() - began

    assert await run(test) == pytest.approx(1, abs=0.1)  # that is what the slowest needs
    assert lines(caplog) == ["did not end within 0.5 s and was killed"] * 20


async def test_what_takes_long_keeps_nobody_elses_kill_waiting() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        patient = await d.start_child(worker(slow_to_end, shutdown="infinity"))
        await is_up()
        pid = await d.start_child(worker(deaf, shutdown=0.05))
        await is_up()
        bp.exit(d.pid, "shutdown")
        assert await harness.ended(pid) == "killed"
        assert bp.is_alive(patient)
        bp.send(patient, "go")
        assert await harness.ended(patient) == "shutdown"

    await run(test)


async def test_a_kill_takes_the_children_along_also_while_it_stops_them(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        for stop_first in (False, True):
            d = await DynamicSupervisor.start_link()
            pids = [await d.start_child(worker(idle, shutdown="infinity")) for _ in range(100)]
            waiting = await d.start_child(worker(slow_to_end))
            await is_up()
            if stop_first:
                bp.exit(d.pid, "shutdown")
                await harness.ended(pids[0])  # now it waits for the one that has least time
            bp.exit(d.pid, "kill")
            bp.send(waiting, "go")
            for pid in [*pids, waiting]:
                await harness.ended(pid)
            assert (await harness.expect(bp.Exit)).reason == "killed"

    await run(test)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_requests_after_its_end_are_told_so() -> None:
    async def ask(d: DynamicSupervisor) -> None:
        bp.send("tester", "asking")
        try:
            await d.which_children()
        except ServerExited as error:
            bp.send("tester", ("refused", error.reason))

    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        slow = await d.start_child(worker(slow_to_end))
        await is_up()
        bp.exit(d.pid, "shutdown")
        bp.spawn(ask, d)
        await harness.expect("asking")
        bp.send(slow, "go")
        await harness.expect(("refused", "shutdown"))

    await run(test)


# scale


async def test_ten_thousand_children() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        spec = worker(idle, restart="temporary")
        pids = [await d.start_child(spec) for _ in range(10_000)]
        assert await d.count_children() == ChildCount(10_000, 10_000, 0, 10_000)
        for pid in pids[::2]:
            bp.exit(pid, "kill")
        assert (await d.count_children()).active == 5_000
        for pid in pids[1::200]:
            await d.terminate_child(pid)
        assert (await d.count_children()).active == 4_950
        await d.stop()
        assert not any(map(bp.is_alive, pids))

    await run(test)


async def test_a_storm() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link(intensity=100_000)
        for n in range(100):
            await d.start_child(worker(up, n))
        pids = [await is_up(n) for n in range(100)]
        for _ in range(10):
            for pid in pids:
                bp.exit(pid, "kill")
            pids = [await is_up(n) for n in range(100)]
        assert {info.pid for info in await d.which_children()} == set(pids)
        await harness.nothing()

    await run(test)


async def test_on_a_strict_node() -> None:
    async def test() -> None:
        d = await DynamicSupervisor.start_link()
        counter = await d.start_child((Counter, 1))
        assert await counter.add() == 2
        bp.exit(counter.pid, "kill")
        [info] = await d.which_children()
        assert info.pid != counter.pid
        await d.terminate_child(Counter.client(info.pid))
        assert await d.which_children() == []

    await run(test, strict=True)
