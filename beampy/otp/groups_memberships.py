"""Memberships: who is in which group, how often; and what is told of it. Pure but for the names of its messages.

Place: below groups_scope.py, which alone changes them, and groups.py, which reads them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from beampy.core.ids import Pid, Ref


class GroupJoin(NamedTuple):
    """These processes have joined a group, once for each time they are in `pids`."""

    ref: Ref
    group: Any
    pids: tuple[Pid, ...]


class GroupLeave(NamedTuple):
    """These processes have left a group, have ended, or were on a node that is gone."""

    ref: Ref
    group: Any
    pids: tuple[Pid, ...]


class Change(NamedTuple):
    """One step of a scope: all that is ever told of it, to monitors or to the scopes of other nodes."""

    op: Literal["join", "leave"]
    group: Any
    pids: tuple[Pid, ...]


class Memberships:
    """group -> pid -> how often it has joined, and the groups of each pid. Pure."""

    __slots__ = ("groups", "joined")

    def __init__(self) -> None:
        self.groups: dict[Hashable, dict[Pid, int]] = {}
        self.joined: dict[Pid, dict[Hashable, None]] = {}

    def __repr__(self) -> str:
        return f"<{len(self.groups)} groups, {len(self.joined)} members>"

    def join(self, group: Hashable, pids: Iterable[Pid]) -> None:
        """Each pid joins once for each time it is named."""
        for pid in pids:
            members = self.groups.setdefault(group, {})
            members[pid] = members.get(pid, 0) + 1
            self.joined.setdefault(pid, {})[group] = None

    def leave(self, group: Hashable, pids: Iterable[Pid]) -> tuple[Pid, ...]:
        """Each pid leaves once for each time it is named. Those that were members."""
        return tuple(pid for pid in pids if self._left(group, pid))

    def _left(self, group: Hashable, pid: Pid) -> bool:
        members = self.groups.get(group, {})
        if pid not in members:
            return False
        members[pid] -= 1
        if not members[pid]:
            del members[pid]
            del self.joined[pid][group]
            if not self.joined[pid]:
                del self.joined[pid]
        if not members:
            del self.groups[group]
        return True

    def apply(self, change: Change) -> tuple[Pid, ...]:
        """Take one step. Who has joined or left by it."""
        if change.op == "leave":
            return self.leave(change.group, change.pids)
        self.join(change.group, change.pids)
        return change.pids

    def everything(self, pid: Pid) -> list[Hashable]:
        """The groups of a process, each as often as it has joined."""
        return [group for group in self.joined.get(pid, ()) for _ in range(self.groups[group][pid])]

    def members(self, group: Hashable) -> tuple[Pid, ...]:
        """The members of a group, each as often as it has joined."""
        return tuple(pid for pid, times in self.groups.get(group, {}).items() for _ in range(times))

    def steps_to(self, state: dict[Any, tuple[Pid, ...]]) -> list[Change]:
        """The changes after which it is `state`: the members of each group, each as often as it has joined.

        >>> Memberships().steps_to({"g": ()})
        []
        """
        steps = [Change("leave", group, self.members(group)) for group in self.groups if group not in state]
        for group, pids in state.items():
            now, then = Counter(self.groups.get(group, {})), Counter(pids)
            if now != then:
                steps.append(Change("leave", group, tuple((now - then).elements())))
                steps.append(Change("join", group, tuple((then - now).elements())))
        return [step for step in steps if step.pids]
