"""Which objects are needed here, and whose transfers keep them there: the receiving half of the ledger.

An object is needed as long as it is held or lent here. One of somebody else's is kept by its registration, a transfer
of the owner's; until there is one by lifelines, transfers of others. What is needed no more, or is kept by something
better, is returned at once.

Place: ledger.py adds what is lent, connections and time. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beampy.refs.ledger_actions import Connect, Expired, Free, Lost
from beampy.refs.ledger_tables import Entry, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beampy.refs.identity import ObjectId
    from beampy.refs.ledger_actions import Action
    from beampy.refs.ledger_tables import Trouble


class Needs:
    """The entries and the pages of one start of a node."""

    def __init__(self, node: str, creation: int) -> None:
        self.node = node
        self.creation = creation
        self._entries: dict[ObjectId, Entry] = {}
        self._pages: dict[str, Page] = {}
        self._ended: dict[tuple[str, int], None] = {}  # starts of nodes that are known to have ended
        self._shared = 0  # objects of ours that are lent
        self._dirty: dict[Page, None] = {}  # to which something is to be sent
        self._doings: list[Action] = []

    # what is held here

    def own(self, id: ObjectId) -> None:
        """A new object of ours, and a Hold of it; before it is lent. ValueError if it is not of this start."""
        if id.node != self.node or id.creation != self.creation:
            raise ValueError(f"{id!r} is not of this start of {self.node}")
        entry = self._entries[id] = Entry(id)
        entry.own = entry.held = True

    def hold(self, id: ObjectId) -> None:
        """A Hold of it was made here; twice is once.

        One of ours that does not exist any more, or never did, is held in trouble: it does not come to life by this.
        """
        entry = self._entries.get(id)
        if entry is None:
            entry = self._entries[id] = Entry(id)
            if id.node == self.node:
                entry.trouble = "expired" if id.creation == self.creation else "lost"
            elif (id.node, id.creation) in self._ended:
                entry.trouble = "lost"
        entry.held = True

    def drop(self, id: ObjectId) -> None:
        """The last Hold of it here was finalised (there is no newer one). Unknown: nothing."""
        entry = self._entries.get(id)
        if entry is not None and entry.held:
            entry.held = False
            if not entry.lent:
                self._release(entry)

    # what comes

    def arrived(self, peer: str, entries: Sequence[tuple[ObjectId, int]]) -> None:
        """A message with these (id, transfer) has arrived. The caller has called `hold` for each id before.

        Transfer 0 is the owner's word that the object is no more: a Gone might come before the message.
        RuntimeError when the peer was never open.
        """
        page = self._pages.get(peer)
        if page is None or not page.creation:
            raise RuntimeError(f"a message from {peer}, which was never connected")
        for id, transfer in entries:
            entry = self._entries.get(id)
            if entry is None or entry.own or entry.trouble is not None:
                if transfer:
                    self._give_back(page, transfer)
            elif id.node == peer and not transfer:
                self._fail(entry, "expired" if id.creation == page.creation else "lost")
            elif id.node == peer and id.creation == page.creation:
                self._register(entry, page, transfer)
            elif entry.registration:
                self._give_back(page, transfer)
            else:
                self._take_lifeline(entry, page, transfer)

    def exists(self, id: ObjectId) -> bool:
        """Whether it is one of ours, and not freed."""
        entry = self._entries.get(id)
        return entry is not None and entry.own

    def trouble(self, id: ObjectId) -> Trouble | None:
        """What is wrong with an object that is held here: "expired", "lost" (its owner has ended), or nothing known."""
        entry = self._entries.get(id)
        return None if entry is None else entry.trouble

    def lenders(self, id: ObjectId) -> list[str]:
        """Peers that are connected and keep that object for us, while its owner is not connected."""
        entry, owner = self._entries.get(id), self._pages.get(id.node)
        if entry is None or not entry.lifelines or (owner is not None and owner.open):
            return []
        return [name for name in entry.lifelines if self._pages[name].open]

    def lenders_of(self, node: str) -> list[str]:
        """The same for any objects of that node."""
        page = self._pages.get(node)
        return [] if page is None else list({name: None for id in page.asked for name in self.lenders(id)})

    # our needs

    def _less(self, entry: Entry) -> None:
        """A transfer of ours is over."""
        entry.lent -= 1
        if not entry.lent:
            if entry.own:
                self._shared -= 1
            if not entry.held:
                self._release(entry)

    def _release(self, entry: Entry) -> None:
        """It is needed here no more: neither held nor lent."""
        del self._entries[entry.id]
        if entry.own:
            self._doings.append(Free(entry.id))
        elif entry.registration:
            page = self._pages[entry.id.node]
            del page.kept[entry.registration]
            self._give_back(page, entry.registration)
        elif entry.trouble is None:
            self._unask(entry)
            self._return_lifelines(entry)

    def _fail(self, entry: Entry, why: Trouble) -> None:
        """There is no such object any more. The entry stays as long as it is held or lent."""
        self._unask(entry)
        self._return_lifelines(entry)
        if entry.registration:
            self._pages[entry.id.node].kept.pop(entry.registration, None)
            entry.registration = 0
        entry.trouble = why
        if entry.held:
            self._doings.append(Expired(entry.id) if why == "expired" else Lost(entry.id))

    # others' transfers

    def _give_back(self, page: Page, transfer: int) -> None:
        """Return it; while the peer is not open its next question is answered without it."""
        if page.open:
            page.returns.append(transfer)
            self._dirty[page] = None
        else:
            self._turned(page)

    def _register(self, entry: Entry, owner: Page, transfer: int) -> None:
        """The owner lent it to us. The newest counts: an older one may have expired there, a newer one has not."""
        old = entry.registration
        if transfer <= old:
            if transfer < old:
                self._give_back(owner, transfer)
            return
        entry.registration = transfer
        owner.kept[transfer] = entry
        if old:
            del owner.kept[old]
            self._give_back(owner, old)
        else:
            self._unask(entry)
            self._return_lifelines(entry)

    def _take_lifeline(self, entry: Entry, lender: Page, transfer: int) -> None:
        """A third lent it to us. It must keep it until the owner has registered us; so ask the owner."""
        lines = entry.lifelines
        if lines is None:
            lines = entry.lifelines = {}
        old = lines.get(lender.name, 0)
        owner = self._page(entry.id.node)
        if old > transfer:
            self._give_back(lender, transfer)
        elif old or not lines or owner.open or not (entry.lent or self._is_safe(lines)):
            lines[lender.name] = transfer
            lender.kept[transfer] = entry
            if old:
                del lender.kept[old]
                self._give_back(lender, old)
        else:  # one will do while the owner is out of reach: nodes that lend to each other would never end
            self._give_back(lender, transfer)
        if entry.id not in owner.asked:
            owner.asked[entry.id] = 0
            if owner.open:
                owner.to_ask[entry.id] = None
                self._dirty[owner] = None
            elif len(owner.asked) == 1:
                self._doings.append(Connect(owner.name))

    def _is_safe(self, lines: dict[str, int]) -> bool:
        return any(self._pages[name].open for name in lines)

    def _return_lifelines(self, entry: Entry) -> None:
        if entry.lifelines:
            for name, transfer in entry.lifelines.items():
                page = self._pages[name]
                del page.kept[transfer]
                self._give_back(page, transfer)
            entry.lifelines = None

    def _unask(self, entry: Entry) -> None:
        page = self._pages.get(entry.id.node)
        if page is not None:
            page.asked.pop(entry.id, None)
            self._turned(page)

    def _page(self, name: str) -> Page:
        page = self._pages.get(name)
        if page is None:
            page = self._pages[name] = Page(name)
        return page

    def _turned(self, page: Page) -> None:
        """Forget a page on which nothing is left."""
        if page.is_blank():
            self._pages.pop(page.name, None)
