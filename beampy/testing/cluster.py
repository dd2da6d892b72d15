"""Cluster: nodes as real processes of the operating system, for tests that kill, stop and starve them.

Rule: whatever a test starts is gone when it ends, however it ends: at the end of the `async with` block, by the kernel
when the test's own process dies, and with all that the nodes have started themselves. What the nodes wrote is kept, and
added to the exception of a test that fails.

Place: testing; it works on asyncio's loop and uvloop's, and not on the simulator's, which has no processes. The node
itself is cluster_node.py. The cookie goes through the environment: arguments are for everybody to read.

Example:
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie) as node:
        b = await cluster.start("b", "shop.app:main", tick_time=4)
        bp.monitor_node(b.name)
        b.kill()
        await bp.receive(bp.NodeDown)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

HOST = "127.0.0.1"
IDLE = "beampy.testing.cluster_node:idle"
READY = 30.0  # seconds to start an interpreter and a node, on a machine that does much else
ENDS = 10.0  # seconds for what was told to end
LOOK = 0.005  # seconds between two looks at what cannot wake us
SHOWN = 20_000  # characters of each node's output in a failure
_PROC = "/proc"


class NodeFailed(Exception):
    """A process did not say what was waited for. The message has all that it wrote."""


class ClusterNode:
    """One node in a process of its own. `creation` is that of its pids."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], output: Path) -> None:
        self.name = name
        self.process = process
        self.pid = process.pid
        self.creation = 0
        self._output = output

    def __repr__(self) -> str:
        status = self.process.poll()
        return f"<ClusterNode {self.name} pid {self.pid}{'' if status is None else f', ended with {status}'}>"

    # what one does to it

    def send_signal(self, number: int) -> None:
        """Any signal of the system; nothing when the process has ended."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9: it is gone, without a word."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM: a node stops in order."""
        self.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGSTOP: it does nothing any more, and its sockets stay open."""
        self.send_signal(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: it goes on."""
        self.send_signal(signal.SIGCONT)

    async def wait(self, timeout: float = ENDS) -> int:
        """Wait until it has ended. Its exit status, negative after a signal. NodeFailed after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    status = self.process.poll()
                    if status is not None:
                        return status
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise NodeFailed(f"{self!r} did not end within {timeout:g} s\n{self.shown()}") from None

    # what one sees of it

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """All that it wrote to stdout and stderr."""
        return self._output.read_text(errors="replace")

    def shown(self) -> str:
        """Its output, for the text of a failure."""
        text = self.output
        cut = "" if len(text) <= SHOWN else "[…]"
        return f"--- output of {self!r}\n{cut}{text[-SHOWN:]}"

    async def says(self, text: str, timeout: float = ENDS, *, count: int = 1) -> str:
        """Wait until it has written `count` lines with `text` in them. The last of these; else NodeFailed."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    ended = not self.alive  # asked first, so that its last words are read
                    lines = [line for line in self.output.splitlines(keepends=True) if text in line]
                    if len(lines) > count or (len(lines) == count and lines[-1].endswith("\n")):
                        return lines[count - 1].rstrip("\n")
                    if ended:
                        raise NodeFailed(f"{self!r} has not said {text!r}\n{self.shown()}")
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise NodeFailed(f"{self!r} did not say {text!r} within {timeout:g} s\n{self.shown()}") from None

    def rss(self) -> int:
        """Bytes of memory that it has (Linux)."""
        return int(_read(self.pid, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_time(self) -> float:
        """Seconds that it has computed, in user and system mode (Linux)."""
        fields = _stat(self.pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fds(self) -> list[str]:
        """What its open file descriptors are open on (Linux)."""
        found = []
        for fd in os.listdir(f"{_PROC}/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"{_PROC}/{self.pid}/fd/{fd}"))
        return sorted(found)


class Cluster:
    """The nodes of one test. `cookie` is theirs: by default BEAMPY_COOKIE, else a new one."""

    def __init__(self, *, cookie: str | None = None) -> None:
        self.cookie = cookie or os.environ.get("BEAMPY_COOKIE") or secrets.token_urlsafe(32)
        self.nodes: list[ClusterNode] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Cluster:
        self._folder = tempfile.TemporaryDirectory(prefix="beampy-cluster-")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._folder is not None
        try:
            await asyncio.shield(self._kill_all())
        finally:
            if error is not None:
                for node in self.nodes:
                    error.add_note(node.shown())
            self._folder.cleanup()

    async def start(
        self,
        name: str,
        app: str = IDLE,
        *args: Any,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        ready: bool = True,
        cookie: str | None = None,
        orphan: bool = False,
        bare: str | Path | None = None,
        python: str = sys.executable,
        **options: Any,
    ) -> ClusterNode:
        """Start a node that runs the async function `app` ("package.module:function") with `args`.

        `name` may leave out its host (127.0.0.1). `args` and `options`, which are those of `bp.Node`, go as JSON. `env`
        is added to the environment, where this process's ERL_EPMD_PORT is, too. `prefix` is a command that runs a
        command, such as `["ip", "netns", "exec", "a"]`. With `ready` it returns when the node runs, and raises
        NodeFailed when it does not; else at once. `orphan`: it may outlive this process. `bare`: it runs in that
        directory, and can import what is there, beampy, and what `python`, its interpreter, has installed.
        """
        assert self._folder is not None, "use it as `async with Cluster() as cluster:`"
        full = name if "@" in name else f"{name}@{HOST}"
        spec = {
            "name": full,
            "app": app,
            "args": args,
            "options": options,
            "parent": 0 if orphan else os.getpid(),
        }
        output = Path(self._folder.name) / f"{len(self.nodes)}.out"
        path = _import_path() if bare is None else _where_beampy_is()
        variables = {"PYTHONPATH": path, "PYTHONFAULTHANDLER": "1", "BEAMPY_COOKIE": cookie or self.cookie}
        command = [*prefix, python, "-m", "beampy.testing.cluster_node", json.dumps(spec)]
        node = ClusterNode(full, _launch(command, output, variables | dict(env or {}), bare), output)
        self.nodes.append(node)
        if ready:
            node.creation = int((await node.says(f"ready {full} ", READY)).split()[-1])
        return node

    async def _kill_all(self) -> None:
        for node in self.nodes:
            _kill([*_children(node), node.pid] if node.alive else _children(node))
        for node in self.nodes:
            await node.wait()


def _launch(
    command: list[str], output: Path, env: Mapping[str, str], cwd: str | Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process, which takes about a millisecond. It is not asyncio's, whose watchers want a loop or a thread."""
    with output.open("wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | env,
            cwd=cwd,
            start_new_session=True,  # what it starts is found by its session
        )


def _import_path() -> str:
    """What is imported here can be imported there."""
    installed = (sys.prefix, sys.base_prefix)
    return os.pathsep.join(path or os.getcwd() for path in sys.path if not path.startswith(installed))


def _where_beampy_is() -> str:
    """The directory that beampy is imported from, where that is not installed."""
    folder = str(Path(__file__).parents[2])
    return "" if folder.startswith((sys.prefix, sys.base_prefix)) else folder


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(node: ClusterNode) -> list[int]:
    """The processes of a node's session but itself: a session's number is used again only when all of it is gone."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.listdir(_PROC):
            with contextlib.suppress(OSError, IndexError):
                if entry.isdigit() and _stat(int(entry))[3] == str(node.pid):
                    found.append(int(entry))
    if node.pid in found:
        if not node.alive:
            return []  # a stranger who got its number
        found.remove(node.pid)
    return found


def _read(pid: int, what: str) -> str:
    with open(f"{_PROC}/{pid}/{what}", encoding="utf-8", errors="replace") as file:
        return file.read()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat from the third (the state) on; the second is a name that may hold anything."""
    return _read(pid, "stat").rpartition(")")[2].split()
