"""The tour's sixth act: a table on four machines, worked on as if it were here; kill -9 of one of them.

examples/tour.py runs it. Four runners read a year of flights, month by month, and keep it in their memory. Each works
out its months' part of the answer, which is compared with polars' own on one machine, row for row. Then one of them is
killed: its months are read again elsewhere, and the answer is the same. When the handle is dropped the memory falls.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.testing import assert_frame_equal
from rich.table import Table
from tables import MONTHS, airlines, by_month, weather
from tour_refs import resident

import beampy as bp

if TYPE_CHECKING:
    from rich.console import Console

RUNNERS = 4
ROWS = 5  # on the screen
LOST_S = 20.0  # to hear of a runner's end, and have another one; it takes half a second
FREED_S = 20.0  # to see the memory fall; polars' allocator takes some seconds


def worst(flights: Any) -> Any:
    """The airlines that land late most often, with the wind at their departures. Of a frame here, or of one there."""
    return (
        flights.drop_nulls("arr_delay")
        .join(weather(), on=["origin", "time_hour"], how="left")
        .join(airlines(), on="carrier")
        .group_by("name")
        .agg(
            flights=pl.len(),
            late=(pl.col("arr_delay") > 30).mean() * 100,
            late_in_rain=pl.col("arr_delay").filter(pl.col("precip") > 0).mean(),
        )
        .sort("late", "name", descending=[True, False])
    )


async def remote_frames(console: Console) -> None:
    """The act."""
    with tempfile.TemporaryDirectory() as directory:
        files = by_month(Path(directory))
        async with bp.Pool("tables", min=RUNNERS, max=RUNNERS) as pool:
            flights = pool.options(retries=3).frames(pl.read_parquet, files)
            height = await flights.height
            console.print(f"   {height:,} flights in {len(MONTHS)} parts, {await shares(pool)} MB on {RUNNERS} runners")
            found = await worst(flights).collect()
            show(console, found)
            alone = worst(pl.concat(map(pl.read_parquet, files)))
            assert_frame_equal(found, alone)
            console.print("   so says polars on one machine, too, row for row")

            victim = pool.runners()[1]
            os.kill(victim["os_pid"], signal.SIGKILL)
            async with asyncio.timeout(LOST_S):
                while not another(pool, victim):  # noqa: ASYNC110  -- as one looks at a fleet
                    await asyncio.sleep(0.05)
            assert_frame_equal(await worst(flights).collect(), alone)
            console.print(f"   {victim['runner']} was killed; its months were read again elsewhere: the same answer")

            full, owned = memory(pool), await kept(pool)
            del flights
            async with asyncio.timeout(FREED_S):
                while await kept(pool) or memory(pool) > full - owned * 0.8:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            console.print(f"   the handle is dropped: {full} MB of memory are {memory(pool)} MB now\n")


def another(pool: bp.Pool, victim: dict[str, Any]) -> bool:
    """Whether there are as many runners as before, and none of them is that one."""
    up = [runner["runner"] for runner in pool.runners() if runner["state"] == "up"]
    return len(up) == RUNNERS and victim["runner"] not in up


async def owned_by(runner: dict[str, Any]) -> int:
    """MB of frames that it keeps for others."""
    return sum(ref.nbytes for ref in await bp.refs(runner["node"])) // 1_000_000


async def kept(pool: bp.Pool) -> int:
    """The same of all runners."""
    return sum([await owned_by(runner) for runner in pool.runners()])


async def shares(pool: bp.Pool) -> str:
    """The same of each."""
    return " + ".join([str(await owned_by(runner)) for runner in pool.runners()])


def memory(pool: bp.Pool) -> int:
    """MB of memory that the runners have."""
    return sum(map(resident, pool.runners()))


def show(console: Console, found: pl.DataFrame) -> None:
    """The first of them."""
    table = Table()
    table.add_column("airline")
    for column in ("flights", "30 min late", "mean in rain"):
        table.add_column(column, justify="right")
    for name, flights, late, rain in found.head(ROWS).iter_rows():
        table.add_row(name, f"{flights:,}", f"{late:.0f} %", "" if rain is None else f"{rain:.0f} min")
    console.print(table)
