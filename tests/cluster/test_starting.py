"""Nodes that start and meet, in real processes: names, ports, cookies, carriers, and a name service that goes away."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

import beampy as bp
from beampy.dist import epmd
from beampy.dist.discovery import EpmdDiscovery
from beampy.errors import CookieMismatch
from beampy.testing.cluster import Cluster
from tests.cluster import apps
from tests.unit.dist.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ME = "test@127.0.0.1"
LEAD = "tests.cluster.apps:lead"
DIAL = "tests.cluster.apps:dial"
EPMD = shutil.which("epmd")
needs_epmd = pytest.mark.skipif(EPMD is None, reason="Erlang's epmd is not installed")


# --- names and ports


async def test_a_fixed_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with Cluster() as cluster:
            b = await cluster.start("b", port=port, ready=False)
            assert await b.wait() == 1
            last = b.output.splitlines()[-1]
            assert str(port) in last
            assert "in use" in last
            assert "b@127.0.0.1" in last


async def test_a_fixed_port_is_used():
    port = free_port()
    async with Cluster() as cluster, bp.Node(ME, unix=False):
        b = await cluster.start("b", port=port)
        await bp.connect(b.name)
        assert apps.carriers() == {b.name: f"tcp 127.0.0.1:{port}"}


async def test_a_name_in_use():
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b")
        second = await cluster.start("b", ready=False)
        assert await second.wait() == 1
        last = second.output.splitlines()[-1]
        assert last.startswith("beampy.errors.NameInUse: the name b@127.0.0.1 is taken: another node has registered it")
        assert await bp.ping(b.name)  # the first has not noticed
        assert (await bp.spawn(apps.forever, node=b.name)).creation == b.creation


# --- cookies


async def test_different_cookies_are_told_on_both_sides(caplog: pytest.LogCaptureFixture):
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b", LEAD, cookie="9f86d081884c7d659a2feaa0c55ad015")
        with pytest.raises(CookieMismatch, match=b.name):
            await bp.connect(b.name)
        line = await b.says("refused a connection")
        assert "cookie" in line
        assert ME in line
        caplog.clear()
        c = await cluster.start("c", DIAL, ME, cookie="another-cookie-of-20-random-chars-9f86d08")
        line = await c.says("refused CookieMismatch")
        assert ME in line
        (record,) = [record for record in caplog.records if "refused a connection" in record.message]
        assert "cookie" in record.message
        assert c.name in record.message
        for node in (b, c):
            assert cluster.cookie not in node.output
            assert "9f86d08" not in apps.command_line(node.pid)


# --- carriers


@pytest.mark.parametrize(
    ("ours", "theirs", "carrier"),
    [
        ({}, {}, "unix"),
        ({"unix": False}, {}, "tcp 127.0.0.1:"),
        ({}, {"unix": False}, "tcp 127.0.0.1:"),
        ({}, {"unix": False, "tls": True}, "tls 127.0.0.1:"),
        ({"unix": False, "tls": True}, {"tls": True}, "tls 127.0.0.1:"),
    ],
)
async def test_what_carries_a_connection(ours: dict[str, bool], theirs: dict[str, bool], carrier: str):
    async with Cluster() as cluster, bp.Node(ME, **ours):
        b = await cluster.start("b", "tests.cluster.apps:serve", **theirs)
        await bp.connect(b.name)
        assert apps.carriers()[b.name].startswith(carrier)
        await b.says(f"connected to {ME} over {carrier.partition(':')[0]}")


async def test_who_asks_for_tls_speaks_nothing_else():
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b", DIAL, ME, unix=False, tls=True)
        line = await b.says("refused HandshakeFailed")
        assert ME in line
        assert "it speaks no TLS" in line
        assert "tls=False allows it" in line


async def test_the_unix_socket_of_a_killed_node_is_removed_by_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    sockets = tmp_path / "beampy"
    async with Cluster() as cluster, bp.Node(ME):
        (mine,) = sockets.iterdir()
        (sockets / "of-somebody-else").touch()
        others = set(sockets.iterdir())
        b = await cluster.start("b")
        (left,) = set(sockets.iterdir()) - others
        b.kill()
        await b.wait()
        c = await cluster.start("c")
        assert left.exists()  # it might be one that is just being made
        long_ago = time.time() - 3600
        for path in sockets.iterdir():
            os.utime(path, (long_ago, long_ago))
        d = await cluster.start("d")
        assert not left.exists()
        assert mine.exists()
        for node in (c, d):
            await bp.connect(node.name)
        assert set(apps.carriers().values()) == {"unix"}
        for node in (c, d):
            assert "refused a connection" not in node.output  # to be looked at is nothing to complain of
            node.terminate()
            await node.wait()
        assert mine in others
        assert set(sockets.iterdir()) == others


# --- a name service that goes away


async def test_a_name_service_that_dies_while_a_node_registers():
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        server.close()
        writer.close()

    port = free_port()
    server = await asyncio.start_server(hang_up, "127.0.0.1", port)
    async with bp.Node(ME, discovery=EpmdDiscovery(port)):
        assert list(await names(EpmdDiscovery(port))) == ["test"]
    await server.wait_closed()


async def meet(epmd_port: int, name: str) -> None:
    """Lookups work, and one can connect."""
    discovery = EpmdDiscovery(epmd_port)
    async with asyncio.timeout(10):
        while name.partition("@")[0] not in await names(discovery):
            await asyncio.sleep(0.01)
    await bp.connect(name)


async def names(discovery: EpmdDiscovery) -> dict[str, int]:
    try:
        return await discovery.names("127.0.0.1")
    except OSError:
        return {}


async def test_the_node_that_was_the_name_service_is_killed():
    port = free_port()
    env = {"ERL_EPMD_PORT": str(port)}
    async with Cluster() as cluster:
        b = await cluster.start("b", env=env)  # the first is it
        c, d = [await cluster.start(name, LEAD, env=env) for name in "cd"]
        b.kill()
        async with bp.Node(ME, discovery=EpmdDiscovery(port)):
            for node in (c, d):
                await meet(port, node.name)
            e = await cluster.start("e", DIAL, c.name, env=env)
            await e.says(f"connected {c.name}")
            again = await cluster.start("b", env=env)
            await meet(port, again.name)
            assert (await bp.spawn(apps.forever, node=b.name)).creation == again.creation


class RealEpmd:
    """Erlang's own."""

    def __init__(self, port: int) -> None:
        assert EPMD is not None
        self._command = [EPMD, "-port", str(port), "-address", "127.0.0.1"]
        self._port = port

    async def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: ASYNC220
        async with asyncio.timeout(10):
            while True:
                try:
                    await epmd.names("127.0.0.1", self._port)
                    return
                except OSError:
                    await asyncio.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@needs_epmd
