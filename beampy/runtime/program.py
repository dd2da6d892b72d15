"""`bp.run(main)`: a program as a node, its first process, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from typing import TYPE_CHECKING, Any, TypeVar, overload

from beampy import api
from beampy.core.signals import Exit
from beampy.errors import BeampyError
from beampy.runtime.loops import new_event_loop
from beampy.runtime.node import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

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
    **options: Any,
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
        await node._join()
        if node._cut_off is not None:
            node._cut_off.add_done_callback(lambda _: terminate())  # who started it is gone: nobody can reach it again
        if isinstance(main, type):
            return await node._run(_root, (main, args))
        return await node._run(main, args)
    except asyncio.CancelledError:
        if terminated and this is not None:
            this.uncancel()
            return None
        raise
    finally:
        terminated = True  # the end is under way, whoever asks for it now
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
