"""The loop of a state machine: its mailbox, its callbacks, its timers and its end.

Rule: it decides nothing about events; `statem_queue.py` says which is next and what an answer means. Place: below
`statem.py`, which users see. Not known here: what an action is good for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy import api
from beampy.core.extras import Become
from beampy.core.signals import Crash, Exit, Timeout, safe_repr
from beampy.errors import BadReturn, ProcessExit
from beampy.otp import gen, messages
from beampy.otp.control import Control
from beampy.otp.gen import IGNORE, Stop
from beampy.otp.statem_actions import Action, Call, Event, Keep, Next, Repeat, Reply, StartTimer, TimeoutKind
from beampy.otp.statem_queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.ids import Pid, Ref
    from beampy.otp.statem import StateMachine

BURST = 100  # events in a row that wait for no message; then others get a turn, as Erlang would preempt


async def live(ready: gen.Ready, cls: type[StateMachine], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Become:
    """The life of a machine, for gen.start."""
    if cls.trap_exit:
        api.trap_exit(True)
    loop = Loop(cls(*args, **kwargs), ready.parent)
    return Become(loop.serve(await loop.init(ready)))


class Tick(NamedTuple):
    """What the timer of a timeout brings."""

    kind: TimeoutKind
    serial: int


class Loop:
    """The loop of one machine: brings events to callbacks and their answers to the queue, and knows how it all ends."""

    __slots__ = ("control", "ending", "machine", "parent", "pid", "queue", "timers")

    def __init__(self, machine: StateMachine, parent: Pid | None) -> None:
        self.machine = machine
        self.parent = parent
        self.pid = api.self()
        self.control = Control()
        self.queue = Queue(None)
        self.timers: dict[TimeoutKind, Ref] = {}
        self.ending = False

    async def init(self, ready: gen.Ready) -> tuple[Action, ...]:
        """Run init and tell the starter. The first actions are for `serve`."""
        gen.note_for_report(self._note)
        try:
            answer = await _called(self.machine.init())
        except Stop as stop:
            answer = stop
        if answer is IGNORE:
            ready.refuse(IGNORE)
            api.exit("normal")
        if isinstance(answer, Stop):
            ready.refuse(answer.reason)
            api.exit(answer.reason)
        if answer is None or isinstance(answer, (Keep, Repeat)):
            raise BadReturn(self._named("init"), safe_repr(answer), "a state, Next(state, …), IGNORE or Stop(reason)")
        first = answer if isinstance(answer, Next) else Next(answer)
        self._check(first.state, self._named("init"))
        self.queue = Queue(first.state, state_enter=self.machine.state_enter)
        ready()
        return first.actions

    async def serve(self, actions: tuple[Action, ...]) -> None:
        """Serve until the end. One frame: it is all of the stack that an idle machine keeps."""
        queue = self.queue
        receive = api.receive
        burst = 0
        try:
            self._tell_queue(queue.begin, actions, self._named("init"))
            actions = ()  # an idle machine keeps nothing of its start, nor of the last event
            while True:
                event = Event("enter", queue.previous) if queue.entering else queue.next()
                if event is None:
                    message = await receive()
                    if message.__class__ is messages.System:
                        await self.control.handle(self, message)
                        continue
                    if message.__class__ is Exit and self.parent is not None and message.pid == self.parent:
                        await self.system_stop(message.reason)
                    event = self._event_of(message)
                    if event is None:
                        continue
                    queue.take(event)
                    burst = 0
                elif burst >= BURST:
                    await asyncio.sleep(0)
                    burst = 0
                burst += 1
                self._answered(await self._ask(event))
                event = message = None
        except Stop as stop:
            await self.system_stop(stop.reason)
        except ProcessExit as left:
            if self.ending:
                raise
            await self.system_stop(left.reason)
        except (asyncio.CancelledError, GeneratorExit):
            raise  # an exit signal or a kill: no terminate, as in OTP
        except Exception as error:
            await self._terminate(Crash.of(error))
            raise

    # events

    def _event_of(self, message: Any) -> Event | None:
        """The event that a message is; None when it is the tick of a timeout that has been cancelled."""
        kind = message.__class__
        event: Event | None
        if kind is messages.Call:
            event = Event(Call(message), message.request)
        elif kind is messages.Cast:
            event = Event("cast", message.request)
        elif kind is Timeout and message.message.__class__ is Tick:
            tick: Tick = message.message
            event = self.queue.expired(tick.kind, tick.serial)
            if event is None:
                return None
            del self.timers[tick.kind]
        else:
            event = Event("info", message)
        if self.control.watching:
            self.control.tell("in", event if kind is Timeout else message)
        return event

    async def _ask(self, event: Event) -> Any:
        """What the callback says to an event."""
        machine, now = self.machine, self.queue.state
        try:
            if machine._states:
                result = machine._states[now](machine, event.kind, event.content)
            else:
                result = machine.handle_event(event.kind, event.content, now)
            return await result if result.__class__ is CoroutineType else result
        except Stop as stop:
            return stop
        except Exception as error:
            if (call := self._call()) is not None:
                gen.reply_error(call, error)
            raise

    def _answered(self, answer: Any) -> None:
        callback = self._named(self.queue.state if self.machine._states else "handle_event")
        if isinstance(answer, Stop):
            if answer.reply is not ...:
                call = self._call()
                if call is None:
                    raise BadReturn(callback, "Stop(reply=…) to an event that is no call", "Stop(reason)")
                self._reply(Reply(call, answer.reply))
            raise answer
        if isinstance(answer, Next):
            self._check(answer.state, callback)
        before = self.queue.state
        self._tell_queue(self.queue.answer, answer, callback)
        if self.control.watching and self.queue.state != before:
            self.control.tell("state", self.queue.state)

    def _call(self) -> messages.Call | None:
        """The call that is being handled."""
        event = self.queue.event
        return event.kind.from_ if event is not None and isinstance(event.kind, Call) else None

    def _check(self, state: Any, callback: str) -> None:
        """Where states are functions, a state must be one of them."""
        states = self.machine._states
        if states and not (isinstance(state, str) and state in states):
            raise BadReturn(callback, f"the state {safe_repr(state)}", f"one of the states {', '.join(states)}")

    # effects

    def _tell_queue(self, verb: Callable[..., None], *args: Any) -> None:
        """Tell the queue, and do what it asks for; what it asked for before it found an error as well."""
        try:
            verb(*args)
        finally:
            if self.queue.effects:
                self._perform()

    def _perform(self) -> None:
        for effect in self.queue.drain():
            if isinstance(effect, Reply):
                self._reply(effect)
            elif isinstance(effect, StartTimer):
                tick = Tick(effect.kind, effect.serial)
                self.timers[effect.kind] = api.start_timer(effect.seconds, self.pid, tick)
            else:
                # A tick that is in the mailbox already is told apart by its serial.
                api.cancel_timer(self.timers.pop(effect.kind))

    def _reply(self, reply: Reply) -> None:
        if self.control.watching:
            self.control.tell("out", (reply.from_, reply.value))
        gen.reply(reply.from_, reply.value)

    # the end

    async def system_stop(self, reason: Any) -> None:
        """Terminate in order, and end for `reason`."""
        if self.control.watching:
            self.control.tell("stop", reason)
        await self._terminate(reason)
        gen.finish(reason)

    async def _terminate(self, reason: Any) -> None:
        if not self.ending:  # once, also when it raises
            self.ending = True
            with suppress(Stop):  # it stops already
                await _called(self.machine.terminate(reason, self.queue.state))

    # system

    def system_state(self) -> tuple[Any, dict[str, Any]]:
        """The state, and the machine's attributes as a copy."""
        return self.queue.state, dict(vars(self.machine))

    def system_replace(self, state: tuple[Any, dict[str, Any]]) -> None:
        """Put others in their place. It is no change of state: nothing is retried, entered or cancelled."""
        now, attributes = state
        attributes = dict(attributes)
        self._check(now, "replace_state")
        self.queue.replace(now)
        vars(self.machine).clear()
        vars(self.machine).update(attributes)

    def _named(self, callback: str) -> str:
        return f"{type(self.machine).__name__}.{callback}"

    def _note(self) -> dict[str, str]:
        queue = self.queue
        note = {"state machine": type(self.machine).__qualname__}
        if queue.event is not None:
            note["last event"] = described(queue.event)
        note["state"] = safe_repr(queue.state)
        note["data"] = safe_repr(getattr(self.machine, "__dict__", self.machine))
        if queue.postponed:
            note["postponed"] = safe_repr([described(event) for event in queue.postponed])
        if queue.timeouts:
            note["timeouts"] = safe_repr({kind: running.content for kind, running in queue.timeouts.items()})
        return note


def described(event: Event) -> str:
    """An event as a person would say it."""
    kind, content = event
    if isinstance(kind, Call):
        return f"call from {kind.from_.pid!r}: {safe_repr(content)}"
    return f"{kind if isinstance(kind, str) else safe_repr(kind)}: {safe_repr(content)}"


async def _called(result: Any) -> Any:
    """A callback's answer, whether it is `async def` or `def`."""
    return await result if result.__class__ is CoroutineType else result
