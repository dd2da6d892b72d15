"""What a ledger asks for: its actions.

Rule: each action is a NamedTuple, performed once, in order. Place: ledger.py makes them, the service performs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from beampy.refs.identity import ObjectId
    from beampy.refs.ledger_messages import Message


class Send(NamedTuple):
    """Tell the peer; it is open."""

    peer: str
    message: Message


class Free(NamedTuple):
    """An object of ours that nobody needs any more: forget it."""

    id: ObjectId


class Connect(NamedTuple):
    """Something has to be asked of a peer that is not open. Said once; `wants` says it as long as it is so."""

    peer: str


class Expired(NamedTuple):
    """Held here, and not there any more at its owner: we were away longer than the lease, or whoever lent it."""

    id: ObjectId


class Lost(NamedTuple):
    """Held here, and its owner has ended."""

    id: ObjectId


Action: TypeAlias = Send | Free | Connect | Expired | Lost
