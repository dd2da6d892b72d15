"""Who is measured: beampy and its peers, each in an operating-system process of its own.

The rule: a subject is a worker that answers lines. It prints one JSON line when it is ready (its
versions, its loop, the workloads it knows); then, for each line `WORKLOAD SIZE`, one JSON line with
the figures or with an error. So imports, loops and threads of one subject never disturb another,
and subjects can take turns: one run of each, then the next run of each.

This file knows how to start, ask and stop a worker. It does not know what a workload does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from benchmarks.case import Figures

ROOT = Path(__file__).resolve().parent.parent
READY_S = 60.0
RUN_S = 300.0


class WorkerFailed(Exception):
    """A worker died, was too slow, or said that the workload failed."""


@dataclass(frozen=True)
class Subject:
    """A system under measurement.

    `share` is the part of a case's size that it runs: a peer a hundred times slower would otherwise
    take a hundred times as long, and a rate does not depend on the count.
    """

    name: str
    label: str
    command: Callable[[Path], list[str]]
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    share: float = 1.0

    def installed(self) -> bool:
        """True when everything that it needs is here."""
        return all(map(importlib.util.find_spec, self.modules)) and all(map(shutil.which, self.programs))


def environment() -> dict[str, str]:
    """Of a subject: it finds this tree, and keeps the bytecode that it has compiled, as what is installed does."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


def _python(module: str, variant: str = "") -> Callable[[Path], list[str]]:
    def command(_: Path) -> list[str]:
        return [sys.executable, "-m", "benchmarks.worker", module, variant]

    return command


def _erlang(*flags: str) -> Callable[[Path], list[str]]:
    """The `erl` command; the modules are compiled once into the scratch directory."""

    def command(scratch: Path) -> list[str]:
        if not (scratch / "bench.beam").exists():
            sources = sorted((ROOT / "benchmarks" / "versus" / "erlang").glob("*.erl"))
            compiled = subprocess.run(
                ["erlc", "-o", str(scratch), *map(str, sources)],
                capture_output=True,
                text=True,
                timeout=READY_S,
                check=False,
            )
            if compiled.returncode != 0:
                raise WorkerFailed(f"erlc: {compiled.stdout}{compiled.stderr}")
        return [
            "env",
            f"ERL_EPMD_PORT={_free_port()}",
            "erl",
            *flags,
            "-noshell",
            "-pa",
            str(scratch),
            "-run",
            "bench",
            "main",
        ]

    return command


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


