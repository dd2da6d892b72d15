"""What functions capture and only pass on: remote references, which stand for an object that somebody has to keep.

Rule: a definition says *which* reference stands in it, never the reference itself. Recipes are kept for as long as
anybody may ask for them, and would keep nothing alive, or everything for ever. The references go along with each
message that has the definition, as all references do; the receiver puts them in where it has to build. So a node holds
them as long as it has something that was built of them, and what was built of them it keeps for nobody's later use.

Nor does a process hold on to its own: what is remembered of a value with references in it is what it says, not the
value (`let_go`).

Place: under definitions.py, building.py and hook.py. What a reference is, core/standin.py says.
"""

from __future__ import annotations

import gc
import marshal
from functools import partial
from operator import is_
from time import perf_counter
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from beampy.code.watch import Node
    from beampy.core.standin import StandIn

# What a process that has built something of references looks for garbage: functions and their globals are cycles.
FIRST_LOOK = 5.0  # seconds after it was built: most calls take less
LAST_LOOK = 320.0  # seconds between two looks at most, while calls that have them go on; each time twice as long
SPARED = 100  # nobody looks again for so many times as long as a look took: one part in a hundred of the time


def key(ref: StandIn) -> bytes:
    """Which one it is, as it stands in a definition: equal bytes for equal ones."""
    return marshal.dumps(tuple(ref.id), 2)


def let_go(nodes: Iterable[Node]) -> None:
    """Let frames compare the globals whose values have references in them by what they say: their nodes do that."""
    for node in nodes:
        if node.names is None:
            continue
        names, wanted, values = node.names
        held = {
            name
            for ref in node.refs
            if ref.holds
            for of, name in getattr(ref.owner, "members", ())  # else it is a definition of its own
            if of is names
        }
        if held:
            others = [(name, value) for name, value in zip(wanted, values, strict=True) if name not in held]
            node.names = None
            node.same = partial(_bound_as_before, names, dict(others), tuple(held & set(wanted)))


def _bound_as_before(names: dict[str, Any], others: dict[str, Any], held: Iterable[str]) -> bool:
    from beampy.code.watch import ABSENT

    get = names.get
    if not all(map(is_, [get(name, ABSENT) for name in others], others.values())):
        return False
    return not any(isinstance(get(name, ABSENT), (FunctionType, type)) or get(name, ABSENT) is ABSENT for name in held)


def fleeting(recipes: Mapping[bytes, Any], known: Iterable[bytes]) -> set[bytes]:
    """The versions that have a reference in them, or refer to one that has; `known` are those built before."""
    marked = {version for version, recipe in recipes.items() if recipe.holds}
    there = set(known)
    more = bool(marked or there)
    while more:
        more = False
        for version, recipe in recipes.items():
            if version not in marked and any(ref in marked or ref in there for ref in recipe.refs):
                marked.add(version)
                more = True
    return marked


class Looks:
    """When to look for what is not used any more. `later(seconds, fn)` and `alive()` are the node's; on its loop."""

    def __init__(self, later: Callable[[float, Callable[[], None]], Any], alive: Callable[[], bool]) -> None:
        self.later = later
        self.alive = alive
        self.wait = FIRST_LOOK
        self.pause = 0.0  # seconds, at least, because of what the last look took
        self.timer: Any = None

    def soon(self) -> None:
        """Something was built of references."""
        if self.timer is not None:
            if self.wait == FIRST_LOOK:
                return  # calls that go on and on do not put it off
            self.timer.cancel()
        self.wait = FIRST_LOOK
        self.timer = self.later(max(self.wait, self.pause), self._look)

    def _look(self) -> None:
        self.timer = None
        if not self.alive():
            return
        began = perf_counter()
        gc.collect()
        self.pause = SPARED * (perf_counter() - began)
        if self.alive():
            self.wait = min(2 * self.wait, LAST_LOOK)
            self.timer = self.later(max(self.wait, self.pause), self._look)

    def close(self) -> None:
        """The node stops."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
