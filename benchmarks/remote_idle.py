"""Two nodes that do nothing, and one that is not listened to: what they cost.

"remote_idle.boot" is from the start of an operating-system process to a node that serves, name service and listeners
included; "remote_idle.rss" is that node's resident memory, in MiB, once it is connected. "remote_idle.cpu" is the part
of a core that the two connected nodes take together, in percent. "remote_idle.frozen" is how many MiB a node grows
that keeps sending 1 KB messages to one that has stopped to read (SIGSTOP): the limit of what waits to be sent, and no
more. The size is how many seconds it watches.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks.case import Case, Figure, Figures, resident_bytes
from benchmarks.harness import main

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

MIB = 1024 * 1024
BOOTS = 5
PAYLOAD = bytes(1000)


def status(pid: int, name: str) -> int:
    """A figure in /proc/PID/status, such as VmRSS in KiB; 0 where there is no /proc."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0


def cpu_seconds(pid: int) -> float:
    """The CPU time of another operating-system process so far; 0 where there is no /proc."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


async def boots(other: Other, n: int) -> float:
    """Seconds to a node that serves, the median of n starts."""
    took = []
    for _ in range(n):
        await asyncio.to_thread(other.stop)
        began = perf_counter()
        await other.start()
        took.append(perf_counter() - began)
    return sorted(took)[len(took) // 2]


async def flood(target: bp.Pid) -> None:
    """Sends for as long as it is let: who writes too much to one that does not read has to wait."""
    while True:
        bp.send(target, ("message", PAYLOAD))
        await asyncio.sleep(0)


async def forever() -> None:
    """On the other node: takes everything."""
    while True:
        await bp.receive()


async def remote_idle(seconds: int, other: Other) -> Figures:
    boot = await boots(other, BOOTS if seconds > 1 else 1)
    await bp.connect(other.name)
    await asyncio.sleep(0.3)
    rss = status(other.pid, "VmRSS") / 1024
    began, here, there = perf_counter(), process_time(), cpu_seconds(other.pid)
    await asyncio.sleep(seconds)
    spent = process_time() - here + cpu_seconds(other.pid) - there
    cpu = 100 * spent / (perf_counter() - began)
    target = await bp.spawn(forever, node=other.name)
    other.freeze()
    before = resident_bytes()
    senders = [bp.spawn(flood, target) for _ in range(10)]
    await asyncio.sleep(min(2.0, seconds / 4))
    grown = resident_bytes() - before
    for sender in senders:
        bp.exit(sender, "kill")
    other.kill()
    await asyncio.to_thread(other.reap)
    return {
        "remote_idle.boot": boot * 1000,
        "remote_idle.rss": rss,
        "remote_idle.cpu": cpu,
        "remote_idle.frozen": grown / MIB,
    }


CASES = (
    Case(
        "remote_idle",
        remote_idle,
        (
            Figure("remote_idle.boot", "ms", higher=False),
            Figure("remote_idle.rss", "MiB", higher=False),
            Figure("remote_idle.cpu", "% of a core", higher=False),
            Figure("remote_idle.frozen", "MiB", higher=False),
        ),
        size=20,
        smoke=1,
        runs=2,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
