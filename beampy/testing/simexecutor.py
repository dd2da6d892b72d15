"""Executors of the simulator: a job runs inline, on the loop's thread, after a drawn delay.

Rule: a job starts some time after it was submitted and its result arrives some time after that,
both drawn from the seed; so a caller can be cancelled before the job, or between the job and its
result, as with real threads, but the order is the same for the same seed. As in a real thread
the job sees no running loop; of the caller's context it sees the simulated host only
(asyncio.to_thread carries the rest itself). An executor with a single worker keeps its order.

Place: testing, under simloop.

Not modelled: jobs overlap in virtual time only. One that sleeps takes real time, and one that
blocks on the loop itself (`run_coroutine_threadsafe(...).result()`) waits for ever.
"""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from beampy.testing import simnet

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

T = TypeVar("T")


class InlineExecutor:
    """Runs the jobs of one loop; `delay` is the longest a job waits to start, or to report."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random, delay: float) -> None:
        self._loop = loop
        self._rng = rng
        self._delay = delay
        self._last_start: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()

    def submit(self, executor: Any, fn: Callable[..., T], args: tuple[Any, ...]) -> asyncio.Future[T]:
        """Schedule `fn(*args)`; `executor` is the one that the caller named, or None."""
        start = self._loop.time() + self._rng.uniform(0, self._delay)
        if getattr(executor, "_max_workers", None) == 1:
            start = max(start, self._last_start.get(executor, 0.0))
            self._last_start[executor] = start
        future: asyncio.Future[T] = self._loop.create_future()
        context = contextvars.Context()
        context.run(simnet.HOST.set, simnet.current_host())
        self._loop.call_at(start, self._run, future, context, fn, args)
        return future

    def _run(
        self,
        future: asyncio.Future[Any],
        context: contextvars.Context,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        if future.cancelled():
            return  # it never left the queue
        value: Any = None
        error: BaseException | None = None
        asyncio._set_running_loop(None)
        try:
            value = context.run(fn, *args)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # its caller gets whatever it is, as from a real executor
            error = exc
        finally:
            asyncio._set_running_loop(self._loop)
        self._loop.call_later(self._rng.uniform(0, self._delay), _settle, future, value, error)


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if isinstance(error, StopIteration):  # which a future refuses to carry
        wrapped = RuntimeError("function raised StopIteration")
        wrapped.__cause__ = error
        future.set_exception(wrapped)
    elif error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
