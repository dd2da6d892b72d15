"""Handle[T]: what every call that takes time returns.

Rule: the work is started (or, inside a process, asked for) at the call; the handle is only how its end is seen.
Await it on any event loop, or take `.result(timeout)` on any thread. Cancelling a handle, or the code that awaits
it, cancels the work. A failure that nobody looks at is logged.

Inside a process a public call returns a plain fast awaitable with the same interface and no threads in it
(`core/request.py` for calls to servers). This file holds the interface and the form used from anywhere else.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from beampy.errors import NotInNode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

log = logging.getLogger("beampy.handle")

LOOP_CHECK = 1.0  # seconds between two looks at whether the loop that has to answer still exists

# Called with each handle that is awaited on another loop than its node's: a notebook cancels those with their cell.
awaited: Callable[[ThreadHandle[Any]], object] | None = None

# Called where code outside of a node has waited, and is about to go on with a value or a failure: a notebook shows
# first what came before it.
arrived: Callable[[], object] | None = None


class Handle(Generic[T_co]):
    """The end of some work, seen from here.

    >>> counter.add(1).result(timeout=5)          # on any thread
    >>> await counter.add(1)                       # on any event loop
    >>> counter.add(1).cancel()                    # the work is told to stop
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, T_co]:
        raise NotImplementedError

    def result(self, timeout: float | None = None) -> T_co:
        """Wait on this thread, at most `timeout` seconds (TimeoutError), and return the value or raise the failure."""
        raise NotImplementedError

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like `result`; the failure, or None when it went well."""
        raise NotImplementedError

    def done(self) -> bool:
        """Whether it has ended."""
        raise NotImplementedError

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        raise NotImplementedError

    def cancel(self, msg: Any = None) -> bool:
        """Ask the work to stop. False when it had ended."""
        raise NotImplementedError

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a handle belongs to who has called; await it, and send its value")


class Pending(Handle[T]):
    """A handle inside a process: the coroutine itself, started when it is awaited."""

    __slots__ = ("_coro",)

    def __init__(self, coro: Coroutine[Any, Any, T]) -> None:
        self._coro = coro

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coro.__await__()

    def result(self, timeout: float | None = None) -> T:
        raise blocking("result")

    def exception(self, timeout: float | None = None) -> BaseException | None:
        raise blocking("exception")

    def done(self) -> bool:
        return self._coro.cr_frame is None  # type: ignore[attr-defined]

    def cancelled(self) -> bool:
        return False

    def cancel(self, msg: Any = None) -> bool:
        # Once it is awaited it is a part of who awaits it, and is cancelled with that.
        if inspect.getcoroutinestate(self._coro) != inspect.CORO_CREATED:
            return False
        self._coro.close()
        return True


class Known(Handle[T]):
    """A handle of what is known already. `what` is it that has failed, for the log."""

    __slots__ = ("_error", "_seen", "_value", "_what")

    def __init__(self, value: Any, error: BaseException | None = None, what: str = "") -> None:
        self._value = value
        self._error = error
        self._seen = error is None
        self._what = what

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            return self.result()
        finally:
            del self  # as in `result`
        yield  # a generator: it never waits

    def result(self, timeout: float | None = None) -> T:
        self._seen = True
        try:
            if self._error is not None:
                raise self._error
            found: T = self._value
            return found
        finally:
            del self  # a failure has this frame in its traceback: they are not to keep each other

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._seen = True
        return self._error

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def cancel(self, msg: Any = None) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<Handle done: {self._value!r}>" if self._error is None else f"<Handle failed: {self._error!r}>"

    def __del__(self) -> None:
        if not getattr(self, "_seen", True):
            log.error("nobody looked at the failure of %s", self._what, exc_info=self._error)


def blocking(verb: str) -> RuntimeError:
    """The error of a wait that would stop the event loop that has to do the work."""
    return RuntimeError(f"Handle.{verb}() would block the node's own event loop: await the handle instead")


def has_arrived() -> None:
    """Something that was waited for outside of a node is there."""
    if arrived is not None:
        arrived()


def _nothing() -> None:
    return None


class ThreadHandle(Handle[T]):
    """A handle outside of the node's loop: for other threads and other event loops."""

    __slots__ = ("__weakref__", "_cancel", "_future", "_loop", "_seen", "_what", "work")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        future: concurrent.futures.Future[T],
        cancel: Callable[[], None],
        what: str,
    ) -> None:
        self._loop = loop
        self._future = future
        self._cancel = cancel
        self._what = what
        self._seen = False
        self.work: Callable[[], Any] = _nothing  # gives the call on the node's own loop that it stands for, if any

    def __await__(self) -> Generator[Any, Any, T]:
        self._seen = True
        if awaited is not None:
            awaited(self)
        waiter = asyncio.wrap_future(self._future)
        try:
            return (yield from waiter)
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            has_arrived()

    def result(self, timeout: float | None = None) -> T:
        self._wait("result", timeout)
        return self._future.result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait("exception", timeout)
        return self._future.exception(0)

    def _wait(self, verb: str, timeout: float | None) -> None:
        self._refuse_on_own_loop(verb)
        self._seen = True
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._future.done():
                left = LOOP_CHECK if deadline is None else min(LOOP_CHECK, deadline - time.monotonic())
                if left <= 0:
                    raise TimeoutError(f"{self._what} is not done after {timeout} s; it goes on")
                closed = self._loop.is_closed()
                concurrent.futures.wait((self._future,), left)
                if closed and not self._future.done():
                    raise NotInNode(self._what)
        except KeyboardInterrupt:
            self.cancel()
            raise
        has_arrived()

    def done(self) -> bool:
        return self._future.done()

    def cancelled(self) -> bool:
        return self._future.cancelled()

    def cancel(self, msg: Any = None) -> bool:
        self._seen = True
        if not self._future.cancel():
            return False
        self._cancel()
        return True

    def add_done_callback(self, fn: Callable[[Handle[T]], object]) -> None:
        """Call `fn(handle)` when it ends, on the thread that ends it."""
        held = [self]  # until then: the future keeps what it calls, and is not to keep its own handle
        self._future.add_done_callback(lambda _: fn(held.pop()))

    def _refuse_on_own_loop(self, verb: str) -> None:
        if asyncio._get_running_loop() is self._loop and not self._future.done():
            raise blocking(verb)

    def __repr__(self) -> str:
        if not self._future.done():
            state = "running…"
        elif self._future.cancelled():
            state = "cancelled"
        elif (error := self._future.exception()) is not None:
            state = f"failed: {error!r}"
        else:
            state = f"done: {self._future.result()!r}"
        return f"<Handle of {self._what} {state}>"

    def __del__(self) -> None:
        future = getattr(self, "_future", None)
        if future is None or self._seen or not future.done() or future.cancelled():
            return
        if (error := future.exception()) is not None:
            log.error("nobody looked at the failure of %s", self._what, exc_info=error)
