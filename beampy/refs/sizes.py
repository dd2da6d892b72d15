"""How an object is shown before anybody brings it: its type's name, and an estimate of its bytes.

Rule: cheap and bounded, whatever the object is, and it never fails: 0 bytes means that nobody knows. Arrays, tensors,
tables and frames say themselves how large they are; of containers the first items are looked at, and stand for all.

Place: under service.py, which notes both when an object is kept. It imports no package that it knows objects of: an
object of a package comes with the package.
"""

from __future__ import annotations

import sys
from itertools import chain, islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

from beampy.core.signals import safe_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

LOOKS = 300  # objects that are looked at for one estimate: about 0.2 ms
ITEMS = 30  # of one container: enough that equal items give a good mean
KEY = 50  # characters of a key in a path: an array can be one
NAME = 120  # characters of a type's name: it stands in every message that has a reference
UNITS = ("B", "kB", "MB", "GB", "TB")


def shown_type(obj: Any) -> str:
    """The name of an object's type as people write it.

    >>> shown_type([]), shown_type(Exception())
    ('list', 'Exception')
    """
    kind = type(obj)
    name = kind.__qualname__
    module = kind.__module__
    if type(module) is not str or module in ("builtins", "__main__") or module.endswith(".__main__"):
        return name[:NAME]
    root = module.partition(".")[0]
    if root != module and sys.modules.get(root) is not None and getattr(sys.modules[root], name, None) is kind:
        module = root  # polars.DataFrame, not polars.dataframe.frame.DataFrame
    return f"{module}.{name}"[:NAME]


def shown_size(nbytes: int) -> str:
    """Bytes for people: in powers of 1000, as sizes of data are told.

    >>> shown_size(900), shown_size(80_000_000), shown_size(1_250_000_000)
    ('900 B', '80 MB', '1.2 GB')
    """
    value, units = float(nbytes), iter(UNITS)
    unit = next(units)
    while value >= 999.5 and unit != UNITS[-1]:
        value, unit = value / 1000, next(units)
    shown = f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:.0f}"
    return f"{shown} {unit}"


def shown_object(what: str, nbytes: int, node: str = "") -> str:
    """An object in one phrase.

    >>> shown_object("numpy.ndarray", 80_000_000, "b@localhost")
    'numpy.ndarray, 80 MB, on b@localhost'
    """
    return ", ".join(part for part in (what, shown_size(nbytes) if nbytes else "", node and f"on {node}") if part)


def estimate(obj: Any) -> int:
    """About how many bytes an object has, its parts included; 0 where that is not known."""
    try:
        return _Estimate().of(obj)
    except Exception:  # code of the object's own is asked, and may do anything
        return 0


def stated(obj: Any) -> int | None:
    """How many bytes an object itself says it has; None for those of no type that is known to say so."""
    kind = obj.__class__
    if kind in FLAT:
        return obj.nbytes if kind is memoryview else len(obj)
    for base in type(obj).__mro__:
        says = SAYS.get((base.__module__ or "").partition(".")[0])
        if says is not None:
            try:
                return says(obj)
            except Exception:  # a sparse tensor's `nbytes` raises; a subclass's may do anything
                return None
    return None


def shown_path(steps: Sequence[Any]) -> str:
    """Where something is, from an object on, as it is written: attributes, and keys in tuples of their own.

    >>> shown_path(("stats", (0,), "mean"))
    '.stats[0].mean'
    """
    return "".join(f".{step}" if isinstance(step, str) else f"[{_key(step[0])}]" for step in steps)


def _key(key: Any) -> str:
    if isinstance(key, slice):
        parts = [key.start, key.stop] if key.step is None else [key.start, key.stop, key.step]
        return ":".join("" if part is None else _key(part) for part in parts)
    text = safe_repr(key)
    return text if len(text) <= KEY else f"{text[: KEY - 1]}…"


FLAT = frozenset({bytes, bytearray, memoryview})


def _nbytes(obj: Any) -> int | None:
    found = getattr(obj, "nbytes", None)
    return found if type(found) is int else None


def _numpy(obj: Any) -> int | None:
    # An array of Python objects has pointers, and what they point to is not asked for.
    return None if getattr(getattr(obj, "dtype", None), "hasobject", True) else _nbytes(obj)


def _torch(obj: Any) -> int | None:
    if not hasattr(obj, "parameters"):
        return _nbytes(obj)
    tensors: Iterable[Any] = chain(obj.parameters(), obj.buffers())
    return sum(_nbytes(tensor) or 0 for tensor in tensors)  # a model: its parameters are all there is to it


def _arrow(obj: Any) -> int | None:
    found = _nbytes(obj)
    return getattr(obj, "size", None) if found is None and type(obj).__name__ == "Buffer" else found


def _polars(obj: Any) -> int | None:
    return int(obj.estimated_size()) if hasattr(obj, "estimated_size") else None


def _pandas(obj: Any) -> int | None:
    used = obj.memory_usage() if hasattr(obj, "memory_usage") else None
    return None if used is None else int(used.sum() if hasattr(used, "sum") else used)


SAYS: dict[str, Callable[[Any], int | None]] = {
    "numpy": _numpy,
    "torch": _torch,
    "pyarrow": _arrow,
    "polars": _polars,
    "pandas": _pandas,
}


class _Estimate:
    """One walk through an object."""

    def __init__(self) -> None:
        self.left = LOOKS
        self.seen: set[int] = set()

    def of(self, obj: Any) -> int:
        self.left -= 1
        if id(obj) in self.seen or isinstance(obj, type | ModuleType):
            return 0
        self.seen.add(id(obj))
        size = stated(obj)
        if size is not None:
            return size
        size = sys.getsizeof(obj, 0)
        if isinstance(obj, dict):
            return size + self.all(obj.keys(), len(obj)) + self.all(obj.values(), len(obj))
        if isinstance(obj, (list, tuple, set, frozenset)):
            return size + self.all(obj, len(obj))
        inside = getattr(obj, "__dict__", None)
        return size + self.of(inside) if type(inside) is dict and inside and self.left > 0 else size

    def all(self, items: Iterable[Any], count: int) -> int:
        """The first items, for all."""
        looked = size = 0
        for item in islice(items, ITEMS):
            if self.left <= 0:
                break
            looked += 1
            size += self.of(item)
        return 0 if looked == 0 else size * count // looked
