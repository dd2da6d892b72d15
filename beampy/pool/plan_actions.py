"""What the plan of a pool asks for: its actions, and the ways it refuses a call.

Rule: each action is a NamedTuple of numbers, performed once, in order. Calls and boots are ints; a runner is the int of
its boot. Place: `plan.py` makes them, the pool's manager performs them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

STOPPED = "the pool was stopped"  # the `why` of calls that waited when it was

IDLE = "idle"  # why runners are retired: nothing to do,
SINGLE_USE = "single use"  # their one call has ended,
ZOMBIES = "zombies"  # too many of their calls were cancelled and do not end,
RESIZE = "resize"  # the pool was made smaller


class Place(NamedTuple):
    """Send this call, which waited, to that runner."""

    call: int
    runner: int


class Boot(NamedTuple):
    """Start a machine. Answered by `booted` or `boot_failed`."""

    boot: int


class Abandon(NamedTuple):
    """Its boot took too long, or is not wanted any more: revoke its ticket, delete its machine. No answer."""

    boot: int


class Retire(NamedTuple):
    """It gets no calls now: ask whether it may end. Answered by `drained` or `kept`. Comes again after a `kept`."""

    runner: int
    why: str


class Stop(NamedTuple):
    """End it within `seconds`; 0: delete its machine now. Answered by `stopped`, or by `lost`."""

    runner: int
    seconds: float


class Reject(NamedTuple):
    """This call, which waited, gets no runner. `why` is what `boot_failed` was told last, or STOPPED."""

    call: int
    why: Any


Action: TypeAlias = Place | Boot | Abandon | Retire | Stop | Reject


class Full(Exception):
    """The call was not taken: `waiting` calls wait, which is all that may. `limit` is the pool's max_queue."""

    def __init__(self, waiting: int, limit: int) -> None:
        super().__init__(waiting, limit)
        self.waiting = waiting
        self.limit = limit


class Closed(Exception):
    """The call was not taken: the plan was stopped."""
