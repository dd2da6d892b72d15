"""Subscriptions to nodes that come and go: they count, and each gets what its kind is for."""

from __future__ import annotations

import asyncio
from typing import Any

import beampy as bp
from beampy.dist.node_watch import NodeWatch
from beampy.testing import harness


async def _watch() -> tuple[NodeWatch, bp.Pid, list[Any]]:
    me = bp.api.self_process()
    return NodeWatch(me.node), me.pid, []


async def test_subscriptions_count():
    async def body() -> None:
        watch, me, _ = await _watch()
        assert watch.subscribe(me, "visible", True)
        assert watch.subscribe(me, "visible", True)
        watch.up("b@h", False)
        assert harness.flush() == [bp.NodeUp("b@h")] * 2
        assert watch.subscribe(me, "visible", False)
        watch.down("b@h", False, "why")
        assert harness.flush() == [bp.NodeDown("b@h", "why")]
        assert watch.subscribe(me, "visible", False)
        assert not watch.subscribe(me, "visible", False)
        watch.up("b@h", False)
        assert harness.flush() == []
        assert not watch.all

    await harness.run(body)


async def test_kinds():
    async def body() -> None:
        watch, me, _ = await _watch()
        for kind, seen in (("visible", ["v@h"]), ("hidden", ["h@h"]), ("all", ["v@h", "h@h"])):
            watch.subscribe(me, kind, True)  # type: ignore[arg-type]
            watch.up("v@h", False)
            watch.up("h@h", True)
            assert [message.node for message in harness.flush()] == seen
            watch.subscribe(me, kind, False)  # type: ignore[arg-type]

    await harness.run(body)


async def test_a_single_node_is_watched_once():
    async def body() -> None:
        watch, me, _ = await _watch()
        watch.watch("b@h", me, True)
        watch.watch("b@h", me, True)
        watch.watch("b@h", me, False)
        watch.up("b@h", False)
        watch.down("b@h", False, "why")
        watch.down("b@h", False, "why")
        assert harness.flush() == [bp.NodeDown("b@h", "why")]
        watch.watch("b@h", me, False)
        assert not watch.single

    await harness.run(body)


async def test_the_dead_are_forgotten_at_the_next_news():
    async def body() -> None:
        watch, _, _ = await _watch()

        async def short() -> None:
            await asyncio.sleep(0)

        pid = bp.spawn(short)
        watch.subscribe(pid, "all", True)
        await harness.ended(pid)
        watch.up("b@h", False)
        assert not watch.all

    await harness.run(body)
