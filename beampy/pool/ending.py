"""The ends of runners: asked to go, told to stop, or lost.

Rule: a runner that is to go gets no new calls from the moment that the plan says so; then it is asked, and only what it
answers ends it: so no call can meet a runner that is ending. One whose connection is gone is looked up at its backend,
so that its callers hear why; a machine of which nothing is known is ended.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.signals import NOCONNECTION, Down
from beampy.errors import RunnerLost
from beampy.pool import booting, hooks
from beampy.pool.backend import Description
from beampy.pool.messages import Busy, Drain, Drained, Leaving
from beampy.pool.messages import Stop as StopRunner
from beampy.pool.record import Runner, Slot

if TYPE_CHECKING:
    from beampy.core.ids import Pid
    from beampy.pool.manager import Manager

log = logging.getLogger("beampy.pool")

KNOWN_WITHIN = 2.0  # seconds a backend has to say how a machine ended, while its callers wait
ASKED = 5.0  # seconds until a question that was not answered is asked again
CLOSING = 1.0  # seconds for the process of a runner that has ended in order: its node's own time (runner.py)
LOOK = 0.005  # seconds between two looks for that; nothing tells of it
SLACK = 1.0  # seconds over its time for a runner to end by itself


async def retire(manager: Manager, runner: Runner, why: str) -> None:
    """Ask a runner whether it may go."""
    if runner.state != "up":
        return
    runner.why = why
    predicate = manager.options.idle_shutdown_after
    if why == "idle" and isinstance(predicate, tuple) and not await _lets_go(runner, predicate[1]):
        if runner.state == "up":
            manager.plan.kept(runner.number, manager.clock())
            manager.act()
        return
    while runner.state == "up" and runner.pid is not None:
        manager.asked.pop(runner.drain, None)
        manager.questions += 1
        runner.drain = question = manager.questions
        manager.asked[question] = runner
        asked = [runner.pid, *(slot.pid for slot in runner.slots.values() if slot.pid is not None)]
        runner.silent = len(asked)
        for pid in asked:
            manager.say(pid, Drain(question))
        runner.answer = answer = asyncio.get_running_loop().create_future()
        await asyncio.wait({answer}, timeout=ASKED)
        if runner.drain != question:
            return  # it has answered, or somebody else asks now


async def _lets_go(runner: Runner, predicate: Any) -> bool:
    """The user's own question, asked there."""
    from beampy.otp.rpc import remote_call

    try:
        return bool(await remote_call.options(timeout=ASKED)(runner.node, predicate))
    except Exception as error:
        log.warning("idle_shutdown_after: the function failed on %s, which stays: %r", runner.label, error)
        return False


def answered(manager: Manager, answer: Drained | Busy) -> None:
    """What it, or a slot of it, says: it may go when all say so."""
    runner = manager.asked.get(answer.number)
    if runner is None or runner.drain != answer.number:
        return
    runner.silent -= 1
    if isinstance(answer, Drained) and runner.silent:
        return
    del manager.asked[answer.number]
    runner.drain = 0
    if runner.answer is not None and not runner.answer.done():
        runner.answer.set_result(None)
    if runner.state != "up":
        return
    if isinstance(answer, Drained):
        manager.plan.drained(runner.number, manager.clock())
    else:
        manager.plan.kept(runner.number, manager.clock())
    manager.act()


async def stop(manager: Manager, runner: Runner, seconds: float) -> None:
    """End a runner in order, then for sure."""
    if runner.state not in ("up", "away"):
        return
    hears = runner.state == "up" and runner.pid is not None
    runner.state = "draining"
    manager.tell.retired(runner)
    if hears and runner.pid is not None:
        manager.say(runner.pid, StopRunner(seconds))
        if seconds > 0 and await _until_down(runner, seconds + SLACK):
            await _until_ended(manager, runner)
    await _bury(manager, runner, RunnerLost(runner.node, "it was told to end"), lost=False)


def leaving(manager: Manager, message: Leaving) -> None:
    """Somebody else ends a runner, or a slot of one, in order: its calls are cancelled there, so they are lost."""
    runner = next((each for each in manager.runners.values() if each.pid == message.pid), None)
    if runner is not None and runner.state == "up":
        runner.state = "draining"
        error = RunnerLost(runner.node, message.why)
        log.warning("pool %s: %s", manager.name, error)
        _take(manager, runner, manager.plan.lost(runner.number, manager.clock()))
        tell(manager, runner, error)
        manager.act()
        runner.ender = manager.task(_leaves(manager, runner, error))
    elif runner is None and manager.slots is not None:
        manager.slots.leaving(message.pid)


async def _leaves(manager: Manager, runner: Runner, error: RunnerLost) -> None:
    await _until_down(runner, manager.options.shutdown_timeout + SLACK)
    await _bury(manager, runner, error, lost=True)


async def _until_down(runner: Runner, seconds: float) -> bool:
    runner.gone = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.timeout(seconds):
            await runner.gone
    except TimeoutError:
        log.warning("%s did not end within %g s: it is ended by its backend", runner.label, seconds)
        return False
    finally:
        runner.gone = None
    return True


