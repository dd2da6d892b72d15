"""Nodes that stand still, in real processes: stopped, computing, or not reading what is sent to them."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

import beampy as bp
from beampy.testing.cluster import Cluster, ClusterNode
from beampy.wire import channel
from tests.cluster import apps

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ME = "test@127.0.0.1"
MB = 1_000_000


async def test_a_stopped_node_is_stalled_and_then_down(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channel, "STALLED_AFTER", 0.5)
    log: list[object] = []
    async with Cluster() as cluster, bp.Node(ME, tick_time=3) as node:
        node.trace(lambda event, pid, detail: log.append((event, detail)) if event == "stalled" else None)
        b = await cluster.start("b", tick_time=3)
        pid = await bp.spawn(apps.echo, node=b.name)
        bp.monitor_node(b.name)
        await asyncio.sleep(1)
        b.stop()
        began = time.perf_counter()
        down = await bp.receive(timeout=15)
        sys.stdout.write(f"a stopped node is down after {time.perf_counter() - began:.1f} s\n")
        assert down == bp.NodeDown(b.name, "net_tick_timeout")
        assert log == [("stalled", b.name)]
        b.cont()
        bp.send(pid, (bp.self(), "are you back?"))
        assert await bp.receive(timeout=10) == "are you back?"  # it is the same process: nobody restarted it
        assert bp.nodes() == [b.name]


async def test_a_short_stop_is_nothing(monkeypatch: pytest.MonkeyPatch):
    log: list[object] = []
    async with Cluster() as cluster, bp.Node(ME, tick_time=4) as node:
        node.trace(lambda event, pid, detail: log.append((event, detail)) if event == "stalled" else None)
        b = await cluster.start("b", tick_time=4)
        pid = await bp.spawn(apps.echo, node=b.name)
        bp.monitor_nodes()
        b.stop()
        bp.send(pid, (bp.self(), "later"))
        with pytest.raises(TimeoutError):
            await bp.receive(timeout=1.5)
        b.cont()
        assert await bp.receive(timeout=10) == "later"
        assert not log


async def test_a_node_that_computes_is_not_down():
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b")
        bp.monitor_nodes()
        await bp.spawn(apps.hold_the_gil, bp.self(), 3.0, node=b.name)
        assert await bp.receive(timeout=10) == bp.NodeUp(b.name)
        assert await bp.receive(timeout=10) == "holding"
        with pytest.raises(TimeoutError):
            await bp.receive(timeout=2)
        assert await bp.receive(timeout=10) == "released"


def sent(node: ClusterNode) -> int:
    return int(node.output.rpartition("sent ")[2].split("\n")[0])


async def standstill(node: ClusterNode) -> int:
    """Wait until a flood has stopped. How many messages it has sent."""
    async with asyncio.timeout(10):
        last = -1
        while (now := sent(node)) != last:
            last = now
            await asyncio.sleep(0.3)
    return last


@pytest.mark.parametrize("size", [1000, 10 * MB], ids=["small", "large"])
async def test_the_memory_of_who_writes_to_a_stopped_node_is_bounded(size: int):
    writers = 5
    async with Cluster() as cluster, bp.Node(ME):
        a = await cluster.start("a", "tests.cluster.apps:flood_when_told")
        b = await cluster.start("b")
        target = await bp.spawn(apps.sink, node=b.name)
        b.stop()
        before = a.rss()
        bp.send(("flood", a.name), (target, writers, size))
        await a.says("sent")
        count = await standstill(a)
        grown = a.rss() - before
        sys.stdout.write(f"{count} messages of {size} bytes, {grown / MB:.1f} MB more\n")
        # At 1 MiB a writer waits, so nobody has more than that and one message of his own.
        assert grown < 32 * MB + 3 * writers * size
        assert count * size < 32 * MB + 2 * writers * size
        b.cont()
        async with asyncio.timeout(10):
            while sent(a) < 2 * count + 100:
                await asyncio.sleep(0.02)
        bp.send(target, bp.self())
        assert await bp.receive(timeout=10) > count // 2
