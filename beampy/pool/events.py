"""Events: what happens in a pool, as it happens, for whoever wants to hear of it.

Rule: an event is a NamedTuple whose first field is the time, in seconds since 1970. While nobody listens none is made:
whoever has one to tell looks at `Events.active` first. A subscriber is called on the pool's own thread and should be
quick; one that raises is logged once and stays. A reader has a queue of its own, with a limit: of what is over it the
oldest are dropped, and the reader is told how many.

It does not know the pool: the pool's code calls `emit`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections import deque
from contextlib import suppress
from threading import Lock, RLock
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("beampy.pool")

LIMIT = 10_000  # events that wait for one reader; of a busy pool that is the last second, about 2 MB


# calls; `call` is the number of a call, `runner` the name of a node


class Queued(NamedTuple):
    """A call found no free slot and waits. `waiting`: how many do now."""

    time: float
    call: int
    waiting: int


class Started(NamedTuple):
    """A call was sent to a runner, `waited` seconds after it was made."""

    time: float
    call: int
    runner: str
    waited: float


class Finished(NamedTuple):
    """A call has ended. `outcome`: "ok", "error", "timeout", "cancelled", "lost" or "rejected". `seconds` since it was
    sent.

    `runner` is None and `seconds` 0 where it had not been sent.
    """

    time: float
    call: int
    runner: str | None
    seconds: float
    outcome: str


class Retried(NamedTuple):
    """A call is run again, in `delay` seconds. `attempt`: which one that is, from 2 on. `why`: what ended the last."""

    time: float
    call: int
    attempt: int
    delay: float
    why: str


class Saturated(NamedTuple):
    """A call was refused, since `waiting` calls wait and that is the limit."""

    time: float
    waiting: int
    limit: int


# runners; `runner` is the name of its node


class BootStarted(NamedTuple):
    """A machine was asked for. `booting`: how many are on their way now."""

    time: float
    runner: str
    booting: int


class RunnerUp(NamedTuple):
    """A runner takes calls, `seconds` after it was asked for."""

    time: float
    runner: str
    seconds: float


class BootFailure(NamedTuple):
    """A machine did not come up. `why`: one line."""

    time: float
    runner: str
    seconds: float
    why: str


class Retired(NamedTuple):
    """A runner gets no more calls and is to end. `why`: "idle", "resize", "single use", "zombies" or "stop"."""

    time: float
    runner: str
    why: str


class RunnerDown(NamedTuple):
    """A runner has ended. `lost`: it was not asked to, and calls that ran there are lost. `status` as in RunnerLost."""

    time: float
    runner: str
    cause: str
    lost: bool
    status: int | None = None
    oom: bool = False


class Zombie(NamedTuple):
    """Code of a call that nobody waits for does not end; it holds a slot. `zombies`: how many the runner has now."""

    time: float
    runner: str
    call: int
    zombies: int


class Scaled(NamedTuple):
    """The limits of the pool were changed."""

    time: float
    min: int
    max: int


class Missed(NamedTuple):
    """To a reader that was too slow: so many events before this one were dropped."""

    time: float
    dropped: int


Event: TypeAlias = (
    Queued
    | Started
    | Finished
    | Retried
    | Saturated
    | BootStarted
    | RunnerUp
    | BootFailure
    | Retired
    | RunnerDown
    | Zombie
    | Scaled
    | Missed
)


def line(event: Event) -> str:
    """One line for people, without the time.

    >>> line(RunnerUp(0.0, "r1@host", 0.25))
    'r1 is up after 0.25 s'
    """
    match event:
        case Queued(_, call, waiting):
            return f"call {call} waits, as one of {waiting}"
        case Started(_, call, runner, waited):
            return f"call {call} runs on {short(runner)} after {waited:.3g} s"
        case Finished(_, call, runner, seconds, outcome):
            where = "" if runner is None else f" on {short(runner)} after {seconds:.3g} s"
            return f"call {call} ended{where}: {outcome}"
        case Retried(_, call, attempt, delay, why):
            return f"call {call} is run again in {delay:.3g} s, attempt {attempt}: {why}"
        case Saturated(_, waiting, limit):
            return f"a call was refused: {waiting} wait, max_queue is {limit}"
        case BootStarted(_, runner, _):
            return f"{short(runner)} is booting"
        case RunnerUp(_, runner, seconds):
            return f"{short(runner)} is up after {seconds:.2g} s"
        case BootFailure(_, runner, _, why):
            return f"{short(runner)} did not come up: {why}"
        case Retired(_, runner, why):
            return f"{short(runner)} is to end: {why}"
        case RunnerDown(_, runner, cause, lost, _, oom):
            return f"{short(runner)} {'was lost' if lost else 'has ended'}{': out of memory' if oom else ''}: {cause}"
        case Zombie(_, runner, call, zombies):
            return f"call {call} does not end on {short(runner)}, which has {zombies} such"
        case Scaled(_, least, most):
            return f"the pool has {least} to {most} runners from now on"
        case Missed(_, dropped):
            return f"{dropped} events were dropped"


def short(runner: str) -> str:
    """The first part of a node's name.

    >>> short("pool-7-runner-1@host")
    'pool-7-runner-1'
    """
    return runner.partition("@")[0]


class Events:
    """The events of one pool. `active`: somebody listens.

        if events.active:
            events.emit(Saturated(events.now(), waiting, limit))

    `subscribe` and `reader` may be called on any thread, `emit` is the pool's own thread's.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.active = False
        self.now = now
        self._subscribers: tuple[_Subscriber, ...] = ()
        self._readers: tuple[weakref.ref[Reader], ...] = ()
        self._lock = RLock()  # may be taken twice: readers are garbage anywhere
        self._closed = False

    def emit(self, event: Event) -> None:
        """Tell all who listen."""
        for subscriber in self._subscribers:
            subscriber.tell(event)
        for ref in self._readers:
            reader = ref()
            if reader is not None:
                reader.put(event)

    def subscribe(self, fn: Callable[[Event], object]) -> Callable[[], None]:
        """Call `fn(event)` for each event from now on. Returns a function that ends this, which may be called twice."""
        subscriber = _Subscriber(fn)
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)
            self._look()

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)
                self._look()

        return unsubscribe

    def reader(self, limit: int = LIMIT) -> Reader:
        """An asynchronous iterator over the events from now on, until the pool stops. At most `limit` wait in it."""
        reader = Reader(self, limit)
        with self._lock:
            if self._closed:
                reader.close()
            else:
                self._readers = (*self._readers, weakref.ref(reader, self._forget))
                self._look()
        return reader

    def close(self) -> None:
        """The pool has stopped: its readers end when they have read what there is."""
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, ()
            self._subscribers = ()
            self._look()
        for ref in readers:
            if (reader := ref()) is not None:
                reader.end()

    def _forget(self, gone: Reader | weakref.ref[Reader]) -> None:
        with self._lock:
            self._readers = tuple(ref for ref in self._readers if ref() not in (None, gone))
            self._look()

    def _look(self) -> None:
        self.active = bool(self._subscribers or self._readers)


