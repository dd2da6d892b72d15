"""The calls of a pool that wait for a slot.

Rule: higher priority first, and in order of arrival within one. A call that is taken out leaves nothing behind.
Each priority in use has a lane, a linked list by call; lanes that are empty go. So adding, taking and removing cost the
same however many wait; a new lane costs a search among those in use, of which there are few.
Place: `plan.py` holds one. Not known here: runners, time, limits.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict


class Queue:
    """Calls by priority.

    >>> queue = Queue()
    >>> queue.add(1, 0), queue.add(2, 5), queue.add(3, 0), queue.remove(1)
    (None, None, None, True)
    >>> len(queue), queue.take(), queue.take(), len(queue)
    (2, 2, 3, 0)
    """

    __slots__ = ("_lane_of", "_lanes", "_priorities")

    def __init__(self) -> None:
        self._lanes: dict[int, OrderedDict[int, int]] = {}  # priority → its calls, in order, each with its priority
        self._priorities: list[int] = []  # of the lanes, ascending
        self._lane_of: dict[int, OrderedDict[int, int]] = {}  # call → its lane

    def __len__(self) -> int:
        return len(self._lane_of)

    def __contains__(self, call: int) -> bool:
        return call in self._lane_of

    def add(self, call: int, priority: int) -> None:
        """It waits, behind all others of its priority."""
        lane = self._lanes.get(priority)
        if lane is None:
            lane = self._lanes[priority] = OrderedDict()
            insort(self._priorities, priority)
        lane[call] = priority
        self._lane_of[call] = lane

    def take(self) -> int:
        """The next one. KeyError where none waits."""
        if not self._priorities:
            raise KeyError("no call waits")
        priority = self._priorities[-1]
        lane = self._lanes[priority]
        call, _ = lane.popitem(last=False)
        del self._lane_of[call]
        if not lane:
            del self._lanes[priority]
            self._priorities.pop()
        return call

    def remove(self, call: int) -> bool:
        """It waits no more. False where it did not."""
        lane = self._lane_of.pop(call, None)
        if lane is None:
            return False
        priority = lane.pop(call)
        if not lane:
            del self._lanes[priority]
            del self._priorities[bisect_left(self._priorities, priority)]
        return True

    def in_order(self) -> list[int]:
        """All that wait, the next one first."""
        return [call for priority in reversed(self._priorities) for call in self._lanes[priority]]

    def check(self) -> None:
        """AssertionError where it does not hold together. For tests."""
        assert self._priorities == sorted(self._lanes), "lanes and priorities differ"
        assert all(self._lanes.values()), "an empty lane was kept"
        there = {call: lane for lane in self._lanes.values() for call in lane}
        assert there.keys() == self._lane_of.keys(), "lanes and calls differ"
        assert all(self._lane_of[call] is lane for call, lane in there.items()), "a call is in another lane"
