"""A runner with an interpreter of its own: `python -m beampy.pool.spawned_main PARENT MODULE` calls `run()` of MODULE.

Rule: before anything is imported, it arranges to end with PARENT, the process that started it, where the system can do
that (Linux): also when a runner hangs in C code, and whether or not its spec asks for it. Place: what Spawner starts.
"""

from __future__ import annotations

import importlib
import sys

from beampy.pool.reaping import die_with


def main(parent: str, module: str) -> None:
    """Be the runner; `run` does not return."""
    if die_with(int(parent)):
        importlib.import_module(module).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
