"""Why a message cannot travel, and which part of it: `message[1]['callback']`.

Rule: this runs only after a failure, looks at the message without running code of its own (no properties, no
__iter__, no __eq__), stops at a bound, and never raises. The pickler tells which object it failed at; what is left
to find is the way there.

Pure. It does not know how a message is written.
"""

from __future__ import annotations

import collections
import functools
import types
from pickle import PickleError
from typing import TYPE_CHECKING, Any

from beampy.core.ids import Pid, Ref
from beampy.core.signals import safe_repr
from beampy.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAIN = "__main__"
MOST_STEPS = 10_000  # objects looked at: some 10 ms, and a failure is rare
DEEPEST = 50  # steps of a path: more than anybody reads
SHOWN = 60  # characters of a key or of a culprit

Path = tuple[Any, ...]  # (the path before, the step): () is the message itself

HINTS = {
    "memoryview": "it is a window on memory of this process; send bytes(view)",
    "generator": "it runs in this process; send what it yields",
    "coroutine": "it runs in this process; send a function and its arguments",
    "module": "send its name",
}


def explained(message: Any, trail: Sequence[Any], error: BaseException) -> EncodeError:
    """The EncodeError for `error`, raised while `message` was written. `trail`: the objects that are no plain data, in
    the order in which the pickler met them.
    """
    try:
        return _explained(message, trail, error)
    except Exception as broken:
        return EncodeError("message", f"{_said(error)} ({type(broken).__name__} while looking for the place)")


def _explained(message: Any, trail: Sequence[Any], error: BaseException) -> EncodeError:
    if isinstance(error, RecursionError):
        return EncodeError("message", "it is nested too deeply")
    if isinstance(error, MemoryError):
        return EncodeError("message", "there is no memory left for it")
    if not trail or (isinstance(error, PickleError) and "PickleBuffer" in str(error)):  # gaps in it: it leaves no trail
        return EncodeError("message", _said(error))
    culprit = trail[-1]
    return EncodeError(f"{_place(message, trail)}, {described(culprit)}", _why(culprit, error))


def _place(message: Any, trail: Sequence[Any]) -> str:
    """Where the culprit is; one that a __reduce__ made is somewhere in the object met last before it."""
    paths = _paths(message, {id(obj) for obj in trail})
    for distance, obj in enumerate(reversed(trail)):
        path = paths.get(id(obj))
        if path is not None:
            itself = distance == 0 or type(obj) is trail[-1]  # where a class is the trouble, its object is the place
            return _text(path) if itself else f"inside {_text(path)}"
    return "inside message"


def _why(culprit: Any, error: BaseException) -> str:
    if isinstance(error, EncodeError):
        return error.cause
    kind = type(culprit)
    if issubclass(kind, (types.FunctionType, type)):
        module, name = culprit.__module__, culprit.__qualname__
        # Only without a hook: with one they are sent with their code, or it says why not.
        if module == MAIN:
            return f"{MAIN} is another module on each node; put it into a module that both can import"
        if "<" in name:
            return "only functions and classes that a module has under their name can be found there"
        if isinstance(error, PickleError):
            return f"{module}.{name} is not this object but another one, or nothing"
    if kind.__name__ in HINTS and isinstance(error, TypeError):
        return HINTS[kind.__name__]
    return _said(error)


def described(obj: Any) -> str:
    """What an object is, in a few words.

    >>> described(len)
    'builtin_function_or_method <built-in function len>'
    """
    kind = type(obj)  # an object may say of itself what it likes
    if issubclass(kind, types.MethodType):
        return f"method {obj.__func__.__qualname__}"
    if issubclass(kind, types.FunctionType):
        outer, _, name = obj.__qualname__.rpartition(".<locals>.")
        code = obj.__code__
        place = f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"
        return f"function {name} (defined in {outer or obj.__module__} at {place})"
    if issubclass(kind, type):
        outer, _, name = obj.__qualname__.rpartition(".<locals>.")
        return f"class {name} (defined in {outer or obj.__module__})"
    try:
        return f"{kind.__qualname__} {safe_repr(obj, SHOWN)}"
    except Exception:
        return kind.__qualname__


