"""What type checkers must see of remote frames' methods. Checked, never run: `tests/meta/test_typing.py`.

The methods are polars', with its parameters; what they give is there, as a handle, or comes here, as a Handle.
"""

from __future__ import annotations

import datetime
from typing import Any, assert_type

import polars as pl

import beampy as bp
from beampy.frames import (
    RemoteDataFrame,
    RemoteGroupBy,
    RemoteLazyFrame,
    RemoteLazyGroupBy,
    RemoteSeries,
    RemoteWindowGroupBy,
)


async def frames(df: RemoteDataFrame, other: RemoteDataFrame, local: pl.DataFrame) -> None:
    assert_type(df.filter(pl.col("a") > 1), RemoteDataFrame)
    assert_type(await df, RemoteDataFrame)
    assert_type(df.wait(timeout=5), RemoteDataFrame)
    assert_type(await df.filter(pl.col("a") > 1).height, int)
    assert_type(df.shape, bp.Handle[tuple[int, int]])
    assert_type(await df.columns, list[str])
    assert_type(df.width.result(), int)
    assert_type(await df.schema, pl.Schema)
    assert_type(df.join(other, on="a"), RemoteDataFrame)
    assert_type(df.join(local, on="a", how="left", validate="1:m"), RemoteDataFrame)
    assert_type(df.with_columns(other["b"], c=df["a"] + 1), RemoteDataFrame)
    assert_type(df.hstack([df["a"].alias("b")]), RemoteDataFrame)
    assert_type(df.vstack(other).unique(maintain_order=True), RemoteDataFrame)
    assert_type(await df.equals(other), bool)
    assert_type(await df.to_dicts(), list[dict[str, Any]])
    assert_type(await df.rows(), list[tuple[Any, ...]])
    assert_type(await df.rows(named=True), list[dict[str, Any]])
    assert_type(await df.write_csv(), str)
    assert_type(await df.write_csv("a.csv"), None)
    assert_type(await df.partition_by("a"), list[RemoteDataFrame])
    assert_type(await df.get_columns(), list[RemoteSeries])
    assert_type(await df.glimpse(return_type="string"), str)
    assert_type(df.to_series(), RemoteSeries)
    assert_type(df.describe(), RemoteDataFrame)
    df.columns = ["a", "b"]
    df.filter(pl.col("a") > 1, nothing=2)
    df.plot  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018
    df.write_clipboard()  # type: ignore[attr-defined]  # pyright: ignore
    df.filtre(pl.col("a") > 1)  # type: ignore[attr-defined]  # pyright: ignore
    df.join("a")  # type: ignore[arg-type]  # pyright: ignore
    df.head("5")  # type: ignore[arg-type]  # pyright: ignore
    df.head(n=5, m=6)  # type: ignore[call-arg]  # pyright: ignore
    len(df)  # type: ignore[arg-type]  # pyright: ignore
    "a" in df  # type: ignore[misc]  # pyright: ignore  # noqa: B015
    for _ in df:  # type: ignore[misc]  # pyright: ignore
        pass


async def our_own(df: RemoteDataFrame, series: RemoteSeries, plan: RemoteLazyFrame) -> None:
    assert_type(df.collect(), bp.Handle[pl.DataFrame])
    assert_type(await df.collect(limit=1_000_000), pl.DataFrame)
    assert_type(await series.collect(), pl.Series)
    assert_type(await plan.collect(), pl.DataFrame)
    assert_type(plan.compute(), RemoteDataFrame)
    assert_type(await plan.collect_schema(), pl.Schema)
    assert_type(await plan.columns, list[str])
    assert_type(df.to_node("b@localhost"), RemoteDataFrame)
    assert_type(series.to_node("b@localhost"), RemoteSeries)
    assert_type(df.node, str | None)
    assert_type(df.nbytes, int)
    assert_type(df.done(), bool)
    assert_type(df.lazy(), RemoteLazyFrame)
    with df as held:
        assert_type(held, RemoteDataFrame)
    async for part in df.iter_slices(1_000):
        assert_type(part, pl.DataFrame)
    for part in df.iter_slices(1_000):
        assert_type(part, pl.DataFrame)
    assert_type(df.pipe(lambda frame, n: frame.head(n), 5), RemoteDataFrame)
    assert_type(df.pipe(how_many, "a", end=True), bp.Handle[int])
    df.pipe(how_many, 5)  # type: ignore[arg-type]  # pyright: ignore
    df.collect(5)  # type: ignore[call-arg]  # pyright: ignore


def how_many(df: RemoteDataFrame, name: str, *, end: bool = False) -> bp.Handle[int]:
    return df.select(name).n_unique()


async def plans(plan: RemoteLazyFrame, df: RemoteDataFrame) -> None:
    assert_type(plan.filter(pl.col("a") > 1).group_by("a").len(), RemoteLazyFrame)
    assert_type(plan.group_by("a"), RemoteLazyGroupBy)
    assert_type(plan.join(df.lazy(), on="a"), RemoteLazyFrame)
    assert_type(plan.join(pl.LazyFrame({"a": [1]}), on="a"), RemoteLazyFrame)
    assert_type(plan.describe(), RemoteDataFrame)
    assert_type(await plan.explain(), str)
    assert_type(plan[1:3], RemoteLazyFrame)
    await plan.sink_parquet("a.parquet")
    plan["a"]  # type: ignore[index]  # pyright: ignore
    plan.show_graph()  # type: ignore[attr-defined]  # pyright: ignore
    plan.height  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018


async def groups(df: RemoteDataFrame) -> None:
    assert_type(df.group_by("a", maintain_order=True), RemoteGroupBy)
    assert_type(df.group_by("a").agg(pl.col("b").sum(), c=pl.len()), RemoteDataFrame)
    assert_type(df.group_by("a").having(pl.len() > 1).len(), RemoteDataFrame)
    assert_type(df.rolling("a", period="2d"), RemoteWindowGroupBy)
    assert_type(df.rolling("a", period="2d").agg(pl.len()), RemoteDataFrame)
    df.rolling("a", period="2d").mean()  # type: ignore[attr-defined]  # pyright: ignore
    assert_type(df.group_by_dynamic("a", every=datetime.timedelta(1)).agg(pl.len()), RemoteDataFrame)
    assert_type(df.group_by("a").map_groups(lambda group: group.head(1)), RemoteDataFrame)
    for _ in df.group_by("a"):  # type: ignore[attr-defined]  # pyright: ignore
        pass
