"""The processes of a runner's slots, from its side: forked by a zygote of its own, named, ended, and told of.

Rule: the zygote is made before the runner has a loop or threads, so that what it forks is whole. Each process is a
small runner that calls home itself; here only its start and its end are known. Numeric libraries in a slot get the
slot's share of the cores: else each would start a thread for every core.

Place: under terminator.py, which is told to fork and kill; over zygote.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from typing import TYPE_CHECKING

from beampy.pool.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import Callable

# What numeric libraries read when they are loaded: OpenMP (torch, too), the BLAS kinds of numpy, numexpr, polars.
LIBRARIES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS"),
)


def thread_limits(cpus: int, slots: int) -> dict[str, str]:
    """The environment in which libraries in each of `slots` processes use their share of `cpus` cores.

    >>> thread_limits(8, 4)["OMP_NUM_THREADS"]
    '2'
    """
    return dict.fromkeys(LIBRARIES, str(max(1, cpus // max(1, slots))))


class ProcessSlots:
    """The slots of one runner. `names` are those that run."""

    def __init__(self, zygote: Zygote) -> None:
        self.zygote = zygote
        zygote.on_end = self._ended
        self.names: dict[str, int] = {}  # name → process id
        self._ends: dict[str, asyncio.Event] = {}
        self._tell: Callable[[str, int | None, bool], None] = lambda name, status, oom: None

    @classmethod
    def before_loop(cls) -> ProcessSlots:
        """In a process that has neither a loop nor threads."""
        return cls(Zygote.from_fork())

    async def start(self) -> None:
        """On the loop."""
        await self.zygote.start()

    def on_end(self, tell: Callable[[str, int | None, bool], None]) -> None:
        """Call `tell(name, status, oom)` when one has ended."""
        self._tell = tell

    async def fork(self, name: str, spec: str) -> int:
        """Start one; its process id. It writes to where the runner writes. ZygoteError."""
        pid = await self.zygote.fork(spec, _log(), name=name)
        self.names[name] = pid
        self._ends[name] = asyncio.Event()
        return pid

    async def kill(self, name: str, seconds: float) -> None:
        """End one: SIGTERM, and SIGKILL after so many seconds. Nothing where it has ended."""
        pid, ended = self.names.get(name), self._ends.get(name)
        if pid is None or ended is None:
            return
        await self.zygote.kill(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            await self.zygote.kill(pid, signal.SIGKILL)

    async def close(self) -> None:
        """End all of them, now."""
        await self.zygote.close()

    def _ended(self, pid: int, status: int | None, oom: bool) -> None:
        name = next((name for name, known in self.names.items() if known == pid), None)
        if name is not None:
            del self.names[name]
            self._ends.pop(name).set()
            self._tell(name, status, oom)


def _log() -> str:
    """The file that our stderr is; "" where it is none, such as a terminal or a pipe."""
    try:
        return os.readlink("/proc/self/fd/2") if stat.S_ISREG(os.fstat(2).st_mode) else ""
    except OSError:
        return ""
