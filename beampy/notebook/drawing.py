"""Drawing: the one thread that puts things on the screen, and what it draws again as it changes.

Rule: whoever has something to show says so in a moment, on any thread, and goes on; this thread does it, one thing
after the other. What changes often is drawn at most ten times a second, and all together not more often than Jupyter's
server takes. It is drawn less often when it goes on for long and nobody was seen to look: with no browser attached the
server keeps all that is sent. An error of something to show is logged once; the thread goes on.

The thread is started when it is first needed, and again in a forked child. It is a daemon; at the end of the program
it has `LAST` seconds for what is still to be drawn.
"""

from __future__ import annotations

import atexit
import heapq
import itertools
import logging
import os
import time
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.notebook.cells import Cell

log = logging.getLogger("beampy.notebook")

OFTEN = 0.1  # seconds between two drawings of one thing: what people see as moving
UNSEEN = 60.0  # seconds after which nobody is taken to look
SELDOM = 1.0  # seconds between two drawings then
LONG_UNSEEN = 600.0  # seconds
RARELY = 10.0  # seconds between two drawings then: some megabytes an hour in the buffers of Jupyter's server
TOGETHER = 100.0  # drawings a second of all things: a tenth of the messages that Jupyter's server lets through
LAST = 1.0  # seconds for what is left at the end of the program
LIMIT = 100_000  # things to do that may wait; each cell and each drawing waits once, so this is a fault


class Shown(Protocol):
    """Something to show."""

    ended: bool  # it will not change any more

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """It as it is now: (data by MIME type, metadata). Called on the display thread; the first time where it is
        shown.
        """
        ...


class Drawn:
    """Something that stands in a cell, and is drawn again when it has changed."""

    def __init__(self, shown: Shown, cell: Cell, every: float | None) -> None:
        self.shown = shown
        self.cell = cell
        self.display_id = uuid4().hex
        self._every = every
        self._waits = False  # it will be drawn
        self._final = False
        self._failed = False
        self._last = 0.0
        self._begun = time.monotonic()

    def changed(self) -> None:
        """It is not as it was drawn. Any thread, at once."""
        if not self._waits and not self._final:
            self._waits = True
            soon(self._draw)

    def end(self) -> None:
        """It is drawn once more, now, and then never again."""
        soon(self._end)

    def _draw(self) -> None:
        if self._final:
            return
        now = time.monotonic()
        wait = max(self._last + max(OFTEN, _pace(now)), _turn.next) - now
        if wait > 0:
            after(wait, self._draw)
            return
        _turn.next = max(_turn.next, now) + 1 / TOGETHER
        self._waits = False
        self._last = now
        self._send(update=True)

    def _tick(self) -> None:
        """What changes by itself, as times do."""
        if self._final or self._every is None:
            return
        self.changed()
        after(_slower(self._every, time.monotonic() - self._begun), self._tick)

    def _end(self) -> None:
        if not self._final:
            self._final = True
            self._send(update=True)

    def _send(self, *, update: bool) -> None:
        made = self._bundle()
        if made is not None and (self.cell.publisher.live or self._final or not update):
            self.cell.publish(*made, self.display_id, update)

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        try:
            return self.shown.bundle()
        except Exception:
            if not self._failed:
                self._failed = True
                log.exception("%r could not be drawn; this is not said again of it", self.shown)
            return None

    def _begin(self) -> None:
        self._last = time.monotonic()
        self._send(update=False)
        if self._every is not None:
            after(self._every, self._tick)


def show(shown: Shown, cell: Cell, *, every: float | None = None) -> Drawn:
    """Display something in a cell, after what the cell has shown so far. Any thread.

    On the cell's own thread, while it runs, it is there when this returns. `every`: seconds after which it is drawn
    again by itself, as long as it has not ended; less often after some minutes.

    >>> drawn = show(card, cell)
    >>> card.done += 1; drawn.changed()
    >>> card.ended = True; drawn.end()
    """
    drawn = Drawn(shown, cell, every)
    if cell.runs_here():
        drawn._last = time.monotonic()
        made = drawn._bundle() or ({"text/plain": ""}, {})
        cell.display_here(*made, drawn.display_id)
        if every is not None:
            soon(lambda: after(every, drawn._tick))
    else:
        soon(drawn._begin)
    return drawn


