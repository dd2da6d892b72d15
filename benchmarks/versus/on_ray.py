"""ray: a method of an actor, and a task, each in a worker process."""

from __future__ import annotations

import importlib
import importlib.metadata
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.case import per_second
from benchmarks.pool_work import numbers
from benchmarks.versus.beside import in_flight, one_by_one
from benchmarks.versus.bulk import Store
from benchmarks.versus.bulk import refs_bulk as bulk_figures
from benchmarks.versus.code_calls import code_calls as code_figures
from benchmarks.versus.pools import Pool, pool_workloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.case import Figures, Workloads

ray: Any = importlib.import_module("ray")

PROGRAM = """
import ray

ray.init(num_cpus=n, include_dashboard=False, log_to_driver=False, logging_level="error")
task = ray.remote(together)
ray.get([task.remote(folder, n) for _ in range(n)])
ready()
ray.shutdown()
"""


class Same:
    """The actor."""

    def get(self, x: int) -> int:
        return x


def nothing() -> None:
    """The task."""


@contextmanager
def started(workers: int = 2) -> Iterator[None]:
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        yield
    finally:
        ray.shutdown()


def code_calls(n: int) -> Figures:
    def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
        task = ray.remote(fn)
        return lambda *args: ray.get(task.remote(*args))

    with started():
        return code_figures(declare, n)


def remote_call(n: int) -> Figures:
    with started():
        actor, task = ray.remote(Same).remote(), ray.remote(nothing)
        return {
            **one_by_one("server", lambda: ray.get(actor.get.remote(1)), n),
            **one_by_one("function", lambda: ray.get(task.remote()), n),
            "remote_call.pipelined.one": in_flight(lambda: actor.get.remote(1), ray.get, n * 5),
            "remote_call.pipelined.function": in_flight(task.remote, ray.get, n * 5),
        }


@contextmanager
def opened(workers: int) -> Iterator[Pool]:
    """Tasks, each in a worker process that is used again."""
    with started(workers):
        yield Pool(declare=lambda fn: ray.remote(fn).remote, result=ray.get, placed=False)


def pool_stream(n: int) -> Figures:
    with started(1):
        stream = ray.remote(numbers).remote

        def rate(n: int) -> float:
            began = perf_counter()
            assert sum([ray.get(item) for item in stream(n)]) == sum(range(n))
            return per_second(n, began)

        rate(max(1, n // 10))
        return {"pool_stream": rate(n)}


def refs_bulk(times: int) -> Figures:
    with started(1):
        tasks: dict[Any, Any] = {}

        def keep(fn: Callable[..., Any], *args: Any) -> Any:
            task = tasks.get(fn) or tasks.setdefault(fn, ray.remote(fn))
            return task.remote(*args)

        return bulk_figures(Store(lambda *call: ray.get(keep(*call)), keep, ray.put, ray.get), times)


def workloads(_: str) -> Workloads:
    return {
        "remote_call": remote_call,
        "code_calls": code_calls,
        "pool_stream": pool_stream,
        "refs_bulk": refs_bulk,
        **pool_workloads(opened, PROGRAM),
    }


def versions() -> dict[str, str]:
    return {"ray": importlib.metadata.version("ray")}


def loop(_: str) -> str:
    return "threads"
