"""Supervision, decided: events in, actions out.

Rule: every decision about a supervisor's children is made here, and it is the one that OTP's
`supervisor` makes. Place: above `child.py`, below `supervisor.py`, which performs each action
and tells the plan what came of it. Not known here: how a process is started, stopped or watched,
what time it is (`now` is an argument), who asks, where reports go.

    event                             decision
    ────────────────────────────────  ────────────────────────────────────────────────────────────
    a permanent child exits           restart
    a transient child exits           restart; after normal, shutdown, (shutdown, x) only stop it
    a temporary child exits           delete its spec
    restart, one_for_one              start it
    restart, rest_for_one             stop those after it; start it and them
    restart, one_for_all              stop all others; start all
      temporary ones among them       stop; delete their specs
      a start fails                   it is "restarting": try again, which is one more restart
    more than `intensity` restarts    stop all; exit with "shutdown"
      in `period` seconds
    a significant child is over       any_significant: stop all; exit with "shutdown"
                                      all_significant: so too, when no other significant one is left
    the first start of a child fails  stop all; exit with
                                      ("shutdown", ("failed_to_start_child", id, reason))
    a start is ignored                keep it, stopped; if it is temporary delete its spec

Starts go in order and stops in reverse order, one child after the other: no `Start` or `Stop` is
asked for before the last one is answered. So each operation is a generator that reads like the
blocking code it stands for and yields what it must wait for; other events wait for their turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable
from functools import wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    NamedTuple,
    ParamSpec,
    TypeAlias,
    TypeVar,
)

from beampy.core.signals import is_expected
from beampy.errors import BadSpec, InternalError
from beampy.otp.actions import (
    Action,
    GiveUp,
    Refusal,
    Refuse,
    Reply,
    Report,
    ReportKind,
    Retry,
    Start,
    Stop,
)
from beampy.otp.child import (
    Child,
    ChildCount,
    ChildInfo,
    ChildSpec,
    RestartWindow,
    check_choice,
    restarts,
    stopped_as_asked,
)

if TYPE_CHECKING:
    from beampy.core.ids import Pid

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]
_P = ParamSpec("_P")
_T = TypeVar("_T")
# A Start is answered with a pid, None (it was ignored) or _Failed, a Stop with the exit reason.
_Steps: TypeAlias = Generator[Start | Stop, Any, _T]


class _Failed(NamedTuple):
    reason: Any


def _operation(
    steps: Callable[Concatenate[Plan, _P], _Steps[None]],
) -> Callable[Concatenate[Plan, _P], list[Action]]:
    """A method that takes its turn after the operations under way, and returns what to do now."""

    @wraps(steps)
    def begin(self: Plan, /, *args: _P.args, **kwargs: _P.kwargs) -> list[Action]:
        self._agenda.append(steps(self, *args, **kwargs))
        return self._advance() if self.idle else []

    return begin


class Plan:
    """The children of one supervisor, and what to do about them.

    Each event returns the actions to perform now, in order. A request carries `to`, which comes
    back in its `Reply` or `Refuse`. `start` comes first and once; after `GiveUp` nothing comes.

    >>> from beampy.core.ids import Pid
    >>> plan, pid = Plan([ChildSpec("a", print)]), Pid("n@h", 1, 0)
    >>> [start] = plan.start()
    >>> [progress] = plan.child_started("a", pid)
    >>> report, start = plan.child_exited(pid, "boom", now=0.0)
    >>> report.kind, start.spec.id
    ('child_terminated', 'a')
    """

    def __init__(
        self,
        specs: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
    ) -> None:
        check_choice("strategy", strategy, Strategy)
        check_choice("auto_shutdown", auto_shutdown, AutoShutdown)
        self.strategy: Strategy = strategy
        self.auto_shutdown: AutoShutdown = auto_shutdown
        self.finished = False
        self._window = RestartWindow(intensity, period)
        self._children: dict[Hashable, Child] = {}  # in start order
        self._by_pid: dict[Pid, Child] = {}
        self._gone: dict[Pid, Any] = {}  # the exits whose turn has not come, and their reasons
        self._agenda: deque[_Steps[None]] = deque()  # operations; the first is under way
        self._asked: Start | Stop | None = None  # what it waits for
        self._actions: list[Action] = []  # what is to be performed next
        for spec in specs:
            if fault := self._fault(spec):
                raise fault
            if spec.id in self._children:
                raise BadSpec(f"id: two children are called {spec.id!r}", spec=spec)
            self._children[spec.id] = Child(spec)

    # --- what happens to the supervisor and its children ---

    @_operation
    def start(self) -> _Steps[None]:
        """Start all children."""
        failed = yield from self._start_each(list(self._children.values()))
        if failed:
            child, reason = failed
            cause = ("failed_to_start_child", child.spec.id, reason)
            yield from self._stop_all(("shutdown", cause))

    def child_started(self, id: Hashable, pid: Pid | None) -> list[Action]:
        """The child runs; or, with None, its start was ignored."""
        return self._start_ended(id, pid)

    def child_start_failed(self, id: Hashable, reason: Any) -> list[Action]:
        """The child did not come up."""
        return self._start_ended(id, _Failed(reason))

    def child_exited(self, pid: Pid, reason: Any, now: float) -> list[Action]:
        """A child ended, whether it was asked to or not. A pid that is no child's is ignored."""
        if isinstance(self._asked, Stop) and self._asked.pid == pid:
            return self._advance(reason)
        self._gone.setdefault(pid, reason)
        return self._exited(pid, now)

    @_operation
    def _exited(self, pid: Pid, now: float) -> _Steps[None]:
        reason = self._gone.pop(pid, None)
        child = self._by_pid.get(pid)
        if child is None:  # it was stopped on the way, or was never ours
            return
        if child.spec.restart == "permanent" or not is_expected(reason):
            self._report("child_terminated", child, reason)
        if restarts(child.spec.restart, reason):
            yield from self._restart(child, now)
        else:
            self._stopped(child)
            if self._ends_with(child):
                yield from self._stop_all("shutdown")

    @_operation
    def retry(self, id: Hashable, now: float) -> _Steps[None]:
        """The turn of a `Retry` has come."""
        child = self._children.get(id)
        if child and child.state == "restarting":  # else somebody saw to it meanwhile
            yield from self._restart(child, now)

    @_operation
    def shut_down(self, reason: Any) -> _Steps[None]:
        """The supervisor itself is to end: stop all children, then exit with `reason`."""
        yield from self._stop_all(reason)

    # --- what others ask of the supervisor ---

    @_operation
    def start_child(self, spec: ChildSpec, to: Any) -> _Steps[None]:
        """Add a child, after all others, if it starts."""
        known = self._children.get(spec.id)
        if fault := self._fault(spec):
            self._actions.append(Refuse(to, "bad_spec", fault))
        elif known is None:
            yield from self._start_for(to, Child(spec))
        elif known.pid:
            self._actions.append(Refuse(to, "already_started", known.pid))
        else:
            self._actions.append(Refuse(to, "already_present"))

    @_operation
    def restart_child(self, id: Hashable, to: Any) -> _Steps[None]:
        """Start a stopped child."""
        if child := self._find_stopped(id, to):
            yield from self._start_for(to, child)

    @_operation
    def terminate_child(self, id: Hashable, to: Any) -> _Steps[None]:
        """Stop a child; its spec stays, unless it is temporary."""
        if child := self._children.get(id):
            yield from self._stop(child)
            self._actions.append(Reply(to, None))
        else:
            self._actions.append(Refuse(to, "not_found"))

    @_operation
    def delete_child(self, id: Hashable, to: Any) -> _Steps[None]:
        """Forget a stopped child."""
        yield from ()  # it waits for nothing but its turn
        if self._find_stopped(id, to):
            del self._children[id]
            self._actions.append(Reply(to, None))

    def childspec(self, id: Hashable) -> ChildSpec | None:
        """The spec of a child, or None if there is no such child."""
        child = self._children.get(id)
        return child.spec if child else None

    def which_children(self) -> list[ChildInfo]:
        """All children, the last started first."""
        children = reversed(self._children.values())
        return [ChildInfo(each.spec.id, each.state, each.spec.type) for each in children]

    def count_children(self, is_alive: Callable[[Pid], bool] = lambda pid: True) -> ChildCount:
        """How many there are. With `is_alive`, a child whose exit is on its way is not active."""
        children = self._children.values()
        active = sum(each.pid is not None and is_alive(each.pid) for each in children)
        supervisors = sum(each.spec.type == "supervisor" for each in children)
        return ChildCount(len(children), active, supervisors, len(children) - supervisors)

    # --- what the operations are made of ---

    def _restart(self, child: Child, now: float) -> _Steps[None]:
        if not self._window.allows(now):
            self._report("shutdown", child, "reached_max_restart_intensity")
            self._stopped(child)
            yield from self._stop_all("shutdown")
            return
        self._set(child, None)
        group = self._restarted_with(child)
        for each in reversed(group):
            yield from self._stop(each)
        failed = yield from self._start_each([c for c in group if c.spec.restart != "temporary"])
        if failed:
            again, _ = failed
            again.state = "restarting"
            self._actions.append(Retry(again.spec.id))

    def _restarted_with(self, child: Child) -> list[Child]:
        if self.strategy == "one_for_one":
            return [child]
        children = list(self._children.values())
        return children if self.strategy == "one_for_all" else children[children.index(child) :]

    def _stop_all(self, reason: Any) -> _Steps[None]:
        for child in reversed(list(self._children.values())):
            yield from self._stop(child)
        self.finished = True
        self._actions.append(GiveUp(reason))

    def _start_each(self, children: list[Child]) -> _Steps[tuple[Child, Any] | None]:
        """Start these in order up to the first that fails: that one, and why."""
        for child in children:
            failed = yield from self._start(child)
            if failed:
                self._report("start_error", child, failed.reason)
                return child, failed.reason
        return None

    def _start_for(self, to: Any, child: Child) -> _Steps[None]:
        failed = yield from self._start(child)
        done = Refuse(to, "start_failed", failed.reason) if failed else Reply(to, child.pid)
        self._actions.append(done)

    def _start(self, child: Child) -> _Steps[_Failed | None]:
        outcome: Pid | _Failed | None = yield Start(child.spec)
        if isinstance(outcome, _Failed):
            return outcome
        self._children[child.spec.id] = child
        if outcome is None:
            self._stopped(child)
        else:
            self._set(child, outcome)
            self._report("progress", child)
        return None

    def _stop(self, child: Child) -> _Steps[None]:
        if pid := child.pid:
            known = pid in self._gone  # it ended by itself, and that has not had its turn
            ask = Stop(child.spec.id, pid, child.spec.shutdown)
            reason = self._gone.pop(pid) if known else (yield ask)
            if not stopped_as_asked(child.spec, reason):
                self._report("shutdown_error", child, reason)
        self._stopped(child)

    def _stopped(self, child: Child) -> None:
        self._set(child, None)
        if child.spec.restart == "temporary":
            del self._children[child.spec.id]

    def _set(self, child: Child, pid: Pid | None) -> None:
        if child.pid:
            self._by_pid.pop(child.pid, None)  # two ids may have been started as one process
        child.state = pid
        if pid:
            self._by_pid[pid] = child

    def _ends_with(self, child: Child) -> bool:
        """Whether the end of this child, for good, is the end of the supervisor."""
        if not child.spec.significant:
            return False
        left = (each for each in self._children.values() if each.state is not None)
        return self.auto_shutdown == "any_significant" or not any(c.spec.significant for c in left)

    def _find_stopped(self, id: Hashable, to: Any) -> Child | None:
        """The child if it is stopped; otherwise who asked is told what it is instead."""
        child = self._children.get(id)
        if child and child.state is None:
            return child
        why: Refusal = "not_found" if not child else "running" if child.pid else "restarting"
        self._actions.append(Refuse(to, why))
        return None

    def _fault(self, spec: ChildSpec) -> BadSpec | None:
        if spec.significant and self.auto_shutdown == "never":
            return BadSpec("significant: needs an auto_shutdown other than never", spec=spec)
        return None

    def _report(self, kind: ReportKind, child: Child, reason: Any = None) -> None:
        self._actions.append(Report(kind, child.spec, child.pid, reason))

    # --- taking turns ---

    @property
    def idle(self) -> bool:
        """Whether no answer to a `Start` or `Stop` is awaited."""
        return self._asked is None

    def _start_ended(self, id: Hashable, outcome: Pid | _Failed | None) -> list[Action]:
        if not isinstance(self._asked, Start) or self._asked.spec.id != id:
            raise InternalError(f"the start of {id!r} ended, but what was asked is {self._asked}")
        return self._advance(outcome)

    def _advance(self, answer: Any = None) -> list[Action]:
        """Hand the operation under way its answer, and go on to the next thing to wait for."""
        while self._agenda and not self.finished:
            try:
                self._asked = self._agenda[0].send(answer)
            except StopIteration:
                self._agenda.popleft()
                self._asked = answer = None
            else:
                self._actions.append(self._asked)
                break
        actions, self._actions = self._actions, []
        return actions
