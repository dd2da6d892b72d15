"""Connections of the purpose "code": who has no cookie gets nothing of it, and who has one cannot use it to do harm."""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.dist import purposes
from beampy.errors import HandshakeFailed, NotAllowed, NotConnected
from beampy.wire import requests
from beampy.wire.handshake import Identity, Initiator
from tests.security.ground import (
    COOKIE,
    FEATURES,
    OTHER,
    WAIT,
    closed,
    cluster,
    is_well,
    peers_of,
    quiet,
    raw,
    until,
    warnings_of,
)

pytestmark = pytest.mark.loops("asyncio", "uvloop")

EVIL = "evil@127.0.0.1"
REQUEST = requests.request("entries", [["os"]])
FLOOD = 150  # connections at once
LIMIT = 64  # max_half_open
SECRET = b"the source of everything"


class Code:
    """What the node would answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, op: str, args: list[Any]) -> Any:
        self.asked.append(op)
        return SECRET


@asynccontextmanager
async def serving(*names: str, **options: Any) -> AsyncIterator[tuple[list[bp.Node], Code]]:
    """Nodes, of which the first answers questions about code."""
    async with cluster(*names, **options) as nodes:
        code = Code()
        peers_of(nodes[0]).purposes.register("code", code)
        yield nodes, code
        await until(quiet(*nodes))
    assert not len(peers_of(nodes[0]).purposes)


def machine_to(node: bp.Node, cookie: str = COOKIE, name: str = EVIL, purpose: str = "code") -> Initiator:
    me = Identity(name, 77, FEATURES, FEATURES)
    return Initiator(me, [cookie.encode()], peer=node.name, nonce=os.urandom(32), purpose=purpose)


async def asks(
    node: bp.Node, name: str = EVIL, purpose: str = "code"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of somebody who has the cookie, for code."""
    reader, writer = await raw(node)
    machine = machine_to(node, name=name, purpose=purpose)
    writer.write(machine.output())
    try:
        async with asyncio.timeout(WAIT):
            while not machine.done:
                data = await reader.read(4096)
                if not data:
                    machine.eof()
                machine.feed(data)
                writer.write(machine.output())
    except BaseException:
        writer.close()
        raise
    return reader, writer


# --- without the cookie


async def test_nothing_is_answered_before_the_handshake(caplog):
    async with serving("a", "b") as ([a, b], code):
        hello = machine_to(a).output()
        for data in (
            REQUEST,
            hello[:8] + REQUEST,
            hello + REQUEST,
            hello + hello + REQUEST,
            hello + bytes(40) + REQUEST,
        ):
            reader, writer = await raw(a)
            writer.write(data)
            assert SECRET not in await closed(reader)
            writer.close()
        await until(quiet(a))
        assert not code.asked
        assert not len(peers_of(a).purposes)
        assert len([line for line in warnings_of(caplog) if "refused a connection" in line]) == 5
        await is_well(b, a)


async def test_a_wrong_cookie_gets_nothing(caplog):
    async with serving("a") as ([a], code):
        reader, writer = await raw(a)
        machine = machine_to(a, OTHER)
        writer.write(machine.output())
        machine.feed(await reader.read(4096))
        writer.write(machine.output() + REQUEST)
        assert SECRET not in await closed(reader)
        writer.close()
        await until(quiet(a))
        assert not code.asked
        assert len(warnings_of(caplog)) == 1


async def test_a_request_glued_to_the_proof_is_out_of_turn():
    """Nothing counts before both sides are sure of each other, not even from who has the cookie."""
    async with serving("a") as ([a], code):
        reader, writer = await raw(a)
        machine = machine_to(a)
        writer.write(machine.output())
        machine.feed(await reader.read(4096))
        writer.write(machine.output() + REQUEST)
        assert SECRET not in await closed(reader)
        writer.close()
        assert not code.asked


@pytest.mark.parametrize(("said", "heard"), [("main", "code"), ("code", "main")])
async def test_who_is_in_the_middle_cannot_change_the_purpose(said: str, heard: str):
    async with serving("a") as ([a], code):
        reader, writer = await raw(a)
        machine = machine_to(a, purpose=said)
        hello = machine.output()
        assert hello.count(said.encode()) == 1
        writer.write(hello.replace(said.encode(), heard.encode()))
        machine.feed(await reader.read(4096))
        writer.write(machine.output())
        answer = await closed(reader)
        with pytest.raises(HandshakeFailed):
            machine.feed(answer)
        writer.close()
        assert not code.asked
        assert not peers_of(a).nodes("all")
        assert not len(peers_of(a).purposes)


async def test_half_open_connections_for_code_are_counted_with_all_others():
    async with serving("a", "b", setup_timeout=1.0) as ([a, b], code):
        hello = machine_to(a).output()
        most = 0

        async def drip() -> None:
            reader, writer = await raw(a)
            try:
                writer.write(hello)  # and no proof ever
                await reader.read()
                await reader.read()
            except ConnectionError:
                pass
            finally:
                writer.close()

        dripping = [asyncio.ensure_future(drip()) for _ in range(FLOOD)]
        for _ in range(20):
            await asyncio.sleep(0.01)
            most = max(most, len([one for one in peers_of(a).half_open if one.error is None]))
        assert LIMIT / 2 < most <= LIMIT + 1
        await is_well(b, a)
        _, writer = await asks(a)
        writer.close()
        await until(lambda: not peers_of(a).half_open)
        assert not code.asked
        for task in dripping:
            task.cancel()
        await asyncio.gather(*dripping, return_exceptions=True)


