"""Aggregations of a frame in partitions: merged, they are polars' own on the whole, for any frame cut anywhere.

Exact in everything but the rounding of floats, which are added up in another order.
"""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from beampy.frames.aggregates import carried_out, grouped, whole

FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from(
    [float("nan"), float("inf"), float("-inf"), -0.0]
)
ENUM = pl.Enum(["low", "middle", "high"])

# By column: its type, and its values.
COLUMNS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "i8": (pl.Int8, st.integers(-128, 127)),
    "u8": (pl.UInt8, st.integers(0, 255)),
    "i32": (pl.Int32, st.integers(-(2**31), 2**31 - 1)),
    "u32": (pl.UInt32, st.integers(0, 2**32 - 1)),
    "i64": (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
    "u64": (pl.UInt64, st.integers(0, 2**64 - 1)),
    "f64": (pl.Float64, FLOATS),
    "g64": (pl.Float64, st.floats(-1e3, 1e3, allow_subnormal=False)),
    "b": (pl.Boolean, st.booleans()),
    "s": (pl.String, st.text("abc", max_size=2)),
    "d": (pl.Date, st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1))),
    "t": (pl.Datetime("us"), st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1))),
    "du": (pl.Duration("ms"), st.timedeltas(datetime.timedelta(-9), datetime.timedelta(9)).map(lambda each: each)),
    "dec": (pl.Decimal(12, 2), st.decimals(-9999, 9999, places=2)),
    "e": (ENUM, st.sampled_from(["low", "middle", "high"])),
    "n": (pl.Null, st.none()),
    "l": (pl.List(pl.Int64), st.lists(st.integers(0, 2), max_size=2)),
}
NUMBERS = ["i8", "u8", "i32", "u32", "i64", "u64", "f64", "g64", "b", "dec"]
ORDERED = [*NUMBERS, "s", "d", "t", "du"]
ALL = list(COLUMNS)

# What is aggregated, and of which columns.
AGGREGATES: dict[str, tuple[Any, list[str]]] = {
    "sum": (lambda c: c.sum(), [*NUMBERS, "du", "n"]),
    "mean": (lambda c: c.mean(), [*NUMBERS, "d", "t", "du"]),
    "min": (lambda c: c.min(), ORDERED),
    "max": (lambda c: c.max(), ORDERED),
    "nan_max": (lambda c: c.nan_max(), ["f64"]),
    "nan_min": (lambda c: c.nan_min(), ["f64"]),
    "product": (lambda c: c.product(), ["i8", "i32", "i64", "b"]),
    "count": (lambda c: c.count(), ALL),
    "len": (lambda c: c.len(), ALL),
    "null_count": (lambda c: c.null_count(), ALL),
    "n_unique": (lambda c: c.n_unique(), [each for each in ALL if each not in ("l", "n")]),
    "first": (lambda c: c.first(), ALL),
    "last": (lambda c: c.last(), ALL),
    "first of values": (lambda c: c.first(ignore_nulls=True), ORDERED),
    "last of values": (lambda c: c.last(ignore_nulls=True), ORDERED),
    "any": (lambda c: c.any(), ["b"]),
    "any or unknown": (lambda c: c.any(ignore_nulls=False), ["b"]),
    "all": (lambda c: c.all(), ["b"]),
    "all or unknown": (lambda c: c.all(ignore_nulls=False), ["b"]),
    "bitwise": (lambda c: c.bitwise_xor(), ["i8", "i64"]),
    "std": (lambda c: c.std(), ["i8", "i32", "g64", "b"]),
    # Of nulls alone polars gives null, or 0.0: it depends on its engine, and on the keys.
    "var": (lambda c: pl.when(c.count() > 0).then(c.var(ddof=0)), ["i8", "i32", "f64", "g64"]),
    "var, 3 degrees": (lambda c: c.var(ddof=3), ["g64"]),
    "median": (lambda c: c.median(), NUMBERS),
    "quantile": (lambda c: c.quantile(0.3), [each for each in NUMBERS if each != "b"]),  # polars gives another type
    "quantile between": (lambda c: c.quantile(0.77, "linear"), ["i8", "g64"]),
    "values": (lambda c: c.implode(), ALL),
    "some": (lambda c: c.filter(pl.col("i8") > 0).sum(), ["i32", "g64", "i64"]),
    "first of some": (lambda c: c.filter(pl.col("i8") > 0).first(), ALL),
    "some different": (lambda c: c.drop_nulls().n_unique(), ["i8", "s", "f64"]),
    "values of some": (lambda c: c.filter(pl.col("i8") > 0).implode(), ["i8", "s", "l"]),
    "of an expression": (lambda c: (c * 2 + pl.col("i8")).sum(), ["i32", "g64"]),
    "share": (lambda c: c.sum() / pl.len(), ["i8", "i32", "g64"]),
    "span": (lambda c: (c.max() - c.min()).alias("span"), ["i8", "i32", "g64"]),
    "choice": (lambda c: pl.when(c.max() > 3).then(c.min()).otherwise(None), ["i8", "g64"]),
}
KEYS: list[list[pl.Expr]] = [
    [],
    [pl.col("k")],
    [pl.col("k"), pl.col("f64").alias("f")],
    [pl.col("s").alias("key"), pl.col("b").alias("other")],
    [(pl.col("i8") % 3).alias("rest")],
]


