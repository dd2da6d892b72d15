"""What the systems under measurement do with big arrays: the same functions for beampy and for every peer."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
_given: dict[int, Array] = {}


def array(mb: int) -> Array:
    """An array of float64 of `mb` MB, each page of which was written to."""
    return np.arange(mb * 125_000, dtype=np.float64)


def total(values: Array) -> float:
    """The sum of all: it has to look at every page."""
    return float(values.sum())


def give(mb: int) -> Array:
    """The same array again and again, so that what it takes to make one is in no figure."""
    if mb not in _given:
        _given[mb] = array(mb)
    return _given[mb]


def forget() -> None:
    """Let go of what `give` keeps."""
    _given.clear()


def first(values: Array) -> int:
    """Nothing but that it is there."""
    return len(values)
