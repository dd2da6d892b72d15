"""Polars' methods on remote frames, as type checkers and editors know them: methods.pyi, beside this file, has them.

Rule: at run time there is nothing in these classes. The classes of remote frames have every method of the polars that
is installed (delegation.py), and these only among their bases; so what is written by hand beside them is checked as any
other code. methods.pyi is written from polars' source, for the version that it names; what remote frames refuse is not
in it, and what they do themselves is typed where it is done.

Place: under dataframe.py, lazyframe.py, series.py, grouped.py and place.py. SURFACE.md lists all names.
"""

from __future__ import annotations


class DataFrameMethods:
    """`polars.DataFrame`'s, of a RemoteDataFrame."""

    __slots__ = ()


class LazyFrameMethods:
    """`polars.LazyFrame`'s, of a RemoteLazyFrame."""

    __slots__ = ()


class SeriesMethods:
    """`polars.Series`', of a RemoteSeries."""

    __slots__ = ()


class GroupByMethods:
    """`polars.dataframe.group_by.GroupBy`'s, of a RemoteGroupBy."""

    __slots__ = ()


class WindowGroupByMethods:
    """`DynamicGroupBy`'s and `RollingGroupBy`'s of `polars.dataframe.group_by`, of a RemoteWindowGroupBy."""

    __slots__ = ()


class LazyGroupByMethods:
    """`polars.lazyframe.group_by.LazyGroupBy`'s, of a RemoteLazyGroupBy."""

    __slots__ = ()


class PlaceFunctions:
    """Polars' functions that make frames, of `bp.frames.on(node)`."""

    __slots__ = ()
