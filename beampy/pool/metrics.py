"""Metrics: what a pool has done and how long it took, as numbers that only grow, and how it is now.

Rule: what is counted on the way of a call is two updates, one when it is sent and one when it has ended; all else is
worked out when somebody asks. Times are kept as histograms with fixed buckets, each √2 times as wide as the one before
it, so their percentiles are right to within a fifth. How the pool is at the moment it says itself, as `Gauges`.

Times are seconds. It has no clock: whoever tells it something says when, by any clock that does not go back.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST = 1e-5  # seconds; below the time that any call takes
# Up to a day, all but some minutes. A call or a wait that is longer is in the last bucket.
BOUNDS = tuple(FIRST * 2 ** (half / 2) for half in range(67))
HOUR = 3600.0

OUTCOMES = ("ok", "error", "timeout", "cancelled", "lost", "rejected")


class Gauges(NamedTuple):
    """How a pool is now. `slots` of all runners, `running_seconds`: the ages of the calls that run, together."""

    waiting: int = 0
    running: int = 0
    runners: int = 0
    booting: int = 0
    zombies: int = 0
    slots: int = 0
    running_seconds: float = 0.0


class Histogram:
    """How often a time was how long.

    >>> times = Histogram()
    >>> for seconds in (0.1, 0.1, 0.1, 2.0):
    ...     times.add(seconds)
    >>> times.count, round(times.total, 1), 0.08 < times.percentile(50) < 0.12
    (4, 2.3, True)
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def percentile(self, percent: float) -> float | None:
        """The time that `percent` of all did not exceed; None where there was none. Within a bucket it is a guess."""
        rank = self.count * percent / 100
        if not self.total and not self.count:
            return None
        below = 0
        for at, count in enumerate(self.counts):
            if count and below + count >= rank:
                least = BOUNDS[at - 1] if at else 0.0
                most = BOUNDS[at] if at < len(BOUNDS) else 2 * least
                return least + (most - least) * (rank - below) / count
            below += count
        return None

    def summary(self) -> dict[str, float | int | None]:
        """For people."""
        count = self.count
        return {
            "count": count,
            "mean": self.total / count if count else None,
            "p50": self.percentile(50),
            "p90": self.percentile(90),
            "p99": self.percentile(99),
        }


