"""Watching a pool for the cards that show it: how its runners are, taken on its own thread a few times a second.

Rule: one for each pool, however many cards there are. While none of them is live nothing is taken. What a look costs is
measured, and it is looked less often where that is much. Nobody hears of the same end of a runner twice.
"""

from __future__ import annotations

import logging
import time
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from beampy.pool.viewing import Viewer

if TYPE_CHECKING:
    from asyncio import TimerHandle

    from beampy.pool.live_view import View
    from beampy.pool.manager import Manager
    from beampy.pool.telling import Telling

log = logging.getLogger("beampy.notebook")

EVERY = 0.5  # seconds between two looks; starts and ends of runners take about as long
UNSEEN = 5.0  # the same while nobody sees any of the cards
SHARE = 50  # of the pool's thread at most a fiftieth goes into looks


class Looking(Protocol):
    """A card, on the node's thread."""

    @property
    def watched(self) -> bool: ...

    def looked(self, view: View) -> None: ...

    def runner_down(self, name: str, state: str, why: str) -> None: ...

    def end(self) -> None: ...


class PoolWatch:
    """One pool. Made on any thread, all else on the node's."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.view: View | None = None
        self.cards: set[Looking] = set()
        self._viewer = Viewer(manager)
        self._timer: TimerHandle | None = None
        self._due = 0.0  # of the timer, which with uvloop does not say it when it is due at once
        manager.loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self.manager.tell.watching.append(self._happens)
        self.manager.process.add_done_callback(self._ended)

    def add(self, card: Looking) -> None:
        """From now on a card hears of it."""
        self.cards.add(card)
        if self.view is not None:
            card.looked(self.view)
        self.soon(0.0)

    def remove(self, card: Looking) -> None:
        """No more."""
        self.cards.discard(card)

    def soon(self, seconds: float) -> None:
        """Look in so many seconds, at the latest."""
        due = self.manager.loop.time() + seconds
        if self._timer is None or self._due > due:
            if self._timer is not None:
                self._timer.cancel()
            self._due = due
            self._timer = self.manager.loop.call_at(due, self._look)

    def look(self) -> None:
        """Look now."""
        if self._timer is not None:
            self._timer.cancel()
        self._look()

    def _look(self) -> None:
        self._timer = None
        if not self.cards:
            return
        began = time.thread_time()
        try:
            self.view = view = self._viewer.view()
        except Exception:
            log.exception("pool %s could not be looked at; its cards stay as they are", self.manager.name)
            return
        took = time.thread_time() - began
        for card in tuple(self.cards):
            card.looked(view)
        if not view.ended:
            seen = any(card.watched for card in self.cards)
            self.soon(max(EVERY if seen else UNSEEN, SHARE * took))

    def _happens(self, what: str, runner: str, why: str) -> None:
        if not self.cards:
            return
        if what != "up":
            for card in tuple(self.cards):
                card.runner_down(runner, what, why)
        self.soon(0.05)  # what happens together is looked at once

    def _ended(self, _: object) -> None:
        _watches.pop(id(self.manager.tell), None)
        self._look()
        for card in tuple(self.cards):
            card.end()
        if self._timer is not None:
            self._timer.cancel()


_making = Lock()
_watches: dict[int, PoolWatch] = {}  # by the id of a pool's Telling, as long as the pool is there


def watch_of(manager: Manager) -> PoolWatch:
    """The watch of a pool. Any thread."""
    tell: Telling = manager.tell
    with _making:
        found = _watches.get(id(tell))
        if found is None:
            found = PoolWatch(manager)
            if not manager.ended:
                _watches[id(tell)] = found
    return found
