"""How a state machine ends, whom it leaves a turn, and what it tells of itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy.errors import BadReturn, ServerExited
from beampy.otp import debug, statem
from beampy.otp.statem import Call, EventTimeout, Keep, Next, NextEvent, Reply, Timer
from beampy.otp.statem_loop import BURST, described
from beampy.testing import harness
from tests.conformance.vocabulary import until, waiting
from tests.unit.otp.machines import CodeLock, Told, process, type_in

# errors and ends


async def broken() -> statem.Client:
    lock = await CodeLock.start("42")
    type_in(lock, "42")
    return lock


@process
async def test_an_error_goes_to_the_caller_and_ends_the_machine():
    lock = await broken()
    ref = bp.monitor(lock.pid)
    with pytest.raises(ZeroDivisionError):
        await lock.call("break")
    down = await harness.expect(bp.Down)
    assert (down.ref, down.reason.type) == (ref, "ZeroDivisionError")


@process
async def test_an_error_of_the_enter_call_goes_to_the_caller_too():
    class Entering(Told):
        state_enter = True

        def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
            if state == "b":
                raise ValueError("not here")
            return super().handle_event(kind, content, state) if isinstance(kind, Call) else None

    machine = await Entering.start(bp.self())
    with pytest.raises(ValueError, match="not here"):
        await machine.call(lambda *_: Next("b"))
    _, reason, state = await harness.expect(("terminate", ..., ...))
    assert (reason.type, state) == ("ValueError", "b")


@process
async def test_stop_may_be_raised_and_replies_to_calls_only():
    lock = await broken()
    assert await lock.call("leave") == "bye"
    assert await harness.ended(lock.pid) in ("normal", "noproc")
    lock = await broken()
    lock.cast("stop and reply")
    assert (await harness.ended(lock.pid)).type == "beampy.errors.BadReturn"


@process
async def test_a_bad_return_to_a_call_ends_it_with_the_machine():
    machine = await Told.start()
    with pytest.raises(ServerExited, match="returned 'nonsense'"):
        await machine.call(lambda *_: "nonsense")


@process
async def test_a_stop_in_terminate_says_nothing_new():
    class Late(Told):
        def terminate(self, reason: Any, state: Any) -> None:
            raise bp.Stop("late")

    await bp.stop(await Late.start(), "shutdown")
    machine = await Late.start()
    with pytest.raises(ServerExited) as ended:
        await machine.call(lambda *_: bp.Stop("first"))
    assert ended.value.reason == "first"


@process
async def test_terminate_runs_once_also_when_it_raises():
    class Untidy(Told):
        def terminate(self, reason: Any, state: Any) -> None:
            super().terminate(reason, state)
            raise OSError("in terminate")

    for end in (lambda m: bp.stop(m), lambda m: m.cast(lambda _: bp.exit("left")), lambda m: m.cast(lambda _: 1 / 0)):
        machine = await Untidy.start(bp.self())
        with pytest.raises(ServerExited, match="in terminate"):
            await asyncio.gather(machine.call(lambda *_: None), _awaited(end(machine)))
        await harness.expect(("terminate", ..., "a"))
        await harness.nothing(("terminate", ..., "a"))


async def _awaited(value: Any) -> None:
    if value is not None:
        await value


def test_the_report_says_what_it_was_at(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        machine = await Told.start()
        await machine.call(lambda m, from_: Keep(Timer("n", 60, "later"), Reply(from_, None)))
        machine.cast(lambda _: Keep(statem.Postpone()))
        machine.cast("last words")
        with pytest.raises(ZeroDivisionError):
            await machine.call(lambda *_: 1 / 0)
        await harness.ended(machine.pid)

    bp.run(main)
    report = caplog.records[-1].getMessage()
    for line in (
        "state machine:   Told",
        "last event:      call from <Pid",
        "state:           'a'",
        "data:            {'teller': None, 'first': 'a'}",
        "postponed:       ['cast: <function",
        "timeouts:        {('timeout', 'n'): 'later'}",
        "ZeroDivisionError: division by zero",
    ):
        assert line in report


def test_events_are_described():
    assert described(statem.Event("cast", "go")) == "cast: 'go'"
    assert described(statem.Event(("timeout", "n"), 1)) == "('timeout', 'n'): 1"


# time, and turns


@process
async def test_a_tick_that_was_too_late_is_nothing():
    async def slow(machine: Any) -> Any:
        await until(lambda: waiting() == 2)  # the tick and what was sent after
        return Keep(statem.CancelTimeout(("timeout", "n")))

    machine = await Told.start(bp.self())
    machine.cast(lambda _: Keep(Timer("n", 0.001, "late")))
    machine.cast(slow)
    machine.cast("after")
    await harness.expect(("a", "cast", "after"))
    await debug.get_state(machine)
    assert [what for what in harness.flush() if what[1] != "cast"] == []


@process
async def test_looking_at_a_machine_is_no_event():
    machine = await Told.start(bp.self())
    machine.cast(lambda _: Keep(EventTimeout(0.005, "t")))
    await debug.get_state(machine)
    await harness.expect(("a", "timeout", "t"))


@process
async def test_a_machine_that_is_never_idle_lets_others_run_and_can_be_ended():
    def again(machine: Told) -> Any:
        return Keep(NextEvent("internal", again))

    machine = await Told.start(bp.self())
    machine.cast(again)
    for _ in range(3 * BURST):
        await harness.expect(("a", "internal", again))
    bp.exit(machine.pid, "enough")
    assert await harness.ended(machine.pid) == "enough"


# system


@process
async def test_state_and_data_from_outside():
    lock = await CodeLock.start("42")
    state, data = await debug.get_state(lock)
    assert (state, data["code"]) == ("locked", "42")
    with pytest.raises(BadReturn, match="replace_state returned the state 'nowhere'"):
        await debug.replace_state(lock, lambda both: ("nowhere", both[1]))
    with pytest.raises(TypeError):
        await debug.replace_state(lock, lambda both: ("open", 7))
    await debug.replace_state(lock, lambda both: ("open", {**both[1], "code": "43"}))
    assert await lock.call("state") == "open"
    assert (await debug.get_state(lock))[1]["code"] == "43"


@process
async def test_what_a_tracer_hears():
    seen: list[Any] = []
    lock = await CodeLock.start("4", 0.001)
    await debug.trace(lock, lambda event, detail: seen.append((event, detail)))
    lock.cast(("button", "4"))
    await until(lambda: len(seen) == 4)
    await lock.call("state")
    await lock.stop()
    told = [event if event in ("in", "out") else (event, detail) for event, detail in seen]
    assert told == ["in", ("state", "open"), "in", ("state", "locked"), "in", "out", ("stop", "normal")]
    assert seen[2] == ("in", statem.Event("state_timeout", "lock"))