async def test_a_real_epmd_is_killed_and_nodes_take_over():
    port = free_port()
    real = RealEpmd(port)
    await real.start()
    env = {"ERL_EPMD_PORT": str(port)}
    try:
        async with Cluster() as cluster, bp.Node(ME, discovery=EpmdDiscovery(port)):
            b = await cluster.start("b", LEAD, env=env)
            await bp.connect(b.name)
            real.kill()
            c = await cluster.start("c", LEAD, env=env)
            await meet(port, c.name)
            bp.send(("lead", c.name), b.name)
            await c.says(f"connected {b.name}")
            assert set(bp.nodes()) == {b.name, c.name}  # nobody has lost a connection
            assert "INFO beampy.dist: lost" not in b.output
    finally:
        real.kill()


@needs_epmd
async def test_a_real_epmd_is_killed_and_comes_back():
    """None of ours takes over: they wait for it."""
    port = free_port()
    real = RealEpmd(port)
    await real.start()
    try:
        async with (
            bp.Node("b@127.0.0.1", discovery=EpmdDiscovery(port, embedded=False)),
            bp.Node(ME, discovery=EpmdDiscovery(port, embedded=False)),
        ):
            real.kill()
            assert not await bp.ping("b@127.0.0.1")
            await real.start()
            await meet(port, "b@127.0.0.1")
    finally:
        real.kill()
