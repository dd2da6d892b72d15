"""The run queue: steps many processes per tick of the event loop, and then lets the loop breathe.

Rule: a tick ends after about TICK_SECONDS or TICK_STEPS steps, whichever comes first, so sockets and timers are
served however busy the processes are; a process with a full mailbox takes at most SLICE messages before the
next one runs. Around each step the process is asyncio's current task, so timeouts and cancel scopes find it.

A step ends when the coroutine yields: RECEIVE or SELECT (it wants messages), a Request (it wants the answer of
a call), None (asyncio.sleep(0)), or a future of asyncio's. The scheduler knows how to resume from each; what a
message means, and how a process ends, is process.py's.

Benchmarks: benchmarks/pingpong.py, benchmarks/ring.py, benchmarks/oneway.py.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from beampy.core.mailbox import RECEIVE, SELECT
from beampy.core.request import Request
from beampy.core.state import ANY

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process

TICK_STEPS = 2_000  # about 1 ms of small steps
TICK_SECONDS = 0.001  # as BEAM's own time slice: 4 000 reductions, about a millisecond
CLOCK_EVERY = 32  # steps between two looks at the clock
SLICE = 100  # messages one process takes before the others get their turn
TURNS = range(1, SLICE + 1)
NOTHING: Any = None

CLOSED: Any = object()  # the step of a process that was killed: nothing to resume


def current_tasks() -> dict[Any, Any]:
    """asyncio's own table of the task that runs on each loop: one dict store instead of two calls a step."""
    if sys.version_info >= (3, 14):
        raise RuntimeError("beampy runs on CPython 3.11 to 3.13; asyncio keeps its current task elsewhere from 3.14 on")
    table: dict[Any, Any] = asyncio.tasks._current_tasks  # type: ignore[attr-defined]
    return table


def drain(process: Process, box: deque[Any]) -> tuple[int, Any]:
    """Give a process up to SLICE messages of its backlog, one step each. How many, and what its last step yielded."""
    send, take = process._coro.send, box.popleft
    taken, out = 0, RECEIVE
    for taken in TURNS:  # noqa: B007  -- how far it got is the answer
        out = send(take())
        if out is not RECEIVE or not box or process._interrupt is not None:
            break
    return taken, out


class Scheduler:
    """The run queue of one node, on one event loop."""

    __slots__ = ("armed", "clock", "endings", "loop", "queue", "running", "steps", "ticks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.queue: deque[Process] = deque()
        self.armed = False
        self.running = False
        self.endings: list[Callable[[], None]] = []  # what is to be done at the end of this tick
        self.steps = 0
        self.ticks = 0
        # A simulated loop offers its own clock; uvloop's stands still within a tick, so it is not asked.
        self.clock: Callable[[], float] = getattr(loop, "scheduler_clock", time.monotonic)

    def push(self, process: Process) -> None:
        """Run `process` soon."""
        self.queue.append(process)
        if not self.armed:
            self.armed = True
            self.loop.call_soon(self.run)

    def at_end(self, fn: Callable[[], None]) -> None:
        """Call `fn` at the end of this tick; soon, where none runs. What a tick sends leaves in one write."""
        if self.running:
            self.endings.append(fn)
        else:
            self.loop.call_soon(fn)

    def run_after(self, fn: Callable[[int], None], n: int) -> None:
        """Call `fn(n)`, which makes processes runnable, and then run them at once, without a turn of the loop."""
        if self.armed or self.running:
            fn(n)
            return
        self.armed = True  # so that a push does not ask the loop
        try:
            fn(n)
        finally:
            self.armed = False
            if self.queue:
                self.run()

    def run(self) -> None:
        """One tick: step what is runnable, within the budget."""
        queue = self.queue
        pop = queue.popleft
        loop = self.loop
        tasks = current_tasks()
        clock = self.clock
        stop_at = clock() + TICK_SECONDS
        left = TICK_STEPS
        look = left - CLOCK_EVERY
        self.ticks += 1
        self.running = True
        try:
            while queue and left > 0:
                if left <= look:
                    if clock() >= stop_at:
                        break
                    look = left - CLOCK_EVERY
                process = pop()
                tasks[loop] = process
                left -= 1
                try:
                    if process._interrupt is None:
                        value = process._value
                        process._value = None
                        out = process._context.run(process._coro.send, value)
                    else:
                        out = process._resume_interrupted()
                    process._steps += 1
                    if out is RECEIVE:
                        box = process._mailbox
                        if not box or process._interrupt is not None:
                            if process._interrupt is None:
                                process._waiting = ANY
                            else:
                                process._interrupted_wait()
                            continue
                        taken, out = process._context.run(drain, process, box)
                        process._steps += taken
                        left -= taken
                        if out is RECEIVE:
                            if process._interrupt is not None:
                                process._interrupted_wait()
                            elif process._mailbox:  # a selective receive may have put another one in the place of `box`
                                process.resume_with_mailbox()
                            else:
                                process._waiting = ANY
                            continue
                except StopIteration as stop:
                    process._returned(stop.value)
                    continue
                except BaseException as error:
                    process._raised(error)
                    if isinstance(error, (KeyboardInterrupt, SystemExit)):
                        raise
                    continue
                if out.__class__ is Request and process._interrupt is None and not (out._state or out._waiter):
                    out._asyncio_future_blocking = False
                    out._waiter = process
                    process._fut_waiter = out
                elif out.__class__ is Request:
                    process._wait_for_request(out)
                elif out is SELECT:
                    process._wait_selecting()
                elif out is None:
                    loop.call_soon(process._push_again)
                elif out is not CLOSED:
                    process._wait_for_future(out)
        finally:
            tasks.pop(loop, None)
            process = value = out = box = NOTHING  # the frames of a failure lead to this one, which keeps nobody's data
            self.steps += TICK_STEPS - left
            # Off first, then look again: a push from elsewhere is seen by one of the two.
            self.armed = False
            if queue:
                self.armed = True
                loop.call_soon(self.run)
            self.running = False
            if self.endings:
                endings, self.endings = self.endings, []
                for fn in endings:
                    fn()
