"""EPMD: the bytes, and a client against servers that do as they please."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.dist import epmd
from beampy.dist.epmd import Alive, AliveAnswer, Names, PortAnswer, PortInfo, PortPlease, Refused
from beampy.errors import NameInUse, RemoteProtocolError
from tests.unit.dist.ports import free_port, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LOOPBACK = "127.0.0.1"

# --- the bytes

ALIVE = bytes.fromhex("0011 78 238c 4d 00 0006 0006 0001 61 0003 010203")


def test_requests_are_the_documented_bytes():
    assert epmd.encode_request(Alive(PortInfo("a", 9100, b"\1\2\3"))) == ALIVE
    assert epmd.encode_request(Alive(PortInfo("a", 9100, hidden=True)))[5] == 72
    assert epmd.encode_request(PortPlease("b")) == bytes.fromhex("0002 7a 62")
    assert epmd.encode_request(Names()) == bytes.fromhex("0001 6e")
    assert epmd.encode_request(Refused(kill=True)) == bytes.fromhex("0001 6b")


def test_answers_are_the_documented_bytes():
    assert epmd.encode_alive_answer(0, 0x01020304, 6) == bytes.fromhex("76 00 01020304")
    assert epmd.encode_alive_answer(1, 3, 5) == bytes.fromhex("79 01 0003")
    assert epmd.encode_port_answer(None) == bytes.fromhex("77 01")
    found = epmd.encode_port_answer(PortInfo("a", 9100, b"\1\2\3"))
    assert found == bytes.fromhex("77 00") + ALIVE[3:]
    assert epmd.encode_names_answer(4369, {"a": 1, "b": 2}) == b"\0\0\x11\x11name a at port 1\nname b at port 2\n"


# What the epmd of OTP 25 answered to these requests.
def test_a_real_answer_is_read():
    assert epmd.decode_alive_answer(bytes.fromhex("76 00 6b0180c0")) == AliveAnswer(0, 0x6B0180C0)
    assert epmd.decode_alive_answer(bytes.fromhex("76 01 00000063")) == AliveAnswer(1, 99)
    assert epmd.decode_alive_answer(bytes.fromhex("79 00 0003")) == AliveAnswer(0, 3)
    answer = bytes.fromhex("77 00 238c 4d 00 0006 0006 0001 61 0002 7878")
    assert epmd.decode_port_answer(answer) == PortAnswer(PortInfo("a", 9100, b"xx"))
    assert epmd.decode_port_answer(bytes.fromhex("77 01")) == PortAnswer(None)
    names = b"\x00\x00\x5b\x73name x@y at port 9100\nname b at port 1\n"
    assert epmd.decode_names_answer(names) == {"x@y": 9100, "b": 1}


node_names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="@"), min_size=1, max_size=50)
infos = st.builds(
    PortInfo,
    node_names.filter(str.isprintable),
    st.integers(0, 65535),
    st.binary(max_size=512),
    st.booleans(),
    st.integers(0, 255),
    st.integers(0, 65535),
    st.integers(0, 65535),
)


@given(st.builds(Alive, infos) | st.builds(PortPlease, node_names.filter(str.isprintable)) | st.just(Names()))
def test_a_request_reads_back_and_no_part_of_it_does(request: epmd.Request):
    data = epmd.encode_request(request)
    assert epmd.decode_request(data) == request
    assert all(epmd.decode_request(data[:size]) is None for size in range(len(data)))
    with pytest.raises(RemoteProtocolError):
        epmd.decode_request(data + b"\0")


@given(infos)
def test_an_answer_reads_back_and_no_part_of_it_does(info: PortInfo):
    data = epmd.encode_port_answer(info)
    assert epmd.decode_port_answer(data) == PortAnswer(info)
    assert all(epmd.decode_port_answer(data[:size]) is None for size in range(len(data)))


@given(st.dictionaries(node_names.filter(str.isprintable), st.integers(0, 65535)))
def test_a_list_of_names_reads_back(names: dict[str, int]):
    data = epmd.encode_names_answer(4369, names)
    assert epmd.decode_names_answer(data) == names
    cuts = [data[:size] for size in range(len(data)) if size < 4 or (size > 4 and data[size - 1 : size] != b"\n")]
    assert all(epmd.decode_names_answer(cut) is None for cut in cuts)


@given(st.binary(max_size=80), st.sampled_from([120, 122, 110, 107, 115, 118, 121, 119, 0]))
def test_garbage_is_a_protocol_error_or_a_value(data: bytes, kind: int):
    requests = [data, len(data).to_bytes(2, "big") + data, (len(data) + 1).to_bytes(2, "big") + bytes([kind]) + data]
    calls: list[tuple[Callable[[bytes], object], bytes]] = [(epmd.decode_request, request) for request in requests]
    for decode in (epmd.decode_alive_answer, epmd.decode_port_answer, epmd.decode_names_answer):
        calls += [(decode, data), (decode, bytes([kind]) + data)]
    for decode, value in calls:
        with contextlib.suppress(RemoteProtocolError):
            decode(value)


@pytest.mark.parametrize(
    "request_",
    [
        "0000",  # empty
        "0801",  # longer than any
        "ffff",
        "0001 ff",  # of no kind
        "0001 7a",  # no name
        "0002 7a 0a",  # a name that would forge a line of the list
        "0002 7a ff",  # not UTF-8
        "0001 78",
        "000e 78 238c 4d 00 0006 0006 0002 61 0000",  # a name that goes on beyond the end
        "000f 78 238c 4d 00 0006 0006 0001 61 0000 00",  # bytes after the end
        "000e 78 238c 01 00 0006 0006 0001 61 0000",  # a node of no type
        "000d 78 238c 4d 00 0006 0006 0000 0000",  # no name
    ],
)
def test_a_request_that_is_none(request_: str):
    with pytest.raises(RemoteProtocolError):
        epmd.decode_request(bytes.fromhex(request_))


def test_lines_that_are_no_names_are_passed_over():
    assert epmd.decode_names_answer(b"\0\0\0\0hello\nname a at port x\nname b at port 2\n\xff\n") == {"b": 2}


@pytest.mark.parametrize("name", ["", "a@b", "a\nb", "x" * 1021])
def test_names_that_cannot_be_asked_for(name: str):
    with pytest.raises(ValueError):
        epmd.encode_request(PortPlease(name))


def test_an_extra_that_is_too_long_is_refused():
    with pytest.raises(ValueError):
        epmd.encode_request(Alive(PortInfo("a", 1, bytes(2048))))


def test_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ERL_EPMD_PORT", raising=False)
    monkeypatch.delenv("ERL_EPMD_ADDRESS", raising=False)
    assert epmd.default_port() == 4369
    assert epmd.default_addresses() == ()
    monkeypatch.setenv("ERL_EPMD_PORT", "5000")
    monkeypatch.setenv("ERL_EPMD_ADDRESS", "10.0.0.1, fd00::1,")
    assert epmd.default_port() == 5000
    assert epmd.default_addresses() == ("10.0.0.1", "fd00::1")
    for bad in ("x", "0", "65536", "-1", "\u0661"):
        monkeypatch.setenv("ERL_EPMD_PORT", bad)
        with pytest.raises(ValueError, match="ERL_EPMD_PORT"):
            epmd.default_port()


# --- the client


class Served(asyncio.Protocol):
    """The far end of a connection: what it received, and a script that answers the request."""

    def __init__(self, script: Callable[[asyncio.Transport], object]) -> None:
        self._script = script
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) == 2 + int.from_bytes(self.received[:2], "big"):
            self._script(self.transport)


class Scripted:
    """A server of which each connection does what `script` says."""

    def __init__(self, script: Callable[[asyncio.Transport], object], port: int) -> None:
        self._script = script
        self.port = port
        self.clients: list[Served] = []
        self._server: Any = None

    def _accept(self) -> Served:
        self.clients.append(Served(self._script))
        return self.clients[-1]

    async def open(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._accept, LOOPBACK, self.port)

    async def close(self) -> None:
        self._server.close()
        for client in self.clients:
            client.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def scripted(*parts: bytes, close: bool = True) -> AsyncIterator[Scripted]:
    """A server that answers with these parts, some time apart."""

    def script(transport: asyncio.Transport) -> None:
        left = list(parts)

        def step() -> None:  # one timer after the other: uvloop's, of one millisecond, have no order
            if transport.is_closing():
                return
            if left:
                transport.write(left.pop(0))
                asyncio.get_running_loop().call_later(0.001, step)
            elif close:
                transport.close()

        step()

    server = Scripted(script, free_port())
    await server.open()
    try:
        yield server
    finally:
        await server.close()


async def test_a_lookup_reads_an_answer_in_any_pieces():
    info = PortInfo("b", 9100, b"extra")
    answer = epmd.encode_port_answer(info)
    async with scripted(*(answer[at : at + 1] for at in range(len(answer)))) as server:
        assert await epmd.lookup(LOOPBACK, "b", server.port) == info
    assert server.clients[0].received == bytes.fromhex("0002 7a 62")


async def test_a_lookup_needs_no_end_of_the_stream():
    async with scripted(b"\x77\x01", close=False) as server:
        assert await epmd.lookup(LOOPBACK, "b", server.port) is None


async def test_names_are_complete_at_the_end_of_the_stream():
    async with scripted(b"\0\0\x11\x11name a at po", b"rt 1\n", b"name b at port 2\n") as server:
        assert await epmd.names(LOOPBACK, server.port) == {"a": 1, "b": 2}


def ask_lookup(port: int) -> Awaitable[object]:
    return epmd.lookup(LOOPBACK, "b", port)


def ask_names(port: int) -> Awaitable[object]:
    return epmd.names(LOOPBACK, port)


async def ask_register(port: int) -> None:
    registration = await epmd.register("a", 9100, epmd_port=port)
    await registration.close()


asking = pytest.mark.parametrize("ask", [ask_lookup, ask_names, ask_register])
Ask = "Callable[[int], Awaitable[object]]"


@asking
async def test_nobody_listens(ask: Ask):
    with pytest.raises(ConnectionRefusedError):
        await ask(free_port())


@asking
async def test_a_server_that_hangs_up(ask: Ask):
    async with scripted() as server:
        with pytest.raises((ConnectionResetError, RemoteProtocolError)):
            await ask(server.port)


@asking
async def test_a_server_that_has_gone_before_it_is_asked(ask: Ask, monkeypatch: pytest.MonkeyPatch):
    loop = asyncio.get_running_loop()
    create_connection = loop.create_connection

    class HangsUp(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.abort()

    async def late(*args: Any) -> Any:
        made = await create_connection(*args)
        await until(made[0].is_closing)
        await asyncio.sleep(0.01)
        return made

    port = free_port()
    server = await loop.create_server(HangsUp, LOOPBACK, port)
    monkeypatch.setattr(loop, "create_connection", late)
    try:
        with pytest.raises(ConnectionResetError):
            await ask(port)
    finally:
        server.close()


@asking
async def test_a_server_that_says_nothing(ask: Ask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd, "DEADLINE", 0.1)
    async with scripted(close=False) as server:
        with pytest.raises(TimeoutError):
            await ask(server.port)


@asking
async def test_a_server_that_drips(ask: Ask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd, "DEADLINE", 0.1)

    def drip(transport: asyncio.Transport, byte: bytes = b"\x77") -> None:
        if not transport.is_closing():
            transport.write(byte)
            asyncio.get_running_loop().call_later(0.03, drip, transport, b"\0")

    server = Scripted(drip, free_port())
    await server.open()
    try:
        with pytest.raises((TimeoutError, RemoteProtocolError)):
            await ask(server.port)
    finally:
        await server.close()


@asking
async def test_a_server_that_speaks_something_else(ask: Ask):
    async with scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        with pytest.raises(RemoteProtocolError):
            await ask(server.port)


async def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd, "MAX_NAMES", 1000)
    async with scripted(b"\0\0\0\0" + b"name a at port 1\n" * 100) as server:
        with pytest.raises(RemoteProtocolError, match="more than 1000 bytes"):
            await epmd.names(LOOPBACK, server.port)


@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("host", ["no..name", "x" * 64])
async def test_a_host_that_cannot_be_a_name(host: str):
    with pytest.raises(socket.gaierror):
        await epmd.lookup(host, "b", 4369)


# --- registrations

YES = epmd.encode_alive_answer(0, 7, 6)
NO = epmd.encode_alive_answer(1, 99, 6)


async def test_registering_keeps_the_connection():
    async with scripted(YES, close=False) as server:
        registration = await epmd.register("a", 9100, b"\1\2\3", epmd_port=server.port)
        assert registration.registered
        (client,) = server.clients
        assert client.received == ALIVE
        assert not client.transport.is_closing()
        await registration.close()
        assert not registration.registered
        await until(client.transport.is_closing)
        await registration.close()


async def test_a_name_that_is_taken():
    async with scripted(NO) as server:
        with pytest.raises(NameInUse, match=f"the name a is taken.*{server.port}"):
            await epmd.register("a", 9100, epmd_port=server.port)
    assert len(server.clients) > 1, "the node that had it may just be ending"


async def test_a_name_that_was_taken_a_moment_ago():
    answers = [NO, YES]
    server = Scripted(lambda transport: transport.write(answers.pop(0)), free_port())
    await server.open()
    registration = await epmd.register("a", 9100, epmd_port=server.port)
    assert (registration.registered, registration.count) == (True, 1)
    await registration.close()
    await server.close()


async def test_it_registers_again_when_the_connection_breaks():
    async with scripted(YES, close=False) as server:
        registration = await epmd.register("a", 9100, epmd_port=server.port)
        for times in (2, 3):
            server.clients[-1].transport.abort()
            await until(lambda times=times: registration.count == times)
        assert registration.registered
        assert [client.received for client in server.clients[1:]] == [server.clients[0].received] * 2
        await registration.close()


async def test_it_registers_again_with_a_server_that_comes_up_later(caplog: pytest.LogCaptureFixture):
    port = free_port()
    servers = [Scripted(lambda transport: transport.write(YES), port) for _ in range(2)]
    await servers[0].open()
    registration = await epmd.register("a", 9100, epmd_port=port)
    await servers[0].close()
    await until(lambda: registration.trouble)
    assert not registration.registered
    await asyncio.sleep(0.2)
    await servers[1].open()
    await until(lambda: registration.registered)
    assert registration.trouble is None
    assert len(servers[1].clients) == 1
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1, "an outage is said once"
    await registration.close()
    await servers[1].close()


async def test_it_keeps_asking_for_a_name_that_somebody_else_took():
    answers = [YES, NO, NO, YES]
    server = Scripted(lambda transport: transport.write(answers.pop(0)), free_port())
    await server.open()
    registration = await epmd.register("a", 9100, epmd_port=server.port)
    server.clients[0].transport.abort()
    await until(lambda: registration.count == 2)
    assert answers == []
    await registration.close()
    await server.close()


async def test_it_can_be_closed_while_it_has_no_server():
    port = free_port()
    server = Scripted(lambda transport: transport.write(YES), port)
    await server.open()
    registration = await epmd.register("a", 9100, epmd_port=port)
    await server.close()
    await until(lambda: registration.trouble)
    await registration.close()


@pytest.mark.loops("sim")
async def test_a_server_that_hangs_up_on_everybody_is_asked_once_a_second():
    loop = asyncio.get_running_loop()

    def script(transport: asyncio.Transport) -> None:
        transport.write(YES)
        loop.call_later(0.01, transport.close)

    server = Scripted(script, free_port())
    await server.open()
    registration = await epmd.register("a", 9100, epmd_port=server.port)
    await asyncio.sleep(60)
    assert 50 < len(server.clients) < 80
    await registration.close()
    await server.close()


async def test_serve_is_asked_when_nobody_listens():
    port = free_port()
    server = Scripted(lambda transport: transport.write(YES), port)
    calls = []

    async def serve() -> bool:
        calls.append(None)
        if len(calls) < 3:
            return False  # somebody else has the port, and does not listen yet
        await server.open()
        return True

    registration = await epmd.register("a", 9100, epmd_port=port, serve=serve)
    assert len(calls) == 3
    await server.close()
    await until(lambda: registration.count == 2 or len(calls) > 3)
    await registration.close()
    await server.close()


async def test_what_serve_cannot_do_is_raised():
    async def serve() -> bool:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        await epmd.register("a", 9100, epmd_port=free_port(), serve=serve)


async def test_a_winner_that_never_listens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd, "DEADLINE", 0.1)

    async def serve() -> bool:
        return False

    with pytest.raises(TimeoutError):
        await epmd.register("a", 9100, epmd_port=free_port(), serve=serve)


async def test_a_connection_to_itself_is_nobody(monkeypatch: pytest.MonkeyPatch):
    class Itself(asyncio.Transport):
        def abort(self) -> None:
            self.talk.connection_lost(None)

    async def create_connection(factory: Callable[[], Any], *_: object) -> tuple[Any, Any]:
        transport = Itself({"sockname": (LOOPBACK, 5), "peername": (LOOPBACK, 5)})
        transport.talk = factory()
        transport.talk.connection_made(transport)
        return transport, transport.talk

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
    with pytest.raises(ConnectionRefusedError):
        await epmd.lookup(LOOPBACK, "b", 5)
