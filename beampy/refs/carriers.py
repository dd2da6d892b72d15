"""Carriers: how references go into the messages of one connection, and come out of them.

Rule: what a message carries is written down before it leaves and when it arrives, not when somebody reads it. In its
body a reference is a name; beside the body, once for each object, stands the transfer by which the receiver holds it.

Place: the codec of each connection has one (wire/carrier.py says what it asks); they stand on service.py.
"""

from __future__ import annotations

from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, cast

import msgpack

from beampy.errors import EncodeError, RefDropped
from beampy.refs.identity import ObjectId
from beampy.refs.ref import RemoteRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beampy.refs.hold import Hold
    from beampy.refs.service import Refs

KINDS: frozenset[type] = frozenset({RemoteRef})


class Session:
    """The carrier of one connection to one peer; see wire/carrier.py."""

    kinds = KINDS

    def __init__(self, refs: Refs, peer: str) -> None:
        self.refs = refs
        self.peer = peer
        self.number = refs.ledger.session(peer)

    def name(self, ref: Any) -> tuple[Any, ...]:
        """How it stands in the body of a message."""
        return _name(self.refs, ref)

    def lend(self, refs: Sequence[Any]) -> bytes:
        """The section of a message that has these references."""
        ids = list(dict.fromkeys(ref.id for ref in refs))
        transfers = self.refs.lend(self.number, ids)
        owners: dict[tuple[str, int], list[int]] = {}
        for id, transfer in zip(ids, transfers, strict=True):
            owners.setdefault(id[:2], []).extend((id.number, transfer))
        return cast("bytes", msgpack.packb([(*owner, pairs) for owner, pairs in owners.items()]))

    def withdraw(self, section: bytes) -> None:
        """That message will not be sent."""
        self.refs.ledger.withdraw([transfer for _, transfer in entries(section)])

    def arrived(self, section: Any) -> list[Hold]:
        """A message with this section is here. What keeps its references, as long as it is kept."""
        return self.refs.arrived(self.peer, entries(section))

    def made(self, fields: Any) -> RemoteRef[Any]:
        """The reference of that name."""
        return _made(self.refs, fields)


class Local:
    """The carrier of a strict node, whose messages to itself are copied: nothing is lent, nothing arrives."""

    kinds = KINDS

    def __init__(self, refs: Refs) -> None:
        self.refs = refs

    def name(self, ref: Any) -> tuple[Any, ...]:
        """How it stands in the body of a message."""
        return _name(self.refs, ref)

    def lend(self, refs: Sequence[Any]) -> bytes:
        """Nothing: who sends holds them until the copy is made, which is at once."""
        return b""

    def withdraw(self, section: bytes) -> None:
        """Nothing."""

    def arrived(self, section: Any) -> None:
        """Nothing."""

    def made(self, fields: Any) -> RemoteRef[Any]:
        """The reference of that name."""
        return _made(self.refs, fields)


def _name(refs: Refs, ref: Any) -> tuple[Any, ...]:
    try:
        id = ref.id
    except RefDropped as dropped:
        raise EncodeError(repr(ref), str(dropped)) from None
    if ref.refs is not refs:
        whose = f"it is a handle of {ref.refs.node.name}"
        closed = ref.refs.node.closed
        raise EncodeError(
            repr(ref), f"{whose}, which has stopped" if closed else f"{whose}, and {refs.node.name} is another node"
        )
    hold = ref.hold
    maker = hold.maker if hold.rebuild is None else refs.node.name
    return (*id, ref.what, ref.nbytes, maker) if maker else (*id, ref.what, ref.nbytes)


def _made(refs: Refs, fields: Any) -> RemoteRef[Any]:
    node, creation, number, what, nbytes, *more = fields
    hold = refs.holds.find(ObjectId(node, creation, number))
    if hold is None:
        raise UnpicklingError(f"a reference to object {number} of {node} that its message does not list")
    if type(what) is not str or type(nbytes) is not int or (more and type(more[0]) is not str):
        raise UnpicklingError("a reference whose type and size are none")
    hold.what, hold.nbytes = what, nbytes
    if more:
        hold.maker = more[0]
    return RemoteRef(hold, what, nbytes)


def entries(section: Any) -> list[tuple[ObjectId, int]]:
    """The references of a message, each with its transfer. ValueError for what is no section."""
    found: list[tuple[ObjectId, int]] = []
    try:
        for node, creation, pairs in msgpack.unpackb(section):
            if type(node) is not str or type(creation) is not int or not all(type(one) is int for one in pairs):
                raise ValueError
            of = iter(pairs)
            found += [(ObjectId(node, creation, number), transfer) for number, transfer in zip(of, of, strict=True)]
    except (ValueError, TypeError, msgpack.UnpackException):
        raise ValueError("a section of references that is none") from None
    return found
