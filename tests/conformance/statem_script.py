"""The machine of the probes of gen_statem, probes_statem.erl: it does what its script says and tells of each event.

The events are sent while it is suspended, so that all of them wait when it goes on. A script says by content, or by
state and content, what the callback returns; a function in it is called with who is to be answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.core.signals import Crash
from beampy.otp import debug
from beampy.otp.statem import Call, Keep, NextEvent, Postpone, StateMachine
from beampy.testing import harness
from tests.conformance.vectors import A_STACK, Some
from tests.conformance.vocabulary import reason

if TYPE_CHECKING:
    from collections.abc import Callable

MS = 0.0001  # seconds, for the milliseconds of the probes' timeouts
REST = 120 * MS  # how long the probes wait for what should not come
LATER = Keep(Postpone())

Script = dict[Any, Any]


class Probed(StateMachine):
    """`first` is what init returns. A script's result may be (data, result)."""

    def __init__(self, script: Script, teller: bp.Pid | None = None, first: Any = "a", data: Any = 0) -> None:
        self.script = script
        self.teller = teller
        self.first = first
        self.data = data

    def init(self) -> Any:
        return self.first() if callable(self.first) else self.first

    def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
        call = isinstance(kind, Call)
        self.tell((state, "call" if call else kind, content))
        key = "enter" if kind == "enter" else content
        name = state[0] if isinstance(state, tuple) else state
        result: Any = self.script.get((name, key), self.script.get(key))
        if callable(result):
            result = result(kind.from_ if call else state)
        if result.__class__ is tuple:
            self.data, result = result
        return result

    def terminate(self, reason: Any, state: Any) -> None:
        self.tell(("terminate", reason, state, self.data))

    def tell(self, event: Any) -> None:
        if self.teller is not None:
            bp.send(self.teller, ("told", event))


class Entering(Probed):
    state_enter = True


async def machine(script: Script, enter: bool = False, **given: Any) -> bp.Pid:
    return (await (Entering if enter else Probed).start(script, bp.self(), **given)).pid


async def run(wanted: int, events: list[Any], script: Script, enter: bool = False, first: Any = "a") -> list[Any]:
    """The events that a machine tells of, and what comes within a moment after them, when it is sent `events`."""
    m = await machine(script, enter, first=first)
    await debug.suspend(m)
    for event in events:
        send(m, event)
    await debug.resume(m)
    seen = [await told() for _ in range(wanted)]
    await debug.get_state(m)
    return seen + await rest()


def send(m: bp.Pid, event: Any) -> None:
    match event:
        case ("info", content):
            bp.send(m, content)
        case _:
            bp.cast(m, event)


async def told() -> Any:
    return (await harness.expect(("told", ...)))[1]


async def rest() -> list[Any]:
    found = []
    while (message := await bp.receive(("told", ...), timeout=REST, default=None)) is not None:
        found.append(message[1])
    return found


async def ends(script: Script, enter: bool = False) -> Any:
    """What is told and the exit reason of a machine that gets the event go."""
    m = await machine(script, enter)
    ref = bp.monitor(m)
    bp.cast(m, "go")
    end = await reason(ref)
    return await rest(), end


def insert(*names: str) -> list[NextEvent]:
    return [NextEvent("internal", name) for name in names]


def raises(error: Exception) -> Callable[[Any], None]:
    def result(_: Any) -> None:
        raise error

    return result


BAD = Some("a BadReturn", lambda x: isinstance(x, Crash) and x.type == "beampy.errors.BadReturn")


def bad(*reasons: Any) -> dict[Any, Any]:
    """Erlang's errors for these returns read as BadReturn, with the stack trace or without."""
    return {**{(reason, A_STACK): BAD for reason in reasons}, **dict.fromkeys(reasons, BAD)}
