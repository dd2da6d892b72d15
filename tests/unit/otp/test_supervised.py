"""supervised: what stands for a child."""

from __future__ import annotations

from typing import Any

import pytest

from beampy.errors import (
    BadSpec,
)
from beampy.otp.child import ChildSpec
from beampy.otp.supervised import as_spec, worker
from beampy.otp.supervisor import Supervisor
from tests.unit.otp.children import Counter, idle

# what is a child


def test_a_class_gives_the_spec_of_its_start() -> None:
    spec = Counter.child_spec(10, restart="transient", shutdown=2, significant=True)
    assert (spec.id, spec.restart, spec.shutdown, spec.significant) == ("Counter", "transient", 2, True)
    assert spec.type == "worker"
    assert spec.call == (Counter.start_link, (10,))
    assert Counter.child_spec(name="c").id == "c"
    assert Counter.child_spec(name="c", id=("c", 1)).id == ("c", 1)
    assert Counter.child_spec(name="c", timeout=1, step=2).call[0].keywords == {"name": "c", "timeout": 1, "step": 2}
    nested = Supervisor.child_spec([Counter], strategy="one_for_all")
    assert (nested.type, nested.shutdown, nested.restart) == ("supervisor", "infinity", "permanent")


def test_a_worker_is_an_async_function() -> None:
    spec = Supervisor.worker(idle)
    assert (spec.id, spec.restart, spec.shutdown) == ("idle", "permanent", 5.0)
    spec = worker(idle, 1, 2, name="w", restart="temporary", shutdown="brutal_kill", significant=True)
    assert (spec.id, spec.restart, spec.shutdown, spec.significant) == ("w", "temporary", "brutal_kill", True)
    assert spec.call[1] == (1, 2)
    with pytest.raises(BadSpec, match="needs an async function"):
        worker(5)


def test_what_can_stand_for_a_child() -> None:
    spec = ChildSpec("a", print)
    assert as_spec(spec) is spec
    assert as_spec(Counter).call == (Counter.start_link, ())
    assert as_spec((Counter, 1)).call == (Counter.start_link, (1,))
    assert as_spec({"id": "a", "start": print, "restart": "temporary"}).restart == "temporary"


@pytest.mark.parametrize(
    ("child", "problem"),
    [
        (idle, r"Supervisor\.worker"),
        ((idle, 1), r"Supervisor\.worker"),
        ("Counter", "a child is a ChildSpec"),
        (int, r"Supervisor\.worker"),
        ((), "a child is a ChildSpec"),
        (None, "a child is a ChildSpec"),
        ({"id": "a"}, "start"),
        ({"id": "a", "start": print, "modules": []}, "modules"),
        ({"id": [], "start": print}, "hashable"),
    ],
)
def test_what_cannot(child: Any, problem: str) -> None:
    with pytest.raises(BadSpec, match=problem):
        as_spec(child)


def test_a_child_spec_of_ones_own() -> None:
    class Good:
        @staticmethod
        def child_spec(n: int) -> ChildSpec:
            return ChildSpec(n, print)

    class Odd:
        @staticmethod
        def child_spec() -> int:
            return 5

    good: Any = (Good, 3)
    odd: Any = Odd
    assert as_spec(good).id == 3
    with pytest.raises(BadSpec, match=r"Odd\.child_spec gave 5"):
        as_spec(odd)
