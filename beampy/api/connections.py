"""The verbs about nodes: who is there, connecting, and hearing of those that come and go."""

from __future__ import annotations

from typing import Literal

from beampy.api.calls import timed
from beampy.api.voice import _ask, _me
from beampy.core.current import here
from beampy.core.ids import node_name
from beampy.errors import BadName, NotConnected

NodeKind = Literal["visible", "hidden", "all"]
KINDS = ("visible", "hidden", "all")


def node() -> str:
    """The name of the current node.

    >>> bp.node()
    'app@10.0.0.1'
    """
    return here("node").node.name


def nodes(kind: NodeKind = "visible") -> list[str]:
    """The nodes that this one is connected with: the "visible" ones, the "hidden" ones, or "all". Not itself."""
    _check_kind("nodes", kind)
    me = here("nodes")
    return _ask(me, lambda: me.node.remote.nodes(kind))


@timed
async def connect(node: str) -> None:
    """Connect with a node. Not needed before a send: the first use of a pid or name there connects.

    Raises NotConnected, which says why: UnknownNode, CookieMismatch, VersionMismatch, NotAllowed, HandshakeFailed.

    >>> await bp.connect("b@10.0.0.2")
    """
    await here("connect").node.remote.connect(_name(node))


@timed
async def ping(node: str) -> bool:
    """Whether a node can be reached: connects with it if need be.

    >>> await bp.ping("b@10.0.0.2")
    True
    """
    try:
        await here("ping").node.remote.connect(_name(node))
    except NotConnected:
        return False
    return True


def disconnect(node: str) -> bool:
    """Close the connection with a node; links and monitors over it end with "noconnection". False when there is none.

    The next use of a pid there connects again.
    """
    me = here("disconnect")
    return _ask(me, lambda: me.node.remote.disconnect(_name(node)))


def monitor_nodes(flag: bool = True, kind: NodeKind = "visible") -> bool:
    """NodeUp(node) and NodeDown(node, reason) arrive as messages from now on; with False no more.

    Subscriptions count: twice on needs twice off. False when there was none to end. A node is in `nodes()` before its
    NodeUp arrives, and no longer before its NodeDown does; NodeUp arrives before any message of its processes.

    >>> bp.monitor_nodes()
    >>> await bp.receive(bp.NodeDown)
    NodeDown(node='b@10.0.0.2', reason='connection_closed')
    """
    _check_kind("monitor_nodes", kind)
    me = _me("monitor_nodes")
    return _ask(me, lambda: me.node.remote.subscribe(me.pid, kind, bool(flag)))


def monitor_node(node: str, flag: bool = True) -> None:
    """One NodeDown(node, reason) arrives when the node is gone; at once when it cannot be reached. It connects."""
    me = _me("monitor_node")
    _ask(me, lambda: me.node.remote.watch_node(me.pid, _name(node), bool(flag)))


def _name(node: object) -> str:
    if not isinstance(node, str):
        raise BadName("node", node, "a string, as in app@10.0.0.1")
    return node_name(node)


def _check_kind(verb: str, kind: object) -> None:
    if kind not in KINDS:
        raise ValueError(f"{verb}: kind is one of {KINDS}, not {kind!r}")
