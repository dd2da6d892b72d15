"""Who speaks: the process that a verb acts for, and the way to its node's loop."""

from __future__ import annotations

import concurrent.futures
from threading import get_ident
from typing import TYPE_CHECKING, TypeVar

from beampy.core.current import here
from beampy.errors import NotInNode, NotInProcess
from beampy.handle import LOOP_CHECK

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process

T = TypeVar("T")


def _me(verb: str) -> Process:
    """The current process, on its own thread."""
    process = here(verb)
    if process._thread == 0 and process.dead:
        raise NotInProcess(verb, "a process that has ended")
    return process


def _on_loop(process: Process) -> bool:
    return process.node.thread == get_ident()


def _ask(process: Process, fn: Callable[[], T]) -> T:
    """Run `fn` where the node's tables may be touched: here, or on the node's thread, waiting for it."""
    if _on_loop(process):
        return fn()
    answer: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            answer.set_result(fn())
        except BaseException as error:
            answer.set_exception(error)

    try:
        process.node.loop.call_soon_threadsafe(work)
    except RuntimeError:
        raise NotInNode("this verb") from None
    while not answer.done():
        # The loop may be closed between taking the work and doing it.
        concurrent.futures.wait((answer,), LOOP_CHECK)
        if not answer.done() and process.node.loop.is_closed():
            raise NotInNode("this verb")
    return answer.result()
