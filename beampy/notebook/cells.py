"""Cells: the cell that code belongs to, and what comes back to it from other nodes.

Rule: each execution has a Cell, made as it begins. The code of the execution, and the tasks, callbacks and threads that
copy its context, have it in the variable `screen`; a thread started without a context has the cell that runs now, as
ipykernel does. What a call that was made there prints, logs and displays comes to that cell: also when it has ended,
and while another one runs. Whoever brings it only leaves it here; the display thread shows it.

Lines have the name of their node or runner before them. Log records go to the handlers that the user has set up; where
there are none, those from WARNING on are lines of stderr.

Bounds: a cell shows `RATE` bytes of text a second and `TOTAL` in all, all cells together `TOGETHER` a second, since
Jupyter's server shows nothing any more above a megabyte a second. What does not fit waits, up to `WAITING` characters;
what is over that is left out, and a line says how much.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from contextvars import Context, copy_context
from threading import Lock, RLock, get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy import handle
from beampy.core import group_leader
from beampy.core.bundles import BUNDLE, unpacked, weight
from beampy.core.group_leader import STDERR, STDOUT
from beampy.notebook import drawing
from beampy.notebook.lines import Lines
from beampy.notebook.publishing import LastResort, Terminal, publisher_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from beampy.notebook.publishing import Publisher

log = logging.getLogger("beampy.notebook")

BATCH = 0.05  # seconds between two messages of a cell's text: below what people see as a delay
RATE = 262_144  # bytes of text a second that one cell shows; a quarter of what Jupyter's server lets through
TOGETHER = 524_288  # and all cells; the other half is for what the kernel itself prints
TOTAL = 10_000_000  # bytes of text that one cell shows; browsers become slow with more
WAITING = 1 << 20  # characters that wait to be shown; some seconds' worth
DISPLAYS = 3 * BUNDLE  # bytes of rich displays that wait
MESSAGES = 20  # of one cell at a time: at twenty times a second they are below the 1000 that the server lets through
FULL = (
    f"\n… this cell has shown {TOTAL // 1_000_000} MB of output; the rest is left out. pool.logs() has the end of it\n"
)
TURNS = 100  # times a second that code going on with a value has shown what came before it; each is a few messages
FLUSH = 1.0  # seconds that code of a cell waits for the display thread, when that shows something of the same cell


class _Text(NamedTuple):
    stream: int
    text: str
    source: str
    writer: Hashable


class _Done(NamedTuple):
    writer: Hashable


class _Record(NamedTuple):
    record: logging.LogRecord
    source: str


class _Bundle(NamedTuple):
    data: dict[str, Any]
    metadata: dict[str, Any]
    source: str
    display_id: str | None
    update: bool
    size: int


def _size(data: dict[str, Any]) -> int:
    """What the forms of a display weigh while they wait."""
    views = (bytearray, memoryview)
    return sum(len(form) if isinstance(form, views) else weight(form) for form in data.values())


class _Left:
    """What was left out at this place."""

    def __init__(self) -> None:
        self.count = 0


class Allowance:
    """How much may be shown: `rate` a second, with as much at once. The time is an argument."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._left = float(rate)
        self._at = 0.0

    def any(self, now: float) -> bool:
        """Whether something may be shown now."""
        self._left = min(self.rate, self._left + (now - self._at) * self.rate)
        self._at = now
        return self._left > 0

    def take(self, cost: int) -> None:
        """It was."""
        self._left -= cost


_lock = Lock()  # of what waits in cells: held for an append; one for all, so that a forked child can have a new one
_together = Allowance(TOGETHER)
_forked = False


