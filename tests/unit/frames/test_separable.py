"""separable: what may be evaluated partition by partition is, and nothing else."""

from __future__ import annotations

import pickle
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal

from beampy.errors import NotPartitioned
from beampy.frames.aggregates import grouped, whole
from beampy.frames.expressions import Unclear, parsed, substituted
from beampy.frames.separable import check_columns, check_select, part_by_part, row_by_row

FRAME = pl.DataFrame(
    {
        "a": [1, 2, None, 4, 5, 6],
        "b": [1.5, None, 3.0, -1.0, 2.0, float("nan")],
        "s": ["2020-01-01", "x", None, "yy", "x", "1"],
        "l": [[1], [2, 3], [], None, [4], [5, 6]],
    }
)


def digits(value: Any) -> int:
    """A function that polars knows nothing about."""
    return sum(1 for _ in str(value))


SCHEMA = FRAME.schema

ROW_BY_ROW = [
    pl.col("a"),
    pl.lit(1),
    pl.col("a") + 1,
    pl.col("a", "b") * 2,
    pl.all().is_null(),
    cs.numeric().fill_null(0),
    pl.col("^(a|b)$") > 1,
    pl.sum_horizontal(cs.numeric()),
    pl.struct(pl.all()),
    pl.col("s").str.to_date("%Y-%m-%d", strict=False),
    pl.col("s").str.to_uppercase(),
    pl.when(pl.col("a") > 2).then(pl.col("b")).otherwise(0),
    pl.col("a").is_in([1, 2]),
    pl.col("a").cast(pl.String),
    pl.col("a").map_elements(digits, return_dtype=pl.Int64),
    pl.col("a").map_batches(lambda values: values + 1, return_dtype=pl.Int64, is_elementwise=True),
    pl.col("a").fill_null(strategy="zero"),
    pl.col("l").list.sum(),
    pl.col("l").list.eval(pl.element() * 2),
    pl.concat_str("a", "s"),
    pl.col("a").replace({1: 9}),
    pl.coalesce("a", "b"),
    pl.first(),
    pl.last(),
    pl.nth(-1, 0),
    pl.last().list.len() + pl.first(),
    pl.col("l").list.set_union([1]),
    pl.col("a") > pl.col("a").lower_bound(),
]

OF_OTHER_ROWS = [
    pl.len(),
    pl.col("a").sum(),
    pl.lit(1).sum(),
    pl.col("a").shift(),
    pl.col("a").cum_sum(),
    pl.col("a").diff(),
    pl.col("a").rank(),
    pl.col("a").sort(),
    pl.col("a").reverse(),
    pl.col("a").shuffle(seed=1),
    pl.col("a").sample(2),
    pl.col("a").head(2),
    pl.col("a").unique(),
    pl.col("a").is_unique(),
    pl.col("a").is_first_distinct(),
    pl.col("a").over("s"),
    pl.col("a").sum().over("s"),
    pl.col("a").fill_null(strategy="forward"),
    pl.col("a").fill_null(pl.col("a").mean()),
    pl.col("a").clip(pl.col("a").min(), 3),
    pl.col("a") - pl.col("a").mean(),
    pl.col("a") + pl.lit(pl.Series([1, 2, 3, 4, 5, 6])),
    pl.when(pl.col("a") > pl.col("a").mean()).then(1).otherwise(0),
    pl.col("a").interpolate(),
    pl.col("a").rolling_sum(2),
    pl.int_range(pl.len()),
    pl.row_index() if hasattr(pl, "row_index") else pl.int_range(pl.len()),
    pl.col("s").str.to_date(strict=False),
    pl.col("a").map_batches(lambda values: values.reverse(), return_dtype=pl.Int64),
    pl.arg_sort_by("a"),
    pl.last().shift(),
    pl.nth(-1).list.sum().cum_sum(),
    pl.col("a").sort_by(pl.last()),
    pl.col("a").sum().over(pl.nth(-1)),
    pl.lit(None).slice(0, pl.col("a")),
    pl.col("a").approx_n_unique().eq_missing(-1),
    pl.concat([pl.col("a"), pl.col("a")]) if hasattr(pl.col("a"), "append") else pl.len(),
]

