"""What a behaviour answers about itself: state, suspension, tracing, statistics. OTP's `sys`, the server's side.

A behaviour's loop owns a Control, hands it every System message and, while somebody is `watching`, tells it of every
event. The client functions are `otp/debug.py`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from beampy import api
from beampy.core.signals import Exit
from beampy.otp import gen
from beampy.otp.messages import Call, System

if TYPE_CHECKING:
    from beampy.core.ids import Pid

log = logging.getLogger("beampy.otp")

LOGGED = 10  # events that `log` keeps unless told how many, as sys:log

Trace = Callable[[str, Any], object]
"""A tracer of one behaviour: trace(event, detail); events "in", "out", "noreply", "state", "stop".

It runs in the behaviour's process. One that returns "done", or raises, is taken off.
"""


class Status(NamedTuple):
    """What `debug.get_status` tells of a behaviour."""

    pid: Pid
    name: str | None
    behaviour: str
    """Its class, as its label says."""
    status: Literal["running", "suspended"]
    parent: Pid | None
    """Who started it with a link: whose end is its end."""
    tracers: int
    state: Any


class Statistics(NamedTuple):
    """What was counted since `debug.statistics(server, True)`."""

    seconds: float
    reductions: int
    """How many times the process was resumed."""
    messages_in: int
    messages_out: int


class Behaviour(Protocol):
    """What a Control needs of its behaviour; `parent`, where it has one, is obeyed while it is suspended, too."""

    def system_state(self) -> Any:
        """The state, as the user's code knows it."""

    def system_replace(self, state: Any) -> None:
        """Put another state in its place."""

    async def system_stop(self, reason: Any) -> None:
        """Terminate in order for `reason`; does not return."""


class Counts:
    """Running statistics, and where they began."""

    __slots__ = ("began", "messages_in", "messages_out", "steps")

    def __init__(self) -> None:
        me = api.self_process()
        self.began = me.node.loop.time()
        self.steps = me._steps
        self.messages_in = 0
        self.messages_out = 0

    def now(self) -> Statistics:
        """The statistics so far."""
        me = api.self_process()
        seconds = me.node.loop.time() - self.began
        return Statistics(seconds, me._steps - self.steps, self.messages_in, self.messages_out)


class Control:
    """The system side of one behaviour."""

    __slots__ = ("counts", "recent", "suspended", "tracers", "watching")

    def __init__(self) -> None:
        self.suspended = False
        self.tracers: tuple[Trace, ...] = ()
        self.recent: deque[tuple[str, Any]] | None = None
        self.counts: Counts | None = None
        self.watching = False
        """Whether anybody wants to hear of events: loops ask before they tell."""

    def tell(self, event: str, detail: Any) -> None:
        """Count, keep and trace one event. A System message is none: looking is not to be seen."""
        if detail.__class__ is System:
            return
        if self.counts is not None:
            self.counts.messages_in += event == "in"
            self.counts.messages_out += event == "out"
        if self.recent is not None:
            self.recent.append((event, detail))
        for trace in self.tracers:
            try:
                done = trace(event, detail)
            except Exception:
                log.exception("a tracer failed and is taken off")
                done = "done"
            if isinstance(done, str) and done == "done":
                self._untrace(trace)

    async def handle(self, behaviour: Behaviour, message: System) -> None:
        """Answer one System message, and while suspended all that come."""
        await self._answer(behaviour, message)
        parent = getattr(behaviour, "parent", None)
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
            gen.reply(to, await self._do(behaviour, message.op, message.arg))
        except Exception as error:  # also of an answer that cannot travel: to be asked never ends a behaviour
            gen.reply_error(to, error)

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
            case "get_status":
                return self._status(behaviour)
            case "suspend" | "resume":
                self.suspended = op == "suspend"
                return None
            case "trace":
                if arg not in self.tracers:
                    self.tracers = (*self.tracers, arg)
                self._look()
                return None
            case "no_trace":
                return self._untrace(arg)
            case "statistics":
                return self._statistics(arg)
            case "log":
                return self._log(arg)
        raise ValueError(f"unknown system request {op!r}")

    def _look(self) -> None:
        self.watching = bool(self.tracers) or self.recent is not None or self.counts is not None

    def _untrace(self, tracer: Trace | None) -> bool:
        """Take off one tracer, or all. Whether there was one."""
        left = tuple(t for t in self.tracers if tracer is not None and t != tracer)
        taken = len(left) < len(self.tracers)
        self.tracers = left
        self._look()
        return taken

    def _statistics(self, arg: Any) -> Statistics | None:
        if arg is True or arg is False:
            self.counts = Counts() if arg else None
            self._look()
            return None
        return None if self.counts is None else self.counts.now()

    def _log(self, arg: Any) -> list[tuple[str, Any]] | None:
        if arg == "get":
            return list(self.recent or ())
        most = LOGGED if arg is True else int(arg)
        self.recent = deque(self.recent or (), most) if most > 0 else None
        self._look()
        return None

    def _status(self, behaviour: Behaviour) -> Status:
        me = api.self_process()
        extras = me.extras()
        parent = getattr(behaviour, "parent", None)
        return Status(
            pid=me.pid,
            name=extras.name,
            behaviour=str(extras.label),
            status="suspended" if self.suspended else "running",
            parent=None if parent == api.node_pid() else parent,  # the node itself is nobody's parent
            tracers=len(self.tracers),
            state=behaviour.system_state(),
        )


def _is_end(message: Any, parent: Any) -> bool:
    return isinstance(message, Exit) and parent is not None and message.pid == parent
