"""One child: what a supervisor knows about it, and the rules that look at one child alone.

Rule: everything here is a value or a yes-or-no question; it holds for supervisors of every kind.
Place: below `strategy.py`, which decides about a supervisor's children together, and below the
dynamic supervisors. Not known here: other children, processes, the clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from beampy.core.ids import Pid
from beampy.core.signals import is_expected
from beampy.errors import BadSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Shutdown: TypeAlias = float | Literal["brutal_kill", "infinity"]
ChildType: TypeAlias = Literal["worker", "supervisor"]
ChildState: TypeAlias = Pid | Literal["restarting"] | None

WORKER_SHUTDOWN = 5.0  # seconds, as in OTP: the time a worker has to end before it is killed
_BY_TYPE: Any = None  # the default of `shutdown`, until __post_init__ has looked at `type`


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a child is and how it is kept. `start` is a callable, or a tuple `(callable, *args)`.

    `restart`: a permanent child is always restarted, a transient one unless it ends with "normal",
    "shutdown" or ("shutdown", x), a temporary one never. `shutdown` is how it is stopped: with
    "shutdown" and, after so many seconds, a kill; with "shutdown" and all the time it needs
    ("infinity"); or with a kill at once ("brutal_kill"). The default is 5 seconds for a worker, and
    "infinity" for a supervisor, which has children of its own to stop.

    >>> ChildSpec("cache", (print, "a", "b"), restart="transient").shutdown
    5.0
    """

    id: Hashable
    start: Callable[..., Any] | tuple[Any, ...]
    _: KW_ONLY
    restart: Restart = "permanent"
    shutdown: Shutdown = _BY_TYPE
    type: ChildType = "worker"
    significant: bool = False

    def __post_init__(self) -> None:
        try:
            hash(self.id)
        except TypeError:
            raise BadSpec("id: needs something hashable", spec=self) from None
        start = self.start
        if not callable(start[0] if isinstance(start, tuple) and start else start):
            raise BadSpec("start: needs a callable, or a tuple (callable, *args)", spec=self)
        check_choice("restart", self.restart, Restart, spec=self)
        check_choice("type", self.type, ChildType, spec=self)
        if self.shutdown is _BY_TYPE:
            default: Shutdown = WORKER_SHUTDOWN if self.type == "worker" else "infinity"
            object.__setattr__(self, "shutdown", default)
        elif self.shutdown not in ("brutal_kill", "infinity") and not _is_time(self.shutdown):
            raise BadSpec('shutdown: needs seconds, "brutal_kill" or "infinity"', spec=self)
        if not isinstance(self.significant, bool):
            raise BadSpec("significant: needs True or False", spec=self)
        if self.significant and self.restart == "permanent":
            raise BadSpec("significant: a permanent child is never over, so it cannot be", spec=self)

    @property
    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The callable that starts the child, and its arguments.

        >>> ChildSpec("cache", (print, "a", "b")).call[1]
        ('a', 'b')
        """
        if isinstance(self.start, tuple):
            return self.start[0], self.start[1:]
        return self.start, ()


@dataclass(slots=True, eq=False)
class Child:
    """A child of a running supervisor. `state` is its pid; None while it is stopped; "restarting"
    while its last restart failed and the next one is to come."""

    spec: ChildSpec
    state: ChildState = None

    @property
    def pid(self) -> Pid | None:
        """The pid of a child that runs."""
        return self.state if isinstance(self.state, Pid) else None


class ChildInfo(NamedTuple):
    """A line of `which_children`; `pid` is the child's state."""

    id: Hashable
    pid: ChildState
    type: ChildType


class ChildCount(NamedTuple):
    """The answer of `count_children`: all specs; how many of them run; all by type, run or not."""

    specs: int
    active: int
    supervisors: int
    workers: int


def check_choice(field: str, value: object, choices: Any, *, spec: object = None) -> None:
    """Raise BadSpec unless `value` is one of the Literal type `choices`."""
    allowed = get_args(choices)
    if value not in allowed:
        raise BadSpec(f"{field}: {value!r} is none of {', '.join(allowed)}", spec=spec)


def _is_time(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < float("inf")


def restarts(restart: Restart, reason: object) -> bool:
    """Whether a child that ended with `reason` is to be started again.

    >>> restarts("permanent", "normal"), restarts("transient", ("shutdown", "idle"))
    (True, False)
    """
    return restart == "permanent" or (restart == "transient" and not is_expected(reason))


def stopped_as_asked(spec: ChildSpec, reason: object) -> bool:
    """Whether a child that its supervisor stopped ended as it should; if not, that is reported.

    >>> stopped_as_asked(ChildSpec("a", print), "shutdown")
    True
    >>> stopped_as_asked(ChildSpec("a", print), "killed")  # it took too long
    False
    """
    asked = "killed" if spec.shutdown == "brutal_kill" else "shutdown"
    if isinstance(reason, str) and reason == asked:
        return True
    return spec.restart != "permanent" and is_expected(reason)


class RestartWindow:
    """The restarts of the last `period` seconds, of which more than `intensity` are too many.

    A restart exactly `period` seconds old still counts. Each is appended once and dropped once, so
    that a restart costs the same in a crowded window as in an empty one.

    >>> window = RestartWindow(intensity=1, period=5.0)
    >>> window.allows(10.0), window.allows(15.0), window.allows(20.1)
    (True, False, True)
    """

    __slots__ = ("_times", "intensity", "period")

    def __init__(self, intensity: int = 1, period: float = 5.0) -> None:
        if not isinstance(intensity, int) or isinstance(intensity, bool) or intensity < 0:
            raise BadSpec(f"intensity: needs an int of 0 or more, not {intensity!r}")
        if not _is_time(period) or period == 0:
            raise BadSpec(f"period: needs seconds, more than 0, not {period!r}")
        self.intensity = intensity
        self.period = period
        self._times: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Count a restart at `now`; False when it is one too many."""
        self._times.append(now)
        while now - self._times[0] > self.period:
            self._times.popleft()
        return len(self._times) <= self.intensity
