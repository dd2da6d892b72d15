"""What processes tell each other besides messages, and what an exit signal does. Pure.

Three kinds of records live here. *System messages* (`Down`, `Exit`, `NodeUp`, `NodeDown`, `Timeout`) arrive in a
mailbox, as NamedTuples, so `match` works on them. *Signals* (`LinkSignal` …) travel between processes and never
show in a mailbox. *Reasons* say why a process ended: plain terms, or a `Crash` for an uncaught exception.

`on_exit_signal` is the whole truth table of exit signals; `core/SEMANTICS.md` has it as prose.
"""

from __future__ import annotations

import pickle
import traceback as tb
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from types import TracebackType

    from beampy.core.ids import Pid, Ref

NORMAL = "normal"
SHUTDOWN = "shutdown"
KILL = "kill"
KILLED = "killed"
NOPROC = "noproc"
NOCONNECTION = "noconnection"
CANCELLED = "cancelled"


class Down(NamedTuple):
    """A monitored process ended. `target` is its pid, or (name, node) where it was monitored by name."""

    ref: Ref
    target: Any
    reason: Any
    tag: Any = None


class Exit(NamedTuple):
    """An exit signal, as a message, for a process that traps exits."""

    pid: Pid
    reason: Any


class NodeUp(NamedTuple):
    """A node connected."""

    node: str


class NodeDown(NamedTuple):
    """A node's connection is gone."""

    node: str
    reason: Any


class Timeout(NamedTuple):
    """A timer of `start_timer` went off."""

    ref: Ref
    message: Any


class LinkSignal(NamedTuple):
    """`sender` wants to be linked with `to`."""

    sender: Pid
    to: Pid


class UnlinkSignal(NamedTuple):
    """`sender` ends the link; `id` comes back in the acknowledgement."""

    sender: Pid
    to: Pid
    id: int


class UnlinkAckSignal(NamedTuple):
    """The other end has seen unlink `id`."""

    sender: Pid
    to: Pid
    id: int


class ExitSignal(NamedTuple):
    """`sender` ended (link=True) or said exit(to, reason)."""

    sender: Pid
    to: Pid
    reason: Any
    link: bool


class MonitorSignal(NamedTuple):
    """`sender` wants a Down under `ref` when `to` ends; a (name, node) elsewhere is looked up there."""

    sender: Pid
    to: Pid | tuple[str, str]
    ref: Ref


class DemonitorSignal(NamedTuple):
    """`sender` no longer wants it."""

    sender: Pid
    to: Pid | tuple[str, str]
    ref: Ref


class DownSignal(NamedTuple):
    """The process that `to` monitors under `ref` has ended. `sender` is its pid, None where there was nobody."""

    to: Pid
    ref: Ref
    reason: Any
    sender: Pid | None


Signal = LinkSignal | UnlinkSignal | UnlinkAckSignal | ExitSignal | MonitorSignal | DemonitorSignal | DownSignal


class Crash:
    """The exit reason of a process that died of an exception.

    `type` and `message` name it, `traceback` is its text; `exception` is the exception itself where there is one
    at hand. Two crashes are equal when their texts are; the traceback and the exception do not count.
    """

    __slots__ = ("exception", "message", "traceback", "type")

    def __init__(
        self,
        type: str,
        message: str,
        traceback: str = "",
        exception: BaseException | None = None,
    ) -> None:
        self.type = type
        self.message = message
        self.traceback = traceback
        self.exception = exception

    @classmethod
    def of(cls, error: BaseException) -> Crash:
        """The record of an exception. It never fails, whatever the exception's own repr does."""
        return cls(_qualified(error.__class__), _message(error), _traceback_text(error), error)

    def __eq__(self, other: object) -> bool:
        if type(other) is not Crash:
            return NotImplemented
        return (self.type, self.message) == (other.type, other.message)

    def __hash__(self) -> int:
        return hash((self.type, self.message))

    def __repr__(self) -> str:
        return f"Crash({self.type}: {self.message})"

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type

    def __reduce__(self) -> tuple[Any, ...]:
        return Crash, (self.type, self.message, self.traceback, _portable(self.exception))


def _portable(error: BaseException | None) -> BaseException | None:
    """The exception where it survives pickling as itself, else nothing: its text travels in any case."""
    if error is None:
        return None
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error if copy.__class__ is error.__class__ else None


def _qualified(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # a str() of the user's that raises must not hide the crash itself
        return f"<{_qualified(error.__class__)} whose str() raised {_qualified(broken.__class__)}>"


def _traceback_text(error: BaseException) -> str:
    """The traceback from the user's first frame on: how beampy came to call it helps nobody."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace) and trace.tb_next is not None:
        trace = trace.tb_next
    try:
        return "".join(tb.format_exception(error.__class__, error, trace))
    except Exception:
        frames = "".join(tb.format_tb(error.__traceback__))
        return f"Traceback (most recent call last):\n{frames}{_qualified(error.__class__)}: {_message(error)}\n"


def _is_ours(trace: TracebackType) -> bool:
    name = str(trace.tb_frame.f_globals.get("__name__", ""))
    return name.startswith(("beampy.core.", "beampy.otp."))


def safe_repr(value: object, limit: int = 300) -> str:
    """`repr(value)`, shortened to `limit` characters; it never raises."""
    try:
        text = repr(value)
    except Exception as broken:
        text = f"<{_qualified(value.__class__)} whose repr() raised {_qualified(broken.__class__)}>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


Effect = Literal["drop", "message", "die"]


def on_exit_signal(reason: Any, *, link: bool, trapping: bool, from_self: bool = False) -> tuple[Effect, Any]:
    """What an exit signal does to its receiver, and with which reason.

    Recorded from OTP 25 (tests/conformance/vectors/exit_signals.json):

    >>> on_exit_signal("kill", link=False, trapping=True)
    ('die', 'killed')
    >>> on_exit_signal("kill", link=True, trapping=True)
    ('message', 'kill')
    >>> on_exit_signal("normal", link=False, trapping=False)
    ('drop', 'normal')
    """
    plain = isinstance(reason, str)  # any other reason may have an == of the user's own
    if plain and reason == KILL and not link:
        return "die", KILLED
    if trapping:
        return "message", reason
    if plain and reason == NORMAL and not from_self:
        return "drop", reason
    return "die", reason


def is_expected(reason: Any) -> bool:
    """Whether a reason is an orderly end: normal, shutdown or (shutdown, anything). Such ends are not logged.

    >>> is_expected("normal"), is_expected(("shutdown", "idle")), is_expected("killed")
    (True, True, False)
    """
    if isinstance(reason, str):
        return reason in (NORMAL, SHUTDOWN)
    if not isinstance(reason, tuple) or len(reason) != 2:
        return False
    return isinstance(reason[0], str) and reason[0] == SHUTDOWN
