"""The plan of a pool, pure: what happens in, what to do out.

Rule: every decision about growth, placement, waiting and retiring is made here. Time is an argument, in seconds of any
clock that does not go back. Place: the manager tells it all that happens, on one thread, and performs its `actions`,
in order. Not known here: how a machine is started, what a call is, who waits for it, which messages go where.

    happens                     decision
    ──────────────────────────  ───────────────────────────────────────────────────────────────────────────────────
    a call comes                to the first runner that it prefers and that has a free slot; else to the least loaded
                                one, the oldest among equals; else it waits, and prefers none any more. Higher priority
                                first, in order within one. Full when more wait than max_queue and than fit on the
                                runners that the pool may still get: a machine on its way is no queue
    calls wait                  boot all that the strategy wants and that is missing, at once, up to max. Machines
                                under way, up, asked, ending, stopping and away all count against max
    a call ends                 the next one that waits has its slot
    a call is cancelled         it leaves the queue, or keeps its slot until it ends. A runner with more than
                                max_zombies of these for `zombie_after`, or with nothing else, ends and is replaced
    a boot fails                its round has failed: no boot before the backoff is over, then all that are wanted.
                                After boot_rounds rounds what waits is rejected, unless some runner may still take it;
                                who comes later shares in the next rounds. One success, and all of it is forgotten
    a runner is lost            its calls are the manager's; what is missing is booted, for min too
      soon after it came up,    a crash loop: what min and strategies want waits for a backoff of its own, which
      and never used            doubles; what calls need is booted at once
    a runner is idle            it is asked to end: after idle_after while more than min are up, else after
                                min_idle_after; and never when the strategy would boot it again
      it may end                stop it; but take it back when it is needed now
      it may not                take it back, and ask again after another idle time
    min runners went idle       they are booted again when a call has to wait
    single_use                  one call, then it is asked to end, and never used again
    a runner is ending          asked again when its last call ends. After shutdown_timeout it is stopped when it ends
                                for its zombies, or has nothing else left
    the pool is made smaller    boots are abandoned, then idle and lightly loaded runners end; their calls may finish
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from beampy.pool.plan_actions import (
    IDLE,
    RESIZE,
    SINGLE_USE,
    STOPPED,
    ZOMBIES,
    Abandon,
    Boot,
    Closed,
    Full,
    Place,
    Reject,
    Retire,
    Stop,
)
from beampy.pool.plan_check import check
from beampy.pool.plan_growth import YOUNG, Growth
from beampy.pool.plan_limits import Limits, TimedOut
from beampy.pool.plan_load import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ASK_AGAIN",
    "STOPPED",
    "YOUNG",
    "Abandon",
    "Boot",
    "Closed",
    "Full",
    "Limits",
    "Place",
    "Plan",
    "Reject",
    "Retire",
    "Stop",
    "TimedOut",
]

ASK_AGAIN = 1.0  # seconds between two questions whether a runner may end, at least: no answer makes a busy loop


class Plan(Growth):
    """The calls, runners and boots of one pool. The number of a call is used once; boots are numbered from 1 up.

    `why`: what the latest boot failed of, None after a success. `strategy_error`: what the strategy last raised; the
    plan goes by `demand` then.

    >>> limits = Limits(min=0, max=2, max_concurrency=1, single_use=False, idle_after=30.0, min_idle_after=None,
    ...     max_queue=10, max_zombies=4, boot_rounds=3, backoff=0.25, boot_timeout=30.0, shutdown_timeout=30.0)
    >>> plan = Plan(limits, now=0.0)
    >>> plan.submit(7, 0, now=0.0), plan.take_actions()
    (None, [Boot(boot=1)])
    >>> plan.booted(1, now=0.1), plan.take_actions()
    (True, [Place(call=7, runner=1)])
    >>> plan.ended(7, now=0.2), plan.submit(8, 0, now=0.3)
    (None, 1)
    """

    def __init__(self, limits: Limits, now: float) -> None:
        super().__init__(limits)

    # --- the way of every call ---

    def submit(self, call: int, priority: int, now: float, prefer: Sequence[int] = ()) -> int | None:
        """A new call: the runner that has it, or None: it waits. The first of the runners `prefer` with a free slot has
        it, if there is one. Full, Closed: it was not taken."""
        runner = self._slots.take_of(call, prefer) if prefer else None
        if runner is None:
            runner = self._slots.take(call)
        if runner is None:
            self._wait(call, priority, now)
            return None
        self._where[call] = runner
        self._busy += 1
        if self.limits.strategy is not None and len(self._runners) + len(self._boots) < self.limits.max:
            self._grow(now)
        return runner.id

    def ended(self, call: int, now: float) -> tuple[int, int] | None:
        """A call holds its slot no more. The call that waited and has it now, and its runner, if any."""
        runner = self._where.pop(call, None)
        if runner is None:
            return None
        runner.calls.discard(call)
        cancelled = runner.zombies and runner.zombies.pop(call, None) is not None
        if runner.state != "up":
            self._ended_leaving(runner)
            return None
        self._busy -= 1
        if cancelled:
            self._zombies -= 1
        if self._single_use:
            self._end(runner, SINGLE_USE, now)
            self._grow(now)
            return None
        if self._queue:
            following = self._queue.take()
            runner.calls.add(following)
            self._where[following] = runner
            self._busy += 1
            return following, runner.id
        self._slots.give(runner)
        if not runner.calls:
            runner.since = now
            if now + self._soonest_idle < self.due:
                self.due = now + self._soonest_idle
        return None

    def cancelled(self, call: int, now: float) -> bool:
        """Nobody waits for it. True: it had no slot, and is gone. False: it holds its slot until `ended`."""
        runner = self._where.get(call)
        if runner is None:
            return self._queue.remove(call)
        zombies = runner.zombies
        if call not in zombies:
            zombies[call] = now
            if runner.state == "up":
                self._zombies += 1
                if len(zombies) > self._bearable():
                    self.due = min(self.due, now + self.limits.zombie_after)
        return False

    def _wait(self, call: int, priority: int, now: float) -> None:
        if self.stopped_at is not None:
            raise Closed
        limits, queue = self.limits, self._queue
        waiting = len(queue)
        if waiting >= limits.max_queue:
            to_come = max(0, limits.max - len(self._slots)) * self._capacity
            if waiting >= limits.max_queue + to_come:
                raise Full(waiting, limits.max_queue)
        queue.add(call, priority)
        room = limits.max - len(self._runners) - len(self._boots)
        if self._floor != limits.min:
            self._floor = limits.min
        elif room <= 0 or (limits.strategy is None and waiting < len(self._boots) * self._capacity):
            return  # all runners are full, so `demand` wants no other than these
        self._grow(now)

    # --- boots ---

    def start(self, now: float) -> None:
        """The pool starts: min runners are booted."""
        self._grow(now)

    def booted(self, boot: int, now: float) -> bool:
        """It is a runner now. False: it was given up before, or never asked for, and is none."""
        if self._boots.pop(boot, None) is None:
            return False
        self._failures.succeeded()
        self._failed_rounds = 0
        self.why = None
        runner = self._runners[boot] = Runner(boot, now)
        self._use(runner, now)
        self._grow(now)
        return True

    def boot_failed(self, boot: int, why: Any, now: float) -> None:
        """It will be none. One that was given up has failed already."""
        if self._boots.pop(boot, None) is not None:
            self._failed(boot, why, now)
            self._grow(now)

    # --- what becomes of runners ---

    def lost(self, runner: int, now: float) -> list[int]:
        """It is gone, unexpectedly or not. Its calls, which are on no slot any more, in order of number."""
        was = self._runners.pop(runner, None)
        if was is None:
            return []
        calls = self._strip(was)
        if not was.used and was.state in ("up", "asked", "away") and now - was.up_at < YOUNG:
            crashes = self._crashes
            if now > crashes.until + self.limits.boot_timeout + YOUNG:  # one was booted since then, and lived
                crashes.succeeded()
            crashes.failed(runner, self._boot + 1, now)
        self._grow(now)
        return calls

    def stopped(self, runner: int, now: float) -> list[int]:
        """Its machine is gone, as it was asked to. Its calls, if it had any left. Twice, or after `lost`, is once."""
        was = self._runners.pop(runner, None)
        if was is None:
            return []
        calls = self._strip(was)
        self._grow(now)
        return calls

    def away(self, runner: int, now: float) -> list[int]:
        """Its connection is lost, and it may come back: until `back` or `lost`. Its calls, as for `lost`."""
        was = self._runners.get(runner)
        if was is None or was.state == "away":
            return []
        calls = self._strip(was)
        if was.state in ("up", "asked") or (was.state == "ending" and was.why == RESIZE):
            was.state = "away"  # who has to go for a resize is found anew when it is back
        elif was.state == "ending":
            was.asked, was.deadline = True, inf  # nothing can be asked meanwhile
        self._grow(now)
        return calls

    def back(self, runner: int, now: float) -> None:
        """It has come back, and has no calls."""
        was = self._runners.get(runner)
        if was is None or self.stopped_at is not None:
            return
        was.asked = False
        if was.state == "away":
            self._use(was, now)
            self._shed(now)
        elif was.state == "ending":
            self._ask(was)
        elif was.state == "stopping":
            self.actions.append(Stop(runner, 0 if was.deadline == inf else self.limits.shutdown_timeout))

    def drained(self, runner: int, now: float) -> None:
        """It may end: the answer to `Retire`."""
        was = self._runners.get(runner)
        if was is None or self.stopped_at is not None:
            return
        if was.state == "ending" and not was.calls:
            self._stop(was, self.limits.shutdown_timeout, now)
        elif was.state == "ending":
            was.asked = False
        elif was.state == "asked":
            if self._queue or self._wanted(now) > len(self._slots) + len(self._boots):
                self._use(was, now)
            else:
                self._stop(was, self.limits.shutdown_timeout, now)

    def kept(self, runner: int, now: float) -> None:
        """It may not end: the other answer. It is used again, or, where it must end, asked again later."""
        was = self._runners.get(runner)
        if was is None or self.stopped_at is not None:
            return
        was.asked = False
        if was.state == "asked":
            self._use(was, now)
            was.since += max(0.0, ASK_AGAIN - self._soonest_idle)
            self.due = min(self.due, was.since + self._soonest_idle)
        elif was.state == "ending" and not was.calls:
            was.deadline = now + ASK_AGAIN
            self.due = min(self.due, was.deadline)

    # --- the pool as a whole ---

    def resize(self, min: int, max: int, now: float) -> None:
        """Other bounds. Runners over the new max end when their calls have; those are not used again."""
        self.limits = replace(self.limits, min=min, max=max)
        self._floor = min
        self._shed(now)
        self.tick(now)

    def hurry(self, idle: float) -> None:
        """From the next `resize` on, idle runners over min are asked to end after `idle` seconds at the latest.

        No strategy is asked any more.
        """
        after = self.limits.idle_after
        self.limits = replace(self.limits, idle_after=idle if after is None else min(after, idle), strategy=None)
        self._soonest_idle = min(self._soonest_idle, idle)

    def stop(self, now: float) -> None:
        """No boots any more, and no call that waits. The runners are the manager's to end; `ended` and `lost` go on."""
        self.stopped_at = now
        self.due = inf
        for call in self._queue.in_order():
            self._queue.remove(call)
            self.actions.append(Reject(call, STOPPED))
        self.actions += map(Abandon, self._boots)
        self._boots.clear()

    def tick(self, now: float) -> None:
        """Do what is due. Too early, or too often, does no harm."""
        if self.stopped_at is not None:
            return
        self.due = inf
        for boot, until in list(self._boots.items()):
            if until > now:
                break
            del self._boots[boot]
            self.actions.append(Abandon(boot))
            self._failed(boot, TimedOut(self.limits.boot_timeout), now)
        self._look_at_runners(now)
        self._let_go(now)
        self._grow(now)
        for until in self._boots.values():
            self.due = min(self.due, until)
            break

    def next_due(self) -> float | None:
        """When to `tick`. It may be early, and is never late; None: there is nothing to come."""
        return None if self.due == inf or self.stopped_at is not None else self.due

    def _shed(self, now: float) -> None:
        """Be no more than max, or take back those that were to go for that."""
        staying = len(self._boots) + sum(each.state in ("up", "asked", "away") for each in self._runners.values())
        excess = staying - self.limits.max
        if excess > 0:
            self._end_some(excess, now)
            return
        for runner in self._runners.values():
            if excess < 0 and runner.state == "ending" and runner.why == RESIZE:
                excess += 1
                if runner.asked and not runner.calls:
                    runner.state = "asked"  # its answer decides
                else:
                    self._use(runner, now)

    def _end_some(self, excess: int, now: float) -> None:
        """The youngest boots, then who has the fewest calls, the youngest first."""
        while excess > 0 and self._boots:
            boot, _ = self._boots.popitem()
            self.actions.append(Abandon(boot))
            excess -= 1
        staying = [runner for runner in self._runners.values() if runner.state in ("up", "asked")]
        staying.sort(key=lambda each: (len(each.calls), each.state == "up", -each.id))
        for runner in staying[: max(0, excess)]:
            self._end(runner, RESIZE, now)

    # --- what time brings ---

    def _look_at_runners(self, now: float) -> None:
        """Zombies that have stayed too long, and runners that have."""
        bearable = self._bearable()
        for runner in self._runners.values():
            if runner.state == "up" and len(runner.zombies) > bearable:
                ripe = list(runner.zombies.values())[bearable] + self.limits.zombie_after
                if ripe > now:
                    self.due = min(self.due, ripe)
                else:
                    self._end(runner, ZOMBIES, now)
            if runner.state in ("ending", "stopping"):
                if runner.deadline > now:
                    self.due = min(self.due, runner.deadline)
                elif runner.state == "ending" and not runner.calls:
                    runner.deadline = inf
                    self._ask(runner)
                elif runner.state == "stopping" or runner.why == ZOMBIES or len(runner.calls) == len(runner.zombies):
                    self._stop(runner, 0, now)
                else:  # somebody waits for a call there: it has a deadline of its own
                    runner.deadline = now + max(ASK_AGAIN, self.limits.shutdown_timeout)
                    self.due = min(self.due, runner.deadline)

    def _let_go(self, now: float) -> None:
        """Ask those that were idle for long enough, the longest first, the youngest among equals."""
        limits = self.limits
        idle = [runner for runner in self._runners.values() if runner.state == "up" and not runner.calls]
        idle.sort(key=lambda each: (each.since, -each.id))
        for runner in idle:
            over_min = len(self._slots) > limits.min
            patience = limits.idle_after if over_min else limits.min_idle_after
            if patience is None:
                continue
            if runner.since + patience > now:
                self.due = min(self.due, runner.since + patience)
                continue
            if self._advised(self.load()) >= len(self._slots):
                self.due = min(self.due, now + max(patience, ASK_AGAIN))
                continue
            self._slots.remove(runner)
            runner.state, runner.why = "asked", IDLE
            self._floor = min(self._floor, len(self._slots))
            self._ask(runner)

    def _bearable(self) -> int:
        """Zombies that a runner may have: one with nothing else is of no use to anybody."""
        most = self.limits.max_zombies
        return self._capacity if most is None else min(most, self._capacity - 1)

    def check(self) -> None:
        """AssertionError where the plan does not hold together. For tests."""
        check(self)
