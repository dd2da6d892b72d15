"""The widget of a card: what stands in the browser, and what is said between it and the kernel.

Rule: anywidget carries it. It is imported with the first card, on the thread that shows that one, and costs the kernel
4 MB; where it is not installed there is no widget, and a card is its picture. All that is sent is made elsewhere: this
knows a card as text. What comes from the browser may come on any thread, and is passed on at once.

The trait `snapshot` is a whole card, for a page that is loaded again; messages `more` are what is new since; `all` is
the answer to `ask`. The browser says `beat` every second that somebody can see it, and `cancel` or `stop`.

Bounds: widgets of cards that have ended are kept for pages that are loaded again, `KEPT` of them.
"""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("beampy.notebook")

KEPT = 20  # with some 100 kB each; more cards that have ended nobody has in one notebook's sight
VIEW = "application/vnd.jupyter.widget-view+json"

_broken = False  # anywidget is there and does not work

_open: OrderedDict[str, Widget] = OrderedDict()  # by the id of its comm: the oldest first
_numbers = itertools.count(1)
also: set[str] = set()  # the ids of the comms of our other widgets: tables of remote frames


def available() -> bool:
    """Whether anywidget is installed here. Then it is in JupyterLab too, as a rule; elsewhere the picture is shown."""
    return not _broken and find_spec("anywidget") is not None and find_spec("ipywidgets") is not None


class Unusable(Exception):
    """There are no widgets here. It was said."""


class Widget:
    """One widget. `heard(kind)` is called for what the browser says, on any thread, and must return at once."""

    def __init__(self, heard: Callable[[str], object]) -> None:
        global _broken
        self._heard = heard
        try:
            kind = _kind()
        except Exception as error:
            _broken = True
            log.warning("cards are pictures here: anywidget cannot be used: %s: %s", type(error).__name__, error)
            raise Unusable from error
        self._inner = kind(key=f"{next(_numbers)}")
        self._inner.on_msg(self._take)
        self.id: str = self._inner.model_id
        self.over = False
        _open[self.id] = self
        while len(_open) > KEPT and (first := next((one for one in _open.values() if one.over), None)):
            first.close()

    @property
    def closed(self) -> bool:
        """Whether the browser is told nothing more."""
        return self.id not in _open

    def view(self) -> dict[str, Any]:
        """What stands for it in a display."""
        return {VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.id}}

    def snapshot(self, card: str) -> None:
        """The whole card, for pages to come."""
        if not self.closed:
            self._inner.snapshot = card

    def say(self, kind: str, card: str) -> None:
        """To all pages that are there: "more" or "all"."""
        if not self.closed:
            self._inner.send({"kind": kind, "card": card})

    def close(self) -> None:
        """It goes from all pages."""
        if _open.pop(self.id, None) is not None:
            layout = self._inner.layout
            self._inner.close()
            if layout is not None:
                layout.close()

    def _take(self, _: Any, content: Any, __: Any) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        if isinstance(kind, str):
            self._heard(kind)


def our_comms() -> set[str]:
    """The ids of the comms of all cards and tables: their messages are safe to deliver on any thread."""
    return {*_open, *also}


def page(name: str) -> tuple[str, str]:
    """The script and the style of a widget of ours, for anywidget."""
    static = files("beampy.notebook") / "static"
    script, views, style = (
        (static / file).read_text(encoding="utf-8") for file in (f"{name}.js", "views.js", f"{name}.css")
    )
    return f"{script}\n{views}", style


@cache
def _kind() -> Any:
    """The class of the widget, made when there is one."""
    import anywidget
    import traitlets

    class LiveCard(anywidget.AnyWidget):
        _esm, _css = page("live")
        key = traitlets.Unicode().tag(sync=True)
        snapshot = traitlets.Unicode().tag(sync=True)

    return LiveCard
