"""PoolExecutor: a pool as a `concurrent.futures.Executor`, for code that knows nothing of beampy.

    with pool.executor() as executor:
        futures = [executor.submit(crunch, part) for part in parts]
        concurrent.futures.wait(futures)
    await loop.run_in_executor(pool.executor(), crunch, part)

Rule: the future of a submission is an ordinary one, which can also be cancelled while it runs: the pool is told. There
is no deadline but one's own, and the end of whoever submitted ends nothing. Many submissions from another thread cost
the loop one wake-up: they lie in a deque, and the loop takes from it as much as the pool can run, and as much again.
The deque has no limit of its own, as in the standard library's executors: who submits holds all the futures anyway.

Callbacks of futures run on the pool's thread: a slow one stops its node.

It knows a pool as a Starter only.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import suppress
from contextvars import copy_context
from itertools import chain, islice, repeat
from threading import Lock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from beampy.core.request import ANSWERED, FAILED
from beampy.errors import BadFunction, NotInNode, PoolClosed, PoolSaturated
from beampy.handle import LOOP_CHECK, blocking
from beampy.otp.rpc_function import kind_of, shown, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Context

    from beampy.core.process import Process
    from beampy.otp.rpc_call import RemoteCall
    from beampy.pool.options import CallOptions
    from beampy.pool.starting import Starter

P = ParamSpec("P")
T = TypeVar("T")

CHUNK = 0.001  # seconds of starting calls at a stretch; as long as the scheduler's budget for a turn

NOTHING: Any = object()

# States of futures, by the names that concurrent.futures uses inside.
CANCELLED, NOTIFIED, FINISHED = "CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED"


class PoolFuture(Future[T]):
    """What `submit` returns: a future that can be cancelled as long as it has no result."""

    def __init__(self, line: Line, context: Context, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self._line = line
        self._job: tuple[Context, Any, tuple[Any, ...], dict[str, Any]] | None = (context, fn, args, kwargs)
        self._call: RemoteCall | None = None

    def cancel(self) -> bool:
        """Cancel it, waiting or running. False when it has ended; then nothing happens."""
        if not self._cancel():
            return False
        self._line.unwanted(self)  # also where there is no call yet: the loop may be making it now
        return True

    def _cancel(self) -> bool:
        with self._condition:
            if self._state in (CANCELLED, NOTIFIED):
                return True
            if self._state == FINISHED:
                return False
            self._state = NOTIFIED
            for waiter in self._waiters:
                waiter.add_cancelled(self)
            self._condition.notify_all()
        self._line.open.pop(self, None)
        self._invoke_callbacks()  # type: ignore[attr-defined]
        return True

    def running(self) -> bool:
        """Whether a runner has it."""
        call = self._call
        return call is not None and call._sent and not self.done()

    def result(self, timeout: float | None = None) -> T:
        self._wait("result", timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait("exception", timeout)
        return super().exception(0)

    def _wait(self, verb: str, timeout: float | None) -> None:
        """At most `timeout` seconds, and no longer than there is a loop that can end it."""
        if self.done():
            return
        loop = self._line.loop
        if asyncio._get_running_loop() is loop:
            raise blocking(verb)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.done():
            left = LOOP_CHECK if deadline is None else min(LOOP_CHECK, deadline - time.monotonic())
            if left <= 0:
                return
            if loop.is_closed():
                self._end(None, NotInNode("executor.submit"))
            with self._condition:
                if not self._is_over():
                    self._condition.wait(left)

    def _is_over(self) -> bool:
        return self._state in (CANCELLED, NOTIFIED, FINISHED)

    def _end(self, value: Any, error: BaseException | None) -> None:
        """Settle it, unless it was cancelled meanwhile."""
        self._line.open.pop(self, None)
        with suppress(InvalidStateError):
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)


class Line:
    """The submissions of one executor. `post` and `unwanted` are for any thread, the rest is the loop's."""

    __slots__ = ("context", "inbox", "live", "loop", "open", "options", "pool", "posted", "telling", "voice", "wrong")

    def __init__(self, pool: Starter, voice: Process, options: CallOptions) -> None:
        self.pool = pool
        self.voice = voice
        self.loop = voice.node.loop
        self.options = options
        self.context = copy_context()
        self.inbox: deque[PoolFuture[Any]] = deque()
        self.wrong: deque[PoolFuture[Any]] = deque()  # cancelled
        self.open: dict[PoolFuture[Any], None] = {}  # all that have not ended
        self.live: dict[RemoteCall, PoolFuture[Any]] = {}
        self.posted = False  # the loop will look into the inbox
        self.telling = False  # and here

    def post(self, future: PoolFuture[Any]) -> None:
        """Start it when there is room."""
        self.open[future] = None
        self.inbox.append(future)
        if not self.posted:
            self.posted = True
            try:
                self.loop.call_soon_threadsafe(self.pump)
            except RuntimeError:
                raise NotInNode("executor.submit") from None

    def unwanted(self, future: PoolFuture[Any]) -> None:
        """It was cancelled."""
        self.wrong.append(future)
        if not self.telling:
            self.telling = True
            try:
                self.loop.call_soon_threadsafe(self.tell)
            except RuntimeError:  # the loop is closed: nothing runs any more
                return

    def tell(self) -> None:
        """Cancel the calls of futures that were cancelled."""
        self.telling = False
        while self.wrong:
            future = self.wrong.popleft()
            call, future._call, future._job = future._call, None, None
            if call is not None and self.live.pop(call, None) is not None:
                call.cancel()
        self.pump()

    def room(self) -> int:
        """How many more calls may be with the pool."""
        try:
            return 2 * self.pool._width() - len(self.live)
        except PoolClosed:
            return len(self.inbox)  # all of them hear that

    def pump(self) -> None:
        """Start what may be started, and let others have their turn now and then."""
        self.posted = False
        inbox, loop = self.inbox, self.loop
        if not inbox:
            return
        clock = self.voice._scheduler.clock  # the loop's own has steps of a millisecond on uvloop
        stop_at = clock() + CHUNK
        room = self.room()
        while inbox and room > 0:
            future = inbox.popleft()
            if future.done():
                continue
            if not self.start(future):
                inbox.appendleft(future)
                return
            room -= 1
            if clock() >= stop_at and inbox:
                self.posted = True
                loop.call_soon(self.pump)
                return

    def start(self, future: PoolFuture[Any]) -> bool:
        """Start its call. False where the pool takes no more now, and the end of one of ours will make room."""
        assert future._job is not None
        context, fn, args, kwargs = future._job
        try:
            call = context.run(self.pool._start, self.voice, fn, args, kwargs, self.options)
        except Exception as error:
            future._job = None
            future._end(None, error)
            return True
        if call._state == FAILED and self.live and isinstance(call.exception(), PoolSaturated):
            return False
        future._job = None
        future._call = call
        self.live[call] = future
        call.add_done_callback(self.end, context=self.context)
        return True

    def end(self, call: RemoteCall) -> None:
        """A call has ended, and so has its future."""
        future = self.live.pop(call, None)
        if future is not None:
            future._call = None
            if call._state == ANSWERED:
                future._end(call._outcome, None)
            elif call._state == FAILED:
                future._end(None, call.exception())
            else:  # with the pool's own end
                future._cancel()
        if self.inbox and not self.posted:
            self.pump()


