"""`beampy trace`: what the processes of a node do, as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from beampy.cli.exits import OK
from beampy.cli.table import cut, printable, width
from beampy.cli.visit import ask, visiting

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Lines, until the time is over or Ctrl-C."""
    return ask(_trace(options))


async def _trace(options: argparse.Namespace) -> int:
    from beampy.otp.rpc import remote_call

    async with (
        visiting(options) as node,
        remote_call.stream(node, "beampy.otp.inspect:trace", events=options.events, match=options.match) as stream,
    ):
        await anext(stream)
        if sys.stderr.isatty():
            sys.stderr.write(f"watching {node}, Ctrl-C ends it\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.seconds):
                async for events, dropped in stream:
                    _print(node, events, dropped, options.json)
    return OK


def _print(node: str, events: list[dict[str, Any]], dropped: int, as_json: bool) -> None:
    for event in events:
        print(json.dumps(event) if as_json else cut(line(event, node), width()))
    if dropped:
        print(json.dumps({"dropped": dropped}) if as_json else f"… {dropped:,} more were too fast to show")
    sys.stdout.flush()


def line(event: dict[str, Any], node: str) -> str:
    """One event of `otp.inspect.trace` at a node, as a line. That a pid is of this node goes without saying."""
    at = event["at"]
    clock = f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at % 1 * 1000):03}"
    who = " → ".join(
        f"{event[name]} {event[pid]}" if event[name] else event[pid]
        for pid, name in (("pid", "name"), ("to", "to_name"))
        if event[pid] is not None
    )
    text = f"{clock} {event['event']:<5} {who}  {event['detail']}".rstrip()
    return printable(text.replace(f"<Pid {node} ", "<").replace(f"<Ref {node} ", "<Ref "))
