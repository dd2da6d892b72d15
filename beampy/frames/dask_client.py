"""A dask cluster and its client whose workers are in the runners of a pool.

Rule: dask has a loop and a thread of its own in the process of the pool's node: its scheduler can keep neither the node
nor a notebook waiting. A worker that ends, and that the cluster still has to have, is replaced on another runner; dask
itself runs again what was lost with it. When the pool stops the clients are closed first, then the workers; nothing of
it is logged, since all who had asked for something get an error.

Place: over dask_seats.py, which has the node's side. It knows workers only by name, node and address.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
from __future__ import annotations

import asyncio
import functools
import logging
import shutil
import threading
import weakref
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed import Client, SpecCluster, Status
from distributed.deploy.spec import ProcessInterface

from beampy import api
from beampy.code.origin import here as origin_here
from beampy.errors import NodeDown, PoolClosed
from beampy.frames.dask_code import Changes, renew
from beampy.frames.dask_seats import Seats, Tending
from beampy.frames.dask_servers import QuietScheduler
from beampy.otp.rpc import remote_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.frames.dask_code import Change
    from beampy.frames.dask_workers import Settings
    from beampy.pool.manager import Manager

log = logging.getLogger("beampy.frames")

LOADING = 30.0  # seconds for a worker to load a module again; as one answer about code
PATIENCE = 5.0  # seconds for a client, or a cluster, to close when its pool stops
FIRST_RETRY, LAST_RETRY = 0.1, 30.0  # seconds until a worker is tried again that could not be had; as boots of a pool
YOUNG = 5.0  # seconds: a worker that ends so soon was ended by what is wrong, and the next one would be, too


class RunnerWorker(ProcessInterface):  # type: ignore[misc]
    """What the cluster has of one worker."""

    status: Any

    def __init__(self, scheduler: str, name: Any, seats: Seats, settings: Callable[[str, str], Settings]) -> None:
        super().__init__(scheduler=scheduler, name=name)
        self.name = name
        self.tending = Tending(seats, settings(scheduler, str(name)))
        self.error: BaseException | None = None  # what it has ended of
        self.born = 0.0
        self.told: dict[str, int] = {}  # which versions of changed modules it knows of
        self._cluster: Callable[[], PoolCluster | None] = lambda: None  # which is told here when it starts
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have it on a runner. BootFailed, PoolClosed; what its runner was lost of."""
        loop = asyncio.get_running_loop()
        up: asyncio.Future[None] = loop.create_future()

        def began() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(lambda: None if up.done() else up.set_result(None))

        voice = self.tending.seats.manager.node.voice
        handle = api.submit(voice, lambda: self.tending.tend(began), f"dask worker {self.name}")
        self._watch = asyncio.create_task(self._until(handle, up))
        await up
        self.address, self.born = self.tending.address, loop.time()
        await super().start()

    async def _until(self, handle: Any, up: asyncio.Future[None]) -> None:
        """To its end, whatever ends it."""
        try:
            await handle
        except asyncio.CancelledError:
            self.error = PoolClosed(self.tending.seats.manager.name, "its node stops")
        except BaseException as error:
            self.error = error
        if self.error is not None and self.tending.seats.manager.home.local and self.tending.directory:
            shutil.rmtree(self.tending.directory, ignore_errors=True)  # its runner may have had no time for it
        closing = self.status in (Status.closing, Status.closed)
        started = self.status == Status.running
        self.status = Status.closed if started or closing else Status.failed
        self._event_finished.set()
        if not up.done():
            up.set_exception(self.error or RuntimeError(f"dask worker {self.name} ended as it began"))
        elif started and (cluster := self._cluster()) is not None:
            await cluster.lost(self)

    async def close(self) -> None:
        """End it."""
        if self.status not in (Status.closed, Status.failed):
            self.status = Status.closing
            self.tending.close()
            if self._watch is not None:
                await asyncio.wait({self._watch})
        await super().close()


