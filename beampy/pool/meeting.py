"""Meeting: how a runner finds other nodes: by asking its pool, which knows them.

Rule: a runner knows its parent's addresses, and asks the pool for all others, by name, when it needs them: once for
each attempt to connect. Nobody is introduced who did not ask, and only nodes that the pool's own is connected with.

    wanted                                          what the pool answers
    ──────────────────────────────────────────────  ──────────────────────────────────────────────────────────────────
    a runner of the pool, or a slot of one          its addresses, from its Hello. Both have the pool's cookie
    a node that the pool's node is connected with   its addresses, and a cookie made for this pair: that node is told
                                                    first, over the pool's own connection, to accept the runner
    any other                                       why not: UnknownNode, at the runner

A node that was told to accept a runner forgets the cookie when the connection ends, or when nobody came: the runner is
introduced anew when it needs that node again. Connections are hidden ones, so nothing of this becomes a mesh.

Place: `Introductions` is the discovery of a runner's node (runner.py), `asked` the manager's half; the node that is to
be met has runtime/introductions.py, which is also how such a node finds a runner. It does not know what the connections
are for: sends, calls, and objects that are fetched alike.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from beampy.core.request import Request
from beampy.dist.discovery import StaticDiscovery
from beampy.errors import BeampyError, UnknownNode
from beampy.pool.messages import Meet, Met, Unmet
from beampy.runtime.introductions import ACCEPTED, ASKED, MOST, accept, addresses, cookie_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from beampy.core.process import Process
    from beampy.dist.address import Address
    from beampy.pool.manager import Manager

log = logging.getLogger("beampy.pool")


# the runner's side


class Introductions(StaticDiscovery):
    """Discovery of a runner: its parent at the addresses that it was told, all others through its pool.

    >>> Introductions("app@10.0.0.1", [Address("10.0.0.1", 9100)])
    """

    def __init__(self, parent: str, addresses: Iterable[Address]) -> None:
        super().__init__({parent: list(addresses)})
        self.parent = parent
        self._ask: Callable[[str], Request] | None = None
        self._trust: Callable[[str, str], None] = lambda node, cookie: None

    def through(self, me: Process, manager: tuple[str, str]) -> None:
        """From now on `manager` is asked, by the process `me`, whose node this is the discovery of."""

        def ask(node: str) -> Request:
            request = Request(me, manager, ASKED)
            if request.to is not None:
                me.node.route_message(me, request.to, Meet(request.ref, node))
            return request

        self._ask = ask
        self._trust = lambda node, cookie: me.node.remote.options.cookies.set_for(node, cookie)  # type: ignore[attr-defined]

    async def lookup(self, node: str) -> list[Address]:
        """Where `node` may be reached. UnknownNode says what the pool said."""
        if node == self.parent:
            return await super().lookup(node)
        if self._ask is None:
            raise UnknownNode(node, f"this runner has not been taken by its pool on {self.parent} yet, which it asks")
        try:
            answer = await self._ask(node)
        except BeampyError as error:
            raise UnknownNode(node, f"its pool on {self.parent} was asked, and did not answer: {error}") from error
        if not isinstance(answer, Met):
            why = answer.why if isinstance(answer, Unmet) else f"it says {answer!r}"
            raise UnknownNode(node, f"the pool on {self.parent} does not introduce it: {why}")
        if answer.cookie is not None:
            self._trust(node, answer.cookie)
        return addresses(answer.addresses)


# the pool's side


def asked(manager: Manager, meet: Meet) -> None:
    """A runner wants to meet a node. In the manager's process."""
    manager.task(_introduce(manager, meet))


async def _introduce(manager: Manager, meet: Meet) -> None:
    answer = await introduction(manager, meet.ref.node, meet.node)
    if isinstance(answer, Unmet):
        ours = manager.home.number(meet.node) is not None  # a runner that is gone, and that was said
        level = logging.INFO if ours else logging.WARNING
        log.log(level, "pool %s: %s is not introduced to %s: %s", manager.name, meet.node, meet.ref.node, answer.why)
    manager.say(meet.ref, answer)


async def introduction(manager: Manager, asker: str, wanted: Any) -> Met | Unmet:
    """The answer to `asker`, a runner of this pool."""
    if not _is_up(manager, asker):
        return Unmet(f"{asker} is no runner of pool {manager.name}")
    about = _about(manager, wanted)
    if about is not None:
        where = about.get("addresses")
        return Met(tuple(where[:MOST])) if where else Unmet(f"{wanted} does not say where it listens")
    if not isinstance(wanted, str) or wanted not in manager.node.remote.nodes("all"):
        return Unmet(f"{manager.node.name} is not connected with {wanted!s:.255}, and that is no runner of this pool")
    from beampy.otp.rpc import remote_call

    cookie = cookie_for(manager.node, asker, wanted)
    try:
        call = remote_call.options(timeout=ACCEPTED, capture=False)
        where = await call(wanted, f"{accept.__module__}:accept", asker, cookie)
    except Exception as error:
        return Unmet(f"{wanted} does not accept {asker}: {error}")
    return Met(tuple(where[:MOST]), cookie)


def _is_up(manager: Manager, name: str) -> bool:
    return _about(manager, name) is not None


def _about(manager: Manager, name: Any) -> dict[str, Any] | None:
    """What a runner of the pool, or a slot of one, has said of itself. None: there is none of this name now."""
    slot = None if manager.slots is None else manager.slots.by_name.get(name)
    if slot is not None:
        return slot.about if slot.pid is not None else None
    number = manager.home.number(name)
    runner = None if number is None else manager.runners.get(number)
    return runner.about if runner is not None and runner.state == "up" else None
