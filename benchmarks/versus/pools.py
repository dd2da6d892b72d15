"""The peers' side of the `pool_*` cases, whatever a peer submits and waits with.

A peer gives `opened(workers)`, a context manager of a new pool as a `Pool`, and the text of the program that starts one
in a fresh interpreter (see `pool_fresh`). All tasks are sync functions; each is submitted by itself unless a figure's
name says otherwise. A peer that takes seconds to start is started from nothing only: it has no warm way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.case import Figures, Workloads, per_second, percentile_us
from benchmarks.pool_boot import AT_ONCE
from benchmarks.pool_call import IN_FLIGHT, latencies
from benchmarks.pool_cpu import SLOTS, WORK, bare_loop
from benchmarks.pool_fresh import at_rest, from_nothing, gate
from benchmarks.pool_placed import apart
from benchmarks.pool_tasks import CHUNK, WORKERS
from benchmarks.pool_work import busy, pid, same, together

AT_REST_S = 5  # seconds to watch a peer at least: less says nothing of its CPU time
SLOW_STARTS = {"": 1, ".four": 4}  # workers of the starts from nothing of peers that take seconds to start


@dataclass(frozen=True)
class Pool:
    """`declare(fn)` is what submits fn, `result` waits for what that returned; `map(fn, items, chunk)` where any.

    `chunks`: its map knows them. `placed`: a pool of one worker is two processes, so that they can be placed.
    """

    declare: Callable[[Callable[..., Any]], Callable[..., Any]]
    result: Callable[[Any], Any]
    map: Callable[[Callable[..., Any], Iterable[Any], int], Iterable[Any]] | None = None
    unordered: Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]] | None = None
    chunks: bool = True
    placed: bool = True


Opened = Callable[[int], AbstractContextManager[Pool]]


def executor_pool(executor: Any) -> Pool:
    """A concurrent.futures.Executor as one."""
    return Pool(
        declare=lambda fn: partial(executor.submit, fn),
        result=lambda future: future.result(),
        map=lambda fn, items, chunk: executor.map(fn, items, chunksize=chunk),
    )


def pool_workloads(opened: Opened, program: str, *, warm_starts: bool = False) -> Workloads:
    """All of them for one peer."""
    return {
        "pool_call": partial(pool_call, opened),
        "pool_tasks": partial(pool_tasks, opened),
        "pool_cpu": partial(pool_cpu, opened),
        "pool_boot": partial(pool_boot, opened if warm_starts else None, program),
        "pool_idle": lambda seconds: at_rest(program, max(AT_REST_S, seconds)),
    }


def pool_call(opened: Opened, n: int) -> Figures:
    with opened(1) as pool:
        start, result = pool.declare(same), pool.result
        worker = result(pool.declare(pid)())
        _timed(start, result, max(1, n // 10))
        figures = latencies("pool_call", _timed(start, result, n))
        figures["pool_call.rate.32"] = _in_flight(start, result, n * 2)
        if pool.placed:
            with apart(worker):
                figures["pool_call.apart.p50"] = percentile_us(_timed(start, result, n), 0.5)
    return figures


def _timed(start: Callable[..., Any], result: Callable[[Any], Any], n: int) -> list[float]:
    took = []
    for i in range(n):
        began = perf_counter()
        assert result(start(i)) == i
        took.append(perf_counter() - began)
    return took


def _in_flight(start: Callable[..., Any], result: Callable[[Any], Any], n: int) -> float:
    began, under_way, total = perf_counter(), deque[Any](), 0
    for i in range(n):
        under_way.append(start(i))
        if len(under_way) == IN_FLIGHT:
            total += result(under_way.popleft())
    while under_way:
        total += result(under_way.popleft())
    assert total == sum(range(n))
    return per_second(n, began)


def pool_tasks(opened: Opened, n: int) -> Figures:
    with opened(WORKERS) as pool:
        _all_up(pool, WORKERS)
        start, mapped, unordered = pool.declare(same), pool.map, pool.unordered

        def one_by_one(n: int) -> int:
            submitted = [start(i) for i in range(n)]
            return sum([pool.result(future) for future in submitted])

        figures = {"pool_tasks": _rate(one_by_one, n)}
        if mapped is not None:
            figures["pool_tasks.map"] = _rate(lambda n: sum(mapped(same, range(n), 1)), n)
            if pool.chunks:
                figures["pool_tasks.chunked"] = _rate(lambda n: sum(mapped(same, range(n), CHUNK)), n)
        if unordered is not None:
            figures["pool_tasks.unordered"] = _rate(lambda n: sum(unordered(same, range(n))), n)
    return figures


def _all_up(pool: Pool, workers: int) -> None:
    """Wait until each worker has come."""
    with gate() as folder:
        start = pool.declare(together)
        for future in [start(folder, workers) for _ in range(workers)]:
            pool.result(future)


def _rate(work: Callable[[int], int], n: int) -> float:
    work(max(1, n // 10))
    began = perf_counter()
    assert work(n) == sum(range(n))
    return per_second(n, began)


def pool_cpu(opened: Opened, n: int) -> Figures:
    with opened(SLOTS) as pool:
        _all_up(pool, SLOTS)
        start = pool.declare(busy)
        began = perf_counter()
        for future in [start(WORK) for _ in range(n)]:
            pool.result(future)
        rate = per_second(n, began)
    return {"pool_cpu": rate, "pool_cpu.loop": bare_loop(n)}


def pool_boot(opened: Opened | None, program: str, times: int) -> Figures:
    if opened is None:
        return from_nothing(program, times, SLOW_STARTS)
    with opened(1) as pool:  # what the first pool of a process has to start is in "nothing"
        pool.result(pool.declare(same)(1))
    warm = {name: median([_boot(opened, n) for _ in range(times)]) * 1e3 for name, n in AT_ONCE.items()}
    return {**warm, **from_nothing(program, times)}


def _boot(opened: Opened, n: int) -> float:
    """Seconds from nothing open to a result of each of n workers."""
    with gate() as folder:
        began = perf_counter()
        with opened(n) as pool:
            start = pool.declare(together)
            pids = {pool.result(future) for future in [start(folder, n) for _ in range(n)]}
            took = perf_counter() - began
    assert len(pids) == n
    return took
