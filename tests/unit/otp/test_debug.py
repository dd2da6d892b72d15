"""Looking into behaviours, suspending and tracing them, and the texts about processes."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.core.ids import Pid
from beampy.errors import CallingSelf, CallTimeout, EncodeError, NoProcess
from beampy.otp import debug
from beampy.otp.debug import Statistics, Status
from beampy.otp.messages import Call
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness


class Counter(bp.Server):
    def __init__(self, n: int = 0, tell: bp.Pid | None = None) -> None:
        self.n = n
        self.tell = tell

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    @bp.cast
    async def bump(self) -> None:
        self.n += 1

    async def handle_call(self, request: Any, from_: Any) -> Any:
        if request == "later":
            bp.reply(from_, "late")
            return bp.NOREPLY
        return request

    async def handle_info(self, message: Any) -> Any:
        if self.tell is not None:
            bp.send(self.tell, ("info", message))
        if message == "idle in a moment":
            return bp.NoReply(timeout=0.01)
        return None

    async def terminate(self, reason: Any) -> None:
        if self.tell is not None:
            bp.send(self.tell, ("terminate", reason))


class Trapping(Counter):
    trap_exit = True


# state


async def test_the_state_is_looked_at_and_replaced():
    async def body() -> None:
        counter = await Counter.start_link(3, name="counter")
        assert await debug.get_state(counter) == {"n": 3, "tell": None}
        assert await debug.replace_state("counter", lambda state: {**state, "n": 7}) == {"n": 7, "tell": None}
        assert await counter.add() == 8

        async def slowly(state: dict[str, Any]) -> dict[str, Any]:
            await asyncio.sleep(0)
            return {**state, "n": 0}

        await debug.replace_state(counter.pid, slowly)
        assert await counter.add() == 1

    await harness.run(body)


@pytest.mark.parametrize("bad", [lambda state: 1 / 0, lambda state: 7, lambda state: None, lambda: {}])
async def test_a_replacement_that_fails_changes_nothing(bad: Any):
    async def body() -> None:
        counter = await Counter.start_link(3)
        with pytest.raises((ZeroDivisionError, TypeError)):
            await debug.replace_state(counter, bad)
        assert await counter.add() == 4

    await harness.run(body)


async def test_a_state_that_cannot_travel_does_not_end_its_server():
    async def body() -> None:
        counter = await Counter.start_link()
        with pytest.raises(EncodeError):
            await debug.replace_state(counter, unpicklable)
        with pytest.raises(EncodeError):
            await debug.get_state(counter)
        assert await counter.add() == 1

    await harness.run(body, strict=True)


def unpicklable(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "n": 0, "lock": threading.Lock()}


async def test_the_status_tells_who_it_is():
    async def body() -> None:
        counter = await Counter.start_link(name="counter")
        alone = await Counter.start()
        assert await debug.get_status(counter) == Status(
            counter.pid, "counter", "Counter", "running", bp.self(), 0, {"n": 0, "tell": None}
        )
        await debug.trace(alone, print)
        await debug.suspend(alone)
        status = await debug.get_status(alone)
        assert (status.name, status.status, status.parent, status.tracers) == (None, "suspended", None, 1)

    await harness.run(body)


async def test_only_behaviours_answer():
    async def plain() -> None:
        await bp.receive(("never",))

    async def body() -> None:
        with pytest.raises(NoProcess):
            await debug.get_state("nobody")
        with pytest.raises(CallTimeout):
            await debug.get_state(bp.spawn(plain), timeout=0.01)
        with pytest.raises(CallingSelf):
            await debug.get_state(bp.self())

    await harness.run(body)


# suspending


async def test_a_suspended_server_answers_its_callers_in_order_when_it_goes_on():
    async def body() -> None:
        counter = await Counter.start_link(tell=bp.self())
        await debug.suspend(counter)
        calls = [counter.add() for _ in range(5)]
        counter.bump()
        calls += [counter.add() for _ in range(5)]
        assert (await debug.get_state(counter))["n"] == 0
        assert not any(call.done() for call in calls)
        await debug.resume(counter)
        assert await asyncio.gather(*calls) == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]

    await harness.run(body)


async def test_a_suspended_server_obeys_its_parent_and_nobody_else():
    async def body() -> None:
        me = bp.self()

        async def parent() -> None:
            bp.send(me, (await Trapping.start_link(tell=me)).pid)
            await bp.receive(lambda m: m == "stop")
            bp.exit("oops")

        starter = bp.spawn(parent)
        pid = await harness.expect(Pid)
        await debug.suspend(pid)
        bp.exit(pid, "somebody else's")
        assert (await debug.get_status(pid)).status == "suspended"
        bp.send(starter, "stop")
        assert await harness.expect(("terminate", ...)) == ("terminate", "oops")
        await harness.nothing(("info", ...))
        assert not bp.is_alive(pid)

    await harness.run(body)


async def test_a_suspended_server_can_be_stopped_and_killed():
    async def body() -> None:
        one, two = await Counter.start(tell=bp.self()), await Counter.start()
        for counter in (one, two):
            await debug.suspend(counter)
        await one.stop()
        await harness.expect(("terminate", "normal"))
        bp.exit(two.pid, "kill")
        for counter in (one, two):
            with pytest.raises(NoProcess):
                await debug.resume(counter)

    await harness.run(body)


async def test_looking_does_not_disturb_an_idle_timeout():
    async def body() -> None:
        counter = await Counter.start_link(tell=bp.self())
        bp.send(counter.pid, "idle in a moment")
        await debug.get_state(counter)
        await harness.expect(("info", "timeout"))
        bp.send(counter.pid, "idle in a moment")
        await debug.suspend(counter)
        await harness.expect(("info", "idle in a moment"))
        await harness.nothing(("info", "timeout"))
        await debug.resume(counter)
        await harness.expect(("info", "timeout"))

    await harness.run(body)


# tracing


async def test_a_tracer_hears_of_every_event():
    async def body() -> None:
        counter, me = await Counter.start(), bp.self()
        events: list[tuple[str, Any]] = []
        where = set()

        def tracer(event: str, detail: Any) -> None:
            events.append((event, detail))
            where.add(bp.self())

        await debug.trace(counter, tracer)
        await debug.trace(counter, tracer)  # once is enough
        await counter.add(5)
        counter.bump()
        await bp.call(counter, "later")
        bp.send(counter.pid, "hi")
        await counter.stop()
        assert [event for event, _ in events] == ["in", "out", "in", "in", "noreply", "in", "stop"]
        call, answer = events[1][1]
        assert isinstance(call, Call)
        assert (call.pid, answer) == (me, 5)
        assert events[0][1] is call
        assert events[5][1] == "hi"
        assert events[6][1] == "normal"
        assert where == {counter.pid}

    await harness.run(body)


async def test_tracers_are_taken_off_one_by_one_or_all():
    async def body() -> None:
        counter = await Counter.start_link()
        seen: dict[str, list[str]] = {"a": [], "b": []}

        def a(event: str, detail: Any) -> None:
            seen["a"].append(event)

        def b(event: str, detail: Any) -> None:
            seen["b"].append(event)

        for tracer in (a, b):
            await debug.trace(counter, tracer)
        counter.bump()
        assert await debug.no_trace(counter, a)
        assert not await debug.no_trace(counter, a)
        counter.bump()
        assert await debug.no_trace(counter)
        assert not await debug.no_trace(counter)
        assert await counter.add() == 3
        assert seen == {"a": ["in"], "b": ["in", "in"]}

    await harness.run(body)


async def test_a_tracer_that_has_enough_or_fails_is_taken_off(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        counter = await Counter.start_link()
        seen = []

        def first_two(event: str, detail: Any) -> str | None:
            seen.append("two")
            return "done" if seen.count("two") == 2 else None

        def fails(event: str, detail: Any) -> None:
            seen.append("fails")
            raise RuntimeError("a tracer of ours")

        def stays(event: str, detail: Any) -> None:
            seen.append("stays")

        for tracer in (first_two, fails, stays):
            await debug.trace(counter, tracer)
        for _ in range(4):
            counter.bump()
        assert await counter.add() == 5
        assert [seen.count(name) for name in ("two", "fails", "stays")] == [2, 1, 6]
        assert (await debug.get_status(counter)).tracers == 1

    await harness.run(body)
    assert [record.exc_text for record in caplog.records if "a tracer of ours" in str(record.exc_text)]


async def test_the_log_reads_well(caplog: pytest.LogCaptureFixture):
    async def body() -> tuple[Pid, Pid]:
        counter = await Counter.start(name="counter")
        await debug.trace(counter)
        await counter.add(by=5)
        await bp.call(counter, "later")
        counter.bump()
        await debug.trace(counter, False)
        await counter.add()
        await debug.trace(counter, True)
        await counter.stop()
        debug.log_event("state", "open")
        debug.log_event("something", 1)
        return bp.self(), counter.pid

    with caplog.at_level(logging.INFO, logger="beampy.trace"):
        caller, pid = await harness.run(body)
    text = "\n".join(record.getMessage() for record in caplog.records)
    head = f"counter {pid!r}"
    for line in (
        f"{head} got call from {caller!r}: add(by=5)",
        f"{head} answered {caller!r}: 5",
        f"{head} will answer later the call from {caller!r}: 'later'",
        f"{head} got cast: bump()",
        f"{head} stops: 'normal'",
        "is now in 'open'",
        "something: 1",
    ):
        assert line in text
    assert "add()" not in text


async def test_statistics_and_kept_events_begin_and_end():
    async def body() -> None:
        counter = await Counter.start_link()
        assert await debug.statistics(counter) is None
        assert await debug.events(counter) == []
        await debug.statistics(counter, True)
        await debug.events(counter, 3)
        for _ in range(3):
            await counter.add()
        counter.bump()
        counted = await debug.statistics(counter, "get")
        assert isinstance(counted, Statistics)
        assert (counted.messages_in, counted.messages_out) == (4, 3)
        assert counted.reductions > 0
        assert counted.seconds >= 0
        assert [event for event, _ in await debug.events(counter) or ()] == ["in", "out", "in"]
        await debug.statistics(counter, True)  # from the beginning
        counted = await debug.statistics(counter)
        assert counted is not None
        assert counted.messages_in == 0
        await debug.statistics(counter, False)
        await debug.events(counter, False)
        await counter.add()
        assert await debug.statistics(counter) is None
        assert await debug.events(counter) == []

    await harness.run(body)


@pytest.mark.loops("asyncio", "uvloop")  # the simulator runs threads inline, where waiting would block its loop
async def test_from_a_thread():
    async def body() -> None:
        counter = await Counter.start_link(3)

        def thread() -> Any:
            debug.suspend(counter).result(timeout=5)
            debug.resume(counter).result(timeout=5)
            return debug.get_state(counter).result(timeout=5), debug.i(limit=1)

        state, text = await asyncio.to_thread(thread)
        assert state["n"] == 3
        assert "processes" in text

    await harness.run(body)


# texts


async def test_the_tree():
    class Inner(Supervisor):
        def children(self) -> Any:
            return [Counter.child_spec(7, name="seven"), (Counter, 8)]

    class App(Supervisor):
        def children(self) -> Any:
            return [Counter, Inner, Counter.child_spec(id=("a", 1))]

    async def body() -> None:
        app = await App.start_link(name="app")
        children = {child.id: child.pid for child in await app.which_children()}
        inner = Inner.client(children["Inner"])
        below = {child.id: child.pid for child in await inner.which_children()}
        await app.terminate_child(("a", 1))
        text = await debug.tree("app")
        assert text.splitlines() == [
            f"app {app.pid!r} App",
            f"├─ Counter {children['Counter']!r} Counter",
            f"├─ Inner {children['Inner']!r} Inner",
            f"│  ├─ seven {below['seven']!r} Counter",
            f"│  └─ Counter {below['Counter']!r} Counter",
            "└─ ('a', 1) (stopped)",
        ]
        assert (await debug.tree(app, limit=1)).splitlines()[1:] == [
            f"├─ Counter {children['Counter']!r} Counter",
            "└─ … and 2 more",
        ]
        await debug.suspend(inner)
        assert (await debug.tree(inner)).startswith(f"{inner.pid!r} Inner\n├─ seven")
        with pytest.raises(ValueError, match="no supervisor"):
            await debug.tree(children["Counter"])
        assert bp.is_alive(children["Counter"])
        with pytest.raises(NoProcess):
            await debug.tree("nobody")

    await harness.run(body)


async def test_the_tree_shows_what_does_not_answer():
    class Inner(Supervisor):
        def children(self) -> Any:
            return []

    class App(Supervisor):
        def children(self) -> Any:
            return [Inner, Counter]

    async def body() -> None:
        app = await App.start_link()
        inner = Inner.client((await app.which_children())[1].pid)

        busy = inner.start_child({"id": "stuck", "start": (stuck_start,)})
        text = await debug.tree(app, timeout=0.02)
        assert "Inner (CallTimeout)" in text
        assert text.splitlines()[2].startswith("└─ Counter")
        assert not busy.done()
        bp.send(inner.pid, "go")
        busy.cancel()

    await harness.run(body)


async def stuck_start() -> Any:
    return await bp.receive(lambda m: m == "go")


async def test_the_table_of_processes():
    async def worker() -> None:
        await bp.receive(("never",))

    async def body() -> None:
        pid = bp.spawn(worker, name="worker")
        for _ in range(3):
            bp.send(pid, "unread")
        await Counter.start_link()
        await asyncio.sleep(0)
        title, head, *rows = debug.i().splitlines()
        assert title == f"nonode@nohost: {len(bp.processes())} processes"
        assert head.split() == ["pid", "name", "status", "messages", "reductions", "memory", "function"]
        assert [int(row.split()[0]) for row in rows] == sorted(pid.serial for pid in bp.processes())
        row = next(row.split() for row in rows if " worker " in row)
        assert row[1:4] == ["worker", "waiting", "3"]
        assert "(test_debug.py:" in row[-1]
        assert any(row.split()[1] == "Counter" for row in rows)
        assert debug.i(by="messages").splitlines()[2].split()[1] == "worker"
        memory = [int(row.split("  ")[-2]) for row in debug.i(by="memory").splitlines()[2:]]
        assert memory == sorted(memory, reverse=True)
        short = debug.i(by="name", limit=2).splitlines()
        assert len(short) == 5
        assert short[-1] == f"… and {len(bp.processes()) - 2} more"
        with pytest.raises(ValueError, match="by is one of"):
            debug.i(by="size")  # type: ignore[arg-type]

    await harness.run(body)
