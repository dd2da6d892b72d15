"""The rules of the ledger by name, one node at a time: connections that are lost and come back, and leases."""

from __future__ import annotations

import pytest

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import LEASE, Free, Send
from beampy.refs.ledger_messages import Gone, Question, Renew, Return, Statement, Void
from beampy.refs.ledger_tables import Holder
from tests.unit.refs.ledger_alone import A, B, C, X, Y, ledger, receive

# connections


def test_a_question_is_asked_when_a_connection_opens_and_something_was_lent_before():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.closed(B, 0.0)
    session = one.session(B)
    one.lend(session, [X])
    one.opened(B, 5, 1.0)
    assert one.flush() == [Send(B, Question(1))]


def test_the_statement_lists_what_is_kept_up_to_there():
    one = ledger(b=5)
    receive(one, B, (Y, 9), (ObjectId(B, 5, 2), 3))
    one.heard(B, Question(8), 0.0)
    assert one.flush() == [Send(B, Statement(1, 8, [(3, ObjectId(B, 5, 2))]))]


def test_what_is_returned_while_the_connection_is_lost_is_not_listed():
    one = ledger(b=5)
    receive(one, B, (Y, 9))
    one.closed(B, 0.0)
    one.drop(Y)
    assert one.flush() == []
    one.opened(B, 5, 0.0)
    one.heard(B, Question(9), 0.0)
    assert one.flush() == [Send(B, Statement(1, 9, []))]


def doubtful(count):
    """A ledger that has lent that many objects in a session that was lost, and one in the new one."""
    one = ledger(b=5)
    ids = [ObjectId(A, 4, number) for number in range(1, count + 2)]
    for id in ids:
        one.own(id)
    one.lend(1, ids[:-1])
    one.closed(B, 0.0)
    one.lend(one.session(B), ids[-1:])
    one.opened(B, 5, 0.0)
    one.flush()
    for id in ids:
        one.drop(id)
    return one, ids


def test_what_a_statement_does_not_list_was_lost():
    one, ids = doubtful(3)
    one.heard(B, Statement(1, 3, [(2, ids[1])]), 0.0)
    assert one.flush() == [Free(ids[0]), Free(ids[2])]
    assert one.exists(ids[1])
    assert one.exists(ids[3])


def test_a_statement_may_come_in_parts_and_claim_nothing_of_this_session():
    one, ids = doubtful(3)
    one.heard(B, Statement(1, 1, []), 0.0)
    assert one.flush() == [Free(ids[0])]
    one.heard(B, Return([3]), 0.0)
    assert one.flush() == [Free(ids[2])]
    one.heard(B, Statement(2, 100, [(2, ids[1])]), 0.0)
    assert one.flush() == []
    assert one.exists(ids[1])
    assert one.exists(ids[3])


def test_a_statement_of_many_parts_is_read_in_one_go():
    one, ids = doubtful(2000)
    for number in range(1, 2001):
        one.heard(B, Statement(number, number, [(number, ids[number - 1])] if number % 2 else []), 0.0)
    assert len(one.flush()) == 1000


def test_while_a_peer_is_not_open_its_ledger_says_nothing():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.closed(B, 0.0)
    one.heard(B, Return([1]), 0.0)
    one.heard(C, Return([1]), 0.0)
    assert one.shared()


def test_sessions_and_connections_do_not_overlap():
    one = ledger(b=5)
    with pytest.raises(RuntimeError, match=B):
        one.session(B)
    with pytest.raises(RuntimeError, match=B):
        one.opened(B, 5, 0.0)


# order


def test_a_return_is_sent_after_the_statement_that_lists_it():
    one = ledger(b=5)
    receive(one, B, (Y, 7))
    one.heard(B, Question(7), 0.0)
    one.drop(Y)
    assert one.flush() == [Send(B, Statement(1, 7, [(7, Y)])), Send(B, Return([7]))]


# leases


