"""Who has the cookie, and sends what is no protocol: that ends his connection, and nothing else."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import Any

import msgpack
import pytest

import beampy as bp
from beampy.errors import CookieMismatch, NotConnected
from beampy.wire import control
from tests.security.ground import (
    COOKIE,
    OTHER,
    authenticated,
    closed,
    cluster,
    is_well,
    peers_of,
    quiet,
    until,
    warnings_of,
)

pytestmark = pytest.mark.loops("asyncio", "uvloop")

FLIPS = 60  # connections that carry one flipped byte each


async def _connect(name: str) -> None:
    await bp.connect(name)


def _frame(op: int, payload: bytes) -> bytes:
    return struct.pack(">IB", 1 + len(payload), op) + payload


def _control(args: Any, body: bytes = b"", sender: int = 7) -> bytes:
    array = msgpack.packb(args)
    return _frame(4, struct.pack(">BQH", 0, sender, len(array)) + array + body)


BAD = {
    "an oversized frame": struct.pack(">IB", 0xFFFFFFFF, 1),
    "an empty frame": struct.pack(">IB", 0, 0),
    "an unknown op": _frame(99, b"what"),
    "a short header": _frame(1, b"\0\0"),
    "a grant of what was never sent": _frame(8, struct.pack(">I", 1000)),
    "a fragment of no stream": _frame(10, struct.pack(">I", 5) + b"data"),
    "a bulk message beyond every limit": _frame(
        9, struct.pack(">IHQQ", 1, 0, 1 << 62, 1 << 62) + bytes([1]) + struct.pack(">BIQQ", 0, 1, 1, 1)
    ),
    "more nodes than a mesh can have": _control([control.NODES, [f"n{n}@h" for n in range(5_000)]]),
    "ten thousand nodes": _frame(4, struct.pack(">BQH", 0, 7, 0xFFFF) + b"\x92\x09\xdc\x27\x10" + b"\xa3n@h" * 10_000),
    "names that are none": _control([control.NODES, ["no name", "\0@\0"]]),
    "an array without a code": _control(["link"]),
    "an unknown code": _control([77]),
    "a link without its fields": _control([control.LINK]),
    "a link to no number": _control([control.LINK, "one", 2]),
    "a link from nobody": _control([control.LINK, 1, 2], sender=0),
    "a map": _control({"code": 1}),
    "no msgpack": _frame(4, struct.pack(">BQH", 0, 7, 3) + b"\xc1\xc1\xc1"),
    "nesting": _frame(4, struct.pack(">BQH", 0, 7, 60_000) + b"\x91" * 60_000),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
async def test_what_is_no_protocol_ends_that_connection_alone(data: bytes, caplog):
    async with cluster("a", "b") as [a, b]:
        await is_well(b, a)
        reader, writer = await authenticated(a)
        writer.write(data)
        await closed(reader)
        writer.close()
        await until(lambda: peers_of(a).nodes() == ["b@127.0.0.1"])
        said = [line for line in warnings_of(caplog) if "evil" in line and "so that no partitions" not in line]
        assert len(said) == 1, said
        assert peers_of(a).nodes() == ["b@127.0.0.1"]
        await is_well(b, a)


HARMLESS = {
    "a later release's array": _control([200, "whatever"]),
    "a message for nobody": _frame(1, struct.pack(">BIQQ", 0, 1, 1 << 60, 7) + b"x"),
    "a name that nobody has": _frame(3, struct.pack(">BQB", 0, 7, 6) + b"nobody" + b"x"),
    "an answer that nobody waits for": _frame(2, struct.pack(">BIQQ", 0, 1, 5, 7) + b"x"),
    "an exit over no link": _control([control.EXIT, 1, 1, True], b"x"),
    "a down of no monitor": _control([control.DOWN, 1, 1, 99], b"x"),
    "an unlink of no link": _control([control.UNLINK, 1, 1, 1]),
    "a reply to no spawn": _control([control.SPAWN_REPLY, 5, 0], b"x"),
    "a spawn of what is no function": _control([control.SPAWN, 5, {}], b"\x80\x05K\x01."),
    "a spawn with strange options": _control([control.SPAWN, 5, {"name": [1], "link": "x", "what": None}], b"x"),
    "the loss of somebody unknown": _control([control.LOST, "x@127.0.0.1", 5]),
    "the loss of ourselves": _control([control.LOST, "a@127.0.0.1", 5]),
}


@pytest.mark.parametrize("data", HARMLESS.values(), ids=HARMLESS.keys())
async def test_what_leads_nowhere_is_dropped(data: bytes):
    async with cluster("a", "b") as [a, b]:
        reader, writer = await authenticated(a)
        writer.write(data * 3)
        await is_well(b, a)
        assert "evil@127.0.0.1" in peers_of(a).nodes()
        writer.close()
        await closed(reader)
        await until(lambda: peers_of(a).nodes() == ["b@127.0.0.1"])


async def test_garbage_after_authentication_ends_the_connection():
    rng = random.Random(1)
    async with cluster("a", "b") as [a, b]:
        for _ in range(10):
            reader, writer = await authenticated(a)
            writer.write(rng.randbytes(100_000))
            await closed(reader)
            writer.close()
            await until(lambda: "evil@127.0.0.1" not in peers_of(a).nodes())
        await is_well(b, a)


async def test_a_body_that_cannot_be_read_is_its_receivers():
    """It fails in receive(), as DecodeError, and the connection stays."""
    async with cluster("a") as [a]:
        got: list[Any] = []

        async def receiver() -> None:
            try:
                await bp.receive()
            except bp.errors.DecodeError as error:
                got.append(error)
            got.append(await bp.receive())

        pid = a.spawn(receiver)
        _, writer = await authenticated(a)
        for body in (b"\x80\x05garbage", b"\x80\x05K\x07."):
            writer.write(_frame(1, struct.pack(">BIQQ", 0, pid.creation, pid.serial, 7) + body))
        await until(lambda: len(got) == 2)
        assert got[1] == 7
        assert peers_of(a).nodes() == ["evil@127.0.0.1"]
        writer.close()


async def test_a_flipped_byte_on_a_plain_link_harms_one_message_or_one_connection(caplog):
    """Nobody protects the bytes on plain loopback; the nodes survive what comes of it, and work on."""
    rng = random.Random(5)
    flip_at = -1

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, flips: bool) -> None:
        at = 0
        try:
            while data := await reader.read(65536):
                if flips and at <= flip_at < at + len(data):
                    data = bytearray(data)
                    data[flip_at - at] ^= 1 << rng.randrange(8)
                at += len(data)
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", peers_of(a).listeners.port)
        await asyncio.gather(pipe(reader, far_writer, flips=True), pipe(far_reader, writer, flips=False))

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with cluster("a", "b", tick_time=1.0) as [a, b]:
        peers_of(b).listeners.discovery._nodes.table[a.name] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        got: list[Any] = []

        async def keep() -> None:
            while True:
                try:
                    got.append(await bp.receive())
                except bp.errors.DecodeError as error:
                    got.append(error)

        async def send() -> None:
            pid = a.spawn(keep)
            bp.monitor(pid)
            for n in range(20):
                bp.send(pid, ("message", n, "x" * n))
            bp.send(pid, b"y" * 100_000)
            await asyncio.sleep(0.01)
            bp.exit(pid, "kill")

        for _ in range(FLIPS):
            flip_at = -1
            await b.run(_connect, a.name)
            flip_at = 400 + rng.randrange(2500)
            async with asyncio.timeout(10):
                await b.run(send)
            peers_of(b).disconnect(a.name)
            await until(lambda: not peers_of(a).nodes())
        flip_at = -1
        peers_of(a).listeners.discovery._nodes.table.pop(b.name, None)
        await is_well(b, a)
        assert "Traceback" not in caplog.text
    server.close()
    await server.wait_closed()


async def test_who_closes_at_any_moment_leaves_nothing():
    async with cluster("a", "b") as [a, b]:
        for cut in range(0, 40, 3):
            _, writer = await authenticated(a)
            data = _control([control.SPAWN, 5, {}], b"\x80\x05K\x01.") + BAD["an oversized frame"]
            writer.write(data[:cut])
            writer.transport.abort()
            await until(lambda: "evil@127.0.0.1" not in peers_of(a).nodes())
        await until(quiet(a, b))
        await is_well(b, a)


async def test_cookies_are_rotated_without_a_restart():
    async with cluster("a", "b", "c", mesh=False) as [a, b, c]:
        await b.run(_connect, a.name)
        a.cookies.rotate(OTHER)
        assert peers_of(a).nodes(), "connections that are up stay up"
        await c.run(_connect, a.name)  # the old one only, and both
        for node in (b, c):
            peers_of(node).disconnect(a.name)
        await until(lambda: not peers_of(a).nodes())
        await b.run(_connect, a.name)
        b.cookies.rotate(OTHER)
        peers_of(b).disconnect(a.name)
        await until(lambda: not peers_of(a).nodes())
        await b.run(_connect, a.name)
        a.cookies.forget_old()
        b.cookies.forget_old()
        assert peers_of(a).nodes()
        peers_of(b).disconnect(a.name)
        await until(lambda: not peers_of(a).nodes())
        await b.run(_connect, a.name)
        with pytest.raises(CookieMismatch):
            await c.run(_connect, a.name)
        c.cookies.rotate(OTHER)
        await c.run(_connect, a.name)


async def test_a_cookie_for_a_single_node():
    async with cluster("a", "b", "c", mesh=False) as [a, b, c]:
        a.cookies.set_for(b.name, OTHER)
        with pytest.raises(CookieMismatch):
            await b.run(_connect, a.name)
        with pytest.raises(CookieMismatch):
            await a.run(_connect, b.name)
        await c.run(_connect, a.name)
        b.cookies.set_for(a.name, OTHER)
        await b.run(_connect, a.name)
        a.cookies.set_for(b.name, None)
        peers_of(a).disconnect(b.name)
        await until(lambda: not peers_of(b).nodes())
        with pytest.raises(CookieMismatch):
            await b.run(_connect, a.name)


async def test_a_node_without_a_name_has_no_cookies():
    async with bp.Node() as node:
        with pytest.raises(bp.errors.NotInNode):
            _ = node.cookies


async def test_who_is_not_allowed_is_told_and_leaves_nothing(caplog):
    async with cluster("a", allowed=["good@127.0.0.1"]) as [a]:
        with pytest.raises(NotConnected):
            await authenticated(a, cookie=COOKIE)
        await until(quiet(a))
        assert len(warnings_of(caplog)) == 1
