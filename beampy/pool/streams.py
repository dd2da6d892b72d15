"""PoolStream: the items of a generator that runs on a runner, as they come.

Rule: a stream of remote_call, over a call of the pool: it waits in the queue like any call, then items come from the
runner it got, at most a window of them ahead of the reader. A runner that is lost gives RunnerLost after the items that
have come. Retries run the generator again from its beginning, so there are none once an item was handed out; items that
came and were not handed out are forgotten then, and come again.

Place: what streams are is otp/rpc_stream.py's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

from beampy.otp.rpc_stream import Feed, RemoteStream, begun

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from beampy.core.ids import Ref
    from beampy.core.process import Process
    from beampy.otp.rpc_call import RemoteCall

T_co = TypeVar("T_co", covariant=True)


class PoolFeed(Feed):
    """What the reader of a pool's stream has. It is the holder of the ref that items are sent to."""

    handed = False  # an item was
    asked = False  # the reader waits for one

    async def next(self, most: int = 1) -> list[Any]:
        """The next items, which `again` cannot take back any more."""
        self.asked = True
        try:
            some = await super().next(most)
        finally:
            self.asked = False
        if some:
            self.handed = True
        return some

    def again(self) -> bool:
        """The call is about to be run another time: whether it may be. What came of this one is forgotten then."""
        decoding = self.asked and self.bell is None
        if self.handed or self.closed or decoding:
            return False
        self.arrived.clear()
        self.ready.clear()
        self.taken = 0
        self.items._holder = None  # some of the earlier run may be under way, and would be taken for the next one's
        self.process.node.exported.pop(self.items.id, None)
        self.items = items = self.process.node.new_ref()
        items._holder = self
        return True

    async def close(self) -> None:
        """End it. A generator that runs has ended when this returns; a call that waits for a runner is cancelled."""
        if self.call._sent:
            await super().close()
        else:
            self.drop()


class PoolStream(RemoteStream[T_co]):
    """The items of a generator on a runner: `async for`, or on other threads `for`.

    >>> async for row in pool.stream(rows_of, path):
    ...     print(row)
    """

    __slots__ = ()

    def __init__(self, process: Process, begin: Callable[[Ref], RemoteCall], what: str, window: int) -> None:
        self._what = what
        self._process = process
        self._window = window
        self._ahead: deque[T_co] = deque()
        self._feed: Feed = begun(process, lambda: PoolFeed(process, begin, window))

    def __repr__(self) -> str:
        state = "closed" if self._feed.closed else "open"
        return f"<PoolStream of {self._what} {state}>"
