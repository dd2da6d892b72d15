"""The end of a kernel: its nodes say goodbye, if there is time for it.

Rule: what makes runners end is that their connection with this process is gone, however it ends; nothing here is
needed for that. A kernel that is shut down or restarted is told before, on its control thread, even while a cell
computes: then nodes are stopped in order, so that other nodes learn that it was meant, and hooks of pools run. That
takes PATIENCE seconds at most, after which the kernel ends as it would have. Whoever uses beampy after that gets
NotInNode: no node is brought up while a kernel ends.

Place: around `kernel.do_shutdown`. In a terminal there is none; nodes are stopped when the interpreter ends.
"""

from __future__ import annotations

import inspect
import sys
import time
from typing import TYPE_CHECKING, Any

from beampy.core.current import fallback
from beampy.notebook import first_use

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.runtime.node import Node

PATIENCE = 0.8  # seconds; jupyter_client waits 5 for all of a kernel's end, and the user who restarts waits with it
SLACK = 0.2  # seconds for the thread of a node to end, when the node has


def install(shell: Any) -> Callable[[], object]:
    """Stop nodes when this kernel is shut down."""
    kernel: Any = getattr(shell, "kernel", None)
    before = getattr(kernel, "do_shutdown", None)
    if before is None:
        return lambda: None

    async def awaited(restart: bool) -> Any:
        end_all(restart)
        return await before(restart)

    def called(restart: bool) -> Any:
        end_all(restart)
        return before(restart)

    do_shutdown = awaited if inspect.iscoroutinefunction(before) else called
    kernel.do_shutdown = do_shutdown

    def undo() -> None:
        if kernel.__dict__.get("do_shutdown") is do_shutdown:
            del kernel.do_shutdown

    return undo


def end_all(restart: bool = False) -> None:
    """The kernel ends: stop its nodes, and bring up no other. Tables of frames become their first page, so that this is
    what is saved; not at a restart, when JupyterLab has forgotten what it showed.
    """
    first_use.close()
    tables = sys.modules.get("beampy.notebook.table")
    if tables is not None and not restart:
        tables.close_all()
    stop_all(PATIENCE)


def stop_all(seconds: float) -> list[str]:
    """Stop the nodes of this process that have threads of their own, all at once, within `seconds`. Their names."""
    nodes = own_nodes()
    for node in nodes:
        node._shutdown_timeout = min(node._shutdown_timeout, seconds)  # the end of the interpreter asks for it again
        node._ask_to_stop()
    until = time.monotonic() + seconds + SLACK
    for node in nodes:
        if node._thread is not None:
            node._thread.join(max(0.0, until - time.monotonic()))
    return [node.name for node in nodes]


def own_nodes() -> list[Node]:
    """The nodes that speak for code of this process, the oldest first."""
    return [outside.node.owner for outside in fallback()]
