"""`%beampy`: what there is of beampy in this kernel, in a few lines; `%beampy stop` ends it.

    %beampy
    node  notebook-5fd0a1c2@localhost (hidden), answers in 0.2 ms
          connected: b@localhost over unix
    pool  pool-355b30: 2 of at most 4 runners, 3 calls running, 12 waiting, 100 done, 1 of them failed
          runner-1 up, 2 calls · runner-2 booting
    code  1.2 kB of functions and classes of cells; modules: helpers, tools

Rule: it shows, and starts nothing. Whatever does not answer in time is said to be so.

Place: above first_use.py and ends.py. What is shown is a Status, which is plain values; how, is `text`.
"""

from __future__ import annotations

import concurrent.futures
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beampy.notebook import ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.pool.live_view import View
    from beampy.pool.manager import Manager
    from beampy.runtime.node import Node

ANSWER = 1.0  # seconds that the node's loop has to answer; it takes less than one thousandth of that
STOP = 5.0  # seconds for everything to end: a call that does not stop is killed with its runner then
SHOWN = 20  # runners, connections and modules that are shown by name

NOTHING = "no node of beampy's runs here; the first use starts one"
USAGE = "%beampy shows what runs; %beampy stop ends it"


def install(shell: Any) -> Callable[[], object]:
    """Add the magic."""
    from IPython.core.error import UsageError

    def beampy(line: str) -> None:
        """Show what runs of beampy in this kernel; `%beampy stop` ends it: nodes, pools and their runners."""
        word = line.strip()
        if word == "stop":
            sys.stdout.write(f"{stop()}\n")
        elif word in ("", "status"):
            sys.stdout.write(f"{text(look())}\n")
        else:
            raise UsageError(f"there is no {word!r}: {USAGE}")

    def complete(_shell: Any, event: Any) -> list[str]:
        return ["status", "stop"]

    shell.register_magic_function(beampy, "line", "beampy")
    shell.set_hook("complete_command", complete, str_key="%beampy")

    def undo() -> None:
        shell.magics_manager.magics["line"].pop("beampy", None)

    return undo


@dataclass
class NodeStatus:
    """A node. `answered`: seconds until its loop did; None: not in time."""

    name: str
    hidden: bool
    answered: float | None
    connections: list[dict[str, Any]] = field(default_factory=list)
    pools: list[View] = field(default_factory=list)


@dataclass
class Status:
    """What there is. `definitions`: bytes of the functions and classes of cells that have travelled; `modules`: the
    names of those.
    """

    nodes: list[NodeStatus] = field(default_factory=list)
    definitions: int = 0
    modules: list[str] = field(default_factory=list)


def look() -> Status:
    """How it is now. On any thread but those of nodes."""
    nodes = [status_of(node) for node in ends.own_nodes()]
    return Status(nodes, *shipped()) if nodes else Status()


def status_of(node: Node) -> NodeStatus:
    """One node, asked on its loop."""
    hidden = bool(node._net and (node._net["hidden"] or not node._net["listen"]))
    found = NodeStatus(node.name, hidden, None)
    answer: concurrent.futures.Future[tuple[list[dict[str, Any]], list[View]]] = concurrent.futures.Future()

    def ask() -> None:
        try:
            answer.set_result((node.connections(), [view_of(manager) for manager in managers_on(node)]))
        except Exception as error:
            answer.set_exception(error)

    began = time.perf_counter()
    try:
        node.loop.call_soon_threadsafe(ask)
        found.connections, found.pools = answer.result(ANSWER)
        found.answered = time.perf_counter() - began
    except Exception:  # it is busy, or ends just now: that is what is shown
        found.answered = None
    runners = tuple(f"{view.pool}-" for view in found.pools)
    found.connections = [each for each in found.connections if not each["node"].startswith(runners)]
    return found


def managers_on(node: Node) -> list[Manager]:
    """The pools that work there, in the order of their names."""
    from beampy.pool.pool import pools

    found = {pool._manager for pool in list(pools)} - {None}
    return sorted((one for one in found if one is not None and one.node is node._local), key=lambda one: one.name)


def view_of(manager: Manager) -> View:
    """A pool, on its loop."""
    from beampy.pool.viewing import Viewer

    return Viewer(manager).view()


def shipped() -> tuple[int, list[str]]:
    """What others have of this process: bytes of definitions, and which modules."""
    from beampy.code.classify import LOCAL
    from beampy.code.origin import here
    from beampy.code.table import table

    records = here()._records._records
    modules = sorted(name for name, record in list(records.items()) if record.kind == LOCAL and record.version)
    return table().size, modules


def stop() -> str:
    """End all nodes, with their pools."""
    names = ends.stop_all(STOP)
    return f"stopped {', '.join(names)}; the next use starts anew" if names else NOTHING


# how it is shown


def text(status: Status) -> str:
    """A Status in lines."""
    if not status.nodes:
        return NOTHING
    lines = []
    for node in status.nodes:
        answers = "does not answer" if node.answered is None else f"answers in {node.answered * 1000:.1f} ms"
        lines.append(f"node  {node.name}{' (hidden)' if node.hidden else ''}, {answers}")
        if node.connections:
            lines.append(f"      connected: {listed([connection(each) for each in node.connections])}")
        for view in node.pools:
            lines += pool(view)
    if status.definitions or status.modules:
        lines.append(f"code  {code(status)}")
    return "\n".join(lines)


def connection(each: dict[str, Any]) -> str:
    """One connected node."""
    waits = f", {each['queued']} bytes wait" if each["queued"] else ""
    return f"{each['node']} over {each['carrier']}{waits}{', stalled' if each['stalled'] else ''}"


def pool(view: View) -> list[str]:
    """A pool, and its runners."""
    up = sum(runner.state == "up" for runner in view.runners)
    failed = f", {view.failed} of them failed" if view.failed else ""
    cancelled = f", {view.cancelled} cancelled" if view.cancelled else ""
    lines = [
        f"pool  {view.pool}: {up} of at most {view.max} runners, {view.running} calls running, "
        f"{view.waiting} waiting, {view.finished - view.cancelled} done{failed}{cancelled}"
    ]
    if view.runners:
        each = [f"{one.name} {one.state}{f', {one.busy} calls' if one.busy else ''}" for one in view.runners]
        lines.append(f"      {listed(each, ' · ')}")
    return lines


def code(status: Status) -> str:
    """What has travelled."""
    parts = [f"{status.definitions / 1000:.1f} kB of functions and classes of cells"] if status.definitions else []
    if status.modules:
        parts.append(f"modules: {listed(status.modules)}")
    return "; ".join(parts)


def listed(words: list[str], between: str = ", ") -> str:
    """The first of them, and how many there are more."""
    more = len(words) - SHOWN
    return between.join(words[:SHOWN]) + (f" and {more} more" if more > 0 else "")
