"""Looking at a node from outside: its processes, what keeps it busy, and what happens on it.

Rule: these functions run on the node that is looked at, called from another one (`bp.remote_call(node, "beampy.otp.
inspect:processes")`), and answer with plain dicts, which releases may extend. Looking must not hurt: a node of many
processes is read in slices between which it goes on, answers have a limit, and traced events have a rate.

Place: what the `beampy` command and dashboards show. The same for people who are on the node is debug.py's. Where to
look is only ever the node's own tables: nothing here sends a message to a process, so none can hang.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.ids import Pid
from beampy.core.info import memory, process_info, status
from beampy.core.mailbox import length
from beampy.core.signals import safe_repr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from beampy.core.node import LocalNode
    from beampy.core.process import Process

SLICE = 200  # processes looked at before the others run; each takes a few µs, and a tick of the scheduler is 1 ms
SHOWN = 200  # characters of a value in a line: as wide as a wide terminal
RATE = 1000  # traced events a second that are told; nobody reads more
EXAMINED = 20  # times as many are looked at where only those that match are told
BATCH = 0.05  # seconds between two messages of traced events: below what a person sees as a delay

Row = dict[str, Any]

KEYS: dict[str, Callable[[Process], Any]] = {
    "pid": lambda process: process.pid.serial,
    "name": lambda process: _name(process),
    "status": lambda process: status(process),
    "messages": lambda process: length(process._mailbox),
    "steps": lambda process: process._steps,
    "memory": lambda process: memory(process),
}
LARGEST_FIRST = frozenset({"messages", "steps", "memory"})


# the table of processes


async def processes(by: str = "pid", limit: int = 100) -> Row:
    """The processes of this node, sorted by a key of KEYS, at most `limit` rows (0: all).

    {"node": its name, "processes": how many there are, "rows": [one dict each]}.
    """
    if by not in KEYS:
        raise ValueError(f"processes: by is one of {', '.join(KEYS)}, not {by!r}")
    node = api.self_process().node
    found = await _first(node, KEYS[by], by in LARGEST_FIRST, limit)
    return {"node": node.name, "processes": len(node.processes), "rows": await _rows(found)}


async def _first(node: LocalNode, key: Callable[[Process], Any], largest: bool, limit: int) -> list[Process]:
    """The first processes in an order, without the one that looks; among equals the older ones."""
    me = api.self_process()
    sort = heapq.nlargest if largest else heapq.nsmallest
    first: list[tuple[Any, int, Process]] = []
    async for some in _slices(list(node.processes.values())):
        first += [
            (key(process), -process.pid.serial if largest else process.pid.serial, process)
            for process in some
            if not process.dead and process is not me
        ]
        if limit:
            first = sort(limit, first)  # of a few: all of a large node at once takes a tenth of a second
    return [process for _, _, process in sorted(first, reverse=largest)]


async def _slices(processes: list[Process]) -> AsyncIterator[list[Process]]:
    """The same in pieces, between which the others run."""
    for at in range(0, len(processes), SLICE):
        yield processes[at : at + SLICE]
        await asyncio.sleep(0)


async def _rows(found: list[Process]) -> list[Row]:
    return [row(process) async for some in _slices(found) for process in some if not process.dead]


def row(process: Process) -> Row:
    """One process as plain values."""
    info = process_info(process)
    return {
        "pid": info.pid.serial,
        "name": info.registered_name,
        "label": None if info.label is None else _short(info.label),
        "initial_call": info.initial_call,
        "current_function": info.current_function,
        "status": info.status,
        "messages": info.message_queue_len,
        "steps": info.reductions,
        "memory": info.memory,
        "links": [_short(pid) for pid in info.links],
        "monitors": len(info.monitors),
        "monitored_by": len(info.monitored_by),
        "trap_exit": info.trap_exit,
        "tasks": info.tasks,
    }


def _name(process: Process) -> str:
    extras = process._extras
    if extras is not None and extras.name is not None:
        return str(extras.name)
    return process.initial_call() if extras is None or extras.label is None else _short(extras.label)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else safe_repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


# what keeps it busy


async def load(interval: float = 1.0, by: str = "steps", limit: int = 20) -> AsyncIterator[Row]:
    """What the node did in each `interval` (seconds), and the processes that did most of it; for ever.

    Totals and rates of the node, and "rows": those of `processes` with "steps_per_s" added. The first comes after
    one interval. `by`: steps (in the interval), messages or memory.
    """
    if by not in ("steps", "messages", "memory"):
        raise ValueError(f"load: by is steps, messages or memory, not {by!r}")
    node = api.self_process().node
    before, at = await _counts(node), _now()
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(interval)
        now = _now()
        lag = now["wall"] - begun - interval  # how late the loop came back to a timer
        counts = await _counts(node)
        seconds = max(now["wall"] - at["wall"], 1e-9)
        steps = before["steps"]

        def stepped(process: Process, steps: dict[int, int] = steps) -> int:
            return process._steps - steps.get(process.pid.serial, 0)

        busiest = await _first(node, stepped if by == "steps" else KEYS[by], True, limit)
        rates = {process.pid.serial: round(stepped(process) / seconds, 1) for process in busiest}
        yield {
            "node": node.name,
            "os_pid": os.getpid(),
            "interval": round(seconds, 3),
            "lag": round(max(0.0, lag), 4),
            "cpu": round((now["cpu"] - at["cpu"]) / seconds, 3),
            "rss": _resident(),
            "nodes": api.nodes("visible"),
            "steps_per_s": round((counts["total"] - before["total"]) / seconds, 1),
            "spawned_per_s": round((counts["spawned"] - before["spawned"]) / seconds, 1),
            **{key: value for key, value in node.statistics().items() if key not in ("deadlines", "steps", "ticks")},
            "rows": [{**one, "steps_per_s": rates[one["pid"]]} for one in await _rows(busiest)],
        }
        before, at = counts, now


async def _counts(node: LocalNode) -> dict[str, Any]:
    steps: dict[int, int] = {}
    async for some in _slices(list(node.processes.values())):
        steps.update({process.pid.serial: process._steps for process in some})
    return {"steps": steps, "total": node.scheduler.steps, "spawned": node.spawned}


def _now() -> dict[str, float]:
    return {"wall": time.perf_counter(), "cpu": time.process_time()}


def _resident() -> int | None:
    """Bytes of memory of this Python process; None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(200).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


