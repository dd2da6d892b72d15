"""What the nodes of these tests run: programs for `Cluster.start`, and functions that tests start on other nodes."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import beampy as bp
from beampy.core.current import here
from beampy.errors import NotConnected
from beampy.testing.cluster_node import say


def carriers() -> dict[str, str]:
    """Each connected node, and what carries the connection."""
    return {known["node"]: known["carrier"] for known in here("carriers").node.remote.info()}


def is_dead(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def command_line(pid: int) -> str:
    """What everybody can see of a process's arguments."""
    return Path(f"/proc/{pid}/cmdline").read_text()


async def tell_pid(parent: bp.Pid) -> None:
    """The id of the system's process that runs this node."""
    bp.send(parent, os.getpid())


async def echo() -> None:
    """A process that sends back what it is sent with a pid."""
    async for sender, message in bp.mailbox():
        bp.send(sender, message)


async def forever() -> None:
    """A process that waits."""
    await bp.receive()


async def crowd(parent: bp.Pid, count: int) -> None:
    """Starts many processes, and tells who they are."""
    bp.send(parent, [bp.spawn(forever) for _ in range(count)])
    await bp.receive()


async def hold_the_gil(parent: bp.Pid, seconds: float) -> None:
    """One call of C that no other thread of Python survives."""
    bp.send(parent, "holding")
    await asyncio.sleep(0.05)  # so that this leaves
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    bp.send(parent, "released")


# --- floods


async def sink() -> None:
    """Takes everything, and knows how much it was."""
    count = 0
    async for message in bp.mailbox():
        if isinstance(message, bytes):
            count += 1
        else:
            bp.send(message, count)


async def flood(target: bp.Pid, writers: int, size: int) -> None:
    """Writers that never stop; says every now and then how many messages they have sent."""
    sent = 0

    async def write() -> None:
        nonlocal sent
        blob = bytes(size)
        while True:
            bp.send(target, blob)
            sent += 1
            await asyncio.sleep(0)

    for _ in range(writers):
        bp.spawn(write)
    while True:
        say("sent", sent)
        await asyncio.sleep(0.05)


async def flood_when_told() -> None:
    """Waits for whom to flood."""
    bp.register("flood", bp.self())
    await flood(*await bp.receive())


# --- programs


async def lead() -> None:
    """Connects with whom it is told to, and says what came of it."""
    bp.register("lead", bp.self())
    async for name in bp.mailbox():
        try:
            await bp.connect(name)
        except NotConnected as error:
            say("refused", type(error).__name__, error)
        else:
            say("connected", name, carriers()[name])


async def dial(name: str) -> None:
    """Tries to connect, and says what came of it."""
    try:
        await bp.connect(name)
    except NotConnected as error:
        say("refused", type(error).__name__, error)
    else:
        say("connected", name, carriers()[name])
    await bp.receive()


async def slow_to_end() -> None:
    """Ends by itself, and needs half a second for that."""

    async def slow() -> None:
        try:
            await bp.receive()
        finally:
            await asyncio.sleep(0.5)
            say("cleaned up")

    bp.spawn(slow)
    await asyncio.sleep(0.05)
    say("main is done")


async def prints() -> None:
    """A node behind a pipe that writes where it must not."""
    sys.stdout.write("stray words\n")
    sys.stdout.flush()
    os.write(1, b"stray bytes\n")
    subprocess.run(["echo", "a stray child"], check=True)  # noqa: ASYNC221
    assert sys.stdin.read() == ""
    bp.register("echo", bp.self())
    await echo()


async def parent(name: str) -> None:
    """Starts a node of its own over a pipe, says its process id, and does nothing more."""
    spec = {"name": name, "app": "beampy.testing.cluster_node:idle", "args": [], "options": {"pipe": [0, 1]}}
    child = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "beampy.testing.cluster_node", json.dumps(spec | {"parent": 0})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    peers: Any = here("parent").node.remote
    from beampy.dist.pipe import attach

    assert child.stdout is not None
    assert child.stdin is not None
    await attach(peers, child.stdout, child.stdin, name)
    say("child", child.pid, carriers()[name])
    await bp.receive()


# --- over a network


async def serve() -> None:
    """Answers under the name `echo`, swallows under the name `sink`, and says who comes and goes."""
    bp.register("echo", bp.spawn(echo))
    bp.register("sink", bp.spawn(sink))
    bp.monitor_nodes()
    async for message in bp.mailbox():
        say(message)


async def watch(name: str) -> None:
    """Keeps a connection, and says what becomes of it: `up`, `down`, and `up` again when it can be had again."""
    bp.monitor_nodes()
    while True:
        while not await bp.ping(name):
            await asyncio.sleep(0.1)
        await bp.receive(bp.NodeUp(name))
        say("up", carriers()[name])
        say("down", (await bp.receive(bp.NodeDown)).reason)


async def work_over(name: str, calls: int, megabytes: int) -> None:
    """Calls, bulk and their order, over whatever lies between; says what carried it."""
    await bp.connect(name)
    for n in range(calls):
        began = time.perf_counter()
        bp.send(("echo", name), (bp.self(), n))
        assert await bp.receive() == n
        say("call", n, f"{(time.perf_counter() - began) * 1000:.1f} ms")
    began = time.perf_counter()
    data = os.urandom(1_000_000)
    for n in range(megabytes):
        bp.send(("echo", name), (bp.self(), (n, data)))
        bp.send(("echo", name), (bp.self(), n))
    for n in range(megabytes):
        assert await bp.receive() == (n, data)
        assert await bp.receive() == n
    say("bulk", megabytes, "MB there and back", f"{time.perf_counter() - began:.2f} s", carriers()[name])
    await bp.receive()


logging.captureWarnings(True)
