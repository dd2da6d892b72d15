"""What supervisors do to a child: start it, stop it, and say in the log what became of it.

Rule: nothing is decided here. A start waits until the child's init is done; a stop until the child has ended,
and for that it waits no longer than the child's `shutdown` allows. Place: below the supervisors, above the public
verbs. Not known here: strategies, restarts, other children.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from types import coroutine
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.functions import describe
from beampy.core.ids import Pid
from beampy.core.mailbox import RECEIVE
from beampy.core.signals import Crash, safe_repr
from beampy.errors import (
    AlreadyStarted,
    BadReturn,
    BadSpec,
    CallFailed,
    CallTimeout,
    InternalError,
    NameTaken,
    ProcessExit,
    StartFailed,
    StartIgnored,
    StartTimeout,
)
from beampy.otp import gen

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from beampy.otp.actions import ReportKind
    from beampy.otp.child import ChildSpec, Shutdown

log = logging.getLogger("beampy.supervisor")


# starting


class NotStarted(Exception):
    """A child did not come up; `reason` is what its start gave or died of."""

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason


async def start(spec: ChildSpec, before: tuple[Any, ...] = ()) -> tuple[Pid | None, Any]:
    """Start a child: its pid, and what its start gave (a client, or the pid). (None, None) when it was ignored.

    `before` are arguments that come before the spec's own. The child is linked with the current process when this
    returns, whether or not its start did so. Raises NotStarted.
    """
    fn, args = spec.call
    pid: Any
    try:
        made = fn(*before, *args)
        if inspect.iscoroutine(made):
            made = await _without_receive(made, spec)
        elif made.__class__ is not Pid and inspect.isawaitable(made):
            made = await made
        pid = made if made.__class__ is Pid else getattr(made, "pid", None)
    except StartIgnored:
        return None, None
    except (AlreadyStarted, NameTaken) as taken:
        raise NotStarted(("already_started", taken.pid)) from taken
    except StartTimeout as late:
        raise NotStarted("timeout") from late
    except StartFailed as failed:
        raise NotStarted(failed.reason) from failed
    except ProcessExit as left:  # the start function runs in the supervisor, which stays
        raise NotStarted(left.reason) from left
    except asyncio.CancelledError as cancelled:
        if not api.self_process().alive or api.self_process().cancelling():
            raise
        raise NotStarted(Crash.of(cancelled)) from cancelled
    except Exception as error:
        raise NotStarted(Crash.of(error)) from error
    if isinstance(made, gen.Ignore):
        return None, None
    if pid.__class__ is not Pid or pid == api.self():
        raise NotStarted(Crash.of(BadReturn(describe(fn), safe_repr(made), "the pid or a client of what it started")))
    api.link(pid)
    return pid, made


@coroutine
def _without_receive(coro: Coroutine[Any, Any, Any], spec: ChildSpec) -> Generator[Any, Any, Any]:
    """Run a start function. A plain receive in it would take the supervisor's messages, and mostly for ever.

    That is the code of a child given as the start of one; it is told apart from a start that waits for a message
    of its own, which names a pattern.
    """
    resume: Callable[[Any], Any] = coro.send
    value: Any = None
    while True:
        try:
            wants = resume(value)
        except StopIteration as done:
            return done.value
        if wants is RECEIVE:
            coro.close()
            name = describe(spec.call[0])
            problem = f"start: {name} receives messages, so it is a child's code: Supervisor.worker({name}, …) runs it"
            raise BadSpec(problem, spec=spec)
        try:
            resume, value = coro.send, (yield wants)
        except BaseException as error:  # also the GeneratorExit of a kill: the start function cleans up
            resume, value = coro.throw, error


# stopping


class Stopping:
    """A child that has been told to end. `ended()` waits for it; several can be on their way at once.

    It is no longer linked with the supervisor, so its end comes here and not into the mailbox as well.
    """

    __slots__ = ("_down", "pid")

    def __init__(self, pid: Pid, shutdown: Shutdown) -> None:
        brutal = shutdown == "brutal_kill"
        seconds = None if isinstance(shutdown, str) else shutdown
        self.pid = pid
        self._down = api.request(pid, seconds)  # a monitor that wakes who awaits it, however long the mailbox
        api.unlink(pid)
        api.exit(pid, "kill" if brutal else "shutdown")

    async def ended(self) -> Any:
        """Wait for the end, and kill the child when its time is over. Its exit reason; "noproc" if it had ended."""
        try:
            await self._down
        except CallTimeout:
            return await Stopping(self.pid, "brutal_kill").ended()
        except CallFailed as gone:
            return gone.reason
        raise InternalError(f"{self.pid!r} answered its monitor")

    def forget(self) -> None:
        """Nobody will wait for it."""
        if not self._down.cancel() and not self._down.cancelled():
            self._down.exception()


# reporting


def report(label: str, kind: ReportKind, spec: ChildSpec, pid: Pid | None, reason: Any, then: str) -> None:
    """One line about one child. `then` is what comes of it, in the words that complete the line."""
    match kind:
        case "progress":
            log.debug("%s: started child %r as %r", label, spec.id, pid)
        case "start_error":
            log.error("%s: child %r did not start: %s%s", label, spec.id, brief(reason), then)
        case "child_terminated":
            log.warning("%s: child %r %r ended: %s%s", label, spec.id, pid, brief(reason), then)
        case "shutdown_error" if isinstance(reason, str) and reason == "killed" and not isinstance(spec.shutdown, str):
            log.error(
                "%s: child %r %r did not end within %s s and was killed%s",
                *(label, spec.id, pid, spec.shutdown, then),
            )
        case "shutdown_error":
            log.error("%s: child %r %r was stopped and ended otherwise: %s%s", label, spec.id, pid, brief(reason), then)
        case "shutdown":
            log.error("%s gives up: child %r ended and %s", label, spec.id, then)


def brief(reason: Any) -> str:
    """An exit reason on one line.

    >>> brief(("shutdown", "idle"))
    "('shutdown', 'idle')"
    """
    text = str(reason) if isinstance(reason, (str, Crash)) else safe_repr(reason)
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