PART_BY_PART = [
    pl.col("a").filter(pl.col("b") > 1),
    pl.col("a").drop_nulls(),
    pl.col("b").drop_nans(),
    pl.col("l").explode(),
    pl.col("a").filter(pl.col("b") > 1).cast(pl.Float64) * 2,
    pl.col("a").filter(pl.col("b") > 1).drop_nulls(),
    pl.col("a").map_elements(digits, return_dtype=pl.Int64).filter(pl.col("b") > 1),
]

NOT_PART_BY_PART = [
    *OF_OTHER_ROWS,
    pl.lit(1),
    pl.col("a").filter(pl.col("b") > pl.col("b").mean()),
    pl.col("a").filter(pl.col("b").shift() > 1),
    pl.col("a").filter(pl.col("b") > 1) + pl.col("b"),
    pl.col("a").drop_nulls() + pl.col("b").drop_nulls(),
    pl.col("a").drop_nulls().cum_sum(),
    pl.col("a").shift().drop_nulls(),
]


def names(exprs: list[pl.Expr]) -> list[str]:
    return [str(expr)[:60] for expr in exprs]


@pytest.mark.parametrize("expr", ROW_BY_ROW, ids=names(ROW_BY_ROW))
def test_what_is_row_by_row_gives_the_same_in_partitions(expr: pl.Expr) -> None:
    assert row_by_row([expr], SCHEMA)
    whole = FRAME.lazy().with_columns(expr).collect()
    parts = [part.lazy().with_columns(expr).collect() for part in (FRAME[:2], FRAME[2:2], FRAME[2:])]
    assert_frame_equal(pl.concat(parts), whole)


@pytest.mark.parametrize("expr", OF_OTHER_ROWS, ids=names(OF_OTHER_ROWS))
def test_what_looks_at_other_rows_is_not_row_by_row(expr: pl.Expr) -> None:
    assert not row_by_row([expr], SCHEMA)
    with pytest.raises(NotPartitioned, match="not done on a partitioned frame"):
        check_columns("with_columns", [expr], {}, SCHEMA)
    with pytest.raises(NotPartitioned):
        check_select("select", [expr], SCHEMA)


@pytest.mark.parametrize("expr", PART_BY_PART, ids=names(PART_BY_PART))
def test_what_takes_rows_away_gives_the_same_in_a_select_of_one(expr: pl.Expr) -> None:
    assert part_by_part(expr, SCHEMA)
    assert not row_by_row([expr], SCHEMA)
    check_select("select", [expr], SCHEMA)
    whole = FRAME.lazy().select(expr).collect()
    parts = [part.lazy().select(expr).collect() for part in (FRAME[:2], FRAME[2:2], FRAME[2:])]
    assert_frame_equal(pl.concat(parts), whole)
    with pytest.raises(NotPartitioned, match="takes rows away or adds some"):
        check_select("select", [expr, pl.col("s")], SCHEMA)


@pytest.mark.parametrize("expr", NOT_PART_BY_PART, ids=names(NOT_PART_BY_PART))
def test_what_is_not_part_by_part(expr: pl.Expr) -> None:
    assert not part_by_part(expr, SCHEMA)


def test_literals_alone_would_be_a_row_for_each_partition() -> None:
    with pytest.raises(NotPartitioned, match="no column of the frame"):
        check_select("select", [pl.lit(1), pl.lit(2).alias("two")], SCHEMA)
    check_select("select", [pl.lit(1), pl.col("a")], SCHEMA)


# Of no rows polars makes one: an empty partition would add it to the whole.
ROWS_OF_NONE = [
    pl.col("l").list.set_union([1]),
    pl.col("a").lower_bound(),
    pl.col("a").upper_bound() - 1,
]


@pytest.mark.parametrize("expr", ROWS_OF_NONE, ids=names(ROWS_OF_NONE))
def test_what_makes_a_row_of_an_empty_partition_is_not_selected_alone(expr: pl.Expr) -> None:
    assert FRAME.clear().lazy().select(expr).collect().height == 1  # else it may be done now
    assert not part_by_part(expr, SCHEMA)
    for exprs in ([expr], [expr, pl.lit(1)], [expr, cs.temporal()]):
        with pytest.raises(NotPartitioned, match="without rows"):
            check_select("select", exprs, SCHEMA)
    check_select("select", [expr.alias("x"), pl.col("s")], SCHEMA)
    check_columns("with_columns", [expr], {}, SCHEMA)
    with pytest.raises(NotPartitioned, match="without rows"):
        grouped(SCHEMA, [expr], [pl.len()])
    with pytest.raises(NotPartitioned):
        whole(SCHEMA, [expr.len()])


