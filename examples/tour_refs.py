"""The tour's fifth act: big data stays where it is, and what moves is a handle.

examples/tour.py runs it. An array of half a gigabyte is made on one runner and added up there; a second runner gets a
handle of it, straight from the first. The first handle is dropped: the array stays, for the second has one. When that
is dropped as well the memory of the runner falls. No copy of the array was ever made, and nothing of it came here.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import beampy as bp

if TYPE_CHECKING:
    from rich.console import Console

MB = 500
FREED_S = 10.0  # to see the memory fall; it takes a tenth of a second or two
PAGE = os.sysconf("SC_PAGE_SIZE")


def make(mb: int) -> Any:
    """Random numbers, `mb` MB of them."""
    return np.random.default_rng(42).standard_normal(mb * 125_000)


def variance(values: Any) -> float:
    """Runs where the values are."""
    return float(values.var())


class Analyst(bp.Server):
    """On a second runner: it has a handle, and asks for what it needs."""

    def __init__(self, samples: bp.RemoteRef[Any]) -> None:
        self.samples = samples

    @bp.call
    async def largest(self) -> float:
        return float(await self.samples.do.max())


async def references(console: Console) -> None:
    """The act."""
    async with bp.Pool("data", min=2, max=2) as pool:
        samples = await pool.keep(make, MB)
        home = samples.node
        owner, other = sorted(pool.runners(), key=lambda one: one["node"] != home)
        full = resident(owner)
        console.print(f"   {samples!r}")
        console.print(f"   its variance, worked out there: {await pool.call(variance, samples):.4f}")
        analyst = await Analyst.start_link(samples, node=other["node"])
        del samples
        largest = await analyst.largest()
        held = resident(owner)
        console.print("   our handle is dropped; the other runner has one of its own,")
        console.print(f"   and finds the largest: {largest:.4f}")
        await analyst.stop()
        async with asyncio.timeout(FREED_S):
            while (left := resident(owner)) > full - MB // 2:  # noqa: ASYNC110  -- as one looks at a machine
                await asyncio.sleep(0.05)
        console.print("   its handle is dropped, too. Memory of the runner that made it:")
        console.print(f"   {held:,} MB while somebody had a handle, {left:,} MB now")
        console.print(f"   ({resident(other):,} MB on the other one)\n")
        assert held > left + MB // 2


def resident(runner: dict[str, Any]) -> int:
    """MB of memory that a runner of this machine has."""
    pages = int(Path(f"/proc/{runner['os_pid']}/statm").read_text().split()[1])
    return pages * PAGE // 1_000_000
