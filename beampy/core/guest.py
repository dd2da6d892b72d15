"""A guest: asyncio code that is not a process but may act as one, for example the body of `async with Node()`.

It has a pid, a mailbox, links and monitors like any process; only its driver differs: asyncio runs it, as the
task it already is. So it receives through a future, an exit signal cancels its task, and nobody can close it:
after a kill its sends are dropped.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from beampy.core import ending
from beampy.core.extras import UNSET
from beampy.core.process import Process
from beampy.core.signals import KILLED, NORMAL
from beampy.core.state import NOT_WAITING, SELECTIVE

if TYPE_CHECKING:
    from collections.abc import Generator

    from beampy.core.extras import Lineage
    from beampy.core.ids import Pid
    from beampy.core.node import LocalNode
    from beampy.core.state import Parking


class Guest(Process):
    """A process whose code an asyncio task runs; with no task at all, the voice of other threads."""

    __slots__ = ("_more", "_task", "_title")

    def __init__(
        self,
        node: LocalNode,
        pid: Pid,
        task: asyncio.Task[Any] | None,
        title: str,
        lineage: Lineage | None = None,
    ) -> None:
        super().__init__(node, pid, cast("Any", None), copy_context(), lineage)
        self._task = task
        self._title = title
        self._more: asyncio.Future[None] | None = None
        pid._local = self
        node.processes[pid.serial] = self

    def initial_call(self) -> str:
        return self._title

    def owns_current_task(self) -> bool:
        return self._task is not None and asyncio.current_task(self._scheduler.loop) is self._task

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """The tasks of a guest are its task's business."""

    async def next_message(self) -> Any:
        """The plain receive of a guest."""
        box = self.selective_mailbox()
        while not box:
            await self._sleep()
            box = self.selective_mailbox()
        return box.popleft()

    def wait_for_more(self) -> Generator[Any, Any, None]:
        yield from self._sleep().__await__()

    async def _sleep(self) -> None:
        if self._extras is not None and self._extras.exiting is not UNSET:
            raise asyncio.CancelledError("the process is exiting: it receives nothing more")
        self._more = self._scheduler.loop.create_future()
        self._waiting = SELECTIVE
        try:
            await self._more
        finally:
            self._waiting = NOT_WAITING
            self._more = None

    def park(self, place: Parking) -> None:
        """asyncio drives it: only what is written beyond every limit stops it (PeerBusy)."""

    def wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def wake_for_interrupt(self) -> None:
        self._interrupt = None
        if self._task is not None:
            self._task.cancel(msg="exit signal")

    def kill(self, reason: Any = KILLED) -> None:
        if not self.dead:
            self.extras().exiting = reason
            ending.end(self, reason, None, None)
            if self._task is not None:
                self._task.cancel(msg="killed")

    def leave(self, reason: Any = NORMAL) -> None:
        """The guest's code is done."""
        if not self.dead:
            exiting = self._extras.exiting if self._extras is not None else UNSET
            ending.end(self, reason if exiting is UNSET else exiting, None, None)
