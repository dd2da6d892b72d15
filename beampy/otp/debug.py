"""Looking into a running behaviour and stopping the clock for it, and at all processes of a node. OTP's sys, and i().

    await bp.debug.get_state("counter")            # {'n': 5}
    await bp.debug.suspend("counter")              # what is sent to it waits, until resume
    await bp.debug.trace("counter")                # log what it gets and answers
    print(await bp.debug.tree("app"))              # a supervisor's children, and theirs
    print(bp.debug.i(by="memory", limit=20))       # the processes of this node

Rule: the behaviour answers between two of its messages, in the order they came, without its author's doing. Asking
never ends it: what a function given to it raises is raised at the caller. A plain process does not answer at all:
CallTimeout. What a behaviour tells of itself, and when, is `otp/control.py`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from beampy import api
from beampy.core.ids import Pid
from beampy.core.info import ProcessInfo, process_info
from beampy.core.signals import safe_repr
from beampy.errors import CallFailed
from beampy.otp import gen
from beampy.otp.child import ChildInfo
from beampy.otp.control import Statistics, Status, Trace
from beampy.otp.gen import CALL_TIMEOUT
from beampy.otp.messages import Call
from beampy.otp.server import described

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("beampy.trace")


# one behaviour


@api.timed
async def get_state(server: Any, *, timeout: float | None = CALL_TIMEOUT) -> Any:
    """The state of a behaviour: of a Server its attributes, as a dict. Look at it, do not change it.

    >>> await bp.debug.get_state(counter)
    {'n': 5}
    """
    return await gen.system_request(server, "get_state", None, timeout)


@api.timed
async def replace_state(server: Any, fn: Callable[[Any], Any], *, timeout: float | None = CALL_TIMEOUT) -> Any:
    """Put `fn(state)` in the place of the state. The new state. When `fn` raises, the caller does, and nothing changes.

    >>> await bp.debug.replace_state(counter, lambda state: {**state, "n": 0})
    {'n': 0}
    """
    return await gen.system_request(server, "replace_state", fn, timeout)


@api.timed
async def get_status(server: Any, *, timeout: float | None = CALL_TIMEOUT) -> Status:
    """What it is, whether it runs or is suspended, who is its parent, who traces it, and its state."""
    status: Status = await gen.system_request(server, "get_status", None, timeout)
    return status


@api.timed
async def suspend(server: Any, *, timeout: float | None = CALL_TIMEOUT) -> None:
    """From now on it only answers the functions of this module; what else comes waits, in order."""
    await gen.system_request(server, "suspend", None, timeout)


@api.timed
async def resume(server: Any, *, timeout: float | None = CALL_TIMEOUT) -> None:
    """Go on after `suspend`. One resume ends any number of suspends."""
    await gen.system_request(server, "resume", None, timeout)


@api.timed
async def trace(server: Any, tracer: Trace | bool = True, *, timeout: float | None = CALL_TIMEOUT) -> None:
    """Call `tracer(event, detail)` in the server's process for each event; True logs them, False ends that.

    Events: "in" (a message), "out" ((call, answer)), "noreply" (a call to be answered later), "state" (a state
    machine's new state), "stop" (the reason). A tracer that returns "done" or raises is taken off. The log goes to
    the logger "beampy.trace", level INFO.

    >>> await bp.debug.trace(counter, lambda event, detail: seen.append(event))
    """
    if tracer is False:
        await gen.system_request(server, "no_trace", log_event, timeout)
    else:
        await gen.system_request(server, "trace", log_event if tracer is True else tracer, timeout)


@api.timed
async def no_trace(server: Any, tracer: Trace | None = None, *, timeout: float | None = CALL_TIMEOUT) -> bool:
    """Take off one tracer, or all of them. False when there was none to take off."""
    return bool(await gen.system_request(server, "no_trace", tracer, timeout))


@api.timed
async def statistics(
    server: Any, what: bool | Literal["get"] = "get", *, timeout: float | None = CALL_TIMEOUT
) -> Statistics | None:
    """Start counting its messages (True), stop (False), or get what was counted; None when nothing is.

    >>> await bp.debug.statistics(counter, True)
    >>> await counter.add(1)
    >>> (await bp.debug.statistics(counter)).messages_in
    1
    """
    counted: Statistics | None = await gen.system_request(server, "statistics", what, timeout)
    return counted


@api.timed
async def events(
    server: Any, what: bool | int | Literal["get"] = "get", *, timeout: float | None = CALL_TIMEOUT
) -> list[tuple[str, Any]] | None:
    """Keep its last events (True for 10, or how many), stop (False), or get them: (event, detail), oldest first.

    This is sys:log; the events are those of `trace`.
    """
    kept: list[tuple[str, Any]] | None = await gen.system_request(server, "log", what, timeout)
    return kept


def log_event(event: str, detail: Any) -> None:
    """The tracer of `trace(server, True)`."""
    if not log.isEnabledFor(logging.INFO):
        return
    match event, detail:
        case "in", _:
            text = f"got {described(detail)}"
        case "out", (Call(_, pid), value):
            text = f"answered {pid!r}: {safe_repr(value)}"
        case "noreply", _:
            text = f"will answer later the {described(detail)}"
        case "state", _:
            text = f"is now in {safe_repr(detail)}"
        case "stop", _:
            text = f"stops: {safe_repr(detail)}"
        case _:
            text = f"{event}: {safe_repr(detail)}"
    me = api.self_process()
    log.info("%s %r %s", me.describe(), me.pid, text)


# a supervisor and all below it


@api.timed
async def tree(supervisor: Any, *, limit: int | None = None, timeout: float | None = CALL_TIMEOUT) -> str:
    """A supervisor's children in the order they were started, and theirs, as text; at most `limit` of each.

    >>> print(await bp.debug.tree("app"))
    app <Pid nonode@nohost 3> App
    ├─ cache <Pid nonode@nohost 4> Cache
    └─ pool <Pid nonode@nohost 5> Pool
       └─ worker <Pid nonode@nohost 6> Worker
    """
    root = await get_status(supervisor, timeout=timeout)
    children = _children(root.state)
    if children is None:
        raise ValueError(f"tree: {supervisor!r} is no supervisor")
    name = "" if root.name is None else f"{root.name} "
    return "\n".join([f"{name}{root.pid!r} {root.behaviour}", *await _below(children, limit, timeout)])


def _children(state: Any) -> list[ChildInfo] | None:
    """The children in a supervisor's state, the first started first; None in the state of anything else."""
    children = state.get("children") if isinstance(state, dict) else None
    if not isinstance(children, list) or not all(isinstance(child, ChildInfo) for child in children):
        return None
    return children[::-1]


async def _below(children: list[ChildInfo], limit: int | None, timeout: float | None) -> list[str]:
    shown = children if limit is None else children[:limit]
    blocks = [await _block(child, limit, timeout) for child in shown]
    if len(shown) < len(children):
        blocks.append([f"… and {len(children) - len(shown)} more"])
    lines = []
    for block in blocks:
        first, rest = ("└─ ", "   ") if block is blocks[-1] else ("├─ ", "│  ")
        lines += [first + block[0], *(rest + line for line in block[1:])]
    return lines


async def _block(child: ChildInfo, limit: int | None, timeout: float | None) -> list[str]:
    """A child's line, and those below it."""
    name = child.id if isinstance(child.id, str) else safe_repr(child.id)
    if not isinstance(child.pid, Pid):
        return [f"{name} ({child.pid or 'stopped'})"]
    line = f"{name} {_title(child.pid)}"
    if child.type != "supervisor":
        return [line]
    try:
        children = _children(await get_state(child.pid, timeout=timeout))
    except CallFailed as failed:  # it is busy, or has ended meanwhile: the others are shown all the same
        return [f"{line} ({type(failed).__name__})"]
    return [line, *await _below(children or [], limit, timeout)]


def _title(pid: Pid) -> str:
    """A process for people: its pid and, on this node, its label."""
    info = api.process_info(pid) if pid.node == api.self().node else None
    label = "" if info is None else info.label or info.initial_call
    return f"{pid!r} {label}".rstrip()


# all processes


Column = Literal["pid", "name", "status", "messages", "reductions", "memory", "function"]

_COLUMNS: dict[str, Callable[[ProcessInfo], Any]] = {
    "pid": lambda info: info.pid.serial,
    "name": lambda info: info.registered_name or str(info.label or info.initial_call),
    "status": lambda info: info.status,
    "messages": lambda info: info.message_queue_len,
    "reductions": lambda info: info.reductions,
    "memory": lambda info: info.memory,
    "function": lambda info: _short(info.current_function),
}
_LARGEST_FIRST = ("messages", "reductions", "memory")


def i(*, by: Column = "pid", limit: int | None = None) -> str:
    """A table of the processes of this node, as text, sorted by a column: numbers but the pid's largest first.

    >>> print(bp.debug.i(by="messages", limit=10))
    """
    if by not in _COLUMNS:
        raise ValueError(f"i: by is one of {', '.join(_COLUMNS)}, not {by!r}")
    me = api.self_process()
    infos = api._ask(me, lambda: [process_info(process) for process in list(me.node.processes.values())])
    infos.sort(key=_COLUMNS[by], reverse=by in _LARGEST_FIRST)
    shown = infos if limit is None else infos[:limit]
    rows = [tuple(_COLUMNS), *(tuple(str(read(info)) for read in _COLUMNS.values()) for info in shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{me.node.name}: {len(infos)} processes"]
    for row in rows:
        cells = [
            cell.rjust(width) if name == "pid" or name in _LARGEST_FIRST else cell.ljust(width)
            for name, cell, width in zip(_COLUMNS, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    if len(shown) < len(infos):
        lines.append(f"… and {len(infos) - len(shown)} more")
    return "\n".join(lines)


def _short(function: str) -> str:
    """`current_function` with the file's name instead of its path."""
    name, _, place = function.partition(" (")
    return f"{name} ({place.replace(chr(92), '/').rpartition('/')[2]}" if place else name


__all__ = [
    "Statistics", "Status", "Trace", "events", "get_state", "get_status", "i", "no_trace", "replace_state", "resume",
    "statistics", "suspend", "trace", "tree",
]  # fmt: skip
