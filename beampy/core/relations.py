"""What processes ask of links and monitors, from their node's side.

What is asked changes the asker's own table (links.py) at once; the other process hears of it by a signal, wherever
it lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.ids import Pid, Ref, is_destination, pid_of
from beampy.core.links import Monitor
from beampy.core.routing import Routing
from beampy.core.signals import (
    NOPROC,
    DemonitorSignal,
    ExitSignal,
    LinkSignal,
    MonitorSignal,
    UnlinkSignal,
)
from beampy.errors import BadDestination, NoProcess

if TYPE_CHECKING:
    from beampy.core.process import Process


class Relations(Routing):
    """The part of a node that links and monitors."""

    def new_ref(self) -> Ref:
        """A ref never used before on this node."""
        raise NotImplementedError

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
            process.extras().links.monitors[ref] = Monitor(shown, process.pid, tag, alias_goes)
            process.take_down(ref, NOPROC)
        else:
            process.extras().links.monitors[ref] = Monitor(shown, pid, tag, alias_goes)
            self.route_signal(MonitorSignal(process.pid, pid, ref))
        return ref

    def _monitored(self, target: Any) -> tuple[Any, Pid | tuple[str, str] | None]:
        """How a Down calls the target, and what it means now: a pid, a name elsewhere, or nobody.

        A name is resolved once: here, or on the node it names.
        """
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
        return target, self.registry.pids.get(target[0]) if target[1] == self.name else target

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
