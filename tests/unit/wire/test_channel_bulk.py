"""Messages in pieces: order, turns, credit, memory, and what must not be believed of a peer."""

from __future__ import annotations

import struct
import sys

import pytest

from beampy.errors import RemoteProtocolError
from beampy.wire.buffers import SMALLEST, Pool
from beampy.wire.frame import BEGIN, BEGUN, CREDIT, DATA, FRAGMENT, GRANT, MAX_SMALL, MAX_STREAMS, addressed
from tests.unit.wire.recorder import Recorder, bytes_of, channel, move

BIG = b"x" * 100_000
K = 1024


def frames(data: bytes) -> list[tuple[int, int]]:
    """(op, length of the rest) of each frame."""
    found, at = [], 0
    while at < len(data):
        rest, op = struct.unpack_from(">IB", data, at)
        found.append((op, rest))
        at += 4 + rest
    assert at == len(data)
    return found


def test_more_than_a_small_body_goes_in_pieces():
    handler = Recorder()
    a, b = channel(), channel(handler)
    for size in (MAX_SMALL, MAX_SMALL + 1):
        a.send_pid(1, 2, 0, 3, [b"x" * size])
    data = bytes_of(a)
    b.feed(data)
    assert [op for op, _ in frames(data)] == [1, BEGIN, DATA, DATA]
    assert handler.calls == [
        ("to_pid", 1, 2, 0, 3, b"x" * MAX_SMALL, None),
        ("to_pid", 1, 2, 0, 3, b"x" * (MAX_SMALL + 1), []),
    ]


@pytest.mark.parametrize(
    ("parts", "buffers"),
    [
        ([b"a" * 40_000, b"", b"b" * 40_000], []),
        ([b"head"], [b"y" * 200_000]),
        ([], [b"y" * 65_000, b"", b"z" * 65_000]),
        ([b""], [b""] * 20_000),
        ([b"a" * 70_000], [bytes([i % 256]) * (i % 7) for i in range(3000)]),
    ],
)
@pytest.mark.parametrize("step", [10**9, 70_001, 9, 1])
def test_bulk_arrives_whole(parts, buffers, step):
    handler = Recorder()
    a, b = channel(), channel(handler)
    a.send_ref(1, 2, 3, 4, parts, buffers)
    a.send_name("n", 4, 5, parts, buffers)
    a.control(5, (7, "q"), 6, parts, buffers)
    queued = a.queued
    data = bytes_of(a)
    assert queued
    assert a.queued == 0
    for at in range(0, len(data), step):
        b.feed(data[at : at + step])
    body = b"".join(parts)
    assert sorted(handler.calls) == [
        ("control", 5, [7, "q"], 6, body, buffers),
        ("to_name", "n", 4, 5, body, buffers),
        ("to_ref", 1, 2, 3, 4, body, buffers),
    ]


def test_a_sender_waits_for_itself_and_nobody_else():
    handler = Recorder()
    a, b = channel(), channel(handler)
    a.send_pid(1, 1, 7, 0, [BIG])
    a.send_pid(2, 1, 7, 0, [b"small"])
    a.monitor(7, 1, 3, 0)
    a.demonitor(7, 1, 4, 0)
    a.control(7, (1, 5))
    a.send_ref(6, 1, 7, 0, [BIG])
    a.send_name("7", 7, 0, [b""], [b"buffer"])
    a.send_pid(8, 1, 9, 0, [b"of another"])
    a.monitor(9, 1, 10, 0)
    a.send_pid(11, 1, 0, 0, [b"of nobody"])
    move(a, b, 10_000)
    order = [
        call[3] if "monitored" in call[0] else call[2][1] if call[0] == "control" else int(call[1])
        for call in handler.calls
    ]
    assert order == [8, 10, 11, 1, 2, 3, 4, 5, 6, 7]
    assert a.queued == 0


def test_nobodys_small_frames_wait_for_nothing_and_its_bulk_for_its_bulk():
    handler = Recorder()
    a, b = channel(), channel(handler)
    a.send_pid(1, 1, 0, 0, [BIG])
    a.send_pid(2, 1, 0, 0, [BIG[:70_000]])
    a.control(0, (1,))
    a.monitor(0, 1, 3, 0)
    move(a, b)
    assert [call[0] for call in handler.calls] == ["control", "monitored", "to_pid", "to_pid"]
    assert [call[1] for call in handler.calls[2:]] == [1, 2]


def test_streams_take_turns():
    a = channel(fragment=10_000)
    a.send_pid(1, 1, 1, 0, [b"a" * 70_000])
    a.send_pid(1, 1, 2, 0, [b"b" * 70_000])
    chunks, _ = a.take(40_000)
    assert [bytes(chunk[:1]) for chunk in chunks if len(chunk) == 10_000] == [b"a", b"b", b"a", b"b"]


