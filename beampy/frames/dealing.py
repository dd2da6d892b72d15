"""Dealing: which node gets which file, so that each has about as much to read.

Rule: the largest first, each to who has least so far (Graham's rule: no node gets more than 4/3 of the best possible).
Of equals the first node; so the same files are dealt in the same way each time. Pure.
"""

from __future__ import annotations

import heapq


def dealt(sizes: list[int], hands: int) -> list[int]:
    """For each size the number of who gets it, of `hands`.

    >>> dealt([10, 40, 30, 20], 2)
    [0, 0, 1, 1]
    """
    if hands < 1:
        raise ValueError("dealt: there is nobody to get anything")
    heap = [(0, 0, hand) for hand in range(hands)]
    found = [0] * len(sizes)
    for number in sorted(range(len(sizes)), key=lambda each: (-sizes[each], each)):
        total, count, hand = heapq.heappop(heap)
        found[number] = hand
        heapq.heappush(heap, (total + sizes[number], count + 1, hand))
    return found


def least(loads: dict[str, int]) -> str:
    """Who has least, of several: the first of equals. ValueError for nobody."""
    return min(loads, key=lambda name: loads[name])
