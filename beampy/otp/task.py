"""Task: one function run in a process of its own, and the handle of its value. Elixir's Task.

    task = bp.Task.spawn(fetch, url)        # runs beside its owner, who spawned it
    page = await task                       # its value, or the exception it raised

Rule: an owner and its linked task fail together. While the owner waits for the task (await, gather, wait …) the
failure is raised there and nowhere else; while it does not, the link ends it, as any link does. So a failure is
never left lying in a handle that nobody looks at, a wait for something else never goes on for ever, and whoever
reads `await task` sees the task's own exception. (Raising it only where the task is awaited, as asyncio does,
loses it in every owner that awaits late or never; Elixir's signal in all cases would hide it from `except`.)
Code that means to go on after a failure says so with `nolink=True`: then it is seen at the await, and only there.

A task ends with its owner, however that ends: nobody could take its value. Its answer settles the handle when it
arrives and, like the end of the link, never enters a mailbox. Supervised tasks are task_supervisor.py's.

Benchmark: benchmarks/tasks.py.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
from contextvars import ContextVar
from functools import partial
from inspect import CO_COROUTINE
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from beampy import api
from beampy.core.current import here
from beampy.core.functions import describe
from beampy.core.request import CANCELLED, FAILED, WAITING, Failed, Request
from beampy.core.signals import KILL, KILLED, SHUTDOWN, Crash, ExitSignal, is_expected
from beampy.errors import BadFunction, NotInNode, NotTaskOwner, ServerExited, TaskTimeout
from beampy.handle import ThreadHandle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

    from beampy.core.ids import Pid, Ref
    from beampy.core.process import Process
    from beampy.handle import Handle

log = logging.getLogger("beampy.otp")

T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D")

SHUTDOWN_TIMEOUT = 5.0  # seconds, as Task.shutdown/2 and a worker's in OTP

_callers: ContextVar[tuple[Pid, ...]] = ContextVar("beampy_callers", default=())


def callers() -> tuple[Pid, ...]:
    """On whose behalf this code runs: the owner of the current task, the owner of that one's task, and so on.

    `ancestors` says who started whom, which for a supervised task is its supervisor; this is Elixir's `$callers`.
    It is a context variable, so processes and asyncio tasks that a task starts have it too.
    """
    return _callers.get()


class Task(Request, Generic[T]):
    """A function that runs in a process of its own: `Task.spawn(fn, *args)`. Await it for the value.

    >>> task = bp.Task.spawn(fetch, url)
    >>> other = bp.Task.spawn(fetch, other_url)
    >>> await task, await other                  # or: await asyncio.gather(task, other)

    Only the process that spawned it, its asyncio tasks and threads may use it (NotTaskOwner); it is a future to
    asyncio. On another thread: `task.result(timeout)`. Cancelling it, or the code that awaits it, stops the task.
    What else it raises: ServerExited when the task was ended by an exit signal or a kill, TaskTimeout.
    """

    def __init__(
        self, owner: Process, pid: Pid, what: str, *, linked: bool, bound: bool = True, timeout: float | None = None
    ) -> None:
        self.pid = pid
        self._what = what
        self._coupled = linked  # a failure is to end its owner, unless that waits for it
        self._linked = linked  # and it does not wait: the link is on
        self._bound = bound  # it ends with its owner
        super().__init__(owner, pid, timeout)
        if bound and self._state == WAITING:
            end_with(owner, self)

    # Typed for users: Task[T]. The options come after the function's arguments, so those cannot be typed.
    @overload
    @classmethod
    def spawn(
        cls, fn: Callable[..., Awaitable[R]], /, *args: Any, nolink: bool = False, timeout: float | None = None
    ) -> Task[R]: ...
    @overload
    @classmethod
    def spawn(
        cls, fn: Callable[..., R], /, *args: Any, nolink: bool = False, timeout: float | None = None
    ) -> Task[R]: ...
    @classmethod
    def spawn(cls, fn: Any, /, *args: Any, nolink: bool = False, timeout: float | None = None) -> Any:
        """Run `fn(*args)` in a new process; the Task of its value. Elixir's Task.async.

        An async function runs in the process itself. Any other runs in a thread (asyncio.to_thread): stopping
        the task then lets go of it, and the thread ends when the function returns.
        `timeout`: the seconds it may run, after which it is stopped and TaskTimeout raised; without one it may
        run for ever (Elixir gives up an await after 5 s). To stop waiting and let it run, use `wait`.
        `nolink=True`: its failure is seen only where it is awaited (Elixir's async_nolink). That is the one to
        take for a failure that is to be handled: an `except` around the await of a linked task helps only when the
        owner waits there before the task fails.

        A task that another thread spawns (of a script or notebook after bp.start, or of `asyncio.to_thread`) is
        always nolink: a thread cannot be ended by a link, and may come too late to be waiting.
        """
        owner = api._me("Task.spawn")
        check_time("Task.spawn", timeout)
        in_thread = needs_thread("Task.spawn", fn)
        if owner.node.thread == get_ident():
            return _spawn(owner, fn, in_thread, args, nolink or owner is owner.node.voice, timeout)
        return api._ask(owner, partial(_spawn, owner, fn, in_thread, args, True, timeout))

    @property
    def owner(self) -> Pid:
        """The process it belongs to."""
        return self._process.pid

    # how it settles

    def take_message(self, ref: Ref, message: Any) -> None:
        if message.__class__ is Failed and not self._linked and self.target is not None:
            self.target.extras().quiet = True  # it is raised here, so it is not reported there
        super().take_message(ref, message)

    def ring(self) -> None:
        """The end of its time."""
        if self._state != WAITING:
            return
        error = TaskTimeout(self.pid, self._bucket.seconds if self._bucket is not None else 0.0)
        if self._linked:
            log.error("%s", error)
            self._tell(Crash.of(error))  # it ends for this reason, and so does its owner
        else:
            self._tell(SHUTDOWN)
        self._fail(error)

    def _settle(self, state: int) -> None:
        linked, self._linked = self._linked, False
        super()._settle(state)
        extras = self._process._extras
        if extras is not None and extras.tasks:
            extras.tasks.discard(cast("Any", self))
        if linked and state == FAILED:
            self._seen = True  # nobody waits, so the link speaks
        elif linked:
            self._process.node.unlink(self._process, self.pid)

    def cancel(self, msg: Any = None) -> bool:
        """Stop it ("shutdown"); whoever awaits it gets CancelledError. False when it had ended."""
        if self._state != WAITING:
            return False
        node = self._process.node
        if node.thread != get_ident():
            node.loop.call_soon_threadsafe(self.cancel, msg)
            return True
        self._waited_for()
        if self._bound or not self._process.dead:
            self._tell(SHUTDOWN)
        return super().cancel(msg)

    def _tell(self, reason: Any) -> None:
        """An exit signal from the owner, sent also where the owner's own code is at its end."""
        self._process.node.route_signal(ExitSignal(self._process.pid, self.pid, reason, False))

    # the link is on while the failure would find nobody waiting

    def _waited_for(self) -> None:
        if self._linked:
            self._linked = False
            self._process.node.unlink(self._process, self.pid)

    def couple(self) -> None:
        """From now on it and its owner fail together."""
        self._coupled = True
        self._left_alone()

    def _left_alone(self) -> None:
        if self._coupled and not self._linked and self._state == WAITING and not self._callbacks:
            self._linked = True
            self._process.node.link(self._process, self.pid)

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Context | None = None) -> None:
        if self._state == WAITING:
            self._waited_for()
        super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        removed = super().remove_done_callback(fn)
        if self._waiter is None:
            self._left_alone()
        return removed

    # how it is waited for

    def _check(self, verb: str) -> None:
        if here(verb) is not self._process:
            raise NotTaskOwner(verb, self.pid, self.owner)

    def __await__(self) -> Generator[Any, Any, T]:
        self._check("await")
        if self._state == WAITING:
            if asyncio._get_running_loop() is not self.get_loop():
                return (yield from self._elsewhere().__await__())
            self._waited_for()
        value: T = yield from super().__await__()
        return value

    def result(self, timeout: float | None = None) -> T:
        """The value; raises the failure. On other threads it waits, at most `timeout` seconds (TimeoutError)."""
        if self._process.node.thread != get_ident() and self._state in (WAITING, CANCELLED):
            self._check("result")
            return self._elsewhere().result(timeout)
        value: T = super().result(timeout)
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if self._process.node.thread != get_ident() and self._state in (WAITING, CANCELLED):
            self._check("exception")
            return self._elsewhere().exception(timeout)
        return super().exception(timeout)

    def _elsewhere(self) -> ThreadHandle[T]:
        """Its end, for another thread or loop."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def settled(_: Any) -> None:
            if self.cancelled():
                future.cancel()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self.result())
                except BaseException as error:
                    future.set_exception(error)

        def stop() -> None:
            self.cancel()

        try:
            self.get_loop().call_soon_threadsafe(self.add_done_callback, settled)
        except RuntimeError:
            raise NotInNode("await") from None
        return ThreadHandle(self.get_loop(), future, stop, repr(self))

    @overload
    def wait(self, timeout: float | None = ...) -> Handle[T | None]: ...
    @overload
    def wait(self, timeout: float | None, default: D) -> Handle[T | D]: ...
    def wait(self, timeout: float | None = None, default: Any = None) -> Handle[Any]:
        """Its value if it ends within `timeout` seconds, else `default`. It runs on, and may be asked again.

        A failure is raised. Unlike a cancelled await, a cancelled wait leaves the task alone. Elixir's yield.

        >>> while (page := await task.wait(1.0)) is None:
        ...     print("still at it")
        """
        self._check("wait")
        return _wait(self, timeout, default)

    def shutdown(self, timeout: float | Literal["brutal_kill"] | None = SHUTDOWN_TIMEOUT) -> Handle[T | None]:
        """Stop it and wait for its end. Its value if that came first, else None.

        It is told "shutdown" and killed when it is still there after `timeout` seconds (None: as long as it takes;
        "brutal_kill": killed at once). A failure that came first is raised.
        """
        self._check("shutdown")
        return _shutdown(self, timeout)

    def ignore(self) -> None:
        """Let it run on by itself, also past its owner's end: not linked, its value dropped, its failure logged.

        The task cannot be awaited or stopped through this handle any more. Nothing to do when it has ended.
        """
        self._check("ignore")
        if self._state == WAITING:
            self._waited_for()
            self._fail(NotTaskOwner("await", self.pid, None))
            self._seen = True

    def __hash__(self) -> int:
        return self.pid.serial  # as pids: sets of tasks have an order that is the same in every run

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        state = ("running", "done", "failed", "cancelled")[self._state]
        return f"<Task {self.pid.node} {self.pid.serial} {self._what} {state}>"

    def __del__(self) -> None:
        if self._state == FAILED and not self._seen:
            log.error("nobody looked at the failure of %r", self, exc_info=self._outcome)


@api.timed
async def _wait(task: Task[Any], timeout: float | None, default: Any) -> Any:
    if not task.done():
        await asyncio.wait([cast("Any", task)], timeout=timeout)
    return task.result() if task.done() else default


@api.timed
async def _shutdown(task: Task[Any], timeout: float | Literal["brutal_kill"] | None) -> Any:
    if not task.done():
        task._waited_for()
        task._coupled = False  # whatever comes now does not concern its owner
        if timeout != "brutal_kill":
            task._tell(SHUTDOWN)
            await asyncio.wait([cast("Any", task)], timeout=timeout)
        if not task.done():
            task._tell(KILL)
            await asyncio.wait([cast("Any", task)])
    if task.cancelled():
        return None
    try:
        return task.result()
    except ServerExited as ended:
        if ended.reason == KILLED or is_expected(ended.reason):
            return None
        raise


def end_with(owner: Process, handle: Any) -> None:
    """`handle.cancel()` when the process ends, however it ends: what asyncio tasks of a process have, too."""
    extras = owner.extras()
    if extras.tasks is None:
        extras.tasks = set()
    extras.tasks.add(handle)


# the task's side


def _spawn(
    owner: Process, fn: Any, in_thread: bool, args: tuple[Any, ...], nolink: bool, timeout: float | None
) -> Task[Any]:
    node = owner.node
    linked = not nolink
    box: list[Ref] = []  # where its answer goes: there is no address before there is a process
    process, _ = node.spawn(work, (box, fn, in_thread, args, (owner.pid, *callers())), owner, link=linked)
    what = process.extras().label = describe(fn)
    task: Task[Any] = Task(owner, process.pid, what, linked=linked, timeout=timeout)
    box.append(task.ref)
    return task


async def work(box: list[Ref], fn: Any, in_thread: bool, args: tuple[Any, ...], on_behalf: tuple[Pid, ...]) -> None:
    """The whole life of a task's process."""
    ref = box[0]
    try:
        api.send(ref, await run(fn, in_thread, args, on_behalf))
    except Exception as error:  # its own, or the value's, that cannot travel
        me = here("task")
        if me.alive:  # else it ends for the reason of its exit signal
            api.send(ref, Failed(Crash.of(error), me.pid))
        raise


