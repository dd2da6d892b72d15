"""A process: a coroutine of its own, a mailbox, links and monitors, and how it ends.

A process is not an asyncio.Task. The node's scheduler steps its coroutine; while it does, the process is
asyncio's current task and offers a task's surface (cancel, uncancel, callbacks …), so timeouts, task groups and
other people's libraries work in it.

How a process ends is ending.py's. Benchmarks: benchmarks/spawn.py, benchmarks/memory.py.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from typing import TYPE_CHECKING, Any

from beampy.core import ending
from beampy.core import mailbox as boxes
from beampy.core.extras import UNSET, Become
from beampy.core.ids import Pid, Ref
from beampy.core.links import Monitor
from beampy.core.mailbox import Mailbox
from beampy.core.request import Request
from beampy.core.scheduler import CLOSED, current_tasks
from beampy.core.signals import KILLED, Down, safe_repr
from beampy.core.state import ANY, DEAD, EXITING, NOT_WAITING, PARKED, SELECTIVE, TAKE, Parking
from beampy.core.task_surface import TaskSurface
from beampy.core.timers import Alarm

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator

    from beampy.core.signals import ExitSignal


class Process(TaskSurface):
    """One process: how it takes messages and signals, and how it is stepped."""

    __slots__ = ()

    # messages

    def deliver(self, message: Any) -> None:
        """Take a message: hand it over when the process waits, else keep it. `send` has the same lines inline."""
        if self._waiting == ANY and message is not None:
            self._waiting = NOT_WAITING
            self._value = message
            self._scheduler.push(self)
            return
        if self._mailbox is None:
            self._mailbox = self.node.new_mailbox()
        self._mailbox.append(message)
        if self._waiting:
            self.wake()

    def selective_mailbox(self) -> Mailbox:
        """The mailbox in its searchable form."""
        box = self._mailbox
        if not isinstance(box, Mailbox):
            plain, box = box, Mailbox(box or ())
            self._mailbox = box
            if plain:
                plain.clear()  # the scheduler may be in the middle of a slice of it
        return box

    def owns_current_task(self) -> bool:
        """Whether the code that asks is this process's own, not one of its tasks."""
        return current_tasks().get(self._scheduler.loop) is self

    def wait_for_more(self) -> Generator[Any, Any, None]:
        """Suspend until there is a new message, an alarm or an interruption."""
        yield boxes.SELECT

    def wake(self) -> None:
        """Resume a process that waits for messages: there is something in the mailbox, or an alarm rang."""
        waiting = self._waiting
        if waiting == PARKED:
            return
        self._waiting = NOT_WAITING
        if waiting == SELECTIVE:
            self._scheduler.push(self)
        elif waiting:
            self.resume_with_mailbox()

    def alarmed(self) -> None:
        """The deadline of its receive: that holds for who is parked, too."""
        if self._interrupt.__class__ is Parking:
            self._interrupt = None
            if self._waiting == PARKED:
                self._waiting = NOT_WAITING
                self._scheduler.push(self)
        else:
            self.wake()

    def discard(self, fits: Callable[[Any], bool]) -> None:
        """Remove the oldest message that fits. In place: the scheduler may be handing out this mailbox's messages."""
        box = self._mailbox
        if isinstance(box, Mailbox):
            box.discard(fits)
            return
        for at in range(len(box or ())):
            assert box is not None
            if fits(box[at]):
                del box[at]
                return

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
        ref._holder = self

    def drop_alias(self, ref: Ref) -> bool:
        """Messages to `ref` are dropped from now on. False when it was no active alias."""
        extras = self._extras
        if extras is None or not extras.aliases or extras.aliases.pop(ref, None) is None:
            return False
        ref._holder = None
        if self.node.exported:
            mine = self.node.exported.pop(ref.id, None)
            if mine is not None:
                mine._holder = None  # `ref` may be a copy that has come back
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
        if self._watchers is None:
            self._watchers = {ref: watcher}
        else:
            self._watchers[ref] = watcher

    def unwatched(self, ref: Ref) -> None:
        """It no longer does."""
        if self._watchers:
            self._watchers.pop(ref, None)
            if not self._watchers:
                self._watchers = None  # an emptied dict keeps its size

    def take_exit(self, signal: ExitSignal) -> None:
        """An exit signal: drop it, make it a message, or end."""
        ending.take_exit(self, signal)

    def take_down(self, ref: Ref, reason: Any) -> None:
        """The Down of one of our monitors, unless it was taken off."""
        extras = self._extras
        monitor = extras.links.monitors.pop(ref, None) if extras is not None else None
        if monitor is None:
            return
        if monitor.__class__ is Pid:
            down = tuple.__new__(Down, (ref, monitor, reason, None))
        else:
            assert isinstance(monitor, Monitor)
            if monitor.alias_goes:
                self.drop_alias(ref)
            down = Down(ref, monitor.shown, reason, monitor.tag)
        self.deliver(down)

    # ending

    def begin_exit(self, reason: Any) -> None:
        """End for `reason`, with time to clean up."""
        ending.begin_exit(self, reason)

    def kill(self, reason: Any = KILLED) -> None:
        """End now."""
        ending.kill(self, reason)

    def obey(self) -> None:
        """Raise here what its own exit signal to itself has set up: no line more is run, as if it had never waited."""
        if self._interrupt is DEAD and self.owns_current_task():
            raise CancelledError("killed by itself")
        exiting = self._extras is not None and self._extras.exiting is not UNSET
        if exiting and isinstance(self._interrupt, CancelledError) and self.owns_current_task():
            interrupt, self._interrupt = self._interrupt, EXITING
            raise interrupt

    def ring(self) -> None:
        """The grace period after an exit signal is over."""
        ending.grace_over(self)

    def wake_for_interrupt(self) -> None:
        """Make the next step come soon, wherever the process waits. A running one finds it at its next await."""
        if not self.stop_waiting() and self._fut_waiter is not None:
            self.node.cancel_soon(self._fut_waiter)

    def stop_waiting(self) -> bool:
        """Put it on the run queue if it waits for a message; False when it does not."""
        if not self._waiting:
            return False
        self._waiting = NOT_WAITING
        self._scheduler.push(self)
        return True

    # stepping: what the scheduler calls

    def _resume_interrupted(self) -> Any:
        """A step of a process to which something happened: throw it in, or close what is dead."""
        interrupt = self._interrupt
        if interrupt is DEAD:
            ending.close(self)
            return CLOSED
        if interrupt is EXITING:
            value, self._value = self._value, None
            return self._context.run(self._coro.send, value)
        if interrupt.__class__ is Parking:
            return self._park(interrupt)
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

    def park(self, place: Parking) -> None:
        """It has written too much to a connection: it stops at its next await, until that has been sent."""
        if self._interrupt is None and not self._waiting:
            self._interrupt = place

    def _park(self, place: Parking) -> Any:
        """Its turn: wait on, or go on where it was."""
        if place.busy:
            self._waiting = PARKED
            place.parked.append(self)
            return CLOSED
        self._interrupt = None
        if place.wants_message:
            if not self._mailbox:
                self._waiting = ANY
                return CLOSED
            return self._context.run(self._coro.send, self._mailbox.popleft())
        value, self._value = self._value, None
        return self._context.run(self._coro.send, value)

    def go_on(self) -> None:
        """A deadline or a cancellation ends what it waits for: no connection holds it up now."""
        if self._interrupt.__class__ is Parking:
            self._interrupt = None

    def unpark(self, place: Parking) -> None:
        """The connection has sent what it had."""
        if self._waiting == PARKED and self._interrupt is place:
            self._waiting = NOT_WAITING
            self._scheduler.push(self)

    def _interrupted_wait(self) -> None:
        """It wants a message, but something has happened to it: a process that is exiting gets no more messages."""
        if self._interrupt is EXITING:
            self._interrupt = CancelledError("the process is exiting: it receives nothing more")
        elif self._interrupt.__class__ is Parking:
            self._interrupt = self._interrupt.receiving
        self._scheduler.push(self)

    def _wait_selecting(self) -> None:
        if self._interrupt.__class__ is Parking:
            self._scheduler.push(self)  # it looks for itself when it goes on
        elif self._interrupt is not None:
            self._interrupted_wait()
        elif isinstance(box := self._mailbox, Mailbox) and deque.__len__(box):
            self._scheduler.push(self)
        else:
            self._waiting = SELECTIVE

    def _wait_for_request(self, request: Request) -> None:
        request._asyncio_future_blocking = False
        if self._interrupt is DEAD:
            request.cancel()
        if request.done():
            self._scheduler.push(self)
            return
        if request._waiter is None:
            request._waiter = self
        else:  # another process waits for it already
            request.add_done_callback(self._wakeup, context=self._context)
        self._fut_waiter = request
        if isinstance(self._interrupt, BaseException):
            request.cancel()

    def _wait_for_future(self, future: Any) -> None:
        try:
            self._wait_for(future)
        except Exception as error:  # what somebody's awaitable does when it is asked is that code's error
            self._interrupt = error
            self._scheduler.push(self)

    def _wait_for(self, future: Any) -> None:
        if isinstance(future, Request):  # a subclass
            self._wait_for_request(future)
            return
        if getattr(future, "_asyncio_future_blocking", None) is not True:
            self._interrupt = RuntimeError(f"a process cannot wait for {safe_repr(future)}")
            self._scheduler.push(self)
            return
        future._asyncio_future_blocking = False
        if future.get_loop() is not self._scheduler.loop:
            self._interrupt = RuntimeError(f"{self!r} got {safe_repr(future)}, which belongs to another event loop")
            self._scheduler.push(self)
            return
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
        """The coroutine has returned: that is the end, or the process goes on as something else."""
        if value.__class__ is Become and not self.dead:
            self._become(value)
        elif not self.dead:
            ending.returned(self, value)

    def _raised(self, error: BaseException) -> None:
        """The coroutine has raised."""
        if not self.dead:
            ending.raised(self, error)

    def _become(self, next: Become) -> None:
        """Drop the finished coroutine, and a mailbox that only its start needed, and go on with another one."""
        self._coro = next.coro
        if self._mailbox.__class__ is deque and not self._mailbox:
            self._mailbox = None  # an empty deque is 760 bytes
        self._scheduler.push(self)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """A task that this process started: it ends with the process."""
        extras = self.extras()
        if extras.tasks is None:
            extras.tasks = set()
        extras.tasks.add(task)
        task.add_done_callback(extras.tasks.discard)
