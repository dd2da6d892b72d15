"""The runner role: a machine that a pool has started, or a person for it, becomes a runner of that pool.

    BEAMPY_RUNNER=… python nodes/runner/node.py

Wiring only: it is the command `beampy runner`; see README.md beside this file.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Become the runner: the same process, so that signals and exit codes are its own."""
    os.execv(sys.executable, [sys.executable, "-m", "beampy", "runner", *sys.argv[1:]])


if __name__ == "__main__":
    main()
