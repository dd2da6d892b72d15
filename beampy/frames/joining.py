"""Joining: a small frame that goes to every node of a partitioned one, and is joined with each partition there.

Rule: it moves once to each node, directly from where it is, when a partition there needs it first; the partitions
stay. It is refused when it has more than `limit` bytes, before anything moves. A plan is carried out once, where it
is.

Place: an argument of the step `join`, which queries.py puts the copy for in.
"""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy.errors import MergeTooLarge, NotAFrame
from beampy.frames import asking
from beampy.frames.asking import Query
from beampy.frames.tree import Step

if TYPE_CHECKING:
    from beampy.core.node import LocalNode
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.lazyframe import RemoteLazyFrame

# Bytes of a frame that is sent to every node: 256 MB, what other engines take for small (Dux; Spark has 10 MB, and 8 GB
# as the most). With four nodes it is a second on a gigabyte network.
BROADCAST = 256_000_000
REMEDY = "join(…, limit=bytes) allows more; to_dask(client) hands both to an engine that shuffles"


class Small:
    """A frame that goes to every node. `given` is a frame or a plan, of polars here or of a node."""

    def __init__(self, node: LocalNode, given: Any, limit: int) -> None:
        from beampy.frames.dataframe import RemoteDataFrame
        from beampy.frames.lazyframe import RemoteLazyFrame

        if not isinstance(given, (pl.DataFrame, pl.LazyFrame, RemoteDataFrame, RemoteLazyFrame)):
            raise NotAFrame("join", type(given).__name__, "DataFrame or LazyFrame, here or of a node")
        self._node = node
        self._given = given.clone() if isinstance(given, pl.DataFrame) else copy(given)  # as it is now
        self._limit = limit
        self._made: RemoteDataFrame | None = None
        self._columns: pl.Schema | None = None
        self._copies: dict[str, RemoteDataFrame] = {}
        self._making = asyncio.Lock()

    async def columns(self) -> pl.Schema:
        """Its columns."""
        if self._columns is None:
            if isinstance(self._given, (pl.DataFrame, pl.LazyFrame)):
                self._columns = self._given.collect_schema()
            else:
                query = self._given.lazy()._query
                steps = (*query.steps, Step("collect_schema", (), {}))
                self._columns = await asking.ask(self._node, Query(query.root, steps), "")
        assert self._columns is not None
        return self._columns

    async def on(self, node: str) -> RemoteLazyFrame:
        """It on a node, as an argument of a plan there."""
        made = await self.made()
        copy = self._copies.get(node)
        if copy is None or _is_lost(copy):
            copy = self._copies[node] = made.to_node(node)
        try:
            await copy
            return copy.lazy()
        except Exception:
            if self._copies.get(node) is copy:
                del self._copies[node]
            raise
        finally:
            del copy  # a failure has this frame in its traceback: they are not to keep each other

    async def made(self) -> RemoteDataFrame:
        """The frame, where it is now. Its failure; MergeTooLarge."""
        async with self._making:
            if self._made is None:
                self._made = await self._there()
            return self._made

    async def _there(self) -> RemoteDataFrame:
        from beampy.frames.moving import from_local

        given = self._given
        if isinstance(given, pl.LazyFrame):
            given = await asyncio.to_thread(given.collect)
        if isinstance(given, pl.DataFrame):
            self._check(int(given.estimated_size()))
            made: RemoteDataFrame = await from_local(given)
            return made
        made = await given.compute()
        self._check(made.nbytes)
        return made

    def _check(self, nbytes: int) -> None:
        if nbytes > self._limit:
            raise MergeTooLarge("join with this frame, on each node,", nbytes, self._limit, REMEDY)

    def __repr__(self) -> str:
        return f"<{type(self._given).__name__} for every node>"


def _is_lost(copy: RemoteDataFrame) -> bool:
    """Whether a copy has failed, or its node is gone."""
    if not copy.done():
        return False
    due = copy._due
    if not due.ready:
        return True
    ref = due.there().ref
    return not ref.refs.is_own(ref.id) and ref.refs.trouble(ref.id) is not None
