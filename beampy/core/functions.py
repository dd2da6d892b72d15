"""What may be spawned: async functions, recognised before any of the user's code runs."""

from __future__ import annotations

import inspect
from functools import partial
from inspect import CO_COROUTINE
from typing import TYPE_CHECKING, Any

from beampy.errors import BadFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def start_coroutine(fn: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...]) -> Coroutine[Any, Any, Any]:
    """`fn(*args)` when that is a coroutine; BadFunction, before any of the user's code runs, when it cannot be one."""
    code = getattr(fn, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        return fn(*args)
    _check_async(fn)
    coro = fn(*args)
    if not inspect.iscoroutine(coro):
        raise BadFunction("spawn", f"{describe(fn)}, which returned {type(coro).__name__}")
    return coro


def _check_async(fn: Any) -> None:
    if inspect.iscoroutine(fn):
        fn.close()
        raise BadFunction("spawn", f"the coroutine {fn.__qualname__}() (leave out the call)")
    if not callable(fn):
        raise BadFunction("spawn", f"a {type(fn).__name__}")
    inner = inspect.unwrap(fn)
    while isinstance(inner, partial):
        inner = inspect.unwrap(inner.func)
    if not inspect.isroutine(inner) and not isinstance(inner, type):
        inner = type(inner).__call__  # an object with an async __call__
    if inspect.iscoroutinefunction(inner) or getattr(inner, "__name__", "") == "<lambda>":
        return
    raise BadFunction("spawn", f"{describe(fn)}, which is not async (asyncio.to_thread runs it in a thread)")


def describe(fn: Any) -> str:
    """A function's name for messages."""
    return str(getattr(fn, "__qualname__", None) or type(fn).__name__)
