"""Inspection: the answer to Shift-Tab and to `inspect_request`, of what runs on nodes; elsewhere IPython's own stands.

Rule: as completion.py's: ours where we know more than IPython, within 300 ms, and never with a fault of ours.

Place: it wraps the kernel's `do_inspect`, which has the whole cell (IPython's inspector has a name only). hover.py says
what is shown. A shell without a kernel has no such request.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from beampy.notebook.asking import BUDGET
from beampy.notebook.editors import in_turn, questions_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("beampy.notebook")


def install(shell: Any) -> Callable[[], object]:
    """Answer from now on."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return lambda: None
    stock = kernel.do_inspect

    def do_inspect(code: str, cursor_pos: int, detail_level: int = 0, *args: Any, **kwargs: Any) -> Any:
        found = found_for(shell, code, cursor_pos, detail_level)
        if found is None:
            theirs = in_turn(stock, code, cursor_pos, detail_level, *args, **kwargs)
            if theirs is not None:
                return theirs
        return {"status": "ok", "found": bool(found), "data": found or {}, "metadata": {}}

    return wrapped(kernel, "do_inspect", do_inspect)


def found_for(shell: Any, code: str, position: int, detail: int) -> dict[str, str] | None:
    """What is shown; None where that is IPython's, and where we fail."""
    try:
        until = time.monotonic() + BUDGET  # the first answer loads what finds it
        from beampy.notebook.hover import inspect

        return inspect(code, position, detail, shell.user_ns, questions_of(shell), until)
    except Exception:
        log.debug("no inspection", exc_info=True)
        return None
