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
from beampy.core.signals import NOCONNECTION, NOPROC, Crash, DemonitorSignal
from beampy.core.unread import NeedsThread, Unread
from beampy.errors import (
    BadDestination,
    BeampyError,
    CallingSelf,
    CallTimeout,
    DecodeError,
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
    target: Process | None = None  # who was asked, while it lives on this node
    to: Any = None  # where the request is to be sent; None when there is nobody
    far: Any = None  # the same, on another node, while its Down may come

    def __init__(self, process: Process, dest: Any, timeout: float | None) -> None:
        self._process = process
        self.dest = dest
        node = process.node
        self.ref = ref = Ref(node.name, next(node.refs), node.creation)
        target = dest._local if dest.__class__ is Pid else None
        if target is None or target.node is not node:
            target = node.resolve(dest)
        ref._holder = self
        if target is not None and target is not process:
            self.to = target.pid
            self.target = target
            target.watched(ref, process.pid)
        elif target is None and (to := node.elsewhere(dest)) is not None:
            self.to = self.far = to
            node.exported[ref.id] = ref
            node.remote.ask(process.pid, to, ref)
            if self._state != WAITING:
                return  # there is no way to that node
        else:
            ref._holder = None
            self._fail(self._unreachable(dest) if target is None else CallingSelf(dest))
            return
        if timeout is not None:
            self._bucket = node.deadlines.add(timeout, self)
            if timeout <= 0:
                poll: Any = Poll
                self.__class__ = poll
        else:
            process.extras().own_requests()[self] = None

    def _unreachable(self, dest: Any) -> BeampyError:
        return BadDestination(dest) if not is_destination(dest) or isinstance(dest, Ref) else NoProcess(dest)

    # how it settles

    def take_message(self, ref: Ref, message: Any) -> None:
        """The answer, sent to the alias."""
        if self._state == WAITING:
            if message.__class__ is Failed:
                self._fail(rebuilt(message.crash, message.pid))
            elif message.__class__ is Unread:
                self._read(message)
            else:
                self._outcome = message
                self._settle(ANSWERED)

    def _read(self, message: Unread) -> None:
        """The answer is here, so neither a Down nor the deadline counts any more; only its decoding may take time."""
        try:
            self.take_message(self.ref, message.now())
        except NeedsThread:
            self._release()
            message.in_thread(self.get_loop()).add_done_callback(self._take_read)
        except DecodeError as unreadable:
            self._fail(unreadable)

    def _take_read(self, reading: asyncio.Future[Any]) -> None:
        if reading.cancelled():  # the loop is being closed
            self.cancel()
        elif (unreadable := reading.exception()) is None:
            self.take_message(self.ref, reading.result())
        elif self._state == WAITING:
            self._fail(unreadable)

    def take_down(self, reason: Any) -> None:
        """The process that was asked has ended."""
        if self._state == WAITING:
            self.target = self.far = None
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
        if self._waiter is not None:
            self._waiter.go_on()
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

    def _release(self) -> None:
        """Take back what stands elsewhere for it: alias, monitor, deadline."""
        self.ref._holder = None
        node = self._process.node
        if node.exported:
            node.exported.pop(self.ref.id, None)
        if self.target is not None:
            self.target.unwatched(self.ref)
            self.target = None
        elif self.far is not None:
            node.remote.signal(DemonitorSignal(self._process.pid, self.far, self.ref))
            self.far = None
        if self._bucket is not None:
            self._bucket.pop(self, None)

    def _settle(self, state: int) -> None:
        self._state = state
        self._release()
        if self._bucket is None and (extras := self._process._extras) is not None and extras.requests:
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
                del self  # asyncio throws the failure in here: it has this frame in its traceback
                raise
        if self._state == ANSWERED:
            return self._outcome
        try:
            return self.result()
        finally:
            del self  # the same: a failure and its traceback are not to keep each other

    def result(self, timeout: float | None = None) -> Any:
        self._seen = True
        state = self._state
        if state == ANSWERED:
            return self._outcome
        if state == FAILED:
            try:
                raise self._outcome
            finally:
                del self  # as above
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
            what = getattr(self, "called", self.dest)  # of a remote call, the function and its node
            log.error("nobody looked at the failure of a call to %r", what, exc_info=self._outcome)


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
            error = _copied(original)
        except Exception:  # an __init__ that its own args do not fit
            error = _copied_around_init(original)
    if error is None or error.__class__ is not original.__class__:
        error = RemoteError(crash.type, crash.message, crash.traceback)
    BaseException.__setattr__(error, "__cause__", RemoteTraceback(crash.traceback))
    BaseException.__setattr__(error, "__notes__", [*getattr(error, "__notes__", ()), f"raised in {pid!r}"])
    return error


def _copied(original: Exception) -> Exception:
    """A copy as `copy.copy` makes one, if no package has had its own way put in place of the class's: tblib, which dask
    loads, keeps tracebacks, and loses what built-in exceptions have in fields.
    """
    if hasattr(original, "__copy__"):
        found: Exception = copy.copy(original)
        return found
    reduced: Any = original.__reduce_ex__(4)
    make, args, *state = reduced
    made: Exception = make(*args)
    if state and state[0]:
        made.__setstate__(state[0])
    return made


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
