"""Frames of requests and answers: round trips, bounds, and bytes that are none."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from beampy.errors import RemoteError, RemoteProtocolError
from beampy.wire import requests
from beampy.wire.requests import HEADER, MAX_ANSWER, MAX_ARRAY, MAX_REQUEST, Frames

VALUES: list[Any] = [
    None,
    [],
    {},
    {"METADATA": "Name: x", b"\1": [1, -1, 2**63, 1.5, True]},
    b"\0\xff" * 100,
    "naïve \udcff",  # the name of a file that is no UTF-8
    [["helpers", "source", False, b"d" * 16, 3, "/x/helpers.py", ["os"]]],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_equal_after_the_trip(value: Any):
    assert requests.read_request(requests.request("op", [value])[HEADER:]) == ("op", [value])
    assert requests.read_answer(requests.answer(value)[HEADER:]) == value


def test_a_failure_is_told_as_text_of_bounded_length():
    with pytest.raises(RemoteError, match="KeyError: 'x'") as caught:
        requests.read_answer(requests.failure("KeyError", "'x'")[HEADER:])
    assert caught.value.kind == "KeyError"
    assert len(requests.failure("E", "x" * 10**6)) < 10_000


def test_later_releases_may_say_more():
    assert requests.read_request(b"\x93\xa2op\x90\x01") == ("op", [])
    assert requests.read_answer(b"\x93\xc3\x05\x01") == 5


def test_what_is_too_long_is_not_sent():
    assert len(requests.request("op", [bytes(MAX_REQUEST - 10)])) <= MAX_REQUEST + HEADER
    with pytest.raises(ValueError, match=f"the request has .* and at most {MAX_REQUEST} are sent"):
        requests.request("op", [bytes(MAX_REQUEST)])
    with pytest.raises(ValueError, match=f"the answer has .* and at most {MAX_ANSWER} are sent"):
        requests.answer(bytes(MAX_ANSWER))


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, lambda: None, 2**64])
def test_what_is_no_plain_data_is_not_sent(value: Any):
    with pytest.raises((TypeError, ValueError)):
        requests.answer(value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x01",
        b"\x90",
        b"\x91\xa2op",
        b"\x92\x01\x90",
        b"\x92\xa2op\x80",
        b"\x92\xa2op\x90\x00",  # something follows
        b"\x92\xa2op\x91\xd4\x01\x01",  # an extension type
        b"\x92\xa2op\x91\xd6\xff\x00\x00\x00\x01",  # msgpack's own one, a time
        b"\x91" * 100_000,
        b"\xdd" + struct.pack(">I", MAX_ARRAY + 1) + b"\x01" * (MAX_ARRAY + 1),
        b"\x80\x80" * 3,
    ],
)
def test_what_is_no_request(body: bytes):
    with pytest.raises(RemoteProtocolError):
        requests.read_request(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x01",
        b"\x91\xc3",
        b"\x92\x01\x01",
        b"\x92\xc2\x01",
        b"\x92\xc2\x91\xa1x",
        b"\x92\xc2\x92\x01\x01",
    ],
)
def test_what_is_no_answer(body: bytes):
    with pytest.raises(RemoteProtocolError):
        requests.read_answer(body)


@pytest.mark.parametrize("step", [1, 3, 4, 5, 1000])
def test_frames_come_in_any_pieces(step: int):
    sent = [b"a", b"bcd" * 5, b"e" * 100]
    data = b"".join([len(body).to_bytes(4, "big") + body for body in sent])
    frames, got = Frames(100), []
    for at in range(0, len(data), step):
        frames.push(data[at : at + step])
        while (body := frames.pull()) is not None:
            got.append(body)
    assert got == sent
    assert len(frames) == 0


@pytest.mark.parametrize("size", [0, 101, 2**32 - 1])
def test_a_length_that_cannot_be_is_found_before_its_bytes_come(size: int):
    frames = Frames(100)
    frames.push(struct.pack(">I", size))
    with pytest.raises(RemoteProtocolError, match=f"a frame of {size} bytes"):
        frames.pull()
