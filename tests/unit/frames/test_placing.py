"""On which node a query is run."""

from __future__ import annotations

import pytest

from beampy.frames.placing import Operand, place


@pytest.mark.parametrize(
    ("operands", "wanted"),
    [
        ([Operand("a", 5)], "a"),
        ([Operand("a", 5), Operand("b", 6)], "b"),
        ([Operand("a", 5), Operand("b", 5)], "a"),
        ([Operand("b", 5), Operand("a", 5)], "b"),
        ([Operand("a", 5), Operand("b", 3), Operand("b", 3)], "b"),
        ([Operand("a", 5), Operand("b", 0, scan=True)], "b"),
        ([Operand("a", 5, scan=True), Operand("b", 9)], "a"),
        ([Operand("a", 5, scan=True), Operand("b", 9, scan=True)], "b"),
        ([Operand("a", 0, scan=True), Operand("b", 0, scan=True), Operand("b", 0)], "a"),
        ([Operand("a", 1, scan=True), Operand("b", 1, scan=True), Operand("b", 5)], "b"),
    ],
)
def test_the_most_bytes_and_scans_before_frames(operands: list[Operand], wanted: str):
    assert place(operands) == wanted


def test_nothing_cannot_be_placed():
    with pytest.raises(ValueError, match="nothing to place"):
        place([])
