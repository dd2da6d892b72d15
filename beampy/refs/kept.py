"""What is known of one object, to those who own it and to those who ask. Pure but for `Kept`, which has the object."""

from __future__ import annotations

from typing import Any, NamedTuple

from beampy.refs.identity import ObjectId  # noqa: TC001  -- a NamedTuple's fields are looked at


class Kept:
    """An object of ours, for as long as somebody needs it."""

    __slots__ = ("born", "label", "nbytes", "value", "what")

    def __init__(self, value: Any, what: str, nbytes: int, born: float, label: str | None) -> None:
        self.value = value
        self.what = what  # its type, for people
        self.nbytes = nbytes  # an estimate
        self.born = born  # seconds, of the loop's clock
        self.label = label


class RefInfo(NamedTuple):
    """One line of `bp.refs`.

    `id` says which object, and so which node owns it; `nbytes` is an estimate, 0 where it is not known; `age` is in
    seconds, 0 for objects of other nodes. `local`: whether there are handles on the node that was asked. `holders`:
    the other nodes that it is lent to, as the node that was asked knows it, each with its state: "connected", "away"
    (the lease runs), or "ended". `state`: "", or why it cannot be used ("lost", "expired").
    """

    id: ObjectId
    what: str
    nbytes: int
    age: float
    local: bool
    holders: tuple[tuple[str, str], ...]
    label: str | None = None
    state: str = ""

    @property
    def node(self) -> str:
        """The node that owns it."""
        return self.id.node
