"""The keeper of global names: one process on each node, which has the names of its own processes and copies of others'.

Rule: a name belongs to the keeper of the node where its process lives; only that keeper enters it and takes it out,
and tells the other keepers (groups_circle.py). So a node that is gone takes its names with it. Whether a name is free
is never read from a copy: who wants it locks it on all nodes (global_names_locks.py), and each node says, when it gives
the lock, which of its own processes has the name.

Where two keepers have the same name, a split has ended. Of the nodes concerned the first in their order settles it: it
locks the name on all nodes, asks again who has it, lets the resolver choose, and tells the others to take it out.

It is asked with tuples of built-in types:

    ("lock", resource, requester, pid)    (True, our process that has the name, or None), or (False, who has the lock)
    ("unlock", resource, requester, pid)  True; also as a cast
    ("claim", name, pid, resolver, nodes) None: a process of ours has got a name, and all others know; by whoever has
                                          the name's lock, on these nodes
    ("drop", name, pid)                   whether it had it, and all others know that it lost it; None: whoever had it
    ("synced",)                           None, when all visible nodes have told us their names
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.extras import Become
from beampy.core.ids import Pid, Ref
from beampy.core.signals import Down, safe_repr
from beampy.errors import CallFailed, NodeDown, NoProcess
from beampy.otp import gen
from beampy.otp.global_names_locks import NAME, Locks, Refused, ask, give_back, take
from beampy.otp.global_names_resolve import Resolver, random_exit_name, resolved
from beampy.otp.groups_circle import CATCH_UP, Circle, is_plain
from beampy.otp.server import NOREPLY, Loop
from beampy.otp.tables import lives, own

if TYPE_CHECKING:
    from collections.abc import Hashable

    from beampy.core.node import LocalNode
    from beampy.otp.messages import Call

log = logging.getLogger("beampy.otp")

LONGEST_EARLY = 1.0  # seconds to meet the keeper of a node that is connected; it takes a round trip
LOOK_AGAIN = 0.2  # seconds until a name that could not be settled is looked at again; a settlement takes milliseconds


class Names:
    """name -> keeper -> the process that has the name, as that keeper says. Read by everybody on the node."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[Hashable, dict[Pid, Pid]] = {}

    def __repr__(self) -> str:
        return f"<{len(self.names)} global names>"

    def put(self, name: Hashable, keeper: Pid, pid: Pid) -> None:
        """A keeper has a name, for this process."""
        self.names.setdefault(name, {})[keeper] = pid

    def take_out(self, name: Hashable, keeper: Pid, pid: Pid | None = None) -> bool:
        """A keeper has it no more (with a pid: where that has it). False when it had not."""
        holders = self.names.get(name, {})
        if keeper not in holders or pid not in (None, holders[keeper]):
            return False
        del holders[keeper]
        if not holders:
            del self.names[name]
        return True

    def whereis(self, name: Hashable) -> Pid | None:
        """Who has a name. Of several, which is settled soon, the same one on all nodes that know the same."""
        found = [pid for pid in self.names.get(name, {}).values() if lives(pid)]
        return min(found) if found else None


