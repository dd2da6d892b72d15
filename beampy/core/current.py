"""Which process is running: the one piece of ambient state, a context variable.

Every process runs in its own copy of its spawner's context, in which `current` is the process. So `self()` is
right in the process, in the asyncio tasks it starts and in the threads it hands work to, because all of these
copy the context. Outside of any process there is at most one node to fall back on: the one `bp.start` made. Where
there is none, `bring_up` makes one, if somebody has put a function there: a notebook does.

The value is a Process (or a Guest, which is one too); this file only holds the variable.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

from beampy.errors import NotInNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process

current: ContextVar[Process] = ContextVar("beampy_process")

_fallback: list[Process] = []  # the outside process of each node of bp.start, the latest last
bring_up: Callable[[], Process] | None = None  # makes a node where there is none, and gives its outside process


def add_fallback(outside: Process) -> None:
    """From now on, code with no process of its own speaks for `outside`."""
    _fallback.append(outside)


def remove_fallback(outside: Process) -> None:
    """Undo `add_fallback`."""
    if outside in _fallback:
        _fallback.remove(outside)


def here(verb: str, dest: object = None) -> Process:
    """The current process, or who speaks for code that has none. NotInNode where there is neither.

    Of several nodes of `bp.start`, the one where the pid `dest` lives speaks; otherwise the latest.
    """
    process = current.get(None)
    if process is not None:
        return process
    where = getattr(dest, "node", None)
    if where is not None:
        for outside in _fallback:
            if outside.node.name == where:
                return outside
    if _fallback:
        return _fallback[-1]
    if bring_up is not None:
        return bring_up()
    raise NotInNode(verb)


def fallback() -> tuple[Process, ...]:
    """The outside process of each node of `bp.start`, the latest last."""
    return tuple(_fallback)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fallback.clear)  # the threads of these nodes are not in the child
