"""The mesh: whom a node connects to without being asked, and when it lets go of one. Pure.

Visible nodes are connected with all visible nodes (OTP's connect_all): a node that comes up is told whom we are
connected with, and connects there. Overlapping partitions are prevented as OTP 25 does: a node that loses another one
tells all it is still connected with, and these let go of the lost one too, so that what remains are full meshes that do
not overlap. Hidden nodes take no part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def introduce(visible: Iterable[str], new: str) -> list[str]:
    """Whom to name to `new`, which has just come up.

    >>> introduce(["a@h", "b@h"], "b@h")
    ['a@h']
    """
    return sorted(name for name in visible if name != new)


def to_connect(named: Iterable[str], own: str, known: Iterable[str]) -> list[str]:
    """Which of the nodes that a peer named we have to connect to ourselves.

    >>> to_connect(["a@h", "b@h", "c@h"], "a@h", ["c@h"])
    ['b@h']
    """
    return sorted(set(named) - {own} - set(known))


def lets_go(lost: str, lost_creation: int, own: str, connected: dict[str, int]) -> bool:
    """Whether a node that hears that another one has lost `lost` lets go of it, too.

    Not when the `lost` one has been restarted since: that is another incarnation, which nobody lost.
    """
    return lost != own and connected.get(lost) == lost_creation
