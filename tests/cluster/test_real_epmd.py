"""The name service with the real thing: Erlang's epmd and nodes, and programs of ours that are killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beampy.dist import epmd
from beampy.dist.address import MAX_EXTRA, Address, encode_extra, here
from beampy.dist.discovery import EpmdDiscovery
from beampy.dist.epmd import PortInfo
from beampy.dist.epmd_server import EpmdServer
from beampy.errors import NameInUse, UnknownNode
from tests.unit.dist.ports import free_port, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.loops("asyncio", "uvloop")]

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
EPMD, ERL = shutil.which("epmd"), shutil.which("erl")
needs_epmd = pytest.mark.skipif(EPMD is None, reason="Erlang's epmd is not installed")
needs_erl = pytest.mark.skipif(EPMD is None or ERL is None, reason="Erlang is not installed")
EXTRA = encode_extra(Address(tls=True, host="10.0.0.2", boot_id="boot", netns=7))


class Program:
    """A process of the operating system, whose output goes to a file: reading it never blocks."""

    def __init__(self, output: Path, *command: str, port: int) -> None:
        self.output = output
        env = os.environ | {"ERL_EPMD_PORT": str(port), "HOME": str(output.parent), "PYTHONPATH": str(ROOT)}
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT, cwd=output.parent
            )

    def said(self, text: str) -> bool:
        return text in self.output.read_text()

    async def says(self, text: str) -> None:
        await until(lambda: self.said(text) or self.process.poll() is not None)
        assert self.said(text), self.output.read_text()

    async def ends(self) -> str:
        await until(lambda: self.process.poll() is not None)
        return self.output.read_text()

    def kill(self) -> None:
        """kill -9"""
        self.process.kill()
        self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()


class Programs:
    """Everything that a test started; killed at its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[Program] = []

    def start(self, *command: str, port: int) -> Program:
        program = Program(self._folder / f"{len(self._all)}.out", *command, port=port)
        self._all.append(program)
        return program

    def stop(self) -> None:
        for program in self._all:
            program.kill()

    async def listed(self, port: int) -> str:
        """What `epmd -names` says."""
        assert EPMD is not None
        return await self.start(EPMD, "-port", str(port), "-names", port=port).ends()

    def erl(self, name: str, port: int, *code: str) -> Program:
        """An Erlang node that runs until it is killed, and starts no epmd of its own."""
        assert ERL is not None
        options = ["-noshell", "-name", name, "-setcookie", "c", "-start_epmd", "false"]
        return self.start(ERL, *options, "-eval", f'io:format("up~n"), {", ".join([*code, "ok"])}.', port=port)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    started = Programs(tmp_path)
    yield started
    started.stop()


@pytest.fixture
async def real(programs: Programs) -> int:
    """The port of a real epmd."""
    assert EPMD is not None
    port = free_port()
    programs.start(EPMD, "-port", str(port), "-address", LOOPBACK, port=port)

    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                await epmd.names(LOOPBACK, port)
                return port
            await asyncio.sleep(0.01)


@pytest.fixture
async def ours() -> AsyncIterator[EpmdServer]:
    """A server of ours."""
    server = EpmdServer(free_port(), ())
    assert await server.start()
    yield server
    await server.stop()


# --- we, at the real epmd


@needs_epmd
async def test_a_real_epmd_lists_us(real: int, programs: Programs):
    a = await epmd.register("a", 9100, EXTRA, epmd_port=real)
    h = await epmd.register("h", 9200, EXTRA, hidden=True, epmd_port=real)
    listed = await programs.listed(real)
    assert "name a at port 9100" in listed
    assert "name h at port 9200" in listed
    assert await epmd.names(LOOPBACK, real) == {"a": 9100, "h": 9200}
    assert await epmd.lookup(LOOPBACK, "a", real) == PortInfo("a", 9100, EXTRA)
    assert await epmd.lookup(LOOPBACK, "h", real) == PortInfo("h", 9200, EXTRA, hidden=True)
    assert await epmd.lookup(LOOPBACK, "b", real) is None
    await a.close()
    await h.close()


@needs_epmd
async def test_the_longest_extra_survives(real: int):
    extra = os.urandom(MAX_EXTRA)
    a = await epmd.register("a" * 100, 9100, extra, epmd_port=real)
    found = await epmd.lookup(LOOPBACK, "a" * 100, real)
    assert found is not None
    assert found.extra == extra
    await a.close()


@needs_epmd
async def test_a_real_epmd_refuses_a_duplicate(real: int):
    a = await epmd.register("a", 9100, epmd_port=real)
    with pytest.raises(NameInUse):
        await epmd.register("a", 9200, epmd_port=real)
    await a.close()
    again = await epmd.register("a", 9200, epmd_port=real)
    assert await epmd.names(LOOPBACK, real) == {"a": 9200}
    await again.close()
    async with asyncio.timeout(10):
        while await epmd.names(LOOPBACK, real):
            await asyncio.sleep(0.01)


@needs_epmd
async def test_nodes_find_each_other_at_a_real_epmd(real: int):
    place = here()
    a, b = (EpmdDiscovery(real, addresses=()) for _ in "ab")
    await a.start(
        "a@localhost", 9100, encode_extra(Address(tls=False, boot_id=place.boot_id, netns=place.netns)), False
    )
    await b.start("b@localhost", 9200, EXTRA, False)
    assert await b.lookup("a@localhost") == [Address("localhost", 9100, False, None, *place)]
    assert a.server is None
    assert b.server is None
    await a.stop()
    await b.stop()


