"""One child: its specification, and the rules that look at one child alone."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from beampy.core.ids import Pid
from beampy.errors import BadSpec
from beampy.otp.child import Child, ChildSpec, RestartWindow, restarts, stopped_as_asked

ENDS = ["normal", "shutdown", ("shutdown", "idle"), "killed", "boom", ("shutdown",), ("a", "b"), 7]
ORDERLY = ENDS[:3]


class Awkward:
    """A reason of somebody else's making: comparing it is an error, as with an array."""

    def __eq__(self, other: object) -> Any:
        raise TypeError("the truth of this is ambiguous")

    __hash__ = None  # type: ignore[assignment]


async def worker(*args: object) -> None: ...


# --- specifications


def test_the_defaults_are_those_of_otp():
    spec = ChildSpec("a", worker)
    assert (spec.restart, spec.shutdown, spec.type, spec.significant) == (
        "permanent",
        5.0,
        "worker",
        False,
    )
    assert ChildSpec("s", worker, type="supervisor").shutdown == "infinity"


def test_what_is_given_is_kept():
    given: dict[str, Any] = {
        "restart": "transient",
        "shutdown": "brutal_kill",
        "type": "supervisor",
        "significant": True,
    }
    spec = ChildSpec("a", worker, **given)
    assert {name: getattr(spec, name) for name in given} == given


@pytest.mark.parametrize("shutdown", [0, 0.25, 7, "infinity", "brutal_kill"])
def test_how_a_child_may_be_stopped(shutdown):
    assert ChildSpec("a", worker, shutdown=shutdown).shutdown == shutdown


def test_a_start_is_a_callable_or_a_tuple_of_one_and_its_arguments():
    assert ChildSpec("a", worker).call == (worker, ())
    assert ChildSpec("a", (worker,)).call == (worker, ())
    assert ChildSpec("a", (worker, 1, "x")).call == (worker, (1, "x"))


def test_an_id_is_anything_hashable():
    for id in ("a", 1, ("cache", 3), worker, None):
        assert ChildSpec(id, worker).id == id


def test_specs_are_values():
    spec = ChildSpec("a", (worker, 1))
    assert spec == ChildSpec("a", (worker, 1), shutdown=5.0)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert dataclasses.replace(spec, restart="temporary").restart == "temporary"
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.id = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"id": []}, "id:"),
        ({"start": "worker"}, "start:"),
        ({"start": ()}, "start:"),
        ({"start": ("worker", 1)}, "start:"),
        ({"restart": "always"}, "restart: 'always' is none of permanent, transient, temporary"),
        ({"restart": ["permanent"]}, "restart:"),
        ({"type": "boss"}, "type: 'boss' is none of worker, supervisor"),
        ({"shutdown": -1}, "shutdown:"),
        ({"shutdown": True}, "shutdown:"),
        ({"shutdown": float("nan")}, "shutdown:"),
        ({"shutdown": float("inf")}, "shutdown:"),
        ({"shutdown": "kill"}, "shutdown:"),
        ({"significant": 1, "restart": "transient"}, "significant: needs"),
        ({"significant": True}, "significant: a permanent child"),
    ],
)
def test_a_bad_spec_says_which_field(wrong, problem):
    fields: dict[str, Any] = {"id": "a", "start": worker}
    with pytest.raises(BadSpec) as caught:
        ChildSpec(**(fields | wrong))
    assert str(caught.value).startswith(problem)
    assert "ChildSpec(" in str(caught.value)


# --- restart and stop


@pytest.mark.parametrize("reason", ENDS, ids=repr)
def test_which_ends_restart_a_child(reason):
    assert restarts("permanent", reason)
    assert restarts("transient", reason) == (reason not in ORDERLY)
    assert not restarts("temporary", reason)


@pytest.mark.parametrize("reason", ENDS, ids=repr)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_which_ends_are_expected_of_a_stopped_child(restart, reason):
    lenient = restart != "permanent" and reason in ORDERLY
    asked = ChildSpec("a", worker, restart=restart)
    assert stopped_as_asked(asked, reason) == (reason == "shutdown" or lenient)
    killed = ChildSpec("a", worker, restart=restart, shutdown="brutal_kill")
    assert stopped_as_asked(killed, reason) == (reason == "killed" or lenient)


def test_no_rule_compares_a_reason_that_is_no_plain_term():
    assert restarts("transient", Awkward())
    assert not stopped_as_asked(ChildSpec("a", worker), Awkward())


def test_a_child_has_a_pid_only_while_it_runs():
    pid = Pid("t@h", 1, 0)
    spec = ChildSpec("a", worker)
    assert [Child(spec, state).pid for state in (pid, "restarting", None)] == [pid, None, None]


# --- intensity and period


def test_more_than_intensity_restarts_within_the_period_are_too_many():
    window = RestartWindow()  # 1 in 5 s
    assert window.allows(100.0)
    assert not window.allows(100.0)


def test_no_restart_at_all_may_be_allowed():
    assert not RestartWindow(intensity=0).allows(0.0)


def test_the_period_ends_after_its_last_instant():
    window = RestartWindow(intensity=2, period=5.0)
    assert [window.allows(now) for now in (0.0, 1.0, 5.0, 5.5, 10.0, 10.1, 10.5, 10.6)] == [
        True,  # 0
        True,  # 0 1
        False,  # 0 1 5: exactly five seconds are within
        False,  # 1 5 5.5
        False,  # 5 5.5 10
        False,  # 5.5 10 10.1
        False,  # 5.5 …
        False,
    ]
    assert window.allows(15.7)


def test_the_window_holds_no_more_than_the_period():
    window = RestartWindow(intensity=10**9, period=1.0)
    for second in range(1000):
        assert window.allows(float(second) * 2)
    assert len(window._times) == 1


@pytest.mark.parametrize("intensity", [-1, 1.5, True, None])
def test_a_bad_intensity(intensity):
    with pytest.raises(BadSpec, match="intensity"):
        RestartWindow(intensity=intensity)


@pytest.mark.parametrize("period", [0, -1.0, True, float("inf"), float("nan"), "5"])
def test_a_bad_period(period):
    with pytest.raises(BadSpec, match="period"):
        RestartWindow(period=period)
