"""Placing: on which of several nodes a query is run, when its operands lie on more than one.

Rule: where the most bytes are, so that the fewest move. A scan of files cannot move at all, as nobody knows that they
are elsewhere: its node is preferred to any that has only frames; of several with scans that with the most bytes of
files. Of equals the first counts: that of the frame whose method was called.

Place: asked by asking.py for queries with operands on several nodes. Pure.
"""

from __future__ import annotations

from typing import NamedTuple


class Operand(NamedTuple):
    """One operand: where it is, its bytes (0: not known), and whether it is a scan of files there."""

    node: str
    nbytes: int
    scan: bool = False


def place(operands: list[Operand]) -> str:
    """The node that runs it. ValueError for no operands.

    >>> place([Operand("a@h", 10), Operand("b@h", 7), Operand("b@h", 8)])
    'b@h'
    >>> place([Operand("a@h", 10), Operand("b@h", 0, scan=True)])
    'b@h'
    """
    if not operands:
        raise ValueError("place: there is nothing to place")
    found: dict[str, tuple[bool, int]] = {}
    for node, nbytes, scan in operands:
        scans, total = found.get(node, (False, 0))
        found[node] = (scans or scan, total + nbytes)
    return max(found, key=lambda node: found[node])  # the first of equals
