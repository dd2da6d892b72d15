"""References for a node that meets others: its Refs and its connections, put together.

The only place where refs/ and dist/ meet.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from beampy.dist.shared import settle
from beampy.errors import NotConnected, UnknownNode
from beampy.refs.carriers import Session
from beampy.refs.service import refs_of
from beampy.runtime.introductions import introduced

if TYPE_CHECKING:
    import asyncio

    from beampy.core.node import LocalNode
    from beampy.dist.address import Address
    from beampy.dist.far_process import FarProcess
    from beampy.dist.peers import Peers

ENDED = "shutdown"  # what a node says when it stops in order: see Peers.stop
# Seconds between two looks whether the process of a peer on this host has ended: doubling. One that is killed has
# closed its sockets a moment before the system says so.
FIRST, MOST = 0.05, 1.0
INTRODUCERS = 3  # that are asked in turn, seconds each
KNOWN = 1024  # nodes whose introducers are remembered: as many as dist remembers of those that are down


class References:
    """What dist asks about references; see dist/references.py."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.refs = refs_of(node)
        self.refs.post = lambda peer, data: self._peers().tell(peer, data)
        self.refs.connect = self._reach
        self.refs.settle = partial(settle, node)
        self._introducers: dict[str, str] = {}  # of nodes that we were introduced to, the latest last
        self._looks: dict[str, asyncio.TimerHandle] = {}  # by peer

    def _peers(self) -> Peers:
        return cast("Peers", self.node.remote)

    async def _reach(self, peer: str) -> None:
        peers = self._peers()
        if peers.options.auto_connect == "never":
            raise NotConnected(peer, "this node connects only when it is told to (auto_connect)")
        await peers.connect(peer)

    async def introduced(self, peer: str, unknown: UnknownNode) -> list[Address]:
        """Where the owner of objects is that discovery does not find: who has lent us one introduces us."""
        lenders = self.refs.ledger.lenders_of(peer)[:INTRODUCERS]
        before = self._introducers.get(peer)
        if before is not None and before not in lenders and before in self._peers().nodes("all"):
            lenders.append(before)
        why = unknown.why
        for lender in lenders:
            try:
                found = await introduced(self.node, lender, peer)
            except Exception as error:  # whatever that node makes of it
                why += f"; {lender} does not introduce us: {error}"
                continue
            self._introducers.pop(peer, None)
            self._introducers[peer] = lender
            if len(self._introducers) > KNOWN:
                del self._introducers[next(iter(self._introducers))]
            return found
        raise UnknownNode(peer, why) if lenders else unknown

    def session(self, peer: str) -> Session:
        """The carrier of the next connection to a peer."""
        return Session(self.refs, peer)

    def up(self, peer: str, creation: int) -> None:
        """A connection is there."""
        self._look_no_more(peer)
        self.refs.opened(peer, creation)

    def down(self, peer: str, reason: str) -> None:
        """A connection that was there has ended. Who has said that it stops does not come back, nor does a process of
        this host that is no more.
        """
        known = self._peers().table.get(peer)
        process = None if known is None else known.process
        if reason == ENDED:
            self._introducers.pop(peer, None)
        over = reason == ENDED or (process is not None and process.has_ended())
        self.refs.closed(peer, over)
        if known is not None and process is not None and not over and not self.node.closed:
            self._look(peer, known.creation, process, FIRST)

    def _look(self, peer: str, creation: int, process: FarProcess, wait: float) -> None:
        """See in `wait` seconds whether it has ended, and again, as long as its lease runs: as it is then, nobody
        waits for it any more."""

        def look() -> None:
            del self._looks[peer]
            if process.has_ended():
                self._introducers.pop(peer, None)
                self.refs.dead(peer, creation)
            elif peer in self.refs.ledger.wants():
                self._look(peer, creation, process, min(2 * wait, MOST))

        self._look_no_more(peer)
        self._looks[peer] = self.refs.loop.call_later(wait, look, context=self.refs.context)

    def _look_no_more(self, peer: str) -> None:
        look = self._looks.pop(peer, None)
        if look is not None:
            look.cancel()

    def close(self) -> None:
        """The node has stopped."""
        for peer in list(self._looks):
            self._look_no_more(peer)

    def unsent(self, carrier: Any) -> None:
        """A connection never came up, so nothing of that session was written."""
        self.refs.ledger.unsent(carrier.number)

    def heard(self, peer: str, data: bytes) -> None:
        """What the ledger of a peer says."""
        self.refs.heard(peer, data)
