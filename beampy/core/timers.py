"""Time: messages sent later, and deadlines of calls and receives.

Two mechanisms, because their lives differ. A *timer* (`send_after`) usually goes off: it is one event-loop timer.
A *deadline* (a call's timeout, receive's, a grace period) usually does not: it is one dict entry in a bucket of
equal durations. Within a bucket deadlines expire in the order they were added, so a bucket needs one loop timer
for its first entry and no heap; adding and dropping a deadline are two dict operations.

Benchmarks: benchmarks/timers.py, benchmarks/call.py.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from beampy.core.ids import Pid, Ref

if TYPE_CHECKING:
    import asyncio

    from beampy.core.node import LocalNode
    from beampy.core.process import Process

FEW_BUCKETS = 64  # durations in use at once before empty buckets are looked for; most programs have under ten


class Rings(Protocol):
    """What a deadline wakes."""

    def ring(self) -> None: ...


class Bucket(dict[Any, float]):
    """All pending deadlines of one duration, soonest first: what rings -> when."""

    __slots__ = ("handle", "loop", "owner", "seconds")

    def __init__(self, owner: Deadlines, seconds: float) -> None:
        super().__init__()
        self.owner = owner
        self.loop = owner.loop
        self.seconds = seconds
        self.handle: asyncio.TimerHandle | None = None

    def fire(self) -> None:
        """Ring what is due; then sleep until the next one, or go when there is none."""
        now = self.loop.time() + self.owner.slack
        due = []
        for what, when in self.items():
            if when > now:
                break
            due.append(what)
        try:
            for what in due:
                # An earlier ring may have dropped this one.
                if self.pop(what, None) is not None:
                    what.ring()
        finally:
            # Not before: a ring may have added to this very bucket.
            if self:
                self.handle = self.loop.call_at(next(iter(self.values())), self.fire, context=Context())
            elif self.owner.buckets.get(self.seconds) is self:
                del self.owner.buckets[self.seconds]


class Deadlines:
    """The buckets of one node."""

    __slots__ = ("buckets", "loop", "most", "slack")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.slack = 1e-6  # call_at may fire a clock's resolution early
        self.buckets: dict[float, Bucket] = {}
        self.most = FEW_BUCKETS

    def add(self, seconds: float, what: Rings) -> Bucket:
        """`what.ring()` in `seconds`, unless it is popped from the returned bucket before."""
        bucket = self.buckets.get(seconds)
        if bucket is None:
            if len(self.buckets) >= self.most:
                self._sweep()
            bucket = self.buckets[seconds] = Bucket(self, seconds)
        bucket[what] = when = self.loop.time() + seconds
        if bucket.handle is None:
            # Not the context of who is first: it would keep his process, and what that raised, as long as the bucket.
            bucket.handle = self.loop.call_at(when, bucket.fire, context=Context())
        return bucket

    def drop(self, seconds: float, what: Rings) -> None:
        """`what` will not ring."""
        bucket = self.buckets.get(seconds)
        if bucket is not None:
            bucket.pop(what, None)

    def _sweep(self) -> None:
        """Drop the empty buckets before their timers do: who computes each timeout gets a new bucket each time."""
        for bucket in list(self.buckets.values()):
            if not bucket:
                if bucket.handle is not None:
                    bucket.handle.cancel()
                del self.buckets[bucket.seconds]
        self.most = max(FEW_BUCKETS, 2 * len(self.buckets))

    def close(self) -> None:
        """Forget all of them."""
        for bucket in self.buckets.values():
            if bucket.handle is not None:
                bucket.handle.cancel()
        self.buckets.clear()


class Alarm:
    """The deadline of one receive: wakes its process and remembers that it rang."""

    __slots__ = ("bucket", "process", "rang")

    def __init__(self, process: Process, seconds: float) -> None:
        self.process = process
        self.rang = seconds <= 0
        self.bucket = None if self.rang else process.node.deadlines.add(seconds, self)

    def ring(self) -> None:
        self.rang = True
        self.process.alarmed()

    def cancel(self) -> None:
        if self.bucket is not None:
            self.bucket.pop(self, None)


class Timers:
    """The messages a node will send later, by ref."""

    __slots__ = ("node", "pending")

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.pending: dict[Ref, asyncio.TimerHandle] = {}

    def start(self, ref: Ref, seconds: float, dest: Any, message: Any) -> None:
        """Send `message` to `dest` in `seconds`.

        A timer to a pid goes when the process ends; a name is looked up when the time has come.
        """
        loop = self.node.loop
        self.pending[ref] = loop.call_at(loop.time() + seconds, self._fire, ref, dest, message)
        if dest.__class__ is Pid and (target := self.node.find(dest)) is not None:
            target.extras().own_timers().add(ref)
            ref._holder = target  # so that the timer can be taken off its list; nothing is ever sent to this ref

    def cancel(self, ref: Ref) -> float | None:
        """Seconds that were left, or None: it went off before, or never was."""
        entry = self._forget(ref)
        if entry is None:
            return None
        entry.cancel()
        due = getattr(entry, "when", None)  # uvloop's has none when it was due as it was made
        return 0.0 if due is None else max(0.0, due() - self.node.loop.time())

    def close(self) -> None:
        for handle in self.pending.values():
            handle.cancel()
        self.pending.clear()

    def _forget(self, ref: Ref) -> asyncio.TimerHandle | None:
        handle = self.pending.pop(ref, None)
        if handle is not None and ref._holder is not None:
            extras, ref._holder = ref._holder._extras, None
            if extras is not None and extras.timers:
                extras.timers.discard(ref)
        return handle

    def _fire(self, ref: Ref, dest: Any, message: Any) -> None:
        self._forget(ref)
        self.node.send_quietly(dest, message)
