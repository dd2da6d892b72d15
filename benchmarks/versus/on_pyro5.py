"""Pyro5 with msgpack, its fastest serializer: a method of an object in another process, on loopback TCP.

It has no calls in flight from one thread: its batches are one message with many calls.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from benchmarks.versus.beside import Served, one_by_one

if TYPE_CHECKING:
    from benchmarks.case import Figures, Workloads

api: Any = importlib.import_module("Pyro5.api")

SERVER = """
import Pyro5.api

@Pyro5.api.expose
class Same:
    def get(self, x):
        return x

daemon = Pyro5.api.Daemon("127.0.0.1", 0)
print(daemon.register(Same()), flush=True)
daemon.requestLoop()
"""


def remote_call(n: int) -> Figures:
    with Served(SERVER) as served, api.Proxy(served.said) as proxy:
        proxy._pyroSerializer = "msgpack"
        return one_by_one("server", lambda: proxy.get(1), n, served.pid)


def workloads(_: str) -> Workloads:
    return {"remote_call": remote_call}


def versions() -> dict[str, str]:
    return {"Pyro5": importlib.metadata.version("Pyro5")}


def loop(_: str) -> str:
    return "threads"
