"""polars frames and series: which columns travel as Arrow memory beside the body, so that nothing is serialised.

Rule: a value comes back equal, type for type, and a slice travels without the rest of the memory that it is a slice of.
It is decided for each column:
- What is large, and comes back exactly from Arrow memory, goes so (codec_arrow.py), if it uses most of that memory.
- Text in lists, arrays and structs is written here, otherwise: polars writes all text that they are a slice of.
- Python objects go as a list: polars does not write them.
- All else goes the way that polars has itself, which is Arrow's IPC format.

Measured, 100 MB of floats: polars' own way takes 115 ms to write and 55 to read; this takes 0.2 ms for both, and what
it takes to move the memory.

Place: codec_buffers.py imports it for a message that has a frame. It imports pyarrow when that is worth it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

pl: Any = import_module("polars")  # which type checkers need not have

# Bytes of a chunk of a column. Arrow memory costs 20 µs for a column, on both sides together, and polars' own way
# 0.15 µs for each KB; ten times that from some MB on.
LEAST = 128 * 1024
# Bytes of a frame for which pyarrow is imported, where it is not yet: 60 ms, and as much as polars' own way takes here.
LEAST_TO_IMPORT = 32 * 1024 * 1024
# Arrow memory brings these back exactly, and lists, arrays and structs of them. Not so: integers of 128 bits, which
# pyarrow does not know, and objects. Categories are numbers that each process has of its own, so they are made anew.
SIMPLE = frozenset(
    {
        *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64"),
        *("Boolean", "String", "Binary", "Date", "Datetime", "Duration", "Time", "Decimal", "Null"),
    }
)
TEXT = frozenset({"String", "Binary"})


def reduced(obj: Any) -> Any:
    """How to rebuild a frame or a series, as `__reduce__` says it; NotImplemented: it goes its own way."""
    series = isinstance(obj, pl.Series)
    columns: list[Any] = [obj] if series else obj.get_columns()
    parts: list[Any] = []
    taken: Any = ()
    arrow = _arrow(obj.estimated_size())
    if arrow is not None:
        beside, taken = arrow.reduced([column for column in columns if _is_large(column) and _is_simple(column.dtype)])
        if taken:
            parts.append(_Part(beside))
    rest = columns if not parts else [column for column in columns if column.name not in taken]
    nested = [column for column in rest if column.dtype.is_nested() and _has_text(column.dtype)]
    if nested:
        parts.append(_Part((read, (_written(framed(nested)),))))
    objects = {column.name: column.to_list() for column in rest if column.dtype == pl.Object}
    if objects:
        parts.append(_Part((of_objects, (objects,))))
    others = {column.name for column in nested} | objects.keys()
    rest = [column for column in rest if column.name not in others]
    if not parts:
        return NotImplemented
    if rest:
        parts.append(framed(rest))  # for which the codec asks again
    elif len(parts) == 1 and not series:
        return parts[0].made
    return joined, (parts, [column.name for column in columns], series)


def settling(obj: Any, keep: Callable[[Any], Any]) -> Any:
    """The same for a copy that stays in this process, which is made to have its memory elsewhere.

    `keep` gets a frame of the columns that cannot, and gives what stands for it. No numbers are among them, whose
    memory others may write to.
    """
    series = isinstance(obj, pl.Series)
    columns: list[Any] = [obj] if series else obj.get_columns()
    arrow = _arrow(LEAST_TO_IMPORT)  # what stays is sent many times
    if arrow is None:
        return NotImplemented
    beside, taken = arrow.reduced([column for column in columns if _is_simple(column.dtype)])
    parts: list[Any] = [_Part(beside)] if taken else []
    rest = [column for column in columns if column.name not in taken]
    if rest:
        parts.append(keep(framed(rest)))
    return joined, (parts, [column.name for column in columns], series)


def framed(columns: list[Any]) -> Any:
    """A frame of some columns, under the names that they have: pl.DataFrame gives names to those that have none.

    >>> framed([pl.Series([1])]).columns
    ['']
    """
    return columns[0].to_frame().hstack(columns[1:]) if columns else pl.DataFrame()


def joined(parts: list[Any], names: list[str], series: bool) -> Any:
    """A frame of the columns of several, in this order; or its only column."""
    every = {column.name: column for part in parts for column in part.get_columns()}
    return every[names[0]] if series else framed([every[name] for name in names])


def read(data: bytes) -> Any:
    """What `_written` wrote."""
    return pl.read_ipc_stream(BytesIO(data))


def of_objects(columns: dict[str, list[Any]]) -> Any:
    """A frame with these objects."""
    return framed([pl.Series(name, values, dtype=pl.Object) for name, values in columns.items()])


def _written(frame: Any) -> bytes:
    """As IPC, with text as Arrow has it without views: no more of it than the frame uses."""
    file = BytesIO()
    frame.write_ipc_stream(file, compat_level=pl.CompatLevel.oldest())
    return file.getvalue()


class _Part:
    """Something in a body that is made as `made` says."""

    __slots__ = ("made",)

    def __init__(self, made: tuple[Any, ...]) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return self.made


def _arrow(size: int) -> Any:
    """codec_arrow.py, where it can be used for a frame of so many bytes; None: it cannot, or is not worth it."""
    if size < LEAST or (size < LEAST_TO_IMPORT and "pyarrow" not in sys.modules):
        return None
    try:
        return import_module("beampy.wire.codec_arrow")
    except ImportError:  # no pyarrow, or no numpy
        return None


def _is_large(column: Any) -> bool:
    return bool(column.estimated_size() >= LEAST * column.n_chunks())


def _is_simple(dtype: Any) -> bool:
    name = dtype.base_type().__name__
    if name == "Array" and not dtype.size:  # which polars does not export, nor fields with such a name
        return False
    if name == "Struct" and any("\0" in field.name for field in dtype.fields):
        return False
    inner = _inner(dtype, name)
    return name in SIMPLE if inner is None else bool(inner) and all(map(_is_simple, inner))


def _has_text(dtype: Any) -> bool:
    """Whether there is text in a type that Arrow memory brings back exactly."""
    return _is_simple(dtype) and _text_in(dtype)


def _text_in(dtype: Any) -> bool:
    name = dtype.base_type().__name__
    inner = _inner(dtype, name)
    return name in TEXT if inner is None else any(map(_text_in, inner))


def _inner(dtype: Any, name: str) -> list[Any] | None:
    """The types in a list, an array or a struct; None for others."""
    if name in ("List", "Array"):
        return [dtype.inner]
    return [field.dtype for field in dtype.fields] if name == "Struct" else None