class Metrics:
    """The numbers of one pool. The pool's own thread updates them; any may read a snapshot.

    `gauges()` says how the pool is now, and is called where a snapshot is taken.
    """

    def __init__(self, pool: str = "pool", gauges: Callable[[], Gauges] = Gauges) -> None:
        self.pool = pool
        self.gauges = gauges
        self.outcomes: dict[str, int] = {outcome: 0 for outcome in OUTCOMES}  # noqa: C420  -- of any text
        self.retries = 0
        self.saturated = 0
        self.boots = 0
        self.boot_failures = 0
        self.losses = 0  # runners that ended unasked
        self.waits = Histogram()
        self.runs = Histogram()
        self.boot_times = Histogram()
        self._up: dict[str, tuple[float, int, float | None]] = {}  # runner → since when, slots, price of an hour
        self._slot_seconds = 0.0  # of runners that have ended
        self._runner_seconds = 0.0
        self._cost = 0.0
        self._unpriced = 0  # runners whose price nobody knows

    # on the way of a call

    def started(self, waited: float) -> None:
        """A call was sent to a runner, `waited` seconds after it was made."""
        waits = self.waits
        waits.counts[bisect_left(BOUNDS, waited)] += 1
        waits.total += waited

    def finished(self, outcome: str, seconds: float) -> None:
        """A call that had been sent has ended, `seconds` after that, with one of OUTCOMES."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        runs = self.runs
        runs.counts[bisect_left(BOUNDS, seconds)] += 1
        runs.total += seconds

    def dropped(self, outcome: str) -> None:
        """A call that had not been sent has ended."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def retried(self, seconds: float) -> None:
        """An attempt that had been sent has ended after that time, and the call is run again."""
        self.retries += 1
        self.runs.add(seconds)

    # runners

    def up(self, runner: str, slots: int, booted: float, price: float | None, now: float) -> None:
        """A runner takes calls, `booted` seconds after it was asked for. `price`: of an hour; None: not known."""
        self.boot_times.add(booted)
        self._up[runner] = (now, slots, price)
        if price is None:
            self._unpriced += 1

    def down(self, runner: str, now: float, *, lost: bool = False) -> None:
        """A runner has ended; `lost`: unasked. What was never up, or has ended, is not counted again."""
        entry = self._up.pop(runner, None)
        if entry is None:
            return
        self.losses += lost
        runner_seconds, slot_seconds, cost = _used(entry, now)
        self._runner_seconds += runner_seconds
        self._slot_seconds += slot_seconds
        self._cost += cost

    # reading

    def snapshot(self, now: float) -> dict[str, Any]:
        """All of it, as plain values.

        `utilisation`: seconds of slots that calls ran in, of all that there were, 0 to 1; None before there were any.
        `cost`: what the runners cost until now; None where the price of one is not known.
        """
        gauges = self.gauges()
        runner_seconds, slot_seconds, cost = self._runner_seconds, self._slot_seconds, self._cost
        for entry in list(self._up.values()):
            used = _used(entry, now)
            runner_seconds += used[0]
            slot_seconds += used[1]
            cost += used[2]
        busy = self.runs.total + gauges.running_seconds
        return {
            "pool": self.pool,
            "calls": {**self.outcomes, "total": sum(self.outcomes.values())},
            "retries": self.retries,
            "saturated": self.saturated,
            "boots": self.boots,
            "boot_failures": self.boot_failures,
            "losses": self.losses,
            "waiting": gauges.waiting,
            "running": gauges.running,
            "runners": gauges.runners,
            "booting": gauges.booting,
            "zombies": gauges.zombies,
            "slots": gauges.slots,
            "queue_seconds": self.waits.summary(),
            "boot_seconds": self.boot_times.summary(),
            "run_seconds": self.runs.summary(),
            "busy_seconds": busy,
            "slot_seconds": slot_seconds,
            "runner_seconds": runner_seconds,
            "utilisation": min(1.0, busy / slot_seconds) if slot_seconds else None,
            "cost": None if self._unpriced else cost,
        }

    def prometheus(self, now: float) -> str:
        """The same in Prometheus' text format, version 0.0.4. Serve it as `text/plain; version=0.0.4`."""
        return "".join(f"{text}\n" for text in self._prometheus(self.snapshot(now)))

    def _prometheus(self, now: dict[str, Any]) -> Iterator[str]:
        pool = f'pool="{_escaped(self.pool)}"'
        yield "# HELP beampy_pool_calls_total Calls that have ended, by outcome."
        yield "# TYPE beampy_pool_calls_total counter"
        for outcome, count in self.outcomes.items():
            yield f'beampy_pool_calls_total{{{pool},outcome="{_escaped(outcome)}"}} {count}'
        for name, key, help in COUNTERS:
            if now[key] is not None:
                yield f"# HELP beampy_pool_{name} {help}"
                yield f"# TYPE beampy_pool_{name} counter"
                yield f"beampy_pool_{name}{{{pool}}} {now[key]}"
        for key, help in GAUGES:
            yield f"# HELP beampy_pool_{key} {help}"
            yield f"# TYPE beampy_pool_{key} gauge"
            yield f"beampy_pool_{key}{{{pool}}} {now[key]}"
        for name, times, help in (
            ("queue", self.waits, "from a call being made to its being sent to a runner"),
            ("boot", self.boot_times, "from a runner being asked for to its taking calls"),
            ("run", self.runs, "from a call being sent to its end"),
        ):
            metric = f"beampy_pool_{name}_seconds"
            yield f"# HELP {metric} Seconds {help}."
            yield f"# TYPE {metric} histogram"
            below = 0
            counts = list(times.counts)
            for at, bound in enumerate(BOUNDS):
                below += counts[at]
                if at % 2 == 0:  # powers of two are fine enough to draw, and half as many lines
                    yield f'{metric}_bucket{{{pool},le="{bound:g}"}} {below}'
            below += counts[-1]
            yield f'{metric}_bucket{{{pool},le="+Inf"}} {below}'
            yield f"{metric}_sum{{{pool}}} {times.total}"
            yield f"{metric}_count{{{pool}}} {below}"


COUNTERS = (
    ("retries_total", "retries", "Attempts of calls after their first."),
    ("saturated_total", "saturated", "Calls refused since too many waited."),
    ("boots_total", "boots", "Machines asked for."),
    ("boot_failures_total", "boot_failures", "Machines that did not come up."),
    ("losses_total", "losses", "Runners that ended unasked."),
    ("busy_seconds_total", "busy_seconds", "Seconds that calls have run, together."),
    ("slot_seconds_total", "slot_seconds", "Seconds that slots were there, together."),
    ("runner_seconds_total", "runner_seconds", "Seconds that runners were there, together."),
    ("cost_total", "cost", "What runners have cost, in the currency of the backend's prices."),
)
GAUGES = (
    ("waiting", "Calls that wait for a slot."),
    ("running", "Calls that run."),
    ("runners", "Runners that take calls."),
    ("booting", "Machines that were asked for and are not up."),
    ("zombies", "Slots held by code that nobody waits for."),
    ("slots", "Slots of all runners."),
)


def _used(entry: tuple[float, int, float | None], now: float) -> tuple[float, float, float]:
    """Runner-seconds, slot-seconds and cost of a runner until now."""
    since, slots, price = entry
    seconds = max(0.0, now - since)
    return seconds, seconds * slots, seconds / HOUR * (price or 0.0)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
