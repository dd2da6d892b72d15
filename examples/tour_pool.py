"""The tour's fourth act: machines that are there while there is work, and kill -9 of one in the middle of it.

examples/tour.py runs it. Every source file of the standard library is parsed and summarised by a function that knows of
no pool, on runners that are processes of this machine.
"""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import beampy as bp

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

MOST = 4  # runners
AT_ONCE = 1  # call of each: `ast` fails now and then where two threads use it at once (Python 3.11)
IDLE = 0.4  # seconds until a runner with nothing to do ends


@dataclass(frozen=True)
class Summary:
    """One source file."""

    lines: int
    functions: int
    classes: int
    longest: tuple[int, str]  # the function with the most lines


def summarise(path: Path) -> Summary:
    """Parse a file. SyntaxError and such where it is not Python of today: the standard library tests those, too."""
    warnings.simplefilter("ignore")
    text = path.read_bytes()
    functions, classes, longest = 0, 0, (0, "")
    for node in ast.walk(ast.parse(text, path.name)):
        if isinstance(node, ast.ClassDef):
            classes += 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions += 1
            longest = max(longest, ((node.end_lineno or 0) - node.lineno + 1, f"{path.stem}.{node.name}"))
    return Summary(text.count(b"\n"), functions, classes, longest)


async def elastic_pool(files: list[Path], console: Console) -> None:
    """The act."""
    found: dict[Path, Summary] = {}
    failed: dict[Path, BaseException] = {}
    lost: list[str] = []
    started = time.perf_counter()
    async with bp.Pool("tour", max=MOST, max_concurrency=AT_ONCE, idle_shutdown_after=IDLE) as pool:
        pool.subscribe(lambda event: lost.append(event.runner) if getattr(event, "lost", False) else None)
        with pool.live(console=console):
            paths = iter(files)
            async for result in pool.options(retries=3).map(summarise, files, return_exceptions=True):
                path = next(paths)
                if isinstance(result, BaseException):
                    failed[path] = result
                else:
                    found[path] = result
                if len(found) == len(files) // 2:
                    kill_one(pool)
            took = time.perf_counter() - started
            async with asyncio.timeout(20):
                while pool.runners():  # noqa: ASYNC110  they have nothing to do, and end
                    await asyncio.sleep(0.05)
        metrics = pool.metrics()
    assert found.keys() | failed.keys() == set(files), "every file is accounted for"
    assert len(lost) == 1, "one runner was killed"
    console.print(f"\n   {took:.1f} s; {metrics['boots']} runners were booted, {lost[0]} was killed at half-time,")
    console.print("   what it had begun ran again elsewhere, and now none is left")
    longest, name = max(summary.longest for summary in found.values())
    functions = sum(summary.functions for summary in found.values())
    console.print(f"   {functions:,} functions; the longest is {name}, with {longest:,} lines")
    for path, error in list(failed.items())[:3]:
        console.print(f"   not parsed: {path.name} ({type(error).__name__})", highlight=False)
    console.print(f"   {len(files)} files = {len(found)} summaries + {len(failed)} named failures\n")


def kill_one(pool: bp.Pool) -> None:
    """The one with the most work, without a word."""
    busiest = max((one for one in pool.runners() if one["state"] == "up"), key=lambda one: one["calls"])
    os.kill(busiest["os_pid"], signal.SIGKILL)
