"""`bp.start(name)`: a node on a thread and loop of its own, for scripts and notebooks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import weakref
from typing import Any

from beampy.core.current import add_fallback
from beampy.runtime.loops import new_event_loop
from beampy.runtime.node import Node

log = logging.getLogger("beampy.node")


def start(name: str | None = None, **options: Any) -> Node:
    """Start a node on a thread and loop of its own and return when it runs. `options` are those of `Node`.

    Code that is no process (a script, a notebook cell, any thread) then speaks through it: `bp.spawn`, `bp.send`
    and calls work there, and what takes time returns a Handle. End it with `node.stop().result()` or use it as
    a `with` block; at the end of the interpreter it is stopped as well.

    >>> with bp.start("script") as node:
    ...     counter = Counter.start(0).result()
    ...     counter.add(5).result()
    5
    """
    node = Node(name, **options)
    ready: concurrent.futures.Future[None] = concurrent.futures.Future()
    left = threading.Event()  # by who started it, before it ran

    async def live() -> None:
        try:
            node._open()
            node._stop_asked = asyncio.Event()
            await node._join()
            if left.is_set():
                await node._close()
                return
            assert node._outside is not None
            add_fallback(node._outside)
        except Exception as error:
            ready.set_exception(error)  # raised at the caller of start
            return
        ready.set_result(None)
        try:
            await node._stop_asked.wait()
        finally:
            await node._close()

    def body() -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(live())
        finally:
            node._ended.set_result(None)

    thread = threading.Thread(target=body, name=f"beampy {node.name}", daemon=True)
    node._thread = thread
    try:
        thread.start()
        ready.result()
    except BaseException:  # it failed, or Ctrl-C
        left.set()
        node._ask_to_stop()
        raise
    _stop_at_exit(node)
    return node


_started: weakref.WeakSet[Node] = weakref.WeakSet()


def _stop_at_exit(node: Node) -> None:
    """End the node before the interpreter tears threads down."""
    if not hasattr(_stop_at_exit, "registered"):
        threading._register_atexit(_stop_all)  # type: ignore[attr-defined]
        _stop_at_exit.registered = True  # type: ignore[attr-defined]
    _started.add(node)


def _stop_all() -> None:
    """Stop the nodes that nobody has stopped. No new thread can be started any more, and no wait is for ever."""
    for node in list(_started):
        if node._thread is not None and not node._ended.done():
            node._ask_to_stop()
            node._thread.join(node._shutdown_timeout + 1)
            if node._thread.is_alive():
                log.error("%r did not stop: code of one of its processes does not return to the event loop", node)
