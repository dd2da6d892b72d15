"""The callee's side of a stream: runs a generator, and stops where its reader is slow.

Rule: at most `window` items are sent that the reader has not taken; then the generator is not asked for more. So what a
generator does between two `yield`s happens when there is room for what follows. When the call ends early the generator
is closed: its `finally` runs, and the process waits for that, in a thread at most `CLOSING` seconds.

A generator that is not async runs in a thread of its own, the same for all its items. It hands over what it has made
when there is no more room or after `CHUNK` seconds, so a fast generator costs few changes of threads. What one has made
that is slow with its next item is fetched from it after `CHUNK` seconds.

Items go to a ref of their own, in tuples; the end of the stream is the answer of the call.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.current import current
from beampy.otp.rpc_thread import ThreadJob, in_thread
from beampy.otp.stream_engine import Bell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from beampy.core.ids import Ref
    from beampy.otp.rpc_function import Kind

CHUNK = 0.001  # seconds; a change of threads costs about a tenth of that
CLOSING = 1.0  # seconds for the `finally` of a generator in a thread; Python code there hears within milliseconds


class Producer:
    """How far the reader of one stream is."""

    __slots__ = ("bell", "items", "room")

    def __init__(self, items: Ref, window: int) -> None:
        self.items = items
        self.room = window
        self.bell: Bell | None = None

    def more(self, count: int) -> None:
        """The reader has taken `count` items."""
        self.room += count
        if self.bell is not None:
            self.bell.ring()

    async def wait(self) -> None:
        """Until there is room."""
        while self.room <= 0:
            self.bell = Bell(current.get())
            try:
                await self.bell
            finally:
                self.bell = None

    def send(self, items: tuple[Any, ...]) -> None:
        api.send(self.items, items)
        self.room -= len(items)


async def produce(producer: Producer, kind: Kind, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Send all items of what `fn` gives: a generator of either kind, or anything to iterate over."""
    if kind in ("generator", "async generator"):
        source = fn(*args, **kwargs)
    elif kind == "async":
        source = await fn(*args, **kwargs)
    else:
        source = await in_thread(fn, args, kwargs)
    if isinstance(source, AsyncIterable):
        await _produce_async(producer, aiter(source))
    else:
        await _produce_in_thread(producer, iter(source))


async def _produce_async(producer: Producer, source: AsyncIterator[Any]) -> None:
    try:
        await producer.wait()
        async for item in source:
            producer.send((item,))
            await producer.wait()
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


async def _produce_in_thread(producer: Producer, source: Iterator[Any]) -> None:
    loop = asyncio.get_running_loop()
    context = copy_context()
    thread = concurrent.futures.ThreadPoolExecutor(1, "beampy_stream")
    job = ThreadJob()

    def there(fn: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return loop.run_in_executor(thread, partial(context.run, fn, *args))

    ended = False
    try:
        while not ended:
            await producer.wait()
            taken = Taken(producer)
            fetching = loop.call_later(CHUNK, taken.fetch)
            try:
                ended, error = await there(job.run, taken.take, source, producer.room)
            finally:
                fetching.cancel()
            taken.send()
            if error is not None:
                raise error
    finally:
        close = getattr(source, "close", None)
        try:
            if not ended:
                job.cancel()
                if close is not None:
                    # In the middle of an item it hears of its cancellation first; what takes long is let go of.
                    await asyncio.wait([there(close)], timeout=min(CLOSING, current.get().node.exit_grace / 2))
        finally:
            thread.shutdown(wait=False)


class Taken:
    """Items that a thread has made and that are not sent yet."""

    __slots__ = ("items", "late", "producer")

    def __init__(self, producer: Producer) -> None:
        self.items: deque[Any] = deque()
        self.late = False  # they were fetched: the next one is to be handed over at once
        self.producer = producer

    def take(self, source: Iterator[Any], most: int) -> tuple[bool, BaseException | None]:
        """In the thread: up to `most` items. Whether that was the end, and the error that was it."""
        stop_at = time.monotonic() + CHUNK
        try:
            for _ in range(most):
                self.items.append(next(source))
                if self.late or time.monotonic() >= stop_at:
                    break
        except StopIteration:
            return True, None
        except asyncio.CancelledError:
            raise  # nobody takes the items any more
        except BaseException as error:
            return True, error
        return False, None

    def fetch(self) -> None:
        """On the loop, while the thread is at work. What cannot be sent is so for the process, which sends the rest."""
        self.late = True
        with contextlib.suppress(Exception):
            self.send()

    def send(self) -> None:
        """On the loop: send what there is."""
        items = tuple(self.items.popleft() for _ in range(len(self.items)))
        if items:
            try:
                self.producer.send(items)
            except Exception:  # PeerBusy, EncodeError
                self.items.extendleft(reversed(items))
                raise
