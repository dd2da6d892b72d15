"""Polars in one process, with all processors: what frames on several nodes are compared with."""

from __future__ import annotations

import importlib.metadata
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import polars as pl

from benchmarks.frames_group import part
from benchmarks.frames_work import KEYS, PARTS, ROWS

if TYPE_CHECKING:
    from benchmarks.case import Figures, Workloads


def frames_group(times: int) -> Figures:
    frame = pl.concat([part(number, ROWS // PARTS) for number in range(PARTS)])
    took = []
    for _ in range(times + 2):
        began = perf_counter()
        plan = frame.lazy().group_by("key")
        found = plan.agg(total=pl.col("value").sum(), mean=pl.col("count").mean(), rows=pl.len()).collect()
        took.append(perf_counter() - began)
        assert (found.height, found["rows"].sum()) == (KEYS, ROWS)
    return {"frames_group": ROWS / median(took[2:]) / 1e6}


def workloads(_: str) -> Workloads:
    return {"frames_group": frames_group}


def versions() -> dict[str, str]:
    return {"polars": importlib.metadata.version("polars")}


def loop(_: str) -> str:
    return "threads"
