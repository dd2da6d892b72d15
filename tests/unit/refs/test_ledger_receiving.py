"""The rules of the ledger by name, one node at a time: what it receives, and by which transfer it keeps that."""

from __future__ import annotations

import pytest

from beampy.refs.identity import ObjectId
from beampy.refs.ledger import Connect, Ledger, Send
from beampy.refs.ledger_messages import Ask, Lend, Return
from tests.unit.refs.ledger_alone import B, C, X, Y, ledger, receive

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
