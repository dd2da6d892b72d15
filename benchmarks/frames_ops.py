"""Between two nodes, a method of a remote frame: how much longer it takes than what polars needs for it there.

"frames_ops.select" is `await df.select(expression)` of a frame of a thousand rows on the other node: the expression
goes there, the result stays, and its handle is here; the one before is let go. "frames_ops.call" is a remote call of
a function that does the same with the same frame there, and gives nothing. Both wake polars' threads, which then look
for more to do for a while, on the cores that the two nodes are on: so that is the call to compare with.
"frames_ops.head" is a method that polars has nothing to do for, "frames_ops.value" an attribute, "frames_ops.bare" a
remote call of a function that does nothing, "frames_ops.polars" what the select takes here, without any node, and
"frames_ops.plan" a plan of five steps over the frame that is computed there: one message. All take turns, on two
cores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

import beampy as bp
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.frames_work import columns
from benchmarks.harness import main
from benchmarks.remote_call import each_timed
from benchmarks.two_nodes import placed, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.two_nodes import Other

ROWS = 1000
SELECTED = pl.col("value") * 2 + pl.col("count")
_kept: dict[str, pl.DataFrame] = {}


def made() -> pl.DataFrame:
    """On the other node: the frame, which is kept for `selected` as well."""
    if "frame" not in _kept:
        _kept["frame"] = pl.DataFrame(columns(ROWS))
    return _kept["frame"]


def selected() -> None:
    """On the other node: what the remote select does."""
    made().select(SELECTED)


def nothing() -> None:
    """On the other node: returns at once."""


async def frames_ops(n: int, other: Other) -> Figures:
    node = other.name
    df = await bp.frames.on(node).frame(made)
    here = made()
    assert (await df.select(SELECTED).collect()).equals(here.select(SELECTED))

    async def polars() -> None:
        here.select(SELECTED)

    async def select() -> None:
        await df.select(SELECTED)

    async def head() -> None:
        await df.head(5)

    async def plan() -> None:
        wanted = df.lazy().filter(pl.col("count") > 50).with_columns(twice=pl.col("value") * 2)
        await wanted.group_by("key").agg(pl.col("twice").sum()).sort("twice").head(10).compute()

    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "select": select,
        "call": lambda: bp.remote_call(node, selected),
        "head": head,
        "value": lambda: df.height,
        "bare": lambda: bp.remote_call(node, nothing),
        "polars": polars,
        "plan": plan,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    with placed(other.pid, apart=True):
        for count in turns(n):
            for name, do in ways.items():
                took[name] += await each_timed(do, count)
    return {f"frames_ops.{name}": percentile_us(seconds, 0.5) for name, seconds in took.items()}


CASES = (
    Case(
        "frames_ops",
        frames_ops,
        tuple(
            Figure(f"frames_ops.{name}", "µs p50", higher=False)
            for name in ("select", "call", "head", "value", "bare", "polars", "plan")
        ),
        size=2_000,
        smoke=10,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
