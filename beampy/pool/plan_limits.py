"""What a plan keeps to, and what it says of a boot that took too long.

Rule: plain values, checked by `options.py`, which has the users' words for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from beampy.pool.scaling import Strategy

ZOMBIE_AFTER = 1.0  # seconds: an async call ends at its next await, within milliseconds; a thread that has not is stuck


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a plan keeps to. `PoolOptions` describes these for users; times are in seconds, None is never.

    max_zombies: None where cancelled calls always end, as in processes that are killed.
    zombie_after: a cancelled call that still holds its slot after that is a zombie.
    """

    min: int
    max: int
    max_concurrency: int
    single_use: bool
    idle_after: float | None
    min_idle_after: float | None
    max_queue: int
    max_zombies: int | None
    boot_rounds: int
    backoff: float
    boot_timeout: float
    shutdown_timeout: float
    max_backoff: float = 30.0
    strategy: Strategy | None = None
    zombie_after: float = ZOMBIE_AFTER


class TimedOut(NamedTuple):
    """Why a boot has failed whose machine the plan has given up: nothing came within its `boot_timeout`, in seconds."""

    boot_timeout: float

    def __str__(self) -> str:
        return f"no runner called home within {self.boot_timeout:g} s (boot_timeout)"
