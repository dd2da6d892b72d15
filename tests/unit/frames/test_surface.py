"""Every public name of polars' frames is passed on, done here, or refused with what to do instead; and gives what
surface.py says: each that can be called with simple arguments is called, on polars' own small frames.
"""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.dataframe.group_by import DynamicGroupBy, GroupBy, RollingGroupBy
from polars.lazyframe.group_by import LazyGroupBy

import beampy as bp
from beampy.frames import grouped, series
from beampy.frames.dataframe import RemoteDataFrame, _item
from beampy.frames.lazyframe import RemoteLazyFrame
from beampy.frames.series import RemoteSeries
from beampy.frames.surface import (
    CLASSES,
    FUNCTIONS,
    OURS,
    REFUSED,
    REFUSED_FUNCTIONS,
    SAID,
    Entry,
    Gives,
    class_of,
    functions,
    gives_of,
    namespaces,
    surface,
)
from tests.stubs import surface_page
from tests.unit.frames import surface_calls as calls

KINDS = [*CLASSES, *(f"Series.{space}" for space in namespaces("Series"))]
REMOTE: dict[str, Any] = {
    "DataFrame": RemoteDataFrame,
    "LazyFrame": RemoteLazyFrame,
    "Series": RemoteSeries,
    "GroupBy": grouped.RemoteGroupBy,
    "DynamicGroupBy": grouped.RemoteWindowGroupBy,
    "RollingGroupBy": grouped.RemoteWindowGroupBy,
    "LazyGroupBy": grouped.RemoteLazyGroupBy,
    **{f"Series.{space}": vars(RemoteSeries)[space]._kind for space in namespaces("Series")},
}
CAME: dict[type, Gives] = {
    pl.DataFrame: Gives.FRAME,
    pl.LazyFrame: Gives.LAZY,
    pl.Series: Gives.SERIES,
    GroupBy: Gives.GROUPS,
    DynamicGroupBy: Gives.WINDOWS,
    RollingGroupBy: Gives.WINDOWS,
    LazyGroupBy: Gives.LAZY_GROUPS,
}
PAGE = surface_page.TARGET.read_text(encoding="utf-8")
EXACT = surface_page.version_of(PAGE) == pl.__version__
of_this_polars = pytest.mark.skipif(not EXACT, reason=f"written for polars {surface_page.version_of(PAGE)}")
AT_MOST_NOT_RUN = 20  # of the names that are asked for: what needs packages or services that tests do without


def asked(kind: str) -> list[tuple[str, Entry]]:
    """The names that are passed on."""
    return [
        (name, entry)
        for name, entry in surface(kind).items()
        if entry.gives not in (Gives.OURS, Gives.REFUSED, Gives.NAMESPACE)
    ]


def came(value: Any) -> Gives:
    return CAME.get(type(value), Gives.VALUE)


# all names are there


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_name_of_polars_is_there(kind: str):
    theirs = {name for name in dir(class_of(kind)) if not name.startswith("_")}
    assert theirs == set(surface(kind))
    ours = set(dir(REMOTE[kind]))
    assert theirs - ours == theirs & set(REFUSED.get(kind, ()))


@of_this_polars
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_of_names_is_said_of_names_that_are_there(kind: str):
    said = [*OURS.get(kind, "").split(), *REFUSED.get(kind, {}), *(name for of, name in SAID if of == kind)]
    assert not set(said) - set(dir(class_of(kind)))


def test_our_own_names_are_those_that_do_something_else():
    for kind, names in OURS.items():
        for name in names.split():
            member = inspect.getattr_static(REMOTE[kind], name)
            fn = member.fget if isinstance(member, property) else member
            assert fn.__module__.startswith("beampy.frames."), name
            assert (inspect.getdoc(fn) or "").strip(), f"{kind}.{name} says what it does"


@of_this_polars
def test_operators_of_polars_are_there():
    python = {"__init__", "__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__getattr__"}
    pickled = {"__getstate__", "__setstate__", "__arrow_c_stream__", "__reversed__"}  # a handle is sent as a handle
    for kind in ("DataFrame", "Series", "LazyFrame"):
        found = {name for each in CLASSES[kind].__mro__[:-1] for name in vars(each) if name.startswith("__")}
        missing = found - python - pickled - set(dir(REMOTE[kind]))
        assert not missing, f"{kind}: {sorted(missing)}"


# what they give


