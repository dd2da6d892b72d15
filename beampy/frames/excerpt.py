"""Excerpts: the part of a frame that people look at, small whatever the frame has.

Rule: an excerpt is a frame itself: the first and the last rows, the first and the last columns, and of long cells what
is shown of them. It is one row and one column longer than what is shown, so that polars' own table has its "…" where
something is left out. What cannot travel, or stays large all the same, is there as its text: `plain` says which.

Place: made where the frame is, in one message, for previews and for tables in notebooks. It does not know what is shown
how; of this process's polars it reads what it is set to show (`pl.Config`).
"""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from beampy.otp.rpc_thread import in_thread

if TYPE_CHECKING:
    from beampy.refs.ref import RemoteRef

# What polars shows where it is not told otherwise (its documentation of pl.Config, and its HTML of frames).
ROWS, COLUMNS, CHARACTERS, ITEMS = 10, 75, 30, 3
# What an excerpt has at most, whatever polars is set to: what people read at one sight, and 1 s brings from afar.
MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS, MOST_ITEMS = 200, 100, 2000, 100
COLUMN = 64 * 1024  # bytes of a column that may travel as they are: with 100 columns 6 MB, 0.1 s of a slow network;
# of those that are larger as many characters
BINARY = 4  # of bytes more are shown than of text: as they are wide, so they are cut later


class Wanted(NamedTuple):
    """What is shown at most: rows from the beginning and from the end, so also columns, then characters of a text, and
    items of a list.
    """

    first: int = ROWS // 2 + 1
    last: int = ROWS // 2
    left: int = (COLUMNS + 1) // 2 + 1
    right: int = COLUMNS // 2
    characters: int = CHARACTERS
    items: int = ITEMS


class Excerpt(NamedTuple):
    """A part of a frame. `shape` is that of all of it; `plain` has the types of the columns that are there as text."""

    frame: pl.DataFrame
    shape: tuple[int, int]
    plain: dict[str, str]


def wanted() -> Wanted:
    """What polars is set to show in this process, within bounds.

    >>> with pl.Config(tbl_rows=4): wanted()[:2]
    (3, 2)
    """
    first, last = _both(_set("POLARS_FMT_MAX_ROWS", ROWS), MOST_ROWS)
    left, right = _both(_set("POLARS_FMT_MAX_COLS", COLUMNS), MOST_COLUMNS)
    characters = _set("POLARS_FMT_STR_LEN", CHARACTERS)
    items = _set("POLARS_FMT_TABLE_CELL_LIST_LEN", ITEMS)
    return Wanted(
        *(first, last, left, right),
        characters if 0 < characters < MOST_CHARACTERS else MOST_CHARACTERS,
        items if 0 <= items < MOST_ITEMS else MOST_ITEMS,
    )


def _set(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, default))
    except ValueError:
        return default


def _both(shown: int, most: int) -> tuple[int, int]:
    """How many from each side. More than `most`, or all, which is -1 to polars: the first so many alone."""
    if not 0 <= shown <= most:
        return most, 0
    return (shown + 1) // 2 + 1, shown // 2


# where the frame is


async def excerpt(held: list[RemoteRef[Any]], want: Wanted) -> Excerpt:
    """The excerpt of the frame, or of the series as a frame with one column. Called on its owner."""
    made: Excerpt = await in_thread(of_frame, (held[0].refs.value(held[0].id), want), {})
    return made


async def page(held: list[RemoteRef[Any]], offset: int, want: Wanted) -> Excerpt:
    """The same of `want.first` rows from a row on. `shape` is that of the whole frame."""
    made: Excerpt = await in_thread(of_page, (held[0].refs.value(held[0].id), offset, want), {})
    return made


def of_frame(frame: Any, want: Wanted) -> Excerpt:
    """The excerpt of a frame or a series.

    >>> of_frame(pl.DataFrame({"a": range(1000)}), Wanted()).frame.height
    11
    """
    if isinstance(frame, pl.Series):
        frame = frame.to_frame()
    if isinstance(frame, pl.LazyFrame):
        raise TypeError("an excerpt of a plan: it has no rows")
    rows = _columns(frame, want)
    if frame.height > want.first + want.last:
        rows = pl.concat([rows.head(want.first), rows.tail(want.last)])
    return _light(rows, frame.shape, want)


def of_page(frame: pl.DataFrame, offset: int, want: Wanted) -> Excerpt:
    """The excerpt of the rows from `offset` on."""
    return _light(_columns(frame, want).slice(offset, want.first), frame.shape, want)


def _columns(frame: pl.DataFrame, want: Wanted) -> pl.DataFrame:
    width = frame.width
    if width <= want.left + want.right:
        return frame
    return frame[:, [*range(want.left), *range(width - want.right, width)]]


def _light(rows: pl.DataFrame, shape: tuple[int, int], want: Wanted) -> Excerpt:
    plain: dict[str, str] = {}
    columns = []
    for column in rows.get_columns():
        cut = cut_cells(column, want)
        if cut is not column and not _travels(cut):
            cut = _anew(cut)
        if not _travels(cut):
            if column.dtype != pl.String:
                plain[column.name] = type_name(column)
            cut = as_text(column, want)
        columns.append(cut)
    return Excerpt(pl.DataFrame(columns) if columns else rows, shape, plain)


