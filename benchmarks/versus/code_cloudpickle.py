"""cloudpickle and a unix socket, nothing else: the function is pickled for each call, and read anew for each call."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import pickle
import socket
import struct
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.two_nodes import placed
from benchmarks.versus.beside import Served
from benchmarks.versus.code_calls import code_calls as figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.case import Figures, Workloads

cloudpickle: Any = importlib.import_module("cloudpickle")

LENGTH = struct.Struct("!I")
# The other process: reads (function, arguments), answers the result. Its first line is said when it listens.
PROGRAM = """
import pickle, socket, struct
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind({path!r})
    listener.listen()
    print("ready", flush=True)
    carrier = listener.accept()[0]
stream = carrier.makefile("rb")
while size := stream.read(4):
    fn, args = pickle.loads(stream.read(*struct.unpack("!I", size)))
    answer = pickle.dumps(fn(*args))
    carrier.sendall(struct.pack("!I", len(answer)) + answer)
"""


@contextmanager
def connected() -> Iterator[Callable[..., Any]]:
    """Another process; what calls a function there."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        with Served(PROGRAM.format(path=path)) as served, socket.socket(socket.AF_UNIX) as carrier:
            carrier.connect(path)
            with placed(served.pid, apart=True), carrier.makefile("rb") as stream:

                def call(fn: Callable[..., Any], *args: Any) -> Any:
                    question = cloudpickle.dumps((fn, args), protocol=pickle.HIGHEST_PROTOCOL)
                    carrier.sendall(LENGTH.pack(len(question)) + question)
                    return pickle.loads(stream.read(*LENGTH.unpack(stream.read(LENGTH.size))))

                yield call


def code_calls(n: int) -> Figures:
    with connected() as call:
        return figures(lambda fn: lambda *args: call(fn, *args), n)


def workloads(_: str) -> Workloads:
    return {"code_calls": code_calls}


def versions() -> dict[str, str]:
    return {"cloudpickle": importlib.metadata.version("cloudpickle")}


def loop(_: str) -> str:
    return "none"
