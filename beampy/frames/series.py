"""RemoteSeries: a handle of a polars Series on some node.

    late = df["arr_delay"]                # at once; the work is done where the frame is
    await late.mean()                     # a value comes here
    late.dt.hour(), late + 1              # what is a series stays there

Place: frame.py has what it shares with frames; its other names are polars' (delegation.py). methods.pyi has their
types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import polars as pl

from beampy.frames import asking
from beampy.frames.delegation import delegate
from beampy.frames.frame import KINDS, MAKERS, Namespace, RemoteFrame
from beampy.frames.methods import SeriesMethods
from beampy.frames.surface import Gives, class_of, namespaces
from beampy.frames.tree import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.node import LocalNode
    from beampy.frames.asking import Query
    from beampy.handle import Handle


class RemoteSeries(RemoteFrame, SeriesMethods):
    """A handle of a polars Series on some node.

    Every public method of `polars.Series` is there. What gives a series or a frame gives a handle of it at once, and
    the work has begun; what gives a value gives a Handle: await it, or take `.result()` on a thread.

    >>> await df["dep_delay"].drop_nulls().mean()
    12.639070257304708
    """

    __slots__ = ()
    _kind = "Series"

    def append(self, other: pl.Series | RemoteSeries) -> Self:
        """As polars' append: this handle is from now on one of the longer series."""
        return self._become(Step("append", (other,), {}))

    def extend(self, other: pl.Series | RemoteSeries) -> Self:
        """As polars' extend: this handle is from now on one of the longer series."""
        return self._become(Step("extend", (other,), {}))

    def scatter(self, indices: Any, values: Any) -> Self:
        """As polars' scatter: this handle is from now on one of the changed series."""
        return self._become(Step("scatter", (indices, values), {}))

    def _get_item(self, key: Any) -> Any:
        gives = Gives.VALUE if isinstance(key, int) else Gives.SERIES
        return self._ask(gives, Step("__getitem__", (key,), {}))

    def _set_item(self, key: Any, value: Any) -> None:
        self._become(Step("__setitem__", (key, value), {}))

    if TYPE_CHECKING:

        def collect(self, *, limit: int | None = None) -> Handle[pl.Series]: ...


class _Spaced:
    """`series.str`: its methods, asked for in one message."""

    def __init__(self, kind: type[Namespace], name: str) -> None:
        self._kind, self._name = kind, name

    def __get__(self, series: RemoteSeries | None, owner: type) -> Any:
        return self if series is None else self._kind(series, self._name)


POWERS = ("__pow__", "__rpow__")  # of which polars works an expression out; all others make one of the series


def _operator(name: str) -> Callable[..., Any]:
    """`series + 1`. With a frame on the right some give one; `@` gives a number, or a series."""

    def operator(self: RemoteSeries, *args: Any) -> Any:
        if args and isinstance(args[0], pl.Expr) and name not in POWERS:
            raise TypeError(
                f"{name} of a RemoteSeries and an expression would be an expression about what is on a node: "
                "df.select(…) or df.with_columns(…) takes both as expressions"
            )
        return self._ask(operator_gives(name, args), Step(name, args, {}))

    operator.__name__ = name
    return operator


def operator_gives(name: str, args: tuple[Any, ...]) -> Gives:
    """What an operator gives, of a series with these operands."""
    if name in ("__matmul__", "__rmatmul__"):
        return Gives.VALUE
    if name in ("__add__", "__mul__") and args:
        other = args[0]
        if isinstance(other, pl.DataFrame) or getattr(other, "_kind", "") == "DataFrame":
            return Gives.FRAME
    return Gives.SERIES


_BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"]
OPERATORS = (
    *(f"__{name}__" for name in ["eq", "ne", "lt", "le", "gt", "ge", "abs", "neg", "pos", "invert", "matmul"]),
    *(f"__{side}{name}__" for name in _BINARY for side in ("", "r")),
    "__rmatmul__",
)
for _name in OPERATORS:
    setattr(RemoteSeries, _name, _operator(_name))
for _name, _fn in (("__getitem__", RemoteSeries._get_item), ("__setitem__", RemoteSeries._set_item)):
    setattr(RemoteSeries, _name, _fn)  # methods.pyi has their types
RemoteSeries.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]

for _name in namespaces("Series"):
    _space = type(f"Remote{_name.capitalize()}Namespace", (Namespace,), {"__slots__": (), "_kind": f"Series.{_name}"})
    if hasattr(class_of(f"Series.{_name}"), "__getitem__"):
        _space.__getitem__ = Namespace._get_item  # type: ignore[index]
    delegate(_space, f"Series.{_name}")
    setattr(RemoteSeries, _name, _Spaced(_space, _name))

delegate(RemoteSeries, "Series")


def _made(node: LocalNode, query: Query) -> RemoteSeries:
    return RemoteSeries(asking.begin(node, query, "Series"))


KINDS["Series"] = RemoteSeries
MAKERS[Gives.SERIES] = _made
