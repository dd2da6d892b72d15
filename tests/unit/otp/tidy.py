"""Tests that run as a process and must leave nothing behind: no process, no message, no link, no monitor."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import beampy as bp
from beampy import api
from beampy.core.mailbox import messages
from beampy.testing import harness

TURNS = 10

Body = Callable[..., Coroutine[Any, Any, None]]


def process(test: Body) -> Body:
    """Run the test as a process of a node of its own, and look at what it leaves there."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        async def body() -> None:
            before = set(bp.processes())
            await test(*args, **kwargs)
            await tidy(before)

        await harness.run(body)

    return run


async def tidy(before: set[bp.Pid]) -> None:
    """Nothing is in the mailbox; every process started since `before` ends by itself; nothing holds on to this one."""
    me = api.self_process()
    assert messages(me._mailbox) == []
    for pid in set(bp.processes()) - before:
        await harness.ended(pid)
    assert messages(me._mailbox) == []
    for _ in range(TURNS):
        if not me.extras().tasks:  # asyncio forgets a task some turns after its end
            break
        await asyncio.sleep(0)
    assert_unattached()


def assert_unattached() -> None:
    """The current process has no links, monitors, watchers, aliases or tasks."""
    me = api.self_process()
    info = bp.process_info(me.pid)
    assert info is not None
    assert (info.links, info.monitors, info.monitored_by, info.tasks) == ((), (), (), 0)
    assert not me.extras().aliases


def unlooked_at() -> None:
    """Handles that nobody holds any more say what they have to say."""
    gc.collect()
