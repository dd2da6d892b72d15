"""Other ways to have a shell: two frontends of one kernel, and IPython in a terminal, without a kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

import pytest

pytest.importorskip("ipykernel")
from jupyter_client.blocking.client import BlockingKernelClient

from tests.notebook.kernels import WAIT, Kernel
from tests.notebook.test_interrupts import until

pytestmark = [pytest.mark.cluster]


class Attached(Kernel):
    """A second frontend of a kernel that runs, as `jupyter console --existing` is."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel.folder)
        self.file, self.process = kernel.file, kernel.process

    def __enter__(self) -> Self:
        self.client = BlockingKernelClient(connection_file=self.file)
        self.client.load_connection_file()
        self.client.start_channels()
        self.wait_for_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        self.client.context.destroy(linger=0)


def test_two_frontends_of_a_kernel_use_one_node_and_one_pool(tmp_path: Path):
    with Kernel(tmp_path) as kernel, Attached(kernel) as console:
        kernel.ok("import beampy as bp\npool = bp.Pool(max=1)")
        assert console.ok("await pool.call(pow, 2, 3)").value == "8"
        assert kernel.ok("bp.node()").value == console.ok("bp.node()").value
        assert console.run("await pool.call(pow, 2)").error == kernel.run("await pool.call(pow, 2)").error


def test_a_cell_that_waits_in_a_queue_runs_after_the_one_that_is_stopped(tmp_path: Path):
    with Kernel(tmp_path) as kernel, Attached(kernel) as console:
        kernel.ok("import beampy as bp, asyncio, pathlib\npool = bp.Pool(max=1)")
        kernel.ok(
            "async def waits(name):\n"
            "    path = pathlib.Path(name)\n"
            "    try:\n        path.write_text('running')\n        await asyncio.sleep(1000)\n"
            "    finally:\n        path.write_text('gone')"
        )
        begun = kernel.begin(f"await pool.call(waits, {str(tmp_path / 'A')!r})")
        until(tmp_path / "A", "running")
        waiting = console.begin("await pool.call(pow, 2, 3)")
        kernel.interrupt()
        assert kernel.wait(begun).error == "CancelledError: "
        until(tmp_path / "A", "gone")
        ran = console.wait(waiting)
        assert (ran.status, ran.value) in (("ok", "8"), ("aborted", None)), "a kernel drops what waits after an error"
        assert console.ok("await pool.call(pow, 2, 3)").value == "8"


class Terminal:
    """IPython as in a terminal: lines in, text out."""

    def __init__(self, folder: Path) -> None:
        self.kernel = Kernel(folder)
        self.text = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [self.kernel.python, "-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.kernel.env | {"TERM": "dumb"},
            cwd=self.kernel.folder,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        return self

    def read(self) -> None:
        assert self.process.stdout is not None
        while piece := os.read(self.process.stdout.fileno(), 65536):
            self.text += piece.decode(errors="replace")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.text = ""
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def hears(self, line: str, answer: str) -> None:
        self.say(line)
        end = time.monotonic() + WAIT
        while answer not in self.text:
            assert time.monotonic() < end, f"{line}: {self.text}"
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        self.reader.join(WAIT)
        self.process.stdin.close()
        self.process.stdout.close()


def test_ipython_in_a_terminal(tmp_path: Path):
    (tmp_path / "there.py").write_text(
        "import asyncio, pathlib\n"
        "async def waits(name):\n"
        "    path = pathlib.Path(name)\n"
        "    try:\n        path.write_text('running')\n        await asyncio.sleep(1000)\n"
        "    finally:\n        path.write_text('gone')\n"
    )
    with Terminal(tmp_path) as terminal:
        terminal.say("import beampy as bp, sys, os; sys.path.insert(0, ''); import there")
        terminal.hears("bp.node()", "notebook-")
        terminal.hears("pool = bp.Pool(max=1); pool.call(pow, 2, 9).result()", "512")
        terminal.hears("await pool.call(pow, 2, 10)", "1024")
        terminal.hears("%beampy", "1 of at most 1 runners")
        for cell in ("pool.call(there.waits, 'A').result()", "await pool.call(there.waits, 'A')"):
            (tmp_path / "A").unlink(missing_ok=True)
            terminal.say(cell)
            until(tmp_path / "A", "running")
            os.killpg(terminal.process.pid, signal.SIGINT)
            until(tmp_path / "A", "gone")
            terminal.hears("await pool.call(pow, 2, 11)", "2048")
        terminal.hears("await bp.connect('b@nowhere.invalid')", "no connection to b@nowhere.invalid: ")
        terminal.hears("os.getpid(), 'here'", "'here')")
        terminal.say("exit")
        assert terminal.process.wait(WAIT) == 0
