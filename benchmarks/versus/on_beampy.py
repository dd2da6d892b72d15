"""beampy's side: a case's body runs as the first process of a fresh node.

The bodies are in the hot-path files; this file only gives them a node, or two. The variant "asyncio"
puts the node on asyncio's own loop, the default on the loop that `bp.run` picks. The variants "tcp"
and "tls" know only what needs two nodes, which by default talk over a unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
from functools import partial
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks import HOT_PATHS
from benchmarks.two_nodes import CARRIERS, measure_two

if TYPE_CHECKING:
    from benchmarks.case import Body, Case, Figures, Workloads


def cases() -> list[Case]:
    """Every case of every hot path, in the order of the tables."""
    found: list[Case] = []
    for name in HOT_PATHS:
        found += importlib.import_module(f"benchmarks.{name}").CASES
    return found


def workloads(variant: str) -> Workloads:
    run = _on_asyncio if variant == "asyncio" else _on_default
    carrier = variant if variant in CARRIERS else "unix"
    found: Workloads = {}
    for case in cases():
        if case.nodes == 2:
            found[case.name] = partial(_on_two, case.body, carrier, variant)
        elif variant not in CARRIERS:
            found[case.name] = partial(run, case.body)
    return found


def versions() -> dict[str, str]:
    found = {"beampy": getattr(bp, "__version__", "unreleased")}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["uvloop"] = importlib.metadata.version("uvloop")
    return found


def loop(variant: str) -> str:
    """The kind of loop that the bodies run on, seen from inside."""
    seen: list[str] = []

    async def look() -> None:
        seen.append(type(asyncio.get_running_loop()).__module__.partition(".")[0])

    if variant == "asyncio":
        asyncio.run(look())
    else:
        bp.run(look)
    return seen[0]


def _on_default(body: Body, size: int) -> Figures:
    figures: Figures = bp.run(body, size)
    return figures


def _on_two(body: Body, carrier: str, variant: str, size: int) -> Figures:
    return measure_two(body, size, carrier, "asyncio" if variant == "asyncio" else "")


def _on_asyncio(body: Body, size: int) -> Figures:
    async def under_node() -> Figures:
        async with bp.Node() as node:
            figures: Figures = await node.run(body, size)
            return figures

    return asyncio.run(under_node())
