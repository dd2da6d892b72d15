"""What runs an async_stream: starts its items, keeps their results, and ends it all.

Rule: everything happens in the reader's process, in its own steps: it takes from the input, starts items and reads
results; an item that ends only notes that and rings. An input that is itself async is read by one asyncio task, so
that results are not kept waiting by it. Whatever is left when the stream ends is told to end, and killed when that
takes longer than a process may clean up.

Place: under stream.py, which says what a stream promises and raises its errors.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterable
from contextvars import copy_context
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.current import here
from beampy.core.ids import Ref
from beampy.core.request import ANSWERED, WAITING, Failed, Request, rebuilt
from beampy.core.signals import KILL, SHUTDOWN, Crash, ExitSignal
from beampy.errors import NotInProcess, NotTaskOwner, ProcessExit, ServerExited, TaskTimeout
from beampy.otp.task import callers, end_with, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from contextvars import Context

    from beampy.core.ids import Pid
    from beampy.core.process import Process
    from beampy.core.timers import Bucket

log = logging.getLogger("beampy.otp")


class Item:
    """One item that was started: what a Request is to a call."""

    __slots__ = ("bucket", "done", "engine", "error", "overdue", "process", "ref", "value")

    def __init__(self, engine: Engine, ref: Ref) -> None:
        self.engine = engine
        self.ref = ref
        self.process: Process
        self.bucket: Bucket | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.overdue = False
        self.done = False

    def take_message(self, ref: Ref, message: Any) -> None:
        """Its result; its process ends right after."""
        if self.overdue:
            return
        if message.__class__ is Failed:
            self.error = rebuilt(message.crash, message.pid)
        else:
            self.value = message
        self.process.unwatched(ref)
        self._ended()

    def take_down(self, reason: Any) -> None:
        """Its process has ended without a result."""
        if self.error is None:
            self.error = ServerExited(self.process.pid, reason)
        self._ended()

    def ring(self) -> None:
        """The end of its time; and, where it takes too long to clean up, the end of that."""
        engine = self.engine
        if self.overdue or engine.kills:
            word = KILL
        else:
            word = SHUTDOWN
            self.bucket = engine.node.deadlines.add(engine.node.exit_grace, self)
        if not self.overdue:
            self.overdue = True
            self.error = TaskTimeout(self.process.pid, engine.timeout or 0)
        self.tell(word)

    def tell(self, word: str) -> None:
        """An exit signal from the owner."""
        engine = self.engine
        engine.node.route_signal(ExitSignal(engine.owner.pid, self.process.pid, word, False))

    def _ended(self) -> None:
        self.ref._holder = None
        self.done = True
        if self.bucket is not None:
            self.bucket.pop(self, None)
        self.engine.ended(self)


BELL = Ref("", 0, 0)  # of bells: nobody sends to it


class Bell(Request):
    """What a reader waits for: rung when there may be something to do."""

    ref = BELL
    dest = None
    _seen = True

    def __init__(self, process: Process) -> None:
        self._process = process

    def ring(self) -> None:
        if self._state == WAITING:
            self._settle(ANSWERED)


NO_THREADS = "A stream is read where its items run: node.run(fn) runs a function there, as a process"


class Engine:
    """One stream. It belongs to the reader's process and ends with it."""

    __slots__ = (
        "args",
        "bell",
        "closed",
        "context",
        "errors_too",
        "exhausted",
        "feeder",
        "input",
        "input_error",
        "kills",
        "limit",
        "live",
        "node",
        "ordered",
        "owner",
        "queue",
        "source",
        "timeout",
        "unread",
        "wakes",
    )

    def __init__(
        self,
        owner: Process,
        items: Iterable[Any] | AsyncIterable[Any],
        job: tuple[Any, bool],
        limit: int,
        ordered: bool,
        timeout: float | None,
        kills: bool,
        errors_too: bool,
    ) -> None:
        self.owner = owner
        self.node = owner.node
        self.args = (*job, (owner.pid, *callers()))
        self.context: Context = copy_context()
        self.limit = limit
        self.ordered = ordered
        self.timeout = timeout
        self.kills = kills
        self.errors_too = errors_too
        self.live: dict[Item, None] = {}  # started and not ended
        self.queue: deque[Item] = deque()  # ordered: started and not read; else: ended and not read
        self.unread = 0  # ended and not read
        self.source: AsyncIterable[Any] | None = None  # an async input that nobody reads yet
        self.input: Iterator[Any] | None = None
        self.input_error: BaseException | None = None
        self.feeder: asyncio.Task[None] | None = None
        self.exhausted = False
        self.closed = False
        self.bell: Bell | None = None  # the reader waits
        self.wakes: list[asyncio.Future[None]] = []  # others who wait: the feeder for room, `close` for the end
        if isinstance(items, AsyncIterable):
            self.source = items
        else:
            self.input = iter(items)
        end_with(owner, self)

    # input

    def room(self) -> bool:
        """Whether one more may be started."""
        return len(self.live) < self.limit and self.unread < self.limit and not self.closed

    def fill(self) -> None:
        """Start as many items as may run."""
        if self.input is None:
            if self.source is not None:
                items, self.source = self.source, None
                self.feeder = self.node.loop.create_task(self._feed(items))
            return
        try:
            while self.room():
                self.start(next(self.input))
        except StopIteration:
            self.input, self.exhausted = None, True
        except Exception as error:
            self.input, self.exhausted, self.input_error = None, True, error

    async def _feed(self, items: AsyncIterable[Any]) -> None:
        iterator: AsyncIterator[Any] = aiter(items)
        try:
            while True:
                while not self.room():
                    await self._woken()
                item = await anext(iterator)
                if not self.closed:
                    self.start(item)
        except StopAsyncIteration:
            pass
        except BaseException as error:
            if self.closed:
                raise  # that is why it was cancelled
            self.input_error = error
        finally:
            self.exhausted = True
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await _closed_quietly(close)
            self.wake()

    def start(self, item: Any) -> None:
        """Run one."""
        node = self.node
        started = Item(self, node.new_ref())
        started.ref._holder = started
        process, _ = node.spawn(_work, (started.ref, item, *self.args), self.owner, context=self.context.copy())
        started.process = process
        process.watched(started.ref, self.owner.pid)
        if self.timeout is not None:
            started.bucket = node.deadlines.add(self.timeout, started)
        self.live[started] = None
        if self.ordered:
            self.queue.append(started)

    # output

    async def next(self) -> Item | None:
        """The next result; None at the end."""
        self.check("async_stream")
        if self.bell is not None:
            raise RuntimeError("the stream is being read: one reader at a time")
        while True:
            item = self.take()
            self.fill()
            if item is not None or self.closed or (self.exhausted and not self.live and not self.queue):
                return item
            self.bell = Bell(self.owner)
            try:
                await self.bell
            except asyncio.CancelledError:
                await self.close()
                raise
            finally:
                self.bell = None

    def take(self) -> Item | None:
        """A result that is ready to be read."""
        queue = self.queue
        if not queue or not queue[0].done:
            return None
        self.unread -= 1
        item = queue.popleft()
        if self.wakes:
            self.wake()
        return item

    def ended(self, item: Item) -> None:
        """An item has ended: there may be something to read, and room for another one."""
        del self.live[item]
        if self.closed:
            if not self.live:
                self.node.deadlines.drop(self.node.exit_grace, self)
                self.wake()
            return
        self.unread += 1
        if not self.ordered:
            self.queue.append(item)
        self.wake()

    def wake(self) -> None:
        """Something has changed."""
        if self.bell is not None:
            self.bell.ring()
        if self.wakes:
            wakes, self.wakes = self.wakes, []
            for future in wakes:
                if not future.done():
                    future.set_result(None)

    async def _woken(self) -> None:
        future = self.node.loop.create_future()
        self.wakes.append(future)
        await future

    def check(self, verb: str) -> None:
        """Only the process that made it uses it, on its own thread."""
        if here(verb) is not self.owner:
            raise NotTaskOwner(verb, self, self.owner.pid)
        if self.node.thread != get_ident():
            raise NotInProcess(verb, "this thread", NO_THREADS)

    # the end

    def cancel(self) -> None:
        """Stop all that runs; what is left after the grace period is killed. Also called when the owner ends."""
        if self.closed:
            return
        self.closed = True
        self.input = self.source = None
        extras = self.owner._extras
        if extras is not None and extras.tasks:
            extras.tasks.discard(self)
        if self.feeder is not None:
            self.feeder.cancel()
        lost = [item.error for item in self.queue if item.error is not None]
        if lost and not self.errors_too:
            log.error("%d failures in %r were not read, the first: %r", len(lost), self, lost[0])
        self.queue.clear()
        for item in list(self.live):
            item.tell(SHUTDOWN)
        if self.live:
            self.node.deadlines.add(self.node.exit_grace, self)
        self.wake()

    async def close(self) -> None:
        """Stop all that runs, and wait until it has ended."""
        self.cancel()
        while self.live:
            await self._woken()
        if self.feeder is not None and not self.feeder.done():
            await asyncio.wait([self.feeder])

    def drop(self) -> None:
        """Nobody has the stream any more; this may be found out on any thread."""
        if self.node.thread == get_ident():
            self.cancel()
        elif not self.node.loop.is_closed():
            self.node.loop.call_soon_threadsafe(self.cancel)

    def ring(self) -> None:
        """The grace period after the end is over."""
        for item in list(self.live):
            item.tell(KILL)

    def __hash__(self) -> int:
        return self.owner.pid.serial  # not by address: sets of them have the same order in every run

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self.live)} running, {self.unread} unread"
        return f"<Stream of {getattr(self.args[0], '__qualname__', self.args[0])} {state}>"


async def _work(ref: Ref, item: Any, fn: Any, in_thread: bool, on_behalf: tuple[Pid, ...]) -> None:
    """The whole life of an item's process."""
    try:
        api.send(ref, await run(fn, in_thread, (item,), on_behalf))
    except Exception as error:
        me = here("async_stream")
        if not me.alive:
            raise  # it ends for the reason of its exit signal
        crash = Crash.of(error)
        api.send(ref, Failed(crash, me.pid))
        raise ProcessExit(crash) from None  # the reader raises it: it is not reported here as well


async def _closed_quietly(close: Callable[[], Awaitable[Any]]) -> None:
    try:
        await close()
    except Exception:
        log.exception("the input of an async_stream failed while it was closed")
