"""Global names: names that stand for one process in all connected nodes, and locks that hold in all of them.

    await bp.global_names.register("leader")           # the current process; NameTaken when another one has it
    bp.global_names.whereis("leader")                  # a read, with no message, on any node
    bp.send(bp.global_names.via("leader"), "hi")
    await Leader.start_link(name=bp.global_names.via("leader"))
    async with bp.global_names.lock("migration"): ...

Rule: a name is given away under a lock of all connected visible nodes, and `register` returns when all of them know
it: of two that want it at once, one gets it. Every node has a copy of all names, so a read asks nobody. A name goes
with its process, or with the process's node. A process may have several. While the network is split each side may give
a name away; when the sides meet again, a resolver decides who keeps it. OTP's global.

A name, and a lock's resource and requester, is made of built-in types and pids: a string, a number, a tuple of these …
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

from beampy import api
from beampy.core.ids import Pid
from beampy.errors import BadDestination, BadName, CallFailed, NameTaken, NodeDown, NoProcess, NotRegistered
from beampy.otp.global_names_keeper import Names, serve_keeper
from beampy.otp.global_names_locks import ANSWER, NAME, Refused, all_nodes, ask, give_back, take
from beampy.otp.global_names_resolve import (
    NameConflict,
    Resolver,
    notify_all_name,
    random_exit_name,
    random_notify_name,
)
from beampy.otp.groups_circle import is_plain
from beampy.otp.tables import on_node, table_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from contextlib import AbstractAsyncContextManager
__all__ = [
    "GlobalName", "NameConflict", "del_lock", "lock", "notify_all_name", "random_exit_name", "random_notify_name",
    "re_register", "register", "registered", "send", "set_lock", "sync", "trans", "unregister", "via", "whereis",
]  # fmt: skip

T = TypeVar("T")

SYNC_TIMEOUT = 5.0  # seconds, as for a call

_numbers = itertools.count()


# names


@api.timed
async def register(name: Hashable, pid: Any = None, *, resolve: Resolver | None = None) -> None:
    """Give a name to the current process, or to `pid`, on whichever node it lives. All nodes know it on return.

    `resolve` says who keeps it should another side of a split have given it away, too: `random_exit_name` (None: the
    other is killed), `random_notify_name`, `notify_all_name`, or a function of yours, `fn(name, pid1, pid2)`, which
    the nodes of the two must be able to import. Raises NameTaken, NoProcess, and NodeDown where pid's node is not to
    be reached or is hidden.

    >>> await bp.global_names.register("leader")
    >>> await bp.global_names.register(("shard", 7), pid, resolve=bp.global_names.random_notify_name)
    """
    await _enter(name, pid, resolve, replace=False)


@api.timed
async def re_register(name: Hashable, pid: Any = None, *, resolve: Resolver | None = None) -> None:
    """As `register`; who has the name now loses it."""
    await _enter(name, pid, resolve, replace=True)


async def _enter(name: Hashable, whom: Any, resolve: Resolver | None, *, replace: bool) -> None:
    _check("global", name)
    pid = api.self() if whom is None else getattr(whom, "pid", whom)
    if not isinstance(pid, Pid):
        raise BadDestination(whom)
    _start()
    if pid.node not in all_nodes():
        await api.connect(pid.node)
    async with _locked(name) as said:
        holders = {node: holder for node, holder in said.items() if holder is not None}
        if holders and not replace:
            raise NameTaken(name, min(holders.values()))
        if pid.node not in said:
            raise NodeDown(pid)
        # Its node answers when all others know; one that does not listen is given up when its connection is. Only a
        # function that cannot be read there would be waited for in vain.
        await ask(pid.node, ("claim", name, pid, resolve, tuple(said)), None if resolve is None else ANSWER)
        for node in holders.keys() - {pid.node}:
            with contextlib.suppress(CallFailed):  # its node is gone, and the name with it
                await ask(node, ("drop", name, None))


@api.timed
async def unregister(name: Hashable) -> None:
    """Take a name away from whoever has it. NotRegistered when nobody has. All nodes know it on return."""
    _check("global", name)
    _start()
    async with _locked(name) as said:
        holders = [node for node, holder in said.items() if holder is not None]
        for node in holders:
            with contextlib.suppress(CallFailed):  # its node is gone, and the name with it
                await ask(node, ("drop", name, None), None)
        if not holders:
            raise NotRegistered(name)


class _Locked:
    """Hold a lock in a block, which gets what each node has said.

    A class, for a kill may end its process in here: an asynchronous generator that is closed like that stays marked as
    running, and its own end complains.
    """

    __slots__ = ("nodes", "requester", "resource", "retries", "said")

    def __init__(
        self,
        resource: tuple[str, Hashable],
        requester: Any,
        nodes: Sequence[str] | None = None,
        retries: int | None = None,
    ) -> None:
        self.resource = resource
        self.requester = requester
        self.nodes = nodes
        self.retries = retries
        self.said: dict[str, Any] = {}

    async def __aenter__(self) -> dict[str, Any]:
        said = await take(self.resource, self.requester, self.nodes, self.retries)
        if isinstance(said, Refused):
            raise NameTaken(self.resource[1], said.holder)
        self.said = said
        return said

    async def __aexit__(self, *_: object) -> None:
        give_back(self.resource, self.requester, self.said)


def _locked(name: Hashable) -> _Locked:
    """Hold the lock of a name; who has it, as each node says."""
    return _Locked(("name", name), (api.self(), next(_numbers)))


def whereis(name: Hashable) -> Pid | None:
    """The process that has a name, as this node knows it."""

    def work() -> Pid | None:
        names = _names()
        return None if names is None else names.whereis(name)

    return on_node("whereis", work)


def registered() -> list[Any]:
    """All names."""

    def work() -> list[Any]:
        names = _names()
        return [] if names is None else [name for name in names.names if names.whereis(name) is not None]

    return on_node("registered", work)


def send(name: Hashable, message: Any) -> Pid:
    """Send to the process that has a name. Its pid; NotRegistered when nobody has it."""
    pid = whereis(name)
    if pid is None:
        raise NotRegistered(name)
    api.send(pid, message)
    return pid


def via(name: Hashable, *, resolve: Resolver | None = None) -> GlobalName:
    """A name as a destination for send, call, cast and monitor, and as the `name=` of a behaviour that is started.

    >>> await Counter.start_link(name=bp.global_names.via("hits"))     # AlreadyStarted when some node has one
    >>> await Counter.client(bp.global_names.via("hits")).add(5)
    """
    return GlobalName(name, resolve)


@api.timed
async def sync(timeout: float | None = SYNC_TIMEOUT) -> None:
    """Wait until all nodes that we are connected with have told us their names. CallTimeout after `timeout` seconds."""
    _start()
    await ask(api.node(), ("synced",), timeout)


class GlobalName:
    """A global name, wherever a destination or a name is expected. `pid` is who has it at the moment."""

    __slots__ = ("name", "resolve")

    def __init__(self, name: Hashable, resolve: Resolver | None = None) -> None:
        _check("global", name)
        self.name = name
        self.resolve = resolve

    @property
    def pid(self) -> Pid | None:
        """The process that has the name; None when nobody has."""
        return whereis(self.name)

    def claim(self) -> Awaitable[None]:
        """Give it to the current process: what a start does with its `name=`."""
        return register(self.name, resolve=self.resolve)

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, GlobalName) else NotImplemented

    def __hash__(self) -> int:
        return hash((GlobalName, self.name))

    def __repr__(self) -> str:
        return f"<the global name {self.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return GlobalName, (self.name, self.resolve)


# locks


@api.timed
async def set_lock(
    resource: Hashable,
    requester: Hashable = None,
    *,
    nodes: Sequence[str] | None = None,
    retries: int | None = None,
) -> bool:
    """Lock a resource for the current process, on all connected nodes or on `nodes`. Whether it has it.

    Another requester's lock makes it wait and try again, `retries` times (None: until it has it). The requester is the
    process itself, or what several processes agree on, which then hold the lock together. A lock is held as often as
    it was set; it goes with its process, and a node takes it back when its connection with the holder's node is lost.

    >>> await bp.global_names.set_lock("printer", retries=0)
    True
    """
    return not isinstance(await take(*_lock_of(resource, requester), nodes, retries), Refused)


@api.timed
async def del_lock(resource: Hashable, requester: Hashable = None, *, nodes: Sequence[str] | None = None) -> None:
    """Give a lock back, once. It does nothing where the current process does not hold it."""
    request = ("unlock", *_lock_of(resource, requester), api.self())
    up = all_nodes()
    asked = [ask(node, request) for node in (up if nodes is None else nodes) if node in up]
    for handle in asked:
        with contextlib.suppress(CallFailed):  # it is gone, and the lock with it
            await handle


@api.timed
async def trans(
    resource: Hashable,
    fn: Callable[..., Awaitable[T]],
    *args: Any,
    requester: Hashable = None,
    nodes: Sequence[str] | None = None,
    retries: int | None = None,
) -> T:
    """`await fn(*args)` while holding a lock; its value. NameTaken(resource, who has it) when `retries` have failed.

    >>> await bp.global_names.trans("migration", migrate, 7)
    """
    async with lock(resource, requester=requester, nodes=nodes, retries=retries):
        return await fn(*args)


def lock(
    resource: Hashable,
    *,
    requester: Hashable = None,
    nodes: Sequence[str] | None = None,
    retries: int | None = None,
) -> AbstractAsyncContextManager[object]:
    """Hold a lock in a block; see `set_lock`. NameTaken(resource, who has it) when `retries` have failed.

    >>> async with bp.global_names.lock("migration", retries=0):
    ...     await migrate()
    """
    return _Locked(*_lock_of(resource, requester), nodes, retries)


def _lock_of(resource: Hashable, requester: Hashable) -> tuple[tuple[str, Hashable], Hashable]:
    _check("lock", resource)
    _check("requester", requester)
    _start()
    return ("lock", resource), api.self() if requester is None else requester


# the keeper


def _names() -> Names | None:
    try:
        return table_of(NAME, Names)
    except NoProcess:
        return None


def _start() -> None:
    """Start the keeper where it does not run: on a node without a name, or after its end."""
    if api.whereis(NAME) is None:
        with contextlib.suppress(NameTaken):  # another thread was faster
            api.spawn(serve_keeper, name=NAME)


def _check(kind: str, name: Any) -> None:
    if not is_plain(name):
        raise BadName(
            kind, name, "made of strings, numbers, bytes, None, pids, and tuples of these: any node can read it"
        )
