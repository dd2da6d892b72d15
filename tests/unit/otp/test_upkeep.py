"""upkeep: how children are started, stopped and reported."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import beampy as bp
from beampy.errors import (
    BadReturn,
    BadSpec,
    CallTimeout,
    NoProcess,
    StartFailed,
    StartTimeout,
)
from beampy.otp.child import ChildSpec
from beampy.otp.supervised import as_spec, worker
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness
from tests.unit.otp.children import LOG, Counter, Deaf, Hanging, ask, idle, lines, pid_of, run, slow_start, told

# starting a child


async def async_pid() -> bp.Pid:
    return bp.spawn_link(idle)


async def async_client() -> Any:
    return await Counter.start_link(5)


async def handshake() -> bp.Pid:
    """A start function that waits for a message of its own."""
    me = bp.self()

    async def child() -> None:
        bp.send(me, ("ready", bp.self()))
        await idle()

    pid = bp.spawn_link(child)
    await bp.receive(("ready", pid))
    return pid


@pytest.mark.parametrize("start", [lambda: bp.spawn_link(idle), async_pid, handshake, lambda: bp.spawn(idle)])
async def test_a_start_gives_a_pid(start: Any) -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([ChildSpec("a", start)])
        pid = await pid_of(sup, "a")
        bp.exit(pid, "kill")  # linked or not, it is the supervisor's now
        await harness.ended(pid)
        assert await pid_of(sup, "a") != pid

    await run(test)


async def test_start_child_gives_what_the_start_gave() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link()
        counter = await sup.start_child((Counter, 3))
        assert await counter.add(1) == 4
        assert counter == Counter.client(await pid_of(sup, "Counter"))
        assert await sup.start_child(worker(idle)) == await pid_of(sup, "idle")
        assert await (await sup.start_child(ChildSpec("a", async_client))).add(1) == 6
        assert await sup.start_child(ChildSpec("b", lambda: bp.IGNORE)) is None
        await sup.terminate_child("Counter")
        again = await sup.restart_child("Counter")
        assert again != counter
        assert await again.add(1) == 4

    await run(test)


class Refusing(bp.Server):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def init(self) -> Any:
        if isinstance(self.answer, ValueError):
            raise self.answer
        return self.answer


class Leaving(bp.Server):
    async def init(self) -> None:
        bp.exit("gone")


async def no_pid() -> str:
    return "up"


async def own_pid() -> bp.Pid:
    return bp.self()


async def cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def childs_code() -> None:
    async for _ in bp.mailbox():
        pass


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ((Refusing, bp.Stop("not today")), "not today"),
        (Hanging.child_spec(timeout=0.05), "timeout"),
        (Leaving, "gone"),
        (ChildSpec("a", lambda: bp.exit("out")), "out"),
    ],
)
async def test_a_start_may_fail_for_a_reason(child: Any, reason: Any) -> None:
    async def test() -> None:
        sup = await Supervisor.start_link()
        with pytest.raises(StartFailed) as failed:
            await sup.start_child(child)
        assert failed.value.reason == reason
        assert await sup.which_children() == []
        with pytest.raises(StartFailed) as failed:
            await Supervisor.start_link([child])
        assert failed.value.reason == ("shutdown", ("failed_to_start_child", as_spec(child).id, reason))
        harness.flush()

    await run(test)


@pytest.mark.parametrize(
    ("child", "cause", "text"),
    [
        ((Refusing, ValueError("boom")), ValueError, "boom"),
        (ChildSpec("a", lambda: 1 / 0), ZeroDivisionError, "division by zero"),
        (ChildSpec("a", lambda: None), BadReturn, "returned None; it may return the pid or a client"),
        (ChildSpec("a", no_pid), BadReturn, "no_pid returned 'up'"),
        (ChildSpec("a", own_pid), BadReturn, "own_pid returned <Pid"),
        (ChildSpec("a", cancelled), asyncio.CancelledError, "CancelledError"),
        (ChildSpec("a", childs_code), BadSpec, r"childs_code receives messages.*Supervisor.worker\(childs_code, …\)"),
        (worker(lambda: None), TypeError, "async"),
    ],
)
async def test_a_start_may_fail_by_an_error(child: Any, cause: type[BaseException], text: str) -> None:
    async def test() -> None:
        sup = await Supervisor.start_link()
        with pytest.raises(StartFailed, match=text) as failed:
            await sup.start_child(child)
        assert isinstance(failed.value.reason, bp.Crash)
        assert isinstance(failed.value.reason.exception, cause)
        assert await sup.which_children() == []
        outer = Supervisor.child_spec([child], id="inner")
        told = f"its child 'inner' did not start: its child .* did not start: .*{text}"
        with pytest.raises(StartFailed, match=told) as failed:
            await Supervisor.start_link([outer])
        assert isinstance(failed.value.__cause__, cause)  # the error itself, through all supervisors

    await run(test)


async def test_a_child_that_is_ended_in_its_init() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link()
        for reason in ("kill", "oops"):
            asking = bp.spawn(ask, sup, Hanging)
            _, child = await harness.expect(("hangs", bp.Pid))
            bp.exit(child, reason)
            failed = await harness.ended(asking)
            assert failed.exception.reason == reason.replace("kill", "killed")
        assert await sup.which_children() == []

    await run(test)


async def test_a_start_whose_name_is_taken() -> None:
    async def test() -> None:
        other = await Counter.start(name="counter")
        sup = await Supervisor.start_link()
        for child in (Counter.child_spec(name="counter"), worker(idle, name="counter")):
            with pytest.raises(StartFailed) as failed:
                await sup.start_child(child)
            assert failed.value.reason == ("already_started", other.pid)

    await run(test)


async def test_a_start_function_cleans_up_when_the_supervisor_is_killed() -> None:
    async def start() -> None:
        try:
            bp.send("tester", "starting")
            await asyncio.sleep(3600)
        finally:
            cleaned.append(True)

    cleaned: list[bool] = []

    async def test() -> None:
        sup = await Supervisor.start_link()
        starting = bp.spawn(ask, sup, ChildSpec("a", start))
        await harness.expect("starting")
        bp.exit(sup.pid, "kill")
        assert await harness.ended(sup.pid) == "noproc"
        assert await harness.ended(starting) in ("normal", "noproc")
        assert cleaned == [True]

    await run(test)


# while a child starts


async def test_a_kill_does_not_wait_for_a_start(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        starter = bp.spawn(ask_start)
        _, child = await harness.expect(("hangs", bp.Pid))
        sup = bp.whereis("sup")
        assert sup is not None
        bp.exit(sup, "kill")
        assert await harness.ended(child) in ("killed", "noproc")
        assert await harness.ended(starter) in ("killed", "noproc")
        assert bp.whereis("sup") is None

    async def ask_start() -> None:
        await Supervisor.start_link([Counter, Hanging], name="sup")

    await run(test)
    assert caplog.records == []


async def test_requests_wait_while_a_child_starts() -> None:
    async def count(sup: Any) -> None:
        bp.send("tester", ("counted", await sup.count_children()))

    async def test() -> None:
        sup = await Supervisor.start_link([Counter])
        asking = bp.spawn(ask, sup, ChildSpec("slow", slow_start))
        await harness.expect(("starting", sup.pid))
        with pytest.raises(CallTimeout):
            await sup.options(timeout=0.02).which_children()
        bp.spawn(count, sup)
        await harness.nothing(("counted", ...))
        bp.send(sup.pid, "go on")
        _, counted = await harness.expect(("counted", tuple))
        assert counted.active == 2
        assert await harness.ended(asking) in ("normal", "noproc")

    await run(test)


async def test_a_child_that_hangs_in_init_is_killed_after_its_timeout() -> None:
    async def test() -> None:
        with pytest.raises(StartFailed) as failed:
            await Supervisor.start_link([Counter.child_spec(name="c"), Hanging.child_spec(timeout=0.05)])
        assert failed.value.reason == ("shutdown", ("failed_to_start_child", "Hanging", "timeout"))
        _, child = await harness.expect(("hangs", bp.Pid))
        assert not bp.is_alive(child)
        assert bp.whereis("c") is None
        await harness.nothing()

    await run(test)


async def test_the_supervisors_own_start_may_have_a_timeout() -> None:
    async def test() -> None:
        with pytest.raises(StartTimeout):
            await Supervisor.start_link([Counter.child_spec(name="c"), Hanging], timeout=0.05, name="sup")
        _, child = await harness.expect(("hangs", bp.Pid))
        assert await harness.ended(child) in ("killed", "noproc")
        assert bp.whereis("c") is None
        assert bp.whereis("sup") is None

    await run(test)


# ends


async def test_a_child_that_ignores_its_shutdown_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([Counter, Deaf.child_spec(shutdown=0.05, name="deaf")])
        ref = bp.monitor(await pid_of(sup, "deaf"))
        await sup.terminate_child("deaf")
        assert (await harness.expect(bp.Down))[:1] == (ref,)
        assert await sup.restart_child("deaf") == Deaf.client(await pid_of(sup, "deaf"))
        await sup.stop()
        assert (await harness.expect(bp.Exit)).reason == "normal"

    await run(test)
    assert [(level, line.partition("child ")[2].partition(" <")[0]) for level, line in lines(caplog)] == [
        ("ERROR", "'deaf'"),
        ("ERROR", "'deaf'"),
    ]
    assert lines(caplog)[0][1].endswith("did not end within 0.05 s and was killed")


async def test_a_shutdown_of_no_time_is_a_kill_for_who_traps() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([Deaf.child_spec(shutdown=0)])
        pid = await pid_of(sup, "Deaf")
        await sup.terminate_child("Deaf")
        assert not bp.is_alive(pid)

    await run(test)


async def test_a_kill_of_the_top_leaves_nobody_behind() -> None:
    async def test() -> None:
        before = set(bp.processes())
        leaves = [Counter.child_spec(id=i) for i in range(20)]
        middle = [Supervisor.child_spec(leaves, id=i) for i in range(5)]
        top = await Supervisor.start_link(middle)
        born = set(bp.processes()) - before
        assert len(born) == 1 + 5 + 100
        refs = {bp.monitor(pid) for pid in born}
        bp.exit(top.pid, "kill")
        reasons = [(await harness.expect(bp.Down)).reason for _ in refs]
        assert sorted(reasons) == ["killed"] * 6 + ["shutdown"] * 100  # the supervisors; their children
        assert set(bp.processes()) == before

    await run(test)


async def test_the_end_of_the_node_stops_children_in_reverse_order() -> None:
    seen: list[Any] = []

    class Noting(bp.Server):
        trap_exit = True

        def __init__(self, name: str) -> None:
            self.name = name

        async def terminate(self, reason: Any) -> None:
            seen.append((self.name, reason))

    def noting(*names: str) -> list[ChildSpec]:
        return [Noting.child_spec(name, id=name) for name in names]

    async def test() -> None:
        await Supervisor.start_link([*noting("a", "b"), Supervisor.child_spec(noting("c", "d"))])
        await Supervisor.start(noting("e"))  # nobody's child, and yet it ends in order

    await run(test)
    assert sorted(seen, key=str) == [(name, "shutdown") for name in "abcde"]
    assert [name for name, _ in seen if name != "e"] == ["d", "c", "b", "a"]


async def test_stop_waits_for_the_end_and_gives_the_reason() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([worker(told, 1)])
        await harness.expect(("up", 1, ...))
        await sup.stop("enough")
        await harness.expect(("down", 1))
        assert (await harness.expect(bp.Exit)).reason == "enough"
        with pytest.raises(NoProcess):
            await sup.stop()

    await run(test)


# reports


async def test_reports_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG)

    class Flaky(bp.Server):
        starts = 0

        async def init(self) -> Any:
            Flaky.starts += 1
            if Flaky.starts > 1:
                raise ValueError("two\nlines")

    async def test() -> None:
        sup = await Supervisor.start_link([Flaky], name="sup", intensity=1)
        bp.exit(await pid_of(sup, "Flaky"), ("because", "x" * 1000))
        assert (await harness.expect(bp.Exit)).reason == "shutdown"

    await run(test)
    said = lines(caplog, logging.DEBUG)
    assert [level for level, _ in said] == ["DEBUG", "WARNING", "ERROR", "ERROR"]
    texts = [text for _, text in said]
    assert all(text.startswith("sup <Pid") and "\n" not in text and len(text) < 300 for text in texts)
    assert "started child 'Flaky' as <Pid" in texts[0]
    assert "child 'Flaky' <Pid" in texts[1]
    assert texts[1].endswith("…; restarting it")
    assert texts[2].endswith("child 'Flaky' did not start: ValueError: two lines")
    assert texts[3].endswith("gives up: child 'Flaky' ended and that is more than 1 restarts in 5.0 s")


@pytest.mark.parametrize(
    ("strategy", "restart", "text"),
    [
        ("one_for_one", "permanent", "; restarting it"),
        ("one_for_all", "permanent", "; restarting all children"),
        ("rest_for_one", "transient", "; restarting it and those after it"),
        ("one_for_all", "temporary", "; it is not restarted"),
    ],
)
async def test_a_report_says_what_follows(caplog: Any, strategy: Any, restart: Any, text: str) -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([worker(idle, restart=restart)], strategy=strategy)
        bp.exit(await pid_of(sup, "idle"), "oops")
        await sup.which_children()

    await run(test)
    [(level, line)] = lines(caplog)
    assert level == "WARNING"
    assert line.endswith(f"ended: oops{text}")
