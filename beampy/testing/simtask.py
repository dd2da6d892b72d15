"""Tasks and futures of the simulator, how to describe a waiting one, and the ways to get stuck.

Rule: a task or future hashes by its number. asyncio keeps tasks in sets and walks them (a
TaskGroup that cancels its children, `asyncio.wait`), in an order that the hash decides; by
default that is a memory address, and no two runs would be alike.

Place: testing, under simloop. It does not know the loop's clock or its queue.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Where the frames are that make a task on somebody's behalf.
_MAKERS = (os.path.dirname(asyncio.__file__), os.path.dirname(__file__))


class SimTask(asyncio.Task[Any]):
    """A Task that hashes by its number, so that a set of tasks iterates alike in every run."""

    def __init__(self, number: int, coro: Any, **options: Any) -> None:
        self.number = number  # first: the base class puts the task into a set
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number


class SimFuture(asyncio.Future[Any]):
    """A Future that hashes by its number (see SimTask)."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class SimDeadlock(RuntimeError):
    """Nothing is scheduled, so nothing can ever happen, and somebody is still waiting.

    `waiting` has one line per waiting task (and what `SimLoop.deadlock_notes` reported).
    """

    def __init__(self, at: float, waiting: list[str]) -> None:
        super().__init__(at, waiting)
        self.at = at
        self.waiting = waiting

    def __str__(self) -> str:
        return (
            f"the simulation is stuck at {self.at} s: no callback and no timer is scheduled, "
            f"and these wait:{_listed(self.waiting)}"
        )


class SimLivelock(RuntimeError):
    """The loop spins at one instant of virtual time, which therefore never moves.

    Usually somebody polls with `sleep(0)`: on a real loop the clock moves meanwhile.
    """

    def __init__(self, at: float, passes: int, waiting: list[str]) -> None:
        super().__init__(at, passes, waiting)
        self.at = at
        self.passes = passes
        self.waiting = waiting

    def __str__(self) -> str:
        return (
            f"the simulation spins: {self.passes} passes of the loop at {self.at} s, "
            f"with these tasks:{_listed(self.waiting)}"
        )


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"\n  {line}" for line in lines) or " none"


def describe_task(task: asyncio.Task[Any]) -> str:
    """One line on a task: its name, what it runs, where it stands, where it was made if known.

    Example:
        describe_task(asyncio.current_task())   # "Task-1: main at app.py:12"
    """
    coro: Any = task.get_coro()
    text = f"{task.get_name()}: {getattr(coro, '__qualname__', coro)}"
    stack = task.get_stack(limit=1)
    if stack:
        text += f" at {stack[-1].f_code.co_filename}:{stack[-1].f_lineno}"
    for frame in reversed(getattr(task, "_source_traceback", None) or ()):  # in debug mode
        if os.path.dirname(frame.filename) not in _MAKERS:
            text += f", created at {frame.filename}:{frame.lineno}"
            break
    return text
