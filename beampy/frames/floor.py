"""Floor: how many runners a pool has at least, as frames and dask want them.

Rule: a pool's `min` is at least what each of those says who want runners, as long as they do, so that the pool boots
what is missing, and replaces what is lost. When they want none any more it is what it was, or what somebody has said
meanwhile.

Place: on the loop of the pool's node, under dask_seats.py and partitions.py. It does not know what the runners are for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from beampy.pool.manager import Manager

LOOK = 0.02  # seconds between two looks at runners that boot, which takes a tenth of a second at least


class Floor:
    """The `min` of a pool, with what those want who need runners."""

    def __init__(self, least: int) -> None:
        self.told = least  # what others have said
        self.ours = least  # what we have made of it
        self.wants: dict[object, int] = {}

    def look(self, manager: Manager, who: object, count: int) -> None:
        """Somebody wants so many runners: see that the pool has them."""
        limits = manager.plan.limits
        if limits.min != self.ours:
            self.told = limits.min
        if count:
            self.wants[who] = count
        else:
            self.wants.pop(who, None)  # in a pool that stops, too: who has it here may keep it
        if manager.stopping is not None:
            return
        self.ours = min(max(self.told, *self.wants.values(), 0), limits.max)
        if self.ours != limits.min:
            manager.plan.resize(self.ours, limits.max, manager.clock())
            manager.tell.scaled(self.ours, limits.max)
            manager.act()


_floors: WeakKeyDictionary[Manager, Floor] = WeakKeyDictionary()


def want(manager: Manager, who: object, count: int) -> None:
    """So many runners are wanted by somebody from now on, 0 for none any more."""
    floor = _floors.get(manager)
    if floor is None:
        floor = _floors[manager] = Floor(manager.plan.limits.min)
    floor.look(manager, who, count)


async def up(manager: Manager, count: int) -> None:
    """Boot what is missing of so many runners, and wait until they are up: as long as one boot may take at most, and
    no longer where none is on its way any more. What they are to do says what becomes of it without them."""
    if manager.plan.load().runners >= count:
        return
    who = object()
    until = manager.clock() + manager.plan.limits.boot_timeout
    want(manager, who, count)
    try:
        while manager.stopping is None and manager.clock() < until:
            load = manager.plan.load()
            if load.runners >= count or not load.booting:
                return
            await asyncio.sleep(LOOK)
    finally:
        want(manager, who, 0)
