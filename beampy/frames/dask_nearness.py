"""Nearness: that a task which reads a partition runs on the worker that has it in its own process.

Rule: it is a wish. The task waits for that worker, and goes to any other where there is none, or where others have
nothing to do (dask steals it): then the partition goes from node to node, once.

Place: a plugin of dask's scheduler, in its process and on its loop; dask_cluster.py adds it with the first partition.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from beampy.frames.dask_parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPTH = 8  # of a task in a task: dask fuses what it can into one level, and what users nest is no deeper than theirs


class Nearness(SchedulerPlugin):  # type: ignore[misc]
    """`address_of` gives the worker of a node; None: there is none."""

    name = "beampy-nearness"

    def __init__(self, address_of: Callable[[str], str | None]) -> None:
        self.address_of = address_of

    def begin(self, scheduler: Any) -> None:
        """Be a plugin of this scheduler. On its loop."""
        scheduler.add_plugin(self)
        for worker in scheduler.workers:
            self.add_worker(scheduler, worker)

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """There is a worker. Of what is sent to it no copy is kept, for it is tasks, which keep partitions."""
        scheduler.stream_comms[worker].recent_message_log = deque(maxlen=0)

    def update_graph(self, scheduler: Any, *, tasks: Any, **_: Any) -> None:
        """New tasks, of which none has been given to a worker."""
        known: dict[str, str | None] = {}
        for key in tasks:
            task = scheduler.tasks.get(key)
            if task is None or task.state != "released" or task.run_spec is None or task.worker_restrictions:
                continue
            part = max(parts_of(task.run_spec), key=lambda part: part.nbytes, default=None)
            if part is None:
                continue
            node = part.id.node
            if node not in known:
                known[node] = self.address_of(node)
            address = known[node]
            if address is not None:
                task.worker_restrictions, task.loose_restrictions = {address}, True


def parts_of(spec: Any, depth: int = DEPTH) -> Iterator[Part]:
    """The parts that a task has among its arguments, and those of tasks that were fused into it."""
    if isinstance(spec, Part):
        yield spec
        return
    if depth == 0:
        return
    inner: list[Any] = []
    if isinstance(spec, dict):
        inner = list(spec.values())
    elif isinstance(spec, (list, tuple)):
        inner = list(spec)
    else:
        inner = [*getattr(spec, "args", ()), *getattr(spec, "kwargs", {}).values()] if hasattr(spec, "key") else []
    for each in inner:
        yield from parts_of(each, depth - 1)
