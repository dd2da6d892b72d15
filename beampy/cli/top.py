"""`beampy top`: the busiest processes of a node, drawn again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from beampy.cli.exits import OK
from beampy.cli.ps import name
from beampy.cli.table import Screen, cut, lines, place, size, width
from beampy.cli.visit import ask, visiting

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

HEADS = (">PID", "NAME", ">STEPS/S", ">MAILBOX", ">MEMORY", "STATUS", "NOW IN")
KEYS = {"s": "steps", "m": "memory", "b": "messages"}


def run(options: argparse.Namespace) -> int:
    """One table, or a screen of it."""
    return ask(_top(options))


async def _top(options: argparse.Namespace) -> int:
    async with visiting(options) as node:
        if options.once or options.json or not sys.stdout.isatty():
            return await _print(options, node)
        return await _live(options, node)


async def _print(options: argparse.Namespace, node: str) -> int:
    """Without --once, a program that reads JSON gets one line for each interval."""
    from beampy.otp.rpc import remote_call

    async with remote_call.stream(
        node, "beampy.otp.inspect:load", interval=options.interval, by=options.by, limit=options.limit
    ) as stream:
        async for load in stream:
            print(json.dumps(load) if options.json else "\n".join(picture(load, options.by, width())), flush=True)
            if options.once or not options.json:
                break
    return OK


async def _live(options: argparse.Namespace, node: str) -> int:
    from beampy.otp.rpc import remote_call

    pressed: asyncio.Queue[str] = asyncio.Queue(maxsize=64)
    with Screen() as screen, _keys(pressed):
        screen.draw([f"{node}: looking, {options.interval:g} s …"])
        by = options.by
        while True:
            async with remote_call.stream(
                node, "beampy.otp.inspect:load", interval=options.interval, by=by, limit=options.limit
            ) as stream:
                key = await _until_key(screen, stream, by, pressed)
            if key == "q":
                return OK
            by = KEYS[key]


async def _until_key(screen: Screen, stream: Any, by: str, pressed: asyncio.Queue[str]) -> str:
    """Draw what comes, until a key is pressed that means something."""

    async def draw() -> None:
        async for load in stream:
            screen.draw(picture(load, by, width()))

    drawing, keying = asyncio.create_task(draw()), asyncio.create_task(_key(pressed))
    try:
        await asyncio.wait({drawing, keying}, return_when=asyncio.FIRST_COMPLETED)
        if drawing.done():
            drawing.result()
        return keying.result()
    finally:
        for task in (drawing, keying):
            task.cancel()
        await asyncio.gather(drawing, keying, return_exceptions=True)


async def _key(pressed: asyncio.Queue[str]) -> str:
    while True:
        key = await pressed.get()
        if key == "q" or key in KEYS:
            return key


@contextlib.contextmanager
def _keys(pressed: asyncio.Queue[str]) -> Iterator[None]:
    """Keys of the terminal, one by one and unseen, into a queue. Where stdin is none, nothing."""
    if not sys.stdin.isatty():
        yield
        return
    import os
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    loop = asyncio.get_running_loop()

    def read() -> None:
        for key in os.read(fd, 16).decode(errors="replace"):
            with contextlib.suppress(asyncio.QueueFull):
                pressed.put_nowait(key)

    tty.setcbreak(fd)
    loop.add_reader(fd, read)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def picture(load: dict[str, Any], by: str, fits: int) -> list[str]:
    """One answer of `otp.inspect.load` as lines."""
    nodes = load["nodes"]
    others = f"connected with {', '.join(nodes[:5])}{' …' if len(nodes) > 5 else ''}" if nodes else "alone"
    head = [
        f"{load['node']}  (OS process {load['os_pid']}, {others})",
        f"processes {load['processes']:,}  runnable {load['runnable']:,}  names {load['names']:,}  "
        f"timers {load['timers']:,}  zombies {load['zombies']:,}",
        f"steps/s {load['steps_per_s']:,.0f}  spawned/s {load['spawned_per_s']:,.0f}  "
        f"CPU {load['cpu']:.0%}  memory {size(load['rss'])}  loop lag {load['lag'] * 1e3:.1f} ms",
        "",
    ]
    rows = [
        (
            row["pid"],
            name(row) or row["initial_call"],
            f"{row['steps_per_s']:,.0f}",
            f"{row['messages']:,}",
            size(row["memory"]),
            row["status"],
            place(row["current_function"]),
        )
        for row in load["rows"]
    ]
    shown = "mailbox" if by == "messages" else by
    heads = [f"{head}*" if head.lower().lstrip(">").startswith(shown) else head for head in HEADS]
    return [*(cut(line, fits) for line in head), *lines(heads, rows, fits)]
