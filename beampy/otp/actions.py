"""What a supervisor is told to do: the whole vocabulary between deciding and doing.

Rule: an action is a plain record, and performing it takes no further decision. Place: `strategy.py`
returns them, `supervisor.py` performs them in order. Only `Start` and `Stop` take time, and there
is never more than one of them unanswered. Not known here: when each is called for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable

    from beampy.core.ids import Pid
    from beampy.otp.child import ChildSpec, Shutdown

ReportKind: TypeAlias = Literal["progress", "start_error", "child_terminated", "shutdown_error", "shutdown"]
Refusal: TypeAlias = (
    Literal["bad_spec", "already_started", "already_present", "start_failed"]
    | Literal["not_found", "running", "restarting"]
)


class Start(NamedTuple):
    """Start this child and wait for it. Answer: `child_started` or `child_start_failed`."""

    spec: ChildSpec


class Stop(NamedTuple):
    """Stop this child as `shutdown` says and wait for its end. Answer: `child_exited`."""

    id: Hashable
    pid: Pid
    shutdown: Shutdown


class Retry(NamedTuple):
    """Send yourself a message, so that others get their turn before, and then call `retry`."""

    id: Hashable


class Reply(NamedTuple):
    """Tell who asked that it is done; `pid` is the child now, None if it does not run."""

    to: Any
    pid: Pid | None


class Refuse(NamedTuple):
    """Tell who asked why not. `detail`: the BadSpec, the running pid, or the start's reason."""

    to: Any
    why: Refusal
    detail: Any = None


class Report(NamedTuple):
    """Log it. "progress" is information, the other kinds are errors."""

    kind: ReportKind
    spec: ChildSpec
    pid: Pid | None
    reason: Any = None


class GiveUp(NamedTuple):
    """Exit with `reason`. All children are stopped and nothing follows."""

    reason: Any


Action: TypeAlias = Start | Stop | Retry | Reply | Refuse | Report | GiveUp