def test_a_selector_of_no_column_beside_a_literal_is_one_row_for_each_partition() -> None:
    with pytest.raises(NotPartitioned, match="without rows"):
        check_select("select", [cs.temporal(), pl.lit(1)], SCHEMA)


def test_functions_of_python_are_not_called_to_see() -> None:
    called: list[Any] = []
    expr = pl.col("a").map_batches(called.append, return_dtype=pl.Int64, is_elementwise=True)
    check_select("select", [expr], SCHEMA)
    assert not called


CATEGORIES = [
    pl.col("c").to_physical(),
    pl.col("c").cat.physical(),
    pl.col("c").cat.physical() + 1,
    pl.col("lc").to_physical(),
    pl.col("x").cast(pl.Categorical).to_physical(),
]


@pytest.mark.parametrize("expr", CATEGORIES, ids=names(CATEGORIES))
def test_numbers_of_categories_are_others_on_each_node(expr: pl.Expr) -> None:
    schema = pl.Schema({"c": pl.Categorical(), "lc": pl.List(pl.Categorical()), "x": pl.String()})
    assert not row_by_row([expr], schema)
    with pytest.raises(NotPartitioned, match="categories"):
        check_columns("with_columns", [expr], {}, schema)


def test_numbers_of_what_is_the_same_everywhere_are_row_by_row() -> None:
    schema = pl.Schema({"e": pl.Enum(["a", "b"]), "d": pl.Date(), "c": pl.Categorical()})
    assert row_by_row([pl.col("e").to_physical(), pl.col("d").to_physical(), pl.col("c").cat.len_chars()], schema)


def test_several_columns_that_lose_rows_are_not_one_column() -> None:
    with pytest.raises(NotPartitioned):
        check_select("select", [pl.col("a", "b").drop_nulls()], SCHEMA)


def test_the_refusal_names_the_expression_and_the_remedies() -> None:
    with pytest.raises(NotPartitioned) as raised:
        check_columns("filter", [pl.col("a") > pl.col("a").mean()], {}, SCHEMA)
    text = str(raised.value)
    assert text.startswith('filter([(col("a")) > (col("a").mean())]) is not done on a partitioned frame')
    assert "map_partitions(fn)" in text
    assert "to_dask(client)" in text
    assert pickle.loads(pickle.dumps(raised.value)).why == raised.value.why


def test_a_column_that_has_the_name_of_our_probe_is_left_alone() -> None:
    schema = pl.Schema({"__beampy_probe": pl.Int64, "a": pl.Int64})
    assert row_by_row([pl.all() + 1], schema)
    assert not row_by_row([pl.all().shift()], schema)


def test_a_step_after_which_there_are_no_columns() -> None:
    assert row_by_row([], SCHEMA)
    assert row_by_row([cs.temporal()], SCHEMA)


# expressions


def test_arguments_mean_what_they_mean_in_polars() -> None:
    given = parsed(["a", ["b", pl.col("l")], (pl.len() for _ in range(1))], {"n": 1, "c": pl.col("a")})
    wanted = ["a", "b", "l", "len", "n", "c"]
    assert [expr.meta.output_name() for expr in given] == wanted
    assert FRAME.select(pl.when(pl.col("a") > 1).then(2)).equals(
        FRAME.select(*parsed([pl.when(pl.col("a") > 1).then(2)]))
    )


def test_a_part_is_replaced_wherever_it_is() -> None:
    total = pl.col("a").sum()
    found = substituted((total + 1) / (total * pl.col("b")), [(total, pl.col("x"))])
    assert found.meta.eq((pl.col("x") + 1) / (pl.col("x") * pl.col("b")))


def test_what_cannot_be_written_down_is_said_to_be_unclear() -> None:
    with pytest.raises(Unclear, match="polars cannot"):
        substituted(pl.col("a").sum() * float("inf"), [(pl.col("a").sum(), pl.col("x"))])
