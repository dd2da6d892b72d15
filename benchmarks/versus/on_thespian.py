"""thespian on simpleSystemBase: synchronous, in this process, so nothing ever waits for a loop.

Its fastest base for one process, and not a concurrent one: a send runs the receiver.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.case import Figures, Workloads, per_second, percentile_us, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

thespian: Any = importlib.import_module("thespian.actors")
MESSAGE = ("message", 1)
QUIET = {"version": 1, "handlers": {}, "loggers": {}, "root": {"level": "CRITICAL", "handlers": []}}


class Echo(thespian.Actor):  # type: ignore[misc]
    """Answers ("ask", x) and ("ping", sender); takes anything else in silence."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, tuple):
            if message[0] == "ask":
                self.send(sender, message)
            elif message[0] == "ping":
                self.send(message[1], ("pong", self.myAddress))


class Pinger(thespian.Actor):  # type: ignore[misc]
    """Asked ("play", n, other), plays n round trips with the other, then answers."""

    left: int
    asker: Any

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if not isinstance(message, tuple):
            return
        if message[0] == "play":
            self.left, self.asker = message[1], sender
            self.send(message[2], ("ping", self.myAddress))
        elif self.left == 1:
            self.send(self.asker, "played")
        else:
            self.left -= 1
            self.send(sender, ("ping", self.myAddress))


def pingpong(system: Any, n: int) -> Figures:
    ponger, pinger = system.createActor(Echo), system.createActor(Pinger)
    began = perf_counter()
    _expect(system.ask(pinger, ("play", n, ponger), 300))
    return {"pingpong": per_second(n, began)}


def oneway(system: Any, n: int) -> Figures:
    echo = system.createActor(Echo)
    began = perf_counter()
    for _ in range(n):
        system.tell(echo, MESSAGE)
    _expect(system.ask(echo, ("ask", 1), 300))
    return {"oneway": per_second(n, began)}


def spawn(system: Any, n: int) -> Figures:
    leave = thespian.ActorExitRequest()
    began = perf_counter()
    for _ in range(n):
        system.tell(system.createActor(Echo), leave)
    return {"spawn": per_second(n, began)}


def call(system: Any, n: int) -> Figures:
    echo = system.createActor(Echo)
    question = ("ask", 1)
    began = perf_counter()
    for _ in range(n):
        system.ask(echo, question, 5)
    rate = per_second(n, began)
    took = []
    for _ in range(max(1, n // 4)):
        began = perf_counter()
        system.ask(echo, question, 5)
        took.append(perf_counter() - began)
    began = perf_counter()
    for _ in range(n):
        system.tell(echo, MESSAGE)
    _expect(system.ask(echo, question, 300))
    return {
        "call.rate": rate,
        "call.p50": percentile_us(took, 0.5),
        "call.p99": percentile_us(took, 0.99),
        "cast": per_second(n, began),
    }


def memory(system: Any, n: int) -> Figures:
    before = resident_bytes()
    kept = [system.createActor(Echo) for _ in range(n)]
    return {"memory.process": (resident_bytes() - before) / len(kept)}


def _expect(answered: object) -> None:
    if answered is None:
        raise TimeoutError("thespian did not answer")


def _run(body: Callable[[Any, int], Figures], n: int) -> Figures:
    system = thespian.ActorSystem("simpleSystemBase", logDefs=QUIET, transientUnique=True)
    try:
        return body(system, n)
    finally:
        system.shutdown()


def workloads(_: str) -> Workloads:
    return {body.__name__: partial(_run, body) for body in (pingpong, oneway, spawn, call, memory)}


def versions() -> dict[str, str]:
    return {"thespian": importlib.metadata.version("thespian")}


def loop(_: str) -> str:
    return "none"
