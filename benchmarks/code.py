"""Between two nodes, code: calls of functions that the other node has never seen, and calls of them ever after.

All are defined in `__main__`, as in a notebook (see `code_made`). "code.installed" is a call of a function that both
nodes have, asyncio.sleep(0); "code.shipped" is one of the same function defined in a cell. The two take turns.
"code.first" is the first call of a new cell's function, "code.first.over" how much longer that is than the plain call
after it, and "code.first.ever" the first one between two nodes that have just met. "code.redefined" is from running the
changed text of a cell to the result of the new function; with "helper" what is changed is a helper of the one called.
"code.helpers" is a call of a function with 100 KB of helpers, all of which it runs, and "code.helpers.first" the first.

"code.wire" counts what two nodes that talk over TCP send and receive for one call of that function, in bytes: for the
first call, for the second, and for one of an installed function (Linux; elsewhere 0).

Its peers run the same text, each as its documentation says: dask submits the function, ray declares it when it is new,
"cloudpickle" is the least that one can do who sends a function with each call: pickle it into a unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import socket
import stat
import struct
import tempfile
from statistics import median
from time import perf_counter
from typing import Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.code_made import cell_result, cell_text, helper_text, helpers_text, number, run_cell
from benchmarks.harness import main
from benchmarks.two_nodes import CARRIERS, Other, placed, turns

WARM = 20  # calls before anything is timed
CELLS = 20  # for so many warm calls one new cell, and
HELPED = 4  # for so many one with helpers: they take longer
SETTLED = 0.05  # seconds: what the first calls left to do, on either side, acknowledgements of TCP included
TCP_INFO_SIZE = 232  # bytes, as far as the two counters that are read here
RECEIVED, SENT = 128, 200  # their offsets, of 64-bit numbers, in Linux's struct tcp_info


async def remote_code(n: int, other: Other) -> Figures:
    with new_cache() as cache:
        await restarted(other, cache)
        with placed(other.pid, apart=True):
            figures = await calls(other.name, n)
        return figures | await wire()


async def calls(node: str, n: int) -> Figures:
    return {
        "code.first.ever": await timed(node, *new_cell()) * 1e3,
        **await warm(node, n),
        **await firsts(node, max(3, n // CELLS)),
        **await redefined(node, max(3, n // CELLS)),
        **await with_helpers(node, max(5, n // HELPED)),
    }


def new_cache() -> tempfile.TemporaryDirectory[str]:
    """A directory for a disk cache, empty. A node may still write to it when it is removed."""
    return tempfile.TemporaryDirectory(prefix="cache-", ignore_cleanup_errors=True)


async def restarted(other: Other, cache: str) -> None:
    """The other node in a new process, with that disk cache, warm in all that every call needs."""
    await asyncio.to_thread(other.stop)
    os.environ["BEAMPY_CODE_CACHE"] = cache
    await other.start()
    await bp.connect(other.name)
    for _ in range(WARM):
        await bp.remote_call(other.name, asyncio.sleep, 0)


def new_cell(name: str = "") -> tuple[Any, int]:
    """A function that nobody has seen, and what it returns for 3."""
    new = number()
    name = name or f"cell_{new}"
    (fn,) = run_cell(cell_text(name, new), name)
    return fn, cell_result(new)


async def timed(node: str, fn: Any, expected: int) -> float:
    """Seconds of one call, whose result is checked."""
    began = perf_counter()
    got = await bp.remote_call(node, fn, 3)
    took = perf_counter() - began
    assert got == expected, f"{got} instead of {expected}"
    return took


async def warm(node: str, n: int) -> Figures:
    """The same function twice: where it is installed, and shipped."""
    text = inspect.getsource(asyncio.sleep).replace("async def sleep", "async def slept")
    imports = "import math\nfrom asyncio import events, futures\nfrom asyncio.tasks import __sleep0\n"
    (slept,) = run_cell(imports + text, "slept")
    installed: list[float] = []
    shipped: list[float] = []
    for _ in range(WARM):
        await bp.remote_call(node, slept, 0)
    for count in turns(n, max(1, n // 20)):
        for fn, took in ((asyncio.sleep, installed), (slept, shipped)):
            for _ in range(count):
                began = perf_counter()
                await bp.remote_call(node, fn, 0)
                took.append(perf_counter() - began)
    return {
        "code.installed": percentile_us(installed, 0.5),
        "code.shipped": percentile_us(shipped, 0.5),
        "code.shipped.p99": percentile_us(shipped, 0.99),
    }


async def firsts(node: str, n: int) -> Figures:
    """First calls of new cells, each with a plain call after it."""
    first: list[float] = []
    plain: list[float] = []
    for _ in range(n):
        first.append(await timed(node, *new_cell()))
        began = perf_counter()
        await bp.remote_call(node, asyncio.sleep, 0)
        plain.append(perf_counter() - began)
    return {
        "code.first": percentile_us(first, 0.5) / 1e3,
        "code.first.p99": percentile_us(first, 0.99) / 1e3,
        "code.first.over": median(a - b for a, b in zip(first, plain, strict=True)) * 1e3,
    }


async def redefined(node: str, n: int) -> Figures:
    """From new text to its result: of the function that is called, and of a helper of a function with 300."""
    own, helper = [], []
    (compute,) = run_cell(helpers_text(0), "compute")
    for _ in range(n):
        began = perf_counter()
        fn, expected = new_cell("redefined")
        await timed(node, fn, expected)
        own.append(perf_counter() - began)
    known = await bp.remote_call(node, compute, 3)
    for _ in range(n):
        began = perf_counter()
        run_cell(helper_text(299, number()), "helper_299")
        found = await bp.remote_call(node, compute, 3)
        helper.append(perf_counter() - began)
        assert found != known, "the old helper was run"
        known = found
    return {
        "code.redefined": percentile_us(own, 0.5) / 1e3,
        "code.redefined.helper": percentile_us(helper, 0.5) / 1e3,
    }


async def with_helpers(node: str, n: int) -> Figures:
    """Calls of a function with 100 KB of helpers."""
    (compute,) = run_cell(helpers_text(number()), "compute")
    began = perf_counter()
    expected = await bp.remote_call(node, compute, 3)
    first = perf_counter() - began
    await asyncio.sleep(SETTLED)
    for _ in range(WARM):
        await timed(node, compute, expected)
    took = [await timed(node, compute, expected) for _ in range(n)]
    return {
        "code.helpers": percentile_us(took, 0.5),
        "code.helpers.p99": percentile_us(took, 0.99),
        "code.helpers.first": first * 1e3,
    }


# bytes


async def wire() -> Figures:
    """What a second pair of nodes, of which one is in this process, sends and receives for a call."""
    other = Other("tcp")
    other.name = f"wire-{other.name}"
    async with other, bp.Node(f"wire-bench{os.getpid()}@127.0.0.1", **CARRIERS["tcp"]) as node:
        return await node.run(count, other.name)


async def count(node: str) -> Figures:
    (compute,) = run_cell(helpers_text(number()), "compute")
    for _ in range(WARM):
        await bp.remote_call(node, asyncio.sleep, 0, 3)
    found = {}
    for name, fn, args in (("first", compute, (3,)), ("second", compute, (3,)), ("installed", asyncio.sleep, (0, 3))):
        await asyncio.sleep(SETTLED)
        before = tcp_bytes()
        await bp.remote_call(node, fn, *args)
        await asyncio.sleep(SETTLED)
        found[f"code.wire.{name}"] = float(tcp_bytes() - before)
    return found


def tcp_bytes() -> int:
    """The bytes that all TCP sockets of this process have sent and received."""
    found = 0
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with contextlib.suppress(OSError, struct.error):
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as carrier:
                    info = carrier.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
                found += struct.unpack_from("Q", info, RECEIVED)[0] + struct.unpack_from("Q", info, SENT)[0]
    return found


def _figures(unit: str, *names: str) -> tuple[Figure, ...]:
    return tuple(Figure(f"code.{name}", unit, higher=False) for name in names)


CASES = (
    Case(
        "code_calls",
        remote_code,
        (
            *_figures("µs", "installed", "shipped", "shipped.p99", "helpers", "helpers.p99"),
            *_figures("ms", "helpers.first", "first", "first.p99", "first.over", "first.ever"),
            *_figures("ms", "redefined", "redefined.helper"),
            *_figures("bytes", "wire.first", "wire.second", "wire.installed"),
        ),
        size=4_000,
        smoke=40,
        runs=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