async def _until_ended(manager: Manager, runner: Runner) -> None:
    """Let its process end by itself: it takes its sockets back, which who is killed cannot."""
    end = manager.clock() + CLOSING
    while manager.clock() < end and (await _described(manager, runner)).state == "running":  # noqa: ASYNC110
        await asyncio.sleep(LOOK)


def down(manager: Manager, down: Down) -> None:
    """A runner's terminator has ended, or its node is lost."""
    if isinstance(down.tag, Slot):
        if manager.slots is not None:
            manager.slots.down(down.tag)
        return
    if down.tag == "owner":
        manager.owner_ended()
        return
    child = manager.held.pop(down.ref, None)
    if child is not None:
        child.over()
        manager.freed(child)
        return
    runner = manager.runners.get(down.tag)
    if runner is not None and runner.monitor == down.ref:
        lost(manager, runner, down.reason)


def lost(manager: Manager, runner: Runner, reason: Any) -> None:
    """It is gone, wherever that was seen first. Once."""
    if runner.state == "draining":
        if runner.gone is not None and not runner.gone.done():
            runner.gone.set_result(None)
        return
    if runner.state != "up":
        return
    runner.state = "away"
    runner.losses += 1
    loss = runner.losses
    manager.asked.pop(runner.drain, None)
    runner.drain = 0
    _take(manager, runner, manager.plan.away(runner.number, manager.clock()))
    manager.act()
    manager.post(lambda: manager.task(_lost(manager, runner, loss, reason)))


async def _lost(manager: Manager, runner: Runner, loss: int, reason: Any) -> None:
    found = await _described(manager, runner)
    if runner.state != "away" or runner.losses != loss:
        return
    error = RunnerLost(runner.node, _cause(found, reason), found.status, found.oom)
    log.warning("pool %s: %s", manager.name, error)
    if found.state == "ended":
        dead(manager, runner.pid)
    grace = manager.backend.grace if manager.options.grace is None else manager.options.grace
    if grace > 0 and found.state in ("running", "unknown"):
        tell(manager, runner, error)
        await asyncio.sleep(grace)
        if runner.state != "away" or runner.losses != loss:
            return  # it is back, or was
    await _bury(manager, runner, error, lost=True)


def dead(manager: Manager, pid: Pid | None) -> None:
    """The process of this node has ended, for sure: what it owned is lost, and what it held is free at once."""
    refs = manager.node.references
    if refs is not None and pid is not None:
        refs.dead(pid.node, pid.creation)


def _cause(found: Description, reason: Any) -> str:
    """What is known of the end of a runner, in words."""
    if found.why:
        return found.why
    if found.status is not None:
        return (
            f"its process ended with status {found.status}"
            if found.status >= 0
            else (f"its process was ended by signal {-found.status}")
        )
    if isinstance(reason, str) and reason == NOCONNECTION:
        return "the connection to it is gone" + (", and its process runs" if found.state == "running" else "")
    return f"it ended by itself ({reason!r})"


def useless(manager: Manager, runner: Runner, why: str) -> None:
    """It is there, and cannot run calls: it is ended, and its calls are lost."""
    error = RunnerLost(runner.node, why)
    log.error("pool %s: %s", manager.name, error)
    runner.state = "down"
    _take(manager, runner, manager.plan.lost(runner.number, manager.clock()))
    manager.post(lambda: manager.task(_bury(manager, runner, error, lost=True)))


async def _described(manager: Manager, runner: Runner) -> Description:
    if runner.machine is None:
        return Description("unknown")
    try:
        async with asyncio.timeout(KNOWN_WITHIN):
            return await manager.backend.describe(runner.machine)
    except Exception as error:
        return Description("unknown", why=f"its backend does not say how it ended ({type(error).__name__})")


async def _bury(manager: Manager, runner: Runner, error: RunnerLost, *, lost: bool) -> None:
    """It is no runner any more: its calls hear it, its machine ends."""
    runner.state = "down"
    manager.asked.pop(runner.drain, None)
    pids = [runner.pid, *(slot.pid for slot in runner.slots.values())]
    if runner.monitor is not None:
        api.demonitor(runner.monitor, flush=True)
    _take(manager, runner, manager.plan.lost(runner.number, manager.clock()))
    tell(manager, runner, error)
    if manager.slots is not None:
        manager.slots.runner_gone(runner)
    manager.tell.down(runner, error, lost=lost)
    manager.act()
    if await booting.delete(manager, runner):
        for pid in pids:
            dead(manager, pid)
    manager.plan.stopped(runner.number, manager.clock())
    manager.act()
    hooks.shrink(manager, runner)


def _take(manager: Manager, runner: Runner, jobs: list[int]) -> None:
    """Its calls are with it no more: nothing of the pool counts them, and nothing has told them why."""
    for job in jobs:
        call = manager.calls.pop(job, None)
        if call is not None:
            runner.lost.append(call)
            manager.settled(call)
    runner.jobs.clear()
    runner.wanting.clear()


def tell(manager: Manager, runner: Runner, error: RunnerLost) -> None:
    """Why: those that somebody waits for are lost, or tried again."""
    calls, runner.lost = runner.lost, []
    for call in calls:
        call.lost(error)
    manager.look_idle()
