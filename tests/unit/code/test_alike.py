"""Numbers of equal classes."""

from __future__ import annotations

import gc

import pytest

from beampy.code import alike
from beampy.code.alike import Alike
from tests.unit.code.cells_ground import Ground, ground, notebook

__all__ = ["ground", "notebook"]


def test_equal_ones_have_numbers_and_keep_them() -> None:
    numbers = Alike()
    first, second, other = (type("E", (), {}) for _ in range(3))
    assert [numbers.number(node, b"x") for node in (first, second, first, second)] == [0, 1, 0, 1]
    assert numbers.number(other, b"y") == 0
    del first
    gc.collect()
    assert numbers.number(other, b"x") == 2
    del second, other
    gc.collect()
    assert numbers.number(type("E", (), {}), b"x") == 0


def test_what_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "MOST", 8)
    numbers = Alike()
    numbers.limit = 8
    kept = [type("E", (), {}) for _ in range(12)]
    for n in range(40):
        numbers.number(kept[n] if n < len(kept) else type("E", (), {}), b"%d" % n)
        gc.collect()
    assert len(numbers.numbers) == len(numbers.highest) <= 2 * len(kept)
    assert numbers.number(kept[3], b"3") == 0


def test_equal_classes_are_two_there_and_come_home_as_what_they_were(ground: Ground) -> None:
    ground.run("def make():\n    class E: pass\n    return E\nE1, E2 = make(), make()")
    first, second = ground.there([ground["E1"], ground["E2"]])
    assert first is not second
    assert ground.there(ground["E1"]) is first
    assert ground.back(first) is ground["E1"]
    assert ground.back(second) is ground["E2"]


def test_an_equal_class_that_is_made_when_the_first_is_gone_is_the_one_that_was_sent(ground: Ground) -> None:
    ground.run("def make():\n    class E: pass\n    return E\nE = make()")
    first = ground.there(ground["E"])
    del ground.notebook.names["E"]
    gc.collect()
    ground.run("E = make()")
    assert ground.there(ground["E"]) is first
