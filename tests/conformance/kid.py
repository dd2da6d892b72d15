"""probes_kid.erl: a child for supervisors, and looking at it.

A kid tells the prober of its start, of its stop when it traps exits, and does what it is told; options say what its
start function and its end do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.errors import AlreadyStarted, BadSpec, CallFailed, ChildError, StartFailed, StartIgnored
from beampy.otp.child import ChildCount, ChildSpec
from beampy.otp.dynamic import DynamicSupervisor
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness
from tests.conformance.vocabulary import reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DELETED = "deleted"

# the supervisor


async def sup(specs: Any = (), **flags: Any) -> Supervisor:
    """A supervisor linked to the prober, which traps exits."""
    bp.trap_exit(True)
    return await Supervisor.start_link(list(specs), **{"intensity": 20, "period": 60, **flags})


async def dynamic(**flags: Any) -> DynamicSupervisor:
    """The counterpart of simple_one_for_one."""
    bp.trap_exit(True)
    return await DynamicSupervisor.start_link(**{"intensity": 20, "period": 60, **flags})


async def close(s: Any) -> Any:
    """Shut a supervisor down, as its parent; its reason."""
    ref = bp.monitor(s.pid)
    bp.unlink(s.pid)
    bp.exit(s.pid, "shutdown")
    return await reason(ref)


# its children


def kid(id: Any, options: dict[str, Any] | None = None, **spec: Any) -> ChildSpec:
    return ChildSpec(id, (start, id, bp.self(), options or {}), **spec)


def kids(ids: str, **spec: Any) -> list[ChildSpec]:
    return [kid(id, **spec) for id in ids]


def start(id: Any, teller: bp.Pid, options: dict[str, Any]) -> Any:
    bp.send(teller, ("event", ("start", id)))
    if "result" in options:
        return options["result"]()
    return bp.spawn(loop, id, teller, options, link=True, trap_exit=options.get("trap", True))


async def loop(id: Any, teller: bp.Pid, options: dict[str, Any]) -> None:
    async for message in bp.mailbox():
        match message:
            case bp.Exit() if "stubborn" in options:
                continue
            case bp.Exit(_, why):
                bp.send(teller, ("event", ("stop", id, why)))
                bp.exit(options.get("reason", why))
            case ("exit", why):
                bp.exit(why)
            case ("run", fn):
                fn()


async def up_loop() -> None:
    _, why = await bp.receive(("exit", ...))
    bp.exit(why)


def up() -> bp.Pid:
    """A start function's result: a child that only listens."""
    return bp.spawn_link(up_loop)


def no() -> Any:
    """The same: {error, no}."""
    raise StartFailed("kid", "no")


def fails(why: Any) -> dict[str, Any]:
    """Options: its start gives {error, why}."""

    def result() -> Any:
        raise StartFailed("kid", why)

    return {"result": result}


def ignored() -> dict[str, Any]:
    """Options: its start gives ignore."""
    return {"result": lambda: bp.IGNORE}


def raises() -> dict[str, Any]:
    """Options: its start raises."""

    def result() -> Any:
        raise ValueError("boom")

    return {"result": result}


def results(*fns: Callable[[], Any]) -> Callable[[], Any]:
    """A result that changes with every start: that of each function in turn, then of the last."""
    left = list(fns)
    return lambda: (left.pop(0) if len(left) > 1 else left[0])()


# looking at it


async def child(s: Any, id: Any) -> Any:
    """The pid of a child, None when it is stopped, "restarting", "deleted"."""
    found = [info.pid for info in await s.which_children() if info.id == id]
    return found[0] if found else DELETED


async def pid_of(s: Any, id: Any) -> bp.Pid:
    pid = await child(s, id)
    assert isinstance(pid, bp.Pid)
    return pid


async def ids(s: Any) -> list[Any]:
    return [info.id for info in await s.which_children()]


async def order(s: Any) -> list[Any]:
    """The ids oldest first."""
    return (await ids(s))[::-1]


async def finish(s: Any, pid: bp.Pid, why: Any = "oops") -> None:
    """End a child, by itself or, for killed, by a signal; wait until the supervisor has dealt with it, or has ended."""
    ref = bp.monitor(pid)
    if why == "killed":
        bp.exit(pid, "kill")
    else:
        bp.send(pid, ("exit", why))
    await reason(ref)
    await settled(s)


async def settled(s: Any) -> None:
    """A supervisor answers when it is done with what came before."""
    try:
        await s.count_children()
    except CallFailed:
        await harness.ended(s.pid)


async def events() -> list[Any]:
    """What kids told so far."""
    found = []
    while (event := await bp.receive(("event", ...), timeout=harness.QUIET, default=None)) is not None:
        found.append(event[1])
    return found


async def exit_reason(s: Any) -> Any:
    """The reason in the supervisor's Exit."""
    return (await harness.expect(lambda m: isinstance(m, bp.Exit) and m.pid == s.pid)).reason


def fate(before: Any, now: Any) -> str:
    """What became of a child."""
    if now == before:
        return "same"
    if now is None:
        return "stopped"
    return DELETED if now == DELETED else "restarted"


def counts(count: ChildCount) -> list[Any]:
    return list(count._asdict().items())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a state of a supervisor that no message tells of."""
    async with asyncio.timeout(harness.DEADLINE):
        while not await condition():
            await asyncio.sleep(0.001)


async def result(awaitable: Awaitable[Any]) -> Any:
    """What a function of supervisor gives: "ok", ("ok", pid or None), ("error", why)."""
    try:
        value = await awaitable
    except AlreadyStarted as error:
        return ("error", ("already_started", error.pid))
    except ChildError as error:
        return ("error", error.why)
    except BadSpec:
        return ("error", "bad_spec")
    except StartIgnored:
        return "ignore"
    except StartFailed as error:
        return ("error", error.reason)
    return ("ok", value)


async def done(awaitable: Awaitable[Any]) -> Any:
    """The same for those that give a bare "ok"."""
    answer = await result(awaitable)
    return "ok" if answer == ("ok", None) else answer
