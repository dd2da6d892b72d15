"""RPyC: a method of a service in another process, on loopback TCP."""

from __future__ import annotations

import importlib
import importlib.metadata
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from benchmarks.versus.beside import Served, in_flight, one_by_one

if TYPE_CHECKING:
    from benchmarks.case import Figures, Workloads

rpyc: Any = importlib.import_module("rpyc")

SERVER = """
import rpyc
from rpyc.utils.server import ThreadedServer

class Same(rpyc.Service):
    def exposed_get(self, x):
        return x

server = ThreadedServer(Same, hostname="127.0.0.1", port=0)
print(server.port, flush=True)
server.start()
"""
PATIENCE = 5.0


def remote_call(n: int) -> Figures:
    with Served(SERVER) as served:
        connection = _connected(int(served.said))
        get = connection.root.get
        figures = one_by_one("server", lambda: get(1), n, served.pid)
        later = rpyc.async_(get)
        figures["remote_call.pipelined.one"] = in_flight(lambda: later(1), lambda result: result.wait(), n * 5)
        connection.close()
    return figures


def _connected(port: int) -> Any:
    """It binds before it listens."""
    until = monotonic() + PATIENCE
    while True:
        try:
            return rpyc.connect("127.0.0.1", port)
        except ConnectionRefusedError:
            if monotonic() > until:
                raise
            sleep(0.01)


def workloads(_: str) -> Workloads:
    return {"remote_call": remote_call}


def versions() -> dict[str, str]:
    return {"rpyc": importlib.metadata.version("rpyc")}


def loop(_: str) -> str:
    return "threads"
