"""A kernel as a frontend has it, and a second node: what the notebook's cases talk to, through Jupyter's protocol.

Both are operating-system processes of their own, with a name service, a cookie and a folder of their own. An answer
counts as come when its reply and its `idle` are there, since frontends wait for both. Wants jupyter_client and
ipykernel.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

WAIT = 60.0  # seconds for anything of a kernel or a node
ROOT = Path(__file__).resolve().parents[1]


class Notebook:
    """A kernel that has imported beampy as bp, and the node `there`."""

    def __enter__(self) -> Self:
        from jupyter_client.manager import KernelManager

        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-notebook-"))
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
            env = {**os.environ, "HOME": folder, "IPYTHONDIR": folder, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
            env |= {"ERL_EPMD_PORT": str(port), "BEAMPY_COOKIE": secrets.token_hex(16), "PYTHONPATH": str(ROOT)}
            self.there = f"there{os.getpid()}@localhost"
            command = [sys.executable, "-m", "beampy", "start", self.there.partition("@")[0]]
            self.node = stack.enter_context(
                subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            )
            stack.callback(self.node.kill)
            assert self.node.stdout is not None
            while self.there.encode() not in (line := self.node.stdout.readline()):
                if not line:
                    raise RuntimeError("the other node did not start")
            self.manager = KernelManager(kernel_name="python3")
            self.manager.start_kernel(cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(self.manager.shutdown_kernel, now=True)
            self.client = self.manager.blocking_client()
            self.client.start_channels()
            stack.callback(self.client.stop_channels)
            self.client.wait_for_ready(timeout=WAIT)
            self.run("import beampy as bp")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, code: str) -> str:
        """Send a cell: its id. When this returns it runs."""
        cell: str = self.client.execute(code)
        self._until(cell, "execute_input")
        return cell

    def run(self, code: str) -> None:
        """Run a cell to its end; it must not fail."""
        self.end(self.client.execute(code))

    def end(self, cell: str) -> None:
        """Wait for the end of a cell."""
        content = self._answered(cell)
        if content["status"] != "ok":
            raise RuntimeError(f"a cell failed: {content['ename']}: {content['evalue']}")

    def interrupt(self, cell: str) -> None:
        """The stop button: a cell that goes on for ever ends."""
        self.manager.interrupt_kernel()
        self._answered(cell)

    def complete(self, code: str) -> tuple[float, list[str]]:
        """Tab at the end of a cell: how many milliseconds the answer took, and what is suggested."""
        began = time.perf_counter()
        content = self._answered(self.client.complete(code, len(code)))
        return (time.perf_counter() - began) * 1e3, content["matches"]

    def inspect(self, code: str) -> tuple[float, str]:
        """Shift-Tab at the end of a cell: milliseconds, and the text."""
        began = time.perf_counter()
        content = self._answered(self.client.inspect(code, len(code)))
        return (time.perf_counter() - began) * 1e3, content["data"].get("text/plain", "")

    def stop_node(self) -> None:
        """Freeze the other node."""
        os.kill(self.node.pid, signal.SIGSTOP)

    def continue_node(self) -> None:
        """Let it go on."""
        os.kill(self.node.pid, signal.SIGCONT)

    def _answered(self, request: str) -> dict[str, Any]:
        """The reply to a request, when its `idle` is there too."""
        while True:
            message = self.client.get_shell_msg(timeout=WAIT)
            if message["parent_header"].get("msg_id") == request:
                break
        self._until(request, "status", "idle")
        content: dict[str, Any] = message["content"]
        return content

    def _until(self, request: str, kind: str, state: str = "") -> None:
        while True:
            message = self.client.get_iopub_msg(timeout=WAIT)
            if message["parent_header"].get("msg_id") != request or message["msg_type"] != kind:
                continue
            if not state or message["content"]["execution_state"] == state:
                return
