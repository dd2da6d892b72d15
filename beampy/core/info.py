"""What can be seen of a running process: `process_info`. Reading only; it stops nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beampy.core.mailbox import length, messages, weight

if TYPE_CHECKING:
    from beampy.core.ids import Pid
    from beampy.core.process import Process

SAMPLED = 1000  # messages looked at one by one for the memory figure; the rest is extrapolated


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A snapshot of one process, as OTP's process_info/1."""

    pid: Pid
    registered_name: str | None
    label: Any
    status: str
    """`running`, `runnable`, `waiting` (for anything), or `exiting` (cleaning up after an exit signal)."""
    initial_call: str
    current_function: str
    """`function (file:line)` of the innermost Python frame; what a C extension awaits is not seen."""
    message_queue_len: int
    links: tuple[Pid, ...]
    monitors: tuple[Any, ...]
    monitored_by: tuple[Pid, ...]
    trap_exit: bool
    reductions: int
    """How many times it was resumed."""
    memory: int
    """Bytes of the process, its coroutine, its frames and its mailbox; an estimate, one level deep."""
    tasks: int
    """asyncio tasks it started that still run."""
    ancestors: tuple[Pid, ...]


def process_info(process: Process) -> ProcessInfo:
    """Look at one process."""
    extras = process._extras
    links = extras.links if extras is not None else None
    return ProcessInfo(
        pid=process.pid,
        registered_name=extras.name if extras else None,
        label=extras.label if extras else None,
        status=status(process),
        initial_call=process.initial_call(),
        current_function=current_function(process),
        message_queue_len=length(process._mailbox) + (process._value is not None),
        links=tuple(links.active()) if links else (),
        monitors=tuple(getattr(m, "shown", m) for m in links.monitors.values()) if links else (),
        monitored_by=tuple((process._watchers or {}).values()),
        trap_exit=process.trap_exit,
        reductions=process._steps,
        memory=memory(process),
        tasks=len(extras.tasks or ()) if extras else 0,
        ancestors=ancestors(process),
    )


def status(process: Process) -> str:
    """What the process is doing."""
    if not process.alive:
        return "exiting"
    if process.get_coro() is None:
        return "waiting"  # a guest: its task is asyncio's to look at
    if process.owns_current_task():
        return "running"
    if process._waiting or process._fut_waiter is not None:
        return "waiting"
    return "runnable"


def ancestors(process: Process) -> tuple[Pid, ...]:
    """Who spawned it, who spawned that, and so on."""
    found = []
    lineage = process._lineage
    while lineage is not None:
        found.append(lineage[0])
        lineage = lineage[1]
    return tuple(found)


def _chain(process: Process) -> list[Any]:
    """The coroutines and generators that the process is suspended in, outermost first."""
    chain: list[Any] = []
    awaited: Any = process.get_coro()
    while awaited is not None and len(chain) < 1000:
        chain.append(awaited)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return chain


def current_function(process: Process) -> str:
    """Where it is: the innermost Python function of the user's, not of this package's receive."""
    best = process.initial_call()
    for part in _chain(process):
        frame = getattr(part, "cr_frame", None) or getattr(part, "gi_frame", None)
        if frame is None or frame.f_globals.get("__name__") == "beampy.core.mailbox":
            break
        best = f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"
    return best


def memory(process: Process) -> int:
    """About how many bytes the process holds."""
    total = sys.getsizeof(process) + sys.getsizeof(process.pid) + sys.getsizeof(process._context)
    total += sum(sys.getsizeof(part, 0) for part in _chain(process))
    if process._extras is not None:
        total += sys.getsizeof(process._extras)
    if process._mailbox is not None:
        waiting = messages(process._mailbox)
        total += sys.getsizeof(process._mailbox)
        if waiting:
            sample = waiting[:SAMPLED]
            total += sum(map(weight, sample)) * len(waiting) // len(sample)
    return total
