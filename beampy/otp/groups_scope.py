"""The process of a scope: it keeps the memberships, and alone changes them. OTP's pg, on one node and on many.

Rule: only processes of its own node join here; those of other nodes are a copy of what the scopes of the same name
there say, see groups_circle.py. All that changes goes through `_apply`, so those who monitor a group hear of members
here and elsewhere in the same way.

Place: above groups_circle.py, below groups.py, which is what users see.
"""

from __future__ import annotations

import logging
import pickle
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.extras import Become
from beampy.core.ids import NO_NODE, Pid
from beampy.core.signals import Down, safe_repr
from beampy.errors import EncodeError
from beampy.otp.groups_circle import Circle, is_plain
from beampy.otp.groups_memberships import Change, GroupJoin, GroupLeave, Memberships
from beampy.otp.server import Loop
from beampy.otp.tables import own
from beampy.otp.typed import call

if TYPE_CHECKING:
    from beampy.core.ids import Ref
    from beampy.core.node import LocalNode

log = logging.getLogger("beampy.otp")

DEFAULT = "groups"


class Scope(Circle):
    """The process of a scope. Its name is that of the scope, on each node."""

    def __init__(self, name: str) -> None:
        self.memberships = Memberships()
        self.copies: dict[Pid, Memberships] = {}  # of the scopes of other nodes
        self.watched: dict[Pid, Ref] = {}  # the members here
        self.topics: dict[Ref, tuple[Any, ...]] = {}  # of each monitor: (group,), or () for all groups
        self.subscribers: dict[tuple[Any, ...], dict[Ref, Pid]] = {}
        own(self.memberships)
        super().__init__(name)

    @call(raises=EncodeError)
    async def join(self, group: Any, pids: tuple[Pid, ...]) -> None:
        if not is_plain(group) and self.me.node != NO_NODE:
            _check_travels(group)
        self._here(Change("join", group, pids))
        for pid in pids:
            if pid not in self.watched:
                self.watched[pid] = api.monitor(pid)  # one that has ended goes again at once

    @call
    async def leave(self, group: Any, pids: tuple[Pid, ...]) -> bool:
        left = self._here(Change("leave", group, pids))
        for pid in left:
            if pid not in self.memberships.joined and pid in self.watched:
                api.demonitor(self.watched.pop(pid), flush=True)
        return bool(left)

    @call
    async def subscribe(self, subscriber: Pid, topic: tuple[Any, ...]) -> tuple[Ref, Any]:
        ref = api.monitor(subscriber)
        self.topics[ref] = topic
        self.subscribers.setdefault(topic, {})[ref] = subscriber
        members = self.memberships.members
        return ref, members(topic[0]) if topic else {group: members(group) for group in self.memberships.groups}

    @call
    async def unsubscribe(self, ref: Ref) -> bool:
        return self._unsubscribed(ref) and api.demonitor(ref, flush=True)

    def _unsubscribed(self, ref: Ref) -> bool:
        topic = self.topics.pop(ref, None)
        if topic is None:
            return False
        refs = self.subscribers[topic]
        del refs[ref]
        if not refs:
            del self.subscribers[topic]
        return True

    async def handle_info(self, message: Any) -> None:
        match message:
            case Down(ref, pid) if self.watched.get(pid) == ref:
                del self.watched[pid]
                for group in self.memberships.everything(pid):
                    self._here(Change("leave", group, (pid,)))
            case Down(ref, _) if self._unsubscribed(ref):
                pass
            case _:
                await super().handle_info(message)

    def _here(self, change: Change) -> tuple[Pid, ...]:
        """A change of members of this node: the other nodes are told. Who has joined or left."""
        pids = self._apply(change)
        if pids:
            self.tell((change.op, change.group, pids))
        return pids

    def _apply(self, change: Change) -> tuple[Pid, ...]:
        """The one place where memberships change; whoever monitors them is told here. Who has joined or left."""
        pids = self.memberships.apply(change)
        if pids and self.subscribers:
            kind = GroupJoin if change.op == "join" else GroupLeave
            for topic in ((change.group,), ()):
                for ref, subscriber in self.subscribers.get(topic, {}).items():
                    api.send(subscriber, kind(ref, change.group, pids))
        return pids

    # the scopes of other nodes

    def own_state(self) -> dict[Any, Any]:
        found = {}
        for group in self.memberships.groups:
            pids = tuple(pid for pid in self.memberships.members(group) if pid in self.watched)
            if pids:
                found[group] = pids
        return found

    def learn(self, other: Pid, state: dict[Any, Any]) -> None:
        copy = self.copies.setdefault(other, Memberships())
        for step in copy.steps_to(state):
            self._there(copy, step)

    def changed(self, other: Pid, change: Any) -> None:
        match change:
            case ("join" | "leave" as op, group, tuple(pids)):
                self._there(self.copies.setdefault(other, Memberships()), Change(op, group, pids))
            case _:
                log.warning("%s: %r said what is no change of groups: %s", self.name, other, safe_repr(change))

    def forget(self, other: Pid) -> None:
        copy = self.copies.pop(other, None)
        if copy is not None:
            for step in copy.steps_to({}):
                self._there(copy, step)

    def _there(self, copy: Memberships, change: Change) -> None:
        pids = copy.apply(change)
        if pids:
            self._apply(Change(change.op, change.group, pids))


def _check_travels(group: Any) -> None:
    """Refuse a group that other nodes could never hear of."""
    try:
        pickle.dumps(group)
    except Exception as error:  # whatever a __reduce__ of the user's raises
        raise EncodeError(f"the group {group!r}", str(error)) from None


async def serve_default() -> Become:
    """The process of the default scope, where no behaviour's start is waited for."""
    api.set_label("Scope")
    return Become(Loop(Scope(DEFAULT), None).serve(None))


def start_groups(node: LocalNode) -> Pid:
    """Start the default scope of a node, where it does not run. Its pid. On the node's own thread."""
    there = node.registry.pids.get(DEFAULT)
    if there is not None:
        return there
    process, _ = node.spawn(serve_default, (), None, name=DEFAULT)
    return process.pid
