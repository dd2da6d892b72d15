"""supervisor: restarts, beyond what the recorded probes say (tests/conformance/test_supervisor_restarts.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import beampy as bp
from beampy.otp import debug
from beampy.otp.child import ChildSpec
from beampy.otp.supervised import worker
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness
from tests.unit.otp.children import ask, idle, lines, pid_of, run, slow_start, told

if TYPE_CHECKING:
    import pytest

# restarts


async def test_giving_up_goes_up_the_tree() -> None:
    async def test() -> None:
        leaf = worker(told, "leaf")
        inner = Supervisor.child_spec([leaf], id="inner", intensity=1)
        top = await Supervisor.start_link([inner, worker(told, "other")], intensity=1, strategy="one_for_all")
        for _ in range(4):  # in turn the inner supervisor restarts the leaf, and gives up
            _, _, pid = await harness.expect(("up", "leaf", bp.Pid))
            bp.exit(pid, "kill")
        assert await harness.expect(bp.Exit) == bp.Exit(top.pid, "shutdown")
        others = [message[0] for message in harness.flush() if message[1] == "other"]
        assert others == ["up", "down", "up", "down"]  # the top one restarted all, and then gave up, too

    await run(test)


async def test_a_restarted_supervisor_starts_its_children_again() -> None:
    async def test() -> None:
        inner = Supervisor.child_spec([worker(told, 1), worker(told, 2, id="second")], id="inner")
        top = await Supervisor.start_link([inner])
        first = [(await harness.expect(("up", n, ...)))[2] for n in (1, 2)]
        bp.exit(await pid_of(top, "inner"), "kill")
        second = [(await harness.expect(("up", n, ...)))[2] for n in (1, 2)]
        assert not set(first) & set(second)
        assert all(map(bp.is_alive, second))
        found = Supervisor.client(await pid_of(top, "inner"))
        assert [info.pid for info in await found.which_children()] == second[::-1]

    await run(test)


async def test_a_storm_of_ends_is_survived_child_by_child() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([worker(told, n, id=n) for n in range(50)], intensity=10_000)
        pids = {n: (await harness.expect(("up", n, ...)))[2] for n in range(50)}
        for _ in range(20):
            for pid in pids.values():
                bp.exit(pid, "kill")
            pids = {n: (await harness.expect(("up", n, ...)))[2] for n in range(50)}
        assert {info.id: info.pid for info in await sup.which_children()} == pids
        await harness.nothing()

    await run(test)


async def test_a_thousand_children_for_one_and_one_for_a_thousand() -> None:
    async def test() -> None:
        children = [worker(told, n, id=n) for n in range(1000)]
        sup = await Supervisor.start_link(children, strategy="one_for_all", intensity=3)
        pids = [(await harness.expect(("up", n, ...)))[2] for n in range(1000)]
        bp.exit(pids[500], "kill")  # one ends: all others are stopped, last first
        stopped = [(await harness.expect(("down", ...)))[1] for _ in range(999)]
        assert stopped == [n for n in reversed(range(1000)) if n != 500]
        pids = [(await harness.expect(("up", n, ...)))[2] for n in range(1000)]
        for pid in pids:  # all end at once: that is one restart, too
            bp.exit(pid, "kill")
        pids = [(await harness.expect(("up", n, ...)))[2] for n in range(1000)]
        assert [info.pid for info in await sup.which_children()] == pids[::-1]
        assert (await sup.count_children()).active == 1000
        await harness.nothing()

    await run(test)


async def test_the_reason_of_one_that_ended_before_its_stop_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([worker(idle, id=n) for n in range(3)], strategy="one_for_all")
        pids = [await pid_of(sup, n) for n in range(3)]
        await debug.suspend(sup)
        bp.exit(pids[1], "first")
        bp.exit(pids[2], ("shutdown", "second"))
        bp.exit(pids[0], "third")
        for pid in pids:
            await harness.ended(pid)
        await debug.resume(sup)
        assert (await sup.count_children()).active == 3

    await run(test)
    ends = [line.partition("child ")[2] for _, line in lines(caplog)]
    assert [(line[0], line.rpartition(": ")[2]) for line in ends] == [
        ("1", "first; restarting all children"),
        ("2", "('shutdown', 'second')"),
        ("0", "third"),
    ]


async def test_the_parents_end_during_a_restart_waits_its_turn() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([worker(told, n, id=n) for n in range(3)], strategy="one_for_all")
        pids = [(await harness.expect(("up", n, ...)))[2] for n in range(3)]
        asking = bp.spawn(ask, sup, ChildSpec("slow", slow_start))
        await harness.expect(("starting", sup.pid))
        for pid in pids:  # their ends wait in its mailbox, and behind them the parent's
            bp.exit(pid, "kill")
        bp.exit(sup.pid, "shutdown")
        bp.send(sup.pid, "go on")
        bp.send(sup.pid, "go on")  # once more, for the restart
        assert (await harness.expect(bp.Exit)).reason == "shutdown"
        await harness.ended(asking)
        seen = harness.flush()
        assert [message[:2] for message in seen if message[0] == "up"] == [("up", n) for n in range(3)]
        assert not any(bp.is_alive(message[2]) for message in seen if message[0] == "up")

    await run(test)
