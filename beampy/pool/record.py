"""What a pool knows of each of its runners. Data only: who changes it is the manager."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import asyncio

    from beampy.core.ids import Pid, Ref
    from beampy.pool.backend import Machine
    from beampy.pool.call import PoolCall

State = Literal["booting", "up", "draining", "away", "down"]


class Place(Protocol):
    """Where a call runs: a runner, or one of its slots. `node` is the name of its node."""

    node: str

    @property
    def owner(self) -> Runner:
        """The runner that it belongs to."""
        ...


@dataclass(eq=False)
class Slot:
    """A process of a runner that runs one call at a time."""

    node: str
    owner: Runner
    state: Literal["starting", "free", "busy", "ending", "down"] = "starting"
    ticket: int = 0
    os_pid: int | None = None
    call: PoolCall | None = None
    pid: Pid | None = None
    monitor: Ref | None = None
    about: dict[str, Any] = field(default_factory=dict)
    keeps: str = ""  # what of its objects other nodes refer to
    status: int | None = None
    oom: bool = False


@dataclass(eq=False)
class Runner:
    """One machine, from its boot on. `number` is that of its boot, `label` what people see."""

    number: int
    node: str
    label: str
    asked_at: float
    ticket: str = field(default="", repr=False)
    machine: Machine | None = None
    state: State = "booting"
    pid: Pid | None = None  # of its terminator
    monitor: Ref | None = None
    about: dict[str, Any] = field(default_factory=dict)
    up_at: float = 0.0
    jobs: dict[int, PoolCall] = field(default_factory=dict)  # with it now, also those that nobody waits for
    done: int = 0  # calls that have ended here
    failed: int = 0  # those of them without a value
    drain: int = 0  # the number of the question that is open
    silent: int = 0  # how many have not answered it: the runner, and its slots
    answer: asyncio.Future[None] | None = None  # to it
    gone: asyncio.Future[None] | None = None  # while its end is waited for
    why: str = ""  # why it ends, where that is known
    losses: int = 0  # how often its connection was lost
    lost: list[PoolCall] = field(default_factory=list)  # calls that were with it then, and have not been told why yet
    booter: asyncio.Task[None] | None = None  # what boots it
    ender: asyncio.Task[None] | None = None  # what ends it, where the plan wanted that
    slots: dict[str, Slot] = field(default_factory=dict)
    free: deque[Slot] = field(default_factory=deque)
    unborn: int = 0  # processes of it that ended before they called home, since the last one that did
    wanting: deque[PoolCall] = field(default_factory=deque)  # calls that have a place in the plan, and no process yet

    @property
    def owner(self) -> Runner:
        """Itself: async functions, and all of them where slots are threads, run in it."""
        return self
