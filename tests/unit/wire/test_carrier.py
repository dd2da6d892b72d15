"""Manifests, and references in bodies: named in the body, lent once in front of it."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from beampy.core.request import Failed
from beampy.core.signals import Crash
from beampy.errors import EncodeError, RemoteProtocolError
from beampy.wire import carrier
from beampy.wire.carrier import (
    MANIFEST,
    MAX_MANIFEST,
    REFERENCES,
    SHARED,
    manifest,
    read_manifest,
    section_of,
    with_section,
)
from beampy.wire.codec import FOREIGN, PLAIN, Decoder, Encoder
from tests.unit.wire.lender import Lender, Thing

ME = "a@h"


@dataclasses.dataclass
class Held:
    ref: Any


class Broken(Exception):
    """Its arguments are references."""


class Odd(Exception):
    """It cannot be made again, so its crash travels without it."""

    def __init__(self, ref: Any, more: Any) -> None:
        super().__init__(ref)
        self.more = more


class Faulty:
    def __reduce__(self) -> Any:
        raise ValueError("no")


class Ends:
    """A sender and a receiver of messages with references."""

    def __init__(self) -> None:
        self.out, self.into = Lender(), Lender()
        self.encoder = Encoder(ME, 1, lambda ref: None, None, self.out)
        self.decoder = Decoder(ME, 1, None, self.into)

    def send(self, message: Any) -> tuple[int, bytes, list[bytearray]]:
        kind, parts, buffers = self.encoder.encode(message)
        return kind, b"".join(parts), [bytearray(view) for view in buffers]

    def trip(self, message: Any) -> Any:
        kind, body, buffers = self.send(message)
        if not kind & MANIFEST:
            return self.decoder.decode_now(kind, body, buffers)
        sections, at = read_manifest(body)
        kept = self.into.arrived(sections[REFERENCES])
        value = self.decoder.decode_now(kind - MANIFEST, body[at:], buffers)
        del kept
        return value


@pytest.fixture
def ends() -> Ends:
    return Ends()


# manifests


def test_a_manifest_there_and_back():
    packed = manifest({REFERENCES: b"abc", SHARED: [[1, 2]]})
    assert read_manifest(packed + b"rest") == ({REFERENCES: b"abc", SHARED: [[1, 2]]}, len(packed))
    assert read_manifest(memoryview(packed)) == ({REFERENCES: b"abc", SHARED: [[1, 2]]}, len(packed))


def test_a_section_is_added_to_a_body():
    kind, parts = with_section(PLAIN, [b"body"], SHARED, [7])
    assert (kind, parts[1:]) == (MANIFEST, [b"body"])
    kind, parts = with_section(kind, parts, REFERENCES, b"abc")
    assert kind == MANIFEST
    assert read_manifest(parts[0])[0] == {SHARED: [7], REFERENCES: b"abc"}
    assert section_of(kind, parts, REFERENCES) == b"abc"
    assert section_of(PLAIN, [b"body"], REFERENCES) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\x09\x81",
        b"\xff\xff\xff\xff" + bytes(100),
        (MAX_MANIFEST + 1).to_bytes(4, "big") + bytes(MAX_MANIFEST + 1),
        b"\0\0\0\0",
        b"\0\0\0\x01\xc1",
        b"\0\0\0\x01\x80",
        b"\0\0\0\x01\x07",
        b"\0\0\0\x03\x81\x03\x01",
        b"\0\0\0\x04\x81\xa1a\x01",
        b"\0\0\0\x04\x81\x90\x01\x01",
    ],
    ids=[
        "nothing",
        "no size",
        "cut off",
        "huge",
        "too large",
        "empty",
        "garbage",
        "no section",
        "a number",
        "unknown",
        "named",
        "listed",
    ],
)
def test_what_is_no_manifest_is_refused(body):
    with pytest.raises(RemoteProtocolError, match="manifest"):
        read_manifest(body)


def test_a_manifest_has_a_limit():
    with pytest.raises(EncodeError, match="1048576 are possible"):
        manifest({SHARED: [b"x" * MAX_MANIFEST]})


# references


@pytest.mark.parametrize(
    "message",
    [
        Thing(1),
        ("put", Thing(1), {Thing(1): [Thing(2)]}),
        {Thing(1), Thing(2)},
        ("ask", [Thing(number) for number in range(10_000)]),
    ],
    ids=["itself", "inside", "set", "many"],
)
def test_references_come_out_equal(ends, message):
    assert ends.trip(message) == message


def test_a_body_with_references_is_plain_and_small(ends):
    kind, body, _ = ends.send([Thing(number) for number in range(100)])
    assert kind == MANIFEST
    assert len(body) < 100 * 60


def test_what_has_no_references_has_no_manifest(ends):
    kind, body, _ = ends.send(("text", 1))
    assert kind == PLAIN
    assert body == b"".join(Encoder(ME, 1, lambda ref: None).encode(("text", 1))[1])
    assert ends.out.count == 0


def test_each_is_lent_once_with_its_message(ends):
    ref = Thing(1)
    ends.send((ref, ref, Thing(1), Thing(2)))
    assert ends.out.lent == {1: [Thing(1), Thing(2)]}
    ends.send(ref)
    assert ends.out.lent[2] == [ref]


def test_in_instances_and_defaults_of_classes(ends):
    kind, _, _ = ends.send(Held(Thing(3)))
    assert kind == MANIFEST | FOREIGN
    assert ends.trip(Held(Thing(3))) == Held(Thing(3))


def test_beside_buffers(ends):
    large = bytearray(100_000)
    assert ends.trip((Thing(1), large, b"y" * 50_000, pickle.PickleBuffer(large))) == (
        Thing(1),
        large,
        b"y" * 50_000,
        large,
    )


def test_a_reference_that_is_over_cannot_travel(ends):
    ref = Thing(4)
    ref.over = True
    with pytest.raises(EncodeError, match=r"message\[1\]\[0\].*it was dropped"):
        ends.send((Thing(1), [ref]))
    assert not ends.out.count  # nothing is lent with a message that is not written


def test_a_message_that_fails_lends_nothing_and_forgets(ends):
    with pytest.raises(EncodeError):
        ends.send((Thing(1), Faulty()))
    assert not ends.out.count
    ends.send("text")
    ends.send(Thing(2))
    assert ends.out.lent == {1: [Thing(2)]}


def test_too_many_are_refused_and_withdrawn(ends, monkeypatch):
    monkeypatch.setattr(carrier, "MAX_MANIFEST", 1000)
    with pytest.raises(EncodeError, match="it has 100 references, too many for one message: send them in parts"):
        ends.send([Thing(number) for number in range(100)])
    assert ends.out.withdrawn == [1]
    assert not ends.out.lent
    assert ends.trip(Thing(1)) == Thing(1)


def test_a_body_is_taken_back(ends):
    kind, parts, _ = ends.encoder.encode(("x", Thing(1)))
    ends.encoder.taken_back(kind, parts)
    assert ends.out.withdrawn == [1]
    kind, parts, _ = ends.encoder.encode("x")
    ends.encoder.taken_back(kind, parts)
    assert ends.out.withdrawn == [1]


def test_a_message_sent_while_another_is_written_has_its_own(ends):
    inner: list[Any] = []

    class Sends:
        def __reduce__(self) -> Any:
            inner.append(ends.encoder.encode(("inner", Thing(7))))
            return str, ("x",)

    kind, _, _ = ends.encoder.encode((Thing(1), Sends(), Thing(2)))
    assert kind & MANIFEST
    assert ends.out.lent == {1: [Thing(7)], 2: [Thing(1), Thing(2)]}


def test_without_a_carrier_there_are_none(ends):
    plain = Encoder(ME, 1, lambda ref: None)
    with pytest.raises(EncodeError, match="messages only"):
        plain.encode(Thing(1))
    kind, body, _ = ends.send(Thing(1))
    _, at = read_manifest(body)
    with pytest.raises(pickle.UnpicklingError):
        Decoder(ME, 1).decode(kind - MANIFEST, body[at:], None)


def test_one_that_its_message_does_not_list_is_refused(ends):
    kind, body, _ = ends.send(Thing(1))
    _, at = read_manifest(body)
    with pytest.raises(pickle.UnpicklingError, match="not of this message"):
        ends.decoder.decode(kind - MANIFEST, body[at:], None)


# exceptions in crashes: bodies in bodies


def crash(error: BaseException) -> Crash:
    return Crash(type(error).__name__, str(error), "", error)


def test_an_exception_with_references_is_of_its_message(ends):
    got = ends.trip((Thing(1), crash(Broken(Thing(2), [Thing(1)]))))
    assert got[1].exception.args == (Thing(2), [Thing(1)])
    assert ends.out.lent == {1: [Thing(1), Thing(2)]}  # nothing for looking whether it can be read
    assert not ends.out.came
    assert ends.into.came == [[1, 2]]


def test_one_in_another(ends):
    inner = crash(Broken(Thing(1)))
    got = ends.trip(Failed(crash(Broken(inner, Thing(2))), None))
    assert got.crash.exception.args[0].exception.args == (Thing(1),)
    assert got.crash.exception.args[1] == Thing(2)
    assert len(ends.out.lent) == 1


def test_what_does_not_travel_lends_nothing(ends):
    got = ends.trip(crash(Odd(Thing(1), 2)))
    assert got.exception is None
    assert ends.out.count == 0
    over = Thing(2)
    over.over = True
    got = ends.trip((crash(Broken(over, Thing(1))), Thing(3)))
    assert got[0].exception is None
    assert ends.out.lent == {1: [Thing(3)]}


def test_a_code_that_nobody_knows_is_refused(ends):
    body = b"".join(ends.encoder.encode("x")[1])[:9] + pickle.dumps(0, 5)[:2] + b"h\x02K!K\x01\x85\x86R."
    with pytest.raises(Exception):  # noqa: B017 -- any
        ends.decoder.decode(PLAIN, body, None)