@pytest.mark.parametrize("kind", KINDS)
def test_names_give_what_the_surface_says(kind: str, tmp_path: Path):
    wrong = []
    for name, entry in asked(kind):
        if (kind, name) in calls.NOT_RUN:
            continue
        on = calls.ONLY.get(kind, {}).get(name, calls.OBJECTS[kind])
        arguments = "" if entry.attribute else f"({calls.ARGUMENTS.get(kind, {}).get(name, '')})"
        call = f"({on}).{name}{arguments}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is unstable, deprecated, or slow in polars
                value = eval(call, {**calls.NAMES, "file": tmp_path / name})
        except Exception as error:
            if EXACT:  # the arguments are those of one version
                wrong.append(f"{call} cannot be run: {type(error).__name__}: {error}")
            continue
        if came(value) is not entry.gives:
            wrong.append(f"{call} gave a {type(value).__name__}; surface.py says {entry.gives.name}")
    assert not wrong, "\n".join(wrong)


@of_this_polars
def test_most_names_are_run():
    names = {(kind, name) for kind in KINDS for name, _ in asked(kind)}
    assert len(names) > 500
    assert calls.NOT_RUN.keys() <= names
    assert len(calls.NOT_RUN) <= AT_MOST_NOT_RUN
    told = {(kind, name) for kind, found in calls.ARGUMENTS.items() for name in found}
    told |= {(kind, name) for kind, found in calls.ONLY.items() for name in found}
    own = {(kind, name) for kind in OURS for name in OURS[kind].split()}
    of_groups = {(kind, name) for kind in ("DynamicGroupBy", "RollingGroupBy") for name in calls.ARGUMENTS["GroupBy"]}
    assert not told - names - own - of_groups, "arguments of names that are not there"


def test_a_wrong_word_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said = {**surface("GroupBy"), "len": Entry(Gives.SERIES)}
    monkeypatch.setitem(test_names_give_what_the_surface_says.__globals__, "surface", lambda kind: said)
    with pytest.raises(AssertionError, match=r"\.len\(\) gave a DataFrame; surface.py says SERIES"):
        test_names_give_what_the_surface_says("GroupBy", tmp_path)


ITEMS = (
    "'a'",
    "0",
    "-1",
    "slice(0, 2)",
    "[0, 1]",
    "['a', 'c']",
    "[True, False, True, True]",
    "'a', 'c'",
    "True, False, True, True",
    "0, 'a'",
    "0, 0",
    "slice(0, 2), 'a'",
    "slice(0, 2), 0",
    "[0, 1], 'a'",
    "[0, 1], ['a']",
    "0, ['a', 'b']",
    "0, slice(0, 2)",
    "slice(0, 2), slice(0, 2)",
    "slice(0, 2), ['a']",
    "series, 'a'",
    "series",
    "0, 'a':'b'",
    "slice(None), [True, False, True, False]",
    "slice(None), pl.Series(['a', 'b'])",
    "0, pl.Series(['a', 'b'])",
    "0, [0, 1]",
    "['a'],",
    "'a',",
    "np.int64(0), 'a'",
    "np.array([0, 1])",
    "np.array([0, 1]), 'a'",
    "range(2)",
    "range(2), 1",
    "(),",
    "0, ()",
)


@pytest.mark.parametrize("item", ITEMS)
def test_items_of_frames_give_what_polars_gives(item: str):
    np = pytest.importorskip("numpy")
    names = {**calls.NAMES, "np": np, "Key": Key()}
    try:
        value = eval(f"frame[{item}]", names)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        return  # and so it is said there
    assert _item(eval(f"Key[{item}]", names)) is came(value), type(value).__name__


class Key:
    """What `[]` is given."""

    def __getitem__(self, key: Any) -> Any:
        return key


@pytest.mark.parametrize("name", series.OPERATORS)
def test_operators_of_series_give_what_polars_gives(name: str):
    numbers = pl.Series([True, False]) if name in FLAGS else pl.Series([1, 2])
    others = {"series": numbers, "literal": True if name in FLAGS else 2}
    if name in ("__add__", "__mul__"):
        others["frame"] = pl.DataFrame({"a": [1, 2]})
    for other in [()] if name in UNARY else [(each,) for each in others.values()]:
        try:
            value = getattr(numbers, name)(*other)
        except (AttributeError, TypeError, pl.exceptions.PolarsError):
            continue
        assert series.operator_gives(name, other) is came(value), (name, other)


UNARY = ("__abs__", "__neg__", "__pos__", "__invert__")
FLAGS = ("__and__", "__or__", "__xor__", "__rand__", "__ror__", "__rxor__", "__invert__")


# functions


