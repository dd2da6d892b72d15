"""One node: its table of processes, how they start, and how all of it ends.

Where messages and signals go is routing.py's; what links and monitors mean to those who ask for them, relations.py's.

Benchmark: benchmarks/spawn.py.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from beampy.core import tasks
from beampy.core.current import current
from beampy.core.functions import start_coroutine
from beampy.core.ids import Pid, Ref
from beampy.core.mailbox import LimitedMailbox
from beampy.core.process import Process
from beampy.core.registry import Registry
from beampy.core.relations import Relations
from beampy.core.remote import Alone, Code, Remote
from beampy.core.scheduler import Scheduler
from beampy.core.signals import ExitSignal
from beampy.core.timers import Deadlines, Timers
from beampy.errors import NoProcess, NotInNode

if TYPE_CHECKING:
    from beampy.core.extras import Lineage

log = logging.getLogger("beampy.node")

LOOK_AGAIN = 0.1  # seconds between two looks for processes whose parents have ended while the node stops

EXIT_GRACE = 5.0  # seconds; a worker's shutdown time in OTP's supervisors

Tracer = Callable[[str, Pid, Any], object]
"""Called as tracer(event, pid, detail); see LocalNode.trace."""


class LocalNode(Relations):
    """The runtime of one node on one event loop. Make it on the loop's own thread."""

    def __init__(
        self,
        name: str,
        creation: int,
        loop: asyncio.AbstractEventLoop,
        *,
        exit_grace: float = EXIT_GRACE,
        copier: Callable[[Any], Any] | None = None,
        max_mailbox: tuple[int, int] | None = None,
    ) -> None:
        self.name = name
        self.creation = creation
        self.loop = loop
        self.thread = threading.get_ident()
        self.exit_grace = exit_grace
        self.copier = copier
        self.max_mailbox = max_mailbox
        self.scheduler = Scheduler(loop)
        self.deadlines = Deadlines(loop)
        self.timers = Timers(self)
        self.registry = Registry()
        self.processes: dict[int, Process] = {}
        self.zombies: list[Process] = []
        self.remote: Remote = Alone(self)
        self.code: Code | None = None  # of a node that meets others
        self.references: Any = None  # remote references: what it owns, and what it holds of others
        self.tracer: Tracer | None = None
        self.far: dict[str, Callable[[Process, Any, Any], None]] = {}  # how to send to nodes that are known already
        self.exported: dict[int, Ref] = {}  # refs that other nodes may send to, by id, while somebody holds them
        self.closed = False
        self.leaving: set[int] | None = None  # while the node stops: the serials of those told to end
        self.left: asyncio.Future[None] = loop.create_future()  # when all of them have ended
        self.voice: Any = None  # the process that speaks for code that is none; the runtime makes it
        self.owner: Any = None  # the runtime's Node that this is the core of
        # Sends of a process on this thread take the fast path; no thread has the ident -1.
        self.fast_thread = -1 if copier is not None else self.thread
        self.spawned = 0  # and the last serial given
        self.refs = itertools.count(1)
        tasks.install(loop)

    # identities and tables

    def new_ref(self) -> Ref:
        """A ref never used before on this node."""
        return Ref(self.name, next(self.refs), self.creation)

    def new_pid(self) -> Pid:
        """A pid never used before on this node."""
        self.spawned += 1
        return Pid(self.name, self.spawned, self.creation)

    def export(self, ref: Ref) -> None:
        """One of our refs goes to another node: what comes back to it is to find who holds it."""
        self.exported[ref.id] = ref

    def new_mailbox(self) -> deque[Any]:
        """The mailbox of a process that has its first backlog."""
        return deque()

    # processes

    def spawn(
        self,
        fn: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
        parent: Process | None,
        name: str | None = None,
        link: bool = False,
        monitor: bool = False,
        trap_exit: bool = False,
        *,
        max_mailbox: int | tuple[int, int] | None = None,
        context: Context | None = None,
        pid: Pid | None = None,
        lineage: Lineage | None = None,
    ) -> tuple[Process, Ref | None]:
        """Start a process. Link and monitor are in place before it runs, and before anybody hears of it."""
        if self.closed:
            raise NotInNode("spawn")
        if name is not None:
            self.registry.check(name)
        coro = start_coroutine(fn, args)
        if pid is None:
            self.spawned += 1
            pid = Pid(self.name, self.spawned, self.creation)
        if context is None:
            context = copy_context()
        if parent is not None:
            kept = parent._extras
            lineage = (kept and kept.lineage) or parent.lineage_for_children()
        process = Process(self, pid, coro, context, lineage)
        context.run(current.set, process)
        pid._local = process
        self.processes[pid.serial] = process
        if name is not None:
            self.registry.register(name, pid, None)
            process.extras().name = name
        if trap_exit:
            process.extras().trap_exit = True
        if max_mailbox is not None or self.max_mailbox is not None:
            process._mailbox = self._limited(process, max_mailbox or self.max_mailbox or 0)
        ref = None
        if parent is not None:
            if link:
                parent.extras().links.link(pid)
                process.extras().links.linked_by(parent.pid)
            if monitor:
                ref = self.new_ref()
                parent.extras().links.monitors[ref] = pid
                process.watched(ref, parent.pid)
            if self.tracer is not None:
                self.event("spawn", parent.pid, pid)
        self.scheduler.push(process)
        return process, ref

    def _limited(self, process: Process, limit: int | tuple[int, int]) -> LimitedMailbox:
        count, size = limit if isinstance(limit, tuple) else (limit, 0)

        def full(length: int) -> None:
            if process.alive:
                log.error(
                    "%r is killed: its mailbox holds %d messages, its limit is %s",
                    process,
                    length,
                    limit,
                )
                self.event("long_mailbox", process.pid, length)
                process.kill()

        return LimitedMailbox(count, size, full)

    def forget(self, process: Process) -> None:
        """A process has ended: nobody can look it up any more."""
        pid = process.pid
        pid._local = None
        self.processes.pop(pid.serial, None)
        if self.leaving is not None:
            self.leaving.discard(pid.serial)
            if not self.leaving and not self.left.done():
                self.left.set_result(None)
        extras = process._extras
        if extras is not None and extras.name is not None:
            self.registry.forget(extras.name)
        if self.tracer is not None:
            self.event("exit", pid, None)

    # names

    def register(self, name: str, pid: Pid) -> None:
        """Name a local process that is alive. NameTaken, NoProcess, BadName."""
        process = self.find(pid)
        if process is None or not process.alive:
            raise NoProcess(pid)
        extras = process.extras()
        self.registry.register(name, pid, extras.name)
        extras.name = name

    def unregister(self, name: str) -> None:
        """Free a name. NotRegistered."""
        process = self.find(self.registry.unregister(name))
        if process is not None:
            process.extras().name = None

    # observing

    def trace(self, tracer: Tracer | None) -> None:
        """Call `tracer(event, pid, detail)` for every spawn, send, exit and long_mailbox; None ends it.

        Sends of all processes take the slow path while it is on.
        """
        self.tracer = tracer
        self.fast_thread = self.thread if tracer is None and self.copier is None else -1
        for process in self.processes.values():
            process._thread = self.fast_thread

    def be_strict(self, copier: Callable[[Any], Any]) -> None:
        """Copy every local message from now on; sends of all processes take the slow path for that."""
        self.copier = copier
        self.fast_thread = -1

    def cancel_soon(self, future: Any) -> None:
        """Cancel what a process awaits, in the next turn of the loop: at once, a chain of awaits would be recursion."""
        self.loop.call_soon(future.cancel)

    def event(self, name: str, pid: Pid, detail: Any) -> None:
        """Tell the tracer, whose own failures are logged and otherwise harmless."""
        if self.tracer is not None:
            try:
                self.tracer(name, pid, detail)
            except Exception:
                log.exception("the tracer failed at %s", name)

    def statistics(self) -> dict[str, int]:
        """Counts: processes, spawned in all, runnable, scheduler steps and ticks, timers, names, zombies."""
        return {
            "processes": len(self.processes),
            "spawned": self.spawned,
            "runnable": len(self.scheduler.queue),
            "steps": self.scheduler.steps,
            "ticks": self.scheduler.ticks,
            "timers": len(self.timers.pending),
            "deadlines": sum(map(len, self.deadlines.buckets.values())),
            "names": len(self.registry.pids),
            "zombies": len(self.zombies),
        }

    # the end

    async def shut_down(self, reason: Any, grace: float) -> None:
        """End all processes, those first that nobody else is there to end; kill what is left after `grace` seconds.

        A supervisor ends its own children, in its own order; what a process leaves behind follows it.
        """
        deadline = self.loop.time() + grace
        told: set[int] = set()
        while self.processes and (left := deadline - self.loop.time()) > 0:
            for process in list(self.processes.values()):
                if process.pid.serial not in told and self._is_root(process):
                    told.add(process.pid.serial)
                    self._tell_to_end(process, reason)
            self.leaving = {serial for serial in told if serial in self.processes}
            if self.leaving:
                self.left = self.loop.create_future()
                await asyncio.wait({self.left}, timeout=min(left, LOOK_AGAIN))
        self.leaving = None
        for process in list(self.processes.values()):
            log.error("%r did not end in time and is killed", process)
            process.kill()
        while self.scheduler.queue:  # noqa: ASYNC110  -- it empties by itself, one tick after the other
            await asyncio.sleep(0)
        self.close()

    def _tell_to_end(self, process: Process, reason: Any) -> None:
        voice = process.pid if self.voice is None else self.voice.pid
        try:
            self.route_signal(ExitSignal(voice, process.pid, reason, False))
        except Exception:  # an awaited object of the user's that cannot be cancelled, say
            log.exception("%r could not be told to end and is killed", process)
            process.kill()

    def _is_root(self, process: Process) -> bool:
        parent = process._lineage[0] if process._lineage else None
        return parent is None or self.find(parent) is None

    def close(self) -> None:
        """Drop timers and deadlines; nothing can be spawned any more."""
        self.closed = True
        self.timers.close()
        self.deadlines.close()
        tasks.uninstall(self.loop)
