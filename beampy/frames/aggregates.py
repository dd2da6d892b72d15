"""Aggregates: one aggregation of a partitioned frame as one of each partition and one of their results, exactly.

    plan = grouped(schema, [pl.col("carrier")], [pl.col("delay").mean()])
    partials = [carried_out(plan.partial, frame) for frame in partitions]       # on each node
    carried_out(plan.merge, pl.concat(partials))                      # on one: what polars gives on the whole

Rule: an expression is an aggregate of what `separable.py` lets through, or a row by row function of such: the parts
that are aggregates are found (recognised.py), each is computed as columns of the partials, and what is left of the
expression is evaluated on the merged columns. The columns and their types are those that polars has for the
expression on the whole. What is not recognised is refused by name, never approximated.

Only in the rounding of floats may a result differ: sums, means, products, variances and deviations are added up in
another order, in Float64 for Float32 too. Averages of integers are divided once, from an exact sum.

Place: partitioned.py asks for plans, merging.py has them carried out. Pure of beampy but for errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from beampy.errors import NotPartitioned
from beampy.frames.expressions import (
    Unclear,
    empty,
    expanded,
    free_prefix,
    of_rows,
    same,
    selectors,
    shown,
    substituted,
)
from beampy.frames.recognised import Pieces, recognised
from beampy.frames.separable import MADE, REMEDY, check_columns, makes_rows, part_by_part, row_by_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Verb: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any]]  # a method's name, and its arguments


@dataclass(frozen=True)
class Aggregation:
    """What each partition computes, and how that is merged."""

    keys: tuple[pl.Expr, ...]
    key_names: tuple[str, ...]
    partials: tuple[pl.Expr, ...]  # columns of each partition's result, beside the keys
    merges: tuple[pl.Expr, ...]  # the same columns, of all partitions
    finals: tuple[pl.Expr, ...]  # the result's columns, of the merged ones
    schema: pl.Schema  # of the result
    grouped: bool
    maintain_order: bool
    gathers: tuple[str, ...]  # aggregates that move values, as many as rows perhaps, and not one for each group

    @property
    def partial(self) -> tuple[Verb, ...]:
        """The methods of a LazyFrame that each partition is asked for, one after the other."""
        if not self.grouped:
            return (("select", self.partials, {}),)
        groups: Verb = ("group_by", self.keys, {"maintain_order": self.maintain_order})
        return (groups, ("agg", self.partials, {}))

    @property
    def merge(self) -> tuple[Verb, ...]:
        """Those of the partials' frame, in which they are one after the other in the order of the partitions."""
        if not self.grouped:
            return (("select", self.merges, {}), ("select", self.finals, {}))
        keys = tuple(pl.col(name) for name in self.key_names)
        groups: Verb = ("group_by", keys, {"maintain_order": self.maintain_order})
        return (groups, ("agg", self.merges, {}), ("select", (*keys, *self.finals), {}))


def carried_out(verbs: Iterable[Verb], frame: Any) -> Any:
    """What methods of a frame give, one after the other."""
    for name, args, kwargs in verbs:
        frame = getattr(frame, name)(*args, **kwargs)
    return frame


def grouped(
    schema: pl.Schema, keys: Sequence[pl.Expr], aggs: Sequence[pl.Expr], maintain_order: bool = False
) -> Aggregation:
    """`group_by(keys).agg(aggs)`. NotPartitioned; PolarsError where polars itself would not do it."""
    check_columns("group_by", keys, {}, schema)
    for key in keys:
        if key.meta.root_names() and makes_rows([key], schema):
            raise NotPartitioned(f"group_by({shown(key)})", MADE, REMEDY)
    names = tuple(empty(schema).group_by(*keys).agg().collect_schema())
    return _planned(schema, tuple(keys), names, aggs, True, maintain_order)


