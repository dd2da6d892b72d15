"""The other node: an operating-system process of its own, which a two-node case talks to.

The rule: a case's body gets an `Other`, which is up and connected, and need not stop it. Both nodes meet through a
name service of their own, over one of three carriers: a unix socket (what nodes of one host use by themselves), plain
TCP, or TLS over TCP. The other node runs until its standard input ends, so it cannot outlive whoever started it.

    python -m benchmarks.two_nodes NAME CARRIER LOOP      the other node; it prints {"ready": its pid} when it is up

This file knows how to start, stop, freeze and kill the other node. What runs on it is in the hot-path files:
`bp.spawn` sends a function of theirs by its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import beampy as bp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from benchmarks.case import Body, Figures

CARRIERS: dict[str, dict[str, Any]] = {
    "unix": {},
    "tcp": {"unix": False},
    "tls": {"unix": False, "tls": True},
}
READY_S = 30.0
ROOT = Path(__file__).resolve().parent.parent


class Other:
    """The other node. `name` is its name; `start` and `kill` may be called again and again."""

    def __init__(self, carrier: str, loop: str = "") -> None:
        self.carrier = carrier
        self.name = f"other{os.getpid()}@127.0.0.1"
        self._loop = loop
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Other:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def pid(self) -> int:
        """Its operating-system pid."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it serves. In a thread: the node here is the name service that it asks."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.two_nodes", self.name, self.carrier, self._loop],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(READY_S) or not self._process.stdout.readline():
                self.stop()
                raise TimeoutError(f"the other node is not up after {READY_S:g} s, or has failed")

    def freeze(self) -> None:
        """Let it read no more (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """End it without a word (SIGKILL); `reap` it afterwards."""
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Take note of the end of a killed one."""
        if self._process is not None:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def stop(self) -> None:
        """End it in order, however it stands."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
        self.reap()


def meeting_place() -> dict[str, str]:
    """Variables for both nodes: a name service on a port that nobody uses, and a secret."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {"ERL_EPMD_PORT": str(port), "BEAMPY_COOKIE": secrets.token_hex(16)}


def measure_two(body: Body, size: int, carrier: str, loop: str = "") -> Figures:
    """Run a two-node case: its body on a node here, another node beside it, connected."""
    os.environ.update(meeting_place())

    async def main() -> Figures:
        async with Other(carrier, loop) as other:
            await bp.connect(other.name)
            figures: Figures = await body(size, other)
            return figures

    name, options = f"bench{os.getpid()}@127.0.0.1", CARRIERS[carrier]
    if loop != "asyncio":
        figures: Figures = bp.run(main, name=name, **options)
        return figures

    async def under_node() -> Figures:
        async with bp.Node(name, **options) as node:
            return await node.run(main)

    return asyncio.run(under_node())


@contextlib.contextmanager
def placed(pid: int, *, apart: bool) -> Iterator[None]:
    """This process and `pid` on two cores, or on one. Where a system cannot say which, or has one core: as it likes.

    Left alone, Linux sometimes puts two processes that wait for each other on one core, where a round trip of bare
    sockets takes a quarter of the time: what is compared must stand alike.
    """
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(before) < 2:
        yield
        return
    first, *_, last = sorted(before)
    os.sched_setaffinity(0, {first})
    os.sched_setaffinity(pid, {last if apart else first})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        os.sched_setaffinity(pid, before)


def turns(n: int, parts: int = 10) -> Iterator[int]:
    """`n` in that many parts of about the same size, so that two things can take turns."""
    for part in range(parts):
        if count := n * (part + 1) // parts - n * part // parts:
            yield count


async def serve() -> None:
    """The other node's first process: it waits until standard input ends."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wait() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    sys.stdout.write(json.dumps({"ready": os.getpid()}) + "\n")
    sys.stdout.flush()
    await ended.wait()


def main(name: str, carrier: str, loop: str) -> None:
    """Be the other node."""
    options = CARRIERS[carrier]
    if loop != "asyncio":
        bp.run(serve, name=name, **options)
        return

    async def under_node() -> None:
        async with bp.Node(name, **options) as node:
            await node.run(serve)

    asyncio.run(under_node())


if __name__ == "__main__":
    main(*sys.argv[1:4])
