"""The surface: every public name of polars' frames, what it gives, and which are refused and why.

Rule: polars itself is asked. What a method gives is what its annotation says; so the methods of the polars that is
installed are there, new ones too. Only what polars cannot know is written down here: names that are ours, and those
that make no sense from afar, each with what to do instead. A test walks polars' classes and holds this to it.

Place: the classes of remote frames are filled by it (delegation.py). It does not know how anything is asked for.
"""

from __future__ import annotations

import inspect
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
from polars.dataframe import group_by as eager_groups
from polars.lazyframe import group_by as lazy_groups

if TYPE_CHECKING:
    from collections.abc import Mapping


class Gives(Enum):
    """What asking for a name gives."""

    FRAME = "RemoteDataFrame"
    LAZY = "RemoteLazyFrame"
    SERIES = "RemoteSeries"
    GROUPS = "RemoteGroupBy"
    WINDOWS = "RemoteWindowGroupBy"
    LAZY_GROUPS = "RemoteLazyGroupBy"
    VALUE = "Handle"
    NAMESPACE = "RemoteNamespace"
    OURS = "ours"
    REFUSED = "refused"


class Entry(NamedTuple):
    """One public name. `attribute`: it is no method. `why`: of those that are refused, and what to do instead."""

    gives: Gives
    attribute: bool = False
    why: str = ""


CLASSES: dict[str, type] = {
    "DataFrame": pl.DataFrame,
    "LazyFrame": pl.LazyFrame,
    "Series": pl.Series,
    "GroupBy": eager_groups.GroupBy,
    "DynamicGroupBy": eager_groups.DynamicGroupBy,
    "RollingGroupBy": eager_groups.RollingGroupBy,
    "LazyGroupBy": lazy_groups.LazyGroupBy,
}

# What remote frames do themselves, as it is no question to where the data is.
OURS = {
    "DataFrame": "drop_in_place extend get_column insert_column iter_columns iter_rows iter_slices lazy pipe "
    "replace_column show",
    "LazyFrame": "clear collect collect_async collect_schema columns dtypes lazy pipe schema show width",
    "Series": "append extend scatter",
}

_HERE = "it would have to be brought here: (await df.collect()).{name}"
_FILE = "it reads what was written somewhere: bp.frames.from_local, or bp.frames.on(node).frame(fn) where the file is"
REFUSED: dict[str, dict[str, str]] = {
    "DataFrame": {
        "deserialize": _FILE,
        "plot": _HERE.format(name="plot"),
        "style": _HERE.format(name="style"),
        "write_clipboard": "the clipboard would be that of the other node: (await df.collect()).write_clipboard()",
    },
    "LazyFrame": {
        "collect_batches": "await lf.compute(), whose iter_slices() brings one part after the other",
        "deserialize": _FILE,
        "execute": "await lf.collect(), or lf.compute()",
        "from_lazyframe_resolver": "make it where it is to run: bp.frames.on(node).frame(fn)",
        "remote": "it is polars' own cloud; a remote frame runs on its node: lf.compute()",
        "show_graph": "it opens a window on the node: print(await lf.explain())",
        "sink_batches": "its function would run on the node: bp.frames.on(node).frame(fn), or compute().iter_slices()",
    },
    "Series": {
        "plot": "it would have to be brought here: (await s.collect()).plot",
    },
}

# What annotations do not say, or say in a way that means another thing here.
SAID = {
    ("LazyFrame", "describe"): Gives.FRAME,
    ("LazyFrame", "sink_iceberg"): Gives.VALUE,
    ("Series", "max_by"): Gives.VALUE,
    ("Series", "min_by"): Gives.VALUE,
    **{("Series", name): Gives.SERIES for name in ["eq", "eq_missing", "ge", "gt", "le", "lt", "ne", "ne_missing"]},
}

# Polars' functions that make frames, and what those give whose names do not say it.
PREFIXES = ("read_", "scan_", "from_")
FUNCTIONS = {
    "DataFrame": Gives.FRAME,
    "LazyFrame": Gives.LAZY,
    "Series": Gives.SERIES,
    "align_frames": Gives.VALUE,
    "collect_all": Gives.VALUE,
    "concat": Gives.FRAME,
    "explain_all": Gives.VALUE,
    "from_epoch": Gives.SERIES,
    "json_normalize": Gives.FRAME,
    "merge_sorted": Gives.FRAME,
    "read_database": Gives.FRAME,
    "select": Gives.FRAME,
    "sql": Gives.FRAME,
    "union": Gives.FRAME,
    **dict.fromkeys(("ones", "repeat", "zeros", "arange", "int_range", "linear_space"), Gives.SERIES),
    **dict.fromkeys(("date_range", "datetime_range", "time_range"), Gives.SERIES),
    **dict.fromkeys(("date_ranges", "datetime_ranges", "time_ranges", "int_ranges", "linear_spaces"), Gives.SERIES),
}
# Those that give an expression where they are not told `eager=True`.
EAGER = {"sql", *(name for name, gives in FUNCTIONS.items() if gives is Gives.SERIES)} - {"Series", "from_epoch"}
REFUSED_FUNCTIONS = {
    "read_clipboard": "the clipboard would be that of the other node: bp.frames.from_local(pl.read_clipboard(), node)",
}

