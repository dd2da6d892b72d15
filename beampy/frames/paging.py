"""Paging: parts of a remote frame, brought as they are asked for.

    async for part in df.iter_slices(100_000): ...
    async for carrier, delay in df.iter_rows(): ...
    df.table(page=50)

Rule: a part is a slice, made where the frame is, in one message; the next one is on its way while one is used, and no
more than two are here. A frame does not change, so its height is known with the first part, and nothing is asked past
its end. What is read is what the handle was of when the reading began.

Place: what `iter_slices`, `iter_rows` and `table` of RemoteDataFrame give. Notebooks show a Table with buttons; it does
not know them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

from beampy.frames import asking, excerpt, preview
from beampy.frames.excerpt import Wanted
from beampy.refs import using

if TYPE_CHECKING:
    from types import TracebackType

    import polars as pl

    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.due import Due
    from beampy.frames.excerpt import Excerpt
    from beampy.frames.preview import Sight
    from beampy.handle import Handle
    from beampy.refs.ref import RemoteRef

PAGE = 50  # rows of a page: two screens
MOST = 1000  # rows of a page: what a browser draws at once without a pause
LONG = 500  # characters of a cell that are brought for a table: what is read of one at a glance, and more


def page(frame: RemoteDataFrame, offset: int, n_rows: int) -> Handle[pl.DataFrame]:
    """So many rows from a row on: the Handle of a polars DataFrame. Only they are sent.

    >>> await page(df, 1_000_000, 50)
    """
    return _asked(frame._due, "rows", _part, offset, n_rows)


def _asked(due: Due, what: str, fn: Any, *args: Any) -> Handle[Any]:
    """`fn([ref], *args)` where the frame is, which may still be being made."""
    if due.ready:
        return using.use(due.there().ref, what, fn, args, {})

    async def work() -> Any:
        made = await due.here()
        return await using.use(made.ref, what, fn, args, {})

    return asking.handle(due.node, work, what)


# on the frame's owner: a slice copies nothing


def _part(held: list[RemoteRef[Any]], offset: int, n_rows: int) -> pl.DataFrame:
    part: pl.DataFrame = held[0].refs.value(held[0].id).slice(offset, n_rows)
    return part


def _part_of(held: list[RemoteRef[Any]], offset: int, n_rows: int) -> tuple[int, pl.DataFrame]:
    """The height of the frame as well."""
    frame: pl.DataFrame = held[0].refs.value(held[0].id)
    return frame.height, frame.slice(offset, n_rows)


class Slices:
    """The parts of a frame, in order. `async for` or `for`; one reader at a time."""

    def __init__(self, frame: RemoteDataFrame, n_rows: int) -> None:
        if not isinstance(n_rows, int) or isinstance(n_rows, bool) or n_rows < 1:
            raise ValueError(f"iter_slices: n_rows is a number of rows, 1 or more, not {n_rows!r}")
        self._due: Due | None = frame._due
        self._n = n_rows
        self._at = 0
        self._next: Handle[tuple[int, pl.DataFrame]] | None = None  # on its way

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> pl.DataFrame:
        try:
            if self._next is None and self._due is not None:
                await self._due
                self._ask()
            part = None if self._next is None else self._took(await self._next)
        except BaseException:
            self.close()
            raise
        if part is None:
            raise StopAsyncIteration
        return part

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pl.DataFrame:
        try:
            if self._next is None and self._due is not None:
                self._due.result()
                self._ask()
            part = None if self._next is None else self._took(self._next.result())
        except BaseException:
            self.close()
            raise
        if part is None:
            raise StopIteration
        return part

    def _ask(self) -> None:
        """Have the next part brought. The frame is there."""
        assert self._due is not None
        self._next = _asked(self._due, "iter_slices", _part_of, self._at, self._n)
        self._at += self._n

    def _took(self, found: tuple[int, pl.DataFrame]) -> pl.DataFrame | None:
        """A part is here: the next one is asked for. None: it was empty, as of a frame without rows."""
        height, part = found
        if self._at < height:
            self._ask()
        else:
            self.close()
        return part if part.height else None

    def close(self) -> None:
        """No more parts are brought, and the frame is let go. Dropping it does the same."""
        asked, self._next, self._due = self._next, None, None
        if asked is not None and not asked.done():
            asked.cancel()

    def __del__(self) -> None:
        if getattr(self, "_next", None) is not None:
            self.close()


class Rows:
    """The rows of a frame, as polars' iter_rows gives them. `async for` or `for`, and `next`."""

    def __init__(self, frame: RemoteDataFrame, named: bool, buffer_size: int) -> None:
        self._slices = Slices(frame, buffer_size)
        self._named = named
        self._here: deque[Any] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self._here:
            self._here.extend(self._rows(await self._slices.__anext__()))
        return self._here.popleft()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self._here:
            self._here.extend(self._rows(next(self._slices)))
        return self._here.popleft()

    def _rows(self, part: pl.DataFrame) -> list[Any]:
        return part.rows(named=True) if self._named else part.rows()


class Table:
    """A remote frame for people to look through, page by page. `df.table()` makes it.

    In a notebook it has buttons for its pages, and only the page that is looked at is brought. Elsewhere it is shown as
    its first page. It keeps the frame, also one whose last other handle is gone, until it is dropped or closed itself.

    >>> table = df.table(page=100)
    >>> table.close()                     # the notebook's view of it is over, too
    """

    def __init__(self, frame: RemoteDataFrame, page: int = PAGE) -> None:
        if not isinstance(page, int) or isinstance(page, bool) or not 1 <= page <= MOST:
            raise ValueError(f"table: page is a number of rows, from 1 to {MOST}, not {page!r}")
        self.page = page
        self._frame: RemoteDataFrame = frame.__copy__()
        self._views: list[Any] = []  # what shows it, each with a `close`

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._frame._held is None

    def rows(self, offset: int) -> Handle[Excerpt]:
        """A page, from a row on, as it is shown: with long cells cut, and the first columns of many."""
        return _asked(self._frame._due, "table", excerpt.page, offset, self.want())

    def want(self) -> Wanted:
        """What is brought of a page."""
        want = excerpt.wanted()
        return Wanted(self.page, 0, excerpt.MOST_COLUMNS, 0, max(LONG, want.characters), want.items)

    def first(self) -> Sight:
        """Its first page, as far as that is here within a second."""
        sight = preview.look(self._frame, self.want())
        return sight._replace(headline=sight.headline.replace("RemoteDataFrame", "Table", 1))

    def headline(self, shape: tuple[int, int]) -> str:
        """What it is, in one line, when a page of it is here."""
        return preview.headline("Table", shape, self._frame.nbytes, self._frame.node)

    def close(self) -> None:
        """It is over, wherever it stands, and the frame is let go."""
        views, self._views = self._views, []
        for view in views:
            view.close()
        self._frame.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return _text(self.first())

    def _repr_html_(self) -> str:
        return preview.shown_html(self.first())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.bundle(self.first())

    def bundle(self, sight: Sight) -> dict[str, str]:
        """It without buttons, by MIME type."""
        return {"text/plain": _text(sight), "text/html": preview.shown_html(sight)}


def _text(sight: Sight) -> str:
    """The first rows of a page: as many as polars is set to show, so that it has no "…" among them."""
    if sight.rows is None:
        return preview.shown_text(sight)
    rows = min(sight.rows.frame.height, excerpt.ROWS if excerpt.wanted().last else excerpt.MOST_ROWS)
    return preview.shown_text(sight._replace(rows=sight.rows._replace(frame=sight.rows.frame.head(rows))))