class Keeper(Circle):
    """The process."""

    def __init__(self) -> None:
        self.table = Names()
        self.locks = Locks()
        self.resolvers: dict[Hashable, Resolver] = {}  # of the names of our own processes
        self.held: dict[Pid, set[Hashable]] = {}  # the names of each of them
        self.watched: dict[Pid, Ref] = {}  # who has a name of ours or a lock
        self.copies: dict[Pid, set[Hashable]] = {}  # the names of other keepers
        self.telling: dict[int, tuple[Call, Any, set[Pid]]] = {}  # who waits, for which answer, until these know
        self.tellings = 0
        self.settling: dict[Ref, Hashable] = {}
        self.early: dict[Ref, tuple[Call, Any]] = {}  # claims of names, until we have met the keepers of all nodes
        self.waiting: list[Call] = []  # for all nodes to have told us their names
        own(self.table)
        super().__init__(NAME)

    # requests

    async def handle_call(self, request: Any, from_: Call) -> Any:
        match request:
            case ("lock", resource, requester, Pid() as pid) if is_plain(resource):
                holder = self.locks.take(resource, requester, pid)
                if holder is not None:
                    return False, holder
                self._watch(pid)
                return True, self._ours(resource)
            case ("unlock", resource, requester, Pid() as pid) if is_plain(resource):
                self._unlock(resource, requester, pid)
                return True
            case ("claim", name, Pid() as pid, _, tuple()) if is_plain(name):
                if self._too_early(request):
                    self.early[from_.ref] = (from_, request)
                    api.send_after(LONGEST_EARLY, self.me, ("late", from_.ref))
                    return NOREPLY
                return self._claim(request, from_)
            case ("drop", name, pid) if is_plain(name):
                holder = self.table.names.get(name, {}).get(self.me)
                if holder is None or pid not in (None, holder):
                    return False
                self._take_out(name)
                return self._all_know(("drop", name), from_, True)
            case ("synced",):
                self.waiting.append(from_)
                self._look_synced()
                return NOREPLY
        gen.reply_error(from_, ValueError(f"no request of a keeper of global names: {safe_repr(request)}"))
        return NOREPLY

    async def handle_cast(self, request: Any) -> None:
        match request:
            case ("unlock", resource, requester, Pid() as pid) if is_plain(resource):
                self._unlock(resource, requester, pid)
            case _:
                await super().handle_info(request)

    def _unlock(self, resource: Hashable, requester: Any, pid: Pid) -> None:
        if self.locks.give_back(resource, requester, pid):
            self._freed(resource)
        self._unwatch(pid)

    def _ours(self, resource: Any) -> Pid | None:
        """The process of this node that has the name which is locked."""
        match resource:
            case ("name", name):
                pid = self.table.names.get(name, {}).get(self.me)
                return pid if pid is not None and lives(pid) else None
        return None

    def _too_early(self, claim: Any) -> bool:
        """Whether a node that gave the lock has a keeper that we have not met yet, and could not tell."""
        met = {keeper.node for keeper in self.others}
        return any(node in claim[4] and node not in met for node in api.nodes())

    def _look_early(self, ref: Ref | None = None) -> None:
        """Go on with the claims that need not wait any more; with that of `ref` in any case."""
        for key, (from_, claim) in list(self.early.items()):
            if key == ref or not self._too_early(claim):
                del self.early[key]
                answer = self._claim(claim, from_)
                if answer is not NOREPLY:
                    gen.reply(from_, answer)

    def _claim(self, claim: Any, from_: Call) -> Any:
        _, name, pid, resolver, _ = claim
        lock = self.locks.held.get(("name", name))
        if lock is None or from_.pid not in lock.holders:  # the connection was lost meanwhile, and with it the lock
            gen.reply_error(from_, NodeDown(pid))
            return NOREPLY
        if pid.node != self.me.node or not api.is_alive(pid):
            gen.reply_error(from_, NoProcess(pid))
            return NOREPLY
        old = self.table.names.get(name, {}).get(self.me)
        if old is not None:
            self._take_out(name)
        self.table.put(name, self.me, pid)
        self.resolvers[name] = resolver or random_exit_name
        self.held.setdefault(pid, set()).add(name)
        self._watch(pid)
        return self._all_know(("name", name, pid), from_, None)

    def _take_out(self, name: Any) -> None:
        pid = self.table.names[name][self.me]
        self.table.take_out(name, self.me)
        del self.resolvers[name]
        self.held[pid].discard(name)
        if not self.held[pid]:
            del self.held[pid]
        self._unwatch(pid)

    def _all_know(self, change: tuple[Any, ...], from_: Call, answer: Any) -> Any:
        """Tell the other keepers, and answer when they have said that they know."""
        self.tellings += 1
        told = self.tell((*change, self.tellings))
        if not told:
            return answer
        self.telling[self.tellings] = (from_, answer, set(told))
        return NOREPLY

    def _knows(self, other: Pid, numbers: list[int]) -> None:
        for number in numbers:
            if number in self.telling:
                from_, answer, still = self.telling[number]
                still.discard(other)
                if not still:
                    del self.telling[number]
                    gen.reply(from_, answer)

    # who has ended

    def _watch(self, pid: Pid) -> None:
        if pid not in self.watched:
            self.watched[pid] = api.monitor(pid)

    def _unwatch(self, pid: Pid) -> None:
        if pid in self.watched and pid not in self.held and pid not in self.locks.by_pid:
            api.demonitor(self.watched.pop(pid), flush=True)

    async def handle_info(self, message: Any) -> None:
        match message:
            case Down(ref, Pid() as pid) if self.watched.get(pid) == ref:
                del self.watched[pid]
                for name in self.held.pop(pid, set()):
                    self.table.take_out(name, self.me)
                    del self.resolvers[name]
                    self.tell(("drop", name, 0))
                for resource in self.locks.gone(pid):
                    self._freed(resource)
            case Down(ref, _) if ref in self.settling:
                name = self.settling.pop(ref)
                if len(self.table.names.get(name, {})) > 1:  # it could not be settled, or we have not heard yet
                    api.send_after(LOOK_AGAIN, self.me, ("look", name))
            case ("look", name) if is_plain(name):
                self._look(name)
            case ("late", Ref() as ref):
                self._look_early(ref)
            case ("known", Pid() as other, int(number)):
                self._knows(other, [number])
            case ("owed", Pid() as other, int(number)):
                self._acknowledge(other, number)
            case _:
                await super().handle_info(message)
                self._look_early()
                self._look_synced()

    # the other keepers

    def own_state(self) -> dict[Any, Any]:
        return {name: self.table.names[name][self.me] for name in self.resolvers}

    def learn(self, other: Pid, state: dict[Any, Any]) -> None:
        for name in self.copies.get(other, set()) - state.keys():
            self.table.take_out(name, other)
        self.copies[other] = set(state)
        for name, pid in state.items():
            self.table.put(name, other, pid)
            self._look(name)

    def changed(self, other: Pid, change: Any) -> None:
        names = self.copies.get(other)
        match change:
            case ("name", name, Pid() as pid, int(number)):
                if names is not None:  # else all its names are on their way
                    names.add(name)
                    self.table.put(name, other, pid)
                    self._look(name)
            case ("drop", name, int(number)):
                if names is not None:
                    names.discard(name)
                    self.table.take_out(name, other)
            case _:
                log.warning("%r said what is no change of names: %s", other, safe_repr(change))
                return
        if number:
            self._acknowledge(other, number)

    def _acknowledge(self, other: Pid, number: int) -> None:
        """Say that we know. Somebody waits for it, so it is said again to one who reads too slowly."""
        if other in self.others and not self._say(other, ("known", self.me, number)):
            api.send_after(CATCH_UP, self.me, ("owed", other, number))

    def forget(self, other: Pid) -> None:
        for name in self.copies.pop(other, set()):
            self.table.take_out(name, other)
        self._knows(other, list(self.telling))

    def _look_synced(self) -> None:
        """Answer those who wait for all nodes, where all have told us their names."""
        if self.waiting and {keeper.node for keeper in self.copies} >= set(api.nodes()):
            waiting, self.waiting = self.waiting, []
            for from_ in waiting:
                gen.reply(from_, None)

    # names that several have

    def _freed(self, resource: Any) -> None:
        match resource:
            case ("name", name):
                self._look(name)

    def _look(self, name: Any) -> None:
        """Settle a name that several have, where that is ours to do, nobody else works on it, and we do not yet."""
        keepers = self.table.names.get(name, {})
        if len(keepers) < 2 or self.me not in keepers or ("name", name) in self.locks.held:
            return
        if min(keeper.node for keeper in keepers) == self.me.node and name not in self.settling.values():
            _, ref = api.spawn(_settle, name, self.resolvers[name], monitor=True)
            self.settling[ref] = name


