"""Small tools for tests of processes: run a body as a process, and say what must, or must not, arrive.

Waits here have a deadline, so that a test that would hang fails with what was in the mailbox instead.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from beampy import api
from beampy.core.info import process_info
from beampy.core.mailbox import messages
from beampy.core.signals import Down, safe_repr
from beampy.errors import ReceiveTimeout
from beampy.runtime import Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from beampy.core.ids import Pid
    from beampy.testing.substrate import Substrate

T = TypeVar("T")

DEADLINE = 5.0  # seconds to wait for something that must come
QUIET = 0.05  # seconds in which something that must not come would have come

substrate: Substrate | None = None  # where `run` puts processes; None: all on one node. A test's set-up says it


async def run(fn: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **options: Any) -> T:
    """Run `fn(*args)` as a process of a node made for it on this loop. Its value; its error is raised here.

    The node is stopped at the end, whatever happened. `options` are those of `bp.Node`. Under a `substrate` there are
    two nodes, and the body's children are on the other one.

    >>> async def test_echo():
    ...     async def body():
    ...         bp.send(bp.self(), "hi")
    ...         await harness.expect("hi")
    ...     await harness.run(body)
    """
    async with _nodes(options) as nodes:
        node = nodes[0]
        notes = getattr(node.loop, "deadlock_notes", None)  # the simulator's, which knows tasks but not processes
        if notes is None:
            return await node.run(fn, *args)

        def note() -> list[str]:
            return [line for each in nodes for line in waiting(each)]

        notes.append(note)
        try:
            return await node.run(fn, *args)
        finally:
            notes.remove(note)


@contextlib.asynccontextmanager
async def _nodes(options: dict[str, Any]) -> AsyncIterator[list[Node]]:
    """The nodes of a run, the body's first."""
    if substrate is None:
        async with Node(**options) as node:
            yield [node]
    else:
        async with substrate.nodes(**options) as nodes:
            yield nodes


def waiting(node: Node) -> list[str]:
    """A line for each process of a node: who it is, and where it waits."""
    found = [process_info(process) for process in node._core.processes.values()]
    return [f"{info.pid!r} {info.label or info.initial_call}: {info.current_function}" for info in found]


async def expect(pattern: Any, timeout: float = DEADLINE) -> Any:
    """The message that matches `pattern` (as in `receive`; another value matches what equals it); fails without one."""
    structural = isinstance(pattern, (type, tuple)) or callable(pattern)
    try:
        return await api.receive(pattern if structural else lambda message: message == pattern, timeout=timeout)
    except ReceiveTimeout:
        waiting = ", ".join(safe_repr(m) for m in messages(api.self_process()._mailbox)) or "nothing"
        raise AssertionError(
            f"no message like {safe_repr(pattern)} within {timeout} s; in the mailbox: {waiting}"
        ) from None


async def nothing(pattern: Any = None, timeout: float = QUIET) -> None:
    """Fail if a message (that matches `pattern`) is there or comes within `timeout` seconds."""
    missing = object()
    message = await api.receive(pattern, timeout=timeout, default=missing)
    if message is not missing:
        raise AssertionError(f"an unexpected message: {safe_repr(message)}")


def flush() -> list[Any]:
    """Empty the mailbox of the current process; what was in it, oldest first."""
    me = api.self_process()
    waiting = messages(me._mailbox)
    if waiting:
        me.selective_mailbox().clear()
        me.selective_mailbox().saved.clear()
    return waiting


async def ended(pid: Pid, timeout: float = DEADLINE) -> Any:
    """Wait for the end of a process; its exit reason ("noproc" when it had ended before)."""
    ref = api.monitor(pid)
    down = await expect(lambda m: isinstance(m, tuple) and getattr(m, "ref", None) == ref, timeout)
    return down.reason


async def arrived(pid: Pid) -> None:
    """Wait until what the current process has sent to `pid` has taken effect there. On its own node it has."""
    if pid.node != api.node():
        ref = api.monitor(("nobody", pid.node))  # it is answered there after what went before it
        await expect(lambda m: isinstance(m, Down) and m.ref == ref)
