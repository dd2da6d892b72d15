"""A live card: one Activity, where it stands, and when it is drawn again.

Rule: what happens is taken on the node's thread in a moment; all drawing is done on the display thread, at most ten
times a second. With a widget it is increments while somebody sees it, and a whole card about once a second for pages
that are loaded again; without one it is the picture, four times a second at most. At its end it is the picture alone,
everywhere that it stands: that is what a saved notebook keeps, and what other tools show.

A card appears when there is something to see: see cards.py. Calls that come after its end open it again.
"""

from __future__ import annotations

import logging
import time
import weakref
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from beampy.notebook import drawing, picture, widget
from beampy.notebook.card import Increments, head, text, whole
from beampy.notebook.cards import executing

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.notebook.activity import Activity, What
    from beampy.notebook.card import Card
    from beampy.notebook.cells import Cell
    from beampy.notebook.pool_watch import PoolWatch
    from beampy.pool.call import PoolCall
    from beampy.pool.live_view import View
    from beampy.pool.mapping import Mapped

log = logging.getLogger("beampy.notebook")

OFTEN = 0.1  # seconds between two increments: people see it as moving
SOON = 0.01  # seconds until it is looked whether it stands there yet
PICTURES = 0.25  # seconds between two pictures, which are sent whole
SNAPSHOTS = 1.0  # seconds between two whole cards
BYTES = 200_000  # of whole cards a second: a fifth of what Jupyter's server lets pass
QUIET = 2.0  # seconds after which something is said though nothing has changed: the page shows that we are there
SEEN = 10.0  # seconds that one beat is good for; a page that is loaded again takes less
BLIND = 0.5  # seconds between two increments while a cell runs that may keep beats from being heard
SHARE = 10  # of the display thread at most a tenth goes into one card
LATE = 1.0  # seconds of calls after which a card appears by itself
SETTLE = 0.5  # seconds that the end of a cell waits for the last picture; it takes some milliseconds
PATIENCE = 1.0  # seconds that a card waits for the node before it is shown; that answers within a millisecond
PLACES = 8  # that a card stands in; it is drawn again in the last of them


def in_notebook(parent: dict[str, Any]) -> str:
    """The id that a cell has in its notebook, from the request to run it; "" where it does not say."""
    found = (parent.get("metadata") or {}).get("cellId")
    return found if isinstance(found, str) else ""


