"""Partitioned frames over real nodes: what they give is polars' on the whole, or a failure that names the partition."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import beampy as bp
from beampy.errors import (
    BadFunction,
    EncodeError,
    FrameTooLarge,
    MergeTooLarge,
    NotAFrame,
    NotPartitioned,
    OwnerLost,
    PartitionFailed,
    PartitionsDiffer,
)
from beampy.frames import merging
from beampy.testing import leaks
from beampy.testing.cluster import Cluster
from tests.cluster.test_pool import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

leaks.allow_thread("Dask-Offload")  # one of dask's for the whole process, from the first use on

ME = "test@127.0.0.1"
ROWS = 40


@pytest.fixture(scope="module", autouse=True)
def _polars_is_awake(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What polars opens once for a process is open before a test looks at what it has left open."""
    path = tmp_path_factory.mktemp("polars") / "one.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    assert pl.scan_parquet(path).collect().height == 1


def month(number: int, rows: int = ROWS) -> pl.DataFrame:
    """Flights of a month: the same ones for each call."""
    at = range(rows)
    return pl.DataFrame(
        {
            "month": [number] * rows,
            "carrier": [("AA", "UA", None, "DL", "B6")[(each * 7 + number) % 5] for each in at],
            "delay": [None if each % 9 == 0 else (each * 37 + number * 11) % 100 - 20 for each in at],
            "miles": [((each * 13 + number) % 50) * 10.5 for each in at],
        }
    )


def months(count: int) -> pl.DataFrame:
    return pl.concat([month(number) for number in range(count)])


