"""Functions, classes and captured values as bytes: how one definition is written, and read again.

Rule: the bytes of a definition hold its own parts only. Every other definition that it meets there (a function that it
calls, a base class, a module, a captured value) becomes a numbered reference, which the reader supplies: so nothing is
sent twice, cycles need no care, and each part has a version of its own. No file name and no line number is in them,
except in those of code.

How: a pickle whose memo begins with one object that the reader supplies (`refer`), as in the codec; cloudpickle knows
how a class, a property, a cell or a TypeVar comes apart. Place: under definitions.py, which decides what is a
definition, and building.py, which reads. It does not know versions, nodes, or who asks.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import sys
import typing
import weakref
from collections import ChainMap
from contextvars import ContextVar
from copyreg import dispatch_table as registered
from types import CellType, CodeType, FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle

from beampy.code import classes, contextvars
from beampy.code.manifest import globals_of
from beampy.code.passing import key
from beampy.core.standin import StandIn
from beampy.errors import BeampyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROTOCOL = 5
PROLOGUE = b"\x97\x940"  # NEXT_BUFFER, MEMOIZE, POP: the reader's object is entry 0 of its memo
# What `refer` is asked for besides a reference, which is a number from 0.
CLASS, FUNCTION, STANDIN = -1, -2, -3

Cached = type(functools.lru_cache(lambda: None))
NAMED: Any = (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple, typing.NewType)
ALIAS: Any = getattr(
    typing, "TypeAliasType", None
)  # since 3.12; it has no weak references, so it is part of what has it
DEFINED_KINDS = frozenset(
    {ModuleType, ContextVar, Cached, *NAMED}
)  # besides functions and classes: they are one object wherever used
_dispatching = vars(functools)["singledispatch"](lambda: None).__code__
_cloudpickle: Any = cloudpickle.cloudpickle


def refer(what: Any, *more: Any) -> Any:
    """Stands for the reader's object while a definition is written."""


class NotPortable(Exception):
    """Something cannot be written; the text says what and why."""


