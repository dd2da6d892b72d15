"""The cards of cells: which card a call, a map or a pool has in a cell.

Rule: each execution of a cell has at most one card for a pool, with all calls and maps that its code made there, also
those that go on after it. It appears by itself, with the first report of one of the calls (`bp.log`, `bp.track`) or
when they have gone on for a second, and at once for a map that is the last expression. A pool that is the last
expression, or `with pool.live():`, shows all of its runners. Running a cell again makes new cards; those of before go
from the page.

Place: cards.py has a Cell hear what becomes of its calls, and loads this then. What is heard is activity.py's, how it
stands there live_card.py's.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from beampy.notebook.activity import Activity
from beampy.notebook.cells import Cell, current_cell
from beampy.notebook.live_card import LiveCard, in_notebook
from beampy.notebook.pool_watch import watch_of
from beampy.pool.mapping import Mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from beampy.notebook.activity import What
    from beampy.notebook.drawing import Drawn
    from beampy.pool.call import PoolCall
    from beampy.pool.manager import Manager
    from beampy.pool.pool import Pool
    from beampy.pool.telling import Telling

log = logging.getLogger("beampy.notebook")

COLLECTORS = 32  # maps that are shown and collected at once, each by a thread; further ones are collected when awaited
POOLS = 10  # cards of pools that are live at once; those before stand as they were then
REPLACEABLE = 100  # cards that may still be seen, so that running their cell again takes them away; older ones stay

_making = threading.Lock()
_by_notebook: dict[tuple[str, int], weakref.ref[LiveCard]] = {}  # by the id of a cell in its notebook, and the pool's
_pools: deque[weakref.ref[LiveCard]] = deque()
_collecting: weakref.WeakSet[Mapped[Any]] = weakref.WeakSet()
_said: set[str] = set()  # faults that were logged: each once


# what a cell hears: on the node's thread, but for `mapped` and `live`


def heard(cell: Cell, tell: Telling, call: PoolCall, what: What) -> None:
    try:
        card = _card(cell, call.manager)
        card.heard(call, what)
    except Exception:
        _fault("what becomes of a call could not be shown in its cell")


def mapped(cell: Cell, map: Mapped[Any], function: str, total: int | None) -> None:
    try:
        manager = map.manager()
        if manager is None:  # it has just ended
            return
        card = _card(cell, manager)
        card.follow(map)
        card._post(lambda: card.activity.mapped(function, total))
    except Exception:
        _fault("how far a map is could not be shown in its cell")


def live(cell: Cell, pool: Pool, manager: Manager) -> contextlib.AbstractContextManager[Any]:
    return _block(cell, pool, manager)


@contextlib.contextmanager
def _block(cell: Cell, pool: Pool, manager: Manager) -> Iterator[LiveCard]:
    """`with pool.live():` in a cell."""
    card = _card(cell, manager)
    card.activity.pool_wide = True
    card.look_now()
    card.show(cell)
    try:
        yield card
    finally:
        card._post(card.end)
        card.settle()


def of_cell(cell: Cell) -> dict[int, LiveCard]:
    """The cards of a cell, by the id of their pool's Telling. They live with the cell."""
    found: dict[int, LiveCard] = cell.__dict__.setdefault("cards", {})
    return found


def _card(cell: Cell, manager: Manager) -> LiveCard:
    """The card of a pool in a cell, made with its first call."""
    cards = of_cell(cell)
    card = cards.get(id(manager.tell))
    if card is None:
        with _making:
            card = cards.get(id(manager.tell))
            if card is None:
                card = cards[id(manager.tell)] = LiveCard(watch_of(manager), Activity(manager.clock()), cell)
                _remember(cell, card)
    return card


def run_again(parent: dict[str, Any]) -> None:
    """A cell is about to be run: what it showed before goes from the page."""
    key = in_notebook(parent)
    for known in [known for known in _by_notebook if key and known[0] == key]:
        card = _by_notebook.pop(known)()
        if card is not None:
            card.replace()


def code_ended(cell: Cell) -> None:
    """The code of a cell has come to its end."""
    for card in list(of_cell(cell).values()):
        card.settle()


def _remember(cell: Cell, card: LiveCard) -> None:
    """So that running the cell again takes it away."""
    key = in_notebook(cell.parent)
    if key:
        _by_notebook[key, id(card)] = weakref.ref(card)
        while len(_by_notebook) > REPLACEABLE:
            del _by_notebook[next(iter(_by_notebook))]


def _fault(what: str) -> None:
    if what not in _said:
        _said.add(what)
        log.exception("%s; said once", what)


# the last expression of a cell


def card_of(handle: Any) -> Drawn | None:
    """The card of a map that is shown, in the cell that runs now: it stands there when this returns. Else None.

    A map that is shown is collected as a whole, in the background: so it goes on to its end without a reader, and who
    reads it then has the items when all are there. One whose input has no known length (it may have no end) is not,
    and goes on as it is read, as a stream does. A call of a pool has its card when it has something to report, or after
    a second.
    """
    if not isinstance(handle, Mapped) or (cell := current_cell()) is None or not cell.publisher.live:
        return None
    home = handle.screen if isinstance(handle.screen, Cell) else cell
    manager = handle.manager()
    if manager is None:
        return None
    card = _card(home, manager)
    card.follow(handle)
    collect(handle)
    card.look_now()
    return card.show(cell)


def card_here(pool: Pool) -> LiveCard | None:
    """The card of a pool in the cell that runs now, shown or not. None outside of cells."""
    cell = current_cell()
    return None if cell is None else _card(cell, pool._working())


def collect(mapped: Mapped[Any]) -> None:
    """Have a map go on to its end on a thread of its own. Where it is read already, nothing."""
    if mapped.total is None or mapped.done() or mapped in _collecting or len(_collecting) >= COLLECTORS:
        return
    _collecting.add(mapped)

    def work() -> None:
        try:
            mapped.exception()
        except BaseException as error:  # cancelled, read one by one, or the node has ended: its reader says so
            log.debug("a map that is shown could not be collected: %s", error)
        finally:
            _collecting.discard(mapped)

    threading.Thread(target=copy_context().run, args=(work,), name="beampy-collect", daemon=True).start()


def show_pool(pool: Pool) -> None:
    """A card of a pool, with a button that stops it, in the cell that runs now."""
    from IPython.display import display

    cell, manager = current_cell(), pool._manager
    if cell is None or manager is None:
        display({"text/plain": repr(pool)}, raw=True)  # type: ignore[no-untyped-call]
        return
    activity = Activity(manager.clock(), pool_wide=True)
    card = LiveCard(watch_of(manager), activity, cell)
    card.stop = _stopper(weakref.ref(pool))
    _remember(cell, card)
    _pools.append(weakref.ref(card))
    while len(_pools) > POOLS:
        if (oldest := _pools.popleft()()) is not None:
            oldest._post(oldest.end)
    card.look_now()
    card.show(cell)


def _stopper(pool: weakref.ref[Pool]) -> Callable[[], object]:
    def stop() -> None:
        there = pool()
        if there is not None:
            handle = there.stop(drain=False)
            watched = getattr(handle, "add_done_callback", None)
            if watched is not None:
                watched(_stopped)

    return stop


def _stopped(handle: Any) -> None:
    error = None if handle.cancelled() else handle.exception(0)
    if error is not None:
        log.error("a pool could not be stopped: %s", error)
