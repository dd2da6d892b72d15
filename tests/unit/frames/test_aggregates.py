"""aggregates: each is taken apart and put together as polars has it, and what is not known is refused by name."""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal

from beampy.errors import NotPartitioned
from beampy.frames.aggregates import carried_columns, carried_out, grouped, has_aggregates, whole
from beampy.frames.expressions import parsed

FRAME = pl.DataFrame(
    {
        "k": ["x", "x", "y", None, "y", "z"],
        "a": [1, 2, None, 4, 5, 2],
        "b": [1.0, float("nan"), 3.5, None, -1.0, 2.0],
        "s": ["q", "w", None, "e", "q", "q"],
    }
).with_columns(
    f=pl.col("b").cast(pl.Float32),
    i=(pl.col("a") * 20).cast(pl.Int8),
    yes=pl.col("a") > 2,
    t=pl.Series([datetime.datetime(2024, 1, day) for day in range(1, 7)]),
    d=pl.Series([datetime.date(2024, 2, day) for day in (27, 28, 29, 27, 28, 27)]),
    du=pl.duration(hours=pl.col("a")),
    n=pl.lit(None),
)


def digits(value: Any) -> int:
    """A function that polars knows nothing about."""
    return sum(1 for _ in str(value))


PARTS = [FRAME[:2], FRAME[2:2], FRAME[2:3], FRAME[3:]]

KNOWN = [
    "a",
    pl.col("a") * 2,
    pl.col("a").sum(),
    pl.col("a", "b").mean(),
    pl.all().max(),
    pl.all().n_unique(),
    pl.all().first(),
    pl.all().null_count(),
    pl.exclude("k", "n").count(),
    cs.numeric().mean().name.suffix("_mean"),
    cs.numeric().std(),
    (cs.numeric() - 1).abs().max().name.prefix("far_"),
    cs.numeric().sum() / cs.numeric().count(),
    pl.col("a", "b").sum() * pl.col("b", "f").max(),
    (pl.col("a") * pl.col("b")).sum().alias("product"),
    pl.col("a").filter(pl.col("b") > 1).sum(),
    pl.col("a").filter(pl.col("b") > 100).implode(),
    pl.col("a").filter(pl.col("b") > 0).cast(pl.Float64).mean(),
    pl.len(),
    pl.len().alias("rows"),
    pl.col("a").sum() / pl.len(),
    (pl.col("a").max() - pl.col("a").min()).alias("span"),
    (pl.col("a").sum() + 1).name.map(str.upper),
    pl.when(pl.col("a").sum() > 3).then(pl.col("b").max()).otherwise(None),
    pl.sum_horizontal(pl.col("a").sum(), pl.col("b").min()),
    pl.col("a").sum().cast(pl.Float32).round(1),
    pl.struct(pl.col("a").sum(), pl.col("b").mean()).alias("both"),
    pl.struct(pl.col("a").sum().alias("one"), pl.col("b").mean().alias("two")).struct.field("two"),
    pl.sum_horizontal(cs.numeric()).sum(),
    pl.concat_str(pl.all().exclude("du", "t", "d", "n").cast(pl.String)).max(),
    pl.struct(pl.all()).n_unique(),
    cs.string().max(),
    pl.col("a").map_elements(digits, return_dtype=pl.Int64).sum(),
    pl.col("a", "i", "t", "du").median(),
    pl.col("t").mean(),
    pl.col("n").mean(),
    pl.col("n").std(),
    cs.numeric().quantile(0.7, "linear"),
    pl.col("yes").any() | pl.col("yes").all(),
    [pl.lit(1).alias("one"), pl.len()],
    [pl.col("a").sum().alias("x"), pl.col("a").sum().alias("y"), pl.col("a").mean()],
    pl.first().first().alias("at the front"),  # in groups it is what it is for polars there, whatever its alias
    pl.last().null_count().alias("at the end"),
    pl.nth(1).sum().alias("second"),
    pl.nth(-2).max().alias("last but one"),
    (pl.col("a", "i") + pl.sum_horizontal(pl.col("b", "f"))).sum(),  # of two columns, and of all of two in each
    pl.sum_horizontal(pl.nth(1), 1).sum().alias("with one"),
    pl.col("d").mean(),
    pl.concat_list("a", "i").list.eval(pl.element().sum() / pl.len()).list.first().max().alias("of lists"),
]


def ids(cases: list[Any]) -> list[str]:
    return [str(case)[:70] for case in cases]


