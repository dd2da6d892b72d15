"""The doorway from a pool to frames: `pool.frame`, `pool.frames`, `pool.dask`.

Rule: nothing is here but the door. Frames stand on pools, and this file alone of a pool's knows of them: it loads them
when they are asked for, so that a pool needs neither polars nor dask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from beampy.frames import PartitionedFrame, RemoteDataFrame


class FramesDoor:
    """The verbs of a pool that are about frames."""

    def frame(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> RemoteDataFrame:
        """Run `fn(*args, **kwargs)` on a runner; what it returns stays there, as a frame: a handle of it at once.

        It may return a frame of polars, pandas or pyarrow, or a plan of polars', which is carried out there; else
        NotAFrame. The runner is kept as long as somebody has the frame. Options as of `keep`; `rebuild=True` among
        them makes the frame again when its runner is lost. A remote frame among the arguments becomes the frame there.

        >>> flights = pool.frame(pl.read_parquet, "flights.parquet")
        >>> await flights.filter(pl.col("arr_delay") > 60).height
        """
        from beampy.frames.of_pool import frame

        return frame(self, fn, args, kwargs)

    def frames(self, fn: Callable[..., Any], /, *iterables: Iterable[Any]) -> PartitionedFrame:
        """One frame in parts: `fn(item)` for each item, on runners, where the parts stay.

        As `map`, and what comes is one PartitionedFrame whose parts are in the order of the items. They are spread over
        the runners that are up: `Pool(min=4)` has four from the start; `max_concurrency=1` boots one for each part that
        waits, up to `max`.

        >>> flights = pool.frames(load_month, range(1, 13))
        >>> await flights.group_by("carrier").agg(pl.col("arr_delay").mean()).collect()
        """
        from beampy.frames.of_pool import frames

        return frames(self, fn, iterables)

    def dask(self, workers: int | None = None, **options: Any) -> Any:
        """A client of dask whose workers run on this pool's runners, and live and die with it.

        See beampy.frames.dask_cluster.
        """
        from beampy.frames.dask_cluster import dask

        return dask(self, workers, **options)
