"""The modules that tests import as `polars` and `polars.testing`.

Rule: what makes frames makes them on the node: the classes, what is read, scanned and converted, concat, select, and
all that is `eager`. Every other name is polars' own. A function of polars' own that gives a frame has computed it in
this process: `by_hand` counts those, and no test that uses one is listed.

Place: plugin.py gives these modules to the tests' `import polars`. The frames are frames.py's.
"""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable
from typing import Any

import polars as pl
import polars.testing

from . import frames
from .frames import DataFrame, LazyFrame, Series, Standing, StandsFor, answered, asked, ground

CLASSES: dict[str, Any] = {"DataFrame": DataFrame, "LazyFrame": LazyFrame, "Series": Series}
COMPARE = (
    "assert_frame_equal",
    "assert_frame_not_equal",
    "assert_series_equal",
    "assert_series_not_equal",
    "assert_schema_equal",
)
STRATEGIES = ("dataframes", "series")  # of polars.testing.parametric: they draw frames, which are taken to the node
FRAMES = (pl.DataFrame, pl.LazyFrame, pl.Series)

by_hand = 0  # frames that a function of polars' own has computed in this process


def _computed(value: Any) -> Any:
    """What a function of polars' own gave: a frame is taken to the node, and counted."""
    global by_hand
    if isinstance(value, FRAMES):
        if isinstance(type(value), StandsFor):
            return value
        by_hand += 1
        return answered(value)
    if type(value) in (list, tuple) and any(isinstance(each, FRAMES) for each in value):
        return type(value)(_computed(each) for each in value)
    return value


def _function(name: str, theirs: Callable[..., Any]) -> Callable[..., Any]:
    """A function of polars, for tests."""

    @functools.wraps(theirs)
    def calling(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("eager") is True and name != "sql":  # which looks for frames among the caller's names
            return _eager(name, theirs, args, kwargs)
        if _makes_frames(name, args):
            return _there(name, args, kwargs)
        return _computed(theirs(*args, **kwargs))

    return calling


def _makes_frames(name: str, args: tuple[Any, ...]) -> bool:
    if not hasattr(ground.place, name):
        return False
    if name in ("concat", "from_epoch") and args:  # of names and expressions they make an expression
        first = args[0][0] if name == "concat" and isinstance(args[0], (list, tuple)) and args[0] else args[0]
        return not isinstance(first, (str, pl.Expr))
    return name in ("concat", "select") or name.startswith(("read_", "scan_", "from_"))


def _there(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found = answered(getattr(ground.place, name)(*asked(args), **asked(kwargs)))
    if name == "concat" and isinstance(found, DataFrame):
        items = args[0] if args else kwargs.get("items")
        if isinstance(items, (list, tuple)) and any(isinstance(each, LazyFrame) for each in items):
            return found.lazy()
    return found


def _eager(name: str, theirs: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that gives a series: on the node, as polars does it here, by an expression that is selected."""
    if hasattr(ground.place, name):
        return _there(name, args, kwargs)
    expression = theirs(*args, **{**kwargs, "eager": False})
    return answered(ground.place.select(expression)).to_series()


class Module(types.ModuleType):
    """A module that stands for one of polars; what it has not itself is that one's."""

    def __init__(self, theirs: types.ModuleType, **names: Any) -> None:
        super().__init__(theirs.__name__, theirs.__doc__)
        self.__dict__.update(names)
        self.__dict__["__path__"] = getattr(theirs, "__path__", [])
        self.__dict__["_theirs"] = theirs

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._theirs, name)
        if self.__name__ == "polars" and isinstance(found, types.FunctionType) and not name.startswith("_"):
            found = _function(name, found)
            self.__dict__[name] = found
        return found

    def __dir__(self) -> list[str]:
        return dir(self._theirs)

    def __reduce__(self) -> Any:
        return importlib.import_module, (self.__name__,)


def _comparing(theirs: Callable[..., Any]) -> Callable[..., Any]:
    """An assertion of polars.testing, about copies of remote frames that are brought here."""

    @functools.wraps(theirs)
    def comparing(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        args = tuple(_copy(each) for each in args)
        return theirs(*args, **{key: _copy(each) for key, each in kwargs.items()})

    return comparing


def _copy(value: Any) -> Any:
    if not isinstance(type(value), StandsFor):
        return value
    found = value.here()
    return found.lazy() if type(value) is LazyFrame else found


def _drawing(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(theirs)
    def drawing(*args: Any, **kwargs: Any) -> Any:
        return theirs(*args, **kwargs).map(lambda frame: answered(frame))

    return drawing


def modules() -> dict[str, types.ModuleType]:
    """What tests are given, by the names that they import."""
    parametric = importlib.import_module("polars.testing.parametric")
    drawn = Module(parametric, **{name: _drawing(getattr(parametric, name)) for name in STRATEGIES})
    compare = {name: _comparing(getattr(polars.testing, name)) for name in COMPARE if hasattr(polars.testing, name)}
    testing = Module(polars.testing, parametric=drawn, **compare)
    top = Module(pl, testing=testing, **CLASSES)
    found: dict[str, types.ModuleType] = {
        "polars": top,
        "polars.testing": testing,
        "polars.testing.parametric": drawn,
    }
    for name in ("polars.testing.asserts.frame", "polars.testing.asserts.series", "polars.testing.asserts"):
        theirs = importlib.import_module(name)
        found[name] = Module(theirs, **{key: fn for key, fn in compare.items() if hasattr(theirs, key)})
    for name in ("dataframe", "lazyframe", "series"):
        theirs = importlib.import_module(f"polars.{name}")
        found[f"polars.{name}"] = Module(theirs, **{key: cls for key, cls in CLASSES.items() if hasattr(theirs, key)})
    return found


__all__ = ["Standing", "by_hand", "frames", "modules"]
