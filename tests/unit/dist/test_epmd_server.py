"""The embedded name service: what it answers, whom it refuses, and who takes over when it goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from beampy.dist import epmd, epmd_server
from beampy.dist.epmd import Alive, Names, PortInfo, PortPlease, Refused
from beampy.dist.epmd_server import EpmdServer
from beampy.errors import NameInUse
from beampy.testing import simnet
from tests.unit.dist.ports import free_port, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def served(**options: Any) -> AsyncIterator[EpmdServer]:
    server = EpmdServer(free_port(), **{"addresses": ()} | options)
    assert await server.start()
    try:
        yield server
    finally:
        await server.stop()


class Raw:
    """A client that sends any bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, server: EpmdServer, data: bytes = b"", host: str = LOOPBACK) -> Raw:
        raw = cls(*await asyncio.open_connection(host, server.port))
        raw.writer.write(data)
        return raw

    async def rest(self) -> bytes:
        """All until the end of the stream, which is closed then."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""
            finally:
                await self.close()

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def ask(server: EpmdServer, data: bytes, host: str = LOOPBACK) -> bytes:
    return await (await Raw.open(server, data, host)).rest()


async def registered(server: EpmdServer, name: str, port: int = 1, **options: Any) -> epmd.Registration:
    return await epmd.register(name, port, epmd_port=server.port, **options)


# --- what it answers


async def test_registered_nodes_are_found():
    async with served() as server:
        a = await registered(server, "a", 9100, extra=b"\0\xff")
        h = await registered(server, "h", 9200, hidden=True)
        assert await epmd.lookup(LOOPBACK, "a", server.port) == PortInfo("a", 9100, b"\0\xff")
        assert await epmd.lookup(LOOPBACK, "h", server.port) == PortInfo("h", 9200, hidden=True)
        assert await epmd.lookup(LOOPBACK, "nobody", server.port) is None
        assert await epmd.names(LOOPBACK, server.port) == {"a": 9100, "h": 9200}
        assert server.names == {"a": 9100, "h": 9200}
        await a.close()
        await until(lambda: "a" not in server.names)
        assert await epmd.names(LOOPBACK, server.port) == {"h": 9200}
        await h.close()


async def test_the_answers_are_the_documented_bytes():
    async with served() as server:
        request = epmd.encode_request(Alive(PortInfo("a", 9100)))
        raw = await Raw.open(server, request)
        answer = await raw.reader.readexactly(6)
        assert answer[:2] == b"\x76\0"
        assert int.from_bytes(answer[2:], "big") > 3
        assert await ask(server, bytes.fromhex("0002 7a 61")) == bytes.fromhex("77 00") + request[3:]
        assert await ask(server, bytes.fromhex("0002 7a 62")) == bytes.fromhex("77 01")
        names = await ask(server, bytes.fromhex("0001 6e"))
        assert names == server.port.to_bytes(4, "big") + b"name a at port 9100\n"
        assert (await ask(server, request))[:2] == b"\x76\1", "taken, and the connection is closed"
        await raw.close()


async def test_old_nodes_get_a_short_answer():
    async with served() as server:
        raw = await Raw.open(server, epmd.encode_request(Alive(PortInfo("a", 1, highest=5, lowest=5))))
        answer = await raw.reader.readexactly(4)
        assert answer[:2] == b"\x79\0"
        assert answer[2:] in (b"\0\1", b"\0\2", b"\0\3")
        await raw.close()


async def test_creations_differ():
    async with served() as server:
        creations = set()
        for _ in range(5):
            raw = await Raw.open(server, epmd.encode_request(Alive(PortInfo("a", 1))))
            creations.add((await raw.reader.readexactly(6))[2:])
            await raw.close()
            await until(lambda: not server.names)
        assert len(creations) == 5


async def test_a_name_is_held_by_one_node():
    async with served() as server:
        a = await registered(server, "a", 1)
        with pytest.raises(NameInUse):
            await registered(server, "a", 2)
        assert server.names == {"a": 1}
        await a.close()
        again = await registered(server, "a", 2)
        assert server.names == {"a": 2}
        await again.close()


async def test_a_crashed_nodes_name_is_free_at_once():
    async with served() as server:
        crashed = await Raw.open(server, epmd.encode_request(Alive(PortInfo("a", 1))))
        await until(lambda: server.names)
        crashed.writer.transport.abort()
        await until(lambda: not server.names)
        a = await registered(server, "a", 2)
        await a.close()
        await crashed.close()


async def test_nobody_stops_it():
    async with served() as server:
        a = await registered(server, "a")
        assert await ask(server, epmd.encode_request(Refused(kill=True))) == b"NO"
        assert await ask(server, epmd.encode_request(Refused(kill=False))) == b""
        assert server.names == {"a": 1}
        assert server.snapshot()["refused"] == 2
        await a.close()


async def test_a_request_in_pieces():
    async with served() as server:
        raw = await Raw.open(server)
        for byte in epmd.encode_request(PortPlease("nobody")):
            raw.writer.write(bytes([byte]))
            await asyncio.sleep(0.001)
        assert await raw.rest() == b"\x77\1"


@pytest.mark.loops("asyncio", "uvloop")  # the simulator takes an end of stream that nobody read yet for lost bytes
async def test_a_client_that_has_said_all_it_had_to_say():
    async with served() as server:
        raw = await Raw.open(server, epmd.encode_request(PortPlease("nobody")))
        raw.writer.write_eof()
        assert await raw.rest() == b"\x77\1"


# --- hostile clients


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0",
        b"\xff\xff" + bytes(100),
        b"\0\1\xff",
        bytes.fromhex("0002 7a ff"),
        bytes.fromhex("0002 7a 0a"),
        bytes.fromhex("0800") + bytes(100_000),
        b"\xff" + os.urandom(63),  # a length that no request has; for one that it may have, the server waits
        b"\0\x3e\xff" + os.urandom(61),
    ],
    ids=range(9),
)
async def test_garbage_closes_its_connection_only(garbage: bytes):
    async with served() as server:
        a = await registered(server, "a")
        assert await ask(server, garbage) == b""
        assert server.snapshot()["garbage"] == 1
        assert await epmd.names(LOOPBACK, server.port) == {"a": 1}
        await a.close()


async def test_a_registered_node_has_nothing_more_to_say():
    async with served() as server:
        raw = await Raw.open(server, epmd.encode_request(Alive(PortInfo("a", 1))))
        await raw.reader.readexactly(6)
        raw.writer.write(b"x")
        assert await raw.rest() == b""
        assert server.names == {}


async def test_those_who_wait_too_long_are_closed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd_server, "PATIENCE", 0.2)
    async with served() as server:
        a = await registered(server, "a")
        silent = await Raw.open(server)
        slow = await Raw.open(server, b"\0")
        assert (await silent.rest(), await slow.rest()) == (b"", b"")
        assert server.snapshot() == server.snapshot() | {"timeouts": 2, "waiting": 0, "registered": 1}
        assert a.registered
        await a.close()


@pytest.mark.loops("sim")
async def test_dripping_bytes_buys_no_time():
    async with served() as server:
        raw = await Raw.open(server)
        request = epmd.encode_request(PortPlease("x" * 100))
        for byte in request:
            raw.writer.write(bytes([byte]))
            await asyncio.sleep(epmd_server.PATIENCE / 10)
            if raw.reader.at_eof():
                break
        assert await raw.rest() == b""
        assert server.snapshot()["timeouts"] == 1


@pytest.mark.loops("sim")
async def test_who_does_not_read_his_answer_is_closed():
    simnet.net().window = 16
    async with served() as server:
        nodes = [await registered(server, f"n{i}") for i in range(20)]
        raw = await Raw.open(server)
        raw.writer.transport.pause_reading()
        raw.writer.write(epmd.encode_request(Names()))
        await until(lambda: server.snapshot()["listings"])
        assert server.snapshot()["waiting"] == 1
        await asyncio.sleep(epmd_server.PATIENCE + 1)
        assert server.snapshot()["waiting"] == 0
        await raw.close()
        for node in nodes:
            await node.close()


async def test_a_flood_displaces_the_oldest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd_server, "MAX_WAITING", 8)
    async with served() as server:
        a = await registered(server, "a")
        idle = [await Raw.open(server) for _ in range(20)]
        assert await epmd.names(LOOPBACK, server.port) == {"a": 1}
        assert server.snapshot()["waiting"] <= 8
        assert server.snapshot()["displaced"] >= 12
        assert await idle[0].rest() == b""
        assert a.registered
        for raw in idle:
            await raw.close()
        await a.close()


async def test_registrations_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd_server, "MAX_REGISTERED", 2)
    async with served() as server:
        nodes = [await registered(server, name) for name in "ab"]
        with pytest.raises(NameInUse):
            await registered(server, "c")
        assert server.snapshot()["full"] > 0
        await nodes[0].close()
        nodes.append(await registered(server, "c"))
        for node in nodes:
            await node.close()


@pytest.mark.loops("sim")
async def test_other_machines_may_ask_and_not_register():
    with simnet.host("n1"):
        server = EpmdServer(4369, ["0.0.0.0"])
        assert await server.start()
        a = await registered(server, "a")
    with simnet.host("n2"):
        assert await epmd.names("n1", 4369) == {"a": 1}
        with pytest.raises(ConnectionResetError):
            await epmd.register("b", 1, host="n1", epmd_port=4369)
        with pytest.raises(ConnectionRefusedError):
            await epmd.names(LOOPBACK, 4369)
    assert server.snapshot()["not_local"] > 0  # a refused registration is tried again for a moment
    assert server.names == {"a": 1}
    await a.close()
    await server.stop()


@pytest.mark.loops("sim")
async def test_loopback_only_unless_told():
    with simnet.host("n1"):
        closed, opened = EpmdServer(4369, []), EpmdServer(4370, ["n1"])
        assert await closed.start()
        assert await opened.start()
    with simnet.host("n2"):
        assert await epmd.names("n1", 4370) == {}
        with pytest.raises(ConnectionRefusedError):
            await epmd.names("n1", 4369)
    with simnet.host("n1"):
        assert await epmd.names(LOOPBACK, 4370) == {}
    await closed.stop()
    await opened.stop()


@pytest.mark.loops("sim")
async def test_the_environment_may_tell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ERL_EPMD_PORT", "4444")
    monkeypatch.setenv("ERL_EPMD_ADDRESS", "n1")
    with simnet.host("n1"):
        server = EpmdServer()
        assert await server.start()
    with simnet.host("n2"):
        assert await epmd.names("n1") == {}
    await server.stop()


# --- who serves


async def test_one_server_has_the_port():
    async with served() as server:
        other = EpmdServer(server.port, ())
        assert not await other.start()
        assert not other.serving
        assert server.serving
        assert await epmd.names(LOOPBACK, server.port) == {}
    assert await other.start(), "free at once, whatever is left of old connections"
    await other.stop()


async def test_the_whole_machine_is_no_other_port():
    async with served(addresses=["0.0.0.0"]) as wide:
        assert not await EpmdServer(wide.port, ()).start()
    async with served() as narrow:
        assert not await EpmdServer(narrow.port, ["0.0.0.0"]).start()


@pytest.mark.parametrize("times", range(5))
async def test_of_many_that_start_at_once_one_serves(times: int):
    port = free_port()
    servers = [EpmdServer(port, ()) for _ in range(8)]
    assert sorted(await asyncio.gather(*(server.start() for server in servers))) == [False] * 7 + [True]
    for server in servers:
        await server.stop()


@pytest.mark.loops("asyncio", "uvloop")
async def test_who_binds_in_time_and_listens_too_late_does_not_serve(monkeypatch: pytest.MonkeyPatch):
    """Two sockets with SO_REUSEADDR may be bound to one port; it is listen() that only one of them can do."""
    port = free_port()
    create_server = asyncio.get_running_loop().create_server
    with socket.socket() as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind((LOOPBACK, port))

        async def bind(*args: Any, **options: Any) -> Any:
            bound = await create_server(*args, **options)
            rival.listen()
            return bound

        monkeypatch.setattr(asyncio.get_running_loop(), "create_server", bind)
        assert not await EpmdServer(port, ()).start()


async def test_an_address_that_is_not_ours_is_left_out(caplog: pytest.LogCaptureFixture):
    async with served(addresses=["192.0.2.99"]) as server:
        assert await epmd.names(LOOPBACK, server.port) == {}
    assert "192.0.2.99" in caplog.text


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_port_that_may_not_be_bound():
    server = EpmdServer(-1, ())
    with pytest.raises((OSError, OverflowError)):
        await server.start()
    assert not server.serving


async def test_stopping_twice_and_never_started():
    server = EpmdServer(free_port(), ())
    await server.stop()
    assert await server.start()
    await server.stop()
    await server.stop()


async def test_a_port_that_was_in_use_a_moment_ago_can_be_served():
    """The server closes first here, so that it is its own port that stays in TIME_WAIT."""
    port = free_port()
    for _ in range(3):
        server = EpmdServer(port, ())
        assert await server.start()
        raw = await Raw.open(server, epmd.encode_request(Alive(PortInfo("a", 1))))
        await raw.reader.readexactly(6)
        await epmd.names(LOOPBACK, port)
        await server.stop()
        await raw.close()


# --- taking over


class Knot:
    """What a node does: a registration, and the server when it is its turn."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.server = EpmdServer(port, ())

    async def start(self) -> Knot:
        self.registration = await epmd.register(self.name, 1, epmd_port=self.port, serve=self._serve)
        return self

    async def _serve(self) -> bool:
        self.server = EpmdServer(self.port, ())
        return await self.server.start()

    async def stop(self) -> None:
        await self.registration.close()
        await self.server.stop()


async def test_another_node_takes_over_and_all_names_come_back():
    port = free_port()
    nodes = list(await asyncio.gather(*(Knot(name, port).start() for name in "abcdefgh")))
    while nodes:
        (serving,) = [node for node in nodes if node.server.serving]
        names = {node.name for node in nodes}
        assert (await epmd.names(LOOPBACK, port)).keys() == names
        nodes.remove(serving)
        await serving.stop()
        await until(lambda: all(node.registration.registered and node.registration.count for node in nodes))
        await until(lambda: sum(len(node.server.names) for node in nodes) == len(nodes))
    with pytest.raises(ConnectionRefusedError):
        await epmd.names(LOOPBACK, port)


@pytest.mark.loops("sim")
async def test_names_are_complete_within_a_second():
    nodes = [await Knot(f"n{i}", 4369).start() for i in range(50)]
    assert nodes[0].server.serving
    await nodes[0].server.stop()
    await asyncio.sleep(1.0)
    assert len(await epmd.names(LOOPBACK, 4369)) == 50
    assert sum(node.server.serving for node in nodes) == 1
    for node in nodes:
        await node.stop()
    await asyncio.sleep(1.0)
