"""Code that has changed: that dask's workers run modules as they are here now, and not as they have imported them.

    helpers.py is edited, and reloaded (importlib.reload, %autoreload)   the next graph runs the new one

Rule: dask names a module's functions by name, and a worker that has imported it would never look again. So before a
graph is given to workers each is told of the modules of this process that were loaded again since it was told last, and
loads those of them that it had from here. Functions of cells need none of this: dask sends them by value.

Place: dask_cluster.py asks `Changes`, and has `renew` called on the runners. What versions of modules are is code's.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from beampy.code.origin import here
from beampy.code.space import spaces

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("beampy.frames")

FIRST = 1  # the version of a module that was never loaded again

Change = tuple[str, int, bytes]  # a module's name, version and digest


class Changes:
    """The modules of this process that travel and were loaded again. Any thread."""

    def __init__(self) -> None:
        self._count = 0  # of modules, when they were looked through
        self._sources: list[str] = []

    def since(self, told: dict[str, int]) -> list[Change]:
        """Those that are newer than somebody was told, who is told with this."""
        origin = here()
        if len(sys.modules) != self._count:
            self._count = len(sys.modules)
            self._sources = [name for name in list(sys.modules) if origin.kind(name) == "source"]
        found = []
        for name in self._sources:
            version = origin.version(name)
            if version > told.get(name, FIRST):
                told[name] = version
                found.append((name, version, origin.digest(name) or b""))
        return found


async def renew(origin: str, changes: Iterable[Change]) -> None:
    """Load what of this was imported here from that origin. What fails stays as it was, and is logged where it was
    changed.
    """
    space = spaces().get(origin)
    for name, version, digest in changes:
        shipped = spaces().shipped(name)
        if space is None or shipped is None or shipped.origin != origin:
            continue
        try:
            await asyncio.to_thread(space.module, name, version, digest)
        except Exception as error:
            log.warning("module %s as it is now cannot be loaded, and tasks run it as it was: %r", name, error)
