"""Remote frames: failures, and what they say. Each test is a process of node a; b and c are there."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import polars as pl
import pytest

import beampy as bp
from beampy.errors import EncodeError, FrameRefused, FrameTooLarge, RemoteError
from beampy.frames import asking
from tests.unit.frames.frames_ground import owned, there, threaded
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import at, between


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
        with pytest.raises(TypeError, match=r"Ask there: .*df"):
            fn(df)
        with pytest.raises(TypeError, match=r"this RemoteSeries .* Ask there: await s\."):
            fn(df["a"])
    for fn in (lambda: df["a"] + pl.col("b"), lambda: df["a"] == pl.col("b")):
        with pytest.raises(TypeError, match=r"df\.select"):
            fn()
    with pytest.raises(AttributeError):
        _ = df.nothing
    with pytest.raises(AttributeError, match="read_"):
        _ = bp.frames.on(at("b")).nothing


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
    with pytest.raises(RemoteError, match="PanicException: not implemented") as caught:
        await df.lazy().map_batches(panicking).collect()
    assert f"in lazy.map_batches.collect of polars.DataFrame, 27 B, on {at('b')}" in caught.value.__notes__
    assert await df.height == 3


@between
async def test_an_error_with_many_frames_names_some_of_them():
    place = bp.frames.on(at("b"))
    frames = [await there().select(pl.col("a").alias(f"a{n}")) for n in range(6)]
    with pytest.raises(pl.exceptions.PolarsError) as caught:
        await place.concat(frames)
    (note,) = [note for note in caught.value.__notes__ if note.startswith("in concat of")]
    assert note.count("polars.DataFrame") == asking.NAMED
    assert note.endswith("and 3 more")
