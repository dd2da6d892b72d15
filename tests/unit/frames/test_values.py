"""Remote frames between nodes: what methods, properties, items, operators and plans give.

Each test is a process of node a; b and c are there.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

import beampy as bp
from beampy.errors import NotAFrame
from tests.unit.frames.frames_ground import DATA, local, there
from tests.unit.otp.nodes_ground import Cluster
from tests.unit.refs.using_ground import at, between


@between
async def test_a_method_that_gives_a_frame_gives_a_handle_at_once_and_the_frame_stays():
    df = there()
    more = df.filter(pl.col("a") > 1).with_columns(c=pl.col("a") * 2)
    assert type(more) is bp.frames.RemoteDataFrame
    assert await more is more
    assert more.node == at("b")
    assert_frame_equal(await more.collect(), local().filter(pl.col("a") > 1).with_columns(c=pl.col("a") * 2))


@between
async def test_values_come_as_handles_and_properties_too():
    df = there()
    assert await df.shape == (3, 2)
    assert await df.height == 3
    assert await df.columns == ["a", "b"]
    assert await df.schema == local().schema
    assert await df.to_dicts() == local().to_dicts()
    assert await df.item(0, "b") == "x"
    assert await df.equals(local()) is True
    assert await df["a"].sum() == 6
    assert await df["a"][1] == 1
    assert await df[1, "a"] == 1


@between
async def test_series_operators_and_namespaces():
    df = there()
    assert_series_equal(await (df["a"] + 1).collect(), local()["a"] + 1)
    assert_series_equal(await (10 - df["a"]).collect(), 10 - local()["a"])
    assert_series_equal(await (-df["a"] * df["a"]).collect(), -local()["a"] * local()["a"])
    assert_series_equal(await (df["a"] > 1).collect(), local()["a"] > 1)
    assert_series_equal(await df["b"].str.to_uppercase().collect(), local()["b"].str.to_uppercase())
    assert_series_equal(await (df["a"] ** pl.lit(2)).collect(), local()["a"] ** pl.lit(2))  # type: ignore[operator]
    with pytest.raises(TypeError, match=r"__add__ of a RemoteSeries and an expression .* df.select"):
        df["a"] + pl.lit(2)
    assert await df["b"].str.contains("x").sum() == 2
    assert_frame_equal(await df["a"].to_frame().collect(), local()["a"].to_frame())
    assert_frame_equal(await df.filter(df["a"] > 1).collect(), local().filter(local()["a"] > 1))


@between
async def test_items_of_a_frame_are_what_polars_gives():
    df, here = there(), local()
    assert_frame_equal(await df[0:2].collect(), here[0:2])
    assert_frame_equal(await df[["b"]].collect(), here[["b"]])
    assert_frame_equal(await df[1].collect(), here[1])
    assert_series_equal(await df[0:2, "a"].collect(), here[0:2, "a"])
    assert_frame_equal(await df[0:2, ["a"]].collect(), here[0:2, ["a"]])
    assert_frame_equal(await (df.select("a") + 1).collect(), here.select("a") + 1)
    assert_frame_equal(await (df.select("a") == df.select("a")).collect(), here.select("a") == here.select("a"))


@between
async def test_groups_are_asked_for_with_what_is_done_with_them():
    df = there()
    found = await df.group_by("b", maintain_order=True).agg(pl.col("a").sum()).collect()
    assert_frame_equal(found, local().group_by("b", maintain_order=True).agg(pl.col("a").sum()))
    assert_frame_equal(await df.group_by("b").len().sort("b").collect(), local().group_by("b").len().sort("b"))
    kept = await df.group_by("b").having(pl.len() > 1).len().collect()
    assert kept.rows() == [("x", 2)]
    with pytest.raises(TypeError, match="partition_by"):
        iter(df.group_by("b"))


@between
async def test_frames_in_a_list_or_a_dict_stay_there(nodes: Cluster):
    df = there()
    parts = await df.partition_by("b")
    assert [type(part) for part in parts] == [bp.frames.RemoteDataFrame] * 2
    assert [await part.height for part in parts] == [2, 1]
    named = await df.partition_by("b", as_dict=True)
    assert sorted(named) == [("x",), ("y",)]
    columns = await df.get_columns()
    assert [await column.name for column in columns] == ["a", "b"]


@between
async def test_a_plan_is_sent_once_and_carried_out_there():
    plan = there().lazy().filter(pl.col("a") > 1).group_by("b").agg(pl.col("a").sum())
    assert type(plan) is bp.frames.RemoteLazyFrame
    assert (await plan.collect()).rows() == [("x", 5)]
    assert type(plan.compute()) is bp.frames.RemoteDataFrame
    assert await plan.collect_schema() == {"b": pl.String, "a": pl.Int64}
    assert await plan.columns == ["b", "a"]
    assert await plan.width == 2
    assert "AGGREGATE" in await plan.explain()


@between
async def test_files_are_scanned_read_and_written_there(tmp_path: Path):
    place = bp.frames.on(at("b"))
    df = place.DataFrame(DATA)
    await df.write_parquet(tmp_path / "one.parquet")
    await df.lazy().sink_csv(tmp_path / "one.csv")
    assert_frame_equal(await place.scan_parquet(tmp_path / "one.parquet").collect(), local())
    assert_frame_equal(await place.read_csv(tmp_path / "one.csv").collect(), local())
    with pytest.raises(FileNotFoundError) as caught:
        await place.scan_parquet(tmp_path / "none.parquet").collect()
    assert "none.parquet" in str(caught.value)
    assert any(at("b") in note for note in caught.value.__notes__)


@between
async def test_columns_are_asked_for_by_one_name_or_by_two():
    df = there()
    assert await df["b", "a"].columns == ["b", "a"]
    assert await df.get_column("a").sum() == 6
    assert await df.get_column("none", default=None) is None
    assert await (await df.get_column("a", default=None)).sum() == 6
    assert await there().select(pl.concat_list("a").alias("l"))["l"].list[0].to_list() == [3, 1, 2]


@between
async def test_flags_of_the_optimiser_travel():
    plan = there().lazy().select(a=pl.lit(1), b="b").select("b")
    flags = pl.QueryOptFlags(projection_pushdown=False)
    assert await plan.explain(optimizations=flags) != await plan.explain()
    assert await plan.compute(optimizations=flags).columns == ["b"]


@between
async def test_parts_are_concatenated_as_what_they_are():
    place = bp.frames.on(at("b"))
    df = there()
    assert await place.concat([df["a"], pl.Series("a", [7])]).to_list() == [3, 1, 2, 7]
    plan = place.concat([df.lazy(), df.lazy().head(1)])
    assert type(plan) is bp.frames.RemoteLazyFrame
    assert (await plan.collect()).height == 4
    assert await place.from_repr(repr(local())).height == 3
    assert await place.from_repr(repr(local()["a"])).sum() == 6


@between
async def test_what_a_function_gives_there_is_a_frame(nodes: Cluster):
    place = bp.frames.on(at("b"))

    def plan(n: int) -> pl.LazyFrame:
        return pl.LazyFrame({"n": range(n)})

    async def later() -> pl.Series:
        return pl.Series("s", [1])

    assert await place.frame(plan, 3).height == 3
    assert await place.frame(later).columns == ["s"]
    with pytest.raises(NotAFrame, match="gave a int, and a polars DataFrame"):
        await place.frame(int)
    with pytest.raises(TypeError, match="a function that returns a frame"):
        place.frame(3)  # type: ignore[arg-type]
