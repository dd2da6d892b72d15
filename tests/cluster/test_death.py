"""Nodes that die, in real processes: with a signal that nobody can catch, in order, or because their parent does."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import pytest

import beampy as bp
from beampy.testing.cluster import Cluster
from tests.cluster import apps
from tests.unit.dist.ports import until

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ME = "test@127.0.0.1"


def told(what: str, since: float) -> None:
    sys.stdout.write(f"{what}: {(time.perf_counter() - since) * 1000:.1f} ms\n")


async def test_kill_9_ends_links_and_monitors():
    async with Cluster() as cluster, bp.Node(ME):
        bp.trap_exit(True)
        b = await cluster.start("b")
        linked = await bp.spawn(apps.forever, node=b.name, link=True)
        watched, ref = await bp.spawn(apps.forever, node=b.name, monitor=True)
        bp.monitor_nodes()
        bp.monitor_node(b.name)
        b.kill()
        began = time.perf_counter()
        got = [await bp.receive(timeout=10) for _ in range(4)]
        told("all that was tied to it heard of a kill -9", began)
        assert sorted(got, key=repr) == sorted(
            [
                bp.Exit(linked, "noconnection"),
                bp.Down(ref, watched, "noconnection"),
                bp.NodeDown(b.name, "connection_closed"),
                bp.NodeDown(b.name, "connection_closed"),
            ],
            key=repr,
        )
        assert await b.wait() == -9
        assert bp.nodes() == []
        assert not await bp.ping(b.name)


async def test_ten_thousand_monitors():
    count = 10_000
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b")
        await bp.spawn(apps.crowd, bp.self(), count, node=b.name)
        pids: list[bp.Pid] = await bp.receive(list, timeout=10)
        refs = {bp.monitor(pid): pid for pid in pids}
        assert await bp.ping(b.name)
        await asyncio.sleep(0.2)  # some of them have arrived when it dies, and what has not is no different
        b.kill()
        began = time.perf_counter()
        for _ in range(count):
            down = await bp.receive(bp.Down, timeout=10)
            assert refs.pop(down.ref) == down.target
            assert down.reason == "noconnection"
        told(f"{count} Downs", began)
        with pytest.raises(TimeoutError):
            await bp.receive(timeout=0.05)


async def test_sigterm_is_an_orderly_end():
    async with Cluster() as cluster, bp.Node(ME):
        bp.trap_exit(True)
        b = await cluster.start("b")
        linked = await bp.spawn(apps.forever, node=b.name, link=True)
        watched, ref = await bp.spawn(apps.forever, node=b.name, monitor=True)
        bp.monitor_node(b.name)
        b.terminate()
        got = [await bp.receive(timeout=10) for _ in range(3)]
        assert sorted(got[:2], key=repr) == [bp.Down(ref, watched, "shutdown"), bp.Exit(linked, "shutdown")]
        assert got[2] == bp.NodeDown(b.name, "shutdown")
        assert await b.wait() == 0
        assert "Traceback" not in b.output


async def test_sigterm_does_not_disturb_an_end_under_way():
    async with Cluster() as cluster:
        b = await cluster.start("b", "tests.cluster.apps:slow_to_end")
        await b.says("main is done")
        await asyncio.sleep(0.05)
        b.terminate()
        await b.says("cleaned up")
        assert await b.wait() == 0, b.output


async def test_a_node_behind_a_pipe_ends_with_its_parent():
    async with Cluster() as cluster:
        b = await cluster.start("b", "tests.cluster.apps:parent", "child@127.0.0.1")
        _, pid, carrier = (await b.says("child ")).split()
        assert carrier == "pipe"
        assert not apps.is_dead(int(pid))
        b.kill()
        await until(lambda: apps.is_dead(int(pid)))


async def test_a_restarted_node_is_another_one():
    async with Cluster() as cluster, bp.Node(ME):
        bp.trap_exit(True)
        b = await cluster.start("b")
        old = await bp.spawn(apps.echo, node=b.name)
        bp.monitor_node(b.name)
        b.kill()
        await bp.receive(bp.NodeDown, timeout=10)
        again = await cluster.start("b")
        assert again.creation != b.creation == old.creation
        bp.send(old, (bp.self(), "who is there"))  # it goes nowhere
        ref = bp.monitor(old)
        assert await bp.receive(timeout=10) == bp.Down(ref, old, "noproc")
        bp.link(old)
        assert await bp.receive(timeout=10) == bp.Exit(old, "noproc")
        new = await bp.spawn(apps.echo, node=b.name)
        assert new.creation == again.creation
        bp.send(new, (bp.self(), "hello"))
        assert await bp.receive(timeout=10) == "hello"


async def test_a_dead_node_whose_name_is_taken_again_at_once():
    """Nobody here has noticed its death when its successor connects."""
    async with Cluster() as cluster, bp.Node(ME) as node:
        b = await cluster.start("b", "tests.cluster.apps:lead")
        await bp.connect(b.name)
        bp.monitor_nodes()
        await bp.global_names.sync()  # what the two tell each other at first has been said: nothing is written below
        b.stop()  # it cannot say that it goes
        assert node._peers is not None
        connection = node._peers.table[b.name].connection
        connection.transport.pause_reading()  # and we do not see that it is gone
        b.kill()
        await b.wait()
        again = await cluster.start("b", "tests.cluster.apps:dial", ME)
        await again.says("connected")
        assert await bp.receive(timeout=10) == bp.NodeDown(b.name, "replaced")
        assert await bp.receive(timeout=10) == bp.NodeUp(b.name)
        assert (await bp.spawn(apps.forever, node=b.name)).creation == again.creation


@pytest.mark.parametrize("options", [{}, {"unix": False}, {"unix": False, "tls": True}], ids=["unix", "tcp", "tls"])
async def test_connections_leave_nothing_open(options: dict[str, Any]):
    def ours() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with Cluster() as cluster, bp.Node(ME, **options):
        b = await cluster.start("b", **options)

        async def rounds(count: int) -> None:
            for _ in range(count):
                await bp.connect(b.name)
                assert bp.disconnect(b.name)
                await until(lambda: not bp.nodes())

        before = ours(), len(b.fds())
        await rounds(60)
        await until(lambda: (ours(), len(b.fds())) == before)
