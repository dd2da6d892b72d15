"""A plan does what a supervisor that simply does it would do, and stays sound whatever comes when.

`Oracle` is such a supervisor: it acts at once, in one world of its own, with plain lists and one
branch for each strategy. The plan gets the same events and must leave the same trace. In
`test_whatever_comes_when` events come at any moment, also while a start or stop is unanswered.
"""

from __future__ import annotations

from collections import deque
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from beampy.core.ids import Pid
from beampy.otp.actions import GiveUp, Refuse, Reply, Report, Retry, Start, Stop
from beampy.otp.child import ChildSpec, Restart, RestartWindow
from beampy.otp.strategy import Plan

IDS = "abcde"
ORDERLY = ["normal", "shutdown", ("shutdown", "idle")]
REASONS = [*ORDERLY, "killed", "boom"]


async def worker() -> None: ...


def pid(serial: int) -> Pid:
    return Pid("t@h", serial, 0)


class Outcomes:
    """What becomes of each start: the next of a list, and success when that has come to its end."""

    def __init__(self, outcomes: list[str]) -> None:
        self.left = deque(outcomes)
        self.serial = 0

    def next(self) -> Pid | str:
        outcome = self.left.popleft() if self.left else "ok"
        if outcome != "ok":
            return outcome
        self.serial += 1
        return pid(self.serial)


class Oracle:
    """A supervisor without a plan. A row of `rows` is a spec and its state, in start order."""

    def __init__(self, specs: list[ChildSpec], flags: dict[str, Any], outcomes: Outcomes) -> None:
        self.rows: list[list[Any]] = [[spec, None] for spec in specs]
        self.flags, self.outcomes = flags, outcomes
        self.times: list[float] = []
        self.retries: list[Any] = []
        self.trace: list[Any] = []
        self.over = False

    def find(self, id: Any) -> Any:
        return next((row for row in self.rows if row[0].id == id), None)

    def up(self, row: list[Any]) -> bool:
        self.trace.append(("start", row[0].id))
        outcome = self.outcomes.next()
        if outcome != "fail":
            row[1] = None if outcome == "ignore" else outcome
            if row[1] is None and row[0].restart == "temporary" and row in self.rows:
                self.rows.remove(row)
        return outcome != "fail"

    def down(self, row: list[Any]) -> None:
        if isinstance(row[1], Pid):
            self.trace.append(("stop", row[0].id, row[1]))
        row[1] = None
        if row[0].restart == "temporary":
            self.rows.remove(row)

    def end(self, reason: Any) -> None:
        for row in self.rows[::-1]:
            self.down(row)
        self.trace.append(("give up", reason))
        self.over = True

    def start(self) -> None:
        for row in self.rows[:]:
            if not self.up(row):
                return self.end(("shutdown", ("failed_to_start_child", row[0].id, "no")))

    def exit(self, who: Pid, reason: Any, now: float) -> None:
        [row] = [row for row in self.rows if row[1] == who]
        spec, row[1] = row[0], None
        if spec.restart == "permanent":
            return self.restart(row, now)
        if spec.restart == "transient" and reason not in ORDERLY:
            return self.restart(row, now)
        if spec.restart == "temporary":
            self.rows.remove(row)
        if spec.significant and self.flags["auto_shutdown"] == "any_significant":
            return self.end("shutdown")
        if spec.significant and not [r for r in self.rows if r[0].significant and r[1]]:
            self.end("shutdown")

    def restart(self, row: list[Any], now: float) -> None:
        row[1] = None
        self.times.append(now)
        recent = [time for time in self.times if now - time <= self.flags["period"]]
        if len(recent) > self.flags["intensity"]:
            return self.end("shutdown")
        if self.flags["strategy"] == "one_for_one":
            group = [row]
        elif self.flags["strategy"] == "rest_for_one":
            at = self.rows.index(row)
            for later in self.rows[:at:-1]:
                self.down(later)
            group = self.rows[at:]
        else:
            for other in [r for r in self.rows[::-1] if r is not row]:
                self.down(other)
            group = self.rows[:]
        for member in group:
            if not self.up(member):
                member[1] = "restarting"
                self.retries.append(member[0].id)
                break

    def retry(self, id: str, now: float) -> None:
        row = self.find(id)
        if row and row[1] == "restarting":
            self.restart(row, now)

    def start_child(self, spec: ChildSpec) -> Any:
        if row := self.find(spec.id):
            running = isinstance(row[1], Pid)
            return ("already_started", row[1]) if running else ("already_present", None)
        if spec.significant and self.flags["auto_shutdown"] == "never":
            return "bad_spec"
        row = [spec, None]
        if not self.up(row):
            return "start_failed", "no"
        if row[1] is not None or spec.restart != "temporary":
            self.rows.append(row)
        return row[1]

    def restart_child(self, id: str) -> Any:
        row = self.find(id)
        if not row:
            return "not_found", None
        if row[1]:
            return "running" if isinstance(row[1], Pid) else "restarting", None
        return row[1] if self.up(row) else ("start_failed", "no")

    def terminate_child(self, id: str) -> Any:
        row = self.find(id)
        if row:
            self.down(row)
        return None if row else ("not_found", None)

    def delete_child(self, id: str) -> Any:
        row = self.find(id)
        if not row:
            return "not_found", None
        if row[1]:
            return "running" if isinstance(row[1], Pid) else "restarting", None
        self.rows.remove(row)
        return None


