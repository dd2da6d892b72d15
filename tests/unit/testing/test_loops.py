"""One body, three loops: what asyncio and uvloop do, the simulator does too."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path

import pytest


class Recorder(asyncio.Protocol):
    """Keeps what happens to it, and lets tests wait for it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.events: list[str] = []
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.made = asyncio.Event()
        self.eof = asyncio.Event()
        self.resumed = asyncio.Event()
        self.keep_open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.events.append("made")
        self.made.set()

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data

    def eof_received(self) -> bool:
        self.events.append("eof")
        self.eof.set()
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")
        self.resumed.set()


class Pair:
    """A server with one connection to it: `client` and `server` are the two protocols."""

    def __init__(self, make=Recorder) -> None:
        self.make = make

    async def __aenter__(self) -> Pair:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[Recorder] = loop.create_future()

        def accept() -> Recorder:
            protocol = self.make()
            accepted.set_result(protocol)
            return protocol

        self.listener = await loop.create_server(accept, "127.0.0.1", 0)
        self.port = self.listener.sockets[0].getsockname()[1]
        _, self.client = await loop.create_connection(Recorder, "127.0.0.1", self.port)
        self.server = await accepted
        await self.server.made.wait()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for protocol in (self.client, self.server):
            protocol.transport.abort()
            await protocol.lost
        self.listener.close()
        await self.listener.wait_closed()


async def serve_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for number in range(20):
        writer.write(b"%d\n" % number)
        assert await reader.readline() == b"%d\n" % number
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_echo_over_tcp() -> None:
    server = await asyncio.start_server(serve_echo, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(60):
            await converse(*await asyncio.open_connection("127.0.0.1", port))
    await server.wait_closed()


async def test_echo_over_a_unix_socket() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "echo"))
        async with await asyncio.start_unix_server(serve_echo, path) as server:
            await converse(*await asyncio.open_unix_connection(path))
        await server.wait_closed()


async def test_sleep_and_timeouts() -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await asyncio.sleep(0.01)
    assert loop.time() > before
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await loop.create_future()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(loop.create_future(), 0.001)
    assert await asyncio.wait_for(asyncio.sleep(0, "kept"), 10) == "kept"


async def test_a_task_group_cancels_its_children() -> None:
    ended: list[int] = []

    async def child(number: int) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(number)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def parent() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(child(number))
            group.create_task(fail())

    with pytest.raises(ExceptionGroup) as caught:
        await parent()
    assert caught.group_contains(LookupError)
    assert sorted(ended) == [0, 1, 2, 3, 4]


async def test_functions_in_threads() -> None:
    assert await asyncio.to_thread(pow, 2, 10) == 1024
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(divmod, 1, 0)

    def sees_no_loop() -> bool:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return True

    assert await asyncio.get_running_loop().run_in_executor(None, sees_no_loop)


async def test_call_soon_is_fifo_and_call_at_is_ordered() -> None:
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    done = loop.create_future()
    now = loop.time()
    loop.call_at(now + 0.02, done.set_result, None)
    loop.call_at(now + 0.01, seen.append, "late")
    loop.call_later(0.005, seen.append, "early")
    loop.call_later(0.005, seen.append, "never").cancel()
    for number in range(5):
        loop.call_soon(seen.append, number)
    loop.call_soon_threadsafe(seen.append, 5)
    await done
    assert seen == [0, 1, 2, 3, 4, 5, "early", "late"]


async def test_addresses() -> None:
    async with Pair() as pair:
        client, server = pair.client.transport, pair.server.transport
        assert client.get_extra_info("peername") == ("127.0.0.1", pair.port)
        assert server.get_extra_info("sockname") == ("127.0.0.1", pair.port)
        assert server.get_extra_info("peername") == client.get_extra_info("sockname")
        assert client.get_extra_info("nonsense", "default") == "default"
        assert pair.listener.sockets[0].family == socket.AF_INET
        assert pair.listener.is_serving()


async def test_nobody_listens() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(Recorder, "127.0.0.1", port)
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Recorder, "/nonexistent/socket")


async def test_an_address_is_used_once() -> None:
    async with Pair() as pair:
        with pytest.raises(OSError, match="in use"):
            await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", pair.port)


