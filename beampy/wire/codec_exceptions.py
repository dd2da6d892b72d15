"""Exceptions travel as Python itself pickles them, also where another package has put its own way in place.

Rule: tblib, which dask.distributed loads, has every exception class of the process pickled with traceback, cause and
context, and made again without its own constructor: fields of built-in exceptions are lost, and what the frames have is
sent and kept. Here an exception is what its class says, as ever, and a traceback is no message.

Place: codec.py asks for what is an exception, or a traceback.
"""

from __future__ import annotations

import copyreg
from types import TracebackType
from typing import Any

THEIRS = "tblib"
PROTOCOL = 4  # of what `__reduce_ex__` is asked for; exceptions say the same for all


def reduce_exception(obj: Any, kind: type) -> Any:
    """How to rebuild an exception, as `__reduce__` says it; NotImplemented where nobody is in the way."""
    if not issubclass(kind, (BaseException, TracebackType)):
        return NotImplemented
    way: Any = copyreg.dispatch_table.get(kind)
    if way is None or not (getattr(getattr(way, "func", way), "__module__", None) or "").startswith(THEIRS):
        return NotImplemented
    if kind is TracebackType:
        raise TypeError("cannot pickle 'traceback' object")
    return obj.__reduce_ex__(PROTOCOL)
