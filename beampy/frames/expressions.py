"""Expressions taken apart and put together again, with what polars itself says about them and nothing else.

    expanded(pl.all().sum(), schema)                            one expression for each column
    substituted((pl.col("a").sum() / 2), [(pl.col("a").sum(), pl.col("x"))])          pl.col("x") / 2
    children(pl.col("a").sum())                                 [pl.col("a")]

Rule: no knowledge of how polars writes an expression down. Children are what `meta.pop` gives; what a node is, is
found by building it from them and comparing (`meta.eq`); a part is replaced by finding its JSON in the JSON of the
whole, both written by polars in this process. What does not come back from its JSON as an expression (an infinite
literal) is refused, by Unclear.

Place: below separable.py and aggregates.py. Pure of beampy.
"""

from __future__ import annotations

import io
import json
import warnings
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PREFIX = "__beampy_"  # of columns that we add; a schema that has such names gets a longer one


class Unclear(Exception):
    """An expression that cannot be taken apart. Its text says why."""


def parsed(exprs: Iterable[Any], named: dict[str, Any] | None = None) -> list[pl.Expr]:
    """What the arguments of `select`, `agg` … mean: names are columns, lists are flattened, values are literals.

    >>> [str(each) for each in parsed(["a", [pl.len()]], {"n": 1})]
    ['col("a")', 'len()', 'dyn int: 1.alias("n")']
    """
    found = list(_flat(exprs))
    found += [_one(value).alias(name) for name, value in (named or {}).items()]
    return found


def _flat(exprs: Iterable[Any]) -> Iterator[pl.Expr]:
    for each in exprs:
        if isinstance(each, (list, tuple, set, frozenset)) or hasattr(each, "__next__"):
            yield from _flat(each)
        else:
            yield _one(each)


def _one(value: Any) -> pl.Expr:
    if isinstance(value, pl.Expr):
        return value
    if isinstance(value, str):
        return pl.col(value)
    if value.__class__.__module__.startswith("polars") and hasattr(value, "otherwise"):
        return value.otherwise(None)  # type: ignore[no-any-return]
    return pl.lit(value)


def children(expr: pl.Expr) -> list[pl.Expr]:
    """The expressions that this one is made of, the first one last, as polars gives them."""
    return expr.meta.pop()


def is_column(expr: pl.Expr) -> bool:
    """Whether it is a column, and nothing more: what most of what is asked about is.

    >>> is_column(pl.col("a")), is_column(pl.all()), is_column(pl.col("a") + 1)
    (True, False, False)
    """
    return not children(expr) and len(expr.meta.root_names()) == 1 and not expr.meta.has_multiple_outputs()


def same(one: pl.Expr, other: pl.Expr) -> bool:
    """Whether two expressions are the same one, names included."""
    return one.meta.eq(other)


def walked(expr: pl.Expr) -> Iterator[pl.Expr]:
    """The expression, and all that it is made of."""
    yield expr
    for child in children(expr):
        yield from walked(child)


def of_rows(expr: pl.Expr) -> list[pl.Expr]:
    """Those of its children that are about rows of the frame, and not about the elements of a list.

    >>> [str(each) for each in of_rows(pl.col("l").list.eval(pl.element().sum()))]
    ['col("l")']
    """
    return [child for child in children(expr) if not _of_elements(child)]


def _of_elements(expr: pl.Expr) -> bool:
    """Whether it is what `list.eval` is given: it has an element, and no column that it is one of."""
    if same(expr, pl.element()):
        return True
    parts = children(expr)
    rest = [part for part in parts if not _of_elements(part)]
    return len(rest) < len(parts) and not any(part.meta.root_names() or selectors(part) for part in rest)


def shown(expr: pl.Expr) -> str:
    """An expression, for people."""
    text = str(expr)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


SHOWN = 120  # characters of an expression in a message: a line


def free_prefix(names: Iterable[str]) -> str:
    """A beginning that no column of these names has."""
    prefix, taken = PREFIX, tuple(names)
    while any(name.startswith(prefix) for name in taken):
        prefix += "_"
    return prefix


def empty(schema: Any) -> pl.LazyFrame:
    """A frame of this schema and no rows: questions about types are asked of it."""
    return pl.LazyFrame(schema=dict(schema))


# replacing


def _json(expr: pl.Expr) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some versions call it unstable between versions: this stays in one
            return json.loads(expr.meta.serialize(format="json"))
    except Exception as error:
        raise Unclear(f"polars cannot write it down: {error}") from error


