"""One call in flight: a request and the answer that comes back. Calls to servers are made of this.

A request's `ref` is three things at once, as in OTP: the monitor on the process that was asked, the alias its
answer is sent to, and the key of the deadline. Whatever comes first (answer, Down, deadline, cancellation)
settles it and takes the other two away, so a late answer is dropped and never reaches a mailbox; a mailbox of
any length costs a call nothing.

It is a future to asyncio (gather, wait and tasks take it) and something lighter to the scheduler: a process
that awaits it is put on the run queue directly by the answer, without a turn of the event loop.

Benchmark: benchmarks/call.py.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy.core.ids import Pid, Ref, is_destination
from beampy.core.signals import NOCONNECTION, NOPROC, Crash
from beampy.errors import (
    BadDestination,
    BeampyError,
    CallingSelf,
    CallTimeout,
    NodeDown,
    NoProcess,
    RemoteError,
    RemoteTraceback,
    ServerExited,
)
from beampy.handle import Handle, blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

    from beampy.core.process import Process
    from beampy.core.timers import Bucket

log = logging.getLogger("beampy.handle")

WAITING, ANSWERED, FAILED, CANCELLED = range(4)


class Failed(NamedTuple):
    """An answer that says: your request raised this, in that process."""

    crash: Crash
    pid: Pid


class Request(Handle[Any]):
    """A call in flight. Await it for the answer; see the module's docstring."""

    # Defaults on the class rather than slots: most of them never change, and a call makes one of these.
    _asyncio_future_blocking: bool = False
    _bucket: Bucket | None = None
    _callbacks: list[tuple[Callable[[Any], object], Context | None]] | None = None
    _outcome: Any = None
    _seen = False
    _state = WAITING
    _waiter: Process | None = None
    target: Process | None = None

    def __init__(self, process: Process, dest: Any, timeout: float | None) -> None:
        self._process = process
        self.dest = dest
        node = process.node
        self.ref = ref = Ref(node.name, next(node.refs), node.creation)
        target = dest._local if dest.__class__ is Pid else None
        if target is None or target.node is not node:
            target = node.resolve(dest)
        if target is None or target is process:
            self._fail(self._unreachable(dest) if target is None else CallingSelf(dest))
            return
        self.target = target
        ref._holder = self
        target.watched(ref, process.pid)
        if timeout is not None:
            self._bucket = node.deadlines.add(timeout, self)
            if timeout <= 0:
                poll: Any = Poll
                self.__class__ = poll
        else:
            process.extras().own_requests()[self] = None

    def _unreachable(self, dest: Any) -> BeampyError:
        if not is_destination(dest) or isinstance(dest, Ref):
            return BadDestination(dest)
        return NodeDown(dest) if self._process.node.is_remote(dest) else NoProcess(dest)

    # how it settles

    def take_message(self, ref: Ref, message: Any) -> None:
        """The answer, sent to the alias."""
        if self._state == WAITING:
            if message.__class__ is Failed:
                self._fail(rebuilt(message.crash, message.pid))
            else:
                self._outcome = message
                self._settle(ANSWERED)

    def take_down(self, reason: Any) -> None:
        """The process that was asked has ended."""
        if self._state == WAITING:
            self.target = None
            if isinstance(reason, str) and reason == NOPROC:
                self._fail(NoProcess(self.dest))
            elif isinstance(reason, str) and reason == NOCONNECTION:
                self._fail(NodeDown(self.dest))
            else:
                self._fail(ServerExited(self.dest, reason))

    def ring(self) -> None:
        """The deadline."""
        if self._state != WAITING:
            return
        if self._process.dead:
            self._settle(CANCELLED)  # nobody is left to hear of it
        else:
            seconds = self._bucket.seconds if self._bucket is not None else 0.0
            self._fail(CallTimeout(self.dest, seconds))

    def cancel(self, msg: Any = None) -> bool:
        if self._state != WAITING:
            return False
        self._outcome = msg
        self._settle(CANCELLED)
        return True

    def _fail(self, error: BaseException) -> None:
        self._outcome = error
        self._settle(FAILED)

    def _settle(self, state: int) -> None:
        self._state = state
        self.ref._holder = None
        if self.target is not None:
            self.target.unwatched(self.ref)
            self.target = None
        if self._bucket is not None:
            self._bucket.pop(self, None)
        elif (extras := self._process._extras) is not None and extras.requests:
            extras.requests.pop(self, None)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = waiter._fut_waiter = None
            waiter._scheduler.push(waiter)
        if self._callbacks:
            loop = self.get_loop()
            for fn, context in self._callbacks:
                loop.call_soon(fn, self, context=context)
            self._callbacks = None

    # how it is waited for

    def __await__(self) -> Generator[Any, Any, Any]:
        if self._state == WAITING:
            self._asyncio_future_blocking = True
            try:
                yield self
            except BaseException:
                self._seen = True
                self.cancel()  # whoever waited is gone: the answer would be for nobody
                raise
        return self._outcome if self._state == ANSWERED else self.result()

    def result(self, timeout: float | None = None) -> Any:
        self._seen = True
        state = self._state
        if state == ANSWERED:
            return self._outcome
        if state == FAILED:
            raise self._outcome
        if state == CANCELLED:
            raise self._make_cancelled_error()
        if timeout is not None or not self._asyncio_future_blocking:
            raise blocking("result")
        raise asyncio.InvalidStateError("the call has no answer yet")

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._seen = True
        if self._state == FAILED:
            return self._outcome  # type: ignore[no-any-return]
        if self._state != ANSWERED:
            self.result(timeout)
        return None

    def _make_cancelled_error(self) -> asyncio.CancelledError:
        """What asyncio.gather asks a cancelled future for."""
        return asyncio.CancelledError() if self._outcome is None else asyncio.CancelledError(self._outcome)

    def done(self) -> bool:
        return self._state != WAITING

    def cancelled(self) -> bool:
        return self._state == CANCELLED

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that settles it."""
        return self._process._scheduler.loop

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Context | None = None) -> None:
        """As asyncio.Future's: `fn(self)` soon after it is settled."""
        if self._state != WAITING:
            self.get_loop().call_soon(fn, self, context=context)
        elif self._callbacks is None:
            self._callbacks = [(fn, context or copy_context())]
        else:
            self._callbacks.append((fn, context or copy_context()))

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """As asyncio.Future's: how many were removed."""
        before = self._callbacks or []
        self._callbacks = [entry for entry in before if entry[0] != fn]
        return len(before) - len(self._callbacks)

    def __repr__(self) -> str:
        state = ("waiting", "answered", "failed", "cancelled")[self._state]
        return f"<Request {self.ref.id} to {self.dest!r} {state}>"

    def __del__(self) -> None:
        if self._state == FAILED and not self._seen:
            log.error("nobody looked at the failure of a call to %r", self.dest, exc_info=self._outcome)


