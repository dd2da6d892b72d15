"""Between two nodes, packages: the first call of a function whose modules lie beside the script and only there.

"code_modules.N" is that call, in milliseconds, of a function in a module that needs N in all, on a node that was just
started and has an empty disk cache; "N.next" the same of another package right after it, on that node; "N.cached" the
call on a node that was just started, whose disk cache has all of it. "N.disk" is what importing the same files takes a
fresh process beside them, .pyc and stdlib ready. They take turns.

"code_modules.gap" is between two ticks, one millisecond apart, of a timer on the other node's loop, while it takes in
200 modules: of all such loads in a run the 99th percentile and the longest, and with "idle" the 99th percentile of a
node that does nothing. "code_modules.reload" is from importlib.reload of an edited module of 20, here, to its new
result there.

No peer takes a module along by itself. dask is given the files with upload_file, which is in the time.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.code import new_cache, restarted
from benchmarks.code_made import edit_module, write_package
from benchmarks.harness import main
from benchmarks.two_nodes import placed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.two_nodes import Other

COUNTS = (1, 20, 200)
SMALL = {1: 1, 20: 3, 200: 10}  # how many modules they are in a smoke test
RELOADED = 20  # modules in the package of which one is edited
TICK = 0.001  # seconds between two ticks
IDLE = 0.2  # seconds of ticks on a node that does nothing
SETTLED = 0.2  # seconds in which a node writes what it fetched to its disk cache
IMPORT_S = 60.0
# What imports the files in a process of its own: the stdlib that they need comes first, as the other node has it, too.
IMPORTS = """
import collections, dataclasses, functools, importlib, math, sys, time, typing
sys.path.insert(0, sys.argv[1])
began = time.perf_counter()
importlib.import_module(sys.argv[2])
print(time.perf_counter() - began)
"""


async def modules(n: int, other: Other) -> Figures:
    counts = {count: count for count in COUNTS} if n > 1 else SMALL
    took: dict[str, list[float]] = {}
    gaps: list[float] = []
    idle: list[float] = []
    with tempfile.TemporaryDirectory(prefix="made-") as made, beside(made) as folder:
        for _ in range(n):
            for count in COUNTS:
                for way, seconds in (await loaded(other, folder, counts[count])).items():
                    took.setdefault(f"{count}{way}", []).append(seconds)
            gaps += await ticks_while_loading(other, folder, counts[COUNTS[-1]])
            idle += await ticks_while(other.name, lambda: asyncio.sleep(IDLE))
            took.setdefault("reload", []).append(await reloaded(other, folder))
    return {
        **{f"code_modules.{name}": median(seconds) * 1e3 for name, seconds in took.items()},
        "code_modules.gap.p99": percentile_us(gaps, 0.99) / 1e3,
        "code_modules.gap.max": max(gaps) * 1e3,
        "code_modules.gap.idle": percentile_us(idle, 0.99) / 1e3,
    }


@contextmanager
def beside(folder: str) -> Iterator[Path]:
    """As when the script lies in `folder`: it is searched for modules, here and only here."""
    sys.path.insert(0, folder)
    try:
        yield Path(folder)
    finally:
        sys.path.remove(folder)
        for name in [name for name in sys.modules if name.startswith("made_")]:
            del sys.modules[name]


async def loaded(other: Other, folder: Path, count: int) -> dict[str, float]:
    """Seconds to load `count` modules in every way."""
    first, following = new_package(folder, count), new_package(folder, count)
    with new_cache() as cache:
        await restarted(other, cache)
        with placed(other.pid, apart=True):
            took = {"": await called(other.name, first), ".next": await called(other.name, following)}
        await asyncio.sleep(SETTLED)
        await restarted(other, cache)
        with placed(other.pid, apart=True):
            took[".cached"] = await called(other.name, first)
        with placed(os.getpid(), apart=False):
            took[".disk"] = await asyncio.to_thread(imported, folder, first)
    return took


def new_package(folder: Path, count: int) -> Any:
    """A package that nobody has seen, imported here; its module to call `work` of."""
    name = write_package(folder, count)
    importlib.invalidate_caches()
    return importlib.import_module(name)


async def called(node: str, module: Any) -> float:
    """Seconds of a call of the function of that module."""
    began = perf_counter()
    got = await bp.remote_call(node, module.work, 3)
    took = perf_counter() - began
    assert got == module.value(3), f"{got} instead of {module.value(3)}"
    return took


def imported(folder: Path, module: Any) -> float:
    """Seconds in which a fresh process imports it from disk."""
    command = [sys.executable, "-c", IMPORTS, str(folder), module.__name__]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=IMPORT_S)
    return float(done.stdout)


async def reloaded(other: Other, folder: Path) -> float:
    """Seconds from an edited module of twenty to the result of its new text."""
    module = new_package(folder, RELOADED)
    await called(other.name, module)
    new = edit_module(module)
    began = perf_counter()
    importlib.reload(module)
    assert await bp.remote_call(other.name, module.version) == new, "the old module answered"
    return perf_counter() - began


# ticks


class Ticks:
    """A timer on the running loop that notes when it comes to its turn."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.at = [perf_counter()]
        self._next = self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self.at.append(perf_counter())
        self._next = self._loop.call_later(TICK, self._tick)

    def end(self) -> list[float]:
        """The seconds between any two."""
        self._next.cancel()
        self.at.append(perf_counter())
        return [after - before for before, after in zip(self.at, self.at[1:], strict=False)]


async def ticking(parent: bp.Pid) -> None:
    """On the other node: ticks until there is a message, and tells the gaps."""
    ticks = Ticks()
    bp.send(parent, "ticking")
    await bp.receive()
    bp.send(parent, ticks.end())


async def ticks_while(node: str, work: Callable[[], Awaitable[Any]]) -> list[float]:
    """The gaps between the ticks of that node's loop while `work()` is awaited here."""
    ticker = await bp.spawn(ticking, bp.self(), node=node)
    await bp.receive("ticking".__eq__)
    await work()
    bp.send(ticker, "enough")
    gaps: list[float] = await bp.receive(list)
    return gaps


async def ticks_while_loading(other: Other, folder: Path, count: int) -> list[float]:
    """The gaps while it loads `count` modules."""
    module = new_package(folder, count)
    with new_cache() as cache:
        await restarted(other, cache)
        with placed(other.pid, apart=True):
            return await ticks_while(other.name, lambda: called(other.name, module))


def _milliseconds(*names: str) -> tuple[Figure, ...]:
    return tuple(Figure(f"code_modules.{name}", "ms", higher=False) for name in names)


CASES = (
    Case(
        "code_modules",
        modules,
        (
            *_milliseconds(*(f"{count}{way}" for count in COUNTS for way in ("", ".next", ".cached", ".disk"))),
            *_milliseconds("gap.p99", "gap.max", "gap.idle", "reload"),
        ),
        size=5,
        smoke=1,
        runs=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
