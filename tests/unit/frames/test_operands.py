"""Remote frames with operands: of several nodes, of plans and files, of this process.

Each test is a process of node a; b and c are there.
"""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

import beampy as bp
from beampy.errors import EncodeError, NotAFrame
from beampy.frames import asking, evaluate
from tests.unit.frames.frames_ground import DATA, local, there
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import at, between


@between
async def test_operands_go_to_the_larger_side(nodes: Cluster):
    small = there("b")
    large = bp.frames.from_local(pl.DataFrame({"b": ["x", "y"] * 500, "n": range(1000)}), at("c"))
    joined = await small.join(large, on="b")
    assert joined.node == at("c")
    assert await joined.height == 1500
    again = await large.join(small, on="b")
    assert again.node == at("c")


@between
async def test_operands_are_found_in_lists_and_plans_and_local_frames_travel_along():
    one, two = there("b"), there("b")
    stacked = one.lazy().join(two.lazy().select("b").unique(), on="b").select(pl.len())
    assert (await stacked.collect()).item() == 3
    place = bp.frames.on(at("b"))
    assert await place.concat([one, two, local()]).height == 9
    assert await place.concat([one, there("c")]).height == 6
    assert await one.vstack(local()).height == 6


@between
async def test_a_scan_is_carried_out_where_its_files_are(tmp_path: Path):
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    local().write_csv(small)
    pl.DataFrame({"b": ["x", "y"] * 500, "n": range(1000)}).write_csv(large)
    left = bp.frames.on(at("b")).scan_csv(small)
    right = bp.frames.on(at("c")).scan_csv(large)
    joined = await left.join(right, on="b").compute()
    assert joined.node == at("c")
    assert await joined.height == 1500
    framed = await there("c").lazy().join(left.select("b").unique(), on="b").compute()
    assert framed.node == at("b")
    assert await framed.height == 3


@between
async def test_frames_move_between_nodes():
    df = await there("b")
    moved = df.to_node(at("c"))
    assert moved.node == at("c")
    assert_frame_equal(await moved.collect(), local())
    assert (await moved.to_node(at("c"))).ref == moved.ref
    here = await moved.to_node(at("a"))
    one, other = await here.collect(), await here.collect()
    assert one["a"].to_arrow().buffers()[1].address == other["a"].to_arrow().buffers()[1].address  # nothing was copied


@between
async def test_frames_of_this_process_go_to_a_node():
    assert_frame_equal(await bp.frames.from_local(local(), at("b")).collect(), local())
    assert_series_equal(await bp.frames.from_local(local()["a"], at("b")).collect(), local()["a"])
    plan = bp.frames.from_local(local().lazy().filter(pl.col("a") > 1), at("b"))
    assert type(plan) is bp.frames.RemoteLazyFrame
    assert await plan.select(pl.col("a").sum()).compute().item() == 5
    assert (await plan.collect()).height == 2
    assert (await bp.frames.from_local(local())).node == at("a")
    with pytest.raises(NotAFrame, match="from_local gave a dict"):
        bp.frames.from_local(DATA)  # type: ignore[arg-type]


@between
async def test_a_frame_and_a_plan_may_be_there_several_times():
    df = there()
    assert await df.join(df, on="b").height == 5
    plan = df.lazy().select("b")
    for _ in range(4):
        plan = plan.join(plan, on="b").unique(maintain_order=True)
    assert sorted((await plan.collect()).rows()) == [("x",), ("y",)]


def test_sizes_of_scans_are_those_of_their_files(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"x" * 10)
    (tmp_path / "b.csv").write_bytes(b"x" * 5)
    calls = [
        ("scan_csv", (tmp_path / "a.csv",), {}),
        ("scan_csv", (str(tmp_path / "*.csv"),), {}),
        ("scan_csv", ([tmp_path / "a.csv", str(tmp_path / "b.csv")],), {}),
        ("scan_csv", (), {"source": str(tmp_path)}),
        ("scan_csv", ("s3://bucket/a.csv",), {}),
        ("scan_csv", (b"bytes",), {}),
    ]
    assert evaluate.sizes(calls) == [10, 15, 15, 15, 0, 0]


