"""Nodes that hand references about, and an oracle that sees all of them at once.

Rule: the oracle has no part in the protocol. It is told of each object that is made and freed, of each message with
references that arrives, of each connection that opens and ends and of each death, and holds them to one promise: an
object is not freed while a node that lives has a handle of it, or is sent one. The promise ends for an object, which
is `excused` from then on, where the protocol says so: when a node was cut off from whom it had lent the object to for a
lease, or died while it was lending it.

What processes do with references is in refs_programs.py.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import beampy as bp
from beampy.core.group_leader import _consoles
from beampy.errors import OwnerLost, RefExpired
from beampy.refs.identity import ObjectId
from beampy.refs.ledger import DEAD_GRACE, LEASE
from beampy.refs.service import Refs, refs_of
from tests.sim.world import World, core_of, peers_of

TICK = 4.0  # seconds until a silent connection is given up, about: short, so that runs are
FREED = 1.0  # virtual seconds in which all is free after the last drop, where all are connected
LATE = DEAD_GRACE + 1.0  # virtual seconds from an excuse's reason to what it excuses, or back: graces, and a sweep
USE = 120.0  # virtual seconds that no use may take: several attempts to connect

CREATION = 1 << 30  # the first of them; all have as many bytes

Start = tuple[str, int]  # a node's name and creation


class Freeing(dict[int, Any]):
    """The objects of a node; the oracle is told when one is freed."""

    def __init__(self, freed: Callable[[int], None]) -> None:
        super().__init__()
        self.freed = freed

    def pop(self, number: int, *default: Any) -> Any:
        if number in self:
            self.freed(number)
        return super().pop(number, *default)


class Oracle:
    """What is true, whatever the nodes know of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.loop = world.loop
        self.living: dict[Start, Refs] = {}
        self.values: dict[ObjectId, Any] = {}  # of each object: what tells it from all others
        self.depths: dict[ObjectId, int] = {}  # of references in objects in objects
        self.excused: dict[ObjectId, float] = {}  # since when
        self.suspects: list[tuple[ObjectId, float, str]] = []
        self.faults: list[str] = []
        self.expired = 0  # leases
        self.uses = self.arrivals = self.frees = 0
        self._up: set[tuple[Start, str]] = set()  # who is connected with whom
        self._cut: dict[tuple[Start, str], float] = {}  # who has lost the connection to whom, and when
        self._turns: dict[tuple[Start, str], float] = {}  # when that was last otherwise

    # being told

    def watch(self, node: bp.Node) -> Refs:
        """See all that this node does with references."""
        core = core_of(node)
        refs = refs_of(core)
        start = (core.name, core.creation)
        self.living[start] = refs
        own, arrived, opened, closed = refs.own, refs.arrived, refs.opened, refs.closed
        kept = refs.objects
        refs.objects = Freeing(lambda number: self._freed(ObjectId(*start, number)))
        refs.objects.update(kept)

        def owning(value: Any, label: str | None = None) -> Any:
            ref = own(value, label)
            self.values[ref.id] = getattr(value, "number", value)
            self.depths[ref.id] = getattr(value, "depth", 0)
            return ref

        def arriving(peer: str, entries: Sequence[tuple[ObjectId, int]]) -> Any:
            for id, _ in entries:
                self._arrived(start, peer, id)
            return arrived(peer, entries)

        def opening(peer: str, creation: int) -> None:
            self._turns[start, peer] = self.loop.time()
            self._cut.pop((start, peer), None)
            self._up.add((start, peer))
            opened(peer, creation)

        def closing(peer: str, known_dead: bool) -> None:
            now = self.loop.time()
            self._turns[start, peer] = self._cut[start, peer] = now
            self._up.discard((start, peer))
            self.loop.call_at(now + LEASE, self._lease, start, peer, now)
            closed(peer, known_dead)

        for name, wrapped in (("own", owning), ("arrived", arriving), ("opened", opening), ("closed", closing)):
            setattr(refs, name, wrapped)
        return refs

    def died(self, start: Start) -> None:
        """A node has ended, or is about to: what it was lending may be freed, as nobody may know to whom it did."""
        dead = self.living.pop(start, None)
        if dead is None:
            return
        for page in dead.ledger._pages.values():
            self._excuse(entry.id for entry in page.lent.values())
        for refs in self.living.values():
            entries = refs.ledger._entries.values()
            self._excuse(entry.id for entry in entries if not entry.own and not entry.registration)

    def _lease(self, start: Start, peer: str, since: float) -> None:
        refs = self.living.get(start)
        if refs is not None and self._cut.get((start, peer)) == since:
            page = refs.ledger._pages.get(peer)
            if page is not None and page.lent:
                self.expired += 1
                self._excuse(entry.id for entry in page.lent.values())

    def _excuse(self, ids: Iterator[ObjectId]) -> None:
        for id in ids:
            self.excused.setdefault(id, self.loop.time())

    def _freed(self, id: ObjectId) -> None:
        self.frees += 1
        for start, refs in self.living.items():
            if refs.holds.find(id) is not None:
                self.suspects.append((id, self.loop.time(), f"{id!r} was freed, and {start[0]} has it"))

    def _arrived(self, start: Start, peer: str, id: ObjectId) -> None:
        self.arrivals += 1
        owner = self.living.get((id.node, id.creation))
        if owner is not None and id.number not in owner.objects:
            text = f"{id!r} was freed, and {start[0]} has got it from {peer}"
            self.suspects.append((id, self.loop.time(), text))

    # judging

    def is_owned(self, id: ObjectId) -> bool:
        """Whether its owner lives."""
        return (id.node, id.creation) in self.living

    def used(self, id: ObjectId, value: Any) -> None:
        """What a use gave has to be of that object."""
        self.uses += 1
        if value != self.values[id]:
            self.faults.append(f"a use of {id!r} gave {value!r}, and it is {self.values[id]!r}")

    def failed(self, at: Start, id: ObjectId, error: BaseException, since: float) -> None:
        """What a use raised has to fit what has happened since it began."""
        if at not in self.living:
            return
        match error:
            case OwnerLost(cause=cause) if "has ended" in cause:
                fits = not self.is_owned(id)
            case OwnerLost():
                key = (at, id.node)
                fits = key not in self._up or self._turns.get(key, -1.0) >= since or not self.is_owned(id)
            case RefExpired():
                fits = id in self.excused
            case _:
                fits = False
        if not fits:
            self.faults.append(f"t={self.loop.time():.3f}: a use of {id!r} on {at[0]} raised {error!r}")

    def check(self) -> None:
        """The promise was kept."""
        broken = [
            f"t={at:.3f}: {text}" for id, at, text in self.suspects if self.excused.get(id, float("inf")) > at + LATE
        ]
        assert not broken, broken
        assert not self.faults, self.faults


