"""Fuzz target: any bytes fed to a channel are decoded or refused, the same in any pieces, in bounded memory.

    python -m tests.fuzz.channel --seconds 60 --seed 1     mutate the corpus; a find is printed as hex
    python -m tests.fuzz.channel --write                   write the corpus anew, after a change of the protocol

`run` takes bytes and nothing else, so that a coverage-guided fuzzer can drive it as well.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
from functools import partial
from pathlib import Path

from beampy.core.ids import Pid
from beampy.errors import RemoteProtocolError
from beampy.wire.buffers import Pool
from beampy.wire.channel import Channel
from beampy.wire.control import SHAPES, from_control
from beampy.wire.frame import BEGIN, BEGUN, CREDIT, DATA, FRAGMENT, GRANT, MAX_STREAMS, addressed, controlled
from tests.unit.wire.recorder import Recorder, bytes_of

CORPUS = Path(__file__).with_name("corpus") / "channel"
MAX_MESSAGE = 1 << 20
# All open messages, and a table of the most buffers for each stream.
MAX_HELD = MAX_MESSAGE + MAX_STREAMS * 8 * 0xFFFF
INTERESTING = (0, 1, 5, 9, 25, 26, 0x40, 0x41, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


class CountingPool(Pool):
    """Says no to more than a peer may make a channel hold."""

    def take(self, n):
        assert n <= MAX_MESSAGE, f"room for {n} bytes"
        return super().take(n)


class Reader(Recorder):
    """Reads control arrays too, as a node does."""

    def control(self, sender, args, kind, body, buffers):
        super().control(sender, args, kind, body, buffers)
        from_control(sender, args, partial(Pid, "b@h"), partial(Pid, "a@h"))


def feed(data: bytes, cuts: list[int]) -> tuple[list[object], bool]:
    """The calls that `data` in such pieces became, and whether it was refused."""
    handler = Reader()
    channel = Channel(handler, max_message=MAX_MESSAGE, pool=CountingPool())
    at = turn = 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        try:
            channel.feed(data[at : at + size])
        except RemoteProtocolError:
            heard = len(handler.calls)
            try:
                channel.feed(b"\0\0\0\1\7")
            except RemoteProtocolError:
                assert len(handler.calls) == heard
                return handler.calls, True
            raise AssertionError("it came back to life") from None
        held = sum(len(stream.view) + sum(map(len, stream.buffers)) for stream in channel._streams.values())
        assert held <= MAX_HELD
        assert len(channel._streams) <= MAX_STREAMS
        at += size
        turn += 1
    return handler.calls, False


def run(data: bytes) -> bool:
    """Feed `data` whole and in pieces that it chooses itself; whether it was refused."""
    calls, refused = feed(data, [len(data) or 1])
    cuts = [1 + byte for byte in data[-3:]] or [1]
    again, refused_again = feed(data, cuts)
    # A control array is refused by its reader, after the channel has taken it: the calls include it in both.
    assert (calls, refused) == (again, refused_again)
    return refused


def mutate(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One to four changes of the kinds that break parsers."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1 if out:
                out[at % len(out)] = rng.randrange(256)
            case 2:
                del out[at : at + rng.randrange(1, 20)]
            case 3:
                out[at:at] = rng.randbytes(rng.randrange(1, 20))
            case 4:
                form = rng.choice((">B", ">H", ">I"))
                value = struct.pack(form, rng.choice(INTERESTING) % (1 << 8 * struct.calcsize(form)))
                out[at : at + len(value)] = value
            case 5:
                other = rng.choice(others)
                cut = rng.randrange(len(other) + 1)
                out[at:] = other[cut:]
            case 6:
                end = at + rng.randrange(1, 60)
                out[at:at] = out[at:end]
    return bytes(out[:4096])


def seeds() -> dict[str, bytes]:
    """Sessions that are right, of every kind of frame; the corpus."""

    def sent(*sends) -> bytes:
        channel = Channel(Recorder(), pool=Pool())
        for send in sends:
            send(channel)
        return bytes_of(channel)

    def begin(stream, op_header, count, in_band, total) -> bytes:
        return BEGUN.pack(BEGUN.size - 4 + len(op_header), BEGIN, stream, count, in_band, total) + op_header

    def data(stream, body) -> bytes:
        return FRAGMENT.pack(5 + len(body), DATA, stream) + body

    to_pid = addressed(1, 0, 1, 2, 3)[4:]
    table = struct.pack(">QQQ", 30, 0, 10)
    arrays = [(1, 9, 2), (2, 9, 2, 1), (4, 9, 2, True), (5, 9, 2, 3), (7, 1, {"link": True})]
    arrays += [(8, 1, 2), (9, ["a@h", "b@h"]), (10, "a@h", 5), (200, [1, [2.5, None, b"x"]])]
    arrays += [(11,), (12,), (20, 4711, 9, 77, b"secret"), (21, b"secret"), (22, [1, 2], [3]), (23, 5, False)]
    assert {array[0] for array in arrays} >= set(SHAPES) - {3}
    one = begin(1, to_pid, 2, 10, 50)
    # Two buffers of 30 and 10 bytes; the table of two is 16 bytes.
    pieces = [data(1, struct.pack(">QQ", 30, 10)), data(1, b"in-band 10"), data(1, b"a" * 20), data(1, b"a" * 10)]
    return {
        "small": sent(
            lambda c: c.send_pid(1, 2, 3, 0, [b"body"]),
            lambda c: c.send_ref(1, 2, 3, 0, [b"body"]),
            lambda c: c.send_name("näme", 3, 0, [b"body"]),
            lambda c: c.control(3, (1, 9, 2), 0, [b"body"]),
            lambda c: c.tick(15.0),
        ),
        "buffers": sent(
            lambda c: c.send_pid(1, 2, 3, 0, [b"body"], [b"one", b"", b"three"]),
            lambda c: c.send_name("n", 3, 0, [], [b"one"]),
            lambda c: c.control(3, (200,), 0, [b"body"], [b"one"]),
        ),
        "monitors": sent(
            lambda c: c.monitor(1, 2, 3, 4),
            lambda c: c.send_pid(3, 2, 1, 0, [b"call"]),
            lambda c: c.demonitor(1, 2, 3, 4),
            lambda c: c.monitor_name(1, "näme", 4, 1),
        ),
        "controls": sent(*(lambda c, array=array: c.control(3, array) for array in arrays)),
        "tick": sent(lambda c: c.tick(15.0), lambda c: c.send_pid(1, 2, 3, 0, [b""])),
        "goodbye": sent(lambda c: c.send_pid(1, 2, 3, 0, [b"x"]), lambda c: c.goodbye("shutdown")) + b"more",
        "bulk": one + b"".join(pieces) + data(1, b"b" * 10),
        "bulk-with-small": one
        + sent(lambda c: c.send_pid(1, 2, 3, 0, [b"x"])).join(pieces)
        + sent(lambda c: c.tick(15.0))
        + data(1, b"b" * 10),
        "bulk-of-two": begin(1, to_pid, 0, 40, 40)
        + begin(2, controlled(3, (200, "x"), 0)[4:], 3, 0, 40)
        + data(1, b"x" * 15)
        + data(2, table)
        + data(1, b"x" * 15)
        + data(2, b"y" * 30)
        + data(1, b"x" * 10)
        + data(2, b"z" * 10),
        "bulk-empty": begin(1, to_pid, 0, 0, 0) + begin(1, to_pid, 1, 0, 0) + data(1, bytes(8)),
        "credit-unasked": GRANT.pack(5, CREDIT, 100),
    }


def corpus() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the channel.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the corpus anew")
    options = parser.parse_args()
    if options.write:
        for name, data in seeds().items():
            (CORPUS / f"{name}.bin").write_bytes(data)
        return
    rng, known = random.Random(options.seed), corpus()
    until, count = time.monotonic() + options.seconds, 0
    while time.monotonic() < until:
        data = mutate(rng, rng.choice(known), known)
        try:
            run(data)
        except BaseException:
            sys.stderr.write(f"after {count} runs: {data.hex()}\n")
            raise
        count += 1
    sys.stdout.write(f"{count} runs\n")


if __name__ == "__main__":
    main()
