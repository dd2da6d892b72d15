"""What takes time: requests to other processes, and work done for other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from beampy.api.voice import _me, _on_loop
from beampy.core.current import current, here
from beampy.core.ending import outcome
from beampy.core.extras import UNSET
from beampy.core.request import Request
from beampy.core.standin import exist
from beampy.errors import NotInNode
from beampy.handle import Handle, Pending, ThreadHandle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from beampy.core.node import LocalNode
    from beampy.core.process import Process

T = TypeVar("T")
P = ParamSpec("P")


def request(dest: Any, timeout: float | None = 5.0) -> Request:
    """A call in flight to `dest`, before its message is sent: send yours with `.ref` as the address of the answer.

    This is what `call` and every behaviour's client functions are made of. Awaiting it gives what is sent to
    `.ref`, or raises NoProcess, ServerExited, CallTimeout, NodeDown or CallingSelf.

    >>> pending = bp.request(pid)
    >>> bp.send(pid, ("get", pending.ref))
    >>> value = await pending
    """
    return Request(_me("call"), dest, timeout)


def timed(fn: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Handle[T]]:
    """Make an async function a public call that takes time: it returns a Handle.

    On the node's own loop the handle is the coroutine itself, to be awaited. On any other thread the function is
    started at once, as a process of the node that speaks for the caller: what it starts is the caller's.
    """

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        me = here(fn.__name__)
        if _on_loop(me):
            return Pending(fn(*args, **kwargs))
        return submit(me, functools.partial(fn, *args, **kwargs), fn.__qualname__, speaking=True)

    return call


def submit(voice: Process, fn: Callable[[], Awaitable[T]], what: str, *, speaking: bool = False) -> ThreadHandle[T]:
    """Run `await fn()` as a process of `voice`'s node, from another thread.

    With `speaking` its verbs are `voice`'s: what it links stays linked when it has ended, which is soon.
    """
    node = voice.node
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    started: list[Process] = []

    async def work() -> T:
        call = fn()
        if isinstance(call, Request) and (seen := itself()) is not None:
            seen.work = weakref.ref(call)
            del seen  # a failure has this frame in its traceback: they are not to keep each other
        return await call

    def ended(process: Any) -> None:
        if process.extras().exiting is UNSET and isinstance(process._outcome()[1], asyncio.CancelledError):
            future.cancel()  # the work was, by somebody else
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(outcome(process))
        except BaseException as error:
            future.set_exception(error)
        process.extras().outcome = None  # whatever keeps the process, as tasks with its context do, is not to keep this

    def start() -> None:
        try:
            process, _ = node.spawn(work, (), voice)
        except BaseException as error:
            future.set_exception(error)
            return
        if speaking:
            process._context.run(current.set, voice)
        process.extras().quiet = True  # its failure is raised at whoever takes the result
        process.extras().label = what
        process.add_done_callback(ended)
        started.append(process)

    def stop() -> None:
        if started and started[0].alive:
            started[0].begin_exit("shutdown")

    handle = ThreadHandle(node.loop, future, lambda: _post(node, stop), what)
    itself = weakref.ref(handle)
    try:
        node.loop.call_soon_threadsafe(start)
    except RuntimeError:
        raise NotInNode(what) from None
    return handle


def later(
    voice: Process, args: Sequence[Any], kwargs: dict[str, Any], fn: Callable[[], Awaitable[T]], what: str
) -> Handle[T]:
    """`await fn()` when the arguments exist that do not yet. Their failure is that of the call, which is not made."""

    async def work() -> T:
        await exist(args, kwargs)
        return await fn()

    return Pending(work()) if _on_loop(voice) else submit(voice, work, what, speaking=True)


def _post(node: LocalNode, fn: Callable[[], None]) -> None:
    try:
        node.loop.call_soon_threadsafe(fn)
    except RuntimeError:  # the loop has been closed: there is nothing left to stop
        return
