"""The face of an asyncio.Task that a process shows to asyncio and to other people's libraries.

Timeouts, task groups and anyio's cancel scopes find the current task and cancel, uncancel and question it. The
names and meanings are asyncio's; `_must_cancel` and `_fut_waiter` are read by anyio. What ends a process, and
how an interruption reaches its code, is ending.py's and process.py's.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from beampy.core.extras import UNSET
from beampy.core.state import DEAD, State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context


class TaskSurface(State):
    """asyncio.Task's methods, over a process's slots."""

    __slots__ = ()

    _asyncio_future_blocking = None  # a process is not awaited like a future

    def stop_waiting(self) -> bool:
        """Put the process on the run queue if it waits for a message; False when it does not."""
        raise NotImplementedError

    def go_on(self) -> None:
        """A deadline or a cancellation ends what it waits for: no connection holds it up now."""
        raise NotImplementedError

    def cancel(self, msg: Any = None) -> bool:
        """As asyncio.Task.cancel: CancelledError(msg) at the await where it is, or at the next one."""
        if self.dead:
            return False
        self.extras().cancels += 1
        waiter = self._fut_waiter
        if waiter is not None and (waiter.cancel(msg=msg) or waiter.cancelled()):
            self.go_on()
            return True  # the first message stands
        if self._must_cancel or not (isinstance(self._interrupt, BaseException) or self._interrupt is DEAD):
            self._interrupt = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.stop_waiting()
        return True

    def cancelling(self) -> int:
        """How many cancellations are asked for and not taken back."""
        return 0 if self._extras is None else self._extras.cancels

    def uncancel(self) -> int:
        """Take one back; with the last one, a cancellation not yet delivered is off (as in Python 3.13)."""
        extras = self.extras()
        if extras.cancels:
            extras.cancels -= 1
            if not extras.cancels:
                self._must_cancel = False
        return extras.cancels

    @property
    def _must_cancel(self) -> bool:
        return isinstance(self._interrupt, asyncio.CancelledError) and (
            self._extras is None or self._extras.exiting is UNSET
        )

    @_must_cancel.setter
    def _must_cancel(self, flag: bool) -> None:
        if not flag and self._must_cancel:
            self._interrupt = None

    def done(self) -> bool:
        """Whether it has ended."""
        return self.dead

    def cancelled(self) -> bool:
        """Whether it ended by an uncaught cancellation."""
        return isinstance(self._outcome()[1], asyncio.CancelledError)

    def result(self) -> Any:
        """What its function returned; raises what it raised."""
        if not self.dead:
            raise asyncio.InvalidStateError("the process is running")
        value, error = self._outcome()
        if error is not None:
            raise error
        return value

    def exception(self) -> BaseException | None:
        """What its function raised; None when it returned. A cancellation is raised itself."""
        if not self.dead:
            raise asyncio.InvalidStateError("the process is running")
        error = self._outcome()[1]
        if isinstance(error, asyncio.CancelledError):
            raise error
        return error

    def _outcome(self) -> tuple[Any, BaseException | None]:
        outcome = self._extras.outcome if self._extras is not None else None
        return outcome or (None, None)

    def get_name(self) -> str:
        """Its registered name, label or function, and its serial."""
        return f"{self.describe()}-{self.serial()}"

    def set_name(self, value: object) -> None:
        """Set its label."""
        self.extras().label = value

    def get_coro(self) -> Coroutine[Any, Any, Any]:
        """The coroutine it runs."""
        return self._coro

    def get_context(self) -> Context:
        """The context it runs in."""
        return self._context

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop whose ticks step it."""
        return self._scheduler.loop

    def get_stack(self, *, limit: int | None = None) -> list[Any]:
        """The frame it is suspended at, as asyncio.Task.get_stack gives it."""
        frame = getattr(self._coro, "cr_frame", None)
        return [] if frame is None else [frame]

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Context | None = None) -> None:
        """`fn(self)` soon after it has ended."""
        if self.dead:
            self._scheduler.loop.call_soon(fn, self, context=context)
            return
        extras = self.extras()
        if extras.callbacks is None:
            extras.callbacks = []
        extras.callbacks.append((fn, context or copy_context()))

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """How many were removed."""
        extras = self._extras
        before = (extras.callbacks if extras is not None else None) or []
        after = [entry for entry in before if entry[0] != fn]
        if extras is not None:
            extras.callbacks = after
        return len(before) - len(after)
