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
        as many runners as there are items, up to the pool's `max`: those that are missing are booted first.

        >>> flights = pool.frames(load_month, range(1, 13))
        >>> await flights.group_by("carrier").agg(pl.col("arr_delay").mean()).collect()
        """
        from beampy.frames.of_pool import frames

        return frames(self, fn, iterables)

    def dask(
        self,
        workers: int | None = None,
        *,
        threads: int = 1,
        memory_limit: int | str | None = "auto",
        host: str | None = None,
        security: Any = None,
        asynchronous: bool = False,
    ) -> Any:
        """A client of dask whose workers are in the pool's runners: one a runner, on a thread and a loop of its own.

        workers: how many; by default one for each runner that is up, the pool's `min` at least, and at least one.
        Missing runners are booted. `client.cluster.scale(n)` changes it, up to the pool's max, and
        `client.cluster.adapt()` has as many as there is work for. threads: that compute, of each.
        memory_limit: of each, in bytes or as dask writes it ("4 GiB"): from 60 % of it on it writes to its disk. "auto"
        is the memory of its machine, divided by the workers there; None: no limit.
        host: where the scheduler listens; by default loopback where the pool's machines are this one, else the address
        of the pool's node. security: a Security of dask's; by default TLS with a certificate made for this cluster;
        False: none, on loopback only.

        On threads and in notebooks it returns when all workers are up. Async code says
        `await pool.dask(asynchronous=True)`.
        `client.close()` ends the workers and lets go of the runners; the end of the pool ends the client. A client that
        is not closed keeps the runners until then. A worker whose runner is lost is replaced, and dask runs again what
        it had.

        Raises ValueError for more workers than the pool's max; BootFailed where no machine comes up; OSError for a host
        that is none of this machine; ImportError without dask, or where it is too old; RuntimeError in async code
        without `asynchronous=True`.

        >>> with pool.dask(workers=2) as client:
        ...     client.submit(sum, [1, 2]).result()
        3
        """
        from beampy.frames.dask_pool import dask

        return dask(self, workers, threads, memory_limit, host, security, asynchronous)
