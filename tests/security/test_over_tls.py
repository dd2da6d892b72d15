"""TLS between nodes: who is in the middle is found, who changes a byte ends the connection, who is slow is given up."""

from __future__ import annotations

import asyncio

import pytest

import beampy as bp
from beampy.dist import tls
from beampy.errors import NotConnected
from tests.security.ground import closed, cluster, is_well, peers_of, port_of, quiet, until, warnings_of

pytestmark = pytest.mark.loops("asyncio", "uvloop")


async def _connect(name: str) -> None:
    await bp.connect(name)


async def test_somebody_in_the_middle_with_another_certificate_is_found(caplog):
    own = tls.contexts()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(data)
        except OSError:
            pass
        writer.close()

    async def middle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port_of(a), ssl=own.client)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    server = await asyncio.start_server(middle, "127.0.0.1", 0, ssl=own.server)
    async with cluster("a", "b", tls=True, setup_timeout=0.5) as [a, b]:
        table = peers_of(b).listeners.discovery._nodes.table
        table[a.name] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(NotConnected):
            await b.run(_connect, a.name)
        await until(quiet(a, b))
        assert len([line for line in warnings_of(caplog) if "refused a connection" in line]) == 1
        table[a.name] = f"127.0.0.1:{port_of(a)}"
        await is_well(b, a)
    server.close()
    await server.wait_closed()


async def test_a_flipped_byte_ends_the_connection_and_delivers_nothing():
    flip = asyncio.Event()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                if flip.is_set():
                    data = data[:-1] + bytes([data[-1] ^ 1])
                writer.write(data)
        except OSError:
            pass
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port_of(a))
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with cluster("a", "b", tls=True, setup_timeout=0.5) as [a, b]:
        peers_of(b).listeners.discovery._nodes.table[a.name] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        got: list[object] = []

        async def keep() -> None:
            while True:
                got.append(await bp.receive())

        pid = a.spawn(keep)

        async def send(message: str) -> None:
            bp.send(pid, message)

        await b.run(send, "good")
        await until(lambda: got == ["good"])
        flip.set()
        await b.run(send, "changed on the way")
        await until(lambda: not peers_of(a).nodes())
        assert got == ["good"]
    server.close()
    await server.wait_closed()


async def test_who_never_begins_tls_is_given_up():
    async with cluster("a", "b", tls=True, setup_timeout=0.5) as [a, b]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(a))
        await closed(reader)
        writer.close()
        await until(quiet(a))
        await is_well(b, a)


async def test_plain_words_at_a_tls_port_are_refused():
    async with cluster("a", "b", tls=True, setup_timeout=0.5) as [a, b]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(a))
        writer.write(bytes.fromhex("8b6265616d707901") * 100)
        await closed(reader)
        writer.close()
        await is_well(b, a)


async def test_a_node_that_wants_tls_does_not_connect_without():
    async with cluster("a", tls=False) as [a], cluster("b", tls=True, setup_timeout=0.5) as [b]:
        peers_of(b).listeners.discovery._nodes.table[a.name] = f"127.0.0.1:{port_of(a)}"
        with pytest.raises(NotConnected):
            await b.run(_connect, a.name)
