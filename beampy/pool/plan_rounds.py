"""Failures in rounds, and the waits between them, which double.

Rule: machines that are started together fail together, and that is one failure, not many: what began before a failure
belongs to its round. Only a round makes the wait longer, so a burst of failures delays growth once, and after the wait
everything that is wanted begins at once.
Place: `plan.py` has one for boots and one for runners that die young. Pure.
"""

from __future__ import annotations

from math import inf

_DOUBLINGS = 60  # of the wait: beyond that it is past any limit, and a float would overflow in the end


class Rounds:
    """Rounds of failures since the last success. `until`: nothing begins before that time.

    >>> rounds = Rounds(first=0.25, longest=30.0)
    >>> rounds.failed(1, 3, now=0.0), rounds.failed(2, 3, now=0.1), rounds.until  # 1 and 2 began together; 3 is next
    (True, False, 0.35)
    >>> rounds.failed(3, 4, now=1.0), rounds.until, rounds.count
    (True, 1.5, 2)
    """

    __slots__ = ("_edge", "_first", "_longest", "count", "latest", "start", "until")

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._edge = 0  # the next round's numbers begin here
        self.start = 0  # where this one's began
        self.count = 0
        self.until = -inf
        self.latest = -inf  # when the last failure was

    def failed(self, number: int, following: int, now: float) -> bool:
        """What began as `number` has failed; `following` is the next number. True: that is a new round."""
        new = number >= self._edge or self.count == 0
        if new:
            self.count += 1
            self.start = min(number, self._edge)
            self._edge = following
        self.latest = now
        self.until = now + min(self._first * 2 ** min(self.count - 1, _DOUBLINGS), self._longest)
        return new

    def succeeded(self) -> None:
        """The next failure is the first of its kind, and nothing is held back."""
        self.count = 0
        self.until = -inf