class Effects:
    """A plan with an effects half that performs each action at once, and the same kind of trace."""

    def __init__(self, specs: list[ChildSpec], flags: dict[str, Any], outcomes: Outcomes) -> None:
        self.plan, self.outcomes = Plan(specs, **flags), outcomes
        self.retries: list[Any] = []
        self.trace: list[Any] = []
        self.answer: Any = None

    def perform(self, actions: list[Any]) -> Any:
        todo = deque(actions)
        while todo:
            match todo.popleft():
                case Start(spec):
                    self.trace.append(("start", spec.id))
                    outcome = self.outcomes.next()
                    if outcome == "fail":
                        todo += self.plan.child_start_failed(spec.id, "no")
                    else:
                        new = outcome if isinstance(outcome, Pid) else None
                        todo += self.plan.child_started(spec.id, new)
                case Stop(id, pid, _):
                    self.trace.append(("stop", id, pid))
                    todo += self.plan.child_exited(pid, "shutdown", 0.0)
                case Retry(id):
                    self.retries.append(id)
                case Reply(_, pid):
                    self.answer = pid
                case Refuse(_, why, detail):
                    self.answer = why if why == "bad_spec" else (why, detail)
                case GiveUp(reason):
                    self.trace.append(("give up", reason))
                case Report():
                    pass
        return self.answer


@st.composite
def child_specs(draw: st.DrawFn, auto_shutdown: str, id: str | None = None) -> ChildSpec:
    restart: Restart = draw(st.sampled_from(get_args(Restart)))
    may_be_significant = restart != "permanent" and auto_shutdown != "never"
    return ChildSpec(
        draw(st.sampled_from(IDS)) if id is None else id,
        worker,
        restart=restart,
        significant=may_be_significant and draw(st.booleans()),
    )


@st.composite
def supervisors(draw: st.DrawFn) -> tuple[list[ChildSpec], dict[str, Any]]:
    flags = {
        "strategy": draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])),
        "intensity": draw(st.integers(0, 6)),
        "period": 5.0,
        "auto_shutdown": draw(st.sampled_from(["never", "any_significant", "all_significant"])),
    }
    ids = IDS[: draw(st.integers(0, len(IDS)))]
    return [draw(child_specs(flags["auto_shutdown"], id)) for id in ids], flags


def outcomes(first: int = 0) -> st.SearchStrategy[list[str]]:
    """Of all starts, after the first ones, which succeed."""
    rest = st.lists(st.sampled_from(["ok", "ok", "ok", "ignore", "fail"]), max_size=40)
    return rest.map(lambda drawn: ["ok"] * first + drawn)


@given(data=st.data())
def test_a_plan_does_what_the_oracle_does(data):
    specs, flags = data.draw(supervisors())
    script = data.draw(outcomes(first=data.draw(st.sampled_from([0, len(specs)]))))
    oracle = Oracle(specs, flags, Outcomes(script))
    effects = Effects(specs, flags, Outcomes(script))
    plan, now = effects.plan, 0.0

    oracle.start()
    effects.perform(plan.start())
    for _ in range(data.draw(st.integers(0, 25))):
        if oracle.over:
            break
        now += data.draw(st.sampled_from([0.0, 0.5, 2.5, 5.0]))
        running = [line.pid for line in plan.which_children() if isinstance(line.pid, Pid)]
        able = ["request"] + ["exit"] * 4 * bool(running) + ["retry"] * 4 * bool(effects.retries)
        what = data.draw(st.sampled_from(able))
        if what == "exit":
            who, why = data.draw(st.sampled_from(running)), data.draw(st.sampled_from(REASONS))
            oracle.exit(who, why, now)
            effects.perform(plan.child_exited(who, why, now))
        elif what == "retry":
            oracle.retry(oracle.retries.pop(0), now)
            effects.perform(plan.retry(effects.retries.pop(0), now))
        elif data.draw(st.booleans()):
            name = data.draw(st.sampled_from(["terminate_child", "delete_child", "restart_child"]))
            id = data.draw(st.sampled_from(IDS))
            expected = getattr(oracle, name)(id)
            assert effects.perform(getattr(plan, name)(id, "me")) == expected
        else:
            spec = data.draw(child_specs(flags["auto_shutdown"]))
            expected = oracle.start_child(spec)
            assert effects.perform(plan.start_child(spec, "me")) == expected
        assert effects.trace == oracle.trace
        assert effects.retries == oracle.retries
        assert plan.idle
        assert [(line.id, line.pid) for line in plan.which_children()] == [
            (spec.id, state) for spec, state in reversed(oracle.rows)
        ]
    assert effects.trace == oracle.trace
    assert plan.finished == oracle.over
    if not plan.finished:
        oracle.end("done")
        effects.perform(plan.shut_down("done"))
        assert effects.trace == oracle.trace


