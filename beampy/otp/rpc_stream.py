"""The caller's side of a stream: items as they come, at the reader's pace.

Rule: the reader pulls. Items that have come and are not read wait here, at most a window of them; as it takes them it
makes room for more over there. The end, or the failure, comes after all items before it. `break` and dropping the
stream stop the generator; `aclose` and `async with` also wait until its `finally` has run.

Items come to a ref of their own, in tuples; the end is the answer of the call, which has its deadline, Down and
cancellation too. On other threads the stream is an ordinary iterator.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from beampy import api
from beampy.core.unread import Unread
from beampy.errors import NotInNode
from beampy.handle import blocking, has_arrived
from beampy.otp.rpc_server import RPC, More
from beampy.otp.stream_engine import Bell

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType

    from beampy.core.ids import Ref
    from beampy.core.process import Process
    from beampy.otp.rpc_call import RemoteCall

T_co = TypeVar("T_co", covariant=True)

READ_ALREADY = "the stream is being read already: one reader at a time"
WINDOW = 16  # items: enough to cover the way there and back of a LAN, few enough to hold large ones


class Feed:
    """What a stream's reader has: the call, and the items that have come. It lives on the node's loop."""

    def __init__(self, process: Process, begin: Callable[[Ref], RemoteCall], window: int) -> None:
        self.process = process
        self.room = max(1, window // 2)  # items after which the producer hears that there is room
        self.arrived: deque[Any] = deque()  # tuples of items, perhaps not decoded yet
        self.ready: deque[Any] = deque()  # items
        self.taken = 0
        self.bell: Bell | None = None
        self.closed = False
        self.items = items = process.node.new_ref()
        items._holder = self
        self.start(begin)

    def start(self, begin: Callable[[Ref], RemoteCall]) -> None:
        """Call."""
        self.call = begin(self.items)
        self.call.add_done_callback(self.ring)

    def take_message(self, ref: Ref, message: Any) -> None:
        """Items."""
        if not self.closed:
            self.arrived.append(message)
            self.ring()

    def ring(self, _: Any = None) -> None:
        """There may be something to do for the reader."""
        if self.bell is not None:
            self.bell.ring()

    async def next(self, most: int = 1) -> list[Any]:
        """The next items, as many as are here and at most `most`; none at the end."""
        if self.bell is not None:
            raise RuntimeError(READ_ALREADY)
        try:
            while not self.ready:
                if self.arrived:
                    message = self.arrived.popleft()
                    self.ready.extend(await _read(message) if message.__class__ is Unread else message)
                elif self.closed:
                    return []
                elif self.call.done():
                    self.forget()
                    if not self.call.cancelled():
                        self.call.result()
                    return []
                else:
                    self.bell = Bell(self.process)
                    await self.bell
        except BaseException:
            self.drop()
            raise
        finally:
            self.bell = None
        while len(self.ready) < most and self.arrived and self.arrived[0].__class__ is not Unread:
            self.ready.extend(self.arrived.popleft())
        some = [self.ready.popleft() for _ in range(min(most, len(self.ready)))]
        self.taken += len(some)
        if self.taken >= self.room and not self.call.done():
            self.send(More(self.call.ref, self.taken))
            self.taken = 0
        return some

    def send(self, message: Any) -> None:
        """To the callee's server."""
        self.process.node.route_message(self.process, (RPC, self.call.callee), message)

    def drop(self) -> None:
        """End it, without waiting for the other side."""
        self.forget()
        self.call._seen = True
        self.call.cancel()

    def forget(self) -> None:
        """Take no more items."""
        self.closed = True
        self.arrived.clear()
        self.ready.clear()
        self.items._holder = None
        self.process.node.exported.pop(self.items.id, None)
        self.ring()

    async def close(self) -> None:
        """End it, and wait until the process of the generator has ended."""
        self.forget()
        self.call._seen = True
        self.call.tell()
        if not self.call.done():
            await asyncio.wait([self.call])  # type: ignore[type-var]


