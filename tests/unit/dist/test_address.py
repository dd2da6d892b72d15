"""Addresses: what a node publishes, and the order in which its ways are tried."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.dist.address import (
    MAX_EXTRA,
    Address,
    Place,
    choose,
    decode_extra,
    encode_extra,
    here,
    is_loopback,
    reachable,
)

HERE = Place("0f0e0d0c-0b0a-0908-0706-050403020100", 4026531840)
FULL = Address("10.0.0.2", 0, True, "/run/user/1000/a b.sock", *HERE)


def test_what_is_published_reads_back():
    extra = encode_extra(FULL)
    assert extra == (
        b"beampy1\0unix=/run/user/1000/a b.sock\0boot=0f0e0d0c-0b0a-0908-0706-050403020100"
        b"\0net=4026531840\0tls=1\0host=10.0.0.2"
    )
    assert decode_extra(extra) == FULL


def test_the_port_is_not_published():
    assert decode_extra(encode_extra(Address("h", 9100))) == Address("h", 0)


def test_little_is_published_of_little():
    assert encode_extra(Address()) == b"beampy1"
    assert decode_extra(b"beampy1") == Address()


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40).filter(str.isprintable)


@given(
    st.builds(
        Address,
        host=texts,
        tls=st.sampled_from([None, True, False]),
        unix=st.none() | texts.map("/{}".format).filter(lambda path: len(path.encode()) <= 107),
    ),
    st.just(Place()) | st.builds(Place, st.uuids().map(str), st.integers(1, 2**64 - 1)),
)
def test_every_address_reads_back(address: Address, place: Place):
    address = Address(address.host, 0, address.tls, address.unix, *place)
    extra = encode_extra(address)
    assert len(extra) <= MAX_EXTRA
    assert decode_extra(extra) == address


def test_a_path_that_is_not_utf8_reads_back():
    path = os.fsdecode(b"/tmp/\xff\xfe.sock")
    assert decode_extra(encode_extra(Address(unix=path))) == Address(unix=path)


@given(st.binary(max_size=600) | st.binary(max_size=100).map(b"beampy1\0".__add__))
def test_garbage_is_none_or_an_address(extra: bytes):
    found = decode_extra(extra)
    assert found is None or (isinstance(found, Address) and extra.startswith(b"beampy1"))


@pytest.mark.parametrize(
    "extra",
    [
        b"",
        b"beampy",
        b"beampy2\0tls=1",
        b"beampy1\0tls",
        b"beampy1\0tls=2",
        b"beampy1\0tls=1\0tls=0",
        b"beampy1\0unix=relative",
        b"beampy1\0unix=",
        b"beampy1\0unix=/" + b"x" * 107,
        b"beampy1\0net=-1",
        b"beampy1\0net=1\xb2",
        b"beampy1\0net=" + b"1" * 21,
        b"beampy1\0host=\xff",
        b"beampy1\0host=a\nb",
        b"beampy1\0host=" + b"x" * 256,
        b"beampy1\0boot=\xff",
        b"beampy1\0boot=" + b"x" * 65,
        b"beampy1\0later=" + b"x" * 500,
    ],
)
def test_what_is_not_ours_is_none(extra: bytes):
    assert decode_extra(extra) is None


def test_unknown_keys_are_for_later():
    assert decode_extra(b"beampy1\0later=x=y\0tls=0\0empty=") == Address(tls=False)


@pytest.mark.parametrize(
    "address",
    [
        Address(unix="relative"),
        Address(unix="/" + "x" * 107),
        Address(unix="/a\0b"),
        Address(host="x" * 256),
        Address(host="a\0tls=0"),
        Address(boot_id="x" * 500, netns=1),
    ],
)
def test_what_cannot_be_published_is_refused(address: Address):
    with pytest.raises(ValueError):
        encode_extra(address)


def test_here_is_this_kernel_and_network():
    place = here()
    if not os.path.exists("/proc/self/ns/net"):
        assert not place.known
        return
    assert place.known
    assert place == here()
    assert decode_extra(encode_extra(Address(tls=False, boot_id=place.boot_id, netns=place.netns))).place == place


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::ffff:10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, loopback: bool):
    assert is_loopback(host) == loopback


# --- choose


BOTH = Address("10.0.0.2", 9100, True, "/run/b", *HERE)
TCP = Address("10.0.0.2", 9100, True)


def ways(*addresses: Address, place: Place = HERE, unix: bool = True) -> list[str]:
    return [str(way) for way in choose(addresses, place, unix=unix)]


def test_the_unix_socket_of_this_place_comes_first():
    assert choose([BOTH], HERE) == [Address(unix="/run/b", boot_id=HERE.boot_id, netns=HERE.netns), TCP]
    assert ways(TCP, BOTH) == ["unix:/run/b", "10.0.0.2:9100"]


@pytest.mark.parametrize("place", [HERE._replace(boot_id="other"), HERE._replace(netns=1), Place()])
def test_no_unix_socket_of_another_place(place: Place):
    assert choose([BOTH], place) == [TCP]


def test_unknown_places_are_not_the_same():
    assert ways(Address("10.0.0.2", 9100, unix="/run/b"), place=Place()) == ["10.0.0.2:9100"]


def test_unix_can_be_turned_off():
    assert choose([BOTH], HERE, unix=False) == [TCP]


def test_tcp_keeps_its_order_and_says_nothing_twice():
    addresses = [Address("b", 1), Address("a", 1), Address("b", 1), Address("fd00::2", 1)]
    assert ways(*addresses) == ["b:1", "a:1", "[fd00::2]:1"]


def test_an_address_may_have_a_unix_socket_only():
    assert ways(Address(unix="/run/b", boot_id=HERE.boot_id, netns=HERE.netns)) == ["unix:/run/b"]
    assert ways() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_loopback_of_another_place_leads_to_ourselves(host: str):
    there = Address(host, 9100, False, None, "other", 1)
    assert not reachable(there, HERE)
    assert ways(there) == []
    assert reachable(Address(host, 9100, False, None, *HERE), HERE)
    assert reachable(Address(host, 9100), HERE), "who wrote it into a table knows why: it may be a tunnel"