class _Subscriber:
    __slots__ = ("_fn", "_said")

    def __init__(self, fn: Callable[[Event], object]) -> None:
        self._fn = fn
        self._said = False

    def tell(self, event: Event) -> None:
        try:
            self._fn(event)
        except Exception:
            if not self._said:
                self._said = True
                log.exception("a subscriber to events, %r, raised; said once", self._fn)


class Reader:
    """The events of a pool, one after the other: `async for event in pool.events()`, on any loop, by one reader.

    Where events were dropped because it was too slow, `Missed` comes in their place. It ends with the pool, or by
    `close`, or when nobody holds it any more.
    """

    def __init__(self, events: Events, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"events: limit is 1 or more, not {limit}")
        self._events = events
        self._limit = limit
        self._queue: deque[Event] = deque()
        self._missed = 0
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._lock = Lock()

    def put(self, event: Event) -> None:
        """One more, in the place of the oldest where there is no room."""
        with self._lock:
            if len(self._queue) >= self._limit:
                self._queue.popleft()
                self._missed += 1
            self._queue.append(event)
            waiter, self._waiter = self._waiter, None
        _wake(waiter)

    def end(self) -> None:
        """No more will come."""
        with self._lock:
            self._ended = True
            waiter, self._waiter = self._waiter, None
        _wake(waiter)

    def close(self) -> None:
        """End it, whatever it has not read yet."""
        self._events._forget(self)
        with self._lock:
            self._queue.clear()
            self._missed = 0
        self.end()

    async def aclose(self) -> None:
        """As `close`, for `contextlib.aclosing`."""
        self.close()

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Event:
        while True:
            with self._lock:
                if self._missed:
                    missed, self._missed = self._missed, 0
                    return Missed(self._events.now(), missed)
                if self._queue:
                    return self._queue.popleft()
                if self._ended:
                    raise StopAsyncIteration
                if self._waiter is not None and not self._waiter.cancelled():
                    raise RuntimeError("these events have a reader already: each wants its own pool.events()")
                waiter = self._waiter = asyncio.get_running_loop().create_future()
            await waiter


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None:
        with suppress(RuntimeError):  # its loop is closed: nobody waits
            waiter.get_loop().call_soon_threadsafe(_set, waiter)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