def substituted(expr: pl.Expr, pairs: list[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    """The expression with each part that is the first of a pair replaced by the second. Unclear.

    >>> str(substituted(pl.col("a").sum() + 1, [(pl.col("a").sum(), pl.col("x"))]))
    '[(col("x")) + (dyn int: 1)]'
    """
    if not pairs:
        return expr
    if any(same(expr, old) for old, _ in pairs):
        return next(new for old, new in pairs if same(expr, old))
    tables = [(_json(old), _json(new)) for old, new in pairs]

    def put(node: Any) -> Any:
        for old, new in tables:
            if node == old:
                return new
        if isinstance(node, dict):
            return {key: put(value) for key, value in node.items()}
        if isinstance(node, list) and any(isinstance(each, (dict, list, str)) for each in node):
            return [put(each) for each in node]
        return node

    text = json.dumps(put(_json(expr)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pl.Expr.deserialize(io.StringIO(text), format="json")
    except Exception as error:
        raise Unclear(f"polars cannot read it again: {error}") from error


# what stands for several columns


def selectors(expr: pl.Expr) -> list[pl.Expr]:
    """The parts that stand for several columns: `pl.all()`, `pl.col("a", "b")`, `cs.numeric()`, each once."""
    found: list[pl.Expr] = []
    for part in walked(expr):
        if not children(part) and part.meta.has_multiple_outputs() and not any(same(part, each) for each in found):
            found.append(part)
    return found


def expanded(expr: pl.Expr, outputs: list[str], schema: pl.Schema, keys: Sequence[pl.Expr]) -> list[pl.Expr]:
    """One expression for each column that `expr` gives in a select, or with keys in the `agg` of their groups;
    `outputs` are the names of these columns, as polars says. In what comes every column is named, none is selected.

    The expressions may be named otherwise. Unclear where polars' own expansion is not understood.
    """
    found = [(leaf, _given(leaf, schema, keys)) for leaf in selectors(expr)]
    functions = list(_of_several(expr, found, schema, keys))  # of all these columns together
    pairs = [(part, substituted(part, [(leaf, pl.col(names)) for leaf, names in found])) for part in functions]
    outside = [(leaf, names) for leaf, names in found if _is_outside(leaf, expr, functions)]
    if {len(names) for _, names in outside} - {1, len(outputs)} or (len(outputs) != 1 and not outside):
        raise Unclear(f"it gives the columns {', '.join(outputs)}, and it is not clear from which ones")
    several = [
        substituted(expr, [*pairs, *((leaf, pl.col(names[at if len(names) > 1 else 0])) for leaf, names in outside)])
        for at in range(len(outputs))
    ]
    if found and [_given(each, schema, keys) for each in several] != [[name] for name in outputs]:
        raise Unclear(f"it gives the columns {', '.join(outputs)}, and it is not clear from which ones")
    return several


def _given(expr: pl.Expr, schema: pl.Schema, keys: Sequence[pl.Expr]) -> list[str]:
    """The names of the columns that an expression gives: of a group_by selectors do not stand for its keys."""
    frame = empty(schema)
    try:
        if not keys:
            return frame.select(expr).collect_schema().names()
        groups, prefix = frame.group_by(*keys), free_prefix(schema)  # so that it may have the name of a key
        names = groups.agg(expr.name.prefix(prefix)).collect_schema().names()[len(groups.agg().collect_schema()) :]
    except pl.exceptions.PolarsError as error:
        raise Unclear(f"polars does not say which columns {shown(expr)} gives") from error
    return [name.removeprefix(prefix) for name in names]


def _of_several(
    part: pl.Expr, found: list[tuple[pl.Expr, list[str]]], schema: pl.Schema, keys: Sequence[pl.Expr]
) -> Iterator[pl.Expr]:
    """The outermost parts that make one column of several: `pl.sum_horizontal(cs.numeric())`."""
    if not any(len(names) != 1 and same(leaf, each) for each in walked(part) for leaf, names in found):
        return
    parts = children(part)
    if parts and len(_given(part, schema, keys)) == 1:
        yield part
        return
    for child in parts:
        yield from _of_several(child, found, schema, keys)


def _is_outside(leaf: pl.Expr, part: pl.Expr, functions: list[pl.Expr]) -> bool:
    """Whether a leaf is somewhere else than in these parts."""
    if any(same(part, each) for each in functions):
        return False
    return same(leaf, part) or any(_is_outside(leaf, child, functions) for child in children(part))
