"""Spawning: a new process, here or on another node."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, overload

from beampy.api.calls import submit
from beampy.api.voice import _ask, _me, _on_loop
from beampy.core.functions import describe
from beampy.core.ids import full_name
from beampy.handle import Handle, Pending

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref
    from beampy.core.process import Process

Fn = Callable[..., Coroutine[Any, Any, Any]]


@overload
def spawn(
    fn: Fn,
    /,
    *args: Any,
    node: None = ...,
    name: str | None = ...,
    link: bool = ...,
    monitor: Literal[False] = ...,
    trap_exit: bool = ...,
    max_mailbox: int | tuple[int, int] | None = ...,
) -> Pid: ...
@overload
def spawn(
    fn: Fn,
    /,
    *args: Any,
    monitor: Literal[True],
    node: None = ...,
    name: str | None = ...,
    link: bool = ...,
    trap_exit: bool = ...,
    max_mailbox: int | tuple[int, int] | None = ...,
) -> tuple[Pid, Ref]: ...
@overload
def spawn(
    fn: Fn,
    /,
    *args: Any,
    node: str,
    name: str | None = ...,
    link: bool = ...,
    monitor: Literal[False] = ...,
    trap_exit: bool = ...,
    max_mailbox: int | tuple[int, int] | None = ...,
) -> Handle[Pid]: ...
@overload
def spawn(
    fn: Fn,
    /,
    *args: Any,
    node: str,
    monitor: Literal[True],
    name: str | None = ...,
    link: bool = ...,
    trap_exit: bool = ...,
    max_mailbox: int | tuple[int, int] | None = ...,
) -> Handle[tuple[Pid, Ref]]: ...
def spawn(
    fn: Fn,
    /,
    *args: Any,
    node: str | None = None,
    name: str | None = None,
    link: bool = False,
    monitor: bool = False,
    trap_exit: bool = False,
    max_mailbox: int | tuple[int, int] | None = None,
) -> Any:
    """Start a process that runs the async function `fn(*args)`. Its pid; with `monitor=True`, (pid, ref).

    `name` registers it (NameTaken), `link` links it with the current process, `trap_exit` makes exit signals
    arrive as messages: all of it before its first line runs. It inherits a copy of the context variables.
    `max_mailbox` is a number of messages, or (messages, bytes): over it the process is killed and that is logged;
    without it a mailbox has no limit, as in Erlang. Keyword arguments go in with functools.partial.

    With `node` it starts there, and what is returned is a Handle of the same: it takes a round trip. `fn` and `args`
    travel (EncodeError), and so does the code of `fn`; installed packages must be there, or see `Node(packages=)`. The
    handle raises what the other node says, or NodeDown. The process inherits no context variables then, and prints
    where it runs. Cancelling the handle ends it ("abandoned").

    Raises BadFunction when `fn` is not an async function.

    >>> async def worker(n): bp.send("main", n * 2)
    >>> pid = bp.spawn(worker, 21)
    >>> pid = await bp.spawn(shop.worker, 21, node="b@10.0.0.2")
    """
    parent = _me("spawn")
    if node is not None:
        options = {"name": name, "link": link, "monitor": monitor, "trap_exit": trap_exit, "max_mailbox": max_mailbox}
        return _spawn_at(parent, node, fn, args, {key: value for key, value in options.items() if value})
    if parent._thread == get_ident() and max_mailbox is None:
        process, ref = parent.node.spawn(fn, args, parent, name, link, monitor, trap_exit)
        return process.pid if ref is None else (process.pid, ref)

    def work() -> tuple[Process, Ref | None]:
        return parent.node.spawn(
            fn,
            args,
            parent,
            name=name,
            link=link,
            monitor=monitor,
            trap_exit=trap_exit,
            max_mailbox=max_mailbox,
        )

    process, ref = _ask(parent, work)
    return process.pid if ref is None else (process.pid, ref)


def _spawn_at(parent: Process, node: str, fn: Fn, args: tuple[Any, ...], options: dict[str, Any]) -> Handle[Any]:
    node = full_name(node)
    if not _on_loop(parent):
        return submit(
            parent, lambda: _spawn_at(parent, node, fn, args, options), f"spawn of {describe(fn)}", speaking=True
        )
    if node != parent.node.name:
        return parent.node.remote.spawn(parent, node, fn, args, options)

    async def here() -> Any:
        process, ref = parent.node.spawn(fn, args, parent, **options)
        return process.pid if ref is None else (process.pid, ref)

    return Pending(here())


@overload
def spawn_link(fn: Fn, /, *args: Any, node: None = ..., name: str | None = ...) -> Pid: ...
@overload
def spawn_link(fn: Fn, /, *args: Any, node: str, name: str | None = ...) -> Handle[Pid]: ...
def spawn_link(fn: Fn, /, *args: Any, node: str | None = None, name: str | None = None) -> Any:
    """`spawn(…, link=True)`: when one of the two ends abnormally, so does the other."""
    return spawn(fn, *args, node=node, name=name, link=True)


@overload
def spawn_monitor(fn: Fn, /, *args: Any, node: None = ..., name: str | None = ...) -> tuple[Pid, Ref]: ...
@overload
def spawn_monitor(fn: Fn, /, *args: Any, node: str, name: str | None = ...) -> Handle[tuple[Pid, Ref]]: ...
def spawn_monitor(fn: Fn, /, *args: Any, node: str | None = None, name: str | None = None) -> Any:
    """`spawn(…, monitor=True)`: a Down under the ref arrives when it ends.

    >>> pid, ref = bp.spawn_monitor(worker, 1)
    >>> down = await bp.receive(bp.Down)
    >>> down.ref == ref, down.reason
    (True, 'normal')
    """
    return spawn(fn, *args, node=node, name=name, monitor=True)
