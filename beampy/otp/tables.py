"""Tables: what one process owns and every process of its node may read at once. OTP's ets, as little as is needed.

Rule: a table lives in its owner's context and goes with its owner, so a reader finds it through the owner's pid or
name and never through anything global. It is touched on the node's own thread only; code of other threads is
carried there. Not known here: what is in a table (`registry.py`, `groups.py`).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from beampy import api
from beampy.core.current import here
from beampy.core.ids import Pid
from beampy.errors import NoProcess, NotLocal

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_table: ContextVar[tuple[Pid, Any]] = ContextVar("beampy_table")


def own(table: Any) -> None:
    """The current process owns `table` from now on; it has no other."""
    _table.set((api.self(), table))


def table_of(owner: Pid | str, kind: type[T]) -> T:
    """The table of the process with this pid or name, on the node's own thread.

    Raises NoProcess when there is no such process, or it owns no table of this kind; NotLocal when it lives elsewhere.
    """
    node = here("table_of").node
    process = node.resolve(owner)
    if process is None:
        if owner.__class__ is Pid and node.is_remote(owner):
            raise NotLocal("a lookup", owner)
        raise NoProcess(owner)
    # A process spawned by an owner inherits its context, and with it a table that is not its own.
    pid, table = process._context.get(_table, (None, None))
    if pid != process.pid or not isinstance(table, kind):
        raise NoProcess(owner)
    return table


def on_node(verb: str, fn: Callable[[], T]) -> T:
    """`fn()`, run where tables may be touched: here and now on the node's thread, carried there from any other."""
    return api._ask(api._me(verb), fn)


def lives(pid: Pid) -> bool:
    """Whether a process may be handed out: a local one must be alive, of others only their node knows."""
    node = here("lives").node
    process = node.find(pid)
    return process.alive if process is not None else pid.node != node.name


__all__ = ["lives", "on_node", "own", "table_of"]
