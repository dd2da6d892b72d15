"""Tasks that processes start: asyncio tasks that belong to a process and end with it.

A task factory is the documented way to see a task being made, so one is laid over whatever factory the loop has
while a node runs on it. A task made in a process's context is that process's; any other task is left alone.
Several nodes may share a loop: the factory goes with the last one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from beampy.core.current import current

if TYPE_CHECKING:
    from collections.abc import Coroutine


class OwningFactory:
    """The task factory: makes the task as the loop would, then tells its process."""

    __slots__ = ("below", "users")

    def __init__(self, below: Any) -> None:
        self.below = below
        self.users = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> Any:
        make = self.below or _plain_task
        task = make(loop, coro, **kwargs)
        process = current.get(None)
        if process is not None and process._scheduler.loop is loop and not task.done():
            process.adopt(task)
        return task


def _plain_task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **kwargs)


_installed: WeakKeyDictionary[asyncio.AbstractEventLoop, OwningFactory] = WeakKeyDictionary()


def install(loop: asyncio.AbstractEventLoop) -> None:
    """One more node runs on `loop`."""
    factory = _installed.get(loop)
    present: Any = loop.get_task_factory()
    if factory is None or present is not factory:
        factory = OwningFactory(present)
        _installed[loop] = factory
        loop.set_task_factory(cast("Any", factory))
    factory.users += 1


def uninstall(loop: asyncio.AbstractEventLoop) -> None:
    """One fewer; after the last one the loop has its own factory back."""
    factory = _installed.get(loop)
    if factory is None:
        return
    factory.users -= 1
    if factory.users == 0:
        del _installed[loop]
        present: Any = loop.get_task_factory()
        if present is factory:
            loop.set_task_factory(factory.below)