class RefsWorld:
    """Nodes with references, under the oracle's eyes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.net = world.net
        self.rng = world.rng
        self.loop = world.loop
        self.oracle = Oracle(world)
        self.refs: dict[str, Refs] = {}
        # The creation of a node is left to chance, and so is the size of a message that holds it.
        self._creations = itertools.count(CREATION)

    async def start(self, *names: str) -> None:
        """Start nodes; an earlier start of one has ended."""
        for name in names:
            with mock.patch("secrets.randbelow", side_effect=self._creations):
                node = await self.world.start(name, tick_time=TICK, mesh=False)
            self.refs[name] = self.oracle.watch(node)

    def start_of(self, name: str) -> Start:
        """Which start of a node runs."""
        core = core_of(self.world.nodes[name])
        return core.name, core.creation

    async def crash(self, name: str) -> None:
        """A node dies without a word."""
        self.oracle.died(self.start_of(name))
        del self.refs[name]
        await self.world.crash(name)

    async def stop(self, name: str) -> None:
        """A node stops in order."""
        start = self.start_of(name)
        before = self.refs.pop(name)
        self.oracle.died(start)
        self.oracle.living[start] = before  # until it has ended it lends
        await self.world.stop(name)
        self.oracle.died(start)

    def disconnect(self, name: str, other: str) -> None:
        """Drop a connection; what is under way is lost."""
        peers_of(self.world.nodes[name]).disconnect(f"{other}@{other}")

    async def connect_all(self) -> None:
        """Every node with every other."""
        names = list(self.world.nodes)
        for _ in range(5):  # those that were cut off may be closing what is left of that yet
            try:
                await self.world.connect(*names)
                return
            except bp.errors.BeampyError:
                await asyncio.sleep(TICK)
        await self.world.connect(*names)

    async def assert_free(self) -> None:
        """All handles are gone: so is everything else, soon."""
        gc.collect()
        await asyncio.sleep(FREED)
        left = {name: what for name, refs in self.refs.items() if (what := self.left(refs))}
        assert not left, left

    def left(self, refs: Refs) -> list[Any]:
        """What a node still has."""
        found: list[Any] = [*refs.objects.values(), *refs.holds.ids()]
        if not refs.ledger.is_empty():
            found += [refs.ledger._entries, refs.ledger._graves]
            found += [(page.name, dict(page.lent), dict(page.kept)) for page in refs.ledger._pages.values()]
        return found

    def forget_consoles(self) -> None:
        """The address of a node's console stays as long as the node; the world takes it for one left behind."""
        for node in (*self.world.nodes.values(), *self.world.past):
            core = core_of(node)
            console = _consoles.get(core)
            if console is not None:
                core.exported.pop(console.id, None)
