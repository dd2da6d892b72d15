"""Remote frames: what polars does in place is done to this handle.

Each test is a process of node a; b and c are there.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.unit.frames.frames_ground import local, owned, there
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import at, between


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
async def test_a_change_that_fails_leaves_the_handle_what_it_was(nodes: Cluster):
    df = await there()
    for ask in (lambda: df, lambda: df.height, lambda: df.collect(), lambda: df.head(1)):
        df.insert_column(0, pl.Series("c", [1]))
        assert df.done() is False
        with pytest.raises(pl.exceptions.ShapeError):
            await ask()
        assert_frame_equal(await df.collect(), local())
        assert df.node == at("b")
    df.insert_column(0, pl.Series("c", [7, 8, 9])).extend(pl.DataFrame({"other": [1]}))
    df.columns = ["p", "q"]
    with pytest.raises(pl.exceptions.ShapeError):
        await df
    assert await df.columns == ["c", "a", "b"]  # what went well before it
    await until(lambda: owned(nodes, "b"), 1)


@between
async def test_all_that_is_asked_before_somebody_is_told_fails_with_it():
    df = await there()
    other = copy.copy(df)
    df[0, "none"] = 1
    df.columns = ["p", "q"]
    asked = [df.head(1), df.select("p"), df["a"], df.lazy().select("b").compute()]
    for each in asked:
        with pytest.raises(pl.exceptions.PolarsError, match="none"):
            await each
    assert await df.columns == await other.columns == ["a", "b"]
    df[0, "a"] = 100
    assert await df["a"].to_list() == [100, 1, 2]


@between
async def test_a_change_that_is_cancelled_leaves_the_handle_what_it_was():
    df = await there()
    df.columns = ["p", "q"]
    assert df.cancel() is True
    with pytest.raises(asyncio.CancelledError):
        await df
    assert await df.columns == ["a", "b"]


@between
async def test_a_column_that_is_not_there_is_not_dropped():
    df = await there()
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await df.drop_in_place("none")
    assert await df.columns == ["a", "b"]


@between
async def test_what_was_changed_is_free_when_the_change_is_made(nodes: Cluster):
    df = await there()
    df.insert_column(0, pl.Series("c", [7, 8, 9]))
    await df
    await until(lambda: owned(nodes, "b"), 1)
    assert await df.width == 3


@between
async def test_a_change_that_fails_and_that_nobody_is_told_of_is_logged(monkeypatch: pytest.MonkeyPatch):
    said: list[Any] = []
    monkeypatch.setattr("beampy.handle.log.error", lambda text, what, exc_info: said.append(what))
    df = await there()
    df.columns = ["p", "q", "r"]
    await until(df.done, True)
    del df
    assert said == ["setattr of a remote frame"]
