"""Names of definitions: which one a thing has, and what is found under it.

Rule: looking imports nothing. Place: under definitions.py and building.py. It does not know how things travel.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from beampy.code import closures, contextvars

_SIMPLE = (*closures.NAMED, closures.ALIAS)


def name_of(obj: Any) -> Any:
    """The qualified name of a definition; type variables have a simple one. None: it has none.

    >>> name_of(dict.fromkeys), name_of(3)
    ('dict.fromkeys', None)
    """
    return obj.__name__ if type(obj) in _SIMPLE else getattr(obj, "__qualname__", None)


def look_up(module: str, name: str) -> Any:
    """What a module has under a qualified name; None: nothing.

    >>> look_up("builtins", "dict.fromkeys") == dict.fromkeys
    True
    """
    there: Any = sys.modules.get(module)
    for part in name.split("."):
        there = getattr(there, part, None)
        if there is None:
            return None
    return there


def place_of(value: Any) -> tuple[str, str] | None:
    """Where a definition is found by its name, as (module, name); None: nowhere, like NoneType.

    >>> place_of(dict), place_of(type(None)), place_of(sys)
    (('builtins', 'dict'), None, ('sys', ''))
    """
    place = contextvars.where(value)
    if place is None and (value.__module__ != "builtins" or look_up("builtins", value.__qualname__) is value):
        place = value.__module__, name_of(value)
    return place


def belongs(part: Any, cls: type) -> bool:
    """Whether a function is one of a class's own."""
    return (
        type(part) is FunctionType
        and part.__module__ == cls.__module__
        and part.__qualname__.startswith(f"{cls.__qualname__}.")
    )
