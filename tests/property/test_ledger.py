"""Four ledgers, many objects, any number of losses, crashes and expired leases: random walks with what must hold."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.property.ledger_events import Left, events
from tests.property.ledger_ground import World

SIZE = 4

nodes = st.integers(0, SIZE - 1)
pairs = st.sampled_from([(i, j) for i in range(SIZE) for j in range(SIZE) if i != j])
picks = st.integers(0, 1 << 16)
USUAL = Left(1, 0, 0, 0, 0, 0, 0, 1)
RARE = Left(1, 1, 1, 1, 1, 1, 1, 0)


class Walk(RuleBasedStateMachine):
    """The world. A step picks the kind of event, of those that may happen now, and then one of that kind."""

    @initialize(apart=st.sets(pairs, max_size=3))
    def begin(self, apart: set[tuple[int, int]]) -> None:
        self.world = World(SIZE, range(SIZE), [*apart])

    def step(self, left: Left, kind: int, pick: int) -> None:
        kinds: dict[object, list[tuple[object, ...]]] = {}
        for event, after in events(self.world, left):
            if left is USUAL or after != left:
                kinds.setdefault(event[0], []).append(event)
        if kinds:
            some = kinds[sorted(kinds, key=str)[kind % len(kinds)]]
            name, *args = some[pick % len(some)]
            getattr(self.world, str(name))(*args)

    @rule(kind=picks, pick=picks)
    def usual(self, kind: int, pick: int) -> None:
        self.step(USUAL, kind, pick)

    @rule(kind=picks, pick=picks)
    def usual_too(self, kind: int, pick: int) -> None:
        self.step(USUAL, kind, pick)

    @rule(kind=picks, pick=picks)
    def rare(self, kind: int, pick: int) -> None:
        self.step(RARE, kind, pick)

    @rule(i=nodes)
    def make(self, i: int) -> None:
        self.world.make(i)

    @rule(pair=pairs)
    def send_all(self, pair: tuple[int, int]) -> None:
        if self.world.handles[pair[0]]:
            self.world.send(*pair, sorted(self.world.handles[pair[0]]))

    @rule()
    def deliver_all(self) -> None:
        self.world.deliver_all()

    @invariant()
    def what_must_hold(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.wind_down()


Walk.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestWalk = Walk.TestCase
