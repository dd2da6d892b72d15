"""Every interleaving, for three nodes and two objects: a breadth-first search over real ledgers.

A plan says how often each kind of event may happen; deliveries, drops and what follows from a loss are free. Worlds
that differ only in the numbers of transfers are one. Each state is checked, and wound down: see ledger_ground.py.
"""

from __future__ import annotations

import faulthandler
import pickle
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import Ledger
from beampy.refs.ledger_messages import Gone, Lend, Question, Renew, Return, Statement
from tests.property.ledger_chains import Broken
from tests.property.ledger_events import Left, events
from tests.property.ledger_ground import World
from tests.property.ledger_key import key

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = range(3)


class Plan(NamedTuple):
    """What may happen, and how often. `owners` have an object each; `apart` are not connected at first."""

    sends: int
    losses: int = 0
    crashes: int = 0
    expiries: int = 0
    duplicates: int = 0
    overtakings: int = 0
    failures: int = 0  # attempts to connect, and messages that are not written
    owners: tuple[int, ...] = (A,)
    apart: tuple[tuple[int, int], ...] = ()
    reconnects: int = 9


class Found(NamedTuple):
    """How many states there are, how many steps between them, and the steps to the first one that is broken."""

    states: int
    steps: int
    broken: str | None
    path: tuple[object, ...]


def explore(plan: Plan, make: Callable[..., Ledger] = Ledger, most: int = 10_000_000, every: int = 1) -> Found:
    """All states that the plan allows, nearest first. Each `every`-th one is wound down."""
    world = World(3, plan.owners, plan.apart, make)
    left = Left(
        plan.sends,
        plan.losses,
        plan.crashes,
        plan.expiries,
        plan.duplicates,
        plan.overtakings,
        plan.failures,
        plan.reconnects,
    )
    seen = {hash((key(world), left))}
    level = [(pickle.dumps(world), left, ())]
    steps = 0
    while level:
        following = []
        for packed, left, path in level:
            for (name, *args), after in events(pickle.loads(packed), left):
                steps += 1
                world = pickle.loads(packed)
                try:
                    getattr(world, name)(*args)
                    world.check()
                    number = hash((key(world), after))
                    if number in seen:
                        continue
                    seen.add(number)
                    again = pickle.dumps(world)
                    if not len(seen) % every:
                        world.wind_down()
                except Broken as broken:
                    return Found(len(seen), steps, str(broken), (*path, (name, *args)))
                if len(seen) > most:
                    return Found(len(seen), steps, None, ())
                following.append((again, after, (*path, (name, *args))))
        level = following
    return Found(len(seen), steps, None, ())


