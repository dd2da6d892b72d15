"""The methods of a class, as they were: whether it still has the same ones.

Rule: a class is what it was when it was first sent, but for its methods: attributes that count things, or cache them,
make no new class. And whoever watches a class must not keep it: its own functions lead back to it, so they are seen
through weak references, also those in properties and alike. Place: under definitions.py.
"""

from __future__ import annotations

import types
import weakref
from operator import call, is_
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from beampy.code.watch import CODE, DEFAULTS, KWDEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

# Of other types an attribute may come later without being a method: registries, caches, what a library puts there.
WRAPPED = frozenset({property, classmethod, staticmethod})
KINDS = WRAPPED | {FunctionType}
# Slots, `__dict__` and `__weakref__` come with the layout, and lead to the class.
LAYOUT = (types.MemberDescriptorType, types.GetSetDescriptorType)


class Methods:
    """What of a class can be called, or is a descriptor; and its bases."""

    __slots__ = ("bases", "codes", "count", "functions", "names", "plain", "wrapped")

    def __init__(self, cls: type) -> None:
        own = vars(cls)
        self.bases = cls.__bases__
        self.count = len(own)
        methods = {name: value for name, value in own.items() if _is_method(value)}
        bare = {name: value for name, value in methods.items() if _is_bare(value)}
        self.names, self.functions = tuple(bare), [*map(_weakly, bare.values())]
        self.codes = [*map(CODE, bare.values())]
        self.plain = {
            name: (_weakly(value), _runs(value))
            for name, value in methods.items()
            if name not in bare and type(value) not in WRAPPED
        }
        self.wrapped = {
            name: [(_weakly(part), _runs(part)) for part in _parts(value)]
            for name, value in methods.items()
            if type(value) in WRAPPED
        }

    def same(self, cls: type) -> bool:
        """Whether they are the same objects, with the same code and defaults, and none was added.

        >>> class A: pass
        >>> methods = Methods(A)
        >>> A.n = 1
        >>> methods.same(A)
        True
        >>> A.f = lambda self: 1
        >>> methods.same(A)
        False
        """
        own = vars(cls)
        if cls.__bases__ != self.bases:
            return False
        # This is asked at each call: what can be is done in C, where there are no defaults.
        functions: list[Any] = [*map(own.get, self.names)]
        if not all(functions) or not all(map(is_, functions, map(call, self.functions))):
            return False
        if not all(map(is_, map(CODE, functions), self.codes)):
            return False
        if any(map(DEFAULTS, functions)) or any(map(KWDEFAULTS, functions)):
            return False
        for name, (then, runs) in self.plain.items():
            now = own.get(name)
            if now is None or now is not then():  # a method that is gone may be gone here, too: two Nones
                return False
            if runs is not None and not _runs_still(now, runs):
                return False
        for name, parts in self.wrapped.items():
            now = own.get(name)
            if type(now) not in WRAPPED:
                return False
            present = _parts(now)
            if len(present) != len(parts):
                return False
            for part, (then, runs) in zip(present, parts, strict=True):
                if part is not then() or (runs is not None and not _runs_still(part, runs)):
                    return False
        if len(own) == self.count:
            return True
        known = {*self.names, *self.plain, *self.wrapped}
        return not any(type(own[name]) in KINDS for name in own.keys() - known)


def _is_method(value: Any) -> bool:
    return (callable(value) or hasattr(type(value), "__get__")) and not isinstance(value, LAYOUT)


def _is_bare(value: Any) -> bool:
    return type(value) is FunctionType and not value.__defaults__ and not value.__kwdefaults__


def _runs(value: Any) -> tuple[CodeType, Any, Any] | None:
    """What can be changed of a function in place: (code, defaults, keyword defaults). None: it is no function.

    Defaults by their ids: they may lead to the class.
    """
    if type(value) is not FunctionType:
        return None
    return value.__code__, _ids(value.__defaults__), _named_ids(value.__kwdefaults__)


def _runs_still(fn: FunctionType, runs: tuple[CodeType, Any, Any]) -> bool:
    code, defaults, kwdefaults = runs
    if fn.__code__ is not code:
        return False
    if (fn.__defaults__ or defaults) and _ids(fn.__defaults__) != defaults:
        return False
    return not (fn.__kwdefaults__ or kwdefaults) or _named_ids(fn.__kwdefaults__) == kwdefaults


def _ids(values: tuple[Any, ...] | None) -> list[int] | None:
    return [*map(id, values)] if values else None


def _named_ids(values: dict[str, Any] | None) -> dict[str, int] | None:
    return {name: id(value) for name, value in values.items()} if values else None


def _parts(value: Any) -> tuple[Any, ...]:
    kind = type(value)
    if kind is classmethod or kind is staticmethod:
        return value.__func__, kind
    return value.fget, value.fset, value.fdel, kind


def _weakly(value: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(value)
    except TypeError:  # None, and some that are written in C
        return lambda: value
