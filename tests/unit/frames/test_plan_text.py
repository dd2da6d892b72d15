"""How plans are written down for people."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

import beampy as bp
from beampy.frames import plan_text
from beampy.frames.plan_text import step_text, written
from beampy.frames.tree import Step
from tests.unit.refs.using_ground import at, between


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("a", "'a'"),
        ("x" * 500, "'" + "x" * 78 + "…"),
        (pl.col("a") > 1, '[(col("a")) > (dyn int: 1)]'),
        ([pl.col("a"), "b"], "[col(\"a\"), 'b']"),
        (("a", ["b", ["c", ["d"]]]), "('a', ['b', ['c', […]]])"),
        (pl.DataFrame({"a": range(2000)}), "DataFrame of 2 000 × 1"),
        (pl.Series([1]), "Series of 1"),
        (pl.LazyFrame(), "LazyFrame"),
        (len, "len"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …]"),
        ("s3://key:secret@host/x", "'s3://key:…@host/x'"),
        (None, "None"),
    ],
)
def test_arguments(value: Any, text: str):
    assert written(value) == text


def test_what_cannot_be_shown_does_not_matter():
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    assert step_text(Step("filter", (Broken(),), {})) == ".filter(…)"
    assert step_text(Step("str", None, {})) == ".str"


@between
async def test_a_plan_over_files():
    options = {"aws_secret_access_key": "hidden"}
    plan: Any = bp.frames.on(at("b")).scan_parquet("x/*.parquet", storage_options=options, n_rows=5)
    plan = plan.filter(pl.col("a") > 1).group_by("k").len()
    assert repr(plan).splitlines() == [
        f"RemoteLazyFrame on {at('b')}: a plan, of which nothing is done yet",
        "  scan_parquet('x/*.parquet', storage_options=…, n_rows=5)",
        '  .filter([(col("a")) > (dyn int: 1)])',
        "  .group_by('k')",
        "  .len()",
        plan_text.HINT,
    ]
    assert "hidden" not in plan._repr_html_()
    assert "<script" not in plan.filter(pl.col("<script>") > 1)._repr_html_()
    assert set(plan._repr_mimebundle_()) == {"text/plain", "text/html"}


@between
async def test_a_plan_over_a_frame_that_is_not_there_yet_is_there_or_has_failed():
    there = bp.frames.on(at("b"))
    df = there.DataFrame({"a": [1]})
    assert "a frame that is being made (DataFrame)" in repr(df.lazy())
    await df
    assert "  a DataFrame of 1 × 1, 8 B\n" in repr(df.lazy().select("a"))
    bad = df.select("zz")
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await bad
    assert "a frame that failed: ColumnNotFoundError" in repr(bad.lazy())


@between
async def test_a_long_plan_has_its_middle_left_out():
    plan: Any = bp.frames.on(at("b")).scan_csv("x.csv")
    for number in range(50):
        plan = plan.with_columns(pl.lit(number).alias(f"c{number}"))
    lines = plan_text.lines(plan)
    assert len(lines) == 14
    assert lines[7] == "… 38 more steps …"
    assert "c49" in lines[-1]


def test_a_plan_whose_parts_cannot_be_told():
    plan: Any = SimpleNamespace(_query=SimpleNamespace(root=None, steps=()), node=None)
    assert plan_text.text(plan).splitlines()[1].startswith("  (AttributeError")
