"""async_stream: a function over many items, each in a process of its own, a few at a time. Elixir's async_stream.

    async for page in bp.async_stream(urls, fetch, max_concurrency=10):
        ...

Rule: the reader pulls. An item is taken from the input only when it can be started, and it is started only while
fewer than `max_concurrency` run and fewer than that many results wait to be read. So at most
2 × max_concurrency − 1 items are ever ahead of the reader, however long the input is; one slow item does not keep
the others from running, and what is not read stops the rest.

When the stream ends, its items have ended: after the last result, after an error, after `aclose`, after the
reader's cancellation. A reader that just leaves (break) or ends leaves nothing behind either: they are told at once.

Each item costs a process and one message, and no asyncio task. Results come by the way that answers of calls
come, so nothing of a stream ever shows in a mailbox. Benchmark: benchmarks/tasks.py.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

from beampy import api
from beampy.errors import NotInProcess
from beampy.otp.stream_engine import NO_THREADS, Engine
from beampy.otp.task import check_time, needs_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Items = Iterable[T] | AsyncIterable[T]
OnTimeout = Literal["exit", "kill"]


@overload
def async_stream(
    items: Items[T],
    fn: Callable[[T], Awaitable[R]],
    *,
    max_concurrency: int | None = ...,
    ordered: bool = ...,
    timeout: float | None = ...,
    on_timeout: OnTimeout = ...,
    return_exceptions: Literal[False] = ...,
) -> Stream[R]: ...
@overload
def async_stream(
    items: Items[T],
    fn: Callable[[T], Awaitable[R]],
    *,
    return_exceptions: Literal[True],
    max_concurrency: int | None = ...,
    ordered: bool = ...,
    timeout: float | None = ...,
    on_timeout: OnTimeout = ...,
) -> Stream[R | Exception]: ...
@overload
def async_stream(
    items: Items[T],
    fn: Callable[[T], R],
    *,
    max_concurrency: int | None = ...,
    ordered: bool = ...,
    timeout: float | None = ...,
    on_timeout: OnTimeout = ...,
    return_exceptions: Literal[False] = ...,
) -> Stream[R]: ...
@overload
def async_stream(
    items: Items[T],
    fn: Callable[[T], R],
    *,
    return_exceptions: Literal[True],
    max_concurrency: int | None = ...,
    ordered: bool = ...,
    timeout: float | None = ...,
    on_timeout: OnTimeout = ...,
) -> Stream[R | Exception]: ...
def async_stream(
    items: Items[Any],
    fn: Any,
    *,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = None,
    on_timeout: OnTimeout = "exit",
    return_exceptions: bool = False,
) -> Stream[Any]:
    """The results of `fn(item)` for all items, as an async iterator; each runs in a process of its own.

    `items` may be iterable or async iterable, and endless. `max_concurrency` is how many run at a time (the number
    of CPUs). Results come in the order of the items, or with `ordered=False` as they are ready. A function that is
    not async runs in threads.

    A failure is raised in its place, after the results before it, and ends the stream; with `return_exceptions`
    it is a result like others. The same holds for an item that runs longer than `timeout` seconds (TaskTimeout):
    it is told to end, with time to clean up; with `on_timeout="kill"` it is killed, its TaskTimeout is the result
    in its place, and the stream goes on. An error of the input itself comes after all results.

    `break` ends it; `async with` or `aclose()` also wait until nothing of it runs any more. Only its process reads it.

    >>> async for row in bp.async_stream(range(3), parse, max_concurrency=2, return_exceptions=True):
    ...     print(row)
    """
    limit = os.cpu_count() or 1 if max_concurrency is None else max_concurrency
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ValueError(f"async_stream: max_concurrency is an int of 1 or more, not {max_concurrency!r}")
    if on_timeout not in ("exit", "kill"):
        raise ValueError(f'async_stream: on_timeout is "exit" or "kill", not {on_timeout!r}')
    check_time("async_stream", timeout)
    if not isinstance(items, (Iterable, AsyncIterable)):
        raise TypeError(f"async_stream: a {type(items).__name__} is neither iterable nor async iterable")
    owner = api._me("async_stream")
    if owner is owner.node.voice or owner.node.thread != get_ident():
        raise NotInProcess("async_stream", "this thread", NO_THREADS)
    job = (fn, needs_thread("async_stream", fn))
    engine = Engine(owner, items, job, limit, ordered, timeout, on_timeout == "kill", return_exceptions)
    return Stream(engine)


class Stream(Generic[R_co]):
    """The results of an async_stream, to be read by the process that made it."""

    __slots__ = ("__weakref__", "_engine")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R_co:
        engine = self._engine
        item = await engine.next()
        if item is None:
            error = engine.input_error
            engine.input_error = None
        elif item.error is None:
            value: R_co = item.value
            return value
        elif engine.errors_too or (engine.kills and item.overdue):
            return item.error  # type: ignore[return-value]
        else:
            error = item.error
        await engine.close()
        raise StopAsyncIteration if error is None else error

    async def aclose(self) -> None:
        """End the stream: its items are stopped, and have ended when this returns. It gives nothing more."""
        self._engine.check("aclose")
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return repr(self._engine)

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None and not engine.closed:
            engine.drop()
