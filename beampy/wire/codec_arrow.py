"""Columns of polars as Arrow memory: written down as what pyarrow makes the same arrays of, and buffers.

Rule: no byte of a buffer is looked at, and none is sent that its array does not need, but for text, of which views may
point to a part: such a column is left out where that is a small one. Each buffer is sent once, however many arrays
share it. Chunks keep their layout where those of all columns are alike, and columns their flags of being sorted.

What is read rests on the memory that came, for as long as any part of it is there. polars lets go of memory in threads
of its own, also while the thread that waits for them has Python's lock (its `serialize` does). So nothing that it lets
go of may want the lock: pyarrow's py_buffer does, whereas polars itself, which takes arrays of numpy's, only notes what
it has let go of, and frees it when it is next called. The memory passes through polars first, therefore, as bytes.

Place: under codec_frames.py, which says which columns. A body names `columns_of`: it is read where this module, and
with it pyarrow, can be imported. It does not know how buffers travel.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from beampy.wire.codec_frames import framed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    # An array: its length, nulls and offset, its buffers (or their numbers), and its children.
    Node = tuple[int, int, int, list[Any], list[Any]]

pl: Any = import_module("polars")  # which type checkers need not have, nor those that follow
try:
    np: Any = import_module("numpy")
    pa: Any = import_module("pyarrow")
except ModuleNotFoundError as error:
    if error.name not in ("numpy", "pyarrow"):
        raise
    raise ImportError(
        f"a polars frame came as Arrow memory, and this node has no {error.name} to read it: pip install beampy[frames]"
    ) from None

# What is sent of a column with text may be so many times what it needs; IPC writes what is needed, and costs a copy on
# each side.
SLACK = 1.5
# Bytes of text that are not asked about. Also: a smaller buffer that came is copied, for less than the 9 µs that it
# takes to be lent.
SMALL = 64 * 1024
VIEW, OFFSET = 128, 64  # bits of a view of text, and of an offset of a large list: Arrow's columnar format


def reduced(columns: list[Any]) -> tuple[tuple[Any, ...], set[str]]:
    """How to rebuild a frame of such columns, as `__reduce__` says it, and the names of those that are in it."""
    fields: list[Any] = []
    chunks: list[list[Node]] = []
    flags: list[tuple[int, bool]] = []
    names: list[str] = []
    memory = _Memory()
    for column, field, arrays in _exported(columns):
        views: list[Any] = []
        nodes = [_described(array, views) for array in arrays if len(array)]
        if None in nodes or _is_wasteful(views, column):
            continue
        names.append(column.name)
        known = column.flags
        if known["SORTED_ASC"] or known["SORTED_DESC"]:
            flags.append((len(fields), known["SORTED_DESC"]))
        fields.append(field)
        chunks.append([memory.numbered(node) for node in nodes if node is not None])
    schema = pa.schema(fields).serialize().to_pybytes()
    return (columns_of, (names, schema, chunks, memory.buffers, flags)), set(names)


def columns_of(
    names: list[str],
    schema: bytes,
    chunks: list[list[Node]],
    memory: Sequence[Any],
    flags: Sequence[tuple[int, bool]],
) -> Any:
    """A frame on the memory that came.

    `schema` is an Arrow schema as IPC writes it, with other names. `chunks` has those of each of its columns, and
    `flags` says which of them are sorted, and whether downwards.
    """
    types = pa.ipc.read_schema(pa.py_buffer(schema))
    buffers = [_lent(one) for one in memory]
    arrays = [
        pa.chunked_array([_array(field.type, node, buffers) for node in nodes], field.type)
        for field, nodes in zip(types, chunks, strict=True)
    ]
    frame = pl.from_arrow(pa.Table.from_arrays(arrays, schema=types), rechunk=False)
    frame.columns = names
    if not flags:
        return frame
    columns = frame.get_columns()
    for place, descending in flags:
        columns[place] = columns[place].set_sorted(descending=descending)
    return framed(columns)


def _lent(memory: Any) -> Any:
    """An Arrow buffer of some memory, which can be let go of without Python's lock: see above."""
    view = memoryview(memory)
    if view.nbytes >= SMALL:
        return pl.Series(np.frombuffer(view, np.uint8)).to_arrow().buffers()[1]
    room = pa.allocate_buffer(view.nbytes)
    memoryview(room).cast("B")[:] = view
    return room


def _array(kind: Any, node: Node, buffers: Sequence[Any]) -> Any:
    length, nulls, offset, numbers, children = node
    own = [None if number is None else buffers[number] for number in numbers]
    parts = [_array(kind.field(place).type, child, buffers) for place, child in enumerate(children)]
    array = pa.Array.from_buffers(kind, length, own, nulls, offset, parts)
    array.validate()  # that no buffer is too short for it
    return array


