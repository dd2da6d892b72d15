"""The runners, boots and calls of a plan, and the moves that runners make between the states of their lives.

Rule: a call is in the queue or on one runner's slot, and a runner that is up takes calls while any wait. Each move
keeps that, and the counts; why a move is made is not decided here.

        booted                  idle, `Retire`                 may end, `Stop`
    boot ────→ up ───────────────────────→ asked ────────────────────────→ stopping ────→ gone
               │ ↑ ←──────────────────────── may not, or is needed             ↑
               │ └──── away: its connection is lost, or it is back             │
               └──→ ending: never used again, `Retire` until it may end, ──────┘  or its time is over

Place: under `plan_growth.py`, which adds machines, and `plan.py`, which has the events.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from beampy.pool.plan_actions import Action, Place, Retire, Stop
from beampy.pool.plan_load import Runner, Slots
from beampy.pool.plan_queue import Queue
from beampy.pool.scaling import Load

if TYPE_CHECKING:
    from beampy.pool.plan_limits import Limits


class Fleet:
    """What a plan has. See `Plan` for what users of it may read."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.actions: list[Action] = []
        self.due = inf  # `tick` then; it may be early
        self.stopped_at: float | None = None
        self._capacity = 1 if limits.single_use else limits.max_concurrency
        self._slots = Slots(self._capacity)
        self._queue = Queue()
        self._where: dict[int, Runner] = {}  # each call on a slot, its runner
        self._runners: dict[int, Runner] = {}
        self._boots: dict[int, float] = {}  # boot → when it is given up; in order
        self._busy = 0  # calls on runners that are up, and how many of those were cancelled
        self._zombies = 0
        self._single_use = limits.single_use
        self._soonest_idle = min(inf if t is None else t for t in (limits.idle_after, limits.min_idle_after))

    @property
    def waiting(self) -> int:
        """Calls without a slot."""
        return len(self._queue)

    @property
    def booting(self) -> int:
        """Machines under way."""
        return len(self._boots)

    @property
    def up(self) -> int:
        """Runners that take calls."""
        return len(self._slots)

    @property
    def machines(self) -> int:
        """All that count against max."""
        return len(self._runners) + len(self._boots)

    def runner_of(self, call: int) -> int | None:
        """Whose slot it has."""
        runner = self._where.get(call)
        return None if runner is None else runner.id

    def load(self) -> Load:
        """As strategies see it."""
        limits, zombies = self.limits, self._zombies
        up, boots = len(self._slots), len(self._boots)
        running = self._busy - zombies
        return Load(len(self._queue), running, zombies, up, boots, self._capacity, limits.min, limits.max)

    def take_actions(self) -> list[Action]:
        """What is to be done now, once."""
        actions, self.actions = self.actions, []
        return actions

    # --- runners, in and out of use ---

    def _use(self, runner: Runner, now: float) -> None:
        """It takes calls: first those that wait."""
        runner.state, runner.asked, runner.since = "up", False, now
        while self._queue and len(runner.calls) < self._capacity:
            call = self._queue.take()
            runner.calls.add(call)
            runner.used = True
            self._where[call] = runner
            self.actions.append(Place(call, runner.id))
        self._busy += len(runner.calls)
        self._zombies += len(runner.zombies)
        self._slots.add(runner)
        if not runner.calls:
            self.due = min(self.due, now + self._soonest_idle)
        if self._soonest_idle < inf and len(self._slots) > self.limits.min:
            self.due = min(self.due, now)  # one that min has held may go now

    def _unuse(self, runner: Runner) -> None:
        """It takes none, and keeps those that it has."""
        if runner.state == "up":
            self._slots.remove(runner)
            self._busy -= len(runner.calls)
            self._zombies -= len(runner.zombies)

    def _strip(self, runner: Runner) -> list[int]:
        """It has no calls any more."""
        self._unuse(runner)
        calls = sorted(runner.calls)
        for call in calls:
            del self._where[call]
        runner.calls.clear()
        runner.zombies.clear()
        return calls

    def _end(self, runner: Runner, why: str, now: float) -> None:
        """It is never used again, and ends when nothing is left on it."""
        self._unuse(runner)
        asked = runner.state == "asked"
        runner.state, runner.why, runner.deadline = "ending", why, inf
        if runner.calls:
            runner.deadline = now + self.limits.shutdown_timeout
            self.due = min(self.due, runner.deadline)
        if not asked:
            self._ask(runner)

    def _ask(self, runner: Runner) -> None:
        runner.asked = True
        if self.stopped_at is None:
            self.actions.append(Retire(runner.id, runner.why))

    def _stop(self, runner: Runner, seconds: float, now: float) -> None:
        runner.state = "stopping"
        runner.deadline = now + seconds if seconds else inf
        self.due = min(self.due, runner.deadline)
        self.actions.append(Stop(runner.id, seconds))

    def _ended_leaving(self, runner: Runner) -> None:
        """A call has ended on a runner that is leaving."""
        if runner.state == "ending" and not runner.calls:
            runner.deadline = inf
            if not runner.asked:
                self._ask(runner)
