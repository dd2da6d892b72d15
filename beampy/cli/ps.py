"""`beampy ps`: the processes of a node."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from beampy.cli.exits import OK
from beampy.cli.table import Screen, lines, place, size, width
from beampy.cli.visit import ask, visiting

if TYPE_CHECKING:
    import argparse

HEADS = (">PID", "NAME", "STATUS", ">MAILBOX", ">LINKS", ">MEMORY", ">STEPS", "STARTED AS", "NOW IN")


def run(options: argparse.Namespace) -> int:
    """One table, or one after the other."""
    return ask(_ps(options))


async def _ps(options: argparse.Namespace) -> int:
    from beampy.otp.rpc import remote_call

    async with visiting(options) as node:

        async def look() -> dict[str, Any]:
            found: dict[str, Any] = await remote_call(
                node, "beampy.otp.inspect:processes", by=options.by, limit=options.limit
            )
            return found

        if not options.watch:
            _show(options, await look())
        elif sys.stdout.isatty() and not options.json:
            with Screen() as screen:
                while True:
                    screen.draw(picture(await look(), width()))
                    await asyncio.sleep(options.interval)
        else:
            while True:
                _show(options, await look())
                sys.stdout.flush()
                await asyncio.sleep(options.interval)
    return OK


def _show(options: argparse.Namespace, found: dict[str, Any]) -> None:
    print(json.dumps(found) if options.json else "\n".join(picture(found, width())))


def picture(found: dict[str, Any], fits: int) -> list[str]:
    """The answer of `otp.inspect.processes` as lines."""
    rows = [
        (
            row["pid"],
            name(row),
            row["status"],
            row["messages"],
            len(row["links"]),
            size(row["memory"]),
            row["steps"],
            row["initial_call"],
            place(row["current_function"]),
        )
        for row in found["rows"]
    ]
    more = found["processes"] - len(rows)
    last = [f"… and {more} more (--limit)"] if more > 1 else []  # the one that looks is never shown
    return [f"{found['node']}: {found['processes']} processes", *lines(HEADS, rows, fits), *last]


def name(row: dict[str, Any]) -> str:
    """What a process is called: its registered name, else its label in brackets."""
    if row["name"] is not None:
        return str(row["name"])
    return "" if row["label"] is None else f"[{row['label']}]"
