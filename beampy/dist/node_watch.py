"""Who wants to hear of nodes that come and go: NodeUp and NodeDown as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from beampy.core.signals import NodeDown, NodeUp

if TYPE_CHECKING:
    from beampy.core.ids import Pid
    from beampy.core.node import LocalNode

NodeKind = Literal["visible", "hidden", "all"]


class NodeWatch:
    """The subscriptions of one node's processes. Each counts, as OTP's: twice on needs twice off."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.all: dict[tuple[Pid, NodeKind], int] = {}
        self.single: dict[str, dict[Pid, int]] = {}  # monitor_node: one NodeDown each, and no NodeUp

    def subscribe(self, pid: Pid, kind: NodeKind, flag: bool) -> bool:
        """Add or remove one subscription. False when there was none to remove."""
        count = self.all.get((pid, kind), 0) + (1 if flag else -1)
        if count > 0:
            self.all[pid, kind] = count
        else:
            self.all.pop((pid, kind), None)
        return count >= 0

    def watch(self, name: str, pid: Pid, flag: bool) -> None:
        """One NodeDown for `pid` when `name` goes, or no more."""
        watchers = self.single.setdefault(name, {})
        count = watchers.get(pid, 0) + (1 if flag else -1)
        if count > 0:
            watchers[pid] = count
        else:
            watchers.pop(pid, None)
        if not watchers:
            del self.single[name]

    def up(self, name: str, hidden: bool) -> None:
        """A node is connected."""
        self._tell(NodeUp(name), hidden)

    def down(self, name: str, hidden: bool, reason: Any) -> None:
        """A node's connection is gone."""
        self._tell(NodeDown(name, reason), hidden)
        self.gone(name, reason)

    def gone(self, name: str, reason: Any) -> None:
        """A node is not, or no longer, connected: for those who watch it alone."""
        for pid, count in self.single.pop(name, {}).items():
            for _ in range(count):
                self.node.route_message_to(pid, NodeDown(name, reason))

    def _tell(self, message: NodeUp | NodeDown, hidden: bool) -> None:
        kind: NodeKind = "hidden" if hidden else "visible"
        for (pid, wanted), count in list(self.all.items()):
            if self.node.find(pid) is None:
                del self.all[pid, wanted]
            elif wanted in (kind, "all"):
                for _ in range(count):
                    self.node.route_message_to(pid, message)
