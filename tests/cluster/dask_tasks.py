"""What the tasks of test_dask.py run: in a module of its own, which imports little, as every runner imports it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

ROWS = 5_000


def slow(number: int, folder: str) -> int:
    """A moment's work, that leaves a trace."""
    Path(folder, f"{number}-{os.getpid()}").touch()
    time.sleep(0.05)
    return number


def month(number: int, rows: int = ROWS) -> pl.DataFrame:
    """One of the partitions of a frame: integers with nulls, floats, text, dates, booleans."""
    import datetime

    import polars as pl

    at = range(number * rows, (number + 1) * rows)
    return pl.DataFrame(
        {
            "key": [each % 97 for each in at],
            "carrier": [None if each % 89 == 0 else f"c{each % 7}" for each in at],
            "delay": [None if number == 1 and each % 3 == 0 else each * 37 % 1001 for each in at],
            "speed": [each / 7 for each in at],
            "day": [datetime.date(2013, 1, 1) + datetime.timedelta(days=each % 365) for each in at],
            "late": [each % 2 == 0 for each in at],
        }
    )


def here(part: Any) -> Any:
    """Where a partition is worked on."""
    import pandas as pd

    return pd.DataFrame({"pid": [os.getpid()], "rows": [len(part)]})
