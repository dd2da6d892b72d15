"""What a process is made of: its slots, and the questions that only look at them.

Sizes matter here: see benchmarks/memory.py. What most processes never need is in `Extras`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.extras import UNSET, Extras
from beampy.core.signals import safe_repr

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Coroutine
    from contextvars import Context

    from beampy.core.extras import Lineage
    from beampy.core.ids import Pid, Ref
    from beampy.core.node import LocalNode
    from beampy.core.scheduler import Scheduler

# What `_waiting` says; whoever resumes a process sets it back:
NOT_WAITING = 0
ANY = 1  # the next message is handed over
SELECTIVE = 2  # woken by each new message, it looks for itself
PARKED = 3  # not for messages: for a connection that it has written too much to

# What `_interrupt` holds besides an exception to throw at the next step:
EXITING: Any = object()  # cleaning up after an exit signal
TAKE: Any = object()  # the next message is in the mailbox: a None, or the rest of a slice
DEAD: Any = object()  # ended, but the coroutine still has to be closed


class Parking:
    """What a process that writes faster than a connection sends has in `_interrupt`: it goes on when `busy` is over.

    `wants_message`: it was about to take the next message of its mailbox.
    """

    __slots__ = ("busy", "parked", "receiving", "wants_message")

    def __init__(self, receiving: Parking | None = None) -> None:
        self.busy = False
        self.parked: list[Any] = []
        self.wants_message = receiving is None
        self.receiving: Parking = self if receiving is None else receiving

    @classmethod
    def place(cls) -> Parking:
        """A parking place, with the form of it that wants a message at hand."""
        return cls(cls())

    def stop(self) -> None:
        """From now on, who writes is parked at its next await."""
        self.busy = self.receiving.busy = True

    def go(self) -> None:
        """The connection has sent what it had: all go on."""
        self.busy = self.receiving.busy = False
        for part in (self, self.receiving):
            waiting, part.parked = part.parked, []
            for process in waiting:
                process.unpark(part)


class State:
    """One process's data. The private slots belong to this package: the scheduler and `send` reach into them."""

    __slots__ = (
        "__weakref__",  # anyio keeps weak tables of tasks
        "_context",
        "_coro",
        "_extras",
        "_fut_waiter",
        "_interrupt",
        "_lineage",
        "_mailbox",
        "_scheduler",
        "_steps",
        "_thread",
        "_value",
        "_waiting",
        "_watchers",
        "node",
        "pid",
    )

    def __init__(
        self,
        node: LocalNode,
        pid: Pid,
        coro: Coroutine[Any, Any, Any],
        context: Context,
        lineage: Lineage | None,
    ) -> None:
        self.node = node
        self.pid = pid
        self._coro = coro
        self._context = context
        self._lineage = lineage
        self._scheduler: Scheduler = node.scheduler
        self._thread = node.fast_thread
        self._mailbox: deque[Any] | None = None
        self._waiting = 0  # NOT_WAITING, or what it waits for
        self._fut_waiter: Any = None
        self._interrupt: Any = None
        self._value: Any = None
        self._steps = 0
        self._extras: Extras | None = None
        self._watchers: dict[Ref, Pid] | None = None  # who monitors us, under which ref

    def extras(self) -> Extras:
        """The rare parts, made now if need be."""
        if self._extras is None:
            self._extras = Extras()
        return self._extras

    @property
    def alive(self) -> bool:
        """Neither ended nor ending."""
        return self.pid._local is self and (self._extras is None or self._extras.exiting is UNSET)

    @property
    def dead(self) -> bool:
        """Ended: nobody can reach it any more."""
        return self.pid._local is not self

    @property
    def trap_exit(self) -> bool:
        """Whether exit signals arrive as messages."""
        return self._extras is not None and self._extras.trap_exit

    def lineage_for_children(self) -> Lineage:
        """Who spawned, and who spawned that: one shared cell for all children."""
        extras = self.extras()
        if extras.lineage is None:
            extras.lineage = (self.pid, self._lineage)
        return extras.lineage

    def __repr__(self) -> str:
        return f"<Process {self.pid.node} {self.pid.serial} {self.describe()}>"

    def describe(self) -> str:
        """Its registered name or label, else the function it runs."""
        extras = self._extras
        if extras is not None and extras.name is not None:
            return extras.name
        if extras is not None and extras.label is not None:
            return extras.label if isinstance(extras.label, str) else safe_repr(extras.label)
        return self.initial_call()

    def serial(self) -> int:
        """Its number on this node."""
        return self.pid.serial

    def initial_call(self) -> str:
        """The function it was spawned with."""
        frame = getattr(self._coro, "cr_frame", None)
        module = frame.f_globals.get("__name__", "?") if frame is not None else ""
        name = getattr(self._coro, "__qualname__", "?")
        return f"{module}.{name}" if module else name
