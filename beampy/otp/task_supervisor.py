"""TaskSupervisor: tasks that run under a supervisor, and end with it. Elixir's Task.Supervisor.

    tasks = await bp.TaskSupervisor.start_link(max_children=100)
    page = await (await tasks.spawn(fetch, url))           # fails together with its owner, as Task.spawn
    task = await tasks.spawn_nolink(fetch, url)            # its failure is seen only where it is awaited
    pid = await tasks.start_child(poll, restart="transient")    # nobody waits for its value

Rule: the supervisor's process starts the task, so the task is its child: it counts, it can be listed, and it is
told to end when the supervisor ends. What its value or failure means to its owner is task.py's.

A task of `spawn` also ends with its owner. One of `spawn_nolink` does not, as in Elixir: that is what the
supervisor is for.
"""

from __future__ import annotations

import asyncio
import logging
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from beampy import api
from beampy.core.current import here
from beampy.core.functions import describe
from beampy.core.ids import Pid
from beampy.core.signals import KILL, SHUTDOWN, Down, Exit
from beampy.errors import BadSpec, CallTimeout, ChildError
from beampy.otp import gen
from beampy.otp.child import WORKER_SHUTDOWN, Restart, RestartWindow, Shutdown, check_choice, restarts
from beampy.otp.server import NOREPLY, Server
from beampy.otp.supervised import Supervised
from beampy.otp.task import Task, callers, check_time, needs_thread, run, work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import ClassVar

    from beampy.core.ids import Ref
    from beampy.core.process import Process
    from beampy.handle import Handle
    from beampy.otp.child import ChildType
    from beampy.otp.gen import Name
    from beampy.otp.messages import Call

log = logging.getLogger("beampy.otp")

T = TypeVar("T")

MAX_RESTARTS = 3  # in PERIOD seconds, as in Elixir
PERIOD = 5.0


class Job(NamedTuple):
    """What a task's process is to run."""

    fn: Any
    in_thread: bool
    args: tuple[Any, ...]
    on_behalf: tuple[Pid, ...]


class StartTask(NamedTuple):
    """A client's request: start it for `owner`, which calls it `token` until it knows the pid."""

    job: Job
    owner: Pid
    token: Ref


class StartChild(NamedTuple):
    """A client's request: start it for nobody."""

    job: Job
    restart: Restart


class Abandon(NamedTuple):
    """The client that asked for a task does not wait for its start any more."""

    token: Ref


class Begin(NamedTuple):
    """The owner has the task's handle: its value goes to `ref`."""

    ref: Ref


