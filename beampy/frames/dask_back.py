"""`bp.frames.from_dask(ddf, client)`: a dask dataframe as a partitioned one, on the runners that have computed it.

Rule: nothing of the data goes through the process that asks. A task makes a polars frame of each partition, and leaves
it with its runner; what comes back is where it is, and who asked fetches a reference to it there. What is left is kept
as long as dask keeps that answer: until all are fetched, or one has failed, or the client is closed.

Place: the way back of dask_frames.py. `leave` runs in workers, `fetched` where it has left something.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

import itertools
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy import api
from beampy.core.current import here
from beampy.errors import CallFailed, OwnerLost
from beampy.frames.dask_packages import FRAMES, PANDAS, need
from beampy.frames.dataframe import RemoteDataFrame
from beampy.frames.due import Due
from beampy.frames.evaluate import Made
from beampy.frames.partitions import concat
from beampy.otp.rpc import remote_call
from beampy.refs.service import refs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beampy.core.node import LocalNode
    from beampy.frames.partitioned import PartitionedFrame
    from beampy.refs.ref import RemoteRef

RUNS = ("running", "paused", "closing_gracefully")  # a worker, as dask calls it
LOOK = 5.0  # seconds between two looks whether dask still wants what is left: it says so to nobody

_left: dict[int, Left] = {}  # on a runner, by number
_numbers = itertools.count(1)


def from_dask(ddf: Any, client: Any) -> Any:
    """The partitions of a dask dataframe, computed, as a PartitionedFrame whose partitions stay where dask had them.

    client: one of `pool.dask()`. On a thread it is there when this returns; with a client of async code, `await` it.
    The index of pandas is left behind: `ddf.reset_index()` makes columns of it. OwnerLost where a runner is lost
    meanwhile; TypeError for what is no dask dataframe; what a task of dask raises.

    >>> by_tail = bp.frames.from_dask(ddf.shuffle("tailnum"), client)
    >>> await by_tail.map_partitions(turnarounds).collect()
    """
    from beampy.frames.dask_client import AsyncPoolClient, PoolClient

    if not isinstance(client, (PoolClient, AsyncPoolClient)):
        raise TypeError(f"from_dask: the client is to be one of pool.dask(), and not {client!r:.200}")
    need("from_dask", *FRAMES)
    import dask
    import dask.dataframe as dd

    if not isinstance(ddf, dd.DataFrame):
        series = "; its .to_frame() is one" if isinstance(ddf, dd.Series) else ""
        raise TypeError(f"from_dask: a dask dataframe is wanted, and not a {type(ddf).__name__}{series}")
    node = client.cluster.manager.node
    tasks = [dask.delayed(leave, pure=False)(part) for part in ddf.to_delayed()]
    if isinstance(client, AsyncPoolClient):
        return _fetch_async(client, tasks)
    if node.thread == get_ident():
        raise RuntimeError(
            "from_dask: in async code use a client of `await pool.dask(asynchronous=True)`, and await this"
        )
    with _kept(client.compute(tasks)) as answers:
        places = client.gather(answers)
        return api.submit(node.voice, lambda: _fetch(places), "from_dask").result()


async def _fetch_async(client: Any, tasks: list[Any]) -> PartitionedFrame:
    with _kept(client.compute(tasks)) as answers:
        return await _fetch(await client.gather(answers))


@contextmanager
def _kept(answers: list[Any]) -> Iterator[list[Any]]:
    """Until all is fetched, or something fails, whose traceback would keep them; tasks that still run stop then."""
    try:
        yield answers
    finally:
        for answer in answers:
            answer.release()


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


class Left:
    """A frame that a task has left on its runner."""

    def __init__(self, node: LocalNode, ref: RemoteRef[Any], worker: Any) -> None:
        self.node = node
        self.ref = ref
        self.worker = worker
        self.key = worker.get_current_task()
        self.number = next(_numbers)
        _left[self.number] = self
        node.loop.call_soon_threadsafe(node.loop.call_later, LOOK, self.look)

    def wanted(self) -> bool:
        """Whether dask still has the task, or its answer. Any thread."""
        return self.worker.status.name in RUNS and self.key in self.worker.state.tasks

    def look(self) -> None:
        """Go, where nobody will fetch it."""
        if not self.wanted():
            _left.pop(self.number, None)
        elif self.number in _left:
            self.node.loop.call_later(LOOK, self.look)


def leave(part: Any) -> tuple[str, int]:
    """A partition, left on the node of this worker: where, and under which number."""
    from distributed import get_worker

    node = here("from_dask").node
    need("from_dask", *PANDAS, node=node.name)
    left = Left(node, refs_of(node).own(pl.from_pandas(part), "from_dask"), get_worker())
    return node.name, left.number


async def fetched(number: int) -> tuple[RemoteRef[Any], tuple[int, ...]]:
    """The reference to what was left here, once. The answer holds it."""
    left = _left.pop(number, None)
    if left is None:
        name = here("from_dask").node.name
        raise OwnerLost(name, "a partition of a dask dataframe", "dask has let go of it; compute it again")
    return left.ref, left.ref.refs.value(left.ref.id).shape
