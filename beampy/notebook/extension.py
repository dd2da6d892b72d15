"""The extension: what is put in place in a shell of IPython, and taken away again.

Rule: a part is a module of this package with `install(shell)`, which gives what undoes it. Parts are put in place in
the order of PARTS and undone the other way round; one that fails is logged, and the others stand: a notebook without
completion is better than none. Installing costs milliseconds: no node is started, and nothing large is imported.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("beampy.notebook")

PARTS: tuple[str, ...] = (
    "cells",
    "first_use",
    "interrupts",
    "faults",
    "ends",
    "status",
    "handles",
    "frames",
    "cards",
    "on_magic",
    "completion",
    "inspection",
    "busy",
)

_installed: dict[
    int, tuple[Any, list[Callable[[], object]]]
] = {}  # by the id of a shell: it, and what undoes its parts


def load_ipython_extension(shell: Any) -> None:
    """Put everything in place in a shell: `%load_ext beampy`. Twice is once."""
    if id(shell) in _installed:
        return
    undo: list[Callable[[], object]] = []
    _installed[id(shell)] = (shell, undo)
    _known(shell).add("beampy")  # `import beampy` loads it, too, and `%unload_ext` asks here
    for part in PARTS:
        try:
            undo.append(importlib.import_module(f"beampy.notebook.{part}").install(shell))
        except Exception:
            log.exception("beampy could not put %r in place in this notebook; the rest of it works", part)


def unload_ipython_extension(shell: Any) -> None:
    """Take it away: `%unload_ext beampy`. The node goes on: `%beampy stop`, before, ends it."""
    _, undo = _installed.pop(id(shell), (None, []))
    _known(shell).discard("beampy")
    while undo:
        try:
            undo.pop()()
        except Exception:
            log.exception("a part of beampy could not be taken out of this notebook")


def _known(shell: Any) -> set[str]:
    """The extensions that IPython has loaded, by its own count."""
    known: set[str] = getattr(getattr(shell, "extension_manager", None), "loaded", None) or set()
    return known
