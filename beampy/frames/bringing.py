"""Bringing: what of a partitioned frame comes here: all of it, how many rows it has, what it is.

Rule: partitions are computed on their nodes, all at the same time, before the first is brought: so a limit is kept,
and what is too large is not sent. Then all come at the same time, each from its node, and are put together in their
order.

Place: over queries.py.
"""

from __future__ import annotations

import warnings
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy.errors import FrameTooLarge
from beampy.frames import asking, queries
from beampy.frames.tree import Step, shown
from beampy.refs.sizes import shown_size

if TYPE_CHECKING:
    from beampy.frames.asking import Query
    from beampy.frames.evaluate import Made
    from beampy.frames.partitioned import PartitionedFrame
    from beampy.frames.partitions import Part, Source


async def collected(source: Source, steps: tuple[Step, ...], limit: int | None) -> pl.DataFrame:
    """All of it, here. FrameTooLarge; a warning where nobody has said a limit and it is large."""
    ready = await queries.prepared(source, steps)
    parts = await source.parts()
    made = dict(zip((part.number for part in parts), await queries.computed(ready), strict=True))
    nbytes = sum(each.ref.nbytes for each in made.values())
    nodes = ", ".join(dict.fromkeys(each.ref.node for each in made.values()))
    what = f"the frame in {len(parts)} partitions"
    if limit is not None and nbytes > limit:
        raise FrameTooLarge(nodes, what, nbytes, limit)
    if limit is None and nbytes > asking.WARN_AT:
        said = f"{what} comes from {nodes}: {shown_size(nbytes)}. collect(limit={nbytes}) says that it may"
        warnings.warn(said, ResourceWarning, stacklevel=2)

    async def bring(part: Part, query: Query) -> pl.DataFrame:
        there: Made | None = made.pop(part.number, None)
        frame: pl.DataFrame
        if there is not None:
            try:
                frame = await there.ref.get()
                return frame
            except queries.LOST:
                if part.where == there.ref.node:
                    raise  # it has to be had elsewhere first; else another query has done that
        plan = await queries.planned(ready, part, query, (queries.COLLECT,))
        frame = await (await queries.made(source.node, plan)).ref.get()
        return frame

    return pl.concat(await queries.every(source, bring), rechunk=False)


async def height(source: Source, steps: tuple[Step, ...]) -> int:
    """How many rows it has."""
    ready = await queries.prepared(source, steps)
    rows = Step("select", (pl.len(),), {})
    return sum(await queries.answers(ready, rows, queries.COLLECT, Step("item", (), {})))


async def count(source: Source) -> int:
    """How many partitions there are."""
    return len(await source.parts())


async def nodes(source: Source) -> list[str]:
    """The nodes that have them."""

    async def ask(part: Part, query: Query) -> str:
        return part.where

    return list(dict.fromkeys(await queries.every(source, ask)))


async def explained(source: Source, steps: tuple[Step, ...], options: dict[str, Any]) -> str:
    """How the first partition is computed, as its node says; the others are alike."""
    ready = await queries.prepared(source, steps)
    parts = await source.parts()

    async def ask(part: Part, query: Query) -> str:
        plan = await queries.planned(ready, part, query, (Step("explain", (), options),))
        text: str = await asking.ask(source.node, plan, "")
        return text

    return f"PARTITIONED {about(source)}, each of them like the first:\n{await queries.one(parts[0], ask)}"


# how it is shown, with what is known already: nobody is asked


def about(source: Source) -> str:
    """What is known of it, in one line."""
    parts = source.known
    if parts is None:
        return f"of files on {', '.join(getattr(source, 'names', ()))}"
    where = list(dict.fromkeys(part.where for part in parts))
    some = ", ".join(where) if len(where) <= NAMES else f"{len(where)} nodes"
    columns = "" if source.schema is None else f", {len(source.schema)} columns"
    return f"of {len(parts)} partition{'' if len(parts) == 1 else 's'} on {some}{columns}"


def html(frame: PartitionedFrame) -> str:
    """The same for a notebook, with the columns if they are known."""
    source = frame._source
    steps = shown(frame._steps) if frame._steps else ""
    told = f"<div>{escape(f'PartitionedFrame {about(source)}')}{escape(f', then {steps}') if steps else ''}</div>"
    if source.schema is None:
        return told
    columns = list(source.schema.items())
    row = "".join(f"<tr><td>{escape(name)}</td><td>{escape(str(dtype))}</td></tr>" for name, dtype in columns[:COLUMNS])
    more = f"<tr><td colspan=2>… {len(columns) - COLUMNS} more</td></tr>" if len(columns) > COLUMNS else ""
    return f"{told}<table><thead><tr><th>column</th><th>type</th></tr></thead><tbody>{row}{more}</tbody></table>"


NAMES = 3  # nodes that are named in one line
COLUMNS = 30  # in a notebook: a screen full
