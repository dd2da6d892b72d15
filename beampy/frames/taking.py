"""Taking: the arguments of a query, as they are in the moment in which it is asked.

Rule: a query may wait for a frame that is being made; what happens to its arguments meanwhile does not change it. So
lists and dicts are copied, generators gone through, local frames copied too (which shares their memory), and of a
remote frame it is what that is now. A file object of this process cannot be written on another node: that is said at
once.

Place: the classes of remote frames have their steps go through here, before asking.py sees them.
"""

from __future__ import annotations

import copyreg
from collections.abc import ItemsView, KeysView, ValuesView
from types import GeneratorType
from typing import Any

import polars as pl

from beampy.errors import EncodeError
from beampy.frames.asking import Query, Remote
from beampy.frames.tree import Call, Step, changed

WRITES = ("write_", "sink_", "serialize")  # methods that write to what they are given

# Polars takes them where it takes lists: `df.select(pl.col(name) + 1 for name in names)`, `df.select(types.keys())`.
ONCE = (GeneratorType, map, filter, zip, KeysView, ValuesView, ItemsView)


class Taken(Remote):
    """A remote frame as it was when it was an argument."""

    __slots__ = ("_is",)

    def __init__(self, query: Query) -> None:
        self._is = query

    @property
    def _query(self) -> Query:
        return self._is


def listed(value: Any) -> Any:
    """What can be gone through only once, or cannot be sent, as a list of what it gives now.

    >>> listed(n + 1 for n in (1, 2)), listed({"a": 1}.keys()), listed("ab")
    ([2, 3], ['a'], 'ab')
    """
    return list(value) if isinstance(value, ONCE) else value


def taken(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps with their arguments as they are now. EncodeError for a file object that would be written elsewhere."""
    return tuple(
        step if not step.args and not step.kwargs else Step(step.name, *_taken(step.name, step.args, step.kwargs))
        for step in steps
    )


def taken_call(call: Call) -> Call:
    """The same of a function of polars."""
    return Call(call.name, *_taken(call.name, call.args, call.kwargs))


def _taken(name: str, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if name.startswith(WRITES):
        for value in (*(args or ()), *kwargs.values()):
            if hasattr(value, "write"):
                raise EncodeError(
                    f"the file object in {name}",
                    "it would be written on the other node, and lost: give a path of that node, or bring the frame and "
                    f"write it here: (await df.collect()).{name}(…)",
                )
    return changed(args, _now) if args else args, changed(kwargs, _now) if kwargs else kwargs


def _now(value: Any) -> Any:
    if isinstance(value, Remote):
        return Taken(value._query)
    if isinstance(value, ONCE):
        return changed(list(value), _now)
    if isinstance(value, (pl.DataFrame, pl.Series)):
        return value.clone()
    return value


def _flags(flags: pl.QueryOptFlags) -> Any:
    """Polars' flags of its optimiser as what they say: they do not pickle."""
    return _flagged, ({name: getattr(flags, name) for name in FLAGS if hasattr(flags, name)},)


def _flagged(said: dict[str, bool]) -> pl.QueryOptFlags:
    return pl.QueryOptFlags(**said)


if hasattr(pl, "QueryOptFlags"):
    FLAGS = [
        name for name, each in vars(pl.QueryOptFlags).items() if isinstance(each, property) and not name.startswith("_")
    ]
    copyreg.pickle(pl.QueryOptFlags, _flags)
