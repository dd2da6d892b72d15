"""Residents: what is on a runner and keeps it alive: jobs, threads that do not end, placed children, kept things.

Rule: bookkeeping only. A job is here from its first line until its code has ended, also in a thread that nobody waits
for any more (a zombie). The pool asks about jobs it has given up (Still); each is named as gone once, at once or when
it has ended, together with all others of the same turn of the loop. Nothing but what is listed here keeps a runner.

Place: under job.py and children.py, which list what comes, and terminator.py, which tells the pool. One for each node.
"""

from __future__ import annotations

import contextlib
from asyncio import CancelledError
from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from beampy.core.signals import SHUTDOWN, Crash, ExitSignal
from beampy.errors import ProcessExit, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from beampy.core.ids import Pid
    from beampy.core.node import LocalNode
    from beampy.core.process import Process

LATER = 0.1  # seconds until the pool is told again, when its connection was full
TIMEOUT = "timeout"  # the exit reason of a job whose caller's deadline is long over
PASSING = (Exception, CancelledError, GeneratorExit, ProcessExit, SystemExit)  # what the remote call server deals with
SHOWN = 3  # things of a kind that `why` names


def contained(error: BaseException) -> RemoteError:
    """What the caller gets for an exception that would end the runner: KeyboardInterrupt, and what is no Exception."""
    crash = Crash.of(error)
    return RemoteError(crash.type, crash.message, crash.traceback)


class Job:
    """One job: its process, and whether a thread of it runs. `ring` is its deadline."""

    __slots__ = ("asked", "number", "over", "process", "residents", "thread")

    def __init__(self, residents: Residents, number: int, process: Process) -> None:
        self.residents = residents
        self.number = number
        self.process = process
        self.thread = False  # whether its code runs in a thread now; written by that thread
        self.over = False  # its process is done with it
        self.asked = False  # the pool wants to hear when it has ended
        residents.jobs[number] = self

    def call(self, fn: Any, args: Any, kwargs: Any) -> Any:
        """`fn(…)`, in a thread.

        CancelledError may be raised here at any line, once: so what has to be said at the end is said in two places.
        """
        try:
            try:
                self.thread = True
                return fn(*args, **kwargs)
            finally:
                self.left_thread()
        except PASSING as error:
            self.left_thread()
            if error.__class__ is GeneratorExit:  # which ends processes, where it is not the function's own
                raise contained(error) from None
            raise
        except BaseException as error:
            self.left_thread()
            raise contained(error) from None

    def left_thread(self) -> None:
        """In the thread: its code has ended there. Twice is once."""
        self.thread = False
        if self.over:  # read after the line above, as `end` does it the other way around: one of the two sees it
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
                self.residents.loop.call_soon_threadsafe(self.end)

    def end(self) -> None:
        """On the loop: its process is done with it. It has ended, unless a thread runs on."""
        self.over = True
        residents = self.residents
        if residents.jobs.get(self.number) is self:
            del residents.jobs[self.number]
        if self.thread:
            residents.zombies[self] = None
            return
        residents.zombies.pop(self, None)
        if self.asked:
            self.asked = False
            residents.gone(self.number)
        if residents.watched:
            residents.changed()

    def ring(self) -> None:
        """Its deadline. The caller has had his own, which is sooner, and has told us, unless he cannot."""
        if self.process.alive:
            self.process.begin_exit(TIMEOUT)


def told_nobody(jobs: tuple[int, ...]) -> bool:
    """Who hears of jobs that are gone on a node that no pool has."""
    return True


class Residents:
    """All that is on one node for a pool."""

    def __init__(self, node: LocalNode) -> None:
        self._node = ref(node)  # which is what these are found by: they must not keep it
        self.loop = node.loop
        self.jobs: dict[int, Job] = {}
        self.zombies: dict[Job, None] = {}
        self.children: dict[Pid, Any] = {}  # placed ones, and the monitor of the caller of each
        self.kept: dict[Hashable, str] = {}
        self.terminator: Process | None = None
        self.tell: Callable[[tuple[int, ...]], bool] = told_nobody  # jobs that are gone; False: later
        self.watched = False  # whether the terminator waits for the last one
        self._gone: deque[int] = deque()
        self._telling = False

    # for layers above

    def keep(self, token: Hashable, what: str) -> None:
        """Keep the runner alive, until `release`; `what` says for what, to people. Twice is once.

        >>> residents(node).keep(ref, "a dataframe of 3 GB")
        """
        self.kept[token] = what

    def release(self, token: Hashable) -> None:
        """It is not needed any more, for that. Nothing happens where it was not kept."""
        self.kept.pop(token, None)
        if self.watched:
            self.changed()

    # what the pool asks

    def still(self, numbers: Iterable[int]) -> None:
        """Nobody waits for these jobs any more: say when they are gone."""
        for number in numbers:
            job = self.jobs.get(number)
            if job is None:
                job = next((zombie for zombie in self.zombies if zombie.number == number), None)
            if job is None:
                self.gone(number)
            else:
                job.asked = True

    def gone(self, number: int) -> None:
        """A job has ended of which the pool wants to hear. It hears at the end of this turn of the loop."""
        self._gone.append(number)
        if not self._telling:
            self._telling = True
            self.loop.call_soon(self._tell)

    def _tell(self) -> None:
        jobs = tuple(self._gone)
        self._gone.clear()
        self._telling = False
        node = self._node()
        if jobs and node is not None and not node.closed and not self.tell(jobs):
            self._gone.extend(jobs)
            self._telling = True
            self.loop.call_later(LATER, self._tell)

    def why(self) -> str:
        """What keeps the runner, in words; "" when nothing does."""
        parts = [
            *_listed("job runs", "jobs run", [_name(job) for job in self.jobs.values()]),
            *_listed("thread has not ended", "threads have not ended", [_name(job) for job in self.zombies]),
            *_listed("placed child lives", "placed children live", [repr(pid) for pid in self.children]),
            *_listed("thing is kept", "things are kept", list(self.kept.values())),
        ]
        return "; ".join(parts)

    @property
    def busy(self) -> bool:
        """Whether anything keeps the runner."""
        return bool(self.jobs or self.zombies or self.children or self.kept)

    # the end

    def changed(self) -> None:
        """Something has ended while the terminator waits for the end of all."""
        if self.terminator is not None:
            self.terminator.deliver(CHANGED)

    def cancel_jobs(self, voice: Pid) -> None:
        """Tell all jobs to end."""
        for job in list(self.jobs.values()):
            job.process.node.route_signal(ExitSignal(voice, job.process.pid, SHUTDOWN, False))


class Changed:
    """To the terminator itself: something has ended."""


CHANGED = Changed()


def _name(job: Job) -> str:
    extras = job.process._extras
    label = None if extras is None else extras.label
    return label if isinstance(label, str) else f"job {job.number}"


def _listed(one: str, many: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{len(names)} {one if len(names) == 1 else many} ({', '.join(names[:SHOWN])}{more})"]


_residents: WeakKeyDictionary[LocalNode, Residents] = WeakKeyDictionary()


def residents(node: LocalNode) -> Residents:
    """Those of a node, which need be no runner."""
    found = _residents.get(node)
    if found is None:
        found = _residents[node] = Residents(node)
    return found
