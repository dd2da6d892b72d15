"""Home: the node that a pool lives on, and how its runners get there.

Rule: it is the caller's node. One without a name, or that does not listen, is opened up for runners only: they are told
where it is, nobody else can find it. Where there is no node at all the pool has one of its own. Each pool has a cookie
of its own, which is good for the names of its runners and for nothing else.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beampy.core.node import LocalNode

COOKIE = 32  # bytes: twice what nobody can guess
HOST = "127.0.0.1"  # of runners of this machine


class Home:
    """The way from runners to a node."""

    def __init__(self, node: LocalNode, peers: Any, pool: str) -> None:
        self.node = node
        self.peers = peers
        self.cookie = secrets.token_urlsafe(COOKIE)
        self.pool = pool
        self.local = False  # whether its backend's machines are this one

    @classmethod
    async def open(cls, node: LocalNode, pool: str) -> Home:
        """Make the node reachable for runners."""
        return cls(node, await node.owner._open_up(), pool)

    def name(self, number: int) -> str:
        """The node name of a runner."""
        return f"{self.pool}-{number}@{HOST}"

    def number(self, node: Any) -> int | None:
        """The number of the runner whose node this is, or that has a slot of this name. None: no name of ours.

        >>> home.number("p-7@127.0.0.1"), home.number("p-7-s2@127.0.0.1"), home.number("app@127.0.0.1")
        (7, 7, None)
        """
        if not isinstance(node, str):
            return None
        short, _, host = node.partition("@")
        number = short[len(self.pool) + 1 :].partition("-s")[0]
        found = int(number) if number.isdecimal() and number.isascii() else None
        return found if found is not None and host == HOST and short.startswith(f"{self.pool}-") else None

    def expect(self, name: str) -> None:
        """From now on a node of this name can connect with the pool's cookie."""
        self.peers.options.cookies.set_for(name, self.cookie)

    def reaches(self, name: str) -> bool:
        """Whether there is a connection to the node."""
        peer = self.peers.table.get(name)
        return peer is not None and peer.state == "up"

    def hurry(self, name: str, about: dict[str, Any]) -> None:
        """Its calls may be short: where it is a process of this machine, answers are waited for busily."""
        if about.get("os_pid") is not None and self.local:
            peer = self.peers.table.get(name)
            if peer is not None and peer.connection is not None:
                peer.connection.busy_wait = self.peers.busy_wait

    def forget(self, name: str) -> None:
        """It cannot any more, and is disconnected."""
        self.peers.options.cookies.set_for(name, None)
        self.peers.disconnect(name)

    def addresses(self) -> list[dict[str, Any]]:
        """Where runners find it."""
        return [asdict(address) for address in self.peers.listeners.addresses()]
