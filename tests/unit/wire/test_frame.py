"""Single frames, byte by byte: what CHANNEL.md says, and what is refused."""

from __future__ import annotations

import struct

import msgpack
import pytest

from beampy.errors import RemoteProtocolError
from beampy.wire import frame
from beampy.wire.bulk import IMMUTABLE
from beampy.wire.frame import BUFFERS, MAX_REST, PREFIX
from tests.unit.wire.recorder import Recorder, bytes_of, channel


def rest(op: int, payload: bytes = b"") -> bytes:
    return PREFIX.pack(1 + len(payload), op) + payload


ADDRESS = bytes([5]) + struct.pack(">IQQ", 0x01020304, 6, 7)

# What is sent, and its bytes as the page has them.
BYTES = {
    "SEND_PID": (lambda c: c.send_pid(6, 0x01020304, 7, 5, [b"body"]), rest(1, ADDRESS + b"body")),
    "SEND_REF": (lambda c: c.send_ref(6, 0x01020304, 7, 5, [b"body"]), rest(2, ADDRESS + b"body")),
    "SEND_NAME": (
        lambda c: c.send_name("nä", 7, 5, [b"body"]),
        rest(3, bytes([5]) + struct.pack(">Q", 7) + b"\x03n\xc3\xa4body"),
    ),
    "CONTROL": (
        lambda c: c.control(7, (1, 2, 3), 5, [b"body"]),
        rest(4, bytes([5]) + struct.pack(">QH", 7, 4) + b"\x93\x01\x02\x03body"),
    ),
    "MONITOR": (
        lambda c: c.monitor(7, 0x01020304, 6, 9, 1),
        rest(5, bytes([1]) + struct.pack(">IQQQ", 0x01020304, 6, 7, 9)),
    ),
    "DEMONITOR": (
        lambda c: c.demonitor(7, 0x01020304, 6, 9),
        rest(6, bytes([0]) + struct.pack(">IQQQ", 0x01020304, 6, 7, 9)),
    ),
    "TICK": (lambda c: c.tick(15.0), rest(7)),
    "GOODBYE": (lambda c: c.goodbye("bye"), rest(11, b"bye")),
    "buffers": (
        lambda c: c.send_pid(6, 0x01020304, 7, 5, [b"body"], [b"one", b"", b"x"]),
        rest(1 | BUFFERS, ADDRESS + struct.pack(">HIII", 3, 3, 0, 1) + b"bodyonex"),
    ),
}


@pytest.mark.parametrize("name", BYTES)
def test_the_bytes_are_those_of_the_page(name):
    send, expected = BYTES[name]
    a = channel()
    send(a)
    assert bytes_of(a) == expected


def test_a_bulk_message_is_begin_and_its_pieces():
    a = channel()
    a.send_pid(6, 0x01020304, 7, 5, [b"body"], [b"y" * 70_000, b""])
    expected = (
        rest(9, struct.pack(">IHQQ", 1, 2, 4, 70_004) + bytes([1]) + ADDRESS)
        + rest(10, struct.pack(">IQQ", 1, IMMUTABLE | 70_000, IMMUTABLE))
        + rest(10, struct.pack(">I", 1) + b"body")
        + rest(10, struct.pack(">I", 1) + b"y" * 65_536)
        + rest(10, struct.pack(">I", 1) + b"y" * (70_000 - 65_536))
    )
    assert bytes_of(a) == expected


NAME = bytes([5]) + struct.pack(">Q", 7)
MALFORMED = {
    "length 0": b"\0\0\0\0\0",
    "too long": PREFIX.pack(MAX_REST + 1, 1) + bytes(MAX_REST),
    "much too long": b"\xff\xff\xff\xff\x01",
    "op 0": rest(0),
    "op 12": rest(12),
    "a monitor with buffers": rest(5 | BUFFERS, bytes(50)),
    "op 255": rest(255, bytes(100)),
    "short pid": rest(1, ADDRESS[:-1]),
    "short ref": rest(2),
    "short name": rest(3, NAME),
    "empty name": rest(3, NAME + b"\0"),
    "name beyond": rest(3, NAME + b"\x05abcd"),
    "name not UTF-8": rest(3, NAME + b"\x02\xff\xff"),
    "short control": rest(4, NAME),
    "control beyond": rest(4, NAME + struct.pack(">H", 5) + b"\x93\x01\x02\x03"),
    "empty control": rest(4, NAME + struct.pack(">H", 0)),
    "short monitor": rest(5, bytes(28)),
    "long monitor": rest(5, bytes(29 + 256)),
    "long tick": rest(7, b"x"),
    "short grant": rest(8, bytes(3)),
    "short fragment": rest(10, bytes(3)),
    "goodbye not UTF-8": rest(11, b"\xff"),
    "long goodbye": rest(11, b"x" * 1025),
    "no table": rest(1 | BUFFERS, ADDRESS + b"\0"),
    "empty table": rest(1 | BUFFERS, ADDRESS + b"\0\0"),
    "table beyond": rest(1 | BUFFERS, ADDRESS + b"\0\x01\0\0\0"),
    "buffers beyond": rest(1 | BUFFERS, ADDRESS + struct.pack(">HI", 1, 5) + b"body"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("step", [10**6, 1])
def test_what_is_malformed_ends_the_channel(name, step):
    handler = Recorder()
    b = channel(handler)
    data = rest(1, ADDRESS + b"before") + MALFORMED[name]
    with pytest.raises(RemoteProtocolError):
        for at in range(0, len(data), step):
            b.feed(data[at : at + step])
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            b.feed(rest(1, ADDRESS + b"after"))
    assert handler.calls == [("to_pid", 6, 0x01020304, 7, 5, b"before", None)]


@pytest.mark.parametrize("op", [0, 12, 200])
def test_what_is_wrong_is_seen_before_it_is_here(op):
    with pytest.raises(RemoteProtocolError):
        channel().feed(PREFIX.pack(100, op))


@pytest.mark.parametrize(
    "array",
    [
        b"",
        b"\xc1",
        b"\x93\x01\x02",
        b"\x93\x01\x02\x03\x04",
        msgpack.packb({1: 2}),
        msgpack.packb([]),
        msgpack.packb(["1"]),
        msgpack.packb([True]),
        msgpack.packb([-1]),
        msgpack.packb([256]),
        msgpack.packb([1.0]),
        msgpack.packb([1, msgpack.ExtType(5, b"x")]),
        msgpack.packb([1, {(1, 2): 3}]),
        b"\x92\x01\xdd\xff\xff\xff\xff",
        b"\x92\x01\xc6\xff\xff\xff\xff",
        b"\x92\x01\xa2\xff\xff",
        b"\x91" * 60_000 + b"\x01",
    ],
)
def test_a_control_array_is_plain_and_has_a_code(array):
    with pytest.raises(RemoteProtocolError):
        frame.read_args(memoryview(array))


def test_control_arrays_that_are_right():
    for args in ([0], [255, None, True, 1.5, "x", b"y", [1, [2]], {"a": {"b": 1}}]):
        assert frame.read_args(memoryview(msgpack.packb(args))) == args
