"""The lines typed before, kept in a file of their user's for the next time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

FILE = ".beampy_history"
KEPT = 1000  # lines; bash keeps 500, Python all


class History:
    """readline's history, read from ~/.beampy_history and written back, as far as that can be done."""

    def __init__(self, readline: Any, path: Path | None = None) -> None:
        self._readline = readline
        self._path = Path.home() / FILE if path is None else path

    def __enter__(self) -> History:
        self._readline.clear_history()
        with contextlib.suppress(OSError):
            self._readline.read_history_file(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._readline.set_history_length(KEPT)
        with contextlib.suppress(OSError):
            # Lines typed at a prompt may hold secrets.
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._readline.write_history_file(self._path)
