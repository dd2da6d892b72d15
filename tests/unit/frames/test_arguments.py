"""Remote frames: what they are given, and what is given them: as they are at the call; calls wait for them.

Each test is a process of node a; b and c are there.
"""

from __future__ import annotations

import io
import pickle
import threading
import warnings
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import beampy as bp
from beampy.errors import EncodeError, FrameDue
from tests.unit.frames.frames_ground import later, local, there, threaded
from tests.unit.refs.using_ground import at, between


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

    df = later(gate)
    with pytest.raises(FrameDue, match="await"):
        _ = df.ref
    assert df.nbytes == 0
    with pytest.raises(EncodeError, match="FrameDue"):
        bp.send(("nobody", at("b")), df)
    gate.set()
    await df
    assert df.nbytes > 0


async def test_a_handle_is_not_pickled_by_others():
    async with bp.Node("a@127.0.0.1"):
        df = await bp.frames.from_local(local())
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(df)


@threaded
@between
async def test_what_happens_to_an_argument_after_the_call_does_not_change_it():
    gate = threading.Event()

    df = later(gate)
    names, mine, other = ["a"], pl.DataFrame({"a": [9]}), there("a")
    chosen = df.select(names)
    stacked = chosen.vstack(mine).vstack(other.select("a"))
    names.append("none")
    mine[0, "a"] = 100
    other.columns = ["p", "q"]
    gate.set()
    assert (await stacked.collect())["a"].to_list() == [3, 1, 2, 9, 3, 1, 2]


@threaded
@between
async def test_a_function_that_gives_a_frame_waits_for_those_among_its_arguments():
    gate = threading.Event()

    def stacked(frame: pl.DataFrame, *, more: pl.DataFrame) -> pl.DataFrame:
        return frame.vstack(more)

    df = later(gate)
    made = bp.frames.on(at("b")).frame(stacked, df, more=there("c"))
    df.columns = ["p", "q"]  # after the call
    gate.set()
    assert await made.height == 6
    assert await made.columns == ["a", "b"]
    assert await df.columns == ["p", "q"]


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


@between
async def test_tuples_in_arguments_are_tuples():
    df = there()
    found = await df.filter((pl.col("a") > 1, pl.col("b") == "x")).collect()
    assert found.rows() == [(3, "x"), (2, "x")]
    assert await df.select((pl.col("a"), "b")).columns == ["a", "b"]


@between
async def test_a_file_of_this_process_is_not_written_elsewhere():
    df = there()
    with pytest.raises(EncodeError, match=r"the file object in write_csv .*collect\(\)\)\.write_csv"):
        df.write_csv(io.BytesIO())
    with pytest.raises(EncodeError, match="the file object in sink_parquet"):
        df.lazy().sink_parquet(path=io.BytesIO())
    text = await df.write_csv()
    assert_frame_equal(await bp.frames.on(at("b")).read_csv(io.BytesIO(text.encode())).collect(), local())


@between
async def test_functions_in_expressions_travel():
    factor = 10
    df = there()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = df.select(pl.col("a").map_elements(lambda n: n * factor, return_dtype=pl.Int64))
    assert await found["a"].to_list() == [30, 10, 20]
