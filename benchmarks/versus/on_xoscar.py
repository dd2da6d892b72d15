"""xoscar: actors in one process, a driver actor asking or telling another; for remote_call, one in a sub-process.

On uvloop where installed, as xoscar's own pools do.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import importlib.util
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.case import Figures, Workloads, per_second, percentile_us, resident_bytes
from benchmarks.versus.beside import IN_FLIGHT, one_by_one_awaited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

xoscar: Any = importlib.import_module("xoscar")
MESSAGE = ("message", 1)


class Echo(xoscar.Actor):  # type: ignore[misc]
    """Returns what it is asked."""

    async def echo(self, message: Any) -> Any:
        return message


class Driver(xoscar.Actor):  # type: ignore[misc]
    """Lives beside the echo, so that what is measured is one actor talking to another."""

    async def ask(self, echo: Any, n: int) -> float:
        began = perf_counter()
        for _ in range(n):
            await echo.echo(MESSAGE)
        return per_second(n, began)

    async def ask_timed(self, echo: Any, n: int) -> list[float]:
        took = []
        for _ in range(n):
            began = perf_counter()
            await echo.echo(MESSAGE)
            took.append(perf_counter() - began)
        return took

    async def tell(self, echo: Any, n: int) -> float:
        began = perf_counter()
        for _ in range(n):
            await echo.echo.tell(MESSAGE)
        await echo.echo(MESSAGE)
        return per_second(n, began)


async def oneway(address: str, n: int) -> Figures:
    echo, driver = await _pair(address)
    return {"oneway": await driver.tell(echo, n)}


async def spawn(address: str, n: int) -> Figures:
    began = perf_counter()
    for i in range(n):
        made = await xoscar.create_actor(Echo, address=address, uid=f"spawned-{i}")
        await xoscar.destroy_actor(made)
    return {"spawn": per_second(n, began)}


async def call(address: str, n: int) -> Figures:
    echo, driver = await _pair(address)
    rate = await driver.ask(echo, n)
    took = await driver.ask_timed(echo, max(1, n // 4))
    return {
        "call.rate": rate,
        "call.p50": percentile_us(took, 0.5),
        "call.p99": percentile_us(took, 0.99),
        "cast": await driver.tell(echo, n),
    }


async def memory(address: str, n: int) -> Figures:
    before = resident_bytes()
    for i in range(n):
        await xoscar.create_actor(Echo, address=address, uid=f"idle-{i}")
    return {"memory.process": (resident_bytes() - before) / n}


async def remote_call(n: int) -> Figures:
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=1, logging_conf={"level": "ERROR"})
    try:
        there = next(address for address in pool.sub_processes)
        echo = await xoscar.create_actor(Echo, address=there, uid="echo")
        figures = await one_by_one_awaited("server", lambda: echo.echo(MESSAGE), n)
        began = perf_counter()
        for _ in range(max(1, n // IN_FLIGHT)):
            await asyncio.gather(*(echo.echo(MESSAGE) for _ in range(IN_FLIGHT)))
        figures["remote_call.pipelined.one"] = per_second(max(1, n // IN_FLIGHT) * IN_FLIGHT, began)
        return figures
    finally:
        await pool.stop()


async def _pair(address: str) -> tuple[Any, Any]:
    echo = await xoscar.create_actor(Echo, address=address, uid="echo")
    return echo, await xoscar.create_actor(Driver, address=address, uid="driver")


async def _in_pool(body: Callable[[str, int], Awaitable[Figures]], n: int) -> Figures:
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0, logging_conf={"level": "ERROR"})
    try:
        return await body(pool.external_address, n)
    finally:
        await pool.stop()


def _run(body: Callable[[str, int], Awaitable[Figures]], n: int) -> Figures:
    return _on_loop(_in_pool(body, n))


def _on_loop(main: Coroutine[Any, Any, Figures]) -> Figures:
    if loop("") == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    return asyncio.run(main)


def workloads(_: str) -> Workloads:
    alone: Workloads = {body.__name__: partial(_run, body) for body in (oneway, spawn, call, memory)}
    return {**alone, "remote_call": lambda n: _on_loop(remote_call(n))}


def versions() -> dict[str, str]:
    return {"xoscar": importlib.metadata.version("xoscar")}


def loop(_: str) -> str:
    return "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
