"""The rules of the ledger by name, one node at a time: what is gone, and the deaths of nodes."""

from __future__ import annotations

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import DEAD_GRACE, LEASE, Expired, Free, Lost, Send
from beampy.refs.ledger_messages import Ask, Gone, Lend, Question, Return, Statement
from tests.unit.refs.ledger_alone import B, C, X, Y, ledger, receive

# what is gone


def test_what_is_gone_at_its_owner_is_expired():
    one = ledger(b=5, c=6)
    receive(one, C, (Y, 7))
    one.flush()
    one.heard(B, Gone(5, [1]), 0.0)
    one.heard(B, Gone(5, [1]), 0.0)
    assert one.flush() == [Expired(Y), Send(C, Return([7]))]
    assert one.trouble(Y) == "expired"
    receive(one, C, (Y, 8))
    assert one.flush() == [Send(C, Return([8]))]
    one.drop(Y)
    assert one.trouble(Y) is None
    assert one.is_empty()


def test_what_is_gone_and_lent_on_stays_in_trouble_until_it_is_returned():
    one = ledger(b=5, c=6)
    receive(one, B, (Y, 7))
    one.lend(2, [Y])
    one.drop(Y)
    one.heard(B, Gone(5, [1]), 0.0)
    assert one.flush() == []
    one.heard(C, Return([1]), 0.0)
    assert one.flush() == []
    assert one.is_empty()


def test_what_its_owner_sends_with_transfer_0_is_expired():
    one = ledger(b=5)
    receive(one, B, (Y, 0))
    assert one.trouble(Y) == "expired"
    receive(one, B, (Y, 0))
    assert one.flush() == [Expired(Y)]
    one.drop(Y)
    assert one.flush() == []
    assert one.is_empty()


def test_it_is_expired_where_a_gone_came_before_the_message_and_nothing_was_held():
    one = ledger(b=5)
    one.heard(B, Gone(5, [1]), 0.0)
    receive(one, B, (Y, 0))
    assert one.flush() == [Expired(Y)]


def test_it_is_expired_where_it_is_registered_by_a_transfer_whose_lease_is_over():
    one = ledger(b=5)
    receive(one, B, (Y, 7), (Y, 0))
    assert one.flush() == [Expired(Y)]
    one.heard(B, Question(7), 0.0)
    assert one.flush() == [Send(B, Statement(1, 7, []))]
    one.drop(Y)
    assert one.is_empty()


def test_it_is_expired_where_a_third_has_lent_it():
    one = ledger(b=5, c=6)
    receive(one, C, (Y, 7))
    one.flush()
    receive(one, B, (Y, 0))
    assert one.flush() == [Expired(Y), Send(C, Return([7]))]


def test_of_an_earlier_start_of_the_sender_it_is_lost():
    one, before = ledger(b=5), ObjectId(B, 3, 1)
    receive(one, B, (before, 0))
    assert one.flush() == [Lost(before)]


def test_transfer_0_of_what_is_not_held_any_more_is_nothing():
    one = ledger(b=5)
    one.arrived(B, [(Y, 0)])
    assert one.flush() == []
    assert one.is_empty()


def test_an_owner_says_of_another_starts_objects_that_they_are_gone():
    one = ledger(b=5)
    one.own(X)
    one.heard(B, Ask(3, 3, [1]), 0.0)
    one.heard(B, Ask(4, 4, [1, 2]), 0.0)
    assert one.flush() == [Send(B, Gone(3, [1])), Send(B, Gone(4, [2])), Send(B, Lend(4, [(1, 1)]))]


def test_what_another_start_says_is_gone_is_lost():
    one = ledger(b=6, c=7)
    receive(one, C, (Y, 7))
    assert one.flush() == [Send(B, Ask(1, 5, [1]))]
    one.heard(B, Gone(5, [1]), 0.0)
    assert one.flush() == [Lost(Y), Send(C, Return([7]))]


# deaths


def test_a_known_death_frees_after_the_grace():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.drop(X)
    one.closed(B, 10.0, known_dead=True)
    assert one.wants() == []
    assert one.due() == 10.0 + DEAD_GRACE
    assert one.flush() == []
    one.tick(10.0 + DEAD_GRACE)
    assert one.flush() == [Free(X)]
    assert one.due() is None


def test_in_the_grace_others_can_ask():
    one = ledger(b=5, c=6)
    one.own(X)
    one.lend(1, [X])
    one.drop(X)
    one.closed(B, 0.0, known_dead=True)
    one.heard(C, Ask(1, 4, [1]), 0.5)
    one.tick(DEAD_GRACE)
    assert one.flush() == [Send(C, Lend(1, [(1, 2)]))]
    assert one.exists(X)


def test_a_death_that_is_told_counts_when_the_connection_is_closed():
    one = ledger(b=5)
    receive(one, B, (Y, 7))
    one.dead(B, 5, 0.0)
    assert one.trouble(Y) is None
    one.closed(B, 0.0)
    assert one.flush() == [Lost(Y)]


def test_the_death_of_a_start_that_was_never_connected_loses_what_it_owned():
    one = ledger(c=6)
    receive(one, C, (Y, 7))
    one.flush()
    one.dead(B, 5, 0.0)
    assert one.flush() == [Lost(Y), Send(C, Return([7]))]
    assert one.wants() == []
    one.drop(Y)
    receive(one, C, (Y, 8))
    assert one.trouble(Y) == "lost"
    assert one.flush() == [Send(C, Return([8]))]


def test_another_start_ends_the_one_before():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.drop(X)
    receive(one, B, (Y, 7))
    one.closed(B, 0.0)
    one.opened(B, 6, 10.0)
    assert one.flush() == [Lost(Y), Send(B, Question(1))]
    one.heard(B, Statement(1, 1, []), 10.0)
    assert one.exists(X)
    one.tick(10.0 + DEAD_GRACE)
    assert one.flush() == [Free(X)]


def test_the_lifeline_of_a_dead_node_is_none():
    one = ledger(b=5, c=6)
    receive(one, C, (Y, 7))
    one.closed(C, 0.0, known_dead=True)
    one.opened(C, 8, 0.0)
    one.heard(C, Question(9), 0.0)
    assert Send(C, Statement(1, 9, [])) in one.flush()
    one.heard(B, Lend(1, [(1, 3)]), 0.0)
    assert one.flush() == []
    one.drop(Y)
    assert one.flush() == [Send(B, Return([3]))]


def test_who_was_taken_for_dead_and_comes_back_in_the_grace_has_lost_nothing():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.drop(X)
    one.closed(B, 0.0, known_dead=True)
    one.session(B)
    one.opened(B, 5, 0.5)
    one.flush()
    one.heard(B, Statement(1, 1, [(1, X)]), 0.5)
    one.tick(LEASE)
    assert one.exists(X)
    one.heard(B, Return([1]), LEASE)
    assert one.flush() == [Free(X)]


def test_what_is_known_of_ended_starts_is_bounded(monkeypatch):
    monkeypatch.setattr("beampy.refs.ledger.MAX_ENDED", 3)
    one = ledger()
    for creation in range(4, 10):
        one.dead(B, creation, 0.0)
    assert len(one._ended) == 3
    one.hold(ObjectId(B, 9, 1))
    assert one.trouble(ObjectId(B, 9, 1)) == "lost"
