"""Separable: whether an expression may be evaluated partition by partition, and the result is polars' on the whole.

    row_by_row([pl.col("a") + 1], schema)                      True: a row of the result comes from one row
    row_by_row([pl.col("a").shift()], schema)                  False
    part_by_part(pl.col("a").filter(pl.col("b") > 1), schema)  True: rows may go, or become several, each on its own

Rule: polars' optimiser is asked, not a list of names. It moves a filter below a `with_columns` past an expression only
where each row of that stands alone, and `explain` tells whether it did. `meta.is_row_separable` is not asked: it
looks at the outermost function alone, and says yes to `pl.col("a").fill_null(pl.col("a").mean())`. A function of
Python stands alone where polars takes it so: `map_elements`, and `map_batches` with `is_elementwise=True`, which is
its author's word.

Place: asked by partitioned.py for each step, by aggregates.py for what is aggregated. Pure of beampy but for errors.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy.errors import NotPartitioned
from beampy.frames.expressions import (
    Unclear,
    children,
    empty,
    free_prefix,
    is_column,
    parsed,
    same,
    selectors,
    shown,
    substituted,
    walked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Where to go with what is not separable.
REMEDY = (
    "map_partitions(fn) does it in each partition for itself, if that is meant; to_dask(client) hands the frame to an "
    "engine that shuffles; (await frame.collect()) brings it here"
)
MADE = "of a partition without rows polars would make one"
CHANGERS = ("drop_nulls", "drop_nans", "explode")  # what takes rows away or adds some, each row for itself
PUSHDOWN = pl.QueryOptFlags.none(predicate_pushdown=True)  # and nothing that makes an expression another one
# The numbers of categories: a process gives them out as it meets the categories, so they are others on each node.
CODES: tuple[Callable[[pl.Expr], pl.Expr], ...] = (lambda expr: expr.to_physical(), lambda expr: expr.cat.physical())


def row_by_row(exprs: list[pl.Expr], schema: pl.Schema) -> bool:
    """Whether each row of the results comes from the same row of the frame. PolarsError where polars cannot say.

    >>> row_by_row([pl.col("a") * 2], pl.Schema({"a": pl.Int64}))
    True
    """
    exprs = [expr for expr in exprs if not is_column(expr)]
    if not exprs:
        return True
    if any(_is_code(part, schema) for expr in exprs for part in walked(expr)):
        return False
    # What is selected is so by place too (`pl.last()`): the probe is not to be among it, nor to move it.
    leaves = [leaf for expr in exprs for leaf in selectors(expr)]
    several = [(leaf, pl.col(empty(schema).select(leaf).collect_schema().names())) for leaf in leaves]
    return all(_stands_alone(substituted(expr, several), schema) for expr in exprs)


def _stands_alone(expr: pl.Expr, schema: pl.Schema) -> bool:
    """What the optimiser says, of the expression and of each part of it that has columns: of a part that changes
    nothing, such as a count that is compared with -1, it says nothing."""
    probe = free_prefix(schema) + "probe"
    frame = empty({**schema, probe: pl.Int64})

    def stands(part: pl.Expr) -> bool:
        plan = frame.with_columns(part).filter(pl.col(probe) > 0).explain(optimizations=PUSHDOWN)
        return not plan.lstrip().startswith("FILTER")

    if not stands(expr):
        return False
    for part in walked(expr):
        if not is_column(part) and (part.meta.root_names() or selectors(part)):
            with suppress(pl.exceptions.PolarsError):  # what is inside of `list.eval` is no expression of the frame
                if not stands(part):
                    return False
    return True


def _is_code(expr: pl.Expr, schema: pl.Schema) -> bool:
    """Whether it is the number of a category."""
    parts = children(expr)
    if len(parts) != 1 or not any(same(expr, code(parts[0])) for code in CODES):
        return False
    return any(map(_has_categories, empty(schema).select(parts[0]).collect_schema().dtypes()))


def _has_categories(dtype: pl.DataType) -> bool:
    inner = [field.dtype for field in getattr(dtype, "fields", ())] + [getattr(dtype, "inner", None)]
    return dtype == pl.Categorical or any(_has_categories(each) for each in inner if each is not None)


def part_by_part(expr: pl.Expr, schema: pl.Schema) -> bool:
    """Whether what it gives for partitions, one after the other, is what it gives for all of them. It need not have a
    value for each row; one for the whole frame, such as a literal or a sum, is not meant."""
    if is_column(expr):
        return True
    if not expr.meta.root_names() and not selectors(expr):
        return False
    if row_by_row([expr], schema):
        return not makes_rows([expr], schema)
    changers = _changers(expr)
    if len(changers) != 1:
        return False
    (changer,) = changers
    parts = children(changer)
    if not part_by_part(parts[-1], schema) or (len(parts) == 2 and not row_by_row([parts[0]], schema)):
        return False
    if same(changer, expr):
        return True
    name = free_prefix(schema) + "part"
    outer = substituted(expr, [(changer, pl.col(name))])
    dtype = empty(schema).select(changer.alias(name)).collect_schema()[name]
    return set(outer.meta.root_names()) == {name} and row_by_row([outer], pl.Schema({name: dtype}))


def makes_rows(exprs: list[pl.Expr], schema: pl.Schema) -> bool:
    """Whether of no rows they make one: `list.set_union([1])` does, and `lower_bound()`, which is one value. An empty
    partition would have a row too many. Functions of Python are not called to see."""
    if any("python_udf" in str(expr) for expr in exprs):
        return False
    try:
        return empty(schema).select(*exprs).collect().height > 0
    except pl.exceptions.PolarsError:
        return False  # it is that of the query


def _changers(expr: pl.Expr) -> list[pl.Expr]:
    """The outermost parts that take rows away or add some, each once."""
    if _is_changer(expr):
        return [expr]
    found: list[pl.Expr] = []
    for child in children(expr):
        found += [each for each in _changers(child) if not any(same(each, other) for other in found)]
    return found


def _is_changer(expr: pl.Expr) -> bool:
    parts = children(expr)
    if len(parts) == 2:
        return same(expr, parts[1].filter(parts[0]))
    return len(parts) == 1 and any(same(expr, getattr(parts[0], name)()) for name in CHANGERS)


def check_columns(verb: str, exprs: Iterable[Any], named: dict[str, Any], schema: pl.Schema) -> None:
    """`with_columns`, `filter`, keys: NotPartitioned for the first expression that is not row by row."""
    for expr in parsed(exprs, named):
        try:
            good = row_by_row([expr], schema)
        except Unclear as unclear:
            raise NotPartitioned(f"{verb}({shown(expr)})", str(unclear), REMEDY) from unclear
        if not good:
            raise NotPartitioned(f"{verb}({shown(expr)})", _why(expr), REMEDY)


def check_select(verb: str, exprs: list[pl.Expr], schema: pl.Schema) -> None:
    """`select` of columns: as `check_columns`; an expression that stands alone may also take rows away or add some.
    One column at least has to have a value for each row: literals alone are one row."""
    if len(exprs) == 1:
        (expr,) = exprs
        try:
            if len(empty(schema).select(expr).collect_schema()) == 1 and part_by_part(expr, schema):
                return
        except Unclear as unclear:
            raise NotPartitioned(f"{verb}({shown(expr)})", str(unclear), REMEDY) from unclear
    check_columns(verb, exprs, {}, schema)
    if not any(expr.meta.root_names() or selectors(expr) for expr in exprs):
        raise NotPartitioned(f"{verb}({', '.join(map(shown, exprs))})", "it has no column of the frame", REMEDY)
    if makes_rows(exprs, schema):
        raise NotPartitioned(f"{verb}({', '.join(map(shown, exprs))})", MADE, REMEDY)


def _why(expr: pl.Expr) -> str:
    """What is wrong with an expression that is not row by row."""
    if any(same(part, code(child)) for part in walked(expr) for child in children(part)[:1] for code in CODES):
        return "a process gives out the numbers of categories as it meets them: on each node they are others"
    if any(_is_changer(part) for part in walked(expr)):
        return "it takes rows away or adds some, which only a select of this one column can do"
    return "a row of its result depends on other rows, which may be in other partitions"
