"""The stop button: interrupting a cell ends the remote work that the cell waits for, at the first press.

Rule: `.result()` and `await` cancel what they wait for when they are interrupted; that is handle.py's. Here is what has
to be so that an interrupt gets there. Three things:

An asyncio loop that sleeps is not woken by a signal: ipykernel's own handler then runs, and what it asks of the loop
waits for the next message (ipykernel's fault 881). So signals also write to a socket that the loop reads. Where that is
not possible, because somebody has set a wakeup fd already, the loop is woken a few times a second while a cell runs.
uvloop needs neither.

Whoever waits for several things at once with `as_completed` or `asyncio.wait` leaves the others behind when he is
interrupted. Handles that a cell awaits are kept in mind, weakly, and cancelled when the cell is interrupted.

IPython in a terminal leaves an interrupted cell's task where it was, on a loop that does not run. It is cancelled.

Place: it knows handles and asyncio, and ipykernel only by `shell.kernel.io_loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from beampy import handle

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.handle import ThreadHandle

TICK = (
    0.2  # seconds until an interrupt is seen where no socket wakes the loop: short for a hand, nothing for a processor
)
LET_GO = 1.0  # seconds for a cell's task to end when it was interrupted in a terminal; the prompt waits for it
READ = 4096  # bytes of the socket at once: one for each signal, and nobody sends so many

_waited: ContextVar[weakref.WeakSet[ThreadHandle[Any]] | None] = ContextVar("beampy_waited", default=None)


def install(shell: Any) -> Callable[[], object]:
    """Make interrupts work in the cells of a shell."""
    stop = Interrupts(shell)
    stop.put_in_place()
    return stop.take_away


def loop_of(shell: Any) -> asyncio.AbstractEventLoop | None:
    """The loop that runs the cells of a kernel; None in a terminal, where each cell runs one itself."""
    io_loop = getattr(getattr(shell, "kernel", None), "io_loop", None)
    loop = getattr(io_loop, "asyncio_loop", None)
    return loop if isinstance(loop, asyncio.AbstractEventLoop) else None


def wakes_itself(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a signal wakes this loop as it is."""
    return type(loop).__module__.partition(".")[0] == "uvloop"


def was_interrupted(result: Any) -> bool:
    """Whether a cell ended because somebody wanted it to."""
    error = getattr(result, "error_in_exec", None)
    return isinstance(error, (KeyboardInterrupt, asyncio.CancelledError))


def remember(waited_for: ThreadHandle[Any]) -> None:
    """A handle is awaited: it belongs to the cell whose context this is."""
    of_cell = _waited.get()
    if of_cell is not None:
        of_cell.add(waited_for)


class Wakeup:
    """A socket that signals write to and a loop reads, so that it wakes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.read_end, self.write_end = socket.socketpair()
        self.read_end.setblocking(False)
        self.write_end.setblocking(False)
        loop.add_reader(self.read_end, self.read)

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            self.read_end.recv(READ)

    def set(self) -> bool:
        """Have signals write here, unless they write elsewhere: then it is left alone. On the main thread."""
        ours = self.write_end.fileno()
        before = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        if before in (-1, ours):
            return True
        signal.set_wakeup_fd(before)
        return False

    def close(self) -> None:
        """As it was before. On the main thread."""
        before = signal.set_wakeup_fd(-1)
        if before not in (-1, self.write_end.fileno()):
            signal.set_wakeup_fd(before)
        if not self.loop.is_closed():
            self.loop.remove_reader(self.read_end)
        self.read_end.close()
        self.write_end.close()


class Interrupts:
    """What is in place in one shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.loop = loop_of(shell)
        self.wakeup: Wakeup | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.awaited_before = handle.awaited
        self.cell = threading.local()  # cells of subshells run at the same time, on threads of their own

    def put_in_place(self) -> None:
        self.shell.events.register("pre_run_cell", self.before_cell)
        self.shell.events.register("post_run_cell", self.after_cell)
        self.awaited_before, handle.awaited = handle.awaited, remember
        self.before_cell()  # the one that loads the extension

    def take_away(self) -> None:
        self.shell.events.unregister("pre_run_cell", self.before_cell)
        self.shell.events.unregister("post_run_cell", self.after_cell)
        if handle.awaited is remember:
            handle.awaited = self.awaited_before
        self.rest()
        if self.wakeup is not None and on_main_thread():
            self.wakeup.close()
            self.wakeup = None

    def before_cell(self, info: Any = None) -> None:
        self.cell.waited = weakref.WeakSet()
        _waited.set(self.cell.waited)  # for the tasks of the cell: its end is told of outside of its context
        self.wake()

    def after_cell(self, result: Any = None) -> None:
        self.rest()
        if was_interrupted(result):
            for each in list(getattr(self.cell, "waited", ())):
                if not each.done():
                    each.cancel()
            if self.loop is None and on_main_thread():
                end_left_behind()

    def wake(self) -> None:
        """See to it that a signal wakes the loop during the next cell."""
        if self.loop is None or not on_main_thread() or wakes_itself(self.loop):
            return  # a cell of a subshell is not interrupted: signals are the main thread's
        if self.wakeup is None:
            try:
                self.wakeup = Wakeup(self.loop)
            except (NotImplementedError, OSError):  # a loop without readers, no descriptor left
                self.tick()
                return
        if not self.wakeup.set():
            self.tick()

    def tick(self) -> None:
        """Wake the loop again and again, until the cell has ended."""
        self.rest()
        assert self.loop is not None
        self.timer = self.loop.call_later(TICK, self.tick)

    def rest(self) -> None:
        if self.timer is not None and on_main_thread():
            self.timer.cancel()
            self.timer = None


def on_main_thread() -> bool:
    """Whether signals are handled on this thread."""
    return threading.current_thread() is threading.main_thread()


def end_left_behind() -> None:
    """Cancel the task of an interrupted cell that IPython has left on its loop, in a terminal."""
    from IPython.core.async_helpers import get_asyncio_loop

    loop: asyncio.AbstractEventLoop = get_asyncio_loop()  # type: ignore[no-untyped-call]
    if loop.is_running() or loop.is_closed():
        return
    left = {task for task in asyncio.all_tasks(loop) if _runs_a_cell(task)}
    for task in left:
        task.cancel()
    if left:
        with contextlib.suppress(KeyboardInterrupt):
            loop.run_until_complete(asyncio.wait(left, timeout=LET_GO))


def _runs_a_cell(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__name__", "") == "run_cell_async"
