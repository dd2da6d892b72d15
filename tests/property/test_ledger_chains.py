"""What the world of ledgers takes for broken, and what not: single stories, over some of which walks have stumbled."""

from __future__ import annotations

import pytest

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import Ledger
from tests.property.ledger_chains import Broken
from tests.property.ledger_events import Left, events
from tests.property.ledger_ground import World

A, B, C, D = range(4)
ANYTHING = Left(1, 1, 1, 1, 1, 1, 1, 1)


def story(*steps, owner=A, size=4, make=Ledger):
    """A world in which node `owner` has made one object, x, and these things have happened: all of them were possible
    when they did, and no chain has broken."""
    world = World(size, [owner], make=make)
    (x,) = world.handles[owner]
    for name, *args in steps:
        event = (name, *(_with(x, arg) for arg in args))
        assert event in [one for one, _ in events(world, ANYTHING)], f"{event} cannot happen"
        getattr(world, name)(*event[1:])
        world.check()
    return world, x


def calm(world):
    while not world.is_calm():
        world.deliver_all()


def _with(x, arg):
    return x if arg == "x" else (x,) if arg == ("x",) else arg


# what a node sends that is not kept itself


def test_what_a_loose_node_has_sent_is_loose_when_it_has_crashed():
    world, x = story(
        ("send", A, B, ("x",)),
        ("drop", A, "x"),
        ("close", A, B),
        ("receive", A, B, 0),
        ("expire", A),
        ("send", B, C, ("x",)),
        ("crash", B),
    )
    assert x in world.freed
    world.receive(B, C, 0)
    world.check()
    world.wind_down()


def test_what_is_lent_again_in_an_attempt_that_fails_does_not_keep_what_was_lent_before_the_lease():
    world, x = story(
        ("send", A, B, ("x",)),
        ("close", A, B),
        ("send", A, B, ("x",)),
        ("drop", A, "x"),
        ("expire", A),
    )
    assert x not in world.freed
    world.fail_to_connect(A, B)
    world.check()
    assert x in world.freed
    world.wind_down()


def test_who_has_lent_and_holds_no_handle_is_loose_too():
    world, x = story(
        ("send", B, C, ("x",)),
        ("drop", B, "x"),
        ("receive", B, C, 0),
        ("send", C, A, ("x",)),
        ("receive", C, A, 0),
        ("crash", C),
        ("close", A, C, True),
        ("close", A, B),
        ("send", A, C, ("x",)),
        ("drop", A, "x"),
        ("close", B, C),
        ("tell_dead", B, C),
        ("grace", B),
        owner=B,
    )
    assert x in world.freed
    world.wind_down()


# what an owner says of an object that is no more


STALE = (
    ("send", A, B, ("x",)),
    ("receive", A, B, 0),
    ("drop", A, "x"),
    ("close", B, A),
    ("close", A, B),
    ("send", B, A, ("x",)),
    ("drop", B, "x"),
    ("expire", A),
    ("connect", A, B),
    ("receive", B, A, 0),  # an owner has it back, and has freed it
    ("send", A, B, ("x",)),
)


def test_an_owner_that_sends_what_it_has_freed_leaves_nobody_in_the_belief_that_it_is_registered():
    world, x = story(*STALE)
    calm(world)
    world.receive(A, B, 0)
    assert world.ledgers[B].trouble(x) == "expired"
    world.wind_down()


class SaysGoneBesides(Ledger):
    """Sends what is no more with a transfer as any other, and a Gone, which may come before it."""

    def lend(self, session, ids):
        transfers = super().lend(session, ids)
        page = self._current[session]
        for place, id in enumerate(ids):
            if not transfers[place]:
                self._counter += 1
                transfers[place] = self._counter
                if page.open:
                    page.gone.append((id.creation, id.number))
                    self._dirty[page] = None
        return transfers


def test_that_it_is_gone_must_come_with_the_message():
    world, _ = story(*STALE, make=SaysGoneBesides)
    calm(world)
    with pytest.raises(Broken, match="is not registered"):
        world.wind_down()


# what may be known of deaths


def test_nobody_is_known_to_be_dead_because_an_earlier_start_is():
    world, _ = story(("crash", B), ("close", A, B), ("connect", A, B), ("crash", C), ("close", A, C))
    world.close(B, A)
    offered = [event for event, _ in events(world, ANYTHING)]
    assert ("close", A, B) in offered
    assert ("close", A, B, True) not in offered


def test_the_death_of_the_start_that_was_connected_may_be_known():
    world, _ = story(("crash", B))
    assert ("close", A, B, True) in [event for event, _ in events(world, ANYTHING)]


