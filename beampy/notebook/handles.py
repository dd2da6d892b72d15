"""Handles as the last expression of a cell: what runs, where and for how long, and then the value, in the same place.

Rule: the cell returns at once, and `Out[n]` is the handle. Its place says "running…" about once a second, and becomes
the value as the notebook would show it itself, or one block that names the failure and its node, or "cancelled". To
show a handle takes nothing away from it: it can be awaited, read and cancelled all the same. A failure that is shown
here has been looked at. What a pool can show better, as a live card, is shown by that one, with the value below.

Values are turned into pictures and tables on a thread of their own, since that is code of the user's.

Place: over cells.py and drawing.py. In processes there are other handles, which IPython shows as it always does.
"""

from __future__ import annotations

import html
import logging
import time
from typing import TYPE_CHECKING, Any

from beampy.core.bundles import BUNDLE
from beampy.errors import RemoteTraceback
from beampy.notebook import drawing
from beampy.notebook.cells import Cell, current_cell
from beampy.notebook.faults import of_user
from beampy.notebook.publishing import publisher_of
from beampy.otp.rpc_function import shown as shown_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.handle import Handle

log = logging.getLogger("beampy.notebook")

TYPES = (("beampy.handle", "ThreadHandle"), ("beampy.handle", "Known"), ("beampy.pool.mapping", "Mapped"))
EVERY = 1.0  # seconds between two tellings of how long it has run
LOOK = 0.1  # seconds between two looks at a handle that does not say when it ends
LOOK_LONG = 1.0  # the same when it has taken a minute
STATES = {"queued": "waiting for its turn", "booting": "waiting for a machine"}
TRACEBACK = 40  # lines of a remote traceback that stand below a failure
FAILED = "border-left:3px solid var(--jp-error-color1,#c62828);padding:2px 0 2px 10px"

Bundle = tuple[dict[str, Any], dict[str, Any]]

# Below a card nothing is said until there is a value: a page that is reloaded meanwhile does not hear of that any more.
ROOM: Bundle = ({"text/plain": "", "text/html": ""}, {})

_values = drawing.Hand("beampy-values")


class Running:
    """A handle in a cell: a Shown."""

    def __init__(self, handle: Handle[Any], shell: Any, cell: Cell, *, brief: bool = False) -> None:
        self.ended = False
        self._brief = brief  # a card above says the rest
        self._handle: Handle[Any] | None = handle
        self._shell = shell
        self._cell = cell
        self._begun = time.monotonic()
        self._call: Any = None
        self._final: Bundle | None = None
        self._drawn: drawing.Drawn | None = None

    def bundle(self) -> Bundle:
        """What it is now."""
        if self._final is not None:
            return self._final
        return ROOM if self._brief else plain(self._running())

    def _running(self) -> str:
        handle = self._handle
        if handle is None:
            return "running…"
        self._find()
        seconds = time.monotonic() - self._begun
        return f"running… {said_of(handle, self._call)}" + (f" · {lasted(seconds)}" if seconds >= EVERY / 2 else "")

    def begin(self) -> None:
        """Show it, and see to it that its end is shown."""
        handle = self._handle
        assert handle is not None
        if handle.done():
            self._final = self._outcome()
            self.ended, self._handle = True, None
            drawing.show(self, self._cell)
            return
        self._drawn = drawing.show(self, self._cell, every=None if self._brief else EVERY)
        add = getattr(handle, "add_done_callback", None)
        if add is not None:
            add(self._has_ended)
        else:
            drawing.after(LOOK, self._look)

    def _find(self) -> None:
        """The call itself knows where it runs."""
        work = getattr(self._handle, "work", None)
        if self._call is None and work is not None:
            self._call = work()

    def _has_ended(self, _: object) -> None:
        self._find()  # the last time that it is there
        _values.soon(self._end)

    def _look(self) -> None:
        if self._handle is None:
            return
        if self._handle.done():
            self._has_ended(None)
        else:
            drawing.after(LOOK if time.monotonic() - self._begun < 60 else LOOK_LONG, self._look)

    def _end(self) -> None:
        """On the thread for values."""
        try:
            self._final = self._outcome()
        except Exception as error:
            self._final = plain(f"the value could not be shown: {type(error).__name__}: {error}")
        self.ended, self._handle, self._call = True, None, None
        if self._drawn is not None:
            self._drawn.end()

    def _outcome(self) -> Bundle:
        handle = self._handle
        assert handle is not None
        what = said_of(handle, self._call)
        took = lasted(time.monotonic() - self._begun)
        if handle.cancelled():
            return plain(f"cancelled: {what} · {took}")
        peek = getattr(handle, "peek", None)  # a map's: its results are whose who reads it
        if peek is None:
            error = handle.exception(0)
            value = handle.result(0) if error is None else None
        else:
            try:
                value, error = peek()
            except LookupError:
                return plain(f"done: {what}, read one by one · {took}")
        return failed(error, what) if error is not None else self._formatted(value)

    def _formatted(self, value: Any) -> Bundle:
        """As the notebook shows a value."""
        found: list[Bundle] = []
        self._cell.run(lambda: found.append(self._shell.display_formatter.format(value)))
        data, metadata = found[0]
        size = sum(len(form) for form in data.values() if isinstance(form, (str, bytes)))
        if size > BUNDLE:
            return plain(f"a {type(value).__name__} whose display has {size:,} bytes: too much to show it as it is")
        return (data, metadata) if data else plain("done")  # it has displayed itself, below


