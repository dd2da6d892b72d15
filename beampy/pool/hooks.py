"""Hooks: the pool's callbacks, FLAME's three. They run beside the pool, so none of them holds it up or breaks it.

`on_grow_start(meta)` runs before a machine is asked for, and what it raises fails that boot. `on_grow_end(result,
meta)` gets "ok" or the exception of the boot. `on_shrink(meta)` runs when a runner is gone. Each may be async; a plain
one runs in a thread. `meta` is {"name": of the pool, "runner": label, "node": its name, "count": runners that are up}.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from beampy.pool.manager import Manager
    from beampy.pool.record import Runner

log = logging.getLogger("beampy.pool")


def meta(manager: Manager, runner: Runner) -> dict[str, Any]:
    """What hooks are told."""
    count = sum(other.state == "up" for other in manager.runners.values())
    return {"name": manager.name, "runner": runner.label, "node": runner.node, "count": count}


async def grow_start(manager: Manager, runner: Runner) -> None:
    """Before a boot."""
    if manager.options.on_grow_start is not None:
        await _run(manager.options.on_grow_start, meta(manager, runner))


def grow_end(manager: Manager, runner: Runner, result: Any) -> None:
    """After a boot."""
    if manager.options.on_grow_end is not None:
        _beside(manager, _quietly("on_grow_end", manager.options.on_grow_end, result, meta(manager, runner)))


def shrink(manager: Manager, runner: Runner) -> None:
    """A runner is gone."""
    if manager.options.on_shrink is not None:
        _beside(manager, _quietly("on_shrink", manager.options.on_shrink, meta(manager, runner)))


def _beside(manager: Manager, work: Coroutine[Any, Any, None]) -> None:
    manager.hooks.add(task := manager.task(work))
    task.add_done_callback(manager.hooks.discard)


async def _quietly(name: str, hook: Callable[..., object], *args: Any) -> None:
    try:
        await _run(hook, *args)
    except Exception:
        log.exception("%s of a pool raised", name)


async def _run(hook: Callable[..., object], *args: Any) -> None:
    if inspect.iscoroutinefunction(hook):
        await hook(*args)
    else:
        await asyncio.to_thread(hook, *args)