class Poll(Request):
    """A call with no time at all: what is not answered when it is awaited has timed out, as in Erlang."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Any]:
        self.ring()
        return super().__await__()


def rebuilt(crash: Crash, pid: Pid) -> BaseException:
    """The exception of another process, to be raised here: of its own type where that can be, with where it happened.

    Its `__cause__` is a RemoteTraceback and a note names the process. What cannot be copied becomes a RemoteError.
    """
    error: BaseException | None = None
    original = crash.exception
    if isinstance(original, Exception):
        try:
            error = copy.copy(original)
        except Exception:  # an __init__ that its own args do not fit
            error = _copied_around_init(original)
    if error is None or error.__class__ is not original.__class__:
        error = RemoteError(crash.type, crash.message, crash.traceback)
    BaseException.__setattr__(error, "__cause__", RemoteTraceback(crash.traceback))
    BaseException.__setattr__(error, "__notes__", [*getattr(error, "__notes__", ()), f"raised in {pid!r}"])
    return error


def _copied_around_init(original: Exception) -> Exception | None:
    """A copy made without its constructor: the same type, args and attributes."""
    try:
        made = original.__class__.__new__(original.__class__, *original.args)
        made.args = original.args
        for name, value in vars(original).items():
            BaseException.__setattr__(made, name, value)
    except Exception:
        return None
    return made
