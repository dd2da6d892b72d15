"""A dask worker inside a runner: on a loop and a thread of its own, in the process that has the partitions.

Rule: `serve` is a remote call, and its life is the worker's: it ends when the worker does, and the worker ends when it
does, whatever ended it (the cluster, the pool, a lost connection, the runner). As long as it runs the runner is kept.
Nothing is left behind: the worker's files are in a directory of its own, which is removed.

What a task imports, and this process has not, comes from the process of the pool's node, as in calls of the pool; what
it prints appears where the cluster was made.

Place: the runner's half; dask_seats.py calls it. dask is imported in the worker's thread, since that takes seconds.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import asyncio
import contextvars
import logging
import shutil
import tempfile
import threading
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beampy.code.origin import here as origin_here
from beampy.code.space import spaces
from beampy.core.current import current
from beampy.pool.residents import residents

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractContextManager

    from beampy.core.node import LocalNode

log = logging.getLogger("beampy.frames")

CLOSING = (
    5.0  # seconds for a worker to close its connections and stop its tasks; what then runs in a thread is left to it
)

# What dask does for a dashboard, which there is none of: a profile of all threads, every 10 ms, and a tick, every 20.
# Together they are most of the 9 % of a core that an idle worker takes.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}


@dataclass(frozen=True)
class Settings:
    """What a worker is to be.

    `memory`: bytes, "auto" or a text of dask's; `share`: how many workers share the machine, for "auto".
    `host`: where it listens; "": on the address from which its machine reaches the scheduler.
    `origin`: whose code it is, of the node `home`.
    `security`: the fields of dask's Security, with the key of the cluster. `config`: of dask, at the cluster.
    """

    scheduler: str
    name: str
    threads: int
    memory: Any
    share: int
    host: str
    origin: str
    home: str
    security: dict[str, Any] = field(repr=False)
    config: dict[str, Any] = field(repr=False)


async def serve(settings: Settings) -> AsyncGenerator[tuple[str, str], None]:
    """A worker on this node, until it ends: first its address and its directory, and no more.

    >>> async for address, directory in remote_call(node, serve, settings): ...
    """
    node = current.get().node
    here, life = residents(node), Life(settings, node)
    here.keep(life, f"dask worker {settings.name} of {settings.scheduler}")
    try:
        life.begin()
        yield await life.up
        await life.over
    finally:
        await life.end()
        here.release(life)


class Life:
    """A worker and its thread."""

    def __init__(self, settings: Settings, node: LocalNode) -> None:
        self.settings = settings
        self.node = node
        self.up: asyncio.Future[tuple[str, str]] = node.loop.create_future()
        self.over: asyncio.Future[None] = node.loop.create_future()
        self.gone = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopped = False

    # on the node's thread

    def begin(self) -> None:
        """Start the thread. What it does speaks, prints and imports for who has called."""
        context = contextvars.copy_context()
        name = f"dask worker {self.settings.name}"
        threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True).start()

    async def end(self) -> None:
        """Tell it to end, and wait until it has, for a while."""
        self._stopped = True
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(stop.set)
        for future in (self.up, self.over):
            future.cancel()
        try:
            async with asyncio.timeout(CLOSING + 1.0):
                await self.gone.wait()
        except TimeoutError:
            log.warning("dask worker %s does not end", self.settings.name)

    # on its own

    def _run(self) -> None:
        error: BaseException | None = None
        directory = tempfile.mkdtemp(prefix="beampy-dask-")  # mode 0700
        try:
            with self._importing():
                asyncio.run(self._live(directory))
        except BaseException as failed:
            error = failed
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            self._tell(self._ended, error)

    def _importing(self) -> AbstractContextManager[None]:
        """Imports are those of the code's own process, where that is another one."""
        settings, code = self.settings, self.node.code
        if code is None or settings.origin == origin_here().id:
            return nullcontext()
        code.link(settings.home, settings.origin)  # type: ignore[attr-defined]
        return spaces().of(settings.origin, settings.home).importing()

    async def _live(self, directory: str) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._stopped:
            return
        import dask
        from distributed import Security
        from distributed.utils import get_ip

        from beampy.frames.dask_servers import QuietWorker

        settings = self.settings
        _speak(logging.WARNING)
        dask.config.update(dask.config.config, settings.config)
        with dask.config.set(QUIET):
            worker = QuietWorker(
                settings.scheduler,
                name=settings.name,
                nthreads=settings.threads,
                memory_limit=self._memory(),
                local_directory=directory,
                host=settings.host or get_ip(settings.scheduler.rpartition("://")[2].rpartition(":")[0]),
                security=Security(**settings.security),
            )
        try:
            await worker
            self._tell(self._began, (worker.contact_address, directory))
            ends, told = asyncio.ensure_future(worker.finished()), asyncio.ensure_future(self._stop.wait())
            await asyncio.wait({ends, told}, return_when=asyncio.FIRST_COMPLETED)
            ends.cancel()
            told.cancel()
        finally:
            if self._stop.is_set():
                _speak(logging.CRITICAL)  # that it ends is known
            await worker.close(timeout=CLOSING, executor_wait=False)

    def _memory(self) -> Any:
        """The limit of the worker: of the machine its share."""
        if self.settings.memory != "auto":
            return self.settings.memory
        from beampy.pool.runner import memory

        return memory() // self.settings.share or None

    def _tell(self, fn: Any, *args: Any) -> None:
        with suppress(RuntimeError):  # the node's loop is closed
            self.node.loop.call_soon_threadsafe(fn, *args)

    # on the node's thread again

    def _began(self, where: tuple[str, str]) -> None:
        if not self.up.done():
            self.up.set_result(where)

    def _ended(self, error: BaseException | None) -> None:
        self.gone.set()
        if not self.up.done():
            self.up.set_exception(error or BrokenPipeError("the worker has ended as it began"))
            self.over.cancel()
            return
        if error is not None:
            log.warning("dask worker %s has failed: %r", self.settings.name, error)
        if not self.over.done():
            self.over.set_result(None)


def _speak(level: int) -> None:
    """What is logged of dask's here, and appears at home: of tasks that fail nothing, who asked for them is told."""
    logging.getLogger("distributed").setLevel(level)
    logging.getLogger("distributed.worker.memory").setLevel(level)
    logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