@needs_epmd
async def test_we_take_over_from_a_real_epmd_that_is_killed(programs: Programs, real: int):
    nodes = {name: EpmdDiscovery(real, addresses=()) for name in ("a", "b", "c")}
    for name, node in nodes.items():
        await node.start(f"{name}@localhost", 9100, EXTRA, False)
    programs.stop()
    for name in nodes:
        assert await nodes["a"].lookup(f"{name}@localhost")
    assert len([node for node in nodes.values() if node.server is not None]) == 1
    for node in nodes.values():
        await node.stop()


@needs_erl
async def test_an_erlang_node_is_not_ours(programs: Programs, real: int):
    erl = programs.erl("x@127.0.0.1", real)
    await erl.says("up")
    with pytest.raises(UnknownNode, match=r"x@127\.0\.0\.1 is an Erlang node, not beampy's"):
        await EpmdDiscovery(real).lookup("x@127.0.0.1")


# --- the real ones, at our server


@needs_epmd
async def test_the_real_epmd_lists_our_servers_names(programs: Programs, ours: EpmdServer):
    a = await epmd.register("a", 9100, EXTRA, epmd_port=ours.port)
    listed = await programs.listed(ours.port)
    assert f"up and running on port {ours.port} with data" in listed
    assert "name a at port 9100" in listed
    await a.close()


@needs_epmd
async def test_the_real_epmd_cannot_stop_our_server(programs: Programs, ours: EpmdServer):
    assert EPMD is not None
    a = await epmd.register("a", 9100, EXTRA, epmd_port=ours.port)
    killing = programs.start(EPMD, "-port", str(ours.port), "-kill", port=ours.port)
    assert "Killing not allowed" in await killing.ends()
    await programs.start(EPMD, "-port", str(ours.port), "-stop", "a", port=ours.port).ends()
    assert ours.names == {"a": 9100}
    assert ours.snapshot()["refused"] == 2
    await a.close()


@needs_epmd
async def test_the_real_epmd_leaves_the_port_to_us(programs: Programs, ours: EpmdServer):
    assert EPMD is not None
    await programs.start(EPMD, "-port", str(ours.port), port=ours.port).ends()
    assert await epmd.names(LOOPBACK, ours.port) == {}


@needs_erl
async def test_erlang_nodes_find_each_other_at_our_server(programs: Programs, ours: EpmdServer):
    first = programs.erl("x@127.0.0.1", ours.port)
    await first.says("up")
    second = programs.erl(
        "y@127.0.0.1",
        ours.port,
        "io:format(\"~p~n\", [net_adm:ping('x@127.0.0.1')])",
        'io:format("names ~p~n", [net_adm:names({127,0,0,1})])',
    )
    await second.says("names")
    assert second.said("pong"), second.output.read_text()
    assert second.said('{"x",'), second.output.read_text()
    assert set(ours.names) == {"x", "y"}
    info = await epmd.lookup(LOOPBACK, "x", ours.port)
    assert info is not None
    assert (info.extra, info.hidden, info.protocol) == (b"", False, 0)
    with pytest.raises(UnknownNode, match="is an Erlang node"):
        await EpmdDiscovery(ours.port).lookup("x@127.0.0.1")
    duplicate = programs.erl("x@127.0.0.1", ours.port)
    await duplicate.says("in use by another Erlang node")
    first.kill()
    await until(lambda: set(ours.names) == {"y"})


# --- kill -9


@pytest.mark.loops("asyncio")
async def test_whoever_is_killed_another_one_serves(programs: Programs):
    port = free_port()
    asking = EpmdDiscovery(port)
    knots = {
        name: programs.start(sys.executable, str(ROOT / "tests/cluster/knot.py"), name, str(port), port=port)
        for name in ("a", "b", "c", "d")
    }
    for knot in knots.values():
        await knot.says("ready")
    while knots:
        await until(lambda: any(knot.said("serving") for knot in knots.values()))
        (serving,) = [name for name, knot in knots.items() if knot.said("serving")]
        async with asyncio.timeout(10):
            while set(await asking.names("localhost")) != set(knots):
                await asyncio.sleep(0.01)
        knots.pop(serving).kill()
        if knots:
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(OSError):
                        if set(await asking.names("localhost")) == set(knots):
                            break
                    await asyncio.sleep(0.01)
    with pytest.raises(OSError):
        await asking.names("localhost")


@pytest.mark.loops("asyncio")
async def test_a_killed_nodes_name_is_free(programs: Programs, ours: EpmdServer):
    for _ in range(3):
        knot = programs.start(
            sys.executable, str(ROOT / "tests/cluster/knot.py"), "a@localhost", str(ours.port), port=ours.port
        )
        await knot.says("ready")
        knot.kill()


@pytest.mark.loops("asyncio")
async def test_a_node_that_ends_gives_its_name_back(programs: Programs, ours: EpmdServer):
    knot = programs.start(
        sys.executable, str(ROOT / "tests/cluster/knot.py"), "a@localhost", str(ours.port), port=ours.port
    )
    await knot.says("ready")
    assert ours.names == {"a": 9100}
    assert knot.process.stdin is not None
    knot.process.stdin.close()
    await knot.ends()
    assert knot.process.returncode == 0, knot.output.read_text()
    await until(lambda: not ours.names)
