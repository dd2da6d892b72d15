"""The rules of a state machine's events and timeouts, one by one: `Machine` is a queue with a script for a callback."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from beampy.core.ids import Pid, Ref
from beampy.errors import BadReturn
from beampy.otp import messages
from beampy.otp.statem_actions import (
    Call,
    CancelTimeout,
    CancelTimer,
    Event,
    EventTimeout,
    Keep,
    Next,
    NextEvent,
    Postpone,
    Repeat,
    Reply,
    StartTimer,
    StateTimeout,
    Timer,
    UpdateTimeout,
)
from beampy.otp.statem_queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable

FROM = messages.Call(Ref("t@h", 1, 0), Pid("t@h", 1, 0), "ask")
NAMED = ("timeout", "n")


class Machine:
    """Runs what can run: `say` hands over an event and goes on until a message is needed. `seen` has all of it."""

    def __init__(self, script: dict[Any, Any], *actions: Any, state_enter: bool = False, wait: bool = False) -> None:
        self.script = script
        self.queue = Queue("a", state_enter=state_enter)
        self.seen: list[str] = []
        self.effects: list[Any] = []
        self.do(lambda: self.queue.begin(actions))
        if not wait:
            self.go_on()

    def say(self, *contents: Any, kind: Any = "cast") -> list[str]:
        for content in contents:
            self.queue.take(Event(kind, content))
            self.handle(kind, content)
            self.go_on()
        return self.take_seen()

    def expire(self, kind: Any) -> list[str]:
        """The timer that was started last for this kind goes off."""
        serial = [e.serial for e in self.effects if isinstance(e, StartTimer) and e.kind == kind][-1]
        event = self.queue.expired(kind, serial)
        if event is None:
            return []
        self.queue.take(event)
        self.handle(*event)
        self.go_on()
        return self.take_seen()

    def take_seen(self) -> list[str]:
        seen, self.seen = self.seen, []
        return seen

    def go_on(self) -> None:
        while True:
            if self.queue.entering:
                self.handle("enter", self.queue.previous)
            elif (event := self.queue.next()) is not None:
                self.handle(*event)
            else:
                return

    def handle(self, kind: Any, content: Any) -> None:
        state = self.queue.state
        self.seen.append(f"{state} {content}" if kind in ("cast", "internal") else f"{state} {kind} {content}")
        result = self.script.get((state, content), self.script.get(content))
        if kind == "enter":
            result = self.script.get((state, "enter"))
        self.do(lambda: self.queue.answer(result))

    def do(self, verb: Callable[[], None]) -> None:
        try:
            verb()
        finally:
            self.effects += self.queue.drain()


def insert(*names: str) -> list[NextEvent]:
    return [NextEvent("internal", name) for name in names]


# postponed and inserted events


def test_postponed_events_are_retried_in_order_when_the_state_changes():
    m = Machine({("a", "e1"): Keep(Postpone()), ("a", "e2"): Keep(Postpone()), ("a", "go"): Next("b")})
    assert m.say("e1", "e2", "q", "go") == ["a e1", "a e2", "a q", "a go", "b e1", "b e2"]
    assert m.queue.postponed == []


@pytest.mark.parametrize("same", [None, Keep(), Repeat(), Next("a")])
def test_postponed_events_stay_when_the_state_does(same):
    m = Machine({"e1": Keep(Postpone()), "go": same})
    assert m.say("e1", "go") == ["a e1", "a go"]
    assert m.queue.postponed == [Event("cast", "e1")]


def test_the_last_postpone_counts():
    m = Machine({"e1": Keep(Postpone(), Postpone(False)), "e2": Keep(Postpone(False), Postpone()), "go": Next("b")})
    assert m.say("e1", "e2", "go") == ["a e1", "a e2", "a go", "b e2"]


def test_an_event_that_changes_the_state_may_be_postponed_itself():
    m = Machine({("a", "e"): Next("b", Postpone())})
    assert m.say("e") == ["a e", "b e"]


def test_inserted_events_come_before_retried_ones_and_those_before_what_was_left():
    m = Machine({
        ("a", "e"): Keep(Postpone()),
        ("a", "go"): Keep(*insert("n1", "n2")),
        ("a", "n1"): Next("b", *insert("m1", "m2")),
    })  # fmt: skip
    assert m.say("e", "go") == ["a e", "a go", "a n1", "b m1", "b m2", "b e", "b n2"]


def test_an_inserted_event_may_be_postponed():
    m = Machine({"go": Keep(*insert("n")), ("a", "n"): Keep(Postpone()), "out": Next("b")})
    assert m.say("go", "out") == ["a go", "a n", "a out", "b n"]


def test_the_first_state_may_insert_events_but_has_nothing_to_postpone():
    m = Machine({}, *insert("n1", "n2"), Postpone())
    assert m.take_seen() == ["a n1", "a n2"]
    assert m.queue.postponed == []
    assert m.queue.event is None


# timeouts


def test_a_timeout_is_a_timer_that_goes_off_once():
    m = Machine({"go": Keep(StateTimeout(1, "t"))})
    m.say("go")
    assert m.effects == [StartTimer("state_timeout", 1, 1)]
    assert m.expire("state_timeout") == ["a state_timeout t"]
    assert m.expire("state_timeout") == []
    assert m.queue.timeouts == {}


def test_a_state_timeout_is_cancelled_by_a_change_of_state_only():
    m = Machine({"go": Keep(StateTimeout(1)), "same": Next("a"), "again": Repeat(), "out": Next("b")})
    m.say("go", "q", "same", "again")
    assert m.effects == [StartTimer("state_timeout", 1, 1)]
    m.say("out")
    assert m.effects[1:] == [CancelTimer("state_timeout")]
    assert m.expire("state_timeout") == []


def test_a_state_timeout_set_with_the_change_is_the_new_states():
    m = Machine({"go": Keep(StateTimeout(1, "old")), "out": Next("b", StateTimeout(2, "new"))})
    m.say("go", "out")
    assert m.effects[1:] == [CancelTimer("state_timeout"), StartTimer("state_timeout", 2, 2)]
    assert m.queue.expired("state_timeout", 1) is None
    assert m.queue.expired("state_timeout", 2) == Event("state_timeout", "new")


@pytest.mark.parametrize("event", ["q", "postponed", "out"])
def test_an_event_timeout_is_cancelled_by_any_event(event):
    m = Machine({"go": Keep(EventTimeout(1)), "postponed": Keep(Postpone()), "out": Next("b")})
    m.say("go", event)
    assert m.effects == [StartTimer("timeout", 1, 1), CancelTimer("timeout")]


def test_an_event_timeout_goes_off_when_nothing_comes():
    m = Machine({"go": Next("b", EventTimeout(1, "t"))})
    m.say("go")
    assert m.expire("timeout") == ["b timeout t"]


def test_a_named_timeout_survives_and_is_replaced_by_its_name():
    m = Machine({"go": Keep(Timer("n", 1, "t"), Timer("m", 1)), "out": Next("b"), "anew": Keep(Timer("n", 3, "u"))})
    m.say("go", "out", "q", "anew")
    assert m.effects[2:] == [CancelTimer(NAMED), StartTimer(NAMED, 3, 3)]
    assert m.expire(NAMED) == ["b ('timeout', 'n') u"]
    assert list(m.queue.timeouts) == [("timeout", "m")]


@pytest.mark.parametrize("cancel", [CancelTimeout(NAMED), Timer("n", None), Timer("n", inf)])
def test_cancel(cancel):
    m = Machine({"go": Keep(Timer("n", 1)), "cancel": Keep(cancel)})
    m.say("cancel", "go", "cancel", "cancel")
    assert m.effects == [StartTimer(NAMED, 1, 1), CancelTimer(NAMED)]


def test_update_keeps_the_time():
    m = Machine({"go": Keep(StateTimeout(1, "t")), "update": Keep(UpdateTimeout("state_timeout", "u"))})
    m.say("go", "update")
    assert m.effects == [StartTimer("state_timeout", 1, 1)]
    assert m.expire("state_timeout") == ["a state_timeout u"]


def test_update_of_what_does_not_run_is_a_timeout_of_zero():
    m = Machine({"update": Keep(UpdateTimeout("state_timeout", "u"))})
    assert m.say("update") == ["a update", "a state_timeout u"]


def test_the_last_action_also_has_the_place():
    m = Machine({"go": Keep(StateTimeout(0, "t"), Timer("n", 0, "u"), StateTimeout(0, "v"))})
    assert m.say("go") == ["a go", "a ('timeout', 'n') u", "a state_timeout v"]


@pytest.mark.parametrize(
    ("actions", "effects"),
    [
        ([StateTimeout(1), StateTimeout(2)], [StartTimer("state_timeout", 1, 2)]),
        ([StateTimeout(1), CancelTimeout("state_timeout")], []),
        ([CancelTimeout("state_timeout"), StateTimeout(1)], [StartTimer("state_timeout", 1, 1)]),
    ],
)
def test_of_one_kind_the_last_action_counts(actions, effects):
    m = Machine({"go": Keep(*actions)})
    m.say("go")
    assert m.effects == effects


def test_timeouts_of_zero_come_after_inserted_and_retried_events_in_the_order_asked_for():
    m = Machine({
        ("a", "e"): Keep(Postpone()),
        "go": Next("b", StateTimeout(0, "t"), Timer("n", 0, "u"), *insert("n")),
    })  # fmt: skip
    assert m.say("e", "go") == ["a e", "a go", "b n", "b e", "b state_timeout t", "b ('timeout', 'n') u"]
    assert m.effects == []


def test_a_timeout_of_zero_asked_for_again_goes_to_the_end_and_an_updated_one_stays():
    both = StateTimeout(0, "t"), Timer("n", 0, "u")
    again = Machine({"go": Keep(*both, *insert("i")), "i": Keep(StateTimeout(0, "v"))})
    assert again.say("go")[2:] == ["a ('timeout', 'n') u", "a state_timeout v"]
    update = Machine({"go": Keep(*both, *insert("i")), "i": Keep(UpdateTimeout("state_timeout", "v"))})
    assert update.say("go")[2:] == ["a state_timeout v", "a ('timeout', 'n') u"]


def test_a_timeout_of_zero_is_cancelled_as_any_other():
    m = Machine({"go": Keep(EventTimeout(0), StateTimeout(0), *insert("n")), "n": Next("b")})
    assert m.say("go") == ["a go", "a n"]


def test_a_timeout_of_zero_may_be_replaced_by_a_longer_one():
    m = Machine({"go": Keep(StateTimeout(0, "t"), *insert("n")), "n": Keep(StateTimeout(1, "u"))})
    assert m.say("go") == ["a go", "a n"]
    assert m.expire("state_timeout") == ["a state_timeout u"]


def test_an_inserted_timeout_event_has_nothing_to_do_with_the_timer():
    m = Machine({"go": Keep(StateTimeout(1, "real"), NextEvent("state_timeout", "made up"))})
    assert m.say("go") == ["a go", "a state_timeout made up"]
    assert m.expire("state_timeout") == ["a state_timeout real"]


# enter calls


def test_a_state_is_entered_at_the_start_on_a_change_and_after_repeat():
    m = Machine({"keep": None, "same": Next("a"), "again": Repeat(), "out": Next("b")}, state_enter=True)
    assert m.take_seen() == ["a enter a"]
    assert m.say("keep", "same", "again", "out", "again")[2:] == [
        "a again", "a enter a", "a out", "b enter a", "b again", "b enter b",
    ]  # fmt: skip


def test_entering_comes_before_inserted_and_retried_events_and_may_repeat_itself():
    script: dict[Any, Any] = {("a", "e"): Keep(Postpone()), "go": Next("b", *insert("n")), ("b", "enter"): Repeat()}
    m = Machine(script, state_enter=True)
    m.say("e")
    m.queue.take(Event("cast", "go"))
    m.handle("cast", "go")
    assert m.queue.previous == "a"
    m.handle("enter", m.queue.previous)
    assert m.queue.entering
    script["b", "enter"] = None
    m.go_on()
    assert m.take_seen() == ["a enter a", "a e", "a go", "b enter a", "b enter a", "b n", "b e"][2:]


def test_entering_sets_timeouts_over_those_of_the_event():
    m = Machine({"go": Next("b", StateTimeout(1, "t")), ("b", "enter"): Keep(StateTimeout(2, "u"))}, state_enter=True)
    m.say("go")
    assert m.effects == [StartTimer("state_timeout", 1, 2)]


def test_entering_may_take_a_postpone_back_and_name_its_own_state():
    m = Machine({("a", "e"): Next("b", Postpone()), ("b", "enter"): Next("b", Postpone(False))}, state_enter=True)
    m.take_seen()
    assert m.say("e") == ["a e", "b enter a"]


@pytest.mark.parametrize("result", [Next("c"), Keep(Postpone()), Keep(*insert("n")), "nonsense"])
def test_entering_may_not(result):
    m = Machine({"go": Next("b"), ("b", "enter"): result}, state_enter=True)
    with pytest.raises(BadReturn, match="from an enter call"):
        m.say("go")
    assert m.queue.state == "b"


# replies, and what is no result


def test_replies_come_first_and_before_an_error():
    bad: Any = "x"
    m = Machine({"go": Next("b", StateTimeout(1), Reply(FROM, 1)), "bad": Keep(Reply(FROM, 2), Timer("n", 1), bad)})
    m.say("go")
    assert m.effects == [Reply(FROM, 1), StartTimer("state_timeout", 1, 1)]
    with pytest.raises(BadReturn, match="the action 'x'"):
        m.say("bad")
    assert m.effects[2:] == [Reply(FROM, 2)]


def test_replies_of_the_first_state_come_before_it_is_entered():
    m = Machine({}, Reply(FROM, 1), state_enter=True, wait=True)
    assert m.effects == [Reply(FROM, 1)]
    assert m.queue.entering


@pytest.mark.parametrize("kind", [Call(FROM), "cast", "info", "internal", "timeout", "state_timeout", NAMED])
def test_events_of_all_kinds_may_be_inserted(kind):
    m = Machine({"go": Keep(NextEvent(kind, "n"))})
    assert len(m.say("go")) == 2


@pytest.mark.parametrize(
    "action",
    [
        "postpone",
        [Postpone()],
        Reply(Call(FROM), 1),  # type: ignore[arg-type]
        Reply(None, 1),  # type: ignore[arg-type]
        NextEvent("enter", 1),
        NextEvent("nonsense", 1),  # type: ignore[arg-type]
        NextEvent(Call(None), 1),  # type: ignore[arg-type]
        NextEvent(("timeout", []), 1),  # type: ignore[arg-type]
        NextEvent(("timeout", 1, 2), 1),  # type: ignore[arg-type]
        StateTimeout(-1),
        StateTimeout(nan),
        StateTimeout(True),
        EventTimeout("1"),  # type: ignore[arg-type]
        Timer([], 1),  # type: ignore[arg-type]
        CancelTimeout("nonsense"),  # type: ignore[arg-type]
        CancelTimeout(("state_timeout", "n")),  # type: ignore[arg-type]
        UpdateTimeout(["timeout", "n"], 1),  # type: ignore[arg-type]
        UpdateTimeout(7, 1),  # type: ignore[arg-type]
    ],
)
def test_bad_actions(action):
    m = Machine({"go": Keep(action), "out": Next("b")})
    with pytest.raises(BadReturn, match="the callback returned the action"):
        m.say("go")


@pytest.mark.parametrize("result", ["nonsense", ("b",), Postpone(), Keep])
def test_bad_results(result):
    with pytest.raises(BadReturn, match=r"it may return None, Keep"):
        Machine({"go": result}).say("go")


def test_a_bad_action_of_init_names_init():
    with pytest.raises(BadReturn, match="init returned the action 'x'"):
        Machine({}, "x")


def test_a_state_put_in_from_outside_is_no_change():
    m = Machine({("a", "e"): Keep(Postpone(), StateTimeout(1)), "out": Next("c")}, state_enter=True)
    m.say("e")
    m.queue.replace("b")
    assert m.say("q") == ["b q"]
    assert m.say("out") == ["b out", "c enter b", "c e"]


# the records


def test_results_are_equal_when_their_parts_are():
    assert Next("b", Postpone()) == Next("b", Postpone())
    assert Next("b") != Next("c")
    assert Keep() != Repeat()
    assert Keep(Postpone()) != (Postpone(),)
    assert hash(Keep(Postpone())) == hash(Keep(Postpone()))
    assert repr(Next("b", Postpone())) == "Next('b', Postpone(on=True))"
    match Next("b"):
        case Next(state):
            assert state == "b"
