"""Nearness: which runner a call is best run on, by the objects that its arguments refer to.

Rule: the runner that owns the most bytes of them first; the sizes are those that the references came with, estimates.
It is a wish: the plan gives the call another runner at once where those have no free slot. An object of unknown size
counts as one byte: to be where it is never hurts. References inside other arguments do not count, as they are not
fetched.

Place: asked by the manager for calls that have references among their arguments, and for no other. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.standin import StandIn, has_standins
from beampy.errors import RefError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def references(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The references among the arguments of a call, those that are fetched for it: mostly none."""
    if not has_standins(args, kwargs):
        return ()
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, StandIn):
            found.extend(getattr(value, "parts", None) or (value,))  # several of a piece, see scatter.py
    return tuple(found)


def near(refs: Iterable[Any], number_of: Callable[[Any], int | None]) -> tuple[int, ...]:
    """The numbers of the runners that own objects of `refs`, that with the most bytes first. `number_of` knows the
    runner of a node's name, None for other nodes.
    """
    weights: dict[int, int] = {}
    for node, nbytes in owned(refs):
        number = number_of(node)
        if number is not None:
            weights[number] = weights.get(number, 0) + nbytes
    return tuple(weights) if len(weights) < 2 else tuple(sorted(weights, key=lambda each: -weights[each]))


def owned(refs: Iterable[Any]) -> list[tuple[str, int]]:
    """The owner of each object, and its bytes. Each object counts once; one that cannot be used any more does not."""
    found: dict[Any, tuple[str, int]] = {}
    for ref in refs:
        try:
            found[ref.id] = (ref.id[0], max(1, getattr(ref, "nbytes", 1)))
        except RefError:
            continue  # it was dropped: the call says so when it is written
    return list(found.values())
