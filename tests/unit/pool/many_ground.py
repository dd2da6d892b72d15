"""What tests of many calls stand on: a pool that is none. It runs functions here, when and in the order it is told."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from beampy import api
from beampy.core.current import here
from beampy.core.request import ANSWERED, WAITING
from beampy.errors import PoolClosed, PoolSaturated
from beampy.otp.stream_engine import Bell
from beampy.pool import mapping_engine
from beampy.pool.mapping import Mapped
from beampy.pool.options import CallOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process

OPTIONS = CallOptions(timeout=None)
BOTH = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that there is room for is taken at a stretch, on a busy machine too."""
    monkeypatch.setattr(mapping_engine, "CHUNK", 10.0)


class FakeCall(Bell):
    """A call of the fake pool."""

    callee = "here"
    _seen = False

    def __init__(self, pool: FakePool, me: Process, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(me)
        self.pool = pool
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self._sent = False

    def finish(self) -> None:
        """Run it now."""
        if self._state != WAITING:
            return
        try:
            self._outcome = self.fn(*self.args, **self.kwargs)
        except Exception as error:
            self._fail(error)
        else:
            self._settle(ANSWERED)

    def _settle(self, state: int) -> None:
        super()._settle(state)
        self.pool.ended(self)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class FakePool:
    """At most `width` calls run at once, each for `delay()` seconds; with no delay, until the test says `finish`."""

    def __init__(self, width: int = 4, delay: Callable[[], float] | None = None, max_queue: int = 1000) -> None:
        self.node = api.self_process().node
        self.width = width
        self.delay = delay
        self.max_queue = max_queue
        self.waiting: deque[FakeCall] = deque()
        self.running: dict[FakeCall, None] = {}
        self.started: list[Any] = []  # the arguments of all calls, as they were made
        self.cancelled: list[Any] = []
        self.most = 0  # calls that there were at once
        self.threads: set[int] = set()
        self.closed = False

    def _start(
        self, me: Process, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Any, items: Any = None
    ) -> Any:
        self.threads.add(threading.get_ident())
        call = FakeCall(self, me, fn, args, kwargs)
        if self.closed:
            call._fail(PoolClosed("fake"))
        elif len(self.running) >= self.width and len(self.waiting) >= self.max_queue:
            call._fail(PoolSaturated("fake", len(self.waiting), self.max_queue))
        else:
            self.started.append(args)
            self.waiting.append(call)
            self.most = max(self.most, len(self.waiting) + len(self.running))
            self.place()
        return call

    def _caller(self, verb: str) -> Process:
        return here(verb)

    def _off_loop(self, me: Process) -> bool:
        return me.node.thread != threading.get_ident()

    def _width(self) -> int:
        if self.closed:
            raise PoolClosed("fake")
        return self.width

    def place(self) -> None:
        while self.waiting and len(self.running) < self.width:
            call = self.waiting.popleft()
            if call._state == WAITING:
                self.running[call] = None
                call._sent = True
                if self.delay is not None:
                    self.node.loop.call_later(self.delay(), call.finish)

    def ended(self, call: FakeCall) -> None:
        if call.cancelled():
            self.cancelled.append(call.args)
        if call in self.waiting:
            self.waiting.remove(call)
        self.running.pop(call, None)
        self.place()

    def finish(self, *args: Any) -> None:
        """End the call with these arguments."""
        next(call for call in self.running if call.args == args).finish()

    def close(self) -> None:
        """As a pool that is stopped: all of its calls fail."""
        self.closed = True
        for call in [*self.running, *self.waiting]:
            call._fail(PoolClosed("fake"))


def mapped(
    pool: FakePool,
    fn: Any,
    *iterables: Any,
    ordered: bool = True,
    max_in_flight: int | None = None,
    return_exceptions: bool = False,
) -> Mapped[Any]:
    return Mapped(pool, fn, iterables, ordered, max_in_flight, return_exceptions, OPTIONS)


def square(n: int) -> int:
    return n * n


def odd_fails(n: int) -> int:
    if n % 2:
        raise ValueError(n)
    return n


def at_once() -> float:
    return 0.0


async def turns(n: int = 5) -> None:
    """Let the loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)
