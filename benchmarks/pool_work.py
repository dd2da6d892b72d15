"""What the pools under measurement are given to run: the same functions for beampy and for every peer.

It imports little, because a runner that has just started imports it too, and that is in the figure.
"""

from __future__ import annotations

import fcntl
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

WAIT_S = 60.0  # for the others to come: more than the slowest peer needs for ten workers


def same(x: int) -> int:
    """The tiny task."""
    return x


async def same_async(x: int) -> int:
    """The same, as an async function."""
    return x


def pid() -> int:
    """The runner's process."""
    return os.getpid()


async def pid_async() -> int:
    """The same, as an async function."""
    return os.getpid()


def busy(n: int) -> int:
    """Pure Python that keeps a core busy: the sum of n squares."""
    total = 0
    for i in range(n):
        total += i * i
    return total


def numbers(n: int) -> Iterator[int]:
    """A stream of n small items."""
    for i in range(n):  # noqa: UP028 - ray takes this generator to pieces, and `yield from` hides a plain iterator
        yield i


async def numbers_async(n: int) -> AsyncIterator[int]:
    """The same, as an async generator."""
    for i in range(n):
        yield i


def open_gate(folder: str) -> None:
    """Make the folder ready for one `together`."""
    os.mkfifo(f"{folder}/gate")
    with open(f"{folder}/came", "w"):
        pass


def together(folder: str, n: int) -> int:
    """Return this process's pid when n calls have come to the gate, so that none of them shared a worker.

    The last one wakes the others through a pipe: nobody polls, since that would disturb those that still start.
    """
    gate = os.open(f"{folder}/gate", os.O_RDWR)
    try:
        with open(f"{folder}/came", "r+") as came:
            fcntl.flock(came, fcntl.LOCK_EX)
            number = int(came.read() or 0) + 1
            came.seek(0)
            came.write(str(number))
        if number == n:
            os.write(gate, bytes(n - 1))
        elif select.select([gate], [], [], WAIT_S)[0]:
            os.read(gate, 1)
        else:
            raise TimeoutError(f"only {number} of {n} came")
    finally:
        os.close(gate)
    return os.getpid()


async def together_async(folder: str, n: int) -> int:
    """The same for a pool that takes coroutine functions only: its worker has nothing else to do."""
    return together(folder, n)
