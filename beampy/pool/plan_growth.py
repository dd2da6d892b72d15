"""How a plan gets machines: what is wanted, what is missing, and what to do when boots fail.

Rule: all that is missing is booted at once, and never more than max machines are there in any state. While a round of
failures is waited out nothing is booted, and afterwards all that is wanted is: growth never shrinks to one at a time.
Place: between `plan_fleet.py` and `plan.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.pool.plan_actions import Boot, Reject
from beampy.pool.plan_fleet import Fleet
from beampy.pool.plan_rounds import Rounds
from beampy.pool.scaling import Load, demand

if TYPE_CHECKING:
    from beampy.pool.plan_limits import Limits

YOUNG = 5.0  # seconds: what ends a machine at its start (a bad image, a bad environment) does so within a few


class Growth(Fleet):
    """A fleet that grows."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.why: Any = None
        self.strategy_error: Exception | None = None
        self._boot = 0  # the latest
        self._floor = limits.min  # min, less those of them that have gone idle
        self._failed_rounds = 0  # of the `boot_rounds` that there are
        self._failures = Rounds(limits.backoff, limits.max_backoff)
        self._crashes = Rounds(limits.backoff, limits.max_backoff)

    @property
    def failed_rounds(self) -> int:
        """Rounds of boots that have failed since the last boot that succeeded."""
        return self._failures.count

    def _wanted(self, now: float) -> int:
        """Runners that there should be. While calls wait that is one at least, whatever a strategy says."""
        load = self.load()
        wanted, floor = self._advised(load), self._floor
        if now < self._crashes.until:
            self.due = min(self.due, self._crashes.until)
            wanted, floor = min(wanted, demand(load)), 0
        return min(max(wanted, floor, 1 if load.waiting else 0), self.limits.max)

    def _advised(self, load: Load) -> int:
        """What the strategy says."""
        if self.limits.strategy is not None:
            try:
                return int(self.limits.strategy(load))
            except Exception as error:
                self.strategy_error = error
        return demand(load)

    def _grow(self, now: float) -> None:
        """Boot what is missing."""
        room = self.limits.max - len(self._runners) - len(self._boots)
        if room <= 0 or self.stopped_at is not None:
            return
        if now < self._failures.until:
            self.due = min(self.due, self._failures.until)
            return
        missing = self._wanted(now) - len(self._slots) - len(self._boots)
        until = now + self.limits.boot_timeout
        for _ in range(min(missing, room)):
            self._boot += 1
            self._boots[self._boot] = until
            self.actions.append(Boot(self._boot))
            self.due = min(self.due, until)

    def _failed(self, boot: int, why: Any, now: float) -> None:
        """A boot that is no longer among the boots has failed."""
        self.why = why
        if self._failures.failed(boot, self._boot + 1, now):
            self._failed_rounds += 1
        under_way = next(reversed(self._boots), -1) >= self._failures.start  # of this round
        if self._failed_rounds < self.limits.boot_rounds or under_way:
            return
        self._failed_rounds = 0
        if any(runner.state in ("up", "asked", "away") for runner in self._runners.values()):
            return  # that one may take them yet
        for call in self._queue.in_order():
            self._queue.remove(call)
            self.actions.append(Reject(call, why))
