"""Code for a node: what it sends of its own, and what it takes from others, put together.

The only place where code/ and dist/ meet.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from beampy.code import deps
from beampy.code.client import SocketSource, code_answers
from beampy.code.environment import Policy
from beampy.code.node_code import FEATURE, NodeCode
from beampy.code.origin import here
from beampy.code.space import spaces
from beampy.code.table import Offer

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from beampy.core.node import LocalNode
    from beampy.dist.peers import Peers

THREADS = 4  # that answer those who ask so: many runners start at once, and each waits for one answer at a time
LAST = 5.0  # seconds for the module that is being read when the node stops: some milliseconds, on a busy machine more
PURPOSE = "code"  # of connections that threads open which block


class CodeService:
    """The code of one node, from its start to its end."""

    def __init__(self, node: LocalNode, *, accept: bool, packages: Literal["off", "pure", "install"]) -> None:
        self.policy = Policy(packages, node.name)
        self.code = node.code = NodeCode(node, accept=accept, missing=self.policy)
        self.executor = ThreadPoolExecutor(THREADS, "beampy-code")
        self._looking: Future[None] | None = None
        self._ended = Event()

    async def look(self) -> dict[str, Any]:
        """See what there is here. Options for `join`: the code, and the words that the handshake compares."""
        # What has been prepared takes less time than a thread to start.
        self.code.environment = environment() if _prepared else await asyncio.to_thread(environment)
        return {"code": self.code, "features": frozenset({FEATURE, self.code.environment})}

    def connect(self, peers: Peers) -> None:
        """Answer those who ask on a socket of their own, and let threads ask that way."""
        peers.purposes.register(PURPOSE, code_answers(Offer(), self.executor))
        self.code.blocking = lambda peer: _line(peers, peer)
        if not _prepared:
            # So the first to ask for many modules does not wait until each has been read. A fork has its code from
            # others, and is asked for little.
            self._looking = self.executor.submit(here().look_ahead, self._ended.is_set)

    async def close(self) -> None:
        """The node has stopped. What it fetched is on disk then, for the next one, and nothing is read for it."""
        self._ended.set()
        self.code.close()
        store = spaces().store
        if store.waits:
            await asyncio.to_thread(store.flush)
        self.policy.close()
        self.executor.shutdown(wait=False, cancel_futures=True)
        if self._looking is not None and not self._looking.done():
            await asyncio.to_thread(wait, (self._looking,), LAST)


def _line(peers: Peers, peer: str) -> tuple[SocketSource, Callable[[float], None]]:
    way = peers.blocking_to(peer, PURPOSE)
    return SocketSource(peer, way), way.look_up


_prepared = False  # whether this process, or the one that it was forked from, called `prepare`


def prepare() -> None:
    """Find out what each node finds out at its start, for the processes that will be forked from this one.

    They know it then, and look only at what has changed since.
    """
    global _prepared
    environment()
    _prepared = True


def environment() -> str:
    """One word for this Python and all that is installed for it: nodes with the same word have nothing to compare."""
    if not _prepared:  # in a fork, what was imported before it is watched already: a look would copy its memory
        here().witness_start()
    parts: list[Any] = [sorted(deps.profile().items()), sorted(deps.packages().items())]
    return f"env_{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"
