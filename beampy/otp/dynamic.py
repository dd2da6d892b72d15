"""DynamicSupervisor: children that come and go, started one by one and in no order. Elixir's DynamicSupervisor.

Rule: each child stands for itself. It is known by its pid; its spec's id names nothing and may occur many times. An
end that calls for no restart forgets the child. At the supervisor's end all children are stopped at the same time,
so that thousands of them take as long as the slowest.

    a child ends                        restart it, or forget it, as its `restart` says
    more than `intensity` restarts
    in `period` seconds                 stop all; end with "shutdown"
    a restart fails                     report it; try again, which is one more restart
    a restart is ignored                forget the child
    a significant child is over         as `auto_shutdown` says, as for Supervisor

Place: beside `supervisor.py`, with the same rules for one child (`child.py`). It needs no plan: nothing that happens
to one child touches another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.ids import Pid
from beampy.core.signals import Crash, is_expected
from beampy.errors import AlreadyStarted, BadSpec, ChildError, StartFailed
from beampy.otp import upkeep
from beampy.otp.child import Child, ChildCount, ChildInfo, RestartWindow, check_choice, restarts, stopped_as_asked
from beampy.otp.strategy import AutoShutdown
from beampy.otp.supervised import ChildLike, as_spec, worker
from beampy.otp.tree import Again, AnySupervisor, TreeLoop
from beampy.otp.typed import call

if TYPE_CHECKING:
    from collections.abc import Hashable

    from beampy.otp.child import ChildSpec


class DynamicSupervisor(AnySupervisor):
    """Start it with no children, and give it children while it runs.

    >>> rooms = await bp.DynamicSupervisor.start_link(name="rooms", max_children=1000)
    >>> room = await rooms.start_child((Room, "lobby"))
    >>> await rooms.terminate_child(room)

    `extra_arguments` come before the arguments of every child's spec. `max_children` is a limit; None is none.
    The others are as for Supervisor; as in Elixir, three restarts within five seconds are not yet too many.
    """

    intensity: int = 3
    period: float = 5.0
    max_children: int | None = None
    extra_arguments: tuple[Any, ...] = ()
    auto_shutdown: AutoShutdown = "never"

    worker = staticmethod(worker)

    def __init__(
        self,
        *,
        intensity: int | None = None,
        period: float | None = None,
        max_children: int | None = None,
        extra_arguments: tuple[Any, ...] | None = None,
        auto_shutdown: AutoShutdown | None = None,
    ) -> None:
        """What `start_link` takes. A subclass may have a constructor of its own and need not call this one."""
        self.intensity = self.intensity if intensity is None else intensity
        self.period = self.period if period is None else period
        self.max_children = self.max_children if max_children is None else max_children
        self.extra_arguments = self.extra_arguments if extra_arguments is None else extra_arguments
        self.auto_shutdown = self.auto_shutdown if auto_shutdown is None else auto_shutdown

    # calls

    @call
    async def start_child(self, child: ChildLike) -> Any:
        """Start a child. What its start gave: a client, or its pid; None if it was ignored, and is forgotten.

        Raises BadSpec; ChildError "max_children"; AlreadyStarted when its name is taken; StartFailed.
        """
        return await self._loop_here.add(as_spec(child))

    @call
    async def terminate_child(self, child: Any) -> None:
        """Stop a child, given its pid or client, and forget it. One that has ended is fine; ChildError "not_found"."""
        await self._loop_here.terminate(getattr(child, "pid", child))

    @call
    async def which_children(self) -> list[ChildInfo]:
        """The children, in no order to rely on."""
        return self._loop_here.listed()

    @call
    async def count_children(self) -> ChildCount:
        """How many children there are, and how many of them run."""
        children = self._loop_here.listed()
        active = sum(isinstance(child.pid, Pid) for child in children)
        supervisors = sum(child.type == "supervisor" for child in children)
        return ChildCount(len(children), active, supervisors, len(children) - supervisors)

    @call
    async def get_childspec(self, child: Any) -> ChildSpec:
        """The spec of a child, given its pid or client. ChildError "not_found"."""
        pid = getattr(child, "pid", child)
        found = self._loop_here.children.get(pid)
        if found is None:
            raise ChildError("not_found", pid)
        return found.spec

    @property
    def _loop_here(self) -> DynamicLoop:
        loop: DynamicLoop = self._running
        return loop


class DynamicLoop(TreeLoop):
    """The children of one DynamicSupervisor, by pid; one that is "restarting" is found by its last one."""

    __slots__ = ("_window", "children")

    def __init__(self, supervisor: Any, ready: Any, name: Any) -> None:
        super().__init__(supervisor, ready, name)
        self.children: dict[Pid, Child] = {}

    async def start_all(self) -> None:
        """There are none yet; only the options are looked at."""
        supervisor = self.supervisor
        self._window = RestartWindow(supervisor.intensity, supervisor.period)
        check_choice("auto_shutdown", supervisor.auto_shutdown, AutoShutdown)
        most = supervisor.max_children
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 0):
            raise BadSpec(f"max_children: needs an int of 0 or more, or None, not {most!r}")
        if not isinstance(supervisor.extra_arguments, tuple):
            raise BadSpec(f"extra_arguments: needs a tuple, not {supervisor.extra_arguments!r}")

    def system_state(self) -> Any:
        names = ("intensity", "period", "max_children", "extra_arguments", "auto_shutdown")
        return {**{name: getattr(self.supervisor, name) for name in names}, "children": self.listed()}

    def listed(self) -> list[ChildInfo]:
        """A line for each child."""
        return [ChildInfo(child.spec.id, child.state, child.spec.type) for child in self.children.values()]

    # what is asked

    async def add(self, spec: ChildSpec) -> Any:
        """Start one more child."""
        supervisor = self.supervisor
        if spec.significant and supervisor.auto_shutdown == "never":
            raise BadSpec("significant: needs an auto_shutdown other than never", spec=spec)
        if supervisor.max_children is not None and len(self.children) >= supervisor.max_children:
            raise ChildError("max_children", spec.id)
        try:
            pid, made = await upkeep.start(spec, supervisor.extra_arguments)
        except upkeep.NotStarted as failed:
            raise _start_error(spec, failed.reason) from None
        if pid is not None:
            self._keep(Child(spec), pid)
        return made

    async def terminate(self, pid: Any) -> None:
        """Stop one child."""
        child = self.children.pop(pid, None)
        if child is not None and child.pid:
            await self._stopped(child.spec, upkeep.Stopping(pid, child.spec.shutdown))
        elif child is None and (not isinstance(pid, Pid) or pid.node != api.self().node or api.is_alive(pid)):
            raise ChildError("not_found", pid)

    # what happens

    async def child_exited(self, pid: Pid, reason: Any) -> None:
        child = self.children.get(pid)
        if child is None:  # it was stopped, or was never ours
            return
        again = restarts(child.spec.restart, reason)
        if again or not is_expected(reason):
            then = "; restarting it" if again else "; it is not restarted"
            upkeep.report(self.label, "child_terminated", child.spec, pid, reason, then)
        if again:
            await self._restart(child, pid)
        else:
            del self.children[pid]
            if self._ends_with(child):
                await self.system_stop("shutdown")

    async def try_again(self, child: Hashable) -> None:
        assert isinstance(child, Pid)
        if (found := self.children.get(child)) is not None:  # else it was terminated meanwhile
            await self._restart(found, child)

    async def _restart(self, child: Child, pid: Pid) -> None:
        if not self._window.allows(self.clock()):
            del self.children[pid]
            why = f"that is more than {self._window.intensity} restarts in {self._window.period} s"
            upkeep.report(self.label, "shutdown", child.spec, pid, None, why)
            await self.system_stop("shutdown")
        try:
            new, _ = await upkeep.start(child.spec, self.supervisor.extra_arguments)
        except upkeep.NotStarted as failed:
            child.state = "restarting"
            upkeep.report(self.label, "start_error", child.spec, pid, failed.reason, "; trying again")
            api.send(api.self(), Again(pid))
            return
        del self.children[pid]
        if new is not None:
            self._keep(child, new)

    def _keep(self, child: Child, pid: Pid) -> None:
        child.state = pid
        self.children[pid] = child
        upkeep.report(self.label, "progress", child.spec, pid, None, "")

    def _ends_with(self, child: Child) -> bool:
        if not child.spec.significant:
            return False
        if self.supervisor.auto_shutdown == "any_significant":
            return True
        return not any(each.spec.significant for each in self.children.values())

    # the end

    async def system_stop(self, reason: Any) -> None:
        """Stop all children at once, wait for the last, and end."""
        running = [child for child in self.children.values() if child.pid]
        running.sort(key=_patience)  # so that nobody's kill waits for one that has more time
        stopping = [upkeep.Stopping(child.pid, child.spec.shutdown) for child in running if child.pid]
        self.children.clear()
        try:
            for child, end in zip(running, stopping, strict=True):
                await self._stopped(child.spec, end)
        finally:
            for end in stopping:
                end.forget()
        self.finish(reason)

    async def _stopped(self, spec: ChildSpec, stopping: upkeep.Stopping) -> None:
        reason = await stopping.ended()
        ended_before = isinstance(reason, str) and reason == "noproc"
        if not ended_before and not stopped_as_asked(spec, reason):
            upkeep.report(self.label, "shutdown_error", spec, stopping.pid, reason, "")


def _patience(child: Child) -> float:
    """How long the supervisor waits for a child at its end."""
    shutdown = child.spec.shutdown
    return shutdown if not isinstance(shutdown, str) else 0.0 if shutdown == "brutal_kill" else float("inf")


def _start_error(spec: ChildSpec, reason: Any) -> StartFailed:
    """What start_child raises."""
    if isinstance(reason, tuple) and len(reason) == 2 and isinstance(reason[1], Pid) and reason[0] == "already_started":
        return AlreadyStarted(f"child {spec.id!r}", reason[1])
    error = StartFailed(f"child {spec.id!r}", reason)
    error.__cause__ = reason.exception if isinstance(reason, Crash) else None
    return error


DynamicSupervisor._loop = DynamicLoop
