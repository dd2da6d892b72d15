"""StateMachine: a process that handles an event by the state it is in. OTP's gen_statem.

Rule: a callback gets an event and says which state comes next, and with which actions; `statem_queue.py` decides
what that means for the events and timeouts that wait; `statem_loop.py` receives, calls and performs. This file is what
users see of it.

Two callback modes. *State functions*: methods marked `@state`, one a state, named as the state is; an answer that
names another state is refused. *handle_event*: one method for all events, and states are any values that have ==
and do not change: strings, tuples, members of an enum. A class has one mode. Callbacks are `async def` or `def`.
The data of gen_statem are the object's attributes, so keep_state and keep_state_and_data are both Keep.

Kinds of events: Call(from_), "cast", "info" (any other message), "internal" (of NextEvent), "enter" (the content
is the state before), and of timeouts "state_timeout", "timeout" and ("timeout", name).

Differences from gen_statem. Besides a result, a callback may only raise Stop; other replies of a stop go out with
`bp.reply` before. An error in a callback goes to the caller whose call is being handled, as in Server. `terminate`
gets the state that was being entered also when its enter call raises. Timers that are equally long and started
together go off in the order they were asked for. Times are seconds from now; there are no absolute ones, no bare
number as an action, no hibernation and no change of the callback module.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, TypeVar

from beampy import api
from beampy.core.signals import safe_repr
from beampy.otp import gen, typed
from beampy.otp.gen import IGNORE, Stop
from beampy.otp.statem_actions import (
    Action,
    Call,
    CancelTimeout,
    Event,
    EventTimeout,
    Keep,
    Kind,
    Next,
    NextEvent,
    Postpone,
    Repeat,
    Reply,
    StateTimeout,
    TimeoutKind,
    Timer,
    UpdateTimeout,
)
from beampy.otp.statem_loop import live
from beampy.otp.supervised import Supervised

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.handle import Handle

__all__ = [
    "IGNORE", "Action", "Call", "CancelTimeout", "Client", "Event", "EventTimeout", "Keep", "Kind", "Next",
    "NextEvent", "Postpone", "Repeat", "Reply", "Result", "StateMachine", "StateTimeout", "Stop", "TimeoutKind",
    "Timer", "UpdateTimeout", "state",
]  # fmt: skip

Result: TypeAlias = Keep | Next | Repeat | Stop | None
"""What a callback returns. None is Keep()."""

F = TypeVar("F", bound="Callable[..., Any]")

MARK = "__beampy_state__"


def state(fn: F) -> F:
    """Mark a method as the state function of the state that has its name: `fn(self, kind, content)`."""
    marked: Any = fn
    if not inspect.isfunction(marked):
        raise TypeError(f"@state marks a method, not {safe_repr(fn)}")
    setattr(marked, MARK, True)
    return fn


class Client(typed.Client[Any]):
    """A machine, seen from elsewhere: by its pid or registered name. Clients travel in messages."""

    __slots__ = ()

    def call(self, request: Any) -> Handle[Any]:
        """Ask the machine, as `bp.call`: it gets the event Call(from_) and answers with Reply(from_, value)."""
        return gen.call(self.dest, request, timeout=self._timeout)

    def cast(self, request: Any) -> None:
        """Send the machine an event "cast". It never fails."""
        gen.cast(self.dest, request)

    def options(self, *, timeout: float | None) -> Client:
        """The same machine with another deadline for calls, in seconds; None waits forever."""
        return Client(self.cls, self.dest, timeout)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a client of a state machine has call(request) and cast(request), not {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Client, (self.cls, self.dest, self._timeout)


class StateMachine(Supervised):
    """Subclass it, write `init` and the state functions (or `handle_event`), and start it.

    >>> from beampy.otp import statem
    >>> class CodeLock(bp.StateMachine):
    ...     def __init__(self, code: str):
    ...         self.code, self.typed = code, ""
    ...     def init(self):
    ...         return "locked"
    ...     @statem.state
    ...     def locked(self, kind, content):
    ...         match kind, content:
    ...             case "cast", ("button", digit):
    ...                 self.typed = (self.typed + digit)[-len(self.code):]
    ...                 if self.typed == self.code:
    ...                     self.typed = ""
    ...                     return statem.Next("open", statem.StateTimeout(10))
    ...             case statem.Call(from_), "state":
    ...                 return statem.Keep(statem.Reply(from_, "locked"))
    ...     @statem.state
    ...     def open(self, kind, content):
    ...         match kind, content:
    ...             case "state_timeout", _:
    ...                 return statem.Next("locked")
    ...             case statem.Call(from_), "state":
    ...                 return statem.Keep(statem.Reply(from_, "open"))
    ...             case "cast", ("button", _):
    ...                 return statem.Keep(statem.Postpone())        # it counts when the lock is locked again
    >>> lock = await CodeLock.start_link("42", name="lock")
    >>> for digit in "42":
    ...     lock.cast(("button", digit))
    >>> await lock.call("state")
    'open'

    The constructor and then `init` run in the new process; `start` and `start_link` return a Client when both are
    done, or raise AlreadyStarted, StartFailed, StartIgnored or StartTimeout. A call that no state answers times out.
    """

    state_enter: ClassVar[bool] = False
    """Whether a state's callback gets ("enter", state before) first: at the start, on a change, after Repeat."""

    trap_exit: ClassVar[bool] = False
    """Whether the process traps exits from the start: needed for `terminate` to run when its supervisor stops it."""

    _states: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._states = _state_functions(cls)
        if cls._states and cls.handle_event is not StateMachine.handle_event:
            raise TypeError(f"{cls.__name__} has @state methods and handle_event: a state machine has one of the two")

    # callbacks

    def init(self) -> Any:
        """After the constructor: the first state, Next(state, *actions), IGNORE, or Stop(reason)."""
        raise NotImplementedError(f"{type(self).__name__} has no init, which returns the first state")

    def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
        """Handle an event in a state. Returns a Result."""
        raise NotImplementedError(f"{type(self).__name__} has neither @state methods nor handle_event")

    def terminate(self, reason: Any, state: Any) -> Any:
        """Clean up. Not called when an exit signal ends a machine that does not trap exits, nor by a kill."""

    # starting

    @classmethod
    def start(
        cls,
        *args: Any,
        name: gen.Name | None = None,
        timeout: float | None = None,
        node: str | None = None,
        **kwargs: Any,
    ) -> Handle[Client]:
        """Start it, with no link. A client; `timeout` in seconds is for the constructor and init."""
        return _start(cls, args, kwargs, name, timeout, node, link=False)

    @classmethod
    def start_link(
        cls,
        *args: Any,
        name: gen.Name | None = None,
        timeout: float | None = None,
        node: str | None = None,
        **kwargs: Any,
    ) -> Handle[Client]:
        """Start it, linked with the current process, which becomes its parent. A client."""
        return _start(cls, args, kwargs, name, timeout, node, link=True)

    @classmethod
    def client(cls, dest: Any) -> Client:
        """A client for a machine of this class that runs: by its pid or registered name."""
        return Client(cls, dest)


def _state_functions(cls: type) -> dict[str, Callable[..., Any]]:
    """The state functions of a class, its own and inherited ones; an override needs no mark."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, fn in vars(base).items():
            if getattr(fn, MARK, False) or (name in found and inspect.isfunction(fn)):
                found[name] = fn
    for name in found:
        if hasattr(StateMachine, name):
            raise TypeError(f"{cls.__name__}: a state function {name!r} would hide StateMachine.{name}")
    return found


@api.timed
async def _start(
    cls: type[StateMachine],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: gen.Name | None,
    timeout: float | None,
    node: str | None,
    *,
    link: bool,
) -> Client:
    pid = await gen.start(live, cls, args, kwargs, what=cls.__name__, link=link, name=name, timeout=timeout, node=node)
    return Client(cls, pid)
