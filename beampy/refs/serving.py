"""What runs on the node that has an object: each function here is called from others, by using.py.

Rule: the first argument is `held`, a list with the one reference, which so stays a reference and keeps its object until
the call has ended. Everything after it is the user's: references among it have become objects. Code that is not async
runs in a thread, attributes and items too: a property may compute.

Place: over otp/rpc_server.py, in whose processes they run.
"""

from __future__ import annotations

import asyncio
import inspect
from inspect import CO_COROUTINE
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.current import here
from beampy.core.standin import StandIn
from beampy.errors import RefTooLarge
from beampy.otp.rpc_function import found as function_named
from beampy.otp.rpc_function import shown
from beampy.otp.rpc_thread import in_thread
from beampy.refs.room import exceeds, quick
from beampy.refs.sizes import shown_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beampy.refs.kept import RefInfo
    from beampy.refs.ref import RemoteRef

Held = list["RemoteRef[Any]"]


async def fetch(held: Held, room: int) -> Any:
    """The object, for somebody with so many bytes of room. RefTooLarge."""
    ref = held[0]
    value = ref.refs.value(ref.id)
    size = exceeds(value, room) if quick(value, room) else await asyncio.to_thread(exceeds, value, room)
    if size is not None:
        raise RefTooLarge(ref.node, f"the {ref.what}", size, room)
    api.set_label(ref.what)
    return value


async def applied(held: Held, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
    """`fn(object, …)`."""
    return sendable(await _applied(held, fn, args, kwargs), shown(fn))


async def keep_applied(held: Held, fn: Any, /, *args: Any, **kwargs: Any) -> RemoteRef[Any]:
    """The same; the value stays here."""
    return kept(held, await _applied(held, fn, args, kwargs), shown(fn))


async def called(held: Held, steps: Sequence[Any], /, *args: Any, **kwargs: Any) -> Any:
    """`object.path.method(…)`."""
    return sendable(await _called(held, steps, args, kwargs), label(steps))


async def keep_called(held: Held, steps: Sequence[Any], /, *args: Any, **kwargs: Any) -> RemoteRef[Any]:
    """The same; the value stays here."""
    return kept(held, await _called(held, steps, args, kwargs), label(steps))


async def found(held: Held, steps: Sequence[Any]) -> Any:
    """`object.path`."""
    return sendable(await _found(held, steps), label(steps))


async def keep_found(held: Held, steps: Sequence[Any]) -> RemoteRef[Any]:
    """The same; the value stays here."""
    return kept(held, await _found(held, steps), label(steps))


async def relayed(held: Held, verb: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A use of an object that is elsewhere, for somebody who cannot reach its owner."""
    from beampy.refs import using

    return await using.relay(held[0], verb, fn, args, kwargs)


async def keep_here(value: Any, note: str | None = None) -> RemoteRef[Any]:
    """Keep an object that was sent here."""
    from beampy.refs.service import refs_of

    return refs_of(here("put").node).own(value, note)


async def rows(limit: int) -> tuple[int, list[RefInfo]]:
    """How many objects this node has or holds, and the largest of them."""
    from beampy.refs.service import refs_of

    every = refs_of(here("refs").node).rows()
    every.sort(key=lambda row: (-row.nbytes, row.id))
    return len(every), every[:limit]


# how


async def _applied(held: Held, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    ref = held[0]
    value = ref.refs.value(ref.id)
    if isinstance(fn, (str, tuple)):
        fn = await function_named(fn, here("apply").node.code)
    if is_async(fn):
        return await fn(value, *args, **kwargs)
    return await _awaited(await in_thread(fn, (value, *args), kwargs))


async def _called(held: Held, steps: Sequence[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    ref = held[0]
    value = ref.refs.value(ref.id)
    last = steps[-1]
    if len(steps) == 1 and isinstance(last, str) and is_async(inspect.getattr_static(type(value), last, None)):
        return await getattr(value, last)(*args, **kwargs)  # finding it runs nobody's code
    steps = await here_too(steps)

    def work() -> Any:
        return follow(value, steps)(*args, **kwargs)

    return await _awaited(await in_thread(work, (), {}))


async def _found(held: Held, steps: Sequence[Any]) -> Any:
    ref = held[0]
    value = ref.refs.value(ref.id)
    return await in_thread(follow, (value, await here_too(steps)), {})


def is_async(fn: Any) -> bool:
    """Whether it is an async function, which runs on the loop."""
    code = getattr(fn, "__code__", None)
    return code is not None and bool(code.co_flags & CO_COROUTINE)


async def _awaited(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


async def here_too(steps: Sequence[Any]) -> Sequence[Any]:
    """A path whose keys that are references have become objects."""
    return [
        (await step[0].value_here(),) if step.__class__ is tuple and isinstance(step[0], StandIn) else step
        for step in steps
    ]


def follow(value: Any, steps: Sequence[Any]) -> Any:
    """What is found on a path: names are attributes, keys are in a tuple of their own."""
    for step in steps:
        value = getattr(value, step) if isinstance(step, str) else value[step[0]]
    return value


def label(steps: Sequence[Any]) -> str:
    """A path, for people."""
    return shown_path(steps).lstrip(".")


def sendable(value: Any, what: str) -> Any:
    """The value, where it may be sent. TypeError for generators."""
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        raise TypeError(
            f"{what} gives a {type(value).__name__.replace('_', ' ')}, which stays on its node: take a list of it "
            "with ref.apply(fn), or leave it there with ref.keep and ask for items: ref.do.__next__()"
        )
    return value


def kept(held: Held, value: Any, note: str) -> RemoteRef[Any]:
    """A reference to a value that was made here; the value itself where it is a reference already.

    A method that returns its own object gives the reference that there is: it is one object.
    """
    if is_ref(value):
        given: RemoteRef[Any] = value
        return given
    ref = held[0]
    known = ref.refs.kept(ref.id)
    return ref if known is not None and known.value is value else ref.refs.own(value, note)


def is_ref(value: Any) -> bool:
    """Whether it is a reference."""
    from beampy.refs.ref import RemoteRef

    return isinstance(value, RemoteRef)
