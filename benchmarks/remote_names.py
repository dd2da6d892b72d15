"""What two nodes know together: members of groups, global names, and locks.

"remote_names.joined" is from bp.groups.join here to the moment when a process of the other node has been told of it, by
the clock that both operating-system processes read; OTP's pg needs 0.17 ms. "remote_names.registered" is
bp.global_names.register, which returns when both nodes know the name (OTP's global: 0.86 ms), and "remote_names.locked"
is a lock of both nodes, taken and given back.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.harness import main

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

GROUP = "remote_names"


async def witness(reader: bp.Pid) -> None:
    """On the other node: say when each join was heard of."""
    await bp.groups.monitor(GROUP)
    bp.send(reader, "ready")
    while True:
        await bp.receive(bp.GroupJoin)
        bp.send(reader, perf_counter())


async def joins(n: int) -> list[float]:
    """The seconds from each of n joins to its GroupJoin over there."""
    took = []
    for _ in range(n):
        began = perf_counter()
        joined = bp.groups.join(GROUP)
        heard = await bp.receive(float)
        took.append(heard - began)
        await joined
    return took


async def remote_names(n: int, other: Other) -> Figures:
    await bp.spawn(witness, bp.self(), node=other.name)
    await bp.receive("ready".__eq__)
    await bp.global_names.sync()
    joined = await joins(n)
    registered = []
    for i in range(n):
        began = perf_counter()
        await bp.global_names.register(("name", i))
        registered.append(perf_counter() - began)
    locked = []
    for _ in range(n):
        began = perf_counter()
        async with bp.global_names.lock("lock"):
            pass
        locked.append(perf_counter() - began)
    return {
        "remote_names.joined": percentile_us(joined, 0.5),
        "remote_names.registered": percentile_us(registered, 0.5),
        "remote_names.locked": percentile_us(locked, 0.5),
    }


CASES = (
    Case(
        "remote_names",
        remote_names,
        (
            Figure("remote_names.joined", "µs", higher=False),
            Figure("remote_names.registered", "µs", higher=False),
            Figure("remote_names.locked", "µs", higher=False),
        ),
        size=1000,
        smoke=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
