"""The end of a pool: no new calls, then those that there are, then runners, then the backend.

Rule: whoever waits for a call is waited for, as long as the pool is told to; calls that nobody waits for, and children
that were placed, are not. Every runner is asked to end, and all of them in one time; what has not ended then is the
backend's. It runs once; when the node stops meanwhile, what is left of it has no time any more.

Place: the manager's. One runner's end is ending.py's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from beampy.errors import PoolClosed, RunnerLost
from beampy.pool import booting, ending

if TYPE_CHECKING:
    from beampy.core.process import Process
    from beampy.pool.manager import Manager

log = logging.getLogger("beampy.pool")

LIVE = ("up", "away")
CLEANUP = 5.0  # seconds for jobs that were cancelled, as `exit_grace` of a node; a runner that is done ends at once
LOOK = 0.5  # seconds between two looks at a pool that nobody has, whose runners wait for calls for a minute or so
UNUSED = 30.0  # seconds after which its runners that have nothing to do end at the latest; as `idle_shutdown_after`
HOOKS = 5.0  # seconds for hooks of the user's that still run when a pool ends, and for guests


async def closed(manager: Manager, why: str, patience: float, seconds: float) -> None:
    """`close`, in the manager's process."""
    ended: asyncio.Future[None] = manager.loop.create_future()
    manager.process.add_done_callback(lambda _: None if ended.done() else ended.set_result(None))
    manager.post(lambda: manager.task(close(manager, why, patience, seconds)))
    await asyncio.shield(ended)


async def over(manager: Manager) -> None:
    """Wait until all of it has ended, which somebody has asked for."""
    if manager.process.alive:
        ended: asyncio.Future[None] = manager.loop.create_future()
        manager.process.add_done_callback(lambda _: None if ended.done() else ended.set_result(None))
        await ended


def owner_ended(manager: Manager) -> None:
    """The process that the pool was started for is gone."""
    manager.task(close(manager, "the process that started it has ended", 0.0, manager.options.shutdown_timeout))


def unused(manager: Manager) -> None:
    """Nobody can call it any more. What runs goes on, and what it keeps for others stays; it ends after that."""
    if manager.process.alive and manager.stopping is None:
        limits = manager.plan.limits
        manager.plan.hurry(UNUSED)
        manager.plan.resize(0, limits.max, manager.clock())
        manager.act()
        manager.task(_after_its_runners(manager))


async def _after_its_runners(manager: Manager) -> None:
    while manager.runners or manager.waited_for():  # noqa: ASYNC110  -- they end when they have been idle
        await asyncio.sleep(LOOK)
    await close(manager, "nobody has it any more", 0.0, 0.0)


def let_go(manager: Manager, process: Process) -> None:
    """Who stops the pool does not end with the children that it has placed there itself."""
    for child in manager.held.values():
        if child._process is process:
            manager.node.unlink(process, child.result())


async def close(manager: Manager, why: str, patience: float, seconds: float) -> None:
    """Take no more calls; wait `patience` seconds for those that there are; end all runners within `seconds`."""
    if manager.stopping is not None:
        return
    manager.stopping = why
    until = manager.clock() + patience
    while manager.waited_for() and manager.clock() < until:  # one that has ended may be run again
        manager.idle = manager.loop.create_future()
        await asyncio.wait({manager.idle}, timeout=until - manager.clock())
    await end(manager, why, seconds)


async def end(manager: Manager, why: str, seconds: float) -> None:
    """The end of all that is there, within `seconds`."""
    if manager.alarm is not None:
        manager.alarm.cancel()
    manager.plan.stop(manager.clock())
    manager.act()
    for call in [*manager.calls.values(), *manager.pausing]:
        call.reject(PoolClosed(manager.name, why))
    if manager.guests:
        await _without_guests(manager, min(seconds, HOOKS))
    placed = {child.place.owner for child in manager.held.values() if child.place is not None}
    ends = [
        ending.stop(manager, runner, seconds if runner in placed else min(seconds, CLEANUP))
        for runner in manager.runners.values()
        if runner.state in LIVE
    ]
    ends += [booting.abandon(manager, runner) for runner in manager.runners.values() if runner.state == "booting"]
    ends += [patient(runner.ender, seconds) for runner in manager.runners.values() if runner.state == "draining"]
    await asyncio.gather(*ends, return_exceptions=True)
    if manager.hooks and seconds:
        await asyncio.wait(manager.hooks, timeout=min(seconds, HOOKS))
    for task in manager.tasks - {asyncio.current_task()}:
        task.cancel()
    for runner in list(manager.runners.values()):
        ending.tell(manager, runner, RunnerLost(runner.node, why))
        booting.forget(manager, runner)
    try:
        async with asyncio.timeout(booting.DELETING):
            await manager.backend.stop()
    except Exception:
        log.exception("pool %s: its backend", manager.name)
    manager.tell.events.close()
    manager.ended = True
    manager.process.deliver([])  # the last message


async def patient(task: asyncio.Task[None] | None, seconds: float) -> None:
    """Wait for what ends a runner already."""
    if task is not None:
        await asyncio.wait({task}, timeout=seconds + ending.SLACK)


async def _without_guests(manager: Manager, seconds: float) -> None:
    """What lives on the runners ends before them, if it does within `seconds`."""
    leaving = [asyncio.wrap_future(guest()) for guest in list(manager.guests)]
    ended, late = await asyncio.wait(leaving, timeout=seconds)
    for guest in ended:
        if not guest.cancelled() and (error := guest.exception()) is not None:
            log.error("pool %s: what lives on its runners ended with an error", manager.name, exc_info=error)
    if late and seconds:  # where there was no time nobody expected them to
        log.warning(
            "pool %s: what lives on its runners did not end in %g s, its runners end now", manager.name, seconds
        )
