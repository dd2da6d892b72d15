"""A second node, as a user starts it: `beampy start b`, in an empty folder.

    with Node(folder, "b", kernel.env) as node:
        kernel.run("%%on b\\n1")

It has the environment that is given: the cookie, and the port of the name service. Every wait has a deadline.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

WAIT = 40.0  # seconds for a node to run, or to end; a loaded machine takes several


def free_port() -> int:
    """A port for a name service of a test's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Node:
    """A node in a process of its own. `said`: its stdout and stderr."""

    def __init__(self, folder: Path, name: str, env: dict[str, str]) -> None:
        self.folder = folder / f"node-{name}"
        self.name = f"{name}@localhost"
        self.env = dict(env)
        self.said = ""
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "beampy", "start", self.name.partition("@")[0]]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if not self._ready.wait(WAIT):
            self.__exit__()
            raise TimeoutError(f"{self.name} did not start:\n{self.said}")
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if self.name in line:
                self._ready.set()
        self._ready.set()

    def kill(self) -> None:
        """As when its machine is lost."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(WAIT)
        self._reader.join(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
