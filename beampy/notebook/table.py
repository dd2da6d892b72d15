"""Tables in notebooks: what `df.table()` is in a cell. Pages of a remote frame, each brought when it is looked at.

Rule: a page is text when it gets here, and there is one of it, in the browser and in this process. Whatever takes time
is asked of the frame's node, and answered from the display thread; so a table works while a cell computes, where the
browser's messages get here then (busy.py). Questions are numbered, and of each browser page only the newest is
answered. Without anywidget, and where what was saved is read without JupyterLab, a table is its first page.

The view keeps the frame as long as a browser page shows it. When it is shown again later, it works if something else
has kept the frame meanwhile. It is over, and becomes its first page, when its cell is run again, the table is closed,
or it is not one of the last `KEPT` any more.

Place: over frames/paging.py, which brings pages. What is said between it and table.js stands in both.
"""

from __future__ import annotations

import json
import logging
import weakref
from collections import OrderedDict
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from beampy.errors import FrameGone
from beampy.notebook import drawing, widget
from beampy.notebook.cells import Cell, current_cell
from beampy.notebook.live_card import in_notebook
from beampy.notebook.publishing import publisher_of

if TYPE_CHECKING:
    from beampy.frames.due import Due
    from beampy.frames.excerpt import Excerpt, Wanted
    from beampy.frames.paging import Table

log = logging.getLogger("beampy.notebook")

KEPT = 20  # tables that stand somewhere with buttons: each may keep a frame on some node
PAGES = 8  # browser pages with the same notebook whose questions are kept apart
GRACE = 30.0  # seconds until a view that is shown nowhere lets go: a page that is loaded again is back by then

_open: OrderedDict[str, TableView] = OrderedDict()  # by the id of its comm: the oldest first
_by_cell: dict[str, list[weakref.ref[TableView]]] = {}  # by the id of a cell in its notebook


class TableView:
    """A table in a cell of a notebook."""

    def __init__(self, table: Table, cell: Cell) -> None:
        self.cell = cell
        self.display_id = uuid4().hex
        self.over = False  # it has no buttons any more
        self._table: Table | None = table  # none as long as no browser page shows it
        self._due = weakref.ref(table._frame._due)
        self._page = table.page
        # By browser page: the number of its newest question, and the Handle of that, until it is answered.
        self._asked: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        self._here = True  # a browser page has said that it shows it
        sight = table.first()
        self._what = sight.headline
        self._static = table.bundle(sight)
        first = "" if sight.rows is None else json.dumps(told(sight.rows, 0, table.want(), sight.headline))
        self._inner = _kind()(key=uuid4().hex, first=first)
        self._inner.on_msg(self._take)
        self.id: str = self._inner.model_id

    def show(self) -> None:
        """It stands in its cell, on the thread of that."""
        view = {widget.VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.id}}
        self.table()._views.append(self)
        _open[self.id] = self
        widget.also.add(self.id)
        self.cell.display_here(self._static | view, {}, self.display_id)
        while len(_open) > KEPT:
            next(iter(_open.values())).close()

    def table(self) -> Table:
        """The table, which it keeps again. FrameGone: it did not for a while, and the frame was freed then."""
        if self._table is None:
            due = self._due()
            if due is None:
                raise FrameGone(self._what)
            self._table = again(due, self._page)
        return self._table

    def close(self, *, gone: bool = False) -> None:
        """It has no buttons any more, and lets the frame go. `gone`: it stands nowhere. Any thread."""
        if self.over:
            return
        self.over = True
        table, self._table = self._table, None
        if table is not None and self in table._views:
            table._views.remove(self)
        _open.pop(self.id, None)
        widget.also.discard(self.id)
        drawing.soon(lambda: self._end(gone))

    # what the browser says

    def _take(self, _: Any, said: Any, __: Any) -> None:
        """Any thread, at once: one thread, the display thread, does all that follows."""
        if isinstance(said, dict) and not self.over:
            drawing.soon(lambda: self._heard(said))

    def _heard(self, said: dict[str, Any]) -> None:
        if self.over:
            return
        kind, by, number, offset = (said.get(name) for name in ("kind", "by", "number", "offset"))
        if kind == "gone":
            self._here = False
            self._say({"kind": "who"})
            drawing.after(GRACE, self._look)
        elif kind == "here":
            self._here = True
            with suppress(FrameGone):  # said when a page is asked for
                self.table()
        elif kind == "ask" and isinstance(by, str) and isinstance(number, int) and isinstance(offset, int):
            self._here = True
            self._ask(by, number, max(0, offset))

    def _look(self) -> None:
        """No browser page has shown it for a while: it keeps the frame no longer."""
        if not self._here and not self.over:
            self._table = None
            self._take_back()

    def _end(self, gone: bool) -> None:
        self._take_back()
        if not gone:
            self.cell.publisher.display(self.cell.parent, self._static, {}, self.display_id, update=True)
        layout = self._inner.layout
        self._inner.close()
        if layout is not None:
            layout.close()

    def _take_back(self) -> None:
        while self._asked:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, (_, handle) = self._asked.popitem(last=False)
        if handle is not None:
            handle.cancel()

    def _ask(self, by: str, number: int, offset: int) -> None:
        before = self._asked.pop(by, None)
        if before is not None:
            if before[0] >= number:
                self._asked[by] = before
                return
            if before[1] is not None:
                before[1].cancel()
        while len(self._asked) >= PAGES:
            self._forget_oldest()
        self._asked[by] = (number, None)
        try:
            table = self.table()
            handle: Any = table.rows(offset)
        except Exception as error:
            self._failed(by, number, error)
            return
        self._asked[by] = (number, handle)
        done = getattr(handle, "add_done_callback", None)
        if done is None:
            self._answer(by, number, offset)
        else:
            done(lambda _: drawing.soon(lambda: self._answer(by, number, offset)))

    def _answer(self, by: str, number: int, offset: int) -> None:
        newest, handle = self._asked.get(by, (0, None))
        table = self._table
        if newest != number or handle is None or handle.cancelled() or table is None:
            return
        self._asked[by] = (number, None)
        error = handle.exception(0)
        if error is not None:
            self._failed(by, number, error)
            return
        try:
            found: Excerpt = handle.result(0)
            page = told(found, offset, table.want(), table.headline(found.shape))
            self._say({"kind": "page", "by": by, "number": number, "page": page})
        except Exception as wrong:
            self._failed(by, number, wrong)

    def _failed(self, by: str, number: int, error: BaseException) -> None:
        from beampy.frames.preview import failure

        self._say({"kind": "failed", "by": by, "number": number, "why": failure(error)})

    def _say(self, what: dict[str, Any]) -> None:
        inner = self._inner
        self.cell.run(lambda: inner.send(what))


