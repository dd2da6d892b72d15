"""Partitions: the parts of a partitioned frame, where each is, and how it is had again when its node is lost.

| part | it is | when its node is lost |
| --- | --- | --- |
| FilePart | a scan of one file, on one of several nodes | another of these nodes scans it |
| ItemPart | what a function has made on a runner, of one item | it is made again, `retries` times |
| FramePart | a frame or a plan that somebody has made | the query fails |
| MadePart (computed.py) | what steps have made of another part | that one is had again, and the steps are done again |

Rule: the order of the parts is the order of the rows. A part is one file: its row groups stay together. Files are
dealt by their sizes (dealing.py). What a part is, is known at once for items and frames, and for files when they have
been listed.

Place: under partitioned.py; queries.py asks them. They are made by scanning.py, `pool.frames` and `concat`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from beampy.errors import NotAFrame, OwnerLost, PartitionFailed
from beampy.frames import evaluate
from beampy.frames.asking import Query, Remote, Scan
from beampy.frames.dealing import dealt, least
from beampy.frames.due import Due
from beampy.frames.evaluate import Made
from beampy.frames.floor import up
from beampy.frames.tree import Call, Step
from beampy.otp.rpc_function import kind_of, shown, streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import polars as pl

    from beampy.core.node import LocalNode
    from beampy.frames.partitioned import PartitionedFrame

LAZY = Step("lazy", (), {})


class Part:
    """One partition. `number` counts from 0, `what` tells people which it is."""

    def __init__(self, number: int, what: str) -> None:
        self.number = number
        self.what = what

    @property
    def where(self) -> str:
        """The node that has it, or will have, as far as that is known."""
        raise NotImplementedError

    async def query(self) -> Query:
        """The plan of its rows. Raises why there is none."""
        raise NotImplementedError

    def again(self, lost: BaseException) -> bool:
        """Its node is lost: whether it can be had elsewhere; then it is from now on."""
        return False


class Source:
    """The parts of a partitioned frame. Frames that are made of one another share it."""

    def __init__(self, node: LocalNode, parts: list[Part]) -> None:
        self.node = node
        self.schema: pl.Schema | None = None  # of every part, once they have been seen to be alike
        self._parts = parts

    @property
    def known(self) -> list[Part] | None:
        """The parts, if it is known now which there are."""
        return self._parts

    async def parts(self) -> list[Part]:
        """The parts."""
        return self._parts


# files


class FilePart(Part):
    """A scan of one file on one of several nodes."""

    def __init__(self, number: int, path: str, scan: Call, size: int, at: str, nodes: Nodes) -> None:
        super().__init__(number, repr(path))
        self._call = scan
        self._size = max(size, 1)  # 0 is one that nobody knows: these are dealt out by their number
        self._at = at
        self._nodes = nodes
        nodes.loads[at] += self._size

    @property
    def where(self) -> str:
        return self._at

    async def query(self) -> Query:
        return Query(Scan(self._at, self._call))

    def again(self, lost: BaseException) -> bool:
        others = self._nodes.without(self._at)
        if not others:
            return False
        self._at = least(others)
        self._nodes.loads[self._at] += self._size
        return True


class Nodes:
    """The nodes that files are dealt to, with the bytes that each has."""

    def __init__(self, names: list[str]) -> None:
        self.loads = dict.fromkeys(names, 0)

    def without(self, lost: str) -> dict[str, int]:
        """Those that are left."""
        self.loads.pop(lost, None)
        return self.loads


class Files(Source):
    """The files of several nodes. They are listed on the first node, when they are needed first."""

    def __init__(
        self, node: LocalNode, names: list[str], scan: Callable[[str], Call], listed: Callable[[], Awaitable[Any]]
    ) -> None:
        super().__init__(node, [])
        self.names = names
        self._scan = scan
        self._listed = listed
        self._listing = asyncio.Lock()

    @property
    def known(self) -> list[Part] | None:
        return self._parts or None

    async def parts(self) -> list[Part]:
        async with self._listing:
            if not self._parts:
                found: list[tuple[str, int]] = await self._listed()
                nodes, scan = Nodes(self.names), self._scan
                hands = dealt([size for _, size in found], len(self.names))
                self._parts[:] = [
                    FilePart(number, path, scan(path), size, self.names[hand], nodes)
                    for number, ((path, size), hand) in enumerate(zip(found, hands, strict=True))
                ]
        return self._parts


# what functions make


class ItemPart(Part):
    """What a function has made of an item."""

    def __init__(self, number: int, what: str, due: Due, make: Callable[[], Due], retries: int) -> None:
        super().__init__(number, what)
        self._due = due
        self._make = make
        self._left = retries

    @property
    def where(self) -> str:
        made = self._due.there().ref if self._due.ready else None
        return "a runner" if made is None else made.node

    async def query(self) -> Query:
        await self._due.here()
        return Query(self._due, (LAZY,))

    def again(self, lost: BaseException) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        self._due = self._make()
        return True


def of_items(calls: Any, fn: Callable[..., Any], iterables: tuple[Iterable[Any], ...]) -> PartitionedFrame:
    """What `pool.frames` gives: a part for each item, which runners begin to make now: as many runners as there are
    items, up to the pool's `max`.

    `calls` is a pool, or its options: `retries` is how often a part is made again that was lost.
    """
    from beampy.errors import BadFunction

    if not callable(fn) or streams(kind_of("pool.frames", fn)):
        raise BadFunction("pool.frames", f"{fn!r}", "a function that returns a frame")
    items = list(zip(*iterables, strict=False))
    if not items:
        raise ValueError("pool.frames: there is no item, and so no column is known; a frame has one partition at least")
    if "timeout" not in calls._said:
        calls = calls.options(timeout=None)  # as of `map`: a part may wait for its turn as long as the others take
    calls = calls.options(name=shown(fn))
    kept = calls._of("keep")
    gate = asyncio.Semaphore(calls._width() * AHEAD)
    manager = calls._at_work()
    node: LocalNode = manager.node
    wanted = min(len(items), manager.plan.limits.max)
    booting: list[asyncio.Task[None]] = []  # one for all parts, once the first begins
    made = evaluate.framed_async if asyncio.iscoroutinefunction(fn) else evaluate.framed

    def part(number: int, item: tuple[Any, ...]) -> ItemPart:
        what = f"{shown(fn)}({', '.join(map(repr, item))})"
        what = what if len(what) <= SHOWN else f"{what[: SHOWN - 1]}…"

        async def work() -> Made:
            if not booting:
                booting.append(manager.task(up(manager, wanted)))
            await asyncio.wait(booting)  # so that they are spread over runners, and not all on the first that is up
            async with gate:
                return Made(await calls.keep(made, fn, *item), "DataFrame", None)

        def make() -> Due:
            due = Due(node, f"partition {number} ({what})").begin(work)
            due._seen = True  # whoever asks for the frame is told, of the first that failed
            return due

        return ItemPart(number, what, make(), make, kept.retries)

    return _frame(Source(node, [part(number, item) for number, item in enumerate(items)]))


AHEAD = 2  # parts that are with the pool for each that can run: as many wait, as in `map`
SHOWN = 100  # characters of what a part is, in a message


# frames that exist


class FramePart(Part):
    """A frame or a plan of somebody's."""

    def __init__(self, number: int, frame: Remote) -> None:
        query = frame._query
        super().__init__(number, f"frame {number}")
        self._query = query
        self._steps = query.steps
        self._of_frame = getattr(frame, "_kind", "") == "DataFrame"

    @property
    def where(self) -> str:
        root = self._query.root
        return root.node if isinstance(root, Scan) else (root.where or "a node")

    async def query(self) -> Query:
        root = self._query.root
        if isinstance(root, Due):
            await root.here()
        return Query(root, (*self._steps, LAZY)) if self._of_frame else self._query


