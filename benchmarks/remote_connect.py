"""Between two nodes, the connection: how long until it stands, and how long until its loss is seen.

"remote_connect.p50" is bp.connect to a node that was left (bp.disconnect) a moment ago: name service, carrier,
handshake. "remote_connect.down" is from kill -9 of the other node's operating-system process to the NodeDown here, in
milliseconds; "remote_connect.downs" from there to the last of 10 000 Downs, of as many monitored processes.
"remote_connect.monitor" is what a monitor of a process there costs, set and taken back.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second, percentile_us
from benchmarks.harness import main

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

MONITORED = 10_000
SETTLED = 0.02  # seconds: what a connection that was closed leaves to do, on either side


async def connects(other: Other, n: int) -> list[float]:
    """The seconds that each of n connections took."""
    took = []
    bp.monitor_nodes(True)
    for _ in range(n):
        bp.disconnect(other.name)
        await bp.receive(bp.NodeDown)
        await asyncio.sleep(SETTLED)
        began = perf_counter()
        await bp.connect(other.name)
        took.append(perf_counter() - began)
        await bp.receive(bp.NodeUp)
    bp.monitor_nodes(False)
    return took


async def idle() -> None:
    """On the other node: somebody to monitor."""
    await bp.receive()


async def crowd(n: int, parent: bp.Pid) -> None:
    """On the other node: n processes, told to the parent."""
    bp.send(parent, [bp.spawn(idle) for _ in range(n)])
    await bp.receive()


async def killed(other: Other, monitored: int) -> tuple[float, float]:
    """Seconds from kill -9 to the NodeDown, and to the last of as many Downs."""
    bp.monitor_nodes(True)
    began = perf_counter()
    other.kill()
    await bp.receive(bp.NodeDown)
    down = perf_counter() - began
    for _ in range(monitored):
        await bp.receive(bp.Down)
    downs = perf_counter() - began
    bp.monitor_nodes(False)
    await asyncio.to_thread(other.reap)
    return down, downs


async def remote_connect(n: int, other: Other) -> Figures:
    took = await connects(other, n)
    down, _ = await killed(other, 0)
    await other.start()
    many = min(MONITORED, 100 * n)
    await bp.spawn(crowd, many, bp.self(), node=other.name)
    pids = await bp.receive()
    began = perf_counter()
    for pid in pids:
        bp.demonitor(bp.monitor(pid))
    await bp.ping(other.name)
    monitors = per_second(many, began)
    for pid in pids:
        bp.monitor(pid)
    await asyncio.sleep(SETTLED * 10)  # all of them are over there
    _, downs = await killed(other, many)
    return {
        "remote_connect.p50": percentile_us(took, 0.5) / 1000,
        "remote_connect.p99": percentile_us(took, 0.99) / 1000,
        "remote_connect.down": down * 1000,
        "remote_connect.downs": downs * 1000,
        "remote_connect.monitor": monitors,
    }


CASES = (
    Case(
        "remote_connect",
        remote_connect,
        (
            Figure("remote_connect.p50", "ms", higher=False),
            Figure("remote_connect.p99", "ms", higher=False),
            Figure("remote_connect.down", "ms", higher=False),
            Figure("remote_connect.downs", "ms", higher=False),
            Figure("remote_connect.monitor", "monitors/s"),
        ),
        size=100,
        smoke=3,
        runs=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
