"""A process: a coroutine of its own, a mailbox, links and monitors, and how it ends.

A process is not an asyncio.Task. The node's scheduler steps its coroutine; while it does, the process is
asyncio's current task and offers a task's surface (cancel, uncancel, callbacks …), so timeouts, task groups and
other people's libraries work in it.

How a process ends:

    it returns                      normal
    exit(reason) in it              that reason
    an exception                    a Crash, reported once through logging
    an exit signal                  CancelledError at its next await; it may clean up, with awaits, for the node's
                                    exit_grace; the reason is the signal's whatever the cleanup does
    kill                            at once: Down and EXIT go out, the name is free, then the coroutine is closed.
                                    Code that eats the closing is a zombie: reported, never stepped again, and
                                    what it sends is dropped

The order at the end is fixed: everything that others can look up is released before anybody hears of it.

Benchmarks: benchmarks/spawn.py, benchmarks/memory.py (hence the slots, and `Extras` only for who needs them).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from beampy.core import mailbox as boxes
from beampy.core.ids import Pid, Ref
from beampy.core.links import Links
from beampy.core.mailbox import ClosedMailbox, Mailbox
from beampy.core.report import crash_report
from beampy.core.request import Request
from beampy.core.scheduler import CLOSED, current_tasks
from beampy.core.signals import (
    CANCELLED,
    KILLED,
    NORMAL,
    Crash,
    DemonitorSignal,
    Down,
    DownSignal,
    Exit,
    ExitSignal,
    on_exit_signal,
    safe_repr,
)
from beampy.core.task_surface import DEAD, UNSET, TaskSurface
from beampy.core.timers import Alarm
from beampy.errors import ProcessExit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

    from beampy.core.node import LocalNode
    from beampy.core.scheduler import Scheduler

log = logging.getLogger("beampy.process")

Lineage = tuple[Pid, "Lineage | None"]

# What `_interrupt` holds besides an exception to throw:
EXITING: Any = object()  # cleaning up after an exit signal
TAKE: Any = object()  # its next message is in the mailbox: a None, or the rest of a slice

CLOSE_TRIES = 100  # awaits in nested cleanups that a kill breaks through before the code counts as a zombie


class Extras:
    """What only some processes need: made on first use."""

    __slots__ = (
        "aliases",
        "callbacks",
        "cancels",
        "context_note",
        "exiting",
        "killed",
        "label",
        "lineage",
        "links",
        "name",
        "outcome",
        "quiet",
        "tasks",
        "timers",
        "trap_exit",
    )

    def __init__(self) -> None:
        self.links = Links()
        self.aliases: dict[Ref, str] | None = None
        self.callbacks: list[tuple[Callable[[Any], object], Context | None]] | None = None
        self.cancels = 0
        self.context_note: Callable[[], dict[str, str]] | None = None
        self.exiting: Any = UNSET
        self.killed = False
        self.label: Any = None
        self.lineage: Lineage | None = None
        self.name: str | None = None
        self.outcome: tuple[Any, BaseException | None] | None = None
        self.quiet = False
        self.tasks: set[asyncio.Task[Any]] | None = None
        self.timers: set[Ref] | None = None
        self.trap_exit = False

    def own_timers(self) -> set[Ref]:
        """The timers that go when the process ends."""
        if self.timers is None:
            self.timers = set()
        return self.timers


class Process(TaskSurface):
    """One process. Its private slots belong to this package: the scheduler and `send` reach into them."""

    __slots__ = (
        "__weakref__",  # anyio keeps weak tables of tasks
        "_context",
        "_coro",
        "_extras",
        "_fut_waiter",
        "_interrupt",
        "_lineage",
        "_mailbox",
        "_scheduler",
        "_selecting",
        "_steps",
        "_thread",
        "_value",
        "_waiting",
        "node",
        "pid",
    )

    _asyncio_future_blocking = None  # a process is not awaited like a future

    def __init__(
        self,
        node: LocalNode,
        pid: Pid,
        coro: Coroutine[Any, Any, Any],
        context: Context,
        lineage: Lineage | None,
    ) -> None:
        self.node = node
        self.pid = pid
        self._coro = coro
        self._context = context
        self._lineage = lineage
        self._scheduler: Scheduler = node.scheduler
        self._thread = node.fast_thread
        self._mailbox: deque[Any] | None = None
        self._waiting = False
        self._selecting = False
        self._fut_waiter: Any = None
        self._interrupt: Any = None
        self._value: Any = None
        self._steps = 0
        self._extras: Extras | None = None

    def extras(self) -> Extras:
        """The rare parts, made now if need be."""
        if self._extras is None:
            self._extras = Extras()
        return self._extras

    @property
    def alive(self) -> bool:
        """Neither ended nor ending."""
        return self.pid._local is self and (self._extras is None or self._extras.exiting is UNSET)

    @property
    def dead(self) -> bool:
        """Ended: nobody can reach it any more."""
        return self.pid._local is not self

    @property
    def trap_exit(self) -> bool:
        """Whether exit signals arrive as messages."""
        return self._extras is not None and self._extras.trap_exit

    def lineage_for_children(self) -> Lineage:
        """Who spawned, and who spawned that: one shared cell for all children."""
        extras = self.extras()
        if extras.lineage is None:
            extras.lineage = (self.pid, self._lineage)
        return extras.lineage

    def __repr__(self) -> str:
        return f"<Process {self.pid.node} {self.pid.serial} {self.describe()}>"

    def describe(self) -> str:
        """Its registered name or label, else the function it runs."""
        extras = self._extras
        if extras is not None and (extras.name or extras.label):
            return str(extras.name or extras.label)
        return self.initial_call()

    def serial(self) -> int:
        """Its number on this node."""
        return self.pid.serial

    def initial_call(self) -> str:
        """The function it was spawned with."""
        frame = getattr(self._coro, "cr_frame", None)
        module = frame.f_globals.get("__name__", "?") if frame is not None else ""
        name = getattr(self._coro, "__qualname__", "?")
        return f"{module}.{name}" if module else name

    # messages

    def deliver(self, message: Any) -> None:
        """Take a message: hand it over when the process waits, else keep it. `send` has the same lines inline."""
        if self._waiting and message is not None:
            self._waiting = False
            self._value = message
            self._scheduler.push(self)
            return
        if self._mailbox is None:
            self._mailbox = self.node.new_mailbox()
        self._mailbox.append(message)
        if self._waiting or self._selecting:
            self.wake()

    def selective_mailbox(self) -> Mailbox:
        """The mailbox in its searchable form."""
        box = self._mailbox
        if not isinstance(box, Mailbox):
            box = self._mailbox = Mailbox(box or ())
        return box

    def owns_current_task(self) -> bool:
        """Whether the code that asks is this process's own, not one of its tasks."""
        return current_tasks().get(self._scheduler.loop) is self

    def wait_for_more(self) -> Generator[Any, Any, None]:
        """Suspend until there is a new message, an alarm or an interruption."""
        yield boxes.SELECT

    def wake(self) -> None:
        """Resume a process that waits for messages: there is something in the mailbox, or an alarm rang."""
        if self._selecting:
            self._selecting = False
            self._scheduler.push(self)
        elif self._waiting:
            self._waiting = False
            self.resume_with_mailbox()

    def resume_with_mailbox(self) -> None:
        """Its next step takes the oldest message of the mailbox."""
        if self._interrupt is None:
            self._interrupt = TAKE
        self._scheduler.push(self)

    def alarm(self, seconds: float) -> Alarm:
        """A deadline for a receive."""
        return Alarm(self, seconds)

    # aliases

    def new_alias(self, ref: Ref, mode: str) -> None:
        """Make `ref` a destination that leads here."""
        extras = self.extras()
        if extras.aliases is None:
            extras.aliases = {}
        extras.aliases[ref] = mode
        ref._local = self

    def drop_alias(self, ref: Ref) -> bool:
        """Messages to `ref` are dropped from now on. False when it was no active alias."""
        extras = self._extras
        if extras is None or not extras.aliases or extras.aliases.pop(ref, None) is None:
            return False
        ref._local = None
        return True

    def take_message(self, ref: Ref, message: Any) -> None:
        """A message sent to one of our aliases."""
        mode = (self._extras.aliases or {}).get(ref) if self._extras is not None else None
        if mode is None:
            return
        if mode in ("reply", "reply_demonitor"):
            self.drop_alias(ref)
            if mode == "reply_demonitor":
                self.node.demonitor(self, ref)
        self.deliver(message)

    # what others hold on us

    def watched(self, ref: Ref, watcher: Pid) -> None:
        """`watcher` monitors us under `ref`."""
        self.extras().links.watchers[ref] = watcher

    def unwatched(self, ref: Ref) -> None:
        """It no longer does."""
        if self._extras is not None:
            self._extras.links.watchers.pop(ref, None)

    # signals

    def take_exit(self, signal: ExitSignal) -> None:
        """An exit signal: drop it, make it a message, or end."""
        extras = self.extras()
        if extras.exiting is not UNSET:
            return  # the first reason stands
        if signal.link and not extras.links.take_exit(signal.sender):
            return  # unlinked meanwhile
        effect, reason = on_exit_signal(
            signal.reason,
            link=signal.link,
            trapping=extras.trap_exit,
            from_self=signal.sender is self.pid,
        )
        if effect == "message":
            self.deliver(Exit(signal.sender, reason))
        elif effect == "die":
            if reason is KILLED and not signal.link:
                self.kill()
            else:
                self.begin_exit(reason)

    def take_down(self, ref: Ref, reason: Any) -> None:
        """The Down of one of our monitors, unless it was taken off."""
        extras = self._extras
        monitor = extras.links.monitors.pop(ref, None) if extras is not None else None
        if monitor is not None:
            if monitor.alias_goes:
                self.drop_alias(ref)
            self.deliver(Down(ref, monitor.shown, reason, monitor.tag))

    def begin_exit(self, reason: Any) -> None:
        """End for `reason`: CancelledError at the next await, and `exit_grace` seconds to clean up."""
        extras = self.extras()
        extras.exiting = reason
        self._mailbox = ClosedMailbox()
        self._interrupt = asyncio.CancelledError(f"exit signal: {safe_repr(reason)}")
        self.node.deadlines.add(self.node.exit_grace, self)
        self._wake_for_interrupt()

    def ring(self) -> None:
        """The end of the grace period: what still cleans up is killed."""
        if not self.dead:
            log.error(
                "%r did not end within %s s of its exit signal and is killed",
                self,
                self.node.exit_grace,
            )
            self.kill()

    def kill(self, reason: Any = KILLED) -> None:
        """End now, whatever it does. Others see it gone at once; its coroutine is closed at its next turn."""
        if self.dead:
            return
        self.extras().killed = True
        running = self._is_running()
        finished = not running and not self._closable()
        self._end(reason, None, None)
        if finished:
            return
        self._interrupt = DEAD
        if not running:
            waiter, self._fut_waiter = self._fut_waiter, None
            if waiter is not None:
                if not isinstance(waiter, Request):
                    waiter.remove_done_callback(self._wakeup)
                else:
                    waiter._waiter = None
                waiter.cancel()
            self._waiting = self._selecting = False
            self._scheduler.push(self)

    def _is_running(self) -> bool:
        return bool(getattr(self._coro, "cr_running", False))

    def _closable(self) -> bool:
        return getattr(self._coro, "cr_frame", None) is not None

    def _wake_for_interrupt(self) -> None:
        """Make the next step come soon, wherever the process waits. A running one finds it at its next await."""
        if not self.stop_waiting() and self._fut_waiter is not None:
            self._fut_waiter.cancel()

    def stop_waiting(self) -> bool:
        """Put it on the run queue if it waits for a message; False when it does not."""
        if not (self._waiting or self._selecting):
            return False
        self._waiting = self._selecting = False
        self._scheduler.push(self)
        return True

    # stepping: what the scheduler calls

    def _resume_interrupted(self) -> Any:
        """A step of a process to which something happened: throw it in, or close what is dead."""
        interrupt = self._interrupt
        if interrupt is DEAD:
            self._close()
            return CLOSED
        if interrupt is EXITING:
            value, self._value = self._value, None
            return self._context.run(self._coro.send, value)
        if interrupt is TAKE:
            self._interrupt = None
            assert self._mailbox
            return self._context.run(self._coro.send, self._mailbox.popleft())
        if self._value is not None:
            # Handed a message, then cancelled before it ran: the message is still unread.
            if self._mailbox is None:
                self._mailbox = self.node.new_mailbox()
            self._mailbox.appendleft(self._value)
            self._value = None
        exiting = self._extras is not None and self._extras.exiting is not UNSET
        self._interrupt = EXITING if exiting else None
        return self._context.run(self._coro.throw, interrupt)

    def _interrupted_wait(self) -> None:
        """It wants a message, but something has happened to it: a process that is exiting gets no more messages."""
        if self._interrupt is EXITING:
            self._interrupt = asyncio.CancelledError("the process is exiting: it receives nothing more")
        self._scheduler.push(self)

    def _wait_selecting(self) -> None:
        if self._interrupt is not None:
            self._interrupted_wait()
        elif isinstance(box := self._mailbox, Mailbox) and deque.__len__(box):
            self._scheduler.push(self)
        else:
            self._selecting = True

    def _wait_for_request(self, request: Request) -> None:
        request._asyncio_future_blocking = False
        if request.done():
            self._scheduler.push(self)
            return
        request._waiter = self
        self._fut_waiter = request
        if isinstance(self._interrupt, BaseException):
            request.cancel()

    def _wait_for_future(self, future: Any) -> None:
        if getattr(future, "_asyncio_future_blocking", None) is not True:
            self._interrupt = RuntimeError(f"a process cannot wait for {safe_repr(future)}")
            self._scheduler.push(self)
            return
        future._asyncio_future_blocking = False
        if self._interrupt is DEAD:
            future.cancel()
            self._scheduler.push(self)
            return
        self._fut_waiter = future
        future.add_done_callback(self._wakeup, context=self._context)
        if isinstance(self._interrupt, BaseException):
            future.cancel()

    def _wakeup(self, _: Any) -> None:
        if self._fut_waiter is not None:
            self._fut_waiter = None
            self._scheduler.push(self)

    def _push_again(self) -> None:
        self._scheduler.push(self)

    def _returned(self, value: Any) -> None:
        """The coroutine has returned."""
        if not self.dead:
            exiting = self._extras.exiting if self._extras is not None else UNSET
            self._end(NORMAL if exiting is UNSET else exiting, value, None)

    def _raised(self, error: BaseException) -> None:
        """The coroutine has raised."""
        if self.dead:
            return
        extras = self._extras
        reason: Any
        if extras is not None and extras.exiting is not UNSET:
            reason = extras.exiting
            if not isinstance(error, (asyncio.CancelledError, ProcessExit)):
                log.error(
                    "%s: its cleanup after exit signal %s failed",
                    self,
                    safe_repr(reason),
                    exc_info=error,
                )
        elif isinstance(error, ProcessExit):
            reason = error.reason
        elif isinstance(error, asyncio.CancelledError):
            reason = CANCELLED
        else:
            reason = Crash.of(error)
            if extras is None or not extras.quiet:
                log.error("%s", crash_report(self, reason))
        self._end(reason, None, error)

    def _close(self) -> None:
        """Close the coroutine of a killed process, breaking through awaits in its cleanup."""
        if self in self.node.zombies:
            return
        for _ in range(CLOSE_TRIES):
            try:
                self._context.run(self._coro.close)
            except RuntimeError as eaten:
                # "coroutine ignored GeneratorExit": it awaits in its cleanup, or eats the closing
                if self._closable():
                    continue
                log.error("%s: failed while it was closed", self, exc_info=eaten)
            except BaseException as error:
                log.error("%s: failed while it was closed", self, exc_info=error)
            return
        self.node.zombies.append(self)
        log.error(
            "%r was killed but its code goes on: it caught the closing %d times (an `except BaseException` or bare "
            "`except` around an await). It is a zombie: it never runs again and what it sends is dropped",
            self,
            CLOSE_TRIES,
        )

    # the end

    def _end(self, reason: Any, value: Any, error: BaseException | None) -> None:
        """Release what others can look up, then tell them. Runs once."""
        node = self.node
        pid = self.pid
        node.forget(self)
        self._thread = 0  # what its code still sends goes the slow way, where it is dropped
        extras = self._extras
        self._mailbox = None
        if extras is None:
            return
        extras.outcome = (value, error)
        if extras.exiting is not UNSET:
            node.deadlines.drop(node.exit_grace, self)
        if extras.tasks:
            for task in list(extras.tasks):
                task.cancel()
        if extras.timers:
            for ref in list(extras.timers):
                node.timers.cancel(ref)
        if extras.aliases:
            for ref in list(extras.aliases):
                self.drop_alias(ref)
        links = extras.links
        for ref, monitor in links.monitors.items():
            node.route_signal(DemonitorSignal(pid, monitor.target, ref))
        links.monitors.clear()
        for peer in links.active():
            node.route_signal(ExitSignal(pid, peer, reason, True))
        links.links.clear()
        watchers, links.watchers = links.watchers, {}
        for ref, watcher in watchers.items():
            node.route_signal(DownSignal(watcher, ref, reason))
        if extras.callbacks:
            for fn, context in extras.callbacks:
                node.loop.call_soon(fn, self, context=context)
            extras.callbacks = None

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """A task that this process started: it ends with the process."""
        extras = self.extras()
        if extras.tasks is None:
            extras.tasks = set()
        extras.tasks.add(task)
        task.add_done_callback(extras.tasks.discard)
