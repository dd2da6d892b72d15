"""Counts, on the node that has the frames, what it was asked to carry out.

Rule: an operation is a query of at least one method on a frame that is there, or a function of polars with one as
operand. Making a frame and fetching one are none.

Place: `install` and `taken` are called from the process that runs the tests. It wraps one function of
beampy.frames.evaluate, on this node only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from beampy.frames import evaluate
from beampy.frames.tree import Object

NOT_COUNTED = frozenset({"collect", "lazy", "clone"})  # a query of these alone gives what was there
MAKES = frozenset({"DataFrame", "LazyFrame", "Series"})

_lock = threading.Lock()
_count = 0


def install() -> None:
    """Begin to count."""
    evaluate.evaluated = counted(evaluate.evaluated)


def taken() -> int:
    """How many operations there were since this was asked last."""
    global _count
    with _lock:
        found, _count = _count, 0
    return found


def counted(evaluated: Callable[..., Any]) -> Callable[..., Any]:
    """What carries out queries, which counts."""

    def counting(root: Any, steps: Any, *rest: Any, **more: Any) -> Any:
        global _count
        if is_operation(root, steps):
            with _lock:
                _count += 1
        return evaluated(root, steps, *rest, **more)

    return counting


def is_operation(root: Any, steps: Any) -> bool:
    """Whether a query, as it is sent, does something with a frame. `root`: the number of one, or a function of polars.

    >>> is_operation(0, [("head", (1,), {})]), is_operation(("DataFrame", (), {}), [])
    (True, False)
    >>> is_operation(("concat", ([Object(0), Object(1)],), {}), [])
    True
    """
    if any(step[0] not in NOT_COUNTED for step in steps):
        return True
    return not isinstance(root, int) and root[0] not in MAKES and has_operand((root[1], root[2]))


def has_operand(value: Any) -> bool:
    """Whether there is a frame, or what a query gives, among arguments.

    >>> has_operand({"items": [1, Object(0)]}), has_operand([1])
    (True, False)
    """
    if isinstance(value, Object):
        return True
    if isinstance(value, dict):
        return any(has_operand(each) for each in value.values())
    return isinstance(value, (list, tuple)) and any(has_operand(each) for each in value)