class TaskSupervisor(Supervised):
    """A supervisor of tasks, and the client of one; it travels in messages.

    >>> children = [bp.TaskSupervisor.child_spec(name="tasks"), …]       # under a Supervisor
    >>> tasks = bp.TaskSupervisor.client("tasks")
    >>> task = await tasks.spawn(fetch, url)
    >>> page = await task
    """

    __slots__ = ("dest",)

    _child_type: ClassVar[ChildType] = "supervisor"

    def __init__(self, dest: Any) -> None:
        self.dest = dest

    @classmethod
    def start_link(
        cls,
        *,
        name: Name | None = None,
        timeout: float | None = None,
        max_children: int | None = None,
        shutdown: Shutdown = WORKER_SHUTDOWN,
        max_restarts: int = MAX_RESTARTS,
        period: float = PERIOD,
    ) -> Handle[TaskSupervisor]:
        """Start one, linked with the current process.

        `max_children`: more are refused with ChildError. `shutdown`: the seconds that tasks have to end when it
        ends, or "brutal_kill" or "infinity". More than `max_restarts` restarts of children within `period` seconds
        end it, and its tasks.
        """
        return _start(cls, name, timeout, (max_children, shutdown, max_restarts, period), link=True)

    @classmethod
    def start(
        cls,
        *,
        name: Name | None = None,
        timeout: float | None = None,
        max_children: int | None = None,
        shutdown: Shutdown = WORKER_SHUTDOWN,
        max_restarts: int = MAX_RESTARTS,
        period: float = PERIOD,
    ) -> Handle[TaskSupervisor]:
        """Start one, with no link; the options are those of start_link."""
        return _start(cls, name, timeout, (max_children, shutdown, max_restarts, period), link=False)

    @classmethod
    def client(cls, dest: Any) -> TaskSupervisor:
        """A client of one that runs: by its pid or name."""
        return cls(dest)

    @property
    def pid(self) -> Pid:
        """The supervisor's pid; NotRegistered where nobody has its name."""
        return Server.client(self.dest).pid

    @overload
    def spawn(
        self, fn: Callable[..., Awaitable[T]], /, *args: Any, timeout: float | None = None
    ) -> Handle[Task[T]]: ...
    @overload
    def spawn(self, fn: Callable[..., T], /, *args: Any, timeout: float | None = None) -> Handle[Task[T]]: ...
    def spawn(self, fn: Any, /, *args: Any, timeout: float | None = None) -> Handle[Any]:
        """Start `fn(*args)` as a task of the current process, under the supervisor: Task.spawn, supervised."""
        return self._spawn("TaskSupervisor.spawn", fn, args, timeout, nolink=False)

    @overload
    def spawn_nolink(
        self, fn: Callable[..., Awaitable[T]], /, *args: Any, timeout: float | None = None
    ) -> Handle[Task[T]]: ...
    @overload
    def spawn_nolink(self, fn: Callable[..., T], /, *args: Any, timeout: float | None = None) -> Handle[Task[T]]: ...
    def spawn_nolink(self, fn: Any, /, *args: Any, timeout: float | None = None) -> Handle[Any]:
        """The same, but neither's end is the other's: its failure is seen at the await, and it outlives its owner."""
        return self._spawn("TaskSupervisor.spawn_nolink", fn, args, timeout, nolink=True)

    def _spawn(
        self, verb: str, fn: Any, args: tuple[Any, ...], timeout: float | None, *, nolink: bool
    ) -> Handle[Task[Any]]:
        owner = here(verb)
        check_time(verb, timeout)
        job = Job(fn, needs_thread(verb, fn), args, (owner.pid, *callers()))
        linked = not nolink and owner is not owner.node.voice and owner.node.thread == get_ident()
        return _spawn_task(self.dest, owner, job, timeout, linked=linked, bound=not nolink)

    def start_child(self, fn: Callable[..., Any], /, *args: Any, restart: Restart = "temporary") -> Handle[Pid]:
        """Start `fn(*args)` for its effects: nobody has its value, its failure is logged. Its pid.

        With `restart="transient"` it is started again when it fails, with "permanent" whenever it ends.
        """
        check_choice("restart", restart, Restart)
        verb = "TaskSupervisor.start_child"
        job = Job(fn, needs_thread(verb, fn), args, (here(verb).pid, *callers()))
        return gen.call(self.dest, StartChild(job, restart))

    def stop_child(self, pid: Pid) -> Handle[None]:
        """Stop one of its tasks, as its own end would; it is not started again. ChildError("not_found")."""
        return gen.call(self.dest, pid)

    def children(self) -> Handle[list[Pid]]:
        """The pids of its tasks, oldest first."""
        return gen.call(self.dest, "children")

    def stop(self, reason: Any = "normal", timeout: float | None = None) -> Handle[None]:
        """Stop its tasks and then itself, and wait for the end."""
        return gen.stop(self.dest, reason, timeout)

    def __repr__(self) -> str:
        return f"<TaskSupervisor client of {self.dest!r}>"

    def __eq__(self, other: object) -> bool:
        return self.dest == other.dest if isinstance(other, TaskSupervisor) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.dest)

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskSupervisor, (self.dest,)


@api.timed
async def _start(
    cls: type[TaskSupervisor], name: Any, timeout: float | None, options: tuple[Any, ...], *, link: bool
) -> TaskSupervisor:
    start = TaskServer.start_link if link else TaskServer.start
    return cls((await start(*options, name=name, timeout=timeout)).pid)


@api.timed
async def _spawn_task(
    dest: Any, owner: Process, job: Job, timeout: float | None, *, linked: bool, bound: bool
) -> Task[Any]:
    token = owner.node.new_ref()
    try:
        pid = await gen.call(dest, StartTask(job, owner.pid, token))
    except (asyncio.CancelledError, CallTimeout):
        gen.cast(dest, Abandon(token))
        raise
    task: Task[Any] = Task(owner, pid, describe(job.fn), linked=False, bound=bound, timeout=timeout)
    if linked:
        task.couple()
    api.send(pid, Begin(task.ref))
    return task


# the supervisor's side


class Child:
    """A running task, as its supervisor knows it."""

    __slots__ = ("job", "restart", "stoppers", "token")

    def __init__(self, job: Job, restart: Restart, token: Ref | None) -> None:
        self.job = job
        self.restart: Restart = restart
        self.token = token
        self.stoppers: list[Call] = []  # whom to tell when it has ended


