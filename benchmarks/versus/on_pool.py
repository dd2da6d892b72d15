"""concurrent.futures.ProcessPoolExecutor with one process: a function there, and bytes as its argument."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.versus.beside import in_flight, one_by_one

if TYPE_CHECKING:
    from benchmarks.case import Figures, Workloads

MB = 1_000_000


def nothing() -> None:
    """Runs in the pool's process."""


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def remote_call(n: int) -> Figures:
    with pool() as executor:
        pid = executor.submit(os.getpid).result()
        figures = one_by_one("function", lambda: executor.submit(nothing).result(), n, pid)
        figures["remote_call.pipelined.function"] = in_flight(
            lambda: executor.submit(nothing), lambda future: future.result(), n * 5
        )
    return figures


def remote_bulk(megabytes: int) -> Figures:
    figures: Figures = {}
    with pool() as executor:
        for size in (1, 16, 64):
            data = bytes(size * MB)
            n = max(1, megabytes // size)
            for count in (2, n):  # the first two warm up
                began = perf_counter()
                for _ in range(count):
                    assert executor.submit(len, data).result() == len(data)
            figures[f"remote_bulk.{size}MB.bytes"] = n * size / (perf_counter() - began)
    return figures


def workloads(_: str) -> Workloads:
    return {"remote_call": remote_call, "remote_bulk": remote_bulk}


def versions() -> dict[str, str]:
    return {}


def loop(_: str) -> str:
    return "threads"
