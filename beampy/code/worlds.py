"""Worlds: the globals of functions that assign globals, one dictionary for all of a module that mention these names.

Most functions are built on globals of their own, so that each runs what it was sent with. Where a function of a live
module assigns a global, what it and others read must be one binding, as at home: they share a world.

Rule: a name is bound when it is first meant, and again when a message means something else by it than the last one did.
What code here has assigned stays until then. Running calls see it: the newest message has its way, as in a notebook.

Place: under building.py. A world lives as long as a function has it as its globals.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

MISSING = object()


class Binding(NamedTuple):
    """What a name means in a version: a value, or the definition `ref` (its item `at`, from 0; -1: itself)."""

    meaning: Any  # two with equal ones mean the same
    value: Any = None
    ref: bytes = b""
    at: int = -1


ABSENT = Binding(None)


class Box:
    """A value of any type, weakly referable."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: Any) -> None:
        self.value = value


Bound = dict[tuple[str, str, int], dict[str, Binding]]  # by world: what a version means by the names there


def atom(value: Any) -> Binding:
    """A value that travels with the frame: 1, 1.0 and True are not the same.

    >>> atom(1).meaning == atom(True).meaning
    False
    """
    return Binding((type(value), repr(value)), value)


def defined(ref: bytes, at: int = -1) -> Binding:
    """What another definition is."""
    return Binding((ref, at), ref=ref, at=at)


class World:
    """The globals of one live module of one origin."""

    __slots__ = ("__weakref__", "frames", "meant", "names", "parts")

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__beampy__": self}
        self.frames: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # by the id of their code
        self.meant: dict[str, Any] = {}
        self.parts: dict[str, Any] = {}  # what was built of definitions: kept as long as it is meant

    def bind(self, bindings: Mapping[str, Binding], part: Callable[[bytes], Any]) -> bool:
        """Let names mean this from now on. `part(version)`: what was built of it. False: one is not there any more.

        >>> world = World()
        >>> world.bind({"n": atom(0)}, lambda _: None), world.names["n"]
        (True, 0)
        >>> world.names["n"] = 7  # code has assigned it
        >>> world.bind({"n": atom(0)}, lambda _: None), world.names["n"]
        (True, 7)
        """
        meant = self.meant
        for name, one in bindings.items():
            if meant.get(name, MISSING) == one.meaning:
                continue
            if one is ABSENT:
                if meant.get(name) is not None:
                    self.names.pop(name, None)
                self.parts.pop(name, None)
            elif one.ref:
                there = part(one.ref)
                if there is None:
                    return False
                value = there.value if there.__class__ is Box else there
                self.names[name] = value if one.at < 0 else value[one.at]
                self.parts[name] = there
            else:
                self.names[name] = one.value
                self.parts.pop(name, None)
            meant[name] = one.meaning
        return True

    def frame(self, code: CodeType) -> Any:
        """The newest frame of this code; None."""
        found = self.frames.get(id(code))
        return found if found is not None and found.code is code else None
