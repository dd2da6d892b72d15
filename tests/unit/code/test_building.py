"""What is written in a cell does in another process what it does here, and keeps its identity there."""

from __future__ import annotations

import pytest

from tests.unit.code.cells_classes import CLASSES, OPTIONAL
from tests.unit.code.cells_functions import FUNCTIONS
from tests.unit.code.cells_ground import Ground, ground, notebook
from tests.unit.code.cells_state import STATE

__all__ = ["ground", "notebook"]

CELLS = {**FUNCTIONS, **CLASSES, **STATE}


def the_same(ground: Ground, cell: str) -> None:
    ground.run(cell)
    check = ground.there(ground["check"])
    assert check is not ground["check"]
    got = check()
    assert ground.back(got) == ground["check"]()
    assert ground.back(check) is ground["check"]


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_does_there_what_it_does_here(ground: Ground, name: str) -> None:
    the_same(ground, CELLS[name])


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_cell_with_a_package_does_there_what_it_does_here(ground: Ground, name: str) -> None:
    pytest.importorskip(name)
    the_same(ground, OPTIONAL[name])
