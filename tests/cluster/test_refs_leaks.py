"""References between real processes: after however many, and whoever dies, stops or forks, nothing is left or lost."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from typing import Any

import pytest

import beampy as bp
from beampy.errors import OwnerLost
from beampy.refs.ledger import LEASE
from beampy.testing.cluster import Cluster, ClusterNode
from tests.cluster import refs_apps
from tests.unit.dist.ports import until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.loops("uvloop"),
    pytest.mark.skipif(sys.platform != "linux", reason="it counts in /proc"),
]

ME = "test@127.0.0.1"
BATCH = 250  # objects in one message; one batch in four goes in so many messages
MORE = 1.03  # times the memory of before, and
SLACK = 2_000_000  # bytes: what the allocator's arenas vary by
SHORT = 1.0  # seconds of a lease, for tests that wait until it is over


async def _rounds(names: list[str], count: int) -> None:
    """So many objects; each node makes a third of them."""
    for turn in range(count // BATCH):
        owner, second, third = (names[(turn + n) % 3] for n in range(3))
        way = refs_apps.rounds_singly if turn % 4 == 3 else refs_apps.rounds
        assert await bp.remote_call(owner, way, BATCH, second, third) == BATCH


async def _nothing_left(names: list[str]) -> None:
    for name in names:
        left = await bp.remote_call(name, refs_apps.empty)
        assert not any(left), (name, left)


async def _figures(names: list[str]) -> dict[str, dict[str, int]]:
    return {name: await bp.remote_call(name, refs_apps.figures) for name in names}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [12_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_rounds_of_handing_over_leave_nothing(count: int) -> None:
    async with Cluster() as cluster, bp.Node(ME):
        names = [(await cluster.start(name)).name for name in ("a", "b", "c")]
        await _rounds(names, max(count // 4, 3 * BATCH))  # pools, caches and arenas are as large as they get
        await _nothing_left(names)
        before = await _figures(names)
        began = time.perf_counter()
        for _ in range(10):
            await _rounds(names, count // 10)
            await _nothing_left(names)
        took = time.perf_counter() - began
        after = await _figures(names)
        sys.stdout.write(f"{count} objects by way of three nodes: {took:.1f} s; {before} {after}\n")
        for name in names:
            assert after[name]["rss"] <= before[name]["rss"] * MORE + SLACK, (name, before[name], after[name])
            assert after[name]["fds"] == before[name]["fds"], name
            assert after[name]["threads"] <= before[name]["threads"], name


async def _given(node: ClusterNode, count: int) -> list[bp.RemoteRef[Any]]:
    """Objects of this node that another has, too."""
    refs = await refs_apps.make(count)
    assert await bp.remote_call(node.name, refs_apps.keep, refs) == count
    return refs


def _objects() -> int:
    return len(refs_apps.own_refs().objects)


async def test_kill_9_of_a_holder_frees_at_the_end_of_the_lease() -> None:
    async with Cluster() as cluster, bp.Node(ME):
        refs_apps.own_refs().ledger.lease = SHORT
        b = await cluster.start("b")
        refs = await _given(b, 1000)
        bp.monitor_node(b.name)
        b.kill()
        await bp.receive(bp.NodeDown, timeout=10)
        del refs
        gc.collect()
        assert _objects() == 1000
        await until(lambda: not _objects())
        assert not any(await refs_apps.empty())


@pytest.mark.parametrize("how", ["goodbye", "told"])
async def test_a_holder_that_is_known_to_be_dead_frees_at_once(how: str) -> None:
    """It says so itself, or who started its process does."""
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b")
        refs = await _given(b, 1000)
        bp.monitor_node(b.name)
        if how == "goodbye":
            b.terminate()
        else:
            b.kill()
        await bp.receive(bp.NodeDown, timeout=10)
        if how == "told":
            refs_apps.own_refs().dead(b.name, b.creation)
        del refs
        gc.collect()
        assert _objects() == 1000
        await until(lambda: not _objects(), LEASE / 4)
        assert not any(await refs_apps.empty())


async def test_kill_9_of_an_owner_is_heard_at_once() -> None:
    """Who waits hears it, and who asks later, without waiting for anything."""
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b")
        refs = await bp.remote_call(b.name, refs_apps.make, 100)
        assert await refs_apps.usable(refs) == 100
        waiting = [ref.apply(_waits) for ref in refs[:3]]
        await bp.remote_call(b.name, refs_apps.empty, 0.0)  # those are under way
        b.kill()
        for handle in (*waiting, *(ref.do.value() for ref in refs)):
            with pytest.raises(OwnerLost, match="Item of"):
                await asyncio.wait_for(handle, LEASE / 4)
        assert await b.wait() == -9
        # The next start of that name has none of them.
        again = await cluster.start("b")
        assert await bp.ping(again.name)
        for ref in refs[:3]:
            with pytest.raises(OwnerLost, match="has ended"):
                await ref.get()
        del refs, ref, waiting, handle
        gc.collect()
        assert not any(await refs_apps.empty())


async def _waits(item: Any) -> None:
    await asyncio.sleep(1000)


async def test_a_node_that_was_stopped_for_longer_than_a_tick_loses_nothing() -> None:
    # Who is stopped is connected to as far as its kernel goes, so an attempt takes all its time.
    async with Cluster() as cluster, bp.Node(ME, tick_time=1, setup_timeout=1):
        b = await cluster.start("b", tick_time=1)
        mine = await _given(b, 100)
        theirs = await bp.remote_call(b.name, refs_apps.make, 100)
        bp.monitor_node(b.name)
        b.stop()
        await bp.receive(bp.NodeDown, timeout=20)
        with pytest.raises(OwnerLost, match="within the lease"):
            await theirs[0].get()
        del mine
        gc.collect()
        b.cont()
        await until(lambda: b.name in bp.nodes(), 30)  # this node itself tries to reach it again
        assert await refs_apps.usable(theirs) == 100
        assert await bp.remote_call(b.name, refs_apps.kept_usable) == 100
        await bp.remote_call(b.name, refs_apps.drop)
        del theirs
        gc.collect()
        assert not any(await refs_apps.empty())
        await _nothing_left([b.name])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_forked_child_releases_nothing() -> None:
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b")
        refs = await refs_apps.make(100)
        assert await bp.remote_call(b.name, refs_apps.forks, refs) == [0, 0]
        # And one of the owner's own process.
        status = refs_apps._in_child([ref.another() for ref in refs])
        assert status == 0
        del refs
        gc.collect()
        assert await bp.remote_call(b.name, refs_apps.kept_usable) == 100
        assert _objects() == 100
        await bp.remote_call(b.name, refs_apps.drop)
        assert not any(await refs_apps.empty())
