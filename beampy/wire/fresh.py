"""A bytes object that is filled after it was made: so that a large one is read from a socket straight to its place.

What C code does with PyBytes_FromStringAndSize(NULL, n), done from here: until somebody else sees the object nobody can
tell. The view keeps the object alive. Pure, and CPython's only: elsewhere `fresh_bytes` says None.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

HEADER = bytes.__basicsize__ - 1  # where the bytes of a bytes object begin; one is for the final NUL
HUGE = 2 * 1024 * 1024  # a huge page of Linux; asked for, a fresh one is filled some five times as fast
MADV_HUGEPAGE = 14


def _madvise() -> Any:
    try:
        found = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return found


_make: Any = None
if sys.implementation.name == "cpython":
    _make = ctypes.pythonapi.PyBytes_FromStringAndSize
    _make.restype = ctypes.py_object
    _make.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
_advise = _madvise()


def fresh_bytes(n: int) -> tuple[bytes, memoryview] | None:
    """A new bytes object of `n` bytes, whatever is in them, and the view to fill it through. MemoryError.

    >>> made = fresh_bytes(100_000)
    >>> made[1][:] = b"x" * 100_000
    >>> made[0] == b"x" * 100_000
    True
    """
    if _make is None or n < 2:  # the shortest ones are shared
        return None
    made: bytes = _make(None, n)
    start = id(made) + HEADER
    if n >= 2 * HUGE and _advise is not None:
        first = -(-start // HUGE) * HUGE
        _advise(first, (start + n - first) // HUGE * HUGE, MADV_HUGEPAGE)
    room = (ctypes.c_ubyte * n).from_address(start)
    room.owner = made  # type: ignore[attr-defined]
    return made, memoryview(room).cast("B")