def test_every_function_that_reads_scans_or_converts_is_there():
    theirs = {name for name in dir(pl) if name.startswith(("read_", "scan_", "from_")) and callable(getattr(pl, name))}
    assert theirs == {name for name in functions() if name.startswith(("read_", "scan_", "from_"))} | set(
        REFUSED_FUNCTIONS
    )
    assert {"DataFrame", "LazyFrame", "Series", "concat"} <= set(functions())
    assert set(functions()) <= set(dir(bp.frames.on("b@127.0.0.1")))


FILES = {
    "read_avro": "write_avro",
    "read_csv": "write_csv",
    "read_ipc": "write_ipc",
    "read_ipc_schema": "write_ipc",
    "read_ipc_stream": "write_ipc_stream",
    "read_json": "write_json",
    "read_lines": "write_csv",
    "read_ndjson": "write_ndjson",
    "read_parquet": "write_parquet",
    "read_parquet_metadata": "write_parquet",
    "read_parquet_schema": "write_parquet",
    "scan_csv": "write_csv",
    "scan_ipc": "write_ipc",
    "scan_lines": "write_csv",
    "scan_ndjson": "write_ndjson",
    "scan_parquet": "write_parquet",
}


@pytest.mark.parametrize("name", FILES)
def test_functions_that_read_give_what_the_surface_says(name: str, tmp_path: Path):
    if not hasattr(pl, name):
        pytest.skip(f"polars {pl.__version__} has no {name}")
    file = tmp_path / "file"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(calls.one, FILES[name])(file)
        assert came(getattr(pl, name)(file)) is gives_of(name)


MADE = {
    "DataFrame": "{'a': [1]}",
    "LazyFrame": "{'a': [1]}",
    "Series": "'a', [1]",
    "align_frames": "one, one, on='a'",
    "arange": "5, eager=True",
    "collect_all": "[one.lazy()]",
    "concat": "[one, one]",
    "date_range": "dt.date(2024, 1, 1), dt.date(2024, 1, 5), eager=True",
    "date_ranges": "days, days, eager=True",
    "datetime_range": "dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 5), eager=True",
    "datetime_ranges": "days, days, eager=True",
    "explain_all": "[one.lazy()]",
    "from_arrow": "one.to_arrow()",
    "from_dataframe": "one",
    "from_dict": "{'a': [1]}",
    "from_dicts": "[{'a': 1}]",
    "from_epoch": "series",
    "from_numpy": "np.array([1, 2])",
    "from_pandas": "one.to_pandas()",
    "from_records": "[[1], [2]]",
    "from_repr": "str(one)",
    "int_range": "5, eager=True",
    "int_ranges": "series, eager=True",
    "json_normalize": "[{'a': {'b': 1}}]",
    "linear_space": "0, 1, 5, eager=True",
    "linear_spaces": "series, series, 3, eager=True",
    "merge_sorted": "[one, one], 'a'",
    "ones": "3, eager=True",
    "repeat": "1, 3, eager=True",
    "scan_arrow_c_stream": "one",
    "select": "a=1",
    "sql": "'select 1 as a', eager=True",
    "time_range": "eager=True",
    "time_ranges": "start=pl.Series([dt.time(1)]), end=pl.Series([dt.time(2)]), eager=True",
    "union": "[one, one]",
    "zeros": "3, eager=True",
}


@pytest.mark.parametrize("name", MADE)
def test_functions_that_make_frames_give_what_the_surface_says(name: str):
    if not hasattr(pl, name):
        pytest.skip(f"polars {pl.__version__} has no {name}")
    names = {**calls.NAMES, "np": pytest.importorskip("numpy")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = eval(f"pl.{name}({MADE[name]})", names)
    assert came(value) is gives_of(name), type(value).__name__


def test_every_function_that_is_named_is_run():
    assert set(FUNCTIONS) - set(MADE) == {"read_database"}  # which needs one


# the page


@of_this_polars
def test_the_page_is_up_to_date():
    assert surface_page.written() == PAGE, "write it again: python -m tests.stubs.surface_page"


def test_each_refusal_says_what_to_do_instead(record_property: Any):
    refused = [(kind, name, entry) for kind in KINDS for name, entry in surface(kind).items() if entry.why]
    refused += [("functions", name, Entry(Gives.REFUSED, why=why)) for name, why in REFUSED_FUNCTIONS.items()]
    assert refused
    for kind, name, entry in refused:
        assert entry.gives is Gives.REFUSED
        assert any(word in entry.why for word in ("bp.frames", "await", "collect", "compute")), (kind, name)
    totals = {gives.name: sum(found[gives] for found in surface_page.counts().values()) for gives in Gives}
    record_property("surface", totals)
    assert totals["REFUSED"] == len(refused)