# what happens on it


class Tracing:
    """The tracer of a node while somebody watches: it tells each of them, and itself of no watcher."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.before = node.tracer  # the tracer that was there, which goes on
        self.watchers: dict[Pid, Watcher] = {}

    def __call__(self, event: str, pid: Pid, detail: Any) -> None:
        if self.before is not None:
            self.before(event, pid, detail)
        if pid in self.watchers:
            return  # what a watcher sends would be seen by another one, and what that one sends by the first
        for watcher in list(self.watchers.values()):
            watcher.take(event, pid, detail)


class Watcher:
    """One who watches: a filter, a bounded buffer, and a rate."""

    def __init__(self, node: LocalNode, events: Iterable[str], match: str, rate: int) -> None:
        self.node = node
        self.events = frozenset(events)
        self.match = match
        self.rate = rate
        self.told = self.examined = float(rate)
        self.at = time.monotonic()
        self.kept: deque[Row] = deque()
        self.dropped = 0

    def take(self, event: str, pid: Pid, detail: Any) -> None:
        """An event. Where there are too many it is only counted."""
        if event not in self.events:
            return
        now = time.monotonic()
        more, self.at = (now - self.at) * self.rate, now
        self.told = min(self.rate, self.told + more)
        self.examined = min(EXAMINED * self.rate, self.examined + EXAMINED * more)
        if self.told < 1 or self.examined < 1:
            self.dropped += 1
            return
        self.examined -= 1
        seen = told(self.node, event, pid, detail)
        if self.match and not any(self.match in text for text in seen.values() if isinstance(text, str)):
            return
        self.told -= 1
        self.kept.append(seen)

    def taken(self) -> tuple[list[Row], int]:
        """What has come since the last time, and how many were too many."""
        events, self.kept = list(self.kept), deque()
        dropped, self.dropped = self.dropped, 0
        return events, dropped


def told(node: LocalNode, event: str, pid: Pid, detail: Any) -> Row:
    """One event as plain values: when (seconds since 1970), who, to whom, what."""
    to: Any = None
    if event == "send" and isinstance(detail, tuple) and len(detail) == 2:
        to, detail = detail
    elif event == "spawn":
        to, detail = detail, ""
    return {
        "at": time.time(),
        "event": event,
        "pid": _short(pid),
        "name": _called(node, pid),
        "to": None if to is None else _short(to),
        "to_name": _called(node, to),
        "detail": "" if event in ("spawn", "exit") else _short(safe_repr(detail)),
    }


def _called(node: LocalNode, who: Any) -> str | None:
    """What a process of this node is called; None for anything else, and when it has ended."""
    process = node.processes.get(who.serial) if who.__class__ is Pid and node.is_mine(who) else None
    return None if process is None else _name(process)


async def trace(
    events: Iterable[str] = ("spawn", "send", "exit", "long_mailbox"), match: str = "", rate: int = RATE
) -> AsyncIterator[tuple[list[Row], int]]:
    """What happens on this node, as (events, how many were left out), until the reader stops.

    Any number may watch at once, beside a tracer of the node's own. Sends of all processes take a slower path
    meanwhile; when the last one stops, the node is as it was.
    """
    me = api.self_process()
    node = me.node
    tracing = node.tracer
    if not isinstance(tracing, Tracing):
        tracing = Tracing(node)
        node.trace(tracing)
    watcher = tracing.watchers[me.pid] = Watcher(node, events, match, rate)
    try:
        yield [], 0  # from here on nothing is missed
        while True:
            await asyncio.sleep(BATCH)
            if watcher.kept or watcher.dropped:
                yield watcher.taken()
    finally:
        tracing.watchers.pop(me.pid, None)
        if not tracing.watchers and node.tracer is tracing:
            node.trace(tracing.before)