class LateFeed(Feed):
    """One whose call has arguments that do not exist yet: who reads first waits for them, and it begins then."""

    def __init__(
        self,
        process: Process,
        begin: Callable[[Ref], RemoteCall],
        window: int,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._ready: Callable[[], Awaitable[None]] | None = ready
        self._begun = False
        super().__init__(process, begin, window)

    def start(self, begin: Callable[[Ref], RemoteCall]) -> None:
        """Not yet."""
        self._begin = begin

    async def next(self, most: int = 1) -> list[Any]:
        """The next items, when it has begun."""
        if not self._begun and not self.closed:
            ready, self._ready = self._ready, None
            if ready is None:
                raise RuntimeError(READ_ALREADY)
            try:
                await ready()
                if not self.closed:
                    super().start(self._begin)
                    self._begun = True
            except BaseException:
                self.forget()
                raise
            finally:
                del self._begin, ready  # which have the arguments
        return await super().next(most)

    def drop(self) -> None:
        """End it, without waiting for the other side, if there is one."""
        super().drop() if self._begun else self.forget()

    async def close(self) -> None:
        """End it, and wait until the process of the generator has ended, if there is one."""
        await super().close() if self._begun else self.forget()


@types.coroutine
def _read(message: Unread) -> Generator[Any, Any, Any]:
    return (yield from message.read())


def begun(process: Process, make: Callable[[], Feed]) -> Feed:
    """A feed made on the node's loop. Who is interrupted before he has it leaves none behind."""
    made: list[Feed] = []

    def work() -> Feed:
        made.append(make())
        return made[0]

    try:
        return api._ask(process, work)
    except KeyboardInterrupt:
        with suppress(RuntimeError):  # the loop is closed
            process.node.loop.call_soon_threadsafe(lambda: made[0].drop() if made else None)
        raise


class RemoteStream(Generic[T_co]):
    """The items of a generator on another node: `async for`, or on other threads `for`.

    >>> async for row in bp.remote_call("b@localhost", rows_of, path):
    ...     print(row)
    """

    __slots__ = ("__weakref__", "_ahead", "_feed", "_process", "_what", "_window")

    def __init__(
        self,
        process: Process,
        begin: Callable[[Ref], RemoteCall],
        what: str,
        window: int,
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._what = what
        self._process = process
        self._window = window
        self._ahead: deque[T_co] = deque()  # what another thread has taken from the feed
        feed = Feed if ready is None else partial(LateFeed, ready=ready)
        self._feed: Feed = begun(process, lambda: feed(process, begin, window))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a stream belongs to who reads it; send its items")

    # in the process

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        loop = self._process.node.loop
        try:
            if asyncio.get_running_loop() is loop:
                some = await self._feed.next()
            else:
                if not self._ahead:
                    try:
                        self._ahead.extend(await asyncio.wrap_future(self._ask()))
                    except asyncio.CancelledError:
                        self._drop()  # what was asked may not have begun, or have ended just now
                        raise
                some = [self._ahead.popleft()] if self._ahead else []
        finally:
            has_arrived()
        if not some:
            raise StopAsyncIteration
        item: T_co = some[0]
        return item

    async def aclose(self) -> None:
        """End it: the generator is closed, and its `finally` has run when this returns."""
        if asyncio.get_running_loop() is self._process.node.loop:
            await self._feed.close()
        else:
            self._ahead.clear()
            await asyncio.wrap_future(self._submit(self._feed.close()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    # on other threads

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        try:
            if not self._ahead:
                if asyncio._get_running_loop() is self._process.node.loop:
                    raise blocking("next")
                asking = self._ask()
                try:
                    self._ahead.extend(asking.result())
                except KeyboardInterrupt:
                    asking.cancel()
                    self._drop()  # as above
                    raise
        finally:
            has_arrived()
        if not self._ahead:
            raise StopIteration
        return self._ahead.popleft()

    def close(self) -> None:
        """End it, without waiting for the generator's `finally`."""
        self._ahead.clear()
        self._drop()

    def _ask(self) -> concurrent.futures.Future[Any]:
        return self._submit(self._feed.next(max(1, self._window // 2)))

    def _submit(self, coro: Any) -> concurrent.futures.Future[Any]:
        try:
            return asyncio.run_coroutine_threadsafe(coro, self._process.node.loop)
        except RuntimeError:
            coro.close()
            raise NotInNode(self._what) from None

    # its end

    def _drop(self) -> None:
        feed, node = self._feed, self._process.node
        if not feed.closed and not node.closed:
            with suppress(RuntimeError):  # the loop is closed, and all is over
                node.loop.call_soon_threadsafe(feed.drop)

    def __del__(self) -> None:
        if getattr(self, "_feed", None) is not None:
            self._drop()

    def __repr__(self) -> str:
        state = "closed" if self._feed.closed else "open"
        return f"<RemoteStream of {self._what} {state}>"
