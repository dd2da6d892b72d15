"""SimLoop: a real asyncio event loop whose time is virtual and whose chances come from a seed.

Rule: one thread, one clock, one seed. Time moves only when nobody has anything to do, straight
to the next timer; timers of the same instant fire in the order in which they were made; what is
left to chance outside (latency, how long a thread takes, when the garbage collector runs) is
drawn from the seed. Equal seeds give equal runs, and `fingerprint()` proves it.

Place: testing. The loop is the seam: code under test is not changed, it just runs on this loop.
The sockets are simnet's; this file knows nothing of hosts and bytes, and nothing of beampy.

What equal runs need from the code under test:
- no wall clock, no unseeded randomness, no threads of its own (executors run inline here);
- sets of strings iterate in an order that PYTHONHASHSEED decides: fix it to replay a run in
  another process. Sets of this loop's tasks and futures are safe (see simtask), but
  `asyncio.as_completed` over bare coroutines is not: pass it tasks;
- the same Python: other versions of asyncio take other steps to the same result.

Not modelled: processes, pipes, datagrams, raw sockets and TLS raise NotImplementedError; threads
that call back into the loop get RuntimeError (anyio.to_thread starts such threads).
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import heapq
import math
import random
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from beampy.testing.simexecutor import InlineExecutor
from beampy.testing.simnet import Net
from beampy.testing.simstreams import StreamMethods
from beampy.testing.simtask import SimDeadlock, SimFuture, SimLivelock, SimTask, describe_task

if TYPE_CHECKING:
    import contextvars
    from collections import deque
    from collections.abc import Callable, Coroutine, Iterable

__all__ = ["SimDeadlock", "SimFactory", "SimLivelock", "SimLoop", "run"]

T = TypeVar("T")

# A program that passes messages as fast as it can makes 100-200 thousand passes a second; this
# many without a single timer falling due is one that polls for ever.
MAX_SPIN = 2_000_000
# A full collection takes 10-50 ms under pytest; this keeps its share of a run below a half.
GC_EVERY = 20_000
# A thread hop takes 50-270 us on Linux; twice that makes races likely and costs nothing here.
EXECUTOR_DELAY = 0.0005
# Cancelled timers stay in the heap until they are due; beyond this many it is rebuilt.
_MAX_CANCELLED = 128
_TRACE_CHUNK = 4096


class SimLoop(StreamMethods, asyncio.BaseEventLoop):
    """An asyncio event loop with virtual time, in-memory sockets and a seed.

    `shuffle=True` permutes the tasks that are ready at the same moment (callbacks stay FIFO, as
    asyncio promises). `gc_every` is the mean number of handles between two collections (0 leaves
    garbage collection to the interpreter, and its moments to chance). `deadlock_notes` are
    functions that add lines to what SimDeadlock reports. `rng` is for tests to draw from. Set
    `pass_cost` to the virtual seconds that a pass takes while somebody has something to do: with 0,
    the default, code that never waits stops the clock.

    Example:
        loop = SimLoop(seed=7)
        loop.run_until_complete(asyncio.sleep(86400))   # a day, at once
        assert loop.time() == 86400
        loop.close()
    """

    # Members of BaseEventLoop that this class relies on although they are private. They are the
    # same in 3.11, 3.12 and 3.13; tests/unit/testing/test_simloop.py holds the list, so that a
    # Python which renames one fails there, by name.
    _ready: deque[asyncio.Handle]
    _stopping: bool
    _debug: bool
    _thread_id: int | None
    _current_handle: asyncio.Handle | None
    _executor_shutdown_called: bool
    _default_executor: Any
    _check_closed: Callable[[], None]
    _check_thread: Callable[[], None]
    _check_callback: Callable[[Any, str], None]

    def __init__(
        self,
        seed: int = 0,
        *,
        shuffle: bool = False,
        gc_every: int = GC_EVERY,
        max_spin: int = MAX_SPIN,
        executor_delay: float = EXECUTOR_DELAY,
    ) -> None:
        super().__init__()
        # A factory, not only create_task: who lays one of its own over it still gets these tasks.
        self.set_task_factory(self._make_task)
        self.seed = seed
        self.max_spin = max_spin
        self.pass_cost = 0.0
        self.deadlock_notes: list[Callable[[], Iterable[str]]] = []
        # One stream of chance per purpose: a draw from one does not change the others.
        self.rng = random.Random(f"{seed}/test")
        self.net = Net(self, random.Random(f"{seed}/net"))
        self._executor = InlineExecutor(self, random.Random(f"{seed}/executor"), executor_delay)
        self._gc_rng = random.Random(f"{seed}/gc")
        self._shuffle_rng = random.Random(f"{seed}/shuffle") if shuffle else None
        self._now = 0.0
        self._spin = 0
        self._numbers = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._cancelled_timers = 0
        self._gc_every = gc_every
        self._until_gc = self._next_gc()
        self._signals: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self._trace: list[tuple[float, tuple[object, ...]]] = []
        self._hash = hashlib.blake2b(digest_size=16)

    # -- time and order ---------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    # beampy's scheduler reads its tick budget from this clock: virtual time stands still within
    # a tick, so only the number of steps binds and a slow machine takes the same steps.
    scheduler_clock = time

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Schedule a callback for a virtual moment; equal moments fire in order of creation."""
        self._check_closed()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, "call_at")
        timer: Any = asyncio.TimerHandle(when, callback, args, self, context)
        if not math.isinf(when):  # one that never fires must not count as a future event
            heapq.heappush(self._timers, (when, self._number(), timer))
            timer._scheduled = True
        return timer  # type: ignore[no-any-return]

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """As call_soon; no other thread may call it while the loop runs."""
        if self._thread_id not in (None, threading.get_ident()):
            raise RuntimeError(
                f"thread {threading.current_thread().name!r} reaches into a simulation, whose "
                "order would then be left to chance; use run_in_executor or asyncio.to_thread"
            )
        return self.call_soon(callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: Any) -> None:
        if not handle._scheduled:
            return
        self._cancelled_timers += 1
        if self._cancelled_timers > max(_MAX_CANCELLED, len(self._timers) // 2):
            # cancel() marks the handle after it has told us: drop that one by name.
            self._timers = [entry for entry in self._timers if entry[2] is not handle and not entry[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    def _pop_timer(self) -> asyncio.TimerHandle | None:
        """The earliest timer, or None when it was cancelled meanwhile."""
        timer: Any = heapq.heappop(self._timers)[2]
        timer._scheduled = False
        if timer.cancelled():
            self._cancelled_timers -= 1
            return None
        return timer  # type: ignore[no-any-return]

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._stopping:
            self._jump()
        else:
            self._spin += 1
            if self._spin > self.max_spin:
                self._spin = 0
                raise SimLivelock(self._now, self.max_spin, self._waiting())
            if self.pass_cost:
                self._now += self.pass_cost
                self._spin = 0
        while self._timers and self._timers[0][0] <= self._now:
            timer = self._pop_timer()
            if timer is not None:
                ready.append(timer)
        if self._shuffle_rng is not None and len(ready) > 1:
            self._shuffle(self._shuffle_rng)
        batch = len(ready)
        handle: Any
        for _ in range(batch):
            handle = ready.popleft()
            if not handle.cancelled():
                self._run_handle(handle)
        handle = None  # as asyncio does: a frame in the traceback of what it ran must not keep it
        if self._gc_every:
            self._until_gc -= batch
            if self._until_gc <= 0:
                gc.collect()
                self._until_gc = self._next_gc()

    def _jump(self) -> None:
        """Everybody is idle: move to the next timer that somebody still wants."""
        while self._timers and self._timers[0][2].cancelled():
            self._pop_timer()
        if not self._timers:
            raise SimDeadlock(self._now, self._waiting())
        if self._timers[0][0] > self._now:
            self._now = self._timers[0][0]
            self._spin = 0

    def _run_handle(self, handle: Any) -> None:
        callback = handle._callback
        owner = getattr(callback, "__self__", None)
        if type(owner) is SimTask:
            self.note(owner.number)
        else:
            fn = getattr(callback, "func", callback)  # a partial has no name of its own
            self.note(getattr(fn, "__qualname__", None) or type(fn).__qualname__)
        callback = owner = fn = None
        if self._debug:
            self._current_handle = handle  # asyncio adds its source to what goes wrong in it
        try:
            handle._run()
        finally:
            self._current_handle = handle = None  # see _run_once

    def _shuffle(self, rng: random.Random) -> None:
        """Permute the ready steps of tasks; a task has at most one, so none overtakes itself."""
        handles: list[Any] = list(self._ready)
        places = [
            place
            for place, handle in enumerate(handles)
            if isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)
        ]
        order = places.copy()
        rng.shuffle(order)
        for place, source in zip(places, order, strict=True):
            self._ready[place] = handles[source]

    def run_forever(self) -> None:
        """Run until stop(); the interpreter's own garbage collection rests meanwhile."""
        rest = bool(self._gc_every) and gc.isenabled()
        if rest:
            gc.disable()
        try:
            super().run_forever()
        finally:
            if rest:
                gc.enable()

    def _next_gc(self) -> int:
        return self._gc_rng.randint(1, 2 * self._gc_every) if self._gc_every else 0

    # -- what a run did ---------------------------------------------------------------------

    def note(self, *values: object) -> None:
        """Add a mark to the trace; the repr of the values must be the same in every run.

        Example:
            loop.note("elected", "n2")
        """
        self._trace.append((self._now, values))
        if len(self._trace) >= _TRACE_CHUNK:
            self._flush_trace()

    def fingerprint(self) -> str:
        """A hash of every handle run so far, with its virtual moment, and every byte received.

        Example:
            assert loop_a.fingerprint() == loop_b.fingerprint()   # the same run
        """
        self._flush_trace()
        return self._hash.copy().hexdigest()

    def _flush_trace(self) -> None:
        self._hash.update("".join(map(repr, self._trace)).encode())
        self._trace.clear()

    def _waiting(self) -> list[str]:
        lines = [describe_task(task) for task in sorted(asyncio.all_tasks(self), key=hash)]
        return lines + [line for notes in self.deadlock_notes for line in notes()]

    # -- tasks, futures, executors ----------------------------------------------------------

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return SimFuture(self._number(), self)

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> asyncio.Task[Any]:
        """A task of this loop, named by a count of this loop's own when it has no name."""
        name = f"Task-{self._numbers + 1}" if name is None else name
        create: Any = super().create_task
        return create(coro, name=name, **options)  # type: ignore[no-any-return]

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> SimTask:
        return SimTask(self._number(), coro, loop=loop, **options)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run a function inline, after a drawn delay (see simexecutor)."""
        self._check_closed()
        if self._debug:
            self._check_callback(func, "run_in_executor")
        if executor is None and self._executor_shutdown_called:
            raise RuntimeError("Executor shutdown has been called")
        return self._executor.submit(executor, func, args)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """No more jobs for the default executor; there are no threads to wait for."""
        self._executor_shutdown_called = True

    # -- signals ----------------------------------------------------------------------------

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """Record a handler; the only signals of a simulation are those of raise_signal()."""
        self._check_closed()
        self._check_callback(callback, "add_signal_handler")
        self._signals[signal.Signals(sig)] = (callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Forget a handler; whether there was one."""
        return self._signals.pop(signal.Signals(sig), None) is not None

    def raise_signal(self, sig: int) -> None:
        """Deliver a signal to its handler, as if the operating system had sent it.

        Example:
            loop.raise_signal(signal.SIGTERM)
        """
        handler = self._signals.get(signal.Signals(sig))
        if handler is None:
            raise ValueError(f"{signal.Signals(sig).name} has no handler on this loop")
        self.call_soon(handler[0], *handler[1])


class SimFactory:
    """Makes loops of one seed: a `loop_factory` for asyncio.Runner and for pytest-asyncio.

    `last` is the loop that it made last, while that is alive.

    Example:
        with asyncio.Runner(loop_factory=SimFactory(seed=7)) as runner:
            runner.run(main())
    """

    def __init__(self, seed: int = 0, **options: Any) -> None:
        self.seed = seed
        self.options = options
        self._last: Callable[[], SimLoop | None] = lambda: None

    @property
    def last(self) -> SimLoop | None:
        return self._last()

    def __call__(self) -> SimLoop:
        loop = SimLoop(self.seed, **self.options)
        self._last = weakref.ref(loop)
        return loop

    def __repr__(self) -> str:
        return f"SimFactory(seed={self.seed})"


def run(main: Callable[..., Coroutine[Any, Any, T]], *args: Any, seed: int = 0, **options: Any) -> T:
    """Run an async function on a simulated loop of its own, as asyncio.run does on a real one.

    Example:
        async def main() -> float:
            await asyncio.sleep(3600)
            return asyncio.get_running_loop().time()

        assert simloop.run(main, seed=7) == 3600
    """
    with asyncio.Runner(loop_factory=SimFactory(seed, **options)) as runner:
        return runner.run(main(*args))
