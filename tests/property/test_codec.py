"""Random messages through the codec come back as they were, and random bytes are an exception at worst."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import fractions
import math
import resource
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from beampy.core.ids import Pid, Ref
from beampy.core.signals import Crash, Down, Exit, NodeDown, NodeUp, Timeout
from beampy.errors import RemoteProtocolError
from beampy.wire.carrier import MANIFEST, REFERENCES, read_manifest
from beampy.wire.codec import FOREIGN, PLAIN, Decoder, Encoder, NeedsImport
from beampy.wire.decoding import ADDRESSED
from tests.unit.wire.lender import Lender, Thing

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, CREATION = "a@localhost", 5
NODES = [HERE, "b@localhost"]


class Pair(NamedTuple):
    """A NamedTuple that is no record of the protocol."""

    left: Any
    right: Any


numbers = st.integers() | st.integers(-(2**2100), 2**2100) | st.floats() | st.booleans() | st.none()
texts = st.text() | st.text(st.characters(categories=["Cs", "Ll"]))  # lone surrogates, too
blobs = st.binary() | st.binary().map(bytearray)
pids = st.builds(Pid, st.sampled_from(NODES), st.integers(0, 2**64), st.sampled_from([4, CREATION]))
refs = st.builds(Ref, st.sampled_from(NODES), st.integers(0, 2**64), st.sampled_from([4, CREATION]))
plain_leaves = numbers | texts | blobs | pids | refs
foreign_leaves = st.one_of(
    st.complex_numbers(),
    st.datetimes(timezones=st.sampled_from([None, datetime.UTC])),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.sampled_from([int, len, Pair, ..., NotImplemented, range(3), slice(1, 2)]),
)
hashable = st.deferred(lambda: numbers | texts | st.binary() | pids | refs | st.tuples(numbers, texts))


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    records = st.one_of(
        st.builds(Down, refs, pids, inner, inner),
        st.builds(Exit, pids, inner),
        st.builds(Timeout, refs, inner),
        st.builds(NodeUp, texts),
        st.builds(NodeDown, texts, inner),
        st.builds(Crash, texts, texts, texts),
    )
    return st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(hashable, inner, max_size=5),
        st.sets(hashable, max_size=5),
        st.frozensets(hashable, max_size=5),
        records,
    )


plain = st.recursive(plain_leaves, containers, max_leaves=20)
messages = st.recursive(
    plain_leaves | foreign_leaves, lambda inner: containers(inner) | st.builds(Pair, inner, inner), max_leaves=20
)


def exactly(value: Any) -> Any:
    """The value as something whose equality knows types, signs of zero and what is not a number."""
    kind = type(value)
    if kind is float:
        return kind, "nan" if math.isnan(value) else (value, math.copysign(1, value))
    if kind is complex:
        return kind, exactly(value.real), exactly(value.imag)
    if kind is decimal.Decimal:
        return kind, str(value)
    if kind is datetime.datetime:
        return kind, value.isoformat()
    if kind in (set, frozenset):
        return kind, frozenset(map(exactly, value))
    if kind is dict:
        return kind, tuple((exactly(key), exactly(one)) for key, one in value.items())
    if isinstance(value, (tuple, list)):
        return kind, tuple(map(exactly, value))
    if kind is Crash:
        return kind, value.type, value.message, value.traceback
    if kind is bytearray:
        return kind, bytes(value)
    if kind in (fractions.Fraction, uuid.UUID, datetime.timedelta):
        return kind, value
    return kind, repr(value) if kind is slice else value


def encoded(message: Any) -> tuple[int, bytes]:
    kind, parts, buffers = Encoder(HERE, CREATION, export=lambda ref: None).encode(message)
    assert buffers == []
    assert all(type(part) is bytes for part in parts)
    assert 0 <= kind <= 127
    return kind, b"".join(parts)


@given(messages)
def test_messages_come_back_type_for_type(message: Any) -> None:
    body = encoded(message)
    for decode in (Decoder(HERE, CREATION).decode, Decoder(HERE, CREATION).decode_now):
        copy = decode(*body)
        assert exactly(copy) == exactly(message)
    again = encoded(copy)
    assert again[0] == body[0]
    assert exactly(Decoder(HERE, CREATION).decode(*again)) == exactly(message)


@given(plain)
def test_plain_data_is_plain(message: Any) -> None:
    kind, body = encoded(message)
    assert kind & FOREIGN == PLAIN
    assert exactly(Decoder(HERE, CREATION).decode_now(kind, body)) == exactly(message)


@given(st.lists(messages, min_size=2, max_size=4))
def test_an_encoder_has_no_memory(several: list[Any]) -> None:
    encoder = Encoder(HERE, CREATION, export=lambda ref: None)
    for message in several:
        kind, parts, _ = encoder.encode(message)
        assert (kind, b"".join(parts)) == encoded(message)


things = st.builds(Thing, st.integers(0, 3))


@given(st.recursive(plain_leaves | foreign_leaves | things, containers, max_leaves=20), things)
def test_references_come_back_and_are_lent_once(message: Any, one: Thing) -> None:
    out, into = Lender(), Lender()
    kind, parts, _ = Encoder(HERE, CREATION, lambda ref: None, None, out).encode((message, one))
    sections, start = read_manifest(b"".join(parts))
    kept = into.arrived(sections[REFERENCES])
    copy = Decoder(HERE, CREATION, None, into).decode(kind - MANIFEST, b"".join(parts)[start:])
    assert exactly(copy) == exactly((message, one))
    assert len(kept) == len(out.lent[1]) == len({thing.id for thing in out.lent[1]})


@given(st.binary(max_size=60))
def test_what_is_no_manifest_is_not_the_protocol(body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        sections, start = read_manifest(body)
        assert sections
        assert start <= len(body)


# Bytes that nobody encoded. A decoder may do with them what it likes, but take the process down.


@pytest.fixture(scope="module", autouse=True)
def memory_limit() -> Iterator[None]:
    """A pickle can ask for a memo of 64 GiB in five bytes: here that is a MemoryError at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("how much memory this process has is read from /proc")
    now = int(statm.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def read(kind: int, body: bytes) -> None:
    """Nothing but an Exception comes out of bytes that cannot be read, and no module comes in."""
    decoder = Decoder(HERE, CREATION)
    try:
        decoder.decode_now(kind, body)
    except Exception as error:
        wrong_mark = isinstance(error, NeedsImport)
    else:
        wrong_mark = False
    assert not wrong_mark, "a plain body asked for an import"
    # Whatever it did to its own decoder: another one is as it was.
    assert Decoder(HERE, CREATION).decode_now(*encoded([Pid(HERE, 1, CREATION)])) == [Pid(HERE, 1, CREATION)]


kinds = st.sampled_from([PLAIN, ADDRESSED, 2 << 1, 3 << 1 | ADDRESSED]) | st.integers(0, 127).map(
    lambda k: k & ~FOREIGN
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(kinds, st.binary())
@example(PLAIN, b"Nr\xff\xff\xff\xff.")
@example(PLAIN, b"Np99999999999999\n.")
@example(PLAIN, b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f")
def test_any_bytes(kind: int, body: bytes) -> None:
    read(kind, body)


@given(messages, st.integers(0, 2**16))
def test_truncated_bodies(message: Any, at: int) -> None:
    kind, body = encoded(message)
    at %= len(body)
    with pytest.raises(Exception):  # noqa: B017 - of whatever type
        Decoder(HERE, CREATION).decode_now(kind, body[:at])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(plain, kinds, st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4))
def test_bodies_with_wrong_bytes(message: Any, other: int, changes: list[tuple[int, int]]) -> None:
    kind, whole = encoded(message)
    body = bytearray(whole)
    for at, byte in changes:
        body[at % len(body)] = byte
    read(kind, bytes(body))
    read(other, whole)
