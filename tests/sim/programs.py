"""What the processes of the scenarios do."""

from __future__ import annotations

import asyncio
from typing import Any

import beampy as bp


async def sleeper() -> None:
    """Lives until it is ended."""
    await asyncio.sleep(1e9)


async def keeper(kept: list[Any]) -> None:
    """Keeps all messages."""
    while True:
        kept.append(await bp.receive())


async def node_watcher(kept: list[Any]) -> None:
    """Keeps NodeUp and NodeDown of all nodes."""
    bp.monitor_nodes(True, "all")
    await keeper(kept)


async def holder(kept: list[Any], links: list[bp.Pid], monitors: list[bp.Pid]) -> None:
    """Is linked with some processes, monitors others, and keeps what becomes of them."""
    bp.trap_exit()
    for pid in links:
        bp.link(pid)
    for pid in monitors:
        bp.monitor(pid)
    await keeper(kept)


async def echo() -> None:
    """Answers ("echo", ref, value) with the value."""
    async for message in bp.mailbox():
        match message:
            case ("echo", ref, value):
                bp.send(ref, value)


async def call(dest: Any, value: Any, timeout: float | None = 5.0) -> Any:
    """The echo of a value."""
    pending = bp.request(dest, timeout)
    bp.send(dest, ("echo", pending.ref, value))
    return await pending
