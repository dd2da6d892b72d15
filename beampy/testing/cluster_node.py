"""What a process of `beampy.testing.cluster` runs: one node and one async function, as its only argument says.

It says "ready", its name and its creation when the node runs and has its name, and then calls the function. It dies
with the process that started it, however that ends, where the system can do that (Linux). Not for use by hand.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import logging
import os
import signal
import sys
from typing import Any

import beampy as bp

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


async def idle() -> None:
    """Do nothing, until the node is told to stop."""
    while True:
        await bp.receive()


def say(*what: object) -> None:
    """One line on stdout, at once."""
    sys.stdout.write(" ".join(map(str, what)) + "\n")
    sys.stdout.flush()


def die_with(parent: int) -> None:
    """Be killed when the process that started this one ends, or has ended already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def resolve(app: str) -> Any:
    """The function that `package.module:function` names."""
    module, colon, function = app.partition(":")
    if not colon:
        raise ValueError(f"not a function, as in package.module:function: {app!r}")
    return getattr(importlib.import_module(module), function)


async def _main(app: Any, args: list[Any]) -> None:
    say("ready", bp.node(), bp.self().creation)
    await app(*args)


def main(spec: str) -> None:
    """Run the node; `spec` is JSON."""
    told = json.loads(spec)
    if told["parent"]:
        die_with(told["parent"])
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    bp.run(_main, resolve(told["app"]), told["args"], name=told["name"], **told["options"])


if __name__ == "__main__":
    main(sys.argv[1])
