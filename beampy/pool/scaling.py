"""How many runners a pool wants: strategies, and what they see.

Rule: a strategy is a function of a `Load` that returns a number of runners. It has no memory, no clock and no effects,
and it answers in microseconds: any of them but `demand` is asked at each call while the pool may still grow. The plan
keeps its answer between the pool's min and max, and boots what is missing at once. It also asks before it retires a
runner that is idle: one that the strategy wants stays.

A strategy of one's own is a plain function. This one keeps a runner for each started ten of callers that wait:

    def by_queue(load: Load) -> int:
        return load.runners + -(-load.waiting // 10)

    bp.Pool(max=20, strategy=by_queue)

Place: `plan.py` asks it. Not known here: machines, time, which call is where.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Load(NamedTuple):
    """A pool at one moment. Runners that are on their way out, and what is still on them, are not counted.

    waiting: calls without a slot. running: calls on a slot.
    zombies: calls that were cancelled and still hold theirs.
    runners: those that take calls. booting: machines on their way.
    max_concurrency: slots of a runner.
    min, max: the pool's, in runners.
    """

    waiting: int
    running: int
    zombies: int
    runners: int
    booting: int
    max_concurrency: int
    min: int
    max: int

    @property
    def calls(self) -> int:
        """All that need a slot."""
        return self.waiting + self.running + self.zombies


Strategy: TypeAlias = Callable[[Load], int]


def demand(load: Load) -> int:
    """As many runners as all calls need, and no more: the default.

    >>> demand(Load(waiting=5, running=4, zombies=0, runners=1, booting=0, max_concurrency=4, min=0, max=10))
    3
    """
    return -(-load.calls // load.max_concurrency)


def headroom(fraction: float) -> Strategy:
    """Room for `fraction` more calls than there are: 0.5 keeps one slot free for every two that are taken.

    A pool without calls has none, and may scale to zero. ValueError for a fraction below 0.

    >>> headroom(0.5)(Load(waiting=0, running=8, zombies=0, runners=2, booting=0, max_concurrency=4, min=0, max=10))
    3
    """
    if not 0 <= fraction < math.inf:
        raise ValueError(f"headroom: fraction is a number, 0 or more, not {fraction!r}")

    def headroom_of(load: Load) -> int:
        # Rounded first: 0.1 * 70 is a little more than 7, and would cost a runner.
        return -(-(load.calls + math.ceil(round(load.calls * fraction, 6))) // load.max_concurrency)

    return headroom_of


def ahead(runners: int) -> Strategy:
    """`runners` more than the calls need, also when there are none: the next burst finds them up.

    ValueError for a number below 0.

    >>> ahead(1)(Load(waiting=0, running=0, zombies=0, runners=0, booting=0, max_concurrency=4, min=0, max=10))
    1
    """
    if runners < 0:
        raise ValueError(f"ahead: runners is a whole number, 0 or more, not {runners!r}")

    def ahead_of(load: Load) -> int:
        return demand(load) + runners

    return ahead_of
