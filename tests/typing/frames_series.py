"""What type checkers must see of remote series, items and operators. Checked, never run. See frames_methods.py."""

from __future__ import annotations

import datetime
from typing import Any, assert_type

import polars as pl

import beampy as bp
from beampy.frames import RemoteDataFrame, RemoteSeries


async def items(df: RemoteDataFrame, series: RemoteSeries) -> None:
    assert_type(df["a"], RemoteSeries)
    assert_type(df[:, "a"], RemoteSeries)
    assert_type(df[["a", "b"]], RemoteDataFrame)
    assert_type(df["a", "b"], RemoteDataFrame)
    assert_type(df[1:3], RemoteDataFrame)
    assert_type(df[0], RemoteDataFrame)
    assert_type(df[series], RemoteDataFrame)
    assert_type(await df[0, "a"], Any)
    assert_type(series[0], bp.Handle[Any])
    assert_type(series[1:3], RemoteSeries)
    df["a"] = series
    series[0] = 1


async def values(series: RemoteSeries) -> None:
    assert_type(await series.len(), int)
    assert_type(await series.null_count(), int)
    assert_type(await series.dtype, pl.DataType)
    assert_type(await series.name, str)
    assert_type(await series.to_list(), list[Any])
    assert_type(await series.std(), float | datetime.timedelta | None)
    assert_type(await series.is_empty(), bool)
    assert_type(await series.arg_max(), int | None)
    assert_type(await series.search_sorted(5), int)
    assert_type(await series.search_sorted(series), RemoteSeries)
    assert_type(await series.shape, tuple[int])


async def more_series(series: RemoteSeries, df: RemoteDataFrame, local: pl.Series) -> None:
    assert_type(series.str.to_uppercase(), RemoteSeries)
    assert_type(series.dt.year(), RemoteSeries)
    assert_type(series.list.len(), RemoteSeries)
    assert_type(await series.struct.fields, list[str])
    assert_type(series.struct.unnest(), RemoteDataFrame)
    assert_type(series.value_counts(sort=True), RemoteDataFrame)
    assert_type(series.to_frame(), RemoteDataFrame)
    assert_type(series.eq(local), RemoteSeries)
    assert_type(series.is_in(series), RemoteSeries)
    assert_type(series.append(local), RemoteSeries)
    assert_type(series + 1, RemoteSeries)
    assert_type(1 - series, RemoteSeries)
    assert_type(series * local, RemoteSeries)
    assert_type(-series, RemoteSeries)
    assert_type(~series, RemoteSeries)
    assert_type(series & series, RemoteSeries)
    assert_type(series == 1, RemoteSeries)
    assert_type(series < local, RemoteSeries)
    assert_type(series + df, RemoteDataFrame)
    assert_type(df + 1, RemoteDataFrame)
    assert_type(df == df, RemoteDataFrame)
    series.plot  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018
    series.str.upper()  # type: ignore[attr-defined]  # pyright: ignore
    series.dt.year(1)  # type: ignore[call-arg]  # pyright: ignore
    len(series)  # type: ignore[arg-type]  # pyright: ignore