class LiveCard:
    """One card. Threads: as each part says."""

    ended = False  # for drawing.py: it may always be opened again

    def __init__(self, watch: PoolWatch, activity: Activity, cell: Cell) -> None:
        self.watch = watch
        self.activity = activity
        self.cell = cell
        self.clock: Callable[[], float] = watch.manager.clock
        self.loop = watch.manager.loop
        self._maps: list[weakref.ref[Mapped[Any]]] = []
        self.stop: Callable[[], object] | None = None  # of a pool's card
        self.over = False
        self.shown = False  # it is to be seen, or about to be
        self.replaced = False  # its cell was run again
        self.view: View | None = None
        self._places: list[drawing.Drawn] = []
        self._widget: widget.Widget | None = None
        self._increments = Increments()
        self._due = False  # the display thread will look
        self._sent_at = 0.0
        self._told_at = 0.0
        self._snapshot_at = 0.0
        self._next = 0.0
        self._head = ""
        self._beat = time.monotonic()
        self._live = False  # the watch knows it
        self._stands = False  # it has been drawn for the first time
        self._pictured = False  # what stands there is the picture of its end
        self._reading = Lock()  # of the activity: the display thread, and that of a cell that shows it

    # on the node's thread

    def heard(self, call: PoolCall, what: What) -> None:
        """Something happens to a call of it."""
        activity, now = self.activity, self.clock()
        if self.over:
            self._open(now)
        activity.take(call, what, now)
        if not self.shown:
            if what == "progress" or (now - activity.begun > LATE and activity.calls):
                self.show()
            elif not self._live:
                self.live()
                self.loop.call_later(LATE, self._late)
        if what == "finished" and not activity.calls:
            self.loop.call_later(0.05, self.look_over)  # the map reads what has come first
        self.changed()

    def live(self) -> None:
        """It begins to hear of its pool."""
        if not self._live:
            self._live = True
            self.watch.add(self)

    def _late(self) -> None:
        if not self.shown and not self.over and self.activity.calls:
            self.show()

    def looked(self, view: View) -> None:
        """The pool was looked at."""
        self.view = view
        self.activity.seen(view)
        self.look_over()
        self.changed()

    def runner_down(self, name: str, state: str, why: str) -> None:
        """A runner of it has gone."""
        self.activity.runner_down(name, state, why)
        self.changed()

    def look_over(self) -> None:
        """Whether there is nothing more to come."""
        if self.over or self.activity.calls:
            return
        stopped = self.view is not None and self.view.ended
        if stopped or (not self.activity.pool_wide and self.cell.ended and not self._open_maps()):
            self.end()

    def settle(self) -> None:
        """The code of its cell has ended. If it ends with it, its last picture stands there when this returns.

        On the cell's thread: what runs notebooks without a browser hears no more of a cell that has ended.
        """
        drawn = Event()

        def look() -> None:
            self.look_over()
            drawing.soon(last)

        def last() -> None:
            if self.over and not self._stands and self.shown and not drawn.is_set():
                drawing.after(SOON, last)
                return
            if self.over and self._places and not self.replaced:
                self._draw_last()
                for place in self._places:
                    place._send(update=True)
            drawn.set()

        self._post(look)
        if self.shown:
            drawn.wait(SETTLE)
            drawn.set()

    def end(self) -> None:
        """There is nothing more to come."""
        if self.over:
            return
        self.over = True
        self.activity.ended = self.clock()
        self._live = False
        self.watch.remove(self)
        self.changed()

    def _open(self, now: float) -> None:
        activity = self.activity
        self.over, activity.ended = False, None
        if self._widget is not None:
            self._widget.over = False
        if not self.shown:
            activity.begun = now
        self.live()

    def _open_maps(self) -> list[Mapped[Any]]:
        with self._reading:
            self._maps = [ref for ref in self._maps if (mapped := ref()) is not None and not mapped.done()]
            return [mapped for ref in self._maps if (mapped := ref()) is not None]

    def follow(self, mapped: Mapped[Any]) -> None:
        """A map of it: it goes on as long as that one. Any thread."""
        with self._reading:
            if not any(ref() is mapped for ref in self._maps):
                self._maps.append(weakref.ref(mapped, lambda _: self._post(self.look_over)))

    # on any thread

    @property
    def watched(self) -> bool:
        """Whether somebody sees it, as far as is known."""
        return self.shown and time.monotonic() - self._beat < SEEN

    def look_now(self) -> None:
        """Have it know its pool before it is shown. Waits a moment."""
        looked = Event()

        def look() -> None:
            if not self.over:
                self.live()
                self.watch.look()
            looked.set()

        if self._post(look):
            looked.wait(PATIENCE)

    def changed(self) -> None:
        """It is not as it was drawn."""
        if self.shown and not self._due and not self.replaced:
            self._due = True
            drawing.soon(self._draw)

    def show(self, cell: Cell | None = None) -> drawing.Drawn | None:
        """It stands in a cell from now on: its own, or another one as well."""
        self._beat = time.monotonic()
        self.shown = True
        if cell is None:
            drawing.soon(self._begin)
            return None
        drawn = drawing.show(self, cell)
        self._places = [*self._places, drawn][-PLACES:]
        self._post(self.live if not self.over else self.look_over)
        self.changed()
        return drawn

    def _begin(self) -> None:
        if not self._places:
            self._places = [drawing.show(self, self.cell)]
        self.changed()

    def said(self, kind: str) -> None:
        """The browser says something."""
        self._beat = time.monotonic()
        drawing.seen()
        if kind == "beat":
            self.changed()
        elif kind == "ask":
            drawing.soon(self._answer)
        elif kind == "cancel":
            self.cancel()
        elif kind == "stop" and self.stop is not None:
            self.stop()

    def cancel(self) -> None:
        """All calls and maps of it that go on are cancelled."""
        maps = self._open_maps()
        if self.over or not (maps or self.activity.calls):
            return
        self.activity.cancelled = True
        for mapped in maps:
            mapped.cancel()

        def cancel_calls() -> None:
            for call in [known.call for known in self.activity.calls.values()]:
                call.cancel()

        self._post(cancel_calls)

    def _post(self, fn: Callable[[], object]) -> bool:
        try:
            self.loop.call_soon_threadsafe(fn)
        except RuntimeError:  # the node has ended, and all calls with it
            return False
        return True

    def replace(self) -> None:
        """Its cell is run again: what it shows goes from the page. The calls go on."""
        self.replaced = True
        drawing.soon(self._close)

    # on the display thread

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As a display: the widget, and the picture for who has none."""
        card = self._card()
        self._stands = True
        data: dict[str, Any] = {"text/plain": picture.text(card), "text/html": picture.html(card)}
        if not self.over:
            if (self._widget is None or self._widget.closed) and self._in_page() and widget.available():
                self._widget = self._made(card)
            if self._widget is not None:
                data |= self._widget.view()
        return data, {}

    def _in_page(self) -> bool:
        """Whether a page of a browser has asked for the cell, as far as can be seen: that says which cell it is.

        Tools that run notebooks and write them down do not, and would show a place for a widget that is not there.
        """
        return self.cell.publisher.live and bool(in_notebook(self.cell.parent))

    def _made(self, card: Card) -> widget.Widget | None:
        found: list[widget.Widget] = []

        def make() -> None:
            one = widget.Widget(self.said)
            self._increments.next(card)
            one.snapshot(text(whole(card, self._increments.seq)))
            found.append(one)

        try:
            self.cell.run(make)
        except widget.Unusable:
            pass
        except Exception:
            log.exception("a card could not have its widget, and is shown as a picture")
        return found[0] if found else None

    def _card(self) -> Card:
        activity = self.activity
        pool = self.watch.manager.name
        button = ("stop" if self.stop is not None else "cancel") if not self.over else ""
        with self._reading:
            return activity.card(self.clock(), self.view, pool=pool, button=button, title=pool if self.stop else "")

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._places or self.replaced:
            self._due = False
            return
        if not self._stands:
            drawing.after(SOON, self._draw)
            return
        if self.over:
            self._due = False
            self._draw_last()
            return
        if now < self._next:
            drawing.after(self._next - now, self._draw)
            return
        self._due = False
        if self._pictured:
            self._pictured = False
            for drawn in self._places:
                drawn.changed()
        if self._widget is None:
            self._next = now + PICTURES
            for drawn in self._places:
                drawn.changed()
            return
        if not self.watched and not executing():
            self._next = now + OFTEN
            return
        began = time.thread_time()  # others that compute are no reason to draw less
        self._send(now)
        took = time.thread_time() - began
        self._next = now + max(OFTEN if self.watched else BLIND, SHARE * took)

    def _send(self, now: float) -> None:
        """What is new, to the widget."""
        card = self._card()
        fresh = text(head(card) | {"age": 0})
        increments = self._increments
        if fresh == self._head and increments.same(card) and now - self._told_at < QUIET:
            return
        self._head, self._told_at = fresh, now
        self._say("more", text(increments.next(card)))
        if now >= self._snapshot_at:
            self._snapshot(card, now)

    def _snapshot(self, card: Card, now: float) -> None:
        made = text(whole(card, self._increments.seq))
        self._snapshot_at = now + max(SNAPSHOTS, len(made) / BYTES)
        one = self._widget
        if one is not None:
            self.cell.run(lambda: one.snapshot(made))

    def _say(self, kind: str, made: str) -> None:
        one = self._widget
        if one is not None:
            self.cell.run(lambda: one.say(kind, made))

    def _answer(self) -> None:
        if self._widget is not None and not self.replaced:
            self._say("all", text(whole(self._card(), self._increments.seq)))

    def _draw_last(self) -> None:
        card = self._card()
        if self._widget is not None:
            self._say("more", text(self._increments.next(card)))
            self._snapshot(card, time.monotonic())
            self._widget.over = True
        self._pictured = True
        for drawn in self._places:
            drawn.changed()

    def _close(self) -> None:
        if self._widget is not None:
            self._widget.close()
        self._places = []
