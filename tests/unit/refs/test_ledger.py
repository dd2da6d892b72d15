"""The rules of the ledger by name, one node at a time. Their interleavings: tests/property/test_ledger_explored.py."""

from __future__ import annotations

import pickle

import pytest

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import DEAD_GRACE, LEASE, Connect, Expired, Free, Ledger, Lost, Send
from beampy.refs.ledger_messages import Ask, Gone, Lend, Question, Renew, Return, Statement, Void
from beampy.refs.ledger_tables import Holder

A, B, C = "a@h", "b@h", "c@h"
X = ObjectId(A, 4, 1)
Y = ObjectId(B, 5, 1)


def ledger(name=A, creation=4, **peers):
    """A ledger that is connected with these peers; nothing is to be done. Its sessions are 1, 2, …, in their order."""
    one = Ledger(name, creation)
    for peer, start in peers.items():
        one.session(f"{peer}@h")
        one.opened(f"{peer}@h", start, 0.0)
    assert one.flush() == []
    return one


def receive(one, peer, *entries):
    for id, _ in entries:
        one.hold(id)
    one.arrived(peer, entries)


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


def test_what_is_in_trouble_is_not_lent_and_its_owner_says_so():
    one = ledger(b=5)
    one.hold(X)
    assert one.lend(1, [X]) == [1]
    assert not one.shared()
    assert one.flush() == [Send(B, Gone(4, [1]))]


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


# receiving


def test_the_owner_returns_at_once():
    one = ledger(b=5)
    one.own(X)
    receive(one, B, (X, 7))
    assert one.flush() == [Send(B, Return([7]))]
    assert one.exists(X)


def test_the_owners_transfer_is_kept_until_the_last_drop():
    one = ledger(b=5)
    receive(one, B, (Y, 7))
    assert one.flush() == []
    one.drop(Y)
    assert one.flush() == [Send(B, Return([7]))]
    assert one.is_empty()


@pytest.mark.parametrize(("first", "then"), [(7, 9), (9, 7)])
def test_of_two_registrations_the_older_one_is_returned(first, then):
    one = ledger(b=5)
    receive(one, B, (Y, first), (Y, then))
    assert one.flush() == [Send(B, Return([7]))]
    one.drop(Y)
    assert one.flush() == [Send(B, Return([9]))]


def test_a_lifeline_is_kept_until_the_owner_has_lent():
    one = ledger(b=5, c=6)
    receive(one, C, (Y, 7))
    assert one.flush() == [Send(B, Ask(1, 5, [1]))]
    one.heard(B, Lend(1, [(1, 3)]), 0.0)
    assert one.flush() == [Send(C, Return([7]))]
    receive(one, C, (Y, 8))
    assert one.flush() == [Send(C, Return([8]))]
    one.drop(Y)
    assert one.flush() == [Send(B, Return([3]))]


def test_what_is_dropped_before_the_answer_is_returned_and_so_is_the_answer():
    one = ledger(b=5, c=6)
    receive(one, C, (Y, 7))
    one.flush()
    one.drop(Y)
    assert one.flush() == [Send(C, Return([7]))]
    one.heard(B, Lend(1, [(1, 3)]), 0.0)
    assert one.flush() == [Send(B, Return([3]))]
    assert one.is_empty()


def test_what_is_received_and_dropped_between_two_flushes_is_not_asked_for():
    one = ledger(b=5, c=6)
    receive(one, C, (Y, 7))
    one.drop(Y)
    assert one.flush() == [Send(C, Return([7]))]


def test_a_copy_of_a_lend_that_was_returned_does_not_count():
    one = ledger(b=5, c=6)
    receive(one, C, (Y, 7))
    one.flush()
    one.drop(Y)
    one.heard(B, Lend(1, [(1, 3)]), 0.0)
    receive(one, C, (Y, 8))
    one.flush()
    one.heard(B, Lend(1, [(1, 3)]), 0.0)
    assert one.flush() == [Send(B, Return([3]))]
    one.heard(B, Lend(2, [(1, 4)]), 0.0)
    one.heard(B, Lend(2, [(1, 4)]), 0.0)
    assert one.flush() == [Send(C, Return([8]))]


def test_what_arrives_and_is_not_held_is_returned():
    one = ledger(b=5)
    one.arrived(B, [(Y, 7)])
    assert one.flush() == [Send(B, Return([7]))]


def test_a_message_of_a_peer_that_was_never_connected_is_an_error():
    with pytest.raises(RuntimeError, match=B):
        ledger().arrived(B, [(Y, 7)])


def test_what_is_lent_on_is_needed():
    one = ledger(b=5, c=6)
    receive(one, B, (Y, 7))
    one.lend(2, [Y])
    one.drop(Y)
    assert one.flush() == []
    assert not one.shared()  # it is not ours
    one.heard(C, Return([1]), 0.0)
    assert one.flush() == [Send(B, Return([7]))]


