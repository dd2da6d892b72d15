"""When a pool is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beampy.notebook.pool_watch import PoolWatch


class Timer:
    """A timer as uvloop gives one that is due at once: it does not say when."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Manager:
    """A pool's, and its loop."""

    name = "p"

    def __init__(self) -> None:
        self.loop = self
        self.timers: list[tuple[float, Timer]] = []

    def clock(self) -> float:
        return 0.0

    def time(self) -> float:
        return 100.0

    def call_soon_threadsafe(self, fn: Callable[[], object]) -> None: ...

    def call_at(self, when: float, fn: Callable[[], object]) -> Timer:
        self.timers.append((when, Timer()))
        return self.timers[-1][1]


def test_the_earliest_look_counts() -> None:
    manager: Any = Manager()
    watch = PoolWatch(manager)
    for seconds in (5.0, 1.0, 2.0, 0.0, 0.0, 1.0):
        watch.soon(seconds)
    assert [when for when, _ in manager.timers] == [105.0, 101.0, 100.0]
    assert [timer.cancelled for _, timer in manager.timers] == [True, True, False]
