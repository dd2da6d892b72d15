"""Asking nodes on behalf of somebody who types: an answer in time, whatever the node does.

    asker.ask("b@localhost", ("names", "np"), send, deadline=clock() + 0.25)

Rule: whoever asks waits until its deadline and not longer; then it gets what was known before, or None, and the answer
that comes later is for the next question. A node that did not answer in time, or failed, is not waited for again until
it has answered: after a pause that doubles it is tried beside (a circuit breaker). Who asks the same at the same time
waits for the same answer. An answer is good as it is for a second, if no cell has ended since.

Safe on any thread. Place: under questions.py, which knows what is asked and how it is sent. It knows neither beampy's
nodes nor IPython: `send(flight)` starts a question and never blocks; what comes is told by `flight.came`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

BUDGET: Final = 0.25  # seconds for all questions of one answer: 0.3 are promised, the rest is the kernel's own work
FRESH: Final = 1.0  # seconds that an answer is not asked for again: who types sends ten questions a second
PAUSE: Final = 0.5  # seconds before a node is tried again, doubling
LONGEST_PAUSE: Final = 15.0  # seconds
GIVEN_UP: Final = 10.0  # seconds until nobody believes in an answer any more
ENTRIES: Final = 512  # answers that are kept
ROWS: Final = 30_000  # and what is in them together: some 10 MB
NODES: Final = 256  # nodes whose state is known
FLIGHTS: Final = 8  # questions that a node has not answered

WAIT, BESIDE, NOT = "wait", "beside", "not"


class Breaker:
    """Whether a node is worth waiting for. Pure: `now` is an argument."""

    def __init__(self) -> None:
        self.closed = True
        self.pause = PAUSE
        self.retry_at = 0.0

    def verdict(self, now: float) -> str:
        """WAIT: ask and wait. BESIDE: ask, to see whether it is back, and do not wait. NOT: leave it."""
        return WAIT if self.closed else BESIDE if now >= self.retry_at else NOT

    def tried(self, now: float) -> None:
        """It is being asked: the next try waits for its turn."""
        if not self.closed:
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self.retry_at = now + self.pause

    def failed(self, now: float) -> None:
        """It did not answer, or not in time."""
        if self.closed:
            self.closed, self.pause = False, PAUSE
            self.retry_at = now + self.pause

    def worked(self) -> None:
        """It has answered."""
        self.closed, self.pause = True, PAUSE

    def hurry(self) -> None:
        """Something has happened: it may be tried at once."""
        self.retry_at, self.pause = 0.0, PAUSE


class Answer(NamedTuple):
    """What was said, when, and after how many cells."""

    value: Any
    at: float
    cells: int


class Flight:
    """A question on its way. `came` is called once, on any thread, with the value or with the failure."""

    def __init__(self, asker: Asker, node: str, key: Hashable, now: float, cells: int) -> None:
        self.asker = asker
        self.node = node
        self.key = key
        self.begun = now
        self.cells = cells
        self.done = Event()
        self.late = False
        self.answer: Answer | None = None
        self.give_up: Callable[[], object] | None = None  # ends it where it is

    def came(self, value: Any, failure: BaseException | None = None) -> None:
        """The end of it."""
        self.asker.landed(self, value, failure)


class Asker:
    """All questions of a kernel. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = Lock()
        self._answers: OrderedDict[tuple[str, Hashable], Answer] = OrderedDict()
        self._rows = 0
        self._flights: dict[tuple[str, Hashable], Flight] = {}
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._cells = 0

    def ask(
        self,
        node: str,
        key: Hashable,
        send: Callable[[Flight], object],
        deadline: float,
        *,
        lasting: float = 0.0,
    ) -> Any:
        """The answer, or the last one that is known, or None.

        deadline: until when to wait, by the clock; 0 waits not at all. lasting: seconds for which an older answer is as
        good: it is given at once, and asked for again beside.
        """
        now = self.clock()
        expired: list[Flight] = []
        begun = False
        with self._lock:
            known = self._answers.get((node, key))
            if known is not None:
                self._answers.move_to_end((node, key))
                if known.cells == self._cells and now - known.at <= FRESH:
                    return known.value
            self._expire(now, expired)
            breaker = self._breaker(node)
            verdict = breaker.verdict(now)
            flight = self._flights.get((node, key))
            if flight is None and verdict != NOT and self._room(node):
                flight = self._flights[node, key] = Flight(self, node, key, now, self._cells)
                breaker.tried(now)
                begun = True
            waits = flight is not None and verdict == WAIT and not (known is not None and now - known.at < lasting)
        for one in expired:
            if one.give_up is not None:
                one.give_up()
        if flight is not None and begun:
            try:
                send(flight)
            except Exception as error:
                flight.came(None, error)
        if flight is None or not waits:
            return None if known is None else known.value
        flight.done.wait(max(0.0, deadline - self.clock()))
        with self._lock:
            if flight.answer is not None:
                return flight.answer.value
            if not flight.done.is_set() and not flight.late:
                flight.late = True
                self._breaker(node).failed(self.clock())
        return None if known is None else known.value

    def landed(self, flight: Flight, value: Any, failure: BaseException | None) -> None:
        """An answer came, or will not come."""
        now = self.clock()
        with self._lock:
            if flight.done.is_set():
                return
            if self._flights.get((flight.node, flight.key)) is flight:
                del self._flights[flight.node, flight.key]
            if failure is None:
                self._breaker(flight.node).worked()
                flight.answer = Answer(value, now, flight.cells)
                self._keep((flight.node, flight.key), flight.answer)
            else:
                self._breaker(flight.node).failed(now)
            flight.done.set()

    def known(self, node: str, key: Hashable) -> Any:
        """The last answer, however old; None where there is none."""
        with self._lock:
            found = self._answers.get((node, key))
            return None if found is None else found.value

    def cell_ended(self) -> None:
        """Names may have changed, and nodes may be back."""
        with self._lock:
            self._cells += 1
            for breaker in self._breakers.values():
                breaker.hurry()

    def waits_for(self, node: str) -> bool:
        """Whether the node answers, as far as is known."""
        with self._lock:
            found = self._breakers.get(node)
            return found is None or found.closed

    # with the lock

    def _breaker(self, node: str) -> Breaker:
        found = self._breakers.get(node)
        if found is None:
            found = self._breakers[node] = Breaker()
            while len(self._breakers) > NODES:
                self._breakers.popitem(last=False)
        return found

    def _room(self, node: str) -> bool:
        return sum(of == node for of, _ in self._flights) < FLIGHTS

    def _expire(self, now: float, into: list[Flight]) -> None:
        for key, flight in list(self._flights.items()):
            if now - flight.begun > GIVEN_UP:
                del self._flights[key]
                self._breaker(flight.node).failed(now)
                flight.done.set()
                into.append(flight)

    def _keep(self, key: tuple[str, Hashable], answer: Answer) -> None:
        old = self._answers.pop(key, None)
        self._rows += _rows(answer) - (0 if old is None else _rows(old))
        self._answers[key] = answer
        while len(self._answers) > 1 and (len(self._answers) > ENTRIES or self._rows > ROWS):
            _, gone = self._answers.popitem(last=False)
            self._rows -= _rows(gone)


def _rows(answer: Answer) -> int:
    return 1 + (len(answer.value) if isinstance(answer.value, list | tuple | dict) else 0)
