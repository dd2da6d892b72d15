"""Seats: on which runner each worker of a dask cluster is, and how many runners the pool has to have for them.

Rule: a runner has at most one worker of a cluster. Who wants a seat gets the oldest runner that is up and has none.
The pool has at least as many runners as there are workers (floor.py).

Place: on the loop of the pool's node, under dask_cluster.py, which lives on dask's own loop and thread. It does not
know dask: what runs there is a remote call of dask_workers.py, and its life is the worker's.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from beampy.errors import BeampyError, BootFailed, PoolClosed
from beampy.frames.dask_workers import serve
from beampy.frames.floor import want
from beampy.otp.rpc import remote_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.frames.dask_workers import Settings
    from beampy.pool.manager import Manager

STARTING = 60.0  # seconds for a worker: on a busy machine importing dask, pandas and pyarrow takes 10 of them
ENDING = 10.0  # seconds for it to end; dask_workers.py gives the worker itself 5
LOOK = 0.05  # seconds between two looks at a pool whose machines are on their way: a boot takes 0.1 s and more


class Seats:
    """Those of one cluster."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.taken: dict[str, int] = {}  # by node: the name of the worker
        self.wanted = 0  # seats that are taken or waited for

    async def take(self, name: int, unwanted: asyncio.Event) -> str:
        """A runner for this worker: the name of its node. BootFailed, as for a call of the pool; PoolClosed.

        `unwanted`: nobody wants the worker any more.
        """
        manager = self.manager
        self._want(self.wanted + 1)
        try:
            until, failed = manager.clock() + manager.plan.limits.boot_timeout + STARTING, manager.plan.failed_rounds
            while (node := self._free()) is None:
                if unwanted.is_set() or manager.stopping is not None:
                    why = manager.stopping or f"dask worker {name} is not wanted any more"
                    raise PoolClosed(manager.name, why)
                failed = min(failed, manager.plan.failed_rounds)  # one that succeeds ends the count
                if manager.plan.failed_rounds - failed >= manager.plan.limits.boot_rounds or manager.clock() >= until:
                    raise self._none()
                await asyncio.sleep(LOOK)
        except BaseException:
            self._want(self.wanted - 1)
            raise
        self.taken[node] = name
        return node

    def _none(self) -> BootFailed:
        manager = self.manager
        limits, why = manager.plan.limits, manager.plan.why
        if isinstance(why, BootFailed):
            return BootFailed(why.pool, why.why, why.attempts, why.log)
        if why is None:
            text = f"no runner came up, of {limits.max} at most, that has no worker of this cluster"
            return BootFailed(manager.name, text)
        return BootFailed(manager.name, str(why), limits.boot_rounds, manager.boot_log)

    def give(self, node: str) -> None:
        """The worker there has ended."""
        if self.taken.pop(node, None) is not None:
            self._want(self.wanted - 1)

    def _free(self) -> str | None:
        """The oldest runner that is up and has none of our workers."""
        runners = self.manager.runners
        for number in sorted(runners):
            runner = runners[number]
            if runner.state == "up" and runner.node not in self.taken:
                return runner.node
        return None

    def _want(self, count: int) -> None:
        self.wanted = count
        want(self.manager, self, count)


class Tending:
    """One worker, from the wish for it to its end. All of it is the node's thread's, but for `close`."""

    def __init__(self, seats: Seats, settings: Settings) -> None:
        self.seats = seats
        self.settings = settings
        self.node = ""  # the runner's
        self.address = ""  # the worker's
        self.directory = ""  # its files, on its machine
        self._closing = asyncio.Event()

    async def tend(self, up: Callable[[], object]) -> None:
        """Have a worker, until it ends. `up` is called when the scheduler has it.

        It returns when the worker has ended by itself, or was told to; it raises what the runner was lost of.
        """
        self.node = await self.seats.take(self.settings.name, self._closing)
        try:
            stream = remote_call(self.node, serve, self.settings)
            try:
                where = await self._begun(stream)
                self.address, self.directory = where
                up()
                await self._next(stream)
            finally:
                with suppress(BeampyError, TimeoutError):  # its runner is gone, or it is left alone
                    async with asyncio.timeout(ENDING):
                        await stream.aclose()
        finally:
            self.seats.give(self.node)

    async def _begun(self, stream: Any) -> Any:
        """Where it is, when it is there."""
        pool, name = self.seats.manager.name, self.settings.name
        limit = asyncio.timeout(STARTING)
        try:
            async with limit:
                where = await self._next(stream)
        except TimeoutError:
            if not limit.expired():  # it is the worker's own
                raise
            raise BootFailed(pool, f"dask worker {name} did not begin on {self.node} within {STARTING:g} s") from None
        if where is None:
            raise PoolClosed(pool, f"dask worker {name} is not wanted any more")
        return where

    async def _next(self, stream: Any) -> Any:
        """What the worker says next. None: it has ended, or was told to, and has."""
        says = asyncio.ensure_future(anext(stream, None))
        told = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({says, told}, return_when=asyncio.FIRST_COMPLETED)
            if not says.done():
                with suppress(TimeoutError):  # it is left alone then; its runner says that it does not end
                    async with asyncio.timeout(ENDING):
                        await stream.aclose()  # before `says` is cancelled, which would end it without waiting for it
            return says.result() if says.done() else None
        finally:
            for task in (says, told):
                task.cancel()
            await asyncio.gather(says, told, return_exceptions=True)

    def close(self) -> None:
        """End it. On any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self.seats.manager.loop.call_soon_threadsafe(self._closing.set)
