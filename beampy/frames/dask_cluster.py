"""A dask cluster whose workers are in the runners of a pool.

Rule: dask has a loop and a thread of its own in the process of the pool's node: its scheduler can keep neither the node
nor a notebook waiting. A worker that ends, and that the cluster still has to have, is replaced on another runner; dask
itself runs again what was lost with it. When the pool stops the clients are closed first, then the workers; nothing of
it is logged, since all who had asked for something get an error.

Place: over dask_seats.py, which has the node's side; dask_pool.py makes one. It knows workers only by name, node and
address, and its clients (dask_client.py) as what is to be left first.
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

from distributed import SpecCluster, Status
from distributed.deploy.spec import ProcessInterface

from beampy import api
from beampy.code.origin import here as origin_here
from beampy.errors import NodeDown, PoolClosed
from beampy.frames.dask_code import Changes, renew
from beampy.frames.dask_logs import Quiet
from beampy.frames.dask_seats import ENDING, Seats, Tending
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
CLOSING = 60.0  # seconds for a cluster to close else: its workers may take half of them, and move what they have
FIRST_RETRY, LAST_RETRY = 0.1, 30.0  # seconds until a worker is tried again that could not be had; as boots of a pool
YOUNG = 5.0  # seconds: a worker that ends so soon was ended by what is wrong, and the next one would be, too


class RunnerWorker(ProcessInterface):  # type: ignore[misc]
    """What the cluster has of one worker."""

    status: Any

    def __init__(self, scheduler: str, name: int, seats: Seats, settings: Callable[[str, int], Settings]) -> None:
        super().__init__(scheduler=scheduler, name=name)
        self.name = name
        self.tending = Tending(seats, settings(scheduler, name))
        self.error: BaseException | None = None  # what it has ended of
        self.born = 0.0
        self.told: dict[str, int] = {}  # which versions of changed modules it knows of
        self._cluster: Callable[[], PoolCluster | None] = lambda: None  # dask says it when all that start have started
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
                await asyncio.wait({self._watch}, timeout=3 * ENDING)  # which it has twice
        await super().close()


class PoolCluster(SpecCluster):  # type: ignore[misc]
    """A cluster of dask whose workers are in a pool's runners. `pool.dask()` makes one, with its client.

    `scale(n)` and `adapt(minimum=…, maximum=…)` boot runners, and let go of them.
    """

    def __init__(
        self, manager: Manager, count: int, settings: Callable[[str, int, int], Settings], host: str, security: Any
    ) -> None:
        self.manager = manager
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._over: Future[None] | None = None
        self._closer: threading.Thread | None = None
        self._begun = False
        self._starting: asyncio.Future[None] | None = None
        self._near: Any = None
        self._changes = Changes()
        self._quiet = Quiet()
        self._pauses: dict[int, float] = {}  # by worker, before its next attempt
        self._lock_over = threading.Lock()
        self.ended = False  # closed, and its thread has ended

        def settled(scheduler: str, name: int) -> Settings:
            return settings(scheduler, name, len(self.worker_spec))

        worker = {"cls": RunnerWorker, "options": {"seats": Seats(manager), "settings": settled}}
        scheduler = {"host": host, "port": 0, "protocol": "tls" if security.require_encryption else "tcp"}
        scheduler |= {"security": security, "dashboard": False}
        try:
            super().__init__(
                workers=dict.fromkeys(range(count), worker),
                worker=worker,
                scheduler={"cls": QuietScheduler, "options": scheduler},
                security=security,
                name=f"pool {manager.name}",
            )
        except BaseException:  # Ctrl-C, too, of which dask closes nothing
            with suppress(Exception):  # what has stopped it is raised; what did not close is closed with the pool
                self.close()
            raise
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

    def _correct_state(self) -> Any:
        """As dask's. Who is on the way and is not wanted any more goes; who waits for this and leaves stops nothing."""
        for worker in list(self._created):
            if worker.status == Status.created and worker.name not in self.worker_spec:
                worker.tending.close()
        corrects = super()._correct_state()
        corrects.add_done_callback(lambda task: task.cancelled() or task.exception())  # seen, if nobody waits
        return asyncio.shield(corrects)

    async def _correct_state_internal(self) -> None:
        """As dask's; workers that could not be had are tried again, where it is not the first time."""
        try:
            await super()._correct_state_internal()
        except Exception as error:
            if not self._begun:
                raise
            if self.status != Status.running or self.stopping():
                return  # those that were to come are not wanted any more
            self._failed(error)
        for worker in list(self.workers.values()):
            if worker.status == Status.closed:  # it has ended while another one was on its way
                await self.lost(worker)

    def _failed(self, error: Exception) -> None:
        """Some could not be had, or could not be let go of."""
        failed = [name for name, worker in self.workers.items() if worker.status == Status.failed]
        for name in failed:
            del self.workers[name]
        missing = [name for name in failed if name in self.worker_spec]
        if failed and not missing:
            return
        pause = max(map(self._pause, missing), default=LAST_RETRY)
        log.warning("a dask worker of pool %s: %s; tried again in %.3g s", self.manager.name, error, pause)
        self._again(pause)

    async def lost(self, worker: RunnerWorker) -> None:
        """A worker has ended that was not told to."""
        if self.workers.get(worker.name) is worker:
            del self.workers[worker.name]
        if self.stopping():
            self.over()
            return
        if self.status != Status.running:
            return
        await self.scheduler.remove_worker(worker.address, stimulus_id="beampy-worker-lost", close=False)
        young = self.loop.asyncio_loop.time() - worker.born < YOUNG
        if not young:
            self._pauses.pop(worker.name, None)
        self._again(self._pause(worker.name) if young else 0.0)

    def _pause(self, name: int) -> float:
        pause = self._pauses.get(name, FIRST_RETRY)
        self._pauses[name] = min(2 * pause, LAST_RETRY)
        return pause

    def _again(self, seconds: float) -> None:
        """Have all workers that there have to be."""

        def again() -> None:
            if self.status == Status.running and not self.stopping():
                self._correct_state()

        self.loop.call_later(seconds, again)

    async def _start(self) -> None:
        self._quiet.begin()
        self._starting = asyncio.ensure_future(super()._start())
        await asyncio.shield(self._starting)  # Ctrl-C would leave a scheduler that is half there, and is never closed

    # the end

    def close(self, timeout: float | None = None) -> Any:
        """End it, and its workers, within a minute or `timeout` seconds. Where its pool stops it ends anyway, and that
        is waited for.
        """
        if self._over is not None and threading.current_thread() is not self._closer and not self.asynchronous:
            with suppress(TimeoutError):  # the pool says what did not end
                self._over.result(timeout or 3 * PATIENCE)
            return None
        try:
            return super().close(timeout or CLOSING)
        finally:
            if not self.asynchronous:
                self.ended = True
                self._loop_runner.stop()  # of one that did not close in time, too
                self._quiet.end()  # nobody is on dask's thread any more

    def stopping(self) -> bool:
        """Whether its pool stops, or the node of that."""
        manager = self.manager
        return self._over is not None or manager.stopping is not None or manager.node.closed

    async def _close(self) -> None:
        with suppress(ValueError):  # it is closed for the second time, or has not begun
            self.manager.guests.remove(self.over)
        self._quiet.level = logging.CRITICAL  # that connections end is meant
        if self._starting is not None and self._starting is not asyncio.current_task():
            await asyncio.wait({self._starting}, timeout=PATIENCE)
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
                with suppress(Exception):  # it had PATIENCE, or its loop is over; its cluster goes anyway
                    client.left()
            with suppress(Exception):  # it had PATIENCE; its runners end now, and its workers with them
                self.close(timeout=PATIENCE)
        finally:
            if not self._over.cancelled():
                self._over.set_result(None)