def said_of(handle: Handle[Any], call: Any) -> str:
    """What runs where: "fetch on runner-1"."""
    counts = getattr(handle, "counts", None)
    if counts is not None:
        return _said_of_map(handle, *counts())
    function = getattr(call, "_fn", None)
    if function is None:
        return in_cells(str(getattr(handle, "_what", None) or type(handle).__name__))
    name = in_cells(shown_function(function))
    try:
        state = getattr(call, "state", "")
    except RuntimeError:  # what it is read from changed meanwhile, on the node's thread
        state = ""
    if state in STATES:
        return f"{name}, {STATES[state]}"
    where = getattr(call, "label", None) or getattr(call, "callee", "")
    return f"{name} on {where}" if where else name


def _said_of_map(handle: Handle[Any], ended: int, under_way: int) -> str:
    what = f"the map of {in_cells(getattr(handle, '_what', ''))}: {ended} done"
    if under_way:
        return f"{what}, {under_way} under way"
    return what if handle.done() or not ended else f"{what}; it goes on when it is awaited or read"


def in_cells(name: str) -> str:
    """A name as cells know it: without the module that they all are.

    >>> in_cells("pool.call of __main__.fetch")
    'pool.call of fetch'
    """
    return name.replace("__main__.", "")


def lasted(seconds: float) -> str:
    """A time as people say it.

    >>> lasted(0.31), lasted(3.7), lasted(75), lasted(3 * 3600 + 25 * 60)
    ('0.3 s', '4 s', '1 min 15 s', '3 h 25 min')
    """
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plain(text: str) -> Bundle:
    """Text alone."""
    return {"text/plain": text}, {}


def failed(error: BaseException, what: str) -> Bundle:
    """A failure as one block: what it is, of what, where; the traceback of there folded in below."""
    try:
        said = str(error)
    except Exception as broken:
        said = f"its text cannot be had: {type(broken).__name__}"
    named = f"{type(error).__name__}: {said}" if said else type(error).__name__
    notes = [str(note) for note in getattr(error, "__notes__", ())]
    cause = error.__cause__
    there = of_user(cause.text.strip()) if isinstance(cause, RemoteTraceback) else ""
    about = "; ".join([what, *notes])
    lines = there.splitlines()
    left_out = len(lines) - TRACEBACK
    if left_out > 0:
        lines = [lines[0], f"  … {left_out} lines …", *lines[1 - TRACEBACK :]]
    text = f"{named}\n  {about}"
    page = f'<div style="{FAILED}"><b>{html.escape(named)}</b><div>{html.escape(about)}</div>'
    if there:
        text += "\n\n" + "\n".join(lines)
        page += f"<details><summary>Traceback</summary><pre>{html.escape(there)}</pre></details>"
    return {"text/plain": text, "text/html": f"{page}</div>"}, {}


def install(shell: Any) -> Callable[[], object]:
    """Show handles so in a shell. The answer undoes it. Not in a terminal, where nothing that stands there changes."""
    publisher = publisher_of(shell)
    if not publisher.live:
        return lambda: None
    formatter = shell.display_formatter.ipython_display_formatter

    def show(handle: Handle[Any]) -> None:
        cell = current_cell() or Cell(publisher, publisher.parent(), 0)
        card = _card_of(handle)
        if card is not None and not isinstance(card, drawing.Drawn):
            drawing.show(card, cell)
        Running(handle, shell, cell, brief=card is not None).begin()

    before = [formatter.for_type_by_name(module, name, show) for module, name in TYPES]

    def undo() -> None:
        for (module, name), printer in zip(TYPES, before, strict=True):
            if printer is None:
                _forget(formatter, module, name)
            else:
                formatter.for_type_by_name(module, name, printer)

    return undo


def _forget(formatter: Any, module: str, name: str) -> None:
    """IPython moves a printer from the names to the types when it is first used."""
    formatter.deferred_printers.pop((module, name), None)
    for known in [one for one in formatter.type_printers if (one.__module__, one.__name__) == (module, name)]:
        formatter.pop(known, None)


def _card_of(handle: Handle[Any]) -> Any:
    """The live card that a pool has for it; None where it has none."""
    try:
        from beampy.notebook import activity
    except ImportError:
        return None
    find = getattr(activity, "card_of", None)
    return None if find is None else find(handle)
