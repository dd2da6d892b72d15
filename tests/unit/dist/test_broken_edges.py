"""Edges of calls, sends and connections between nodes that were found by breaking them: one test each."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.core.state import Parking
from beampy.dist.address import Address
from beampy.errors import CallTimeout, DecodeError, EncodeError, HandshakeFailed, NodeDown, RemoteError
from beampy.testing import harness

pytestmark = pytest.mark.loops("asyncio", "uvloop")

A, B = "a@127.0.0.1", "b@127.0.0.1"
LARGE = "x" * 100_000  # above a frame's 64 KiB, so it goes in pieces
FOREVER = 3600.0


async def run(test: Any) -> None:
    """Run the test as a process of node A, with node B."""
    async with bp.Node(A) as a, bp.Node(B) as b:
        await a.run(test, a, b)


async def start(fn: Any, *args: Any) -> bp.Pid:
    """A process on B that nobody is tied to."""
    pid: bp.Pid = await bp.spawn(fn, *args, node=B)
    return pid


async def echo(to: bp.Pid) -> None:
    """Sends back what it is sent."""
    while True:
        bp.send(to, await bp.receive())


async def trapping_echo(to: bp.Pid) -> None:
    """The same, of exit signals, too."""
    bp.trap_exit(True)
    await echo(to)


async def mute() -> None:
    await bp.receive(("never",))


def interrupt() -> None:
    raise KeyboardInterrupt


async def leave() -> None:
    sys.exit(3)


def ties(node: bp.Node) -> tuple[set[int], set[int]]:
    """The ids of the refs that others may send to, and of the monitors that run."""
    assert node._peers is not None
    return set(node._core.exported), {id for peer in node._peers.table.values() for id in peer.ties.monitors}


@pytest.mark.parametrize("timeout", [FOREVER, None])
async def test_a_call_that_cannot_be_sent_leaves_nothing(timeout):
    async def test(a: bp.Node, b: bp.Node) -> None:
        server = await start(mute)
        before = ties(a)
        with pytest.raises(EncodeError):
            bp.call(server, threading.Lock(), timeout=timeout)
        assert ties(a) == before
        assert not bp.api.self_process().extras().requests

    await run(test)


async def test_a_message_to_a_node_whose_record_was_dropped_arrives():
    async def test(a: bp.Node, b: bp.Node) -> None:
        assert a._peers is not None
        pid = await start(echo, bp.self())
        bp.disconnect(B)
        a._peers._forget()
        bp.send(pid, "first")
        assert await bp.receive(str, timeout=harness.DEADLINE) == "first"
        assert set(a._core.far) == {B}

    await run(test)


async def test_an_exit_signal_with_a_large_reason_keeps_its_order():
    async def test(a: bp.Node, b: bp.Node) -> None:
        pid = await start(trapping_echo, bp.self())
        bp.send(pid, "ready")
        assert await bp.receive(timeout=harness.DEADLINE) == "ready"
        bp.exit(pid, LARGE)
        bp.send(pid, "later")
        assert isinstance(await bp.receive(timeout=harness.DEADLINE), bp.Exit)
        assert await bp.receive(timeout=harness.DEADLINE) == "later"
        bp.exit(pid, "kill")  # it would trap the end of its node, too

    await run(test)


@pytest.mark.parametrize("how", ["call", "timeout"])
async def test_deadlines_hold_for_who_is_parked(how):
    async def body() -> None:
        place, ended = Parking.place(), []
        place.stop()
        server = bp.spawn(mute)

        async def writer() -> None:
            bp.api.self_process().park(place)
            try:
                async with asyncio.timeout(0.01 if how == "timeout" else None):
                    await bp.call(server, "x", timeout=0.01 if how == "call" else FOREVER)
            except TimeoutError as error:
                ended.append(type(error))

        pid = bp.spawn(writer)
        assert await harness.ended(pid) in ("normal", "noproc")
        assert ended == [CallTimeout if how == "call" else TimeoutError]

    await harness.run(body)


async def test_an_interrupt_in_a_called_thread_ends_the_call_and_not_the_node():
    async def test(a: bp.Node, b: bp.Node) -> None:
        with pytest.raises(RemoteError, match="KeyboardInterrupt"):
            await bp.remote_call(B, interrupt)
        assert await bp.remote_call(B, abs, -1) == 1

    await run(test)


@pytest.mark.parametrize("fn", [interrupt, leave])
async def test_a_cast_function_that_exits_does_not_end_the_node(fn, caplog):
    async def test(a: bp.Node, b: bp.Node) -> None:
        bp.remote_cast(B, fn)
        async with asyncio.timeout(harness.DEADLINE):
            while f"test_broken_edges.{fn.__name__} was cast" not in caplog.text:
                await asyncio.sleep(0.001)
        assert await bp.remote_call(B, abs, -1) == 1

    with caplog.at_level(logging.WARNING):
        await run(test)


@pytest.mark.parametrize("name", ["b", "b@", "", "b b@127.0.0.1", "n" * 300 + "@127.0.0.1"])
async def test_what_is_no_full_node_name_is_not_dialled(name, caplog):
    async def test(a: bp.Node, b: bp.Node) -> None:
        with pytest.raises(NodeDown):
            await bp.call(("x", name), "x", timeout=None)

    await run(test)
    assert "name" in caplog.text
    assert "Traceback" not in caplog.text


class Found:
    """A name service that knows two addresses for every name: first a stranger's, then the node's."""

    def __init__(self, stranger: int, port: int, tls: bool) -> None:
        self.addresses = [Address(host="127.0.0.1", port=stranger, tls=tls), Address(host="127.0.0.1", port=port)]

    async def lookup(self, name: str) -> list[Address]:
        return self.addresses


@pytest.mark.parametrize("tls", [False, True])
async def test_a_server_of_another_kind_is_no_dead_end(tls, caplog):
    async def strangely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def test(a: bp.Node, b: bp.Node) -> None:
        assert a._peers is not None
        assert b._peers is not None
        async with await asyncio.start_server(strangely, "127.0.0.1", 0) as stranger:
            listeners, there = a._peers.listeners, stranger.sockets[0].getsockname()[1]
            listeners.discovery, real = Found(there, b._peers.listeners.port, tls), listeners.discovery
            try:
                await bp.connect(B)
                bp.disconnect(B)
                listeners.discovery = Found(there, there, tls)
                with pytest.raises(HandshakeFailed):
                    await bp.connect("c@127.0.0.1")
            finally:
                listeners.discovery = real

    await run(test)
    assert "Traceback" not in caplog.text


async def test_a_handle_in_a_message_is_named_as_what_cannot_travel():
    async def test(a: bp.Node, b: bp.Node) -> None:
        server = await start(mute)
        handle = bp.call(server, "x", timeout=FOREVER)
        with pytest.raises(EncodeError, match=r"message\[1\], Request .*await it, and send its value"):
            bp.send(server, (bp.self(), handle))
        handle.cancel()

    await run(test)


async def test_a_node_that_speaks_and_ends_is_heard():
    async def test(a: bp.Node, b: bp.Node) -> None:
        bp.register("listener", bp.self())
        async with bp.Node("c@127.0.0.1"):
            bp.send(("listener", A), "last words")  # not connected yet
        assert await bp.receive(str, timeout=harness.DEADLINE) == "last words"

    await run(test)


async def test_a_link_made_again_before_its_unlink_ack_is_a_tie_of_the_connection():
    async def test(a: bp.Node, b: bp.Node) -> None:
        bp.trap_exit(True)
        pid = await start(trapping_echo, bp.self())
        bp.link(pid)
        bp.unlink(pid)
        bp.link(pid)
        bp.send(pid, "all taken")
        assert await bp.receive(timeout=harness.DEADLINE) == "all taken"
        bp.disconnect(B)
        assert await bp.receive(bp.Exit, timeout=harness.DEADLINE) == bp.Exit(pid, "noconnection")
        bp.exit(pid, "kill")  # it would trap the end of its node, too

    await run(test)


class Unreadable:
    """What can be sent and not be read."""

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def __setstate__(self, state: Any) -> None:
        raise ValueError("not here")


class Answering(bp.Server):
    @bp.call
    async def one(self, *parts: Any) -> int:
        return 1


async def answering() -> bp.Pid:
    return (await Answering.start()).pid


@pytest.mark.parametrize("parts", [(), (LARGE,)], ids=["small", "bulk"])
async def test_a_call_that_its_server_cannot_read_fails_at_once(parts):
    async def test(a: bp.Node, b: bp.Node) -> None:
        server = Answering.client(await bp.remote_call(B, answering))
        before = ties(a)
        with pytest.raises(DecodeError, match="not here"):
            await server.one(Unreadable(), *parts)
        with pytest.raises(DecodeError, match="not here"):
            await bp.call(server, Unreadable(), timeout=None)
        assert await server.one() == 1
        assert ties(a) == before

    await run(test)
