"""What nodes do with large arrays, for the tests of shared memory."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from pathlib import Path
from pickle import PickleBuffer
from typing import Any

import beampy as bp
from beampy.core.current import here

KEPT: list[Any] = []


class Block:
    """An array: its memory travels beside the message, and the copy is on the memory that came."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Block, (PickleBuffer(self.data),)


def block(mark: int, size: int) -> Block:
    """A new one, full of `mark`."""
    return Block(bytearray([mark]) * size)


def is_full_of(block: Block, mark: int) -> bool:
    """Whether every byte is `mark`."""
    return memoryview(block.data) == bytes([mark]) * len(block.data)


def check(block: Block, mark: int) -> bool:
    """The same on another node, which forgets it."""
    return is_full_of(block, mark)


def keep(block: Block) -> int:
    """Keep it; how many there are."""
    KEPT.append(block)
    return len(KEPT)


def kept_are_full_of(marks: list[int]) -> list[bool]:
    """Whether what was kept is as it came."""
    return [is_full_of(one, mark) for one, mark in zip(KEPT, marks, strict=True)]


def overwrite(mark: int) -> None:
    """Write into the last one that is kept."""
    KEPT[-1].data[:] = bytes([mark]) * len(KEPT[-1].data)


def forget() -> None:
    """Keep nothing more."""
    KEPT.clear()
    gc.collect()


def lent() -> tuple[int, int, int]:
    """Of this node: how many segments others have, how many there are, and how many bytes they have."""
    shared = here("lent").node.remote.shared
    return sum(len(lane.lent) for lane in shared.lanes), shared.segments.count, shared.segments.size


def borrowed() -> int:
    """How much of others' memory this node has mapped."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sum("/memfd:beampy (deleted)" in line and " rw-p " in line for line in maps)  # private: ours are shared


def files() -> int:
    """Memory files that this node has open."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        found += os.path.islink(one) and "memfd:beampy (deleted)" in os.readlink(one)
    return found


def lanes() -> list[Any]:
    """What this node shares with others."""
    return list(here("lanes").node.remote.shared.lanes)


def open_lanes() -> list[str]:
    """The nodes that can read our memory."""
    return sorted(lane.peer.name for lane in lanes() if lane.open)


async def tell(parent: bp.Pid, mark: int, size: int) -> None:
    """Send one to `parent`, and live on."""
    bp.send(parent, block(mark, size))
    await bp.receive()


async def forget_all() -> None:
    """A process that ends at once."""


async def say_and_end(parent: bp.Pid, marks: list[int], size: int) -> None:
    """Send some to `parent`, which is busy by then, and end this node in order."""
    await asyncio.sleep(0.1)
    for mark in marks:
        bp.send(parent, block(mark, size))
    os.kill(os.getpid(), signal.SIGTERM)
