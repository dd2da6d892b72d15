"""Who keeps which object alive: the state machine of distributed garbage collection. REFS.md has the protocol.

Rule: nothing here waits, sends or reads a clock. Each call says what has happened, in the order in which it did, and
`flush` says what is to be done about it. One primitive carries everything, the transfer: a number that the sender of a
message gives to a reference in it, and that keeps the object alive at the sender until the receiver returns it.

Place: one ledger for each start of a node. The service calls it on the loop's thread, and performs its actions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from beampy.refs.identity import ObjectId
from beampy.refs.ledger_actions import Connect, Expired, Free, Lost, Send
from beampy.refs.ledger_messages import Ask, Gone, Lend, Question, Renew, Return, Statement, Void
from beampy.refs.ledger_needs import Needs
from beampy.refs.ledger_tables import Holder, counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from beampy.refs.ledger_actions import Action
    from beampy.refs.ledger_messages import Message
    from beampy.refs.ledger_tables import Entry, Page, State, Trouble

__all__ = ["DEAD_GRACE", "LEASE", "Connect", "Expired", "Free", "Ledger", "Lost", "Send"]

LEASE = 60.0  # seconds: the splits that lose nothing, as long as a lost node's ticks may take (dist's tick_time)
DEAD_GRACE = 1.0  # seconds: for the Ask of a node that a dead one lent to: round trips on a slow network
MAX_ENDED = 1024  # starts of nodes known to have ended; what is forgotten is asked of the next start again


class Ledger(Needs):
    """What is held here, what is lent to whom, and what others lent us. Times are seconds of any one clock.

    >>> a, b = Ledger("a@h", 4), Ledger("b@h", 5)
    >>> session = a.session("b@h")
    >>> a.opened("b@h", 5, now=0.0), b.opened("a@h", 4, now=0.0)
    (None, None)
    >>> x = ObjectId("a@h", 4, 1)
    >>> a.own(x)
    >>> [transfer] = a.lend(session, [x])
    >>> a.drop(x)  # it lives on: it is lent
    >>> b.hold(x)
    >>> b.arrived("a@h", [(x, transfer)])
    >>> b.drop(x)
    >>> b.flush()
    [Send(peer='a@h', message=Return(transfers=[1]))]
    >>> a.heard("b@h", Return([1]), now=0.0)
    >>> a.flush()
    [Free(id=<object a@h 1>)]
    """

    def __init__(self, node: str, creation: int, *, lease: float = LEASE, dead_grace: float = DEAD_GRACE) -> None:
        super().__init__(node, creation)
        self.lease = lease
        self.dead_grace = dead_grace
        self._counter = 0  # the last transfer
        self._sessions = 0  # the last session
        self._asks = 0  # the last Ask
        self._current: dict[int, Page] = {}  # by session
        self._graves: dict[tuple[str, int], tuple[float, dict[int, Entry]]] = {}  # until when; what is lent to the dead

    # sessions: what is lent over one connection, or attempt

    def session(self, peer: str) -> int:
        """A new session with a peer begins; returns its number, from 1. The one before has ended.

        RuntimeError while it is open: a connection that was up ends with `closed`.
        """
        page = self._page(peer)
        if page.open:
            raise RuntimeError(f"a session with {peer} begins before the connection was closed")
        if page.session:
            self.unsent(page.session)
            self._pages[peer] = page
        self._sessions += 1
        page.session = self._sessions
        page.begun = self._counter
        self._current[page.session] = page
        return page.session

    def lend(self, session: int, ids: Sequence[ObjectId]) -> list[int]:
        """The transfers, one for each id, of a message of this session. All are held here.

        What is in trouble is not lent; of an object of ours that is no more 0 says so. Of a session that has ended
        nothing is written down: its messages are not sent.
        """
        page = self._current.get(session)
        count = len(ids)
        # No call in between: a garbage collection may run code that lends, too.
        before = self._counter
        self._counter = before + count
        transfers = list(range(before + 1, before + count + 1))
        for place, id in enumerate(ids):
            entry = self._entries.get(id)
            if page is None or entry is None:
                continue
            if entry.trouble is not None:
                if id.node == self.node:
                    transfers[place] = 0
                continue
            page.lent[transfers[place]] = entry
            entry.lent += 1
            if entry.lent == 1 and entry.own:
                self._shared += 1
        return transfers

    def withdraw(self, transfers: Iterable[int]) -> None:
        """The message of these transfers will never be written."""
        for transfer in transfers:
            for page in self._pages.values():
                entry = page.lent.pop(transfer, None)
                if entry is not None:
                    self._less(entry)
                    break

    def unsent(self, session: int) -> None:
        """Nothing of this session was ever written: the attempt to connect has failed. It has ended. Twice: nothing."""
        page = self._current.get(session)
        if page is None or page.open:
            return
        del self._current[session]
        page.session = 0
        for transfer in [transfer for transfer in page.lent if transfer > page.begun]:
            self._less(page.lent.pop(transfer))
        self._turned(page)

    # what comes

    def heard(self, peer: str, message: Message, now: float) -> None:
        """A message of the peer's ledger. While it is not open: nothing."""
        page = self._pages.get(peer)
        if page is None or not page.open:
            return
        match message:
            case Return(transfers):
                lent = page.lent
                for transfer in transfers:
                    entry = lent.pop(transfer, None)
                    if entry is not None:
                        self._less(entry)
            case Lend(ask, pairs):
                for number, transfer in pairs:
                    id = ObjectId(peer, page.creation, number)
                    if page.asked.get(id) == ask:
                        self._register(self._entries[id], page, transfer)
                    elif transfer not in page.kept:  # late, or once more; we have asked again if we need it
                        self._give_back(page, transfer)
            case Renew(pairs):
                for old, new in pairs:
                    entry = page.kept.get(old)
                    if entry is not None and entry.registration == old:
                        self._register(entry, page, new)
                    elif new not in page.kept:
                        self._give_back(page, new)
            case Ask(ask, creation, numbers):
                for number in numbers:
                    id = ObjectId(self.node, creation, number)
                    transfer = self._lend_again(page, id)
                    if transfer:
                        page.lends.append((ask, number, transfer))
            case Gone(creation, numbers):
                why: Trouble = "expired" if creation == page.creation else "lost"
                for number in numbers:
                    entry = self._entries.get(ObjectId(peer, creation, number))
                    if entry is not None and entry.trouble is None:
                        self._fail(entry, why)
            case Void(transfers):
                for transfer in transfers:
                    entry = page.kept.get(transfer)
                    if entry is not None and entry.lifelines and entry.lifelines.get(peer) == transfer:
                        del entry.lifelines[peer], page.kept[transfer]
            case Question(upto):
                held = sorted(transfer for transfer in page.kept if transfer <= upto)
                page.out.append(Statement(1, upto, [(transfer, page.kept[transfer].id) for transfer in held]))
                self._dirty[page] = None
            case Statement(first, last, entries):
                self._learn(page, first, last, entries)

    # connections and deaths

    def opened(self, peer: str, creation: int, now: float) -> None:
        """A connection is there, to that start of the peer. Before anything of it has arrived.

        RuntimeError when it is open already.
        """
        page = self._page(peer)
        if page.open:
            raise RuntimeError(f"{peer} is connected twice")
        if page.creation and page.creation != creation:
            self._bury(page, page.creation, now)
            self._pages[peer] = page
        if not page.session:
            page.begun = self._counter
        self._ended.pop((peer, creation), None)
        _, lent = self._graves.pop((peer, creation), (0.0, None))
        if lent:  # who was taken for dead is back
            page.lent = lent | page.lent
        page.creation, page.open = creation, True
        page.dead = page.over = False
        if page.begun:
            page.out.append(Question(page.begun))
        page.asked = dict.fromkeys(page.asked, 0)
        page.to_ask = dict.fromkeys(page.asked)
        self._dirty[page] = None

    def closed(self, peer: str, now: float, known_dead: bool = False) -> None:
        """The connection is lost. What was lent over it may have arrived, or not. Not open: nothing."""
        page = self._pages.get(peer)
        if page is None or not page.open:
            return
        page.open = False
        page.since = now
        page.clear()
        self._current.pop(page.session, None)
        page.session = 0
        page.begun = self._counter
        if known_dead or page.dead:
            self._bury(page, page.creation, now)
        self._turned(page)

    def dead(self, peer: str, creation: int, now: float) -> None:
        """That start of the peer has ended, for sure. While its connection is open this counts when it is closed."""
        page = self._page(peer)
        if page.open and page.creation == creation:
            page.dead = True
            return
        self._bury(page, creation, now)
        self._turned(page)

    # time

    def tick(self, now: float) -> None:
        """Leases and graces that are over."""
        for key in [key for key, (until, _) in self._graves.items() if until <= now]:
            for entry in self._graves.pop(key)[1].values():
                self._less(entry)
        for page in list(self._pages.values()):
            if not page.open and not page.over and (page.kept or page.waits()) and page.since + self.lease <= now:
                page.over = True
                self._forget(page, [transfer for transfer in page.lent if transfer <= page.begun])
                self._turned(page)

    def due(self) -> float | None:
        """When `tick` has something to do. None: nothing is waited for."""
        times = [until for until, _ in self._graves.values()]
        times += [
            page.since + self.lease
            for page in self._pages.values()
            if not page.open and not page.over and (page.kept or page.waits())
        ]
        return min(times, default=None)

    # what is to be done, and what is known

    def flush(self) -> list[Action]:
        """What is to be done now, in this order. Empties it."""
        actions, self._doings = self._doings, []
        for page in self._dirty:
            if page.open:
                if page.to_ask:
                    self._asks += 1
                    page.ask = self._asks
                actions += [Send(page.name, message) for message in page.letters()]
        self._dirty.clear()
        return actions

    def shared(self) -> bool:
        """Whether an object of ours is lent to anybody."""
        return self._shared > 0

    def holders(self, id: ObjectId) -> list[Holder]:
        """To whom that object is lent from here. Reads all that is lent: for many objects, `table`."""
        entry = self._entries.get(id)
        return [] if entry is None or not entry.lent else self.table().get(id, [])

    def table(self) -> dict[ObjectId, list[Holder]]:
        """To whom which objects, ours and others', are lent from here."""
        table: dict[ObjectId, list[Holder]] = {}
        for page in self._pages.values():
            state: State = "connected" if page.open else "away"
            for id, count in counts(page.lent).items():
                table.setdefault(id, []).append(Holder(page.name, page.creation, count, state))
        for (name, creation), (_, lent) in self._graves.items():
            for id, count in counts(lent).items():
                table.setdefault(id, []).append(Holder(name, creation, count, "ended"))
        return table

    def wants(self) -> list[str]:
        """Peers that are not open, and with which a connection is wanted: something is asked of them, or is lent to or
        kept from them and no lease is over yet."""
        return [
            page.name
            for page in self._pages.values()
            if not page.open and (page.asked or page.waits() or (page.kept and not page.over))
        ]

    def is_empty(self) -> bool:
        """Nothing is held, lent or kept here."""
        return not self._entries and not self._graves and all(not p.lent and not p.kept for p in self._pages.values())

    # our transfers

    def _lend_again(self, page: Page, id: ObjectId) -> int:
        """Somebody needs an object of ours: a new transfer of it, or 0, and we say that it is gone."""
        entry = self._entries.get(id)
        self._dirty[page] = None
        if entry is None or not entry.own:
            page.gone.append((id.creation, id.number))
            return 0
        self._counter += 1
        page.lent[self._counter] = entry
        entry.lent += 1
        if entry.lent == 1:
            self._shared += 1
        return self._counter

    def _learn(self, page: Page, first: int, last: int, entries: Sequence[tuple[int, ObjectId]]) -> None:
        """What it holds of our transfers from first to last: the others were lost. Those of this session stay."""
        last = min(last, page.begun)
        if page.doubtful is None:  # once for all parts of the statement
            page.doubtful = sorted(transfer for transfer in page.lent if transfer <= page.begun)
        listed = {transfer for transfer, _ in entries}
        span = page.doubtful[bisect_left(page.doubtful, first) : bisect_right(page.doubtful, last)]
        for transfer, id in entries:
            if transfer <= last and transfer not in page.lent:  # its lease was over
                if id.node == self.node:
                    new = self._lend_again(page, id)
                    if new:
                        page.renewals.append((transfer, new))
                else:
                    page.voids.append(transfer)
                    self._dirty[page] = None
        self._forget(page, [transfer for transfer in span if transfer not in listed])
        if last == page.begun:
            page.doubtful = None

    def _forget(self, page: Page, transfers: Iterable[int]) -> None:
        for transfer in transfers:
            entry = page.lent.pop(transfer, None)
            if entry is not None:
                self._less(entry)

    # deaths

    def _bury(self, page: Page, creation: int, now: float) -> None:
        """That start of the peer is no more: what it owned is lost, what it lent is void, what it held is soon free."""
        self._ended[page.name, creation] = None
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        for id in [id for id in page.asked if id.creation == creation]:
            self._fail(self._entries[id], "lost")
        if page.creation != creation:
            return
        for transfer, entry in list(page.kept.items()):
            if entry.registration == transfer and entry.id.node == page.name:
                self._fail(entry, "lost")
            elif entry.lifelines:
                entry.lifelines.pop(page.name, None)
        page.kept.clear()
        lent = {transfer: entry for transfer, entry in page.lent.items() if transfer <= page.begun}
        if lent:
            page.lent = {transfer: entry for transfer, entry in page.lent.items() if transfer > page.begun}
            _, before = self._graves.get((page.name, creation), (0.0, {}))
            self._graves[page.name, creation] = (now + self.dead_grace, before | lent)
