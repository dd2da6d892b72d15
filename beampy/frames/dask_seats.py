"""Seats: on which runner each worker of a dask cluster is, and how many runners the pool has to have for them.

Rule: a runner has at most one worker of a cluster. Who wants a seat gets the oldest runner that is up and has none. The
pool's `min` is at least the number of workers as long as there are any, so that the pool boots what is missing, and
replaces what is lost. When they are gone it is what it was, or what somebody has said meanwhile.

Place: on the loop of the pool's node, under dask_client.py, which lives on dask's own loop and thread. It does not know
dask: what runs there is a remote call of dask_workers.py, and its life is the worker's.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from beampy.errors import BeampyError, BootFailed, PoolClosed
from beampy.frames.dask_workers import serve
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
        self.taken: dict[str, str] = {}  # by node: the name of the worker
        self.wanted = 0  # seats that are taken or waited for
        self.refused = ""  # why none is given any more

    async def take(self, name: str) -> str:
        """A runner for this worker: the name of its node. BootFailed, PoolClosed."""
        manager = self.manager
        limits = manager.plan.limits
        self._want(self.wanted + 1)
        try:
            until = manager.clock() + limits.boot_timeout + STARTING
            while (node := self._free()) is None:
                if self.refused or manager.stopping is not None:
                    raise PoolClosed(manager.name, self.refused or manager.stopping or "it stops")
                if manager.clock() >= until:
                    why = str(manager.plan.why or f"no runner without a worker came up; max={manager.plan.limits.max}")
                    raise BootFailed(manager.name, why, limits.boot_rounds, manager.boot_log)
                await asyncio.sleep(LOOK)
        except BaseException:
            self._want(self.wanted - 1)
            raise
        self.taken[node] = name
        return node

    def give(self, node: str) -> None:
        """The worker there has ended."""
        if self.taken.pop(node, None) is not None:
            self._want(self.wanted - 1)

    def refuse(self, why: str) -> None:
        """Nobody gets a seat any more, nor goes on waiting for one."""
        self.refused = why

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
        floor = _floors.get(self.manager)
        if floor is None:
            floor = _floors[self.manager] = Floor(self.manager.plan.limits.min)
        floor.look(self.manager, self, count)


class Floor:
    """The `min` of a pool, with what its clusters want."""

    def __init__(self, least: int) -> None:
        self.told = least  # what others have said
        self.ours = least  # what we have made of it
        self.wants: dict[Seats, int] = {}

    def look(self, manager: Manager, seats: Seats, count: int) -> None:
        """This cluster wants so many runners: see that the pool has them."""
        if manager.stopping is not None:
            return
        limits = manager.plan.limits
        if limits.min != self.ours:
            self.told = limits.min
        if count:
            self.wants[seats] = count
        else:
            self.wants.pop(seats, None)
        self.ours = min(max(self.told, *self.wants.values(), 0), limits.max)
        if self.ours != limits.min:
            manager.plan.resize(self.ours, limits.max, manager.clock())
            manager.tell.scaled(self.ours, limits.max)
            manager.act()


_floors: WeakKeyDictionary[Manager, Floor] = WeakKeyDictionary()


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
        self.node = await self.seats.take(self.settings.name)
        try:
            stream = remote_call(self.node, serve, self.settings)
            try:
                async with asyncio.timeout(STARTING):
                    where = await self._next(stream)
                if where is None:
                    raise PoolClosed(self.seats.manager.name, "the dask worker was told to end as it began")
                self.address, self.directory = where
                up()
                await self._next(stream)
            finally:
                with suppress(BeampyError, TimeoutError):
                    async with asyncio.timeout(ENDING):
                        await stream.aclose()
        finally:
            self.seats.give(self.node)

    async def _next(self, stream: Any) -> Any:
        """What the worker says next. None: it has ended, or was told to, and has."""
        says = asyncio.ensure_future(anext(stream, None))
        told = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({says, told}, return_when=asyncio.FIRST_COMPLETED)
            if not says.done():
                async with asyncio.timeout(ENDING):
                    await stream.aclose()  # not cancelled before, which would end it without waiting for the other side
            return says.result() if says.done() else None
        finally:
            for task in (says, told):
                task.cancel()
            await asyncio.gather(says, told, return_exceptions=True)

    def close(self) -> None:
        """End it. On any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self.seats.manager.loop.call_soon_threadsafe(self._closing.set)
