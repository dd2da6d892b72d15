"""Busy waiting: a loop that has just written looks for the answer a moment longer before it sleeps.

Rule: an idle processor takes some 20 to 50 µs to wake up, longer than a small call takes there and back. So after a
write on a connection that asks for it, the loop goes round for at most LOOK seconds, until something comes. What came
in time pays for the next look; each look that was for nothing doubles the number of writes that are not followed by
one, up to MOST_SKIPPED. Without writes nothing is looked for: an idle node sleeps. The BEAM's schedulers do the same
(`+sbwt`).

For connections between processes of one machine whose calls are short: a pool and its runners. Not on a simulated loop,
whose time does not pass while it goes round.

Benchmark: benchmarks/pool_call.py.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

LOOK = 50e-6  # seconds: about what waking up an idle processor takes, so at most as much again is lost
MOST_SKIPPED = 255  # writes: then it costs at most 0.2 µs a write


class BusyWait:
    """The busy waiting of one loop, for all connections that share it."""

    __slots__ = ("_armed", "_call_soon", "_left", "_skip", "_until")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._armed = False
        self._until = 0.0
        self._skip = 0  # writes without a look after one that was for nothing
        self._left = 0

    def wrote(self) -> None:
        """Something was written: an answer may come soon."""
        if self._left:
            self._left -= 1
            return
        self._until = monotonic() + LOOK
        if not self._armed:
            self._armed = True
            self._call_soon(self._turn)

    def heard(self) -> None:
        """Something came."""
        if self._until:
            self._until = 0.0
            self._skip = 0

    def _turn(self) -> None:
        if not self._until:
            self._armed = False
        elif monotonic() < self._until:
            self._call_soon(self._turn)
        else:
            self._armed = False
            self._until = 0.0
            self._skip = self._left = min(2 * self._skip + 1, MOST_SKIPPED)
