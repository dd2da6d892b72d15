"""The nine ends of a kernel: whichever it is, nothing that it has started is left.

The runners are real, and work while it happens: one function that never returns, and one that waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest

pytest.importorskip("ipykernel")
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

from tests.notebook.kernels import PYTHON, WAIT, Kernel, alive

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

POOL = """
import asyncio, os, time
import beampy as bp
pool = bp.Pool(min=2, max=2, max_concurrency=2)
def works():
    while True: time.sleep(0.01)
async def waits(): await asyncio.sleep(1000)
handles = [pool.submit(works), pool.submit(waits), pool.submit(waits)]
while [each["calls"] for each in pool.runners()] not in ([2, 1], [1, 2]): time.sleep(0.01)
print(os.getpid(), *(each["os_pid"] for each in pool.runners()))
"""


class Managed(Kernel):
    """A kernel that a KernelManager starts, as a server does."""

    def __enter__(self) -> Self:
        self.log = (self.folder / "kernel.log").open("ab")
        self.manager = KernelManager()
        self.manager.kernel_spec.argv[0] = self.python
        self.manager.start_kernel(env=self.env, cwd=str(self.folder), stdout=self.log, stderr=self.log)
        self.process = self.manager.provisioner.process
        self.client = self.manager.client()
        self.client.start_channels()
        self.wait_for_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.destroy(linger=0)
        ensure_event_loop().close()
        self.log.close()


SERVER = """
import sys, time
from jupyter_client.manager import KernelManager
manager = KernelManager()
manager.kernel_spec.argv[0] = sys.argv[1]
manager.start_kernel(cwd=sys.argv[2])
print(manager.connection_file, flush=True)
time.sleep(1000)
"""


class Served(Kernel):
    """A kernel whose server is a process of its own, to be killed."""

    def __enter__(self) -> Self:
        self.log = (self.folder / "kernel.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, self.python, str(self.folder)],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.file = self.process.stdout.readline().strip()
        self.client = BlockingKernelClient(connection_file=self.file)
        self.client.load_connection_file()
        self.client.start_channels()
        self.wait_for_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.client.stop_channels()
        self.client.context.destroy(linger=0)
        ensure_event_loop().close()
        self.log.close()


def tree(pid: int) -> set[int]:
    """The processes that come from one, without it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    look = [pid]
    while look:
        for child in children.get(look.pop(), ()):
            if child not in found:
                found.add(child)
                look.append(child)
    return found


def begin_work(kernel: Kernel) -> tuple[int, set[int]]:
    """Start a pool that works: the kernel's process, and all that comes from it, runners and their zygote."""
    pid, *runners = map(int, kernel.ok(POOL).out.split())
    found = tree(pid)
    assert set(runners) < found, "runners, and what has forked them"
    return pid, found


def gone(pids: set[int]) -> None:
    """Wait until none of them is there."""
    end = time.monotonic() + WAIT
    while left := {pid for pid in pids if alive(pid)}:
        assert time.monotonic() < end, {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in left}
        time.sleep(0.005)


ENDS: dict[str, Any] = {
    "shutdown": lambda manager, pid: manager.shutdown_kernel(),
    "restart": lambda manager, pid: manager.restart_kernel(),
    "shutdown_now": lambda manager, pid: manager.shutdown_kernel(now=True),
    "restart_now": lambda manager, pid: manager.restart_kernel(now=True),
    "SIGKILL": lambda manager, pid: os.kill(pid, signal.SIGKILL),
    "SIGTERM": lambda manager, pid: os.kill(pid, signal.SIGTERM),
    "SIGSEGV": lambda manager, pid: os.kill(pid, signal.SIGSEGV),
}
CELLS = {
    "idle": "",
    "asleep": "print('on')\ntime.sleep(1000)",
    "computes": "print('on')\nwhile True: pass",
    "result": "print('on')\nhandles[0].result()",
    "await": "print('on')\nawait handles[1]",
}
CASES = [
    *(("shutdown", cell) for cell in CELLS),
    ("restart", "idle"), ("restart", "computes"), ("shutdown_now", "result"), ("restart_now", "asleep"),
    ("SIGKILL", "idle"), ("SIGKILL", "await"), ("SIGSEGV", "idle"), ("SIGTERM", "asleep"), ("SIGTERM", "await"),
]  # fmt: skip


@pytest.mark.parametrize(("end", "cell"), CASES, ids=["-".join(case) for case in CASES])
def test_nothing_is_left(tmp_path: Path, end: str, cell: str):
    with Managed(tmp_path, python=PYTHON) as kernel:
        pid, started = begin_work(kernel)
        if cell != "idle":
            begun = kernel.begin(CELLS[cell])
            for message in kernel.messages():
                if message["parent_header"].get("msg_id") == begun and message["header"]["msg_type"] == "stream":
                    break
        ENDS[end](kernel.manager, pid)
        gone({pid, *started})


def test_nothing_is_left_when_the_server_is_killed(tmp_path: Path):
    with Served(tmp_path) as kernel:
        pid, started = begin_work(kernel)
        kernel.process.kill()
        gone({pid, *started})


def test_a_shutdown_is_not_held_up_by_what_does_not_end(tmp_path: Path):
    """A runner that is stopped answers nobody, and an interpreter that exits would wait for its nodes."""
    with Managed(tmp_path, python=PYTHON) as kernel:
        pid, started = begin_work(kernel)
        for runner in map(int, kernel.ok("print(*(each['os_pid'] for each in pool.runners()))").out.split()):
            os.kill(runner, signal.SIGSTOP)
        kernel.manager.shutdown_time = WAIT  # it is not to be killed
        kernel.manager.shutdown_kernel()
        gone({pid, *started})
        assert "did not stop" not in (tmp_path / "kernel.log").read_text()


def test_a_kernel_that_ends_brings_up_no_node(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp\nfrom beampy.notebook import ends\nbp.node()\nends.end_all()")
        assert (kernel.run("bp.node()").error or "").startswith("NotInNode: beampy, while the kernel ends")
