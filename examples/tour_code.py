"""The tour's third act: a node in an empty directory runs code that is written only while the tour goes on.

examples/tour.py runs it. A package is made up in a directory of its own, called on the node, edited, and called again.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.syntax import Syntax

import beampy as bp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rich.console import Console

GUEST = "guest@localhost"
MODULES = 50  # of the package

CHAPTER = '''"""Chapter {n} of a package that nobody has installed."""

from dataclasses import dataclass

{imports}

@dataclass(frozen=True)
class Page{n}:
    number: int
    words: tuple[str, ...] = ()

    def count(self) -> int:
        return {n} + len(self.words)


def pages(limit: int) -> list[Page{n}]:
    """So many pages, and those of the chapter before."""
    return [Page{n}(number) for number in range(limit)]


def total(limit: int = 3) -> int:
    return sum(page.count() for page in pages(limit)){more}
'''


def write_package(folder: Path) -> int:
    """A package of many modules, each of which imports the one before. Its size in bytes."""
    folder.mkdir()
    for n in range(MODULES):
        imports = f"from .chapter{n - 1} import total as before\n" if n else ""
        text = CHAPTER.format(n=n, imports=imports, more=" + before(limit)" if n else "")
        (folder / f"chapter{n}.py").write_text(text)
    (folder / "__init__.py").write_text(f"from .chapter{MODULES - 1} import total\n\n__all__ = ['total']\n")
    return sum(path.stat().st_size for path in folder.iterdir())


def double(number: int) -> int:
    """Of the tour itself: the node has no such file."""
    return 2 * number


async def guest(console: Console) -> AsyncIterator[str]:
    """A node that knows nothing but beampy."""
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-m", "beampy", "start", GUEST, "--connect", bp.node()]
        bp.monitor_nodes()
        process = await asyncio.create_subprocess_exec(
            *command, cwd=empty, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await bp.receive(bp.NodeUp, timeout=20)
            console.print(f"   {GUEST} is OS process {process.pid}, in the empty directory {empty}")
            yield GUEST
        finally:
            bp.monitor_nodes(False)
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def timed(fn: Any, *args: Any) -> tuple[Any, float]:
    """What a call there returns, and the ms it took."""
    started = time.perf_counter()
    value = await bp.remote_call(GUEST, fn, *args)
    return value, (time.perf_counter() - started) * 1e3


async def code_everywhere(console: Console) -> None:
    """The act."""
    with tempfile.TemporaryDirectory() as home:
        size = write_package(Path(home) / "saga")
        sys.path.insert(0, home)
        try:
            async for node in guest(console):
                await show(console, node, Path(home), size)
        finally:
            sys.path.remove(home)


async def show(console: Console, node: str, home: Path, size: int) -> None:
    _, plain = await timed(os.getpid)
    _, plain = await timed(os.getpid)
    value, first = await timed(double, 21)
    _, again = await timed(double, 21)
    assert value == 42
    console.print(f"   a function of this file: {value} after {first:.1f} ms, {again:.2f} ms the second time")
    console.print(f"   (a call of what is installed there takes {plain:.2f} ms)")

    saga = importlib.import_module("saga")
    value, first = await timed(saga.total)
    _, again = await timed(saga.total)
    assert value == saga.total()
    console.print(f"   a package of {MODULES + 1} modules, {size / 1024:.0f} KiB, which is nowhere else:")
    console.print(f"   {value} after {first:.0f} ms, {again:.2f} ms the second time")

    console.print("\n   Now its first module is edited, and reloaded here:\n")
    chapter = home / "saga" / "chapter0.py"
    text = chapter.read_text().replace("return 0 + len(self.words)", "return 1000 + len(self.words)")
    chapter.write_text(text)
    lines = [line for line in text.splitlines() if "def count" in line or "return 1000" in line]
    console.print(Syntax("\n".join(lines), "python", background_color="default"))
    importlib.reload(importlib.import_module("saga.chapter0"))
    for n in range(1, MODULES):
        importlib.reload(sys.modules[f"saga.chapter{n}"])
    importlib.reload(saga)
    new, took = await timed(saga.total)
    assert new == saga.total() == value + 3 * 1000
    console.print(f"\n   the next call there: {new}, after {took:.0f} ms. Nothing was deployed or restarted\n")
    names = await bp.code.names(node, "saga.chapter0")
    console.print(f"   what {node} has of it: {', '.join(name.name for name in names)}\n")