async def run(fn: Any, in_thread: bool, args: tuple[Any, ...], on_behalf: tuple[Pid, ...]) -> Any:
    """`fn(*args)`, in a thread where it is no async function."""
    _callers.set(on_behalf)
    if not in_thread:
        return await fn(*args)
    value = await asyncio.to_thread(fn, *args)
    return await value if inspect.isawaitable(value) else value  # such as that of `lambda: fetch(url)`


def check_time(verb: str, timeout: float | None) -> None:
    """ValueError where no task could be done in time."""
    if timeout is not None and not timeout > 0:
        raise ValueError(f"{verb}: timeout is a number of seconds, more than 0, or None, not {timeout!r}")


def needs_thread(verb: str, fn: Any) -> bool:
    """Whether a function that a user gives is no async function. BadFunction where it is no function at all."""
    code = getattr(fn, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        return False
    if inspect.iscoroutine(fn):
        fn.close()
        raise BadFunction(verb, f"the coroutine {fn.__qualname__}() (leave out the call)")
    if not callable(fn):
        raise BadFunction(verb, f"a {type(fn).__name__}")
    inner = inspect.unwrap(fn)
    while isinstance(inner, partial):
        inner = inspect.unwrap(inner.func)
    if not inspect.isroutine(inner) and not isinstance(inner, type):
        inner = type(inner).__call__  # an object with an async __call__
    return not inspect.iscoroutinefunction(inner)
