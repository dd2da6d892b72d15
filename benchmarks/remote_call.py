"""Between two nodes, calls: of a Server there, and of a function there; how long one takes, and how many a second.

"remote_call.server" is bp.call of a Server, "remote_call.function" bp.remote_call of an async function that returns at
once, "remote_call.sync" of one that is not async, which runs in a thread there; "remote_call.pingpong" is a bare round
trip. The four take turns, on two cores, so that they can be compared;
"remote_call.one_core" is the Server's on one core, the CPU time of both sides (see `remote`). Of the peers, those with
one other process (pool, rpyc, pyro5) are placed alike. "remote_call.spawn" is from bp.spawn on the other node to the
new process's first message.

"pipelined" has a hundred calls in flight from as many processes; "pipelined.one" is one process that sends five hundred
and then awaits them, "pipelined.function" and "pipelined.sync" the same of functions.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second, percentile_us
from benchmarks.harness import main
from benchmarks.remote import echo, round_trips
from benchmarks.two_nodes import placed, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.two_nodes import Other

CALLERS = 100
IN_FLIGHT = 500


class Same(bp.Server):
    """Answers ("get", x) with x."""

    async def handle_call(self, request: Any, from_: Any) -> Any:
        return request[1]


async def serve(parent: bp.Pid) -> None:
    """On the other node: a server, for as long as this process."""
    server = await Same.start_link()
    bp.send(parent, server.pid)
    await bp.receive()


async def nothing() -> None:
    """On the other node: returns at once."""


def nothing_sync() -> None:
    """The same as a function that is not async."""


async def greet(parent: bp.Pid) -> None:
    """On the other node: a process that says that it is there."""
    bp.send(parent, "here")


async def each_timed(do: Callable[[], Awaitable[Any]], n: int) -> list[float]:
    """The seconds that each of n awaits of `do()` took."""
    took = []
    for _ in range(n):
        began = perf_counter()
        await do()
        took.append(perf_counter() - began)
    return took


async def caller(server: bp.Pid, n: int) -> None:
    for _ in range(n):
        await bp.call(server, ("get", 1))


async def many_callers(server: bp.Pid, n: int) -> float:
    """Calls a second from a hundred processes."""
    each = max(1, n // CALLERS)
    began = perf_counter()
    callers = [bp.spawn(caller, server, each, monitor=True) for _ in range(CALLERS)]
    for _ in callers:
        await bp.receive(bp.Down)
    return per_second(each * CALLERS, began)


async def one_caller(ask: Callable[[], Awaitable[Any]], n: int) -> float:
    """Calls a second from one process that has `IN_FLIGHT` of them under way."""
    began = perf_counter()
    for count in turns(n, max(1, n // IN_FLIGHT)):
        for answer in [ask() for _ in range(count)]:
            await answer
    return per_second(n, began)


async def remote_call(n: int, other: Other) -> Figures:
    node = other.name
    there = await bp.spawn(echo, node=node)
    await bp.spawn(serve, bp.self(), node=node)
    server = await bp.receive()

    def call() -> Awaitable[Any]:
        return bp.call(server, ("get", 1))

    def function() -> Awaitable[Any]:
        return bp.remote_call(node, nothing)

    def sync() -> Awaitable[Any]:
        return bp.remote_call(node, nothing_sync)

    async def spawn() -> None:
        await bp.spawn(greet, bp.self(), node=node)
        await bp.receive("here".__eq__)

    bare: list[float] = []
    calls: list[float] = []
    functions: list[float] = []
    syncs: list[float] = []
    spawns: list[float] = []
    with placed(other.pid, apart=True):
        for count in turns(n):
            bare += await round_trips(there, count)
            calls += await each_timed(call, count)
            functions += await each_timed(function, count)
            syncs += await each_timed(sync, count)
            spawns += await each_timed(spawn, max(1, count // 4))
    with placed(other.pid, apart=False):
        close = await each_timed(call, n)
    return {
        "remote_call.pingpong": percentile_us(bare, 0.5),
        "remote_call.server": percentile_us(calls, 0.5),
        "remote_call.server.p99": percentile_us(calls, 0.99),
        "remote_call.one_core": percentile_us(close, 0.5),
        "remote_call.function": percentile_us(functions, 0.5),
        "remote_call.function.p99": percentile_us(functions, 0.99),
        "remote_call.sync": percentile_us(syncs, 0.5),
        "remote_call.sync.p99": percentile_us(syncs, 0.99),
        "remote_call.spawn": percentile_us(spawns, 0.5),
        "remote_call.pipelined": await many_callers(server, n * 10),
        "remote_call.pipelined.one": await one_caller(call, n * 10),
        "remote_call.pipelined.function": await one_caller(function, n * 4),
        "remote_call.pipelined.sync": await one_caller(sync, n * 4),
    }


def _microseconds(name: str) -> Figure:
    return Figure(f"remote_call.{name}", "µs", higher=False)


CASES = (
    Case(
        "remote_call",
        remote_call,
        (
            _microseconds("pingpong"),
            _microseconds("server"),
            _microseconds("server.p99"),
            _microseconds("one_core"),
            _microseconds("function"),
            _microseconds("function.p99"),
            _microseconds("sync"),
            _microseconds("sync.p99"),
            _microseconds("spawn"),
            Figure("remote_call.pipelined", "calls/s"),
            Figure("remote_call.pipelined.one", "calls/s"),
            Figure("remote_call.pipelined.function", "calls/s"),
            Figure("remote_call.pipelined.sync", "calls/s"),
        ),
        size=4_000,
        smoke=40,
        runs=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
