"""Frames of a runner, brought here: 100 MB at once, and pages of fifty rows out of a million.

"frames_collect.frame" is `await df.collect()` of 100 MB in five columns of numbers, "frames_collect.array" `await
ref.get()` of a numpy array of 100 MB, the rate of references (see `refs_bulk`); both in MB/s, with the sum over all of
it by who has got it, so that each page is looked at. They take turns. "frames_collect.text" is a frame whose 100 MB are
mostly text. "frames_collect.page" is a page of fifty rows of the first frame, from anywhere in it: what a table in a
notebook asks for.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import polars as pl

import beampy as bp
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.frames_work import wide
from benchmarks.harness import main
from benchmarks.refs_work import array, total

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MB = 100
PAGE = 50  # rows
PAGES = 20  # for each run


def frame(mb: int) -> pl.DataFrame:
    return pl.DataFrame(wide(mb))


def text(mb: int) -> pl.DataFrame:
    """Numbers, and each of them as a text of 24 characters."""
    rows = mb * 20_000
    return pl.DataFrame({"id": pl.int_range(rows, eager=True)}).with_columns(
        text=pl.col("id").cast(pl.String).str.zfill(24)
    )


def summed(df: pl.DataFrame) -> float:
    """The sum of all numbers, and of the lengths of all texts: each page is looked at."""
    found = df.select(pl.all().exclude(pl.String).sum(), pl.col(pl.String).str.len_bytes().sum())
    return float(sum(found.row(0)))


async def frames_collect(times: int, mb: int = MB) -> Figures:
    """Each so many times; the first two are not counted, as they find memory that nobody has used."""
    async with bp.Pool(min=1, max=1) as pool:
        frames = {"frame": pool.frame(frame, mb), "text": pool.frame(text, mb)}
        kept = await pool.keep(array, mb)
        expected = {name: summed(await df.collect()) for name, df in frames.items()}
        whole = total(await kept.get())

        async def brought(name: str) -> float:
            return summed(await frames[name].collect())

        async def got() -> float:
            return total(await kept.get())

        ways: dict[str, tuple[Callable[[], Awaitable[float]], float]] = {
            "frame": (lambda: brought("frame"), expected["frame"]),
            "array": (got, whole),
            "text": (lambda: brought("text"), expected["text"]),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(times + 2):
            for name, (once, wanted) in ways.items():
                began = perf_counter()
                assert await once() == wanted
                took[name].append(perf_counter() - began)
        df: Any = frames["frame"]
        rows = mb * 25_000
        pages = []
        for number in range(PAGES * times):
            at = number * 7919 % (rows - PAGE)
            began = perf_counter()
            page = await df.slice(at, PAGE).collect()
            pages.append(perf_counter() - began)
            assert page["id"][0] == at
        return {
            **{f"frames_collect.{name}": mb / median(seconds[2:]) for name, seconds in took.items()},
            "frames_collect.page": percentile_us(pages, 0.5),
        }


CASES = (
    Case(
        "frames_collect",
        frames_collect,
        (
            *(Figure(f"frames_collect.{name}", "MB/s") for name in ("frame", "array", "text")),
            Figure("frames_collect.page", "µs p50", higher=False),
        ),
        size=15,
        smoke=1,
        fresh=True,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
