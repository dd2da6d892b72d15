"""The words of a state machine: events, what a callback may say to them, and what is to be done then. Pure.

Rule: everything here is a plain record. Place: `statem_queue.py` decides what they mean, `statem.py` gives them to
users. Not known here: when each is allowed.

    events    what a callback is called with
    results   what it returns: which state comes next, with actions
    actions   what is to go with it: postpone, insert, reply, timeouts
    effects   what the queue asks of the loop: replies and timers
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from beampy.core.signals import safe_repr

if TYPE_CHECKING:
    from beampy.otp.messages import Call as From

# events


class Call(NamedTuple):
    """The kind of an event that is a call: `from_` is who waits, for `Reply(from_, value)` or `bp.reply`."""

    from_: From


TimeoutKind: TypeAlias = Literal["timeout", "state_timeout"] | tuple[Literal["timeout"], Hashable]
Kind: TypeAlias = Call | Literal["cast", "info", "internal", "enter"] | TimeoutKind


class Event(NamedTuple):
    """What a callback is called with."""

    kind: Kind
    content: Any


# actions


class Postpone(NamedTuple):
    """Keep this event and handle it again after the next change of state. `Postpone(False)` takes that back."""

    on: bool = True


class NextEvent(NamedTuple):
    """Handle this event next, before all that wait; several of them in order."""

    kind: Kind
    content: Any


class Reply(NamedTuple):
    """Answer a call."""

    from_: From
    value: Any


class StateTimeout(NamedTuple):
    """An event "state_timeout" in so many seconds, unless the state changes before. None seconds: never."""

    seconds: float | None
    content: Any = None


class EventTimeout(NamedTuple):
    """An event "timeout" in so many seconds, unless any other event comes before. None seconds: never."""

    seconds: float | None
    content: Any = None


class Timer(NamedTuple):
    """An event ("timeout", name) in so many seconds, whatever happens in between. None seconds: never."""

    name: Hashable
    seconds: float | None
    content: Any = None


class CancelTimeout(NamedTuple):
    """Cancel a timeout by the kind of its event: "timeout", "state_timeout" or ("timeout", name)."""

    kind: TimeoutKind


class UpdateTimeout(NamedTuple):
    """Give a running timeout another content and leave its time; one that does not run goes off at once."""

    kind: TimeoutKind
    content: Any


Action: TypeAlias = Postpone | NextEvent | Reply | StateTimeout | EventTimeout | Timer | CancelTimeout | UpdateTimeout

# results


class _Result:
    """What a callback says about the state, and the actions that go with it."""

    __slots__ = ("actions",)

    def __init__(self, *actions: Action) -> None:
        self.actions = actions

    def _parts(self) -> tuple[Any, ...]:
        return self.actions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Result) and other.__class__ is self.__class__ and other._parts() == self._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(safe_repr, self._parts()))})"


class Keep(_Result):
    """Stay in the state. The data lives on the machine object, so this is keep_state and keep_state_and_data."""

    __slots__ = ()


class Repeat(_Result):
    """Stay in the state, and with `state_enter` enter it again. Otherwise the same as Keep."""

    __slots__ = ()


class Next(_Result):
    """Go to a state. To the same one it is the same as Keep."""

    __slots__ = ("state",)
    __match_args__ = ("state",)

    def __init__(self, state: Any, *actions: Action) -> None:
        super().__init__(*actions)
        self.state = state

    def _parts(self) -> tuple[Any, ...]:
        return self.state, *self.actions


# effects


class StartTimer(NamedTuple):
    """Say `expired(kind, serial)` in so many seconds."""

    kind: TimeoutKind
    serial: int
    seconds: float


class CancelTimer(NamedTuple):
    """The timer started for this kind is not wanted any more."""

    kind: TimeoutKind


Effect: TypeAlias = Reply | StartTimer | CancelTimer