def _paths(message: Any, wanted: set[int]) -> dict[int, Path]:
    """The shortest way to each wanted object (by id), as far as the bounds reach."""
    found: dict[int, Path] = {}
    seen: set[int] = set()
    queue: collections.deque[tuple[Any, Path, int]] = collections.deque([(message, (), 0)])
    keep = []  # what lives only here (a fresh tuple of an attribute) keeps its id to itself
    while queue and len(seen) < MOST_STEPS and len(found) < len(wanted):
        obj, path, depth = queue.popleft()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        keep.append(obj)
        if id(obj) in wanted:
            found[id(obj)] = path
        if depth < DEEPEST:
            room = MOST_STEPS - len(queue)
            written = id(obj) in wanted and issubclass(type(obj), types.FunctionType)
            for _, (step, child) in zip(range(room), _held(obj) if written else _children(obj), strict=False):
                queue.append((child, (path, step), depth + 1))
    return found


def _children(obj: Any) -> Iterator[tuple[Any, Any]]:
    """The parts of an object and the steps to them: (kind of step, key)."""
    kind = type(obj)
    if issubclass(kind, (str, bytes, bytearray, int, float, type, types.ModuleType, types.FunctionType, Pid, Ref)):
        return
    if issubclass(kind, dict):
        for key, value in dict.items(obj):
            yield ("[]", key), value
        for key in dict.__iter__(obj):
            yield ("key", None), key
    elif issubclass(kind, tuple):
        names = getattr(type(obj), "_fields", ())
        for index, value in enumerate(tuple.__iter__(obj)):
            named = index < len(names) and isinstance(names[index], str)
            yield (".", names[index]) if named else ("[]", index), value
    elif issubclass(kind, list):
        for index, value in enumerate(list.__iter__(obj)):
            yield ("[]", index), value
    elif issubclass(kind, collections.deque):
        for index, value in enumerate(collections.deque.__iter__(obj)):
            yield ("[]", index), value
    elif issubclass(kind, set):
        for value in set.__iter__(obj):
            yield ("element", None), value
    elif issubclass(kind, frozenset):
        for value in frozenset.__iter__(obj):
            yield ("element", None), value
    elif issubclass(kind, types.MethodType):
        yield (".", "__self__"), obj.__self__
        yield (".", "__func__"), obj.__func__
    elif issubclass(kind, functools.partial):
        for name in ("func", "args", "keywords"):
            yield (".", name), getattr(obj, name)
    elif issubclass(kind, BaseException):
        yield (".", "args"), obj.args
    yield from _attributes(obj)


def _held(fn: types.FunctionType) -> Iterator[tuple[Any, Any]]:
    """What a function that was written has captured, its defaults and its attributes."""
    code = fn.__code__
    for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=False):
        try:
            yield ("the variable", name), cell.cell_contents
        except ValueError:  # an empty one
            continue
    positional = code.co_varnames[: code.co_argcount]
    defaults = fn.__defaults__ or ()
    for name, value in zip(positional[len(positional) - len(defaults) :], defaults, strict=False):
        yield ("the default", name), value
    for name, value in (fn.__kwdefaults__ or {}).items():
        yield ("the default", name), value
    yield from _attributes(fn)


def _attributes(obj: Any) -> Iterator[tuple[Any, Any]]:
    """What its __dict__ and its slots hold, read past any property."""
    try:
        names = object.__getattribute__(obj, "__dict__")
    except Exception:
        names = None
    if isinstance(names, dict):
        for name, value in dict.items(names):
            yield (".", name), value
    for kind in type(obj).__mro__:
        for name, slot in vars(kind).items():
            if isinstance(slot, types.MemberDescriptorType) and kind.__module__ != "builtins":
                try:
                    yield (".", name), slot.__get__(obj, kind)
                except AttributeError:
                    continue


def _text(path: Path) -> str:
    steps = []
    while path:
        path, step = path
        steps.append(step)
    text = "message"
    for how, key in reversed(steps):
        if how == ".":
            text = f"{text}.{key}"
        elif how == "[]":
            text = f"{text}[{_key(key)}]"
        elif key is not None:
            text = f"{how} {_key(key)} of {text}"
        else:
            text = f"{'a key' if how == 'key' else 'an element'} of {text}"
    return text


def _key(key: Any) -> str:
    plain = isinstance(key, (str, bytes, int, float, tuple, type(None)))
    return safe_repr(key, SHOWN) if plain else f"<{type(key).__qualname__}>"


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "(its str() raised)"
    if isinstance(error, (TypeError, EncodeError, PickleError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