async def test_the_handshake_has_its_deadline(caplog):
    async with serving("a", setup_timeout=0.2) as ([a], _):
        reader, writer = await raw(a)
        writer.write(machine_to(a).output())
        await closed(reader)
        writer.close()
        assert any("no handshake in" in line for line in warnings_of(caplog))


# --- with the cookie


async def test_who_is_not_on_the_list_gets_nothing():
    async with serving("a", allowed={"b@127.0.0.1"}) as ([a], code):
        with pytest.raises(NotAllowed):
            await asks(a)
        assert not code.asked
        assert not len(peers_of(a).purposes)


async def test_a_purpose_that_is_not_served_is_not_known():
    async with serving("a") as ([a], code):
        with pytest.raises(NotConnected, match="does not know the purpose 'other'"):
            await asks(a, purpose="other")
        assert not code.asked


async def test_a_connection_for_code_is_no_peer_and_takes_nobodys_name(caplog):
    """Under the name of a node that is connected, and of another start of it."""
    async with serving("a", "b") as ([a, b], code):
        await is_well(b, a)
        connection = peers_of(a).table[b.name].connection
        reader, writer = await asks(a, b.name)
        writer.write(REQUEST)
        size = requests.length(await reader.readexactly(4), requests.MAX_ANSWER)
        assert requests.read_answer(await reader.readexactly(size)) == SECRET
        assert peers_of(a).table[b.name].connection is connection
        assert peers_of(a).table[b.name].creation != 77
        writer.close()
        await until(lambda: not len(peers_of(a).purposes))
        await is_well(b, a)
        assert not warnings_of(caplog)
        assert code.asked == ["entries"]


async def test_connections_of_one_name_are_few():
    async with serving("a", "b") as ([a, b], _):
        found = [await asks(a) for _ in range(40)]
        assert len(peers_of(a).purposes) <= purposes.PER_NODE
        await is_well(b, a)
        for _, writer in found:
            writer.close()


async def test_connections_of_all_names_are_bounded(monkeypatch):
    monkeypatch.setattr(purposes, "IN_ALL", 20)
    async with serving("a", "b") as ([a, b], _):
        found = [await asks(a, f"evil{n}@127.0.0.1") for n in range(40)]
        assert len(peers_of(a).purposes) <= 20
        await is_well(b, a)
        for _, writer in found:
            writer.close()


class Touch:
    """A pickle that makes a directory when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def _frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


BAD = {
    "an oversized frame": struct.pack(">I", requests.MAX_REQUEST + 1),
    "the largest length": b"\xff" * 4,
    "an empty frame": bytes(4),
    "no msgpack": _frame(b"\xc1\xc1"),
    "no request": _frame(b"\x93\x01\x02\x03"),
    "no name": _frame(b"\x92\x01\x90"),
    "nesting": _frame(b"\x91" * 500_000),
    "arrays in arrays that claim to be long": _frame(b"\xdd\x00\x00\x3f\xff" * 10_000),
    "an array that is too long": _frame(b"\x92\xa2op\xdd\x00\x0f\xff\xff" + bytes(0xFFFFF - 100)),
    "an extension type": _frame(b"\x92\xa2op\x91\xd4\x01\x01"),
    "a message of the main protocol": struct.pack(">IBBIQQ", 23, 1, 0, 1, 1, 1) + b"\xc0",
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
async def test_what_is_no_request_ends_that_connection_alone(data: bytes, caplog):
    async with serving("a", "b") as ([a, b], code):
        await is_well(b, a)
        reader, writer = await asks(a)
        writer.write(data)
        await closed(reader)
        writer.close()
        assert not code.asked
        await until(lambda: not len(peers_of(a).purposes))
        assert peers_of(a).nodes() == [b.name]
        assert len([line for line in warnings_of(caplog) if EVIL in line]) == 1
        await is_well(b, a)


async def test_nothing_is_ever_unpickled(tmp_path: Path):
    trap = tmp_path / "trap"
    body = pickle.dumps(Touch(trap), 5)
    async with serving("a") as ([a], code):
        for data in (body, _frame(body), requests.request("entries", [body]), requests.request("entries", [[body]])):
            reader, writer = await asks(a)
            writer.write(data + bytes(4))  # an empty frame at the end, which closes it
            await closed(reader)
            writer.close()
        assert not trap.exists()
        assert code.asked == ["entries"] * 2


async def test_random_bytes_after_the_handshake():
    import random

    rng = random.Random(7)
    async with serving("a", "b") as ([a, b], code):
        for n in range(60):
            reader, writer = await asks(a)
            data = bytearray(REQUEST * 3)
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            writer.write(bytes(data) if n % 2 else rng.randbytes(rng.randrange(1, 200)))
            writer.write_eof()
            await closed(reader)
            writer.close()
        await until(lambda: not len(peers_of(a).purposes))
        await is_well(b, a)
        assert set(code.asked) != set(), "some of them are requests still"
