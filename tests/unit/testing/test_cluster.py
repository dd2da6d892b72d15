"""The kit that starts nodes as processes: what it starts, says and counts, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import beampy as bp
from beampy.testing.cluster import Cluster, ClusterNode, NodeFailed
from tests.unit.dist.ports import until

pytestmark = [pytest.mark.cluster, pytest.mark.loops("asyncio", "uvloop")]

HERE = __name__
ROOT = Path(__file__).resolve().parents[3]


# --- what the nodes run


async def talk(*words: str) -> None:
    for word in words:
        sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
    sys.stderr.write("and an error\n")
    await bp.receive()


async def grow(megabytes: int) -> None:
    held = bytearray(os.urandom(1000) * 1000 * megabytes)
    end = os.times().user + 0.2
    while os.times().user < end:
        pass
    sys.stdout.write("grown\n")
    sys.stdout.flush()
    await bp.receive()
    del held


async def have_a_child() -> None:
    child = subprocess.Popen(["sleep", "1000"])  # noqa: ASYNC220
    sys.stdout.write(f"child {child.pid}\n")
    sys.stdout.flush()
    await bp.receive()


async def fail() -> None:
    raise LookupError("as it must")


def state(pid: int) -> str:
    """R, S, T … as in /proc/pid/stat; X when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def arguments(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


# --- the tests


async def test_a_node_is_started_and_can_be_met():
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie):
        b = await cluster.start("b")
        assert b.name == "b@127.0.0.1"
        assert b.alive
        assert await bp.ping(b.name)
        pid = await bp.spawn(talk, "spawned", node=b.name)
        assert pid.creation == b.creation
        await b.says("spawned")
        assert repr(b) == f"<ClusterNode b@127.0.0.1 pid {b.pid}>"
    assert repr(b) == f"<ClusterNode b@127.0.0.1 pid {b.pid}, ended with -9>"


async def test_what_it_says_is_kept():
    async with Cluster() as cluster:
        b = await cluster.start("b", f"{HERE}:talk", "one", "two one", "three")
        assert await b.says("one") == "one"
        assert await b.says("one", count=2) == "two one"
        await b.says("and an error")
        assert b.output.splitlines()[-4:] == ["one", "two one", "three", "and an error"]
        with pytest.raises(
            NodeFailed, match=r"did not say 'four' within 0.02 s\n--- output of <ClusterNode b@(.|\n)*three"
        ):
            await b.says("four", timeout=0.02)
        b.kill()
        await b.wait()
        assert await b.says("three") == "three"  # also after its end
        with pytest.raises(NodeFailed, match="has not said 'four'"):
            await b.says("four")


async def test_options_and_the_environment_reach_the_node():
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie):
        b = await cluster.start("b", hidden=True, env={"BEAMPY_TEST_WORD": "here"})
        assert await bp.ping(b.name)
        assert bp.nodes() == []
        assert bp.nodes("hidden") == [b.name]
        assert b"BEAMPY_TEST_WORD=here" in await asyncio.to_thread(Path(f"/proc/{b.pid}/environ").read_bytes)


async def test_the_cookie_is_no_argument():
    async with Cluster(cookie="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b") as cluster:
        b = await cluster.start("b")
        c = await cluster.start("c", cookie="60303ae22b998861bce3b28f33eec1be758a213c")
        assert cluster.cookie not in arguments(b.pid)
        assert "60303ae22b99" not in arguments(c.pid)
        async with bp.Node("test@127.0.0.1", cookie=cluster.cookie):
            assert await bp.ping(b.name)
            assert not await bp.ping(c.name)


async def test_signals():
    async with Cluster() as cluster:
        b = await cluster.start("b")
        b.stop()
        await until(lambda: state(b.pid) == "T")
        assert b.alive
        b.cont()
        await until(lambda: state(b.pid) != "T")
        b.terminate()
        assert await b.wait() == 0
        b.kill()  # nothing: it has ended
        assert await b.wait() == 0
        c = await cluster.start("c")
        c.kill()
        assert await c.wait() == -9
        assert not c.alive


async def test_a_node_that_does_not_end():
    async with Cluster() as cluster:
        b = await cluster.start("b")
        with pytest.raises(NodeFailed, match=r"did not end within 0.02 s"):
            await b.wait(0.02)


async def test_memory_and_time_are_measured():
    async with Cluster() as cluster:
        a = await cluster.start("a", f"{HERE}:talk", "said")
        b = await cluster.start("b", f"{HERE}:grow", 50)
        await b.says("grown")
        assert 40_000_000 < b.rss() - a.rss() < 80_000_000
        assert b.cpu_time() - a.cpu_time() > 0.1
        assert any(what.startswith("socket:") for what in b.fds())


async def test_a_node_that_cannot_start():
    async with Cluster() as cluster:
        with pytest.raises(NodeFailed, match=r"has not said 'ready b@127.0.0.1 '(.|\n)*ModuleNotFoundError: No module"):
            await cluster.start("b", "no_such_module:main")
        with pytest.raises(NodeFailed, match="not a function, as in package"):
            await cluster.start("b", "main")
        c = await cluster.start("c", f"{HERE}:fail")
        assert await c.wait() == 1
        assert c.output.rstrip().endswith("LookupError: as it must")
        d = await cluster.start("d", "no_such_module:main", ready=False)
        assert await d.wait() == 1


async def test_a_failing_test_shows_what_the_nodes_said():
    nodes: list[ClusterNode] = []
    with pytest.raises(LookupError) as caught:
        async with Cluster() as cluster:
            nodes.append(await cluster.start("b", f"{HERE}:talk", "one thing"))
            nodes.append(await cluster.start("c", f"{HERE}:talk", "another thing"))
            await nodes[0].says("one thing")
            await nodes[1].says("another thing")
            raise LookupError
    first, second = caught.value.__notes__
    assert "output of <ClusterNode b@127.0.0.1" in first
    assert "one thing" in first
    assert "another thing" in second
    assert not any(node.alive for node in nodes)


async def test_all_is_gone_at_the_end_also_what_stands_still_and_what_they_started():
    children = []
    async with Cluster() as cluster:
        for name in "bcd":
            node = await cluster.start(name, f"{HERE}:have_a_child")
            children.append(int((await node.says("child ")).split()[1]))
        b, c, d = cluster.nodes
        b.stop()
        c.kill()
        await c.wait()
        assert all(state(pid) == "S" for pid in children)
    assert not any(node.alive for node in (b, c, d))
    await until(lambda: all(state(pid) in "XZ" for pid in children))


async def test_all_is_gone_when_the_test_is_cancelled():
    nodes: list[ClusterNode] = []

    async def test() -> None:
        async with Cluster() as cluster:
            nodes.append(await cluster.start("b"))
            await asyncio.sleep(60)

    running = asyncio.ensure_future(test())
    await until(lambda: nodes)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not nodes[0].alive


PARENT = """
import asyncio
from beampy.testing.cluster import Cluster

async def main():
    async with Cluster() as cluster:
        b, c = await cluster.start("b"), await cluster.start("c")
        c.stop()
        print(b.pid, c.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.loops("asyncio")
async def test_all_is_gone_when_the_tests_are_killed():
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env
    )
    with process:
        assert process.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(process.stdout.readline)).split()]
        assert len(pids) == 2
        process.kill()
        await until(lambda: all(state(pid) in "XZ" for pid in pids))
