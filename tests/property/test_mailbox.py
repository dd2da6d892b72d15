"""A mailbox is a list: whatever plain and selective receives come in whatever order, each takes what a list would give.

Once for the data structure, with its limits; once for processes on a simulated loop, where receives also wait.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import beampy as bp
from beampy.core.mailbox import MISSING, LimitedMailbox, Mailbox, _remembered, matcher, messages, weight
from beampy.testing import harness, simloop


class Point(NamedTuple):
    x: Any
    y: Any


def even(message: Any) -> bool:
    return isinstance(message, int) and message % 2 == 0


class Moody:
    """A predicate that answers differently from one receive to the next."""

    wanted: Any = 0

    def __call__(self, message: Any) -> bool:
        return bool(message == Moody.wanted)


moody = Moody()


atoms = st.sampled_from([0, 1, 2, "a", "b", None, True, 1.0])
values = st.one_of(
    atoms,
    st.tuples(atoms),
    st.tuples(atoms, atoms),
    st.builds(Point, atoms, atoms),
    st.tuples(st.just("t"), st.tuples(atoms, atoms)),
    st.tuples(st.just("t"), st.builds(Point, atoms, atoms)),
)
parts = st.one_of(atoms, st.sampled_from([..., int, str, object, mock.ANY]))
patterns = st.one_of(
    st.sampled_from([int, str, object, Point, even, moody, lambda m: m is None, ()]),
    st.tuples(parts),
    st.tuples(parts, parts),
    st.builds(Point, parts, parts),
    st.tuples(st.just("t"), st.one_of(parts, st.tuples(parts, parts), st.builds(Point, parts, parts))),
)


def first(model: list[Any], pattern: Any) -> Any:
    """Take what a receive takes from a list."""
    fits = (lambda _: True) if pattern is None else matcher(pattern)
    for i, message in enumerate(model):
        if fits(message):
            return model.pop(i)
    return MISSING


def identical(a: list[Any], b: list[Any]) -> bool:
    """Equal to the last type: 1, True and 1.0 are three messages."""
    return [(type(m), repr(m)) for m in a] == [(type(m), repr(m)) for m in b]


class Boxes(RuleBasedStateMachine):
    """A mailbox beside a list."""

    @initialize(limited=st.booleans(), early=st.lists(values, max_size=5))
    def begin(self, limited: bool, early: list[Any]) -> None:
        Moody.wanted = 0
        self.full: list[int] = []
        self.model = list(early)
        if limited:
            self.box: Mailbox = LimitedMailbox(10, 2000, self.full.append)
            for message in early:
                self.box.append(message)
        else:
            self.box = Mailbox(early)

    @rule(message=values)
    def append(self, message: Any) -> None:
        told = len(self.full)
        self.box.append(message)
        self.model.append(message)
        if isinstance(self.box, LimitedMailbox):
            over = len(self.model) > 10 or sum(map(weight, self.model)) > 2000
            assert self.full[told:] == ([len(self.model)] if over else [])

    @rule()
    def popleft(self) -> None:
        if self.model:
            assert identical([self.box.popleft()], [self.model.pop(0)])

    @rule(pattern=patterns)
    def take(self, pattern: Any) -> None:
        found = self.box.take(_remembered(pattern), matcher(pattern))
        assert identical([found], [first(self.model, pattern)])

    @rule(pattern=patterns)
    def discard(self, pattern: Any) -> None:
        assert self.box.discard(matcher(pattern)) == (first(self.model, pattern) is not MISSING)

    @rule(moods=st.lists(atoms, max_size=3))
    def take_by_mood(self, moods: list[Any]) -> None:
        for Moody.wanted in moods:
            self.take(moody)

    @rule(after=st.integers(0, 5))
    def take_with_a_predicate_that_raises(self, after: int) -> None:
        left = after

        def fits(_: Any) -> bool:
            nonlocal left
            left -= 1
            if left < 0:
                raise LookupError
            return False

        try:
            found = self.box.take(MISSING, fits)
        except LookupError:
            assert len(self.model) > after
        else:
            assert found is MISSING

    @invariant()
    def alike(self) -> None:
        if not hasattr(self, "box"):
            return
        assert identical(messages(self.box), self.model)
        assert bool(self.box) == bool(self.model)
        assert self.box.total() == len(self.model)
        if isinstance(self.box, LimitedMailbox):
            assert self.box.used == sum(map(weight, self.model))


TestBoxes = Boxes.TestCase
TestBoxes.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


# in processes

NOTHING = object()


def taken(model: list[Any], pattern: Any) -> Any:
    found = first(model, pattern)
    return NOTHING if found is MISSING else found


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), values),
        st.tuples(st.just("later"), values),
        st.tuples(st.just("receive"), patterns),
        st.tuples(st.just("receive"), st.none()),
        st.tuples(st.just("look"), st.one_of(st.none(), patterns)),
        st.tuples(st.just("give up"), patterns),
        st.tuples(st.just("turn"), st.none()),
    ),
    max_size=15,
)


async def follow(program: list[tuple[str, Any]], limit: int | None) -> None:
    """Do the steps in a process, and with a list; what another process sends later comes while a receive waits."""

    async def body() -> None:
        me = bp.self()
        model: list[Any] = []
        on_its_way: list[Any] = []

        async def later() -> None:
            async for message in bp.mailbox():
                await asyncio.sleep(1000)  # longer than all that gives up
                bp.send(me, message[0])

        sender = bp.spawn(later)
        for verb, what in program:
            if verb == "send":
                bp.send(me, what)
                model.append(what)
            elif verb == "later":
                bp.send(sender, (what,))
                on_its_way.append(what)
            elif verb == "receive":
                expected = taken(model, what)
                if taken(list(on_its_way), what) is not NOTHING:
                    while expected is NOTHING:
                        model.append(on_its_way.pop(0))
                        expected = taken(model, what)
                if expected is NOTHING:
                    assert await bp.receive(what, timeout=0.5, default=NOTHING) is NOTHING
                else:
                    assert identical([await bp.receive(what)], [expected])
            elif verb == "look":
                assert identical([await bp.receive(what, timeout=0, default=NOTHING)], [taken(model, what)])
            elif verb == "give up":
                expected = taken(model, what)
                try:
                    async with asyncio.timeout(0.1):
                        found = await bp.receive(what)
                except TimeoutError:
                    found = NOTHING
                assert identical([found], [expected])
            else:
                await asyncio.sleep(0)
        assert identical([await bp.receive() for _ in model], model)
        assert await bp.receive(timeout=0, default=NOTHING) is NOTHING

    await harness.run(body, max_mailbox=limit)


@settings(max_examples=400, deadline=None)
@given(
    early=st.lists(values, max_size=6),
    plain=st.integers(0, 3),
    program=steps,
    limit=st.sampled_from([None, 1000]),
)
def test_receives_of_a_process(early: list[Any], plain: int, program: list[tuple[str, Any]], limit: int | None) -> None:
    # A backlog of which some is taken first: that is what the scheduler gives in slices.
    begin = [("send", message) for message in early] + [("receive", None)] * plain
    simloop.run(follow, begin + program, limit)