@given(data=st.data())
def test_whatever_comes_when(data):
    """At most one question at a time; never two processes for an id; every request answered once;
    nothing after the end; and once all that was asked is answered, nothing is left to do."""
    specs, flags = data.draw(supervisors())
    plan = Plan(specs, **flags)
    alive: dict[Pid, Any] = {}  # as the world knows it
    reported: list[Pid] = []
    retries: list[Any] = []
    waiting: set[int] = set()
    asked: Start | Stop | None = None
    ended, serial, asks, now = False, 0, 0, 0.0

    def perform(actions: list[Any]) -> None:
        nonlocal asked, ended
        for action in actions:
            assert not ended
            match action:
                case Start(spec):
                    assert asked is None
                    assert spec.id not in alive.values()
                    asked = action
                case Stop(id, pid, _):
                    assert asked is None
                    assert alive[pid] == id
                    asked = action
                case Retry(id):
                    retries.append(id)
                case Reply(to) | Refuse(to):
                    waiting.remove(to)
                case GiveUp():
                    assert not alive
                    ended = True

    def dies(who: Pid, reason: Any) -> None:
        nonlocal asked
        if isinstance(asked, Stop) and asked.pid == who:
            asked = None
        del alive[who]
        reported.append(who)
        perform(plan.child_exited(who, reason, now))

    def answer(outcome: str) -> None:
        nonlocal asked, serial
        match asked:
            case Start(spec):
                asked = None
                if outcome == "fail":
                    return perform(plan.child_start_failed(spec.id, "no"))
                new = None
                if outcome == "ok":
                    serial += 1
                    new = pid(serial)
                    alive[new] = spec.id
                perform(plan.child_started(spec.id, new))
            case Stop(_, who, _):
                dies(who, data.draw(st.sampled_from(REASONS)))

    perform(plan.start())
    for _ in range(data.draw(st.integers(0, 40))):
        now += data.draw(st.sampled_from([0.0, 1.0, 6.0]))
        able = ["request"] + ["answer"] * 5 * bool(asked) + ["die"] * 3 * bool(alive)
        able += ["again"] * bool(reported) + ["retry"] * 3 * bool(retries)
        what = data.draw(st.sampled_from(able))
        if what == "answer":
            answer(data.draw(st.sampled_from(["ok", "ok", "ok", "ignore", "fail"])))
        elif what == "die":
            dies(data.draw(st.sampled_from(list(alive))), data.draw(st.sampled_from(REASONS)))
        elif what == "again":
            perform(plan.child_exited(data.draw(st.sampled_from(reported)), "again", now))
        elif what == "retry":
            perform(plan.retry(retries.pop(0), now))
        elif not ended:
            asks += 1
            waiting.add(asks)
            id = data.draw(st.sampled_from(IDS))
            name = data.draw(st.sampled_from(["start_child", "terminate_child", "delete_child", "restart_child"]))
            what = data.draw(child_specs(flags["auto_shutdown"])) if name == "start_child" else id
            perform(getattr(plan, name)(what, asks))
        assert plan.idle == (asked is None)
        assert plan.finished == ended

    while asked or retries:
        if asked:
            answer("ok")
        else:
            perform(plan.retry(retries.pop(0), now))
    assert plan.idle
    if not ended:
        assert not waiting
        lines = plan.which_children()
        assert {line.pid: line.id for line in lines if line.pid is not None} == alive
        perform(plan.shut_down("done"))
        while asked:
            answer("ok")
        assert ended


@given(supervisor=supervisors(), script=outcomes())
def test_while_they_start_the_running_children_are_the_first_ones(supervisor, script):
    specs, flags = supervisor
    specs = [ChildSpec(spec.id, worker) for spec in specs]  # that an ignored one stays listed
    plan, results = Plan(specs, **flags), Outcomes(script)
    begun: dict[Any, Pid | str] = {}
    actions = plan.start()
    while actions and isinstance(actions[-1], Start):
        states = {line.id: line.pid for line in plan.which_children()}
        up = {id: begun[id] if isinstance(begun[id], Pid) else None for id in begun}
        assert states == {spec.id: None for spec in specs} | up
        id = actions[-1].spec.id
        assert id == specs[len(begun)].id
        begun[id] = result = results.next()
        if result == "fail":
            actions = plan.child_start_failed(id, "no")
        else:
            actions = plan.child_started(id, result if isinstance(result, Pid) else None)
    assert plan.idle == ("fail" not in begun.values() or plan.finished)


@given(
    intensity=st.integers(0, 5),
    period=st.sampled_from([0.5, 1.0, 5.0]),
    steps=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 5.0]), max_size=60),
)
def test_the_window_counts_the_restarts_of_the_period(intensity, period, steps):
    window = RestartWindow(intensity, period)
    times: list[float] = []
    for step in steps:
        times.append((times[-1] if times else 0.0) + step)
        recent = sum(times[-1] - time <= period for time in times)
        assert window.allows(times[-1]) == (recent <= intensity)
