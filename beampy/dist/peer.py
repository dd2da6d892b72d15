"""Peer: one other node as this one knows it: its connection, what waits for it, and the ties that go over it.

A peer is `down`, `connecting` or `up`. The first use of a peer that is down makes it connect; what is sent meanwhile
waits in its channel, in order, and is lost when no connection comes. When the connection is lost all ties end with
`noconnection`, and the next use connects again: the other side may have been there all the time, so what was sent may
or may not have arrived, as in Erlang.

Rule: this file writes to the channel and keeps the ties; incoming.py takes what comes; peers.py decides on connections.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from beampy.core.ids import Pid, Ref
from beampy.core.links import ACTIVE
from beampy.core.signals import (
    NOCONNECTION,
    NOPROC,
    Crash,
    DemonitorSignal,
    DownSignal,
    ExitSignal,
    LinkSignal,
    MonitorSignal,
    safe_repr,
)
from beampy.core.state import Parking
from beampy.dist.ties import Monitoring, Ties
from beampy.errors import EncodeError, PeerBusy
from beampy.wire import control
from beampy.wire.frame import MAX_SMALL

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from beampy.core.process import Process
    from beampy.core.signals import Signal
    from beampy.dist.connection import Connection
    from beampy.dist.far_process import FarProcess
    from beampy.dist.peers import Peers
    from beampy.dist.shared_lane import Lane
    from beampy.dist.spawn import Spawning
    from beampy.wire.channel import Channel
    from beampy.wire.codec import Body, Encoder
    from beampy.wire.greeting import Peer as Who

log = logging.getLogger("beampy.dist")

ABANDONED = "abandoned"


class Peer:
    """One other node. `channel` is None while it is down."""

    def __init__(self, peers: Peers, name: str) -> None:
        self.peers = peers
        self.node = peers.node
        self.name = name
        self.state: Literal["down", "connecting", "up"] = "down"
        self.channel: Channel | None = None
        self.connection: Connection | None = None
        self.creation = 0
        self.hidden = False
        self.said_goodbye = ""
        self.incoming: Any = None  # the handler of the channel
        self.ties = Ties()
        self.spawns: dict[int, Spawning] = {}
        self.parking = Parking.place()  # who wrote more small frames than are sent
        self.bulk_parking = Parking.place()  # who wrote a large message that is not sent yet
        self.encoder: Encoder = peers.encoder(name, self.tell_code)  # of the connection there is, or is to be
        self.shared: Lane | None = None  # of a connection over a unix socket, while it is up
        self.process: FarProcess | None = None  # that of the last connection over one
        self.attempt: asyncio.Task[None] | None = None
        self.waiters: list[asyncio.Future[None]] = []
        self.stalled = False
        self.told = ""  # the last failure to connect that was logged
        self.was_up = False

    @property
    def level(self) -> int:
        """At which its coming and going is logged."""
        return logging.DEBUG if self.hidden else logging.INFO

    # sending

    def ready(self, sender: int) -> Channel | None:
        """Where to write: the open channel, or that of a connection on its way. None where none is to be made.

        PeerBusy for who has written far too much without ever waiting.
        """
        channel = self.channel
        if channel is None:
            if not self.peers.may_connect(self):
                return None
            channel = self.channel = self.peers.new_channel(self)
            self.peers.connect_soon(self)
        elif channel.queued > self.peers.options.cap:
            small = channel.queued - channel.bulk
            if small > self.peers.options.cap or channel.is_behind(sender):
                raise PeerBusy(self.name, self.peers.options.cap)
        return channel

    def send(self, sender: Process, dest: Any, message: Any) -> None:
        """A message to a pid, a ref, or a name there. EncodeError, PeerBusy."""
        channel = self.ready(sender.pid.serial)
        if channel is None:
            return
        kind, parts, buffers = self.encoder.encode(message)
        try:
            if buffers:
                kind, parts, buffers = self.kept(kind, parts, buffers)
            if dest.__class__ is Pid:
                channel.send_pid(dest.serial, dest.creation, sender.pid.serial, kind, parts, buffers)
            elif dest.__class__ is Ref:
                self._answered(dest)
                channel.send_ref(dest.id, dest.creation, sender.pid.serial, kind, parts, buffers)
            else:
                channel.send_name(dest[0], sender.pid.serial, kind, parts, buffers)
        except BaseException:
            self.taken_back(kind, parts)
            raise
        self.wrote(sender)

    def kept(self, kind: int, parts: list[bytes], buffers: Sequence[Any]) -> Body:
        """A body whose buffers are as they are now, whatever becomes of the message: all that is sent passes here.

        Of one that is too large nothing is copied, for which there may be no memory: the channel refuses it.
        """
        if sum(map(len, buffers)) > max(self.peers.options.max_message, MAX_SMALL):
            return kind, parts, list(buffers)
        snapshot = self.peers.pool.snapshot
        if self.shared is not None:
            return self.shared.kept(kind, parts, buffers, snapshot)
        return kind, parts, snapshot(buffers)

    def taken_back(self, kind: int, parts: list[bytes]) -> None:
        """A body that was written and kept will not be sent."""
        self.encoder.taken_back(kind, parts)
        if self.shared is not None:
            self.shared.taken_back(kind, parts)

    def control(self, sender: int, args: tuple[Any, ...], body: Body) -> None:
        """A control array with a body. EncodeError."""
        kind, parts, buffers = body
        if self.channel is None:
            self.taken_back(kind, parts)
            return
        try:
            if buffers:
                kind, parts, buffers = self.kept(kind, parts, buffers)
            self.channel.control(sender, args, kind, parts, buffers)
        except BaseException:
            self.taken_back(kind, parts)
            raise

    def _answered(self, ref: Ref) -> None:
        """The answer of a call leaves: the caller's monitor on us is over, at both ends."""
        watched = self.ties.watched.get(ref.id)
        if watched is not None and watched.once and watched.ref == ref:  # not that of an earlier start with its id
            del self.ties.watched[ref.id]
            process = self.node.find(watched.target)
            if process is not None:
                process.unwatched(watched.ref)

    def wrote(self, sender: Process | None) -> None:
        """Something was queued: it leaves at the end of this tick, and who writes too much waits."""
        connection, channel = self.connection, self.channel
        if connection is not None and not connection.armed:
            connection.arm()
        if channel is not None and channel.queued > self.peers.options.high:
            self._busy(channel, sender)

    def _busy(self, channel: Channel, sender: Process | None) -> None:
        """Much waits: who adds to it stops at its next await. A large message of another process stops nobody else."""
        if channel.queued - channel.bulk > self.peers.options.high:
            place = self.parking
        elif sender is not None and channel.is_behind(sender.pid.serial):
            place = self.bulk_parking
        else:
            return
        if not place.busy:
            place.stop()
            self.node.event("busy", self.node.voice.pid, (self.name, channel.queued))
        if sender is not None:
            sender.park(place)

    def wrote_out(self) -> None:
        """The connection has given what it had to the transport."""
        channel, low = self.channel, self.peers.options.low
        if self.parking.busy and (channel is None or channel.queued - channel.bulk <= low):
            self.parking.go()
        if self.bulk_parking.busy and (channel is None or channel.bulk <= low):
            self.bulk_parking.go()

    # signals

    def signal(self, signal: Signal) -> None:
        """A signal to a process there. It never raises: a reason that cannot travel goes as text."""
        channel = self.channel
        if channel is None:
            if not isinstance(signal, LinkSignal | MonitorSignal | ExitSignal):
                return  # it belongs to a connection that is gone, and has ended with it
            if isinstance(signal, ExitSignal) and signal.link:
                return
            channel = self.ready_for_signals()
            if channel is None:
                self.unreachable(signal)
                return
        ties = self.ties
        if isinstance(signal, MonitorSignal):
            self.watch(signal.sender, signal.to, signal.ref, False)
            return
        if isinstance(signal, DemonitorSignal):
            if ties.monitors.pop(signal.ref.id, None) is None:
                return
            serial, creation = (signal.to.serial, signal.to.creation) if isinstance(signal.to, Pid) else (0, 0)
            channel.demonitor(signal.sender.serial, creation, serial, signal.ref.id)
        else:
            if isinstance(signal, DownSignal):
                if ties.watched.pop(signal.ref.id, None) is None:
                    return
                reason = signal.reason
            elif isinstance(signal, ExitSignal):
                reason = signal.reason
                if signal.link:
                    ties.links.pop((signal.sender, signal.to), None)
            else:
                reason = None
                if isinstance(signal, LinkSignal):
                    if self.state == "up" and signal.to.creation != self.creation:
                        self.node.route_signal(ExitSignal(signal.to, signal.sender, NOPROC, True))
                        return  # of an earlier start of that node
                    ties.links[signal.sender, signal.to] = None
            sender, args = control.to_control(signal)
            if isinstance(signal, DownSignal | ExitSignal):
                self.control_with(sender, args, reason)
            else:
                channel.control(sender, args)
        self.wrote(None)

    def watch(self, watcher: Pid, target: Any, ref: Ref, once: bool) -> None:
        """Monitor a process there. With `once` the first message to `ref` ends it."""
        channel = self.channel or self.ready_for_signals()
        if channel is None:
            self.unreachable(MonitorSignal(watcher, target, ref))
            return
        self.ties.monitors[ref.id] = Monitoring(ref, watcher, once)
        if target.__class__ is tuple:
            channel.monitor_name(watcher.serial, target[0], ref.id, control.ONCE if once else 0)
        else:
            channel.monitor(watcher.serial, target.creation, target.serial, ref.id, control.ONCE if once else 0)
        self.wrote(None)

    def ready_for_signals(self) -> Channel | None:
        """As `ready`; signals are small, and never refused because much else waits."""
        if self.channel is None:
            if not self.peers.may_connect(self):
                return None
            self.channel = self.peers.new_channel(self)
            self.peers.connect_soon(self)
        return self.channel

    def control_with(self, sender: int, args: tuple[Any, ...], reason: Any) -> None:
        """A control array with a reason: itself, or what can be said of it."""
        try:
            self.control(sender, args, self.encoder.encode(reason))
        except EncodeError:
            shown = Crash(reason.type, reason.message, reason.traceback) if isinstance(reason, Crash) else None
            self.control(sender, args, self.encoder.encode(shown or safe_repr(reason)))

    def tell(self, data: bytes) -> bool:
        """A frame of remote references'; it waits behind no message in pieces. ValueError for one that is too long."""
        if len(data) > control.MAX_REFS:
            raise ValueError(f"{len(data)} bytes, and a frame of references has {control.MAX_REFS} at most")
        return self._tell(control.REFS, data)

    def tell_code(self, data: bytes) -> bool:
        """A frame of what definitions are built of, before the message that has them. False: it is down."""
        return self._tell(control.CODE, data)

    def _tell(self, code: int, data: bytes) -> bool:
        if self.channel is None:
            return False
        self.channel.control(0, (code,), 0, (data,))
        self.wrote(None)
        return True

    def unreachable(self, signal: Signal) -> None:
        """A signal for a node that we do not, or may not, connect to."""
        if isinstance(signal, LinkSignal):
            self.node.route_signal(ExitSignal(signal.to, signal.sender, NOCONNECTION, True))
        elif isinstance(signal, MonitorSignal):
            self.node.route_signal(DownSignal(signal.sender, signal.ref, NOCONNECTION, None))

    # what becomes of the connection

    def end(self, reason: str) -> None:
        """The connection is lost, or never came: everything that went over it ends."""
        was_up = self.state == "up"
        self.state = "down"
        self.connection = None
        self.stalled = False
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.close()
        if self.shared is not None:
            self.shared.end()
            self.shared = None
        references = self.peers.options.references
        if references is not None:
            if was_up:
                references.down(self.name, reason)
            elif self.encoder.carrier is not None:
                references.unsent(self.encoder.carrier)
        self.encoder = self.peers.encoder(self.name, self.tell_code)
        ties, self.ties = self.ties, Ties()
        spawns, self.spawns = self.spawns, {}
        for ours, theirs in ties.links:
            self._end_link(ours, theirs)
        for monitoring in ties.monitors.values():
            self.node.route_signal(DownSignal(monitoring.watcher, monitoring.ref, NOCONNECTION, None))
        for watched in ties.watched.values():
            process = self.node.find(watched.target)
            if process is not None:
                process.unwatched(watched.ref)
        for spawning in spawns.values():
            spawning.take_down(NOCONNECTION)
        if was_up and self.peers.options.code is not None:
            self.peers.options.code.down(self.name)
        if was_up:
            self.peers.watch.down(self.name, self.hidden, reason)
        else:
            self.peers.watch.gone(self.name, NOCONNECTION)
        for place in (self.parking, self.bulk_parking):
            if place.busy:
                place.go()

    def is_up(self, who: Who, hidden: bool) -> None:
        """A connection is there. What was linked before, and belongs to an earlier start of the node, is dead."""
        self.state, self.creation = "up", who.creation
        self.hidden = who.hidden or hidden  # hidden on one side is hidden on both, as in OTP
        if self.peers.options.code is not None:
            self.peers.options.code.up(self.name, who.flags)
        if self.peers.options.references is not None:
            self.peers.options.references.up(self.name, who.creation)
        self.said_goodbye = self.told = ""
        self.was_up = True
        for ours, theirs in list(self.ties.links):
            if theirs.creation != who.creation:
                del self.ties.links[ours, theirs]
                self.node.route_signal(ExitSignal(theirs, ours, NOPROC, True))

    def _end_link(self, ours: Pid, theirs: Pid) -> None:
        process = self.node.find(ours)
        if process is None or process._extras is None:
            return
        links = process._extras.links
        if links.links.get(theirs) == ACTIVE:
            self.node.route_signal(ExitSignal(theirs, ours, NOCONNECTION, True))
        else:
            links.links.pop(theirs, None)  # its unlink will not be acknowledged any more

    def abandon(self, pid: Pid) -> None:
        """A process was started there for somebody who no longer wants it."""
        self.signal(ExitSignal(self.node.voice.pid, pid, ABANDONED, False))

    def wait_up(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """A future that is done when it is up; it raises NotConnected when that fails."""
        future: asyncio.Future[None] = loop.create_future()
        self.waiters.append(future)
        return future

    def tell_waiters(self, settle: Callable[[asyncio.Future[None]], None]) -> None:
        """The attempt to connect has ended."""
        waiters, self.waiters = self.waiters, []
        for future in waiters:
            if not future.done():
                settle(future)
