"""How a process ends, and what it owes to others then.

    it returns                      normal
    exit(reason) in it              that reason
    an exception                    a Crash, reported once through logging
    an exit signal                  CancelledError at its next await; it may clean up, with awaits, for the node's
                                    exit_grace; the reason is the signal's whatever the cleanup does
    kill                            at once: Down and EXIT go out, the name is free, then the coroutine is closed.
                                    Code that eats the closing is a zombie: reported, never stepped again, and
                                    what it sends is dropped

The order at the end is fixed: everything that others can look up is released before anybody hears of it.

Benchmark: benchmarks/spawn.py.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Any

from beampy.core.extras import UNSET
from beampy.core.ids import Pid
from beampy.core.mailbox import ClosedMailbox
from beampy.core.report import crash_report
from beampy.core.request import Request
from beampy.core.signals import (
    CANCELLED,
    KILL,
    KILLED,
    NORMAL,
    Crash,
    DemonitorSignal,
    Exit,
    ExitSignal,
    on_exit_signal,
    safe_repr,
)
from beampy.core.state import DEAD, NOT_WAITING
from beampy.errors import Exited, ProcessExit

if TYPE_CHECKING:
    from types import TracebackType

    from beampy.core.extras import Extras
    from beampy.core.process import Process

log = logging.getLogger("beampy.process")

STEPPING = ("beampy.core.scheduler", "beampy.core.process")  # whose frames are at the top of each traceback
NO_CONTEXT = Context()  # of processes that have ended

ASYNC_GENERATOR_STEPS = ("async_generator_asend", "async_generator_athrow")  # what `async for` awaits

CLOSE_TRIES = 100  # awaits in nested cleanups that a kill breaks through before the code counts as a zombie


def take_exit(process: Process, signal: ExitSignal) -> None:
    """An exit signal: drop it, make it a message, or end."""
    extras = process.extras()
    kills = not signal.link and isinstance(signal.reason, str) and signal.reason == KILL
    if signal.link and not extras.links.take_exit(signal.sender):
        return  # unlinked meanwhile
    if extras.exiting is not UNSET:
        # The first reason stands, but a kill ends the time to clean up: then the cleanup was cut, and that shows.
        if kills:
            process.kill(extras.exiting if isinstance(process._interrupt, asyncio.CancelledError) else KILLED)
        return
    effect, reason = on_exit_signal(
        signal.reason,
        link=signal.link,
        trapping=extras.trap_exit,
        from_self=signal.sender == process.pid,
    )
    if effect == "message":
        process.deliver(Exit(signal.sender, reason))
    elif effect == "die":
        if kills:
            process.kill()
        else:
            process.begin_exit(reason)


def begin_exit(process: Process, reason: Any) -> None:
    """End for `reason`: CancelledError at the next await, and `exit_grace` seconds to clean up."""
    extras = process.extras()
    extras.exiting = reason
    extras.cancels += 1  # so that a timeout or a task group that ends in the same tick lets it pass
    process._mailbox = ClosedMailbox()
    process._interrupt = asyncio.CancelledError(f"exit signal: {safe_repr(reason)}")
    process.node.deadlines.add(process.node.exit_grace, process)
    process.wake_for_interrupt()


def grace_over(process: Process) -> None:
    """The end of the grace period: what still cleans up is killed."""
    if not process.dead:
        log.error(
            "%r did not end within %s s of its exit signal and is killed",
            process,
            process.node.exit_grace,
        )
        process.kill()


def kill(process: Process, reason: Any) -> None:
    """End now, whatever it does. Others see it gone at once; its coroutine is closed at its next turn."""
    if process.dead:
        return
    process.extras().exiting = reason
    running = is_running(process)
    finished = not running and not closable(process)
    end(process, reason, None, None)
    if finished:
        return
    process._interrupt = DEAD
    if not running:
        waiter, process._fut_waiter = process._fut_waiter, None
        if waiter is not None:
            if isinstance(waiter, Request) and waiter._waiter is process:
                waiter._waiter = None
            else:
                waiter.remove_done_callback(process._wakeup)
            process.node.cancel_soon(waiter)
        process._waiting = NOT_WAITING
        process._scheduler.push(process)


def is_running(process: Process) -> bool:
    """Whether its code is what runs at this moment."""
    return bool(getattr(process._coro, "cr_running", False))


def closable(process: Process) -> bool:
    """Whether its coroutine has not ended yet."""
    return getattr(process._coro, "cr_frame", None) is not None


def returned(process: Process, value: Any) -> None:
    """The coroutine has returned."""
    exiting = process._extras.exiting if process._extras is not None else UNSET
    end(process, NORMAL if exiting is UNSET else exiting, value, None)


def raised(process: Process, error: BaseException) -> None:
    """The coroutine has raised."""
    if process.dead:
        return
    extras = process._extras
    reason: Any
    if extras is not None and extras.exiting is not UNSET:
        reason = extras.exiting
        if not isinstance(error, (asyncio.CancelledError, ProcessExit)):
            log.error(
                "%s: its cleanup after exit signal %s failed",
                process,
                safe_repr(reason),
                exc_info=error,
            )
        else:
            error.__traceback__ = None  # it tells no more than the reason, and its frames may have the process
    elif (left := exit_in(error)) is not None:
        reason, error = left.reason, left
    elif isinstance(error, asyncio.CancelledError):
        reason = CANCELLED
    else:
        # In its own context: the error's str(), and what logging adds to a record, are its code and its data.
        reason = process._context.run(_crash, process, error)
    if isinstance(error, ProcessExit):  # exit(…) is no failure: nobody asks where it was said
        error.__traceback__ = error.__context__ = error.__cause__ = None
    else:
        error.__traceback__ = _from_its_code(error.__traceback__)
    end(process, reason, None, error)


def _from_its_code(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without what steps processes: those frames have the process, which has the error, so all that the
    process had would wait for the gc."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_globals["__name__"] in STEPPING:
        trace = trace.tb_next
    return trace


def exit_in(error: BaseException) -> ProcessExit | None:
    """The exit that an error is: itself, or what a task group has wrapped with nothing else in it."""
    if isinstance(error, ProcessExit):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    exits, others = error.split(ProcessExit)
    first: BaseException | None = exits
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first if others is None and isinstance(first, ProcessExit) else None


def _crash(process: Process, error: BaseException) -> Crash:
    try:
        crash = Crash.of(error)
    except BaseException as broken:  # an exception whose own methods end programs must not end this one
        crash = Crash(type(error).__name__, f"<its str() raised {type(broken).__name__}>", "", error)
    if process._extras is None or not process._extras.quiet:
        _report(process, crash)
    return crash


def _report(process: Process, reason: Crash) -> None:
    try:
        log.error("%s", crash_report(process, reason))
    except BaseException:  # a behaviour's part of the report is its author's code
        log.exception("%r crashed: %s; and its report failed", process.pid, reason)


def close(process: Process) -> None:
    """Close the coroutine of a killed process, breaking through awaits in its cleanup.

    From the innermost coroutine outwards: closing the outermost alone would end it while the inner ones, which
    await in their cleanup, stay behind half closed.
    """
    if process in process.node.zombies:
        return
    tries = CLOSE_TRIES
    while closable(process) and tries:
        part = _innermost(process._coro)
        step: Any = getattr(part, "cr_await", None)
        try:
            if type(step).__name__ in ASYNC_GENERATOR_STEPS:
                try:
                    process._context.run(step.throw, GeneratorExit)  # its close() would not reach the generator
                except (GeneratorExit, StopAsyncIteration):
                    pass
                except BaseException as error:  # of the generator's cleanup: it has ended, and its reader not yet
                    log.error("%s: failed while it was closed", process, exc_info=error)
            process._context.run(part.close)
        except BaseException as error:
            if _suspended(part):
                tries -= 1  # "coroutine ignored GeneratorExit": it awaits in its cleanup, or eats the closing
            else:
                log.error("%s: failed while it was closed", process, exc_info=error)
    if tries:
        process._context = NO_CONTEXT
        return
    process.node.zombies.append(process)
    log.error(
        "%r was killed but its code goes on: it caught the closing %d times (an `except BaseException` or bare "
        "`except` around an await). It is a zombie: it never runs again and what it sends is dropped",
        process,
        CLOSE_TRIES,
    )


def _innermost(part: Any) -> Any:
    """The innermost of the coroutines and generators that await each other, as far as they show."""
    while True:
        awaited = getattr(part, "cr_await", None) or getattr(part, "gi_yieldfrom", None)
        if not _suspended(awaited):
            return part
        part = awaited


def _suspended(part: Any) -> bool:
    return (getattr(part, "cr_frame", None) or getattr(part, "gi_frame", None)) is not None


def end(process: Process, reason: Any, value: Any, error: BaseException | None) -> None:
    """Release what others can look up, then tell them. Runs once."""
    node = process.node
    pid = process.pid
    node.forget(process)
    process._thread = 0  # what its code still sends goes the slow way, where it is dropped
    process._mailbox = None
    if not closable(process):
        process._context = NO_CONTEXT  # the context holds the process: without this both would wait for the gc
    extras = process._extras
    if extras is not None:
        extras.outcome = (value, error)
        extras.report_note = None  # a behaviour's: it has the state, which goes now and not with the next gc
        try:
            _release(process, extras)
        except Exception:  # others hear of the end whatever becomes of what the process held
            log.exception("%r: could not give up all it held", process)
        for peer in extras.links.active():
            node.route_signal(ExitSignal(pid, peer, reason, True))
        extras.links.links.clear()
    watchers, process._watchers = process._watchers, None
    if watchers:
        for ref, watcher in watchers.items():
            node.route_down(pid, watcher, ref, reason)
    if extras is not None and extras.callbacks:
        for fn, context in extras.callbacks:
            node.loop.call_soon(fn, process, context=context)
        extras.callbacks = None


def _release(process: Process, extras: Extras) -> None:
    """Give up what the process held: tasks, timers, aliases, calls, monitors."""
    node = process.node
    if extras.exiting is not UNSET:
        node.deadlines.drop(node.exit_grace, process)
    for task in list(extras.tasks or ()):
        task.cancel()
    for ref in list(extras.timers or ()):
        node.timers.cancel(ref)
    for ref in list(extras.aliases or ()):
        process.drop_alias(ref)
    for request in list(extras.requests or ()):
        request.cancel()
    monitors = extras.links.monitors
    for ref, monitor in monitors.items():
        target = monitor if isinstance(monitor, Pid) else monitor.target
        node.route_signal(DemonitorSignal(process.pid, target, ref))
    monitors.clear()


def outcome(process: Process) -> Any:
    """The value of an ended process; raises what it raised, or Exited."""
    value, error = process._outcome()
    extras = process.extras()
    if isinstance(error, ProcessExit):
        if isinstance(error.reason, str) and error.reason in ("normal", "shutdown"):
            return None
        raise Exited(process.pid, error.reason)
    if extras.exiting is not UNSET:
        raise Exited(process.pid, extras.exiting)
    if error is not None:
        raise error
    return value