class Cell:
    """One execution of a cell, and the screen of what it starts.

    `parent`: the message that asked for it, {} without a kernel. `number`: as in `In [number]`. `ended`: whether its
    own code has come to its end; what it started may go on.
    """

    def __init__(self, publisher: Publisher, parent: dict[str, Any], number: int) -> None:
        self.parent = parent
        self.number = number
        self.ended = False
        self.depth = 0  # executions within it: `get_ipython().run_cell`
        self.thread = get_ident()
        self.context: Context | None = None
        self._publisher = publisher
        self._items: deque[_Text | _Done | _Record | _Bundle | _Left] = deque()
        self._size = self._rich = 0
        self._waits = False  # the display thread will look
        self._flushed = 0.0
        self._late_at: float | None = None
        self._lines = Lines()
        self._allowance = Allowance(RATE)
        self._turns = Allowance(TURNS)
        self._shown = 0
        self._full = False
        self._bars: drawing.Drawn | None = None
        self._showing = RLock()  # held by who shows what waits

    @property
    def publisher(self) -> Publisher:
        """The way out. A forked child is no kernel: there it is the streams."""
        return Terminal() if _forked else self._publisher

    def runs_here(self) -> bool:
        """Whether its code is what this thread runs now."""
        return not self.ended and self.thread == get_ident() and not _forked

    # as a screen: any thread, at once

    def text(self, stream: int, text: str, source: str, writer: Hashable = None) -> None:
        """Text for STDOUT or STDERR."""
        self._take(_Text(stream, text, source, source if writer is None else writer), len(text))

    def done(self, writer: Hashable) -> None:
        """No more text comes of this writer."""
        self._take(_Done(writer), 0)

    def record(self, record: logging.LogRecord, source: str) -> None:
        """A log record."""
        if logging.getLogger(record.name).isEnabledFor(record.levelno):
            self._take(_Record(record, source), len(str(record.msg)))

    def bundle(
        self, data: dict[str, Any], metadata: dict[str, Any], source: str, display_id: str | None, update: bool
    ) -> None:
        """A rich display."""
        size = _size(data)
        self._take(_Bundle(data, metadata, source, display_id, update, size), size)

    def _take(self, item: _Text | _Done | _Record | _Bundle, size: int) -> None:
        if _forked:
            if isinstance(item, _Text):
                self.publisher.stream({}, item.stream, item.text)
            return
        with _lock:
            if isinstance(item, _Bundle):
                if fits := self._rich < (2 * DISPLAYS if item.update else DISPLAYS):
                    self._rich += size
            elif fits := self._size < WAITING or not size:
                self._size += size
            if fits:
                self._items.append(item)
            else:
                last = self._items[-1] if self._items else None
                if not isinstance(last, _Left):
                    self._items.append(last := _Left())
                last.count += size
            if self._waits:
                return
            self._waits = True
        drawing.soon(self._flush)

    # on the display thread

    def _flush(self) -> None:
        now = time.monotonic()
        if (wait := self._flushed + BATCH - now) > 0:
            drawing.after(wait, self._flush)
            return
        self.show(now)

    def show(self, now: float | None = None) -> None:
        """Show what waits, as far as it may be shown now."""
        with self._showing:
            self._show(time.monotonic() if now is None else now)

    def _show(self, now: float) -> None:
        self._flushed = now
        with _lock:
            items, self._items = self._items, deque()
            self._size = self._rich = 0
            self._waits = False
        out: list[list[Any]] = []
        while items and len(out) < MESSAGES and self._allowance.any(now) and _together.any(now):
            item = items.popleft()
            if isinstance(item, _Text):
                self._add(out, self._lines.feed(item.writer, item.stream, item.source, item.text, now))
            elif isinstance(item, _Done):
                self._add(out, self._lines.done(item.writer))
            elif isinstance(item, _Left):
                self._add(out, [(STDERR, f"… {item.count:,} characters left out: more than a cell can show\n")])
            elif isinstance(item, _Record):
                self._log(out, item, now)
            else:
                self._send(out)
                self._display(item)
        self._add(out, self._lines.late(now))
        self._send(out)
        self._draw_bars()
        if items:
            with _lock:
                items.extend(self._items)
                self._items = items
                self._size += sum(len(item.text) for item in items if isinstance(item, _Text))
                self._rich += sum(item.size for item in items if isinstance(item, _Bundle))
                posted, self._waits = self._waits, True
            if not posted:
                drawing.after(BATCH, self._flush)
        self._look_again(now)

    def _look_again(self, now: float) -> None:
        """Set the time for lines without an end."""
        at = self._lines.next_late()
        if at is not None and self._late_at is None:
            self._late_at = at
            drawing.after(max(0.0, at - now), self._late)

    def _late(self) -> None:
        self._late_at = None
        self.show()

    def _add(self, out: list[list[Any]], pieces: list[tuple[int, str]]) -> None:
        for stream, text in pieces:
            if self._full:
                return
            size = len(text)
            if not text.isascii():
                encoded = text.encode(errors="replace")  # no message can have half a character
                size, text = len(encoded), encoded.decode()
            self._allowance.take(size)
            _together.take(size)
            self._shown += size
            if self._shown > TOTAL:
                self._full = True
                stream, text = STDERR, FULL
            if out and out[-1][0] == stream:
                out[-1][1].append(text)
            else:
                out.append([stream, [text]])

    def _send(self, out: list[list[Any]]) -> None:
        for stream, texts in out:
            self.publisher.stream(self.parent, stream, "".join(texts))
        out.clear()

    def _log(self, out: list[list[Any]], item: _Record, now: float) -> None:
        record, source = item
        logger = logging.getLogger(record.name)
        label = f"[{source}] " if source else ""
        if logger.hasHandlers():
            self._send(out)
            record.msg, record.args = f"{label}{record.getMessage()}", ()
            self.run(lambda: logger.handle(record))
        elif record.levelno >= logging.WARNING:
            text = f"{record.levelname} {record.name}: {record.getMessage()}\n"
            if record.exc_text:
                text += f"{record.exc_text}\n"
            self._add(out, self._lines.feed(("log", source), STDERR, source, text, now))

    def _display(self, item: _Bundle) -> None:
        data, metadata, source, display_id, update, _ = item
        data = {kind: unpacked(kind, form) for kind, form in data.items()}
        if source and not update:
            data = labelled(data, source)
            if "text/html" not in data and any(kind != "text/plain" for kind in data):
                self.publisher.stream(self.parent, STDOUT, f"[{source}]\n")
        elif source:
            data = labelled(data, source)
        self.publisher.display(self.parent, data, metadata, display_id or "", update)

    def _draw_bars(self) -> None:
        if not self._lines.redraw:
            return
        self._lines.redraw = False
        if self._bars is None:
            self._bars = drawing.show(_Bars(self._lines), self)
        else:
            self._bars.changed()

    def publish(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str, update: bool) -> None:
        """A display of this process itself, in order with the text before it."""
        if not update and self._items:
            self.show()
        self.publisher.display(self.parent, data, metadata, display_id, update)

    def run(self, fn: Callable[[], object]) -> None:
        """Run `fn` on the display thread as code of this cell: what it prints is printed here."""
        context = copy_context() if self.context is None else self.context
        try:
            context.run(fn)
        except RuntimeError as error:
            if "already entered" not in str(error):
                raise
            context.copy().run(fn)

    # on its own thread

    def display_here(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        """A display by its own code."""
        self.catch_up()
        self.publisher.display_here(data, metadata, display_id)

    def catch_up(self, *, at_end: bool = False) -> None:
        """Show what came so far: here and now, before its code goes on. Not where that is too often: it comes later."""
        if not at_end and not self._turns.any(time.monotonic()):
            return
        if self._showing.acquire(timeout=FLUSH):  # also where nothing waits: the display thread may be at it
            try:
                if self._items:
                    self._turns.take(1)
                    self._show(time.monotonic())
            except Exception:
                log.exception("output could not be shown in the notebook")
            finally:
                self._showing.release()

    def __repr__(self) -> str:
        return f"<Cell {self.number}{' ended' if self.ended else ''}>"


class _Bars:
    """The progress bars that code elsewhere prints, a row each."""

    ended = False

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": "\n".join(self._lines.bars())}, {}


def labelled(data: dict[str, Any], source: str) -> dict[str, Any]:
    """A display with the name of its node in it, where its form has room for one.

    >>> labelled({"text/plain": "Figure(1)"}, "b")
    {'text/plain': '[b] Figure(1)'}
    """
    made = dict(data)
    if isinstance(text := made.get("text/plain"), str):
        made["text/plain"] = "\n".join(f"[{source}] {line}" for line in text.split("\n"))
    if isinstance(page := made.get("text/html"), str):
        name = source.replace("&", "&amp;").replace("<", "&lt;")
        made["text/html"] = f'<div style="font-family:monospace;opacity:.75">[{name}]</div>{page}'
    return made


def current_cell() -> Cell | None:
    """The cell that the code belongs to that asks; for a thread without a context the one that runs now."""
    found = group_leader.screen_now()
    return found if isinstance(found, Cell) else None


def install(shell: Any) -> Callable[[], object]:
    """Make a Cell for each execution, also for the one that runs now. The answer undoes it."""
    publisher = publisher_of(shell)
    running: dict[int, Cell] = {}  # by thread: subshells have their own

    def begin(*_: object) -> None:
        parent = publisher.parent()
        outer = running.get(get_ident())
        if outer is not None and _same(outer.parent, parent) and publisher.live:
            outer.depth += 1
            return
        drawing.seen()
        cell = Cell(publisher, parent, int(getattr(shell.displayhook, "prompt_count", 0)))
        cell.depth = 1
        running[get_ident()] = group_leader.latest_screen = cell
        group_leader.screen.set(cell)
        cell.context = copy_context()

    def end(*_: object) -> None:
        cell = running.get(get_ident())
        if cell is None:
            return
        group_leader.screen.set(cell)  # what widgets do next belongs to it; an async cell had a context of its own
        cell.depth -= 1
        if cell.depth <= 0:
            cell.ended = True
            del running[get_ident()]
            cell.catch_up(at_end=True)

    def caught_up() -> None:
        cell = running.get(get_ident())
        if cell is not None:
            cell.catch_up()

    def forget(*_: object) -> None:
        group_leader.screen.set(None)
        shell.events.unregister("post_run_cell", forget)

    def undo() -> None:
        shell.events.unregister("pre_run_cell", begin)
        shell.events.unregister("post_run_cell", end)
        shell.events.register("post_run_cell", forget)  # where cells get their context from, which is not here
        group_leader.latest_screen = screen_before
        group_leader.screen.set(None)
        if handle.arrived is caught_up:
            handle.arrived = arrived_before
        if logging.lastResort is ours:
            logging.lastResort = last_resort

    screen_before, arrived_before = group_leader.latest_screen, handle.arrived
    handle.arrived = caught_up
    last_resort, ours = logging.lastResort, LastResort(lambda: get_ident() in running)
    if publisher.live and last_resort is not None:
        logging.lastResort = ours
    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)
    if not publisher.live or publisher.parent().get("header", {}).get("msg_type") == "execute_request":
        begin()
    return undo


def _same(parent: dict[str, Any], other: dict[str, Any]) -> bool:
    header, found = parent.get("header", {}), other.get("header", {})
    return bool(header.get("msg_id") == found.get("msg_id"))


def _after_fork() -> None:
    global _lock, _forked
    _lock, _forked = Lock(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
