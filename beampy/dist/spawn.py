"""Spawn: a process started on another node, with its link and monitor in place before its first line.

The asker sends SPAWN with a function and its arguments, and gets SPAWN_REPLY with a pid, or with the error, before any
other signal of the new process (OTP's spawn_request). Whether a process was made when the connection is lost in between
cannot be known: NodeDown. An asker that is cancelled or dead by the time of the reply has abandoned the process, which
then ends with reason "abandoned".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.ids import Pid, Ref
from beampy.core.request import FAILED, WAITING, Request
from beampy.core.signals import Crash, ExitSignal
from beampy.core.unread import NeedsThread, Unread
from beampy.dist.peer import ABANDONED
from beampy.dist.ties import Monitoring, Watched
from beampy.errors import BeampyError, DecodeError, NodeDown
from beampy.errors.code import OF_CODE
from beampy.wire import control

if TYPE_CHECKING:
    import asyncio

    from beampy.core.process import Process
    from beampy.dist.peer import Peer


class Spawning(Request):
    """A spawn on its way. Awaiting it gives the pid; with `monitor`, (pid, ref)."""

    def __init__(self, process: Process, peer: Peer, fn: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._process = process
        self._peer = peer
        self._options = options
        self.dest = peer.name
        self.ref = process.node.new_ref()
        channel = peer.ready(process.pid.serial)
        body = peer.encoder.encode((fn, args))
        if channel is None:
            peer.taken_back(body[0], body[1])
            self._fail(NodeDown(peer.name))
            return
        peer.control(process.pid.serial, (control.SPAWN, self.ref.id, options), body)
        self.ref._holder = self
        peer.spawns[self.ref.id] = self
        process.extras().own_requests()[self] = None
        peer.wrote(process)

    def started(self, pid: Pid) -> None:
        """The reply: the new process. Here it becomes ours, or is let go."""
        process, peer = self._process, self._peer
        if self._state != WAITING or process.dead:
            peer.signal(ExitSignal(process.pid, pid, ABANDONED, False))
            if self._state == WAITING:
                self.cancel()
            return
        if self._options.get("link"):
            process.extras().links.link(pid)
            peer.ties.links[process.pid, pid] = None
        if self._options.get("monitor"):
            process.extras().links.monitors[self.ref] = pid
            peer.ties.monitors[self.ref.id] = Monitoring(self.ref, process.pid, False)
            self.take_message(self.ref, (pid, self.ref))
        else:
            self.take_message(self.ref, pid)

    def refused(self, error: Any) -> None:
        """The reply: why there is no process."""
        if self._state == WAITING:
            self._fail(error if isinstance(error, Exception) else NodeDown(self.dest, error))

    def cancel(self, msg: Any = None) -> bool:
        if self._state == WAITING:
            self._seen = True
        return super().cancel(msg)

    def take_down(self, reason: Any) -> None:
        if self._state == WAITING:
            self._fail(NodeDown(self.dest, reason))

    def __repr__(self) -> str:
        return f"<spawn on {self.dest}{' failed' if self._state == FAILED else ''}>"


def take_spawn(peer: Peer, sender: int, ref: Ref, options: dict[str, Any], message: Any) -> None:
    """A SPAWN came; `message` is (fn, args), or Unread. The reply comes later when a module has to be imported."""
    if message.__class__ is not Unread:
        _start(peer, sender, ref, options, message)
        return
    try:
        message = message.now()
    except NeedsThread:
        connection = peer.connection
        reading = message.in_thread(peer.node.loop)

        def read(future: asyncio.Future[Any]) -> None:
            if peer.connection is not connection or peer.node.closed or future.cancelled():
                if not future.cancelled():
                    future.exception()
                return
            error = future.exception()
            if error is not None:
                _refuse(peer, ref, error)
            else:
                _start(peer, sender, ref, options, future.result())

        reading.add_done_callback(read)
        return
    except DecodeError as unreadable:
        _refuse(peer, ref, unreadable)
        return
    _start(peer, sender, ref, options, message)


def _start(peer: Peer, sender: int, ref: Ref, options: dict[str, Any], message: Any) -> None:
    node = peer.node
    parent = Pid(peer.name, sender, peer.creation)
    try:
        fn, args = message
        process, _ = node.spawn(
            fn,
            tuple(args),
            None,
            options.get("name"),
            trap_exit=bool(options.get("trap_exit")),
            max_mailbox=_limit(options.get("max_mailbox")),
            context=peer.peers.context.copy(),
            lineage=(parent, None),
        )
    except Exception as error:
        _refuse(peer, ref, error)
        return
    if options.get("link"):
        process.extras().links.linked_by(parent)
        peer.ties.links[process.pid, parent] = None
    if options.get("monitor"):
        process.watched(ref, parent)
        peer.ties.watched[ref.id] = Watched(ref, process.pid, False)
    if peer.channel is not None:
        peer.channel.control(process.pid.serial, (control.SPAWN_REPLY, ref.id, process.pid.serial))
        peer.wrote(None)


def _limit(wanted: Any) -> int | tuple[int, int] | None:
    """`max_mailbox` as spawn takes it; a tuple travels as a list."""
    return tuple(wanted) if isinstance(wanted, list) else wanted


def _refuse(peer: Peer, ref: Ref, error: BaseException) -> None:
    if peer.channel is None:
        return
    if isinstance(error.__cause__, OF_CODE):
        error = error.__cause__
    said = error if isinstance(error, BeampyError) else Crash.of(error)
    peer.control_with(0, (control.SPAWN_REPLY, ref.id, 0), said)
    peer.wrote(None)
