"""Previews: how remote frames are shown, as text and in notebooks: a line that says what it is, and its first rows.

    RemoteDataFrame of 336 776 × 19, 51 MB, on b@localhost
    ┌──────┬───────┬─────┬───
    │ year ┆ month ┆ day ┆ …

Rule: what is shown is polars' own table, as polars is set to show it here, of an excerpt (excerpt.py) that is brought
once, in one message. All of it takes a second at most: where the frame is still being made, or its node is silent, a
line says so instead; where several are shown together, the first of them has the second. It never fails, and waits for
nothing on the node's own loop.

Place: `__repr__` and `_repr_mimebundle_` of remote frames and series. `Sight`, `shown_text` and `shown_html` are for
what else is a frame of other nodes; plans are plan_text.py's.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import time
from html import escape
from threading import get_ident
from typing import TYPE_CHECKING, NamedTuple

from beampy.errors import OwnerLost
from beampy.frames import excerpt as excerpts
from beampy.frames.excerpt import Excerpt, Wanted, wanted
from beampy.refs import using
from beampy.refs.sizes import shown_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from beampy.frames.due import Due
    from beampy.frames.evaluate import Made
    from beampy.frames.frame import RemoteFrame
    from beampy.handle import Handle

PATIENCE = 1.0  # seconds that a person at a prompt does not mind, and that a frozen node may cost
AGAIN = 0.5  # seconds after waiting in vain in which the next wait is short: several frames of a list, shown together
SHORT = 0.05  # seconds that it has then: some times what an answer takes within a machine (5 ms)
REMEMBERED = 256  # such nodes; a screen shows fewer
LINE = 200  # characters of a failure: its first line, and not the query that some have in it
SHAPE_TEXT = re.compile(r"\Ashape: \([^\n]*\)\n|\nshape: \([^\n]*\)\Z")  # what polars writes above its table, or below
SHAPE_HTML = re.compile(r"<small>shape: [^<]*</small>")

# What was waited for in vain, and until when it is hardly waited for: "making " and "asking " and a node.
_slow: dict[str, float] = {}


class Sight(NamedTuple):
    """What there is to show: what it is, its rows where they are known, and what else is to be said, in a line."""

    headline: str
    rows: Excerpt | None = None
    note: str = ""
    series: bool = False
    want: Wanted | None = None  # what was asked for, where that is not what polars is set to show


# what users see


def text(frame: RemoteFrame) -> str:
    """The frame for a terminal."""
    return shown_text(look(frame))


def html(frame: RemoteFrame) -> str:
    """The frame for a notebook."""
    return shown_html(look(frame))


def bundle(frame: RemoteFrame) -> dict[str, str]:
    """Both, with one question."""
    return bundled(look(frame))


def bundled(sight: Sight) -> dict[str, str]:
    """A sight as a notebook wants it, by MIME type."""
    return {"text/plain": shown_text(sight), "text/html": shown_html(sight)}


def shown_text(sight: Sight) -> str:
    """A sight as text. One line is in angle brackets, as Python has it.

    >>> shown_text(Sight("RemoteDataFrame", note="released"))
    '<RemoteDataFrame: released>'
    """
    table = "" if sight.rows is None else _guarded(_table_text, sight)
    if table:
        return "\n".join(part for part in (sight.headline, table, sight.note, left_out(sight)) if part)
    return f"<{sight.headline}{': ' if sight.note else ''}{sight.note}>"


def shown_html(sight: Sight) -> str:
    """A sight as HTML, without scripts; its colours are those of the page."""
    table = "" if sight.rows is None else _guarded(_table_html if sight.want is None else _all_html, sight)
    notes = [note for note in (sight.note, left_out(sight)) if note]
    said = "".join(f'<div style="margin:2px 0">{escape(note)}</div>' for note in notes)
    return f'<div class="bp-frame"><div style="margin:2px 0">{escape(sight.headline)}</div>{table}{said}</div>'


def headline(kind: str, shape: Sequence[int] | None = None, nbytes: int = 0, node: str | None = None) -> str:
    """What it is, in one line.

    >>> headline("RemoteDataFrame", (336_776, 19), 51_000_000, "b@localhost")
    'RemoteDataFrame of 336 776 × 19, 51 MB, on b@localhost'
    """
    of = "" if shape is None else f" of {' × '.join(map(number, shape))}"
    return f"{kind}{of}{f', {shown_size(nbytes)}' if nbytes else ''}{f', on {node}' if node else ''}"


def left_out(sight: Sight) -> str:
    """What the table cannot say of itself.

    Polars shows a "…" of its own where it is set to show a part. Where it is set to show all, this says that not all
    was brought.
    """
    rows, want = sight.rows, sight.want or wanted()
    if rows is None:
        return ""
    said = []
    if not want.last and rows.frame.height < rows.shape[0]:
        said.append(f"the first {number(rows.frame.height)} of {number(rows.shape[0])} rows")
    if not want.right and rows.frame.width < rows.shape[1]:
        said.append(f"the first {number(rows.frame.width)} of {number(rows.shape[1])} columns")
    if rows.plain:
        named = ", ".join(f"{name} ({kind})" for name, kind in list(rows.plain.items())[:5])
        more = f" and {len(rows.plain) - 5} more" if len(rows.plain) > 5 else ""
        said.append(f"shown as text: {named}{more}")
    return "; ".join(said)


def failure(error: BaseException) -> str:
    """A failure in one line.

    >>> failure(KeyError("a"))
    "KeyError: 'a'"
    """
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    try:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    except Exception:
        said = ""
    name = type(error).__name__
    whole = f"{name}: {said}" if said else name
    return whole if len(whole) <= LINE else f"{whole[:LINE]}…"


def number(count: int) -> str:
    """A count for people.

    >>> number(336776)
    '336 776'
    """
    return f"{count:,}".replace(",", " ")


# how it is looked at


class Seen:
    """What a preview has asked for of a frame: it is kept with the handle, and what comes late is shown the next time.
    Where the handle goes before, the question is taken back.
    """

    __slots__ = ("due", "handle", "rows", "want")

    def __init__(self, due: Due, want: Wanted) -> None:
        self.due = due
        self.want = want
        self.handle: Handle[Excerpt] | None = None
        self.rows: Excerpt | None = None

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None and not handle.done():
            handle.cancel()


def look(frame: RemoteFrame, want: Wanted | None = None, patience: float = PATIENCE) -> Sight:
    """What there is to show of a remote frame or series, within so many seconds. `want`: by default what polars is set
    to show.
    """
    kind, series = f"Remote{frame._kind}", frame._kind == "Series"
    try:
        found = _look(frame, kind, want or wanted(), time.monotonic() + patience)
        return found._replace(series=series, want=want)
    except Exception as error:
        return Sight(kind, None, f"it cannot be shown: {failure(error)}", series)


def _look(frame: RemoteFrame, kind: str, want: Wanted, end: float) -> Sight:
    due = frame._held
    if due is None:
        return Sight(kind, note="released")
    may_wait = due.node.thread != get_ident()
    if not due.done() and may_wait:
        concurrent.futures.wait((due._future,), _left(f"making {due.where}", end))
    if not due.done():
        if due.node.closed:
            return Sight(headline(kind, node=due.where), note="not made: the node of this process has stopped")
        if may_wait:
            _in_vain(f"making {due.where}")
        where = f" on {due.where}" if due.where else ""
        return Sight(kind, note=f"being made{where} ({_what(due)}); await it, or wait()")
    error = due.exception(0)  # which is so looked at
    if error is not None:
        said = "cancelled" if isinstance(error, asyncio.CancelledError) else f"failed: {failure(error)}"
        return Sight(headline(kind, node=due.where), note=f"{said} ({_what(due)})")
    made = due.there()
    rows, note = _rows(frame, due, made, want, end)
    shape = made.shape
    if shape is None and rows is not None:
        shape = rows.shape[:1] if frame._kind == "Series" else rows.shape
    return Sight(headline(kind, shape, made.ref.nbytes, frame.node), rows, note)


def _rows(frame: RemoteFrame, due: Due, made: Made, want: Wanted, end: float) -> tuple[Excerpt | None, str]:
    """The rows, and where there are none what is to be said of that."""
    seen: Seen | None = frame._seen
    if seen is None or seen.due is not due or seen.want != want:
        seen = Seen(due, want)
    if seen.rows is not None:
        return seen.rows, ""
    ref = made.ref
    try:
        if ref.refs.is_own(ref.id) and not ref.refs.node.closed:
            seen.rows = excerpts.of_frame(ref.refs.value(ref.id), want)
            frame._seen = seen
            return seen.rows, ""
        if due.node.thread == get_ident() and (seen.handle is None or not seen.handle.done()):
            return None, ""
        if seen.handle is None:
            seen.handle = using.use(ref, "preview", excerpts.excerpt, (want,), {})
            frame._seen = seen
        rows = _answer(seen.handle, ref.node, end)
    except Exception as error:
        frame._seen = None
        return None, f"lost: {error.cause}" if isinstance(error, OwnerLost) else failure(error)
    if rows is None:
        return None, "its node has not answered yet"
    seen.rows, seen.handle = rows, None
    return rows, ""


def _answer(handle: Handle[Excerpt], node: str, end: float) -> Excerpt | None:
    """The answer, if it is here by then."""
    try:
        error = handle.exception(_left(f"asking {node}", end))
    except TimeoutError:
        _in_vain(f"asking {node}")
        return None
    if error is not None:
        raise error
    _slow.pop(f"asking {node}", None)
    return handle.result(0)


def _left(what: str, end: float) -> float:
    """Seconds that it may take."""
    now = time.monotonic()
    return max(0.0, min(end - now, SHORT if now < _slow.get(what, now) else PATIENCE))


def _in_vain(what: str) -> None:
    while len(_slow) >= REMEMBERED:
        _slow.pop(next(iter(_slow)), None)
    _slow.pop(what, None)
    _slow[what] = time.monotonic() + AGAIN


def _what(due: Due) -> str:
    return due._what.removesuffix(" of a remote frame").replace("__main__.", "")


# polars' tables


def _guarded(fn: Callable[[pl.DataFrame, bool], str], sight: Sight) -> str:
    assert sight.rows is not None
    try:
        return fn(sight.rows.frame, sight.series)
    except Exception as error:
        return escape(f"({failure(error)})")


def _table_text(frame: pl.DataFrame, series: bool) -> str:
    return SHAPE_TEXT.sub("", str(frame.to_series() if series else frame))


def _table_html(frame: pl.DataFrame, series: bool) -> str:
    return SHAPE_HTML.sub("", (frame.to_series() if series else frame)._repr_html_(), count=1)


def _all_html(frame: pl.DataFrame, series: bool) -> str:
    """All of its rows and columns, whatever polars is set to show."""
    from polars.dataframe._html import NotebookFormatter

    shown = NotebookFormatter(frame, max_cols=frame.width, max_rows=frame.height, from_series=series).render()
    return SHAPE_HTML.sub("", "".join(shown), count=1)
