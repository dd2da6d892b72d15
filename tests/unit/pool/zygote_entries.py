"""What the zygotes of tests fork into: functions of a RunnerSpec. Its `manager` is the path of a unix socket, where the
fork says what it is; `node` has what it is to do."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

HERE = "tests.unit.pool.zygote_entries"
LONG = "3600"  # seconds: for ever, for a test


def about() -> dict[str, Any]:
    """What a process can say of itself."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "fds": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)},
        "random": random.random(),
        "environ": dict(os.environ),
        "threads": threading.active_count(),
        "handlers": [_name(signal.getsignal(each)) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "wakeup": signal.set_wakeup_fd(-1),
        "modules": sorted(sys.modules),
    }


def _name(handler: Any) -> str:
    return str(getattr(handler, "__name__", None) or f"Handlers.{handler.name}")


def _is_open(fd: str) -> bool:
    return os.path.exists(f"/proc/self/fd/{fd}")


def hello(spec: Any, said: dict[str, Any] | None = None) -> socket.socket:
    """Say hello to the test."""
    said = said or about()
    line = socket.socket(socket.AF_UNIX)
    line.connect(spec.manager)
    line.sendall(json.dumps(said).encode() + b"\n")
    return line


def wait(spec: Any) -> int:
    """Say hello, and wait until the test says what to end with."""
    with hello(spec) as line:
        print("waiting", spec.name)  # noqa: T201
        line.settimeout(30)
        told = line.recv(100)
        return int(told) if told else 0


def at_once(spec: Any) -> int:
    return 3


def by_exit(spec: Any) -> int:
    sys.exit(4)


def fails(spec: Any) -> int:
    raise RuntimeError("it went wrong")


def says_environment(spec: Any) -> int:
    """What it says in handshakes, by the short way and by the long one; and that imports are noticed."""
    from beampy.code import witness
    from beampy.runtime import code

    prepared, short = code._prepared, code.environment()
    code._prepared = False
    import sched  # noqa: F401

    seen = witness.import_began("sched") > witness._PROCESS_STARTED
    hello(spec, {"pid": os.getpid(), "prepared": prepared, "words": [short, code.environment()], "seen": seen}).close()
    return 0


def says_origin(spec: Any) -> int:
    from beampy.code.origin import here

    hello(spec, {"pid": os.getpid(), "origin": here().id}).close()
    return 0


def holds_gil(spec: Any) -> int:
    """A C call that does not give the interpreter away."""
    with hello(spec):
        ctypes.PyDLL(None).sleep(3600)
    return 0


def starts_others(spec: Any) -> int:
    """Processes in every way to get away: a child, a daemon, and one that says nothing of where it is from."""
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen(["sleep", LONG], **quiet)
    subprocess.Popen(["sleep", LONG], start_new_session=True, **quiet)
    subprocess.Popen(["sleep", LONG], start_new_session=True, env={"PATH": os.environ["PATH"]}, **quiet)
    subprocess.run(["sh", "-c", f"setsid sleep {LONG} & sleep {LONG} &"], check=True, **quiet)
    if os.fork() == 0:  # a daemon: two forks, a session, no program of its own
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    os.wait()
    return wait(spec)


def with_slots(spec: Any) -> int:
    """A runner with a zygote of its own, which forks into `starts_others`."""
    from beampy.pool.zygote import Zygote

    zygote = Zygote.from_fork(entry=f"{HERE}:{spec.node['slot']}")
    import asyncio
    from dataclasses import replace

    async def main() -> None:
        ended: list[tuple[int, int | None, bool]] = []
        zygote.on_end = lambda *what: ended.append(what)
        await zygote.start()
        slots = [await zygote.fork(replace(spec, name=f"slot{n}@h").to_text(), spec.node["log"]) for n in range(2)]
        with hello(spec, {"pid": os.getpid()}) as line:
            line.setblocking(False)
            await asyncio.get_running_loop().sock_recv(line, 100)
        await zygote.kill(slots[0])
        await zygote.close()

    asyncio.run(main())
    return 0