# The plans of every day: seconds for all of them together.
PLANS = {
    "hand-over": Plan(sends=3),
    "two owners": Plan(sends=2, owners=(A, B)),
    "twice": Plan(sends=2, duplicates=1, overtakings=1),
    "loss": Plan(sends=1, losses=1, expiries=1, duplicates=1),
    "failure": Plan(sends=1, losses=1, failures=2),
    "a chain": Plan(sends=3, apart=((A, C),)),
    "no way to the owner": Plan(sends=3, apart=((A, C),), reconnects=0),
    "crash": Plan(sends=1, crashes=1),
}
# What takes minutes. Of the largest ones every 5th state is wound down.
LARGE = {
    "hand-over": Plan(sends=4),
    "no way to the owner": Plan(sends=5, apart=((A, C),), reconnects=0),
    "two owners": Plan(sends=3, owners=(A, B)),
    "two owners, loss": Plan(sends=2, losses=1, owners=(A, B)),
    "twice": Plan(sends=3, duplicates=1, overtakings=1),
    "loss": Plan(sends=2, losses=1, expiries=1),
    "losses": Plan(sends=1, losses=2, expiries=2, duplicates=1),
    "failures": Plan(sends=2, losses=1, failures=1),
    "a chain, loss": Plan(sends=2, losses=1, expiries=1, apart=((A, C),)),
    "crash": Plan(sends=2, crashes=1),
    "crashes": Plan(sends=1, crashes=2),
    "crash and loss": Plan(sends=1, losses=1, crashes=1, expiries=1),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_no_interleaving_breaks_it(plan: Plan) -> None:
    found = explore(plan)
    sys.stdout.write(f"{found.states} states, {found.steps} steps\n")
    assert found.broken is None, found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("plan", LARGE.values(), ids=LARGE.keys())
def test_no_interleaving_of_many_events_breaks_it(plan: Plan) -> None:
    # No look at its stack while it runs: Python 3.11 has died of it.
    faulthandler.cancel_dump_traceback_later()
    found = explore(plan, every=5)
    sys.stdout.write(f"{found.states} states, {found.steps} steps\n")
    assert found.broken is None, found


# Faults, each of which must be found.


class ReturnsTooSoon(Ledger):
    """Returns the third's transfer before the owner has lent it its own."""

    def _take_lifeline(self, entry, lender, transfer):
        super()._take_lifeline(entry, lender, transfer)
        self._return_lifelines(entry)


class AsksForAll(Ledger):
    """Asks for transfers of this session as well: those on their way are not listed."""

    def opened(self, peer, creation, now):
        super().opened(peer, creation, now)
        page = self._pages[peer]
        page.begun = self._counter
        page.out[:] = [Question(page.begun)]


class FreesOnFirstReturn(Ledger):
    """Believes that one return is all of them."""

    def heard(self, peer, message, now):
        if isinstance(message, Return):
            for transfer in message.transfers:
                if transfer in self._pages[peer].lent:
                    self._pages[peer].lent[transfer].lent = 1
        super().heard(peer, message, now)


class ForgetsToWithdraw(Ledger):
    """Keeps what a message that was never written has lent."""

    def withdraw(self, transfers):
        pass


class TakesListedForLost(Ledger):
    """Drops what the statement lists."""

    def _learn(self, page, first, last, entries):
        self._forget(page, [transfer for transfer, _ in entries])


class KeepsUnlisted(Ledger):
    """Learns nothing from a statement."""

    def _learn(self, page, first, last, entries):
        pass


class KnowsNoGrace(Ledger):
    """Drops what is lent to the dead before others could ask."""

    def _bury(self, page, creation, now):
        super()._bury(page, creation, now)
        if (page.name, creation) in self._graves:
            for entry in self._graves.pop((page.name, creation))[1].values():
                self._less(entry)


class BuriesNobody(Ledger):
    """Takes no notice of a restart."""

    def _bury(self, page, creation, now):
        pass


class KeepsWhatExpired(Ledger):
    """Returns what the owner gives it for an expired transfer."""

    def heard(self, peer, message, now):
        if isinstance(message, Renew):
            for _, new in message.pairs:
                self._give_back(self._pages[peer], new)
        else:
            super().heard(peer, message, now)


class TakesAnyLend(Ledger):
    """Does not look to which Ask a Lend is: a copy that comes late counts, and was returned."""

    def heard(self, peer, message, now):
        if isinstance(message, Lend):
            page = self._pages[peer]
            for number, transfer in message.pairs:
                entry = self._entries.get(ObjectId(peer, page.creation, number))
                if entry is None or entry.trouble:
                    self._give_back(page, transfer)
                else:
                    self._register(entry, page, transfer)
        else:
            super().heard(peer, message, now)


class KeepsALateLend(Ledger):
    """Does not return what it no longer needs when the owner lends it."""

    def heard(self, peer, message, now):
        if isinstance(message, Lend):
            page = self._pages[peer]
            ids = {pair: ObjectId(peer, page.creation, pair[0]) for pair in message.pairs}
            message = message._replace(pairs=[pair for pair in message.pairs if ids[pair] in self._entries])
        super().heard(peer, message, now)


class KeepsItsOwn(Ledger):
    """Does not return what comes back to its owner."""

    def arrived(self, peer, entries):
        super().arrived(peer, [entry for entry in entries if not self.exists(entry[0])])


class AsksOnce(Ledger):
    """Does not ask again after a loss."""

    def opened(self, peer, creation, now):
        super().opened(peer, creation, now)
        self._pages[peer].to_ask.clear()


class IsDeafToGone(Ledger):
    """Takes no notice of Gone."""

    def heard(self, peer, message, now):
        if not isinstance(message, Gone):
            super().heard(peer, message, now)


class FreesWhatIsLent(Ledger):
    """Looks at its own handles only."""

    def drop(self, id):
        super().drop(id)
        if id in self._entries and not self._entries[id].held:
            self._release(self._entries[id])


class ForgetsWhatAClosedPeerLent(Ledger):
    """States that it holds nothing, whatever it holds."""

    def heard(self, peer, message, now):
        super().heard(peer, message, now)
        page = self._pages[peer]
        page.out = [one._replace(entries=[]) if isinstance(one, Statement) else one for one in page.out]


FAULTS = {
    ReturnsTooSoon: "hand-over",
    AsksForAll: "failure",
    FreesOnFirstReturn: "hand-over",
    ForgetsToWithdraw: "failure",
    TakesListedForLost: "loss",
    KeepsUnlisted: "loss",
    KnowsNoGrace: "death",
    BuriesNobody: "crash",
    KeepsWhatExpired: "loss",
    TakesAnyLend: "late copies",
    KeepsALateLend: "hand-over",
    KeepsItsOwn: "hand-over",
    AsksOnce: "a chain",
    IsDeafToGone: "loss",
    FreesWhatIsLent: "hand-over",
    ForgetsWhatAClosedPeerLent: "loss",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault: type[Ledger]) -> None:
    deeper = {"death": Plan(sends=2, crashes=1), "late copies": Plan(sends=3, duplicates=1)}
    plan = {**PLANS, **deeper}[FAULTS[fault]]
    found = explore(plan, fault)
    assert found.broken is not None, f"{found.states} states"
    sys.stdout.write(f"{found.broken} ({found.states} states): {found.path}\n")