async def _settle(name: Any, resolver: Resolver) -> None:
    """Let one of those who have a name keep it, or none. Under its lock, so that nobody else does this or takes it."""
    api.set_label(("settles the global name", name))
    resource, me = ("name", name), api.self()
    said = await take(resource, me)
    assert not isinstance(said, Refused)  # it tries until it has it
    try:
        holders = [(node, pid) for node, pid in sorted(said.items()) if pid is not None]
        keeps, losers = (holders[0] if holders else None), []
        for rival in holders[1:]:
            if keeps is None:
                keeps = rival
                continue
            winner = await resolved(resolver, name, keeps[1], rival[1])
            losers += [one for one in (keeps, rival) if one[1] != winner]
            keeps = next((one for one in (keeps, rival) if one[1] == winner), None)
        for node, pid in losers:
            with contextlib.suppress(CallFailed):  # its node is gone, and the name with it
                await ask(node, ("drop", name, pid))
    finally:
        give_back(resource, me, said)


async def serve_keeper() -> Become:
    """The keeper's process, where no behaviour's start is waited for."""
    api.set_label("Keeper of global names")
    return Become(Loop(Keeper(), None).serve(None))


def start_global_names(node: LocalNode) -> Pid:
    """Start the keeper of a node, where it does not run. Its pid. On the node's own thread."""
    there = node.registry.pids.get(NAME)
    if there is not None:
        return there
    process, _ = node.spawn(serve_keeper, (), None, name=NAME)
    return process.pid
