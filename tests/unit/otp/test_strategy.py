"""A supervisor's decisions, one by one: `World` performs what the plan asks for and notes it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from beampy.core.ids import Pid
from beampy.errors import BadSpec, InternalError
from beampy.otp.actions import GiveUp, Refuse, Reply, Report, Retry, Start, Stop
from beampy.otp.child import ChildCount, ChildInfo, ChildSpec
from beampy.otp.strategy import Plan

IGNORE = object()


async def worker() -> None: ...


def perm(id: Any, **given: Any) -> ChildSpec:
    return ChildSpec(id, worker, **given)


def trans(id: Any, **given: Any) -> ChildSpec:
    return ChildSpec(id, worker, restart="transient", **given)


def temp(id: Any, **given: Any) -> ChildSpec:
    return ChildSpec(id, worker, restart="temporary", **given)


class World:
    """Children that start and stop as told: every start succeeds and every stop is orderly, unless
    `starts[id]` (IGNORE or a reason, one for each start to come; None: it succeeds) or `ends[id]`
    (the exit reason of a stop) says otherwise. Retries are kept until `retry` is called."""

    def __init__(self, *specs: ChildSpec, **flags: Any) -> None:
        self.plan = Plan(specs, **flags)
        self.starts: dict[Any, list[Any]] = {}
        self.ends: dict[Any, Any] = {}
        self.pids: dict[Any, Pid] = {}
        self.retries: list[Any] = []
        self.reports: list[Report] = []
        self.answers: list[Any] = []
        self._serial = 0

    def pid(self) -> Pid:
        self._serial += 1
        return Pid("t@h", self._serial, 0)

    def do(self, actions: list[Any]) -> str:
        log: list[str] = []
        todo = deque(actions)
        while todo:
            action = todo.popleft()
            match action:
                case Start(spec):
                    log.append(f"+{spec.id}")
                    todo += self._start(spec.id)
                case Stop(id, pid, shutdown):
                    log.append(f"-{id}")
                    usual = "killed" if shutdown == "brutal_kill" else "shutdown"
                    todo += self.plan.child_exited(pid, self.ends.get(id, usual), 0.0)
                case Retry(id):
                    log.append(f"?{id}")
                    self.retries.append(id)
                case Report():
                    self.reports.append(action)
                case Reply(_, pid):
                    log.append("ok")
                    self.answers.append(pid)
                case Refuse(_, why, detail):
                    log.append(why)
                    self.answers.append(detail)
                case GiveUp(reason):
                    log.append(f"!{reason}")
        return " ".join(log)

    def _start(self, id: Any) -> list[Any]:
        outcomes = self.starts.get(id)
        outcome = outcomes.pop(0) if outcomes else None
        if outcome is IGNORE:
            return self.plan.child_started(id, None)
        if outcome is not None:
            return self.plan.child_start_failed(id, outcome)
        self.pids[id] = self.pid()
        return self.plan.child_started(id, self.pids[id])

    def start(self) -> str:
        return self.do(self.plan.start())

    def exit(self, id: Any, reason: Any = "boom", now: float = 0.0) -> str:
        return self.do(self.plan.child_exited(self.pids[id], reason, now))

    def retry(self, now: float = 0.0) -> str:
        return self.do(self.plan.retry(self.retries.pop(0), now))

    def start_child(self, spec: ChildSpec) -> str:
        return self.do(self.plan.start_child(spec, "me"))

    def restart_child(self, id: Any) -> str:
        return self.do(self.plan.restart_child(id, "me"))

    def terminate_child(self, id: Any) -> str:
        return self.do(self.plan.terminate_child(id, "me"))

    def delete_child(self, id: Any) -> str:
        return self.do(self.plan.delete_child(id, "me"))

    def shut_down(self, reason: Any = "shutdown") -> str:
        return self.do(self.plan.shut_down(reason))

    def children(self) -> str:
        """The ids in start order: `a` runs, `(a)` is stopped, `a?` is restarting."""
        marks = {None: "({})", "restarting": "{}?"}
        lines = reversed(self.plan.which_children())
        return " ".join(
            (marks.get(line.pid, "{}") if not isinstance(line.pid, Pid) else "{}").format(line.id) for line in lines
        )

    def reported(self, *, progress: bool = False) -> list[str]:
        wanted = [each for each in self.reports if progress or each.kind != "progress"]
        self.reports = []
        return [f"{each.kind} {each.spec.id} {each.reason}" for each in wanted]


def running(*specs: ChildSpec, **flags: Any) -> World:
    world = World(*specs, **flags)
    world.start()
    world.reported()
    return world


# --- the first start


def test_children_start_from_left_to_right_one_after_the_other():
    plan = Plan([perm("a"), perm("b")])
    assert plan.start() == [Start(perm("a"))]
    assert not plan.idle
    pid = Pid("t@h", 1, 0)
    assert plan.child_started("a", pid) == [
        Report("progress", perm("a"), pid),
        Start(perm("b")),
    ]
    assert plan.child_started("b", None) == []
    assert plan.idle
    assert plan.which_children() == [
        ChildInfo("b", None, "worker"),
        ChildInfo("a", pid, "worker"),
    ]


def test_a_supervisor_without_children():
    world = World()
    assert world.start() == ""
    assert world.shut_down() == "!shutdown"


def test_a_failed_first_start_stops_those_already_started():
    world = World(perm("a"), perm("b"), temp("t"), perm("c"), perm("d"))
    world.starts["b"] = [IGNORE]
    world.starts["c"] = ["nope"]
    reason = ("shutdown", ("failed_to_start_child", "c", "nope"))
    assert world.start() == f"+a +b +t +c -t -a !{reason}"
    assert world.reported() == ["start_error c nope"]
    assert world.plan.finished


def test_an_ignored_start_keeps_the_spec_unless_it_is_temporary():
    world = World(perm("a"), trans("b"), temp("c"))
    world.starts = {"a": [IGNORE], "b": [IGNORE], "c": [IGNORE]}
    assert world.start() == "+a +b +c"
    assert world.children() == "(a) (b)"


# --- which children are restarted


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", 1), "killed", "boom"])
@pytest.mark.parametrize(
    ("kind", "orderly", "otherwise"),
    [(perm, "+a", "+a"), (trans, "", "+a"), (temp, "", "")],
)
def test_restart(kind, orderly, otherwise, reason):
    world = running(kind("a"))
    expected = reason in ("normal", "shutdown", ("shutdown", 1))
    did = world.exit("a", reason)
    assert did == (orderly if expected else otherwise)
    assert world.children() == ("a" if did else "(a)" if kind is trans else "")
    quiet = expected and kind is not perm
    assert world.reported() == ([] if quiet else [f"child_terminated a {reason}"])


def test_a_report_names_the_process_that_ended():
    world = running(perm("a"))
    old = world.pids["a"]
    world.exit("a")
    assert [(each.kind, each.pid) for each in world.reports] == [
        ("child_terminated", old),
        ("progress", world.pids["a"]),
    ]


def test_an_ignored_restart_leaves_the_child_stopped():
    world = running(perm("a"))
    world.starts["a"] = [IGNORE]
    assert world.exit("a") == "+a"
    assert world.children() == "(a)"


def test_the_exit_of_a_stranger_means_nothing():
    world = running(perm("a"))
    assert world.do(world.plan.child_exited(world.pid(), "boom", 0.0)) == ""
    old = world.pids["a"]
    world.exit("a")
    assert world.do(world.plan.child_exited(old, "boom", 0.0)) == ""
    assert world.reported() == ["child_terminated a boom"]


# --- strategies

FOUR = (perm("a"), perm("b"), temp("t"), trans("c"))


@pytest.mark.parametrize(
    ("strategy", "who", "did", "left"),
    [
        ("one_for_one", "b", "+b", "a b t c"),
        ("rest_for_one", "a", "-c -t -b +a +b +c", "a b c"),
        ("rest_for_one", "b", "-c -t +b +c", "a b c"),
        ("rest_for_one", "t", "", "a b c"),
        ("rest_for_one", "c", "+c", "a b t c"),
        ("one_for_all", "a", "-c -t -b +a +b +c", "a b c"),
        ("one_for_all", "b", "-c -t -a +a +b +c", "a b c"),
        ("one_for_all", "t", "", "a b c"),
        ("one_for_all", "c", "-t -b -a +a +b +c", "a b c"),
    ],
)
def test_who_is_restarted_with_whom(strategy, who, did, left):
    world = running(*FOUR, strategy=strategy)
    assert world.exit(who) == did
    assert world.children() == left


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_group_restart_starts_its_stopped_members_too(strategy):
    world = running(perm("a"), perm("b"), trans("c"), strategy=strategy)
    world.terminate_child("b")
    world.exit("c", "normal")
    assert world.children() == "a (b) (c)"
    assert world.exit("a") == "+a +b +c"
    assert world.children() == "a b c"


def test_siblings_are_stopped_by_their_own_rule():
    plan = Plan(
        [perm("a"), perm("b", shutdown=0.5), perm("c", shutdown="brutal_kill")],
        strategy="one_for_all",
    )
    pids = [Pid("t@h", n, 0) for n in range(3)]
    plan.start()
    for spec, pid in zip("abc", pids, strict=True):
        plan.child_started(spec, pid)
    [_, stop] = plan.child_exited(pids[0], "boom", 0.0)
    assert stop == Stop("c", pids[2], "brutal_kill")
    assert plan.child_exited(pids[2], "killed", 0.0) == [Stop("b", pids[1], 0.5)]
    assert plan.child_exited(pids[1], "shutdown", 0.0) == [Start(perm("a"))]


@pytest.mark.parametrize(
    ("kind", "shutdown", "reason", "reported"),
    [
        (perm, 1.0, "shutdown", False),
        (perm, 1.0, "killed", True),  # it took too long
        (perm, 1.0, "normal", True),
        (trans, 1.0, ("shutdown", "idle"), False),
        (temp, 1.0, "normal", False),
        (perm, "brutal_kill", "killed", False),
        (perm, "brutal_kill", "shutdown", True),
        (temp, "brutal_kill", "shutdown", False),
    ],
)
def test_a_disorderly_stop_is_reported(kind, shutdown, reason, reported):
    world = running(kind("a", shutdown=shutdown))
    world.ends["a"] = reason
    assert world.terminate_child("a") == "-a ok"
    assert world.reported() == ([f"shutdown_error a {reason}"] if reported else [])


# --- failing restarts


def test_a_restart_that_fails_is_tried_again():
    world = running(perm("a"), perm("b"), intensity=3)
    world.starts["a"] = ["nope", "still not"]
    assert world.exit("a") == "+a ?a"
    assert world.children() == "a? b"
    assert world.retry() == "+a ?a"
    assert world.retry() == "+a"
    assert world.children() == "a b"
    assert world.reported() == [
        "child_terminated a boom",
        "start_error a nope",
        "start_error a still not",
    ]


def test_each_attempt_counts_as_a_restart():
    world = running(perm("a"), perm("b"), intensity=2)
    world.starts["a"] = ["nope"] * 9
    assert world.exit("a") == "+a ?a"
    assert world.retry() == "+a ?a"
    assert world.retry() == "-b !shutdown"
    assert world.reported()[-1] == "shutdown a reached_max_restart_intensity"


def test_attempts_that_are_far_apart_go_on():
    world = running(perm("a"))
    world.starts["a"] = ["nope"] * 20
    world.exit("a", now=0.0)
    for attempt in range(1, 20):
        assert world.retry(now=6.0 * attempt) == "+a ?a"
    assert world.retry(now=6.0 * 20) == "+a"


@pytest.mark.parametrize(
    ("strategy", "again"),
    [("rest_for_one", "+b +c"), ("one_for_all", "-a +a +b +c")],
)
def test_a_sibling_that_fails_to_restart_is_tried_by_the_same_strategy(strategy, again):
    world = running(perm("a"), perm("b"), perm("c"), strategy=strategy, intensity=2)
    world.starts["b"] = ["nope"]
    assert world.exit("a") == "-c -b +a +b ?b"
    assert world.children() == "a b? (c)"
    assert world.retry() == again
    assert world.children() == "a b c"


def test_another_exit_may_restart_what_waits_to_be_retried():
    world = running(perm("a"), perm("b"), strategy="one_for_all", intensity=5)
    world.starts["b"] = ["nope"]
    assert world.exit("a") == "-b +a +b ?b"
    assert world.exit("a") == "+a +b"
    assert world.retry() == ""
    assert world.children() == "a b"


def test_a_retry_that_comes_too_late_does_nothing():
    world = running(perm("a"), perm("b"), intensity=5)
    world.starts = {"a": ["nope"], "b": ["nope"]}
    world.exit("a")
    world.exit("b")
    world.terminate_child("a")
    world.terminate_child("b")
    world.delete_child("b")
    assert (world.retry(), world.retry()) == ("", "")
    assert world.children() == "(a)"


# --- intensity


def test_one_restart_in_five_seconds_is_the_default():
    world = running(perm("a"), perm("b"), temp("t"))
    assert world.exit("a", now=0.0) == "+a"
    assert world.exit("a", now=5.1) == "+a"
    assert world.exit("b", now=10.1) == "-t -a !shutdown"
    assert world.reported()[-2:] == [
        "child_terminated b boom",
        "shutdown b reached_max_restart_intensity",
    ]


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
def test_too_many_restarts_end_all(strategy):
    world = running(*FOUR, strategy=strategy, intensity=0)
    assert world.exit("b") == "-c -t -a !shutdown"
    assert world.plan.finished


def test_a_group_restart_counts_once():
    world = running(perm("a"), perm("b"), perm("c"), strategy="one_for_all", intensity=1)
    assert world.exit("a") == "-c -b +a +b +c"


def test_ends_without_a_restart_do_not_count():
    world = running(perm("a"), trans("b"), temp("c"), intensity=1)
    world.exit("b", "normal")
    world.exit("c", "boom")
    world.terminate_child("a")
    world.restart_child("a")
    assert world.exit("a") == "+a"


# --- what happens meanwhile


def test_a_sibling_that_ends_meanwhile_need_not_be_stopped():
    plan = Plan([perm("a"), perm("b"), perm("c")], strategy="one_for_all")
    a, b, c = (Pid("t@h", n, 0) for n in range(3))
    plan.start()
    for id, pid in zip("abc", (a, b, c), strict=True):
        plan.child_started(id, pid)
    [_, stop] = plan.child_exited(a, "boom", 0.0)
    assert stop == Stop("c", c, 5.0)
    assert plan.child_exited(b, "bang", 0.0) == []
    assert plan.child_exited(c, "shutdown", 0.0) == [
        Report("shutdown_error", perm("b"), b, "bang"),
        Start(perm("a")),
    ]
    # b was restarted once, with the others: its own exit has had its turn.
    plan.child_started("a", Pid("t@h", 10, 0))
    plan.child_started("b", Pid("t@h", 11, 0))
    plan.child_started("c", Pid("t@h", 12, 0))
    assert plan.idle
    assert [line.pid for line in plan.which_children()] == [Pid("t@h", n, 0) for n in (12, 11, 10)]


def test_an_exit_waits_for_its_turn():
    plan = Plan([perm("a"), perm("b")])
    a, b = Pid("t@h", 1, 0), Pid("t@h", 2, 0)
    plan.start()
    plan.child_started("a", a)
    assert plan.child_exited(a, "boom", 0.0) == []
    assert plan.child_exited(a, "again", 0.0) == []
    assert plan.child_started("b", b) == [
        Report("progress", perm("b"), b),
        Report("child_terminated", perm("a"), a, "boom"),
        Start(perm("a")),
    ]


def test_requests_wait_for_their_turn():
    plan = Plan([perm("a")])
    assert plan.start() == [Start(perm("a"))]
    assert plan.terminate_child("a", "one") == []
    assert plan.delete_child("a", "two") == []
    assert plan.restart_child("a", "three") == []
    pid = Pid("t@h", 1, 0)
    assert plan.child_started("a", pid) == [
        Report("progress", perm("a"), pid),
        Stop("a", pid, 5.0),
    ]
    assert plan.child_exited(pid, "shutdown", 0.0) == [
        Reply("one", None),
        Reply("two", None),
        Refuse("three", "not_found"),
    ]


def test_nothing_follows_the_end():
    world = running(perm("a"))
    assert world.shut_down("because") == "-a !because"
    assert world.plan.finished
    assert world.plan.idle
    assert world.start_child(perm("b")) == ""
    assert world.exit("a") == ""
    assert world.shut_down() == ""


def test_what_waits_at_the_end_is_dropped():
    plan = Plan([perm("a")])
    plan.start()
    plan.shut_down("because")
    plan.start_child(perm("b"), "me")
    pid = Pid("t@h", 1, 0)
    plan.child_started("a", pid)
    assert plan.child_exited(pid, "shutdown", 0.0) == [GiveUp("because")]


@pytest.mark.parametrize("id", ["b", "a"])
def test_a_start_that_nobody_asked_for_is_a_bug(id):
    world = running(perm("a"))
    with pytest.raises(InternalError, match="the start of"):
        world.plan.child_started(id, None)
    world.plan.restart_child("a", "me")
    world.plan.start_child(perm("c"), "me")
    with pytest.raises(InternalError, match="the start of"):
        world.plan.child_start_failed(id, "why")


def test_one_process_under_two_ids_does_no_harm():
    plan = Plan([perm("a"), perm("b")])
    pid = Pid("t@h", 1, 0)
    plan.start()
    plan.child_started("a", pid)
    plan.child_started("b", pid)
    assert plan.shut_down("shutdown") == [Stop("b", pid, 5.0)]
    assert plan.child_exited(pid, "shutdown", 0.0) == [Stop("a", pid, 5.0)]
    assert plan.child_exited(pid, "noproc", 0.0)[-1] == GiveUp("shutdown")


# --- requests


def test_start_child_adds_the_child_at_the_end():
    world = running(perm("a"))
    assert world.start_child(temp("b")) == "+b ok"
    assert world.answers == [world.pids["b"]]
    assert world.children() == "a b"
    assert world.reported(progress=True) == ["progress b None"]
    assert world.shut_down() == "-b -a !shutdown"


def test_start_child_of_one_that_chooses_not_to_start():
    world = running(perm("a"))
    world.starts = {"b": [IGNORE], "t": [IGNORE]}
    assert world.start_child(perm("b")) == "+b ok"
    assert world.start_child(temp("t")) == "+t ok"
    assert world.answers == [None, None]
    assert world.children() == "a (b)"


def test_start_child_of_one_that_fails():
    world = running(perm("a"))
    world.starts["b"] = ["nope"]
    assert world.start_child(perm("b")) == "+b start_failed"
    assert world.answers == ["nope"]
    assert world.children() == "a"
    assert world.reported() == []


def test_start_child_with_an_id_that_is_taken():
    world = running(perm("a"), perm("b"), trans("c"))
    world.starts["b"] = ["nope"]
    world.exit("b")
    world.exit("c", "normal")
    assert [world.start_child(perm(id)) for id in "abc"] == [
        "already_started",
        "already_present",
        "already_present",
    ]
    assert world.answers == [world.pids["a"], None, None]


def test_start_child_with_a_spec_that_does_not_fit():
    world = running(perm("a"))
    assert world.start_child(trans("a", significant=True)) == "bad_spec"
    [error] = world.answers
    assert isinstance(error, BadSpec)
    assert world.children() == "a"


def test_restart_child():
    world = running(perm("a"), perm("b"), trans("c"))
    world.starts["b"] = ["nope"]
    world.exit("b")
    world.exit("c", "normal")
    assert [world.restart_child(id) for id in "abcd"] == [
        "running",
        "restarting",
        "+c ok",
        "not_found",
    ]
    assert world.answers == [None, None, world.pids["c"], None]
    assert world.children() == "a b? c"


def test_restart_child_of_one_that_does_not_come_up():
    world = running(perm("a"))
    world.terminate_child("a")
    world.starts["a"] = ["nope", IGNORE]
    assert world.restart_child("a") == "+a start_failed"
    assert world.restart_child("a") == "+a ok"
    assert world.answers == [None, "nope", None]
    assert world.children() == "(a)"
    assert world.retries == []
    assert world.reported() == []


def test_terminate_child():
    world = running(perm("a"), temp("b"), perm("c"), trans("d"))
    world.starts["c"] = ["nope"]
    world.exit("c")
    world.exit("d", "normal")
    assert [world.terminate_child(id) for id in "abcde"] == [
        "-a ok",
        "-b ok",
        "ok",
        "ok",
        "not_found",
    ]
    assert world.children() == "(a) (c) (d)"


def test_delete_child():
    world = running(perm("a"), perm("b"), trans("c"))
    world.starts["b"] = ["nope"]
    world.exit("b")
    world.exit("c", "normal")
    assert [world.delete_child(id) for id in "abcd"] == [
        "running",
        "restarting",
        "ok",
        "not_found",
    ]
    assert world.children() == "a b?"


# --- questions


def test_which_children_lists_the_last_one_first():
    world = running(perm("a"), perm("s", type="supervisor"))
    world.start_child(perm("c"))
    world.starts["a"] = ["nope"]
    world.exit("a")
    world.terminate_child("c")
    assert world.plan.which_children() == [
        ("c", None, "worker"),
        ("s", world.pids["s"], "supervisor"),
        ("a", "restarting", "worker"),
    ]


def test_a_restart_keeps_a_child_in_its_place():
    world = running(perm("a"), perm("b"), perm("c"))
    world.exit("a")
    world.terminate_child("b")
    world.restart_child("b")
    assert world.children() == "a b c"


def test_count_children():
    world = running(perm("a"), perm("b"), perm("s", type="supervisor"), trans("c"))
    world.starts["b"] = ["nope"]
    world.exit("b")
    world.exit("c", "normal")
    assert world.plan.count_children() == ChildCount(specs=4, active=2, supervisors=1, workers=3)
    dead = world.pids["a"]
    assert world.plan.count_children(lambda pid: pid != dead).active == 1


def test_childspec():
    world = running(perm("a"))
    assert world.plan.childspec("a") == perm("a")
    assert world.plan.childspec("b") is None


# --- significant children


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "idle")])
@pytest.mark.parametrize("kind", [trans, temp])
def test_the_end_of_any_significant_child(kind, reason):
    world = running(
        perm("a"),
        kind("b", significant=True),
        temp("c"),
        trans("d", significant=True),
        auto_shutdown="any_significant",
    )
    assert world.exit("c", reason) == ""
    assert world.exit("b", reason) == "-d -a !shutdown"


def test_the_end_of_all_significant_children():
    world = running(
        trans("a", significant=True),
        perm("b"),
        temp("c", significant=True),
        trans("d", significant=True),
        auto_shutdown="all_significant",
    )
    assert world.exit("a", "normal") == ""
    assert world.exit("c", "boom") == ""
    assert world.exit("d", "shutdown") == "-b !shutdown"


def test_a_significant_child_that_is_to_be_retried_is_not_over():
    world = running(
        trans("a", significant=True),
        temp("b", significant=True),
        auto_shutdown="all_significant",
    )
    world.starts["a"] = ["nope"]
    assert world.exit("a", "boom") == "+a ?a"
    assert world.exit("b", "boom") == ""
    world.retry(now=6.0)
    assert world.exit("a", "normal") == "!shutdown"


def test_a_significant_child_that_is_restarted_is_not_over():
    world = running(trans("a", significant=True), auto_shutdown="any_significant")
    assert world.exit("a", "boom") == "+a"


@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
def test_stopping_a_significant_child_is_not_its_end(auto_shutdown):
    world = running(temp("a", significant=True), perm("b"), auto_shutdown=auto_shutdown)
    assert world.terminate_child("a") == "-a ok"
    assert not world.plan.finished


def test_a_significant_child_stopped_with_its_group_is_not_over():
    world = running(
        perm("a"),
        temp("b", significant=True),
        strategy="one_for_all",
        auto_shutdown="any_significant",
    )
    assert world.exit("a") == "-b +a"
    assert not world.plan.finished


# --- bad supervisors


@pytest.mark.parametrize(
    ("specs", "flags", "problem"),
    [
        ([], {"strategy": "simple_one_for_one"}, "strategy: 'simple_one_for_one' is none of"),
        ([], {"auto_shutdown": True}, "auto_shutdown:"),
        ([], {"intensity": -1}, "intensity:"),
        ([], {"period": 0}, "period:"),
        ([perm("a"), perm("a")], {}, "id: two children are called 'a'"),
        ([temp("a", significant=True)], {}, "significant:"),
    ],
)
def test_a_supervisor_that_cannot_be(specs, flags, problem):
    with pytest.raises(BadSpec) as caught:
        Plan(specs, **flags)
    assert str(caught.value).startswith(problem)
