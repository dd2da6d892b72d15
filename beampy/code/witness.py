"""Who imports what, as it happens: a finder that never finds anything and only notices.

The rule: it notices and decides nothing. It runs under the import system's locks, so it takes no lock, reads no file
and imports nothing. Place: first in sys.meta_path, told by nobody and telling origin.py. An import that does not come
here (sys.modules written by hand, a finder that somebody put in front) is noticed by origin.py when it is next asked.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

# Names of imports begun, with their times. A process with all of a large environment imported has some 10 000 modules.
KNOWN: Final = 100_000

_listener: Callable[[str, ModuleType | None], None] | None = None
_begun: dict[str, float] = {}


class Witness:
    """Notices imports and reloads. Its find_spec returns None, always."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """`target` is a module that is being reloaded; its old names are still what they were."""
        if target is None and name in sys.modules:
            return  # somebody only looks for it: an import would have found it
        if len(_begun) >= KNOWN:
            _begun.clear()
        _begun[name] = time.time()
        if _listener is not None:
            _listener(name, target)


_witness: Final = Witness()


def install() -> None:
    """Put the witness first in sys.meta_path, where it stays until somebody else puts himself in front."""
    if sys.meta_path and sys.meta_path[0] is _witness:
        return
    sys.meta_path[:] = [_witness, *(finder for finder in sys.meta_path if finder is not _witness)]


def remove() -> None:
    """Take it out again."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _witness]


def listen(listener: Callable[[str, ModuleType | None], None] | None) -> None:
    """Who is told: called with a name whose import begins, and the module where it is reloaded. It must not block."""
    global _listener
    _listener = listener


def import_began(name: str) -> float:
    """When the latest import of this module began, in seconds since the epoch: not later than that.

    It is when the process started for a module that was imported unseen.
    """
    return _begun.get(name, _PROCESS_STARTED)


def _process_started() -> float:
    """In seconds since the epoch; 0.0 where the system does not tell: then nothing counts as older than the process."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()  # after the name, which may have spaces in it
        after_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # field 22 of proc(5); the third is the first here
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + after_boot
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


_PROCESS_STARTED: Final = _process_started()  # a forked child has imported what its parent had: inherited