def test_an_owner_that_is_not_connected_is_wanted_and_asked_when_it_opens():
    one = ledger(c=6)
    receive(one, C, (Y, 7))
    assert one.flush() == [Connect(B)]
    assert one.wants() == [B]
    one.session(B)
    one.opened(B, 5, 0.0)
    assert one.flush() == [Send(B, Ask(1, 5, [1]))]
    assert one.wants() == []
    one.closed(B, 0.0)
    assert one.wants() == [B]
    one.opened(B, 5, 0.0)
    assert one.flush() == [Send(B, Ask(2, 5, [1]))]


def test_a_peer_of_whom_nothing_is_left_is_forgotten():
    one = ledger(c=6)
    receive(one, C, (Y, 7))
    assert B in one._pages
    one.drop(Y)
    assert B not in one._pages
    one.closed(C, 0.0)
    assert C not in one._pages


# hand-overs while the owner is out of reach


def test_without_the_owner_one_lifeline_of_a_connected_node_is_enough():
    one = ledger(c=6, d=7)
    receive(one, C, (Y, 7))
    receive(one, "d@h", (Y, 9))
    assert one.flush() == [Connect(B), Send("d@h", Return([9]))]


def test_of_two_lifelines_of_one_node_the_older_one_is_returned():
    one = ledger(c=6)
    receive(one, C, (Y, 7), (Y, 9), (Y, 8))
    assert one.flush() == [Connect(B), Send(C, Return([7, 8]))]


def test_without_the_owner_a_second_lifeline_helps_when_the_first_ones_lender_is_away():
    one = ledger(c=6, d=7)
    receive(one, C, (Y, 7))
    one.closed(C, 0.0)
    receive(one, "d@h", (Y, 9))
    one.flush()
    one.dead(C, 6, 0.0)
    one.drop(Y)
    assert one.flush() == [Send("d@h", Return([9]))]


def test_nodes_that_cannot_reach_the_owner_do_not_keep_each_other():
    """Owner o, home h; p and q reach h and each other only, and lend to each other in both directions."""
    o, h, p, q = (Ledger(f"{name}@h", 4) for name in "ohpq")
    nodes = {one.node: one for one in (o, h, p, q)}
    sessions = {}
    for one, other in ((o, h), (h, p), (h, q), (p, q)):
        for here, there in ((one, other), (other, one)):
            sessions[here.node, there.node] = here.session(there.node)
            here.opened(there.node, 4, 0.0)
    x = ObjectId("o@h", 4, 1)

    def run():
        busy = True
        while busy:
            busy = False
            for one in nodes.values():
                for action in one.flush():
                    if isinstance(action, Send):
                        nodes[action.peer].heard(one.node, action.message, 0.0)
                        busy = True

    def hand_over(one, other):
        return other, one.node, x, *one.lend(sessions[one.node, other.node], [x])

    def take(other, sender, id, transfer):
        receive(other, sender, (id, transfer))
        run()

    o.own(x)
    take(*hand_over(o, h))
    for one in (p, q):
        take(*hand_over(h, one))
    crossing = [hand_over(p, q), hand_over(q, p)]
    for one in crossing:
        take(*one)
    for one in nodes.values():
        one.drop(x)
    run()
    assert all(one.is_empty() or one.wants() for one in nodes.values())
    assert not o.exists(x)


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


# order


def test_a_return_is_sent_after_the_statement_that_lists_it():
    one = ledger(b=5)
    receive(one, B, (Y, 7))
    one.heard(B, Question(7), 0.0)
    one.drop(Y)
    assert one.flush() == [Send(B, Statement(1, 7, [(7, Y)])), Send(B, Return([7]))]


def test_a_ledger_is_plain_data():
    one = ledger(b=5)
    one.own(X)
    one.lend(1, [X])
    again = pickle.loads(pickle.dumps(one))
    again.drop(X)
    again.heard(B, Return([1]), 0.0)
    assert again.flush() == [Free(X)]
    assert one.exists(X)


def test_lenders_are_those_who_are_connected_while_the_owner_is_not():
    me, x = Ledger("c@h", 6), ObjectId("a@h", 4, 1)
    me.opened("b@h", 5, now=0.0)
    me.hold(x)
    me.arrived("b@h", [(x, 7)])
    assert (me.lenders(x), me.lenders_of("a@h")) == (["b@h"], ["b@h"])
    assert (me.lenders(ObjectId("a@h", 4, 2)), me.lenders_of("d@h")) == ([], [])
    me.closed("b@h", now=1.0)
    assert (me.lenders(x), me.lenders_of("a@h")) == ([], [])
    me.opened("b@h", 5, now=2.0)
    assert me.lenders(x) == ["b@h"]
    me.opened("a@h", 4, now=3.0)
    assert (me.lenders(x), me.lenders_of("a@h")) == ([], [])