def whole(schema: pl.Schema, aggs: Sequence[pl.Expr]) -> Aggregation:
    """`select(aggs)` where each is an aggregate: one row. NotPartitioned; PolarsError."""
    return _planned(schema, (), (), aggs, False, False)


def carried_columns(schema: pl.Schema, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[pl.Expr]:
    """The expressions of `LazyFrame.sum()` and the like: a column that has no such aggregate is null, as in polars."""
    wanted = getattr(empty(schema), name)(*args, **kwargs).collect_schema()
    found: list[pl.Expr] = []
    for column, dtype in wanted.items():
        expr = getattr(pl.col(column), name)(*args, **kwargs)
        try:
            known = empty({column: schema[column]}).select(expr).collect().schema[column] == dtype
        except pl.exceptions.PolarsError:
            known = False
        found.append(expr if known else pl.lit(None, dtype).alias(column))
    return found


def has_aggregates(expr: pl.Expr) -> bool:
    """Whether a part of it is an aggregate that is known here: then a select of it is one row.

    >>> has_aggregates(pl.col("a").sum() / pl.len()), has_aggregates(pl.col("a") + 1)
    (True, False)
    """
    return recognised(expr) is not None or any(map(has_aggregates, of_rows(expr)))


def _planned(
    schema: pl.Schema,
    keys: tuple[pl.Expr, ...],
    key_names: tuple[str, ...],
    aggs: Sequence[pl.Expr],
    by_groups: bool,
    maintain_order: bool,
) -> Aggregation:
    verb = "agg" if by_groups else "select"
    whole_frame = empty(schema)

    def results(exprs: Sequence[pl.Expr]) -> pl.Schema:
        found = whole_frame.group_by(*keys).agg(*exprs) if by_groups else whole_frame.select(*exprs)
        return found.collect_schema()

    wanted = results(aggs)  # polars' own errors come first
    table = _Table(schema, by_groups, free_prefix([*schema, *wanted]))
    finals: list[pl.Expr] = []
    for expr in aggs:
        outputs = pl.Schema({name: dtype for name, dtype in results([expr]).items() if name not in key_names})
        try:
            several = expanded(expr, outputs.names(), schema, keys)
            for one, (name, dtype) in zip(several, outputs.items(), strict=True):
                finals.append(table.final(one, name, dtype))
        except Unclear as unclear:
            raise NotPartitioned(f"{verb}({shown(expr)})", str(unclear), REMEDY) from unclear
    if not by_groups and not table.pieces:
        what = f"{verb}({', '.join(map(shown, aggs))})"
        raise NotPartitioned(what, "nothing in it is an aggregate of a column", REMEDY)
    return Aggregation(
        keys,
        key_names,
        tuple(table.partials),
        tuple(table.merges),
        tuple(finals),
        wanted,
        by_groups,
        maintain_order,
        tuple(table.gathers),
    )


class _Table:
    """The aggregates of one plan, each once, and the columns that they have in the partials."""

    def __init__(self, schema: pl.Schema, by_groups: bool, prefix: str) -> None:
        self._schema = schema
        self._frame = empty(schema)
        self._by_groups = by_groups
        self._verb = "agg" if by_groups else "select"
        self._prefix = prefix
        self._dtypes: dict[str, pl.DataType] = {}  # of merged columns
        self.pieces: list[tuple[pl.Expr, str]] = []  # the aggregate, and the merged column that has its value
        self.partials: list[pl.Expr] = []
        self.merges: list[pl.Expr] = []
        self.gathers: list[str] = []

    def final(self, expr: pl.Expr, name: str, dtype: pl.DataType) -> pl.Expr:
        """The result's column, of merged ones."""
        found = self._found(expr)
        named = expr.meta.root_names() or self._selected(expr)
        if not found and self._by_groups and named and part_by_part(expr, self._schema):
            expr = expr.implode()  # a column in `agg`: the list of each group's values
            found = self._found(expr)
        if len(found) == 1 and found[0][0] is expr:
            return self._alone(expr, found[0][1], name, dtype)
        # Named as before, for what looks at names: the fields of a struct.
        names = {column for _, column in found}
        rest = substituted(expr, [(part, pl.col(column).alias(_name(part, column))) for part, column in found])
        strange = sorted({*rest.meta.root_names(), *self._selected(rest)} - names)
        if strange:
            columns = ", ".join(map(repr, strange))
            why = f"no aggregate that can be merged is known of its column {columns}"
            if found:
                why = f"it has the column {columns} beside aggregates, or in one that cannot be merged"
            raise NotPartitioned(f"{self._verb}({shown(expr)})", why, REMEDY)
        merged = pl.Schema({column: self._dtypes[column] for column in names})
        if not row_by_row([rest], merged):
            why = "what is done with the aggregates is not done for each group, or row, alone"
            raise NotPartitioned(f"{self._verb}({shown(expr)})", why, REMEDY)
        self._check(expr, empty(merged).select(rest.alias(name)).collect_schema()[name], dtype)
        return rest.alias(name)

    def _alone(self, expr: pl.Expr, column: str, name: str, dtype: pl.DataType) -> pl.Expr:
        """A result that is an aggregate, and nothing is done with it."""
        self._check(expr, self._dtypes[column], dtype)
        return pl.col(column).alias(name)

    def _check(self, expr: pl.Expr, given: pl.DataType, dtype: pl.DataType) -> None:
        if given != dtype:
            why = f"of merged parts it would be {given}, and polars says {dtype}"
            raise NotPartitioned(f"{self._verb}({shown(expr)})", why, REMEDY)

    def _selected(self, expr: pl.Expr) -> list[str]:
        """The columns that functions of several columns have."""
        return [name for leaf in selectors(expr) for name in self._frame.select(leaf).collect_schema()]

    def _types(self, expr: pl.Expr) -> list[pl.DataType]:
        """The types of the columns that it gives."""
        return self._frame.select(expr).collect_schema().dtypes()

    def _found(self, expr: pl.Expr) -> list[tuple[pl.Expr, str]]:
        """The outermost aggregates of an expression, with the merged column of each."""
        pieces = recognised(expr)
        if pieces is not None:
            return [(expr, self._column(expr, pieces))]
        found: list[tuple[pl.Expr, str]] = []
        for child in of_rows(expr):
            found += [each for each in self._found(child) if not any(same(each[0], other) for other, _ in found)]
        return found

    def _column(self, expr: pl.Expr, pieces: Pieces) -> str:
        """The merged column of an aggregate: added, if it is a new one."""
        for known, column in self.pieces:
            if same(known, expr):
                return column
        if pieces.inner is not None and not part_by_part(pieces.inner, self._schema):
            why = (
                f"{pieces.name} is of {shown(pieces.inner)}, which depends on rows of other partitions, or on no column"
            )
            raise NotPartitioned(f"{self._verb}({shown(expr)})", why, REMEDY)
        column = f"{self._prefix}{len(self.pieces)}"
        types = self._types(expr)
        if len(types) != 1:
            raise Unclear(f"{shown(expr)} is of several columns, in a function of all of them: name them one by one")
        (dtype,) = types
        inner = None
        if pieces.inner is not None:
            (inner,) = self._types(pieces.inner)
        partials, merge = pieces.made(inner, dtype)
        names = [f"{column}_{number}" for number in range(len(partials))]
        self.partials += [each.alias(name) for each, name in zip(partials, names, strict=True)]
        self.merges.append(merge(*map(pl.col, names)).alias(column))
        self.pieces.append((expr, column))
        self._dtypes[column] = dtype
        if pieces.gathers:
            self.gathers.append(pieces.name)
        return column


def _name(part: pl.Expr, otherwise: str) -> str:
    """The name that a part of an expression has in polars."""
    return part.meta.output_name(raise_if_undetermined=False) or otherwise
