"""Jobs: a user's function run on a runner for a call of a pool. What the remote call server there is asked for by name.

Rule: a job's value or exception is its function's own, unchanged. An async function runs in the process of the call,
any other in a thread. An argument that is a reference becomes the object first, brought from its owner; the job's
deadline covers that. sys.exit() and Ctrl-C in a job end the job and never the runner. Each is listed among the
residents, so that the runner does not end under it and the pool hears when one that it has given up has really ended.

Place: under the remote call server, which starts the process and answers; over residents.py. Where output goes is the
server's. os._exit and a crash of the interpreter are the pool's business: it sees the runner go.

Benchmark: benchmarks/pool_call.py.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from beampy.core.current import current
from beampy.core.standin import has_standins, resolved
from beampy.otp.rpc_function import found, kind_of, shown, streams
from beampy.otp.rpc_thread import in_thread
from beampy.pool.context import restore
from beampy.pool.residents import PASSING, Job, contained, residents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from beampy.core.process import Process
    from beampy.core.timers import Bucket

Settings = tuple["float | None", Any, "str | None"]
"""Seconds that were left when it was sent, or None; what of the caller's context came along; a name to show."""

# A caller's own deadline ends his call, and he tells us. Ours is for when that does not come. It is later by more than
# a message takes, and a multiple of this many seconds: deadlines of equal length are cheap (core/timers.py).
GRID = 0.5


async def run(number: int, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings) -> Any:
    """Job `number`: `fn(*args, **kwargs)`. `fn` is a function, or the name of one here."""
    me = current.get()
    job = Job(residents(me.node), number, me)
    timeout, carried, name = settings
    bucket = None if timeout is None else backstop(me, job, timeout)
    try:
        if carried is not None:
            restore(carried)  # for the rest of this process, whose own the context is
        if fn.__class__ is str or fn.__class__ is tuple:
            fn = await found(fn, me.node.code)
        me.extras().label = name or shown(fn)
        if has_standins(args, kwargs):
            args, kwargs = await resolved(args, kwargs)
        kind = kind_of("Pool.call", fn)
        if kind == "async":
            return await fn(*args, **kwargs)
        if streams(kind):
            raise TypeError(f"{shown(fn)} is a {kind}: read it with pool.stream(…)")
        value = await in_thread(job.call, (fn, args, kwargs), {})
        return await value if hasattr(value, "__await__") else value
    except PASSING as error:
        if error.__class__ is GeneratorExit and me.alive:  # else it is its process that ends
            raise contained(error) from None
        raise
    except BaseException as error:
        raise contained(error) from None
    finally:
        if bucket is not None:
            bucket.pop(job, None)
        job.end()


async def stream(number: int, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings) -> Any:
    """Job `number`, whose values are items: what `fn(*args, **kwargs)` gives to iterate over, of either kind."""
    me = current.get()
    job = Job(residents(me.node), number, me)
    timeout, carried, name = settings
    bucket = None if timeout is None else backstop(me, job, timeout)

    def ended(_: object) -> None:
        if bucket is not None:
            bucket.pop(job, None)
        job.end()

    me.add_done_callback(ended)  # with its items, which are made when this function has long returned
    try:
        if carried is not None:
            restore(carried)
        if fn.__class__ is str or fn.__class__ is tuple:
            fn = await found(fn, me.node.code)
        me.extras().label = name or shown(fn)
        if has_standins(args, kwargs):
            args, kwargs = await resolved(args, kwargs)
        kind = kind_of("Pool.stream", fn)
        if streams(kind):
            source = fn(*args, **kwargs)
        elif kind == "async":
            source = await fn(*args, **kwargs)
        else:
            source = await in_thread(job.call, (fn, args, kwargs), {})
            if hasattr(source, "__await__"):
                source = await source
        return AsyncItems(source) if isinstance(source, AsyncIterable) else Items(job, source)
    except PASSING:
        raise
    except BaseException as error:
        raise contained(error) from None


def backstop(me: Process, job: Job, timeout: float) -> Bucket:
    """Our own deadline for a job whose caller has `timeout` seconds left."""
    return me.node.deadlines.add((math.ceil(timeout / GRID) + 1) * GRID, job)


class Items:
    """The items of a source that is not async, made in a thread."""

    __slots__ = ("_job", "_source")

    def __init__(self, job: Job, source: Any) -> None:
        self._job = job
        self._source: Iterator[Any] = iter(source)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._job.call(next, (self._source,), {})

    def close(self) -> None:
        """End a generator before its time."""
        close = getattr(self._source, "close", None)
        if close is not None:
            self._job.call(close, (), {})


class AsyncItems:
    """The items of an async source."""

    __slots__ = ("_source",)

    def __init__(self, source: Any) -> None:
        self._source: AsyncIterator[Any] = aiter(source)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._source)
        except PASSING:
            raise
        except BaseException as error:
            raise contained(error) from None

    async def aclose(self) -> None:
        """End a generator before its time."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
