"""RemoteDataFrame: a handle of a polars DataFrame on some node.

    df = bp.frames.on("b@localhost").read_csv("flights.csv")
    late = df.filter(pl.col("arr_delay") > 60)       # at once; the work is done where the frame is
    await late.height                                # a value comes here
    await late.group_by("carrier").len().collect()   # a frame comes here only so

Place: frame.py has what it shares with series; its other names are polars' (delegation.py). methods.pyi has their
types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

from beampy.frames import asking
from beampy.frames.asking import Query
from beampy.frames.delegation import delegate
from beampy.frames.frame import KINDS, MAKERS, RemoteFrame
from beampy.frames.grouped import RemoteGroupBy  # noqa: F401 - it says how handles of groups are made
from beampy.frames.lazyframe import RemoteLazyFrame
from beampy.frames.methods import DataFrameMethods
from beampy.frames.paging import PAGE, Rows, Slices, Table
from beampy.frames.series import RemoteSeries  # noqa: TC001 - it says how handles of series are made
from beampy.frames.surface import Gives
from beampy.frames.tree import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec, TypeVar

    import polars as pl

    from beampy.core.node import LocalNode
    from beampy.handle import Handle

    P = ParamSpec("P")
    T = TypeVar("T")


class RemoteDataFrame(RemoteFrame, DataFrameMethods):
    """A handle of a polars DataFrame on some node. `bp.frames.on`, `bp.frames.from_local` and `pool.frame` make them.

    Every public method of `polars.DataFrame` is there. What gives a frame or a series gives a handle of it at once, and
    the work has begun there; await the handle to see that it went well. What gives a value gives a Handle: await it, or
    take `.result()` on a thread. Frames of other nodes among the arguments go to the larger one, directly.

    The memory is free when the last handle is gone, on whatever node. OwnerLost when its node is.

    >>> df = bp.frames.on("b@localhost").read_csv("flights.csv")
    >>> await df.filter(pl.col("dep_delay") > 60).height
    26581
    """

    __slots__ = ()
    _kind = "DataFrame"

    def lazy(self) -> RemoteLazyFrame:
        """A plan over it, of which nothing is done until it is computed or collected: in one message, optimised."""
        return RemoteLazyFrame(self._local, Query(self._due, (Step("lazy", (), {}),)))

    def compute(self) -> Self:
        """Itself: it is computed already, or is being. As of RemoteLazyFrame."""
        return self

    def pipe(self, function: Callable[Concatenate[Self, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(self, *args, **kwargs)`, here, with this handle."""
        return function(self, *args, **kwargs)

    def _get_item(self, key: Any) -> Any:
        return self._ask(_item(key), Step("__getitem__", (key,), {}))

    # what changes it in place: this handle is then one of the changed frame, and others are as they were

    def _set_item(self, key: Any, value: Any) -> None:
        self._become(Step("__setitem__", (key, value), {}))

    def extend(self, other: pl.DataFrame | RemoteDataFrame) -> Self:
        """As polars' extend: this handle is from now on one of the longer frame."""
        return self._become(Step("extend", (other,), {}))

    def insert_column(self, index: int, column: pl.Series | pl.Expr | RemoteSeries) -> Self:
        """As polars' insert_column: this handle is from now on one of the wider frame."""
        return self._become(Step("insert_column", (index, column), {}))

    def replace_column(self, index: int, column: pl.Series | RemoteSeries) -> Self:
        """As polars' replace_column: this handle is from now on one of the changed frame."""
        return self._become(Step("replace_column", (index, column), {}))

    def drop_in_place(self, name: str) -> RemoteSeries:
        """As polars' drop_in_place: the column; this handle is from now on one of the frame without it."""
        column: RemoteSeries = self._ask(Gives.SERIES, Step("get_column", (name,), {}))
        self._become(Step("drop", (name,), {"strict": False}))  # where there is none it is the column that fails
        return column

    @overload
    def get_column(self, name: str) -> RemoteSeries: ...
    @overload
    def get_column(self, name: str, *, default: Any) -> Handle[Any]: ...

    def get_column(self, name: str, **default: Any) -> Any:
        """As polars' get_column: a RemoteSeries. With `default` it may be that as well: the Handle of either comes."""
        return self._ask(Gives.VALUE if default else Gives.SERIES, Step("get_column", (name,), default))

    # a part after the other

    def iter_slices(self, n_rows: int = 10_000) -> Slices:
        """Its parts, brought one after the other: `async for` or `for`, each a polars DataFrame of `n_rows` rows.

        The next part is on its way while one is used. No more than two are here.

        >>> async for part in df.iter_slices(100_000): ...
        """
        return Slices(self, n_rows)

    def iter_rows(self, *, named: bool = False, buffer_size: int = 512) -> Rows:
        """Its rows, brought `buffer_size` at a time: `async for` or `for`.

        >>> async for carrier, delay in df.select("carrier", "arr_delay").iter_rows(): ...
        """
        return Rows(self, named, buffer_size)

    def table(self, page: int = PAGE) -> Table:
        """A table to look through it, `page` rows at a time (50; 1000 at most): in a notebook one with buttons.

        Only the page that is looked at is brought. It keeps the frame until it is closed, or run again.

        >>> df.table(page=100)
        """
        return Table(self, page)

    def iter_columns(self) -> Handle[list[RemoteSeries]]:
        """Handles of its columns, as get_columns."""
        found: Handle[list[RemoteSeries]] = self._ask(Gives.VALUE, Step("get_columns", (), {}))
        return found

    def show(self, limit: int | None = 5, **options: Any) -> None:
        """Print its first rows, as polars' show. On a thread only: `print(await df.head().collect())` elsewhere."""
        first = self if limit is None else self.head(limit)
        first.collect().result().show(limit, **options)

    if TYPE_CHECKING:

        def collect(self, *, limit: int | None = None) -> Handle[pl.DataFrame]: ...


