"""What the frames under measurement are made of: the same data for beampy, for polars alone and for dask."""

from __future__ import annotations

from typing import Any

import numpy as np

KEYS = 1000
PARTS = 4
ROWS = 8_000_000  # of the group-by, in all parts


def columns(rows: int, part: int = 0) -> dict[str, Any]:
    """A key out of a thousand, a whole number, and a float: of each row. Each part has its own rows."""
    random = np.random.default_rng(part)
    return {
        "key": random.integers(0, KEYS, rows),
        "count": random.integers(0, 100, rows),
        "value": random.random(rows),
    }


def wide(mb: int) -> dict[str, Any]:
    """Five columns of numbers that have `mb` MB together, each page of which was written to."""
    rows = mb * 25_000
    return {"id": np.arange(rows), **{f"x{n}": np.arange(rows, dtype=np.float64) + n for n in range(4)}}
