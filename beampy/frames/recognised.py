"""Recognised: the aggregates of polars that can be computed of parts, and how.

    recognised(pl.col("a").mean())          Pieces: the sum and the count of each part; the sums' sum by the counts'

Rule: an expression is recognised by building each aggregate that is known here from its innermost part, and comparing.
Each is exact for all inputs of polars: no rows, nulls alone, NaN, what wraps around. Partials keep what a partial of
polars' own type would lose: integers are averaged from sums in 128 bits, counts are added in 64 bits (more rows in all
than UInt32 has is an error, not a small number), floats in Float64.

| aggregate | of each part | of the parts |
| --- | --- | --- |
| sum, product, min, max, any, all, nan_min, nan_max, bitwise | itself | itself |
| len, count, null_count | itself | the sum |
| mean | sum, count | sum of sums by sum of counts |
| var, std | count, mean, squared deviations | those, and the deviations of the means (Chan, Golub, LeVeque 1979) |
| first, last | the first, or the last, if there is one | the first, or the last, of them |
| n_unique | the different values | how many different ones |
| median, quantile, implode | the values | itself |

Place: the knowledge that aggregates.py has of single functions. Pure of beampy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from beampy.frames.expressions import Unclear, children, same, selectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Parts: TypeAlias = tuple[list[pl.Expr], Callable[..., pl.Expr]]  # of each part; of their columns

DAY = 86_400_000_000  # microseconds, in which the mean of dates is
DDOFS = (1, 0, *range(2, 256))  # polars keeps it in a byte
INTERPOLATIONS = ("nearest", "higher", "lower", "midpoint", "linear", "equiprobable")


@dataclass(frozen=True)
class Pieces:
    """An aggregate that is known: of what it is, and what is computed."""

    name: str
    inner: pl.Expr | None  # None: of the rows, as `pl.len()`
    made: Callable[[pl.DataType | None, pl.DataType], Parts]  # of the types of inner and result
    gathers: bool = False  # whether values are moved, which may be as many as there are rows


def recognised(expr: pl.Expr) -> Pieces | None:
    """What is known of an expression that is an aggregate; None: it is none, or none that is known."""
    parts = children(expr)
    if not parts:
        return Pieces("len", None, lambda _inner, _dtype: _counted(expr)) if same(expr, pl.len()) else None
    inner = parts[-1]
    if inner.meta.has_multiple_outputs() and not expr.meta.has_multiple_outputs():
        return None
    for name, built, made, gathers in _candidates(expr, inner, parts[:-1]):
        if same(built, expr):
            return Pieces(name, inner, made, gathers)
    return None


Candidate: TypeAlias = "tuple[str, pl.Expr, Callable[[Any, pl.DataType], Parts], bool]"


def _candidates(expr: pl.Expr, inner: pl.Expr, others: list[pl.Expr]) -> Iterator[Candidate]:
    """All aggregates of `inner` that are known, and that `expr` may be, one after the other."""
    if len(others) == 1 and _is_number(others[0]):
        for how in INTERPOLATIONS:
            quantile = _quantile(others[0], how)
            yield "quantile", quantile(inner), _values(inner, quantile), True
    if others:
        return
    for name in ("min", "max", "nan_min", "nan_max", "bitwise_and", "bitwise_or", "bitwise_xor"):
        yield name, getattr(inner, name)(), _again(inner, name), False
    yield "product", inner.product(), _product(inner), False
    yield "sum", inner.sum(), _sum(inner), False
    yield "mean", inner.mean(), _mean(inner), False
    for name in ("len", "count", "null_count"):
        built = getattr(inner, name)()
        yield name, built, _count(built), False
    yield "n_unique", inner.n_unique(), _unique(inner), True
    yield "median", inner.median(), _values(inner, lambda values: values.median()), True
    yield "implode", inner.implode(), _imploded(inner), True
    for ignore in (False, True):
        for name in ("any", "all"):
            yield name, getattr(inner, name)(ignore_nulls=ignore), _again(inner, name, ignore_nulls=ignore), False
        for name in ("first", "last"):
            kwargs = {"ignore_nulls": True} if ignore else {}  # which versions before 1.32 do not have
            try:
                yield name, getattr(inner, name)(**kwargs), _end(inner, name, ignore), False
            except TypeError:
                continue
    # An expression's text does not tell the degrees of freedom: most that are none of both are told apart by it.
    for ddof in DDOFS if str(expr) in (str(inner.var()), str(inner.std())) else DDOFS[:2]:
        yield "var", inner.var(ddof), _spread(inner, ddof, False), False
        yield "std", inner.std(ddof), _spread(inner, ddof, True), False


def _is_number(expr: pl.Expr) -> bool:
    """Whether it is a number, and no column, and no list of numbers."""
    if expr.meta.root_names() or selectors(expr):
        return False
    try:
        return all(dtype.is_numeric() for dtype in pl.LazyFrame().select(expr).collect_schema().dtypes())
    except pl.exceptions.PolarsError:  # what `list.eval` is given: it is nothing without a list
        return False


def _again(inner: pl.Expr, name: str, **kwargs: Any) -> Callable[[Any, pl.DataType], Parts]:
    """The aggregate of the aggregates."""

    def made(_kind: Any, _dtype: pl.DataType) -> Parts:
        return [getattr(inner, name)(**kwargs)], lambda part: getattr(part, name)(**kwargs)

    return made


def _product(inner: pl.Expr) -> Callable[[Any, pl.DataType], Parts]:
    def made(_kind: Any, dtype: pl.DataType) -> Parts:
        if dtype.is_decimal():
            raise Unclear("a product of decimals is rounded after each factor: it depends on their order")
        return [inner.product()], lambda part: part.product()

    return made


def _count(built: pl.Expr) -> Callable[[Any, pl.DataType], Parts]:
    return lambda _kind, _dtype: _counted(built)


def _counted(built: pl.Expr) -> Parts:
    return [built], lambda part: part.cast(pl.UInt64).sum().cast(pl.get_index_type())


def _sum(inner: pl.Expr) -> Callable[[Any, pl.DataType], Parts]:
    def made(kind: Any, dtype: pl.DataType) -> Parts:
        if kind == pl.Boolean:
            return _counted(inner.sum())
        if dtype.is_float() and dtype != pl.Float64:
            return [inner.cast(pl.Float64).sum()], lambda part: part.sum().cast(dtype)
        return [inner.sum()], lambda part: part.sum()

    return made


def _mean(inner: pl.Expr) -> Callable[[Any, pl.DataType], Parts]:
    def made(kind: Any, dtype: pl.DataType) -> Parts:
        counts = inner.count()

        def total(count: pl.Expr) -> pl.Expr:
            whole = count.cast(pl.UInt64).sum()
            return pl.when(whole > 0).then(whole)  # of nothing the mean is null

        if kind.is_temporal():  # as polars: dates in days, all else in its units, rounded towards zero
            exact = inner.to_physical().cast(pl.Int128).sum()
            units = DAY if kind == pl.Date else 1

            def instant(sums: pl.Expr, count: pl.Expr) -> pl.Expr:
                return (sums.sum().cast(pl.Float64) / total(count) * units).cast(pl.Int64).cast(dtype)

            return [exact, counts], instant
        if kind.is_integer() or kind == pl.Boolean:
            wide = pl.Int128 if kind in (pl.Int64, pl.UInt64, pl.Int128, pl.UInt128) else pl.Int64
            sums = inner.cast(wide).sum()
        elif kind.is_decimal():
            sums = inner.sum()
        else:
            sums = inner.cast(pl.Float64).sum()
        return [sums, counts], lambda part, count: (part.sum().cast(pl.Float64) / total(count)).cast(dtype)

    return made


def _spread(inner: pl.Expr, ddof: int, root: bool) -> Callable[[Any, pl.DataType], Parts]:
    """Variance and deviation: n values around their mean have the squared deviations M; of parts, M is the sum of
    theirs and of n (mean of the part - mean of all)²."""

    def made(_kind: Any, dtype: pl.DataType) -> Parts:
        values = inner.cast(pl.Float64)

        def merge(count: pl.Expr, mean: pl.Expr, variance: pl.Expr) -> pl.Expr:
            n = count.cast(pl.Float64)
            near = mean.drop_nulls().first()  # around which means are averaged: the same ones give exactly that
            middle = near + (n * (mean - near)).sum() / n.sum()
            deviations = (variance * n).sum() + (n * (mean - middle).pow(2)).sum()
            result = deviations / (n.sum() - ddof)
            result = pl.when(n.sum() > ddof).then(result.sqrt() if root else result)
            return result.cast(dtype)

        return [inner.count(), values.mean(), values.var(ddof=0)], merge

    return made


def _end(inner: pl.Expr, name: str, ignore: bool) -> Callable[[Any, pl.DataType], Parts]:
    """The first, or the last: a part that has none is not asked, and one that has a null is."""

    def made(_kind: Any, _dtype: pl.DataType) -> Parts:
        values = inner.drop_nulls() if ignore else inner
        one = values.head(1) if name == "first" else values.tail(1)
        return [one.implode()], lambda part: getattr(_all(part), name)()

    return made


def _unique(inner: pl.Expr) -> Callable[[Any, pl.DataType], Parts]:
    def made(_kind: Any, _dtype: pl.DataType) -> Parts:
        return [inner.unique().implode()], lambda part: _all(part).n_unique()

    return made


def _values(inner: pl.Expr, aggregate: Callable[[pl.Expr], pl.Expr]) -> Callable[[Any, pl.DataType], Parts]:
    """An aggregate that leaves nulls out, of all values."""

    def made(_kind: Any, _dtype: pl.DataType) -> Parts:
        return [inner.drop_nulls().implode()], lambda part: aggregate(_all(part))

    return made


def _imploded(inner: pl.Expr) -> Callable[[Any, pl.DataType], Parts]:
    def made(_kind: Any, _dtype: pl.DataType) -> Parts:
        return [inner.implode()], lambda part: _all(part).implode()

    return made


def _quantile(quantile: pl.Expr, how: Any) -> Callable[[pl.Expr], pl.Expr]:
    return lambda values: values.quantile(quantile, how)


def _all(lists: pl.Expr) -> pl.Expr:
    """The values of lists, one after the other. Empty ones have none (explode alone would make them a null)."""
    return lists.filter(lists.list.len() > 0).explode()
