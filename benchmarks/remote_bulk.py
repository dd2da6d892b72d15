"""Between two nodes, big messages: blocks of 1, 16 and 64 MB, in MB/s.

A block is a bytearray that travels as a buffer beside the pickle, as a numpy array does. "wait": the next one leaves
when the other side has answered that it has the last one. "stream": up to four are unanswered. The receiver lets go of
each message before it takes the next one. A block can still be written to, so the node copies it before it leaves.
"bytes" is "wait" with bytes, which pickle keeps in the body: the receiver has to copy them out.

Beside them stand two blocking sockets between two processes and nothing else (`versus/on_socket.py`): the receiver
reads into fresh memory for each message, or into the same memory again and again.
"""

from __future__ import annotations

import asyncio
import os
from pickle import PickleBuffer
from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

MB = 1_000_000
SIZES = (1, 16, 64)
STREAMED = 4  # sent before the first answer is awaited: memory for so many on either side


class Block:
    """Bytes that travel out of band, as the data of an array does."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Block, (PickleBuffer(self.data),)

    def __len__(self) -> int:
        return memoryview(self.data).nbytes


async def sink(parent: bp.Pid) -> None:
    """On the other node: answers each message with its length in bytes."""
    while True:
        message: Any = await bp.receive()
        size = len(message[1])
        del message
        bp.send(parent, size)


async def wait(target: bp.Pid, data: Any, n: int) -> float:
    """MB/s, each one answered before the next one leaves."""
    size = len(data)
    began = perf_counter()
    for _ in range(n):
        bp.send(target, ("big", data))
        assert await bp.receive() == size
    return n * size / MB / (perf_counter() - began)


async def stream(target: bp.Pid, data: Any, n: int) -> float:
    """MB/s, with up to STREAMED unanswered."""
    size = len(data)
    began = perf_counter()
    for i in range(n):
        bp.send(target, ("big", data))
        if i >= STREAMED:
            assert await bp.receive() == size
        else:
            await asyncio.sleep(0)
    for _ in range(min(n, STREAMED)):
        await bp.receive()
    return n * size / MB / (perf_counter() - began)


async def remote_bulk(megabytes: int, other: Other) -> Figures:
    """`megabytes` in all for each figure."""
    target = await bp.spawn(sink, bp.self(), node=other.name)
    figures: Figures = {}
    for size in SIZES:
        n = max(1, megabytes // size)
        data = Block(bytearray(os.urandom(1000)) * (size * 1000))
        await wait(target, data, 2)  # memory that is used again from here on
        figures[f"remote_bulk.{size}MB.wait"] = await wait(target, data, n)
        figures[f"remote_bulk.{size}MB.stream"] = await stream(target, data, n)
        figures[f"remote_bulk.{size}MB.bytes"] = await wait(target, bytes(data.data), n)
    return figures


CASES = (
    Case(
        "remote_bulk",
        remote_bulk,
        tuple(Figure(f"remote_bulk.{size}MB.{how}", "MB/s") for size in SIZES for how in ("wait", "stream", "bytes")),
        size=1000,
        smoke=2,
        runs=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
