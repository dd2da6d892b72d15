"""Booting: from the plan's wish for a machine to a runner that has said Hello, or to a failure that says why.

Rule: a ticket, then the backend, then the runner's own call home; one deadline for all. A machine that has not become
a runner is ended through its backend, whatever went wrong. A Hello is believed only with a good ticket, from the node
that the ticket names, in a version that fits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import math
import os
import time
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.errors import BootFailed, RunnerLost
from beampy.pool import ending, hooks
from beampy.pool.backend import Order
from beampy.pool.messages import PROTOCOL, Refused, Welcome
from beampy.pool.record import Runner
from beampy.pool.spec import RunnerSpec
from beampy.pool.ticket import BadTicket
from beampy.version import __version__

if TYPE_CHECKING:
    from beampy.pool.manager import Manager
    from beampy.pool.messages import Hello

log = logging.getLogger("beampy.pool")

FIRST_LOOK, LAST_LOOK = 0.1, 1.0  # seconds between two looks at a machine that is to call home; doubling
LOG_SHOWN = 4_000  # characters of a machine's log in an error
DELETING = 30.0  # seconds a backend has to end a machine; a cloud's API answers within that or not at all


def begin(manager: Manager, number: int) -> None:
    """Boot one machine."""
    name = manager.home.name(number)
    runner = manager.runners[number] = Runner(number, name, f"runner-{number}", manager.clock())
    manager.tell.boot(runner, sum(other.state == "booting" for other in manager.runners.values()))
    runner.booter = manager.task(boot(manager, runner))


async def boot(manager: Manager, runner: Runner) -> None:
    """One machine. The plan hears of its failure here, and of its success when it says Hello."""
    options = manager.options
    try:
        await hooks.grow_start(manager, runner)
        spec = runner_spec(manager, runner)
        order = Order(runner.node, spec.to_text(), spec.env, options.boot_timeout)
        runner.machine = await manager.backend.boot(order)
        if runner.state == "down":
            await end(manager, runner)  # it came, and went, before its backend said that it was there
        await _ended_early(manager, runner)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        await failed(manager, runner, error)


def runner_spec(manager: Manager, runner: Runner, isolation: str | None = None) -> RunnerSpec:
    """What a machine, or a slot of one, is told."""
    home, options, backend = manager.home, manager.options, manager.backend
    grace = backend.grace if options.grace is None else options.grace
    home.expect(runner.node)
    runner.ticket = manager.tickets.issue(
        runner.number, runner.node, expires=math.ceil(time.time() + options.boot_timeout + grace)
    )
    return RunnerSpec(
        name=runner.node,
        parent=home.node.name,
        addresses=home.addresses(),
        manager=manager.registered,
        cookie=home.cookie,
        ticket=runner.ticket,
        slots=manager.width,
        isolation=isolation or options.isolation,
        parent_pid=os.getpid() if backend.local else 0,
        grace=grace,
        failsafe=options.failsafe,
        shutdown=options.shutdown_timeout,
        node={"packages": options.packages, "busy_wait": backend.local},
        env=dict(options.env),
    )


async def _ended_early(manager: Manager, runner: Runner) -> None:
    """Watch a machine until it has called home. BootFailed when it ends before that."""
    wait = FIRST_LOOK
    while runner.state == "booting":
        await asyncio.sleep(wait)
        wait = min(2 * wait, LAST_LOOK)
        if runner.state != "booting" or runner.machine is None:
            return
        try:
            found = await manager.backend.describe(runner.machine)
        except Exception as error:  # the deadline of the boot goes on
            log.warning("pool %s: how the machine of %s is cannot be said: %r", manager.name, runner.label, error)
            continue
        if found.state == "ended" and runner.state == "booting":
            status = "" if found.status is None else f" with status {found.status}"
            memory = ", out of memory" if found.oom else ""
            why = f": {found.why}" if found.why else ""
            raise BootFailed(manager.name, f"its process ended{status}{memory} before it called home{why}")


async def failed(manager: Manager, runner: Runner, error: Exception) -> None:
    """A boot has come to nothing: the plan and those who wait hear why, and nothing of it stays."""
    if runner.state != "booting":
        return
    runner.state = "down"
    wrote = await written(manager, runner)
    why = error.why if isinstance(error, BootFailed) else f"{type(error).__name__}: {error}"
    shown = BootFailed(manager.name, why, manager.options.boot_rounds, wrote)
    if not isinstance(error, BootFailed):
        shown.__cause__ = error
    manager.tell.boot_failed(runner, why)
    log.warning("pool %s: %s did not boot: %s", manager.name, runner.label, why)
    hooks.grow_end(manager, runner, error)
    await delete(manager, runner)
    manager.plan.boot_failed(runner.number, shown, manager.clock())
    manager.act()


async def written(manager: Manager, runner: Runner) -> str:
    """The end of a machine's log; nothing where the backend cannot say."""
    if runner.machine is None:
        return ""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(DELETING):
            return (await manager.backend.logs(runner.machine, LOG_SHOWN)).strip()
    return ""


async def delete(manager: Manager, runner: Runner) -> bool:
    """Nothing of this machine is left: its process, its ticket, its right to connect. False: its process may be."""
    forget(manager, runner)
    return await end(manager, runner)


