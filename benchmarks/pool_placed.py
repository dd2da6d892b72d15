"""This process and a worker on a core each, every thread of both: so that where the system puts them is not measured.

Left alone, two processes that wait for each other share a core in one run and not in the next, which changes the time
of a round trip more than what is compared. `two_nodes.placed` does the same for processes of one thread.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def apart(pid: int) -> Iterator[None]:
    """Within the block; a thread that is started in it stays with its parent. Where there is no choice: as it is."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(before) < 2:
        yield
        return
    here, *_, there = sorted(before)
    _place(os.getpid(), {here})
    _place(pid, {there})
    try:
        yield
    finally:
        _place(os.getpid(), before)
        _place(pid, before)


def _place(pid: int, cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # the process has ended: nothing to place
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread), cores)
