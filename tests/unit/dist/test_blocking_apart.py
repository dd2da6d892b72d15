"""Blocking connections of forked children, and of a thread whose own event loop stands still meanwhile."""

from __future__ import annotations

import asyncio
import os
import warnings

import pytest

import beampy as bp
from beampy.errors import (
    NotConnected,
    UnknownNode,
)
from beampy.testing.cluster import Cluster
from tests.security.ground import peers_of
from tests.unit.dist.asking import (
    CARRIERS,
    MIB,
    SOON,
    WAIT,
    A,
    B,
    asked_of,
    carrier_of,
    connect,
    in_thread,
    line_to,
    nodes,
)
from tests.unit.dist.ports import until

pytestmark = pytest.mark.loops("asyncio", "uvloop")

# --- forks


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_forked_child_has_a_connection_of_its_own(carrier: str):
    async with nodes(A, B, **CARRIERS[carrier]) as [a, b]:
        line = line_to(b, A)
        assert await in_thread(line.request, "before", [], WAIT)
        assert line._sock is not None
        fd = line._sock.fileno()
        inode = os.fstat(fd).st_ino
        read_fd, write_fd = os.pipe()
        busy = asyncio.ensure_future(in_thread(line.request, "wait", [], WAIT))  # its lock is held while we fork
        await until(lambda: asked_of(a).log[-1][0] == "wait")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads
            pid = os.fork()
        if not pid:
            try:
                said = "closed" if line._sock is None and not _is(fd, inode) else "open"
                said += " " + str(line.request("child", [], WAIT)[0])
                os.write(write_fd, said.encode())
            except BaseException as error:
                os.write(write_fd, repr(error).encode())
            finally:
                os._exit(0)
        os.close(write_fd)
        try:
            said_there = await in_thread(os.read, read_fd, 1000)
        finally:
            os.close(read_fd)
            await in_thread(os.waitpid, pid, 0)
            asked_of(a).go.set()
            answer = await busy
        assert (said_there, answer) == (b"closed child", ["wait", []])
        assert await in_thread(line.request, "after", [], WAIT) == ["after", []]
        assert os.fstat(line._sock.fileno()).st_ino == inode, "the parent's connection goes on"
        line.close()


def _is(fd: int, inode: int) -> bool:
    """Whether a descriptor is open on this socket."""
    try:
        return os.fstat(fd).st_ino == inode
    except OSError:
        return False


# --- a loop that is blocked


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("way", ["we connect", "they connect"])
async def test_the_loops_own_thread_asks_while_the_main_connection_is_up(carrier: str, way: str, caplog):
    options = CARRIERS[carrier]
    async with Cluster() as cluster, bp.Node(B, cookie=cluster.cookie, **options) as node:
        app = "tests.unit.dist.asking:origin"
        a = await cluster.start("a", app, *([B] if way == "they connect" else []), **options)
        await a.says("registered")
        if way == "we connect":
            await node.run(connect, a.name)
        peers = peers_of(node)
        connection = peers.table[A].connection
        line = line_to(node, a.name)
        await until(lambda: not peers.searches)
        for n in range(50):
            assert line.request("n", [n], WAIT) == ["n", [n]]  # on the loop, which stands still meanwhile
        assert line.request("bytes", [20 * MIB], WAIT) == bytes(20 * MIB)
        with pytest.raises(NotConnected, match="no answer"):
            line.request("wait", [], SOON)
        await asyncio.sleep(0.05)
        assert peers.table[A].connection is connection
        assert peers.nodes() == [A]
        assert carrier_of(node) == carrier
        a.kill()
        await a.wait()
        with pytest.raises(NotConnected):
            line.request("n", [0], WAIT)
        line.close()


async def test_the_loops_own_thread_does_not_wait_for_an_address():
    async with nodes(A, B) as [_, b]:
        line = line_to(b, A)
        with pytest.raises(NotConnected, match="still looked up"):
            line.request("x", [], WAIT)
        unknown = line_to(b, "none@127.0.0.1")
        await until(lambda: not peers_of(b).searches)
        for _ in range(2):
            with pytest.raises(UnknownNode):
                unknown.request("x", [], WAIT)
            await until(unknown._routes._found.done)  # type: ignore[attr-defined]
        await until(lambda: not peers_of(b).searches)
        assert await in_thread(line.request, "x", [], WAIT) == ["x", []]
        line.close()
