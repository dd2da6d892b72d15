"""Instances that follow their class when it is defined anew: at home, and where it was built."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from beampy.code import repair
from beampy.code.repair import Repaired, keep_instances, replaced
from tests.unit.code.cells_ground import Ground, ground, notebook

__all__ = ["ground", "notebook"]


@pytest.fixture(autouse=True)
def on() -> Iterator[None]:
    repair._warned.clear()
    keep_instances()
    yield
    keep_instances(False)


def test_instances_there_follow_the_class_that_is_built(ground: Ground) -> None:
    ground.run("class A:\n    def __init__(self): self.x = 1\n    def v(self): return self.x")
    old = [ground.there(ground["A"]()) for _ in range(3)]
    ground.run("class A:\n    def __init__(self): self.x = 1\n    def v(self): return self.x + 10")
    new = ground.there(ground["A"])
    assert [(type(one), one.v()) for one in old] == [(new, 11)] * 3


def test_instances_at_home_follow_when_the_class_is_sent(ground: Ground) -> None:
    ground.run("class A:\n    def v(self): return 1\na = A()")
    ground.there(ground["A"])
    ground.run("class A:\n    def v(self): return 2")
    assert ground["a"].v() == 1
    ground.there(ground["A"])
    assert (type(ground["a"]), ground["a"].v()) == (ground["A"], 2)
    assert ground.back(ground.there(ground["a"])).v() == 2


def test_without_it_they_stay(ground: Ground) -> None:
    keep_instances(False)
    ground.run("class A: n = 1\na = A()")
    there = ground.there(ground["a"])
    ground.run("class A: n = 2")
    ground.there(ground["A"])
    assert (ground["a"].n, there.n) == (1, 1)


def test_subclasses_follow(ground: Ground) -> None:
    ground.run("class A:\n    def v(self): return 1\nclass B(A): pass\nb = B()")
    ground.there((ground["A"], ground["B"]))
    ground.run("class A:\n    def v(self): return 2")
    ground.there(ground["A"])
    assert (ground["b"].v(), isinstance(ground["b"], ground["A"])) == (2, True)
    assert ground.there(ground["B"])().v() == 2


def test_frozen_dataclasses_and_slots_follow(ground: Ground) -> None:
    cell = """
        import dataclasses
        @dataclasses.dataclass(frozen=True, slots=True)
        class D:
            x: int
            def v(self): return self.x * {}
        d = D(3) if "d" not in globals() else d
        """
    ground.run(cell.format(1))
    there = ground.there(ground["d"])
    ground.run(cell.format(2))
    new = ground.there(ground["D"])
    assert (type(there), there.v(), ground["d"].v()) == (new, 6, 6)


def test_what_is_laid_out_in_another_way_stays_and_is_told_once(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.run("class A:\n    __slots__ = ('x',)")
    there = [ground.there(ground["A"]()) for _ in range(3)]
    before = type(there[0])
    caplog.clear()
    ground.run("class A:\n    __slots__ = ('x', 'y')")
    ground.there(ground["A"])
    ground.run("class A:\n    __slots__ = ('x', 'y', 'z')")
    ground.there(ground["A"])
    assert {type(one) for one in there} == {before}
    (record,) = [one for one in caplog.records if one.name == "beampy.code"]
    assert record.levelno == logging.WARNING
    assert ".A was defined anew with another layout" in record.getMessage()
    assert ": 3 of its objects" in record.getMessage()


def test_named_tuples_follow_where_they_have_the_same_fields(ground: Ground) -> None:
    cell = "import typing\nclass N(typing.NamedTuple):\n    a: int\n    {}\n    def v(self): return {}"
    ground.run(cell.format("", 1))
    one = ground.there(ground["N"](1))
    ground.run(cell.format("", 2))
    ground.there(ground["N"])
    assert one.v() == 2
    ground.run(cell.format("b: int = 3", 3))
    ground.there(ground["N"])
    assert one.v() == 2


def test_members_of_enums_stay(ground: Ground) -> None:
    ground.run("import enum\nclass E(enum.Enum): A = 1")
    member = ground.there(ground["E"].A)
    ground.run("import enum\nclass E(enum.Enum): A = 2")
    new = ground.there(ground["E"])
    assert type(member) is not new
    assert member.value == 1
    assert new.A.value == 2


def test_classes_of_one_name_that_live_side_by_side_are_left_alone(ground: Ground) -> None:
    ground.run("def make(k):\n    class L:\n        def v(self): return k\n    return L\na, b = make(1)(), make(2)()")
    assert [one.v() for one in ground.there([ground["a"], ground["b"]])] == [1, 2]
    assert (ground["a"].v(), ground["b"].v()) == (1, 2)


class Old:
    pass


class New:
    pass


@pytest.mark.parametrize(("old", "new"), [(Old, Old), (None, New), (Old, 3), (len, New)])
def test_what_is_no_redefinition_changes_nothing(old: Any, new: Any) -> None:
    assert replaced(old, new) == Repaired(0, 0)


def test_it_says_how_many(ground: Ground) -> None:
    some = [Old() for _ in range(5)]
    assert replaced(Old, New) == Repaired(5, 0)
    assert all(type(one).__name__ == "New" for one in some)
