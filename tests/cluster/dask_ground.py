"""What the tests of dask on real runners share: waiting, and what there is in a pool and its cluster."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import beampy as bp

DEADLINE = 30.0  # seconds for what takes parts of one


def until(condition: Callable[[], Any]) -> Any:
    """Wait until it is so."""
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def up(pool: bp.Pool) -> list[int]:
    return [runner["os_pid"] for runner in pool.runners() if runner["state"] == "up"]


def nodes(pool: bp.Pool) -> list[str]:
    return [runner["node"] for runner in pool.runners()]


def workers(client: Any) -> list[str]:
    return [info["name"] for info in client.scheduler_info(n_workers=-1)["workers"].values()]


def pids(client: Any) -> list[int]:
    return sorted(client.run(os.getpid).values())