def files(folder: Path, count: int) -> str:
    """Parquet files of so many months; the pattern of their names."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        month(number).write_parquet(folder / f"{number:02}.parquet")
    return str(folder / "*.parquet")


def sizes(written: list[Any]) -> list[int]:
    return [os.path.getsize(each.path) for each in written]


class Nodes:
    """A node here, and two others."""

    def __init__(self, cluster: Cluster, b: Any, c: Any) -> None:
        self.cluster, self.b, self.c = cluster, b, c
        self.names = [b.name, c.name]


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with Cluster() as cluster, bp.Node(ME, cookie=cluster.cookie):
        b, c = await asyncio.gather(cluster.start("b"), cluster.start("c"))
        yield Nodes(cluster, b, c)


# what partitions do


def doubled(frame: pl.DataFrame, by: int = 2) -> pl.DataFrame:
    return frame.with_columns(more=pl.col("delay") * by)


async def test_files_over_two_nodes_are_one_frame(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 5))
    whole = months(5)
    assert repr(frame) == f"<PartitionedFrame of files on {', '.join(nodes.names)}>"
    assert await frame.schema == whole.schema
    assert await frame.columns == whole.columns
    assert await frame.n_partitions == 5
    assert sorted(await frame.nodes) == nodes.names
    assert await frame.height == whole.height
    assert "of 5 partitions on" in repr(frame)
    assert "4 columns" in repr(frame)
    assert "<td>carrier</td>" in frame._repr_html_()
    assert_frame_equal(await frame.collect(), whole)

    plan = await frame.filter(pl.col("delay") > 20).select("carrier").explain()
    assert plan.startswith("PARTITIONED of 5 partitions on ")
    assert "PROJECT 2/4 COLUMNS" in plan

    late = frame.filter(pl.col("delay") > 20).with_columns(hours=pl.col("delay") / 60).drop("month").rename(str.upper)
    expected = (
        whole.filter(pl.col("delay") > 20).with_columns(hours=pl.col("delay") / 60).drop("month").rename(str.upper)
    )
    assert_frame_equal(await late.collect(), expected)
    assert_frame_equal(
        await frame.select(pl.col("delay").drop_nulls()).collect(), whole.select(pl.col("delay").drop_nulls())
    )
    assert_frame_equal(
        await frame.cast({"delay": pl.Int8}).fill_null(0).head(7).collect(),
        whole.cast({"delay": pl.Int8}).fill_null(0).head(7),
    )

    for keys in (["carrier"], ["carrier", "month"], [(pl.col("delay") % 3).alias("rest")]):
        aggs = [
            pl.len(),
            pl.col("delay").drop_nulls().mean().alias("mean"),
            pl.col("miles").std(),
            pl.col("delay").n_unique().alias("different"),
            pl.col("miles").median().alias("middle"),
        ]
        result = frame.group_by(*keys, maintain_order=True).agg(*aggs)
        assert result.node in (None, *nodes.names)
        assert_frame_equal(await result.collect(), whole.group_by(*keys, maintain_order=True).agg(*aggs))
        assert result.node in nodes.names
    assert_frame_equal(
        await frame.select(pl.len(), pl.col("delay").sum()).collect(), whole.select(pl.len(), pl.col("delay").sum())
    )
    assert_frame_equal(await frame.max().collect(), whole.max())
    assert_frame_equal(
        await frame.group_by("carrier").max().sort("carrier").collect(), whole.group_by("carrier").max().sort("carrier")
    )
    assert_frame_equal(await frame.head(45).collect(), whole.head(45))
    assert_frame_equal(await frame.head(0).collect(), whole.head(0))


async def test_map_partitions_calls_a_function_once_for_each_and_keeps_what_it_gave(
    nodes: Nodes, tmp_path: Path
) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 3))
    calls = tmp_path / "calls"

    def counted(part: pl.DataFrame, by: int) -> pl.DataFrame:
        with calls.open("a") as file:
            file.write(f"{part['month'][0]}\n")
        return doubled(part, by)

    more = frame.filter(pl.col("miles") > 100).map_partitions(counted, 3)
    assert not calls.exists()
    expected = doubled(months(3).filter(pl.col("miles") > 100), 3)
    assert_frame_equal(await more.select(pl.col("more").sum()).collect(), expected.select(pl.col("more").sum()))
    assert_frame_equal(await more.filter(pl.col("more") > 9).collect(), expected.filter(pl.col("more") > 9))
    assert sorted(calls.read_text().split()) == ["0", "1", "2"]
    with pytest.raises(PartitionFailed, match=r"partition \d .*0\d\.parquet.*a int") as raised:
        await frame.map_partitions(len).collect()
    assert isinstance(raised.value.__cause__, NotAFrame)
    with pytest.raises(BadFunction):
        frame.map_partitions(until)


async def test_compute_begins_at_once_and_its_partitions_stay(nodes: Nodes, tmp_path: Path) -> None:
    pattern = files(tmp_path / "in", 3)
    kept = bp.frames.over(nodes.names).scan_parquet(pattern).filter(pl.col("delay") > 0).compute()
    assert await kept is kept
    for number in range(3):
        os.unlink(tmp_path / "in" / f"{number:02}.parquet")
    assert_frame_equal(await kept.collect(), months(3).filter(pl.col("delay") > 0))
    parts = await kept.partitions()
    assert [await part.select(pl.col("month").first()).collect() for part in parts]
    assert {part.node for part in parts} == set(nodes.names)


async def test_frames_that_exist_are_one_frame(nodes: Nodes) -> None:
    parts = [bp.frames.from_local(month(number), nodes.names[number % 2]) for number in range(3)]
    frame = bp.frames.concat([*parts[:2], parts[2].lazy()])
    assert_frame_equal(await frame.collect(), months(3))
    assert await frame.nodes == nodes.names
    with pytest.raises(NotAFrame):
        bp.frames.concat([month(1)])


# joins


async def test_a_small_frame_goes_to_every_node_and_is_joined_there(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 4))
    whole = months(4)
    names = pl.DataFrame({"carrier": ["AA", "UA", "XX"], "name": ["American", "United", None]})
    there = bp.frames.from_local(names, nodes.names[1])
    for small in (names, names.lazy(), there, there.lazy().filter(pl.col("carrier") != "XX")):
        for how in ("inner", "left", "semi", "anti"):
            result = await frame.join(small, on="carrier", how=how, maintain_order="left").collect()
            assert_frame_equal(result, whole.join(names, on="carrier", how=how, maintain_order="left"))
    joined = frame.join(
        there, left_on=pl.col("carrier").str.to_lowercase(), right_on=pl.col("carrier").str.to_lowercase()
    )
    assert await joined.select(pl.len()).collect() is not None
    by_name = frame.join(names, on="carrier").group_by("name").agg(pl.col("delay").mean())
    expected = whole.join(names, on="carrier").group_by("name").agg(pl.col("delay").mean())
    assert_frame_equal(await by_name.collect(), expected, check_row_order=False)


async def test_what_is_changed_in_place_after_a_join_was_written_down_does_not_change_it(nodes: Nodes) -> None:
    frame = bp.frames.concat([bp.frames.from_local(pl.DataFrame({"k": [1, 2]}), nodes.names[0])])
    here = pl.DataFrame({"k": [1], "v": [10]})
    there = bp.frames.from_local(here, nodes.names[1])
    numbers = [5]
    joined = [frame.join(here, on="k"), frame.join(there, on="k")]
    more = frame.map_partitions(lambda part, numbers: part.with_columns(v=pl.lit(sum(numbers))), numbers)
    here[0, "v"] = there[0, "v"] = 99
    numbers.append(1)
    for each in joined:
        assert (await each.collect()).rows() == [(1, 10)]
    assert (await more.collect()).rows() == [(1, 5), (2, 5)]


async def test_a_frame_that_is_not_small_is_refused_before_it_moves(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 2))
    with pytest.raises(MergeTooLarge, match=r"more than the limit of 10.*to_dask"):
        await frame.join(month(1), on="carrier", limit=10).height
    with pytest.raises(MergeTooLarge):
        await frame.join(bp.frames.from_local(month(1), nodes.names[0]), on="carrier", limit=10).height
    with pytest.raises(NotPartitioned, match="full"):
        frame.join(month(1), on="carrier", how="full")
    with pytest.raises(NotAFrame):
        frame.join(frame, on="carrier")
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await frame.join(month(1), on="nothing").height


# what is left behind


async def objects(names: list[str]) -> int:
    return sum([len(await bp.refs(name)) for name in names])


async def until_there_are(count: int, names: list[str]) -> None:
    async with asyncio.timeout(DEADLINE):
        while await objects(names) != count:
            await asyncio.sleep(0.02)


async def test_a_query_leaves_nothing_behind_but_its_result(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 4))
    result = await frame.join(month(1).head(3), on="carrier").group_by("month").agg(pl.col("delay").median())
    await until_there_are(1, nodes.names)  # the result; the small frame's copies went with the plan
    with pytest.raises(PartitionFailed):
        await frame.map_partitions(len).collect()
    kept = await frame.map_partitions(doubled).compute()
    await kept.collect()
    await until_there_are(1 + 4, nodes.names)
    del result, kept
    await until_there_are(0, nodes.names)


# limits, and what is written


async def test_what_is_larger_than_the_limit_stays_where_it_is(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 3))
    with pytest.raises(FrameTooLarge, match=r"3 partitions.*limit=100") as raised:
        await frame.collect(limit=100)
    assert_frame_equal(await frame.collect(limit=raised.value.nbytes), months(3))


async def test_values_that_would_all_go_to_one_node_have_a_limit(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 3))
    monkeypatch.setattr(merging, "GATHERED", 100)
    with pytest.raises(MergeTooLarge, match="median of a partitioned frame"):
        await frame.group_by("carrier").agg(pl.col("miles").median())
    with pytest.raises(MergeTooLarge, match="n_unique of a partitioned frame"):
        await frame.select(pl.col("miles").n_unique())
    assert await frame.group_by("carrier").agg(pl.col("miles").mean()).height == 5


async def test_each_node_writes_its_partitions(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 4))
    out = tmp_path / "out"
    written = await frame.filter(pl.col("delay") > 0).sink_parquet(out)
    assert [Path(each.path).name for each in written] == [f"part-0000{number}.parquet" for number in range(4)]
    assert {each.node for each in written} == set(nodes.names)
    assert [each.nbytes for each in written] == sizes(written)
    assert sorted(path.name for path in out.iterdir()) == [Path(each.path).name for each in written]
    again = bp.frames.over(nodes.names).scan_parquet(out)
    assert_frame_equal(await again.collect(), months(4).filter(pl.col("delay") > 0))
    with pytest.raises(FileExistsError, match="parts already"):
        await frame.sink_parquet(out)
    assert len(await frame.sink_csv(tmp_path / "csv")) == 4
    assert (await bp.frames.over(nodes.names).scan_csv(tmp_path / "csv").height) == 4 * ROWS


async def test_a_part_that_could_not_be_written_leaves_nothing_half_written(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 3))
    bad = frame.with_columns(
        pl.when(pl.col("month") == 1).then(pl.lit("x")).otherwise(pl.lit("1")).cast(pl.Int64).alias("bad")
    )
    with pytest.raises(PartitionFailed, match="partition 1 ") as raised:
        await bad.sink_parquet(tmp_path / "out")
    assert isinstance(raised.value.__cause__, pl.exceptions.PolarsError)
    (note,) = raised.value.__notes__
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert set(there) <= {"part-00000.parquet", "part-00002.parquet"}
    assert all(name in note for name in there)


# what is wrong with it is said before rows are computed


async def test_partitions_of_other_columns_are_an_error_that_names_both(nodes: Nodes, tmp_path: Path) -> None:
    pattern = files(tmp_path / "in", 3)
    month(2).with_columns(pl.col("delay").cast(pl.String)).write_parquet(tmp_path / "in" / "02.parquet")
    frame = bp.frames.over(nodes.names).scan_parquet(pattern)
    with pytest.raises(
        PartitionsDiffer, match=r"partition 2 .*02.parquet.*'delay' as String, and partition 0 on .* as Int64"
    ):
        await frame.filter(pl.col("delay") > 1).height
    month(2).drop("miles").write_parquet(tmp_path / "in" / "02.parquet")
    with pytest.raises(PartitionsDiffer, match="'miles' as no column at all"):
        await bp.frames.over(nodes.names).scan_parquet(pattern).collect()
    month(2).select("carrier", "month", "delay", "miles").write_parquet(tmp_path / "in" / "02.parquet")
    with pytest.raises(PartitionsDiffer, match="number"):
        await bp.frames.over(nodes.names).scan_parquet(pattern).collect()


async def test_what_is_refused_names_the_remedy(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 2))
    with pytest.raises(NotPartitioned, match=r"sort is not done .*to_dask\(client\)"):
        frame.sort("delay")
    with pytest.raises(NotPartitioned, match=r"map_partitions\(fn\)"):
        await frame.with_columns(pl.col("delay").shift()).collect()
    with pytest.raises(NotPartitioned, match="mode"):
        await frame.group_by("carrier").agg(pl.col("delay").mode())
    with pytest.raises(NotPartitioned, match=r"group_by\.map_groups"):
        frame.group_by("carrier").map_groups(len)
    lock = threading.Lock()
    locked = pl.col("delay").map_elements(lambda value: value if lock else None, return_dtype=pl.Int64)
    for query in (frame.with_columns(locked).height, frame.select(locked.sum()).collect()):
        with pytest.raises(EncodeError, match="cannot be pickled"):
            await query
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="nothing"):
        await frame.filter(pl.col("nothing") > 1).height


async def test_no_files_and_a_file_that_is_missing_on_a_node(nodes: Nodes, tmp_path: Path) -> None:
    there = bp.frames.over(nodes.names)
    with pytest.raises(FileNotFoundError, match="no file is like this"):
        await there.scan_parquet(tmp_path / "none*.parquet").height
    frame = there.scan_parquet(files(tmp_path / "in", 3))
    assert await frame.n_partitions == 3
    (tmp_path / "in" / "01.parquet").unlink()
    with pytest.raises(PartitionFailed, match=r"partition 1 \('.*01\.parquet'\) failed on .*: FileNotFoundError"):
        await frame.collect()


async def test_head_asks_no_more_partitions_than_it_needs(nodes: Nodes, tmp_path: Path) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 3))
    await frame.schema
    (tmp_path / "in" / "01.parquet").unlink()
    assert_frame_equal(await frame.head(ROWS).collect(), month(0))
    with pytest.raises(PartitionFailed, match="partition 1 "):
        await frame.head(ROWS + 1)


# nodes and runners that are lost


def slowly(frame: pl.DataFrame, folder: str) -> pl.DataFrame:
    """Say who has which, and wait for a file."""
    (Path(folder) / f"{frame['month'][0]}-{os.getpid()}").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.005)
    return frame


def begun(folder: Path) -> dict[int, int]:
    """The process that has each month."""
    return {int(name.split("-")[0]): int(name.split("-")[1]) for name in os.listdir(folder) if "-" in name}


async def test_a_scan_goes_on_elsewhere_when_its_node_is_killed_in_the_middle(nodes: Nodes, tmp_path: Path) -> None:
    folder = tmp_path / "said"
    folder.mkdir()
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 4))
    query = asyncio.ensure_future(_awaited(frame.map_partitions(slowly, str(folder)).collect()))
    await until(lambda: len(begun(folder)) == 4)
    nodes.b.kill()
    await until(lambda: nodes.b.process.poll() is not None)
    (folder / "go").touch()
    assert_frame_equal(await query, months(4))
    assert len(os.listdir(folder)) == 7  # two were begun again, on the other node; and "go"


async def _awaited(handle: Any) -> Any:
    return await handle


async def test_results_that_are_lost_before_they_are_merged_are_computed_again(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 4))
    merged = merging.merged
    kills: list[str] = []

    async def killed(*args: Any) -> Any:
        if not kills:
            kills.append(nodes.b.name)
            nodes.b.kill()
            await until(lambda: nodes.b.process.poll() is not None)
        return await merged(*args)

    monkeypatch.setattr(merging, "merged", killed)
    result = await frame.group_by("carrier").agg(pl.col("delay").sum(), pl.len()).collect()
    expected = months(4).group_by("carrier").agg(pl.col("delay").sum(), pl.len())
    assert_frame_equal(result, expected, check_row_order=False)
    assert await frame.nodes == [nodes.c.name]


async def test_a_frame_that_nobody_can_make_again_fails_the_query_by_name(nodes: Nodes) -> None:
    parts = [await bp.frames.from_local(month(number), nodes.names[number % 2]) for number in range(3)]
    frame = bp.frames.concat(parts)
    assert await frame.height == 3 * ROWS
    nodes.c.kill()
    await until(lambda: nodes.c.process.poll() is not None)
    with pytest.raises(PartitionFailed, match=rf"partition 1 \(frame 1\) failed on {nodes.c.name}") as raised:
        await frame.group_by("carrier").len()
    assert isinstance(raised.value.__cause__, OwnerLost)


async def test_cancelling_a_query_begins_no_more_partitions(nodes: Nodes, tmp_path: Path) -> None:
    folder = tmp_path / "said"
    folder.mkdir()
    frame = bp.frames.over(nodes.names).scan_parquet(files(tmp_path / "in", 12))
    query = asyncio.ensure_future(_awaited(frame.map_partitions(slowly, str(folder)).collect()))
    await until(lambda: len(begun(folder)) == 4)  # two of each node
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    (folder / "go").touch()
    assert await frame.height == 12 * ROWS  # both nodes answer
    assert len(begun(folder)) == 4


# frames that runners make


def up(pool: bp.Pool) -> list[dict[str, Any]]:
    return [runner for runner in pool.runners() if runner["state"] == "up"]


def failing(number: int) -> pl.DataFrame:
    if number == 2:
        raise ZeroDivisionError("month 2")
    return month(number)


async def test_frames_that_runners_make_are_spread_over_them() -> None:
    async with bp.Pool(min=2, max=2) as pool:
        frame = pool.frames(month, range(4))
        assert_frame_equal(await frame.collect(), months(4))
        assert len(await frame.nodes) == 2
        assert_frame_equal(
            await frame.group_by("carrier").agg(pl.col("delay").mean()).collect(),
            months(4).group_by("carrier").agg(pl.col("delay").mean()),
            check_row_order=False,
        )
        two = pool.frames(lambda number, rows: month(number, rows), [1, 2], [3, 4])
        assert await two.height == 7
        with pytest.raises(PartitionFailed, match=r"partition 2 \(.*failing\(2\)\).*ZeroDivisionError: month 2"):
            await pool.frames(failing, range(4)).height
        with pytest.raises(ValueError, match="no item"):
            pool.frames(month, [])


async def test_runners_that_are_missing_are_booted_and_parts_spread_over_them() -> None:
    async with bp.Pool(max=3) as pool:  # one runner would have room for all
        frame = pool.frames(month, range(6))
        assert_frame_equal(await frame.collect(), months(6))
        assert len(await frame.nodes) == 3
        assert len(up(pool)) == 3
        small = pool.frames(month, range(2))
        assert len(await small.nodes) == 2
        assert pool._manager is not None
        assert pool._manager.plan.limits.min == 0  # they are wanted no more: they stay for what they have


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_runner_that_is_killed_fails_the_query_or_its_parts_are_made_again(retries: int) -> None:
    async with bp.Pool(min=2, max=2) as pool:
        frame = pool.options(retries=retries).frames(month, range(4))
        assert await frame.height == 4 * ROWS
        first = (await frame.nodes)[0]
        victim = next(runner for runner in up(pool) if runner["node"] == first)
        os.kill(victim["os_pid"], signal.SIGKILL)
        await until(lambda: victim["os_pid"] not in [runner["os_pid"] for runner in up(pool)])
        async with asyncio.timeout(DEADLINE):
            if retries:
                assert_frame_equal(await frame.collect(), months(4))
            else:
                with pytest.raises(PartitionFailed, match=rf"partition 0 \(.*month\(0\)\) failed on {first}") as raised:
                    await frame.collect()
                assert isinstance(raised.value.__cause__, OwnerLost)


async def test_a_runner_that_is_killed_in_the_middle_of_a_query_loses_no_rows(tmp_path: Path) -> None:
    async with bp.Pool(min=2, max=2) as pool:
        frame = pool.options(retries=1).frames(month, range(4))
        await frame
        slow = frame.map_partitions(slowly, str(tmp_path))
        query = asyncio.ensure_future(_awaited(slow.group_by("month").agg(pl.col("miles").sum()).collect()))
        await until(lambda: len(begun(tmp_path)) == 4)
        os.kill(begun(tmp_path)[0], signal.SIGKILL)
        (tmp_path / "go").touch()
        async with asyncio.timeout(DEADLINE):
            result = await query
        expected = months(4).group_by("month").agg(pl.col("miles").sum())
        assert_frame_equal(result, expected, check_row_order=False)


async def test_what_needs_all_rows_together_is_handed_to_dask() -> None:
    pytest.importorskip("distributed")
    pytest.importorskip("dask.dataframe")
    async with bp.Pool(min=2, max=2) as pool:
        frame = pool.frames(month, range(4)).filter(pl.col("delay") > 0)
        client = await pool.dask(asynchronous=True)
        try:
            delays = await frame.to_dask(client)
            assert delays.npartitions == 4
            kinds = await client.compute(delays.drop_duplicates(subset=["carrier", "month"]))
        finally:
            await client.close()
    assert len(kinds) == months(4).filter(pl.col("delay") > 0).select("carrier", "month").n_unique()


def test_on_a_thread_everything_is_the_same() -> None:
    with bp.Pool(min=2, max=2) as pool:
        frame = pool.frames(month, range(3))
        assert frame.height.result(DEADLINE) == 3 * ROWS
        late = frame.filter(pl.col("delay") > 10).group_by("carrier").len()
        expected = months(3).filter(pl.col("delay") > 10).group_by("carrier").len()
        assert_frame_equal(late.collect().result(DEADLINE), expected, check_row_order=False)
        kept = frame.map_partitions(doubled).compute()
        assert_frame_equal(kept.collect().result(DEADLINE), doubled(months(3)))
