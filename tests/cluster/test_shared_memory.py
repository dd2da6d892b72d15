"""Shared memory between real processes: who dies, who keeps what, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from typing import Any

import pytest

import beampy as bp
from beampy.testing.cluster import Cluster
from tests.cluster import shared_app as app
from tests.unit.dist.ports import until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.loops("uvloop"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory files are Linux's"),
]

ME = "test@127.0.0.1"
MB = 1024 * 1024
SIZE = 16 * MB


async def other(cluster: Cluster, name: str, **options: Any) -> Any:
    """A node that we share memory with, in both directions."""
    node = await cluster.start(name, **options)
    await bp.connect(node.name)
    await until(lambda: node.name in app.open_lanes())
    async with asyncio.timeout(10):
        while ME not in await bp.remote_call(node.name, app.open_lanes):
            await asyncio.sleep(0.005)
    return node


async def none_lent() -> None:
    await until(lambda: app.lent()[0] == 0)


async def test_arguments_and_results():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        for mark in range(1, 6):
            assert await bp.remote_call(b.name, app.check, app.block(mark, SIZE), mark)
            back = await bp.remote_call(b.name, app.block, mark, SIZE)
            assert app.is_full_of(back, mark)
            await until(lambda: app.borrowed() == 1)
            del back
        await none_lent()
        assert 1 <= app.lent()[1] <= 5  # used again: a new one for each needs a second and a half of that
        await until(lambda: app.borrowed() == 0)
        assert await bp.remote_call(b.name, app.borrowed) == 0


async def test_what_is_kept_there_stays_as_it_came():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        c = await other(cluster, "c")
        for mark in range(4):
            block = app.block(mark, SIZE)
            for node in (b, c):
                assert await bp.remote_call(node.name, app.keep, block) == mark + 1
            block.data[:] = bytes(SIZE)
        assert app.lent()[0] == 8
        await bp.remote_call(b.name, app.overwrite, 77)
        assert all(await bp.remote_call(b.name, app.kept_are_full_of, [0, 1, 2, 77]))
        assert all(await bp.remote_call(c.name, app.kept_are_full_of, [0, 1, 2, 3]))
        await bp.remote_call(b.name, app.forget)
        await until(lambda: app.lent()[0] == 4)
        for mark in (9, 8):  # into what b has given back
            assert await bp.remote_call(b.name, app.check, app.block(mark, SIZE), mark)
        assert all(await bp.remote_call(c.name, app.kept_are_full_of, [0, 1, 2, 3]))
        assert app.lent()[1] <= 8


async def test_kill_9_of_who_has_it():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        for _ in range(3):
            await bp.remote_call(b.name, app.keep, app.block(1, SIZE))
        assert app.lent()[0] == app.files() == 3
        b.kill()
        await b.wait()
        await until(lambda: app.lent() == (0, 0, 0))
        assert app.files() == 0


async def test_kill_9_of_whose_it_is():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        blocks = [await bp.remote_call(b.name, app.block, mark, SIZE) for mark in range(3)]
        b.kill()
        await b.wait()
        await until(lambda: bp.nodes() == [])
        assert all(app.is_full_of(block, mark) for mark, block in enumerate(blocks))
        blocks[0].data[:] = b"x" * SIZE
        assert app.is_full_of(blocks[0], ord("x"))
        assert app.borrowed() == 3
        del blocks
        gc.collect()
        assert app.borrowed() == 0


async def test_memory_falls_when_it_is_forgotten():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        for _ in range(8):
            await bp.remote_call(b.name, app.keep, app.block(1, SIZE))
        assert all(await bp.remote_call(b.name, app.kept_are_full_of, [1] * 8))  # looked at: else it has no pages yet
        much = b.rss()
        await bp.remote_call(b.name, app.forget)
        assert b.rss() < much - 6 * SIZE
        await none_lent()


async def test_a_message_that_nobody_reads():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        for dest in (("nobody", b.name), await bp.spawn(app.forget_all, node=b.name)):
            bp.send(dest, app.block(1, SIZE))
        assert await bp.ping(b.name)
        await none_lent()
        pid = await bp.spawn(app.tell, bp.self(), 1, SIZE, node=b.name)
        assert app.is_full_of(await bp.receive(app.Block, timeout=10), 1)
        bp.send(pid, app.block(2, SIZE))  # it does not look at it any more
        await none_lent()


@pytest.mark.parametrize("options", [{"unix": False}, {"shared_memory": False}])
async def test_nodes_that_do_not_share(options: dict[str, Any]):
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b", **options)
        assert await bp.remote_call(b.name, app.check, app.block(1, SIZE), 1)
        assert app.is_full_of(await bp.remote_call(b.name, app.block, 2, SIZE), 2)
        assert app.open_lanes() == []
        assert app.files() == 0
        assert await bp.remote_call(b.name, app.files) == 0


async def test_a_node_of_ours_that_does_not_share():
    async with Cluster() as cluster, bp.Node(ME, shared_memory=False):
        b = await cluster.start("b")
        assert await bp.remote_call(b.name, app.check, app.block(1, SIZE), 1)
        assert await bp.remote_call(b.name, app.open_lanes) == []


async def test_over_the_limit_messages_travel():
    async with Cluster() as cluster, bp.Node(ME) as node:
        b = await other(cluster, "b")
        node._local.remote.shared.segments._limit = 3 * SIZE
        for mark in range(6):
            await bp.remote_call(b.name, app.keep, app.block(mark, SIZE))
        assert app.lent()[0] == 3
        assert all(await bp.remote_call(b.name, app.kept_are_full_of, list(range(6))))
        await bp.remote_call(b.name, app.forget)
        await none_lent()


async def test_the_connection_is_lost_and_comes_again():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        await bp.remote_call(b.name, app.keep, app.block(1, SIZE))
        bp.disconnect(b.name)
        await until(lambda: app.lent() == (0, 0, 0))
        await bp.connect(b.name)
        await until(lambda: b.name in app.open_lanes())
        assert await bp.remote_call(b.name, app.keep, app.block(2, SIZE)) == 2
        assert all(await bp.remote_call(b.name, app.kept_are_full_of, [1, 2]))
        await bp.remote_call(b.name, app.forget)
        await none_lent()


async def test_what_was_said_last_arrives():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        await bp.spawn(app.say_and_end, bp.self(), list(range(5)), SIZE, node=b.name)
        time.sleep(0.7)  # noqa: ASYNC251 -- we look when it has said it, and would be gone if it did not wait for us
        got = [await bp.receive(app.Block, timeout=10) for _ in range(5)]
        assert all(app.is_full_of(block, mark) for mark, block in enumerate(got))
        await b.wait()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
async def test_another_user_reads_nothing():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        await bp.remote_call(b.name, app.keep, app.block(1, SIZE))
        (lane,) = app.lanes()
        file = next(iter(lane.lent.values())).file
        code = f"import os; os.setuid(65534); os.open('/proc/{os.getpid()}/fd/{file.fd}', os.O_RDONLY)"
        asked = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", code, stderr=asyncio.subprocess.PIPE)
        _, said = await asked.communicate()
        assert b"PermissionError" in said
