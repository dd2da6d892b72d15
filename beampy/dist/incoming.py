"""Incoming: what arrives from one node, taken to its process.

The channel calls these in order, for one connection. Messages are handed over as they are, decoded where that is cheap
and safe (reading.py); signals take effect at once. What is for somebody who is not there is dropped, or answered as the
signals of the dead are. What is not the protocol raises RemoteProtocolError, which ends this connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.ids import Pid, Ref
from beampy.core.signals import (
    Crash,
    DemonitorSignal,
    DownSignal,
    ExitSignal,
    LinkSignal,
    MonitorSignal,
    UnlinkAckSignal,
    UnlinkSignal,
)
from beampy.core.unread import NeedsThread, Unread
from beampy.dist.spawn import take_spawn
from beampy.dist.ties import Watched
from beampy.errors import DecodeError, RemoteProtocolError
from beampy.wire import control
from beampy.wire.carrier import MANIFEST
from beampy.wire.codec import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.dist.peer import Peer
    from beampy.dist.reading import Reader


class Incoming:
    """The handler of one connection's channel."""

    def __init__(self, peer: Peer, reader: Reader) -> None:
        self.peer = peer
        self.reader = reader
        self.node = peer.node
        self.processes = peer.node.processes
        self.creation = peer.node.creation

    # messages

    def to_pid(self, serial: int, creation: int, sender: int, kind: int, body: Any, buffers: Any) -> None:
        """A message for a process."""
        process = self.processes.get(serial)
        if process is not None and creation == self.creation:
            process.deliver(self.reader.arrived(kind, body, buffers, sender))
        elif kind >= MANIFEST:
            self.reader.dropped(kind, body, buffers)

    def to_name(self, name: str, sender: int, kind: int, body: Any, buffers: Any) -> None:
        """A message for whoever has a name; nobody: it is dropped."""
        pid = self.node.registry.pids.get(name)
        process = None if pid is None else self.node.find(pid)
        if process is not None:
            process.deliver(self.reader.arrived(kind, body, buffers, sender))
        elif kind >= MANIFEST:
            self.reader.dropped(kind, body, buffers)

    def to_ref(self, id: int, creation: int, sender: int, kind: int, body: Any, buffers: Any) -> None:
        """A message for an alias, mostly the answer of a call."""
        ref = self.node.exported.get(id)
        if ref is None or creation != self.creation:
            if kind >= MANIFEST:
                self.reader.dropped(kind, body, buffers)
            return
        holder = ref._holder
        monitoring = self.peer.ties.monitors.get(id)
        if monitoring is not None and monitoring.once:
            del self.peer.ties.monitors[id]  # they have taken it off when they answered
            if holder is not None:
                holder.far = None
        if holder is not None:
            holder.take_message(ref, self.reader.arrived(kind, body, buffers, sender))
        elif kind >= MANIFEST:
            self.reader.dropped(kind, body, buffers)

    # signals

    def monitored(self, sender: int, creation: int, serial: int, ref: int, flags: int = 0) -> None:
        """A monitor on a process here."""
        self._watch(Pid(self.node.name, serial, creation), sender, ref, bool(flags & control.ONCE))

    def monitored_name(self, name: str, sender: int, ref: int, flags: int) -> None:
        """A monitor on whoever has a name here now."""
        pid = self.node.registry.pids.get(name)
        self._watch(pid or Pid(self.node.name, 0, 0), sender, ref, bool(flags & control.ONCE))

    def _watch(self, target: Pid, sender: int, ref_id: int, once: bool) -> None:
        ref = Ref(self.peer.name, ref_id, self.peer.creation)
        self.peer.ties.watched[ref_id] = Watched(ref, target, once)
        self.node.route_signal(MonitorSignal(Pid(self.peer.name, sender, self.peer.creation), target, ref))

    def demonitored(self, sender: int, creation: int, serial: int, ref: int) -> None:
        """The end of one."""
        watched = self.peer.ties.watched.pop(ref, None)
        if watched is not None:
            watcher = Pid(self.peer.name, sender, self.peer.creation)
            self.node.route_signal(DemonitorSignal(watcher, watched.target, watched.ref))

    def control(self, sender: int, args: list[Any], kind: int, body: Any, buffers: Any) -> None:
        """Anything else; see wire/control.py."""
        peer, node = self.peer, self.node
        signal = control.from_control(sender, args, self._own, self._theirs)
        match signal:
            case LinkSignal():
                if node.is_mine(signal.to):  # what is asked of an earlier start of ours, the asker answers itself
                    peer.ties.links[signal.to, signal.sender] = None
                    node.route_signal(signal)
            case UnlinkSignal() | UnlinkAckSignal():
                node.route_signal(signal)
                if not self._linked(signal.to, signal.sender):
                    peer.ties.links.pop((signal.to, signal.sender), None)
            case ExitSignal():
                if signal.link:
                    peer.ties.links.pop((signal.to, signal.sender), None)
                self._with_reason(kind, body, buffers, lambda why: node.route_signal(signal._replace(reason=why)))
            case DownSignal():
                if peer.ties.monitors.pop(signal.ref.id, None) is not None:
                    self._with_reason(kind, body, buffers, lambda why: node.route_signal(signal._replace(reason=why)))
                else:
                    self.reader.dropped(kind, body, buffers)
            case control.Spawn():
                ref = Ref(peer.name, signal.ref_id, peer.creation)
                take_spawn(peer, sender, ref, signal.options, self.reader.arrived(kind, body, buffers, sender))
            case control.SpawnReply():
                pid = Pid(peer.name, signal.serial, peer.creation) if signal.serial else None
                self._spawned(signal.ref_id, pid, kind, body, buffers)
            case control.Nodes():
                peer.peers.introduced(peer, signal.names)
            case control.Lost():
                peer.peers.lets_go(peer, signal.name, signal.creation)
            case control.Refs():
                self._of_references(kind, body, buffers)
            case control.Code():
                self._of_code(kind, body, buffers)
            case control.SharedOffer() | control.SharedAnswer() | control.SharedRelease() | control.SharedSync():
                if peer.shared is not None:
                    peer.shared.heard(signal)

    def _own(self, serial: int, creation: int) -> Pid:
        return Pid(self.node.name, serial, creation)

    def _theirs(self, serial: int, creation: int | None) -> Pid:
        return Pid(self.peer.name, serial, self.peer.creation if creation is None else creation)

    def _linked(self, ours: Pid, theirs: Pid) -> bool:
        """Whether the link is in our process's table: it may have been made again, or wait for its own unlink-ack."""
        process = self.node.find(ours)
        return process is not None and process._extras is not None and theirs in process._extras.links.links

    def _with_reason(self, kind: int, body: Any, buffers: Any, then: Callable[[Any], None]) -> None:
        """Decode the reason of an end, in its order. Where its classes have to be imported it comes a little later."""
        reason = self.reader.arrived(kind, body, buffers, 0)
        if reason.__class__ is not Unread:
            then(reason)
            return
        try:
            then(reason.now() if kind & FOREIGN else reason.at_once())
        except NeedsThread:
            reason.in_thread(self.node.loop).add_done_callback(
                lambda future: None if future.cancelled() or self.node.closed else then(_readable(future))
            )
        except DecodeError as unreadable:
            then(Crash.of(unreadable))

    def _spawned(self, ref_id: int, pid: Pid | None, kind: int, body: Any, buffers: Any) -> None:
        spawning = self.peer.spawns.pop(ref_id, None)
        if spawning is None or pid is not None:
            self.reader.dropped(kind, body, buffers)
        if spawning is None:
            if pid is not None:
                self.peer.abandon(pid)
        elif pid is not None:
            spawning.started(pid)
        else:
            self._with_reason(kind, body, buffers, spawning.refused)

    def _of_references(self, kind: int, body: Any, buffers: Any) -> None:
        references = self.peer.peers.options.references
        if references is None:
            raise RemoteProtocolError("remote references, and this node has none")
        if kind or buffers is not None or len(body) > control.MAX_REFS:
            raise RemoteProtocolError("remote references that have not their shape")
        try:
            references.heard(self.peer.name, bytes(body))
        except Exception as error:
            raise RemoteProtocolError(f"remote references that cannot be read: {error!r}") from error

    def _of_code(self, kind: int, body: Any, buffers: Any) -> None:
        if kind or buffers is not None or len(body) > control.MAX_CODE:
            raise RemoteProtocolError("what code is built of, and it has not its shape")
        hook = self.peer.encoder.hook
        if hook is None:  # which they do not know before they are connected
            return
        try:
            hook.heard(bytes(body))
        except Exception as error:
            raise RemoteProtocolError(f"what code is built of, and it cannot be read: {error!r}") from error

    def goodbye(self, reason: str) -> None:
        """They close the connection, and say why."""
        self.peer.said_goodbye = reason


def _readable(future: Any) -> Any:
    error = future.exception()
    return future.result() if error is None else Crash.of(error)
