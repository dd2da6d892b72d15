"""dask's scheduler and worker, without their HTTP servers, and without what they measure for a dashboard.

Rule: of each nothing listens but the one port of its own protocol, which wants the cluster's certificate. dask starts
an HTTP server beside it whatever one asks for, on all interfaces where one is not careful: dashboard, health, metrics.
The scheduler, too, has a directory of its own, which goes with it.

What a graph refers to here is kept from the moment in which a client sends it until the scheduler has read it, and by
the scheduler's tasks from then on: `fly` and `landed`.

Place: imported where dask is (dask_cluster.py, and the thread of dask_workers.py).
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportIncompatibleMethodOverride=false, reportPrivateImportUsage=false
from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask
from distributed import Scheduler, Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

PREFIX = "beampy-dask-"  # of the directories

# What dask does for a dashboard, which there is none of: a profile of all threads, every 10 ms, and a tick, every 20.
# Together they are most of the 9 % of a core that an idle worker takes.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}

_configuring = threading.Lock()  # two at once would take what the other has set for what was there before


@contextmanager
def quietly() -> Iterator[None]:
    """What is made meanwhile measures nothing. For a constructor's moment: dask's configuration is the process's."""
    with _configuring, dask.config.set(QUIET):
        yield


class QuietScheduler(Scheduler):  # type: ignore[misc]
    """The scheduler."""

    def __init__(self, **options: Any) -> None:
        self.own_directory = tempfile.mkdtemp(prefix=PREFIX)  # mode 0700
        try:
            with quietly():
                super().__init__(local_directory=self.own_directory, **options)
        except BaseException:
            shutil.rmtree(self.own_directory, ignore_errors=True)
            raise
        off_path(self)
        self.before: Callable[[], Awaitable[None]] | None = None
        self._in_turn = asyncio.Lock()
        self._flying: dict[frozenset[Any], list[Any]] = {}
        self._flies = threading.Lock()

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """There is none."""

    def fly(self, keys: Iterable[Any], graph: Any) -> None:
        """A client sends this graph now. Any thread."""
        with self._flies:
            self._flying.setdefault(frozenset(keys), []).append(graph)

    def landed(self, keys: Iterable[Any]) -> None:
        """A graph for these keys was read, or cannot be."""
        with self._flies:
            graphs = self._flying.get(frozenset(keys), [])
            if graphs:
                graphs.pop(0)
            if not graphs:
                self._flying.pop(frozenset(keys), None)

    async def update_graph(self, client: str, expr_ser: Any, keys: Any, **options: Any) -> None:
        """As dask's, after what is to be done before each graph. None overtakes one that it may build on."""
        try:
            if self.before is not None:
                async with self._in_turn:
                    await self.before()
            await super().update_graph(client=client, expr_ser=expr_ser, keys=keys, **options)
        finally:
            self.landed(keys)

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """As dask's; nothing of it is left."""
        try:
            await super().close(*args, **kwargs)
        finally:
            shutil.rmtree(self.own_directory, ignore_errors=True)


class QuietWorker(Worker):  # type: ignore[misc]
    """A worker."""

    def __init__(self, *args: Any, **options: Any) -> None:
        with quietly():
            super().__init__(*args, **options)
        off_path(self)

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """There is none."""


def off_path(server: Any) -> None:
    """Take its directory out of sys.path, where it puts it first, and may leave it: this process is not its own."""
    if server._updated_sys_path and server.local_directory in sys.path:
        sys.path.remove(server.local_directory)
        server._updated_sys_path = False
