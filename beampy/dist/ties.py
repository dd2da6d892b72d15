"""Ties: which of our processes are linked with, monitor, or are monitored by processes of one other node.

Kept beside the processes' own tables for one purpose: when the connection is lost, all that went over it has to end as
`noconnection`, without a look at every process of the node. An entry is here as long as something may come for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref


class Monitoring(NamedTuple):
    """One of our monitors on a process there."""

    ref: Ref
    watcher: Pid
    once: bool  # the first message to the ref takes it off, at both ends: the monitor of a call


class Watched(NamedTuple):
    """A monitor of theirs on a process here."""

    ref: Ref
    target: Pid
    once: bool


class Ties:
    """The ties of one connection."""

    __slots__ = ("links", "monitors", "watched")

    def __init__(self) -> None:
        self.links: dict[tuple[Pid, Pid], None] = {}  # (ours, theirs); also while an unlink waits for its answer
        self.monitors: dict[int, Monitoring] = {}  # by the id of our ref
        self.watched: dict[int, Watched] = {}  # by the id of their ref
