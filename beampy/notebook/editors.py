"""What completion and hover share in a shell: their questions, their turn with IPython's completer, and warm caches.

Rule: IPython's completer and inspector belong to one thread at a time: jedi hangs with two. Whoever waits for its turn
does so for a second, then it does without an answer. What is put in the place of a kernel's method is taken away as it
was. What our first answer would have to load is loaded before, on a thread beside, when a cell that uses nodes has
ended.

Place: under completion.py, inspection.py and busy.py.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from beampy.core import current
from beampy.notebook import on

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.notebook.questions import Questions

log = logging.getLogger("beampy.notebook")

TURN: Final = 1.0  # seconds: JupyterLab does not wait longer for an answer
IDLE: Final = 0.5  # seconds after a cell: who runs the next one at once is not to be slowed down
QUESTIONS: Final = "beampy_questions"  # of the shell

_turn = threading.Lock()


def questions_of(shell: Any) -> Questions:
    """The questions of a shell."""
    found: Questions | None = getattr(shell, QUESTIONS, None)
    if found is None:
        from beampy.notebook.questions import Questions

        found = Questions()
        setattr(shell, QUESTIONS, found)
    return found


def in_turn(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call IPython's completer or inspector when nobody else does. None where its turn has not come in time."""
    if not _turn.acquire(timeout=TURN):
        return None
    try:
        return fn(*args, **kwargs)
    finally:
        _turn.release()


def wrapped(owner: Any, name: str, fn: Any) -> Callable[[], None]:
    """Put `fn` in the place of a method. What undoes it."""
    own = vars(owner)
    before = own.get(name)
    setattr(owner, name, fn)

    def undo() -> None:
        if own.get(name) is not fn:
            return  # somebody else has put his around it, and calls ours
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    return undo


def keep_warm(shell: Any) -> Callable[[], None]:
    """Tell the questions when cells end, and warm up after the first that uses nodes."""
    warmed = False

    def before(info: Any) -> None:
        text = getattr(info, "raw_cell", None)
        if isinstance(text, str) and on.MAGIC in text:
            started.append(text)
            del started[:-1]

    def after(*_: Any) -> None:
        nonlocal warmed
        asked: Questions | None = getattr(shell, QUESTIONS, None)
        if asked is not None:
            asked.asker.cell_ended()
        if current.fallback() and not warmed:
            warmed = True
            threading.Thread(target=_warm, daemon=True, name="beampy-warm").start()
        if started:
            _warm_node(shell, started.pop())

    started: list[str] = []
    shell.events.register("pre_run_cell", before)
    shell.events.register("post_run_cell", after)

    def undo() -> None:
        shell.events.unregister("pre_run_cell", before)
        shell.events.unregister("post_run_cell", after)

    return undo


def _warm_node(shell: Any, text: str) -> None:
    """Have the node of a cell load what answers questions."""
    cell = on.parse(text)
    if cell is None:
        return

    def warm() -> None:
        from beampy.notebook.views import node_of

        try:
            questions = questions_of(shell)
            node = node_of(cell.target, shell.user_ns, questions)[0]
            if node is not None:
                questions.warm(node)
        except Exception:
            log.debug("a node was not warmed up", exc_info=True)

    threading.Thread(target=warm, daemon=True, name="beampy-warm").start()


def _warm() -> None:
    """Load what our first answer wants. IPython's completer is left alone: jedi takes 40 MB once it is used."""
    time.sleep(IDLE)
    try:
        importlib.import_module("beampy.notebook.suggestions")
        importlib.import_module("beampy.notebook.hover")
        importlib.import_module("beampy.notebook.views").own_names()
    except Exception:
        log.debug("completion was not warmed up", exc_info=True)
