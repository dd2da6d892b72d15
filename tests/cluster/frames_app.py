"""What nodes do with polars frames, for the tests of their memory."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import polars as pl

import beampy as bp

ROWS = 150_000
KEPT: list[Any] = []


def ready() -> bool:
    """Import what frames of this size need, which they do not import themselves."""
    return bool(import_module("pyarrow"))


def frame(seed: int) -> pl.DataFrame:
    """Of about 9 MB: numbers, numbers with nulls, text, and categories."""
    n = pl.int_range(seed, seed + ROWS)
    return pl.select(
        n=n,
        half=pl.when(n % 3 == 0).then(n / 2),
        text=pl.format("this is the row {}", n),
        kind=pl.format("kind {}", n % 5).cast(pl.Categorical),
    )


def is_frame(found: pl.DataFrame, seed: int) -> bool:
    """Whether it is that one."""
    return found.equals(frame(seed)) and found.schema == frame(seed).schema


def column(seed: int, name: str) -> pl.Series:
    """One column of it."""
    return frame(seed)[name]


def kept(seed: int) -> bp.RemoteRef[Any]:
    """A reference to one, which stays."""
    return bp.remote(frame(seed))


def changed(found: pl.DataFrame) -> int:
    """Write to a frame that came, in place, and keep it; what it says then in its first row."""
    found[0, "n"] = -1
    found.extend(found.clone())
    KEPT.append(found)
    return int(found[0, "n"])


def forget() -> None:
    """Keep nothing more."""
    KEPT.clear()
