"""Routing: the one place that asks "local or remote?".

`route_message` takes a message to whatever a destination means, `route_signal` takes a signal to its process; both
never raise for something dead or unreachable. Other nodes are behind `remote`, which the layer above plugs in; alone, a
node answers as OTP does when it cannot connect: messages vanish, links and monitors get `noconnection`.

`send.py` holds the fast path of a local send; this is its general form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.ids import Pid, Ref, pid_of
from beampy.core.signals import (
    NOPROC,
    DownSignal,
    ExitSignal,
    LinkSignal,
    MonitorSignal,
    Signal,
    UnlinkAckSignal,
    UnlinkSignal,
)
from beampy.errors import BadDestination, NotRegistered

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process
    from beampy.core.registry import Registry
    from beampy.core.remote import Remote


class Routing:
    """The part of a node that takes messages and signals to where they lead."""

    name: str
    creation: int
    copier: Callable[[Any], Any] | None
    tracer: Any
    remote: Remote
    registry: Registry
    processes: dict[int, Process]
    exported: dict[int, Ref]
    voice: Any

    def event(self, name: str, pid: Pid, detail: Any) -> None:
        """Tell the tracer."""
        raise NotImplementedError

    # who is meant

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

    def holder(self, ref: Ref) -> Any:
        """Who takes what is sent to one of our refs, also to a copy of it that has come back from elsewhere."""
        if ref._holder is not None:
            return ref._holder
        mine = self.exported.get(ref.id)
        return mine._holder if mine is not None and ref.creation == self.creation else None

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

    def elsewhere(self, dest: Any) -> Pid | tuple[str, str] | None:
        """The pid or (name, node) on another node that a destination means; None when it means nothing there."""
        if dest.__class__ is not Pid and not (isinstance(dest, tuple) and len(dest) == 2):
            dest = pid_of(dest)
        if isinstance(dest, Pid):
            return dest if dest.node != self.name else None
        if isinstance(dest, tuple) and all(isinstance(part, str) for part in dest) and dest[1] != self.name:
            return dest
        return None

    def is_remote(self, dest: Any) -> bool:
        """Whether a destination names another node."""
        if dest.__class__ is Ref:
            return bool(dest.node != self.name)
        return self.elsewhere(dest) is not None

    # messages

    def route_message(self, sender: Process, dest: Any, message: Any) -> None:
        """Take a message to where `dest` leads. Only a bare name that nobody has raises."""
        if self.tracer is not None:
            self.event("send", sender.pid, (dest, message))
        if dest.__class__ is Pid:
            process = self.find(dest)
            if process is not None:
                process.deliver(message if self.copier is None else self.copier(message))
            elif dest.node != self.name:
                self.remote.send(sender, dest, message)
        elif dest.__class__ is Ref:
            if dest.node != self.name:
                self.remote.send(sender, dest, message)
            elif (holder := self.holder(dest)) is not None:
                holder.take_message(dest, message if self.copier is None else self.copier(message))
        elif isinstance(dest, str):
            pid = self.registry.pids.get(dest)
            if pid is None:
                raise NotRegistered(dest)
            self.route_message_to(pid, message)
        elif isinstance(dest, tuple) and len(dest) == 2 and all(isinstance(p, str) for p in dest):
            if dest[1] != self.name:
                self.remote.send(sender, dest, message)
            elif (pid := self.registry.pids.get(dest[0])) is not None:
                self.route_message_to(pid, message)
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
            process.deliver(message if self.copier is None else self.copier(message))

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
        if isinstance(to, tuple):
            self.remote.signal(signal)  # a (name, node) elsewhere
            return
        process = self.find(to)
        if process is None:
            if to.node != self.name:
                self.remote.signal(signal)
            else:
                self._answer_for_the_dead(signal, to)
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

    def _answer_for_the_dead(self, signal: Signal, to: Pid) -> None:
        if isinstance(signal, LinkSignal):
            self.route_signal(ExitSignal(to, signal.sender, NOPROC, True))
        elif isinstance(signal, MonitorSignal):
            self.route_signal(DownSignal(signal.sender, signal.ref, NOPROC, None))
        elif isinstance(signal, UnlinkSignal):
            self.route_signal(UnlinkAckSignal(to, signal.sender, signal.id))

    def route_down(self, ended: Pid, watcher: Pid, ref: Ref, reason: Any) -> None:
        """The commonest signal, without making one where the watcher is local."""
        process = self.find(watcher)
        if process is not None:
            self._down(process, ref, reason)
        elif watcher.node != self.name:
            self.remote.signal(DownSignal(watcher, ref, reason, ended))

    def _down(self, process: Process, ref: Ref, reason: Any) -> None:
        holder = self.holder(ref)
        if holder is None or holder is process:
            process.take_down(ref, reason)
        else:
            holder.take_down(reason)  # a Request
