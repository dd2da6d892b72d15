"""A plan decides what a pool would that looks at everything each time, and keeps its promises whatever comes when.

`Oracle` is such a pool: plain lists, each decision made anew from all there is, also those of the past (rounds are
counted from the whole history of failures). The plan gets the same events and must ask for the same. Its `due` is held
to that too: time stops at each moment at which something might be due, the oracle looks, the plan only when it wished.
"""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from beampy.pool.plan import (
    ASK_AGAIN,
    STOPPED,
    YOUNG,
    Abandon,
    Boot,
    Closed,
    Full,
    Limits,
    Place,
    Plan,
    Reject,
    Retire,
    Stop,
    TimedOut,
)
from beampy.pool.scaling import Load, ahead, demand, headroom

if TYPE_CHECKING:
    from collections.abc import Sequence


def nothing(load: Load) -> int:
    return 0


def broken(load: Load) -> int:
    raise ZeroDivisionError


class Oracle:
    """The pool without a plan."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.width = 1 if limits.single_use else limits.max_concurrency
        self.waiting: list[tuple[int, int]] = []  # call, priority; in order of arrival
        self.runners: list[dict[str, Any]] = []
        self.boots: list[tuple[int, float]] = []
        self.booted_ever = 0
        self.boot_history: list[Any] = []  # "ok", or (boot, next boot, time) of a failure
        self.crash_history: list[Any] = []
        self.given_up = 0  # rounds, when callers were rejected last
        self.floor = limits.min
        self.out: list[Any] = []

    # what there is

    def those(self, *states: str) -> list[dict[str, Any]]:
        return [runner for runner in self.runners if runner["state"] in states]

    def find(self, number: int) -> Any:
        return next((runner for runner in self.runners if runner["id"] == number), None)

    def holder(self, call: int) -> Any:
        return next((runner for runner in self.runners if call in runner["calls"]), None)

    def load(self) -> Load:
        up = self.those("up")
        zombies = sum(len(runner["cancelled"]) for runner in up)
        on = sum(len(runner["calls"]) for runner in up)
        bounds = self.limits.min, self.limits.max
        return Load(len(self.waiting), on - zombies, zombies, len(up), len(self.boots), self.width, *bounds)

    def rounds(self, history: list[Any], now: float) -> tuple[int, int, float]:
        """How many, where the latest began, until when it is waited out."""
        count, start, edge, until = 0, 0, 0, -inf
        for entry in history:
            if entry == "ok":
                count, until = 0, -inf
                continue
            number, following, time = entry
            if count == 0 or number >= edge:
                count, start, edge = count + 1, min(number, edge), following
            until = time + min(self.limits.backoff * 2.0 ** (count - 1), self.limits.max_backoff)
        return count, start, until

    def advised(self) -> int:
        try:
            return (self.limits.strategy or demand)(self.load())
        except ZeroDivisionError:
            return ceil(self.load().calls / self.width)

    def wanted(self, now: float) -> int:
        wanted = max(self.advised(), self.floor)
        if now < self.rounds(self.crash_history, now)[2]:
            wanted = min(self.advised(), ceil(self.load().calls / self.width))
        return min(max(wanted, 1 if self.waiting else 0), self.limits.max)

    # what is done

    def place(self) -> None:
        """All that can be."""
        while self.waiting and (runner := self.best()):
            following = max(self.waiting, key=lambda entry: entry[1])  # the first of the highest
            self.waiting.remove(following)
            runner["calls"].append(following[0])
            runner["used"] = True
            self.out.append(Place(following[0], runner["id"]))

    def best(self, prefer: Sequence[int] = ()) -> Any:
        free = [runner for runner in self.those("up") if len(runner["calls"]) < self.width]
        for wanted in prefer:
            if found := [runner for runner in free if runner["id"] == wanted]:
                return found[0]
        return min(free, key=lambda runner: (len(runner["calls"]), runner["id"]), default=None)

    def grow(self, now: float) -> None:
        room = self.limits.max - len(self.runners) - len(self.boots)
        if now >= self.rounds(self.boot_history, now)[2]:
            for _ in range(min(room, self.wanted(now) - len(self.those("up")) - len(self.boots))):
                self.booted_ever += 1
                self.boots.append((self.booted_ever, now + self.limits.boot_timeout))
                self.out.append(Boot(self.booted_ever))

    def use(self, runner: dict[str, Any], now: float) -> None:
        runner.update(state="up", asked=False, since=now)
        self.place()

    def ask(self, runner: dict[str, Any]) -> None:
        runner["asked"] = True
        self.out.append(Retire(runner["id"], runner["why"]))

    def end(self, runner: dict[str, Any], why: str, now: float) -> None:
        was_asked = runner["state"] == "asked"
        runner.update(state="ending", why=why, deadline=now + self.limits.shutdown_timeout if runner["calls"] else inf)
        if not was_asked:
            self.ask(runner)

    def halt(self, runner: dict[str, Any], seconds: float, now: float) -> None:
        runner.update(state="stopping", deadline=now + seconds if seconds else inf)
        self.out.append(Stop(runner["id"], seconds))

    def fail(self, boot: int, why: Any, now: float) -> None:
        self.boot_history.append((boot, self.booted_ever + 1, now))
        count, start, _ = self.rounds(self.boot_history, now)
        in_round = [other for other, _ in self.boots if other >= start]
        if count - self.given_up >= self.limits.boot_rounds and not in_round:
            self.given_up = count
            if not self.those("up", "asked", "away"):
                for call, _ in sorted(self.waiting, key=lambda entry: -entry[1]):
                    self.out.append(Reject(call, why))
                self.waiting.clear()

    def shed(self, now: float) -> None:
        def excess() -> int:
            return len(self.boots) + len(self.those("up", "asked", "away")) - self.limits.max

        while excess() > 0 and self.boots:
            self.out.append(Abandon(self.boots.pop()[0]))
        while excess() > 0 and self.those("up", "asked"):
            ranked = [(len(r["calls"]), r["state"] == "up", -r["id"]) for r in self.those("up", "asked")]
            self.end(self.find(-min(ranked)[2]), "resize", now)

    def take_back(self, now: float) -> None:
        for runner in self.those("ending"):
            if runner["why"] == "resize" and len(self.boots) + len(self.those("up", "asked", "away")) < self.limits.max:
                if runner["asked"] and not runner["calls"]:
                    runner["state"] = "asked"
                else:
                    self.use(runner, now)

    # what happens

    def submit(self, call: int, priority: int, now: float, prefer: Sequence[int]) -> int | None:
        if runner := self.best(prefer):
            runner["calls"].append(call)
            runner["used"] = True
        else:
            to_come = max(0, self.limits.max - len(self.those("up"))) * self.width
            if len(self.waiting) >= self.limits.max_queue + to_come:
                raise Full(len(self.waiting), self.limits.max_queue)
            self.waiting.append((call, priority))
            self.floor = self.limits.min
        self.grow(now)
        return runner["id"] if runner else None

    def ended(self, call: int, now: float) -> Any:
        runner = self.holder(call)
        if not runner:
            return None
        runner["calls"].remove(call)
        runner["cancelled"].pop(call, None)
        if runner["state"] == "up" and self.limits.single_use:
            self.end(runner, "single use", now)
        elif runner["state"] == "up":
            if not runner["calls"]:
                runner["since"] = now
            self.place()
            if self.out:
                [(following, number)] = self.out
                self.out = []
                return following, number
        elif runner["state"] == "ending" and not runner["calls"]:
            runner["deadline"] = inf
            if not runner["asked"]:
                self.ask(runner)
        self.grow(now)
        return None

    def cancelled(self, call: int, now: float) -> bool:
        if runner := self.holder(call):
            runner["cancelled"].setdefault(call, now)
            return False
        before = len(self.waiting)
        self.waiting = [entry for entry in self.waiting if entry[0] != call]
        return len(self.waiting) < before

    def booted(self, boot: int, now: float) -> bool:
        if boot not in [other for other, _ in self.boots]:
            return False
        self.boots = [entry for entry in self.boots if entry[0] != boot]
        self.boot_history.append("ok")
        self.given_up = 0
        new = {"id": boot, "calls": [], "cancelled": {}, "up_at": now, "used": False, "why": "", "deadline": inf}
        self.runners.append(new)
        self.use(new, now)
        self.grow(now)
        return True

    def boot_failed(self, boot: int, why: Any, now: float) -> None:
        if boot in [other for other, _ in self.boots]:
            self.boots = [entry for entry in self.boots if entry[0] != boot]
            self.fail(boot, why, now)
            self.grow(now)

    def gone(self, number: int, now: float, unexpected: bool) -> list[int]:
        if not (runner := self.find(number)):
            return []
        self.runners.remove(runner)
        unused = not runner["used"] and runner["state"] in ("up", "asked", "away")
        if unexpected and unused and now - runner["up_at"] < YOUNG:
            until = self.rounds(self.crash_history, now)[2]
            if now > until + self.limits.boot_timeout + YOUNG:
                self.crash_history.append("ok")
            self.crash_history.append((number, self.booted_ever + 1, now))
        self.grow(now)
        return sorted(runner["calls"])

    def away(self, number: int, now: float) -> list[int]:
        runner = self.find(number)
        if not runner or runner["state"] == "away":
            return []
        calls = sorted(runner["calls"])
        runner.update(calls=[], cancelled={})
        if runner["state"] in ("up", "asked") or (runner["state"], runner["why"]) == ("ending", "resize"):
            runner["state"] = "away"
        elif runner["state"] == "ending":
            runner.update(asked=True, deadline=inf)
        self.grow(now)
        return calls

    def back(self, number: int, now: float) -> None:
        if not (runner := self.find(number)):
            return
        runner["asked"] = False
        if runner["state"] == "away":
            self.use(runner, now)
            self.shed(now)
            self.take_back(now)
        elif runner["state"] == "ending":
            self.ask(runner)
        elif runner["state"] == "stopping":
            self.out.append(Stop(number, 0 if runner["deadline"] == inf else self.limits.shutdown_timeout))

    def drained(self, number: int, now: float) -> None:
        if not (runner := self.find(number)):
            return
        if runner["state"] == "ending" and runner["calls"]:
            runner["asked"] = False
        elif runner["state"] == "ending":
            self.halt(runner, self.limits.shutdown_timeout, now)
        elif runner["state"] == "asked":
            if self.waiting or self.wanted(now) > len(self.those("up")) + len(self.boots):
                self.use(runner, now)
            else:
                self.halt(runner, self.limits.shutdown_timeout, now)

    def kept(self, number: int, now: float) -> None:
        if not (runner := self.find(number)):
            return
        runner["asked"] = False
        if runner["state"] == "asked":
            self.use(runner, now)
            runner["since"] += max(0.0, ASK_AGAIN - self.soonest())
        elif runner["state"] == "ending" and not runner["calls"]:
            runner["deadline"] = now + ASK_AGAIN

    def resize(self, least: int, most: int, now: float) -> None:
        fields = {**vars(self.limits), "min": least, "max": most}
        self.limits = Limits(**fields)
        self.floor = least
        self.shed(now)
        self.take_back(now)
        self.tick(now)

    def soonest(self) -> float:
        return min([t for t in (self.limits.idle_after, self.limits.min_idle_after) if t is not None], default=inf)

    def zombies(self) -> float:
        most = self.limits.max_zombies
        return inf if most is None else min(most, self.width - 1)

    def tick(self, now: float) -> None:
        limits = self.limits
        for boot, until in self.boots[:]:
            if until <= now:
                self.boots.remove((boot, until))
                self.out.append(Abandon(boot))
                self.fail(boot, TimedOut(limits.boot_timeout), now)
        for runner in self.runners:
            stuck = [t for t in runner["cancelled"].values() if t + limits.zombie_after <= now]
            if runner["state"] == "up" and len(stuck) > self.zombies():
                self.end(runner, "zombies", now)
            if runner["state"] in ("ending", "stopping") and runner["deadline"] <= now:
                only_cancelled = len(runner["calls"]) == len(runner["cancelled"])
                if runner["state"] == "ending" and not runner["calls"]:
                    runner["deadline"] = inf
                    self.ask(runner)
                elif runner["state"] == "stopping" or runner["why"] == "zombies" or only_cancelled:
                    self.halt(runner, 0, now)
                else:
                    runner["deadline"] = now + max(ASK_AGAIN, limits.shutdown_timeout)
        idle = [runner for runner in self.those("up") if not runner["calls"]]
        for runner in sorted(idle, key=lambda each: (each["since"], -each["id"])):
            up = len(self.those("up"))
            patience = limits.idle_after if up > limits.min else limits.min_idle_after
            if patience is not None and runner["since"] + patience <= now and self.advised() < up:
                runner.update(state="asked", why="idle")
                self.floor = min(self.floor, up - 1)
                self.ask(runner)
        self.grow(now)

    def moments(self) -> list[float]:
        """When something may be due."""
        limits = self.limits
        times = [until for _, until in self.boots]
        times += [self.rounds(history, 0.0)[2] for history in (self.boot_history, self.crash_history)]
        for runner in self.runners:
            times += [time + limits.zombie_after for time in runner["cancelled"].values()]
            times += [runner["since"] + t for t in (limits.idle_after, limits.min_idle_after) if t is not None]
            times.append(runner["deadline"])
        return times


def in_classes(actions: list[Any]) -> list[Any]:
    """Order counts among actions of one kind."""
    return sorted(actions, key=lambda action: type(action).__name__)


PATIENCE = st.sampled_from([0.0, 0.5, 3.0, 30.0])
LIMITS = st.builds(
    lambda least, more, idle, later, **fields: Limits(
        min=least, max=max(1, least + more), idle_after=idle, min_idle_after=later, boot_timeout=4.0, **fields
    ),
    st.integers(0, 3),
    st.integers(0, 4),
    idle=st.none() | PATIENCE,
    later=st.sampled_from([None, None, 30.0, 60.0]),
    max_concurrency=st.integers(1, 4),
    single_use=st.sampled_from([False, False, False, True]),
    max_queue=st.sampled_from([0, 1, 5, 1000]),
    max_zombies=st.sampled_from([0, 1, 2, None]),
    boot_rounds=st.integers(1, 3),
    backoff=st.sampled_from([0.25, 1.0]),
    max_backoff=st.sampled_from([1.5, 30.0]),
    shutdown_timeout=st.sampled_from([0.0, 2.0]),
    strategy=st.sampled_from([None, None, None, demand, headroom(0.5), ahead(1), nothing, broken]),
)
WHICH = st.integers(0, 1 << 16)


class Pools(RuleBasedStateMachine):
    """A plan and the oracle, in one world: its calls, and the machines that it was told of."""

    @initialize(limits=LIMITS)
    def begin(self, limits: Limits) -> None:
        self.now = 0.0
        self.plan, self.oracle = Plan(limits, 0.0), Oracle(limits)
        self.calls = 0
        self.fate: dict[int, Any] = {}  # accepted calls: "waits", a runner, or how it ended
        self.machines: dict[int, str] = {}
        self.most = 0  # machines that there were, before
        self.plan.start(0.0)
        self.oracle.grow(0.0)
        self.settle()

    # time and decisions

    def settle(self, got: Any = None, expected: Any = None) -> None:
        actions = self.plan.take_actions()
        self.sound = False  # until `holds_together` has been passed: what follows a failure says nothing
        assert got == expected
        assert in_classes(actions) == in_classes(self.oracle.out)
        self.oracle.out = []
        for action in actions:
            self.perform(action)

    def perform(self, action: Any) -> None:
        match action:
            case Place(call, runner):
                self.placed(call, runner)
            case Reject(call, _):
                assert self.fate[call] == "waits"
                self.fate[call] = "rejected"
            case Boot(boot):
                assert boot not in self.machines
                self.machines[boot] = "boots"
            case Abandon(boot):
                assert self.machines.pop(boot) == "boots"
            case Retire(runner, _) | Stop(runner, _):
                assert self.machines[runner] != "boots"
                if isinstance(action, Stop):
                    self.machines[runner] = "stops"

    def placed(self, call: int, runner: int) -> None:
        assert self.fate.get(call, "waits") == "waits"
        assert self.machines[runner] == "runs", f"a call is sent to a runner that {self.machines[runner]}"
        self.fate[call] = runner

    def pass_time(self, until: float) -> None:
        for _ in range(1_000):
            wished = self.plan.next_due()
            times = [time for time in self.oracle.moments() if self.now < time <= until]
            if wished is not None and wished <= until:
                times.append(max(wished, self.now))
            if not times:
                break
            self.now = min(times)
            if wished is not None and wished <= self.now:
                self.plan.tick(self.now)
                self.oracle.tick(self.now)
            elif self.plan.limits.strategy is None:  # others may be asked again later than they change their mind
                self.oracle.tick(self.now)
            self.settle()
        else:
            raise AssertionError("it ticks for ever")
        self.now = until

    def after(self) -> None:
        self.pass_time(self.now)

    def one(self, numbers: list[int], which: int) -> int:
        return numbers[which % len(numbers)] if numbers else 1_000_000  # one that nobody knows

    # what may happen

    @rule(priority=st.sampled_from([0, 0, 0, 1, -1]), wanted=st.just([]) | st.lists(WHICH, max_size=3))
    def submit(self, priority: int, wanted: list[int]) -> None:
        self.calls += 1
        prefer = [self.one(list(self.machines), which) for which in wanted]
        expected = got = None
        full = 0
        try:
            expected = self.oracle.submit(self.calls, priority, self.now, prefer)
            self.fate[self.calls] = "waits"
        except Full:
            full += 1
        try:
            got = self.plan.submit(self.calls, priority, self.now, prefer)
        except Full:
            full += 1
        assert full in (0, 2)
        if got is not None:
            self.placed(self.calls, got)
        self.settle(got, expected)
        self.after()

    @rule(many=st.integers(2, 9))
    def burst(self, many: int) -> None:
        for _ in range(many):
            self.submit(0, [])

    @rule(which=WHICH)
    def end(self, which: int) -> None:
        call = self.one([call for call, fate in self.fate.items() if isinstance(fate, int)], which)
        got = self.plan.ended(call, self.now)
        if call in self.fate:
            self.fate[call] = "ended"
        if got is not None:
            self.placed(*got)
        self.settle(got, self.oracle.ended(call, self.now))
        self.after()

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        call = self.one([call for call, fate in self.fate.items() if isinstance(fate, int) or fate == "waits"], which)
        got = self.plan.cancelled(call, self.now)
        if got:
            self.fate[call] = "cancelled"
        self.settle(got, self.oracle.cancelled(call, self.now))
        self.after()

    @rule(which=WHICH)
    def boot_ends(self, which: int) -> None:
        boot = self.one([number for number, state in self.machines.items() if state == "boots"], which)
        if boot in self.machines:
            self.machines[boot] = "runs"
        self.settle(self.plan.booted(boot, self.now), self.oracle.booted(boot, self.now))
        self.after()

    @rule(which=WHICH)
    def boot_fails(self, which: int) -> None:
        boot = self.one([number for number, state in self.machines.items() if state == "boots"], which)
        self.machines.pop(boot, None)
        self.plan.boot_failed(boot, boot, self.now)
        self.oracle.boot_failed(boot, boot, self.now)
        self.settle()
        self.after()

    def runners(self, *states: str) -> list[int]:
        return [number for number, state in self.machines.items() if state in states]

    def lose_calls(self, calls: list[int], runner: int) -> None:
        assert calls == sorted(call for call, fate in self.fate.items() if fate == runner)
        for call in calls:
            self.fate[call] = "lost"

    @rule(which=WHICH, unexpected=st.booleans())
    def gone(self, which: int, unexpected: bool) -> None:
        runner = self.one(self.runners("runs", "stops", "away"), which)
        self.machines.pop(runner, None)
        got = (self.plan.lost if unexpected else self.plan.stopped)(runner, self.now)
        self.lose_calls(got, runner)
        self.settle(got, self.oracle.gone(runner, self.now, unexpected))
        self.after()

    @rule(which=WHICH)
    def goes_away(self, which: int) -> None:
        runner = self.one(self.runners("runs"), which)
        if runner in self.machines:
            self.machines[runner] = "away"
        got = self.plan.away(runner, self.now)
        self.lose_calls(got, runner)
        self.settle(got, self.oracle.away(runner, self.now))
        self.after()

    @rule(which=WHICH)
    def comes_back(self, which: int) -> None:
        runner = self.one(self.runners("away"), which)
        if runner in self.machines:
            self.machines[runner] = "runs"
        self.plan.back(runner, self.now)
        self.oracle.back(runner, self.now)
        self.settle()
        self.after()

    @rule(which=WHICH, may_end=st.booleans())
    def answers(self, which: int, may_end: bool) -> None:
        asked = [runner["id"] for runner in self.oracle.those("asked", "ending") if runner["asked"]]
        runner = self.one([number for number in asked if self.machines[number] == "runs"], which)
        if may_end:
            self.plan.drained(runner, self.now)
            self.oracle.drained(runner, self.now)
            self.settle()
        else:
            self.plan.kept(runner, self.now)
            self.oracle.kept(runner, self.now)
            self.settle()
        self.after()

    @rule(least=st.integers(0, 3), more=st.integers(0, 4))
    def resize(self, least: int, more: int) -> None:
        most = max(1, least + more)
        self.plan.resize(least, most, self.now)
        self.oracle.resize(least, most, self.now)
        self.settle()
        self.after()

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.pass_time(self.now + seconds)

    # what must be true

    @invariant()
    def holds_together(self) -> None:
        self.plan.check()
        assert self.plan.load() == self.oracle.load()
        assert self.plan.machines == len(self.machines)
        assert len(self.machines) <= max(self.plan.limits.max, self.most), "there are more machines than max"
        self.most = len(self.machines)
        for call, fate in self.fate.items():
            assert self.plan.runner_of(call) == (fate if isinstance(fate, int) else None)
        assert self.plan.waiting == list(self.fate.values()).count("waits")
        self.sound = True

    def teardown(self) -> None:
        """Whatever has come, from now on all goes well: then every call ends."""
        if not getattr(self, "sound", False):
            return
        for _ in range(1000):
            if not any(isinstance(fate, int) or fate == "waits" for fate in self.fate.values()):
                break
            for _ in self.runners("boots"):
                self.boot_ends(0)
            for _ in self.runners("away"):
                self.comes_back(0)
            for fate in list(self.fate.values()):
                if isinstance(fate, int):
                    self.end(0)
            for runner in self.oracle.those("asked", "ending"):
                if runner["asked"]:
                    self.plan.drained(runner["id"], self.now)
                    self.oracle.drained(runner["id"], self.now)
                    self.settle()
            for _ in self.runners("stops"):
                stops = self.runners("runs", "stops", "away").index(self.runners("stops")[0])
                self.gone(stops, False)
            self.holds_together()
            self.wait(1.0)
        else:
            raise AssertionError(f"calls are left: {self.fate}")


TestPools = Pools.TestCase
TestPools.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


class Ends(Pools):
    """The same, stopped at the end, in the middle of anything."""

    def teardown(self) -> None:
        if not getattr(self, "sound", False):
            return
        self.plan.stop(self.now)
        actions = self.plan.take_actions()
        waited = {call for call, fate in self.fate.items() if fate == "waits"}
        assert [action for action in actions if isinstance(action, Reject)] == [
            Reject(call, STOPPED)
            for call, _ in sorted(self.oracle.waiting, key=lambda entry: -entry[1])
            if call in waited
        ]
        assert sorted(action.boot for action in actions if isinstance(action, Abandon)) == self.runners("boots")
        assert len(actions) == len(waited) + len(self.runners("boots"))
        self.plan.check()
        for call, fate in self.fate.items():
            if isinstance(fate, int):
                assert self.plan.ended(call, self.now) is None
        for runner in self.runners("runs", "stops", "away"):
            assert self.plan.lost(runner, self.now) == []
        assert self.plan.next_due() is None
        assert not self.plan.actions
        assert self.plan.machines == 0
        try:
            self.plan.submit(self.calls + 1, 0, self.now)
        except Closed:
            return
        raise AssertionError("a stopped plan took a call")


TestEnds = Ends.TestCase
TestEnds.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
