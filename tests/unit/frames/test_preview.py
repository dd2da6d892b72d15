"""Previews: what is said of a frame, however it is; one message; no more than its time; no failure."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import polars as pl
import pytest

import beampy as bp
from beampy.frames import excerpt, preview
from beampy.frames.preview import Sight, failure, headline, shown_html, shown_text
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import at, between, refs_at

threaded = pytest.mark.loops("asyncio", "uvloop")
GO = threading.Event()


@pytest.fixture(autouse=True)
def _nothing_was_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "_slow", {})
    GO.clear()


def when_told() -> pl.DataFrame:
    assert GO.wait(30)
    return pl.DataFrame({"a": [1, 2, 3]})


def there(node: str = "b", n: int = 1000) -> Any:
    return bp.frames.on(at(node)).DataFrame({"a": range(n), "b": ["<x>"] * n})


async def off_loop(fn: Any, *args: Any) -> Any:
    return await asyncio.to_thread(fn, *args)


@between
@threaded
async def test_a_headline_and_the_rows_that_polars_shows():
    df = await there()
    table = pl.DataFrame({"a": range(1000), "b": ["<x>"] * 1000})
    first, *rest = (await off_loop(repr, df)).splitlines()
    assert first == f"RemoteDataFrame of 1 000 × 2, {df.nbytes / 1000:.0f} kB, on {at('b')}"
    assert rest == str(table).splitlines()[1:]
    page = await off_loop(df._repr_html_)
    assert f"<div>{table._repr_html_().split('</small>')[1]}".split("<table")[1] in page
    assert "&lt;x&gt;" in page
    assert "<x>" not in page
    assert "<small>" not in page


@between
@threaded
async def test_a_series_is_shown_as_one():
    series = there()["a"]
    shown = (await off_loop(repr, series)).splitlines()
    assert shown[0] == f"RemoteSeries of 1 000, 8 kB, on {at('b')}"
    assert shown[1:] == str(pl.Series("a", range(1000))).splitlines()[1:]
    assert "<table" in await off_loop(series._repr_html_)


@between
@threaded
async def test_the_rows_are_asked_for_once_for_each_content_and_setting(monkeypatch: pytest.MonkeyPatch):
    df = await there()
    asked: list[Any] = []
    of_frame = excerpt.of_frame
    monkeypatch.setattr(excerpt, "of_frame", lambda *args: asked.append(args[1]) or of_frame(*args))
    bundle = await off_loop(df._repr_mimebundle_)
    assert set(bundle) == {"text/plain", "text/html"}
    assert await off_loop(repr, df) == bundle["text/plain"]
    assert len(asked) == 1
    with pl.Config(tbl_rows=2):
        assert len((await off_loop(repr, df)).splitlines()) == 10
    assert len(asked) == 2
    df.insert_column(2, pl.Series("c", [0] * 1000))
    await df
    asked.clear()
    assert "c   │" in await off_loop(repr, df)
    assert len(asked) == 1


@between
@threaded
async def test_what_is_being_made_was_failed_cancelled_or_released(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preview, "PATIENCE", 0.05)
    monkeypatch.setattr(preview, "look", lambda frame, want=None, look=preview.look: look(frame, want, 0.05))
    place = bp.frames.on(at("b"))
    df = place.frame(when_told)
    made = f"being made on {at('b')} (frame(tests.unit.frames.test_preview.when_told)); await it, or wait()"
    assert await off_loop(repr, df) == f"<RemoteDataFrame: {made}>"
    GO.set()
    await df
    assert (await off_loop(repr, df)).startswith(f"RemoteDataFrame of 3 × 1, 24 B, on {at('b')}\n")
    bad = df.select("<zz>")
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await bad
    said = await off_loop(repr, bad)
    assert said.startswith(f"<RemoteDataFrame, on {at('b')}: failed: ColumnNotFoundError: unable to find column")
    assert said.endswith("(select)>")
    assert "&lt;zz&gt;" in await off_loop(bad._repr_html_)
    GO.clear()
    stopped = place.frame(when_told)
    stopped.cancel()
    await until(stopped.done, True)
    assert "cancelled (frame(" in await off_loop(repr, stopped)
    GO.set()
    df.release()
    assert await off_loop(repr, df) == "<RemoteDataFrame: released>"


@between
async def test_on_its_own_loop_nothing_is_waited_for():
    df = there()
    assert "being made" in repr(df)
    await df
    assert repr(df).startswith("<RemoteDataFrame of 1 000 × 2, ")
    own = await bp.frames.from_local(pl.DataFrame({"a": [1, 2]}))
    assert "│ 2   │" in repr(own)  # which is here


@between
@threaded
async def test_a_node_that_does_not_answer_is_waited_for_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preview, "AGAIN", 1000.0)
    df, other = await there(), await there()
    asked: list[Any] = []
    monkeypatch.setattr(excerpt, "of_frame", lambda *args: asked.append(args) or GO.wait(30))
    waited: list[float] = []
    left = preview._left
    monkeypatch.setattr(preview, "_left", lambda what, end: waited.append(left(what, end)) or 0.01)
    what = headline("RemoteDataFrame", (1000, 2), df.nbytes, at("b"))
    assert await off_loop(repr, df) == f"<{what}: its node has not answered yet>"
    await off_loop(repr, df)
    await off_loop(repr, other)
    await until(lambda: len(asked), 2)  # the first question is still under way
    assert waited[0] > 0.5
    assert waited[1:] == [preview.SHORT] * 2
    handles = [df._seen.handle, other._seen.handle]
    del df, other
    gc.collect()
    await until(lambda: all(handle.cancelled() for handle in handles), True)  # taken back with the frames' handles
    GO.set()


@between
@threaded
async def test_what_was_asked_in_vain_is_shown_when_it_has_come(monkeypatch: pytest.MonkeyPatch):
    df = await there()
    monkeypatch.setattr(preview, "_left", lambda what, end: 0.0)
    first = await off_loop(repr, df)
    if "not answered" in first:
        await until(lambda: df._seen.handle.done(), True)
    assert "│ 999 ┆ <x> │" in await off_loop(repr, df)


@between
@threaded
async def test_an_object_that_was_lost(nodes: Cluster):
    df = await there()
    refs_at(nodes, "b").objects.clear()
    assert "UnknownRef" in await off_loop(repr, df) or "RefExpired" in await off_loop(repr, df)


@between
@threaded
async def test_a_preview_leaves_nothing(nodes: Cluster):
    df = await there()
    await off_loop(repr, df)
    del df
    gc.collect()
    await until(lambda: len(refs_at(nodes, "b").objects), 0)


def test_whatever_goes_wrong_is_said(monkeypatch: pytest.MonkeyPatch):
    class Broken:
        _kind = "DataFrame"

        @property
        def _held(self) -> Any:
            raise RuntimeError("broken")

    assert preview.text(Broken()) == "<RemoteDataFrame: it cannot be shown: RuntimeError: broken>"  # type: ignore[arg-type]


def test_failures_are_one_line():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert failure(ValueError("\n one \n two")) == "ValueError: one"
    assert failure(ValueError()) == "ValueError"
    assert failure(Mute()) == "Mute"
    assert failure(asyncio.CancelledError()) == "cancelled"
    assert len(failure(ValueError("x" * 9999))) == preview.LINE + 1


def test_what_was_left_out_is_said():
    from beampy.frames.excerpt import of_frame, wanted

    frame = pl.DataFrame({f"c{n}": range(500) for n in range(200)})
    with pl.Config(tbl_rows=-1, tbl_cols=-1):
        sight = Sight("RemoteDataFrame", of_frame(frame, wanted()))
        assert shown_text(sight).endswith("\nthe first 200 of 500 rows; the first 100 of 200 columns")
        assert "the first 200 of 500 rows" in shown_html(sight)
    objects = pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)})
    assert shown_text(Sight("RemoteDataFrame", of_frame(objects, wanted()))).endswith("\nshown as text: o (object)")


def test_polars_may_be_set_to_say_no_shape_or_to_say_it_below():
    from beampy.frames.excerpt import of_frame, wanted

    rows = of_frame(pl.DataFrame({"a": range(50)}), wanted())
    configs: list[dict[str, Any]] = [{"tbl_hide_dataframe_shape": True}, {"tbl_dataframe_shape_below": True}, {}]
    for config in configs:
        with pl.Config(**config):
            assert "shape" not in shown_text(Sight("F", rows))
            assert "shape" not in shown_html(Sight("F", rows))
