"""Who an object is, on every node: the start of the node that owns it, and a number there. Pure."""

from __future__ import annotations

from typing import NamedTuple


class ObjectId(NamedTuple):
    """`number` is never used again in this start (`creation`) of `node`, so an id never means another object.

    >>> ObjectId("a@localhost", 7, 1)
    <object a@localhost 1>
    """

    node: str
    creation: int
    number: int

    def __repr__(self) -> str:
        return f"<object {self.node} {self.number}>"
