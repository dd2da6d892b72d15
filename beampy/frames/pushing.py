"""Pushing: which methods of a plan each partition can be asked for by itself, and which are refused, and why.

Rule: a method is pushed to the partitions where what they give, one after the other, is what polars gives on the whole:
the same rows in the same order. Its expressions are looked at (separable.py) as soon as the columns are known, before
any row is computed. What is not in the tables is refused: a new method of polars is so until somebody has thought
about it.

Place: asked by partitioned.py (names) and queries.py (steps). Pure of beampy but for errors and steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from beampy.errors import NotPartitioned
from beampy.frames.expressions import empty, parsed
from beampy.frames.separable import REMEDY, check_columns, check_select
from beampy.frames.tree import Step

if TYPE_CHECKING:
    from collections.abc import Callable

# Pushed as they are: each row for itself, or no row at all.
PLAIN = frozenset({"cast", "drop", "drop_nans", "drop_nulls", "explode", "unnest"})
# Pushed when their expressions stand alone.
CHECKED = frozenset(
    {
        "fill_nan",
        "fill_null",
        "filter",
        "join",
        "match_to_schema",
        "remove",
        "rename",
        "select",
        "select_seq",
        "with_columns",
        "with_columns_seq",
    }
)
PUSHED = PLAIN | CHECKED

# Refused, and why; the others that polars has are refused without a word about them.
ORDER = "rows of all partitions would have to be compared"
NEIGHBOURS = "a row of its result depends on others, which may be in other partitions"
POSITIONS = "the place of a row among all rows is not known in its partition"
SHUFFLE = "rows of different partitions would have to meet, each with each"
REFUSED = {
    **dict.fromkeys(("sort", "top_k", "bottom_k", "unique", "merge_sorted", "describe", "pivot"), ORDER),
    **dict.fromkeys(
        ("shift", "interpolate", "rolling", "group_by_dynamic", "set_sorted", "reverse", "unpivot"), NEIGHBOURS
    ),
    **dict.fromkeys(("with_row_index", "slice", "gather", "gather_every", "tail", "last", "first"), POSITIONS),
    **dict.fromkeys(("join_asof", "join_where", "update", "sql"), SHUFFLE),
    "map_batches": "polars hands it the whole frame, and here each partition would be handed to it",
}
# What `join` does with the small frame on each partition, and it is right.
BROADCAST = frozenset({"inner", "left", "semi", "anti"})
STRATEGIES = (None, "zero", "one")  # of fill_null: those that do not look at other rows


def refusal(verb: str) -> NotPartitioned:
    """The error of a method that partitions cannot do each for itself."""
    return NotPartitioned(verb, REFUSED.get(verb, "nobody has shown that partitions can do it each for itself"), REMEDY)


def checked(step: Step, schema: pl.Schema) -> tuple[Step, pl.Schema]:
    """A step as partitions are asked for it, and the columns after it. NotPartitioned; PolarsError, as polars has it.

    A frame among the arguments, of `join`, is an empty one of the same columns.
    """
    found = getattr(empty(schema), step.name)(*(step.args or ()), **step.kwargs).collect_schema()
    if step.name in CHECKED:
        step = CHECKS.get(step.name, _expressions)(step, schema)
    return step, found


def _expressions(step: Step, schema: pl.Schema) -> Step:
    check_columns(step.name, step.args or (), step.kwargs, schema)
    return step


def _select(step: Step, schema: pl.Schema) -> Step:
    check_select(step.name, parsed(step.args or (), step.kwargs), schema)
    return step


def _filter(step: Step, schema: pl.Schema) -> Step:
    for each in step.args or ():
        if isinstance(each, (list, tuple)) and each and all(isinstance(one, bool) for one in each):
            raise NotPartitioned(f"{step.name} with a mask", POSITIONS, REMEDY)
    equal = [pl.col(name).eq(value) for name, value in step.kwargs.items()]  # a text is a value, and no column's name
    check_columns(step.name, [*(step.args or ()), *equal], {}, schema)
    return step


def _fill_null(step: Step, schema: pl.Schema) -> Step:
    _, strategy, limit, *_ = [*(step.args or ()), None, None, None]
    if step.kwargs.get("strategy", strategy) not in STRATEGIES or step.kwargs.get("limit", limit) is not None:
        raise NotPartitioned("fill_null with this strategy", NEIGHBOURS, REMEDY)
    return _values(step, schema)


def _values(step: Step, schema: pl.Schema) -> Step:
    """Of a step that puts values in: expressions have to stand alone, and a series is one value for each row."""
    for value in (*(step.args or ()), *step.kwargs.values()):
        for each in value.values() if isinstance(value, dict) else (value,):
            if isinstance(each, (pl.Expr, pl.Series)):
                check_columns(step.name, [each], {}, schema)
    return step


def _matched(step: Step, schema: pl.Schema) -> Step:
    found = empty(schema).match_to_schema(*(step.args or ()), **step.kwargs).collect_schema()
    if not found.keys() & schema.keys():
        raise NotPartitioned("match_to_schema with no column of the frame", "what is put in is one row", REMEDY)
    return _values(step, schema)


def _rename(step: Step, schema: pl.Schema) -> Step:
    """A function that renames is called here, with the names: it need not travel."""
    mapping = step.kwargs.get("mapping", (step.args or (None,))[0])
    if not callable(mapping):
        return step
    kwargs = {name: value for name, value in step.kwargs.items() if name != "mapping"}
    return Step("rename", ({name: mapping(name) for name in schema},), kwargs)


def _join(step: Step, schema: pl.Schema) -> Step:
    for name in ("on", "left_on"):
        if step.kwargs.get(name) is not None:
            check_columns("join", [step.kwargs[name]], {}, schema)
    return step


def check_join(how: str, options: dict[str, Any]) -> None:
    """What is known of a join before anything else is. NotPartitioned."""
    if how not in BROADCAST:
        why = (
            f"{', '.join(sorted(BROADCAST))} are done with a small frame that goes to every partition; {how} needs to "
        )
        why += "know which of its rows no partition has" if how in ("full", "right") else "see all rows at once"
        raise NotPartitioned(f"join with how={how!r}", why, REMEDY)
    validate = options.get("validate", "m:m")
    if validate not in ("m:m", "m:1"):
        raise NotPartitioned(f"join with validate={validate!r}", f"{ORDER}, to see that a key is there once", REMEDY)
    order = options.get("maintain_order")
    if order not in (None, "none", "left", "left_right"):
        raise NotPartitioned(f"join with maintain_order={order!r}", ORDER, REMEDY)


CHECKS: dict[str, Callable[[Step, pl.Schema], Step]] = {
    "select": _select,
    "select_seq": _select,
    "filter": _filter,
    "remove": _filter,
    "fill_null": _fill_null,
    "fill_nan": _values,
    "match_to_schema": _matched,
    "rename": _rename,
    "join": _join,
}
