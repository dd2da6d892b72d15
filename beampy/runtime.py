"""The composition root: a Node put together and run, on this loop, on a loop of its own, or on its own thread.

    bp.run(main)                      a program: a node, its first process, and an orderly end
    async with bp.Node("a") as node:  a node on the running loop; the body may act as a process
    bp.start("a")                     a node on a thread and loop of its own, for scripts and notebooks

This is the only place that picks uvloop, handles signals and knows how the parts fit. The end is ordered: the
first process is asked to end, supervisors end their children in reverse order, what is left over is asked next,
and what does not end in time is killed and named.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import io
import logging
import pickle
import secrets
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from beampy import api
from beampy.core.current import add_fallback, current, remove_fallback
from beampy.core.ending import exit_in, outcome
from beampy.core.extras import UNSET
from beampy.core.functions import describe
from beampy.core.guest import Guest
from beampy.core.ids import Pid, Ref, node_name
from beampy.core.mailbox import ClosedMailbox
from beampy.core.node import EXIT_GRACE, LocalNode, Tracer
from beampy.core.signals import Crash, Exit
from beampy.errors import BeampyError, EncodeError, Exited, NotInNode
from beampy.handle import Handle, Pending, ThreadHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextvars import Token
    from types import TracebackType

    from beampy.core.process import Process

T = TypeVar("T")

log = logging.getLogger("beampy.node")

SHUTDOWN_TIMEOUT = 10.0  # seconds for everything to end; two of a worker's shutdown times


class Node:
    """A node: named, with processes of its own. Use it as `async with`, or let `run` and `start` make it.

    `name` is `name@host` (a bare name lives on localhost); without one the node is alone for good.
    `exit_grace`: seconds a process may clean up after an exit signal before it is killed.
    `shutdown_timeout`: seconds everything has to end when the node stops.
    `strict`: every message is copied by pickling, as if its receiver were elsewhere, so that aliasing and
    messages that could not travel show on one node already (EncodeError). Slower: for tests and development.
    `max_mailbox`: a limit for the mailbox of every process, see `spawn`.

    >>> async with bp.Node("app@127.0.0.1") as node:
    ...     pid, ref = bp.spawn_monitor(worker, 1)
    ...     down = await bp.receive(bp.Down)
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        exit_grace: float = EXIT_GRACE,
        shutdown_timeout: float = SHUTDOWN_TIMEOUT,
        strict: bool = False,
        max_mailbox: int | tuple[int, int] | None = None,
    ) -> None:
        self.name = node_name(name)
        self._exit_grace = exit_grace
        self._shutdown_timeout = shutdown_timeout
        self._strict = strict
        self._max_mailbox = max_mailbox
        self._local: LocalNode | None = None
        self._outside: Guest | None = None
        self._body: tuple[Guest, Token[Process]] | None = None
        self._thread: threading.Thread | None = None
        self._stop_asked: asyncio.Event | None = None
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()  # of the thread

    # life

    def _open(self) -> None:
        """Start on the running loop."""
        if self._local is not None:
            raise BeampyError(f"{self.name} has been started before; make a new Node")
        loop = asyncio.get_running_loop()
        limit = self._max_mailbox
        self._local = node = LocalNode(
            self.name,
            secrets.randbelow(2**32 - 4) + 4,  # as in OTP, 0 to 3 are never used
            loop,
            exit_grace=self._exit_grace,
            copier=strict_copy if self._strict else None,
            max_mailbox=(limit, 0) if isinstance(limit, int) else limit,
        )
        self._outside = Guest(node, node.new_pid(), None, "outside of any process")
        self._outside.extras().trap_exit = True
        self._outside._mailbox = ClosedMailbox()  # nobody receives for it: the ends of what scripts link go nowhere
        node.voice = self._outside

    async def _close(self) -> None:
        """The orderly end."""
        node, outside = self._local, self._outside
        if node is None or outside is None or node.closed:
            return
        remove_fallback(outside)
        if self._body is not None and current.get(None) is self._body[0]:
            self._body[0].leave()  # the body itself asks for the end: it does not end the body
        outside.leave("shutdown")
        await node.shut_down("shutdown", self._shutdown_timeout)

    async def __aenter__(self) -> Node:
        self._open()
        node = self._core
        task = asyncio.current_task()
        assert task is not None
        guest = Guest(node, node.new_pid(), task, f"the body of {self!r}")
        self._body = (guest, current.set(guest))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        assert self._body is not None
        guest, token = self._body
        current.reset(token)
        exiting = guest._extras.exiting if guest._extras is not None else UNSET
        left = exit_in(error) if error is not None else None
        if error is None or isinstance(error, asyncio.CancelledError):
            guest.leave("normal" if error is None else "shutdown")
        else:
            guest.leave(Crash.of(error) if left is None else left.reason)
        await self._close()
        if exiting is not UNSET and isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            raise Exited(guest.pid, exiting) from None
        if left is not None:
            if not (isinstance(left.reason, str) and left.reason in ("normal", "shutdown")):
                raise Exited(guest.pid, left.reason) from None
            return True
        return None

    # use

    @property
    def _core(self) -> LocalNode:
        if self._local is None or self._local.closed:
            raise NotInNode(f"{self!r}")
        return self._local

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs it."""
        return self._core.loop

    @overload
    def spawn(self, fn: api.Fn, /, *args: Any, name: str | None = ..., monitor: Literal[False] = ...) -> Pid: ...
    @overload
    def spawn(self, fn: api.Fn, /, *args: Any, name: str | None = ..., monitor: Literal[True]) -> tuple[Pid, Ref]: ...
    def spawn(self, fn: api.Fn, /, *args: Any, name: str | None = None, monitor: bool = False) -> Pid | tuple[Pid, Ref]:
        """`bp.spawn` on this node, from code of any kind and on any thread."""
        voice = self._voice()
        with _speaking(voice):
            if monitor:
                return api.spawn(fn, *args, name=name, monitor=True)
            return api.spawn(fn, *args, name=name)

    def run(self, fn: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> Handle[T]:
        """Run `fn(*args)` as a process of this node. Its value; its exception is raised here.

        Exited is raised when it ended by an exit signal. Cancelling the handle ends the process.
        """
        node = self._core
        if node.thread == threading.get_ident():
            return Pending(self._run(fn, args))
        return api.submit(self._voice(), lambda: fn(*args), describe(fn))

    async def _run(self, fn: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> T:
        node = self._core
        process, _ = node.spawn(fn, args, self._voice())
        process.extras().quiet = True  # its failure is raised here, so it is not logged as well
        ended: asyncio.Future[None] = node.loop.create_future()
        process.add_done_callback(lambda _: None if ended.done() else ended.set_result(None))
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            if process.alive:
                process.begin_exit("shutdown")
            await ended
            raise
        value: T = outcome(process)
        return value

    def _voice(self) -> Process:
        node = self._core
        process = current.get(None)
        if process is not None and process.node is node and not process.dead:
            return process
        assert self._outside is not None
        return self._outside

    def trace(self, tracer: Tracer | None) -> None:
        """Call `tracer(event, pid, detail)` for each spawn, send, exit and long_mailbox of this node; None ends it."""
        node = self._core
        if node.thread == threading.get_ident():
            node.trace(tracer)
        else:
            node.loop.call_soon_threadsafe(node.trace, tracer)

    def statistics(self) -> dict[str, int]:
        """Counts of processes, steps, ticks, timers, names and zombies."""
        return self._core.statistics()

    def stop(self) -> Handle[None]:
        """End the node in order: see the module. Stopping it again waits for the same end.

        A node of `start` also ends its thread.
        """
        if self._thread is None:
            return Pending(self._close())
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended.add_done_callback(lambda _: done.set_result(None) if done.set_running_or_notify_cancel() else None)
        self._ask_to_stop()
        return ThreadHandle(self._core_loop(), done, lambda: None, f"the stop of {self.name}")

    def _ask_to_stop(self) -> None:
        asked = self._stop_asked
        if asked is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
                self._core_loop().call_soon_threadsafe(asked.set)

    def _core_loop(self) -> asyncio.AbstractEventLoop:
        assert self._local is not None
        return self._local.loop

    def __enter__(self) -> Node:
        if self._thread is None:
            raise BeampyError("use `async with bp.Node(name)`, or `with bp.start(name)`")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop().result()

    def __repr__(self) -> str:
        state = "new" if self._local is None else "stopped" if self._local.closed else "running"
        return f"<Node {self.name} {state}>"


@contextlib.contextmanager
def _speaking(voice: Process) -> Iterator[None]:
    token = current.set(voice)
    try:
        yield
    finally:
        current.reset(token)


GC_THRESHOLDS = (10_000, 20, 50)  # Python's own are (700, 10, 10): for programs with few objects


@overload
def run(
    main: Callable[..., Coroutine[Any, Any, T]],
    /,
    *args: Any,
    name: str | None = ...,
    tune_gc: bool = ...,
    exit_grace: float = ...,
    shutdown_timeout: float = ...,
    strict: bool = ...,
    max_mailbox: int | tuple[int, int] | None = ...,
) -> T: ...
@overload
def run(main: type, /, *args: Any, name: str | None = ..., tune_gc: bool = ..., **options: Any) -> None: ...
def run(main: Any, /, *args: Any, name: str | None = None, tune_gc: bool = True, **options: Any) -> Any:
    """Run a program: a node whose first process is `main(*args)`. Returns its value, raises its exception.

    `main` is an async function, or an application's root: a Supervisor class, which then runs until it ends.
    When it ends everything else is ended in order. SIGTERM and SIGINT (Ctrl-C) do the same; after SIGINT
    KeyboardInterrupt is raised, as by asyncio.run. `options` are those of `Node`. uvloop runs it where installed.

    `tune_gc`: while the program runs, Python's cyclic garbage collector leaves out what has been imported and looks
    less often. A process is a few objects that it tracks; with its own thresholds it would go through all of them
    every few hundred spawns (measured: two to three times slower with 100 000 processes). False leaves it alone.

    >>> async def main():
    ...     return 6 * 7
    >>> bp.run(main)
    42
    """
    if asyncio._get_running_loop() is not None:
        raise BeampyError(
            "bp.run() starts an event loop, and one runs here already (a notebook?): "
            "use `async with bp.Node(name):`, or bp.start(name)"
        )
    with _tuned_gc(tune_gc), asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_run_program(Node(name, **options), main, args))


@contextlib.contextmanager
def _tuned_gc(wanted: bool) -> Iterator[None]:
    before = gc.get_threshold()
    if not wanted or 0 in before[:1]:  # 0: somebody has turned the collector off
        yield
        return
    freeze = gc.get_freeze_count() == 0  # else somebody has frozen what they want frozen
    if freeze:
        gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if freeze:
            gc.unfreeze()
            gc.collect()  # what the run leaves is cyclic, and would be frozen by the next run


async def _run_program(node: Node, main: Any, args: tuple[Any, ...]) -> Any:
    node._open()
    loop = asyncio.get_running_loop()
    terminated = False
    this = asyncio.current_task()

    def terminate() -> None:
        nonlocal terminated
        if terminated:
            return  # the orderly end is under way, and has a deadline
        terminated = True
        if this is not None:
            this.cancel()

    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not on every platform or thread
        loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        if isinstance(main, type):
            return await node._run(_root, (main, args))
        return await node._run(main, args)
    except asyncio.CancelledError:
        if terminated and this is not None:
            this.uncancel()
            return None
        raise
    finally:
        await node._close()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.remove_signal_handler(signal.SIGTERM)


async def _root(root: Any, args: tuple[Any, ...]) -> None:
    """The first process of an application: starts the root and ends with it."""
    api.trap_exit(True)
    started = await root.start_link(*args)
    pid = getattr(started, "pid", started)
    while True:
        message = await api.receive()
        if isinstance(message, Exit):
            if message.pid != pid and api.is_alive(pid):
                api.exit(pid, message.reason)
                await api.receive(lambda m: isinstance(m, Exit) and m.pid == pid)
            api.exit(message.reason)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's loop where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def start(name: str | None = None, **options: Any) -> Node:
    """Start a node on a thread and loop of its own and return when it runs. `options` are those of `Node`.

    Code that is no process (a script, a notebook cell, any thread) then speaks through it: `bp.spawn`, `bp.send`
    and calls work there, and what takes time returns a Handle. End it with `node.stop().result()` or use it as
    a `with` block; at the end of the interpreter it is stopped as well.

    >>> with bp.start("script") as node:
    ...     counter = Counter.start(0).result()
    ...     counter.add(5).result()
    5
    """
    node = Node(name, **options)
    ready: concurrent.futures.Future[None] = concurrent.futures.Future()

    async def live() -> None:
        try:
            node._open()
            node._stop_asked = asyncio.Event()
            assert node._outside is not None
            add_fallback(node._outside)
        except Exception as error:
            ready.set_exception(error)  # raised at the caller of start
            return
        ready.set_result(None)
        try:
            await node._stop_asked.wait()
        finally:
            await node._close()

    def body() -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(live())
        finally:
            node._ended.set_result(None)

    thread = threading.Thread(target=body, name=f"beampy {node.name}", daemon=True)
    node._thread = thread
    thread.start()
    ready.result()
    _stop_at_exit(node)
    return node


_started: weakref.WeakSet[Node] = weakref.WeakSet()


def _stop_at_exit(node: Node) -> None:
    """End the node before the interpreter tears threads down."""
    if not hasattr(_stop_at_exit, "registered"):
        threading._register_atexit(_stop_all)  # type: ignore[attr-defined]
        _stop_at_exit.registered = True  # type: ignore[attr-defined]
    _started.add(node)


def _stop_all() -> None:
    """Stop the nodes that nobody has stopped. No new thread can be started any more, and no wait is for ever."""
    for node in list(_started):
        if node._thread is not None and not node._ended.done():
            node._ask_to_stop()
            node._thread.join(node._shutdown_timeout + 1)
            if node._thread.is_alive():
                log.error("%r did not stop: code of one of its processes does not return to the event loop", node)


class _Pickler(pickle.Pickler):
    """Pickles a message; identities stay what they are."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.kept: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        if obj.__class__ is Pid or obj.__class__ is Ref:
            self.kept.append(obj)
            return len(self.kept) - 1
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, kept: list[Any]) -> None:
        super().__init__(file)
        self.kept = kept

    def persistent_load(self, pid: Any) -> Any:
        return self.kept[pid]


def strict_copy(message: Any) -> Any:
    """A copy of a message, as it would arrive on another node. EncodeError when it cannot travel."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(message)
    except Exception as cause:
        raise EncodeError(f"a {type(message).__name__}", f"{cause}") from cause
    file.seek(0)
    return _Unpickler(file, pickler.kept).load()


__all__ = ["Node", "new_event_loop", "run", "start", "strict_copy"]
