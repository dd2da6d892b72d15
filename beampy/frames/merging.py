"""Merging: one frame of what partitions have given: aggregations, and the first rows.

Rule: the partials are put together on the node that has most of their bytes; the others come to it directly, from
node to node. What is lost with a node before it was merged is computed again where the partition can be had again,
and merged again.

Place: over queries.py. The plans are aggregates.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.errors import MergeTooLarge, OwnerLost, RefExpired
from beampy.frames import asking, queries
from beampy.frames.asking import Query, Scan
from beampy.frames.due import Due
from beampy.frames.frame import KINDS
from beampy.frames.placing import Operand, place
from beampy.frames.tree import Call, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from beampy.frames.aggregates import Aggregation
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.evaluate import Made
    from beampy.frames.partitions import Source

# Bytes of values that are moved to one node for a median, a quantile, lists or n_unique: 1 GB, as is brought without a
# word.
GATHERED = asking.WARN_AT
REMEDY = "aggregate it by more keys or of fewer rows; to_dask(client) hands the frame to an engine that shuffles"


def aggregated(
    source: Source, steps: tuple[Step, ...], plan: Callable[[pl.Schema], Aggregation], what: str
) -> RemoteDataFrame:
    """An aggregation: a handle of its result at once. `plan` makes it of the columns after the steps."""

    async def work() -> Made:
        ready = await queries.prepared(source, steps)
        return await _aggregated(ready, plan(ready.schema))

    return begun(source, work, what)


def begun(source: Source, work: Callable[[], Any], what: str) -> RemoteDataFrame:
    """A handle of the frame that some work makes, which has begun."""
    import beampy.frames.dataframe  # noqa: F401 - which says how handles are made

    frame: RemoteDataFrame = KINDS["DataFrame"](Due(source.node, f"{what} of a partitioned frame").begin(work))
    return frame


async def _aggregated(ready: queries.Ready, plan: Aggregation) -> Made:
    partial = tuple(Step(*verb) for verb in plan.partial)
    merge = (Step("lazy", (), {}), *(Step(*verb) for verb in plan.merge))
    limit = GATHERED if plan.gathers else None
    what = f"{' and '.join(sorted(set(plan.gathers)))} of a partitioned frame"
    parts = await ready.source.parts()
    found = await queries.computed(ready, partial)
    while True:
        try:
            return await merged(ready.source, found, merge, limit, what)
        except (OwnerLost, RefExpired) as error:
            lost = [number for number, made in enumerate(found) if made.ref.node == error.node]
            if not lost:
                raise
            # Where the partition was on that node as well this fails, or has it elsewhere: so it ends.
            again = await queries.computed(ready, partial, [parts[number] for number in lost])
            for number, made in zip(lost, again, strict=True):
                found[number] = made


async def merged(source: Source, found: list[Made], steps: tuple[Step, ...], limit: int | None, what: str) -> Made:
    """One frame of several, in their order, and steps of it, on the node that has most of them."""
    target = place([Operand(made.ref.node, made.ref.nbytes) for made in found])
    moved = sum(made.ref.nbytes for made in found if made.ref.node != target)
    if limit is not None and moved > limit:
        raise MergeTooLarge(what, moved, limit, REMEDY)
    frames = [KINDS["DataFrame"](Due.known(source.node, made)) for made in found]
    return await queries.made(source.node, Query(Scan(target, Call("concat", (frames,), {"rechunk": False})), steps))


def head(source: Source, steps: tuple[Step, ...], n: int) -> RemoteDataFrame:
    """The first rows: of the first partition, and of more only where that has not so many."""

    async def work() -> Made:
        ready = await queries.prepared(source, steps)
        found: list[Made] = []
        left = n
        for part in await source.parts():

            async def ask(part: Any, query: Query, left: int = left) -> Made:
                rows = Step("head", (left,), {})
                query = await queries.planned(ready, part, query, (rows, queries.COLLECT))
                return await queries.made(source.node, query)

            made = await queries.one(part, ask)
            rows = 0 if made.shape is None else made.shape[0]
            if rows or not found:
                found = [made] if found and not _rows(found[0]) else [*found, made]
            left -= rows
            if left <= 0:
                break
        return found[0] if len(found) == 1 else await merged(source, found, (), None, "head")

    return begun(source, work, "head")


def _rows(made: Made) -> int:
    return 0 if made.shape is None else made.shape[0]
