"""Placed children: processes that a pool starts on a runner to stay there. The runner's side of `pool.place_child`.

Rule: a child is any child spec, forced to be "temporary", under one DynamicSupervisor that the terminator starts when
the first child comes; FLAME's. It keeps its runner alive until it ends. Its output goes to its placer's group leader.
A linked child and its caller fail together, and the caller's end also stops a child that traps exits.

Place: called by name through the remote call server; under it the supervisors of otp.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy import api
from beampy.core.current import current
from beampy.core.group_leader import Channel, leader
from beampy.errors import BadSpec
from beampy.otp.child import ChildSpec
from beampy.otp.dynamic import DynamicSupervisor
from beampy.otp.supervised import as_spec, worker
from beampy.pool.messages import RUNNER

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref

START = 30.0  # seconds for a supervisor to start; it has nothing to do but that


class Supervised(NamedTuple):
    """To the terminator: who supervises children? Answered with the pid of the supervisor."""

    ref: Ref


class Placed(NamedTuple):
    """To the terminator: watch this child, and stop it when `caller`, if any, has ended. Answered with True."""

    ref: Ref
    child: Pid
    caller: Pid | None


async def start(child: Any, caller: Pid | None = None, *, link: bool = True, to: Ref | None = None) -> Pid:
    """Start a child on this runner. Its pid.

    `child`: a ChildSpec, a class that has `child_spec`, (class, *args), a dict; an async function or (function, *args),
    which is the child's own code; (start function, *args), which starts it and returns its pid or client. `caller`: who
    places it, to be linked with it if `link`. `to`: where its output goes; by default where this call's does. Raises
    BadSpec; StartFailed with the reason; NoProcess on a node that is no runner.

    >>> await pool.call("beampy.pool.children:start", (Counter, 10), bp.self())
    """
    spec = replace(spec_of(child), restart="temporary", significant=False)
    me = current.get()
    channel = leader.get()
    dest = to if to is not None else None if channel is None else channel.dest
    spec = replace(spec, start=(_led, dest, *(spec.start if isinstance(spec.start, tuple) else (spec.start,))))
    supervisor = DynamicSupervisor.client(await _ask(Supervised))
    made = await supervisor.start_child(spec)
    if made is None:
        raise BadSpec("the child's start was ignored, so there is nothing to place", spec=child)
    pid: Pid = getattr(made, "pid", made)
    linked = caller if link else None
    process = me.node.find(pid)
    if linked is not None and process is not None:
        me.node.link(process, linked)
    await _ask(lambda ref: Placed(ref, pid, linked))
    return pid


def spec_of(child: Any) -> ChildSpec:
    """The ChildSpec of what a user wrote. BadSpec where it means no child.

    >>> spec_of((print, 1)).start
    (<built-in function print>, 1)
    """
    kind, args = (child[0], child[1:]) if isinstance(child, tuple) and child else (child, ())
    if isinstance(child, ChildSpec) or not callable(kind) or hasattr(kind, "child_spec"):
        return as_spec(child)
    if inspect.iscoroutinefunction(kind):
        return worker(kind, *args)
    return ChildSpec(getattr(kind, "__name__", "child"), (kind, *args))


async def _ask(message: Any) -> Any:
    pending = api.request(RUNNER, START)
    if pending.to is not None:
        api.send(pending.to, message(pending.ref))
    return await pending


def _led(dest: Ref | None, start: Any, *args: Any) -> Any:
    """Call `start` so that what it starts has this leader. In the supervisor's process."""
    if dest is None:
        return start(*args)
    if inspect.iscoroutinefunction(start):
        return _led_async(dest, start, args)
    token = leader.set(Channel(current.get(), dest))
    try:
        made = start(*args)
    finally:
        leader.reset(token)
    return _led_async(dest, lambda: made, ()) if inspect.isawaitable(made) else made


async def _led_async(dest: Ref, start: Any, args: tuple[Any, ...]) -> Any:
    token = leader.set(Channel(current.get(), dest))
    try:
        return await start(*args)
    finally:
        leader.reset(token)
