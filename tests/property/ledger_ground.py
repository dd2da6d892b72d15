"""A world of ledgers for tests: nodes, the connections between them, what is in flight, and what must hold.

The ledgers are the real ones. Ledger messages of a pair come in order; messages of users may overtake them and each
other. The two ends of a connection notice its loss at different times, and what the other end sends meanwhile is lost.
`check` is called after every step; `wind_down` brings everything to rest and looks at the tables.

Excuses: after an expired lease, or a death before those to whom the dead one had lent could ask the owner, an object
may be freed under a holder. `excused` has exactly the holders to whom this applies, until they are registered again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import Connect, Expired, Free, Ledger, Lost, Send
from beampy.refs.ledger_messages import Ask, Gone, Lend, Question, Renew, Return, Statement, Void, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from beampy.refs.ledger_messages import Message

GRACE, LEASE = 1.0, 60.0


class Broken(AssertionError):
    """What must hold does not."""


class World:
    """Nodes by index; node i is called "a", "b", …. `apart` are pairs that are not connected at first."""

    def __init__(
        self,
        size: int,
        owners: Sequence[int],
        apart: Sequence[tuple[int, int]] = (),
        make: Callable[..., Ledger] = Ledger,
    ) -> None:
        self.make_ledger = make
        self.size = size
        self.names = [chr(ord("a") + i) for i in range(size)]
        self.creations = [4] * size
        self.ledgers = [self.new_ledger(i) for i in range(size)]
        self.handles: list[set[ObjectId]] = [set() for _ in range(size)]
        self.made = 0
        self.freed: set[ObjectId] = set()
        self.pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
        self.sees = dict.fromkeys(self.pairs, False)  # (i, j): to i, its connection with j is open
        self.control: dict[tuple[int, int], list[Message]] = {pair: [] for pair in self.pairs}
        self.bag: dict[tuple[int, int], list[tuple[tuple[ObjectId, int], ...]]] = {pair: [] for pair in self.pairs}
        self.waiting: dict[tuple[int, int], list[tuple[tuple[ObjectId, int], ...]]] = {pair: [] for pair in self.pairs}
        self.session: dict[tuple[int, int], int] = {}
        self.crashed: set[tuple[int, int]] = set()  # node, creation
        self.excused: set[tuple[ObjectId, int]] = set()
        for i, j in self.pairs:
            self.session[i, j] = self.ledgers[i].session(self.names[j])
        for i, j in self.pairs:
            if i < j and (i, j) not in apart:
                self.connect(i, j)
        for i in owners:
            self.make(i)

    def new_ledger(self, i: int) -> Ledger:
        return self.make_ledger(self.names[i], self.creations[i], lease=LEASE, dead_grace=GRACE)

    def index(self, name: str) -> int:
        return ord(name) - ord("a")

    def owner(self, id: ObjectId) -> Ledger | None:
        """The ledger of its owner's start, if that lives."""
        ledger = self.ledgers[self.index(id.node)]
        return ledger if ledger.creation == id.creation else None

    def flush(self, i: int) -> None:
        for action in self.ledgers[i].flush():
            match action:
                case Send(peer, message):
                    j = self.index(peer)
                    if not self.sees[i, j]:
                        raise Broken(f"{message} is sent to {peer}, which is not open")
                    if self.sees[j, i]:
                        parts = pieces(message, room=1) if isinstance(message, Statement) else [message]
                        self.control[i, j] += parts
                case Free(id):
                    if id in self.freed:
                        raise Broken(f"{id} is freed twice")
                    self.freed.add(id)
                case Expired(id) | Lost(id):
                    if id not in self.handles[i]:
                        raise Broken(f"{id} is not held at {i}, and trouble with it is told")
                case Connect(peer):
                    if self.sees[i, self.index(peer)]:
                        raise Broken(f"{peer} is open, and a connection is wanted")

    # what happens

    def make(self, i: int) -> ObjectId:
        self.made += 1
        id = ObjectId(self.names[i], self.creations[i], self.made)
        self.ledgers[i].own(id)
        self.handles[i].add(id)
        return id

    def send(self, i: int, j: int, ids: Sequence[ObjectId]) -> None:
        transfers = self.ledgers[i].lend(self.session[i, j], ids)
        message = tuple(zip(ids, transfers, strict=True))
        if not self.sees[i, j]:
            self.waiting[i, j].append(message)
        elif self.sees[j, i]:
            self.bag[i, j].append(message)
        self.flush(i)

    def send_too_large(self, i: int, j: int, ids: Sequence[ObjectId]) -> None:
        """The message is encoded, and then not written."""
        self.ledgers[i].withdraw(self.ledgers[i].lend(self.session[i, j], ids))
        self.flush(i)

    def receive(self, i: int, j: int, k: int) -> None:
        """The k-th message on its way from i to j. That it is never decoded is the same as that its handles drop."""
        message = self.bag[i, j].pop(k)
        for id, _ in message:
            self.ledgers[j].hold(id)
            self.handles[j].add(id)
        self.ledgers[j].arrived(self.names[i], message)
        for id, transfer in message:
            if (id, i) in self.excused:
                if not self.is_registered(j, id):
                    self.excused.add((id, j))
            elif self.stands(i, j, transfer) and not self.leans_on_the_absent(j, id):
                self.excused.discard((id, j))
        self.flush(j)

    def stands(self, i: int, j: int, transfer: int) -> bool:
        """The start of i from which j hears lives, and has not let go of that transfer for good."""
        page = self.ledgers[j]._pages[self.names[i]]
        lent = self.ledgers[i]._pages[self.names[j]].lent
        return page.creation == self.creations[i] and transfer in lent

    def leans_on_the_absent(self, j: int, id: ObjectId) -> bool:
        """Its lifeline is of somebody who is not connected; and it takes no other, because it has lent the object."""
        entry = self.ledgers[j]._entries.get(id)
        lines = entry.lifelines if entry is not None else None
        return bool(lines) and entry.lent > 0 and not all(self.sees[j, self.index(name)] for name in lines)

    def drop(self, i: int, id: ObjectId) -> None:
        self.handles[i].discard(id)
        self.ledgers[i].drop(id)
        self.flush(i)

    def deliver(self, i: int, j: int, k: int = 0, again: bool = False) -> None:
        """A ledger message from i to j; `again`: and a copy of it comes later."""
        message = self.control[i, j].pop(k)
        if again:
            self.control[i, j].append(message)
        self.ledgers[j].heard(self.names[i], message, 0.0)
        self.flush(j)

    def close(self, i: int, j: int, known_dead: bool = False) -> None:
        """Node i notices that its connection with j is lost."""
        self.sees[i, j] = False
        self.control[j, i].clear()
        self.bag[j, i].clear()
        self.ledgers[i].closed(self.names[j], 0.0, known_dead)
        self.session[i, j] = self.ledgers[i].session(self.names[j])
        self.flush(i)

    def connect(self, i: int, j: int) -> None:
        for one, other in ((i, j), (j, i)):
            self.sees[one, other] = True
            self.ledgers[one].opened(self.names[other], self.creations[other], 0.0)
        for one, other in ((i, j), (j, i)):
            self.bag[one, other] += self.waiting[one, other]
            self.waiting[one, other].clear()
            self.flush(one)

    def fail_to_connect(self, i: int, j: int) -> None:
        self.ledgers[i].unsent(self.session[i, j])
        self.waiting[i, j].clear()
        self.session[i, j] = self.ledgers[i].session(self.names[j])
        self.flush(i)

    def crash(self, i: int) -> None:
        """It dies and starts again. The others have not noticed."""
        self.crashed.add((i, self.creations[i]))
        self.creations[i] += 1
        self.ledgers[i] = self.new_ledger(i)
        self.handles[i].clear()
        self.excused = {(id, n) for id, n in self.excused if n != i}
        for j in range(self.size):
            if j != i:
                self.sees[i, j] = False
                self.control[j, i].clear()
                self.bag[j, i].clear()
                self.waiting[i, j].clear()
                self.session[i, j] = self.ledgers[i].session(self.names[j])

    def tell_dead(self, i: int, j: int) -> None:
        """Node i learns that the last start of j has ended."""
        self.ledgers[i].dead(self.names[j], self.creations[j] - 1, 0.0)
        self.flush(i)

    def expire(self, i: int) -> None:
        """The leases of all whom i has lost are over."""
        before = self.ledgers[i].table()
        self.ledgers[i].tick(LEASE)
        after = self.ledgers[i].table()
        for id, holders in before.items():
            gone = {holder.node for holder in holders} - {holder.node for holder in after.get(id, [])}
            if gone:
                self.excused |= {(id, self.index(name)) for name in gone}
                self.excuse(id, lambda n: True)
        self.flush(i)

    def grace(self, i: int) -> None:
        """The dead have been dead for long enough, by the clock of i. Who is connected with the owner has asked it."""
        for _, lent in self.ledgers[i]._graves.values():
            for id in {entry.id for entry in lent.values()}:
                o = self.index(id.node)
                self.excuse(id, lambda n, o=o: not (n != o and self.sees[n, o] and self.sees[o, n]))
                for (s, n), messages in self.bag.items():
                    if not self.sees[s, n] and any(id == other for message in messages for other, _ in message):
                        self.excused.add((id, n))
        self.ledgers[i].tick(GRACE)
        self.flush(i)

    def excuse(self, id: ObjectId, who: Callable[[int], bool]) -> None:
        """Whoever needs the object and is not registered for it."""
        for n in range(self.size):
            coming = any(
                id == other
                for way in (self.bag, self.waiting)
                for (_, to), messages in way.items()
                for message in messages
                for other, _ in message
                if to == n
            )
            if (id in self.handles[n] or coming) and who(n) and not self.is_registered(n, id):
                self.excused.add((id, n))

    def is_registered(self, n: int, id: ObjectId) -> bool:
        owner, entry = self.owner(id), self.ledgers[n]._entries.get(id)
        if owner is None or entry is None:
            return False
        if owner is self.ledgers[n]:
            return True
        page = owner._pages.get(self.names[n])
        return page is not None and entry.registration in page.lent

    def can_expire(self, i: int) -> bool:
        pages = self.ledgers[i]._pages.values()
        return not self.ledgers[i]._graves and any(not p.open and not p.over and p.waits() for p in pages)

    def is_calm(self) -> bool:
        """Whoever is connected has said and heard all."""
        return not any(self.control[i, j] and self.sees[i, j] and self.sees[j, i] for i, j in self.pairs)

    # what must hold

    def check(self) -> None:
        """At every moment."""
        for id, n in list(self.excused):
            if self.is_registered(n, id):
                self.excused.discard((id, n))
        for i, ledger in enumerate(self.ledgers):
            for id in self.handles[i]:
                trouble, owner = ledger.trouble(id), self.owner(id)
                if trouble == "lost":
                    if (self.index(id.node), id.creation) not in self.crashed:
                        raise Broken(f"{id} is lost to {i}, and its owner lives")
                elif trouble == "expired":
                    if id not in self.freed:
                        raise Broken(f"{id} is expired for {i}, and was not freed")
                elif owner is not None and not owner.exists(id) and (id, i) not in self.excused:
                    raise Broken(f"{id} is freed, and {i} has it")
                elif owner is not None and owner.exists(id) and id in self.freed:
                    raise Broken(f"{id} was freed, and has come to life")
        for way in (self.bag, self.waiting):
            for (i, j), messages in way.items():
                for message in messages:
                    for id, _ in message:
                        owner = self.owner(id)
                        if owner is None or owner.exists(id) or self.ledgers[i].trouble(id):
                            continue
                        if (id, i) not in self.excused and (id, j) not in self.excused:
                            raise Broken(f"{id} is freed, and is on its way from {i} to {j}")

    def steps_to_rest(self) -> Iterator[Callable[[], None]]:
        """One after the other, until there is none: what has to happen before all is quiet."""
        while True:
            for i, j in self.pairs:
                if self.sees[i, j] and not self.sees[j, i]:
                    yield lambda i=i, j=j: self.close(i, j)
                    break
                if self.sees[i, j] and self.control[i, j]:
                    yield lambda i=i, j=j: self.deliver(i, j)
                    break
                if self.sees[i, j] and self.bag[i, j]:
                    yield lambda i=i, j=j: self.receive(i, j, 0)
                    break
                if not self.sees[i, j] and not self.sees[j, i]:
                    yield lambda i=i, j=j: self.connect(i, j)
                    break
            else:
                for i in range(self.size):
                    if self.ledgers[i]._graves:
                        yield lambda i=i: self.grace(i)
                        break
                else:
                    return

    def rest(self, limit: int = 10_000) -> None:
        for count, step in enumerate(self.steps_to_rest()):
            if count == limit:
                raise Broken("it does not come to rest")
            step()
            self.check()

    def wind_down(self) -> None:
        """At rest the tables say who has what, no more and no less; and when the last handle is gone, nothing."""
        self.rest()
        for i, ledger in enumerate(self.ledgers):
            for page in ledger._pages.values():
                if page.asked:
                    raise Broken(f"{i} waits for an answer that does not come")
            for id, entry in ledger._entries.items():
                if entry.lifelines:
                    raise Broken(f"{i} keeps lifelines for {id}")
                if not entry.held and not entry.own:
                    raise Broken(f"{i} needs {id} and has no handle")
                if entry.trouble is None and not self.is_registered(i, id):
                    raise Broken(f"{i} has {id}, and is not registered")
            for id, holders in ledger.table().items():
                for holder in holders:
                    if holder.transfers != 1 or id not in self.handles[self.index(holder.node)]:
                        raise Broken(f"{i} lends {id}: {holder}")
        for i in range(self.size):
            for id in list(self.handles[i]):
                self.drop(i, id)
                self.check()
        self.rest()
        for i, ledger in enumerate(self.ledgers):
            if not ledger.is_empty() or ledger.shared() or ledger.due() is not None or ledger.wants():
                raise Broken(f"{i} is not empty: {ledger._entries} {ledger.table()} {ledger.wants()}")

    # the same world under other numbers

    def key(self) -> Any:
        """Equal for worlds that differ only in the numbers of their transfers."""
        numbers: dict[tuple[int, int], set[int]] = {}
        asks: dict[tuple[int, int], set[int]] = {}

        def start(i: int, j: int) -> tuple[int, int]:
            """The start of i that j knows."""
            page = self.ledgers[j]._pages.get(self.names[i])
            return (i, page.creation if page is not None and page.creation else self.creations[i])

        def own(i: int) -> tuple[int, int]:
            return (i, self.creations[i])

        for i, ledger in enumerate(self.ledgers):
            mine = numbers.setdefault(own(i), set())
            for page in ledger._pages.values():
                asks.setdefault(own(i), set()).update(page.asked.values())
                mine.update(page.lent)
                numbers.setdefault((self.index(page.name), page.creation), set()).update(page.kept)
            for _, lent in ledger._graves.values():
                mine.update(lent)
        for (i, j), messages in self.control.items():
            sender, receiver = numbers.setdefault(start(i, j), set()), numbers.setdefault(own(j), set())
            for message in messages:
                match message:
                    case Return(transfers):
                        receiver.update(transfers)
                    case Lend(ask, pairs):
                        sender.update(transfer for _, transfer in pairs)
                        asks.setdefault(own(j), set()).add(ask)
                    case Renew(pairs):
                        sender.update(transfer for pair in pairs for transfer in pair)
                    case Ask(ask, _, _):
                        asks.setdefault(start(i, j), set()).add(ask)
                    case Void(transfers):
                        sender.update(transfers)
                    case Statement(_, _, entries):
                        receiver.update(transfer for transfer, _ in entries)
        for way in (self.bag, self.waiting):
            for (i, j), letters in way.items():
                numbers.setdefault(start(i, j) if way is self.bag else own(i), set()).update(
                    transfer for letter in letters for _, transfer in letter
                )
        ranks = {
            space: {number: rank for rank, number in enumerate(sorted(values), 1)} for space, values in numbers.items()
        }

        turns = {space: {number: rank for rank, number in enumerate(sorted(values))} for space, values in asks.items()}

        def below(space: tuple[int, int], number: int) -> int:
            return sum(other <= number for other in ranks.get(space, ()))

        def said(i: int, j: int, message: Message) -> Any:
            ours, theirs = ranks[start(i, j)], ranks[own(j)]
            match message:
                case Return(transfers):
                    return (1, *sorted(theirs[transfer] for transfer in transfers))
                case Ask(ask, creation, numbers):
                    return (2, turns[start(i, j)][ask], creation, *sorted(numbers))
                case Lend(ask, pairs):
                    return (3, turns[own(j)][ask], *sorted((number, ours[transfer]) for number, transfer in pairs))
                case Renew(pairs):
                    return (8, *sorted((ours[old], ours[new]) for old, new in pairs))
                case Gone(creation, numbers):
                    return (4, creation, *sorted(numbers))
                case Void(transfers):
                    return (5, *sorted(ours[transfer] for transfer in transfers))
                case Question(upto):
                    return (6, below(start(i, j), upto))
                case Statement(first, last, entries):
                    listed = tuple((theirs[transfer], id) for transfer, id in entries)
                    return (7, below(own(j), first - 1), below(own(j), last), listed)

        parts: list[Any] = []
        for i, ledger in enumerate(self.ledgers):
            mine = ranks[own(i)]
            for name in sorted(ledger._pages):
                page = ledger._pages[name]
                theirs = ranks[self.index(name), page.creation]
                parts.append(
                    (
                        *(i, name, page.creation, page.open, page.dead, page.over and page.waits()),
                        below(own(i), page.begun),
                        tuple((mine[transfer], entry.id) for transfer, entry in page.lent.items()),
                        tuple(sorted((theirs[transfer], entry.id) for transfer, entry in page.kept.items())),
                        tuple(sorted((id, turns[own(i)][ask]) for id, ask in page.asked.items())),
                        None if page.doubtful is None else tuple(mine.get(t, 0) for t in page.doubtful),
                    )
                )
            parts.append(tuple(sorted((id, e.own, e.held, e.trouble or "") for id, e in ledger._entries.items())))
            parts.append(
                tuple(sorted((key, tuple(mine[t] for t in lent)) for key, (_, lent) in ledger._graves.items()))
            )
            parts.append(tuple(sorted(ledger._ended)))
        for pair in self.pairs:
            i, j = pair
            parts.append(
                (
                    self.sees[pair],
                    tuple(said(i, j, message) for message in self.control[pair]),
                    tuple(sorted(tuple((id, ranks[start(i, j)][t]) for id, t in letter) for letter in self.bag[pair])),
                    tuple(tuple((id, ranks[own(i)][t]) for id, t in letter) for letter in self.waiting[pair]),
                )
            )
        parts.append((tuple(sorted(self.excused)), tuple(sorted(self.freed)), tuple(sorted(self.crashed))))
        return tuple(parts)