def test_a_lease_is_over_a_while_after_the_connection_was_lost():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.drop(X)
    assert one.due() is None
    one.closed(B, 10.0)
    assert one.wants() == [B]
    assert one.due() == 10.0 + LEASE
    one.tick(10.0 + LEASE - 0.1)
    assert one.flush() == []
    one.tick(10.0 + LEASE)
    assert one.flush() == [Free(X)]
    assert one.due() is None
    assert one.wants() == []


def test_a_connection_in_time_saves_what_is_lent():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.closed(B, 0.0)
    one.opened(B, 5, 59.0)
    one.tick(100.0)
    assert one.shared()
    one.closed(B, 100.0)
    assert one.due() == 100.0 + LEASE


def test_a_lease_does_not_end_what_waits_for_a_connection():
    one = ledger(b=5)
    one.own(X)
    one.closed(B, 0.0)
    one.lend(one.session(B), [X])
    one.tick(LEASE)
    assert one.shared()


def test_a_holder_tries_for_a_lease_to_come_back():
    one = ledger(b=5)
    receive(one, B, (Y, 7))
    one.closed(B, 0.0)
    assert one.wants() == [B]
    one.tick(LEASE)
    assert one.wants() == []
    assert one.trouble(Y) is None  # only the owner knows


def expired(keep=True):
    """The ledger of an owner whose peer comes back after its lease, with a transfer of the object."""
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    one.closed(B, 0.0)
    if not keep:
        one.drop(X)
    one.tick(LEASE)
    one.opened(B, 5, LEASE + 1)
    one.flush()
    one.heard(B, Statement(1, 1, [(1, X)]), LEASE + 1)
    return one


def test_who_comes_back_after_its_lease_is_lent_the_object_anew_if_it_is_there():
    one = expired()
    assert one.flush() == [Send(B, Renew([(1, 2)]))]
    assert one.holders(X) == [Holder(B, 5, 1, "connected")]


def test_who_comes_back_after_its_lease_is_told_if_the_object_is_gone():
    assert expired(keep=False).flush() == [Send(B, Gone(4, [1]))]


def test_a_renewal_takes_the_place_of_what_expired():
    one = ledger(b=5)
    receive(one, B, (Y, 7))
    one.heard(B, Renew([(7, 9)]), 0.0)
    one.heard(B, Renew([(7, 9)]), 0.0)
    one.drop(Y)
    assert one.flush() == [Send(B, Return([7, 9]))]
    one.heard(B, Renew([(7, 9)]), 0.0)
    assert one.flush() == [Send(B, Return([9]))]


def test_a_renewal_of_what_was_replaced_is_returned():
    one = ledger(b=5)
    receive(one, B, (Y, 7), (Y, 8))
    one.flush()
    one.heard(B, Renew([(7, 9)]), 0.0)
    assert one.flush() == [Send(B, Return([9]))]


def test_a_third_whose_lease_was_over_says_that_its_transfer_is_void():
    one = ledger(b=5, c=6)
    receive(one, B, (Y, 7))
    one.lend(2, [Y])
    one.closed(C, 0.0)
    one.tick(LEASE)
    one.opened(C, 6, LEASE)
    one.flush()
    one.heard(C, Statement(1, 1, [(1, Y)]), LEASE)
    assert one.flush() == [Send(C, Void([1]))]


def test_a_void_lifeline_is_none():
    one = ledger(c=6, d=7)
    receive(one, C, (Y, 7))
    one.heard(C, Void([7]), 0.0)
    one.heard(C, Void([7]), 0.0)
    receive(one, "d@h", (Y, 9))
    one.flush()
    one.drop(Y)
    assert one.flush() == [Send("d@h", Return([9]))]


def test_a_registration_is_not_void():
    one = ledger(b=5)
    receive(one, B, (Y, 7))
    one.heard(B, Void([7]), 0.0)
    one.drop(Y)
    assert one.flush() == [Send(B, Return([7]))]
