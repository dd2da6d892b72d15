"""pykka: an operating-system thread for each actor, so actors that talk switch threads."""

from __future__ import annotations

import importlib
import importlib.metadata
import threading
from time import perf_counter
from typing import Any

from benchmarks.case import Figures, Workloads, per_second, percentile_us, resident_bytes

pykka: Any = importlib.import_module("pykka")
MESSAGE = ("message", 1)


class Echo(pykka.ThreadingActor):  # type: ignore[misc]
    """Returns what it is asked; answers a ping with a pong."""

    use_daemon_thread = True

    def on_receive(self, message: Any) -> Any:
        if message[0] == "ping":
            message[1].tell(("pong", self.actor_ref))
        return message


class Pinger(pykka.ThreadingActor):  # type: ignore[misc]
    """Plays `left` round trips with another actor, then sets the event."""

    use_daemon_thread = True

    def __init__(self, left: int, done: threading.Event) -> None:
        super().__init__()
        self.left, self.done = left, done

    def on_receive(self, message: Any) -> None:
        if self.left == 0:
            self.done.set()
        else:
            self.left -= 1
            message[1].tell(("ping", self.actor_ref))


class Sink(pykka.ThreadingActor):  # type: ignore[misc]
    """Counts down, then sets the event."""

    use_daemon_thread = True

    def __init__(self, left: int, done: threading.Event) -> None:
        super().__init__()
        self.left, self.done = left, done

    def on_receive(self, message: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set()


class Source(pykka.ThreadingActor):  # type: ignore[misc]
    """Told ("go", n, sink), tells the sink n times."""

    use_daemon_thread = True

    def on_receive(self, message: Any) -> None:
        _, n, sink = message
        for _ in range(n):
            sink.tell(MESSAGE)


def pingpong(n: int) -> Figures:
    done = threading.Event()
    ponger = Echo.start()
    pinger = Pinger.start(n, done)
    began = perf_counter()
    pinger.tell(("pong", ponger))
    done.wait()
    rate = per_second(n, began)
    pinger.stop()
    ponger.stop()
    return {"pingpong": rate}


def oneway(n: int) -> Figures:
    return {"oneway": _into_one(1, n)}


def fanin(n: int) -> Figures:
    return {"fanin": _into_one(100, n)}


def _into_one(producers: int, n: int) -> float:
    each = max(1, n // producers)
    done = threading.Event()
    sink = Sink.start(producers * each, done)
    sources = [Source.start() for _ in range(producers)]
    began = perf_counter()
    for source in sources:
        source.tell(("go", each, sink))
    done.wait()
    rate = per_second(producers * each, began)
    for actor in (sink, *sources):
        actor.stop()
    return rate


def spawn(n: int) -> Figures:
    began = perf_counter()
    for _ in range(n):
        Echo.start().stop(block=True)
    one_by_one = per_second(n, began)
    batch = min(n, 100)
    began = perf_counter()
    for _ in range(n // batch):
        ends = [Echo.start().stop(block=False) for _ in range(batch)]
        for end in ends:
            end.get()
    return {"spawn": one_by_one, "spawn.batch": per_second(n // batch * batch, began)}


def call(n: int) -> Figures:
    echo = Echo.start()
    began = perf_counter()
    for _ in range(n):
        echo.ask(MESSAGE)
    rate = per_second(n, began)
    took = []
    for _ in range(max(1, n // 4)):
        began = perf_counter()
        echo.ask(MESSAGE)
        took.append(perf_counter() - began)
    began = perf_counter()
    for _ in range(n):
        echo.tell(MESSAGE)
    echo.ask(MESSAGE)
    casts = per_second(n, began)
    echo.stop()
    return {
        "call.rate": rate,
        "call.p50": percentile_us(took, 0.5),
        "call.p99": percentile_us(took, 0.99),
        "cast": casts,
    }


def memory(n: int) -> Figures:
    before = resident_bytes()
    actors = [Echo.start() for _ in range(n)]
    after = resident_bytes()
    for actor in actors:
        actor.stop()
    return {"memory.process": (after - before) / n}


def workloads(_: str) -> Workloads:
    return {body.__name__: body for body in (pingpong, oneway, fanin, spawn, call, memory)}


def versions() -> dict[str, str]:
    return {"pykka": importlib.metadata.version("pykka")}


def loop(_: str) -> str:
    return "threads"