_VERSUS = "benchmarks.versus"
_SOCKET = f"{_VERSUS}.on_socket"
BEAMPY = Subject("beampy", "beampy", _python(f"{_VERSUS}.on_beampy"), modules=("beampy",))
PEERS = (
    Subject(
        "beampy-asyncio",
        "beampy on asyncio's loop",
        _python(f"{_VERSUS}.on_beampy", "asyncio"),
        modules=("beampy",),
    ),
    Subject("beampy-tcp", "beampy, nodes over TCP", _python(f"{_VERSUS}.on_beampy", "tcp"), modules=("beampy",)),
    Subject("beampy-tls", "beampy, nodes over TLS", _python(f"{_VERSUS}.on_beampy", "tls"), modules=("beampy",)),
    Subject("echo-unix", "bare uvloop echo, unix socket", _python(_SOCKET, "echo unix"), modules=("uvloop",)),
    Subject("echo-tcp", "bare uvloop echo, TCP", _python(_SOCKET, "echo tcp"), modules=("uvloop",)),
    Subject("echo-tls", "bare uvloop echo, TLS", _python(_SOCKET, "echo tls"), modules=("uvloop", "cryptography")),
    Subject("socket-fresh", "blocking unix socket into fresh memory", _python(_SOCKET, "fresh")),
    Subject("socket-reused", "blocking unix socket into one buffer", _python(_SOCKET, "reused")),
    Subject(
        "queue-asyncio",
        "Task + asyncio.Queue, asyncio",
        _python(f"{_VERSUS}.on_asyncio", "queue-asyncio"),
    ),
    Subject(
        "queue-uvloop",
        "Task + asyncio.Queue, uvloop",
        _python(f"{_VERSUS}.on_asyncio", "queue-uvloop"),
        modules=("uvloop",),
    ),
    Subject(
        "deque-uvloop",
        "Task + bare deque, uvloop",
        _python(f"{_VERSUS}.on_asyncio", "deque-uvloop"),
        modules=("uvloop",),
    ),
    Subject("pykka", "pykka", _python(f"{_VERSUS}.on_pykka"), modules=("pykka",), share=0.04),
    Subject(
        "thespian",
        "thespian, simpleSystemBase",
        _python(f"{_VERSUS}.on_thespian"),
        modules=("thespian",),
        share=0.1,
    ),
    Subject("xoscar", "xoscar", _python(f"{_VERSUS}.on_xoscar"), modules=("xoscar",), share=0.05),
    Subject("pool", "ProcessPoolExecutor by spawn", _python(f"{_VERSUS}.on_pool"), share=0.5),
    Subject("executor", "ProcessPoolExecutor by fork", _python(f"{_VERSUS}.on_executor", "fork"), share=0.5),
    Subject(
        "executor-forkserver",
        "ProcessPoolExecutor by fork server",
        _python(f"{_VERSUS}.on_executor", "forkserver"),
    ),
    Subject("loky", "loky", _python(f"{_VERSUS}.on_loky"), modules=("loky",), share=0.5),
    Subject(
        "aiomultiprocess",
        "aiomultiprocess",
        _python(f"{_VERSUS}.on_aiomultiprocess"),
        modules=("aiomultiprocess",),
    ),
    Subject("ipyparallel", "ipyparallel", _python(f"{_VERSUS}.on_ipyparallel"), modules=("ipyparallel",), share=0.02),
    Subject("rpyc", "RPyC", _python(f"{_VERSUS}.on_rpyc"), modules=("rpyc",), share=0.5),
    Subject("pyro5", "Pyro5 with msgpack", _python(f"{_VERSUS}.on_pyro5"), modules=("Pyro5",), share=0.5),
    Subject(
        "cloudpickle", "cloudpickle, unix socket", _python(f"{_VERSUS}.code_cloudpickle"), modules=("cloudpickle",)
    ),
    Subject("polars", "polars, one process", _python(f"{_VERSUS}.on_polars"), modules=("polars",)),
    Subject("dask", "dask.distributed", _python(f"{_VERSUS}.on_dask"), modules=("distributed",), share=0.1),
    Subject("ray", "ray", _python(f"{_VERSUS}.on_ray"), modules=("ray",), share=0.1),
    Subject("erlang-1", "Erlang +S 1", _erlang("+S", "1"), programs=("erl", "erlc")),
    Subject("erlang", "Erlang", _erlang(), programs=("erl", "erlc")),
)


class Worker:
    """A running subject. Use it as a context manager: leaving the block ends the process.

    with Worker(BEAMPY, scratch) as worker:
        worker.run("pingpong", 10_000)
    """

    def __init__(self, subject: Subject, scratch: Path) -> None:
        self.subject = subject
        self._scratch = scratch
        self._errors = scratch / f"{subject.name}.stderr"
        self._unread = b""

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it says that it is ready."""
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                self.subject.command(self._scratch),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                cwd=self._scratch,
            )
        try:
            self.hello: dict[str, Any] = self._line(READY_S)
        except WorkerFailed:
            self.stop()
            raise

    def knows(self, workload: str) -> bool:
        """True when the worker implements that workload."""
        return workload in self.hello["workloads"]

    def run(self, workload: str, size: int, timeout: float = RUN_S) -> Figures:
        """The figures of one run."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{workload} {size}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerFailed(f"ended: {self._last_words()}") from None
        answer = self._line(timeout)
        if "error" in answer:
            raise WorkerFailed(str(answer["error"]))
        return {name: float(value) for name, value in answer.items()}

    def stop(self) -> None:
        """End the process; its input closing is the polite request."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _line(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(timeout):
                    self._process.kill()
                    raise WorkerFailed(f"no answer within {timeout:g} s")
                chunk = os.read(descriptor, 65_536)
                if not chunk:
                    self._process.wait()
                    raise WorkerFailed(f"ended: {self._last_words()}")
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        text = self._errors.read_text(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self._process.poll()}"
