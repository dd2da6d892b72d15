"""Telling: what a pool says of itself as it works, to its metrics, its events and its output.

Rule: one method for each thing that happens; the manager and its parts call them and know nothing of who listens.

The screen of a call (core/group_leader.py) may have `heard(telling, call, what)`: it is told of the call's way, on
the node's thread, with what in "queued", "started", "progress", "retried" and "finished". `watching`: functions that
are told `(what, runner, why)` of runners, with what in "up", "lost", "failed" (it never came) and "ended". Neither may
take long.
"""

from __future__ import annotations

import logging
from collections import deque
from time import time
from typing import TYPE_CHECKING, Any

from beampy.pool import events
from beampy.pool.metrics import Metrics
from beampy.pool.output import PoolOutput
from beampy.pool.progress import CallProgress, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.errors import RunnerLost
    from beampy.pool.call import PoolCall
    from beampy.pool.metrics import Gauges
    from beampy.pool.record import Runner

log = logging.getLogger("beampy.pool")

ENDED = 8  # calls that have ended whose curves are still shown: about what a terminal has room for


class Telling:
    """The metrics, events and output of one pool. `clock` is the loop's, on which durations are measured."""

    def __init__(
        self, pool: str, gauges: Callable[[], Gauges], clock: Callable[[], float], prefix: bool | Callable[..., str]
    ) -> None:
        self.pool = pool
        self.clock = clock
        self.metrics = Metrics(pool, gauges)
        self.events = events.Events()
        self.output = PoolOutput(prefix=prefix)
        self.watching: list[Callable[[str, str, str], object]] = []  # one or two: whoever shows the pool
        self.ended: deque[tuple[str, int, CallProgress]] = deque(maxlen=ENDED)  # whose progress is still shown

    # calls

    def queued(self, call: PoolCall, waiting: int) -> None:
        """It waits."""
        if self.events.active:
            self.events.emit(events.Queued(time(), call.number, waiting))
        if call.heard is not None:
            call.heard(self, call, "queued")

    def saturated(self, waiting: int, limit: int) -> None:
        """One was refused."""
        self.metrics.saturated += 1
        if self.events.active:
            self.events.emit(events.Saturated(time(), waiting, limit))

    def started(self, call: PoolCall, runner: Runner) -> None:
        """It was sent."""
        now = self.clock()
        call.started_at = now
        waited = now - call.made
        self.metrics.started(waited)
        if self.events.active:
            self.events.emit(events.Started(time(), call.number, runner.label, waited))
        if call.output is not None:
            call.output.moved(runner.label)
        if call.heard is not None:
            call.label = runner.label  # where it is about to be
            call.heard(self, call, "started")

    def said(self, call: PoolCall, label: str, message: Any) -> None:
        """Its code printed, logged or reported something."""
        if message.__class__ is Report:
            if call.progress is None:
                call.progress = CallProgress()
            call.progress.take(message, self.clock())
            if call.heard is not None:
                call.heard(self, call, "progress")
            return
        if call.output is None:
            call.output = self.output.of_call(call.number, label, call.channel, call.screen)
        call.output.take(message)

    def finished(self, call: PoolCall) -> None:
        """It has ended for its caller."""
        outcome = call.outcome()
        seconds = 0.0
        if call.started_at is None:
            self.metrics.dropped(outcome)
        else:
            seconds = self.clock() - call.started_at
            self.metrics.finished(outcome, seconds)
        if call.output is not None:
            call.output.end()
        if call.progress is not None:
            self.ended.append((call.label or "", call.number, call.progress))
        if call.place is not None and outcome not in ("ok", "cancelled"):
            call.place.owner.failed += 1
        if self.events.active:
            self.events.emit(events.Finished(time(), call.number, call.label, seconds, outcome))
        if call.heard is not None:
            call.heard(self, call, "finished")

    def retried(self, call: PoolCall, delay: float, why: str) -> None:
        """It is run again."""
        self.metrics.retried(0.0 if call.started_at is None else self.clock() - call.started_at)
        if self.events.active:
            self.events.emit(events.Retried(time(), call.number, call.attempts + 1, delay, why))
        if call.heard is not None:
            call.heard(self, call, "retried")
        call.progress = None  # the next attempt begins its own

    def zombie(self, call: PoolCall, runner: Runner, zombies: int) -> None:
        """Its code runs on, and nobody waits."""
        if self.events.active:
            self.events.emit(events.Zombie(time(), runner.label, call.number, zombies))

    # runners

    def boot(self, runner: Runner, booting: int) -> None:
        """A machine was asked for."""
        self.metrics.boots += 1
        if self.events.active:
            self.events.emit(events.BootStarted(time(), runner.label, booting))

    def boot_failed(self, runner: Runner, why: str) -> None:
        """It did not come up."""
        self.metrics.boot_failures += 1
        if self.events.active:
            self.events.emit(events.BootFailure(time(), runner.label, self.clock() - runner.asked_at, why))
        self._watched("failed", runner.label, why)

    def up(self, runner: Runner, slots: int, price: float | None) -> None:
        """It takes calls."""
        now = self.clock()
        self.metrics.up(runner.label, slots, now - runner.asked_at, price, now)
        if self.events.active:
            self.events.emit(events.RunnerUp(time(), runner.label, now - runner.asked_at))
        self._watched("up", runner.label)

    def retired(self, runner: Runner) -> None:
        """It is to end."""
        if self.events.active:
            self.events.emit(events.Retired(time(), runner.label, runner.why or "stop"))

    def down(self, runner: Runner, error: RunnerLost, *, lost: bool) -> None:
        """It has ended."""
        self.metrics.down(runner.label, self.clock(), lost=lost)
        self.output.runner_ended(runner.label)
        if self.events.active:
            told = events.RunnerDown(time(), runner.label, error.cause, lost, error.status, error.oom)
            self.events.emit(told)
        self._watched("lost" if lost else "ended", runner.label, error.cause)

    def _watched(self, what: str, runner: str, why: str = "") -> None:
        for fn in tuple(self.watching):
            try:
                fn(what, runner, why)
            except Exception:
                log.exception("pool %s: a watcher failed, and hears no more", self.pool)
                self.watching.remove(fn)

    def scaled(self, least: int, most: int) -> None:
        """Its limits were changed."""
        if self.events.active:
            self.events.emit(events.Scaled(time(), least, most))
