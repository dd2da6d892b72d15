"""The reader's side of a map: takes items from the input while there is room, and puts results in order.

Rule: two halves. `Run`, here, is the reader's, on his thread: it takes from the input when there is room, numbers the
items, and hands out results. `Calls`, in mapping_calls.py, is on the node's loop: it starts calls and notes how they
end, in a deque that the reader empties. So an input is only ever touched by who reads the results, a slow one on
another thread stops nothing of the node, and the two halves meet in a deque each way and one wake-up.

There is room while fewer items are under way than the limit. Under way is an item from when it is taken from the input
until its result is handed out, or, where all are collected, until it has come.

An input that is itself async is read by one asyncio task, so that results are not kept waiting by it.

Place: under mapping.py, which says what a map promises. Benchmark: benchmarks/pool_tasks.py.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterable
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.errors import NotInNode, PoolClosed
from beampy.handle import LOOP_CHECK
from beampy.otp.stream_engine import Bell
from beampy.pool.mapping_calls import CHUNK, INPUT, NOTE, STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from beampy.pool.mapping_calls import Calls, Ended

log = logging.getLogger("beampy.pool")

SLOW = 0.01  # seconds for one item, from which results that are here are not kept waiting for the input; a turn of
# another thread takes 5 ms (sys.getswitchinterval), and does not count

END: Any = object()  # instead of a result: there are no more


class Late(TimeoutError):
    """The time of who waits is over, and not that of the map."""


class Busy(RuntimeError):
    """Somebody else reads."""


class Run:
    """The reader's side of one map."""

    __slots__ = (
        "calls",
        "closed",
        "collects",
        "event",
        "feeder",
        "feeding",
        "input",
        "limit",
        "lock",
        "loop",
        "passed",
        "ready",
        "results",
        "slow",
        "space",
        "stopped",
        "taken",
    )

    def __init__(self, calls: Calls, iterables: tuple[Any, ...], limit: int | None) -> None:
        self.calls = calls
        self.limit = limit
        self.taken = 0  # items, which are numbered in this order
        self.passed = 0  # results that do not count as under way any more
        self.ready: dict[int, Ended] | deque[Ended] = {} if calls.ordered else deque()
        self.collects = False
        self.results: dict[int, Any] = {}
        self.lock = threading.Lock()  # the reader's, while he asks
        self.slow = False  # the last item was long in coming
        self.stopped = False  # it was cancelled
        self.closed = False
        self.event: threading.Event | None = None
        self.space: asyncio.Future[None] | None = None  # the feeder waits for room
        self.feeder: asyncio.Task[None] | None = None
        self.input: Iterator[tuple[Any, ...]] | None = None
        self.loop = asyncio._get_running_loop() or calls.node.loop  # where an async input is read
        self.feeding = any(isinstance(items, AsyncIterable) for items in iterables)  # it is not at its end
        if self.feeding:
            self.on_its_loop(lambda: self.begin(iterables))
        else:
            self.input = zip(*iterables, strict=False)
            self.pull()
            if self.more() and asyncio._get_running_loop() is not None:
                self.loop.call_soon(self.go_on)

    # input

    def room(self) -> int:
        """How many more items may be taken."""
        limit = self.limit
        if limit is None:
            try:
                limit = 2 * self.calls.pool._width()
            except PoolClosed:
                limit = 1  # the next call says so, in its place
        return limit - (self.taken - self.passed)

    def pull(self) -> None:
        """Take items and start them, for a moment."""
        items, calls, clock = self.input, self.calls, self.calls.clock
        if items is None:
            return
        room = self.room()
        now = clock()
        stop_at = now + CHUNK
        while room > 0 and calls.broken is None and not self.closed:
            try:
                args = next(items)
            except StopIteration:
                self.input = None
                return
            except Exception as error:
                self.input = None
                self.input_failed(error)
                return
            except BaseException:
                self.close()
                raise
            room -= 1
            index, self.taken = self.taken, self.taken + 1
            calls.post(index, args)
            before, now = now, clock()
            self.slow = now - before > SLOW
            if now >= stop_at:
                return

    def more(self) -> bool:
        """Whether `pull` has left something for later."""
        return self.input is not None and self.calls.broken is None and self.room() > 0

    def go_on(self) -> None:
        """Fill up what is under way, before there is a reader."""
        if self.closed or self.reading or self.passed:
            return
        self.pull()
        if self.more():
            self.loop.call_soon(self.go_on)

    def input_failed(self, error: BaseException) -> None:
        """The input's error has the place of the item that did not come."""
        self.calls.ended.append((self.taken, error, INPUT))
        self.taken += 1

    # an async input

    def begin(self, iterables: tuple[Any, ...]) -> None:
        """Start to read it."""
        if not self.closed:
            self.feeder = self.loop.create_task(self.feed(iterables))

    async def feed(self, iterables: tuple[Any, ...]) -> None:
        """Read it, while there is room."""
        sources: list[Any] = []
        try:
            sources.extend(aiter(items) if isinstance(items, AsyncIterable) else iter(items) for items in iterables)
            while True:
                while self.room() <= 0:
                    self.space = self.loop.create_future()
                    if self.room() <= 0:  # the reader may be on another thread
                        await self.space
                    self.space = None
                row = []
                for source in sources:  # no comprehension: StopIteration does not get out of one
                    item = await anext(source) if hasattr(source, "__anext__") else next(source)
                    row.append(item)
                if self.closed or self.calls.broken is not None:
                    return
                index, self.taken = self.taken, self.taken + 1
                self.calls.post(index, tuple(row))
        except (StopAsyncIteration, StopIteration):
            pass
        except Exception as error:
            if not self.closed:
                self.input_failed(error)
        finally:
            for source in sources:
                close = getattr(source, "aclose", None)
                if close is not None:
                    try:
                        await close()
                    except Exception:
                        log.exception("the input of a map failed while it was closed")
            self.feeding = False
            self.calls.ended.append((NOTE, None, None))
            self.calls.ring()

    def make_room(self) -> None:
        """A result was handed out: the feeder may go on."""
        space = self.space
        if space is not None and self.room() > 0:
            self.on_its_loop(lambda: None if space.done() else space.set_result(None))

    def on_its_loop(self, fn: Callable[[], object]) -> None:
        """On the loop where an async input is read."""
        if asyncio._get_running_loop() is self.loop:
            fn()
        else:
            with suppress(RuntimeError):  # that loop is closed, and its task is over
                self.loop.call_soon_threadsafe(fn)

    # output

    def step(self) -> Ended | None:
        """On a loop, where an input cannot wait: the next result that is ready; start more in its place."""
        self.absorb()
        entry = self.take()
        self.pull()
        return entry

    def step_here(self) -> Ended | None:
        """On a thread, where it can, for the reader too: more only when he asks again, and first what is ready."""
        self.absorb()
        if not self.slow or not self.is_ready():
            self.pull()
            self.absorb()
        return self.take()

    def is_ready(self) -> bool:
        """Whether there is a result to hand out."""
        return bool(self.ready) and (not self.calls.ordered or self.passed in self.ready)

    def absorb(self) -> None:
        """Take in what has ended."""
        ended = self.calls.ended
        ready: Any = self.ready
        while ended and not self.closed:
            came = ended.popleft()
            index = came[0]
            if index < 0:
                if index == STOPPED:  # by the end of its process
                    self.stop()
            elif self.collects:
                self.results[index] = self.opened(came)
                self.passed += 1
            elif self.calls.ordered:
                ready[index] = came
            else:
                ready.append(came)
        if self.closed:
            ended.clear()
            ready.clear()
            if self.stopped:
                raise asyncio.CancelledError

    def take(self) -> Ended | None:
        """A result that is ready to be handed out."""
        ready: Any = self.ready
        entry: Ended | None = None
        if self.calls.ordered:
            entry = ready.pop(self.passed, None)
        elif ready:
            entry = ready.popleft()
        if entry is not None:
            self.passed += 1
        if self.space is not None:
            self.make_room()
        return entry

    def opened(self, entry: Ended) -> Any:
        """The value of an entry. Raises a failure, which ends it all."""
        _, error, value = entry
        if error is None:
            return value
        if self.calls.errors_too and value is not INPUT and isinstance(error, Exception):
            return error
        self.close()
        raise error

    def over(self) -> bool:
        """Whether all results were handed out."""
        return self.closed or (self.input is None and not self.feeding and self.passed == self.taken)

    def collect(self) -> None:
        """From now on results are kept, all of them, rather than handed out. None was."""
        self.collects = True

    async def next(self) -> Any:
        """The next result, or END. On any loop."""
        self.enter()
        try:
            while True:
                entry = self.step()
                if entry is not None:
                    return self.opened(entry)
                if self.over():
                    self.close()
                    return END
                if self.more():
                    await asyncio.sleep(0)
                else:
                    await self.wait()
        except BaseException:
            self.close()
            raise
        finally:
            self.lock.release()

    def next_here(self, until: float | None = None) -> Any:
        """The next result, or END, on a thread with no loop. TimeoutError at `until`, after which one may ask again."""
        self.enter()
        try:
            while True:
                entry = self.step_here()
                if entry is not None:
                    return self.opened(entry)
                if self.over():
                    self.close()
                    return END
                if not self.more():
                    self.wait_here(until)
        except Late:
            raise
        except BaseException:
            self.close()
            raise
        finally:
            self.lock.release()

    @property
    def reading(self) -> bool:
        """Whether somebody asks for a result now."""
        return self.lock.locked()

    def enter(self) -> None:
        """One reader at a time. Busy where there is another."""
        if not self.lock.acquire(blocking=False):
            raise Busy("the results of this map are being read already: one reader at a time")

    async def wait(self) -> None:
        """Until something has ended."""
        calls = self.calls
        loop = asyncio.get_running_loop()
        if loop is calls.node.loop:
            bell = Bell(calls.me)
            calls.waker = bell.ring
            if not calls.ended:
                await bell
            return
        rung: asyncio.Future[None] = loop.create_future()

        def ring() -> None:
            if not rung.done():
                rung.set_result(None)

        def wake() -> None:
            with suppress(RuntimeError):  # the reader's loop is closed
                loop.call_soon_threadsafe(ring)

        calls.waker = wake
        while not calls.ended:
            await asyncio.wait([rung], timeout=LOOP_CHECK)
            if rung.done():
                return
            self.check_loop()

    def wait_here(self, until: float | None) -> None:
        """The same on a thread."""
        calls = self.calls
        event = self.event
        if event is None:
            event = self.event = threading.Event()
        event.clear()
        calls.waker = event.set
        while not calls.ended:
            left = LOOP_CHECK if until is None else min(LOOP_CHECK, until - calls.clock())
            if left <= 0:
                raise Late
            if event.wait(left):
                return
            self.check_loop()

    def check_loop(self) -> None:
        """NotInNode where nothing can end any more."""
        if self.calls.node.loop.is_closed() and not self.calls.ended:
            raise NotInNode("pool.map")

    # the end

    def all_ended(self) -> bool:
        """Whether nothing is under way, so that nobody has to wait."""
        here = len(self.ready) + sum(entry[0] >= 0 for entry in tuple(self.calls.ended))
        return self.closed or (self.input is None and not self.feeding and self.passed + here == self.taken)

    def stop(self) -> None:
        """Close it, and let who reads hear of that."""
        if not self.closed:
            self.stopped = True
            self.close()

    def close(self) -> None:
        """Cancel all that is in flight, and take no more."""
        if self.closed:
            return
        self.closed = True
        self.input = None
        if self.feeder is not None:
            self.on_its_loop(self.feeder.cancel)
        if self.calls.node.thread == get_ident():
            self.calls.cancel()
        else:
            with suppress(NotInNode):
                self.calls.on_loop(self.calls.cancel)

    def drop(self) -> None:
        """Nobody has it any more. This may be found out on any thread, in the middle of anything."""
        if self.closed:
            return
        self.closed = True
        self.input = None
        if self.feeder is not None:
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.feeder.cancel)
        with suppress(NotInNode):
            self.calls.on_loop(self.calls.cancel)
