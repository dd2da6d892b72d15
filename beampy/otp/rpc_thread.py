"""Functions that are not async, run in a thread for a remote call, and how they hear that nobody waits any more.

Rule: a thread cannot be stopped from outside. When its call is cancelled the caller is free at once; in the thread
`cancelled()` turns true, and CancelledError is raised at the next line of Python that it runs (CPython's asynchronous
exceptions), once. So a loop in Python ends, `finally` and `with` do their work, and a function in the middle of a
long call of C code, `time.sleep` among them, hears of it when that returns. `except Exception` does not catch it.
When the node stops, the call's process waits for that `finally`, `CLOSING` seconds at most.

While an exception waits for such a call to return, CPython 3.11 (not later ones) stops at functions that a debugger
steps through, in every thread: breakpoints on a node are for functions that are not being cancelled.

The exception can only hit the function it is meant for: it is set, and taken back when it came too late, under the lock
that the thread passes on its way in and out.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from contextvars import ContextVar
from functools import partial
from threading import Lock, get_ident
from typing import Any

from beampy.core.current import current
from beampy.core.extras import UNSET
from beampy.core.signals import Crash
from beampy.errors import RemoteError
from beampy.otp.rpc_threads import Waited, threads_of

CLOSING = 1.0  # seconds for the `finally` of a function when its node stops; Python code hears within milliseconds

_job: ContextVar[ThreadJob | None] = ContextVar("beampy_thread_job", default=None)


def cancelled() -> bool:
    """Whether the work that this code does is wanted no more: its caller has cancelled it, or its process is ending.

    For loops in functions that are not async and clean up on their own terms; see the module.

    >>> def crunch(rows):
    ...     for row in rows:
    ...         if bp.cancelled():
    ...             return None
    ...         work(row)
    """
    job = _job.get()
    if job is not None:
        return job.cancelled
    process = current.get(None)
    if process is None:
        return False
    return process.dead or (process._extras is not None and process._extras.exiting is not UNSET)


async def in_thread(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`fn(*args, **kwargs)` in a thread, with the context of the current process."""
    job = ThreadJob()
    process = current.get()
    threads = threads_of(process.node)
    if threads is None:
        try:
            return await asyncio.to_thread(job.run, fn, *args, **kwargs)
        except BaseException:
            job.cancel()  # where it still runs, nobody waits for it
            raise
    there = threads.submit(process, partial(job.run, fn, *args, **kwargs))
    try:
        return await there.waited
    except CancelledError:
        job.cancel()
        if process.node.leaving is not None and not there.over:  # the node stops, and with it perhaps the program
            ended: Any = Waited(process)  # a future to asyncio, as any Request
            there.waited = ended
            await asyncio.wait([ended], timeout=min(CLOSING, process.node.exit_grace / 2))
        raise
    except BaseException:
        job.cancel()
        there.waited._outcome = None  # the failure, whose traceback has frames that have this: not to keep each other
        raise


class ThreadJob:
    """One function in a thread. `run` is the thread's, `cancel` the loop's."""

    __slots__ = ("_lock", "_thread", "cancelled")

    def __init__(self) -> None:
        self.cancelled = False
        self._lock = Lock()
        self._thread: int | None = None  # while an exception may be raised there

    def run(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`fn(…)`. CancelledError when it was cancelled before its first line."""
        _job.set(self)
        try:
            try:
                self._enter()
                return fn(*args, **kwargs)
            finally:
                self._leave()
        except CancelledError:
            self._leave()  # again: the exception may have come in the middle of the first time
            raise
        except KeyboardInterrupt as error:  # of the function's own doing: on the loop it would end the node
            crash = Crash.of(error)
            raise RemoteError(crash.type, crash.message, crash.traceback) from None
        except StopIteration as error:  # which no future takes: as in a coroutine (PEP 479)
            raise RuntimeError("the function raised StopIteration") from error

    def cancel(self) -> None:
        """Tell it. Nothing happens where it has ended."""
        with self._lock:
            self.cancelled = True
            if self._thread is not None and self._thread != get_ident():
                _raise_in(self._thread)

    def _enter(self) -> None:
        with self._lock:
            if self.cancelled:
                raise CancelledError
            self._thread = get_ident()

    def _leave(self) -> None:
        with self._lock:
            self._thread = None
            if self.cancelled:
                _take_back()


def _take_back() -> None:
    """An exception that was set in this thread and has not been raised is not raised any more.

    Another one in its place is raised here and caught. To set none instead would leave the interpreter's mark for
    pending exceptions up for good: CPython 3.11 then hangs in every function that a debugger or `sys.settrace` watches.
    """
    try:
        _raise_in(get_ident())
        while True:
            pass  # raised at a jump back at the latest
    except CancelledError:
        pass


def _raise_in(thread: int) -> None:
    import ctypes  # few programs cancel a call in a thread

    error = ctypes.py_object(CancelledError)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)