@between
async def test_frames_of_this_node_are_changed_by_nobody_who_has_the_object():
    def changing(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.insert_column(0, pl.Series("new", [7, 8, 9]))

    mine = local()
    df = bp.frames.from_local(mine)
    changing(mine)
    assert await df.columns == ["a", "b"]
    changing(await df.collect())
    far = there()
    assert (await bp.remote_call(at("b"), changing, far)).columns == ["new", "a", "b"]
    assert await bp.frames.on(at("a")).frame(changing, df).columns == ["new", "a", "b"]
    assert await df.columns == await far.columns == ["a", "b"]


@between
async def test_a_plan_may_be_as_deep_as_a_loop_is_long():
    place, df = bp.frames.on(at("b")), there()
    row = df.lazy().head(1)
    plan: Any = df.lazy()
    for _ in range(500):
        plan = place.concat([plan, row])
    assert (await plan.collect()).height == 503
    assert await plan.compute().height == 503
    keys = df.lazy().select("b").unique()
    for _ in range(200):
        plan = keys.join(plan, on="b", maintain_order="right")
    assert (await plan.select("b").head(2).collect()).rows() == [("x",), ("y",)]
    (came,) = await bp.remote_call(at("c"), list, [plan])
    assert (await came.select(pl.len()).collect()).item() == 503


@between
async def test_a_plan_in_a_message_has_its_operands_with_it(tmp_path: Path):
    local().write_csv(tmp_path / "one.csv")
    frame, other = await there("b"), await there("c")
    scan = bp.frames.on(at("c")).scan_csv(tmp_path / "one.csv").select("b", n=pl.col("a") * 2)
    plan = frame.lazy().filter(pl.col("a") > 1).join(scan, on="b").join(other.lazy(), on="b").select(pl.col("n").sum())
    (came,) = await bp.remote_call(at("c"), list, [plan])
    here = local().lazy()
    wanted = here.filter(pl.col("a") > 1).join(here.select("b", n=pl.col("a") * 2), on="b").join(here, on="b")
    assert (await came.collect()).item() == wanted.select(pl.col("n").sum()).collect().item()
    with pytest.raises(EncodeError, match="FrameDue"):
        await bp.remote_call(at("c"), list, [there("b").lazy().join(scan, on="b")])


@between
async def test_what_was_done_on_another_node_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    local().write_csv(tmp_path / "one.csv")
    pl.DataFrame({"a": range(1000), "b": "x"}).write_csv(tmp_path / "large.csv")
    begun: list[str] = []
    begin = asking.begin

    def counted(node: Any, query: Any, expected: str) -> Any:
        begun.append(query.what)
        return begin(node, query, expected)

    monkeypatch.setattr(asking, "begin", counted)
    place = bp.frames.on(at("b"))
    inner = place.concat([place.scan_csv(tmp_path / "one.csv"), place.scan_csv(tmp_path / "one.csv").head(1)])
    plan = bp.frames.on(at("c")).scan_csv(tmp_path / "large.csv").join(inner, on="a")
    assert (await plan.collect()).height == 4
    assert begun == ["concat"]


@between
async def test_a_local_frame_among_the_arguments_is_kept_by_nothing():
    df, mine = await there(), local()

    def frames() -> int:
        return sum(type(each) is pl.DataFrame for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = frames()
        for _ in range(3):
            await df.vstack(mine)
            await df.lazy().join(mine.lazy(), on="b").compute()
        await until(frames, before)  # those that the node has made are let go in a moment
    finally:
        gc.enable()


@between
async def test_a_function_of_frames_runs_on_the_node_that_was_said(tmp_path: Path):
    local().write_csv(tmp_path / "one.csv")
    pl.DataFrame({"a": range(1000), "b": "x"}).write_csv(tmp_path / "large.csv")
    one, other = bp.frames.on(at("b")), bp.frames.on(at("c"))
    small, large = other.scan_csv(tmp_path / "one.csv"), one.scan_csv(tmp_path / "large.csv")
    frame = await there("b")
    made = other.concat([frame, frame])
    assert made.node == (await made).node == at("c")
    for plan, height in (
        (other.concat([large, small]), 1003),
        (other.concat([large, frame.lazy()]), 1003),
        (other.concat([one.concat([small, large]), large.head(1)]), 1004),
        (small.join(other.concat([large, small]), on="a"), 6),
        (other.concat([small, frame.lazy()]).join(large, on="a"), 6),
    ):
        async with asyncio.timeout(10):
            assert (await plan.collect()).height == height
            assert list(await plan.collect_schema())[:2] == ["a", "b"]
            assert await plan.compute().height == height
    assert other.concat([large, small]).compute().node == at("c")
