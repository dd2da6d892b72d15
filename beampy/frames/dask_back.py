"""`bp.frames.from_dask(ddf, client)`: a dask dataframe as a partitioned one, on the runners that have computed it.

Rule: nothing of the data goes through the process that asks. A task makes a polars frame of each partition, and leaves
it with its runner; what comes back is where it is, and who asked fetches a reference to it there. One that nobody
fetches, as dask has run its task twice, is free after LEFT seconds.

Place: the way back of dask_frames.py. `leave` runs in workers, `fetched` where it has left something.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

import itertools
from threading import get_ident
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy import api
from beampy.core.current import here
from beampy.errors import CallFailed, OwnerLost
from beampy.frames.dataframe import RemoteDataFrame
from beampy.frames.due import Due
from beampy.frames.evaluate import Made
from beampy.frames.partitions import concat
from beampy.otp.rpc import remote_call
from beampy.refs.service import refs_of

if TYPE_CHECKING:
    from beampy.frames.partitioned import PartitionedFrame
    from beampy.refs.ref import RemoteRef

LEFT = 300.0  # seconds from the end of a task to that of the last one, after which all are fetched: a long computation

_left: dict[int, RemoteRef[Any]] = {}  # on a runner, by number
_numbers = itertools.count(1)


def from_dask(ddf: Any, client: Any) -> Any:
    """The partitions of a dask dataframe, computed, as a PartitionedFrame whose partitions stay where dask had them.

    client: one of `pool.dask()`. On a thread it is there when this returns; with a client of async code, `await` it.
    The index of pandas is left behind: `ddf.reset_index()` makes columns of it. OwnerLost where a runner is lost
    meanwhile; what a task of dask raises.

    >>> by_tail = bp.frames.from_dask(ddf.shuffle("tailnum"), client)
    >>> await by_tail.map_partitions(turnarounds).collect()
    """
    from beampy.frames.dask_client import AsyncPoolClient, PoolClient

    if not isinstance(client, (PoolClient, AsyncPoolClient)):
        raise TypeError(f"from_dask: the client is to be one of pool.dask(), and not {client!r:.200}")
    import dask

    node = client.cluster.manager.node
    tasks = [dask.delayed(leave, pure=False)(part) for part in ddf.to_delayed()]
    if isinstance(client, AsyncPoolClient):
        return _fetch_async(client, tasks)
    if node.thread == get_ident():
        raise RuntimeError(
            "from_dask: in async code use a client of `await pool.dask(asynchronous=True)`, and await this"
        )
    places = client.gather(client.compute(tasks))
    return api.submit(node.voice, lambda: _fetch(places), "from_dask").result()


async def _fetch_async(client: Any, tasks: list[Any]) -> PartitionedFrame:
    return await _fetch(await client.gather(client.compute(tasks)))


async def _fetch(places: list[tuple[str, int]]) -> PartitionedFrame:
    """What was left at these places, in a process of the node."""
    asked = [remote_call.options(capture=False)(node, fetched, number) for node, number in places]
    frames = []
    for (node, number), each in zip(places, asked, strict=True):
        try:
            ref, shape = await each
        except CallFailed as error:
            raise OwnerLost(node, f"partition {number} of a dask dataframe", f"{error}; compute it again") from None
        frames.append(RemoteDataFrame(Due.known(here("from_dask").node, Made(ref, "DataFrame", shape))))
    return concat(frames)


def leave(part: Any) -> tuple[str, int]:
    """A partition, left on the node of this worker: where, and under which number."""
    node, number = here("from_dask").node, next(_numbers)
    _left[number] = refs_of(node).own(pl.from_pandas(part), "from_dask")
    node.loop.call_soon_threadsafe(lambda: node.loop.call_later(LEFT, _left.pop, number, None))
    return node.name, number


async def fetched(number: int) -> tuple[RemoteRef[Any], tuple[int, ...]]:
    """The reference to what was left here, once. The answer holds it."""
    ref = _left.pop(number, None)
    if ref is None:
        name = here("from_dask").node.name
        raise OwnerLost(
            name, "a partition of a dask dataframe", f"nobody fetched it within {LEFT:g} s; compute it again"
        )
    return ref, ref.refs.value(ref.id).shape
