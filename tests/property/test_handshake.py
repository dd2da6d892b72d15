"""The handshake in any chunks, with any flip, garbage or cookies: both agree, or the one that can know says no."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.errors import BeampyError, CookieMismatch, NotConnected, RemoteProtocolError
from beampy.wire import greeting
from beampy.wire.handshake import MAX_COOKIES, Acceptor, Alive, Authenticated, Done, Identity, Initiator, Status
from beampy.wire.transcript import BEGINNING

words = st.from_regex(r"[a-z][a-z0-9_]{0,23}", fullmatch=True)
features = st.frozensets(words, max_size=8)
cookies = st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=MAX_COOKIES, unique=True)
nonces = st.binary(min_size=32, max_size=32)
statuses = st.sampled_from([Status.OK, Status.OK_SIMULTANEOUS, Status.ALIVE])
bindings = st.one_of(st.just(b""), st.binary(min_size=32, max_size=32))
# What comes after a turn: enough that no chunk ends only where a message does.
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=12)
tails = st.binary(max_size=40)


@st.composite
def identities(draw: Any, name: str) -> Identity:
    creation = draw(st.integers(4, 2**32 - 1))
    return Identity(name, creation, draw(features), hidden=draw(st.booleans()))


class Wire:
    """Two machines and what lies between them. It notes the events and everything that was said."""

    def __init__(self, i: Initiator, a: Acceptor, status: Status = Status.OK) -> None:
        self.sides: Any = (i, a)
        self.status = status
        self.events: list[list[Any]] = [[], []]

    def take(self, at: int, data: bytes) -> None:
        side = self.sides[at]
        with suppress(BeampyError):  # the machine keeps it
            for event in side.feed(data):
                self.events[at].append(event)
                if isinstance(event, Authenticated):
                    self.events[at] += side.answer(self.status)
                elif isinstance(event, Alive):
                    self.events[at] += side.answer(True)
        assert side.error is None or not side.done

    def turn(self, number: int) -> bytes:
        return self.sides[number % 2].output()  # type: ignore[no-any-return]

    def over(self, at: int) -> bool:
        return bool(self.sides[at].done or self.sides[at].error)


@given(identities("a@h"), identities("b@h"), cookies, nonces, nonces, bindings, statuses, cuts, tails, tails)
def test_any_chunks_give_the_same_result(me, you, cookies, n1, n2, binding, status, cuts, tail1, tail2):
    if n1 == n2:
        return
    outcomes = []
    for sizes in (None, cuts):
        i = Initiator(me, cookies, peer="b@h", nonce=n1, binding=binding)
        a = Acceptor(you, cookies, nonce=n2, binding=binding)
        wire = Wire(i, a, status)
        said, after = [], [b"", b""]
        for number in range(6):
            data = wire.turn(number)
            said.append(data)
            at = 1 - number % 2
            # The next protocol begins right after the last message of a side that is done.
            last = number == (4 if at else 5 if status == Status.ALIVE else 3)
            data += (tail1, tail2)[at] if last else b""
            while data:
                size = sizes[len(data) % len(sizes)] if sizes else len(data)
                piece, data = data[:size], data[size:]
                if wire.over(at):
                    after[at] += piece  # the shell gives it to the next protocol
                else:
                    wire.take(at, piece)
        rests = [i.rest + after[0], a.rest + after[1]]
        outcomes.append((said, wire.events, i.result, a.result, rests))
        assert i.result == you_as(you, me)
        assert a.result == you_as(me, you)
        assert rests == [tail1, tail2]
    assert outcomes[0] == outcomes[1]


def you_as(you: Identity, me: Identity) -> Any:
    return (you.name, you.creation, you.flags & me.flags, you.hidden, 1, "main")


@given(
    identities("a@h"),
    identities("b@h"),
    cookies,
    bindings,
    statuses,
    st.integers(0, 4),
    st.integers(0, 10_000),
    st.integers(1, 255),
)
def test_no_flipped_byte_authenticates(me, you, cookies, binding, status, turn, at, mask):
    i = Initiator(me, cookies, peer="b@h", nonce=bytes(32), binding=binding)
    a = Acceptor(you, cookies[:1], nonce=bytes([1]) * 32, binding=binding)
    wire = Wire(i, a, status)
    flipped = False
    for number in range(5):
        data = bytearray(wire.turn(number))
        if number == turn and data:
            data[at % len(data)] ^= mask
            flipped = True
        to = 1 - number % 2
        if data and not wire.over(to):
            wire.take(to, bytes(data))
    assert flipped or (turn == 4 and status != Status.ALIVE)
    done = [Done in map(type, events) for events in wire.events]
    assert done == [i.done, a.done]
    assert not all(done) if flipped else all(done)
    # Who got the byte is not convinced; of several cookies, unless it was in a seal that only the sender can know.
    if flipped and (len(cookies) == 1 or turn != 2):
        assert not done[1 - turn % 2]


@given(cookies, cookies, statuses)
def test_a_wrong_cookie_is_a_mismatch_where_it_can_be_known(mine, yours, status):
    i = Initiator(Identity("a@h", 77), mine, peer="b@h", nonce=bytes(32))
    a = Acceptor(Identity("b@h", 78), yours, nonce=bytes([1]) * 32)
    wire = Wire(i, a, status)
    for number in range(5):
        data = wire.turn(number)
        if data and not wire.over(1 - number % 2):
            wire.take(1 - number % 2, data)
    if set(mine) & set(yours):
        assert i.done
        assert a.done
    else:
        assert type(a.error) is CookieMismatch
        assert type(i.error) is CookieMismatch
        assert wire.events == [[], []]


framed = st.builds(
    lambda n, body: (len(body) + 1).to_bytes(2, "big") + bytes([n]) + body, st.integers(0, 3), st.binary()
)
arrays = st.builds(
    lambda kind, rest: greeting.frame(0, kind, *rest),
    st.sampled_from([1, 2, 3, 4, 5, 9, 0, 200]),
    st.lists(
        st.one_of(st.integers(-(2**31), 2**33), st.text(max_size=9), st.binary(max_size=33), st.booleans(), st.none()),
        max_size=12,
    ),
)
garbage = st.lists(st.one_of(st.binary(max_size=300), framed, arrays), max_size=6).map(b"".join)


@given(st.booleans(), st.integers(0, 3), st.booleans(), garbage, cuts)
def test_any_garbage_ends_in_an_error_and_takes_no_room(opened, turns, at_acceptor, noise, cuts):
    i = Initiator(Identity("a@h", 77), [b"k" * 22], peer="b@h", nonce=bytes(32))
    a = Acceptor(Identity("b@h", 78), [b"k" * 22], nonce=bytes([1]) * 32)
    wire = Wire(i, a)
    for number in range(turns):
        wire.take(1 - number % 2, wire.turn(number))
    side: Any = wire.sides[at_acceptor]
    was_done = side.done
    data = (greeting.OPENING if opened else b"") + noise
    while data and not side.done and side.error is None:
        size = cuts[len(data) % len(cuts)]
        wire.take(int(at_acceptor), data[:size])
        data = data[size:]
        assert side._said.left() <= greeting.MAX_FRAME + len(greeting.OPENING)
        assert len(side.output()) <= greeting.MAX_FRAME
    assert side.done == was_done
    if not side.done:
        with pytest.raises((NotConnected, RemoteProtocolError)) as caught:
            side.eof()
        assert caught.value is side.error


def test_the_hash_begins_with_what_it_is_for():
    """A seal of beampy is a seal of nothing else: another protocol with the same cookie begins otherwise."""
    assert BEGINNING.endswith(b"\0")
    assert BEGINNING.startswith(b"beampy ")
