"""References for tests of what carries them: a class of their own, and a carrier that counts what it is asked."""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Sequence
from typing import Any

import msgpack

from beampy.core.standin import StandIn
from beampy.errors import EncodeError


class Thing(StandIn):
    """A reference: a number that is equal everywhere."""

    __slots__ = ("__weakref__", "_id", "over", "value")

    def __init__(self, number: int, value: Any = None) -> None:
        self._id = ("owner@h", 1, number)
        self.over = False
        self.value = value

    @property
    def id(self) -> Any:
        return self._id

    async def value_here(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return f"what {self._id[2]} stands for"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing) and other._id == self._id

    def __hash__(self) -> int:
        return hash(self._id)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a thing travels in messages only")


class Kept(set[Any]):
    """What `arrived` gives: the names of one message's references, as long as it lives."""

    __hash__ = object.__hash__


class Lender:
    """A Carrier. `lent`: messages' references by a number of each; `holds`: those whose `arrived` is kept."""

    kinds: frozenset[type] = frozenset({Thing})

    def __init__(self) -> None:
        self.lent: dict[int, list[Thing]] = {}
        self.withdrawn: list[int] = []
        self.came: list[Any] = []
        self.holds: weakref.WeakSet[Kept] = weakref.WeakSet()
        self.count = 0

    def name(self, ref: Any) -> tuple[Any, ...]:
        if ref.over:
            raise EncodeError(f"thing {ref.id[2]}", "it was dropped")
        return (*ref.id, "Thing")

    def lend(self, refs: Sequence[Any]) -> bytes:
        self.count += 1
        self.lent[self.count] = list(refs)
        packed: bytes = msgpack.packb([self.count, [list(self.name(ref)) for ref in refs]])
        return packed

    def withdraw(self, section: bytes) -> None:
        number = msgpack.unpackb(section)[0]
        del self.lent[number]
        self.withdrawn.append(number)

    def arrived(self, section: Any) -> Kept:
        _, names = msgpack.unpackb(section)
        kept = Kept(tuple(name) for name in names)
        self.came.append(sorted(name[2] for name in kept))
        self.holds.add(kept)
        return kept

    def made(self, fields: Any) -> Thing:
        if not any(fields in kept for kept in self.holds):
            raise pickle.UnpicklingError(f"thing {fields[2]} is not of this message")
        return Thing(fields[2])


class Lenders:
    """What a node's Options call `references`: a Lender for each session, and what it was told."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.sessions: list[Lender] = []
        self.at: dict[str, Lender] = {}  # the latest of each peer
        self.told: list[bytes] = []
        self.on_up: Any = None

    def session(self, peer: str) -> Lender:
        lender = self.at[peer] = Lender()
        self.sessions.append(lender)
        self.log.append(("session", peer))
        return lender

    def up(self, peer: str, creation: int) -> None:
        self.log.append(("up", peer, creation))
        if self.on_up is not None:
            self.on_up(peer)

    def down(self, peer: str, reason: str) -> None:
        self.log.append(("down", peer, reason))

    def unsent(self, carrier: Any) -> None:
        self.log.append(("unsent", self.sessions.index(carrier)))

    def heard(self, peer: str, data: bytes) -> None:
        if data == b"nonsense":
            raise ValueError("no message of references")
        self.log.append(("heard", peer))
        self.told.append(data)

    def local(self) -> None:
        return None

    def close(self) -> None:
        """The node stops."""

    @property
    def lent(self) -> list[Thing]:
        """All that is lent and was not taken back, of all sessions."""
        return [thing for lender in self.sessions for things in lender.lent.values() for thing in things]

    @property
    def came(self) -> list[Any]:
        """What has arrived: the numbers of the references of each message."""
        return [numbers for lender in self.sessions for numbers in lender.came]

    @property
    def held(self) -> int:
        """How many messages with references have arrived and are kept."""
        return sum(len(lender.holds) for lender in self.sessions)
