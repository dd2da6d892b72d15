"""Remote frames between processes: memory that falls, functions of cells and local modules, a node that is killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import polars as pl
import pytest

import beampy as bp
from beampy.errors import NodeDown, OwnerLost
from beampy.testing.cluster import Cluster
from tests.cluster.origins import Lab
from tests.unit.dist.ports import until

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ME = "test@127.0.0.1"
MB = 1_000_000


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


def large(mb: int) -> pl.DataFrame:
    """Numbers that lie in memory, page for page."""
    rows = mb * 125_000
    return pl.DataFrame({"a": pl.int_range(rows, eager=True)}).with_columns(pl.col("a").cast(pl.Int64))


def rss(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def freed(node: str, left: int) -> None:
    """Until so many objects are left there."""
    async with asyncio.timeout(10):
        while len(await bp.refs(node)) != left:
            await asyncio.sleep(0.05)


async def test_frames_stay_where_they_are_and_their_memory_is_free_when_the_handles_are_gone():
    async with Cluster() as cluster, bp.Node(ME):
        b, c = await cluster.start("b"), await cluster.start("c")
        mine = rss(os.getpid())
        df = await bp.frames.on(b.name).frame(large, 200)
        assert b.rss() > 200 * MB
        half = await df.filter(pl.col("a") % 2 == 0).with_columns(b=pl.col("a") * 2)
        there = await half.head(1_000_000).to_node(c.name)
        assert await there["b"].max() == 3_999_996
        assert rss(os.getpid()) < mine + 100 * MB  # nothing of it was here; what is loaded takes some
        full = b.rss()
        await freed(b.name, 2)
        del df, half
        await until(lambda: b.rss() < full - 200 * MB, 20)
        await freed(b.name, 0)
        assert await there.height == 1_000_000
        there.release()
        with pytest.raises(bp.errors.RefDropped):
            await there.height


async def test_functions_of_a_program_and_of_its_modules_run_in_expressions(lab: Lab):
    a = await lab.start("a", {"helper.py": "FACTOR = 10\ndef scaled(n):\n    return n * FACTOR\n"})
    b = await lab.start("b")
    source = """
        import warnings
        import polars as pl
        import helper

        warnings.simplefilter("ignore")
        ADDED = 1

        def plus(n):
            return n + ADDED

        df = bp.frames.on(b).DataFrame({"a": [1, 2]})
        found = df.select(
            mine=pl.col("a").map_elements(plus, return_dtype=pl.Int64),
            theirs=pl.col("a").map_elements(helper.scaled, return_dtype=pl.Int64),
            both=pl.col("a").map_elements(lambda n: helper.scaled(plus(n)), return_dtype=pl.Int64),
        )
        result = (await found.collect()).rows()
    """
    assert await a.run(source.replace("(b)", f"({b.name!r})")) == [(2, 10, 20), (3, 20, 30)]
    assert await a.run("""
        ADDED = 5
        result = await df.select(pl.col("a").map_batches(lambda s: s + ADDED)).to_dict(as_series=False)
    """) == {"a": [6, 7]}


def slowly(df: pl.DataFrame) -> pl.DataFrame:
    import time

    time.sleep(60)
    return df


def rows_of(df: pl.DataFrame) -> int:
    return df.height


def never() -> pl.DataFrame:
    return slowly(pl.DataFrame())


async def test_a_node_that_is_killed_in_the_middle_of_a_query_is_named():
    async with Cluster() as cluster, bp.Node(ME):
        b, c = await cluster.start("b"), await cluster.start("c")
        df = await bp.frames.on(b.name).frame(large, 1)
        other = await bp.frames.on(c.name).frame(large, 2)
        running = [df.lazy().map_batches(slowly).compute(), bp.frames.on(b.name).frame(never)]
        after = running[0].select("a")
        await asyncio.sleep(0.3)
        b.kill()
        for frame in (running[0], after):
            with pytest.raises(OwnerLost, match=rf"DataFrame of 1 MB was on {b.name}, which is lost"):
                await frame
        with pytest.raises(NodeDown, match=b.name):
            await running[1]
        with pytest.raises(OwnerLost, match=b.name):
            await df.height
        with pytest.raises(OwnerLost, match=b.name):
            await other.join(df, on="a")
        assert await other.height == 250_000


async def test_frames_of_a_pool_are_made_again_where_that_is_wanted_and_the_pool_ends_when_they_are_gone():
    async with bp.Pool(max=2, idle_shutdown_after=0.2) as pool:
        df = pool.options(rebuild=True).frame(large, 1)
        small = await df.filter(pl.col("a") < 10)
        [runner] = pool.runners()
        os.kill(runner["os_pid"], 9)
        assert await df.filter(pl.col("a") < 5).height == 5
        assert await pool.call(rows_of, df) == 125_000
        with pytest.raises(OwnerLost):
            await small.height
        [runner] = pool.runners()
        assert df.node is not None
        assert df.node in repr(df)
        del df, small
        await until(lambda: not pool.runners(), 20)


def widened(df: pl.DataFrame) -> list[str]:
    df.insert_column(0, pl.Series("k", [0] * df.height))
    return df.columns


async def test_a_function_that_changes_its_frame_changes_nobody_elses():
    async with bp.Pool(max=1) as pool:
        df = pool.frame(large, 1)
        assert await pool.call(widened, df) == ["k", "a"]
        assert await pool.map(widened, [df, df]) == [["k", "a"]] * 2
        assert await df.columns == ["a"]
        del df
