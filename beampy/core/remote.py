"""The way to other nodes, as one node sees it: what the layer above plugs in, and what stands there without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from beampy.core.signals import NOCONNECTION, DownSignal, ExitSignal, LinkSignal, MonitorSignal, Signal

if TYPE_CHECKING:
    from beampy.core.node import LocalNode
    from beampy.core.process import Process


class Remote(Protocol):
    """What carries messages and signals to other nodes."""

    def send(self, sender: Process, dest: Any, message: Any) -> None:
        """Take a message to a pid, an alias or (name, node) elsewhere."""

    def signal(self, signal: Signal) -> None:
        """Take a signal to a process elsewhere."""


class Alone:
    """The `Remote` of a node that knows no other: every other node is unreachable."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node

    def send(self, sender: Process, dest: Any, message: Any) -> None:
        """Into the void, as OTP."""

    def signal(self, signal: Signal) -> None:
        """Links and monitors fail with noconnection; the rest vanishes."""
        if isinstance(signal, LinkSignal):
            self.node.route_signal(ExitSignal(signal.to, signal.sender, NOCONNECTION, True))
        elif isinstance(signal, MonitorSignal):
            self.node.route_signal(DownSignal(signal.sender, signal.ref, NOCONNECTION, None))
