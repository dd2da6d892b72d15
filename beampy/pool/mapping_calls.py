"""The calls of a map: started on the node's loop, as they are posted, and noted as they end.

Rule: posted from any thread, started on the loop, a few at a stretch. How a call ended is one entry in `ended`, which
the reader empties on his thread, and a ring at his bell. A failure cancels at once what nobody will read any more. What
the pool's full queue does not take waits for the end of another call of the map.

Place: the loop's half of a map; the reader's half is mapping_engine.py.
"""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.core.group_leader import screen, screen_now
from beampy.core.request import ANSWERED, FAILED
from beampy.errors import NotInNode, PoolSaturated
from beampy.otp.task import end_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process
    from beampy.otp.rpc_call import RemoteCall
    from beampy.pool.options import CallOptions
    from beampy.pool.starting import Starter

CHUNK = 0.001  # seconds of taking and starting items at a stretch; as long as the scheduler's budget for a turn

NOTE, STOPPED = -1, -2  # in the place of an item's number: look again; it was cancelled

INPUT: Any = object()  # in the place of a value: the error is the input's, not an item's

Ended = tuple[int, BaseException | None, Any]  # an item's number, its failure, its value


class Calls:
    """The calls of one map. All but `post`, `ring` and `ended` is the loop's alone."""

    __slots__ = (
        "attached",
        "broken",
        "clock",
        "closed",
        "context",
        "ended",
        "errors_too",
        "fn",
        "held",
        "inbox",
        "live",
        "me",
        "node",
        "options",
        "ordered",
        "pool",
        "posted",
        "screen",
        "waker",
    )

    def __init__(
        self, pool: Starter, me: Process, fn: Any, options: CallOptions, ordered: bool, errors_too: bool
    ) -> None:
        self.pool = pool
        self.me = me
        self.node = me.node
        self.clock = me._scheduler.clock  # the loop's own has steps of a millisecond on uvloop
        self.fn = fn
        self.options = options
        self.ordered = ordered
        self.errors_too = errors_too
        self.context = copy_context()
        self.screen = screen_now()  # of who made the map: all its items appear there, whoever reads on
        self.live: dict[RemoteCall, int] = {}
        self.ended: deque[Ended] = deque()
        self.inbox: deque[tuple[int, tuple[Any, ...]]] = deque()  # at most as many as may be under way
        self.held: deque[tuple[int, tuple[Any, ...]]] = deque()  # the pool took no more; at most as many, too
        self.posted = False  # the loop will look into the inbox
        self.attached = False
        self.broken: int | None = None  # the first item, by number, that has failed: what comes after it is not wanted
        self.closed = False
        self.waker: Callable[[], object] | None = None  # of the reader, who waits

    # on any thread

    def post(self, index: int, args: tuple[Any, ...]) -> None:
        """Start item `index`."""
        if self.node.thread == get_ident():
            self.start(index, args)
            return
        self.inbox.append((index, args))
        if not self.posted:
            self.posted = True
            self.on_loop(self.take)

    def on_loop(self, fn: Callable[[], object]) -> None:
        """Have the loop do it."""
        try:
            self.node.loop.call_soon_threadsafe(fn)
        except RuntimeError:
            raise NotInNode("pool.map") from None

    def ring(self) -> None:
        """There may be something to do for the reader."""
        waker, self.waker = self.waker, None
        if waker is not None:
            waker()

    # on the loop

    def take(self) -> None:
        """Start what was posted, and let others have their turn now and then."""
        self.posted = False
        clock, inbox = self.clock, self.inbox
        stop_at = clock() + CHUNK
        while inbox:
            self.start(*inbox.popleft())
            if clock() >= stop_at and inbox:
                self.posted = True
                self.node.loop.call_soon(self.take)
                return

    def start(self, index: int, args: tuple[Any, ...]) -> None:
        """Start a call. With the pool's queue full, as soon as one of ours has ended."""
        if self.closed or (self.broken is not None and index > self.broken):
            return
        if self.held:
            self.held.append((index, args))
            return
        if not self.attached:
            self.attached = True
            if self.options.link:
                end_with(self.me, self)
        token = screen.set(self.screen)
        try:
            call = self.pool._start(self.me, self.fn, args, {}, self.options)
        except Exception as error:
            self.failed(index, error)
            return
        finally:
            screen.reset(token)
        if call._state == FAILED and self.live and isinstance(call.exception(), PoolSaturated):
            self.held.append((index, args))
        else:
            self.live[call] = index
            call.add_done_callback(self.end, context=self.context)

    def end(self, call: RemoteCall) -> None:
        """A call has ended."""
        index = self.live.pop(call, None)
        if index is None:
            return
        if call._state == ANSWERED:
            self.ended.append((index, None, call._outcome))
            self.ring()
        elif call.cancelled():  # by the end of its process
            self.failed(index, call._make_cancelled_error())
        else:
            error = call.exception()
            assert error is not None
            self.failed(index, error)
        if self.held:
            held, self.held = self.held, deque()
            while held:
                self.start(*held.popleft())

    def failed(self, index: int, error: BaseException) -> None:
        """An item has failed: unless that is a result like others, what comes after it ends now."""
        self.ended.append((index, error, None))
        if not self.errors_too or not isinstance(error, Exception):
            if not self.ordered:
                self.broken = -1
            elif self.broken is None or index < self.broken:
                self.broken = index
            if self.broken is not None:
                self.cut(self.broken)
        self.ring()

    def cut(self, after: int) -> None:
        """Cancel all items behind number `after`."""
        unwanted = [call for call, index in self.live.items() if index > after]
        for call in unwanted:
            del self.live[call]
        for call in unwanted:
            call._seen = True  # one that has failed meanwhile is not the failure of this map
            call.cancel()

    def cancel(self) -> None:
        """The end: all that is in flight is cancelled. Also called when the process ends that called."""
        if self.closed:
            return
        self.closed = True
        self.cut(-1)
        self.inbox.clear()
        self.held.clear()
        extras = self.me._extras
        if extras is not None and extras.tasks:
            tasks: set[Any] = extras.tasks
            tasks.discard(self)
        self.ended.append((STOPPED, None, None))
        self.ring()

    def __hash__(self) -> int:
        return self.me.pid.serial  # not by address: sets of them have the same order in every run

    def __eq__(self, other: object) -> bool:
        return self is other
