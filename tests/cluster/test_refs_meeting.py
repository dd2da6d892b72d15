"""References whose owner the holder cannot find by itself: it is introduced, or the lender passes on what it asks.
And holders of this host that are killed: that is known at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy import api
from beampy.dist.connection import Connection
from beampy.errors import BeampyError, OwnerLost
from beampy.pool import meeting
from beampy.pool.messages import Unmet
from beampy.refs.service import refs_of
from beampy.runtime import introductions
from beampy.testing.cluster import Cluster, ClusterNode
from tests.unit.dist.ports import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

MB = 1_000_000
MEETS = 10.0  # seconds for what takes some round trips between processes, on a machine that does much else
SOON = 10.0  # seconds for a death to be known: a sixth of the lease


def made(nbytes: int) -> bytearray:
    return bytearray(b"x") * nbytes


KEPT: list[Any] = []


def keep(refs: list[Any]) -> None:
    KEPT.extend(refs)


def forget() -> None:
    KEPT.clear()


async def used() -> tuple[int, int]:
    ref = KEPT[0]
    return await ref.do.__len__(), len(await ref.get())


async def changed() -> int:
    """By a function that is shipped, with a reference among its arguments."""
    ref = KEPT[0]
    found: int = await ref.apply(lambda data, other, n: len(data) + len(other) + n, ref, 1)
    return found


async def shown() -> tuple[str, int]:
    row = (await bp.refs())[0]
    return row.what, row.nbytes


def connected() -> list[str]:
    return bp.nodes("all")


async def objects(node: str) -> int:
    return len(await bp.refs(node))


@contextlib.asynccontextmanager
async def home(**options: Any) -> AsyncIterator[tuple[ClusterNode, bp.Pool]]:
    """This process has a pool, and is connected with a node of a cluster, which knows nothing of pools."""
    async with Cluster() as cluster, bp.Node(f"home{os.getpid()}@127.0.0.1", cookie=cluster.cookie, **options):
        b = await cluster.start("b")
        async with bp.Pool(max=2, max_concurrency=1) as pool:
            yield b, pool


async def test_a_node_of_the_cluster_meets_the_runner_that_has_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    came = 0
    updated = Connection.buffer_updated

    def counted(self: Connection, nbytes: int) -> None:
        nonlocal came
        came += nbytes
        updated(self, nbytes)

    monkeypatch.setattr(Connection, "buffer_updated", counted)
    async with home(unix=False) as (b, pool):
        ref = await pool.keep(made, 20 * MB)
        runner = ref.node
        await bp.remote_call(b.name, keep, [ref])
        ref.drop()
        before = came
        assert await bp.remote_call(b.name, used) == (20 * MB, 20 * MB)
        assert came - before < MB
        assert runner in await bp.remote_call(b.name, connected)
        assert await bp.remote_call(b.name, shown) == ("bytearray", 20 * MB)
        mine = refs_of(api.self_process().node)
        await until(lambda: not mine.rows(), MEETS)  # the runner has registered it
        assert await objects(runner) == 1
        await bp.remote_call(b.name, forget)
        async with asyncio.timeout(MEETS):
            while await objects(runner):
                await asyncio.sleep(0.02)


async def test_they_meet_again_after_a_lost_connection() -> None:
    async with home() as (b, pool):
        ref = await pool.keep(made, MB)
        await bp.remote_call(b.name, keep, [ref])
        for _ in range(3):
            assert await bp.remote_call(b.name, used) == (MB, MB)
            await bp.remote_call(b.name, bp.disconnect, ref.node)
        await bp.remote_call(b.name, forget)


def refuse(*_: Any) -> Any:
    raise BeampyError("it does not listen")


async def shy(*_: Any) -> Any:
    return Unmet("it is shy")


async def test_what_cannot_be_introduced_is_reached_through_the_lender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introductions, "cookie_for", refuse)
    monkeypatch.setattr(meeting, "introduction", shy)
    async with home() as (b, pool):
        ref = await pool.keep(made, MB)
        await bp.remote_call(b.name, keep, [ref])
        ref.drop()
        assert await bp.remote_call(b.name, used) == (MB, MB)
        assert ref.node not in await bp.remote_call(b.name, connected)
        await bp.remote_call(b.name, forget)
        async with asyncio.timeout(MEETS):
            while await objects(ref.node):
                await asyncio.sleep(0.02)


async def test_a_function_goes_through_the_lender_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introductions, "cookie_for", refuse)
    monkeypatch.setattr(meeting, "introduction", shy)
    async with home() as (b, pool):
        ref = await pool.keep(made, MB)
        await bp.remote_call(b.name, keep, [ref])
        assert await bp.remote_call(b.name, changed) == 2 * MB + 1
        await bp.remote_call(b.name, forget)


async def test_a_lost_object_says_where_it_can_be_made_again() -> None:
    async with home() as (b, pool):
        ref = await pool.options(rebuild=True).keep(made, MB)
        await bp.remote_call(b.name, keep, [ref])
        assert await bp.remote_call(b.name, used) == (MB, MB)
        os.kill(await pool_pid(pool, ref.node), 9)
        with pytest.raises(OwnerLost, match=r"home\d+@127.0.0.1 can make it again \(rebuild=True\), and only there"):
            await bp.remote_call(b.name, used)
        assert await ref.do.__len__() == MB
        await bp.remote_call(b.name, forget)


async def pool_pid(pool: bp.Pool, node: str) -> int:
    found: int = await bp.remote_call(node, os.getpid)
    return found


# holders that are killed


async def test_the_objects_of_a_killed_holder_are_freed_at_once() -> None:
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie):
        c = await cluster.start("c")
        refs = refs_of(api.self_process().node)
        ref = bp.remote(made(MB))
        await bp.remote_call(c.name, keep, [ref])
        ref.drop()
        c.kill()  # and nobody waits for it: it is a zombie
        await until(lambda: not refs.rows(), SOON)


async def test_a_killed_owner_is_known_at_once() -> None:
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie):
        c = await cluster.start("c")
        ref = await bp.put(made(MB), node=c.name)
        c.kill()
        await until(lambda: repr(ref).endswith(": lost>"), SOON)
        with pytest.raises(OwnerLost, match="has ended"):
            await ref.get()


async def test_a_holder_that_only_disconnects_or_stands_still_keeps_its_objects() -> None:
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie, tick_time=1):
        c = await cluster.start("c")
        refs = refs_of(api.self_process().node)
        ref = bp.remote(made(MB))
        await bp.remote_call(c.name, keep, [ref])
        ref.drop()
        bp.disconnect(c.name)
        await until(lambda: c.name in bp.nodes(), MEETS)  # what is lent there wants the connection
        assert await bp.remote_call(c.name, used) == (MB, MB)
        bp.monitor_node(c.name)
        c.stop()
        await bp.receive(bp.NodeDown)
        await asyncio.sleep(3)  # what would be known is known by then, three times over
        assert len(refs.rows()) == 1
        c.cont()
        assert await bp.remote_call(c.name, used) == (MB, MB)
        await bp.remote_call(c.name, forget)
