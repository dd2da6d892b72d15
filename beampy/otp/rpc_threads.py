"""The threads of a node for functions that are not async: few while functions are short, more where they wait.

Rule: functions begin in the order in which they came. A thread that has done one takes the next without going back to
the event loop, and what several have returned goes to the loop in one wake-up: so short functions share a thread, and
cost a fraction of a change of threads each. Where those that run now have all run for `PATIENCE`, another thread
takes the next function at once; where functions wait and little moves for that long, twice as many threads work from
then on. What is counted is the time that the loop has left to the threads, as it holds the interpreter while it works.

Bounds: `LIMIT` threads; functions that compute in Python get at most `CROWD`, because each one more would keep the
loop, which waits for the interpreter like any other thread, from its turn. What is more than that waits. A thread that
had nothing to do for `IDLE` seconds ends; when the server of calls ends, all that have nothing to do end. They are
daemon threads: one that is stuck holds nothing up.

On an event loop that simulates (no threads) functions go through its own executor.

Place: under rpc_thread.py, which says what a function in a thread hears. Benchmark: benchmarks/remote_call.py.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections import deque
from contextvars import Context, copy_context
from threading import Lock
from time import monotonic, process_time, thread_time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from beampy.core.ids import Ref
from beampy.core.request import ANSWERED, WAITING, Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from beampy.core.node import LocalNode
    from beampy.core.process import Process

log = logging.getLogger("beampy.otp")

PATIENCE = 0.001  # seconds; about ten times what the start of a thread costs
ENOUGH = 8  # functions begun in PATIENCE with which the threads are left as they are: 0.1 ms each, a change of threads
LIMIT = 1_000  # threads of a node; each is 8 MiB of address space, and some 20 KiB of memory
CROWD = min(32, (os.cpu_count() or 1) + 4)  # what Python's own executors start at most, concurrent.futures' rule
COMPUTES = 0.4  # of the time in which threads could run: above, they compute rather than wait, also on a busy machine
IDLE = 5.0  # seconds; a new thread costs a tenth of a millisecond

NO_THREAD = (RuntimeError, MemoryError)  # what the start of a thread raises where there is no room for another
NOWHERE = Ref("", 0, 0)  # nobody sends to what waits for a thread


def more_threads(waiting: int, working: int, begun: int, free: float, used: float) -> int:
    """How many threads to add, when the loop has left the interpreter to them for `free` seconds, PATIENCE at least.

    `begun` functions have begun in that time, and `used` seconds of CPU time went to other threads than the loop's;
    `waiting` functions wait for a thread, and `working` threads do something.
    """
    if begun >= ENOUGH * free / PATIENCE:
        return 0
    limit = CROWD if used > COMPUTES * free else LIMIT
    return max(0, min(max(1, working), waiting, limit - working))


class Waited(Request):
    """What a process waits for while its function runs in a thread."""

    ref = NOWHERE
    dest = None
    _seen = True

    def __init__(self, process: Process) -> None:
        self._process = process

    def _release(self) -> None:
        pass  # nothing stands anywhere for it


class Job:
    """One function: how it is run, and who waits for it."""

    __slots__ = ("context", "over", "run", "waited")

    def __init__(self, run: Callable[[], Any], context: Context, waited: Waited) -> None:
        self.run = run
        self.context = context
        self.waited = waited  # who waits now; the loop's to change
        self.over = False  # and the loop knows

    def do(self) -> tuple[Job, Any, BaseException | None]:
        """In the thread: run it. What it gave."""
        try:
            return self, self.context.run(self.run), None
        except BaseException as error:  # as any executor does
            return self, None, error


class Bell:
    """Calls `heard` on the loop when a thread has rung it.

    By an eventfd of its own where the system has that. `call_soon_threadsafe` of uvloop wakes the loop while the
    thread holds the interpreter, for which the loop then waits: two changes of threads more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, heard: Callable[[], None]) -> None:
        self._loop = loop
        self._heard = heard
        self._lock = Lock()  # so that nobody rings a number that is somebody else's by now
        self._fd = -1

    def open(self) -> None:
        """On the loop."""
        if self._fd < 0 and hasattr(os, "eventfd"):
            with contextlib.suppress(OSError):  # no more file descriptors
                fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                self._loop.add_reader(fd, self._read, fd)
                self._fd = fd

    def _read(self, fd: int) -> None:
        os.read(fd, 8)
        self._heard()

    def ring(self) -> None:
        """On any thread."""
        with self._lock:
            if self._fd >= 0:
                os.write(self._fd, ONE)
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._heard)

    def close(self) -> None:
        """On the loop. What is rung from now on comes by `call_soon_threadsafe`."""
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.remove_reader(fd)
            os.close(fd)
            self._heard()


