"""Due: a frame that is being made, or has been. What remote frames have instead of a reference.

Rule: the work begins when the handle is made. Whoever uses it waits for it; its failure is theirs, and is logged where
nobody has looked. It is cancelled when nobody has the handle any more, and not when one of those who wait leaves.

Place: a Handle (handle.py) of what evaluate.py says, on any thread and loop. It does not know what is being made.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from contextlib import suppress
from contextvars import copy_context
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.core.current import current
from beampy.errors import BeampyError, FrameDue, NotInNode, RemoteTraceback
from beampy.handle import ThreadHandle, has_arrived

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context
    from types import TracebackType

    from beampy.core.node import LocalNode
    from beampy.frames.evaluate import Made


TOLD = "_beampy_told"  # in the attributes of a failure


class Work:
    """The work itself: it does not have the handle, so it is stopped when nobody has that."""

    __slots__ = ("before", "future", "loop", "task", "trace", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.before: Due | None = None  # of a change in place: what is changed, as long as it may fail
        self.future: concurrent.futures.Future[Made] = concurrent.futures.Future()
        self.task: asyncio.Task[None] | None = None
        self.trace: TracebackType | None = None  # of the failure
        self.waiting: list[asyncio.Future[None]] = []  # who waits on this loop

    def start(self, make: Callable[[], Awaitable[Made]], context: Context) -> None:
        """On the loop."""
        if not self.future.done():
            self.task = context.run(self.loop.create_task, self._done(make))

    async def _done(self, make: Callable[[], Awaitable[Made]]) -> None:
        try:
            self.future.set_result(await make())
            self.before = None
        except asyncio.CancelledError as error:
            # A future that runs cannot be cancelled any more: who waits for it is told by the exception.
            self.future.set_exception(asyncio.CancelledError(*error.args))
            raise
        except BaseException as error:
            self.trace = trace_of(error)
            self.future.set_exception(error.with_traceback(self.trace))
        finally:
            del make  # a failure has this frame in its traceback: it is not to keep what the work had
            waiting, self.waiting = self.waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)
            del self  # which has the failure

    def stop(self) -> None:
        """Any thread."""
        with suppress(RuntimeError):  # the loop has been closed: there is nothing left to stop
            self.loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self.task is not None:  # in a moment: one that is cancelled before its first line would end without a word
            self.loop.call_soon(self.task.cancel)

    def wait(self) -> asyncio.Future[None]:
        """A future that is done when it is, on this loop. Who is cancelled there only leaves."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        self.waiting.append(waiter)
        return waiter


def tell(error: BaseException) -> None:
    """Note of a failure that somebody is told of it now. All that waits for the same work has the same exception."""
    error.__dict__[TOLD] = True
    error.__traceback__ = trace_of(error)


def trace_of(error: BaseException) -> TracebackType | None:
    """Where a failure was raised, as far as it is of use: of one that says itself where it comes from only the frames
    of this package would be shown, and they have what the work was about, which would be kept on its node."""
    says = isinstance(error, (BeampyError, asyncio.CancelledError)) or isinstance(error.__cause__, RemoteTraceback)
    return None if says else error.__traceback__


class Due(ThreadHandle["Made"]):
    """A frame that is being made on some node, as this one has it. `what` tells people which. `node` is this node;
    `where` the name of that one, where it is known already.
    """

    __slots__ = ("_work", "made", "node", "where")

    def __init__(self, node: LocalNode, what: str, where: str | None = None) -> None:
        work = self._work = Work(node.loop)
        super().__init__(node.loop, work.future, work.stop, what)
        self.node = node
        self.where = where
        self.made: Made | None = None

    @classmethod
    def known(cls, node: LocalNode, made: Made, what: str = "the frame") -> Due:
        """One that is there."""
        due = cls(node, what, made.ref.node)
        due.made = made
        due._seen = True
        due._future.set_result(made)
        return due

    def begin(self, make: Callable[[], Awaitable[Made]]) -> Due:
        """Start the work, on the node's loop, with the context of whoever asks; but it is the node that speaks there:
        who asks may end before the work does, and others have the handle."""
        work, context = self._work, copy_context()
        context.run(current.set, self.node.voice)
        work.future.set_running_or_notify_cancel()
        if self.node.thread == get_ident():
            work.start(make, context)
        else:
            try:
                self._loop.call_soon_threadsafe(work.start, make, context)
            except RuntimeError:  # the loop is closed
                work.future.set_exception(NotInNode(self._what))
        return self

    def changes(self, before: Due) -> Due:
        """It is a change in place of that one, which stays where this fails."""
        work = self._work
        work.before = before
        if self.ready:
            work.before = None  # it has been made meanwhile
        return self

    def settled(self) -> Due:
        """Itself; of changes in place that have failed, and somebody has been told, what was before."""
        due: Due = self
        while (before := due._work.before) is not None and due._future.done():
            error = due._future.exception(0)
            if error is None or TOLD not in error.__dict__:
                break
            due = before
        return due

    def there(self) -> Made:
        """What was made, now. FrameDue where it is not there yet; its failure where it has failed."""
        try:
            if self.made is None:
                if not self._future.done():
                    raise FrameDue(self._what)
                self._seen = True
                error = self._future.exception(0)
                if error is not None:  # the same for all: it is not to keep, and show, where it was raised before
                    raise error.with_traceback(self._work.trace)
                self.made = self._future.result(0)
            return self.made
        finally:
            error = None
            del self  # a failure has this frame in its traceback: they are not to keep each other

    def result(self, timeout: float | None = None) -> Made:
        try:
            self._wait("result", timeout)
            return self.there()
        except BaseException as error:
            tell(error)
            raise
        finally:
            del self  # as in `there`

    @property
    def ready(self) -> bool:
        """Whether it is there: not where it has failed."""
        return self.made is not None or (self._future.done() and self._future.exception(0) is None)

    async def here(self) -> Made:
        """The same, waited for on this node's loop. Who is cancelled here only leaves."""
        self._seen = True
        try:
            if not self._future.done():
                await self._work.wait()
            return self.there()
        finally:
            del self  # as in `there`

    def __await__(self) -> Generator[Any, Any, Made]:
        self._seen = True
        if not self._future.done():
            loop = asyncio.get_running_loop()
            waiter = self._work.wait() if loop is self._loop else asyncio.wrap_future(self._future)
            try:
                yield from waiter
            finally:
                has_arrived()
        try:
            return self.there()
        except BaseException as error:
            tell(error)
            raise
        finally:
            del self  # as in `there`

    def cancel(self, msg: Any = None) -> bool:
        """Ask the work to stop: for all who wait for it."""
        self._seen = True
        if self._future.done():
            return False
        self._work.stop()
        return True

    def __del__(self) -> None:
        work = getattr(self, "_work", None)
        if work is not None and not work.future.done():
            work.stop()
            return
        super().__del__()
