"""One process's links and monitors, and what is owed to others when it ends. Pure.

Links are symmetric and use OTP's unlink protocol: an `unlink` carries an id, and only its acknowledgement
removes the entry, so a link made again in between is never torn down by the old unlink. An entry is ACTIVE or
holds the id of the unlink that waits for its acknowledgement; an exit signal counts only over an ACTIVE link.

Monitors are one-way, and these are ours: those for which we will get the Down.

This file knows pids and refs, not processes: the caller sends the signals it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref

ACTIVE = 0


class Monitor(NamedTuple):
    """One of our monitors, where the pid alone does not say it all."""

    shown: Any  # what the Down calls it: the pid, or (name, node)
    target: Pid | tuple[str, str]
    tag: Any
    alias_goes: bool  # the alias of the same ref goes with the monitor


class Links:
    """The links and monitors of one process; made on first use, since most processes need none."""

    __slots__ = ("links", "monitors", "unlink_id")

    def __init__(self) -> None:
        self.links: dict[Pid, int] = {}
        self.monitors: dict[Ref, Pid | Monitor] = {}
        self.unlink_id = 0

    # links

    def link(self, peer: Pid) -> bool:
        """We link to `peer`. True when a LinkSignal has to be sent."""
        if self.links.get(peer) == ACTIVE:
            return False
        self.links[peer] = ACTIVE
        return True

    def linked_by(self, peer: Pid) -> None:
        """A LinkSignal came. It is ignored while an unlink of ours waits for its acknowledgement."""
        self.links.setdefault(peer, ACTIVE)

    def unlink(self, peer: Pid) -> int | None:
        """We unlink. The id of the UnlinkSignal to send, or None when there is nothing to do."""
        if self.links.get(peer) != ACTIVE:
            return None
        self.unlink_id += 1
        self.links[peer] = self.unlink_id
        return self.unlink_id

    def unlinked_by(self, peer: Pid) -> None:
        """An UnlinkSignal came (the caller acknowledges it). Our own pending unlink keeps its entry."""
        if self.links.get(peer) == ACTIVE:
            del self.links[peer]

    def unlink_acknowledged(self, peer: Pid, id: int) -> None:
        """Only the acknowledgement of the latest unlink removes the entry."""
        if self.links.get(peer) == id:
            del self.links[peer]

    def take_exit(self, peer: Pid) -> bool:
        """An exit signal came over the link to `peer`. True when the link was active, so it counts."""
        return self.links.pop(peer, None) == ACTIVE

    def active(self) -> list[Pid]:
        """The processes we are linked with, oldest link first."""
        return [peer for peer, state in self.links.items() if state == ACTIVE]
