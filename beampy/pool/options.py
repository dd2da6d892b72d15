"""What a pool and its calls may be told: two records, checked when they are made.

Rule: every number has its unit in its description and its reason beside its default; a wrong one is a ValueError that
names the option. FLAME's names and defaults where it has them; seconds everywhere.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.pool.scaling import Strategy

Isolation = Literal["thread", "process"]

TIMEOUT = 30.0  # seconds; FLAME's, for calls, boots, shutdowns and idleness alike
MAX_CONCURRENCY = 100  # calls that share a runner; FLAME's
MAX_QUEUE = 100_000  # calls; each is about 2 KiB here, so this is 200 MiB: a program that is that far behind is wrong
MAX_ZOMBIES = 4  # threads of a runner that nobody waits for and that do not end; each holds a slot
BOOT_ROUNDS = 3  # rounds of boots that all fail before the callers that wait are told
BACKOFF = 0.25  # seconds before the second round; doubles
MAX_BACKOFF = 30.0  # seconds


@dataclass(frozen=True)
class PoolOptions:
    """What a pool is told. `Pool` describes each of them for users."""

    min: int = 0
    max: int = 10
    max_concurrency: int | None = None
    isolation: Isolation = "thread"
    single_use: bool = False
    timeout: float | None = TIMEOUT
    boot_timeout: float = TIMEOUT
    shutdown_timeout: float = TIMEOUT
    idle_shutdown_after: float | tuple[float, Callable[[], bool]] | None = TIMEOUT
    min_idle_shutdown_after: float | None = None
    max_queue: int = MAX_QUEUE
    max_zombies: int = MAX_ZOMBIES
    boot_rounds: int = BOOT_ROUNDS
    backoff: float = BACKOFF
    strategy: Strategy | None = None
    grace: float | None = None
    failsafe: float = 20.0
    on_grow_start: Callable[[dict[str, Any]], object] | None = None
    on_grow_end: Callable[[Any, dict[str, Any]], object] | None = None
    on_shrink: Callable[[dict[str, Any]], object] | None = None
    context: tuple[ContextVar[Any], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    packages: Literal["off", "pure", "install"] = "pure"

    def __post_init__(self) -> None:
        _count("min", self.min, 0)
        _count("max", self.max, 1)
        if self.min > self.max:
            raise ValueError(f"Pool: min is {self.min} and max is {self.max}: min is at most max")
        if self.max_concurrency is not None:
            _count("max_concurrency", self.max_concurrency, 1)
        if self.isolation not in ("thread", "process"):
            raise ValueError(f"Pool: isolation is 'thread' or 'process', not {self.isolation!r}")
        for name in ("boot_timeout", "shutdown_timeout", "backoff", "failsafe"):
            _seconds(name, getattr(self, name), none=False)
        for name in ("timeout", "min_idle_shutdown_after", "grace"):
            _seconds(name, getattr(self, name))
        idle = self.idle_shutdown_after
        if isinstance(idle, tuple):
            if len(idle) != 2 or not callable(idle[1]):
                raise ValueError("Pool: idle_shutdown_after is seconds, None, or (seconds, function)")
            idle = idle[0]
        _seconds("idle_shutdown_after", idle)
        _count("max_queue", self.max_queue, 0)
        _count("max_zombies", self.max_zombies, 0)
        _count("boot_rounds", self.boot_rounds, 1)
        for var in self.context:
            if not isinstance(var, ContextVar):
                raise TypeError(f"Pool: context is a list of context variables, and {var!r} is none")
        for name, value in self.env:
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"Pool: env is names and values as text, and {name!r}: {value!r} is not")
        for name in ("strategy", "on_grow_start", "on_grow_end", "on_shrink"):
            if (fn := getattr(self, name)) is not None and not callable(fn):
                raise TypeError(f"Pool: {name} is a function, not {fn!r}")
        if self.packages not in ("off", "pure", "install"):
            raise ValueError(f"Pool: packages is 'off', 'pure' or 'install', not {self.packages!r}")

    @property
    def idle_after(self) -> float | None:
        """Seconds after which a runner with nothing to do may end."""
        return self.idle_shutdown_after[0] if isinstance(self.idle_shutdown_after, tuple) else self.idle_shutdown_after


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a call is told.

    `timeout`: seconds over queue, boot and run, None: none.
    `link`: the end of the calling process ends it.
    `priority`: higher goes first.
    `retries`: times it is run again when its runner was lost, or with an exception of `retry_on`; `backoff`: seconds
    before the first of them, doubling.
    `capture`: its output appears here.
    `keep`: its value stays on the runner, and the caller gets a reference. `rebuild`: when that runner is lost, the
    call is run again for who uses the reference.
    `name`: what people see of it, in errors, cards and lists; None: the function's.
    """

    timeout: float | None = TIMEOUT
    link: bool = True
    priority: int = 0
    retries: int = 0
    retry_on: tuple[type[BaseException], ...] = ()
    backoff: float = 0.1
    capture: bool = True
    window: int = 16
    keep: bool = False
    rebuild: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        _seconds("timeout", self.timeout)
        _seconds("backoff", self.backoff, none=False)
        _count("retries", self.retries, 0)
        _count("window", self.window, 1)
        classes = self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in classes):
            raise ValueError(
                f"Pool: retry_on is exception classes, as in (OSError, TimeoutError), not {self.retry_on!r}"
            )
        for name in ("keep", "rebuild"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"Pool: {name} is True or False, not {getattr(self, name)!r}")
        if not isinstance(self.priority, int):
            raise ValueError(f"Pool: priority is a whole number, not {self.priority!r}")

    def but(self, **changes: Any) -> CallOptions:
        """The same with other values."""
        return replace(self, **changes) if changes else self


def _count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"Pool: {name} is a whole number, {least} or more, not {value!r}")


def _seconds(name: str, value: Any, *, none: bool = True) -> None:
    if value is None and none:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < inf:
        raise ValueError(f"Pool: {name} is a number of seconds, 0 or more{', or None' if none else ''}, not {value!r}")
