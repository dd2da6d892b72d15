"""ray: a method of an actor, and a task, each in a worker process."""

from __future__ import annotations

import importlib
import importlib.metadata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.versus.beside import in_flight, one_by_one
from benchmarks.versus.code_calls import code_calls as code_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.case import Figures, Workloads

ray: Any = importlib.import_module("ray")


class Same:
    """The actor."""

    def get(self, x: int) -> int:
        return x


def nothing() -> None:
    """The task."""


@contextmanager
def started() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
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


def workloads(_: str) -> Workloads:
    return {"remote_call": remote_call, "code_calls": code_calls}


def versions() -> dict[str, str]:
    return {"ray": importlib.metadata.version("ray")}


def loop(_: str) -> str:
    return "threads"
