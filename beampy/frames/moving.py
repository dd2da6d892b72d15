"""Moving: frames that are brought to a node: those of this one, and copies of those of another.

Rule: the bytes go once, from where they are to where they are wanted, and not through who asks.

Place: over `bp.put` (refs/verbs.py), which does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import polars as pl

from beampy.core.ids import full_name
from beampy.errors import NotAFrame
from beampy.frames.asking import local_node
from beampy.frames.due import Due
from beampy.frames.evaluate import KINDS, Made
from beampy.frames.frame import KINDS as HANDLES
from beampy.refs.verbs import put

if TYPE_CHECKING:
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.lazyframe import RemoteLazyFrame
    from beampy.frames.series import RemoteSeries


def moved(due: Due, node: str) -> Due:
    """The frame on that node."""
    node = full_name(node)

    async def work() -> Made:
        made = await due.here()
        if made.ref.node == node:
            return made
        return Made(await put(made.ref, node, label="to_node"), made.kind, made.shape)

    return Due(due.node, f"to_node({node!r})", node).begin(work)


@overload
def from_local(frame: pl.DataFrame, node: str | None = None) -> RemoteDataFrame: ...
@overload
def from_local(frame: pl.LazyFrame, node: str | None = None) -> RemoteLazyFrame: ...
@overload
def from_local(frame: pl.Series, node: str | None = None) -> RemoteSeries: ...


def from_local(frame: pl.DataFrame | pl.LazyFrame | pl.Series, node: str | None = None) -> Any:
    """A frame of this process, on a node: a handle of the copy there, at once.

    node: by default this one; then its memory is shared with nodes of this host. A Series gives a RemoteSeries, a
    LazyFrame a RemoteLazyFrame, whose plan is carried out there. NotAFrame for all else.

    >>> df = bp.frames.from_local(pl.DataFrame({"a": [1, 2]}), "b@localhost")
    """
    kind = next((name for cls, name in KINDS.items() if isinstance(frame, cls)), None)
    if kind is None:
        raise NotAFrame("from_local", type(frame).__name__, "DataFrame, LazyFrame or Series")
    here = local_node("from_local")
    target = here.name if node is None else full_name(node)
    frame = frame.clone()  # as it is now; it shares the memory
    shape = None if isinstance(frame, pl.LazyFrame) else frame.shape

    async def work() -> Made:
        return Made(await put(frame, None if target == here.name else target, label="from_local"), kind, shape)

    return HANDLES[kind](Due(here, f"from_local of the {kind}", target).begin(work))


def of_call(call: Any, what: str) -> RemoteDataFrame:
    """A handle of what a call gives that keeps its value: `pool.frame`."""
    from beampy.frames.dataframe import RemoteDataFrame

    node = local_node("frame")

    async def work() -> Made:
        return Made(await call, "DataFrame", None)

    return RemoteDataFrame(Due(node, what).begin(work))
