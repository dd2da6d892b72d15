"""The side that answers requests: its bounds, and that it leaves the main connection alone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from beampy.dist import purposes
from beampy.errors import (
    HandshakeFailed,
    RemoteError,
)
from beampy.wire import requests
from tests.security.ground import is_well, peers_of
from tests.unit.dist.asking import (
    MIB,
    WAIT,
    A,
    B,
    asked_of,
    in_thread,
    line_to,
    nodes,
)
from tests.unit.dist.ports import until

pytestmark = pytest.mark.loops("asyncio", "uvloop")

# --- the main connection


async def test_the_main_connection_is_not_disturbed(caplog):
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        assert await in_thread(line.request, "x", [], WAIT)
        assert not peers_of(a).nodes("all")
        assert B not in peers_of(a).table
        await is_well(a, b)
        connection = peers_of(a).table[B].connection
        more = [line_to(b, A) for _ in range(3)]
        for one in more:
            assert await in_thread(one.request, "y", [], WAIT)
        for one in more:
            one.close()
        line.close()
        await until(lambda: not len(peers_of(a).purposes))
        assert peers_of(a).table[B].connection is connection
        assert peers_of(a).nodes() == [B]
        assert len(peers_of(a).connections) == 1
        await is_well(b, a)
        assert "lost" not in caplog.text


# --- the bounds of the side that answers


async def test_an_idle_connection_is_closed_and_made_again(monkeypatch):
    monkeypatch.setattr(purposes, "IDLE", 0.05)
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        for _ in range(3):
            assert await in_thread(line.request, "x", [], WAIT) == ["x", []]
            await until(lambda: not len(peers_of(a).purposes))
        line.close()


async def test_a_request_that_comes_too_slowly_is_given_up(monkeypatch):
    monkeypatch.setattr(purposes, "IDLE", 0.2)
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        assert await in_thread(line.request, "x", [], WAIT)
        assert line._sock is not None

        def drip() -> int:
            assert line._sock is not None
            sent = 0
            with contextlib.suppress(OSError):
                for byte in requests.request("much", [bytes(10_000)]):
                    line._sock.send(bytes([byte]))
                    sent += 1
                    threading.Event().wait(0.01)
            return sent

        assert await in_thread(drip) < 1000
        assert len(asked_of(a).log) == 1
        line.close()


async def test_the_ninth_connection_takes_the_place_of_the_idlest():
    async with nodes(A, B) as [a, b]:
        lines = [line_to(b, A) for _ in range(purposes.PER_NODE)]
        for line in lines:
            assert await in_thread(line.request, "x", [], WAIT)
        assert await in_thread(lines[0].request, "x", [], WAIT)  # now the second is the idlest
        ninth = line_to(b, A)
        assert await in_thread(ninth.request, "x", [], WAIT)
        await until(lambda: len(peers_of(a).purposes) == purposes.PER_NODE)
        socks = [line._sock for line in lines]
        for at in (0, 2, 7, 1):
            assert await in_thread(lines[at].request, "x", [], WAIT) == ["x", []]
            assert (lines[at]._sock is socks[at]) == (at != 1)
        for line in [*lines, ninth]:
            line.close()


async def test_no_connection_at_work_is_closed_for_another():
    async with nodes(A, B) as [a, b]:
        lines = [line_to(b, A) for _ in range(purposes.PER_NODE)]
        with ThreadPoolExecutor(len(lines)) as pool:
            loop = asyncio.get_running_loop()
            waiting = [loop.run_in_executor(pool, line.request, "wait", [], WAIT) for line in lines]
            await until(lambda: len(asked_of(a).log) == len(lines))
            with pytest.raises(HandshakeFailed, match="takes no connections now"):
                await in_thread(line_to(b, A).request, "x", [], WAIT)
            asked_of(a).go.set()
            assert await asyncio.gather(*waiting) == [["wait", []]] * len(lines)
        for line in lines:
            line.close()


async def test_all_nodes_together_have_a_bound(monkeypatch):
    monkeypatch.setattr(purposes, "IN_ALL", 2)
    names = [f"b{n}@127.0.0.1" for n in range(3)]
    async with nodes(A, *names) as [a, *others]:
        lines = [line_to(node, A) for node in others]
        for line in lines:
            assert await in_thread(line.request, "x", [], WAIT)
        await until(lambda: len(peers_of(a).purposes) == 2)
        for line in lines:
            line.close()


async def test_who_does_not_read_his_answer_is_closed(monkeypatch, caplog):
    monkeypatch.setattr(purposes, "SENDING", 0.1)
    async with nodes(A, B, unix=False) as [a, b]:
        line = line_to(b, A)
        assert await in_thread(line.request, "x", [], WAIT)
        assert line._sock is not None
        await in_thread(line._sock.sendall, requests.request("bytes", [40 * MIB]))
        await until(lambda: not len(peers_of(a).purposes))
        assert "does not read what it asked for" in caplog.text
        line.close()


async def test_an_answer_that_takes_too_long_there(monkeypatch):
    monkeypatch.setattr(purposes, "ANSWERING", 0.05)
    async with nodes(A, B) as [_, b]:
        line = line_to(b, A)
        with pytest.raises(RemoteError, match=r"no answer in 0\.05 s"):
            await in_thread(line.request, "wait", [], WAIT)
        assert await in_thread(line.request, "x", [], WAIT) == ["x", []]
        line.close()


async def test_requests_sent_ahead_are_answered_in_order_and_few_are_held():
    async with nodes(A, B) as [a, b]:
        line = line_to(b, A)
        assert await in_thread(line.request, "x", [], WAIT)
        sock = line._sock
        assert sock is not None

        end = time.monotonic() + WAIT

        def send() -> None:
            sock.sendall(requests.request("wait", []))
            for n in range(300):
                sock.sendall(requests.request("n", [n, bytes(20_000)]))  # more than is held there

        def read() -> list[Any]:
            found = []
            for _ in range(301):
                size = requests.length(line._read(sock, requests.HEADER, end), requests.MAX_ANSWER)
                found.append(requests.read_answer(line._read(sock, size, end))[1][:1])
            return found

        sending = asyncio.ensure_future(in_thread(send))
        [serving] = peers_of(a).purposes._serving
        await until(lambda: len(serving._frames) > requests.MAX_REQUEST)
        await asyncio.sleep(0.05)
        assert len(serving._frames) <= requests.MAX_REQUEST + purposes.ROOM
        asked_of(a).go.set()
        assert await in_thread(read) == [[], *([n] for n in range(300))]
        await sending
        line.close()
