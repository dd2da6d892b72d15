"""A circle: the processes of one name on all visible nodes, and how each keeps a copy of what the others have.

Rule: each has a state of its own, a dict that it alone changes, and tells the others every change. A node that comes
up is sent `discover`; who gets that answers with all that it has (`sync`), and asks in turn where it did not know the
sender. One that has ended, or whose node is gone, takes its part away. So the copies agree in the end, whatever was
lost on the way. Nothing is passed on for others, and hidden nodes take no part, both as in OTP's pg.

What they say to each other are tuples of built-in types, which every version can read. A key that is of no built-in
type travels in a message of its own, so that a node which cannot read it misses that key and nothing else.

Place: below groups_scope.py and global_names_keeper.py. Not known here: what the states mean.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.ids import Pid, Ref
from beampy.core.signals import Down, NodeDown, NodeUp
from beampy.errors import EncodeError, PeerBusy
from beampy.otp.server import Server

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

log = logging.getLogger("beampy.otp")

PART = 1000  # keys in one message of a sync: some 50 KiB, so that it does not fill a connection's buffer at once
CATCH_UP = 1.0  # seconds until one who reads too slowly is told everything again; as often as connections are looked at

# Types of keys that every node can read. Exactly these: a subclass is a class of somebody's own.
BUILT_IN = frozenset({bool, bytes, complex, float, int, str, type(None), type(...), Pid, Ref})


def is_plain(key: Any) -> bool:
    """Whether a key is made of built-in types and identities only: every node can read it.

    >>> is_plain(("room", 7)), is_plain(object())
    (True, False)
    """
    kind = key.__class__
    return kind in BUILT_IN or (kind in (tuple, frozenset) and all(map(is_plain, key)))


class Circle(Server):
    """A process that is one of a circle. What a subclass adds is its state; `vars` of it are read by debuggers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.me = api.self()
        self.others: dict[Pid, Ref] = {}  # with the monitor of each
        self.arriving: dict[Pid, dict[Any, Any]] = {}  # the parts of a sync, until the last is here
        self.behind: set[Pid] = set()
        api.monitor_nodes()
        for node in api.nodes():
            self.greet(node)

    # what a subclass does

    def own_state(self) -> dict[Any, Any]:
        """All that this one has: what a sync carries."""
        raise NotImplementedError

    def learn(self, other: Pid, state: dict[Any, Any]) -> None:
        """All that another one has, now."""
        raise NotImplementedError

    def changed(self, other: Pid, change: Any) -> None:
        """What another one has told us."""
        raise NotImplementedError

    def forget(self, other: Pid) -> None:
        """Another one is gone, with all that it had."""
        raise NotImplementedError

    # telling

    def tell(self, change: Any) -> list[Pid]:
        """Tell all others of a change; those who were told. It is for who is connected, and connects nobody."""
        if not self.others:
            return []
        up = set(api.nodes())
        message = ("change", self.me, change)
        return [other for other in self.others if other.node in up and self._say(other, message)]

    def greet(self, node: str) -> None:
        """Ask whoever has our name on a node for what it has."""
        try:
            api.send((self.name, node), ("discover", self.me))
        except PeerBusy:
            api.send_after(CATCH_UP, self.me, ("greet", node))

    def _sync(self, other: Pid) -> None:
        parts = list(_parts(self.own_state()))
        for n, part in enumerate(parts):
            self._say(other, ("sync", self.me, n, n == len(parts) - 1, part))

    def _say(self, other: Pid, message: Any) -> bool:
        try:
            api.send(other, message)
        except PeerBusy:
            if other not in self.behind:
                self.behind.add(other)
                api.send_after(CATCH_UP, self.me, ("catch_up", other))
            return False
        except EncodeError as error:
            log.warning("%s of %r: %r is not told something: %s", self.name, api.node(), other, error)
            return False
        return True

    # hearing

    async def handle_info(self, message: Any) -> None:
        match message:
            case ("change", Pid() as other, change):
                if other in self.others:  # else it is gone, or will be greeted
                    self.changed(other, change)
            case ("discover", Pid() as other):
                if self._admitted(other):
                    self.greet(other.node)
                if other in self.others:
                    self._sync(other)
            case ("sync", Pid() as other, int(n), bool(last), dict(part)):
                self._admitted(other)
                if other in self.others:
                    self._part(other, n, last, part)
            case ("catch_up", Pid() as other) if other in self.behind:
                self.behind.discard(other)
                if other in self.others and other.node in api.nodes():
                    self._sync(other)
            case Down(ref, Pid() as other) if self.others.get(other) == ref:
                del self.others[other]
                self.arriving.pop(other, None)
                self.behind.discard(other)
                self.forget(other)
            case NodeUp(node):
                self.greet(node)
            case ("greet", str(node)):
                if node in api.nodes():
                    self.greet(node)
            case NodeDown():
                pass  # its Down says the same, of those that we know
            case _:
                await super().handle_info(message)

    def _admitted(self, other: Pid) -> bool:
        """Whether this is one we did not know, and do now: it lives on a visible node."""
        if other in self.others or other.node not in api.nodes():
            return False
        self.others[other] = api.monitor(other)
        return True

    def _part(self, other: Pid, n: int, last: bool, part: dict[Any, Any]) -> None:
        if n == 0:
            self.arriving[other] = {}
        if other in self.arriving:
            self.arriving[other].update(part)
            if last:
                self.learn(other, self.arriving.pop(other))


def _parts(state: dict[Hashable, Any]) -> Iterator[dict[Any, Any]]:
    """A state in messages of a bounded size; the last one is always readable."""
    for key in state:
        if not is_plain(key):
            yield {key: state[key]}
    plain: Iterable[Any] = (item for item in state.items() if is_plain(item[0]))
    items = iter(plain)
    while len(part := dict(islice(items, PART))) == PART:
        yield part
    yield part
