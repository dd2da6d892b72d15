"""A ledger that is connected with peers, for tests of one node at a time."""

from __future__ import annotations

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import Ledger

A, B, C = "a@h", "b@h", "c@h"
X = ObjectId(A, 4, 1)
Y = ObjectId(B, 5, 1)


class Doings(list):
    """Actions that are equal to those of the same kind only: as tuples, Expired(X) and Lost(X) are equal."""

    __hash__ = None

    def __eq__(self, other):
        return super().__eq__(other) and kinds(self) == kinds(other)


def kinds(actions):
    return [(type(action), type(getattr(action, "message", None))) for action in actions]


class Strict(Ledger):
    """A ledger that says exactly what is to be done."""

    def flush(self):
        return Doings(super().flush())


def ledger(name=A, creation=4, **peers):
    """A ledger that is connected with these peers; nothing is to be done. Its sessions are 1, 2, …, in their order."""
    one = Strict(name, creation)
    for peer, start in peers.items():
        one.session(f"{peer}@h")
        one.opened(f"{peer}@h", start, 0.0)
    assert one.flush() == []
    return one


def receive(one, peer, *entries):
    for id, _ in entries:
        one.hold(id)
    one.arrived(peer, entries)
