"""What a ledger has written down: an entry for each object, and a page for each peer. Data, no decisions.

Rule: only ledger.py changes these. A transfer stands in one table at its sender (`Page.lent`) and in one at its
receiver (`Page.kept`), and nowhere when neither needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from beampy.refs.ledger_messages import Ask, Gone, Lend, Renew, Return, Void

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beampy.refs.identity import ObjectId
    from beampy.refs.ledger_messages import Message

Trouble: TypeAlias = Literal["expired", "lost"]
State: TypeAlias = Literal["connected", "away", "ended"]


class Holder(NamedTuple):
    """Somebody to whom an object is lent: that start of a node (0: not known yet), and in how many transfers.

    `state`: "connected"; "away": not connected, the lease runs; "ended": that start is over, the grace runs.
    """

    node: str
    creation: int
    transfers: int
    state: State


class Entry:
    """An object that is needed here: it is held, or lent, or both.

    Of an object of ours that exists, `own` is true. One of somebody else's has a registration (a transfer of its
    owner's) or, while it has none, lifelines: transfers of others, by their names. In trouble it has neither.
    """

    __slots__ = ("held", "id", "lent", "lifelines", "own", "registration", "trouble")

    def __init__(self, id: ObjectId) -> None:
        self.id = id
        self.own = False
        self.held = False
        self.lent = 0  # transfers of ours that are out
        self.registration = 0
        self.lifelines: dict[str, int] | None = None
        self.trouble: Trouble | None = None


class Page:
    """One peer. `creation` is its last start that was connected, 0 when none was."""

    __slots__ = (
        "ask",
        "asked",
        "begun",
        "creation",
        "dead",
        "doubtful",
        "gone",
        "kept",
        "lends",
        "lent",
        "name",
        "open",
        "out",
        "over",
        "renewals",
        "returns",
        "session",
        "since",
        "to_ask",
        "voids",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.creation = 0
        self.open = False
        self.dead = False  # its last start has ended, for sure
        self.over = False  # it has been away for a lease
        self.since = 0.0  # when it was closed
        self.session = 0  # 0: none
        self.begun = 0  # the last transfer there was before the session: up to here they are of ended sessions
        self.lent: dict[int, Entry] = {}  # our transfers to it, rising
        self.kept: dict[int, Entry] = {}  # its transfers that we keep
        self.asked: dict[ObjectId, int] = {}  # for what it is to register us: in which Ask; 0: not asked yet
        self.ask = 0  # the number of the next Ask
        self.doubtful: list[int] | None = None  # during its statement: our transfers of ended sessions, rising
        # What is to be sent at the next flush; nothing while it is not open.
        self.out: list[Message] = []
        self.voids: list[int] = []
        self.gone: list[tuple[int, int]] = []  # creation, number
        self.lends: list[tuple[int, int, int]] = []  # its Ask, number, transfer
        self.renewals: list[tuple[int, int]] = []  # its transfer that expired, the new one
        self.to_ask: dict[ObjectId, None] = {}
        self.returns: list[int] = []

    def clear(self) -> None:
        """What was to be sent is not any more."""
        for queue in (self.out, self.voids, self.gone, self.lends, self.renewals, self.returns):
            queue.clear()
        self.to_ask.clear()
        self.doubtful = None

    def letters(self) -> Iterator[Message]:
        """What is to be sent, and is not any more.

        Statements come before returns: what is returned after a statement was made is listed in it.
        """
        yield from self.out
        if self.voids:
            yield Void(self.voids)
        for creation in dict.fromkeys(creation for creation, _ in self.gone):
            yield Gone(creation, [number for other, number in self.gone if other == creation])
        for ask in dict.fromkeys(ask for ask, _, _ in self.lends):
            yield Lend(ask, [(number, transfer) for other, number, transfer in self.lends if other == ask])
        if self.renewals:
            yield Renew(self.renewals)
        asked = [id for id in self.to_ask if id in self.asked]
        self.asked.update(dict.fromkeys(asked, self.ask))
        for creation in dict.fromkeys(id.creation for id in asked):
            yield Ask(self.ask, creation, [id.number for id in asked if id.creation == creation])
        if self.returns:
            yield Return(self.returns)
        self.out, self.voids, self.gone, self.lends, self.renewals, self.returns = [], [], [], [], [], []
        self.to_ask = {}

    def waits(self) -> bool:
        """Whether something is lent to it that may have been lost with a connection."""
        return bool(self.lent) and next(iter(self.lent)) <= self.begun

    def is_blank(self) -> bool:
        """Nothing would be lost with this page."""
        return not (self.open or self.session or self.lent or self.kept or self.asked)


def counts(lent: dict[int, Entry]) -> dict[ObjectId, int]:
    """In how many of these transfers each object is."""
    found: dict[ObjectId, int] = {}
    for entry in lent.values():
        found[entry.id] = found.get(entry.id, 0) + 1
    return found
