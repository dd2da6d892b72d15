"""Mapped: what `pool.map` returns. The Handle of a list, and at once the stream of its items.

    sizes = await pool.map(size_of, paths)                        # a list, in the order of the paths
    async for page in pool.map(fetch, urls, ordered=False):       # as they come
    for row in pool.map(parse, lines):                            # on other threads

Rule: the input may be endless, and is never taken as a whole: an item is taken when there is room for it. It is taken
by who reads the results, there: in his process, or on his thread, and never while code of his own runs. So an input
that waits makes its reader wait; one that waits for results must be async: that is read by a task of its own, on the
event loop where the map was made, or the node's. Until somebody reads or awaits it, a map runs ahead by
`max_in_flight` items and then stops.

Read item by item, at most `max_in_flight` items are ever ahead of the reader. Awaited as a whole, results are
collected, and so many run at a time. A failure ends it all: what is in flight is cancelled. So do `break`, `aclose`,
`cancel`, dropping it, and the end of the calling process.

Place: how it runs is mapping_engine.py's. It knows a pool as a Starter only.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from beampy.errors import BadFunction
from beampy.handle import Handle, blocking, has_arrived
from beampy.otp.rpc_function import kind_of, shown, streams
from beampy.pool.mapping_calls import INPUT, Calls
from beampy.pool.mapping_engine import END, Busy, Late, Run

if TYPE_CHECKING:
    from collections.abc import AsyncIterable as AsyncItems
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
    from types import TracebackType

    from beampy.core.group_leader import Screen
    from beampy.pool.manager import Manager
    from beampy.pool.options import CallOptions
    from beampy.pool.starting import Starter

T = TypeVar("T")

log = logging.getLogger("beampy.handle")

OPEN, READ, COLLECTED, FAILED, CANCELLED = "open", "read", "collected", "failed", "cancelled"


class Mapped(Handle[list[T]]):
    """The results of a map: await it for the list of them, or read them one by one, `async for` or `for`.

    `max_in_flight` is how many items may be under way; by default twice as many as the pool can run at once, so that
    as many wait. The options' timeout is each item's own, from when its call is made. One reader at a time; what was
    read one by one is not in any list.

    As the last expression of a notebook's cell it is a live card, with a button that cancels, and is collected as a
    whole in the background: who reads it then has the items of the list, when that is there.

    Raises at once BadFunction, PoolClosed, ValueError and TypeError; failures of items, and of the input, come to who
    reads.

    >>> await pool.map(square, range(4))
    [0, 1, 4, 9]
    >>> async with pool.map(fetch, urls, ordered=False, return_exceptions=True) as pages:
    ...     async for page in pages: ...
    """

    __slots__ = ("__weakref__", "_outcome", "_run", "_state", "_waiting", "_what", "total")

    def __init__(
        self,
        pool: Starter,
        fn: Callable[..., Any] | str,
        iterables: tuple[Iterable[Any] | AsyncItems[Any], ...],
        ordered: bool,
        max_in_flight: int | None,
        return_exceptions: bool,
        options: CallOptions,
    ) -> None:
        if not isinstance(fn, str) and streams(kind_of("pool.map", fn)):
            raise BadFunction("pool.map", f"the generator {shown(fn)}: an item's result is one value")
        if not iterables:
            raise TypeError("pool.map: it needs something to iterate over beside the function")
        for items in iterables:
            if not isinstance(items, AsyncIterable):
                iter(items)  # TypeError
        limit = max_in_flight
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise ValueError(f"pool.map: max_in_flight is a whole number, 1 or more, not {limit!r}")
        me = pool._caller("map")
        pool._width()  # PoolClosed
        self.total = _length(iterables)  # how many items there will be; None: nobody knows
        self._what = shown(fn)
        self._state = OPEN
        self._outcome: Any = None
        self._waiting: list[concurrent.futures.Future[None]] = []  # who waits for another one who waits for the whole
        self._run = Run(Calls(pool, me, fn, options, ordered, return_exceptions), iterables, limit)
        tell = getattr(self.screen, "mapped", None)  # a screen that shows how far maps are
        if tell is not None:
            tell(self, self._what, self.total)

    # one by one

    def __aiter__(self) -> AsyncIterator[T]:
        return self._listed() if self._run.collects else self

    async def _listed(self) -> AsyncIterator[T]:
        for value in await self:
            yield value

    async def __anext__(self) -> T:
        self._read()
        try:
            value = await self._run.next()
        except Busy:
            raise
        except BaseException as error:
            self._settle(error)
            raise
        finally:
            has_arrived()
        if value is END:
            self._settle(None)
            raise StopAsyncIteration
        result: T = value
        return result

    def __iter__(self) -> Iterator[T]:
        return iter(self.result()) if self._run.collects else self

    def __next__(self) -> T:
        self._check_thread("next")
        try:
            self._read()
            value = self._run.next_here()
        except Busy:
            raise
        except asyncio.CancelledError as error:
            self._settle(error)
            raise concurrent.futures.CancelledError from None
        except BaseException as error:
            self._settle(error)
            raise
        finally:
            has_arrived()
        if value is END:
            self._settle(None)
            raise StopIteration
        result: T = value
        return result

    def _read(self) -> None:
        if self._run.collects:
            raise RuntimeError(f"{self!r} is awaited as a whole: its results are not read one by one as well")
        if self._run.reading:
            raise RuntimeError(f"{self!r} is being read already: one reader at a time")
        if self._state == CANCELLED:
            raise asyncio.CancelledError

    async def aclose(self) -> None:
        """End it: what is in flight is cancelled, and the input is not read any more when this returns."""
        self._end()
        feeder = self._run.feeder
        if feeder is not None and feeder.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([feeder])

    def close(self) -> None:
        """The same from any thread, without waiting."""
        self._end()

    def _end(self) -> None:
        run = self._run
        if run.collects:
            self.cancel()
        else:
            run.close()
            self._settle(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # as a whole

    def __await__(self) -> Generator[Any, Any, list[T]]:
        if self._state == OPEN:
            yield from self._collected().__await__()
        return self._value()

    async def _collected(self) -> None:
        """Until it is settled. One of those who wait does the reading, and the next one when he leaves."""
        run = self._run
        while self._state == OPEN:
            if run.reading and run.collects:
                other = self._other()
                try:
                    await asyncio.wrap_future(other)
                except asyncio.CancelledError:
                    self.cancel()
                    raise
                continue
            self._take_all()
            try:
                await run.next()
                self._settle(None)
            except Busy:
                continue
            except Exception as error:
                self._settle(error)
            except BaseException as error:
                ours = not (run.stopped and isinstance(error, asyncio.CancelledError))
                self._settle(error)
                if ours:
                    raise

    def result(self, timeout: float | None = None) -> list[T]:
        self._wait("result", timeout)
        try:
            return self._value()
        except asyncio.CancelledError:
            raise concurrent.futures.CancelledError from None

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait("exception", timeout)
        has_arrived()
        if self._state == FAILED:
            return self._outcome  # type: ignore[no-any-return]
        if self._state == CANCELLED:
            raise concurrent.futures.CancelledError
        return None

    def _wait(self, verb: str, timeout: float | None) -> None:
        if self._state != OPEN:
            return
        self._check_thread(verb)
        run = self._run
        clock = run.calls.clock
        until = None if timeout is None else clock() + timeout
        late = f"the map of {self._what} is not done after {timeout} s; it goes on"
        while self._state == OPEN:
            if run.reading and run.collects:
                left = None if until is None else max(0.0, until - clock())
                other = self._other()
                try:
                    concurrent.futures.wait((other,), left)
                except KeyboardInterrupt:
                    self.cancel()
                    raise
                if not other.done():
                    raise TimeoutError(late)
                continue
            self._take_all()
            try:
                run.next_here(until)
                self._settle(None)
            except Busy:
                continue
            except Late:
                self._wake()
                raise TimeoutError(late) from None
            except (Exception, asyncio.CancelledError) as error:
                self._settle(error)
            except BaseException as error:  # Ctrl-C
                self._settle(error)
                raise

    def _take_all(self) -> None:
        run = self._run
        if run.reading or (run.passed and not run.collects):
            raise RuntimeError(f"{self!r} is read one by one: there is no list of all its results")
        run.collect()

    def _check_thread(self, verb: str) -> None:
        loop = asyncio._get_running_loop()
        run = self._run
        stops = loop is not None and (loop is run.calls.node.loop or (loop is run.loop and run.feeding))
        if stops and not run.all_ended():
            raise blocking(verb)

    def _other(self) -> concurrent.futures.Future[None]:
        other: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._waiting.append(other)
        if not self._run.reading:  # he has left meanwhile
            self._wake()
        return other

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for other in waiting:
            if not other.done():
                other.set_result(None)

    def _value(self) -> list[T]:
        has_arrived()
        if self._state == FAILED:
            raise self._outcome
        if self._state == CANCELLED:
            raise asyncio.CancelledError
        if self._state == READ:
            raise RuntimeError(f"{self!r}: its results were read one by one")
        value: list[T] = self._outcome
        return value

    # for who only shows it

    @property
    def screen(self) -> Screen | None:
        """Where who made it hears of it."""
        return self._run.calls.screen

    def manager(self) -> Manager | None:
        """Who works for its pool, as long as somebody does. To ask starts no pool."""
        return self._run.calls.pool._pool._manager

    def counts(self) -> tuple[int, int]:
        """How many items have ended, and how many are under way."""
        run = self._run
        waiting = len(run.ready) + sum(entry[0] >= 0 for entry in tuple(run.calls.ended))
        return run.passed + waiting, max(0, run.taken - run.passed - waiting)

    def peek(self) -> tuple[list[T] | None, BaseException | None]:
        """What it came to, when it is done: (results, None) or (None, failure). Whoever reads it has it all the same.

        LookupError where results were read one by one, since they are gone.
        """
        run = self._run
        if self._state == FAILED:
            return None, self._outcome
        if self._state == COLLECTED:
            return self._outcome, None
        if self._state == READ or run.passed > len(run.results):
            raise LookupError(f"{self!r}: its results are read one by one")
        ready: Any = run.ready
        entries = [*(ready.values() if isinstance(ready, dict) else tuple(ready)), *tuple(run.calls.ended)]
        results = dict(run.results)
        for index, error, value in sorted((entry for entry in entries if entry[0] >= 0), key=lambda entry: entry[0]):
            if error is not None and not (run.calls.errors_too and value is not INPUT and isinstance(error, Exception)):
                return None, error
            results[index] = value if error is None else error
        return [results[index] for index in sorted(results)], None

    # its end

    def _settle(self, error: BaseException | None) -> None:
        if self._state != OPEN:
            return
        run = self._run
        if run.stopped or (error is not None and not isinstance(error, Exception)):
            self._state = CANCELLED
        elif error is not None:
            self._outcome = error
            self._state = FAILED
        elif run.collects:
            results = run.results
            self._outcome = [results[index] for index in range(len(results))]
            results.clear()
            self._state = COLLECTED
        else:
            self._state = READ
        self._wake()

    def done(self) -> bool:
        return self._state != OPEN or self._run.all_ended()

    def cancelled(self) -> bool:
        return self._state == CANCELLED

    def cancel(self, msg: Any = None) -> bool:
        if self.done():
            return False
        self._run.stop()
        self._settle(None)
        return True

    def __repr__(self) -> str:
        run = self._run
        state = self._state
        if state == OPEN:
            state = f"{run.passed} done, {run.taken - run.passed} under way"
        return f"<map of {self._what}: {state}>"

    def __del__(self) -> None:
        run = getattr(self, "_run", None)
        if run is None or self._state != OPEN:
            return
        lost = [error for _, error, _ in tuple(run.calls.ended) if error is not None]
        if lost:
            log.error("nobody looked at the failure of the map of %s", self._what, exc_info=lost[0])
        run.drop()


def _length(iterables: tuple[Any, ...]) -> int | None:
    """How many items there will be, where that is known without taking any."""
    try:
        return min(len(items) for items in iterables)
    except (TypeError, ValueError, OverflowError):
        return None