class PoolCluster(SpecCluster):  # type: ignore[misc]
    """A cluster of dask whose workers are in a pool's runners. `pool.dask()` makes one, with its client.

    `scale(n)` and `adapt(minimum=…, maximum=…)` boot runners, and let go of them.
    """

    def __init__(
        self, manager: Manager, count: int, settings: Callable[[str, str], Settings], host: str, security: Any
    ) -> None:
        self.manager = manager
        self.seats = Seats(manager)
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._over: Future[None] | None = None
        self._closer: threading.Thread | None = None
        self._begun = False
        self._near: Any = None
        self._changes = Changes()
        self._quiet = Quiet()
        self._pauses: dict[Any, float] = {}  # by worker, before its next attempt
        self._lock_over = threading.Lock()
        self.ended = False  # closed, and its thread has ended
        worker = {"cls": RunnerWorker, "options": {"seats": self.seats, "settings": settings}}
        scheduler = {"host": host, "port": 0, "protocol": "tls" if security.require_encryption else "tcp"}
        scheduler |= {"security": security, "dashboard": False}
        super().__init__(
            workers=dict.fromkeys(range(count), worker),
            worker=worker,
            scheduler={"cls": QuietScheduler, "options": scheduler},
            security=security,
            name=f"pool {manager.name}",
        )
        self._begun = True
        self.scheduler.before = self.renew
        manager.guests.append(self.over)

    def scale(self, n: int = 0, memory: Any = None, cores: Any = None) -> Any:
        """Have `n` workers, each on a runner of its own. ValueError where the pool may not have as many."""
        most = self.manager.plan.limits.max
        if n > most:
            raise ValueError(f"scale({n}): pool {self.manager.name} has at most {most} runners; pool.resize(max={n})")
        return super().scale(n, memory=memory, cores=cores)

    def adapt(self, *args: Any, **kwargs: Any) -> Any:
        """As dask's, with the pool's max as the largest `maximum`."""
        most = self.manager.plan.limits.max
        return super().adapt(*args, **kwargs | {"maximum": min(most, kwargs.get("maximum", most))})

    def address_of(self, node: str) -> str | None:
        """The address of the worker in the runner that this node is, or belongs to. Any thread."""
        number = self.manager.home.number(node)
        for worker in list(self.workers.values()):
            there = self.manager.home.number(worker.tending.node)
            if worker.status == Status.running and there is not None and there == number:
                return str(worker.address)
        return None

    def nearness(self) -> None:
        """From now on tasks that read partitions run where these are. Any thread; twice is once."""
        if self._near is None:
            from beampy.frames.dask_nearness import Nearness

            self._near = Nearness(self.address_of)
            self.loop.add_callback(self._near.begin, self.scheduler)

    async def renew(self) -> None:
        """Tell the workers which modules have changed, and wait until they have them, for a while."""
        asked = []
        for worker in list(self.workers.values()):
            changes = self._changes.since(worker.told) if worker.status == Status.running else []
            if changes:
                ask = functools.partial(self._renewed, worker.tending.node, changes)
                asked.append(api.submit(self.manager.node.voice, ask, "dask's modules"))
        for handle in asked:
            try:
                await handle
            except Exception as error:
                log.warning("dask workers of pool %s may run old modules: %s", self.manager.name, error)

    async def _renewed(self, node: str, changes: list[Change]) -> None:
        try:
            await remote_call.options(timeout=LOADING)(node, renew, origin_here().id, changes)
        except NodeDown:
            return  # it is lost, and so is the worker

    # workers that come and go

    async def _correct_state_internal(self) -> None:
        """As dask's; workers that could not be had are tried again, where it is not the first time."""
        try:
            await super()._correct_state_internal()
        except Exception as error:
            if not self._begun:
                raise
            if self.status != Status.running or self._stopping():
                return  # those that were to come are not wanted any more
            failed = [name for name, worker in self.workers.items() if worker.status == Status.failed]
            for name in failed:
                del self.workers[name]
            pause = max([self._pause(name) for name in failed], default=LAST_RETRY)
            log.warning("a dask worker of pool %s: %s; tried again in %.3g s", self.manager.name, error, pause)
            self._again(pause)

    async def lost(self, worker: RunnerWorker) -> None:
        """A worker has ended that was not told to."""
        if self.workers.get(worker.name) is worker:
            del self.workers[worker.name]
        if self._stopping():
            self.over()
            return
        if self.status != Status.running:
            return
        await self.scheduler.remove_worker(worker.address, stimulus_id="beampy-worker-lost", close=False)
        young = self.loop.asyncio_loop.time() - worker.born < YOUNG
        if not young:
            self._pauses.pop(worker.name, None)
        self._again(self._pause(worker.name) if young else 0.0)

    def _pause(self, name: Any) -> float:
        pause = self._pauses.get(name, FIRST_RETRY)
        self._pauses[name] = min(2 * pause, LAST_RETRY)
        return pause

    def _again(self, seconds: float) -> None:
        """Have all workers that there have to be."""

        def again() -> None:
            if self.status == Status.running and not self._stopping():
                self._correct_state()

        self.loop.call_later(seconds, again)

    async def _start(self) -> None:
        self._quiet.begin()
        await super()._start()

    # the end

    def close(self, timeout: float | None = None) -> Any:
        """End it, and its workers. Where its pool stops it ends anyway, and that is waited for."""
        if self._over is not None and threading.current_thread() is not self._closer and not self.asynchronous:
            with suppress(TimeoutError):
                self._over.result(timeout or 3 * PATIENCE)
            return None
        try:
            return super().close(timeout)
        finally:
            if not self.asynchronous:
                self.ended = True
                self._quiet.end()  # nobody is on dask's thread any more

    def _stopping(self) -> bool:
        manager = self.manager
        return self._over is not None or manager.stopping is not None or manager.node.closed

    async def _close(self) -> None:
        self.seats.refuse("the dask cluster closes")
        with suppress(ValueError):
            self.manager.guests.remove(self.over)
        self._quiet.level = logging.CRITICAL  # that connections end is meant
        for worker in list(self._created):
            if worker.status == Status.created:
                worker.tending.close()  # it may be on its way for a minute
        await super()._close()

    def over(self) -> Future[None]:
        """The pool stops: close all clients, and the cluster. Any thread; it returns at once. When it is done."""
        with self._lock_over:
            if self._over is None:
                self._over = Future()
                self._closer = threading.Thread(target=self._end, name="dask closes", daemon=True)
                self._closer.start()
            return self._over

    def _end(self) -> None:
        assert self._over is not None
        self._quiet.level = logging.CRITICAL
        try:
            for client in list(self.users):
                with suppress(Exception):
                    client.left()
            with suppress(Exception):
                self.close(timeout=PATIENCE)
        finally:
            if not self._over.cancelled():
                self._over.set_result(None)


