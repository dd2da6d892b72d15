"""The methods of a class, as they were: whether it still has the same ones.

Rule: a class is what it was when it was first sent, but for its methods: attributes that count things, or cache them,
make no new class. And whoever watches a class must not keep it: its own functions lead back to it, so they are seen
through weak references, also those in properties and alike. Place: under definitions.py.
"""

from __future__ import annotations

import types
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Of other types an attribute may come later without being a method: registries, caches, what a library puts there.
WRAPPED = frozenset({property, classmethod, staticmethod})
KINDS = WRAPPED | {types.FunctionType}
# Slots, `__dict__` and `__weakref__` come with the layout, and lead to the class.
LAYOUT = (types.MemberDescriptorType, types.GetSetDescriptorType)


class Methods:
    """What of a class can be called, or is a descriptor; and its bases."""

    __slots__ = ("bases", "count", "plain", "wrapped")

    def __init__(self, cls: type) -> None:
        own = vars(cls)
        self.bases = cls.__bases__
        self.count = len(own)
        methods = {name: value for name, value in own.items() if _is_method(value)}
        self.plain = {name: _weakly(value) for name, value in methods.items() if type(value) not in WRAPPED}
        self.wrapped = {
            name: [_weakly(part) for part in _parts(value)] for name, value in methods.items() if type(value) in WRAPPED
        }

    def same(self, cls: type) -> bool:
        """Whether they are the same objects, and none was added.

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
        for name, then in self.plain.items():  # a loop, not all(): this is asked at each call
            now = own.get(name)
            if now is None or now is not then():  # a method that is gone may be gone here, too: two Nones
                return False
        for name, parts in self.wrapped.items():
            now = own.get(name)
            if type(now) not in WRAPPED or [*map(id, _parts(now))] != [id(then()) for then in parts]:
                return False
        if len(own) == self.count:
            return True
        return not any(type(own[name]) in KINDS for name in own.keys() - self.plain.keys() - self.wrapped.keys())


def _is_method(value: Any) -> bool:
    return (callable(value) or hasattr(type(value), "__get__")) and not isinstance(value, LAYOUT)


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
