"""Computed: partitions that have been computed and are kept on their nodes: `compute()` and `map_partitions(fn)`.

Rule: they are computed once, by whoever needs them first, and kept as long as the frame is. One that is lost with its
node is computed again, where what it was made of is still there or can be had elsewhere.

Place: a Source (partitions.py) over queries.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy.frames import queries
from beampy.frames.asking import Query
from beampy.frames.due import Due
from beampy.frames.evaluate import as_frame
from beampy.frames.partitions import LAZY, Part, Source
from beampy.frames.tree import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from beampy.frames.evaluate import Made


class Computed(Source):
    """The partitions that the steps make of a source's, and after the steps a function, if there is one."""

    def __init__(self, of: Source, steps: tuple[Step, ...], function: Step | None = None) -> None:
        super().__init__(of.node, [])
        self._recipe = Recipe(of, steps, () if function is None else (function,))
        self._computing = asyncio.Lock()

    @property
    def known(self) -> list[Part] | None:
        return self._parts or self._recipe.of.known

    async def parts(self) -> list[Part]:
        async with self._computing:  # the task of who came first does it: it stops when he is cancelled
            if not self._parts:
                made = await self._recipe.made()
                parts = await self._recipe.of.parts()
                self._parts[:] = [MadePart(part, each, self._recipe) for part, each in zip(parts, made, strict=True)]
        return self._parts


class Recipe(NamedTuple):
    """What is done to the partitions of a source. Those that are made have it, and not the frame that has them: so they
    are freed with that, by counting references.
    """

    of: Source
    steps: tuple[Step, ...]
    extra: tuple[Step, ...]

    async def made(self, parts: list[Part] | None = None) -> list[Made]:
        """All of them, or some."""
        ready = await queries.prepared(self.of, self.steps)
        return await queries.computed(ready, self.extra, parts)


class MadePart(Part):
    """One that has been computed."""

    def __init__(self, of: Part, made: Made, recipe: Recipe) -> None:
        super().__init__(of.number, of.what)
        self._of = of
        self._recipe = recipe
        self._keep(made)
        self._making = asyncio.Lock()

    def _keep(self, made: Made) -> None:
        self._due: Due | None = Due.known(self._recipe.of.node, made)
        self._where = made.ref.node

    @property
    def where(self) -> str:
        return self._where

    async def query(self) -> Query:
        async with self._making:
            if self._due is None:
                (made,) = await self._recipe.made([self._of])
                self._keep(made)
            assert self._due is not None
            return Query(self._due, (LAZY,))

    def again(self, lost: BaseException) -> bool:
        if self._due is None:  # another query has said so, and it is being computed
            return True
        if self._of.where == self._where and not self._of.again(lost):
            return False
        self._due = None
        return True


def mapped(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step:
    """The step of `map_partitions`: on the node the plan so far is carried out, and given to the function."""
    return Step("pipe", (_given, fn, *args), kwargs)


def _given(plan: pl.LazyFrame, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> pl.LazyFrame:
    """On the node of a partition: what the function makes of it."""
    name = getattr(fn, "__qualname__", str(fn))
    return as_frame(fn(plan.collect(), *args, **kwargs), f"map_partitions({name})").lazy()
