"""A world of ledgers for tests: nodes, the connections between them, what is in flight, and what must hold.

The ledgers are the real ones. Ledger messages of a pair come in order; messages of users may overtake them and each
other. The two ends of a connection notice its loss at different times, and what the other end sends meanwhile is lost.
`check` is called after every step; `wind_down` brings everything to rest and looks at the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import Connect, Expired, Free, Ledger, Lost, Send
from beampy.refs.ledger_messages import Statement, pieces
from tests.property.ledger_chains import Broken, Chains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from beampy.refs.ledger_messages import Message
    from tests.property.ledger_chains import Letter

GRACE, LEASE = 1.0, 60.0


class World(Chains):
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
        self.bag: dict[tuple[int, int], list[Letter]] = {pair: [] for pair in self.pairs}
        self.waiting: dict[tuple[int, int], list[Letter]] = {pair: [] for pair in self.pairs}
        self.session: dict[tuple[int, int], int] = {}
        self.crashed: set[tuple[int, int]] = set()  # node, creation
        self.ghosts = {}
        self.loose = set()
        for i, j in self.pairs:
            self.session[i, j] = self.ledgers[i].session(self.names[j])
        for i, j in self.pairs:
            if i < j and (i, j) not in apart:
                self.connect(i, j)
        for i in owners:
            self.make(i)

    def new_ledger(self, i: int) -> Ledger:
        return self.make_ledger(self.names[i], self.creations[i], lease=LEASE, dead_grace=GRACE)

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
        for id, transfer in message:
            if self.ledgers[i].trouble(id):
                self.loose.add((id, (*self.start(i), transfer)))
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
        grounded = self._grounded()
        message = self.bag[i, j].pop(k)
        for id, _ in message:
            self.ledgers[j].hold(id)
            self.handles[j].add(id)
        self.ledgers[j].arrived(self.names[i], message)
        brought = [(id, (*self.known(i, j), transfer)) for id, transfer in message]
        self._may_be_loose(j, brought, grounded)
        for id, transfer in brought:
            if (id, transfer) in grounded and (id, j) not in self._grounded() and not self.may_return(j, id):
                raise Broken(f"{j} has returned what would have kept {id} for it")
        self.flush(j)

    def may_return(self, j: int, id: ObjectId) -> bool:
        """Whether it takes itself to be kept already, or is in trouble: it need not keep what a message brings."""
        entry = self.ledgers[j]._entries[id]
        away = not self.sees.get((j, self.index(id.node)), True)
        return entry.trouble is not None or entry.registration > 0 or (away and bool(entry.lifelines))

    def drop(self, i: int, id: ObjectId) -> None:
        self.handles[i].discard(id)
        self.ledgers[i].drop(id)
        self.flush(i)

    def deliver(self, i: int, j: int, k: int = 0, again: bool = False) -> None:
        """A ledger message from i to j; `again`: and a copy of it comes later."""
        message = self.control[i, j].pop(k)
        if again:
            self.control[i, j].append(message)
        brought = self._lent_by(i, j, message)
        grounded = self._grounded() if brought else set()
        self.ledgers[j].heard(self.names[i], message, 0.0)
        self._may_be_loose(j, brought, grounded)
        self.flush(j)

    def deliver_all(self) -> None:
        """Whatever ledgers have said to each other arrives."""
        for i, j in self.pairs:
            while self.sees[j, i] and self.control[i, j]:
                self.deliver(i, j)
                self.check()

    def close(self, i: int, j: int, known_dead: bool = False) -> None:
        """Node i notices that its connection with j is lost."""
        self.sees[i, j] = False
        self.control[j, i].clear()
        self._does_not_arrive(j, i)
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
        self.crashed.add(self.start(i))
        for j in range(self.size):
            if j != i:
                self._does_not_arrive(j, i)
        self._remember(i)
        self.creations[i] += 1
        self.ledgers[i] = self.new_ledger(i)
        self.handles[i].clear()
        for j in range(self.size):
            if j != i:
                self.sees[i, j] = False
                self.control[j, i].clear()
                self.waiting[i, j].clear()
                self.session[i, j] = self.ledgers[i].session(self.names[j])

    def tell_dead(self, i: int, j: int) -> None:
        """Node i learns that the last start of j has ended."""
        self.ledgers[i].dead(self.names[j], self.creations[j] - 1, 0.0)
        self.flush(i)

    def expire(self, i: int) -> None:
        """The leases of all whom i has lost are over."""
        before = self._grounded()
        self.ledgers[i].tick(LEASE)
        grounded = self._grounded()
        self.loose |= {one for one in self._needs() if one not in grounded}
        # The registrations that are on their way to a node that has not noticed.
        for j in range(self.size):
            for message in self.control[i, j] if j != i else ():
                self.loose |= {one for one in self._lent_by(i, j, message) if one in before - grounded}
        self.flush(i)

    def grace(self, i: int) -> None:
        """The dead have been dead for long enough, by the clock of i. Who is connected with the owner has asked it."""
        self.ledgers[i].tick(GRACE)
        grounded = self._grounded()
        for id, whose in self._needs():
            o = self.index(id.node)
            asked = isinstance(whose, int) and self.sees[whose, o] and self.sees[o, whose]
            if (id, whose) not in grounded and not asked:
                self.loose.add((id, whose))
        self.flush(i)

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
        self._tie()
        for i, ledger in enumerate(self.ledgers):
            for id in self.handles[i]:
                trouble, owner = ledger.trouble(id), self.owner(id)
                if trouble == "lost":
                    if (self.index(id.node), id.creation) not in self.crashed:
                        raise Broken(f"{id} is lost to {i}, and its owner lives")
                elif trouble == "expired":
                    if id not in self.freed:
                        raise Broken(f"{id} is expired for {i}, and was not freed")
                elif owner is not None and not owner.exists(id) and (id, i) not in self.loose:
                    raise Broken(f"{id} is freed, and {i} has it")
                elif owner is not None and owner.exists(id) and id in self.freed:
                    raise Broken(f"{id} was freed, and has come to life")

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
