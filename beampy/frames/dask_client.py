"""Clients of a dask cluster that is in the runners of a pool: one for threads, and one for async code.

Rule: a client is its cluster's life. Closing it ends the workers and lets the runners go; where the pool stops the
cluster closes it (`left`). What it sends is kept here until the scheduler has read it.

Place: over dask_cluster.py, whose `users` they are; dask_pool.py makes them.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from distributed import Client

from beampy.frames.dask_cluster import PATIENCE

if TYPE_CHECKING:
    from beampy.frames.dask_cluster import PoolCluster


class Sending(Client):  # type: ignore[misc]
    """A client that keeps what it sends until its scheduler has read it."""

    def _graph_to_futures(self, expr: Any, keys: Any, *args: Any, **options: Any) -> Any:
        keys, scheduler = list(keys), self.cluster.scheduler
        scheduler.fly(keys, expr)
        try:
            return super()._graph_to_futures(expr, keys, *args, **options)
        except BaseException:
            scheduler.landed(keys)  # it was not sent: it cannot be pickled, or the client is closed
            raise


class PoolClient(Sending):
    """A client of dask whose workers are in a pool's runners. `close` ends the workers, and lets the runners go."""

    def __init__(self, cluster: PoolCluster, **options: Any) -> None:
        super().__init__(cluster, **options)
        cluster.users.add(self)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """End it, and its workers."""
        cluster = self.cluster
        try:
            super().close(*args, **kwargs)
        finally:
            if not cluster.ended:  # one that is garbage closes itself again: in any thread, with any lock of dask's
                cluster.close()

    def shutdown(self) -> Any:
        """As `close`."""
        return self.close()

    def left(self) -> None:
        """The pool stops."""
        super().close(timeout=PATIENCE)


class AsyncPoolClient(Sending):
    """The same for async code: it lives on the loop that it was made on, its cluster on dask's own."""

    def __init__(self, cluster: PoolCluster) -> None:
        super().__init__(cluster.scheduler_address, security=cluster.security, asynchronous=True)
        self.cluster: Any = cluster
        cluster.users.add(self)

    async def _start(self, *args: Any, **kwargs: Any) -> Any:
        cluster, self.cluster = self.cluster, None  # which is up, and is on another loop
        try:
            return await super()._start(*args, **kwargs)
        finally:
            self.cluster = cluster

    def wait_for_workers(self, n_workers: int, timeout: float | None = None) -> Any:
        """As dask's."""
        return self._wait_for_workers(n_workers, timeout)

    def shutdown(self) -> Any:
        """As `close`."""
        return self.close()

    async def _close(self, fast: bool = False) -> None:
        await super()._close(fast)
        if not self.cluster.stopping():
            await asyncio.to_thread(self.cluster.close)

    def left(self) -> None:
        """The pool stops."""
        loop = self.loop.asyncio_loop
        if not loop.is_running():  # it is over, and what the client had there with it
            self.status = "closed"
            return
        asyncio.run_coroutine_threadsafe(super()._close(fast=True), loop).result(PATIENCE)
