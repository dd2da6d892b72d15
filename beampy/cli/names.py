"""`beampy names` and `beampy ping`: who is there."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from beampy.cli.exits import NO, OK
from beampy.cli.visit import ask, visitor
from beampy.errors import NotConnected

if TYPE_CHECKING:
    import argparse

NOBODY = "beampy.nobody"  # a name that no process has


def run(options: argparse.Namespace) -> int:
    """One of the two."""
    return ask(_ping(options) if options.command == "ping" else _names(options))


async def _names(options: argparse.Namespace) -> int:
    from beampy.dist.discovery import EpmdDiscovery

    names = await EpmdDiscovery(embedded=False).names(options.host)
    if options.json:
        print(json.dumps(names))
        return OK
    for name, port in sorted(names.items()):
        print(f"{name}  at port {port}")
    if not names:
        sys.stderr.write(f"no node is registered on {options.host}\n")
    return OK


async def _ping(options: argparse.Namespace) -> int:
    from beampy.api import connect, monitor, receive

    try:
        async with visitor(options) as node:
            started = time.perf_counter()
            await connect(node)
            connected = time.perf_counter()
            monitor((NOBODY, node))  # answered by the node itself: a round trip that needs no process there
            await receive(timeout=options.timeout)
            trip = time.perf_counter() - connected
    except NotConnected as error:
        if options.json:
            print(json.dumps({"node": error.node, "ok": False, "why": error.why}))
        sys.stderr.write(f"beampy: {error}\n")
        return NO
    if options.json:
        print(json.dumps({"node": node, "ok": True, "connect_s": connected - started, "round_trip_s": trip}))
    else:
        print(f"pong from {node}: {trip * 1e3:.2f} ms, after {(connected - started) * 1e3:.1f} ms to connect")
    return OK
