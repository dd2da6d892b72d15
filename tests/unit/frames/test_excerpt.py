"""Excerpts: what polars shows of them is what it would show of the whole frame; and they are small."""

from __future__ import annotations

import pickle
import re
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from beampy.frames import excerpt
from beampy.frames.excerpt import Wanted, cells, headers, of_frame, of_page, wanted

N = 1000
OF: Any = pl.Series
KINDS: dict[str, pl.Series] = {
    name: OF(name, values, dtype=dtype)
    for name, values, dtype in [
        ("int", range(N), pl.Int64),
        ("float", [n / 7 for n in range(N)], pl.Float64),
        ("text", [f"{n} " * 1000 for n in range(N)], pl.String),
        ("short", [None, "<b>"] * (N // 2), pl.String),
        ("bytes", [b"\x00\x01" * 3000] * N, pl.Binary),
        ("list", [list(range(5000))] * N, pl.List(pl.Int64)),
        ("texts", [["q" * 999] * 999] * N, pl.List(pl.String)),
        ("lists", [[list(range(99))] * 99] * N, pl.List(pl.List(pl.Int64))),
        ("struct", [{"x": n, "y": "z" * 9999} for n in range(N)], pl.Struct({"x": pl.Int64, "y": pl.String})),
        ("structs", [[{"y": "z" * 9999}] * 9] * N, pl.List(pl.Struct({"y": pl.String}))),
        ("cat", ["u", "v"] * (N // 2), pl.Categorical),
        ("when", [datetime(2024, 1, 1)] * N, pl.Datetime),
        ("none", [None] * N, pl.Null),
        ("int128", range(N), pl.Int128),
        ("bool", [True, None] * (N // 2), pl.Boolean),
        ("dec", ["1.50"] * N, pl.String),
    ]
}
SMALL = 100_000  # bytes: of 16 columns of up to 6 kB


def shown(frame: pl.DataFrame) -> list[str]:
    """As polars shows it, without the line that says its shape."""
    return [line for line in str(frame).splitlines() if not line.startswith("shape: ")]


def page(frame: pl.DataFrame) -> str:
    return re.sub(r"<small>.*?</small>", "", frame._repr_html_())


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("config", [{}, {"tbl_rows": 4, "fmt_str_lengths": 200, "fmt_table_cell_list_len": 7}])
def test_a_column_looks_as_the_whole_one_does(name: str, config: dict[str, Any]):
    column = KINDS[name]
    with pl.Config(**config):
        found = of_frame(column, wanted())
        assert shown(found.frame) == shown(column.to_frame())
        alone = str(found.frame.to_series()).splitlines()[1:]
        if name in (
            "texts",
            "struct",
            "structs",
        ):  # polars shows texts within others whole here: they say that they are cut
            assert '…"' in alone[2]
        else:
            assert alone == str(column).splitlines()[1:]
    assert found.shape == (N, 1)
    assert not found.plain
    assert len(pickle.dumps(found)) < SMALL


def test_all_of_them_together_are_small():
    frame = pl.DataFrame(list(KINDS.values()))
    found = of_frame(frame, wanted())
    assert found.frame.schema == frame.schema
    assert len(pickle.dumps(found)) < SMALL


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("columns", [1, 2, 3, 8, 75])
@pytest.mark.parametrize("height", [0, 1, 2, 3, 10, 11, 12, 20])
def test_what_is_left_out_is_said_as_polars_says_it(rows: int, columns: int, height: int):
    frame = pl.DataFrame({f"c{n}": range(height) for n in range(90)})
    with pl.Config(tbl_rows=rows, tbl_cols=columns):
        found = of_frame(frame, wanted())
        assert shown(found.frame) == shown(frame)
        assert page(found.frame) == page(frame)
    assert found.frame.height <= rows + 1 or height == found.frame.height
    assert found.frame.width <= columns + 1


def test_however_much_polars_is_set_to_show_there_is_a_bound():
    frame = pl.DataFrame({f"c{n}": range(N) for n in range(300)})
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=10**6, fmt_table_cell_list_len=-1):
        want = wanted()
        found = of_frame(frame, want)
    assert found.frame.shape == (excerpt.MOST_ROWS, excerpt.MOST_COLUMNS)
    assert (want.characters, want.items) == (excerpt.MOST_CHARACTERS, excerpt.MOST_ITEMS)


def test_settings_of_polars_that_are_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POLARS_FMT_MAX_ROWS", "many")
    assert wanted() == Wanted()


def test_what_cannot_travel_or_is_large_is_there_as_text():
    frame = pl.DataFrame(
        {
            "object": pl.Series([object()] * 3, dtype=pl.Object),
            "array": pl.Series([[1.5] * 5000] * 3, dtype=pl.Array(pl.Float64, 5000)),
            "enum": pl.Series(["7", None, "8"], dtype=pl.Enum([str(n) for n in range(30_000)])),
            "int": [1, 2, 3],
        }
    )
    found = of_frame(frame, wanted())
    assert found.plain == {"object": "object", "array": "array[f64, 5000]", "enum": "enum"}
    assert found.frame["enum"].to_list() == ['"7"', None, '"8"'] or found.frame["enum"].to_list() == ["7", None, "8"]
    assert found.frame["object"][0].startswith("<object object")
    assert found.frame["array"][0] == "[1.5, 1.5, … 1.5]"
    assert len(pickle.dumps(found)) < SMALL


@pytest.mark.parametrize("rows", [50, 1000])
def test_a_page_is_small_whatever_it_has_and_text_stays_text(rows: int):
    column = pl.Series("a", ["x" * 9999, "short", None, "ü" * 9999] * (rows // 4 + 1))
    nested = pl.Series("b", [["y" * 9999, "z"]] * len(column))
    want = Wanted(rows, 0, 100, 0, 2000)
    found = of_page(pl.DataFrame([column, nested]), 0, want)
    assert found.plain == {"b": "list[str]"}
    assert len(pickle.dumps(found)) < 6 * excerpt.COLUMN  # of two columns, with characters of up to two bytes
    first, short, null, other = found.frame["a"].head(4)
    assert first.rstrip("…") in "x" * 9999
    assert len(first) >= excerpt.CHARACTERS
    assert first.endswith("…")
    assert other.endswith("ü…")
    assert (short, null) == ("short", None)
    assert [kind for _, kind, _ in headers(found)] == ["str", "list[str]"]


def test_a_plan_has_no_rows():
    with pytest.raises(TypeError, match="plan"):
        of_frame(pl.LazyFrame({"a": [1]}), Wanted())


def test_a_page_is_the_rows_that_are_asked_for():
    frame = pl.DataFrame({"a": range(N), "b": ["x" * 10_000] * N})
    want = Wanted(50, 0, 100, 0, 500)
    found = of_page(frame, 990, want)
    assert found.shape == (N, 2)
    assert found.frame["a"].to_list() == list(range(990, N))
    assert {len(text) for text in found.frame["b"]} == {501}
    assert of_page(frame, N + 5, want).frame.height == 0


def test_cells_are_text_or_null_and_columns_say_what_they_have():
    frame = pl.DataFrame({"a": [1, None], "b": ["x" * 5000, None], "l": [[1, 2, 3, 4], []], "f": [1.5, float("nan")]})
    rows = cells(frame, 100)
    assert rows == [["1", "x" * 100 + "…", "[1, 2, … 4]", "1.5"], [None, None, "[]", "NaN"]]
    assert headers(excerpt.Excerpt(frame, frame.shape, {"b": "object"})) == [
        ("a", "i64", True),
        ("b", "object", False),
        ("l", "list[i64]", False),
        ("f", "f64", True),
    ]
    assert cells(pl.DataFrame()) == []
