"""PartitionedGroupBy: what `group_by` of a partitioned frame gives: groups whose rows may be in all partitions.

Rule: each partition aggregates its own rows, and one node merges the results (aggregates.py). What is refused needs
all rows of a group in one place.

Place: beside partitioned.py. Its methods are those of polars' LazyGroupBy, and give a RemoteDataFrame at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl
from polars.lazyframe.group_by import LazyGroupBy

from beampy.errors import NotPartitioned
from beampy.frames.aggregates import grouped
from beampy.frames.expressions import parsed
from beampy.frames.separable import REMEDY

if TYPE_CHECKING:
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.partitioned import PartitionedFrame


class PartitionedGroupBy:
    """The groups of a partitioned frame.

    >>> await flights.group_by("carrier").agg(pl.col("arr_delay").mean(), pl.len()).collect()
    """

    __slots__ = ("_frame", "_keys", "_maintain_order")

    def __init__(self, frame: PartitionedFrame, keys: list[pl.Expr], maintain_order: bool) -> None:
        self._frame = frame
        self._keys = keys
        self._maintain_order = maintain_order

    def agg(self, *aggs: Any, **named_aggs: Any) -> RemoteDataFrame:
        """As polars' agg, exactly: sum, mean, min, max, len, count, null_count, n_unique, first, last, any, all,
        product, var, std, median, quantile and lists, of expressions each row of which stands alone, and functions of
        these.

        NotPartitioned, from the handle, for other aggregates. Medians, quantiles and lists bring all values to one
        node, n_unique the different ones: MergeTooLarge for more than 1 GB.
        """
        found = parsed(aggs, named_aggs)
        keys, order = self._keys, self._maintain_order
        return self._frame._aggregated(lambda schema: grouped(schema, keys, found, order), "group_by.agg")

    def _each(self, name: str, *args: Any) -> RemoteDataFrame:
        return self.agg(getattr(pl.all(), name)(*args))

    def len(self, name: str | None = None) -> RemoteDataFrame:
        """How many rows each group has."""
        return self.agg(pl.len() if name is None else pl.len().alias(name))

    def sum(self) -> RemoteDataFrame:
        """The sum of each column."""
        return self._each("sum")

    def mean(self) -> RemoteDataFrame:
        """The mean of each column."""
        return self._each("mean")

    def min(self) -> RemoteDataFrame:
        """The least value of each column."""
        return self._each("min")

    def max(self) -> RemoteDataFrame:
        """The greatest value of each column."""
        return self._each("max")

    def median(self) -> RemoteDataFrame:
        """The median of each column."""
        return self._each("median")

    def quantile(self, quantile: float, interpolation: Any = "nearest") -> RemoteDataFrame:
        """A quantile of each column."""
        return self._each("quantile", quantile, interpolation)

    def n_unique(self) -> RemoteDataFrame:
        """How many different values each column has."""
        return self._each("n_unique")

    def first(self) -> RemoteDataFrame:
        """The first row of each group, in the order of the partitions."""
        return self._each("first")

    def last(self) -> RemoteDataFrame:
        """The last row of each group, in the order of the partitions."""
        return self._each("last")

    def all(self) -> RemoteDataFrame:
        """The values of each column, as lists."""
        return self._each("implode")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or not hasattr(LazyGroupBy, name):
            raise AttributeError(f"the groups of a PartitionedFrame have no {name!r}", name=name, obj=self)
        if name == "having":
            raise NotPartitioned("group_by.having", "groups are known when they are merged", "agg(…).filter(…)")
        raise NotPartitioned(f"group_by.{name}", "it needs all rows of a group in one place", REMEDY)

    def __iter__(self) -> NoReturn:
        raise TypeError("iteration: the rows of a group may be in all partitions; aggregate them, or collect a filter")

    def __repr__(self) -> str:
        return f"<groups of {self._frame!r}>"