@pytest.fixture(scope="module", autouse=True)
def _polars_is_awake() -> None:
    """What polars opens once for a process is open before a test looks at what it has left open."""
    assert pl.LazyFrame({"a": [1]}).group_by("a").len().collect().height == 1


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(0, 12))
    nulls = draw(st.sampled_from([0, 1, 3]))

    def column(dtype: Any, values: st.SearchStrategy[Any]) -> pl.Series:
        one = values if nulls == 0 else st.one_of(*[st.none()] * nulls, values)
        return pl.Series(draw(st.lists(one, min_size=rows, max_size=rows)), dtype=dtype, strict=False)

    found = {name: column(*column_of) for name, column_of in COLUMNS.items()}
    return pl.DataFrame({"k": column(pl.String, st.sampled_from(["x", "y", "z"])), **found})


@st.composite
def cut(draw: st.DrawFn) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """A frame, and its rows in partitions, some of them empty."""
    frame = draw(frames())
    at = sorted(draw(st.lists(st.integers(0, frame.height), max_size=4)))
    parts = [frame[start:end] for start, end in zip([0, *at], [*at, frame.height], strict=True)]
    return frame, parts


def merged(
    frame: pl.DataFrame, parts: list[pl.DataFrame], keys: list[pl.Expr], aggs: list[pl.Expr], order: bool
) -> Any:
    plan = grouped(frame.schema, keys, aggs, order) if keys else whole(frame.schema, aggs)
    partials = [carried_out(plan.partial, part.lazy()).collect() for part in parts]
    result = carried_out(plan.merge, pl.concat(partials).lazy()).collect()
    assert result.schema == plan.schema
    return result


def expected(frame: pl.DataFrame, keys: list[pl.Expr], aggs: list[pl.Expr], order: bool) -> pl.DataFrame:
    if not keys:
        return frame.lazy().select(*aggs).collect()
    return frame.lazy().group_by(*keys, maintain_order=order).agg(*aggs).collect()


def equal(result: pl.DataFrame, wanted: pl.DataFrame, ordered: bool) -> None:
    assert_frame_equal(result, wanted, check_row_order=ordered, check_exact=False, rel_tol=1e-9, abs_tol=1e-6)


@pytest.mark.parametrize("name", AGGREGATES)
@settings(max_examples=25, deadline=None)
@given(case=cut(), keys=st.sampled_from(KEYS), order=st.booleans(), data=st.data())
def test_what_is_merged_is_what_polars_gives_on_the_whole(
    name: str, case: Any, keys: Any, order: bool, data: Any
) -> None:
    frame, parts = case
    fn, columns = AGGREGATES[name]
    some = data.draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True))
    aggs = [fn(pl.col(column)).alias(f"{column}_{number}") for number, column in enumerate(some)]
    result = merged(frame, parts, keys, aggs, order)
    equal(result, expected(frame, keys, aggs, order), order or not keys)


@settings(max_examples=40, deadline=None)
@given(
    case=cut(), keys=st.sampled_from(KEYS), names=st.lists(st.sampled_from(list(AGGREGATES)), min_size=1, max_size=5)
)
def test_several_aggregates_of_one_query_do_not_touch_each_other(case: Any, keys: Any, names: list[str]) -> None:
    frame, parts = case
    aggs = [
        AGGREGATES[name][0](pl.col(AGGREGATES[name][1][0])).alias(f"out{number}") for number, name in enumerate(names)
    ]
    result = merged(frame, parts, keys, aggs, True)
    equal(result, expected(frame, keys, aggs, True), True)
