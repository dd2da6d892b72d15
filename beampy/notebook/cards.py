"""Cards: cells hear what becomes of the calls that their code makes, and show it.

    runs = pool.map(train, rates)
    runs                             # a live card: progress, runners, curves of bp.log, a button that cancels
    pool                             # a card of the pool, with a button that stops it

Rule: a card appears by itself with the first report of a call (`bp.log`, `bp.track`), or when calls have gone on for a
second. Here are only the hooks: a Cell is the screen of its code's calls (core/group_leader.py), and gets what makes it
hear. What they lead to is loaded when the first of them is called, and a pool with it. In IPython's terminal there are
no cards.

Place: cell_cards.py says which card, live_card.py draws it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import TYPE_CHECKING, Any

from beampy.notebook.cells import Cell, current_cell
from beampy.notebook.publishing import publisher_of

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = ("beampy.pool.pool", "Pool")
HOOKS = ("heard", "mapped", "live")


def _hook(name: str) -> Callable[..., Any]:
    """The function of cell_cards.py, as a method of Cell."""

    def call(cell: Cell, *args: Any) -> Any:
        from beampy.notebook import cell_cards

        return getattr(cell_cards, name)(cell, *args)

    return call


def _loaded() -> Any:
    """What is behind the hooks, whole, where there was a call."""
    name = "beampy.notebook.cell_cards"
    return importlib.import_module(name) if name in sys.modules else None  # another thread may be about to load it


executions = 0  # that go on


def executing() -> bool:
    """Whether a cell runs: meanwhile what the browser says may not be heard."""
    return executions > 0


def _busy(by: int) -> None:
    global executions
    executions = max(0, executions + by)


def _show_pool(pool: Any) -> None:
    from beampy.notebook.cell_cards import show_pool

    show_pool(pool)


def install(shell: Any) -> Callable[[], object]:
    """Let cells have cards. The answer undoes it."""
    if not publisher_of(shell).live:
        return lambda: None
    for name in HOOKS:
        setattr(Cell, name, _hook(name))

    def begin(*_: object) -> None:
        _busy(1)
        cards = _loaded()
        if cards is not None and hasattr(shell, "get_parent"):
            cards.run_again(shell.get_parent() or {})

    def end(*_: object) -> None:
        _busy(-1)
        cards, cell = _loaded(), current_cell()
        if cards is not None and cell is not None:
            cards.code_ended(cell)

    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type_by_name(*POOL, _show_pool)
    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)

    def undo() -> None:
        shell.events.unregister("pre_run_cell", begin)
        shell.events.unregister("post_run_cell", end)
        for name in HOOKS:
            delattr(Cell, name)
        with contextlib.suppress(KeyError):
            formatter.pop(".".join(POOL))

    return undo
