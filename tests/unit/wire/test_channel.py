"""Small frames through a channel: what goes in comes out, lent or owned, and liveness by ticks."""

from __future__ import annotations

import pytest

from beampy.errors import EncodeError, RemoteProtocolError
from beampy.wire import frame
from beampy.wire.channel import STALLED_AFTER
from beampy.wire.frame import MAX_SMALL
from beampy.wire.receiving import SCRATCH
from beampy.wire.sending import JOINED
from tests.unit.wire.recorder import Recorder, bytes_of, channel, move

SENDS = {
    "to_pid": (lambda c, *a: c.send_pid(7, 8, 9, 1, *a), (7, 8, 9, 1)),
    "to_ref": (lambda c, *a: c.send_ref(7, 8, 9, 1, *a), (7, 8, 9, 1)),
    "to_name": (lambda c, *a: c.send_name("näme", 9, 1, *a), ("näme", 9, 1)),
    "control": (lambda c, *a: c.control(9, (3, "x", [1]), 1, *a), (9, [3, "x", [1]], 1)),
}


@pytest.mark.parametrize("method", SENDS)
@pytest.mark.parametrize(
    "parts", [[], [b""], [b"body"], [b"bo", b"", b"dy"], [b"x" * (JOINED + 1)], [b"x" * MAX_SMALL]]
)
def test_a_small_message_arrives_without_buffers(method, parts):
    handler = Recorder()
    send, lead = SENDS[method]
    a, b = channel(), channel(handler)
    send(a, parts)
    move(a, b)
    assert handler.calls == [(method, *lead, b"".join(parts), None)]


@pytest.mark.parametrize("method", SENDS)
@pytest.mark.parametrize("buffers", [[b""], [b"one"], [b"one", b"", bytearray(b"three")], [b"y" * 60_000]])
def test_small_buffers_travel_in_the_frame(method, buffers):
    handler = Recorder()
    send, lead = SENDS[method]
    a, b = channel(), channel(handler)
    send(a, [b"bo", b"dy"], buffers)
    data = bytes_of(a)
    assert len(data) < MAX_SMALL + 100
    b.feed(data)
    assert handler.calls == [(method, *lead, b"body", [bytes(buffer) for buffer in buffers])]


def test_monitors_have_frames_of_their_own():
    handler = Recorder()
    a, b = channel(), channel(handler)
    a.monitor(1, 2, 3, 4)
    a.monitor(1, 2, 3, 5, 1)
    a.demonitor(1, 2, 3, 4)
    move(a, b)
    assert handler.calls == [("monitored", 1, 2, 3, 4, 0), ("monitored", 1, 2, 3, 5, 1), ("demonitored", 1, 2, 3, 4)]


def test_the_largest_numbers_fit():
    handler = Recorder()
    a, b = channel(), channel(handler)
    big, creation = (1 << 64) - 1, (1 << 32) - 1
    a.send_pid(big, creation, big, 255, [b"x"])
    a.monitor(big, creation, big, big)
    move(a, b)
    assert handler.calls == [("to_pid", big, creation, big, 255, b"x", None), ("monitored", big, creation, big, big, 0)]


def test_frames_keep_their_order_and_leave_as_one_chunk():
    handler = Recorder()
    a, b = channel(), channel(handler)
    for i in range(100):
        a.send_pid(i, 1, 2, 0, [b"x"])
        a.send_ref(i, 1, 2, 0, [b"x"])
        a.monitor(2, 1, i, i)
    queued = a.queued
    chunks, due = a.take(1 << 20)
    assert len(chunks) == 1
    assert len(chunks[0]) == queued
    assert (due, a.queued) == ([], 0)
    b.feed(chunks[0])
    assert [(c[0], c[1 if c[0] != "monitored" else 3]) for c in handler.calls] == [
        (method, i) for i in range(100) for method in ("to_pid", "to_ref", "monitored")
    ]


def test_a_large_small_body_is_not_copied():
    a = channel()
    body = b"x" * (JOINED + 1)
    a.send_pid(1, 1, 1, 0, [b"before"])
    a.send_pid(1, 1, 1, 0, [body])
    a.send_pid(1, 1, 1, 0, [b"after"])
    chunks, _ = a.take(1 << 20)
    assert any(chunk is body for chunk in chunks)
    assert a.queued == 0


