"""What the tests of supervisors share: children of several kinds, and looking at supervisors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.errors import ServerExited
from beampy.testing import harness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

LOG = "beampy.supervisor"


class Counter(bp.Server):
    def __init__(self, start: int = 0) -> None:
        self.n = start

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.n += by
        return self.n


class Hanging(bp.Server):
    """Its init does not end."""

    async def init(self) -> None:
        bp.send("tester", ("hangs", bp.self()))
        await bp.receive(("never",))


class Deaf(bp.Server):
    """It traps exits and takes no notice of its supervisor."""

    trap_exit = True

    async def terminate(self, reason: Any) -> None:
        await bp.receive(("never",))


async def idle() -> None:
    await bp.receive(("never",))


async def told(*what: Any) -> None:
    """A worker that says that it is up, and that it is told to stop."""
    bp.trap_exit(True)
    bp.send("tester", ("up", *what, bp.self()))
    _, reason = await bp.receive(bp.Exit)
    bp.send("tester", ("down", *what))
    bp.exit(reason)


async def body(fn: Callable[[], Awaitable[Any]]) -> Any:
    bp.register("tester", bp.self())
    bp.trap_exit(True)
    return await fn()


async def run(fn: Callable[[], Awaitable[Any]], **options: Any) -> Any:
    """Run a test's body as a process called "tester", which traps exits."""
    return await harness.run(body, fn, **options)


async def pid_of(sup: Any, id: Any) -> bp.Pid:
    [pid] = [info.pid for info in await sup.which_children() if info.id == id]
    assert isinstance(pid, bp.Pid)
    return pid


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[tuple[str, str]]:
    """What supervisors logged: level and text."""
    return [(r.levelname, r.message) for r in caplog.records if r.name == LOG and r.levelno >= level]


async def ask(sup: Any, child: Any) -> None:
    try:
        await sup.start_child(child)
    except ServerExited:
        return


async def slow_start() -> bp.Pid:
    bp.send("tester", ("starting", bp.self()))
    await bp.receive(lambda m: m == "go on")
    return bp.spawn_link(idle)
