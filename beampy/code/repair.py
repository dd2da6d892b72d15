"""Repair: when a class is defined anew, its instances become instances of the new one, where somebody wants that.

Python's own rule is another one, and ours without this: an instance keeps the class that it was made of, and is no
instance of a later one. In a notebook, where a class's cell runs ten times an hour, `isinstance` then fails on all
objects made before. Whoever prefers their objects to follow turns this on, in each process where it is to
hold: `keep_instances()` here, `await bp.remote_call(node, keep_instances)` there.

Rule: the class of an object is changed and nothing else; a new field is not there until somebody sets it. Newer is what
is seen later. Place: definitions.py says when a class of this process has replaced another (which is noticed when the
new one is sent), building.py when one of another process has. It does not know versions.
"""

from __future__ import annotations

import enum
import gc
import logging
from typing import Any, NamedTuple

log = logging.getLogger("beampy.code")

WARNED = 1024  # names of classes whose instances were left as they are, to say so once

_on = False
_warned: set[tuple[str, str]] = set()


class Repaired(NamedTuple):
    """How many objects (and subclasses) follow the new class, and how many could not."""

    moved: int
    left: int


def keep_instances(on: bool = True) -> None:
    """From now on, instances of a class follow it when it is defined anew (`on=False`: not any more).

    It holds for classes that travel by value, of notebooks and of `__main__`, in this process. An instance whose memory
    is laid out in another way than the new class's (other `__slots__`, other built-in bases, other fields of a
    NamedTuple) stays as it is; a warning says how many, once for each class. Members of enums stay, too: they are
    values, and the new enum has its own. Classes made within functions are not looked at. Each time it looks at all
    objects of the process, some 20 ms for a million of them.

    Example:
        >>> keep_instances()
        >>> keep_instances(False)
    """
    global _on
    _on = on


def replaced(old: Any, new: Any) -> Repaired:
    """The class `old` has been defined anew, as `new`. Nothing happens unless `keep_instances` was called."""
    if not _on or old is new or not isinstance(old, type) or not isinstance(new, type):
        return Repaired(0, 0)
    if issubclass(old, enum.Enum) or issubclass(new, enum.Enum):
        return Repaired(0, 0)
    moved = left = 0
    alike = getattr(old, "_fields", None) == getattr(new, "_fields", None) if issubclass(old, tuple) else True
    for thing in gc.get_referrers(old):  # an object refers to its class
        if type(thing) is old and thing is not new:
            if alike and _become(thing, new):
                moved += 1
            else:
                left += 1
    for sub in type.__subclasses__(old):
        if sub is not new and _rebase(sub, old, new):
            moved += 1
        elif sub is not new:
            left += 1
    name = (new.__module__, new.__qualname__)
    if left and name not in _warned:
        if len(_warned) >= WARNED:
            _warned.clear()
        _warned.add(name)
        log.warning(
            "%s.%s was defined anew with another layout (slots, fields or built-in bases): %d of its objects stay "
            "instances of the class before. Make them again where they matter",
            *name,
            left,
        )
    return Repaired(moved, left)


def _become(thing: Any, new: type) -> bool:
    try:
        object.__setattr__(thing, "__class__", new)  # a frozen dataclass has one of its own
    except TypeError:
        return False
    return True


def _rebase(sub: Any, old: type, new: type) -> bool:
    try:
        type.__setattr__(sub, "__bases__", tuple([new if base is old else base for base in sub.__bases__]))
    except TypeError:
        return False
    return True