class Sending(Client):  # type: ignore[misc]
    """A client that keeps what it sends until its scheduler has read it."""

    def _graph_to_futures(self, expr: Any, keys: Any, *args: Any, **options: Any) -> Any:
        keys = list(keys)
        self.cluster.scheduler.fly(keys, expr)
        return super()._graph_to_futures(expr, keys, *args, **options)


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
            if (
                not cluster.ended
            ):  # a client that is garbage closes itself again, in any thread, with any lock of dask's
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
        if not self.cluster._stopping():
            await asyncio.to_thread(self.cluster.close)

    def left(self) -> None:
        """The pool stops."""
        asyncio.run_coroutine_threadsafe(super()._close(fast=True), self.loop.asyncio_loop).result(PATIENCE)


class Quiet(logging.Filter):
    """What dask logs on the thread of one cluster, as far as somebody should read it: errors, and at the end nothing.

    dask writes all to stderr from INFO on: each task that moves, each shuffle, each connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self.level = logging.ERROR
        self.thread = 0

    def begin(self) -> None:
        """This thread is the cluster's."""
        self.thread = threading.get_ident()
        for handler in logging.getLogger("distributed").handlers:
            handler.addFilter(self)

    def end(self) -> None:
        """There is no such thread any more."""
        for handler in logging.getLogger("distributed").handlers:
            handler.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        return record.thread != self.thread or record.levelno >= self.level
