"""The runners that take calls, by load: the least loaded first, the oldest among equals.

Rule: a heap of whole numbers, each a load and a runner in one (`key`), so that comparing two is one step. A runner
whose load changes gets a new entry; entries that are not their runner's key any more are skipped when they come up, and
thrown away all together when they are most of the heap. So each operation is O(log n), amortised.
Place: `plan.py` holds one. Not known here: which calls wait, machines that take no calls, time.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from math import inf
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOAD = 1 << 40  # one call more, in a key; the boot's number is below: a pool that boots 10 000 a second has 3 years
_BOOT = _LOAD - 1
_NO_KEY = -1  # of a runner that is not here
_STALE = 64  # entries that may be stale besides one for each runner: enough that a clean-up every so many costs nothing

State = Literal["up", "asked", "ending", "stopping", "away"]


class Runner:
    """A runner as the plan knows it. Times in seconds, of the plan's clock.

    state: "up" takes calls; "asked", idle, was asked whether it may end; "ending" never gets a call again; "stopping"
    was told to end; "away" has lost its connection. asked: an answer to `Retire` is to come. since: idle from then on.
    used: it had a call. deadline: when to do something about one that is ending or stopping, infinity for never.
    """

    __slots__ = ("asked", "calls", "deadline", "id", "key", "since", "state", "up_at", "used", "why", "zombies")

    def __init__(self, id: int, now: float) -> None:
        self.id = id
        self.state: State = "up"
        self.calls: set[int] = set()
        self.zombies: dict[int, float] = {}  # those of its calls that were cancelled, and when, in that order
        self.key = _NO_KEY
        self.used = False
        self.up_at = now
        self.since = now
        self.asked = False
        self.why = ""
        self.deadline = inf


class Slots:
    """The runners that take calls. Each has `capacity` slots.

    >>> slots = Slots(2)
    >>> a, b = Runner(1, 0.0), Runner(2, 0.0)
    >>> slots.add(a), slots.add(b)
    (None, None)
    >>> [runner.id for runner in map(slots.take, range(5)) if runner]
    [1, 2, 1, 2]
    """

    __slots__ = ("_full", "_heap", "_runners", "capacity")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._full = capacity * _LOAD  # keys from here on have no free slot
        self._heap: list[int] = []
        self._runners: dict[int, Runner] = {}

    def __len__(self) -> int:
        return len(self._runners)

    def add(self, runner: Runner) -> None:
        """It takes calls now, besides those that it has."""
        runner.key = len(runner.calls) * _LOAD + runner.id
        self._runners[runner.id] = runner
        heappush(self._heap, runner.key)

    def remove(self, runner: Runner) -> None:
        """It takes none any more, and keeps those that it has."""
        runner.key = _NO_KEY
        del self._runners[runner.id]
        self._tidy()

    def take(self, call: int) -> Runner | None:
        """The call is on a slot of the least loaded runner. None where all are full."""
        heap = self._heap
        runners = self._runners
        while heap:
            key = heap[0]
            runner = runners.get(key & _BOOT)
            if runner is None or runner.key != key:
                heappop(heap)
            elif key >= self._full:
                return None
            else:
                runner.key = key = key + _LOAD
                heapreplace(heap, key)
                runner.calls.add(call)
                runner.used = True
                return runner
        return None

    def take_of(self, call: int, wanted: Iterable[int]) -> Runner | None:
        """The call is on a slot of the first of the runners `wanted` that has a free one. None where none has."""
        runners, full = self._runners, self._full
        for number in wanted:
            runner = runners.get(number)
            if runner is not None and runner.key < full:
                runner.key += _LOAD
                runner.calls.add(call)
                runner.used = True
                heappush(self._heap, runner.key)
                self._tidy()
                return runner
        return None

    def give(self, runner: Runner) -> None:
        """One of its calls has ended, and was taken out of its `calls`."""
        runner.key -= _LOAD
        heap = self._heap
        heappush(heap, runner.key)
        if len(heap) > 2 * len(self._runners) + _STALE:
            self._tidy()

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._runners) + _STALE:
            self._heap = [runner.key for runner in self._runners.values()]
            heapify(self._heap)

    def check(self) -> None:
        """AssertionError where it does not hold together. For tests."""
        keys = set(self._heap)
        for runner in self._runners.values():
            assert runner.state == "up", f"runner {runner.id} takes calls and is {runner.state}"
            assert runner.key == len(runner.calls) * _LOAD + runner.id, f"runner {runner.id} has another load"
            assert runner.key in keys, f"runner {runner.id} cannot be found"
            assert len(runner.calls) <= self.capacity, f"runner {runner.id} has more calls than slots"
        assert len(self._heap) <= 2 * len(self._runners) + _STALE + 1, "stale entries were kept"
