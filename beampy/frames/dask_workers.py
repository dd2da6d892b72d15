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
import tempfile
import threading
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beampy.code.origin import here as origin_here
from beampy.code.space import spaces
from beampy.core.current import current
from beampy.frames.dask_packages import DASK, need
from beampy.pool.residents import residents

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from contextlib import AbstractContextManager

    from beampy.core.node import LocalNode

log = logging.getLogger("beampy.frames")

CLOSING = 5.0  # seconds for a worker to close its connections and its tasks; what runs in a thread then is left to it


@dataclass(frozen=True)
class Settings:
    """What a worker is to be.

    `name`: the number that dask's cluster has it under, which is to be its name there, too.
    `memory`: bytes, "auto" or a text of dask's; `share`: how many workers share the machine, for "auto".
    `host`: where it listens; "": on the address from which its machine reaches the scheduler.
    `origin`: whose code it is, of the node `home`.
    `security`: the fields of dask's Security, with the key of the cluster. `config`: of dask, at the cluster.
    """

    scheduler: str
    name: int
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
        try:
            with self._importing():
                asyncio.run(self._live())
        except BaseException as failed:
            error = failed
        finally:
            self._tell(self._ended, error)

    def _importing(self) -> AbstractContextManager[None]:
        """Imports are those of the code's own process, where that is another one."""
        settings, code = self.settings, self.node.code
        if code is None or settings.origin == origin_here().id:
            return nullcontext()
        code.link(settings.home, settings.origin)  # type: ignore[attr-defined]
        return spaces().of(settings.origin, settings.home).importing()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        need("pool.dask", *DASK, node=self.node.name)
        import dask
        from distributed import Security
        from distributed.utils import get_ip

        from beampy.frames.dask_servers import PREFIX, QuietWorker

        if self._stopped:  # while it was imported
            return
        settings = self.settings
        _speak(logging.WARNING)
        dask.config.update(dask.config.config, settings.config)
        told = asyncio.ensure_future(self._stop.wait())
        with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as directory:  # mode 0700
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
                if await _until(worker, told):  # without end, where its scheduler is gone
                    self._tell(self._began, (worker.contact_address, directory))
                    await _until(worker.finished(), told)
            finally:
                if self._stopped:
                    _speak(logging.CRITICAL)  # that it ends is known
                told.cancel()
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


async def _until(what: Awaitable[Any], told: asyncio.Future[Any]) -> bool:
    """Wait for this, unless it is told to end. Whether it has come."""
    comes = asyncio.ensure_future(what)
    await asyncio.wait({comes, told}, return_when=asyncio.FIRST_COMPLETED)
    if comes.done():
        comes.result()
        return True
    comes.cancel()
    with suppress(TimeoutError):  # it is closed next, which has its own deadline
        async with asyncio.timeout(CLOSING):
            await asyncio.gather(comes, return_exceptions=True)
    return False


def _speak(level: int) -> None:
    """What is logged of dask's here, and appears at home: of tasks that fail nothing, who asked for them is told."""
    logging.getLogger("distributed").setLevel(level)
    logging.getLogger("distributed.worker.memory").setLevel(level)
    logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
