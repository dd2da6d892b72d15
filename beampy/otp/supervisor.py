"""Supervisor: keeps its children running, in order, as its strategy says. OTP's supervisor.

Rule: `strategy.py` decides and this file does as it is told: it feeds the plan what happened, performs each action
and reports what came of it. One `Start` or `Stop` at a time is under way, and nothing else happens meanwhile.

What a restart costs is one message, one turn of the plan and the start itself; there is no task and no poll in it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.signals import Crash, Exit, safe_repr
from beampy.errors import AlreadyStarted, BadReturn, ChildError, StartFailed
from beampy.otp import upkeep
from beampy.otp.actions import Action, GiveUp, Refuse, Reply, Report, Retry, Start, Stop
from beampy.otp.strategy import AutoShutdown, Plan, Strategy
from beampy.otp.supervised import ChildLike, as_spec, worker
from beampy.otp.tree import Again, AnySupervisor, TreeLoop
from beampy.otp.typed import call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable

    from beampy.core.ids import Pid
    from beampy.otp.child import ChildCount, ChildInfo, ChildSpec


class Supervisor(AnySupervisor):
    """Subclass it and name the children, or start it with a list of them.

    >>> class App(bp.Supervisor):
    ...     strategy = "rest_for_one"
    ...     def children(self):
    ...         return [Cache, (Counter, 10), Web.child_spec(8080, shutdown=30)]
    >>> app = await App.start_link(name="app")
    >>> sup = await bp.Supervisor.start_link([Cache, (Counter, 10)], strategy="one_for_all")
    >>> await sup.count_children()
    ChildCount(specs=2, active=2, supervisors=0, workers=2)

    Children are started in order and stopped in reverse order. More than `intensity` restarts within `period`
    seconds are too many: the supervisor stops them all and ends with "shutdown", which is its own supervisor's
    business then. `auto_shutdown` ends it when "any_significant" or "all_significant" children are over.
    """

    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period: float = 5.0
    auto_shutdown: AutoShutdown = "never"

    _given: Iterable[ChildLike] = ()

    worker = staticmethod(worker)

    def __init__(
        self,
        children: Iterable[ChildLike] = (),
        *,
        strategy: Strategy | None = None,
        intensity: int | None = None,
        period: float | None = None,
        auto_shutdown: AutoShutdown | None = None,
    ) -> None:
        """What `start_link` takes. A subclass may have a constructor of its own and need not call this one."""
        self._given = children
        self.strategy = self.strategy if strategy is None else strategy
        self.intensity = self.intensity if intensity is None else intensity
        self.period = self.period if period is None else period
        self.auto_shutdown = self.auto_shutdown if auto_shutdown is None else auto_shutdown

    def children(self) -> Iterable[ChildLike] | Awaitable[Iterable[ChildLike]]:
        """The children, in the order they are started. May be an async method."""
        return self._given

    # calls

    @call
    async def which_children(self) -> list[ChildInfo]:
        """All children, the last started first; `pid` is None for one that is stopped."""
        return self._plan.which_children()

    @call
    async def count_children(self) -> ChildCount:
        """How many there are, and how many of them run."""
        here = api.self().node
        return self._plan.count_children(lambda pid: pid.node != here or api.is_alive(pid))

    @call
    async def get_childspec(self, id: Hashable) -> ChildSpec:
        """The spec of a child. ChildError "not_found"."""
        spec = self._plan.childspec(id)
        if spec is None:
            raise ChildError("not_found", id)
        return spec

    @call
    async def start_child(self, child: ChildLike) -> Any:
        """Add a child, after all others, and start it. What its start gave: a client, or its pid; None if ignored.

        Raises BadSpec; AlreadyStarted, or ChildError "already_present", when its id is taken; StartFailed.
        """
        return await self._running.ask(self._plan.start_child, as_spec(child))

    @call
    async def restart_child(self, id: Hashable) -> Any:
        """Start a stopped child again. As start_child; ChildError "not_found", "running", "restarting"."""
        return await self._running.ask(self._plan.restart_child, id)

    @call
    async def terminate_child(self, id: Hashable) -> None:
        """Stop a child. Its spec stays, unless it is temporary. ChildError "not_found"."""
        await self._running.ask(self._plan.terminate_child, id)

    @call
    async def delete_child(self, id: Hashable) -> None:
        """Forget a stopped child. ChildError "not_found", "running", "restarting"."""
        await self._running.ask(self._plan.delete_child, id)

    @property
    def _plan(self) -> Plan:
        plan: Plan = self._running.plan
        return plan

    def _child_started(self, id: Hashable, made: Any) -> None:
        """A child runs: what its start gave."""


class Asked:
    """What a request waits for while the plan works on it."""

    __slots__ = ("error", "id", "value")

    def __init__(self, id: Hashable) -> None:
        self.id = id
        self.value: Any = None
        self.error: Exception | None = None

    def refused(self, refusal: Refuse) -> None:
        """It was refused: the error to raise."""
        detail = refusal.detail
        if refusal.why == "bad_spec":
            self.error = detail
        elif refusal.why == "already_started":
            self.error = AlreadyStarted(f"child {self.id!r}", detail)
        elif refusal.why == "start_failed":
            self.error = StartFailed(f"child {self.id!r}", detail)
            self.error.__cause__ = detail.exception if isinstance(detail, Crash) else None
        else:
            self.error = ChildError(refusal.why, self.id)


class SupervisorLoop(TreeLoop):
    """Performs what the plan asks for."""

    __slots__ = ("_made", "plan")

    plan: Plan

    def __init__(self, supervisor: Any, ready: Any, name: Any) -> None:
        super().__init__(supervisor, ready, name)
        self._made: tuple[Pid | None, Any] = (None, None)  # the last child started, and what its start gave

    async def start_all(self) -> None:
        supervisor = self.supervisor
        children = supervisor.children()
        if inspect.isawaitable(children):
            children = await children
        if isinstance(children, (str, dict)) or not hasattr(children, "__iter__"):
            raise BadReturn(f"{type(supervisor).__name__}.children", safe_repr(children), "a list of children")
        self.plan = Plan(
            map(as_spec, children),
            strategy=supervisor.strategy,
            intensity=supervisor.intensity,
            period=supervisor.period,
            auto_shutdown=supervisor.auto_shutdown,
        )
        await self._perform(self.plan.start())

    async def child_exited(self, pid: Pid, reason: Any) -> None:
        await self._perform(self.plan.child_exited(pid, reason, self.clock()))

    async def try_again(self, child: Hashable) -> None:
        await self._perform(self.plan.retry(child, self.clock()))

    async def system_stop(self, reason: Any) -> None:
        await self._perform(self.plan.shut_down(reason))

    def system_state(self) -> Any:
        supervisor = self.supervisor
        flags = {name: getattr(supervisor, name) for name in ("strategy", "intensity", "period", "auto_shutdown")}
        return {**flags, "children": self.plan.which_children()}

    async def ask(self, operation: Callable[[Any, Asked], list[Action]], about: Any) -> Any:
        """Have the plan do what a request asks for; its value, or the error it was refused with."""
        asked = Asked(getattr(about, "id", about))
        await self._perform(operation(about, asked))
        if asked.error is not None:
            raise asked.error
        return asked.value

    async def _perform(self, actions: list[Action]) -> None:
        """Perform the actions, and those that follow from them, to the end."""
        while actions:
            now, actions = actions, []
            for i, action in enumerate(now):
                match action:
                    case Start():
                        actions = await self._start(action.spec)
                    case Stop():
                        actions = await self._stop(action)
                    case Report():
                        self._report(action, now[i + 1 :])
                    case Retry():
                        api.send(api.self(), Again(action.id))
                    case Reply():
                        pid, made = self._made
                        action.to.value = made if pid is not None and pid == action.pid else action.pid
                    case Refuse():
                        action.to.refused(action)
                    case GiveUp():
                        self.finish(action.reason)

    async def _start(self, spec: ChildSpec) -> list[Action]:
        try:
            pid, made = self._made = await upkeep.start(spec)
        except upkeep.NotStarted as failed:
            return self.plan.child_start_failed(spec.id, failed.reason)
        if pid is not None:
            self.supervisor._child_started(spec.id, made)
        return self.plan.child_started(spec.id, pid)

    async def _stop(self, action: Stop) -> list[Action]:
        reason = await upkeep.Stopping(action.pid, action.shutdown).ended()
        if isinstance(reason, str) and reason == "noproc":
            reason = await self._ended_before(action.pid)
        return self.plan.child_exited(action.pid, reason, self.clock())

    async def _ended_before(self, pid: Pid) -> Any:
        """Why a child ended that was no more when it was to be stopped: its Exit waits in the mailbox.

        So do those of others that ended with it, perhaps thousands. All are taken now, in one pass; the plan keeps
        them for their turn and need not stop them one by one.
        """
        reason: Any = "noproc"  # it had unlinked itself
        while (gone := await api.receive(Exit, timeout=0, default=None)) is not None:
            if gone.pid == pid:
                reason = gone.reason
            elif gone.pid == self.parent:
                self.plan.shut_down(gone.reason)
            else:
                self.plan.child_exited(gone.pid, gone.reason, self.clock())
        return reason

    def _report(self, report: Report, following: list[Action]) -> None:
        upkeep.report(self.label, report.kind, report.spec, report.pid, report.reason, self._then(report, following))

    def _then(self, report: Report, following: list[Action]) -> str:
        """What comes of what is reported, in words."""
        if report.kind == "shutdown":
            return f"that is more than {self.supervisor.intensity} restarts in {self.supervisor.period} s"
        if report.kind != "child_terminated" or any(isinstance(a, Report) for a in following):
            return ""
        if report.spec.restart == "temporary":
            return "; it is not restarted"
        return {
            "one_for_one": "; restarting it",
            "one_for_all": "; restarting all children",
            "rest_for_one": "; restarting it and those after it",
        }[self.plan.strategy]


Supervisor._loop = SupervisorLoop
