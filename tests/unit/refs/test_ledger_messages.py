"""The messages of ledgers as bytes: what comes back, how short it is, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.errors import RemoteProtocolError
from beampy.refs.identity import ObjectId
from beampy.refs.ledger_messages import (
    MAX_BYTES,
    MAX_INT,
    MAX_NUMBERS,
    Ask,
    Gone,
    Lend,
    Question,
    Renew,
    Return,
    Statement,
    Void,
    from_bytes,
    pieces,
    to_bytes,
)

X = ObjectId("a@h", 4, 1)

numbers = st.integers(0, MAX_INT - 1)
transfers = st.integers(1, MAX_INT - 1)
creations = st.integers(0, (1 << 32) - 1)
ids = st.builds(ObjectId, st.sampled_from(["a@h", "bé@h", "c" * 250]), creations, numbers)
rising = st.lists(transfers, unique=True).map(sorted)


def there_and_back(message):
    return [from_bytes(data) for data in to_bytes(message)]


@given(st.lists(transfers, unique=True))
def test_numbers_come_back_in_rising_order(some):
    for made in (Return(some), Void(some), Ask(3, 7, some), Gone(7, some)):
        back = there_and_back(made)
        assert [n for one in back for n in one[-1]] == sorted(some)
        assert all(one[:-1] == made[:-1] and type(one) is type(made) for one in back)


@given(st.lists(st.tuples(transfers, transfers)))
def test_pairs_come_back_in_order(pairs):
    for made in (Lend(9, pairs), Renew(pairs)):
        assert [pair for one in there_and_back(made) for pair in one.pairs] == pairs


@given(rising.flatmap(lambda some: st.tuples(st.just(some), st.lists(ids, min_size=len(some), max_size=len(some)))))
def test_a_statement_comes_back(listed):
    entries = list(zip(*listed, strict=True))
    (back,) = there_and_back(Statement(1, MAX_INT, entries))
    assert back == Statement(1, MAX_INT, entries)


def test_a_question_comes_back():
    assert there_and_back(Question(MAX_INT)) == [Question(MAX_INT)]


def test_a_hundred_thousand_returns_are_two_short_messages():
    data = to_bytes(Return(range(1, 100_001)))
    assert len(data) == 2
    assert sum(map(len, data)) < 40


@pytest.mark.parametrize("step", [2, 1000, 1 << 40])
@pytest.mark.parametrize("make", [Return, lambda some: Ask(1, 4, some), lambda some: Gone(4, some), Void])
def test_what_is_long_is_sent_in_pieces(make, step):
    some = list(range(1, 20_000 * step, step))
    data = to_bytes(make(some))
    assert all(len(one) <= MAX_BYTES for one in data)
    assert [n for one in data for n in from_bytes(one)[-1]] == some


def test_no_piece_has_more_numbers_than_may_be_read():
    data = to_bytes(Return([n for n in range(300_000) if n % 1000]))
    assert all(len(from_bytes(one).transfers) <= MAX_NUMBERS for one in data)


def test_many_pairs_are_sent_in_pieces():
    pairs = [(MAX_INT - 5 * n, n + (1 << 50)) for n in range(10_000)]
    for made in (Lend(1, pairs), Renew(pairs)):
        data = to_bytes(made)
        assert all(len(one) <= MAX_BYTES for one in data)
        assert [pair for one in data for pair in from_bytes(one).pairs] == pairs


def test_the_pieces_of_a_statement_cover_its_range_without_gaps():
    entries = [(10 * n, ObjectId(f"{'n' * 200}{n % 300}@h", 4, n)) for n in range(1, 5000)]
    data = to_bytes(Statement(1, 60_000, entries))
    back = [from_bytes(one) for one in data]
    assert len(back) > 10
    assert all(len(one) <= MAX_BYTES for one in data)
    assert [entry for one in back for entry in one.entries] == entries
    assert (back[0].first, back[-1].last) == (1, 60_000)
    assert all(one.last + 1 == after.first for one, after in pairwise(back))


def test_an_empty_statement_covers_its_range():
    assert list(pieces(Statement(1, 9, []))) == [Statement(1, 9, [])]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        7,
        [99],
        [True, [1, 1]],
        ["1", [1, 1]],
        [1],
        [1, [1, 1], 0],
        [1, [1]],
        [1, [1, 0]],
        [1, [-1, 1]],
        [1, [1, MAX_NUMBERS + 1]],
        [1, [1, 1, MAX_INT, 1]],
        [1, [True, 1]],
        [1, [1.0, 1]],
        [1, {1: 1}],
        [2, 0, -1, [1, 1]],
        [2, 0, 1 << 32, [1, 1]],
        [2, -1, 4, [1, 1]],
        [3, 1, [5]],
        [3, 1, [5, 0]],
        [3, 1, [-5, 1]],
        [6, -1],
        [6, 2.0],
        [7, 1, 9, [["a@h", 4]], [3, 1, 1]],
        [7, 1, 9, [["a@h", 4]], [3, -1, 1]],
        [7, 1, 9, [["a@h", 4]], [10, 0, 1]],
        [7, 4, 9, [["a@h", 4]], [3, 0, 1]],
        [7, 1, 9, [["a@h", 4]], [3, 0, 1, 0, 0, 2]],
        [7, 1, 9, [["a@h", 4]], [3, 0]],
        [7, 1, 9, [["a@h", 4]], [3, 0, -1]],
        [7, 1, 9, [["", 4]], []],
        [7, 1, 9, [["x" * 256, 4]], []],
        [7, 1, 9, [["a@h"]], []],
        [7, 1, 9, [[b"a@h", 4]], []],
        [8, [1, 0, 1]],
    ],
)
def test_what_has_another_shape_is_refused(fields):
    with pytest.raises(RemoteProtocolError):
        from_bytes(msgpack.packb(fields))


def test_what_is_too_long_is_refused():
    with pytest.raises(RemoteProtocolError, match=str(MAX_BYTES)):
        from_bytes(msgpack.packb([1, [1, 1] * 20_000]))


@pytest.mark.parametrize("fields", [[1, [1, 1]], [2, 1, 4, [1, 1]], [7, 1, 9, [["a@h", 4]], [3, 0, 1]]])
def test_what_is_cut_or_followed_by_more_is_refused(fields):
    data = msgpack.packb(fields)
    from_bytes(data)
    for some in (*(data[:end] for end in range(len(data))), data + b"\0"):
        with pytest.raises(RemoteProtocolError):
            from_bytes(some)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_is_a_message(data):
    try:
        message = from_bytes(data)
    except RemoteProtocolError:
        return
    back = [from_bytes(one) for one in to_bytes(message)]
    assert all(type(one) is type(message) for one in back)