class Writer(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes one definition. `number(obj)` is the number of its reference, or None: it is part of this one.

    `frame(fn)` is the number of the reference to what a function of this definition runs: its code and its globals.
    `standins` are the remote references that it met, each of which the reader supplies, too (passing.py).
    """

    def __init__(self, file: io.BytesIO, number: Callable[[Any], Any], frame: Callable[[FunctionType], int]) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self.memo = {id(refer): (0, refer)}
        self.number = number
        self.frame = frame
        self.standins: list[StandIn] = []

    dispatch_table: ClassVar[Any] = ChainMap(
        {
            # cloudpickle copies what a file contains; whoever captures one means the file.
            io.TextIOWrapper: lambda file: file.__reduce_ex__(PROTOCOL),
            CellType: lambda cell: (empty_cell, ()),  # its function fills it
            weakref.WeakKeyDictionary: lambda held: (weakref.WeakKeyDictionary, (dict(held),)),
            weakref.WeakValueDictionary: lambda held: (weakref.WeakValueDictionary, (dict(held),)),
            MappingProxyType: lambda proxy: (MappingProxyType, (dict(proxy),)),
            typing.ForwardRef: lambda ref: _forward(ref),
            functools.cached_property: lambda prop: _cached_property(prop),  # Python 3.11 has a lock in it
            Cached: lambda fn: cached_parts(fn),
        },
        cloudpickle.Pickler.dispatch_table,  # pyright: ignore[reportArgumentType]  -- read only
        registered,  # pyright: ignore[reportArgumentType]
    )

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is FunctionType or kind in DEFINED_KINDS or kind is ALIAS or issubclass(kind, type):
            number = self.number(obj)
            if number is None:
                if kind is FunctionType:
                    return function_parts(self, obj)
                if kind is Cached:
                    return cached_parts(obj)
                if kind is ContextVar:
                    return contextvars.parts(obj)
                return named_parts(obj) if kind in NAMED or kind is ALIAS else class_parts(obj)
            if number is NotImplemented:  # by name
                # Types like NoneType have none, and cloudpickle knows them.
                return _cloudpickle._class_reduce(obj) if isinstance(obj, type) else contextvars.by_name(obj)
            return refer, (number,)
        if issubclass(kind, StandIn):
            self.standins.append(obj)
            try:
                return refer, (STANDIN, key(obj))
            except BeampyError as error:
                raise NotPortable(str(error)) from error
        return NotImplemented


def write(
    obj: Any,
    number: Callable[[Any], Any],
    frame: Callable[[FunctionType], int],
    memos: list[Any] | None = None,
    standins: list[StandIn] | None = None,
) -> bytes:
    """The bytes of `obj`. Whatever pickling raises.

    To `memos` comes {id: (number, object)} of all that is in it, to `standins` the remote references.
    """
    file = io.BytesIO()
    writer = Writer(file, number, frame)
    if standins is not None:
        writer.standins = standins
    writer.dump(obj)
    if memos is not None:
        memos.append(writer.memo.copy())
    return file.getvalue()


def read(body: bytes, reader: Callable[..., Any]) -> Any:
    """What `write` wrote. `reader(number)` gives a reference; see building.py for the rest of what it is asked."""
    return pickle.loads(PROLOGUE + body, buffers=(reader,))


# functions


def function_parts(writer: Writer, fn: FunctionType) -> Any:
    """A function inside another definition, or a message: what it runs is a reference, the rest is its own."""
    if fn.__code__ is _dispatching:
        return dispatching_parts(fn)
    cells = tuple(fn.__closure__ or ())
    return refer, (FUNCTION, writer.frame(fn), fn.__name__, cells), function_state(fn), None, None, refer


def function_state(fn: FunctionType) -> dict[str, Any]:
    """All of a function but its code and its globals. What is empty is left out."""
    state: dict[str, Any] = {"__qualname__": "".join(fn.__qualname__), "__module__": fn.__module__}
    for name in ("__defaults__", "__kwdefaults__", "__annotations__", "__dict__", "__type_params__"):
        value = getattr(fn, name, None)
        if value:
            state[name] = value
    if fn.__doc__ is not None and (not fn.__code__.co_consts or fn.__code__.co_consts[0] is not fn.__doc__):
        state["__doc__"] = fn.__doc__
    hints = hinted(fn.__annotations__, fn.__globals__)
    if hints:
        state["__hints__"] = hints
    if fn.__closure__:
        filled = {}
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__, strict=True):
            try:
                filled[name] = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
        state["__closure__"] = filled
    return state


def hinted(annotations: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """What the annotations that are strings refer to: classes, modules and alike; data is not looked for there."""
    found = {}
    for text in annotations.values():
        if type(text) is str:
            for name in _names_in(text):
                value = names.get(name)
                if isinstance(value, (type, FunctionType)) or type(value) in DEFINED_KINDS:
                    found["".join(name)] = value
    return found


@functools.lru_cache(4096)  # texts of annotations: most are a few characters long, and there again
def _names_in(text: str) -> tuple[str, ...]:
    try:
        return globals_of(compile(text, "<annotation>", "eval", dont_inherit=True))
    except (SyntaxError, ValueError):
        return ()


def empty_cell() -> CellType:
    """A cell, to be filled by the functions that share it."""
    return CellType()


def held_by(fn: FunctionType) -> list[Any]:
    """What a function holds itself: the values of its defaults, its cells and its attributes, whose names too."""
    held = [*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values(), *fn.__dict__, *fn.__dict__.values()]
    for cell in fn.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            held.append(None)
    return held


def set_function_state(fn: FunctionType, state: dict[str, Any]) -> None:
    """Make a function what `function_state` says."""
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    for name, value in state.items():
        if name == "__closure__":
            for free, content in value.items():
                if free in cells:
                    cells[free].cell_contents = content
        elif name == "__dict__":
            fn.__dict__.update(value)
        elif name == "__hints__":
            for each, meant in value.items():
                fn.__globals__.setdefault(each, meant)
        else:
            setattr(fn, name, value)


def dispatching_parts(fn: FunctionType) -> Any:
    """functools.singledispatch: its default and its implementations; the rest is a cache of weak references."""
    registry = dict(fn.registry)  # type: ignore[attr-defined]
    return dispatching, (registry.pop(object), list(registry.items()))


def dispatching(default: Any, others: list[tuple[Any, Any]]) -> Any:
    """The same function made again."""
    fn = functools.singledispatch(default)
    for cls, implementation in others:
        fn.register(cls, implementation)
    return fn


def cached_parts(fn: Any) -> Any:
    """functools.lru_cache: the function and the parameters; what it has cached stays where it is."""
    return cached, (fn.__wrapped__, tuple(fn.cache_parameters().items()))


def cached(fn: Any, parameters: tuple[tuple[str, Any], ...]) -> Any:
    """The same function made again, with nothing cached."""
    return functools.lru_cache(**dict(parameters))(fn)


# classes


def class_parts(cls: type) -> Any:
    """A class: how to make it empty, then all that is in it."""
    maker, args, state = classes.parts(cls)
    hints = hinted(vars(cls).get("__annotations__", {}), vars(sys.modules.get(cls.__module__, sys)))
    if hints:
        state = (*state, hints)
    return refer, (CLASS, maker, *args), (classes.fill, state), None, None, refer


# names of types: TypeVar, NewType and alike, which pickle would find in their module


def named_parts(obj: Any) -> Any:
    """A type variable, a NewType or a type alias made again; its module is where it was made first."""
    name, more = obj.__name__, {}
    if hasattr(obj, "has_default") and obj.has_default():
        more["default"] = obj.__default__
    if isinstance(obj, typing.NewType):
        args: tuple[Any, ...] = (name, obj.__supertype__)
    elif isinstance(obj, typing.TypeVarTuple):
        args = (name,)
    elif isinstance(obj, (typing.TypeVar, typing.ParamSpec)):
        more |= {"bound": obj.__bound__, "covariant": obj.__covariant__, "contravariant": obj.__contravariant__}
        if getattr(obj, "__infer_variance__", False):
            more["infer_variance"] = True
        args = (name, *getattr(obj, "__constraints__", ()))
    else:
        args, more = (name, obj.__value__), {"type_params": obj.__type_params__}
    return named, (type(obj), args, more, obj.__module__)


def named(kind: Any, args: tuple[Any, ...], more: dict[str, Any], module: str) -> Any:
    """The same thing made again."""
    made = kind(*args, **more)
    with contextlib.suppress(AttributeError):  # a type alias has its own ideas of that
        made.__module__ = module
    return made


def _forward(ref: typing.ForwardRef) -> Any:
    # What it was evaluated to is its own business, and so is its code.
    more = {"is_class": True} if ref.__forward_is_class__ else {}
    return _forward_again, (ref.__forward_arg__, ref.__forward_is_argument__, more)


def _forward_again(text: str, is_argument: bool, more: dict[str, Any]) -> typing.ForwardRef:
    return typing.ForwardRef(text, is_argument, **more)


def _cached_property(prop: Any) -> Any:
    return functools.cached_property, (prop.func,), {"attrname": prop.attrname, "__doc__": prop.__doc__}


# what a function needs


def submodules(code: CodeType, values: list[Any], modules: dict[str, Any]) -> list[str]:
    """The submodules that code reaches as attributes: `concurrent.futures` where `concurrent` is a global of it."""
    found = []
    names: set[str] | None = None
    for value in values:
        if isinstance(value, ModuleType) and hasattr(value, "__path__"):
            if names is None:
                names = _names(code)
            prefix = f"{value.__name__}."
            found += [
                name
                for name in list(modules)
                if name.startswith(prefix) and names.issuperset(name[len(prefix) :].split("."))
            ]
    return found


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            names |= _names(const)
    return names
