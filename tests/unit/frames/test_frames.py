"""Remote frames between nodes: methods, operands, errors, ends. Each test is a process of node a; b and c are there."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

import beampy as bp
from beampy.errors import EncodeError, FrameDue, FrameRefused, FrameTooLarge, NotAFrame, RefDropped, RemoteError
from beampy.frames import asking, evaluate
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import at, between, refs_at

DATA: dict[str, Any] = {"a": [3, 1, 2], "b": ["x", "y", "x"]}


# The simulator runs threads' work at once, in the loop: there is no waiting for them.
threaded = pytest.mark.loops("asyncio", "uvloop")


def local() -> pl.DataFrame:
    return pl.DataFrame(DATA)


def there(node: str = "b") -> Any:
    return bp.frames.on(at(node)).DataFrame(DATA)


def owned(nodes: Cluster, name: str) -> int:
    return len(refs_at(nodes, name).objects)


# frames, series, values


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


# in place


@between
async def test_what_polars_changes_in_place_changes_this_handle_alone():
    df = await there()
    other = copy.copy(df)
    df.insert_column(0, pl.Series("z", [7, 8, 9])).extend(pl.DataFrame({"z": [0], "a": [0], "b": ["z"]}))
    df.columns = ["p", "q", "r"]
    df[0, "q"] = 100
    assert (await df.collect()).rows() == [(7, 100, "x"), (8, 1, "y"), (9, 2, "x"), (0, 0, "z")]
    assert_frame_equal(await other.collect(), local())
    column = df.drop_in_place("p")
    assert await column.to_list() == [7, 8, 9, 0]
    assert await df.columns == ["q", "r"]
    series = other["a"]
    again = copy.copy(series)
    series.append(pl.Series("a", [9])).extend(other["a"])
    series[0] = 5
    assert await series.to_list() == [5, 1, 2, 9, 3, 1, 2]
    assert await again.to_list() == [3, 1, 2]


# several nodes


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


# as arguments and in messages


@between
async def test_as_an_argument_it_becomes_the_frame_and_in_a_message_it_stays_a_handle():
    df = await there("b")

    def height(frame: pl.DataFrame) -> int:
        assert type(frame) is pl.DataFrame
        return frame.height

    assert await bp.remote_call(at("b"), height, df) == 3
    assert await bp.remote_call(at("c"), height, df) == 3

    def again(frames: list[Any]) -> list[Any]:
        return [type(frame).__name__ for frame in frames] + frames

    handles = [df, df["a"], df.lazy().head(2), bp.frames.on(at("b")).scan_csv("none.csv").head(1)]
    await handles[1]
    names = await bp.remote_call(at("c"), again, handles)
    assert names[:4] == ["RemoteDataFrame", "RemoteSeries", "RemoteLazyFrame", "RemoteLazyFrame"]
    assert names[4].ref == df.ref
    assert await names[5].sum() == 6
    assert (await names[6].collect()).height == 2
    assert names[7].node == at("b")


@threaded
@between
async def test_a_frame_that_is_not_there_yet_cannot_be_sent():
    gate = threading.Event()

    def slow() -> pl.DataFrame:
        gate.wait(10)
        return local()

    df = bp.frames.on(at("a")).frame(slow)
    with pytest.raises(FrameDue, match="await"):
        _ = df.ref
    assert df.nbytes == 0
    with pytest.raises(EncodeError, match="FrameDue"):
        bp.send(("nobody", at("b")), df)
    gate.set()
    await df
    assert df.nbytes > 0


@between
async def test_a_call_waits_for_the_frames_among_its_arguments():
    def height(frame: pl.DataFrame, more: int = 0) -> int:
        return frame.height + more

    assert await bp.remote_call(at("b"), height, there("b"), more=1) == 4
    assert await bp.remote_call(at("c"), height, frame=there("b").head(2)) == 2
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await bp.remote_call(at("c"), height, there("b").select("none"))


@threaded
@between
async def test_so_does_a_call_on_a_thread():
    def height(frame: pl.DataFrame) -> int:
        return frame.height

    place, target = bp.frames.on(at("b")), at("b")
    assert await asyncio.to_thread(lambda: bp.remote_call(target, height, place.DataFrame(DATA)).result(10)) == 3


async def test_a_handle_is_not_pickled_by_others():
    async with bp.Node("a@127.0.0.1"):
        df = await bp.frames.from_local(local())
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(df)


# failures


@between
async def test_the_failure_of_a_frame_is_that_of_all_that_is_made_of_it():
    df = there()
    wrong = df.filter(pl.col("none") > 1)
    after = wrong.select("a")
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="none"):
        await after["a"].sum()
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await wrong
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await after


@between
async def test_a_failure_that_nobody_looks_at_is_logged(monkeypatch: pytest.MonkeyPatch):
    said: list[Any] = []
    monkeypatch.setattr("beampy.handle.log.error", lambda text, what, exc_info: said.append(what))
    wrong = there().filter(pl.col("none") > 1)
    await until(wrong.done, True)
    assert said == []
    del wrong
    assert said == ["filter of a remote frame"]


@between
async def test_a_function_that_cannot_travel_says_why_and_what_to_do():
    df = await there()
    lock = threading.Lock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = df.select(pl.col("a").map_elements(lambda n: lock and n, return_dtype=pl.Int64))
    with pytest.raises(EncodeError) as caught:
        await wrong
    assert "the expression in select for " + at("b") in str(caught.value)
    assert "_thread.lock" in str(caught.value)
    assert "bp.frames.on(node).frame(fn)" in str(caught.value)
    with pytest.raises(EncodeError, match="the arguments of filter"):
        await df.filter(lock)


@between
async def test_functions_in_expressions_travel():
    factor = 10
    df = there()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = df.select(pl.col("a").map_elements(lambda n: n * factor, return_dtype=pl.Int64))
    assert await found["a"].to_list() == [30, 10, 20]


@between
async def test_schemas_that_do_not_fit_are_polars_own_error_with_the_node():
    with pytest.raises(pl.exceptions.PolarsError) as caught:
        await there("b").vstack(there("c").select("a"))
    notes = "\n".join(caught.value.__notes__)
    assert f"in vstack of polars.DataFrame, 27 B, on {at('b')}, polars.DataFrame, 24 B, on {at('c')}" in notes


@between
async def test_more_than_the_limit_is_not_brought(monkeypatch: pytest.MonkeyPatch):
    df = await there()
    with pytest.raises(FrameTooLarge) as caught:
        await df.collect(limit=5)
    assert (caught.value.node, caught.value.limit) == (at("b"), 5)
    assert "3 × 2" in str(caught.value)
    assert "without a limit" in str(caught.value)
    with pytest.raises(FrameTooLarge):
        await df.lazy().collect(limit=5)
    assert (await df.collect(limit=1000)).height == 3
    monkeypatch.setattr(asking, "WARN_AT", 10)
    with pytest.warns(ResourceWarning, match=r"comes from .*collect\(limit="):
        await df.collect()
    with pytest.raises(ValueError, match="a number of bytes"):
        df.collect(limit=-1)


@between
async def test_what_makes_no_sense_from_afar_says_what_to_do_instead():
    df = await there()
    for name in ("plot", "style", "write_clipboard", "deserialize"):
        assert not hasattr(df, name)
        with pytest.raises(FrameRefused, match="instead"):
            getattr(df, name)
    for fn in (len, iter, bool, list, lambda each: "a" in each):
        with pytest.raises(TypeError, match="Ask there"):
            fn(df)
    for fn in (lambda: df["a"] + pl.col("b"), lambda: df["a"] == pl.col("b")):
        with pytest.raises(TypeError, match=r"df\.select"):
            fn()
    with pytest.raises(AttributeError):
        _ = df.nothing
    with pytest.raises(AttributeError, match="read_"):
        _ = bp.frames.on(at("b")).nothing


# ends


@between
async def test_the_memory_is_free_when_the_last_handle_is_gone(nodes: Cluster):
    df = await there()
    other = await df.head(2)
    again = copy.copy(other)
    assert owned(nodes, "b") == 2
    other.release()
    with pytest.raises(RefDropped):
        await other.height
    assert await again.height == 2
    del again
    await until(lambda: owned(nodes, "b"), 1)
    with df:
        pass
    await until(lambda: owned(nodes, "b"), 0)


@between
async def test_a_chain_keeps_nothing_of_what_was_between(nodes: Cluster):
    last = await there().head(3).tail(2).head(1)
    await until(lambda: owned(nodes, "b"), 1)
    assert await last.height == 1


@threaded
@between
async def test_work_that_nobody_wants_any_more_is_stopped():
    stopped = threading.Event()
    began = threading.Event()

    def slow() -> Any:
        began.set()
        try:
            while True:
                pass
        finally:
            stopped.set()

    df = bp.frames.on(at("a")).frame(slow)
    await asyncio.to_thread(began.wait, 10)
    del df
    await asyncio.to_thread(stopped.wait, 10)
    assert stopped.is_set()


@threaded
@between
async def test_who_waits_and_leaves_does_not_stop_the_others():
    gate = threading.Event()

    def slow() -> pl.DataFrame:
        gate.wait(10)
        return local()

    df = bp.frames.on(at("a")).frame(slow)
    height = df.head(1)
    waits = asyncio.ensure_future(asyncio.wait_for(df, 60))
    await asyncio.sleep(0)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    gate.set()
    assert await height.height == 1


@threaded
@between
async def test_cancelled_frames_are_cancelled_for_all():
    gate = threading.Event()

    def slow() -> pl.DataFrame:
        gate.wait(10)
        return local()

    df = bp.frames.on(at("a")).frame(slow)
    after = df.head(1)
    assert df.cancel() is True
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await after
    with pytest.raises(asyncio.CancelledError):
        await df
    assert df.cancel() is False


@between
async def test_a_lost_node_is_an_error_that_names_it(nodes: Cluster):
    df = await there("c")
    more = df.select("a")
    await more
    await nodes.down("c")
    with pytest.raises(bp.errors.OwnerLost) as caught:
        await df.height
    assert at("c") in str(caught.value)
    with pytest.raises(bp.errors.OwnerLost):
        await df.join(there("b"), on="b")


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


# arguments as they are when they are given


@threaded
@between
async def test_what_happens_to_an_argument_after_the_call_does_not_change_it():
    gate = threading.Event()

    def slow() -> pl.DataFrame:
        gate.wait(10)
        return local()

    df = bp.frames.on(at("a")).frame(slow)
    names, mine, other = ["a"], pl.DataFrame({"a": [9]}), there("a")
    chosen = df.select(names)
    stacked = chosen.vstack(mine).vstack(other.select("a"))
    names.append("none")
    mine[0, "a"] = 100
    other.columns = ["p", "q"]
    gate.set()
    assert (await stacked.collect())["a"].to_list() == [3, 1, 2, 9, 3, 1, 2]


@between
async def test_a_frame_may_be_given_to_itself():
    df, series = there(), there()["a"]
    df.extend(df)
    series.append(series)
    assert await df.height == 6
    assert await series.to_list() == [3, 1, 2, 3, 1, 2]


@between
async def test_in_place_is_of_this_handle():
    series = there()["a"]
    assert series.sort(in_place=True) is series
    assert await series.to_list() == [1, 2, 3]
    df = there()
    df.vstack(local(), in_place=True)
    assert await df.height == 6


@between
async def test_a_file_of_this_process_is_not_written_elsewhere():
    import io

    df = there()
    with pytest.raises(EncodeError, match=r"the file object in write_csv .*collect\(\)\)\.write_csv"):
        df.write_csv(io.BytesIO())
    with pytest.raises(EncodeError, match="the file object in sink_parquet"):
        df.lazy().sink_parquet(path=io.BytesIO())
    text = await df.write_csv()
    assert_frame_equal(await bp.frames.on(at("b")).read_csv(io.BytesIO(text.encode())).collect(), local())


@between
async def test_flags_of_the_optimiser_travel():
    plan = there().lazy().select(a=pl.lit(1), b="b").select("b")
    flags = pl.QueryOptFlags(projection_pushdown=False)
    assert await plan.explain(optimizations=flags) != await plan.explain()
    assert await plan.compute(optimizations=flags).columns == ["b"]


@between
async def test_columns_are_asked_for_by_one_name_or_by_two():
    df = there()
    assert await df["b", "a"].columns == ["b", "a"]
    assert await df.get_column("a").sum() == 6
    assert await df.get_column("none", default=None) is None
    assert await (await df.get_column("a", default=None)).sum() == 6
    assert await there().select(pl.concat_list("a").alias("l"))["l"].list[0].to_list() == [3, 1, 2]


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
async def test_a_failed_frame_keeps_nothing_and_its_traceback_does_not_grow(nodes: Cluster):
    df = await there()
    wrong = df.head(2).join(df.tail(2), on="none")
    after = wrong.head(1)
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await after
    await until(lambda: owned(nodes, "b"), 1)  # wrong and after are still there

    async def depth() -> int:
        with pytest.raises(pl.exceptions.ColumnNotFoundError) as caught:
            await wrong
        return len(caught.traceback)

    assert await depth() == await depth()


@between
async def test_generators_and_views_are_taken_as_lists():
    df, names = there(), {"a": 1, "b": 2}
    assert await df.select(pl.col(name).alias(name * 2) for name in names).columns == ["aa", "bb"]
    assert await df.lazy().select(names.keys()).columns == ["a", "b"]
    assert await df.select(map(pl.col, ["b"])).columns == ["b"]
    assert await df.hstack(column.alias("c") for column in [df["a"]]).columns == ["a", "b", "c"]
    plan = bp.frames.on(at("b")).concat(each.lazy() for each in (df, df))
    assert type(plan) is bp.frames.RemoteLazyFrame
    assert (await plan.collect()).height == 6


@threaded
@between
async def test_a_function_that_gives_a_frame_waits_for_those_among_its_arguments():
    gate = threading.Event()

    def slow() -> pl.DataFrame:
        gate.wait(10)
        return local()

    def stacked(frame: pl.DataFrame, *, more: pl.DataFrame) -> pl.DataFrame:
        return frame.vstack(more)

    df = bp.frames.on(at("a")).frame(slow)
    made = bp.frames.on(at("b")).frame(stacked, df, more=there("c"))
    df.columns = ["p", "q"]  # after the call
    gate.set()
    assert await made.height == 6
    assert await made.columns == ["a", "b"]
    assert await df.columns == ["p", "q"]


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


@threaded
@between
async def test_what_ends_no_node_in_a_thread_ends_none_in_a_query():
    def interrupted(frame: pl.DataFrame) -> pl.DataFrame:
        raise KeyboardInterrupt

    def panicking(frame: pl.DataFrame) -> pl.DataFrame:
        raise pl.exceptions.PanicException("not implemented")

    df = there()
    with pytest.raises(RemoteError, match="KeyboardInterrupt"):
        await bp.frames.on(at("b")).frame(interrupted, df)
    with pytest.raises(RemoteError, match="KeyboardInterrupt"):
        await df.lazy().map_batches(interrupted).collect()
    with pytest.raises(RemoteError, match="KeyboardInterrupt"):
        await df.ref.apply(interrupted)
    with pytest.raises(RemoteError, match="PanicException: not implemented"):
        await df.lazy().map_batches(panicking).collect()
    assert await df.height == 3


@between
async def test_a_frame_and_a_plan_may_be_there_several_times():
    df = there()
    assert await df.join(df, on="b").height == 5
    plan = df.lazy().select("b")
    for _ in range(4):
        plan = plan.join(plan, on="b").unique(maintain_order=True)
    assert sorted((await plan.collect()).rows()) == [("x",), ("y",)]


@between
async def test_tuples_in_arguments_are_tuples():
    df = there()
    found = await df.filter((pl.col("a") > 1, pl.col("b") == "x")).collect()
    assert found.rows() == [(3, "x"), (2, "x")]
    assert await df.select((pl.col("a"), "b")).columns == ["a", "b"]