def _item(key: Any) -> Gives:
    """What `df[key]` gives, as polars has it: a column's name a series, a cell a value, all else a frame."""
    if isinstance(key, str):
        return Gives.SERIES
    if isinstance(key, tuple) and len(key) == 2:
        row, column = key
        if isinstance(row, (str, bool)):  # two names are two columns
            return Gives.FRAME
        if isinstance(column, (str, int)):
            return Gives.VALUE if isinstance(row, int) else Gives.SERIES
    return Gives.FRAME


def _operator(name: str) -> Callable[..., RemoteDataFrame]:
    def operator(self: RemoteDataFrame, other: Any) -> RemoteDataFrame:
        asked: RemoteDataFrame = self._ask(Gives.FRAME, Step(name, (other,), {}))
        return asked

    operator.__name__ = name
    return operator


OPERATORS = ["eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "radd", "rmul"]
for _name in OPERATORS:
    setattr(RemoteDataFrame, f"__{_name}__", _operator(f"__{_name}__"))
for _name, _fn in (("__getitem__", RemoteDataFrame._get_item), ("__setitem__", RemoteDataFrame._set_item)):
    setattr(RemoteDataFrame, _name, _fn)  # methods.pyi has their types
RemoteDataFrame.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]

delegate(RemoteDataFrame, "DataFrame")


def _renamed(self: RemoteDataFrame, names: Any) -> None:
    self._become(Step("__setattr__", ("columns", list(names)), {}))


RemoteDataFrame.columns = RemoteDataFrame.columns.setter(_renamed)  # type: ignore[method-assign, attr-defined]


def _made(node: LocalNode, query: Query) -> RemoteDataFrame:
    return RemoteDataFrame(asking.begin(node, query, "DataFrame"))


KINDS["DataFrame"] = RemoteDataFrame
MAKERS[Gives.FRAME] = _made
