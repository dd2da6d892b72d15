"""The machines of the tests of StateMachine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

import beampy as bp
from beampy.otp import statem
from beampy.otp.statem import Call, Keep, Next, Reply, StateTimeout
from beampy.testing import harness

Body = Callable[[], Coroutine[Any, Any, None]]


def process(body: Body) -> Body:
    @functools.wraps(body)
    async def test() -> None:
        await harness.run(body)

    return test


class CodeLock(statem.StateMachine):
    """The example of OTP's documentation, with state functions."""

    def __init__(self, code: str, open_for: float = 60.0) -> None:
        self.code = code
        self.open_for = open_for
        self.typed = ""

    def init(self) -> Any:
        return "locked"

    @statem.state
    async def locked(self, kind: Any, content: Any) -> statem.Result:
        match kind, content:
            case "cast", ("button", digit):
                self.typed = (self.typed + digit)[-len(self.code) :]
                if self.typed == self.code:
                    self.typed = ""
                    return Next("open", StateTimeout(self.open_for, "lock"))
            case Call(from_), "state":
                return Keep(Reply(from_, "locked"))
        return None

    @statem.state
    def open(self, kind: Any, content: Any) -> statem.Result:
        match kind, content:
            case "state_timeout", "lock":
                return Next("locked")
            case "cast", ("button", _):
                return Keep(statem.Postpone())
            case Call(from_), "state":
                return Keep(Reply(from_, "open"))
            case Call(), "break":
                raise ZeroDivisionError("broken")
            case Call(), "leave":
                raise bp.Stop("normal", reply="bye")
            case "cast", "nowhere":
                return Next("nowhere")
            case "cast", "stop and reply":
                return bp.Stop(reply="to nobody")
        return None


class Told(statem.StateMachine):
    """Calls are functions of the machine, with the from_: what they return is the callback's answer."""

    def __init__(self, teller: bp.Pid | None = None, first: Any = "a") -> None:
        self.teller = teller
        self.first = first

    def init(self) -> Any:
        return self.first() if callable(self.first) else self.first

    def handle_event(self, kind: Any, content: Any, state: Any) -> Any:
        if isinstance(kind, Call):
            return content(self, kind.from_)
        self.tell((state, kind, content))
        return content(self) if callable(content) else None

    def terminate(self, reason: Any, state: Any) -> None:
        self.tell(("terminate", reason, state))

    def tell(self, what: Any) -> None:
        if self.teller is not None:
            bp.send(self.teller, what)


def tell(who: bp.Pid, event: str, detail: Any) -> None:
    """As a tracer, with the first argument given."""
    bp.send(who, (event, detail))


def type_in(lock: statem.Client, code: str) -> None:
    for digit in code:
        lock.cast(("button", digit))
