"""What a state machine does next: OTP's gen_statem without its callbacks, its mailbox and its clock.

Rule: every decision about events, postponed events and timeouts is made here. Place: below `statem.py`, which
calls the callbacks, performs the effects and brings what arrives. Not known here: processes, time, who asks.

    an event was handled, and            then
    ───────────────────────────────────  ──────────────────────────────────────────────────────────────
    in any case                          the event timeout is cancelled
    the state is another one (!=)        the state timeout is cancelled; postponed events are to be
                                         retried, oldest first; with `state_enter`, "enter" comes first
    the state is the same                postponed events stay; "enter" only after Repeat
    timeouts were asked for              they are started, cancelled or updated: the last of each kind
    ───────────────────────────────────  ──────────────────────────────────────────────────────────────
    the next event is the first of       1. those just inserted (NextEvent), in order
                                         2. postponed ones to be retried
                                         3. what is left of 1 and 2 from before
                                         4. timeouts of 0 seconds, in the order they were asked for
                                         5. the mailbox

An event that is taken from 1 to 4 was there before any message that has come since, whatever state that one finds.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Any, NamedTuple

from beampy.core.signals import safe_repr
from beampy.errors import BadReturn
from beampy.otp.messages import Call as From
from beampy.otp.statem_actions import (
    Action,
    Call,
    CancelTimeout,
    CancelTimer,
    Effect,
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
    TimeoutKind,
    Timer,
    UpdateTimeout,
)


class Running(NamedTuple):
    """A timeout that has not gone off. `serial` is 0 for a timeout of 0 seconds, which has no timer."""

    serial: int
    content: Any


_UPDATE = -1.0  # in place of seconds
# what a callback may return instead of what it did
_RESULTS = "None, Keep(…), Next(state, …), Repeat(…) or Stop(reason)"
_ENTER_RESULTS = "None, Keep(…), Repeat(…) or Stop(reason) from an enter call"
_ENTER_ACTIONS = "neither Postpone() nor NextEvent(…) from an enter call"
_ACTIONS = (
    "as actions Postpone(), NextEvent(…), Reply(…), StateTimeout(…), EventTimeout(…), Timer(…), CancelTimeout(…) "
    "and UpdateTimeout(…)"
)
_REPLIES = "replies to the from_ of a Call"
_EVENTS = 'events of the kinds "cast", "info", "internal", Call(from_), and those of timeouts'
_TIMES = "a number of seconds that is not negative, or None for never"
_TIMEOUTS = 'the kinds "timeout", "state_timeout" and ("timeout", name), where the name is hashable'


class Queue:
    """The state of one machine, its events and its timeouts.

    >>> queue = Queue("off")
    >>> queue.begin()
    >>> queue.take(Event("cast", "e1"))
    >>> queue.answer(Keep(Postpone()))
    >>> queue.take(Event("cast", "go"))
    >>> queue.answer(Next("on", NextEvent("internal", "n1")))
    >>> queue.next(), queue.state
    (Event(kind='internal', content='n1'), 'on')

    What is to be done after `begin` and `answer` is in `effects`: take it out with `drain`, also after an error.
    While `entering` is true, the answer to the event ("enter", previous) is due.
    """

    __slots__ = (
        "_asked", "_events", "_inserted", "_postpone", "_serial", "_state_enter", "_zeros",
        "effects", "entering", "event", "postponed", "previous", "state", "timeouts",
    )  # fmt: skip

    def __init__(self, state: Any, *, state_enter: bool = False) -> None:
        self.state = state
        """The state; while it is being entered, already the new one."""
        self.previous = state
        """The state before this event, which an enter call is told."""
        self.event: Event | None = None
        """The event being handled."""
        self.entering = False
        self.effects: list[Effect] = []
        self.postponed: list[Event] = []
        self.timeouts: dict[TimeoutKind, Running] = {}
        self._state_enter = state_enter
        self._events: deque[Event] = deque()
        self._zeros: dict[TimeoutKind, None] = {}
        self._serial = 0
        # of the event being handled
        self._postpone = False
        self._inserted: list[Event] = []
        self._asked: dict[TimeoutKind, tuple[float | None, Any]] = {}

    # which event

    def next(self) -> Event | None:
        """The event to handle now; None when the next one is to come from the mailbox, or from a timer."""
        if self._events:
            self.event = self._events.popleft()
        elif self._zeros:
            kind = next(iter(self._zeros))
            del self._zeros[kind]
            self.event = Event(kind, self.timeouts.pop(kind).content)
        else:
            self.event = None
        return self.event

    def take(self, event: Event) -> None:
        """This event has arrived and is to be handled now."""
        self.event = event

    def expired(self, kind: TimeoutKind, serial: int) -> Event | None:
        """A timer went off: its event, or None when the timeout was cancelled or started anew in the meantime."""
        running = self.timeouts.get(kind)
        if running is None or running.serial != serial:
            return None
        del self.timeouts[kind]
        return Event(kind, running.content)

    # what becomes of it

    def begin(self, actions: tuple[Action, ...] = (), callback: str = "init") -> None:
        """The first state is entered. There is no event yet, so nothing is postponed."""
        self.event = Event("internal", callback)
        self._act_on(actions, callback)
        self._postpone = False
        self._go_on(self._state_enter)

    def answer(self, result: Any, callback: str = "the callback") -> None:
        """What the callback said to the event, or to the enter call that was due. Raises BadReturn."""
        again = False
        if result is not None:
            if isinstance(result, Next):
                if result.state != self.state:
                    if self.entering:
                        raise BadReturn(callback, safe_repr(result), _ENTER_RESULTS)
                    self.state = result.state
                    again = True
            elif isinstance(result, Repeat):
                again = True
            elif not isinstance(result, Keep):
                raise BadReturn(callback, safe_repr(result), _ENTER_RESULTS if self.entering else _RESULTS)
            self._act_on(result.actions, callback)
        self._go_on(again and self._state_enter)

    def drain(self) -> list[Effect]:
        """What is to be done, in order; it is forgotten here."""
        effects, self.effects = self.effects, []
        return effects

    def replace(self, state: Any) -> None:
        """Another state from outside: no change of state in the sense of the rules above."""
        self.state = self.previous = state

    def _act_on(self, actions: tuple[Action, ...], callback: str) -> None:
        for action in actions:
            allowed = self._act(action)
            if allowed is not None:
                raise BadReturn(callback, f"the action {safe_repr(action)}", allowed)

    def _act(self, action: Any) -> str | None:
        """Note one action. What is allowed in its place when it is not."""
        match action:
            case Reply(from_, _):
                if not isinstance(from_, From):
                    return _REPLIES
                self.effects.append(action)
            case Postpone(on):
                if on and self.entering:
                    return _ENTER_ACTIONS
                self._postpone = bool(on)
            case NextEvent(kind, content):
                if self.entering:
                    return _ENTER_ACTIONS
                if not _is_insertable(kind):
                    return _EVENTS
                self._inserted.append(Event(kind, content))
            case StateTimeout(seconds, content):
                return self._ask("state_timeout", seconds, content)
            case EventTimeout(seconds, content):
                return self._ask("timeout", seconds, content)
            case Timer(name, seconds, content):
                return self._ask(("timeout", name), seconds, content)
            case CancelTimeout(kind):
                return self._ask(kind, None, None)
            case UpdateTimeout(kind, content):
                return self._ask(kind, 0, content, update=True)
            case _:
                return _ACTIONS
        return None

    def _ask(self, kind: TimeoutKind, seconds: float | None, content: Any, *, update: bool = False) -> str | None:
        if not _is_timeout(kind):
            return _TIMEOUTS
        if not _is_time(seconds):
            return _TIMES
        self._asked.pop(kind, None)  # the last one counts, and stands last
        self._asked[kind] = (_UPDATE if update else seconds), content
        return None

    def _go_on(self, enter: bool) -> None:
        """Enter the state, or, when that is done, settle the event."""
        self.entering = enter
        if enter:
            return
        event, self.event = self.event, None
        if self._postpone and event is not None:
            self.postponed.append(event)
            self._postpone = False
        self._cancel("timeout")
        if self.state != self.previous:
            self.previous = self.state
            self._cancel("state_timeout")
            self._events.extendleft(reversed(self.postponed))
            self.postponed.clear()
        if self._asked:
            for kind, (seconds, content) in self._asked.items():
                self._set(kind, seconds, content)
            self._asked.clear()
        if self._inserted:
            self._events.extendleft(reversed(self._inserted))
            self._inserted.clear()

    def _set(self, kind: TimeoutKind, seconds: float | None, content: Any) -> None:
        running = self.timeouts.get(kind)
        if seconds == _UPDATE and running is not None:
            self.timeouts[kind] = Running(running.serial, content)
            return
        self._cancel(kind)
        if seconds is None or seconds == inf:
            return
        serial = 0
        if seconds > 0:
            self._serial = serial = self._serial + 1
            self.effects.append(StartTimer(kind, serial, seconds))
        else:
            self._zeros[kind] = None
        self.timeouts[kind] = Running(serial, content)

    def _cancel(self, kind: TimeoutKind) -> None:
        running = self.timeouts.pop(kind, None)
        if running is None:
            return
        if running.serial:
            self.effects.append(CancelTimer(kind))
        else:
            del self._zeros[kind]


def _is_timeout(kind: Any) -> bool:
    if isinstance(kind, str):
        return kind in ("timeout", "state_timeout")
    return isinstance(kind, tuple) and len(kind) == 2 and kind[0] == "timeout" and _is_hashable(kind[1])


def _is_insertable(kind: Any) -> bool:
    if isinstance(kind, Call):
        return isinstance(kind.from_, From)
    return _is_timeout(kind) or (isinstance(kind, str) and kind in ("cast", "info", "internal"))


def _is_time(seconds: Any) -> bool:
    """A number that is not negative (nor NaN), or None."""
    return seconds is None or (isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds >= 0)


def _is_hashable(name: Any) -> bool:
    try:
        hash(name)
    except TypeError:
        return False
    return True
