"""Shared memory: the two ends of a connection lend to each other, and nobody sees what he should not."""

from __future__ import annotations

import asyncio
import gc
import os
from types import SimpleNamespace
from typing import Any

import pytest

from beampy.dist import shared_pages as pages
from beampy.dist.shared import Shared, settle
from beampy.dist.shared_lane import GROUP, LEAST, Lane
from beampy.errors import EncodeError, RemoteProtocolError
from beampy.wire import control
from beampy.wire.carrier import MANIFEST, MAX_MANIFEST, REFERENCES, SHARED, read_manifest, with_section

pytestmark = pytest.mark.skipif(not pages.AVAILABLE, reason="a system without memory files")

MOST = 100 * 1024**2
LIMIT = 64 * 1024**2


class Said(list[Any]):
    """A channel that only remembers."""

    def control(self, sender: int, args: tuple[Any, ...]) -> None:
        self.append(args)


class End:
    """One end of a connection."""

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self.shared = Shared(asyncio.get_running_loop(), limit=limit)
        self.said = Said()
        options = SimpleNamespace(max_message=MOST)
        self.peer: Any = SimpleNamespace(
            name=name, channel=self.said, wrote=lambda _: None, peers=SimpleNamespace(options=options)
        )
        lane = self.shared.lane(self.peer, "unix", self.shared.features)
        assert lane is not None
        self.lane: Lane = lane

    def hears(self, other: End) -> None:
        """All that the other one has said."""
        said, other.said[:] = list(other.said), []
        for args in said:
            found = control.from_control(0, list(args), lambda *_: None, lambda *_: None)  # type: ignore[arg-type]
            self.lane.heard(found)  # type: ignore[arg-type]


def agree(one: End, other: End) -> None:
    for _ in range(2):
        other.hears(one)
        one.hears(other)


@pytest.fixture
async def ends():
    one, other = End("one@h"), End("other@h")
    agree(one, other)
    assert one.lane.open
    assert other.lane.open
    yield one, other
    for end in (one, other):
        end.lane.end()
        end.shared.stop()  # the second that they have is cut short
        assert end.shared.segments.count == 0


def kept(lane: Lane, *buffers: Any) -> tuple[list[Any] | None, list[Any]]:
    """What of a message travels: the section, and the buffers."""
    kind, parts, rest = lane.kept(
        0, [b"body"], [memoryview(one) if type(one) is not bytes else one for one in buffers], list
    )
    if not kind & MANIFEST:
        return None, rest
    return read_manifest(parts[0])[0][SHARED], rest