def test_nothing_to_write():
    a = channel()
    assert a.take(1 << 20) == ([], [])


@pytest.mark.parametrize("body", [b"x", b"x" * (JOINED + 1)])
def test_on_sent_is_due_with_the_bytes(body):
    a = channel()
    sent = []
    a.send_pid(1, 1, 1, 0, [body], (), lambda: sent.append(1))
    assert not sent
    chunks, due = a.take(1 << 20)
    assert chunks
    assert len(due) == 1
    assert a.take(1 << 20) == ([], [])


def test_a_small_body_is_lent_and_buffers_are_given():
    seen = []

    class Keeper(Recorder):
        def to_pid(self, serial, creation, sender, kind, body, buffers):
            seen.append((body, buffers))

    a, b = channel(), channel(Keeper())
    a.send_pid(1, 1, 1, 0, [b"first"])
    a.send_pid(1, 1, 1, 0, [b"body"], [b"buffer"])
    b.feed(bytes_of(a))
    a.send_pid(1, 1, 1, 0, [b"x" * 200])
    b.feed(bytes_of(a))
    (_, none), (body, buffers), _ = seen
    assert none is None
    assert bytes(body) == b"body"  # still, though the buffer it was read from has been used again
    assert bytes(buffers[0]) == b"buffer"
    buffers[0][:3] = b"BUF"
    assert bytes(buffers[0]) == b"BUFfer"


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 26, 1000])
def test_any_pieces_give_the_same(step):
    whole, pieces = Recorder(), Recorder()
    a = channel()
    for send, _ in SENDS.values():
        send(a, [b"body"])
        send(a, [b"body"], [b"one", b"two"])
    a.monitor(1, 2, 3, 4)
    a.control(0, (200,))
    a.goodbye("bye")
    data = bytes_of(a)
    channel(whole).feed(data)
    b = channel(pieces)
    for at in range(0, len(data), step):
        b.feed(data[at : at + step])
    assert pieces.calls == whole.calls
    assert len(whole.calls) == 11


def test_a_full_scratch_keeps_the_frame_at_its_end():
    handler = Recorder()
    a, b = channel(), channel(handler)
    for _ in range(6):
        a.send_pid(1, 1, 1, 0, [b"x" * MAX_SMALL])
    data = bytes_of(a)
    assert len(data) > SCRATCH
    b.feed(data)
    assert [len(call[5]) for call in handler.calls] == [MAX_SMALL] * 6


def test_goodbye_is_the_last_word():
    handler = Recorder()
    a, b = channel(), channel(handler)
    a.send_pid(1, 1, 1, 0, [b"x"])
    a.goodbye("é" * 2000)
    a.send_pid(1, 1, 1, 0, [b"too late"])
    b.feed(bytes_of(a))
    b.feed(b"anything")
    assert [call[0] for call in handler.calls] == ["to_pid", "goodbye"]
    assert handler.calls[1][1] == "é" * 512


def test_what_no_frame_holds_is_the_senders_error():
    a = channel(max_message=1 << 20)
    with pytest.raises(EncodeError):
        a.send_name("n" * 256, 1, 0, [b""])
    with pytest.raises(EncodeError):
        a.send_name("", 1, 0, [b""])
    with pytest.raises(EncodeError):
        a.send_name("\ud800", 1, 0, [b""])
    with pytest.raises(EncodeError):
        a.control(1, (1, "x" * 70_000))
    with pytest.raises(EncodeError):
        a.control(1, (1, object()))
    with pytest.raises(EncodeError):
        a.control(1, (1, 1 << 70))
    with pytest.raises(EncodeError):
        a.send_pid(1, 1, 1, 0, [b"x" * (1 << 20) + b"x"])
    with pytest.raises(EncodeError):
        a.send_pid(1, 1, 1, 0, [b""], [b""] * 65_536)
    assert (a.queued, a.take(1 << 20)) == (0, ([], []))


@pytest.mark.parametrize("options", [{"fragment": 0}, {"fragment": 1 << 20}, {"window": 1000}, {"window": 1 << 32}])
def test_sizes_that_cannot_work_are_refused(options):
    with pytest.raises(ValueError):
        channel(**options)