def cut_cells(column: pl.Series, want: Wanted) -> pl.Series:
    """The column with its cells no longer than what is shown of them, and a bit, of the same type."""
    if not _is_long(column.dtype):
        return column
    try:
        found = column.to_frame().select(_cut(pl.col(column.name), column.dtype, want).alias(column.name)).to_series()
    except Exception:  # what this polars does not do with such a type: then its size decides
        return column
    return found if found.dtype == column.dtype else column


def _is_long(dtype: pl.DataType) -> bool:
    """Whether a cell of this type can be long."""
    if isinstance(dtype, pl.Struct):
        return any(_is_long(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]
    return isinstance(dtype, (pl.String, pl.Binary, pl.List, pl.Array))


def _cut(cell: pl.Expr, dtype: Any, want: Wanted, within: bool = False) -> pl.Expr:
    if isinstance(dtype, pl.String):
        if not within:
            return cell.str.head(want.characters + 1)
        # Polars' HTML shows texts within lists and structs whole: they are to say that they were cut.
        text = cell.str.head(want.characters) + "…"
        return pl.when(cell.str.len_chars() > want.characters).then(text).otherwise(cell)
    if isinstance(dtype, pl.Binary):
        return cell.bin.slice(0, BINARY * want.characters + 1)
    if isinstance(dtype, pl.List):
        n = want.items + 1
        both = pl.concat_list(cell.list.head(n), cell.list.tail(n))
        cell = pl.when(cell.list.len() > 2 * n).then(both).otherwise(cell)
        return cell.list.eval(_cut(pl.element(), dtype.inner, want, True)) if _is_long(dtype.inner) else cell  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        fields = [field for field in dtype.fields if _is_long(field.dtype)]  # type: ignore[arg-type]
        return cell.struct.with_fields([_cut(pl.field(field.name), field.dtype, want, True) for field in fields])
    return cell


def _travels(column: pl.Series) -> bool:
    """Whether a column can be sent, and is small. Types that say their size by themselves are not asked."""
    dtype = column.dtype
    if isinstance(dtype, pl.Object):
        return False
    if not (dtype.is_nested() or isinstance(dtype, (pl.Enum, pl.Categorical, pl.String, pl.Binary))):
        return True
    try:
        return len(pickle.dumps(column, 5)) <= COLUMN
    except Exception:
        return False


def _anew(column: pl.Series) -> pl.Series:
    """The same with memory of its own: what was cut in lists and structs still has that of the whole."""
    try:
        return pl.Series(column.name, column.to_list(), dtype=column.dtype)
    except Exception:
        return column


def as_text(column: pl.Series, want: Wanted) -> pl.Series:
    """Each cell as polars shows it, or the text itself, so short that all together are small; nulls stay."""
    most = max(CHARACTERS, min(MOST_CHARACTERS, COLUMN // max(1, column.len())))
    if column.dtype == pl.String:
        cells = [text if text is None or len(text) <= most else f"{text[:most]}…" for text in column.str.head(most + 1)]
    else:
        nulls = enumerate(column.is_null())
        cells = [None if null else cell_text(column, row, want.characters, most) for row, null in nulls]
    return pl.Series(column.name, cells, dtype=pl.String)


def headers(found: Excerpt) -> list[tuple[str, str, bool]]:
    """The name of each column, its type, and whether it has numbers, which stand on the right."""
    return [
        (column.name, found.plain.get(column.name) or type_name(column), column.dtype.is_numeric())
        for column in found.frame.get_columns()
    ]


def cells(frame: pl.DataFrame, characters: int = MOST_CHARACTERS) -> list[list[str | None]]:
    """The rows of a frame as text: text itself, all else as polars shows it, and None for null.

    >>> cells(pl.DataFrame({"a": [1, None], "b": ["x", "y"]}))
    [['1', 'x'], [None, 'y']]
    """
    columns: list[list[str | None]] = []
    for column in frame.get_columns():
        if isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
            columns.append(
                [text if text is None or len(text) <= characters else f"{text[:characters]}…" for text in column]
            )
        else:
            nulls = column.is_null().to_list()
            columns.append([None if nulls[row] else cell_text(column, row, characters) for row in range(column.len())])
    return [list(row) for row in zip(*columns, strict=True)]


def cell_text(column: pl.Series, row: int, characters: int, most: int = MOST_CHARACTERS) -> str:
    """A cell as polars' tables show it, with texts of so many characters, and of so many altogether.

    >>> cell_text(pl.Series([[1, 2, 3, 4]]), 0, 30)
    '[1, 2, … 4]'
    """
    try:
        found: str = column._s.get_fmt(row, characters)  # as polars' own HTML does
    except Exception:
        found = str(column[row])
    return found if len(found) <= most else f"{found[:most]}…"


def type_name(column: pl.Series) -> str:
    """The name of its type as polars' tables have it.

    >>> type_name(pl.Series([[1]]))
    'list[i64]'
    """
    try:
        found: str = column.to_frame()._df.dtype_strings()[0]
    except Exception:
        found = str(column.dtype).lower()
    return found
