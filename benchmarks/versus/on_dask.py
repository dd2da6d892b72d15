"""dask.distributed: an actor and a task on one worker process; the scheduler is a process too, as it is by default."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from typing import TYPE_CHECKING, Any

from benchmarks.versus.beside import in_flight, one_by_one

if TYPE_CHECKING:
    from benchmarks.case import Figures, Workloads

distributed: Any = importlib.import_module("distributed")


class Same:
    """The actor."""

    def get(self, x: int) -> int:
        return x


def nothing() -> None:
    """The task."""


def remote_call(n: int) -> Figures:
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(silence_logs=logging.ERROR, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        actor = client.submit(Same, actor=True).result()
        return {
            **one_by_one("server", lambda: actor.get(1).result(), n),
            **one_by_one("function", lambda: client.submit(nothing, pure=False).result(), n),
            "remote_call.pipelined.one": in_flight(lambda: actor.get(1), lambda result: result.result(), n),
            "remote_call.pipelined.function": in_flight(
                lambda: client.submit(nothing, pure=False), lambda future: future.result(), n
            ),
        }


def workloads(_: str) -> Workloads:
    return {"remote_call": remote_call}


def versions() -> dict[str, str]:
    return {"distributed": importlib.metadata.version("distributed")}


def loop(_: str) -> str:
    return "tornado on asyncio"
