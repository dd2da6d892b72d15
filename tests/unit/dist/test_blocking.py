"""Threads that ask another node over a socket of their own: carriers, deadlines, who may ask, garbage."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from beampy.dist.pipe import attach
from beampy.errors import (
    CookieMismatch,
    HandshakeFailed,
    NotAllowed,
    NotConnected,
    RemoteError,
    RemoteProtocolError,
    UnknownNode,
    VersionMismatch,
)
from beampy.wire.handshake import Acceptor, Authenticated, Identity, Status
from tests.security.ground import COOKIE, FEATURES, OTHER, authenticated, peers_of
from tests.security.ground import cluster as table_cluster
from tests.unit.dist.asking import (
    ASK,
    CARRIERS,
    MIB,
    SOON,
    WAIT,
    A,
    Asked,
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

# --- the carriers


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("way", ["we connected", "they connected", "nobody connected"])
async def test_a_thread_asks_over_every_carrier(carrier: str, way: str):
    async with nodes(A, B, **CARRIERS[carrier]) as [a, b]:
        if way == "we connected":
            await b.run(connect, A)
        elif way == "they connected":
            await a.run(connect, B)
        line = line_to(b, A)
        value = [1, "é", b"\0\xff", None, True, -1.5, {"k": [2**63]}, "\udcff"]
        for op in ("one", "two"):
            assert await in_thread(line.request, op, value, WAIT) == [op, value]
        assert line._sock is not None
        family = socket.AF_UNIX if carrier == "unix" else socket.AF_INET
        assert line._sock.family == family
        assert hasattr(line._sock, "getpeercert") == (carrier == "tls")
        assert len(peers_of(a).purposes) == 1, "one connection for all requests"
        if way != "nobody connected":
            assert carrier_of(b) == carrier
        line.close()
        await until(lambda: not len(peers_of(a).purposes))


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_large_answer(carrier: str):
    async with nodes(A, B, **CARRIERS[carrier]) as [_, b]:
        line = line_to(b, A)
        assert await in_thread(line.request, "bytes", [60 * MIB], WAIT) == bytes(60 * MIB)
        with pytest.raises(RemoteError, match="at most 67108864 are sent"):
            await in_thread(line.request, "bytes", [64 * MIB], WAIT)
        assert await in_thread(line.request, "more", [], WAIT) == ["more", []]
        line.close()


async def test_a_request_that_is_too_large_is_not_sent():
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        with pytest.raises(ValueError, match="the request has"):
            await in_thread(line.request, "much", [bytes(MIB)], WAIT)
        with pytest.raises(TypeError):
            await in_thread(line.request, "what", [object()], WAIT)
        assert not asked_of(a).log
        assert await in_thread(line.request, "much", [bytes(MIB - 100)], WAIT)
        line.close()


async def test_what_fails_there_is_told_and_the_connection_stays(caplog):
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        for _ in range(2):
            with pytest.raises(RemoteError, match=r"FileNotFoundError: .*no such thing") as caught:
                await in_thread(line.request, "fail", [2, "no such thing"], WAIT)
            assert caught.value.kind == "FileNotFoundError"
        assert len(asked_of(a).log) == 2, "an answer is not asked for again"
        assert len(peers_of(a).purposes) == 1
        assert "no such thing" in caplog.text
        line.close()


# --- threads


async def test_eight_threads_share_one_connection():
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        begin = threading.Barrier(8)

        def ask(n: int) -> list[Any]:
            begin.wait(WAIT)
            return [line.request("n", [n, k], WAIT) for k in range(20)]

        with ThreadPoolExecutor(8) as pool:
            loop = asyncio.get_running_loop()
            answers = await asyncio.gather(*[loop.run_in_executor(pool, ask, n) for n in range(8)])
        assert answers == [[["n", [n, k]] for k in range(20)] for n in range(8)]
        assert len(peers_of(a).purposes) == 1
        line.close()


async def test_who_waits_for_other_threads_has_a_deadline():
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        first = asyncio.ensure_future(in_thread(line.request, "wait", [], WAIT))
        await until(lambda: asked_of(a).log)
        with pytest.raises(NotConnected, match="other threads"):
            await in_thread(line.request, "second", [], SOON)
        asked_of(a).go.set()
        assert await first == ["wait", []]
        assert await in_thread(line.request, "third", [], WAIT) == ["third", []]
        line.close()


async def test_closing_wakes_who_waits():
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        waiting = asyncio.ensure_future(in_thread(line.request, "wait", [], WAIT))
        await until(lambda: asked_of(a).log)
        line.close()
        with pytest.raises(NotConnected, match="closed"):
            await waiting
        assert line._sock is None
        with pytest.raises(NotConnected, match="closed"):
            await in_thread(line.request, "more", [], WAIT)


async def test_who_asks_when_it_is_closed_closes_it_at_the_end(monkeypatch):
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        exchange = line._exchange

        def then_closed(*args: Any) -> Any:
            answer = exchange(*args)
            line.close()  # as another thread would, when the answer is there and the lock is not given back yet
            return answer

        monkeypatch.setattr(line, "_exchange", then_closed)
        assert await in_thread(line.request, "x", [], WAIT) == ["x", []]
        assert line._sock is None
        await until(lambda: not len(peers_of(a).purposes))


# --- deadlines, and nodes that go


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_node_that_never_answers(carrier: str):
    async with nodes(A, B, **CARRIERS[carrier]) as [a, b]:
        line = line_to(b, A)
        with pytest.raises(NotConnected, match=r"no answer in 0\.2 s"):
            await in_thread(line.request, "wait", [], SOON)
        assert len(asked_of(a).log) == 1, "what took too long is not asked for again"
        asked_of(a).go.set()
        assert await in_thread(line.request, "next", [], WAIT) == ["next", []], "no late answer is taken for another"
        line.close()


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_node_that_stops_in_the_middle(carrier: str):
    async with nodes(B, **CARRIERS[carrier]) as [b]:
        async with nodes(A, **CARRIERS[carrier]) as [a]:
            await b.run(connect, A)
            line = line_to(b, A)
            waiting = asyncio.ensure_future(in_thread(line.request, "wait", [], WAIT))
            await until(lambda: asked_of(a).log)
        with pytest.raises(NotConnected):
            await waiting
        with pytest.raises(NotConnected, match="nobody answers"):
            await in_thread(line.request, "more", [], WAIT)
        line.close()


async def test_another_start_of_the_node_is_not_the_one():
    async with table_cluster("b") as [b]:
        found = peers_of(b).listeners.discovery._nodes.table
        async with table_cluster("a") as [a]:
            peers_of(a).purposes.register(ASK, Asked())
            found[A] = f"127.0.0.1:{peers_of(a).listeners.port}"
            port = peers_of(a).listeners.port
            await b.run(connect, A)
            line = line_to(b, A)
            assert await in_thread(line.request, "x", [], WAIT)
        async with table_cluster("a", port=port) as [a]:
            peers_of(a).purposes.register(ASK, Asked())
            with pytest.raises(HandshakeFailed, match="started again"):
                await in_thread(line.request, "x", [], WAIT)
            new = line_to(b, A)
            assert await in_thread(new.request, "x", [], WAIT)
            new.close()


async def test_the_asking_node_stops():
    async with nodes(A) as [a]:
        async with nodes(B) as [b]:
            connect = peers_of(b).blocking_to(A, ASK)
            line = connect()
            waiting = asyncio.ensure_future(in_thread(line.request, "wait", [], WAIT))
            await until(lambda: asked_of(a).log)
        with pytest.raises(NotConnected, match="closed"):
            await waiting
        with pytest.raises(NotConnected, match="stopping"):
            connect()
        await until(lambda: not len(peers_of(a).purposes))


# --- who may ask


async def test_a_wrong_cookie():
    async with nodes(A) as [a], nodes(B, cookie=OTHER) as [b]:
        with pytest.raises(CookieMismatch):
            await in_thread(line_to(b, A).request, "x", [], WAIT)
        assert not asked_of(a).log
        assert not len(peers_of(a).purposes)


async def test_who_is_not_allowed():
    async with nodes(A, allowed={"c@127.0.0.1"}) as [a], nodes(B) as [b]:
        with pytest.raises(NotAllowed):
            await in_thread(line_to(b, A).request, "x", [], WAIT)
        assert not asked_of(a).log


async def test_an_unknown_purpose_is_refused_clearly():
    async with nodes(A, B) as [_, b]:
        line = peers_of(b).blocking_to(A, "other")()
        with pytest.raises(VersionMismatch, match="does not know the purpose 'other'"):
            await in_thread(line.request, "x", [], WAIT)


@pytest.mark.parametrize("purpose", ["main", "", "Code", "a-b", None])
async def test_what_cannot_be_registered(purpose: Any):
    async with nodes(A) as [a]:
        with pytest.raises(ValueError, match="a purpose is"):
            peers_of(a).purposes.register(purpose, Asked())


async def test_an_unknown_node_and_no_name_at_all():
    async with nodes(B) as [b]:
        with pytest.raises(UnknownNode):
            await in_thread(line_to(b, A).request, "x", [], WAIT)
        with pytest.raises(UnknownNode):
            peers_of(b).blocking_to("no name", ASK)


async def test_an_address_that_could_not_be_found_is_looked_for_again():
    async with nodes(B) as [b]:
        line = line_to(b, A)
        with pytest.raises(UnknownNode):
            await in_thread(line.request, "x", [], WAIT)
        async with nodes(A):
            assert await in_thread(line.request, "x", [], WAIT) == ["x", []]
            line.close()


async def test_a_node_that_does_not_listen():
    async with nodes(A) as [a], nodes(B, listen=False) as [b]:
        await b.run(connect, A)
        line = line_to(a, B)
        with pytest.raises(NotConnected):
            await in_thread(line.request, "x", [], WAIT)
        asks = line_to(b, A)
        assert await in_thread(asks.request, "x", [], WAIT) == ["x", []]
        asks.close()


async def test_a_pipe_has_no_second_connection():
    async with nodes(A, B) as [a, b]:
        ours_read, theirs_write = os.pipe()
        theirs_read, ours_write = os.pipe()
        one = asyncio.ensure_future(attach(peers_of(a), theirs_read, theirs_write))
        await attach(peers_of(b), ours_read, ours_write, A)
        await one
        for node, other in ((a, B), (b, A)):
            with pytest.raises(NotConnected, match="over a pipe"):
                await in_thread(line_to(node, other).request, "x", [], WAIT)


# --- what is no node at the other end


GARBAGE: dict[str, tuple[bytes, type[Exception]]] = {
    "words at once": (b"", HandshakeFailed),
    "a length that is too large": (b"\xff\xff\xff\xff", RemoteProtocolError),
    "no length": (b"\0\0\0\0", RemoteProtocolError),
    "no msgpack": (b"\0\0\0\1\xc1", RemoteProtocolError),
    "no answer": (b"\0\0\0\1\x01", RemoteProtocolError),
    "an answer of nothing": (b"\0\0\0\1\x90", RemoteProtocolError),
    "an extension type": (b"\0\0\0\5\x92\xc3\xd4\1\1", RemoteProtocolError),
    "half a frame": (b"\0\0\0\5\x92", NotConnected),
    "nothing": (b"", NotConnected),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_after_the_handshake(what: str):
    data, expected = GARBAGE[what]
    greeted: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        machine = Acceptor(
            Identity(A, 77, FEATURES), [COOKIE.encode()], nonce=bytes(32), purposes=frozenset({"main", ASK})
        )
        while not machine.done:
            for event in machine.feed(await reader.read(4096)):
                if isinstance(event, Authenticated):
                    machine.answer(Status.OK)
            writer.write(machine.output() + (b"hello" if machine.done and what == "words at once" else b""))
        assert machine.result is not None
        greeted.append(machine.result.purpose)
        if what != "words at once":
            await reader.read(4096)
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    at = {A: f"127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    async with table_cluster("b", at=at) as [b]:
        line = line_to(b, A)
        with pytest.raises(expected):
            await in_thread(line.request, "x", [], WAIT)
        assert line._sock is None
        broke = expected is NotConnected
        await until(lambda: greeted == [ASK] * (2 if broke else 1))  # a broken connection is made again, once
        line.close()
    server.close()
    await server.wait_closed()


async def test_a_listener_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = {A: f"127.0.0.1:{server.getsockname()[1]}"}
        async with table_cluster("b", at=at, setup_timeout=SOON) as [b]:
            with pytest.raises(HandshakeFailed, match="no handshake at 127"):
                await in_thread(line_to(b, A).request, "x", [], WAIT)


async def test_a_node_that_asks_for_tls_does_not_ask_without():
    async with table_cluster("a", tls=False) as [a], table_cluster("b", tls=True, setup_timeout=0.5) as [b]:
        peers_of(a).purposes.register(ASK, Asked())
        peers_of(b).listeners.discovery._nodes.table[A] = f"127.0.0.1:{peers_of(a).listeners.port}"
        with pytest.raises(NotConnected):
            await in_thread(line_to(b, A).request, "x", [], WAIT)
        assert not len(peers_of(a).purposes)


async def test_the_cookies_of_now_are_proved():
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        assert await in_thread(line.request, "x", [], WAIT)
        for node in (a, b):
            peers_of(node).options.cookies.rotate(OTHER)
            peers_of(node).options.cookies.forget_old()
        line._drop()
        assert await in_thread(line.request, "x", [], WAIT)
        line.close()
        with pytest.raises(CookieMismatch):
            await authenticated(a, cookie=COOKIE)
