"""Three `Links` with signals in flight between them, as between nodes: FIFO for each pair, any delay, any interleaving.

What must hold whatever happens: both ends agree when nothing is in flight; an unlink never tears down a newer link;
after an unlink no EXIT counts until there is a new link; and an EXIT over a link that stands counts once.
"""

from __future__ import annotations

from collections import deque
from itertools import permutations
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from beampy.core.ids import Pid
from beampy.core.links import ACTIVE, Links
from beampy.core.signals import ExitSignal, LinkSignal, UnlinkAckSignal, UnlinkSignal

SIZE = 3
PIDS = [Pid(f"n{i}@h", i, 1) for i in range(SIZE)]
PAIRS = list(permutations(range(SIZE), 2))

some = st.integers(0, SIZE - 1)
pairs = st.sampled_from(PAIRS)


class Sent(NamedTuple):
    """A signal on its way, and the last unlink of its receiver that its sender had seen when it sent it."""

    signal: Any
    seen: int


class Network(RuleBasedStateMachine):
    """The processes, the channels, and what they must come to."""

    @initialize()
    def begin(self) -> None:
        self.links = [Links() for _ in range(SIZE)]
        self.channels: dict[tuple[int, int], deque[Sent]] = {pair: deque() for pair in PAIRS}
        self.dead: set[int] = set()
        # By (i, j): the last unlink of i's that j has seen; the last one that i has sent.
        self.seen = dict.fromkeys(PAIRS, 0)
        self.last = dict.fromkeys(PAIRS, 0)
        # (i, j): i has unlinked j, and neither has linked since.
        self.cut = dict.fromkeys(PAIRS, False)
        # For an unordered pair: what it must come to when all is quiet, or None where signals that crossed decide.
        self.must: dict[frozenset[int], bool | None] = {frozenset(pair): False for pair in PAIRS}
        # (i, j): how many EXITs from j have counted at i, how many must, and how many may.
        self.counted = dict.fromkeys(PAIRS, 0)
        self.owed = dict.fromkeys(PAIRS, 0)
        self.allowed = dict.fromkeys(PAIRS, 0)

    def send(self, i: int, j: int, signal: Any) -> None:
        self.channels[i, j].append(Sent(signal, self.seen[j, i]))

    def in_flight(self, i: int, j: int, kind: type) -> bool:
        return any(isinstance(sent.signal, kind) for sent in self.channels[i, j])

    # what processes do

    @rule(pair=pairs)
    def link(self, pair: tuple[int, int]) -> None:
        i, j = pair
        if i in self.dead:
            return
        # An unlink of j's that is on its way, or waits for its answer, was sent without knowing of this link.
        crossed = self.in_flight(j, i, UnlinkSignal)
        if self.links[i].link(PIDS[j]):
            self.send(i, j, LinkSignal(PIDS[i], PIDS[j]))
            if j in self.dead:
                self.allowed[i, j] += 1  # its "noproc"
        self.cut[i, j] = False
        if j not in self.dead:
            self.must[frozenset(pair)] = None if crossed else True

    @rule(pair=pairs)
    def unlink(self, pair: tuple[int, int]) -> None:
        i, j = pair
        if i in self.dead:
            return
        was_active = PIDS[j] in self.links[i].active()
        id = self.links[i].unlink(PIDS[j])
        assert (id is not None) == was_active
        if id is not None:
            self.last[i, j] = id
            self.send(i, j, UnlinkSignal(PIDS[i], PIDS[j], id))
            self.cut[i, j] = True
            self.must[frozenset(pair)] = False
            self.owed[i, j] = 0
        assert PIDS[j] not in self.links[i].active()

    @rule(i=some)
    @precondition(lambda self: len(self.dead) < SIZE - 1)
    def die(self, i: int) -> None:
        if i in self.dead:
            return
        self.dead.add(i)
        for peer in self.links[i].active():
            j = PIDS.index(peer)
            self.send(i, j, ExitSignal(PIDS[i], peer, "boom", True))
        for j in range(SIZE):
            if j == i:
                continue
            self.allowed[j, i] += 1
            if j not in self.dead and self.must[frozenset((i, j))]:
                # Linked at both ends, or with the link on its way: one EXIT counts, this one or a "noproc".
                self.owed[j, i] = 1
        self.links[i].links.clear()

    # what channels do

    @rule(pair=pairs)
    def deliver(self, pair: tuple[int, int]) -> None:
        i, j = pair
        if not self.channels[pair]:
            return
        sent = self.channels[pair].popleft()
        signal = sent.signal
        if j in self.dead:
            # What the node of a process that is gone answers.
            if isinstance(signal, LinkSignal):
                self.send(j, i, ExitSignal(PIDS[j], PIDS[i], "noproc", True))
            elif isinstance(signal, UnlinkSignal):
                self.send(j, i, UnlinkAckSignal(PIDS[j], PIDS[i], signal.id))
            return
        mine = self.links[j]
        match signal:
            case LinkSignal():
                mine.linked_by(PIDS[i])
                if sent.seen >= self.last[j, i]:
                    self.cut[j, i] = False
            case UnlinkSignal():
                mine.unlinked_by(PIDS[i])
                self.seen[i, j] = signal.id
                self.send(j, i, UnlinkAckSignal(PIDS[j], PIDS[i], signal.id))
            case UnlinkAckSignal():
                mine.unlink_acknowledged(PIDS[i], signal.id)
            case ExitSignal():
                if mine.take_exit(PIDS[i]):
                    assert not self.cut[j, i], "an EXIT counted after an unlink"
                    self.counted[j, i] += 1
                    assert self.counted[j, i] <= self.allowed[j, i], "one end counted twice"

    @rule()
    def settle(self) -> None:
        """Deliver all there is. The order of channels does not matter any more: nobody acts meanwhile."""
        while any(self.channels.values()):
            for pair in PAIRS:
                self.deliver(pair)
        for i, j in PAIRS:
            if i in self.dead:
                continue
            linked = PIDS[j] in self.links[i].active()
            assert self.links[i].links.get(PIDS[j], ACTIVE) == ACTIVE, "an unlink that nobody has acknowledged"
            if j in self.dead:
                assert not linked
                if self.owed[i, j]:
                    assert self.counted[i, j] >= self.owed[i, j], "the end of a linked process was not heard"
                continue
            assert linked == (PIDS[i] in self.links[j].active()), "linked at one end only"
            expected = self.must[frozenset((i, j))]
            if expected is not None:
                assert linked == expected
            else:
                self.must[frozenset((i, j))] = linked

    @invariant()
    def no_link_to_oneself(self) -> None:
        for i, links in enumerate(getattr(self, "links", ())):
            assert PIDS[i] not in links.links

    def teardown(self) -> None:
        if hasattr(self, "links"):
            self.settle()


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