def forget(manager: Manager, runner: Runner) -> None:
    """Nothing here knows it any more."""
    manager.tickets.revoke(runner.number)
    manager.runners.pop(runner.number, None)
    manager.home.forget(runner.node)


async def end(manager: Manager, runner: Runner) -> bool:
    """Its machine, if it has one, is gone. False where that is not sure."""
    if runner.machine is not None:
        try:
            async with asyncio.timeout(DELETING):
                await manager.backend.terminate(runner.machine)
        except Exception as error:
            log.error("pool %s: the machine of %s may be left: %r", manager.name, runner.label, error)
            return False
    return runner.machine is not None


async def abandon(manager: Manager, runner: Runner) -> None:
    """The plan does not wait for this boot any more: it took too long, or is not wanted."""
    if runner.state == "booting":
        await give_up(manager, runner)


def give_up(manager: Manager, runner: Runner) -> asyncio.Task[None]:
    """That, for one that boots: at once, so that what has not begun does not begin; what ends it is the task."""
    runner.state = "down"
    if runner.booter is not None:
        runner.booter.cancel()
    waited, most = manager.clock() - runner.asked_at, manager.options.boot_timeout
    if waited >= most:
        why = f"it did not call home within {waited:.3g} s (boot_timeout is {most:g} s)"
        log.warning("pool %s: %s was given up: %s", manager.name, runner.label, why)
    else:
        why = f"it was not wanted any more, {waited:.3g} s after it was asked for"
    manager.tell.boot_failed(runner, why)
    return manager.task(_given_up(manager, runner, why))


async def _given_up(manager: Manager, runner: Runner, why: str) -> None:
    manager.boot_log = await written(manager, runner)
    hooks.grow_end(manager, runner, TimeoutError(why))
    await delete(manager, runner)


def hello(manager: Manager, hello: Hello) -> None:
    """A runner, or a slot of one, has called home."""
    node = hello.pid.node
    if (again := returned(manager, hello)) is not None:
        back(manager, again, hello)
        return
    try:
        number = manager.tickets.redeem(hello.ticket, node, now=time.time())
    except BadTicket as bad:
        refuse(manager, hello, str(bad))
        return
    except Exception as error:
        refuse(manager, hello, f"its Hello cannot be read: {error!r}")
        return
    slot = None if manager.slots is None else manager.slots.expected(number)
    if slot is not None:
        assert manager.slots is not None
        manager.slots.hello(slot, hello)
        return
    runner = manager.runners.get(number)
    if runner is None or runner.state != "booting":
        refuse(manager, hello, "nobody waits for it any more")
        return
    about = hello.about if isinstance(hello.about, dict) else {}
    wrong = unfit(about)
    if wrong is not None:
        refuse(manager, hello, wrong)
        manager.task(failed(manager, runner, BootFailed(manager.name, wrong)))
        return
    up(manager, runner, hello, about)


def unfit(about: dict[str, Any]) -> str | None:
    """Why a runner of such a version cannot be used."""
    if about.get("protocol") != PROTOCOL:
        return (
            f"it runs beampy {about.get('beampy', 'of an unknown version')}, whose runners speak protocol "
            f"{about.get('protocol')!r}; this is beampy {__version__} with protocol {PROTOCOL}: install the same"
        )
    return None


def up(manager: Manager, runner: Runner, hello: Hello, about: dict[str, Any]) -> None:
    """It is a runner of this pool."""
    now = manager.clock()
    if not manager.plan.booted(runner.number, now):
        refuse(manager, hello, "it was given up")  # which is being done
        return
    runner.state, runner.pid, runner.about, runner.up_at = "up", hello.pid, about, now
    runner.monitor = api.monitor(hello.pid, tag=runner.number)
    manager.say(hello.pid, Welcome(runner.number))
    manager.home.hurry(runner.node, about)
    manager.tell.up(runner, manager.width, price(manager, runner))
    manager.act()
    hooks.grow_end(manager, runner, "ok")


def price(manager: Manager, runner: Runner) -> float | None:
    """What its backend says that it costs. One that cannot say so does not keep it from work."""
    try:
        return manager.backend.price(runner.machine)
    except Exception as error:
        log.warning("pool %s: what %s costs is not known: %r", manager.name, runner.label, error)
        return None


def returned(manager: Manager, hello: Hello) -> Runner | None:
    """The runner that this one is, where it was only away: of the same name, with the very ticket it had."""
    for runner in manager.runners.values():
        same = runner.node == hello.pid.node and runner.state == "away" and runner.ticket
        if same and hmac.compare_digest(runner.ticket, str(hello.ticket)):
            return runner
    return None


def back(manager: Manager, runner: Runner, hello: Hello) -> None:
    """It is used again."""
    runner.state, runner.pid = "up", hello.pid
    runner.monitor = api.monitor(hello.pid, tag=runner.number)
    manager.say(hello.pid, Welcome(runner.number))
    log.warning("pool %s: %s is back", manager.name, runner.label)
    ending.tell(manager, runner, RunnerLost(runner.node, "the connection to it was gone for a while"))
    if manager.slots is not None:
        manager.slots.back(runner)
    manager.plan.back(runner.number, manager.clock())
    manager.act()


def refuse(manager: Manager, hello: Hello, why: str) -> None:
    """It is none of ours: it hears why, and ends."""
    log.warning("pool %s refused %s: %s", manager.name, hello.pid.node, why)
    manager.say(hello.pid, Refused(why))
