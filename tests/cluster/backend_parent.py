"""A program with a local backend and runners, for tests that end it: python -m tests.cluster.backend_parent WAY WHAT…

WAY is "fork" or "spawn"; for each WHAT there is one runner, which does that. It says "up" when all of them do it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import Any

import beampy as bp
from beampy.pool.backends import LocalBackend
from beampy.testing.backends import Home

HERE = "tests.cluster.backend_parent"
BOOTS = 30.0  # seconds


def idle() -> None:
    """Nothing."""


def gil() -> None:
    """A C call that never gives the interpreter away."""
    import ctypes

    ctypes.PyDLL(None).sleep(3600)


def others() -> None:
    """Processes in every way to get away from their parent."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen(["sleep", "3600"], **quiet)
    subprocess.Popen(["sleep", "3600"], start_new_session=True, **quiet)
    subprocess.Popen(["sleep", "3600"], start_new_session=True, env={"PATH": os.environ["PATH"]}, **quiet)
    subprocess.run(["sh", "-c", "setsid sleep 3600 & sleep 3600 &"], check=True, **quiet)
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)


async def main(way: str, *what: str) -> None:
    async with Home() as home:
        backend = LocalBackend(fork=way == "fork")
        await backend.start()
        unanswered = []
        for each in what:
            order = home.order(BOOTS, local=False)  # the runner itself is not told of its parent
            await backend.boot(order)
            await home.hello(order.name, BOOTS)
            call: Any = bp.remote_call(order.name, f"{HERE}:{each}")
            if each == "gil":  # which never answers: another one answers after it
                await bp.remote_call(order.name, "os.getpid")
                unanswered.append(asyncio.ensure_future(call))
                await asyncio.sleep(0.2)
            else:
                await call
        print("up", flush=True)  # noqa: T201
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
