"""Paging: parts in order, the next one on its way, nothing asked past the end, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import polars as pl
import pytest

import beampy as bp
from beampy.errors import RefDropped
from beampy.frames import paging, preview
from beampy.refs import using
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import at, between, refs_at

threaded = pytest.mark.loops("asyncio", "uvloop")


def there(n: int = 10) -> Any:
    return bp.frames.on(at("b")).DataFrame({"a": range(n), "b": [f"text {i}" for i in range(n)]})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is asked for: (verb, arguments)."""
    found: list[Any] = []
    use = using.use

    def counted(ref: Any, verb: str, fn: Any, args: Any, kwargs: Any) -> Any:
        found.append((verb, *args))
        return use(ref, verb, fn, args, kwargs)

    monkeypatch.setattr(using, "use", counted)
    return found


@between
@pytest.mark.parametrize("height", [0, 1, 4, 5, 8, 10])
async def test_slices_are_those_of_polars(height: int):
    local = pl.DataFrame({"a": range(height), "b": [f"text {i}" for i in range(height)]})
    df = there(height)
    assert [part.rows() async for part in df.iter_slices(4)] == [part.rows() for part in local.iter_slices(4)]
    assert [row async for row in df.iter_rows(buffer_size=3)] == list(local.iter_rows())
    assert [row async for row in df.iter_rows(named=True, buffer_size=3)] == list(local.iter_rows(named=True))


@between
@threaded
async def test_on_a_thread():
    df = there()

    def read() -> Any:
        rows = df.iter_rows(buffer_size=4)
        first = next(rows)
        return [part.height for part in df.iter_slices(4)], first, list(rows)[-1]

    assert await asyncio.to_thread(read) == ([4, 4, 2], (0, "text 0"), (9, "text 9"))


@between
async def test_one_is_on_its_way_and_nothing_is_asked_past_the_end(asked: list[Any]):
    df = await there()
    slices = df.iter_slices(4)
    assert asked == []
    await anext(slices)
    assert asked == [("iter_slices", 0, 4), ("iter_slices", 4, 4)]
    await anext(slices)
    await anext(slices)
    with pytest.raises(StopAsyncIteration):
        await anext(slices)
    with pytest.raises(StopAsyncIteration):
        await anext(slices)
    assert [offset for _, offset, _ in asked] == [0, 4, 8]


@between
async def test_the_frame_is_kept_while_it_is_read_and_not_longer(nodes: Cluster):
    df = await there()
    slices = df.iter_slices(4)
    df.release()
    with pytest.raises(RefDropped):
        df.iter_slices(4)
    assert [part.height async for part in slices] == [4, 4, 2]
    await until(lambda: len(refs_at(nodes, "b").objects), 0)


@between
async def test_who_stops_reading_leaves_nothing(nodes: Cluster):
    df = await there()
    async for _ in df.iter_slices(1):
        break
    df.release()
    gc.collect()
    await until(lambda: len(refs_at(nodes, "b").objects), 0)


@between
async def test_a_failure_is_the_readers_and_ends_it():
    slices = there().select("zz").iter_slices(4)
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await anext(slices)
    with pytest.raises(StopAsyncIteration):
        await anext(slices)


@between
@pytest.mark.parametrize("n", [0, -1, True, 2.5, "4"])
async def test_numbers_of_rows_that_are_none(n: Any):
    df = there()
    with pytest.raises(ValueError, match="1 or more"):
        df.iter_slices(n)
    with pytest.raises(ValueError, match="from 1 to 1000"):
        df.table(n)
    with pytest.raises(ValueError, match="from 1 to 1000"):
        df.table(page=1001)
    await df


@between
async def test_a_page_is_one_question(asked: list[Any]):
    df = there()
    found = await paging.page(df, 7, 5)  # which is being made
    assert found.rows() == [(7, "text 7"), (8, "text 8"), (9, "text 9")]
    asked.clear()
    await paging.page(df, 0, 1)
    assert asked == [("rows", 0, 1)]


@between
async def test_a_table_has_pages_as_they_are_shown(nodes: Cluster):
    table = there(1000).table(page=20)
    found = await table.rows(980)
    assert found.shape == (1000, 2)
    assert found.frame["a"].to_list() == list(range(980, 1000))
    table.close()
    assert table.closed
    with pytest.raises(RefDropped):
        table.rows(0)
    await until(lambda: len(refs_at(nodes, "b").objects), 0)


@between
@threaded
async def test_a_table_is_its_first_page_where_it_has_no_buttons(monkeypatch: pytest.MonkeyPatch):
    df = await there(1000)
    with df.table(page=20) as table:
        bundle = await asyncio.to_thread(table._repr_mimebundle_)
        text = bundle["text/plain"].splitlines()
        assert text[0] == f"Table of 1 000 × 2, {preview.shown_size(df.nbytes)}, on {at('b')}"
        assert text[-1] == "the first 10 of 1 000 rows"
        assert "…" not in "".join(text)
        assert bundle["text/html"].count("<tr>") == 2 + 20
        assert "the first 20 of 1 000 rows" in bundle["text/html"]
        assert await asyncio.to_thread(repr, table) == bundle["text/plain"]
        assert await asyncio.to_thread(table._repr_html_) == bundle["text/html"]
    assert "released" in repr(table)


@between
async def test_closing_a_table_closes_what_shows_it():
    class View:
        closed = 0

        def close(self) -> None:
            self.closed += 1

    table, view = there().table(), View()
    table._views.append(view)
    table.close()
    table.close()
    assert view.closed == 1
