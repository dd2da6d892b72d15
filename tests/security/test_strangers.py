"""Who has no cookie: nothing he sends is believed, unpickled or kept, and each attempt is one line in the log."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.errors import CookieMismatch, NameInUse, NotConnected
from tests.security.ground import (
    COOKIE,
    OTHER,
    closed,
    cluster,
    initiator,
    is_well,
    peers_of,
    port_of,
    quiet,
    raw,
    until,
    warnings_of,
)

pytestmark = pytest.mark.loops("asyncio", "uvloop")

FLOOD = 200  # connections at once
LIMIT = 64  # max_half_open


async def _connect(name: str) -> None:
    await bp.connect(name)


async def test_a_wrong_cookie_is_one_line_at_each_end(caplog):
    async with cluster("a") as [a], cluster("b", cookie=OTHER) as [b]:
        peers_of(b).listeners.discovery._nodes.table[a.name] = f"127.0.0.1:{port_of(a)}"
        for _ in range(3):
            with pytest.raises(CookieMismatch):
                await b.run(_connect, a.name)
        await until(quiet(a, b))
        said = warnings_of(caplog)
        assert len([line for line in said if "refused a connection" in line]) == 3
        assert len([line for line in said if "refused a connection" not in line]) == 1, "the same failure is said once"
        assert not peers_of(a).nodes("all")
        assert COOKIE not in caplog.text
        assert OTHER not in caplog.text


@pytest.mark.parametrize("cookie", ["", "   ", b"", "\n"])
async def test_an_empty_cookie_is_none(cookie: Any):
    with pytest.raises(ValueError, match="empty"):
        async with bp.Node("a@127.0.0.1", cookie=cookie):
            pass


async def test_a_handshake_with_an_empty_key_is_refused(caplog):
    async with cluster("a") as [a]:
        reader, writer = await raw(a)
        machine = initiator("evil@127.0.0.1", a, "x")
        machine._keys = (b"",)
        writer.write(machine.output())
        machine.feed(await reader.read(4096))
        writer.write(machine.output())
        await closed(reader)
        writer.close()
        await until(quiet(a))
        assert len(warnings_of(caplog)) == 1


class Touch:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("after", [b"", bytes.fromhex("8b6265616d707901")], ids=["at once", "after the opening"])
async def test_nothing_is_unpickled_before_the_handshake(tmp_path: Path, caplog, after: bytes):
    trap = tmp_path / "trap"
    body = pickle.dumps(Touch(trap), 5)
    frame = struct.pack(">IBBIQQ", 22 + len(body), 1, 0, 1, 1, 1) + body
    async with cluster("a", "b") as [a, b]:
        for data in (body, frame, struct.pack(">H", len(body) + 1) + b"\0" + body):
            reader, writer = await raw(a)
            writer.write(after + data)
            await closed(reader)
            writer.close()
        await until(quiet(a))
        assert not trap.exists()
        assert len(warnings_of(caplog)) == 3
        await is_well(b, a)


async def test_a_recorded_handshake_convinces_nobody(caplog):
    """All that a good initiator sent, sent again."""
    async with cluster("a") as [a]:
        reader, writer = await raw(a)
        machine = initiator("good@127.0.0.1", a)
        first = machine.output()
        writer.write(first)
        while not machine.done:
            machine.feed(await reader.read(4096))
            if not machine.done:
                second = machine.output()
                writer.write(second)
        await until(lambda: peers_of(a).nodes("all"))
        writer.close()
        await until(lambda: not peers_of(a).nodes("all"))
        caplog.clear()
        for parts in ((first, second), (first + second,), (second,), (first, first)):
            reader, writer = await raw(a)
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.02)
            await closed(reader)
            writer.close()
        await until(quiet(a))
        assert not peers_of(a).nodes("all")
        assert len(warnings_of(caplog)) == 4


async def test_a_reflected_handshake_convinces_nobody():
    """A node connects to a mirror, which sends its own words back, or carries them to the node's own door."""

    async def mirror(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(mirror, "127.0.0.1", 0)
    at = {"b@127.0.0.1": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    with contextlib.closing(server):
        async with cluster("a", at=at) as [a]:
            with pytest.raises(NotConnected):
                await a.run(_connect, "b@127.0.0.1")
            own = peers_of(a).listeners.discovery._nodes.table
            own["b@127.0.0.1"] = f"127.0.0.1:{port_of(a)}"
            with pytest.raises(NotConnected):
                await a.run(_connect, "b@127.0.0.1")
            await until(quiet(a))
            assert not peers_of(a).nodes("all")
    await server.wait_closed()


@pytest.mark.parametrize("size", [0xFFFF, 4097])
async def test_an_oversized_frame_before_the_handshake_is_refused_at_once(size: int, caplog):
    async with cluster("a") as [a]:
        reader, writer = await raw(a)
        writer.write(bytes.fromhex("8b6265616d707901") + struct.pack(">H", size))
        await closed(reader)
        writer.close()
        await until(quiet(a))
        assert len(warnings_of(caplog)) == 1


async def test_a_flood_of_slow_connections(caplog):
    """Two hundred that say a byte at a time: a good node still connects, the table is bounded, all end in time."""
    async with cluster("a", "b", setup_timeout=1.0) as [a, b]:
        most = 0
        hello = initiator("evil@127.0.0.1", a).output()

        async def drip() -> None:
            reader, writer = await raw(a)
            try:
                for byte in hello:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.1)
                await reader.read()
            except ConnectionError:
                pass
            finally:
                writer.close()

        dripping = [asyncio.ensure_future(drip()) for _ in range(FLOOD)]
        for _ in range(20):
            await asyncio.sleep(0.01)
            open_now = [one for one in peers_of(a).half_open if one.error is None]
            most = max(most, len(open_now))
        assert most <= LIMIT + 1
        assert most > LIMIT / 2
        await is_well(b, a)
        await until(lambda: not peers_of(a).half_open)
        for task in dripping:
            task.cancel()
        await asyncio.gather(*dripping, return_exceptions=True)


async def test_every_flipped_byte_of_the_handshake_is_found():
    """A proxy changes one byte, at each place, in each direction: no connection, no hang, nothing left."""
    flips: dict[str, int | None] = {"there": None, "back": None}
    sizes = {"there": 0, "back": 0}

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        at = 0
        try:
            while data := await reader.read(4096):
                flip = flips[way]
                if flip is not None and at <= flip < at + len(data):
                    data = data[: flip - at] + bytes([data[flip - at] ^ 0x10]) + data[flip - at + 1 :]
                at += len(data)
                writer.write(data)
        except ConnectionError:
            pass
        sizes[way] = max(sizes[way], at)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port_of(a))
        await asyncio.gather(pipe(reader, far_writer, "there"), pipe(far_reader, writer, "back"))

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    with contextlib.closing(server):
        async with cluster("a", "b", setup_timeout=0.2) as [a, b]:
            peers_of(b).listeners.discovery._nodes.table[a.name] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            # How long the handshake is: both machines without a network.
            there, back = _lengths(a.name, b.name)
            places = [("there", n) for n in range(there)] + [("back", n) for n in range(back)]
            for way, place in places:
                flips.update(there=None, back=None)
                flips[way] = place
                with pytest.raises(NotConnected):
                    await b.run(_connect, a.name)
            await until(quiet(a, b))
            await until(lambda: not peers_of(a).nodes("all"))
            flips.update(there=None, back=None)
            for node in (a, b):  # what must end by itself ends soon; what must come through is given its time
                peers_of(node).options = dataclasses.replace(peers_of(node).options, setup_timeout=3.0)
            await is_well(b, a)
    await server.wait_closed()


def _lengths(acceptor: str, name: str) -> tuple[int, int]:
    from beampy.wire.handshake import Acceptor, Identity, Initiator, Status
    from tests.security.ground import FEATURES

    one = Initiator(Identity(name, 77, FEATURES, FEATURES), [b"x"], peer=acceptor, nonce=bytes(32))
    two = Acceptor(Identity(acceptor, 78, FEATURES, FEATURES), [b"x"], nonce=bytes([1]) * 32)
    said = one.output()
    there, back = len(said), 0
    two.feed(said)
    answer = two.output()
    back += len(answer)
    one.feed(answer)
    said = one.output()
    there += len(said)
    two.feed(said)
    two.answer(Status.OK)
    return there, back + len(two.output())


async def test_the_own_name_is_in_use(caplog):
    async with cluster("a") as [a]:
        async with cluster("a", at={"b@127.0.0.1": f"127.0.0.1:{port_of(a)}"}) as [other]:
            with pytest.raises(NameInUse):
                await other.run(_connect, "b@127.0.0.1")
        await until(quiet(a))
        assert len([line for line in warnings_of(caplog) if "refused a connection" in line]) == 1
