"""The rules of the ledger by name, one node at a time: its own objects, and what it lends.

Their interleavings: tests/property/test_ledger_explored.py.
"""

from __future__ import annotations

import pickle

import pytest

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import Free
from beampy.refs.ledger_messages import Gone, Return
from beampy.refs.ledger_tables import Holder
from tests.unit.refs.ledger_alone import A, B, C, X, Y, ledger, receive

# one's own objects


def test_an_object_is_freed_when_its_last_hold_is_dropped():
    one = ledger()
    one.own(X)
    assert one.exists(X)
    one.drop(X)
    assert not one.exists(X)
    assert one.flush() == [Free(X)]
    assert one.flush() == []
    assert one.is_empty()


def test_to_drop_what_is_not_known_is_nothing():
    one = ledger()
    one.drop(X)
    assert one.flush() == []


def test_an_object_of_another_start_is_not_ones_own():
    with pytest.raises(ValueError, match="a@h"):
        ledger(creation=9).own(X)


def test_twice_held_is_once():
    one = ledger()
    one.own(X)
    one.hold(X)
    one.drop(X)
    assert one.flush() == [Free(X)]


def test_what_was_freed_does_not_come_to_life_by_a_hold():
    one = ledger()
    one.own(X)
    one.drop(X)
    one.hold(X)
    assert not one.exists(X)
    assert one.trouble(X) == "expired"
    one.drop(X)
    assert one.is_empty()
    assert one.flush() == [Free(X)]


def test_what_an_earlier_start_of_this_node_owned_is_lost():
    one = ledger(creation=9)
    one.hold(X)
    assert one.trouble(X) == "lost"


# lending


def test_what_is_lent_lives_until_every_transfer_is_returned():
    one = ledger(b=5)
    one.own(X)
    assert one.lend(1, [X, X]) == [1, 2]
    assert one.shared()
    one.drop(X)
    one.heard(B, Return([2]), 0.0)
    assert one.flush() == []
    one.heard(B, Return([2]), 0.0)  # once more
    assert one.exists(X)
    one.heard(B, Return([1]), 0.0)
    assert one.flush() == [Free(X)]
    assert not one.shared()


def test_transfers_are_never_used_again():
    one = ledger(b=5, c=6)
    one.own(X)
    assert one.lend(1, [X]) + one.lend(2, [X]) == [1, 2]
    one.withdraw([1, 2])
    assert one.lend(1, [X]) == [3]


def test_a_message_that_is_not_written_lends_nothing():
    one = ledger(b=5)
    one.own(X)
    transfers = one.lend(1, [X])
    one.drop(X)
    one.withdraw(transfers)
    one.withdraw(transfers)
    assert one.flush() == [Free(X)]


def test_an_attempt_to_connect_that_fails_has_lent_nothing():
    one = ledger()
    session = one.session(B)
    one.own(X)
    one.lend(session, [X])
    one.drop(X)
    one.unsent(session)
    one.unsent(session)
    assert one.flush() == [Free(X)]
    assert one.due() is None
    assert one.wants() == []


def test_a_session_that_is_followed_by_another_was_never_written():
    one = ledger()
    one.own(X)
    one.lend(one.session(B), [X])
    one.session(B)
    assert not one.shared()


def test_a_session_that_has_ended_lends_nothing():
    one = ledger(b=5)
    one.own(X)
    one.closed(B, 0.0)
    assert one.lend(1, [X]) == [1]
    assert not one.shared()


@pytest.mark.parametrize("creation", [4, 9])
def test_an_owner_sends_what_is_no_more_with_transfer_0(creation):
    one = ledger(creation=creation, b=5)
    other = ObjectId(A, creation, 2)
    one.own(other)
    one.hold(X)
    assert one.trouble(X) is not None
    assert one.lend(1, [X, other, X]) == [0, 2, 0]
    one.withdraw([0, 2, 0])
    assert not one.shared()
    assert one.lend(1, [other]) == [4]
    assert one.flush() == []


def test_an_owner_says_so_too_in_a_message_that_waits_for_a_connection():
    one = ledger()
    one.hold(X)
    assert one.lend(one.session(B), [X]) == [0]
    one.opened(B, 5, 0.0)
    assert one.flush() == []


def test_what_is_in_trouble_and_somebody_elses_is_not_lent():
    one = ledger(b=5, c=6)
    receive(one, B, (Y, 7))
    one.heard(B, Gone(5, [1]), 0.0)
    assert one.lend(2, [Y]) == [1]
    one.drop(Y)
    assert one.is_empty()


def test_holders_are_those_to_whom_it_is_lent():
    one = ledger(b=5, c=6)
    one.own(X)
    one.lend(1, [X])
    one.lend(2, [X, X])
    one.closed(C, 0.0)
    assert one.holders(X) == [Holder(B, 5, 1, "connected"), Holder(C, 6, 2, "away")]
    one.dead(C, 6, 0.0)
    assert one.holders(X)[1] == Holder(C, 6, 2, "ended")
    assert one.holders(Y) == []


# data


def test_a_ledger_is_plain_data():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    again = pickle.loads(pickle.dumps(one))
    again.drop(X)
    again.heard(B, Return([1]), 0.0)
    assert again.flush() == [Free(X)]
    assert one.exists(X)
