"""StateMachine's own: the two callback modes, starting, clients. The rules are test_statem_queue's."""

from __future__ import annotations

import asyncio
import functools
import pickle
from typing import Any

import pytest

import beampy as bp
from beampy.errors import AlreadyStarted, BadReturn, CallTimeout, StartFailed, StartIgnored
from beampy.otp import debug, statem
from beampy.otp.statem import Call, Keep, Next, NextEvent, Repeat, Reply
from beampy.testing import harness
from tests.unit.otp.machines import CodeLock, Told, process, tell, type_in

# state functions


@process
async def test_the_code_lock():
    lock = await CodeLock.start_link("42", 0.01)
    assert await lock.call("state") == "locked"
    await debug.trace(lock, functools.partial(tell, bp.self()))
    type_in(lock, "1422")  # the last digit counts when it is locked again
    for state in ("open", "locked"):
        await harness.expect(("state", state))
    type_in(lock, "42")
    await harness.expect(("state", "open"))


@process
async def test_an_answer_that_names_no_state_ends_the_machine():
    lock = await CodeLock.start("")
    await debug.replace_state(lock, lambda both: ("open", both[1]))
    lock.cast("nowhere")
    end = (await harness.ended(lock.pid)).exception
    assert isinstance(end, BadReturn)
    assert str(end) == "CodeLock.open returned the state 'nowhere'; it may return one of the states locked, open"


@process
async def test_a_first_state_that_is_none_refuses_the_start():
    class Lost(CodeLock):
        def init(self) -> Any:
            return 7

    with pytest.raises(StartFailed, match=r"Lost\.init returned the state 7"):
        await Lost.start("")


@process
async def test_a_subclass_overrides_state_functions_and_adds_some():
    class Alarmed(CodeLock):
        def locked(self, kind: Any, content: Any) -> Any:
            return Next("alarm")

        @statem.state
        def alarm(self, kind: Any, content: Any) -> Any:
            assert isinstance(kind, Call)
            return Keep(Reply(kind.from_, "alarm"))

    lock = await Alarmed.start("42")
    lock.cast("anything")
    assert await lock.call("state") == "alarm"


def test_state_marks_methods_only():
    not_a_method: Any = 7
    with pytest.raises(TypeError, match="marks a method"):
        statem.state(not_a_method)


def test_a_machine_has_one_of_the_two_modes():
    with pytest.raises(TypeError, match="one of the two"):

        class Both(CodeLock):
            def handle_event(self, kind: Any, content: Any, state: Any) -> Any: ...


def test_a_state_function_may_not_hide_what_a_machine_has():
    with pytest.raises(TypeError, match=r"'start' would hide StateMachine\.start"):

        class Engine(statem.StateMachine):
            @statem.state  # type: ignore[override]
            def start(self, kind: Any, content: Any) -> Any: ...


# handle_event, where states are any values


@process
async def test_states_may_be_any_values_and_are_compared():
    machine = await Told.start(first=("waiting", 0))
    pending = machine.call(lambda _, from_: Next(("serving", from_)))
    await machine.call(lambda _, from_: Next(("waiting", 0), Reply(from_, None)))
    assert (await debug.get_state(machine))[0] == ("waiting", 0)
    assert "waiting" in repr(pending)


@process
async def test_all_that_is_no_call_nor_cast_is_info():
    machine = await Told.start(bp.self())
    bp.send(machine.pid, "plain")
    await harness.expect(("a", "info", "plain"))
    ref = bp.start_timer(0, machine.pid, "mine")
    await harness.expect(("a", "info", bp.Timeout(ref, "mine")))


@process
async def test_a_machine_without_callbacks_says_what_is_missing():
    with pytest.raises(StartFailed, match="no init") as failed:
        await statem.StateMachine.start()
    assert isinstance(failed.value.__cause__, NotImplementedError)

    class Deaf(statem.StateMachine):
        def init(self) -> Any:
            return "a"

    with pytest.raises(NotImplementedError, match="neither @state methods nor handle_event"):
        await (await Deaf.start()).call("x")


# starting


@process
async def test_init():
    def stop() -> None:
        raise bp.Stop("raised")

    async def later() -> Any:
        await asyncio.sleep(0)
        return Next("later", NextEvent("internal", "first"))

    with pytest.raises(StartIgnored):
        await Told.start(first=lambda: bp.IGNORE)
    for first, reason in ((lambda: bp.Stop("returned"), "returned"), (stop, "raised")):
        with pytest.raises(StartFailed) as failed:
            await Told.start(first=first)
        assert failed.value.reason == reason
    for first in (None, Keep(), Repeat()):
        with pytest.raises(StartFailed, match=r"Told.init returned .*; it may return a state"):
            await Told.start(first=first)
    await Told.start(bp.self(), later)
    await harness.expect(("later", "internal", "first"))


@process
async def test_the_start_returns_before_the_first_state_is_entered():
    class Entered(Told):
        state_enter = True

        async def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
            self.tell((kind, await bp.receive()))

    machine = await Entered.start(bp.self())
    bp.send(machine.pid, "come in")
    await harness.expect(("enter", "come in"))


@process
async def test_names_and_clients():
    machine = await CodeLock.start("42", name="lock")
    assert await CodeLock.client("lock").options(timeout=1.0).call("state") == "locked"
    assert await bp.call("lock", "state") == "locked"
    with pytest.raises(AlreadyStarted):
        await CodeLock.start("43", name="lock")
    assert CodeLock.client(machine.pid) == machine
    assert pickle.loads(pickle.dumps(CodeLock.client("lock"))).pid == machine.pid
    with pytest.raises(AttributeError, match=r"call\(request\) and cast\(request\), not 'state'"):
        _ = machine.state
    with pytest.raises(CallTimeout):
        await machine.options(timeout=0.001).call("a question that no state answers")
    await machine.stop()
    assert bp.whereis("lock") is None


@process
async def test_as_a_child():
    spec = CodeLock.child_spec("42", name="lock", restart="transient")
    assert (spec.id, spec.type, spec.restart) == ("lock", "worker", "transient")
    start, args = spec.call
    assert await (await start(*args)).call("state") == "locked"