def test_what_is_done_in_each_list_is_no_aggregate_of_the_frame() -> None:
    inside = pl.concat_list("a", "i").list.eval(pl.element().sum() * pl.len())
    assert not has_aggregates(inside)
    assert has_aggregates(inside.list.first().sum())
    assert has_aggregates(inside.list.first() + pl.col("a").sum())
    plan = grouped(FRAME.schema, [pl.col("k")], [inside.alias("x")], True)
    partials = [carried_out(plan.partial, part.lazy()).collect() for part in PARTS]
    expected = FRAME.lazy().group_by("k", maintain_order=True).agg(inside.alias("x")).collect()
    assert_frame_equal(carried_out(plan.merge, pl.concat(partials).lazy()).collect(), expected)


@pytest.mark.parametrize("maintain_order", [True, False])
@pytest.mark.parametrize("case", KNOWN, ids=ids(KNOWN))
def test_by_groups_it_is_what_polars_gives(case: Any, maintain_order: bool) -> None:
    aggs, keys = parsed([case]), [pl.col("k")]
    plan = grouped(FRAME.schema, keys, aggs, maintain_order)
    partials = [carried_out(plan.partial, part.lazy()).collect() for part in PARTS]
    result = carried_out(plan.merge, pl.concat(partials).lazy()).collect()
    expected = FRAME.lazy().group_by(*keys, maintain_order=maintain_order).agg(*aggs).collect()
    assert_frame_equal(result, expected, check_row_order=maintain_order)
    assert result.schema == plan.schema


@pytest.mark.parametrize("case", KNOWN[2:], ids=ids(KNOWN[2:]))
def test_of_all_rows_it_is_what_polars_gives(case: Any) -> None:
    aggs = parsed([case])
    plan = whole(FRAME.schema, aggs)
    partials = [carried_out(plan.partial, part.lazy()).collect() for part in PARTS]
    result = carried_out(plan.merge, pl.concat(partials).lazy()).collect()
    assert_frame_equal(result, FRAME.lazy().select(*aggs).collect())
    assert all(map(has_aggregates, aggs)) or len(aggs) > 1


UNKNOWN = [
    pl.col("a").mode(),
    pl.col("a").skew(),
    pl.col("a").arg_max(),
    pl.col("a").approx_n_unique(),
    pl.col("a").unique().len(),
    pl.col("a").sort_by("b").first(),
    pl.col("a").head(2),
    pl.corr("a", "b"),
    pl.col("a").sum().over("k"),
    pl.col("a").cum_sum().max(),
    pl.col("a").shift().sum(),
    pl.col("a").fill_null(pl.col("a").mean()).sum(),
    pl.col("a").filter(pl.col("b") > pl.col("b").mean()).sum(),
    pl.col("a") - pl.col("a").mean(),
    pl.col("a").sum().shift(),
    pl.lit(1).sum(),
    pl.struct(cs.numeric().sum()),
    pl.col("a").map_batches(lambda values: values.sum(), return_dtype=pl.Int64),
    pl.col("a").sum() * float("inf"),
    pl.col("a").quantile(pl.col("a").min() * 0.1),
    pl.sum_horizontal(cs.float()) + pl.col("a").sum(),
]


@pytest.mark.parametrize("case", UNKNOWN, ids=ids(UNKNOWN))
def test_what_is_not_known_to_be_exact_is_refused_by_name(case: pl.Expr) -> None:
    with pytest.raises(NotPartitioned, match=r"^select\(.+is not done on a partitioned frame: .+to_dask\(client\)"):
        whole(FRAME.schema, [case])
    with pytest.raises(NotPartitioned, match=r"^agg\("):
        grouped(FRAME.schema, [pl.col("k")], [case])


def test_products_of_decimals_are_refused_as_each_is_rounded() -> None:
    schema = pl.Schema({"k": pl.String(), "a": pl.Decimal(12, 2)})
    with pytest.raises(NotPartitioned, match="rounded after each factor"):
        grouped(schema, [pl.col("k")], [pl.col("a").product()])


def test_means_of_dates_are_rounded_as_polars_does() -> None:
    days = pl.Series([19782, 19783, 19784, 19782, 19782], dtype=pl.Int32).cast(pl.Date)  # a microsecond less than exact
    frame = pl.DataFrame({"d": days})
    plan = whole(frame.schema, [pl.col("d").mean()])
    partials = [carried_out(plan.partial, part.lazy()).collect() for part in (frame[:1], frame[1:3], frame[3:])]
    result = carried_out(plan.merge, pl.concat(partials).lazy()).collect()
    assert_frame_equal(result, frame.lazy().select(pl.col("d").mean()).collect())


def test_keys_have_to_stand_alone() -> None:
    with pytest.raises(NotPartitioned, match=r"group_by\(col\(\"a\"\)\.rank"):
        grouped(FRAME.schema, [pl.col("a").rank()], [pl.len()])


