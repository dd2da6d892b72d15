"""The way to other nodes, as one node sees it: what the layer above plugs in, and what stands there without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from beampy.core.signals import NOCONNECTION, DownSignal, ExitSignal, LinkSignal, MonitorSignal, NodeDown, Signal
from beampy.errors import NotConnected

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref
    from beampy.core.node import LocalNode
    from beampy.core.process import Process
    from beampy.handle import Handle

NodeKind = Literal["visible", "hidden", "all"]

WHY = "this node has no name (bp.run(main, name=…), bp.Node(name)), so it is alone"


class Code(Protocol):
    """What knows the code of this node and of others."""

    def travels(self, fn: Any) -> bool:
        """Whether a function goes to others as itself, as they may not have it under its name."""
        ...

    def named(self, name: str) -> Any:
        """How the name of a function goes to others: as it is, or with where its module can be had."""
        ...

    def shipped(self, module: str) -> bool:
        """Whether a module that is imported here came from another node."""
        ...

    def find(self, name: Any) -> Any:
        """What another node's `named` means, where this node has nothing by that name itself. In a thread."""
        ...


class Remote(Protocol):
    """What carries messages and signals to other nodes, and knows which there are."""

    def send(self, sender: Process, dest: Any, message: Any) -> None:
        """Take a message to a pid, an alias or (name, node) elsewhere."""
        ...

    def signal(self, signal: Signal) -> None:
        """Take a signal to a process elsewhere."""
        ...

    def ask(self, asker: Pid, to: Pid | tuple[str, str], ref: Ref) -> None:
        """Monitor `to`, elsewhere, for a request of `asker`: until the first message to `ref`, or its Down."""
        ...

    def spawn(
        self, process: Process, node: str, fn: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Handle[Any]:
        """Start a process elsewhere, for `process`."""
        ...

    def nodes(self, kind: NodeKind) -> list[str]:
        """The connected nodes."""
        ...

    async def connect(self, name: str) -> None:
        """Connect, or say why not (NotConnected)."""
        ...

    def disconnect(self, name: str) -> bool:
        """Close a connection; False when there is none."""
        ...

    def subscribe(self, pid: Pid, kind: NodeKind, flag: bool) -> bool:
        """NodeUp and NodeDown for a process, or no more."""
        ...

    def watch_node(self, pid: Pid, name: str, flag: bool) -> None:
        """One NodeDown for a process."""
        ...


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

    def ask(self, asker: Pid, to: Pid | tuple[str, str], ref: Ref) -> None:
        """There is nobody to ask."""
        self.node.route_signal(DownSignal(asker, ref, NOCONNECTION, None))

    def spawn(
        self, process: Process, node: str, fn: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Handle[Any]:
        """There is nowhere to start anything."""
        raise NotConnected(node, WHY)

    def nodes(self, kind: NodeKind) -> list[str]:
        """None."""
        return []

    async def connect(self, name: str) -> None:
        """Itself is there; nobody else."""
        if name != self.node.name:
            raise NotConnected(name, WHY)

    def disconnect(self, name: str) -> bool:
        """There is no connection."""
        return False

    def subscribe(self, pid: Pid, kind: NodeKind, flag: bool) -> bool:
        """Nothing will ever be said."""
        return True

    def watch_node(self, pid: Pid, name: str, flag: bool) -> None:
        """It is down."""
        if flag and name != self.node.name:
            self.node.route_message_to(pid, NodeDown(name, NOCONNECTION))