# chains


def test_who_is_lent_to_by_the_dead_is_kept_until_the_grace_is_over():
    world, x = story(
        ("send", A, B, ("x",)),
        ("receive", A, B, 0),
        ("drop", A, "x"),
        ("send", B, C, ("x",)),
        ("receive", B, C, 0),
        ("crash", B),
        ("close", C, B, True),
        ("close", A, B, True),
    )
    assert world.ghosts
    assert (x, C) not in world.loose
    assert world.ledgers[A].exists(x)
    calm(world)
    world.grace(A)
    world.check()
    assert not world.ghosts
    assert world.is_registered(C, x)
    world.wind_down()


def test_a_lease_that_is_over_tears_only_the_chains_that_it_was_part_of():
    world, x = story(
        ("send", A, B, ("x",)),
        ("receive", A, B, 0),
        ("send", A, C, ("x",)),
        ("receive", A, C, 0),
        ("close", A, B),
        ("expire", A),
    )
    assert world.loose == {(x, B)}
    world.ledgers[C]._pages["a"].kept.clear()
    with pytest.raises(Broken, match=r"2 has .*, and nothing keeps it for 2"):
        world.check()


def test_a_transfer_that_nobody_has_written_down_is_broken_before_anything_is_freed():
    world, x = story(("send", A, B, ("x",)))
    world.ledgers[A]._pages["b"].lent.clear()
    assert x not in world.freed
    with pytest.raises(Broken, match="on its way from 0, and nothing keeps it"):
        world.check()


def test_another_object_under_the_number_of_a_transfer_keeps_nothing():
    world, _ = story(("send", A, B, ("x",)), ("receive", A, B, 0))
    page = world.ledgers[A]._pages["b"]
    world.make(A)
    page.lent[1] = world.ledgers[A]._entries[ObjectId("a", 4, 2)]
    with pytest.raises(Broken, match="nothing keeps it for 1"):
        world.check()


def test_the_dead_keep_nothing_for_whom_they_had_it_returned():
    world, x = story(
        ("send", B, A, ("x",)),
        ("receive", B, A, 0),
        ("send", A, C, ("x",)),
        ("receive", A, C, 0),
        ("deliver", C, B),  # it asks
        ("send", C, D, ("x",)),
        ("close", A, B),
        ("close", A, C),
        ("deliver", B, C),  # it is registered, and what it returns does not arrive
        ("crash", A),
        ("crash", C),
        ("close", B, C, True),
        ("grace", B),
        owner=B,
    )
    assert [id for id, whose in world.loose if not isinstance(whose, int)] == [x]
    world.wind_down()


def test_who_was_kept_by_the_dead_and_dies_too_keeps_those_behind_until_the_grace_is_over():
    world, x = story(
        ("send", A, B, ("x",)),
        ("receive", A, B, 0),
        ("drop", A, "x"),
        ("send", B, C, ("x",)),
        ("receive", B, C, 0),
        ("send", C, D, ("x",)),
        ("close", C, A),
        ("crash", B),
        ("close", C, B, True),
        ("crash", C),
        ("receive", C, D, 0),
    )
    assert not world.loose
    assert (x, (B, 4)) in world.ghosts
    assert (x, (C, 4)) in world.ghosts
    world.wind_down()


def test_a_message_of_the_dead_keeps_nothing_for_its_receiver_before_it_arrives():
    world, x = story(
        ("send", C, A, ("x",)),
        ("send", C, B, ("x",)),
        ("receive", C, A, 0),
        ("receive", C, B, 0),
        ("close", C, A),
        ("send", B, A, ("x",)),
        ("crash", B),
        ("expire", C),
        owner=C,
    )
    assert world.loose == {(x, A)}
    world.close(A, B, known_dead=True)
    world.check()
    assert (x, A) in world.loose
    world.wind_down()


def test_who_is_behind_a_node_that_has_taken_what_was_loose_is_loose_too():
    world, x = story(
        ("send", A, B, ("x",)),
        ("receive", A, B, 0),
        ("send", B, C, ("x",)),
        ("receive", B, C, 0),
        ("send", C, D, ("x",)),
        ("deliver", C, A),  # it asks
        ("close", A, C),
        ("expire", A),
        ("receive", C, D, 0),
        ("deliver", A, C),  # it is lent what has expired, and returns its lifeline
    )
    assert {(x, C), (x, D)} <= world.loose
    assert (x, B) not in world.loose
    world.wind_down()
