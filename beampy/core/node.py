"""One node: its table of processes, and the one place that asks "local or remote?".

`route_message` takes a message to whatever a destination means, `route_signal` takes a signal to its process;
both never raise for something dead or unreachable. Other nodes are behind `remote`, which the layer above plugs
in; alone, a node answers as OTP does when it cannot connect: messages vanish, links and monitors get
`noconnection`.

`send.py` holds the fast path of a local send; this is its general form.
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
from typing import Any

from beampy.core import tasks
from beampy.core.current import current
from beampy.core.functions import start_coroutine
from beampy.core.ids import Pid, Ref, is_destination, pid_of
from beampy.core.links import Monitor
from beampy.core.mailbox import LimitedMailbox
from beampy.core.process import Process
from beampy.core.registry import Registry
from beampy.core.remote import Alone, Remote
from beampy.core.scheduler import Scheduler
from beampy.core.signals import (
    NOCONNECTION,
    NOPROC,
    DemonitorSignal,
    DownSignal,
    ExitSignal,
    LinkSignal,
    MonitorSignal,
    Signal,
    UnlinkAckSignal,
    UnlinkSignal,
)
from beampy.core.timers import Deadlines, Timers
from beampy.errors import BadDestination, NoProcess, NotInNode, NotRegistered

log = logging.getLogger("beampy.node")

LOOK_AGAIN = 0.1  # seconds between two looks for processes whose parents have ended while the node stops

EXIT_GRACE = 5.0  # seconds; a worker's shutdown time in OTP's supervisors

Tracer = Callable[[str, Pid, Any], object]
"""Called as tracer(event, pid, detail); see LocalNode.trace."""


class LocalNode:
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
        self.tracer: Tracer | None = None
        self.closed = False
        self.leaving: set[int] | None = None  # while the node stops: the serials of those told to end
        self.left: asyncio.Future[None] = loop.create_future()  # when all of them have ended
        self.voice: Any = None  # the process that speaks for code that is none; the runtime makes it
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

    def find(self, pid: Pid) -> Process | None:
        """The process of a pid, when it lives here."""
        process: Process | None = pid._local
        if process is not None and process.node is self:
            return process
        # A copy of a pid keeps no shortcut: nobody would take it away when the process ends.
        return self.processes.get(pid.serial) if self.is_mine(pid) else None

    def is_mine(self, id: Pid | Ref) -> bool:
        """Whether the pid or ref was made by this incarnation of this node."""
        return id.node == self.name and id.creation == self.creation

    def resolve(self, dest: Any) -> Process | None:
        """The local process that a pid, a name, (name, this node) or something with a `pid` stands for."""
        if dest.__class__ is Pid:
            return self.find(dest)
        if isinstance(dest, str):
            pid = self.registry.pids.get(dest)
            return None if pid is None else self.find(pid)
        if isinstance(dest, tuple) and len(dest) == 2 and dest[1] == self.name:
            return self.resolve(dest[0])
        pid = pid_of(dest)
        return self.find(pid) if isinstance(pid, Pid) else None

    def is_remote(self, dest: Any) -> bool:
        """Whether a destination names another node."""
        if dest.__class__ is Pid or dest.__class__ is Ref:
            return bool(dest.node != self.name)
        if isinstance(dest, tuple) and len(dest) == 2:
            return bool(dest[1] != self.name)
        pid = pid_of(dest)
        return isinstance(pid, Pid) and pid.node != self.name

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
        if parent is None:
            lineage = None
        else:
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

    # messages

    def route_message(self, sender: Process, dest: Any, message: Any) -> None:
        """Take a message to where `dest` leads. Only a bare name that nobody has raises."""
        if self.copier is not None:
            message = self.copier(message)
        if self.tracer is not None:
            self.event("send", sender.pid, (dest, message))
        if dest.__class__ is Pid:
            process = self.find(dest)
            if process is not None:
                process.deliver(message)
            elif dest.node != self.name:
                self.remote.send(sender, dest, message)
        elif dest.__class__ is Ref:
            if dest.node == self.name:
                holder = dest._holder
                if holder is not None:
                    holder.take_message(dest, message)
            else:
                self.remote.send(sender, dest, message)
        elif isinstance(dest, str):
            pid = self.registry.pids.get(dest)
            if pid is None:
                raise NotRegistered(dest)
            self.route_message_to(pid, message)
        elif isinstance(dest, tuple) and len(dest) == 2 and all(isinstance(p, str) for p in dest):
            if dest[1] == self.name:
                pid = self.registry.pids.get(dest[0])
                if pid is not None:
                    self.route_message_to(pid, message)
            else:
                self.remote.send(sender, dest, message)
        elif (pid := getattr(dest, "pid", dest)).__class__ is Pid:
            self.route_message(sender, pid, message)
        elif pid is None and dest is not None:
            raise NotRegistered(dest)  # a name of another kind, which nobody has now
        else:
            raise BadDestination(dest)

    def route_message_to(self, pid: Pid, message: Any) -> None:
        """Deliver to a local process, if it still is."""
        process = self.find(pid)
        if process is not None:
            process.deliver(message)

    def send_quietly(self, dest: Any, message: Any) -> None:
        """A send of the node's own (a timer): an unknown name is no error."""
        try:
            self.route_message(self.voice, dest, message)
        except NotRegistered:
            return

    # signals

    def route_signal(self, signal: Signal) -> None:
        """Take a signal to its process. Local signals take effect at once, so they keep their order."""
        to = signal.to
        process = self.find(to)
        if process is None:
            if to.node != self.name:
                self.remote.signal(signal)
            elif isinstance(signal, LinkSignal):
                self.route_signal(ExitSignal(to, signal.sender, NOPROC, True))
            elif isinstance(signal, MonitorSignal):
                self.route_signal(DownSignal(signal.sender, signal.ref, NOPROC))
            elif isinstance(signal, UnlinkSignal):
                self.route_signal(UnlinkAckSignal(to, signal.sender, signal.id))
        elif isinstance(signal, DownSignal):
            self._down(process, signal.ref, signal.reason)
        elif isinstance(signal, ExitSignal):
            process.take_exit(signal)
        elif isinstance(signal, LinkSignal):
            process.extras().links.linked_by(signal.sender)
        elif isinstance(signal, UnlinkSignal):
            process.extras().links.unlinked_by(signal.sender)
            self.route_signal(UnlinkAckSignal(to, signal.sender, signal.id))
        elif isinstance(signal, UnlinkAckSignal):
            process.extras().links.unlink_acknowledged(signal.sender, signal.id)
        elif isinstance(signal, MonitorSignal):
            process.watched(signal.ref, signal.sender)
        else:
            process.unwatched(signal.ref)

    def route_down(self, watcher: Pid, ref: Ref, reason: Any) -> None:
        """The commonest signal, without making one where the watcher is local."""
        process = self.find(watcher)
        if process is not None:
            self._down(process, ref, reason)
        elif watcher.node != self.name:
            self.remote.signal(DownSignal(watcher, ref, reason))

    def _down(self, process: Process, ref: Ref, reason: Any) -> None:
        holder = ref._holder
        if holder is None or holder is process:
            process.take_down(ref, reason)
        else:
            holder.take_down(reason)  # a Request

    # what processes ask of links and monitors

    def link(self, process: Process, peer: Pid) -> None:
        """Link `process` with `peer`. A dead local peer: NoProcess, or Exit(noproc) where exits are trapped."""
        if peer == process.pid:
            return
        if self.find(peer) is None and peer.node == self.name and not process.trap_exit:
            raise NoProcess(peer)
        if process.extras().links.link(peer):
            self.route_signal(LinkSignal(process.pid, peer))

    def unlink(self, process: Process, peer: Pid) -> None:
        """End the link. What came before stays in the mailbox; nothing comes later."""
        id = process.extras().links.unlink(peer)
        if id is not None:
            self.route_signal(UnlinkSignal(process.pid, peer, id))

    def monitor(self, process: Process, target: Any, alias: str | None, tag: Any) -> Ref:
        """A Down comes when `target` ends, at once where it is not alive or cannot be reached."""
        ref = self.new_ref()
        shown, pid = self._monitored(target)
        if alias is not None:
            process.new_alias(ref, alias)
        if pid is not None and pid == process.pid:
            return ref  # it never fires
        alias_goes = alias in ("demonitor", "reply_demonitor")
        if pid is None:
            unreachable = isinstance(shown, tuple) and shown[1] != self.name
            process.extras().links.monitors[ref] = Monitor(shown, process.pid, tag, alias_goes)
            process.take_down(ref, NOCONNECTION if unreachable else NOPROC)
        else:
            process.extras().links.monitors[ref] = Monitor(shown, pid, tag, alias_goes)
            self.route_signal(MonitorSignal(process.pid, pid, ref))
        return ref

    def _monitored(self, target: Any) -> tuple[Any, Pid | None]:
        """How a Down calls the target, and the pid it has now. A name is resolved once, here."""
        if isinstance(target, Pid):
            return target, target
        if isinstance(target, str):
            target = (target, self.name)
        if not is_destination(target) or isinstance(target, Ref):
            raise BadDestination(target)
        pid = pid_of(target, target)
        if isinstance(pid, Pid):
            return pid, pid
        if pid is None:
            return target, None  # a name of another kind, which nobody has now
        return target, self.registry.pids.get(target[0]) if target[1] == self.name else None

    def demonitor(self, process: Process, ref: Ref) -> bool:
        """No Down will come any more. False when the monitor had fired, or never was this process's."""
        extras = process._extras
        monitor = extras.links.monitors.pop(ref, None) if extras is not None else None
        if monitor is None:
            return False
        if isinstance(monitor, Pid):
            self.route_signal(DemonitorSignal(process.pid, monitor, ref))
            return True
        if monitor.alias_goes:
            process.drop_alias(ref)
        self.route_signal(DemonitorSignal(process.pid, monitor.target, ref))
        return True

    def exit(self, sender: Pid, to: Any, reason: Any) -> None:
        """The exit signal of exit(pid, reason)."""
        self.route_signal(ExitSignal(sender, to, reason, False))

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