def concat(frames: Iterable[Any]) -> PartitionedFrame:
    """One frame of several: remote frames and plans that exist become its partitions, in their order, where they are.

    RemoteDataFrames and RemoteLazyFrames. They need to have the same columns; PartitionsDiffer says which have not,
    before anything is computed.

    >>> year = bp.frames.concat([january, february])
    """
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.lazyframe import RemoteLazyFrame

    given = list(frames)
    for each in given:
        if not isinstance(each, (RemoteDataFrame, RemoteLazyFrame)):
            raise NotAFrame(
                "frames.concat", type(each).__name__, "DataFrame or LazyFrame of a node (frames.from_local)"
            )
    if not given:
        raise ValueError("frames.concat: there is no frame, and so no column is known")
    parts: list[Part] = [FramePart(number, frame) for number, frame in enumerate(given)]
    return _frame(Source(given[0]._local, parts))


def _frame(source: Source) -> PartitionedFrame:
    from beampy.frames.partitioned import PartitionedFrame

    return PartitionedFrame(source)


def failed(part: Part, error: BaseException, attempts: int, at: str) -> PartitionFailed:
    """The error of a part that was asked for at a node, whose cause is what happened there."""
    node = error.node if isinstance(error, OwnerLost) else at
    made = PartitionFailed(part.number, part.what, node, f"{type(error).__name__}: {error}", attempts)
    made.__cause__ = error
    return made