def test_take_stops_about_at_its_limit_and_always_takes_some_bulk():
    a = channel(fragment=10_000)
    a.send_pid(1, 1, 1, 0, [BIG])
    chunks, _ = a.take(25_000)
    assert sum(len(chunk) for chunk in chunks if len(chunk) == 10_000) == 30_000
    a.send_pid(1, 1, 2, 0, [b"y" * 50_000])
    chunks, _ = a.take(100)
    assert [op for op, _ in frames(b"".join(chunks))] == [1, DATA]
    assert a.take(0) == ([], [])


def test_buffers_are_not_copied_on_the_way_out():
    a = channel()
    buffer = bytearray(100_000)
    a.send_pid(1, 1, 1, 0, [b"x"], [buffer])
    chunks, _ = a.take(1 << 20)
    buffer[:] = b"y" * 100_000
    assert b"".join(chunks).count(b"y") == 100_000


def test_on_sent_is_due_with_the_last_fragment():
    a = channel(fragment=10_000)
    sent = []
    a.send_pid(1, 1, 1, 0, [BIG], (), lambda: sent.append("bulk"))
    a.send_pid(1, 1, 1, 0, [b"x"], (), lambda: sent.append("behind"))
    for _ in range(9):
        assert a.take(10_000)[1] == []
    chunks, due = a.take(10_000)
    assert [on_sent() for on_sent in due] == [None, None]
    assert sent == ["bulk", "behind"]
    assert a.take(10_000) == ([], [])
    assert [op for op, _ in frames(b"".join(chunks))] == [DATA, 1]


def test_at_most_so_many_streams_are_open():
    handler = Recorder()
    a, b = channel(), channel(handler)
    for sender in range(1, 41):
        a.send_pid(sender, 1, sender, 0, [BIG])
    begun, most = 0, 0
    while data := bytes_of(a, 50_000):
        begun += [op for op, _ in frames(data)].count(BEGIN)
        b.feed(data)  # which would not take one more
        most = max(most, begun - len(handler.calls))
    assert most == MAX_STREAMS
    assert sorted(call[1] for call in handler.calls) == list(range(1, 41))


def test_open_messages_together_are_no_bigger_than_the_biggest():
    handler = Recorder()
    a, b = channel(max_message=250_000), channel(handler, max_message=250_000)
    for sender in range(1, 9):
        a.send_pid(sender, 1, sender, 0, [BIG])
    data = bytes_of(a, 1000)
    assert [op for op, _ in frames(data)].count(BEGIN) == 2
    b.feed(data)
    move(a, b)
    assert [call[1] for call in handler.calls] == list(range(1, 9))


def test_no_more_than_the_window_is_under_way():
    handler = Recorder()
    a, b = channel(window=256 * K), channel(handler, window=256 * K)
    a.send_pid(1, 1, 1, 0, [b"x" * 1_000_000])
    first = bytes_of(a)
    assert sum(rest - 5 for op, rest in frames(first) if op == DATA) == 256 * K
    assert bytes_of(a) == b""
    assert a.queued == 1_000_000 - 256 * K
    a.send_pid(2, 1, 2, 0, [b"small ones pass"])
    small = bytes_of(a)
    assert frames(small)[0][0] == 1
    b.feed(first + small)
    assert handler.calls[0][1] == 2
    grants = bytes_of(b)
    assert {op for op, _ in frames(grants)} == {CREDIT}
    a.feed(grants)
    move(a, b)
    assert len(handler.calls[1][5]) == 1_000_000


def test_received_bulk_is_the_handlers_own_and_pooled_memory_comes_back():
    kept = []

    class Keeper(Recorder):
        def to_pid(self, serial, creation, sender, kind, body, buffers):
            kept.append((body, buffers))

    pool = Pool()
    a, b = channel(), channel(Keeper(), pool=pool)
    a.send_pid(1, 1, 1, 0, [BIG], [bytearray(b"y" * SMALLEST * 2)])
    a.send_pid(1, 1, 1, 0, [BIG], [bytearray(b"z" * SMALLEST * 2)])
    move(a, b)
    (body, (one,)), (_, (two,)) = kept
    assert (bytes(body), bytes(one), bytes(two)) == (BIG, b"y" * SMALLEST * 2, b"z" * SMALLEST * 2)
    assert not one.readonly
    assert one.obj is not two.obj
    memory = id(one.obj)
    del one, two
    kept.clear()
    a.send_pid(1, 1, 1, 0, [BIG], [bytearray(b"w" * SMALLEST * 2)])
    move(a, b)
    assert id(kept[0][1][0].obj) == memory


