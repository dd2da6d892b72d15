"""Groups of processes by name: join, leave, and find or tell all members. OTP's pg.

    await bp.groups.join("workers")              # the current process; it leaves when it ends
    bp.groups.members("workers")                 # a read, with no message
    bp.groups.broadcast("workers", "reload")
    ref, pids = await bp.groups.monitor("workers")   # then GroupJoin and GroupLeave messages under ref

Rule: a scope is one process on each node; it keeps the memberships, and everybody on its node reads its table. Scopes
of one name on connected nodes tell each other of their own members (groups_circle.py): a join is seen at once here,
and soon elsewhere; who is on a node that is gone is in no group; nodes that are not connected directly, or are hidden,
know nothing of each other. A process may join several times; a group is there while it has members.

The functions of this module are those of the scope "groups", which runs on every node with a name, and elsewhere from
its first use on, linked to nobody. Scopes of your own are started, normally by a supervisor:
`Groups.start_link("rooms")`, then `Groups("rooms")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.ids import Pid
from beampy.errors import BadDestination, NameTaken, NoProcess
from beampy.otp import gen
from beampy.otp.groups_memberships import GroupJoin, GroupLeave, Memberships
from beampy.otp.groups_scope import DEFAULT, Scope, serve_default
from beampy.otp.messages import Method
from beampy.otp.supervised import Supervised
from beampy.otp.tables import lives, on_node, table_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from beampy.core.ids import Ref
    from beampy.core.process import Process
    from beampy.handle import Handle

__all__ = [
    "GroupJoin", "GroupLeave", "Groups", "Memberships", "broadcast", "demonitor", "join", "leave", "local_members",
    "members", "monitor", "monitor_scope", "which_groups",
]  # fmt: skip


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

        It has happened here when the handle is awaited, and is asked for even if nobody awaits it; other nodes hear of
        it soon. A process leaves when it ends. Raises NotLocal for processes of other nodes, NoProcess when the scope
        does not run, EncodeError for a group that cannot travel (on a node with a name).

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
        """The members of `group` on all nodes, each as often as it has joined; [] for a group that is not there.

        What is known here: a member on another node may have ended, or have joined, a moment ago.
        """

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
    await start(scope, name=scope)
    return Groups(scope)


def _start_default() -> None:
    """The default scope. Nobody waits for it: its name is taken at once, and what is asked waits in its mailbox."""
    try:
        api.spawn(serve_default, name=DEFAULT)
    except NameTaken:  # another thread was faster
        return


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
