"""Dataframes that stay on other nodes: `bp.frames`. Polars' own methods, carried out where the data is. See FRAMES.md.

df = bp.frames.on("b@localhost").read_parquet("flights.parquet")
await df.filter(pl.col("arr_delay") > 60).group_by("carrier").len().collect()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beampy.frames.dask_back import from_dask as from_dask
    from beampy.frames.dataframe import RemoteDataFrame as RemoteDataFrame
    from beampy.frames.grouped import RemoteGroupBy as RemoteGroupBy
    from beampy.frames.grouped import RemoteLazyGroupBy as RemoteLazyGroupBy
    from beampy.frames.grouped import RemoteWindowGroupBy as RemoteWindowGroupBy
    from beampy.frames.lazyframe import RemoteLazyFrame as RemoteLazyFrame
    from beampy.frames.moving import from_local as from_local
    from beampy.frames.partitioned import PartitionedFrame as PartitionedFrame
    from beampy.frames.partitioned_groups import PartitionedGroupBy as PartitionedGroupBy
    from beampy.frames.partitions import concat as concat
    from beampy.frames.place import Place as Place
    from beampy.frames.place import on as on
    from beampy.frames.scanning import Over as Over
    from beampy.frames.scanning import over as over
    from beampy.frames.series import RemoteSeries as RemoteSeries

_HOMES = {
    "beampy.frames.dask_back": "from_dask",
    "beampy.frames.dataframe": "RemoteDataFrame",
    "beampy.frames.grouped": "RemoteGroupBy RemoteLazyGroupBy RemoteWindowGroupBy",
    "beampy.frames.lazyframe": "RemoteLazyFrame",
    "beampy.frames.moving": "from_local",
    "beampy.frames.scanning": "Over over",
    "beampy.frames.partitioned": "PartitionedFrame",
    "beampy.frames.partitioned_groups": "PartitionedGroupBy",
    "beampy.frames.partitions": "concat",
    "beampy.frames.place": "Place on",
    "beampy.frames.series": "RemoteSeries",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'beampy.frames' has no attribute {name!r}")
    try:
        importlib.import_module("beampy.frames.dataframe")  # all handles know each other
    except ModuleNotFoundError as error:
        if error.name != "polars":
            raise
        raise ModuleNotFoundError(
            "bp.frames needs polars, and pyarrow to move frames fast: pip install 'beampy[frames]'", name="polars"
        ) from error
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