def test_what_polars_refuses_is_its_own_error() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        grouped(FRAME.schema, [pl.col("k")], [pl.col("nothing").sum()])
    with pytest.raises(pl.exceptions.DuplicateError):
        grouped(FRAME.schema, [pl.col("k")], [pl.col("a").sum(), pl.col("a").mean()])


def test_groups_alone_are_the_different_keys() -> None:
    plan = grouped(FRAME.schema, [pl.col("k")], [], maintain_order=True)
    partials = [carried_out(plan.partial, part.lazy()).collect() for part in PARTS]
    assert carried_out(plan.merge, pl.concat(partials).lazy()).collect()["k"].to_list() == ["x", "y", None, "z"]


def test_columns_of_the_names_that_we_make_are_left_alone() -> None:
    frame = FRAME.select("k", pl.col("a").alias("__beampy_0"))
    plan = grouped(frame.schema, [pl.col("k")], [pl.all().sum().name.suffix("_0")], maintain_order=True)
    result = carried_out(plan.merge, carried_out(plan.partial, frame.lazy())).collect()
    assert_frame_equal(result, frame.group_by("k", maintain_order=True).agg(pl.all().sum().name.suffix("_0")))


def test_an_aggregate_that_is_asked_for_twice_is_computed_once() -> None:
    plan = whole(FRAME.schema, [pl.col("a").sum().alias("x"), pl.col("a").sum() / pl.len(), pl.len()])
    assert len(plan.partials) == 2


def test_only_what_moves_all_values_is_said_to() -> None:
    exact = [pl.col("a").null_count(), pl.col("b").first(), pl.col("f").std()]
    assert whole(FRAME.schema, exact).gathers == ()
    assert whole(FRAME.schema, [pl.col("a").median()]).gathers == ("median",)
    assert whole(FRAME.schema, [pl.col("a").quantile(0.2)]).gathers == ("quantile",)
    assert whole(FRAME.schema, [pl.col("a").n_unique()]).gathers == ("n_unique",)  # all of them may be different


def test_more_rows_than_a_count_has_room_for_are_an_error_and_not_a_small_number() -> None:
    plan = whole(pl.Schema({"a": pl.Int64}), [pl.len()])
    (name,) = carried_out(plan.partial, pl.LazyFrame({"a": [1]})).collect_schema().names()
    partials = pl.DataFrame({name: [2**32 - 1, 2**32 - 1]}, schema={name: pl.UInt32})
    with pytest.raises(pl.exceptions.InvalidOperationError):
        carried_out(plan.merge, partials.lazy()).collect()


def test_sums_wrap_and_averages_do_not() -> None:
    frame = pl.DataFrame({"a": [2**62, 2**62, 2**62, 2**62 + 1]})
    plan = whole(frame.schema, [pl.col("a").sum(), pl.col("a").mean().alias("mean")])
    partials = [carried_out(plan.partial, frame[at : at + 1].lazy()).collect() for at in range(4)]
    result = carried_out(plan.merge, pl.concat(partials).lazy()).collect()
    assert result.row(0) == (frame["a"].sum(), float(2**62))


def test_a_spread_is_right_where_values_are_large_and_near_to_each_other() -> None:
    values = [1e9 + step for step in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    frame = pl.DataFrame({"a": values})
    plan = whole(frame.schema, [pl.col("a").var()])
    partials = [carried_out(plan.partial, frame[at : at + 2].lazy()).collect() for at in (0, 2, 4)]
    result = carried_out(plan.merge, pl.concat(partials).lazy()).collect().item()
    assert result == pytest.approx(0.035, rel=1e-6)


@pytest.mark.parametrize("name", ["sum", "mean", "min", "max", "median", "std", "var", "count", "null_count"])
def test_of_a_whole_frame_columns_without_such_an_aggregate_are_null(name: str) -> None:
    plan = whole(FRAME.schema, carried_columns(FRAME.schema, name, (), {}))
    partials = [carried_out(plan.partial, part.lazy()).collect() for part in PARTS]
    result = carried_out(plan.merge, pl.concat(partials).lazy()).collect()
    assert_frame_equal(result, getattr(FRAME.lazy(), name)().collect())


def test_of_a_whole_frame_columns_are_of_the_types_that_polars_has_there() -> None:
    """Of decimals it has no median of a frame, and one of a column."""
    frame = pl.DataFrame({"a": pl.Series(["1.50", "2.25"], dtype=pl.Decimal(12, 2)), "b": [1, 2]})
    plan = whole(frame.schema, carried_columns(frame.schema, "median", (), {}))
    result = carried_out(plan.merge, carried_out(plan.partial, frame.lazy())).collect()
    assert_frame_equal(result, frame.lazy().median().collect())
