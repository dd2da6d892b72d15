"""The verbs: what a process says, as module-level functions. `import beampy as bp` shows them all.

Each is a short hop to the current process's node. They work in a process, in asyncio tasks that a process
starts (there they speak for the process), and in threads it hands work to, or after `bp.start`, in any thread:
from another thread a verb is carried to the node's loop, in order.

Rule: plain `def` never blocks; what waits is awaited.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import Awaitable, Callable, Coroutine
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, TypeVar, overload

from beampy.core.current import current, here
from beampy.core.ending import outcome
from beampy.core.ids import Pid, Ref, is_destination
from beampy.core.info import ProcessInfo
from beampy.core.info import ancestors as _ancestors
from beampy.core.info import process_info as _info
from beampy.core.mailbox import mailbox, receive
from beampy.core.request import Request
from beampy.core.send import send
from beampy.core.signals import Down, Timeout, safe_repr
from beampy.errors import BadDestination, BadName, BadRef, NotInNode, NotInProcess, NotLocal, ProcessExit
from beampy.handle import LOOP_CHECK, Handle, Pending, ThreadHandle

if TYPE_CHECKING:
    from beampy.core.node import LocalNode
    from beampy.core.process import Process

T = TypeVar("T")
P = ParamSpec("P")

Fn = Callable[..., Coroutine[Any, Any, Any]]
AliasMode = Literal["explicit_unalias", "reply", "demonitor", "reply_demonitor"]

ALIAS_MODES = ("explicit_unalias", "reply")
MONITOR_ALIAS_MODES = ("explicit_unalias", "demonitor", "reply_demonitor")

__all__ = [
    "alias", "ancestors", "cancel_timer", "demonitor", "exit", "is_alive", "link", "mailbox", "monitor", "node_pid",
    "process_info", "processes", "receive", "register", "registered", "request", "self", "self_process", "send",
    "send_after", "set_label", "spawn", "spawn_link", "spawn_monitor", "start_timer", "timed", "trap_exit",
    "unalias", "unlink", "unregister", "whereis",
]  # fmt: skip


def _me(verb: str) -> Process:
    """The current process, on its own thread."""
    process = here(verb)
    if process._thread == 0 and process.dead:
        raise NotInProcess(verb, "a process that has ended")
    return process


def _on_loop(process: Process) -> bool:
    return process.node.thread == get_ident()


def _ask(process: Process, fn: Callable[[], T]) -> T:
    """Run `fn` where the node's tables may be touched: here, or on the node's thread, waiting for it."""
    if _on_loop(process):
        return fn()
    answer: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            answer.set_result(fn())
        except BaseException as error:
            answer.set_exception(error)

    try:
        process.node.loop.call_soon_threadsafe(work)
    except RuntimeError:
        raise NotInNode("this verb") from None
    while not answer.done():
        # The loop may be closed between taking the work and doing it.
        concurrent.futures.wait((answer,), LOOP_CHECK)
        if not answer.done() and process.node.loop.is_closed():
            raise NotInNode("this verb")
    return answer.result()


# who and what


def self() -> Pid:
    """The pid of the current process.

    >>> async def main(): return bp.self()
    >>> bp.run(main)
    <Pid nonode@nohost 2>
    """
    return here("self").pid


def self_process() -> Process:
    """The current process itself: for code that builds behaviours."""
    return _me("self")


def is_alive(pid: Pid) -> bool:
    """Whether a local process lives: not ended, and no exit signal is ending it. NotLocal for other nodes' pids."""
    pid = _pid(pid)
    node = _local("is_alive", pid)
    process = node.find(pid)
    return process is not None and process.alive


def processes() -> list[Pid]:
    """The pids of all processes of this node, also of those that are exiting."""
    node = here("processes").node
    return [process.pid for process in list(node.processes.values())]


def process_info(pid: Pid) -> ProcessInfo | None:
    """What a local process is doing; None when it has ended. NotLocal for other nodes' pids.

    >>> bp.process_info(bp.self()).message_queue_len
    0
    """
    pid = _pid(pid)
    node = _local("process_info", pid)
    process = node.find(pid)
    return None if process is None else _ask(process, lambda: _info(process))


