"""Any events, answers and timers: the queue does what a direct model of OTP's rules does.

The model has one line of all events that are inside, as OTP's documentation draws it: a postponed event keeps its
place there and is only passed over, and a change of state lets the machine look at the line from its start again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from beampy.otp.statem_actions import (
    CancelTimeout,
    CancelTimer,
    Event,
    EventTimeout,
    Keep,
    Next,
    NextEvent,
    Postpone,
    Repeat,
    StartTimer,
    StateTimeout,
    Timer,
    UpdateTimeout,
)
from beampy.otp.statem_queue import Queue

STATES = st.sampled_from("abc")
CONTENTS = st.integers(0, 99)
KINDS = st.sampled_from(["timeout", "state_timeout", ("timeout", "n"), ("timeout", "m")])
SECONDS = st.sampled_from([0, 0, 1, 2, None])

timeouts = st.one_of(
    st.builds(StateTimeout, SECONDS, CONTENTS),
    st.builds(EventTimeout, SECONDS, CONTENTS),
    st.builds(Timer, st.sampled_from("nm"), SECONDS, CONTENTS),
    st.builds(CancelTimeout, KINDS),
    st.builds(UpdateTimeout, KINDS, CONTENTS),
)
event_actions = st.lists(
    st.one_of(
        st.builds(Postpone),
        st.builds(Postpone, st.booleans()),
        st.builds(NextEvent, st.just("internal"), CONTENTS),
        timeouts,
    ),
    max_size=5,
)
enter_actions = st.lists(st.one_of(st.builds(Postpone, st.just(False)), timeouts), max_size=3)
answers = st.one_of(
    st.none(),
    st.builds(lambda actions: Keep(*actions), event_actions),
    st.builds(lambda state, actions: Next(state, *actions), STATES, event_actions),
    st.builds(lambda state, actions: Next(state, *actions), STATES, event_actions),
    st.builds(lambda actions: Repeat(*actions), event_actions),
)
enter_answers = st.one_of(
    st.none(),
    st.builds(lambda actions: Keep(*actions), enter_actions),
    st.builds(lambda actions: Repeat(*actions), enter_actions),
)


@dataclass(eq=False)
class Place:
    event: Event
    postponed: bool = False


@dataclass
class Model:
    state: str
    state_enter: bool
    line: list[Place] = field(default_factory=list)
    zeros: list[Event] = field(default_factory=list)
    timers: dict[Any, Any] = field(default_factory=dict)
    # of the event being handled
    here: Place | None = None
    actions: list[Any] = field(default_factory=list)
    to: str = ""
    entering: bool = False

    def next(self) -> Event | None:
        """The oldest event that is not postponed, or else a timeout of zero."""
        for place in self.line:
            if not place.postponed:
                self.here = place
                return place.event
        return self.take(self.zeros.pop(0)) if self.zeros else None

    def take(self, event: Event) -> Event:
        self.here = Place(event)
        self.line.append(self.here)
        return event

    def begin(self, actions: list[Any]) -> None:
        self.to = self.state
        self.entering = self.state_enter
        self.actions = [a for a in actions if not isinstance(a, Postpone)]
        if not self.entering:
            self.settle()

    def answer(self, result: Any) -> None:
        if not self.entering:
            self.to, self.actions = self.state, []
        to = result.state if isinstance(result, Next) else self.to
        again = isinstance(result, Repeat) or to != self.to
        self.to = to
        if result is not None:
            self.actions += result.actions
        self.entering = again and self.state_enter
        if not self.entering:
            self.settle()

    def settle(self) -> None:
        place = 0
        if self.here is not None:
            place = self.line.index(self.here) + 1
            self.here.postponed = ([False] + [a.on for a in self.actions if isinstance(a, Postpone)])[-1]
            if not self.here.postponed:
                place -= 1
                del self.line[place]
        self.stop("timeout")
        if self.to != self.state:
            self.state, place = self.to, 0
            self.stop("state_timeout")
            for waiting in self.line:
                waiting.postponed = False
        self.line[place:place] = [Place(Event(*a)) for a in self.actions if isinstance(a, NextEvent)]
        kinds = [kind_of(a) for a in self.actions]
        for i, action in enumerate(self.actions):
            if kinds[i] is not None and kinds[i] not in kinds[i + 1 :]:
                self.timeout(kinds[i], action)
        self.here = None

    def timeout(self, kind: Any, action: Any) -> None:
        if isinstance(action, UpdateTimeout):
            if kind in self.timers:
                self.timers[kind] = action.content
                return
            waiting = [i for i, event in enumerate(self.zeros) if event.kind == kind]
            if waiting:
                self.zeros[waiting[0]] = Event(kind, action.content)
                return
        self.stop(kind)
        if isinstance(action, CancelTimeout) or (not isinstance(action, UpdateTimeout) and action.seconds is None):
            return
        if isinstance(action, UpdateTimeout) or action.seconds == 0:
            self.zeros.append(Event(kind, action.content))
        else:
            self.timers[kind] = action.content

    def stop(self, kind: Any) -> None:
        self.timers.pop(kind, None)
        self.zeros = [event for event in self.zeros if event.kind != kind]


def kind_of(action: Any) -> Any:
    match action:
        case StateTimeout():
            return "state_timeout"
        case EventTimeout():
            return "timeout"
        case Timer(name):
            return ("timeout", name)
        case CancelTimeout(kind) | UpdateTimeout(kind):
            return kind
    return None


class QueueAndModel(RuleBasedStateMachine):
    @initialize(state=STATES, state_enter=st.booleans(), actions=event_actions)
    def begin(self, state: str, state_enter: bool, actions: list[Any]) -> None:
        self.model = Model(state, state_enter)
        self.queue = Queue(state, state_enter=state_enter)
        self.clocks: dict[Any, int] = {}
        self.old: list[tuple[Any, int]] = []
        self.model.begin(actions)
        self.queue.begin(tuple(actions))
        self.perform()

    @precondition(lambda self: self.queue.entering)
    @rule(answer=enter_answers)
    def entering(self, answer: Any) -> None:
        assert self.queue.previous == self.model.state
        self.answered(answer)

    @precondition(lambda self: not self.queue.entering)
    @rule(message=CONTENTS, answer=answers)
    def event(self, message: int, answer: Any) -> None:
        event = self.queue.next()
        assert event == self.model.next()
        if event is None:
            self.queue.take(self.model.take(Event("cast", message)))
        self.answered(answer)

    @precondition(lambda self: not self.queue.entering)
    @rule(data=st.data(), answer=answers)
    def tick(self, data: st.DataObject, answer: Any) -> None:
        while (event := self.queue.next()) is not None:  # timers are looked at when nothing is inside
            assert event == self.model.next()
            self.answered(None)
        assert self.model.next() is None
        if self.clocks:
            kind = data.draw(st.sampled_from(sorted(self.clocks, key=repr)))
            event = Event(kind, self.model.timers.pop(kind))
            assert self.queue.expired(kind, self.clocks.pop(kind)) == event
            self.queue.take(self.model.take(event))
            self.answered(answer)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def late_tick(self, data: st.DataObject) -> None:
        assert self.queue.expired(*data.draw(st.sampled_from(self.old))) is None

    def answered(self, answer: Any) -> None:
        self.model.answer(answer)
        self.queue.answer(answer)
        self.perform()

    def perform(self) -> None:
        for effect in self.queue.drain():
            match effect:
                case StartTimer(kind, serial, _):
                    assert kind not in self.clocks
                    self.clocks[kind] = serial
                case CancelTimer(kind):
                    self.old.append((kind, self.clocks.pop(kind)))

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "model"):
            return
        assert self.queue.state == (self.model.to if self.model.entering else self.model.state)
        assert self.queue.entering == self.model.entering
        if not self.queue.entering:
            assert self.queue.postponed == [place.event for place in self.model.line if place.postponed]
            assert self.clocks.keys() == self.model.timers.keys()
            zeros = {event.kind: event.content for event in self.model.zeros}
            contents = {kind: running.content for kind, running in self.queue.timeouts.items()}
            assert contents == self.model.timers | zeros


TestQueueAndModel = QueueAndModel.TestCase
TestQueueAndModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
