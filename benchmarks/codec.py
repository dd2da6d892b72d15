"""The codec: what a message costs to write and to read, beside bare pickle in the same turn.

"pickle.*" is `pickle.dumps(message, 5)` and `pickle.loads`, which know no sender, refuse nothing and copy everything:
the least that any codec on pickle costs for plain data, and much more than it needs for pids and calls. A large
message is written into parts and views that the connection sends as they are; its figure is of that, without the
copy that a snapshot of writable memory takes, and reading starts at the bytes as they lie in memory.

The codec is no public name: it is looked up by the name of its module.
"""

from __future__ import annotations

import array
import importlib
import pickle
from time import perf_counter
from typing import Any

import beampy as bp
from benchmarks.case import Body, Case, Figure, Figures
from benchmarks.harness import main

ROUNDS = 5  # the best of them counts: noise only ever adds


class Buffer:
    """An array whose memory travels beside the message, as numpy's."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Buffer, (pickle.PickleBuffer(self.data),)


def shapes() -> dict[str, Any]:
    """Messages by name, each for a pid of the node that sends it."""
    ids = importlib.import_module("beampy.core.ids")
    messages = importlib.import_module("beampy.otp.messages")
    records = importlib.import_module("beampy.wire.records")
    for number, record in ((16, messages.Call), (18, messages.Method)):  # CODEC.md has them
        records.register_record(number, record)
    me = bp.self()
    node, creation = me.node, me.creation
    return {
        "tuple": ("get", b"x" * 100),
        "pid": ("get", me, 1),
        "call": messages.Call(ids.Ref(node, 2**40, creation), me, messages.Method("add", (1,), {})),
        "reply": 42,
        "dict": {f"key{i}": i * 1000 for i in range(64)},  # 1 KB
        "bytes": ("put", b"x" * 2**20),
        "bytearray": ("put", bytearray(8 * 2**20)),
        "array": ("put", Buffer(array.array("d", bytes(8 * 2**20)))),
    }


LARGE = {"bytes", "bytearray", "array"}


def best(work: Any, n: int) -> float:
    """Microseconds for one call of `work`."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = perf_counter()
        for _ in range(n):
            work()
        least = min(least, perf_counter() - began)
    return least / n * 1e6


def measured(name: str) -> Body:
    async def body(n: int) -> Figures:
        codec = importlib.import_module("beampy.wire.codec")
        message = shapes()[name]
        me = bp.self()
        encode = codec.Encoder(me.node, me.creation, export=lambda ref: None).encode
        decode = codec.Decoder(me.node, me.creation).decode_now
        kind, parts, views = encode(message)
        whole, buffers = b"".join(parts), [bytearray(view) for view in views]
        bare = pickle.dumps(message, 5)
        return {
            f"codec.{name}.encode": best(lambda: encode(message), n),
            f"pickle.{name}.encode": best(lambda: pickle.dumps(message, 5), n),
            f"codec.{name}.decode": best(lambda: decode(kind, whole, buffers), n),
            f"pickle.{name}.decode": best(lambda: pickle.loads(bare), n),
        }

    return body


def case(name: str) -> Case:
    figures = [f"{who}.{name}.{what}" for what in ("encode", "decode") for who in ("codec", "pickle")]
    return Case(
        f"codec.{name}",
        measured(name),
        tuple(Figure(figure, "µs", higher=False) for figure in figures),
        size=20 if name in LARGE else 20_000,
        smoke=2,
    )


CASES = tuple(map(case, ("tuple", "pid", "call", "reply", "dict", "bytes", "bytearray", "array")))

if __name__ == "__main__":
    raise SystemExit(main(CASES))