@pytest.mark.parametrize("size", [0, 1, 2, 70_000, 5_000_000])
def test_a_buffer_that_is_bytes_is_bytes_again(size: int) -> None:
    kept = []

    class Keeper(Recorder):
        def to_pid(self, serial, creation, sender, kind, body, buffers):
            kept.extend(buffers)

    a, b = channel(), channel(Keeper())
    data = bytes(range(256)) * (size // 256 + 1)
    a.send_pid(1, 1, 1, 0, [BIG], [data[:size], bytearray(data[:size])])
    move(a, b)
    one, two = kept
    assert type(one) is bytes
    assert one == data[:size] == bytes(two)
    assert hash(one) == hash(data[:size])
    assert type(two) is memoryview
    assert not two.readonly


def test_the_channel_keeps_nothing_of_what_it_sent_or_delivered():
    held = bytearray(100_000)
    before = sys.getrefcount(held)
    a, b = channel(), channel()
    a.send_pid(1, 1, 1, 0, [b"x"], [held])
    move(a, b)
    assert sys.getrefcount(held) == before


def test_the_next_header_is_read_with_the_fragment():
    """One read for each fragment, straight to its place: the window is the fragment and one header."""
    a, b = channel(), channel()
    a.send_pid(1, 1, 1, 0, [b"x" * 300_000])
    data = bytes_of(a)
    begin = 4 + frames(data)[0][1]
    b.feed(data[: begin + FRAGMENT.size])
    sizes, at = [], begin + FRAGMENT.size
    while at < len(data):
        room = b.get_buffer()
        n = min(len(room), len(data) - at)
        sizes.append(n)
        room[:n] = data[at : at + n]
        b.received(n)
        at += n
    assert sizes == [65_536 + 9] * 4 + [300_000 - 4 * 65_536]


def test_goodbye_drops_what_is_in_pieces():
    handler = Recorder()
    a, b = channel(), channel(handler)
    sent = []
    a.send_pid(1, 1, 1, 0, [BIG], (), lambda: sent.append(1))
    a.send_pid(1, 1, 1, 0, [b"behind"])
    b.feed(bytes_of(a, 1))
    a.goodbye("bye")
    a.send_pid(1, 1, 2, 0, [BIG], (), lambda: sent.append(2))
    b.feed(bytes_of(a))
    assert handler.calls == [("goodbye", "bye")]
    assert sorted(sent) == [1, 2]
    assert a.queued == 0


# what a peer may not do


def begin(stream: int = 1, count: int = 0, in_band: int = 100, total: int = 100, header: bytes | None = None) -> bytes:
    inner = addressed(1, 0, 1, 1, 1)[4:] if header is None else header
    return BEGUN.pack(BEGUN.size - 4 + len(inner), BEGIN, stream, count, in_band, total) + inner


def data(stream: int = 1, body: bytes = b"x") -> bytes:
    return FRAGMENT.pack(5 + len(body), DATA, stream) + body


BAD = {
    "no stream": data(),
    "nothing": begin() + data(body=b""),
    "too much": begin() + data(body=b"x" * 101),
    "too much after all": begin() + data(body=b"x" * 100) + data(),
    "twice": begin() + begin(),
    "too big": begin(in_band=1 << 21, total=1 << 21),
    "together too big": b"".join(begin(stream=i, in_band=600_000, total=600_000) for i in range(2)),
    "too many": b"".join(begin(stream=i) for i in range(MAX_STREAMS + 1)),
    "no sum": begin(in_band=99),
    "in band more than all": begin(in_band=101, count=1),
    "wrong table": begin(count=1) + data(body=struct.pack(">Q", 1)),
    "no message": begin(header=bytes([7])),
    "bulk of bulk": begin(header=bytes([BEGIN]) + bytes(40)),
    "more header": begin(header=addressed(1, 0, 1, 1, 1)[4:] + b"x"),
    "less header": begin(header=addressed(1, 0, 1, 1, 1)[4:-1]),
    "no header": BEGUN.pack(BEGUN.size - 4, BEGIN, 1, 0, 1, 1),
    "a grant of nothing": GRANT.pack(5, CREDIT, 0),
    "a grant of what was not sent": GRANT.pack(5, CREDIT, 1),
    "a long grant": GRANT.pack(6, CREDIT, 1) + b"x",
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("step", [10**6, 1])
def test_what_is_wrong_ends_the_channel(case, step):
    handler = Recorder()
    b = channel(handler, max_message=1 << 20)
    stream = BAD[case]
    with pytest.raises(RemoteProtocolError):
        for at in range(0, len(stream), step):
            b.feed(stream[at : at + step])
    heard = len(handler.calls)
    assert heard == (case == "too much after all")
    with pytest.raises(RemoteProtocolError):
        b.feed(begin(stream=99, in_band=0, total=0))
    assert len(handler.calls) == heard


def test_more_than_was_granted_is_an_error():
    b = channel(window=64 * K, fragment=16 * K)
    b._grant_at = 1 << 30  # a receiver that grants nothing
    b.feed(begin(in_band=200 * K, total=200 * K))
    b.feed(data(body=b"x" * 64 * K))
    with pytest.raises(RemoteProtocolError, match="granted"):
        b.feed(data())


def test_a_message_of_nothing_is_a_message():
    handler = Recorder()
    b = channel(handler)
    b.feed(begin(in_band=0, total=0) + begin(count=2, in_band=0, total=0) + data(body=bytes(16)))
    assert handler.calls == [("to_pid", 1, 1, 1, 0, b"", []), ("to_pid", 1, 1, 1, 0, b"", [b"", b""])]