BY_ANNOTATION = {
    "DataFrame": Gives.FRAME,
    "LazyFrame": Gives.LAZY,
    "Series": Gives.SERIES,
    "GroupBy": Gives.GROUPS,
    "DynamicGroupBy": Gives.WINDOWS,
    "RollingGroupBy": Gives.WINDOWS,
    "LazyGroupBy": Gives.LAZY_GROUPS,
}

SELF = {"DataFrame": Gives.FRAME, "LazyFrame": Gives.LAZY, "Series": Gives.SERIES}


@cache
def surface(kind: str) -> Mapping[str, Entry]:
    """All public names of a class of polars, by what they give. `kind`: a name of CLASSES, or "Series.str" and so on.

    >>> surface("DataFrame")["filter"].gives, surface("DataFrame")["shape"]
    (<Gives.FRAME: 'RemoteDataFrame'>, Entry(gives=<Gives.VALUE: 'Handle'>, attribute=True, why=''))
    """
    cls = class_of(kind)
    ours, refused = OURS.get(kind, "").split(), REFUSED.get(kind, {})
    found = {}
    for name in dir(cls):
        if name.startswith("_"):
            continue
        static = inspect.getattr_static(cls, name)
        attribute = isinstance(static, property) or not callable(getattr(cls, name))
        if name in refused:
            found[name] = Entry(Gives.REFUSED, attribute, refused[name])
        elif name in ours:
            found[name] = Entry(Gives.OURS, attribute)
        else:
            found[name] = Entry(_gives(kind, name, static), attribute)
    return found


def functions() -> list[str]:
    """The functions of polars that make frames."""
    return [name for name in dir(pl) if gives_of(name) is not None]


@cache
def gives_of(name: str) -> Gives | None:
    """What a function of polars gives; None where it makes no frame, or is refused.

    >>> gives_of("scan_csv"), gives_of("col")
    (<Gives.LAZY: 'RemoteLazyFrame'>, None)
    """
    fn = getattr(pl, name, None)
    if not callable(fn) or name in REFUSED_FUNCTIONS:
        return None
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if not name.startswith(PREFIXES):
        return None
    first = _annotation(fn).partition(" ")[0]
    return {"DataFrame": Gives.FRAME, "LazyFrame": Gives.LAZY}.get(first, Gives.VALUE)


def refusal(kind: str, name: str) -> str:
    """Why a name is refused, and what to do instead; "" where it is not."""
    entry = surface(kind).get(name)
    return "" if entry is None else entry.why


def removal(kind: str, name: str) -> str:
    """What polars itself says of a name that it has had: what to use instead. "" where it says nothing.

    >>> removal("DataFrame", "melt")
    '`melt` was removed in version 2.0; use `DataFrame.unpivot` instead, with `index` instead of `id_vars` …'
    """
    root, _, space = kind.partition(".")
    if root not in SELF or name in surface(kind):  # of groups there are none without a frame
        return ""
    try:
        empty: Any = CLASSES[root]()
        getattr(getattr(empty, space) if space else empty, name)
    except AttributeError as error:
        return str(error) if type(error).__name__ == "AttributeRemovedError" else ""
    return ""


def class_of(kind: str) -> type:
    """The class of polars that a kind names: "DataFrame", "Series.str"."""
    root, _, space = kind.partition(".")
    if not space:
        return CLASSES[root]
    return type(getattr(CLASSES[root](), space))


def namespaces(kind: str) -> list[str]:
    """The namespaces of a class: "str", "dt", …"""
    return [name for name, entry in surface(kind).items() if entry.gives is Gives.NAMESPACE]


def _gives(kind: str, name: str, static: Any) -> Gives:
    said = SAID.get((kind, name))
    if said is not None:
        return said
    text = _annotation(static)
    if text.endswith("NameSpace"):
        return Gives.NAMESPACE
    if text in ("Self", "typing.Self"):
        return SELF.get(kind, Gives.GROUPS)
    return BY_ANNOTATION.get(text, Gives.VALUE)


def _annotation(static: Any) -> str:
    """What a method says that it gives, as it is written: without the module's name."""
    fn: Any = static.fget if isinstance(static, property) else getattr(static, "__func__", static)
    found = getattr(inspect.unwrap(fn), "__annotations__", {}).get("return", "")
    text = found if isinstance(found, str) else getattr(found, "__name__", str(found))
    return text.removeprefix("pl.")
