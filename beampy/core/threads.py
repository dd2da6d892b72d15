"""Threads that end with their work: an executor that keeps none, and never runs more than so many at once.

For decoding, whose threads may wait for the code of another node: in the executor of the event loop they could fill
the places that the answers need. A thread of its own for each costs as much as a hop to one that is kept.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """Runs each call in a thread, `limit` at once; what is more waits, in order. Daemon threads, called `name`.

    >>> Threads(2, "example").submit(pow, 2, 3).result()
    8
    """

    def __init__(self, limit: int, name: str) -> None:
        self.limit = limit
        self.name = name
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    value = fn(*args, **kwargs)
                except BaseException as error:  # as any executor does
                    future.set_exception(error)
                else:
                    future.set_result(value)

        with self._lock:
            if self._running >= self.limit:
                self._waiting.append(work)
                return future
            self._running += 1
        threading.Thread(target=self._work, args=(work,), name=self.name, daemon=True).start()
        return future

    def _work(self, work: Callable[[], None] | None) -> None:
        while work is not None:
            work()
            with self._lock:
                work = self._waiting.popleft() if self._waiting else None
                if work is None:
                    self._running -= 1


_all: weakref.WeakSet[Threads] = weakref.WeakSet()


def _forked() -> None:
    for each in list(_all):
        each._reset()  # its threads are the parent's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
