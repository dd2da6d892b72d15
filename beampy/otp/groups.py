"""Groups of processes by name: join, leave, and find or tell all members. OTP's pg.

    await bp.groups.join("workers")              # the current process; it leaves when it ends
    bp.groups.members("workers")                 # a read, with no message
    bp.groups.broadcast("workers", "reload")
    ref, pids = await bp.groups.monitor("workers")   # then GroupJoin and GroupLeave messages under ref

Rule: a scope is one process that keeps the memberships and alone changes them, one change after the other; everybody
on its node reads its table. So what is a change for those who monitor a group is one for whoever keeps a copy of the
scope, too, and both see the changes in the same order. A process may join several times; a group is there while it
has members.

The functions of this module are those of the scope "groups", which is started when it is first used, linked to
nobody. Scopes of your own are started, normally by a supervisor: `Groups.start_link("rooms")`, then `Groups("rooms")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from beampy import api
from beampy.core.extras import Become
from beampy.core.ids import Pid, Ref
from beampy.core.signals import Down
from beampy.errors import BadDestination, NameTaken, NoProcess
from beampy.otp import gen
from beampy.otp.messages import Method
from beampy.otp.server import Loop, Server
from beampy.otp.supervised import Supervised
from beampy.otp.tables import lives, on_node, own, table_of
from beampy.otp.typed import call

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from beampy.core.process import Process
    from beampy.handle import Handle

DEFAULT = "groups"


class GroupJoin(NamedTuple):
    """These processes have joined a group, once for each time they are in `pids`."""

    ref: Ref
    group: Any
    pids: tuple[Pid, ...]


class GroupLeave(NamedTuple):
    """These processes have left a group, or have ended."""

    ref: Ref
    group: Any
    pids: tuple[Pid, ...]


class Change(NamedTuple):
    """One step of a scope: all that is ever told of it, to monitors or to copies of the scope."""

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

    def everything(self, pid: Pid) -> list[Hashable]:
        """The groups of a process, each as often as it has joined."""
        return [group for group in self.joined.get(pid, ()) for _ in range(self.groups[group][pid])]

    def members(self, group: Hashable) -> tuple[Pid, ...]:
        """The members of a group, each as often as it has joined."""
        return tuple(pid for pid, times in self.groups.get(group, {}).items() for _ in range(times))


class Scope(Server):
    """The process of a scope: the only one that changes its memberships."""

    def __init__(self) -> None:
        self.memberships = Memberships()
        self.watched: dict[Pid, Ref] = {}
        self.topics: dict[Ref, tuple[Any, ...]] = {}  # of each monitor: (group,), or () for all groups
        self.subscribers: dict[tuple[Any, ...], dict[Ref, Pid]] = {}
        own(self.memberships)

    @call
    async def join(self, group: Any, pids: tuple[Pid, ...]) -> None:
        self._apply(Change("join", group, pids))
        for pid in pids:
            if pid not in self.watched:
                self.watched[pid] = api.monitor(pid)  # one that has ended goes again at once

    @call
    async def leave(self, group: Any, pids: tuple[Pid, ...]) -> bool:
        left = self._apply(Change("leave", group, pids))
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
                    self._apply(Change("leave", group, (pid,)))
            case Down(ref, _) if self._unsubscribed(ref):
                pass
            case _:
                await super().handle_info(message)

    def _apply(self, change: Change) -> tuple[Pid, ...]:
        """The one place where memberships change; whoever has to know is told here. Who has joined or left."""
        op, group, pids = change
        kind: type[GroupJoin] | type[GroupLeave] = GroupJoin
        if op == "join":
            self.memberships.join(group, pids)
        else:
            kind, pids = GroupLeave, self.memberships.leave(group, pids)
        if pids:
            for topic in ((group,), ()):
                for ref, subscriber in self.subscribers.get(topic, {}).items():
                    api.send(subscriber, kind(ref, group, pids))
        return pids


class Groups(Supervised):
    """A scope, by its name. The module's functions are the methods of `Groups()`."""

    __slots__ = ("scope",)

    def __init__(self, scope: str = DEFAULT) -> None:
        self.scope = scope

    @classmethod
    def start(cls, scope: str = DEFAULT) -> Handle[Groups]:
        """Start a scope, with no link. AlreadyStarted when it runs."""
        return _start(scope, link=False)

    @classmethod
    def start_link(cls, scope: str = DEFAULT) -> Handle[Groups]:
        """Start a scope, linked with the current process: normally its supervisor.

        >>> rooms = await Groups.start_link("rooms")
        >>> await rooms.join("kitchen")
        """
        return _start(scope, link=True)

    @property
    def pid(self) -> Pid | None:
        """The pid of the scope's process; None while there is none."""
        return api.whereis(self.scope)

    # changes

    def join(self, group: Hashable, pids: Any = None) -> Handle[None]:
        """The current process joins `group`; or the given process or processes of this node do.

        It has happened when the handle is awaited, and is asked for even if nobody awaits it. A process leaves when it
        ends. Raises NotLocal for processes of other nodes, NoProcess when the scope does not run.

        >>> await bp.groups.join("workers")
        >>> await bp.groups.join("workers", [pid, pid])         # twice
        """
        return self._change("join", group, _pids(pids))

    def leave(self, group: Hashable, pids: Any = None) -> Handle[bool]:
        """Leave `group`, once; or the given process or processes do. False when none of them was in it."""
        return self._change("leave", group, _pids(pids))

    def _change(self, op: str, group: Hashable, pids: tuple[Pid, ...]) -> Handle[Any]:
        hash(group)
        for pid in pids:
            api._local(op, pid)
        return self._ask(op, group, pids)

    # questions

    def members(self, group: Hashable) -> list[Pid]:
        """The members of `group` on all nodes, each as often as it has joined; [] for a group that is not there."""

        def work() -> list[Pid]:
            memberships = self._memberships()
            return [] if memberships is None else [pid for pid in memberships.members(group) if lives(pid)]

        return on_node("members", work)

    def local_members(self, group: Hashable) -> list[Pid]:
        """The members of `group` that run on this node."""
        here = api.self().node
        return [pid for pid in self.members(group) if pid.node == here]

    def which_groups(self) -> list[Any]:
        """The groups that have members. NoProcess when the scope does not run."""

        def work() -> list[Any]:
            memberships = self._memberships()
            if memberships is None:
                if self.scope == DEFAULT:
                    return []
                raise NoProcess(self.scope)
            return [group for group, members in memberships.groups.items() if any(map(lives, members))]

        return on_node("which_groups", work)

    def _memberships(self) -> Memberships | None:
        try:
            return table_of(self.scope, Memberships)
        except NoProcess:
            return None

    # telling

    def broadcast(self, group: Hashable, message: Any) -> int:
        """Send `message` to all members of `group`, as often as they have joined. How many sends that were."""
        pids = self.members(group)
        for pid in pids:
            api.send(pid, message)
        return len(pids)

    def monitor(self, group: Hashable) -> Handle[tuple[Ref, tuple[Pid, ...]]]:
        """The members of `group` now, and from now on a message for each change: GroupJoin or GroupLeave, with the ref.

        >>> ref, pids = await bp.groups.monitor("workers")
        >>> await bp.receive(bp.GroupLeave)
        GroupLeave(ref=<Ref nonode@nohost 12>, group='workers', pids=(<Pid nonode@nohost 7>,))
        """
        hash(group)
        return self._ask("subscribe", api.self(), (group,))

    def monitor_scope(self) -> Handle[tuple[Ref, dict[Any, tuple[Pid, ...]]]]:
        """`monitor` of all groups, those to come included. The ref, and the members of each group."""
        return self._ask("subscribe", api.self(), ())

    def demonitor(self, ref: Ref) -> Handle[bool]:
        """End a monitor. Its messages that are still in the mailbox are removed. False for an unknown ref."""
        return _demonitor(self, api.self_process(), ref)

    def _ask(self, method: str, *args: Any) -> Handle[Any]:
        if self.scope == DEFAULT and api.whereis(DEFAULT) is None:
            _start_default()
        # As in pg, with no deadline: a change may not be left half known. The scope's end ends the wait.
        return gen.call(self.scope, Method(method, args, {}), timeout=None)

    def __eq__(self, other: object) -> bool:
        return self.scope == other.scope if isinstance(other, Groups) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.scope)

    def __repr__(self) -> str:
        return f"<Groups {self.scope!r}>"


