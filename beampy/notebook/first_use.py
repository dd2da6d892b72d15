"""The node of a kernel: brought up by the first use, on a thread and a loop of its own, so that cells do not stop it.

    import beampy as bp
    pool = bp.Pool(max=4)
    await pool.call(work)          # here the node `notebook-5fd0a1c2@localhost` starts

Rule: there is one in a process, whoever asks first, on any thread; who comes meanwhile waits for the same. It has a
name, so that it can connect with nodes that have names; it is hidden and does not listen, so nobody finds it, and
nothing of it is written anywhere. `bp.start(name)` in a cell makes the user's own node, which then speaks instead. A
forked child makes one of its own.

Place: core/current.py asks here where code that is no process has no node. It does not know what it is used for.
"""

from __future__ import annotations

import os
import secrets
import threading
from typing import TYPE_CHECKING, Any

from beampy.core import current
from beampy.errors import NotInNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process
    from beampy.runtime.node import Node

NAME_BYTES = 4  # of a name that nobody else of this host has: two of 10 000 notebooks meet once in a hundred times

SHUTDOWN = 0.8  # seconds that everything has to end with it: a kernel that is restarted is waited for

_lock = threading.Lock()
_node: Node | None = None
_closed = False  # the kernel ends


def install(shell: Any) -> Callable[[], object]:
    """From now on code that is no process finds a node."""
    before, current.bring_up = current.bring_up, bring_up

    def undo() -> None:
        current.bring_up = before

    return undo


def bring_up() -> Process:
    """The node of this process, which is made now if there is none: who speaks for it."""
    from beampy.runtime import start  # what a node is made of is loaded when there is one

    global _node
    with _lock:
        node = running()
        if node is None:
            if _closed:
                raise NotInNode("beampy, while the kernel ends")
            name = f"notebook-{secrets.token_hex(NAME_BYTES)}@localhost"
            _node = node = start(name, hidden=True, listen=False, shutdown_timeout=SHUTDOWN)
        assert node._outside is not None
        return node._outside


def close() -> None:
    """No other node is brought up in this process."""
    global _closed
    _closed = True


def running() -> Node | None:
    """The node that was brought up here, while it runs."""
    node = _node
    return None if node is None or node._local is None or node._local.closed else node


def _forked() -> None:
    global _lock, _node, _closed
    _lock = threading.Lock()
    _node = None
    _closed = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
