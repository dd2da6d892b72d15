"""What a behaviour answers about itself: state, suspension, tracing, statistics. OTP's `sys`, the server's side.

A behaviour's loop owns a Control and hands it every System message. The client functions are `otp/debug.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from beampy import api
from beampy.core.signals import Exit
from beampy.otp import gen
from beampy.otp.messages import Call, System

log = logging.getLogger("beampy.otp")

Trace = Callable[[str, Any], object]
"""A tracer of one behaviour: trace(event, detail); events "in", "out", "noreply", "state", "stop"."""


class Behaviour(Protocol):
    """What a Control needs of its behaviour."""

    def system_state(self) -> Any:
        """The state, as the user's code knows it."""

    def system_replace(self, state: Any) -> None:
        """Put another state in its place."""

    async def system_stop(self, reason: Any) -> None:
        """Terminate in order for `reason`; does not return."""


class Control:
    """The system side of one behaviour."""

    __slots__ = ("counting", "messages_in", "messages_out", "suspended", "tracers")

    def __init__(self) -> None:
        self.suspended = False
        self.tracers: tuple[Trace, ...] = ()
        self.counting = False
        self.messages_in = 0
        self.messages_out = 0

    @property
    def watching(self) -> bool:
        """Whether anybody wants to hear of events: loops ask before they tell."""
        return self.counting or bool(self.tracers)

    def tell(self, event: str, detail: Any) -> None:
        """Count and trace one event. A tracer that fails is taken off."""
        if event == "in":
            self.messages_in += 1
        elif event == "out":
            self.messages_out += 1
        for trace in self.tracers:
            try:
                trace(event, detail)
            except Exception:
                log.exception("a tracer failed and is taken off")
                self.tracers = tuple(t for t in self.tracers if t is not trace)

    async def handle(self, behaviour: Behaviour, message: System) -> None:
        """Answer one System message, and while suspended all that come."""
        await self._answer(behaviour, message)
        parent = behaviour.parent if hasattr(behaviour, "parent") else None
        while self.suspended:
            next_message = await api.receive(lambda m: isinstance(m, System) or _is_end(m, parent))
            if isinstance(next_message, System):
                await self._answer(behaviour, next_message)
            else:
                await behaviour.system_stop(next_message.reason)

    async def _answer(self, behaviour: Behaviour, message: System) -> None:
        to = Call(message.ref, message.pid, None)
        if message.op == "terminate":
            await behaviour.system_stop(message.arg)
            return
        try:
            answer = await self._do(behaviour, message.op, message.arg)
        except Exception as error:
            gen.reply_error(to, error)
        else:
            gen.reply(to, answer)

    async def _do(self, behaviour: Behaviour, op: str, arg: Any) -> Any:
        match op:
            case "get_state":
                return behaviour.system_state()
            case "replace_state":
                state = arg(behaviour.system_state())
                if isinstance(state, Awaitable):
                    state = await state
                behaviour.system_replace(state)
                return state
            case "suspend":
                self.suspended = True
            case "resume":
                self.suspended = False
            case "trace":
                if arg is None:
                    self.tracers = ()
                else:
                    self.tracers = (*self.tracers, arg)
            case "statistics":
                return self._statistics(arg)
            case _:
                raise ValueError(f"unknown system request {op!r}")
        return None

    def _statistics(self, arg: Any) -> Any:
        if arg is True:
            self.counting, self.messages_in, self.messages_out = True, 0, 0
            return None
        if arg is False:
            self.counting = False
            return None
        me = api.self_process()
        return {
            "counting": self.counting,
            "messages_in": self.messages_in,
            "messages_out": self.messages_out,
            "reductions": me._steps,
        }


def _is_end(message: Any, parent: Any) -> bool:
    return isinstance(message, Exit) and parent is not None and message.pid == parent