def ancestors() -> tuple[Pid, ...]:
    """Who spawned the current process, who spawned that one, and so on."""
    return _ancestors(here("ancestors"))


def node_pid() -> Pid:
    """Who speaks for the node itself: its exit signals say that the node stops."""
    me = here("node_pid")
    voice: Process = me.node.voice
    return voice.pid


def set_label(label: Any) -> None:
    """Describe the current process in reports and process_info."""
    here("set_label").extras().label = label


def _local(verb: str, pid: Pid) -> LocalNode:
    node = here(verb).node
    if pid.node != node.name:
        raise NotLocal(verb, pid)
    return node


# spawning


@overload
def spawn(
    fn: Fn,
    /,
    *args: Any,
    name: str | None = ...,
    link: bool = ...,
    monitor: Literal[False] = ...,
    trap_exit: bool = ...,
    max_mailbox: int | tuple[int, int] | None = ...,
) -> Pid: ...
@overload
def spawn(
    fn: Fn,
    /,
    *args: Any,
    monitor: Literal[True],
    name: str | None = ...,
    link: bool = ...,
    trap_exit: bool = ...,
    max_mailbox: int | tuple[int, int] | None = ...,
) -> tuple[Pid, Ref]: ...
def spawn(
    fn: Fn,
    /,
    *args: Any,
    name: str | None = None,
    link: bool = False,
    monitor: bool = False,
    trap_exit: bool = False,
    max_mailbox: int | tuple[int, int] | None = None,
) -> Pid | tuple[Pid, Ref]:
    """Start a process that runs the async function `fn(*args)`. Its pid; with `monitor=True`, (pid, ref).

    `name` registers it (NameTaken), `link` links it with the current process, `trap_exit` makes exit signals
    arrive as messages: all of it before its first line runs. It inherits a copy of the context variables.
    `max_mailbox` is a number of messages, or (messages, bytes): over it the process is killed and that is logged;
    without it a mailbox has no limit, as in Erlang. Keyword arguments go in with functools.partial.

    Raises BadFunction when `fn` is not an async function.

    >>> async def worker(n): bp.send("main", n * 2)
    >>> pid = bp.spawn(worker, 21)
    """
    parent = _me("spawn")
    if parent._thread == get_ident() and max_mailbox is None:
        process, ref = parent.node.spawn(fn, args, parent, name, link, monitor, trap_exit)
        return process.pid if ref is None else (process.pid, ref)

    def work() -> tuple[Process, Ref | None]:
        return parent.node.spawn(
            fn,
            args,
            parent,
            name=name,
            link=link,
            monitor=monitor,
            trap_exit=trap_exit,
            max_mailbox=max_mailbox,
        )

    process, ref = _ask(parent, work)
    return process.pid if ref is None else (process.pid, ref)


def spawn_link(fn: Fn, /, *args: Any, name: str | None = None) -> Pid:
    """`spawn(…, link=True)`: when one of the two ends abnormally, so does the other."""
    return spawn(fn, *args, name=name, link=True)


def spawn_monitor(fn: Fn, /, *args: Any, name: str | None = None) -> tuple[Pid, Ref]:
    """`spawn(…, monitor=True)`: a Down under the ref arrives when it ends.

    >>> pid, ref = bp.spawn_monitor(worker, 1)
    >>> down = await bp.receive(bp.Down)
    >>> down.ref == ref, down.reason
    (True, 'normal')
    """
    return spawn(fn, *args, name=name, monitor=True)


# links, monitors, exits


@overload
def exit(reason: Any = ..., /) -> NoReturn: ...
@overload
def exit(pid: Pid, reason: Any, /) -> None: ...
def exit(*args: Any) -> None:
    """`exit(reason)` ends the current process; `exit(pid, reason)` sends an exit signal to another one.

    A signal with "normal" is ignored by others, one with "kill" cannot be trapped and shows as "killed". Other
    reasons end a process that does not trap exits: CancelledError at its next await (in exit(self(), …) itself, where
    a process says it to itself), and a grace period to clean up. A process that traps exits gets them as
    `Exit(pid, reason)` messages.
    """
    me = _me("exit")
    if len(args) == 2:
        to, reason = args
        to = getattr(to, "pid", to)
        if to.__class__ is not Pid:
            raise BadDestination(to)
        _ask(me, lambda: me.node.exit(me.pid, to, reason))
        if to == me.pid:
            me.obey()
        return
    if len(args) > 2:
        raise TypeError(f"exit() takes a reason, or a pid and a reason, and {len(args)} arguments were given")
    reason = args[0] if args else "normal"
    if me.owns_current_task():
        raise ProcessExit(reason)
    _ask(me, lambda: me.begin_exit(reason) if me.alive else None)
    raise asyncio.CancelledError(f"exit({safe_repr(reason)}) of the task's process")


