"""What tests of remote calls stand on: a process of a node whose rpc server runs, and which is left as it was."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import beampy as bp
from beampy import api
from beampy.otp.rpc_server import RPC, Server, start_rpc
from beampy.testing import harness
from tests.unit.otp.tidy import Body, tidy

FOREVER = 3600.0


def calling(test: Body) -> Body:
    """Run the test as a process; at its end no process, message, link or call is left."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        async def body() -> None:
            start_rpc(api.self_process().node)
            before = set(bp.processes())
            await test(*args, **kwargs)
            await tidy(before)
            await settled()

        await harness.run(body)

    return run


def server() -> Server:
    """The rpc server of the current process's node."""
    pid = bp.whereis(RPC)
    assert pid is not None
    found: Server = api.self_process().node.find(pid)._coro.cr_frame.f_locals["self"]
    return found


async def settled() -> None:
    """Nothing of a call is left at the server, nor an address for answers at the node."""
    node = api.self_process().node
    async with asyncio.timeout(harness.DEADLINE):
        while server().jobs or server().producers:
            await asyncio.sleep(0.001)
    from beampy.core.group_leader import _consoles

    consoles = [_consoles[node].id] if node in _consoles else []
    assert list(node.exported) in ([], consoles)


def here() -> str:
    """The name of this node."""
    return bp.self().node