class Overdue(NamedTuple):
    """The time a stopped child had to end is over."""

    pid: Pid


class TaskServer(Server):
    """The supervisor's process: starts tasks, remembers them, restarts some, stops all."""

    trap_exit = True

    def __init__(self, max_children: int | None, shutdown: Shutdown, max_restarts: int, period: float) -> None:
        if max_children is not None and (not isinstance(max_children, int) or max_children < 0):
            raise BadSpec(f"max_children: needs an int of 0 or more, or None, not {max_children!r}")
        self.max_children = max_children
        self.shutdown = shutdown
        self.window = RestartWindow(max_restarts, period)
        self.tasks: dict[Pid, Child] = {}
        self.starter = api.ancestors()[:1]

    async def handle_call(self, request: Any, from_: Call) -> Any:
        if request == "children":
            return list(self.tasks)
        if isinstance(request, Pid):
            return self._stop_one(request, from_)
        if self.max_children is not None and len(self.tasks) >= self.max_children:
            gen.reply_error(from_, ChildError("max_children", describe(request.job.fn)))
            return NOREPLY
        if isinstance(request, StartTask):
            pid = api.spawn(_owned, request.owner, request.job, link=True)
            self.tasks[pid] = Child(request.job, "temporary", request.token)
            return pid
        return self._start_child(Child(request.job, request.restart, None))

    async def handle_cast(self, request: Any) -> None:
        for pid, child in self.tasks.items():
            if child.token == request.token:
                api.exit(pid, SHUTDOWN)

    async def handle_info(self, message: Any) -> Any:
        if isinstance(message, Exit) and message.pid in self.tasks:
            return self._ended(message)
        if isinstance(message, Exit) and message.pid in self.starter:
            raise gen.Stop(message.reason)  # started without a link, it still goes with whoever ends its starter
        if isinstance(message, Overdue) and message.pid in self.tasks:
            api.exit(message.pid, KILL)
        return None

    async def terminate(self, reason: Any) -> None:
        """Tell all, wait, kill who is left."""
        loop = asyncio.get_running_loop()
        deadline = None if isinstance(self.shutdown, str) else loop.time() + self.shutdown
        word = KILL if self.shutdown == "brutal_kill" else SHUTDOWN
        for pid in list(self.tasks):
            api.exit(pid, word)
        while self.tasks:
            left = None if deadline is None else max(0.0, deadline - loop.time())
            message = await api.receive(Exit, timeout=left, default=None)
            if message is not None:
                self.tasks.pop(message.pid, None)
                continue
            deadline = None
            for pid in self.tasks:
                log.error("task %r did not end within %s s and is killed", pid, self.shutdown)
                api.exit(pid, KILL)

    def _start_child(self, child: Child) -> Pid:
        pid = api.spawn(_unowned, child.job, link=True)
        self.tasks[pid] = child
        return pid

    def _stop_one(self, pid: Pid, from_: Call) -> Any:
        child = self.tasks.get(pid)
        if child is None:
            gen.reply_error(from_, ChildError("not_found", pid))
            return NOREPLY
        child.stoppers.append(from_)
        api.exit(pid, KILL if self.shutdown == "brutal_kill" else SHUTDOWN)
        if not isinstance(self.shutdown, str):
            api.send_after(self.shutdown, api.self(), Overdue(pid))
        return NOREPLY

    def _ended(self, message: Exit) -> Any:
        child = self.tasks.pop(message.pid)
        for from_ in child.stoppers:
            gen.reply(from_, None)
        if child.stoppers or not restarts(child.restart, message.reason):
            return None
        if self.window.allows(asyncio.get_running_loop().time()):
            self._start_child(child)
            return None
        log.error(
            "%r ends: more than %d restarts of its tasks within %s s, the last of %s",
            api.self(),
            self.window.intensity,
            self.window.period,
            describe(child.job.fn),
        )
        return gen.Stop(SHUTDOWN)


async def _owned(owner: Pid, job: Job) -> None:
    """A task that waits for its owner to have the handle, or to be gone."""
    api.set_label(describe(job.fn))
    watch = api.monitor(owner)
    first = await api.receive(lambda m: m.__class__ is Begin or (m.__class__ is Down and m.ref == watch))
    if not isinstance(first, Begin):
        api.exit(SHUTDOWN)
    api.demonitor(watch, flush=True)
    await work([first.ref], *job)


async def _unowned(job: Job) -> None:
    api.set_label(describe(job.fn))
    await run(*job)
