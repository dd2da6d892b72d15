"""The function of a remote call: what kind it is, by which name it travels, and how a name is found.

Rule: a function of an installed package goes as its name, so that what is missing there is an ordinary
ModuleNotFoundError or AttributeError of the call; code of one's own goes as itself. What is asked for by name is the
callee's, where he has it; otherwise the caller's, with the source that its file has now. Imports run in a thread.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from functools import partial
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal

from beampy.errors import BadFunction

if TYPE_CHECKING:
    from beampy.core.remote import Code

Kind = Literal["async", "plain", "generator", "async generator"]


def kind_of(verb: str, fn: Any) -> Kind:
    """What calling `fn` gives. BadFunction where it cannot be called."""
    code = getattr(fn, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        return "async"
    if fn.__class__ is FunctionType and not fn.__dict__:  # nothing wrapped, and nothing marked: the commonest
        return _kind(fn.__code__.co_flags)
    if inspect.iscoroutine(fn):
        fn.close()
        raise BadFunction(verb, f"the coroutine {fn.__qualname__}() (leave out the call)", "a function")
    if not callable(fn):
        raise BadFunction(verb, f"a {type(fn).__name__}", "a function")
    inner = inspect.unwrap(fn)
    while isinstance(inner, partial):
        inner = inspect.unwrap(inner.func)
    if not inspect.isroutine(inner) and not isinstance(inner, type):
        inner = type(inner).__call__  # an object with a __call__
    flags = getattr(getattr(inner, "__code__", None), "co_flags", 0)
    if flags & CO_COROUTINE or inspect.iscoroutinefunction(inner):
        return "async"
    return _kind(flags)


def _kind(flags: int) -> Kind:
    if flags & CO_ASYNC_GENERATOR:
        return "async generator"
    return "generator" if flags & CO_GENERATOR else "plain"


def streams(kind: Kind) -> bool:
    """Whether its values are items of a stream."""
    return kind in ("generator", "async generator")


def portable(fn: Any, code: Code | None = None) -> Any:
    """`fn` as it goes to another node: "module:name" where that finds it, else itself."""
    if isinstance(fn, str):
        return fn if code is None else code.named(fn)
    if code is not None and code.travels(fn):
        return fn
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return fn  # each node has a __main__ of its own
    try:
        found = _in(sys.modules[module], name)
    except (KeyError, AttributeError):
        return fn
    if found is not fn:
        return fn
    return f"{module}:{name}" if code is None else code.named(f"{module}:{name}")


def shown(fn: Any) -> str:
    """A function, or its name, for messages."""
    if isinstance(fn, tuple):
        fn = fn[0]
    if isinstance(fn, str):
        return fn.replace(":", ".")
    name = getattr(fn, "__qualname__", None)
    if name is None:
        return shown(fn.func) if isinstance(fn, partial) else type(fn).__name__
    module = getattr(fn, "__module__", None) or "?"
    # The main program of another node has a name of its own here, which tells people nothing.
    return f"{'__main__' if module.endswith('.__main__') else module}.{name}"


async def found(name: Any, code: Code | None = None) -> Any:
    """What "module.function" or "module:Class.method" names, or what `Code.named` made of it."""
    said = name if isinstance(name, str) else name[0]
    for module, path in _candidates(said):
        if module in sys.modules and not (code is not None and code.shipped(module)):
            try:
                return _in(sys.modules[module], path)
            except AttributeError:
                continue  # perhaps a submodule that is not imported yet
    return await asyncio.to_thread(_imported, name, said, code)


def _imported(name: Any, said: str, code: Code | None) -> Any:
    candidates = _candidates(said)
    for module, path in candidates:
        if code is not None and code.shipped(module):
            continue
        try:
            there = importlib.import_module(module)
        except ModuleNotFoundError as missing:
            if missing.name is not None and (module == missing.name or module.startswith(f"{missing.name}.")):
                continue
            raise  # the module is there, and what it imports is not
        try:
            return _in(there, path)
        except AttributeError:
            if code is None or name is said:
                raise
            break
    if code is not None and name is not said:
        return code.find(name)
    raise ModuleNotFoundError(f"{said!r} names no function: no module {candidates[0][0]!r} can be imported here")


def _candidates(name: str) -> list[tuple[str, str]]:
    """How a name may be cut into a module and what is in it, longest module first."""
    module, colon, path = name.partition(":")
    if colon:
        return [(module, path)]
    parts = name.split(".")
    if len(parts) < 2 or "" in parts:
        raise ValueError(f"{name!r} names no function: write 'module.function' or 'module:Class.method'")
    return [(".".join(parts[:at]), ".".join(parts[at:])) for at in range(len(parts) - 1, 0, -1)]


def _in(there: Any, path: str) -> Any:
    for part in path.split("."):
        there = getattr(there, part)
    return there