def data(size: int = LEAST) -> bytearray:
    return bytearray(os.urandom(1024) * (size // 1024))


async def test_a_large_buffer_is_read_where_it_was_put(ends):
    one, other = ends
    sent = data()
    section, rest = kept(one.lane, sent)
    assert rest == []
    (came,) = other.lane.arrived(section, None)
    assert came == sent
    sent[:3] = b"new"  # it was copied when it was sent
    assert bytes(came[:3]) != b"new"
    del came


async def test_what_the_receiver_writes_nobody_sees(ends):
    one, other = ends
    sent = data()
    section, _ = kept(one.lane, sent)
    (came,), (again,) = other.lane.arrived(section, None), other.lane.arrived(section, None)
    came[:5] = b"mine!"
    assert not came.readonly
    assert bytes(came[:5]) == b"mine!"
    assert again == sent
    (segment,) = one.lane.lent.values()
    fd = pages.open_of(os.getpid(), segment.file)
    assert os.pread(fd, 5, 0) == sent[:5]
    os.close(fd)
    del came, again


async def test_small_buffers_bytes_and_the_rest_travel_in_their_order(ends):
    one, other = ends
    sent = [data(4096), data(), b"b" * LEAST, data(2 * LEAST), data(1024), data(3 * LEAST)]
    section, rest = kept(one.lane, *sent)
    assert [len(piece) for piece in rest] == [4096, LEAST, 1024]
    assert rest[1] is sent[2]
    came = other.lane.arrived(section, [memoryview(bytearray(piece)) for piece in rest])
    assert [bytes(piece) for piece in came] == [bytes(piece) for piece in sent]
    del came


async def test_what_is_bytes_stays_what_it_is(ends):
    one, _ = ends
    assert kept(one.lane, memoryview(b"x" * LEAST))[0] is None


async def test_middling_buffers_share_segments(ends):
    one, other = ends
    sent = [data(LEAST + 1024 * n) for n in range(12)]
    section, _ = kept(one.lane, *sent)
    assert len(section) == -(-sum(map(len, sent)) // (GROUP + LEAST))
    assert len(one.lane.lent) == one.shared.segments.count == len(section)
    came = other.lane.arrived(section, None)
    assert came == sent
    del came


async def test_the_memory_comes_back_when_the_last_view_is_gone_and_not_before(ends):
    one, other = ends
    section, _ = kept(one.lane, data())
    (came,) = other.lane.arrived(section, None)
    part = came[5:10]
    del came
    gc.collect()
    assert not other.lane.dropped
    assert kept(one.lane, data())[0][0][1:3] != section[0][1:3]
    del part
    assert len(other.lane.dropped) == 1
    other.lane.tell()
    assert other.lane.borrowed == 0
    one.hears(other)
    assert len(one.lane.lent) == 1
    assert kept(one.lane, data())[0][0][1:3] == section[0][1:3]


async def test_a_message_that_nobody_reads_comes_back(ends):
    one, other = ends
    other.lane.arrived(kept(one.lane, data())[0], None)
    other.lane.tell()
    one.hears(other)
    assert one.lane.lent == {}


@pytest.mark.loops("asyncio", "uvloop")
async def test_it_comes_back_by_itself(ends):
    one, other = ends
    other.lane.arrived(kept(one.lane, data())[0], None)
    async with asyncio.timeout(10):
        while not other.said:
            await asyncio.sleep(0.001)
    one.hears(other)
    assert one.lane.lent == {}


async def test_releases_that_make_no_sense_are_harmless(ends):
    one, other = ends
    section, _ = kept(one.lane, data())
    number = section[0][0]
    one.lane.released([number, number, 77], [number])
    assert one.lane.lent == {}
    assert one.shared.segments.count == 1
    other.lane.released([1], [])


async def test_two_receivers_of_one_message(ends):
    one, other = ends
    third = End("third@h")
    far = Lane(one.shared, third.peer, MOST)  # the other connection of `one`
    far.open, third.lane._pid = True, os.getpid()
    sent = data()
    (came,), (there,) = (
        other.lane.arrived(kept(one.lane, sent)[0], None),
        third.lane.arrived(kept(far, sent)[0], None),
    )
    came[:] = bytes(len(came))
    assert there == sent
    assert one.shared.segments.count == 2
    del came, there
    far.end()
    third.lane.end()
    third.shared.stop()


# when it is not shared


async def test_nothing_is_lent_before_they_have_read_our_secret():
    one, other = End("one@h"), End("other@h")
    assert kept(one.lane, data())[0] is None
    other.hears(one)
    assert kept(one.lane, data())[0] is None
    one.lane.answered(b"x" * 16)
    assert not one.lane.open
    one.hears(other)
    assert kept(one.lane, data())[0] is not None
    for end in (one, other):
        end.lane.end()
        end.shared.stop()


@pytest.mark.parametrize("wrong", ["pid", "fd", "inode", "secret"])
async def test_who_cannot_read_it_says_nothing(ends, wrong):
    one, other = ends
    offer = control.SharedOffer(os.getpid(), *one.shared.probe(), one.shared.secret)
    other.lane._pid = 0
    other.lane.heard(offer._replace(**{wrong: {"pid": 2**30, "fd": 9999, "inode": 1, "secret": b"?" * 16}[wrong]}))
    assert other.said == []
    assert other.lane._pid == 0
    other.lane.heard(offer)
    assert other.lane._pid == os.getpid()
    other.said.clear()


async def test_only_over_a_unix_socket_to_who_knows_of_it():
    end = End("one@h")
    for carrier, flags in (("tcp 127.0.0.1:5", end.shared.features), ("pipe", end.shared.features), ("unix", ())):
        assert end.shared.lane(end.peer, carrier, flags) is None
    off = Shared(asyncio.get_running_loop(), False)
    assert off.features == frozenset()
    assert off.lane(end.peer, "unix", end.shared.features) is None
    off.stop()
    end.lane.end()
    end.shared.stop()


async def test_over_the_limit_it_travels(ends):
    one, _ = ends
    first, _ = kept(one.lane, data(LIMIT * 3 // 4))
    assert first is not None
    section, rest = kept(one.lane, data(20 * LEAST))
    assert (section, [len(piece) for piece in rest]) == (None, [20 * LEAST])
    section, rest = kept(one.lane, data(20 * LEAST), data(LEAST // 2), data())  # what there is room for is shared
    assert [len(piece) for piece in rest] == [20 * LEAST, LEAST // 2]
    assert [piece[0] for group in section for piece in group[3]] == [2]


async def test_a_message_that_is_too_large_is_left_to_who_refuses_it(ends):
    one, _ = ends
    half = data(MOST // 2)
    assert kept(one.lane, half, half, data())[0] is None


async def test_what_is_not_sent_comes_back(ends):
    one, _ = ends
    kind, parts, _ = one.lane.kept(0, [b"body"], [memoryview(data())], list)
    assert one.lane.lent
    one.lane.taken_back(kind, parts)
    assert one.lane.lent == {}
    one.lane.taken_back(0, [b"body"])
    again, _ = kept(one.lane, data())
    assert one.shared.segments.count == 1  # nobody has seen it: it was used again
    assert again is not None


async def test_what_cannot_be_sent_is_not_lent(ends):
    one, _ = ends
    kind, parts = with_section(0, [b"body"], REFERENCES, b"r" * (MAX_MANIFEST - 20))
    with pytest.raises(EncodeError):
        one.lane.kept(kind, parts, [memoryview(data())], list)
    assert one.lane.lent == {}


# the end of a connection


async def test_what_they_had_is_never_used_again_and_what_we_have_stays(ends):
    one, other = ends
    sent = data()
    section, _ = kept(one.lane, sent)
    (came,) = other.lane.arrived(section, None)
    one.lane.end()
    assert one.shared.lanes == set()
    (late,) = other.lane.arrived(section, None)  # it was on its way
    one.shared.stop()
    assert one.shared.segments.count == 0
    assert came == late == sent
    del late
    other.lane.end()
    del came
    other.lane.tell()
    assert other.said == []
    assert kept(one.lane, sent)[0] is None


async def test_memory_that_is_not_there_ends_the_connection(ends):
    one, other = ends
    section, _ = kept(one.lane, data())
    one.lane.end()
    one.shared.stop()
    with pytest.raises(ConnectionAbortedError, match="cannot be mapped"):
        other.lane.arrived(section, None)


def wrongly(section: list[Any]) -> dict[str, Any]:
    ((number, fd, inode, pieces),) = section
    return {
        "no list": {},
        "nothing": [],
        "a number": [5],
        "short": [[number, fd]],
        "no pieces": [[number, fd, inode, []]],
        "pieces that are none": [[number, fd, inode, [5]]],
        "negative": [[number, -1, inode, pieces]],
        "text": [[number, fd, inode, [["0", 0, 5]]]],
        "empty": [[number, fd, inode, [[0, 0, 0]]]],
        "too large": [[number, fd, inode, [[0, 0, MOST + 1]]]],
        "behind the end": [[number, fd, inode, [[0, 0, 8 * LEAST]]]],
        "out of order": [[number, fd, inode, [[3, 0, LEAST]]]],
        "another file": [[number, fd, inode + 1, pieces]],
        "no file": [[number, 9999, inode, pieces]],
    }


@pytest.mark.parametrize(
    "what",
    [
        "no list",
        "nothing",
        "a number",
        "short",
        "no pieces",
        "pieces that are none",
        "negative",
        "text",
        "empty",
        "too large",
        "behind the end",
        "out of order",
        "another file",
        "no file",
    ],
)
async def test_sections_that_are_none_end_the_connection(ends, what):
    one, other = ends
    section, _ = kept(one.lane, data())
    with pytest.raises((RemoteProtocolError, ConnectionAbortedError)):
        other.lane.arrived(wrongly(section)[what], None)


async def test_a_section_before_anything_was_agreed_on(ends):
    one, other = ends
    section, _ = kept(one.lane, data())
    other.lane._pid = 0
    with pytest.raises(RemoteProtocolError, match="agreed"):
        other.lane.arrived(section, None)


async def test_what_they_had_is_closed_after_a_second(ends):
    one, _ = ends
    kept(one.lane, data())
    one.lane.end()
    assert one.shared.segments.count == 1
    async with asyncio.timeout(20):
        while one.shared.segments.count:
            await asyncio.sleep(0.01)


async def test_who_goes_asks_whether_all_has_arrived(ends):
    one, other = ends
    assert not one.shared.awaits()  # nothing was lent
    section, _ = kept(one.lane, data())
    assert one.shared.awaits()
    assert one.shared.awaits()
    assert len(one.said) == 1  # asked once
    (came,) = other.lane.arrived(section, None)
    other.hears(one)
    one.hears(other)
    assert not one.shared.awaits()
    kept(one.lane, data())
    assert one.shared.awaits()
    del came


# forks


async def test_what_a_forked_child_may_see_is_not_used_again(ends):
    one, other = ends
    (came,) = other.lane.arrived(kept(one.lane, data())[0], None)
    go, told = os.pipe(), os.pipe()
    seen = bytes(came[:4])
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.read(go[0], 1)
            code = 0 if bytes(came[:4]) == seen and bytes(came[-1:]) else 2
            del came
        finally:
            os._exit(code)
    del came
    other.lane.tell()
    one.hears(other)
    assert one.lane.lent == {}
    assert one.shared.segments.count == 0  # closed, and not idle
    kept(one.lane, bytearray(LEAST))
    os.write(go[1], b"!")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0  # noqa: ASYNC222 -- nothing else runs
    for fd in (*go, *told):
        os.close(fd)


# objects that lie in shared memory for good


def node_of(end: End) -> Any:
    return SimpleNamespace(remote=SimpleNamespace(shared=end.shared))


async def test_a_settled_array_is_sent_without_a_copy(ends):
    np = pytest.importorskip("numpy")
    one, other = ends
    array = np.arange(LEAST // 4, dtype="f8")
    settled = settle(node_of(one), {"a": array, "b": [1, "x"]})
    assert settled["b"] == [1, "x"]
    fixed = settled["a"]
    assert (fixed == array).all()
    assert not fixed.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        fixed.flags.writeable = True
    array[0] = 7
    assert fixed[0] == 0
    count = one.shared.segments.count
    sections = [kept(one.lane, fixed.data.cast("B"))[0] for _ in range(3)]
    part, _ = kept(one.lane, fixed[LEAST // 8 :].data.cast("B"))
    assert one.shared.segments.count == count == 1
    (came,) = other.lane.arrived(part, None)
    assert bytes(came) == fixed[LEAST // 8 :].tobytes()
    (whole,) = other.lane.arrived(sections[0], None)
    assert bytes(whole) == fixed.tobytes()
    assert whole.readonly
    del settled, fixed
    gc.collect()
    assert one.shared.segments.count == 1  # it is lent
    del came, whole
    other.lane.forget(float("inf"))
    other.lane.tell()
    one.hears(other)
    assert one.shared.segments.count == 1
    one.lane.released([section[0][0] for section in sections], [])
    assert one.shared.segments.count == 0


async def test_settling_again_copies_nothing(ends):
    np = pytest.importorskip("numpy")
    one, _ = ends
    node = node_of(one)
    first = settle(node, np.ones(LEAST))
    second = settle(node, first)
    assert one.shared.segments.count == 1
    assert second.ctypes.data == first.ctypes.data
    del first
    assert second.sum() == LEAST
    del second
    assert one.shared.segments.count == 0


class Stubborn:
    def __reduce__(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "make",
    [
        lambda np: 5,
        lambda np: "x" * LEAST,
        lambda np: b"x" * LEAST,
        lambda np: np.ones(10),
        lambda np: [np.ones(LEAST), Stubborn()],
        lambda np: [np.ones(LEAST), lambda: None],
        lambda np: [np.ones(LEAST), list(range(3_000_000))],
        lambda np: np.ones(LIMIT),
        lambda np: np.array([None] * LEAST),
    ],
)
async def test_what_cannot_be_settled_stays_as_it_is(ends, make):
    one, _ = ends
    thing = make(pytest.importorskip("numpy"))
    assert settle(node_of(one), thing) is thing
    gc.collect()
    assert one.shared.segments.count == one.shared.segments.size == 0


async def test_settling_on_a_node_without_others():
    np = pytest.importorskip("numpy")
    array = np.ones(LEAST)
    assert settle(SimpleNamespace(remote=object()), array) is array  # type: ignore[arg-type]


async def test_a_settled_table():
    pa = pytest.importorskip("pyarrow")
    end = End("one@h")
    table = pa.table({"n": list(range(LEAST // 4))})
    settled = settle(node_of(end), table)
    assert settled.equals(table)
    assert end.shared.segments.count == 1
    (buffer,) = [one for one in settled["n"].chunk(0).buffers() if one is not None]
    assert end.shared.segments.find(memoryview(buffer)) is not None
    del settled, buffer
    gc.collect()
    assert end.shared.segments.count == 0
    end.lane.end()
    end.shared.stop()
