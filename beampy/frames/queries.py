"""Queries of partitioned frames: the partitions are asked all at the same time, and all have to answer.

Rule: before any row is computed the columns of all partitions are compared, and every step is checked against them.
Then each partition is asked once, for all steps together, so that polars optimises them as one plan; PER_NODE of them
at a time on a node. One that fails is had again where it can be and its node was lost, else it is the query's
failure, by its name, and the others are cancelled. Nothing is ever left out.

Place: under partitioned.py, over asking.py. What parts are is partitions.py's; what may be pushed is pushing.py's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from beampy.errors import (
    EncodeError,
    MergeTooLarge,
    NodeDown,
    NotConnected,
    NotPartitioned,
    OwnerLost,
    PartitionFailed,
    PartitionsDiffer,
    RefExpired,
)
from beampy.frames import asking
from beampy.frames.asking import Query
from beampy.frames.evaluate import Made
from beampy.frames.expressions import empty
from beampy.frames.joining import Small
from beampy.frames.partitions import failed
from beampy.frames.pushing import checked
from beampy.frames.tree import Step, changed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    import polars as pl

    from beampy.core.node import LocalNode
    from beampy.frames.partitions import Part, Source

T = TypeVar("T")

# Partitions that are asked at a time of a node: polars uses all cores for one, and the next one is at hand.
PER_NODE = 2
LOST = (OwnerLost, RefExpired, NodeDown, NotConnected)  # the node, or what it had, is gone
# Errors of the query, and not of one partition.
OURS = (EncodeError, MergeTooLarge, NotPartitioned, PartitionFailed, PartitionsDiffer)
COLLECT = Step("collect", (), {})


class Ready(NamedTuple):
    """A query whose columns are known and whose steps are checked."""

    source: Source
    steps: tuple[Step, ...]
    schema: pl.Schema


async def prepared(source: Source, steps: tuple[Step, ...]) -> Ready:
    """The columns and the steps of a query. PartitionsDiffer, NotPartitioned, PartitionFailed; PolarsError."""
    schema = await schema_of(source)
    found: list[Step] = []
    for step in steps:
        small = next((each for each in step.args or () if isinstance(each, Small)), None)
        if small is not None:
            columns = await small.columns()
            blank = Step(step.name, (empty(columns), *(step.args or ())[1:]), step.kwargs)
            _, schema = checked(blank, schema)
            await small.made()
            found.append(step)
            continue
        sent, schema = checked(step, schema)
        found.append(sent)
    return Ready(source, tuple(found), schema)


async def schema_of(source: Source) -> pl.Schema:
    """The columns of every partition. PartitionsDiffer where they have not the same ones."""
    known = source.schema
    if known is None:
        parts = await source.parts()

        async def ask(part: Part, query: Query) -> Any:
            steps = (*query.steps, Step("collect_schema", (), {}))
            return await asking.ask(source.node, Query(query.root, steps), "")

        found = await every(source, ask)
        for part, schema in zip(parts, found, strict=True):
            _compare(parts[0], found[0], part, schema)
        known = source.schema = found[0]
    return known


def _compare(first: Part, expected: pl.Schema, part: Part, found: pl.Schema) -> None:
    if list(found.items()) == list(expected.items()):
        return
    for name in {**expected, **found}:
        if found.get(name) != expected.get(name):
            break
    else:  # the same ones in another order
        name = next(one for one, other in zip(found, expected, strict=True) if one != other)
        raise _differ(part, name, f"number {list(found).index(name)}", first, f"number {list(expected).index(name)}")
    raise _differ(part, name, _shown(found.get(name)), first, _shown(expected.get(name)))


def _differ(part: Part, column: str, found: str, first: Part, expected: str) -> PartitionsDiffer:
    return PartitionsDiffer(part.number, part.what, part.where, column, found, first.number, first.where, expected)


def _shown(dtype: Any) -> str:
    return "no column at all" if dtype is None else str(dtype)


# asking all


async def every(
    source: Source, ask: Callable[[Part, Query], Awaitable[T]], parts: Sequence[Part] | None = None
) -> list[T]:
    """What each partition answers, in their order. PartitionFailed for the first that has none."""
    gates: dict[str, asyncio.Semaphore] = {}
    asked = await source.parts() if parts is None else parts
    return await together([one(part, ask, gates) for part in asked])


async def one(
    part: Part, ask: Callable[[Part, Query], Awaitable[T]], gates: dict[str, asyncio.Semaphore] | None = None
) -> T:
    """What one partition answers. PartitionFailed."""
    attempts = 0
    while True:
        attempts += 1
        at = part.where
        try:
            query = await part.query()
            at = part.where
            gate = None if gates is None else gates.setdefault(at, asyncio.Semaphore(PER_NODE))
            if gate is None:
                return await ask(part, query)
            async with gate:
                return await ask(part, query)
        except OURS:
            raise
        except Exception as error:
            lost = isinstance(error, LOST) and getattr(error, "node", at) == at
            # Queries share their parts: another one may have had it elsewhere meanwhile.
            if not lost or not (part.where != at or part.again(error)):
                raise failed(part, error, attempts, at) from error


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all. The first failure is raised, when the others have been cancelled and have ended."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION) if tasks else (set(), set())
        for task in tasks:
            if task in done and not task.cancelled() and task.exception() is not None:
                raise task.exception() or AssertionError
        return [task.result() for task in tasks]
    finally:
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # seen: one of them is raised
        del tasks, left


# what is asked


async def planned(ready: Ready, part: Part, query: Query, extra: tuple[Step, ...] = ()) -> Query:
    """The plan of a partition with all steps, and small frames in them that are on its node."""

    async def placed(step: Step) -> Step:
        smalls = [each for each in step.args or () if isinstance(each, Small)]
        if not smalls:
            return step
        there = {id(small): await small.on(part.where) for small in smalls}
        return Step(step.name, changed(step.args, lambda value: there.get(id(value), value)), step.kwargs)

    steps = [await placed(step) for step in ready.steps]
    return Query(query.root, (*query.steps, *steps, *extra))


async def made(node: LocalNode, query: Query) -> Made:
    """The frame that a query gives, which stays where it is made."""
    return Made(*await asking.ask(node, query, "DataFrame"))


async def computed(ready: Ready, extra: tuple[Step, ...] = (), parts: Sequence[Part] | None = None) -> list[Made]:
    """The partitions with all steps, as frames that stay on their nodes."""
    node = ready.source.node

    async def ask(part: Part, query: Query) -> Made:
        return await made(node, await planned(ready, part, query, (*extra, COLLECT)))

    return await every(ready.source, ask, parts)


async def answers(ready: Ready, *extra: Step) -> list[Any]:
    """What the last of some further steps gives at each partition: a value."""
    node = ready.source.node

    async def ask(part: Part, query: Query) -> Any:
        return await asking.ask(node, await planned(ready, part, query, extra), "")

    return await every(ready.source, ask)
