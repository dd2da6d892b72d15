"""Keeping: calls whose value stays on the runner that made it, and whose caller gets a reference to it.

    rows = await pool.keep(load, path)        # pool.call(load, path, keep=True), pool.options(keep=True).call(…)
    await pool.call(total, rows)              # runs where they are; `total` gets the rows themselves

Rule: the value is the runner's from the moment that the function returns, and the answer holds it: nothing of it is
left where the caller is gone meanwhile. An argument that is a reference becomes the object before the function is
called. As long as another node refers to an object of a runner, that runner is kept; what it alone refers to does not
keep it.

With isolation="process" the value is in the process of the slot, which is a node of its own and is kept the same way.

Place: `run` is a job (job.py does the running); `watch` is asked by the terminator of each runner and slot; the rest is
for the verbs at the caller. What references are is the business of refs/.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from beampy.core.current import current
from beampy.errors import BadFunction
from beampy.otp.rpc_function import shown
from beampy.pool import job
from beampy.refs.ref import RemoteRef
from beampy.refs.service import refs_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.node import LocalNode
    from beampy.pool.residents import Residents

TOKEN = "objects that other nodes refer to"  # among the residents of a runner, and what people read there


# on the runner


async def run(number: int, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], settings: job.Settings) -> Any:
    """Job `number`, whose value is kept here: the reference to it. A value that is a reference is given as it is."""
    value = await job.run(number, fn, args, kwargs, settings)
    if isinstance(value, RemoteRef):
        return value
    me = current.get()
    return refs_of(me.node).own(value, me.extras().label)  # no await from here to the answer, which lends it


async def stay(value: Any) -> Any:
    """What `pool.put` calls: the value itself. Async, so that it is kept by the runner and not by a process of it."""
    return value


def watch(node: LocalNode, here: Residents, tell: Callable[[], object]) -> None:
    """Let what other nodes refer to keep this runner: then it is among the residents. `tell` is called for a change."""
    refs = refs_of(node)

    def lent(lent: bool) -> None:
        if lent:
            here.keep(TOKEN, TOKEN)
        else:
            here.release(TOKEN)
        tell()

    refs.listeners.append(lent)


# at the caller


def said(verb: str, fn: Any, kwargs: dict[str, Any]) -> bool | None:
    """What `keep=` says among the arguments of a call: it is taken out of them. None: nothing, or it is the function's.

    It is the function's where that has a parameter of this name; `**kwargs` is none. TypeError where it says neither
    True nor False.

    >>> said("pool.call", len, {"keep": True})
    True
    """
    if takes_keep(fn):
        return None
    keep = kwargs.pop("keep")
    if not isinstance(keep, bool):
        raise TypeError(f"{verb}: keep is True or False, not {keep!r}: {shown(fn)} has no parameter of that name")
    return keep


def takes_keep(fn: Any) -> bool:
    """Whether a function has a parameter called keep. Of one that is given by its name nothing is known here."""
    try:
        parameter = inspect.signature(fn).parameters.get("keep")
    except (TypeError, ValueError):  # a name; a builtin function that does not say
        return False
    return parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def no_items(verb: str, fn: Any) -> BadFunction:
    """The error of keeping a generator."""
    return BadFunction(
        verb,
        f"the generator {shown(fn)} with keep=True: its items come one by one, and there is no one value to be kept; "
        "let a function return a list of them, and keep that",
        "a function that returns one value",
    )
