"""What strategies want, at one moment."""

from __future__ import annotations

import math

import pytest

from beampy.pool.scaling import Load, ahead, demand, headroom


def load(calls: int, width: int = 10) -> Load:
    """So many calls, some of each kind."""
    return Load(calls - calls // 2 - calls // 3, calls // 2, calls // 3, 1, 2, width, 0, 100)


@pytest.mark.parametrize(("calls", "runners"), [(0, 0), (1, 1), (10, 1), (11, 2), (100, 10)])
def test_demand_is_what_all_calls_need(calls: int, runners: int) -> None:
    assert load(calls).calls == calls
    assert demand(load(calls)) == runners


@pytest.mark.parametrize(
    ("fraction", "calls", "runners"),
    [(0.0, 20, 2), (0.5, 0, 0), (0.5, 1, 1), (0.5, 20, 3), (0.1, 70, 8), (0.1, 101, 12), (2.0, 10, 3), (0.1, 100, 11)],
)
def test_headroom_is_for_a_part_more(fraction: float, calls: int, runners: int) -> None:
    assert headroom(fraction)(load(calls)) == runners


def test_a_fraction_is_not_rounded_to_a_slot_too_many() -> None:
    for calls in range(0, 2000, 10):
        assert headroom(0.1)(load(calls, width=1)) == calls + calls // 10


def test_ahead_is_some_more_also_without_calls() -> None:
    assert [ahead(2)(load(calls)) for calls in (0, 1, 11)] == [2, 3, 4]


@pytest.mark.parametrize("fraction", [-0.1, math.inf, math.nan])
def test_headroom_of_nonsense(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        headroom(fraction)


def test_ahead_of_nonsense() -> None:
    with pytest.raises(ValueError, match="runners"):
        ahead(-1)
