"""Locks that one node has given away, and how a process gets one from many nodes at once. OTP's global:set_lock.

Rule: a lock is a resource and a requester, who may be one process (that is the default) or several which share it; it
is given away once for each time it was asked for, and comes back when it is given back as often, or with its process.
To hold a lock is to hold it on all nodes that were asked.

Nobody waits at a node. Who is refused anywhere gives back what it got elsewhere and tries again later, after a time
that is left to chance; from the second time on it asks the *boss* first, the last of the nodes in their order, so that
of many who want the same lock only those that have the boss's reach the others. So there is no deadlock.

Place: under global_names_keeper.py, which holds the table, and global_names.py. Not known here: what is locked.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy import api
from beampy.errors import CallTimeout, NodeDown, NoProcess, PeerBusy, ServerExited
from beampy.otp import gen
from beampy.otp.messages import Cast

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from beampy.core.ids import Pid

NAME = "beampy.global"

ANSWER = 10.0  # seconds for a node to answer; one that is gone is noticed by its connection, mostly before
FIRST_WAIT = 0.005  # seconds; a lock that guards a registration is held for a millisecond or two
LONGEST_WAIT = 1.0  # seconds; OTP waits up to 8, which is long for who comes just too late


class Held(NamedTuple):
    """A lock that is given away."""

    requester: Any
    holders: dict[Pid, int]  # how often each has it


class Locks:
    """The locks of one node. Pure."""

    __slots__ = ("by_pid", "held")

    def __init__(self) -> None:
        self.held: dict[Hashable, Held] = {}
        self.by_pid: dict[Pid, set[Hashable]] = {}

    def __repr__(self) -> str:
        return f"<{len(self.held)} locks, of {len(self.by_pid)} processes>"

    def take(self, resource: Hashable, requester: Any, pid: Pid) -> Pid | None:
        """Give a lock to a process. None when that was done, else who has it.

        >>> Locks().take("printer", "me", pid) is None
        True
        """
        held = self.held.setdefault(resource, Held(requester, {}))
        if held.requester != requester:
            return next(iter(held.holders))
        held.holders[pid] = held.holders.get(pid, 0) + 1
        self.by_pid.setdefault(pid, set()).add(resource)
        return None

    def give_back(self, resource: Hashable, requester: Any, pid: Pid) -> bool:
        """Take it back from a process, once. Whether it is free now and was not before."""
        held = self.held.get(resource)
        if held is None or held.requester != requester or pid not in held.holders:
            return False
        held.holders[pid] -= 1
        return not held.holders[pid] and self._drop(resource, held, pid)

    def gone(self, pid: Pid) -> list[Hashable]:
        """A process has ended: the locks that are free by that."""
        return [r for r in self.by_pid.pop(pid, set()) if self._drop(r, self.held[r], pid)]

    def _drop(self, resource: Hashable, held: Held, pid: Pid) -> bool:
        del held.holders[pid]
        mine = self.by_pid.get(pid)
        if mine is not None:
            mine.discard(resource)
            if not mine:
                del self.by_pid[pid]
        if not held.holders:
            del self.held[resource]
        return not held.holders


class Refused(NamedTuple):
    """Who has the lock, where it was refused; None where a node did not answer."""

    holder: Pid | None


def all_nodes() -> list[str]:
    """This node and all visible ones."""
    return [api.node(), *api.nodes()]


def keeper_of(node: str) -> Any:
    """The keeper of a node, as a destination."""
    return NAME if node == api.node() else (NAME, node)


def ask(node: str, request: tuple[Any, ...], timeout: float | None = ANSWER) -> Any:
    """Ask the keeper of a node; the Handle of its answer."""
    return gen.call(keeper_of(node), request, timeout=timeout)


async def take(
    resource: Hashable, requester: Any, nodes: Sequence[str] | None = None, retries: int | None = None
) -> dict[str, Any] | Refused:
    """Lock a resource on `nodes` (all, when None) for the current process.

    What each of the nodes has said about the resource (see the keeper), or Refused after `retries` more attempts; with
    None it tries until it has it.
    """
    attempt = 0
    while True:
        order = sorted(all_nodes() if nodes is None else set(nodes))
        answer = await _attempt(resource, requester, order, boss_first=attempt > 0)
        if not isinstance(answer, Refused) or (retries is not None and attempt >= retries):
            return answer
        await asyncio.sleep(_wait(attempt))
        attempt += 1


async def _attempt(
    resource: Hashable, requester: Any, nodes: list[str], *, boss_first: bool
) -> dict[str, Any] | Refused:
    said: dict[str, Any] = {}
    asked: list[str] = []
    rounds = [nodes[-1:], nodes[:-1]] if boss_first else [nodes]
    refused: Refused | None = None
    try:
        for some in rounds:
            handles = []
            for node in some:
                asked.append(node)
                handles.append((node, ask(node, ("lock", resource, requester, api.self()))))
            for node, handle in handles:
                try:
                    granted, detail = await handle
                except (NoProcess, NodeDown, ServerExited):
                    continue  # it is not there, so nobody has a lock there
                except CallTimeout:
                    granted, detail = False, None
                if granted:
                    said[node] = detail
                else:
                    refused = Refused(detail)
            if refused is not None:
                break
    except BaseException:
        give_back(resource, requester, asked)
        raise
    if refused is not None:
        give_back(resource, requester, asked)  # where it was refused that does nothing
        return refused
    return said


def give_back(resource: Hashable, requester: Any, nodes: Iterable[str]) -> None:
    """Give a lock back on these nodes. It connects nobody: where the connection is gone, so is the lock."""
    up = set(all_nodes())
    for node in nodes:
        if node in up:
            try:
                gen.cast(keeper_of(node), ("unlock", resource, requester, api.self()))
            except PeerBusy:
                request = Cast(("unlock", resource, requester, api.self()))
                api.send_after(LONGEST_WAIT, keeper_of(node), request)


def _wait(attempt: int) -> float:
    """Seconds until the next attempt: by chance, but the same in runs of the simulator that are the same."""
    chance = random.Random(f"{api.self()!r} {attempt}").random()
    longest: float = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
    return chance * longest
