"""The classes and functions of modules as they were before a reload, for references that come home late.

The rule: weakly kept, so that reloading frees what nothing uses. Place: in origin.py, under its lock; the snapshots are
taken by whoever sees the reload begin. It does not know sys.modules.
"""

from __future__ import annotations

import weakref
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from beampy.code.classify import class_variables, is_class

if TYPE_CHECKING:
    from collections.abc import Mapping

# Versions of one module with something alive in them: as many edits of a file in a session.
VERSIONS: Final = 256

Snapshot = dict[str, "weakref.ref[Any]"]


def snapshot(variables: Mapping[str, Any]) -> Snapshot:
    """The classes and functions among a module's variables, weakly. No code of theirs or of other values runs."""
    module = variables.get("__name__")
    return {name: weakref.ref(value) for name, value in list(variables.items()) if _is_of(value, module)}


def _is_of(value: Any, module: Any) -> bool:
    """Whether it is a class or a function that the module defines."""
    if type(value) is FunctionType:
        return bool(value.__module__ == module)
    return is_class(value) and bool(class_variables(value).get("__module__") == module)


class Replaced:
    """The snapshots of one origin, each under the last version it was the present of."""

    def __init__(self) -> None:
        self._of: dict[str, dict[int, Snapshot]] = {}

    def add(self, module: str, version: int, objects: Snapshot) -> None:
        """These were the module's objects up to this version."""
        versions = self._of.setdefault(module, {})
        for each in [
            number for number, kept in versions.items() if not any(ref() is not None for ref in kept.values())
        ]:
            del versions[each]
        if len(versions) >= VERSIONS:
            del versions[min(versions)]
        versions[version] = objects

    def get(self, module: str, version: int, name: str) -> Any:
        """The top-level object of this name that the module had at this version, if it is alive; else None."""
        versions = self._of.get(module)
        if versions is None:
            return None
        # A version that only something imported was changed for has the objects of the next one.
        number = min((each for each in versions if each >= version), default=None)
        if number is None:
            return None
        ref = versions[number].get(name)
        return ref() if ref is not None else None
