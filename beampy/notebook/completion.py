"""Completion: the answer to Tab, of what runs on nodes; everywhere else IPython's own stands.

Rule: the kernel's answer to a frontend is ours where we know more than IPython. It comes within 300 ms, whatever a node
does; a fault of ours is never an editor's. What finds it is loaded at its first use, or after the first cell that uses
nodes.

Place: it wraps the kernel's `do_complete`, which JupyterLab, VS Code and the console all ask, since a matcher of
IPython cannot give signatures; a shell without a kernel (IPython in a terminal) has a matcher (IPython 8.6).
suggestions.py says what is found.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from beampy.notebook.asking import BUDGET
from beampy.notebook.editors import in_turn, keep_warm, questions_of, wrapped
from beampy.notebook.matchers import Matches, put_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.notebook.suggestions import Completions

log = logging.getLogger("beampy.notebook")

METADATA: Final = "_jupyter_types_experimental"  # where ipykernel says types and signatures, and JupyterLab reads them


def install(shell: Any) -> Callable[[], object]:
    """Complete from now on."""
    has_kernel = getattr(shell, "kernel", None) is not None
    undo = [_in_kernel(shell) if has_kernel else _in_shell(shell), keep_warm(shell)]

    def undone() -> None:
        for one in undo:
            one()

    return undone


def found_for(shell: Any, code: str, position: int) -> Completions | None:
    """What is suggested; None where that is IPython's, and where we fail: an editor is not to hear of it."""
    try:
        until = time.monotonic() + BUDGET  # the first answer loads what finds it
        from beampy.notebook.suggestions import complete

        return complete(code, position, shell.user_ns, questions_of(shell), until)
    except Exception:
        log.debug("no completion", exc_info=True)
        return None


def _in_kernel(shell: Any) -> Callable[[], None]:
    kernel = shell.kernel
    stock = kernel.do_complete

    def do_complete(code: str, cursor_pos: int | None = None) -> Any:
        position = len(code) if cursor_pos is None else cursor_pos
        found = found_for(shell, code, position)
        if found is not None and found.alone:
            return reply(found)
        theirs = in_turn(stock, code, cursor_pos)
        if theirs is None:
            theirs = {"status": "ok", "matches": [], "cursor_start": position, "cursor_end": position, "metadata": {}}
        return theirs if found is None else joined(code, found, theirs)

    return wrapped(kernel, "do_complete", do_complete)


def reply(found: Completions) -> dict[str, Any]:
    """The content of a complete_reply."""
    kinds: list[dict[str, Any]] = [
        {"start": found.start, "end": found.end, "text": one.text, "type": one.type, "signature": one.signature}
        for one in found.items
    ]
    return {
        "status": "ok",
        "matches": [one.text for one in found.items],
        "cursor_start": found.start,
        "cursor_end": found.end,
        "metadata": {METADATA: kinds},
    }


def joined(code: str, found: Completions, theirs: Any) -> dict[str, Any]:
    """Ours before IPython's, where both are for the same place."""
    if not isinstance(theirs, dict) or not theirs.get("matches"):
        if not isinstance(theirs, dict) and hasattr(theirs, "close"):
            theirs.close()  # a coroutine of a kernel that is none of IPython's
        return reply(found)
    begin = theirs["cursor_start"]
    if begin > found.start or theirs["cursor_end"] != found.end:
        return reply(found)
    before = code[begin : found.start]  # IPython replaces all of "a.b", and we the "b"
    whole = [one._replace(text=before + one.text) for one in found.items]
    ours = reply(found._replace(start=begin, items=whole))
    known = set(ours["matches"])
    fresh = [at for at, text in enumerate(theirs["matches"]) if text not in known]
    kinds = theirs.get("metadata", {}).get(METADATA) or [{} for _ in theirs["matches"]]
    ours["matches"] += [theirs["matches"][at] for at in fresh]
    ours["metadata"][METADATA] += [kinds[at] for at in fresh if at < len(kinds)]
    return ours


def _in_shell(shell: Any) -> Callable[[], None]:
    def names(code: str, position: int) -> Matches | None:
        found = found_for(shell, code, position)
        if found is None:
            return None
        items = [(one.text, one.type) for one in found.items]
        return Matches(code[found.start : position], items, found.alone, ordered=True)

    return put_in(shell, "names", names, priority=900)