class PoolExecutor(Executor):
    """`pool.executor()`: `submit`, `map` and `shutdown`, from any thread. Its shutdown does not end the pool.

    Futures raise what `pool.call` raises. `submit` raises BadFunction for what cannot be called, and RuntimeError
    after `shutdown`. Async functions may be submitted, too: their value is the future's.

    >>> executor = pool.executor()
    >>> executor.submit(pow, 2, 10).result(timeout=5)
    1024
    >>> list(executor.map(len, ["a", "bc"], chunksize=2))
    [1, 2]
    """

    def __init__(self, pool: Starter, options: CallOptions) -> None:
        pool._width()  # PoolClosed
        self._pool = pool
        self._line = Line(pool, pool._caller("executor").node.voice, options)
        self._lock = Lock()
        self._shut = False
        self._checked: Any = NOTHING  # the last function that was looked at

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn(*args, **kwargs)` in the pool; the future of its value."""
        if fn is not self._checked:
            if not isinstance(fn, str) and streams(kind_of("executor.submit", fn)):
                raise BadFunction("executor.submit", f"the generator {shown(fn)}: a future has one value")
            self._checked = fn
        future: PoolFuture[T] = PoolFuture(self._line, copy_context(), fn, args, kwargs)
        with self._lock:
            if self._shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._line.post(future)
        return future

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """As the standard library's: all items are submitted now, `chunksize` of them a call; results in their order.

        For inputs that are large or endless, and for failures that cancel, there is `pool.map`.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize must be >= 1, not {chunksize!r}")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        run: Any = run_chunk_async if kind_of("executor.map", fn) == "async" else run_chunk
        chunks: Iterator[list[T]] = super().map(
            run, repeat(fn), _chunks(zip(*iterables, strict=False), chunksize), timeout=timeout
        )
        return chain.from_iterable(chunks)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more. `cancel_futures`: cancel what does not run yet. `wait`: until all has ended."""
        with self._lock:
            self._shut = True
        still = list(self._line.open)
        if cancel_futures:
            for future in still:
                if not future.running():
                    future.cancel()
        if wait:
            for future in still:
                future._wait("shutdown", None)

    @property
    def _max_workers(self) -> int:
        """How many run at once: what some libraries ask executors for."""
        return self._pool._width()


def run_chunk(fn: Callable[..., T], rows: list[tuple[Any, ...]]) -> list[T]:
    """On a runner: several items of a `map` as one call."""
    return [fn(*row) for row in rows]


async def run_chunk_async(fn: Callable[..., Any], rows: list[tuple[Any, ...]]) -> list[Any]:
    """The same with an async function."""
    return [await fn(*row) for row in rows]


def _chunks(rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(islice(rows, size)):
        yield chunk
