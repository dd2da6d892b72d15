"""What type checkers must see of `bp.frames`, where frames are made. Checked, never run. See frames_methods.py."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import polars as pl

import beampy as bp
from beampy.frames import Place, RemoteDataFrame, RemoteLazyFrame, RemoteSeries


def load(path: str, rows: int = 5) -> pl.DataFrame:
    return pl.read_csv(path).head(rows)


async def places(df: RemoteDataFrame, plan: RemoteLazyFrame) -> None:
    there = bp.frames.on("b@localhost")
    assert_type(there, Place)
    assert_type(there.node, str)
    assert_type(there.read_csv("a.csv", has_header=False), RemoteDataFrame)
    assert_type(await there.read_parquet(Path("a.parquet"), columns=["a"]), RemoteDataFrame)
    assert_type(there.scan_parquet("a/*.parquet", hive_partitioning=True), RemoteLazyFrame)
    assert_type(there.scan_csv(["a.csv", "b.csv"]).collect(), bp.Handle[pl.DataFrame])
    assert_type(await there.read_parquet_schema("a.parquet"), dict[str, pl.DataType])
    assert_type(there.DataFrame({"a": [1, 2]}), RemoteDataFrame)
    assert_type(there.Series("a", [1, 2]), RemoteSeries)
    assert_type(there.LazyFrame({"a": [1, 2]}), RemoteLazyFrame)
    assert_type(there.from_dicts([{"a": 1}]), RemoteDataFrame)
    assert_type(there.concat([df, pl.DataFrame()], how="vertical"), RemoteDataFrame)
    assert_type(there.concat([plan, plan]), RemoteLazyFrame)
    assert_type(there.concat([df["a"], df["b"]]), RemoteSeries)
    assert_type(await there.collect_all([plan, plan]), list[RemoteDataFrame])
    assert_type(there.int_range(0, 10), RemoteSeries)
    assert_type(there.frame(load, "a.csv"), RemoteDataFrame)
    there.reed_csv("a.csv")  # type: ignore[attr-defined]  # pyright: ignore
    there.col("a")  # type: ignore[attr-defined]  # pyright: ignore
    there.read_csv()  # type: ignore[call-arg]  # pyright: ignore
    there.read_csv("a.csv", has_headr=False)  # type: ignore[call-arg]  # pyright: ignore


async def from_here(local: pl.DataFrame) -> None:
    assert_type(bp.frames.from_local(local), RemoteDataFrame)
    assert_type(bp.frames.from_local(local.lazy(), "b@localhost"), RemoteLazyFrame)
    assert_type(bp.frames.from_local(local["a"], node="b@localhost"), RemoteSeries)
    bp.frames.from_local([1, 2])  # type: ignore[call-overload]  # pyright: ignore