def seen() -> None:
    """Somebody looks: a frontend has said something."""
    _turn.seen = time.monotonic()


def _pace(now: float) -> float:
    """Seconds between two drawings of one thing."""
    unseen = now - _turn.seen
    return OFTEN if unseen < UNSEEN else SELDOM if unseen < LONG_UNSEEN else RARELY


def _slower(every: float, age: float) -> float:
    """Seconds until a time is told again: of what takes hours the seconds do not matter.

    >>> _slower(1.0, 5), _slower(1.0, 300), _slower(1.0, 7200)
    (1.0, 5.0, 30.0)
    """
    return every if age < 120 else 5 * every if age < 1800 else 30 * every


class _Turn:
    """When the next drawing of any may be, and when somebody was seen last."""

    def __init__(self) -> None:
        self.next = 0.0
        self.seen = time.monotonic()


_turn = _Turn()


# the thread


class Hand:
    """A thread that does one thing after the other: the display thread, and that of values."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begin()
        _hands.append(self)

    def begin(self) -> None:
        """With nothing to do yet, and no thread: a forked child has none of its parent's."""
        self.jobs: SimpleQueue[Callable[[], object] | tuple[float, Callable[[], object]] | None] = SimpleQueue()
        self.thread: Thread | None = None
        self.starting = Lock()
        self.told_full = False
        self.ended = False

    def soon(self, fn: Callable[[], object]) -> None:
        """Have it done. Any thread, at once; an error is logged."""
        self.post(fn)

    def post(self, job: Any) -> None:
        """The same; with the time for it, as a tuple, when that has come."""
        if self.jobs.qsize() >= LIMIT:
            if not self.told_full:
                self.told_full = True
                log.error("%d things wait to be drawn: what draws one of them hangs, and new ones are left out", LIMIT)
            return
        self.jobs.put(job)
        if self.thread is None and not self.ended:
            self.start()

    def start(self) -> None:
        with self.starting:
            if self.thread is not None:
                return
            thread = Thread(target=self.run, name=self.name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter ends
                self.ended = True
                return
            self.thread = thread
            atexit.register(self.stop)

    def run(self) -> None:
        timed: list[tuple[float, int, Callable[[], object]]] = []
        numbers = itertools.count()
        while True:
            wait = None if not timed else max(0.0, timed[0][0] - time.monotonic())
            try:
                job = self.jobs.get(timeout=wait)
            except Empty:
                self.do(heapq.heappop(timed)[2])
                continue
            if job is None:
                for at, _, last in sorted(timed):  # what would come at once, such as the rest of a cell's text
                    if at < time.monotonic() + OFTEN:
                        self.do(last)
                break
            if isinstance(job, tuple):
                heapq.heappush(timed, (job[0], next(numbers), job[1]))
            else:
                self.do(job)
            if timed and timed[0][0] <= time.monotonic():  # also when there is always something to do
                self.do(heapq.heappop(timed)[2])

    def do(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception:
            log.exception("something could not be shown in the notebook")

    def stop(self) -> None:
        self.ended = True
        thread = self.thread
        if thread is not None:
            self.jobs.put(None)
            thread.join(LAST)


_hands: list[Hand] = []
_hand = Hand("beampy-display")


def soon(fn: Callable[[], object]) -> None:
    """Run `fn` on the display thread. Any thread, at once; an error of it is logged."""
    _hand.post(fn)


def after(seconds: float, fn: Callable[[], object]) -> None:
    """The same in so many seconds."""
    _hand.post((time.monotonic() + seconds, fn))


def _forked() -> None:
    global _turn
    _turn = _Turn()
    for hand in _hands:
        hand.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
