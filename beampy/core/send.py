"""`send`: the fast path of the whole system.

Rule: from a process to a local pid, on the node's own thread, a send is a few attribute loads and either a hand-over
to the receiver that waits or an append to its mailbox. Everything else (names, aliases, other nodes, other threads,
tracing, strict nodes, senders that have ended) goes to `LocalNode.route_message`.

Benchmarks: benchmarks/pingpong.py, benchmarks/oneway.py.
"""

from __future__ import annotations

import logging
from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.core.current import current, here
from beampy.core.ids import Ref, is_destination
from beampy.core.state import ANY, NOT_WAITING
from beampy.errors import BadDestination, NotInNode, NotRegistered

if TYPE_CHECKING:
    from beampy.core.process import Process

log = logging.getLogger("beampy.node")

get_current = current.get


def send(dest: Any, message: Any) -> None:
    """Send `message` to a pid, an alias, a registered name or (name, node). It never blocks.

    A dead or unreachable destination swallows it, as in Erlang; only a bare name that nobody has registered
    raises (NotRegistered). Signals from one process to another arrive in the order they were sent.

    >>> bp.send(pid, ("add", 2)); bp.send("counter", "stop"); bp.send(("counter", "b@host"), "stop")
    """
    try:
        to = dest._local
        me = get_current()
    except (AttributeError, LookupError):  # no pid, or no process of its own
        return _send_slowly(dest, message)
    if to is None or to.node is not me.node or me._thread != get_ident():
        if me._thread == get_ident():
            node = me.node
            far = node.far.get(dest.node)
            if far is not None:
                return far(me, dest, message)
            if dest.__class__ is Ref and dest._holder is not None and dest.node == node.name:
                return dest._holder.take_message(dest, message)  # type: ignore[no-any-return]  # the answer of a call
        return _send_slowly(dest, message)  # also to a copy of one of our refs, which has come back from elsewhere
    if not to._waiting:
        box = to._mailbox
        if box is None:
            to._mailbox = deque((message,))
        else:
            box.append(message)
    elif to._waiting == ANY and message is not None:
        to._waiting = NOT_WAITING
        to._value = message
        scheduler = to._scheduler
        scheduler.queue.append(to)
        if not scheduler.armed:
            scheduler.armed = True
            scheduler.loop.call_soon(scheduler.run)
    else:
        to.deliver(message)
    return None


def _send_slowly(dest: Any, message: Any) -> None:
    me = here("send", dest)
    node = me.node
    if me._thread == 0 and me.dead:
        return  # a zombie, or a task that outlived its process
    if get_ident() == node.thread:
        node.route_message(me, dest, message)
        return
    if isinstance(dest, str) and dest not in node.registry.pids:
        raise NotRegistered(dest)
    if not is_destination(dest):
        raise BadDestination(dest)
    try:
        node.loop.call_soon_threadsafe(_send_from_thread, me, dest, message)
    except RuntimeError:
        raise NotInNode("send") from None


def _send_from_thread(me: Process, dest: Any, message: Any) -> None:
    try:
        me.node.route_message(me, dest, message)
    except NotRegistered as gone:
        log.error("a send from a thread was lost: %s", gone)
