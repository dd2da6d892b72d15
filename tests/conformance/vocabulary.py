"""The helpers of probes.erl, under their names: what the tests of probes are written with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.errors import BeampyError, ServerExited, StartFailed
from beampy.testing import harness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NONE = "none"  # stands for a message that did not come, as in the probes


async def reason(ref: bp.Ref) -> Any:
    """The reason in the Down of a monitor that is on."""
    return (await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)).reason


async def down(pid: bp.Pid) -> Any:
    """Wait for the end of a process; its reason."""
    return await reason(bp.monitor(pid))


async def ex(fn: Callable[..., Any], *args: Any) -> Any:
    """The exit reason of a fresh process that runs `fn`."""
    _, ref = bp.spawn_monitor(fn, *args)
    return await reason(ref)


async def get1() -> Any:
    """The next message, which must come."""
    return await bp.receive(timeout=harness.DEADLINE, default=NONE)


async def absent(seconds: float = harness.QUIET) -> Any:
    """The next message, which should not come: then NONE."""
    return await bp.receive(timeout=seconds, default=NONE)


async def mailbox() -> list[Any]:
    """What is in the mailbox and comes within a moment."""
    found = []
    while (message := await absent()) is not NONE:
        found.append(message)
    return found


async def idle() -> None:
    """A process that ends when it is told to."""
    match await bp.receive(lambda m: m == "stop" or (isinstance(m, tuple) and m[0] == "exit")):
        case ("exit", why):
            bp.exit(why)


def idler() -> bp.Pid:
    return bp.spawn(idle)


def linked_idler() -> bp.Pid:
    return bp.spawn_link(idle)


async def nothing() -> None:
    """A process that ends at once."""


async def forever() -> None:
    """A process that only an exit signal ends."""
    await bp.receive(("never",))


async def early() -> None:
    bp.exit("early")


async def dead() -> bp.Pid:
    """The pid of a process that has ended."""
    pid, ref = bp.spawn_monitor(nothing)
    await reason(ref)
    return pid


async def _trap(parent: bp.Pid) -> None:
    bp.trap_exit(True)
    bp.send(parent, ("ready", bp.self()))
    _, who = await bp.receive(("report", bp.Pid))
    bp.send(who, ("report", harness.flush()))


async def trapper() -> bp.Pid:
    """A process that traps exits and keeps its mailbox until it is asked for it."""
    pid = bp.spawn(_trap, bp.self())
    await harness.expect(("ready", pid))
    return pid


async def report(pid: bp.Pid) -> list[Any]:
    """The mailbox of a trapper, which ends."""
    bp.send(pid, ("report", bp.self()))
    return (await harness.expect(("report", list)))[1]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no message tells of."""
    async with asyncio.timeout(harness.DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


def listed(pid: bp.Pid) -> bool:
    """Whether a process is among those of its node."""
    return pid in bp.processes() if pid.node == bp.node() else bp.process_info(pid) is not None


def waiting() -> int:
    """How many messages are in the mailbox of the current process."""
    info = bp.process_info(bp.self())
    assert info is not None
    return info.message_queue_len


def what(error: BaseException) -> Any:
    """An error as a value: its class, with the reason where one carries it from a process that ended."""
    if isinstance(error, (ServerExited, StartFailed)) and error.__class__ in (ServerExited, StartFailed):
        return (error.__class__, error.reason)
    return error.__class__


def c(fn: Callable[[], Any]) -> Any:
    """The value of `fn()`, or what it raised."""
    try:
        return fn()
    except (BeampyError, TypeError, ValueError) as error:
        return what(error)


async def ca(awaitable: Awaitable[Any]) -> Any:
    """The value of an awaitable, or what it raised."""
    try:
        return await awaitable
    except Exception as error:
        return what(error)


def distinct(values: list[Any]) -> list[Any]:
    """Each value once, in the order they came, as lists:usort without the sorting."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