def again(due: Due, page: int) -> Table:
    """A table over a frame that a table was over."""
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.paging import Table

    return Table(RemoteDataFrame(due), page)


def told(found: Excerpt, offset: int, want: Wanted, headline: str) -> dict[str, Any]:
    """A page as table.js draws it: cells are text, or None for null.

    >>> told(of_page(pl.DataFrame({"a": [1, None]}), 0, Wanted()), 0, Wanted(), "Table of 2 × 1")["rows"]
    [['1'], [None]]
    """
    from beampy.frames import excerpt

    height, width = found.shape
    return {
        "headline": headline,
        "offset": offset,
        "size": want.first,
        "height": height,
        "width": width,
        "columns": [{"name": name, "type": kind, "right": right} for name, kind, right in excerpt.headers(found)],
        "rows": excerpt.cells(found.frame, want.characters),
    }


# in a shell


def show(table: Table, shell: Any) -> None:
    """Show a table in the cell that runs. NotImplementedError: it has no buttons here, and is its first page."""
    publisher = publisher_of(shell)
    cell = current_cell() or Cell(publisher, publisher.parent(), 0)
    if table.closed or not publisher.live or not in_notebook(cell.parent) or not widget.available():
        raise NotImplementedError
    try:
        view = TableView(table, cell)
    except Exception as error:
        log.warning("tables have no buttons here: anywidget cannot be used: %s: %s", type(error).__name__, error)
        raise NotImplementedError from error
    _remember(in_notebook(cell.parent), view)
    view.show()


def run_again(parent: dict[str, Any]) -> None:
    """A cell is about to be run: what it showed before goes from the page."""
    for known in _by_cell.pop(in_notebook(parent), []):
        view = known()
        if view is not None:
            view.close(gone=True)


def close_all() -> None:
    """All of them are over."""
    for view in list(_open.values()):
        view.close()


def _remember(key: str, view: TableView) -> None:
    for other in [other for other, known in _by_cell.items() if not any(ref() is not None for ref in known)]:
        del _by_cell[other]
    _by_cell.setdefault(key, []).append(weakref.ref(view))


@cache
def _kind() -> Any:
    """The class of the widget, made when there is one."""
    import anywidget
    import traitlets

    class PagedTable(anywidget.AnyWidget):
        _esm, _css = widget.page("table")
        key = traitlets.Unicode().tag(sync=True)
        first = traitlets.Unicode().tag(sync=True)

    return PagedTable
