"""Measuring aids of the peers that call another process: one call at a time, and many in flight.

A `Calls` names the figures: what is called is a method of an object there ("server") or a function ("function").
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.case import Figures, per_second, percentile_us
from benchmarks.two_nodes import placed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

IN_FLIGHT = 500


def one_by_one(kind: str, call: Callable[[], Any], n: int, pid: int | None = None) -> Figures:
    """The p50 and p99 of n calls, after a tenth as many that do not count. With `pid`, that and this process apart."""
    for _ in range(max(1, n // 10)):
        call()
    took = []
    with contextlib.nullcontext() if pid is None else placed(pid, apart=True):
        for _ in range(n):
            began = perf_counter()
            call()
            took.append(perf_counter() - began)
    return _figures(kind, took)


async def one_by_one_awaited(kind: str, call: Callable[[], Awaitable[Any]], n: int) -> Figures:
    """The same of calls that are awaited."""
    for _ in range(max(1, n // 10)):
        await call()
    took = []
    for _ in range(n):
        began = perf_counter()
        await call()
        took.append(perf_counter() - began)
    return _figures(kind, took)


def in_flight(start: Callable[[], Any], finish: Callable[[Any], Any], n: int) -> float:
    """Calls a second, IN_FLIGHT of them under way."""
    began = perf_counter()
    under_way: deque[Any] = deque()
    for _ in range(n):
        under_way.append(start())
        if len(under_way) == IN_FLIGHT:
            finish(under_way.popleft())
    while under_way:
        finish(under_way.popleft())
    return per_second(n, began)


class Served:
    """Another process that runs a few lines of Python; `said` is what they print first. It ends with its input."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ENDS_WITH_INPUT + program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.said = self._process.stdout.readline().strip()
        self.pid = self._process.pid

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=5)


ENDS_WITH_INPUT = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
"""


def _figures(kind: str, took: list[float]) -> Figures:
    return {
        f"remote_call.{kind}": percentile_us(took, 0.5),
        f"remote_call.{kind}.p99": percentile_us(took, 0.99),
    }