class Porch:
    """Where one thread that does nothing waits, so that waking it leaves it the interpreter: by an eventfd.

    Who releases a lock holds the interpreter, for which the woken thread then waits: two changes of threads more. It
    is for the thread that is woken next; file descriptors for all of them would be too many.
    """

    __slots__ = ("called", "fd", "taken")

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC)
        self.taken = False  # somebody is there
        self.called = False  # and has been woken

    def wait(self) -> None:
        """In the thread."""
        os.read(self.fd, 8)

    def release(self) -> None:
        """Wake who waits there."""
        os.write(self.fd, ONE)

    def close(self) -> None:
        """Nobody waits there, and nobody will."""
        os.close(self.fd)


ONE = (1).to_bytes(8, sys.byteorder)  # what an eventfd takes


class SyncThreads:
    """The threads of one node. `submit` and `close` are the loop's."""

    def __init__(self, node: LocalNode) -> None:
        self._loop = node.loop
        self._scheduler = node.scheduler
        self._bell = Bell(node.loop, self._collect)
        self._lock = Lock()  # over all that follows, up to the clocks
        self._jobs: deque[Job] = deque()
        self._done: list[tuple[Job, Any, BaseException | None]] = []
        self._rung = False  # the loop will collect what is done
        self._threads = 0
        self._idle: list[Any] = []  # the gates of threads that do nothing, the latest last: the others may end
        self._looking = 0  # threads that were woken or started and have not looked for a job since
        self._busy: dict[Any, float] = {}  # by its gate, when a thread began what it does, the latest last
        self._begun = 0
        self._keep = False  # threads that have nothing to do
        self._porch: Porch | None = None
        # The clocks of the last look, and whether there will be another one.
        self._watching = False
        self._seen = (0.0, 0.0, 0.0, 0)

    # the loop's side

    def submit(self, process: Process, run: Callable[[], Any]) -> Job:
        """Run it in a thread, in a copy of the context of now. NO_THREAD where there is none and none can start."""
        job = Job(run, copy_context(), Waited(process))
        gate, start = None, False
        with self._lock:
            self._jobs.append(job)
            if not self._looking and self._held_up():
                if self._idle_threads():
                    gate = self._one_idle()
                    self._looking = 1
                elif self._threads < CROWD:  # above that `_look` finds out first whether they compute
                    start = True
                    self._looking = 1
                    self._threads += 1
        if gate is not None:
            self._scheduler.at_end(gate.release)  # now it would wait for the interpreter, which this tick holds
        elif start:
            try:
                self._start(1)
            except NO_THREAD:
                if not self._threads:
                    self._jobs.remove(job)
                    raise
        if not self._watching:
            self._watch()
        return job

    def _held_up(self) -> bool:
        """Whether no thread is in the middle of something short, as far as can be seen."""
        for began in reversed(self._busy.values()):
            return monotonic() - began > PATIENCE
        return True

    def _watch(self) -> None:
        self._watching = True
        self._seen = (monotonic(), thread_time(), process_time(), self._begun)
        self._loop.call_later(PATIENCE, self._look)

    def _look(self) -> None:
        """Some time later: more threads, where jobs wait and little moves."""
        self._watching = False
        waiting = len(self._jobs)
        if not waiting:
            return
        then, own_then, all_then, begun_then = self._seen
        own = thread_time() - own_then
        free = monotonic() - then - own  # what the loop has left to the threads
        if free < PATIENCE:
            self._watching = True
            self._loop.call_later(PATIENCE, self._look)
            return
        used = process_time() - all_then - own
        begun = self._begun - begun_then
        with self._lock:
            idle = self._idle_threads()
            more = more_threads(waiting - self._looking, self._threads - idle, begun, free, used)
            gates = [self._one_idle() for _ in range(min(more, idle))]
            more -= len(gates)
            self._threads += more
            self._looking += len(gates) + more
        for gate in gates:
            gate.release()
        if more:
            self._start_or_warn(more)
        self._watch()

    def _idle_threads(self) -> int:
        porch = self._porch
        return len(self._idle) + (porch is not None and porch.taken and not porch.called)

    def _one_idle(self) -> Any:
        """Somebody to wake: whom it costs least, or who came last."""
        porch = self._porch
        if porch is not None and porch.taken and not porch.called:
            porch.called = True
            return porch
        return self._idle.pop()

    def _collect(self) -> None:
        """Give what the threads have done to those who wait, and let these run at once."""
        self._scheduler.run_after(self._settle, 0)

    def _settle(self, _: int) -> None:
        with self._lock:
            done, self._done = self._done, []
            self._rung = False
        for job, value, error in done:
            job.over = True
            waited = job.waited
            if waited._state == WAITING:
                if error is None:
                    waited._outcome = value
                    waited._settle(ANSWERED)
                else:
                    waited._fail(error)

    def open(self) -> None:
        """From now on threads wait for more when they have nothing to do. Who says so says `close` in the end."""
        self._keep = True
        self._bell.open()
        if self._porch is None and hasattr(os, "eventfd"):
            with contextlib.suppress(OSError):  # no more file descriptors
                self._porch = Porch()

    def close(self) -> None:
        """From now on threads end when they have nothing to do, as before the first `open`."""
        with self._lock:
            self._keep = False
            gates, self._idle = self._idle, []
            porch, self._porch = self._porch, None
            if porch is not None and not porch.taken:
                porch.close()
            elif porch is not None and not porch.called:
                porch.called = True
                gates.append(porch)  # who waits there closes it
            self._looking += len(gates)
        for gate in gates:
            gate.release()
        self._bell.close()

    # the threads' side

    def _start(self, count: int) -> None:
        """Start threads, which are counted already. Each starts the next: who asks waits for the first alone."""
        try:
            threading.Thread(target=self._work, args=(count,), name="beampy-sync", daemon=True).start()
        except BaseException:
            with self._lock:
                self._threads -= count
                self._looking -= count
            raise

    def _start_or_warn(self, count: int) -> None:
        try:
            self._start(count)
        except NO_THREAD as error:
            log.warning("no more threads for functions that are not async: %s", error)

    def _work(self, count: int) -> None:
        """The whole life of a thread, which starts `count - 1` others first, where there is still work for them."""
        if count > 1:
            with self._lock:
                more = min(count - 1, len(self._jobs))
                self._threads -= count - 1 - more
                self._looking -= count - 1 - more
            if more:
                self._start_or_warn(more)
        gate = Lock()
        gate.acquire()
        place: Any = None
        while True:
            with self._lock:
                self._looking -= 1
                if place.__class__ is Porch:
                    place.taken = place.called = False
                    if place is not self._porch:
                        place.close()
                job, place = self._next(gate)
            while job is not None:
                did = job.do()
                with self._lock:
                    self._done.append(did)
                    ring, self._rung = not self._rung, True
                    job, place = self._next(gate)
                del did  # a thread that waits keeps nobody's values
                if ring:
                    self._bell.ring()
            if place is None:
                return
            if place is not gate:
                place.wait()
            elif not gate.acquire(timeout=IDLE) and self._gives_up(gate):
                return

    def _next(self, gate: Any) -> tuple[Job | None, Any]:
        """The next job; or where to wait for one, the porch or the own gate; or nothing of both. Under the lock."""
        self._busy.pop(gate, None)
        if self._jobs:
            self._busy[gate] = monotonic()
            self._begun += 1
            return self._jobs.popleft(), None
        porch = self._porch
        if porch is not None and not porch.taken:
            porch.taken = True
            return None, porch
        if self._keep:
            self._idle.append(gate)
            return None, gate
        self._threads -= 1
        return None, None

    def _gives_up(self, gate: Any) -> bool:
        """It has waited for long: it ends, unless it is woken at this moment."""
        with self._lock:
            if gate in self._idle:
                self._idle.remove(gate)
                self._threads -= 1
                return True
        gate.acquire()
        return False


_of_nodes: WeakKeyDictionary[LocalNode, SyncThreads] = WeakKeyDictionary()


def threads_of(node: LocalNode) -> SyncThreads | None:
    """The threads of a node, made on first use. None where its event loop simulates, and has none."""
    threads = _of_nodes.get(node)
    if threads is None and not hasattr(node.loop, "scheduler_clock"):
        threads = _of_nodes[node] = SyncThreads(node)
    return threads