def trap_exit(flag: bool = True) -> bool:
    """Whether exit signals become `Exit` messages for this process, from now on. Returns what it was."""
    extras = _me("trap_exit").extras()
    before, extras.trap_exit = extras.trap_exit, bool(flag)
    return before


def link(pid: Pid) -> bool:
    """Link with a process: each ends, or is told, when the other ends abnormally. Linking twice is linking once.

    A dead local process raises NoProcess, or arrives as Exit(pid, "noproc") where exits are trapped.
    """
    me = _me("link")
    _ask(me, lambda: me.node.link(me, _pid(pid)))
    return True


def unlink(pid: Pid) -> bool:
    """End a link. An Exit that is in the mailbox already stays there; none comes later."""
    me = _me("unlink")
    _ask(me, lambda: me.node.unlink(me, _pid(pid)))
    return True


def _pid(pid: Any) -> Pid:
    pid = getattr(pid, "pid", pid)
    if pid.__class__ is not Pid:
        raise BadDestination(pid)
    return pid


def monitor(target: Any, *, alias: AliasMode | None = None, tag: Any = None) -> Ref:
    """A `Down(ref, target, reason, tag)` will arrive when `target` (pid, name or (name, node)) ends; once.

    A target that is not alive gives "noproc" at once, an unreachable node "noconnection". With `alias` the ref is
    also an address for replies: until unalias ("explicit_unalias"), until the monitor is off ("demonitor"), or
    until the first reply, which takes the monitor off as well ("reply_demonitor").
    """
    me = _me("monitor")
    if alias is not None and alias not in MONITOR_ALIAS_MODES:
        raise ValueError(f"monitor: alias is one of {MONITOR_ALIAS_MODES}, not {alias!r}")
    return _ask(me, lambda: me.node.monitor(me, target, alias, tag))


def demonitor(ref: Ref, *, flush: bool = False) -> bool:
    """Take a monitor off; no Down comes later. True when it was on. `flush` also removes a Down that is waiting."""
    me = _me("demonitor")
    _check_ref("demonitor", ref)

    def work() -> bool:
        was_on = me.node.demonitor(me, ref)
        if flush and not was_on:
            me.selective_mailbox().discard(lambda m: m.__class__ is Down and m.ref == ref)
        return was_on

    return _ask(me, work)


def alias(mode: Literal["explicit_unalias", "reply"] = "explicit_unalias") -> Ref:
    """An address of the current process that can be taken back; with "reply" it is good for one message."""
    me = _me("alias")
    if mode not in ALIAS_MODES:
        raise ValueError(f"alias: mode is one of {ALIAS_MODES}, not {mode!r}")
    ref = me.node.new_ref()
    me.new_alias(ref, mode)
    return ref


def unalias(ref: Ref) -> bool:
    """Take an alias back: what is sent to it from now on is dropped. False when it was not active."""
    _check_ref("unalias", ref)
    return _me("unalias").drop_alias(ref)


def _check_ref(verb: str, ref: object) -> None:
    if not isinstance(ref, Ref):
        raise BadRef(verb, ref)


# names


def register(name: str, pid: Pid) -> None:
    """Give a local process a name. NameTaken, BadName, NoProcess; NotLocal for other nodes' pids."""
    node = _local("register", _pid(pid))
    _ask(here("register"), lambda: node.register(name, _pid(pid)))


def unregister(name: str) -> None:
    """Take a name away. NotRegistered when nobody has it."""
    me = here("unregister")
    _ask(me, lambda: me.node.unregister(name))


