"""Chains of transfers in a world of ledgers: from the owner of an object to everybody who needs it there is one.

Each link is a transfer that is written down at its sender. This is looked at after every step, long before anything is
freed. Only two things may break a chain: a lease that is over, and a death before those to whom the dead one had lent
could ask the owner. `loose` has exactly those to whom this has happened, until they are in a chain again. A start that
has crashed stays a link (`ghosts`) until those who had lent to it let go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from beampy.refs.identity import ObjectId
from beampy.refs.ledger_messages import Lend, Renew

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from beampy.refs.ledger import Ledger
    from beampy.refs.ledger_messages import Message

Start: TypeAlias = tuple[int, int]  # node, creation
Transfer: TypeAlias = tuple[int, int, int]  # the start that made it, and its number
Claim: TypeAlias = "tuple[ObjectId, int | Transfer]"  # a node that needs an object, or a transfer of it on its way
Letter: TypeAlias = "tuple[tuple[ObjectId, int], ...]"


class Broken(AssertionError):
    """What must hold does not."""


class Chains:
    """The part of World (ledger_ground.py) that knows what keeps what."""

    names: list[str]
    creations: list[int]
    ledgers: list[Ledger]
    control: dict[tuple[int, int], list[Message]]
    bag: dict[tuple[int, int], list[Letter]]
    waiting: dict[tuple[int, int], list[Letter]]
    # What starts that have crashed had of each object: the transfers that they kept, and those that they had lent.
    ghosts: dict[tuple[ObjectId, Start], tuple[set[Transfer], set[tuple[Start, Transfer]]]]
    loose: set[Claim]

    def index(self, name: str) -> int:
        return ord(name) - ord("a")

    def owner(self, id: ObjectId) -> Ledger | None:
        """The ledger of its owner's start, if that lives."""
        ledger = self.ledgers[self.index(id.node)]
        return ledger if ledger.creation == id.creation else None

    def start(self, i: int) -> Start:
        return (i, self.creations[i])

    def known(self, i: int, j: int) -> Start:
        """The start of i that j knows."""
        page = self.ledgers[j]._pages.get(self.names[i])
        return (i, page.creation) if page is not None and page.creation else self.start(i)

    def _remember(self, i: int) -> None:
        """What i has of each object, as it crashes. What it could not write was not lent."""
        for (id, _), (_, to_whom) in list(self.ghosts.items()):
            self._ghost(id, i)[0].update(transfer for other, transfer in to_whom if other == self.start(i))
        for page in self.ledgers[i]._pages.values():
            other = (self.index(page.name), page.creation)
            for transfer, entry in page.kept.items():
                self._ghost(entry.id, i)[0].add((*other, transfer))
            for transfer, entry in page.lent.items():
                if page.open or transfer <= page.begun:
                    self._ghost(entry.id, i)[1].add((other, (*self.start(i), transfer)))
        for (name, creation), (_, lent) in self.ledgers[i]._graves.items():
            for transfer, entry in lent.items():
                self._ghost(entry.id, i)[1].add(((self.index(name), creation), (*self.start(i), transfer)))

    def _ghost(self, id: ObjectId, i: int) -> tuple[set[Transfer], set[tuple[Start, Transfer]]]:
        return self.ghosts.setdefault((id, self.start(i)), (set(), set()))

    def _grounded(self) -> set[Claim]:
        """The nodes that are at the end of a chain from the owner, and the transfers that are part of one."""
        lent: dict[tuple[ObjectId, Start], list[Transfer]] = {}
        kept: dict[tuple[ObjectId, Transfer], list[Start]] = {}
        ways: list[tuple[ObjectId, Start]] = []
        for i, ledger in enumerate(self.ledgers):
            start = self.start(i)
            for page in ledger._pages.values():
                other = (self.index(page.name), page.creation)
                for transfer, entry in page.lent.items():
                    lent.setdefault((entry.id, start), []).append((*start, transfer))
                for transfer, entry in page.kept.items():
                    kept.setdefault((entry.id, (*other, transfer)), []).append(start)
            for _, graves in ledger._graves.values():
                for transfer, entry in graves.items():
                    lent.setdefault((entry.id, start), []).append((*start, transfer))
            ways += [(id, start) for id, entry in ledger._entries.items() if entry.own]
        for (id, start), (from_whom, to_whom) in self.ghosts.items():
            for back in from_whom:
                kept.setdefault((id, back), []).append(start)
            for other, out in to_whom:
                lent.setdefault((id, start), []).append(out)
                if other == self.start(other[0]) and self._has_buried(other[0], start):
                    kept.setdefault((id, out), []).append(other)  # it has forgotten by what it has it
        ends = set(ways)
        found: set[Claim] = set()
        while ways:
            id, start = ways.pop()
            if start == self.start(start[0]):
                found.add((id, start[0]))
            for out in lent.get((id, start), ()):
                found.add((id, out))
                for other in kept.get((id, out), ()):
                    if (id, other) not in ends:
                        ends.add((id, other))
                        ways.append((id, other))
        return found

    def _needs(self) -> Iterator[Claim]:
        """Who needs an object whose owner lives, and is not in trouble with it; and what is on its way."""
        for i, ledger in enumerate(self.ledgers):
            for id, entry in ledger._entries.items():
                if not entry.own and entry.trouble is None and self.owner(id) is not None:
                    yield id, i
        for way in (self.bag, self.waiting):
            for (i, j), messages in way.items():
                start = self.known(i, j) if way is self.bag else self.start(i)
                for message in messages:
                    for id, transfer in message:
                        if self.owner(id) is not None:
                            yield id, (*start, transfer)

    def _lent_by(self, i: int, j: int, message: Message) -> list[Claim]:
        """What the owner i lends to j with a message of its ledger."""
        start = self.known(i, j)
        match message:
            case Lend(_, pairs):
                return [(ObjectId(self.names[i], start[1], number), (*start, new)) for number, new in pairs]
            case Renew(pairs):
                kept = self.ledgers[j]._pages[self.names[i]].kept
                return [(kept[old].id, (*start, new)) for old, new in pairs if old in kept]
        return []

    def _may_be_loose(self, j: int, brought: Sequence[Claim], before: set[Claim]) -> None:
        """Node j may have taken one of these, that had come loose before, in the place of something better. Then it is
        loose, and so are those behind it."""
        taken = [id for id, transfer in brought if (id, transfer) in self.loose and (id, transfer) not in before]
        if taken:
            after = self._grounded()
            torn = {id for id in taken if (id, j) not in after}
            self.loose |= {(id, j) for id in torn} | {one for one in before - after if one[0] in torn}

    def _forget_ghosts(self, grounded: set[Claim], needs: set[Claim]) -> None:
        """What does not keep them, and whom they do not keep."""
        ghosts = {}
        for (id, start), (from_whom, to_whom) in self.ghosts.items():
            still = {transfer for transfer in from_whom if (id, transfer) in grounded}
            if still:
                ghosts[id, start] = (still, {one for one in to_whom if self._may_keep(id, *one, needs)})
        self.ghosts = ghosts

    def _has_buried(self, i: int, start: Start) -> bool:
        return (self.names[start[0]], start[1]) in self.ledgers[i]._ended

    def _does_not_arrive(self, i: int, j: int) -> None:
        """What is on its way from i to j is lost."""
        for message in self.bag[i, j]:
            for id, transfer in message:
                _, to_whom = self.ghosts.get((id, self.known(i, j)), (set(), set()))
                to_whom.discard((self.start(j), (*self.known(i, j), transfer)))
        self.bag[i, j].clear()

    def _may_keep(self, id: ObjectId, to: Start, transfer: Transfer, needs: set[Claim]) -> bool:
        if to != self.start(to[0]):
            return (id, to) in self.ghosts and transfer in self.ghosts[id, to][0]
        if (id, transfer) in needs:
            return True
        page = self.ledgers[to[0]]._pages.get(self.names[transfer[0]])
        has = self._has_buried(to[0], transfer[:2]) or (page is not None and transfer[2] in page.kept)
        return (id, to[0]) in needs and has

    def _tie(self) -> None:
        """Forget who is in a chain again. What is lent by one who is not is not, either. Broken: a chain is."""
        grounded = self._grounded()
        needs = set(self._needs())
        self._forget_ghosts(grounded, needs)
        if self.loose:
            needed = needs.union(*(self._lent_by(*pair, m) for pair, some in self.control.items() for m in some))
            self.loose &= needed - grounded
        for id, whose in sorted(needs - grounded - self.loose, key=str):
            if isinstance(whose, int):
                raise Broken(f"{whose} has {id}, and nothing keeps it for {whose}")
            sender = whose[0]
            if (id, sender) not in self.loose or whose[1] != self.creations[sender]:
                raise Broken(f"{id} is on its way from {sender}, and nothing keeps it")
            self.loose.add((id, whose))