def _pids(pids: Any) -> tuple[Pid, ...]:
    """None, a pid, something with a pid, or several of these."""
    if pids is None:
        return (api.self(),)
    if not isinstance(pids, (list, tuple, set, frozenset)):
        pids = (pids,)
    found = tuple(getattr(pid, "pid", pid) for pid in pids)
    for pid in found:
        if pid.__class__ is not Pid:
            raise BadDestination(pid)
    return found


# starting


@api.timed
async def _start(scope: str, *, link: bool) -> Groups:
    start = Scope.start_link if link else Scope.start
    await start(name=scope)
    return Groups(scope)


def _start_default() -> None:
    """The default scope. Nobody waits for it: its name is taken at once, and what is asked waits in its mailbox."""
    try:
        api.spawn(_default_scope, name=DEFAULT)
    except NameTaken:  # another thread was faster
        return


async def _default_scope() -> Become:
    api.set_label("Scope")
    return Become(Loop(Scope(), None).serve(None))


@api.timed
async def _demonitor(groups: Groups, subscriber: Process, ref: Ref) -> bool:
    known: bool = await groups._ask("unsubscribe", ref)
    box = subscriber.selective_mailbox()
    while box.discard(lambda m: isinstance(m, (GroupJoin, GroupLeave)) and m.ref == ref):
        pass
    return known


_default = Groups()
join = _default.join
leave = _default.leave
members = _default.members
local_members = _default.local_members
which_groups = _default.which_groups
broadcast = _default.broadcast
monitor = _default.monitor
monitor_scope = _default.monitor_scope
demonitor = _default.demonitor
