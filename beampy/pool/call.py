"""PoolCall: one call of a pool, from the moment it is made to its one end.

Rule: it is a remote call whose node is found later, and perhaps more than once. It waits in the pool's queue, is sent
to a runner, and settles exactly once: with the function's value or exception, with a named loss, with its deadline
(one, over queue, boot and run), or cancelled. Whoever waits for it waits as for any request.

What the function prints, logs and reports comes to the ref of the call before its answer, and goes to the pool's
output. Where it runs and who runs next is the manager's.

Benchmark: benchmarks/pool_call.py.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from beampy.core.bundles import Bundle
from beampy.core.group_leader import Record, Text, leader, screen_now
from beampy.core.ids import Ref
from beampy.core.request import ANSWERED, CANCELLED, FAILED, WAITING, Request
from beampy.core.signals import NOCONNECTION, NOPROC, SHUTDOWN
from beampy.core.unread import Unread
from beampy.errors import (
    CallKilled,
    DecodeError,
    EncodeError,
    PeerBusy,
    PoolError,
    PoolTimeout,
    RunnerLost,
    ServerExited,
)
from beampy.otp.rpc_call import Called, RemoteCall
from beampy.otp.rpc_function import shown
from beampy.otp.rpc_server import RPC, Call, Left
from beampy.otp.task import end_with
from beampy.pool.progress import Report
from beampy.pool.record import Slot

if TYPE_CHECKING:
    from beampy.core.group_leader import Screen
    from beampy.core.process import Process
    from beampy.pool.manager import Manager
    from beampy.pool.options import CallOptions
    from beampy.pool.record import Place

JOB = "beampy.pool.job:run"  # what runs there, by the name that every runner has
KEEP = "beampy.pool.keeping:run"
STREAM = "beampy.pool.job:stream"
OUTPUT = 1 << 20  # bytes; a log record has 64 Ki characters at most, and is read here, in a millisecond
PEER_BUSY = 0.01  # seconds until a call is sent that a runner's connection had no room for; it drains 64 MiB by then
MAX_BACKOFF = 30.0  # seconds between two attempts
ENDED = ("waiting", "done", "failed", "cancelled")

new = tuple.__new__


class PoolCall(RemoteCall):
    """The Handle of a call: await it for the value. `state`, `runner` and `logs()` say how it does."""

    ref: Any = None  # while it is with a runner
    number = 0  # of the call
    job = 0  # of its attempt: what the plan and the runner know it by
    runner: str | None = None  # the node it was sent to last
    label: str | None = None  # its runner, as people see it
    screen: Screen | None = None  # of the code that made it
    left = False  # nobody waits for it, and its code has not ended
    stays = False  # it has its value, and keeps its slot
    place: Place | None = None  # the same, as the manager knows it; None while it waits
    attempts = 0
    _reading = False  # its answer has come, and is being decoded
    _unsent = False  # this attempt found no connection to its runner: nothing of it is there
    started_at: float | None = None  # on the node's clock
    output: Any = None  # what its code printed, once there was something
    progress: Any = None
    heard: Any = None  # of its screen, where that wants to hear what becomes of it
    refs: tuple[Any, ...] = ()  # the references among its arguments

    def __init__(
        self,
        manager: Manager,
        process: Process,
        fn: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        items: Ref | None = None,
    ) -> None:
        self._process = process if options.link else manager.hands
        self.manager = manager
        self.callee = ""
        self.dest: Any = None
        self._fn = fn
        self._args = args
        self._kwargs = kwargs
        self.options = options
        self._items = items
        self.number = self.job = manager.next_number()
        self.made = manager.clock()
        channel = leader.get() if options.capture else None
        self.channel = channel
        self.screen = screen_now() if channel is None and options.capture else None
        if self.screen is not None:
            self.heard = getattr(self.screen, "heard", None)
        self._carried = manager.carry()
        if options.timeout is not None:
            self._bucket = self._process.node.deadlines.add(options.timeout, self)
        end_with(self._process, self)

    # the way there

    def waits_for_objects(self) -> bool:
        """Whether it is not to be started yet: see rebuilding.py."""
        return False

    def send_to(self, place: Place) -> None:
        """Run it at `place`: its slot is taken."""
        if self._state != WAITING:
            return  # who was told that it starts has cancelled it
        node = self._process.node
        self.attempts += 1
        self.place = place
        self.label = place.owner.label
        self.runner = self.callee = name = place.node
        self._unsent = not self.manager.home.reaches(name)
        if self._unsent:  # it is lost, and the manager hears of that in a moment
            self._process.node.loop.call_soon(self._not_reached, self.job)
            return
        self.dest = self.to = self.far = to = (RPC, name)
        self.ref = ref = Ref(node.name, next(node.refs), node.creation)
        ref._holder = self
        node.exported[ref.id] = ref
        node.remote.ask(self._process.pid, to, ref)
        if self._state == WAITING and self.far is not None:
            self._write()

    def _not_reached(self, job: int) -> None:
        if self.job == job:
            self.take_down(NOCONNECTION)

    def _write(self) -> None:
        """Write the message, once. What cannot be encoded is the caller's error, and frees the slot."""
        if self._state != WAITING or self.ref is None or self._sent:
            return
        options = self.options
        left = None
        if options.timeout is not None:
            left = max(0.0, self.made + options.timeout - self.manager.clock())
        settings = (left, self._carried, self.options.name)
        args = (self.job, self._fn, self._args, self._kwargs, settings)
        to = self.ref if options.capture else None
        streams = self._items is not None
        job = new(
            Call,
            (
                self.ref,
                self._process.pid,
                STREAM if streams else KEEP if options.keep else JOB,
                args,
                {},
                to,
                self._items,
                options.window if streams else 0,
            ),
        )
        try:
            self._process.node.route_message(self._process, self.to, job)
        except PeerBusy:
            self._process.node.loop.call_later(PEER_BUSY, self._write)
        except Exception as error:
            if isinstance(error, EncodeError):
                error = in_callers_words(error, self.name)
            self._process.node.loop.call_soon(self._fail_once, error)  # the next call may fail as well, and so on
        else:
            self._sent = True

    # the way back

    def take_message(self, ref: Ref, message: Any) -> None:
        if self._state != WAITING or ref != self.ref:
            return
        kind = message.__class__
        if kind is Unread and message.plain and message.nbytes <= OUTPUT:
            try:
                message = message.at_once()  # what is said before the answer must not settle it: see Request._read
            except DecodeError as unreadable:
                self._fail(unreadable)
                return
            kind = message.__class__
        if kind is Unread:
            self._read(message)
        elif kind is Text or kind is Record or kind is Report or kind is Bundle:
            self.manager.said(self, message)
        else:
            self._sent = False
            if kind is Left:
                self._fail(ServerExited(self.called, message.reason))
            else:
                Request.take_message(self, ref, message)

    def _read(self, message: Unread) -> None:
        ref = self.ref
        super()._read(message)
        if self._state == WAITING and ref is self.ref and ref._holder is None:
            self._reading = True  # in a thread

    def take_down(self, reason: Any) -> None:
        if self._state != WAITING:
            return
        self.target = self.far = None
        if isinstance(reason, str) and reason in (NOCONNECTION, NOPROC):
            self._sent = False
            if self.place is not None:
                self.manager.place_down(self.place, reason)
        elif reason == "timeout" and self.options.timeout is not None:  # the runner keeps the deadline, too
            self._fail(PoolTimeout(self.name, self.options.timeout, *self.manager.where(self)))
        elif reason == SHUTDOWN:  # its runner ends, perhaps: then the manager is about to hear of that
            self._sent = False
            self.manager.post(functools.partial(self._was_shut, self.job))
        else:
            self._fail(CallKilled(self.called, reason))

    def _was_shut(self, job: int) -> None:
        told = isinstance(self.place, Slot) and self.place.state == "down"  # it will hear how that has ended
        if self._state == WAITING and self.job == job and self.manager.calls.get(job) is self and not told:
            self._fail(CallKilled(self.called, SHUTDOWN))

    def lost(self, error: RunnerLost) -> None:
        """Its runner is gone, and why: another attempt where it may have one. Not where its answer has come."""
        if self._state != WAITING or self._reading:
            return
        if self._unsent:
            self.attempts -= 1  # it was none
        if self._has_another():
            self._again(str(error))
        else:
            error = RunnerLost(error.node, error.cause, error.status, error.oom, self.attempts)
            super(RemoteCall, self)._fail(error)

    def _has_another(self) -> bool:
        """Whether there is an attempt left. A stream has none once an item of it was handed out."""
        if self.options.retries < self.attempts:
            return False
        if self._items is None:
            return True
        feed: Any = self._items._holder
        if feed is None or not feed.again():
            return False
        self._items = feed.items
        return True

    def _again(self, why: str) -> None:
        """Wait for the next attempt."""
        self._leave()
        self.job = self.manager.next_number()
        delay = min(self.options.backoff * 2 ** (self.attempts - 1), MAX_BACKOFF)
        self.manager.again(self, delay, why)

    def _leave(self) -> None:
        """Nothing of it is at a runner any more."""
        ref, self.ref = self.ref, None
        self._sent = self._reading = False
        if ref is not None:
            ref._holder = None
            self._process.node.exported.pop(ref.id, None)
        self.target = self.far = self.to = None
        self.place = None

    # its end

    def ring(self) -> None:
        if self._state != WAITING:
            return
        if self._waiter is not None:
            self._waiter.go_on()
        seconds = self.options.timeout or 0.0
        state, detail = self.manager.where(self)
        self._fail(PoolTimeout(self.name, seconds, state, detail))

    def reject(self, error: BaseException) -> None:
        """The pool does not run it."""
        if self._state == WAITING:
            Request._fail(self, error)

    def _fail(self, error: BaseException) -> None:
        if (
            self.options.retry_on
            and isinstance(error, self.options.retry_on)
            and not isinstance(error, PoolTimeout)
            and self._has_another()
        ):
            self._release_ref()
            if self._sent:
                self.tell()
                self.manager.leave(Remains(self))
            elif self.place is not None:
                self.manager.freed(self)
            self._again(f"{type(error).__name__}: {error}")
            return
        Request._fail(self, error)

    def _fail_once(self, error: BaseException) -> None:
        if self._state == WAITING:
            self._fail(error)

    def _release_ref(self) -> None:
        bucket, self._bucket = self._bucket, None
        if self.ref is not None:
            self._release()
        self._bucket = bucket

    def _release(self) -> None:
        if self.ref is not None:
            Request._release(self)
        elif self._bucket is not None:
            self._bucket.pop(self, None)

    def settle_only(self, state: int) -> None:
        """It has ended for who waits; its slot is another matter."""
        Request._settle(self, state)
        extras = self._process._extras
        if extras is not None and extras.tasks:
            extras.tasks.discard(self)

    def _settle(self, state: int) -> None:
        self.settle_only(state)
        if self._sent:
            self.tell()
            self.manager.left_behind(self)
        else:
            self.manager.finished(self)
        self._args = self._kwargs = None  # type: ignore[assignment]
        self.refs = ()

    # what one sees of it

    def outcome(self) -> str:
        """How it ended: "ok", "error", "timeout", "lost", "cancelled" or "rejected"."""
        if self._state == ANSWERED:
            return "ok"
        if self._state != FAILED:
            return "cancelled"
        kinds = ((PoolTimeout, "timeout"), (RunnerLost, "lost"), (PoolError, "rejected"))
        return next((name for kind, name in kinds if isinstance(self._outcome, kind)), "error")

    @property
    def function(self) -> Any:
        """What is called, as the caller gave it."""
        return self._fn

    @property
    def name(self) -> str:
        """What is called, for people."""
        return self.options.name or shown(self._fn)

    @property
    def called(self) -> Called:
        """What was called, for errors."""
        return Called(self.name, self.runner or "no runner yet")

    @property
    def state(self) -> str:
        """ "queued", "booting" (it waits for a machine), "running", "done", "failed" or "cancelled"."""
        return self.manager.where(self)[0] if self._state == WAITING else ENDED[self._state]

    def logs(self) -> str:
        """What its code wrote and logged so far: the last 64 KiB."""
        return "" if self.output is None else str(self.output.text)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        where = f" on {self.runner}" if self.runner else ""
        return f"<PoolCall {self.number} of {self.name}{where} {self.state}>"


PARTS = {
    "message.args[1]": "the function",
    "message.args[2]": "args",
    "message.args[3]": "kwargs",
    "message.args[4]": "its context",
}


def in_callers_words(error: EncodeError, function: str) -> EncodeError:
    """The same, saying which argument it is instead of where in the message.

    >>> in_callers_words(EncodeError("message.args[2][0], lock", "no"), "area").what
    'the call of area: args[0], lock'
    """
    what = error.what
    for part, name in PARTS.items():
        what = what.replace(part, name)
    named = EncodeError(f"the call of {function}: {what}", error.cause)
    named.__cause__ = error.__cause__
    return named


class Remains(PoolCall):
    """An attempt whose call goes on without it: it keeps its job's slot until its code has ended."""

    def __init__(self, call: PoolCall) -> None:
        self._state = CANCELLED
        self._process = call._process
        self._fn = call._fn
        self.manager = call.manager
        self.options = call.options
        self.number = call.number
        self.job = call.job
        self.place = call.place
        self.runner, self.label = call.runner, call.label
        if isinstance(self.place, Slot) and self.place.call is call:
            self.place.call = self
