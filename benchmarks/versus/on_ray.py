"""ray: a method of an actor, and a task, each in a worker process."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from benchmarks.versus.beside import in_flight, one_by_one

if TYPE_CHECKING:
    from benchmarks.case import Figures, Workloads

ray: Any = importlib.import_module("ray")


class Same:
    """The actor."""

    def get(self, x: int) -> int:
        return x


def nothing() -> None:
    """The task."""


def remote_call(n: int) -> Figures:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        actor, task = ray.remote(Same).remote(), ray.remote(nothing)
        return {
            **one_by_one("server", lambda: ray.get(actor.get.remote(1)), n),
            **one_by_one("function", lambda: ray.get(task.remote()), n),
            "remote_call.pipelined.one": in_flight(lambda: actor.get.remote(1), ray.get, n * 5),
            "remote_call.pipelined.function": in_flight(task.remote, ray.get, n * 5),
        }
    finally:
        ray.shutdown()


def workloads(_: str) -> Workloads:
    return {"remote_call": remote_call}


def versions() -> dict[str, str]:
    return {"ray": importlib.metadata.version("ray")}


def loop(_: str) -> str:
    return "threads"
