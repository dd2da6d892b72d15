"""Writing: each partition into a file of its own, by the node that has it: the sinks of partitioned frames.

Rule: a file has its name only when it is whole: it is written under another one beside it, and renamed. Where a
directory has parts already nothing is written, as a frame of both would be read from it. When one partition fails
no other one is begun, those that have begun are finished, and the error says which are there.

Place: queries.py asks for it; `written` and `prepared` run on the node.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy.errors import PartitionFailed
from beampy.frames import asking, bringing, queries
from beampy.frames.tree import Step
from beampy.refs.verbs import VerbCaller

if TYPE_CHECKING:
    import asyncio

    import polars as pl

    from beampy.frames.asking import Query
    from beampy.frames.partitions import Part, Source

ENDINGS = {"sink_parquet": "parquet", "sink_csv": "csv", "sink_ipc": "arrow", "sink_ndjson": "ndjson"}


class Written(NamedTuple):
    """A file that a node has written."""

    node: str
    path: str
    nbytes: int


async def sink(
    source: Source, steps: tuple[Step, ...], verb: str, directory: str, options: dict[str, Any]
) -> list[Written]:
    """Write all partitions, `part-00000.parquet` and so on. FileExistsError, PartitionFailed."""
    if options.get("lazy"):
        raise ValueError(f"{verb}(lazy=True): the files are written now; without it")
    ready = await queries.prepared(source, steps)
    parts = await source.parts()
    ending = ENDINGS[verb]
    nodes = await bringing.nodes(source)
    await queries.together([_prepare(node, verb, directory, ending) for node in nodes])
    failures: list[PartitionFailed] = []
    gates: dict[str, asyncio.Semaphore] = {}

    async def ask(part: Part, query: Query) -> Written | None:
        if failures:  # nothing more is begun; what is being written is
            return None
        path = os.path.join(directory, f"part-{part.number:05}.{ending}")
        step = Step("pipe", (written, verb, path, options), {})
        found = await asking.ask(source.node, await queries.planned(ready, part, query, (step,)), "")
        return Written(part.where, *found)

    async def one(part: Part) -> Written | None:
        try:
            return await queries.one(part, ask, gates)
        except PartitionFailed as error:
            failures.append(error)
            return None

    there = [each for each in await queries.together([one(part) for part in parts]) if each is not None]
    if failures:
        names = ", ".join(f"{os.path.basename(each.path)} on {each.node}" for each in there)
        failures[0].add_note(f"Written were {names}" if names else "No part was written")
        raise failures[0]
    return there


async def _prepare(node: str, verb: str, directory: str, ending: str) -> None:
    with suppress(*queries.LOST):  # then its partitions are had elsewhere, or say so
        await VerbCaller(f"{verb} into {directory}")(node, prepared, directory, ending)


def prepared(directory: str, ending: str) -> None:
    """On a node: the directory is there, and has no parts. FileExistsError."""
    os.makedirs(directory, exist_ok=True)
    there = sorted(path.name for path in Path(directory).glob(f"part-*.{ending}"))
    if there:
        some = ", ".join(there[:3]) + (", …" if len(there) > 3 else "")
        raise FileExistsError(f"{directory} has parts already ({some}): write into another one, or remove them first")


def written(plan: pl.LazyFrame, verb: str, path: str, options: dict[str, Any]) -> tuple[str, int]:
    """On the node of a partition: the plan is carried out into a file. Its path and size.

    Polars is given the open file: of one that has failed it may make the file a moment later, by its name.
    """
    beside = f"{path}.{secrets.token_hex(4)}.tmp"
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)  # a partition that was lost is written elsewhere
    try:
        with open(beside, "xb") as file:
            getattr(plan, verb)(file, **options)
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    return path, os.path.getsize(path)