def whereis(name: str) -> Pid | None:
    """The pid registered under a name on this node."""
    if not isinstance(name, str):
        raise BadName("process", name, "a string")
    return here("whereis").node.registry.pids.get(name)


def registered() -> list[str]:
    """All names registered on this node."""
    return list(here("registered").node.registry.pids)


# time


def send_after(seconds: float, dest: Any, message: Any) -> Ref:
    """Send `message` to `dest` in `seconds`. The ref cancels it. A timer to a pid goes with the process.

    A name is looked up when the time has come; nothing happens when nobody has it then.
    """
    me = _me("send_after")
    return _start_timer(me, me.node.new_ref(), seconds, dest, message)


def start_timer(seconds: float, dest: Any, message: Any) -> Ref:
    """Like send_after, but what arrives is `Timeout(ref, message)`, so that a stale timeout can be told apart."""
    me = _me("start_timer")
    ref = me.node.new_ref()
    return _start_timer(me, ref, seconds, dest, Timeout(ref, message))


def _start_timer(me: Process, ref: Ref, seconds: float, dest: Any, message: Any) -> Ref:
    if not seconds >= 0:  # nor is nan
        raise ValueError(f"a timer runs for a number of seconds that is not negative, not {seconds!r}")
    if not is_destination(dest):
        raise BadDestination(dest)
    _ask(me, lambda: me.node.timers.start(ref, seconds, dest, message))
    return ref


def cancel_timer(ref: Ref) -> float | None:
    """The seconds that were left; None when it has gone off (its message may be in the mailbox) or never was."""
    me = _me("cancel_timer")
    _check_ref("cancel_timer", ref)
    return _ask(me, lambda: me.node.timers.cancel(ref))


# calls and handles


def request(dest: Any, timeout: float | None = 5.0) -> Request:
    """A call in flight to `dest`, before its message is sent: send yours with `.ref` as the address of the answer.

    This is what `call` and every behaviour's client functions are made of. Awaiting it gives what is sent to
    `.ref`, or raises NoProcess, ServerExited, CallTimeout, NodeDown or CallingSelf.

    >>> pending = bp.request(pid)
    >>> bp.send(pid, ("get", pending.ref))
    >>> value = await pending
    """
    return Request(_me("call"), dest, timeout)


def timed(fn: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Handle[T]]:
    """Make an async function a public call that takes time: it returns a Handle.

    On the node's own loop the handle is the coroutine itself, to be awaited. On any other thread the function is
    started at once, as a process of the node that speaks for the caller: what it starts is the caller's.
    """

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        me = here(fn.__name__)
        if _on_loop(me):
            return Pending(fn(*args, **kwargs))
        return submit(me, functools.partial(fn, *args, **kwargs), fn.__qualname__, speaking=True)

    return call


def submit(voice: Process, fn: Callable[[], Awaitable[T]], what: str, *, speaking: bool = False) -> ThreadHandle[T]:
    """Run `await fn()` as a process of `voice`'s node, from another thread.

    With `speaking` its verbs are `voice`'s: what it links stays linked when it has ended, which is soon.
    """
    node = voice.node
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    started: list[Process] = []

    async def work() -> T:
        return await fn()

    def ended(process: Any) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(outcome(process))
        except BaseException as error:
            future.set_exception(error)

    def start() -> None:
        try:
            process, _ = node.spawn(work, (), voice)
        except BaseException as error:
            future.set_exception(error)
            return
        if speaking:
            process._context.run(current.set, voice)
        process.extras().quiet = True  # its failure is raised at whoever takes the result
        process.extras().label = what
        process.add_done_callback(ended)
        started.append(process)

    def stop() -> None:
        if started and started[0].alive:
            started[0].begin_exit("shutdown")

    try:
        node.loop.call_soon_threadsafe(start)
    except RuntimeError:
        raise NotInNode(what) from None
    return ThreadHandle(node.loop, future, lambda: _post(node, stop), what)


def _post(node: LocalNode, fn: Callable[[], None]) -> None:
    try:
        node.loop.call_soon_threadsafe(fn)
    except RuntimeError:  # the loop has been closed: there is nothing left to stop
        return