def test_a_handler_that_raises_ends_the_channel():
    class Broken(Recorder):
        def to_pid(self, *call):
            raise KeyError("mine")

    a, b = channel(), channel(Broken())
    a.send_pid(1, 1, 1, 0, [b"x"])
    data = bytes_of(a)
    with pytest.raises(KeyError):
        b.feed(data)
    with pytest.raises(RemoteProtocolError, match="handler"):
        b.feed(data)


def test_close_forgets_everything():
    handler = Recorder()
    a, b = channel(), channel(handler)
    sent = []
    a.send_pid(1, 1, 1, 0, [b"x"], (), lambda: sent.append("small"))
    a.send_pid(1, 1, 1, 0, [b"x" * 100_000], (), lambda: sent.append("bulk"))
    a.send_pid(1, 1, 1, 0, [b"x"], (), lambda: sent.append("behind"))
    for on_sent in a.close():
        on_sent()
    assert sorted(sent) == ["behind", "bulk", "small"]
    assert (a.queued, a.take(1 << 20)) == (0, ([], []))
    b.close()
    with pytest.raises(RemoteProtocolError, match="closed"):
        b.feed(b"x")


# liveness, with OTP's tick time of 60 s: an interval of 15 s


def test_a_tick_is_sent_when_nothing_else_was():
    handler = Recorder()
    a, b = channel(now=100.0), channel(handler)
    a.tick(107.0)
    assert a.queued == 0
    a.tick(115.0)
    assert a.queued == 5
    b.feed(bytes_of(a))
    assert handler.calls == []
    a.tick(116.0)  # what was written counts from here
    a.tick(130.0)
    assert a.queued == 0
    a.tick(131.0)
    assert a.queued == 5


def test_what_was_written_is_as_good_as_a_tick():
    a = channel()
    for second in range(1, 61):
        a.send_pid(1, 1, 1, 0, [b"x"])
        bytes_of(a)
        a.tick(float(second))
        assert a.queued == 0


def test_ticks_do_not_pile_up_where_nothing_is_written():
    a = channel()
    for second in range(1, 200):
        a.tick(float(second))
    assert a.queued == 5


def test_silence_is_stalled_and_then_dead():
    b = channel()
    found = [(second, b.tick(float(second))) for second in range(1, 76)]
    stalled = [second for second, status in found if status == "stalled"]
    dead = [second for second, status in found if status == "dead"]
    assert stalled[0] == 15 + STALLED_AFTER
    assert 45 < dead[0] <= 75
    assert stalled[-1] + 1 == dead[0]


def test_any_byte_is_life():
    a, b = channel(), channel()
    a.send_pid(1, 1, 1, 0, [b"x" * 100])
    data = bytes_of(a)
    for i in range(100):
        b.feed(data[i : i + 1])
        assert b.tick(10.0 * (i + 1)) == "ok"


def test_one_late_look_does_not_kill():
    b = channel()
    assert b.tick(3600.0) == "ok"  # this process slept; the peer's bytes may be waiting
    for second in range(1, 5):
        assert b.tick(3600.0 + second) == "ok"
    assert b.tick(3605.0) == "stalled"


def test_a_name_is_monitored() -> None:
    a, b = channel(), channel(seen := Recorder())
    a.monitor_name(7, "näme", 9, 1)
    a.monitor_name(7, "x" * 255, 2**64 - 1)
    move(a, b)
    assert seen.calls == [("monitored_name", "näme", 7, 9, 1), ("monitored_name", "x" * 255, 7, 2**64 - 1, 0)]


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_name_that_no_frame_holds_is_not_monitored(name: str) -> None:
    with pytest.raises(EncodeError):
        channel().monitor_name(7, name, 9)


def test_a_monitored_name_that_is_too_long_is_refused() -> None:
    packed = frame.MONITORED.pack(frame.MONITORED_REST + 256, frame.MONITOR, 0, 0, 0, 7, 9) + b"x" * 256
    with pytest.raises(RemoteProtocolError, match="length"):
        channel().feed(packed)


def test_a_name_longer_than_its_frame_is_refused() -> None:
    packed = frame.NAMED.pack(frame.NAMED_REST + 12, frame.SEND_NAME, 0, 7, 13) + b"x" * 12
    with pytest.raises(RemoteProtocolError, match="longer than its frame"):
        channel().feed(packed)
