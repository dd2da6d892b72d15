"""A group-by over a frame in four parts on four runners: rows a second, beside polars in one process and dask.

Each part has a quarter of the rows, with a thousand keys: `group_by("key")` with a sum, a mean and a count, and the
result is brought. Everybody has the data in memory before. beampy has each part on a runner of its own; "polars" is one
process that has all of it, on all cores; dask has four workers of one thread each, and its partitions persisted.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter

import polars as pl

import beampy as bp
from benchmarks.case import Case, Figure, Figures
from benchmarks.frames_work import KEYS, PARTS, ROWS, columns
from benchmarks.harness import main


def part(number: int, rows: int) -> pl.DataFrame:
    return pl.DataFrame(columns(rows, number))


async def frames_group(times: int, rows: int = ROWS) -> Figures:
    """So many times; the first two are not counted."""
    async with bp.Pool(min=PARTS, max=PARTS, max_concurrency=1) as pool:
        parts = [pool.frame(part, number, rows // PARTS) for number in range(PARTS)]
        frame = bp.frames.concat(parts)
        took = []
        for _ in range(times + 2):
            began = perf_counter()
            grouped = frame.group_by("key").agg(total=pl.col("value").sum(), mean=pl.col("count").mean(), rows=pl.len())
            found = await grouped.collect()
            took.append(perf_counter() - began)
            assert (found.height, found["rows"].sum()) == (KEYS, rows)
        return {"frames_group": rows / median(took[2:]) / 1e6}


CASES = (Case("frames_group", frames_group, (Figure("frames_group", "M rows/s"),), size=10, smoke=1, fresh=True),)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
