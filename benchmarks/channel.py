"""The channel: what a message between two nodes costs below its encoding, and how fast big ones are.

`channel` is two ends in memory: 100-byte bodies queued, taken and parsed in batches of 500, as a busy node does.
`channel_bulk` is one 64 MiB buffer at a time, in memory and over a unix socket to another operating-system process that
reads it with the same code as a node, once with the pool and once into fresh memory. Beside it stands the same socket
without any of this: a blocking sendall into a buffer that is used again, and into a fresh one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.wire.buffers import Pool
from beampy.wire.channel import Channel
from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b"x" * 100
BATCH = 500
BIG = 64 * 1024 * 1024
PORTION = 512 * 1024  # what is taken for one write
DONE = 9  # the kind of a message that is answered


class Sink:
    """A handler that takes everything and does `then` after a bulk message."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.then = then

    def to_pid(self, serial: int, creation: int, sender: int, kind: int, body: Any, buffers: Any) -> None:
        if kind == DONE:
            self.then()

    to_ref = to_pid

    def to_name(self, *call: Any) -> None: ...

    control = monitored = monitored_name = demonitored = goodbye = to_name


async def channel(n: int) -> Figures:
    """Messages a second through the sending half, the receiving half, and both."""
    a, b = Channel(Sink()), Channel(Sink())
    send = a.send_pid
    sending = receiving = 0.0
    for _ in range(max(1, n // BATCH)):
        began = perf_counter()
        for serial in range(BATCH):
            send(serial, 0xC0FFEE, 777, 1, [BODY])
        chunks, _ = a.take(PORTION)
        sent = perf_counter()
        data = b"".join(chunks)
        arrived = perf_counter()
        b.feed(data)
        receiving += perf_counter() - arrived
        sending += sent - began
    done = max(1, n // BATCH) * BATCH
    return {
        "channel.send": done / sending,
        "channel.receive": done / receiving,
        "channel.both": done / (sending + receiving),
    }


def in_memory(n: int) -> float:
    """GB/s of `n` big messages from one end to the other."""
    pool = Pool()
    a, b = Channel(Sink()), Channel(Sink(), pool=pool)
    source = bytearray(BIG)
    began = perf_counter()
    for i in range(n + 1):
        if i == 1:
            began = perf_counter()  # the first one warms up, as below
        a.send_pid(1, 1, 1, 1, [b"head"], [source])
        while a.queued:
            for chunk in a.take(PORTION)[0]:
                b.feed(chunk)
            for chunk in b.take(PORTION)[0]:
                a.feed(chunk)
    return n * BIG / (perf_counter() - began) / 1e9


class End(asyncio.BufferedProtocol):
    """A channel on a socket: the least that a connection does."""

    def __init__(self, handler: Sink, pool: Pool | None) -> None:
        self.channel = Channel(handler, pool=pool)
        self.paused = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=PORTION)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.channel.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.channel.received(nbytes)
        if self.channel.queued:
            self.flush()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.flush()

    def flush(self) -> None:
        while self.channel.queued and not self.paused:
            chunks, _ = self.channel.take(PORTION)
            if not chunks:
                return
            self.transport.writelines(chunks)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def open_end(sock: socket.socket, handler: Sink, pool: Pool | None) -> End:
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    _, end = await loop.create_connection(lambda: End(handler, pool), sock=sock)
    return end


async def answer(sock: socket.socket, pooled: bool) -> None:
    """The other process: takes big messages and answers each."""
    end = await open_end(sock, Sink(lambda: reply()), Pool() if pooled else None)

    def reply() -> None:
        end.channel.send_ref(1, 1, 1, DONE, [b"ok"])

    await end.closed


def answer_raw(sock: socket.socket, fresh: bool) -> None:
    """The other process, without beampy."""
    buffer = bytearray(BIG)
    while True:
        if fresh:
            buffer = bytearray(BIG)
        view, got = memoryview(buffer), 0
        while got < BIG:
            n = sock.recv_into(view[got:])
            if not n:
                return
            got += n
        sock.send(b"k")


class Other:
    """A process at the other end of a socket pair, for the length of a block."""

    def __init__(self, role: str) -> None:
        self.role = role

    def __enter__(self) -> socket.socket:
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.channel", "answer", self.role, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).resolve().parents[1],
            )
        return self.socket

    def __exit__(self, *exc: object) -> None:
        self.socket.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


async def over_socket(n: int, role: str) -> float:
    with Other(role) as sock:
        arrived = asyncio.Event()
        end = await open_end(sock, Sink(arrived.set), None)
        source = bytearray(BIG)
        began = perf_counter()
        for i in range(n + 1):
            if i == 1:
                began = perf_counter()  # the first one warms up: its memory is fresh in any case
            arrived.clear()
            end.channel.send_pid(1, 1, 1, DONE, [b"head"], [source])
            end.flush()
            await asyncio.wait_for(arrived.wait(), 60)
        rate = n * BIG / (perf_counter() - began) / 1e9
        end.transport.close()
        await end.closed
        return rate


def over_raw_socket(n: int, role: str) -> float:
    with Other(role) as sock:
        sock.settimeout(60)
        source = bytearray(BIG)
        began = perf_counter()
        for i in range(n + 1):
            if i == 1:
                began = perf_counter()
            sock.sendall(source)
            sock.recv(1)
        return n * BIG / (perf_counter() - began) / 1e9


async def channel_bulk(n: int) -> Figures:
    return {
        "channel.bulk": in_memory(n),
        "channel.socket": await over_socket(n, "pooled"),
        "channel.socket.fresh": await over_socket(n, "unpooled"),
        "channel.raw": over_raw_socket(n, "raw"),
        "channel.raw.fresh": over_raw_socket(n, "raw-fresh"),
    }


CASES = (
    Case(
        "channel",
        channel,
        (
            Figure("channel.send", "messages/s"),
            Figure("channel.receive", "messages/s"),
            Figure("channel.both", "messages/s"),
        ),
        size=500_000,
        smoke=1000,
    ),
    Case(
        "channel_bulk",
        channel_bulk,
        (
            Figure("channel.bulk", "GB/s"),
            Figure("channel.socket", "GB/s"),
            Figure("channel.socket.fresh", "GB/s"),
            Figure("channel.raw", "GB/s"),
            Figure("channel.raw.fresh", "GB/s"),
        ),
        size=10,
        smoke=1,
        runs=3,
    ),
)


def entry(arguments: list[str]) -> int:
    """The other end of a socket where the arguments say so, otherwise measure."""
    if arguments[:1] != ["answer"]:
        return main(CASES, arguments)
    role, descriptor = arguments[1], int(arguments[2])
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as sock:
        if role.startswith("raw"):
            answer_raw(sock, role == "raw-fresh")
        else:
            bp.run(answer, sock, role == "pooled")
    return 0


if __name__ == "__main__":
    raise SystemExit(entry(sys.argv[1:]))