def _exported(columns: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Each column with its Arrow field and its chunks, on its own memory. The fields have numbers for names.

    Arrow has not all names: polars would name a column that has none when it comes back, and "\\0" is no part of any.
    """
    numbered = [column.alias(str(place)) for place, column in enumerate(columns)]
    try:
        table = _table(numbered)
    except pa.ArrowInvalid:  # polars 1 makes wrong arrays of slices of structs: these columns are left out
        for column, named in zip(columns, numbered, strict=True):
            with suppress(pa.ArrowInvalid):
                table = _table([named])
                yield column, table.schema[0], table.columns[0].chunks
        return
    for column, field, chunked in zip(columns, table.schema, table.columns, strict=True):
        yield column, field, chunked.chunks


def _table(columns: list[Any]) -> Any:
    frame = framed(columns)  # a new one: chunks are aligned
    return frame.to_arrow(compat_level=pl.CompatLevel.newest())


def _described(array: Any, views: list[Any]) -> Node | None:
    """An array, with no more of its buffers than it needs, but for the text of views, which are put into `views`.

    Bits of bitmaps are not moved: what is cut off before the first value is a multiple of 8 values. None: it cannot be
    said in this way.
    """
    kind, length, nulls = array.type, len(array), array.null_count
    offset = array.offset % 8
    start, end = array.offset - offset, array.offset + length
    own = array.buffers()
    valid = _cut(own[0], start, end, 1) if nulls and own[0] is not None else None
    if pa.types.is_null(kind):
        return length, nulls, 0, [None], []
    if pa.types.is_struct(kind):
        parts = [_described(array.field(place), views) for place in range(kind.num_fields)]
        return None if array.offset or None in parts else (length, nulls, 0, [valid], parts)
    if pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        part = _described(array.values.slice(start * size, (end - start) * size), views)
        return None if part is None else (length, nulls, offset, [valid], [part])
    if pa.types.is_large_list(kind):
        offsets = pa.Array.from_buffers(pa.int64(), end - start + 1, [None, _cut(own[1], start, end + 1, OFFSET)])
        first, last = offsets[0].as_py(), offsets[-1].as_py()
        if first:
            offsets = (pl.from_arrow(offsets) - first).to_arrow()
        part = _described(array.values.slice(first, last - first), views)
        return None if part is None else (length, nulls, offset, [valid, offsets.buffers()[1]], [part])
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        views.append(array)
        return length, nulls, offset, [valid, _cut(own[1], start, end, VIEW), *own[2:]], []
    return length, nulls, offset, [valid, _cut(own[1], start, end, kind.bit_width)], []


def _cut(buffer: Any, start: int, end: int, width: int) -> Any:
    """The values from `start`, a multiple of 8, to `end`, of so many bits each."""
    first = start * width // 8
    return buffer.slice(first, -(-end * width // 8) - first)


def _is_wasteful(views: list[Any], column: Any) -> bool:
    """Whether the views of a column point to a small part of the text that would be sent with them."""
    texts = {(one.address, one.size): one.size for array in views for one in array.buffers()[2:] if one is not None}
    sent, small = sum(texts.values()), sum(map(len, views)) * VIEW // 8
    if sent <= max(small, SMALL):
        return False
    own = column.dtype in (pl.String, pl.Binary)
    needed = column.estimated_size() if own else sum(pl.from_arrow(one).estimated_size() for one in views)
    return bool(sent + small > SLACK * (needed + small))


class _Memory:
    """The buffers of some arrays, each once."""

    def __init__(self) -> None:
        self.buffers: list[PickleBuffer] = []
        self._numbers: dict[tuple[int, int], int] = {}

    def numbered(self, node: Node) -> Node:
        """The same array, with the numbers of its buffers."""
        length, nulls, offset, own, children = node
        numbers = len(own) == 2 and not children  # text is polars' own
        places = [None if one is None else self._place(one, bool(at) and numbers) for at, one in enumerate(own)]
        return length, nulls, offset, places, [self.numbered(child) for child in children]

    def _place(self, buffer: Any, may_change: bool) -> int:
        key = buffer.address, buffer.size
        place = self._numbers.get(key)
        if place is None:
            place = self._numbers[key] = len(self.buffers)
            self.buffers.append(PickleBuffer(buffer if may_change else _fixed(buffer)))
        return place


def _fixed(buffer: Any) -> Any:
    """A buffer as one that does not change, so that it waits to be sent without a copy.

    Of others, that is not known: polars does not change them, but it may have them from arrays of numpy's, and others
    write to those (buffers.py).
    """
    return np.frombuffer(buffer, np.uint8) if buffer.size else buffer
