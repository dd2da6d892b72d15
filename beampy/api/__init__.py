"""The verbs: what a process says, as module-level functions. `import beampy as bp` shows them all.

Each is a short hop to the current process's node. They work in a process, in asyncio tasks that a process
starts (there they speak for the process), and in threads it hands work to, or after `bp.start`, in any thread:
from another thread a verb is carried to the node's loop, in order.

Rule: plain `def` never blocks; what waits is awaited.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from beampy.api.calls import later as later
from beampy.api.calls import request, timed
from beampy.api.calls import submit as submit
from beampy.api.connections import connect, disconnect, monitor_node, monitor_nodes, node, nodes, ping
from beampy.api.spawning import Fn as Fn
from beampy.api.spawning import spawn, spawn_link, spawn_monitor
from beampy.api.voice import _ask as _ask
from beampy.api.voice import _me as _me
from beampy.api.voice import _on_loop as _on_loop
from beampy.core.current import current as current
from beampy.core.current import here
from beampy.core.ids import Pid, Ref, is_destination
from beampy.core.info import ProcessInfo
from beampy.core.info import ancestors as _ancestors
from beampy.core.info import process_info as _info
from beampy.core.mailbox import mailbox, receive
from beampy.core.send import send
from beampy.core.signals import Down, Timeout, safe_repr
from beampy.errors import BadDestination, BadName, BadRef, NotLocal, ProcessExit

if TYPE_CHECKING:
    from beampy.core.node import LocalNode
    from beampy.core.process import Process

AliasMode = Literal["explicit_unalias", "reply", "demonitor", "reply_demonitor"]

ALIAS_MODES = ("explicit_unalias", "reply")
MONITOR_ALIAS_MODES = ("explicit_unalias", "demonitor", "reply_demonitor")

__all__ = [
    "alias", "ancestors", "cancel_timer", "connect", "demonitor", "disconnect", "exit", "is_alive", "link",
    "mailbox", "monitor", "monitor_node", "monitor_nodes", "node", "node_pid", "nodes", "ping", "process_info",
    "processes", "receive", "register", "registered", "request", "self", "self_process", "send", "send_after",
    "set_label", "spawn", "spawn_link", "spawn_monitor", "start_timer", "timed", "trap_exit", "unalias", "unlink",
    "unregister", "whereis",
]  # fmt: skip


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
            me.discard(lambda m: m.__class__ is Down and m.ref == ref)
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