async def test_close_sends_what_was_written() -> None:
    async with Pair() as pair:
        pair.client.transport.write(b"x" * 300_000)
        pair.client.transport.close()
        pair.client.transport.write(b"dropped")
        assert pair.client.transport.is_closing()
        assert await pair.client.lost is None
        assert await pair.server.lost is None
        assert len(pair.server.data) == 300_000
        assert pair.client.events[-1] == "lost"
        assert pair.server.events == ["made", "eof", "lost"]


async def test_half_close() -> None:
    async with Pair() as pair:
        pair.server.keep_open = True
        assert pair.client.transport.can_write_eof()
        pair.client.transport.write(b"question")
        pair.client.transport.write_eof()
        pair.client.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            pair.client.transport.write(b"more")
        await pair.server.eof.wait()
        assert pair.server.data == b"question"
        pair.server.transport.writelines([b"ans", bytearray(b"we"), memoryview(b"r")])
        pair.server.transport.close()
        assert await pair.client.lost is None
        assert pair.client.data == b"answer"


async def test_abort_drops_what_was_not_sent() -> None:
    async with Pair() as pair:
        pair.server.transport.pause_reading()
        pair.client.transport.write(b"x" * 50_000_000)
        assert pair.client.events == ["made", "pause"]
        pair.client.transport.abort()
        assert await pair.client.lost is None
        pair.server.transport.resume_reading()
        await pair.server.lost
        assert len(pair.server.data) < 50_000_000


async def test_a_reader_that_pauses_stops_its_writer() -> None:
    async with Pair() as pair:
        client, server = pair.client.transport, pair.server.transport
        server.pause_reading()
        server.pause_reading()
        assert not server.is_reading()
        client.set_write_buffer_limits(high=1000, low=100)
        assert client.get_write_buffer_limits() == (100, 1000)
        client.write(b"x" * 20_000_000)
        assert client.get_write_buffer_size() > 1000
        assert pair.client.events == ["made", "pause"]
        await asyncio.sleep(0.01)
        assert pair.server.data == b""
        server.resume_reading()
        assert server.is_reading()
        async with asyncio.timeout(60):
            await pair.client.resumed.wait()
        assert pair.client.events == ["made", "pause", "resume"]
        assert client.get_write_buffer_size() <= 100


async def test_write_takes_a_snapshot_of_bytes_only() -> None:
    async with Pair() as pair:
        with pytest.raises(TypeError):
            pair.client.transport.write("text")  # type: ignore[arg-type]
        buffer = bytearray(b"before")
        pair.client.transport.write(buffer)
        buffer[:] = b"after!"
        pair.client.transport.write(b"")
        pair.client.transport.close()
        await pair.server.lost
        assert pair.server.data == b"before"


async def test_a_protocol_that_raises_loses_its_connection() -> None:
    class Broken(Recorder):
        def data_received(self, data: bytes) -> None:
            raise LookupError("broken")

    problems: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: problems.append(context))
    async with Pair(Broken) as pair:
        pair.client.transport.write(b"x")
        assert isinstance(await pair.server.lost, LookupError)
        await pair.client.lost
    assert [type(problem["exception"]) for problem in problems] == [LookupError]


class Buffered(asyncio.BufferedProtocol):
    """Takes what comes into a buffer of seven bytes."""

    def __init__(self) -> None:
        self.made = asyncio.Event()
        self.buffer = bytearray(7)
        self.data = bytearray()
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.made.set()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self.buffer)
        self.data += self.buffer[:nbytes]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def test_a_buffered_protocol() -> None:
    async with Pair(Buffered) as pair:
        sent = bytes(range(256)) * 40
        pair.client.transport.write(sent)
        pair.client.transport.close()
        assert await pair.server.lost is None
        assert pair.server.data == sent


async def test_a_protocol_can_be_replaced() -> None:
    async with Pair() as pair:
        second = Recorder()
        second.transport = pair.server.transport
        pair.server.transport.set_protocol(second)
        assert pair.server.transport.get_protocol() is second
        pair.client.transport.write(b"to the second")
        pair.client.transport.close()
        await second.lost
        assert second.data == b"to the second"
        pair.server = second


async def test_serve_forever_ends_with_its_server() -> None:
    server = await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", 0, start_serving=False)
    assert not server.is_serving()
    forever = asyncio.create_task(server.serve_forever())
    while not server.is_serving():
        await asyncio.sleep(0)
    forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forever
    assert not server.is_serving()
    await server.wait_closed()


async def test_async_generators_are_closed() -> None:
    closed = asyncio.Event()

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.set()

    async for _ in numbers():
        break
    async with asyncio.timeout(60):
        await closed.wait()
