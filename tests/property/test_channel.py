"""Two channels back to back: any sends, any pieces, any limits give exactly what was sent, each sender's in order."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beampy.wire.buffers import Pool
from beampy.wire.channel import Channel
from tests.unit.wire.recorder import Recorder

FRAGMENT = 512
WINDOW = 8192

small = st.binary(max_size=60)
big = st.integers(60_000, 90_000)  # a size: bytes of that length would make a report unreadable
pieces = st.lists(small, max_size=3) | st.lists(small | big, max_size=2)
senders = st.integers(0, 3)


@st.composite
def sends(draw: st.DrawFn) -> tuple[Any, ...]:
    what = draw(st.sampled_from(["pid", "pid", "pid", "ref", "name", "control", "monitor", "demonitor"]))
    if what in ("monitor", "demonitor"):
        return what, draw(senders), None, None
    return what, draw(senders), draw(pieces), draw(pieces)


def made(pieces: list[Any] | None, number: int) -> list[bytes]:
    return [bytes([number]) * piece if isinstance(piece, int) else piece for piece in pieces or ()]


def send(channel: Channel, number: int, what: str, sender: int, parts: Any, buffers: Any, sent: list[int]) -> Any:
    """Send message `number`; the call that it must become."""
    parts, buffers = made(parts, number), made(buffers, number)
    done = None if number % 2 else lambda: sent.append(number)
    body = b"".join(parts)
    copies = buffers or None
    if copies is None and len(body) > 65_536:
        copies = []
    match what:
        case "pid":
            channel.send_pid(number, 1, sender, 2, parts, buffers, done)
            return "to_pid", number, 1, sender, 2, body, copies
        case "ref":
            channel.send_ref(number, 1, sender, 2, parts, buffers, done)
            return "to_ref", number, 1, sender, 2, body, copies
        case "name":
            channel.send_name(f"n{number}", sender, 2, parts, buffers, done)
            return "to_name", f"n{number}", sender, 2, body, copies
        case "control":
            channel.control(sender, (1, number), 2, parts, buffers, done)
            return "control", sender, [1, number], 2, body, copies
        case "monitor":
            channel.monitor(sender, 1, 2, number, 3)
            return "monitored", sender, 1, 2, number, 3
    channel.demonitor(sender, 1, 2, number)
    return "demonitored", sender, 1, 2, number


def sender_of(call: tuple[Any, ...]) -> int:
    return call[{"to_pid": 3, "to_ref": 3, "to_name": 2}.get(call[0], 1)]


class Side:
    """One end, and the bytes on their way to it."""

    def __init__(self) -> None:
        self.handler = Recorder()
        self.channel = Channel(self.handler, window=WINDOW, fragment=FRAGMENT, pool=Pool())
        self.arriving = bytearray()
        self.sent: list[int] = []
        self.expected: list[tuple[Any, ...]] = []

    def write_to(self, other: Side, limit: int) -> bool:
        chunks, due = self.channel.take(limit)
        for chunk in chunks:
            other.arriving += chunk
        for on_sent in due:
            on_sent()
        assert self.channel.queued >= 0
        return bool(chunks)

    def read(self, n: int) -> None:
        """As a socket does: into the buffer that is offered, no more than there is room."""
        room = self.channel.get_buffer()
        n = min(n, len(room), len(self.arriving))
        if n:
            room[:n] = self.arriving[:n]
            del self.arriving[:n]
            self.channel.received(n)


@settings(deadline=None, max_examples=200)
@given(script=st.lists(st.tuples(st.booleans(), sends()), max_size=14), seed=st.integers(0, 1 << 32))
def test_what_is_sent_arrives_once_whole_and_in_order(script, seed):
    rng = random.Random(seed)
    a, b = Side(), Side()
    reads = [rng.choice((8, 9, 10, 100, 520, 521, 5000, 300_000)) for _ in range(3)]
    waiting = list(enumerate(script, 1))
    idle = 0
    while waiting or idle < 20:
        if waiting and rng.random() < 0.3:
            number, (there, message) = waiting.pop(0)
            side = a if there else b
            side.expected.append(send(side.channel, number, *message, side.sent))
        moved = a.write_to(b, rng.choice((1, 600, 5000, 1 << 20))) | b.write_to(a, rng.choice((1, 600, 1 << 20)))
        for _ in range(rng.randrange(60)):
            a.read(rng.choice(reads))
            b.read(rng.choice(reads))
        idle = 0 if moved or a.arriving or b.arriving else idle + 1
    for here, other in ((a, b), (b, a)):
        got = other.handler.calls
        assert sorted(map(repr, got)) == sorted(map(repr, here.expected))
        for sender in (1, 2, 3):
            assert [c for c in got if sender_of(c) == sender] == [c for c in here.expected if sender_of(c) == sender]
        assert here.channel.queued == 0
        numbers = [
            n for n, (there, message) in enumerate(script, 1) if there == (here is a) and "monitor" not in message[0]
        ]
        assert sorted(here.sent) == [number for number in numbers if number % 2 == 0]


@settings(deadline=None, max_examples=60)
@given(messages=st.lists(sends(), max_size=8), cuts=st.lists(st.integers(1, 9000), min_size=1, max_size=6))
def test_any_pieces_are_the_same(messages, cuts):
    source = Channel(Recorder(), fragment=FRAGMENT, pool=Pool())
    for number, message in enumerate(messages, 1):
        send(source, number, *message, [])
    data = b"".join(source.take(1 << 30)[0])
    whole, parts = Recorder(), Recorder()
    Channel(whole, pool=Pool()).feed(data)
    target = Channel(parts, pool=Pool())
    at = turn = 0
    while at < len(data):
        target.feed(data[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    assert parts.calls == whole.calls
    assert len(whole.calls) == len(messages)
