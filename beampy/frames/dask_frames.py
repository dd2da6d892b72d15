"""`frame.to_dask(client)`: a dask dataframe whose partitions are taken from the memory of the runners that have them.

Rule: nothing of the data goes through the process that asks. Each partition is a Part (dask_parts.py). The task that
reads it prefers the worker in that node's own process, where the frame is there already; on any other worker it is
brought from its node directly. It is a pandas frame only as long as dask has it.

How long a frame is kept: as long as somebody here can have dask read it. That is who has the dask frame, or one that
was made of it, what a client is just sending, and the scheduler, until it has forgotten the tasks: all of them have
the Parts. When the client closes its scheduler goes, and with it all that it had.

What is what there: numbers are numpy's, integers and booleans with nulls pandas' nullable ones, text is Arrow's, dates
are datetime64, enums are categories; categoricals are text, as each partition has categories of its own. Other types
are objects, as polars' to_pandas has them.

Place: over dask_cluster.py, which knows the workers; `take` runs in their threads.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false
from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy import api
from beampy.core.current import here
from beampy.frames.dask_packages import FRAMES, PANDAS, need
from beampy.frames.dask_parts import Part, frame_of
from beampy.frames.frame import RemoteFrame
from beampy.frames.lazyframe import RemoteLazyFrame

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import dask.dataframe as dd
    import pandas as pd

    from beampy.refs.ref import RemoteRef


def to_dask(partitions: Sequence[Any], client: Any) -> Any:
    """A dask dataframe of these partitions, remote frames or plans, in their order. Plans are carried out first.

    client: one of `pool.dask()`, whose workers can reach the frames. On a thread it is there when this returns; with a
    client of async code, `await` it. SchemaError of polars where the partitions are not of one schema; OwnerLost where
    one is lost; TypeError for a client of other workers; ImportError where pandas or dask's dataframes are missing.

    >>> ddf = to_dask(frame.partitions, pool.dask())
    >>> ddf.groupby("carrier").arr_delay.mean().compute()
    """
    from beampy.frames.dask_client import AsyncPoolClient, PoolClient

    if not isinstance(client, (PoolClient, AsyncPoolClient)):
        raise TypeError(f"to_dask: the client is to be one of pool.dask(), and not {client!r:.200}")
    if not partitions:
        raise ValueError("to_dask: there is no partition")
    need("to_dask", *FRAMES)
    node = client.cluster.manager.node
    if isinstance(client, AsyncPoolClient):
        return _read(list(partitions), client)
    if node.thread == get_ident():
        raise RuntimeError(
            "to_dask: in async code use a client of `await pool.dask(asynchronous=True)`, and await this"
        )
    return api.submit(node.voice, lambda: _read(list(partitions), client), "to_dask").result()


async def _read(partitions: list[Any], client: Any) -> dd.DataFrame:
    """The same, on any loop."""
    frames = [each.compute() if isinstance(each, RemoteLazyFrame) else each for each in partitions]
    for frame in frames:
        if not isinstance(frame, RemoteFrame):
            raise TypeError(f"to_dask: a partition is a remote frame, and not a {type(frame).__name__}")
    refs = [(await frame).ref for frame in frames]
    asked = [ref.apply(about) for ref in refs]
    told = [await each for each in asked]
    return _collection(client, refs, told)


def about(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """What a meta is made of, asked where the frame is: none of its rows, and the columns that have nulls."""
    nulls = frame.null_count().row(0) if frame.width else ()
    return frame.clear(), [name for name, count in zip(frame.columns, nulls, strict=True) if count]


def _collection(
    client: Any, refs: Sequence[RemoteRef[Any]], told: Sequence[tuple[pl.DataFrame, list[str]]]
) -> dd.DataFrame:
    import dask
    import dask.dataframe as dd

    empty = told[0][0]
    for ref, (other, _) in zip(refs, told, strict=True):
        if other.schema != empty.schema:
            raise pl.exceptions.SchemaError(
                f"to_dask: the partition on {ref.node} has {dict(other.schema)}, and the first one, on {refs[0].node}, "
                f"{dict(empty.schema)}; cast or select them alike"
            )
    nullable = frozenset(name for _, names in told for name in names)
    client.cluster.nearness()
    parts = [Part.of(ref) for ref in refs]
    with dask.config.set({"dataframe.convert-string": False}):  # text is Arrow's already
        return dd.from_map(
            take, parts, nullable=nullable, meta=as_pandas(empty, nullable), label="polars", enforce_metadata=False
        )


def take(part: Part, nullable: Collection[str] = frozenset(), columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A partition as a pandas frame, in a worker. `columns`: only these."""
    need("to_dask", *PANDAS, node=here("to_dask").node.name)
    frame = frame_of(part)
    return as_pandas(frame if columns is None else frame.select(columns), nullable)


def as_pandas(frame: pl.DataFrame, nullable: Collection[str] = frozenset()) -> pd.DataFrame:
    """A polars frame as pandas. `nullable`: the columns that are to be able to have nulls, whatever they have here.

    >>> as_pandas(pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), {"a"}).dtypes.tolist()
    [Int64Dtype(), <StringDtype(storage='pyarrow', na_value=<NA>)>]
    """
    import pandas as pd

    frame = frame.with_columns(pl.selectors.categorical().cast(pl.String))
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        pandas_type = _extension(frame.schema[name], name in nullable)
        mapper = None if pandas_type is None else {column.type: pandas_type}.get
        columns[name] = column.to_pandas(types_mapper=mapper, date_as_object=False)
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows), copy=False)


def _extension(dtype: pl.DataType, nullable: bool) -> Any:
    """The type of pandas' own that a column is to have. None: numpy's, or an object."""
    import pandas as pd

    if dtype == pl.String:
        return pd.StringDtype("pyarrow")
    if not nullable:
        return None
    if dtype == pl.Boolean:
        return pd.BooleanDtype()
    if dtype.is_integer():
        return pd.api.types.pandas_dtype(str(dtype))
    return None
