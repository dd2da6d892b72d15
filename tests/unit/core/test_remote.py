"""remote: a node that knows no other answers as if none could be reached."""

from __future__ import annotations

import pytest

import beampy as bp
from beampy.errors import NodeDown
from beampy.testing import harness

FAR = bp.Pid("b@h", 1, 1)


async def test_messages_vanish() -> None:
    async def body() -> None:
        for dest in (FAR, bp.Ref("b@h", 1, 1), ("name", "b@h")):
            bp.send(dest, "x")
        bp.exit(FAR, "kill")

    await harness.run(body)


async def test_links_and_monitors_say_noconnection() -> None:
    async def body() -> None:
        bp.trap_exit()
        bp.link(FAR)
        assert await bp.receive(timeout=0) == bp.Exit(FAR, "noconnection")
        info = bp.process_info(bp.self())
        assert info is not None
        assert info.links == ()
        ref = bp.monitor(FAR)
        assert await bp.receive(timeout=0) == bp.Down(ref, FAR, "noconnection")
        ref = bp.monitor(("name", "b@h"), tag="far")
        assert await bp.receive(timeout=0) == bp.Down(ref, ("name", "b@h"), "noconnection", "far")
        assert not bp.demonitor(ref)
        bp.unlink(FAR)
        with pytest.raises(NodeDown):
            await bp.request(FAR)
        assert harness.flush() == []

    await harness.run(body)


async def test_a_link_ends_a_process_that_does_not_trap_exits() -> None:
    async def links() -> None:
        bp.link(FAR)
        await bp.receive()

    async def body() -> object:
        return await harness.ended(bp.spawn(links))

    assert await harness.run(body) == "noconnection"
