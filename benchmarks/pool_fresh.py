"""A program that uses a pool, started in a fresh interpreter: how long until it has results, and what it costs at rest.

A program is the text of a few lines of Python. It starts a pool of `n` workers, calls `together(folder, n)` n times at
once, which returns when each worker has come, calls `ready()`, which waits until it may end, and ends in order. So a
start from nothing is what the user of a script waits for: the interpreter, the imports, the workers and the results.

All its processes are found, whoever started them: they carry a mark in their environment, or descend from one that
does. What is left when the program has ended is killed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.pool_work import open_gate
from benchmarks.subjects import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.case import Figures

MARK = "BENCH_POOL_MARK"
READY_S = 60.0  # the slowest peer needs 10 for one worker, more for ten
END_S = 10.0  # to end in order
SETTLE_S = 3.0  # after the last result, before what a pool costs at rest is watched
STARTED = {"": 1, ".four": 4, ".ten": 10}
"""Workers that are started at once, by the end of the figure's name."""

PRELUDE = """
import sys
from benchmarks.pool_work import together

n, folder = int(sys.argv[1]), sys.argv[2]

def ready():
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    sys.stdin.read()

"""


class Program:
    """A running program. `took`: seconds from the start of its process to its results."""

    def __init__(self, text: str, n: int) -> None:
        self._mark = secrets.token_hex(8)
        self._unread = b""
        with contextlib.ExitStack() as undo:
            self._folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            self._errors = undo.enter_context(tempfile.TemporaryFile())
            open_gate(self._folder)
            began = time.perf_counter()
            self._process = subprocess.Popen(
                [sys.executable, "-c", PRELUDE + text, str(n), self._folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**environment(), MARK: self._mark},
            )
            undo.callback(self._end)
            self._wait_ready()
            self.took = time.perf_counter() - began
            self._undo = undo.pop_all()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def pids(self) -> set[int]:
        """Its processes: those with the mark, and all that descend from one of them."""
        mark = f"{MARK}={self._mark}".encode()
        found, parents = {self._process.pid}, {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ())):
            with contextlib.suppress(OSError):
                parents[pid] = int(_after_name(pid)[1])
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.add(pid)
        while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
            found |= more
        return found

    def _wait_ready(self) -> None:
        """Whatever else a peer prints is passed over."""
        assert self._process.stdout is not None
        descriptor, deadline = self._process.stdout.fileno(), time.monotonic() + READY_S
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"ready\n" not in self._unread:
                left = deadline - time.monotonic()
                chunk = os.read(descriptor, 65_536) if left > 0 and selector.select(left) else b""
                if not chunk:
                    raise RuntimeError(f"not ready within {READY_S:g} s, or ended: {self._last_words()}")
                self._unread = (self._unread + chunk)[-65_536:]

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it said nothing"

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        left = self.pids()
        try:
            self._process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        mark = f"{MARK}={self._mark}".encode()
        for pid in left - {self._process.pid}:
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    os.kill(pid, signal.SIGKILL)


def from_nothing(text: str, times: int, started: dict[str, int] | None = None) -> Figures:
    """Milliseconds from nothing to results, the median of that many starts."""
    return {f"pool_boot.nothing{name}": _boots(text, n, times) for name, n in (started or STARTED).items()}


def _boots(text: str, n: int, times: int) -> float:
    took = []
    for _ in range(times):
        with Program(text, n) as program:
            took.append(program.took)
    return median(took) * 1e3


def at_rest(text: str, seconds: float) -> Figures:
    """What a program with one worker that has nothing to do costs. Where there is no /proc: 0."""
    with Program(text, 1) as program:
        time.sleep(min(SETTLE_S, seconds))
        before, began = _cpu_seconds(program.pids()), time.perf_counter()
        time.sleep(seconds)
        after, took = _cpu_seconds(program.pids()), time.perf_counter() - began
        spent = sum(cpu - before.get(pid, 0.0) for pid, cpu in after.items())
        memory = [_memory(pid) for pid in program.pids()]
    return {
        "pool_idle.rss": sum(rss for rss, _ in memory),
        "pool_idle.pss": sum(pss for _, pss in memory),
        "pool_idle.cpu": 100 * spent / took,
        "pool_idle.processes": len(memory),
    }


@contextlib.contextmanager
def gate() -> Iterator[str]:
    """A folder for one `together`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        open_gate(folder)
        yield folder


def _memory(pid: int) -> tuple[float, float]:
    """Resident memory and its proportional part (shared pages divided by those who share them), in MB."""
    found = {"Rss": 0.0, "Pss": 0.0}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024 / 1e6
    return found["Rss"], found["Pss"]


def _cpu_seconds(pids: set[int]) -> dict[int, float]:
    """The CPU time of each of them so far."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = _after_name(pid)
            found[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def _after_name(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold spaces: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
