"""Connections over a pair of byte pipes: the transport alone, and two nodes that have nothing else."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.dist.pipe import LAST_WORDS, MARK, MAX_NOISE, PipeTransport, attach
from beampy.errors import CookieMismatch, HandshakeFailed, NotConnected
from tests.unit.dist.ports import until

pytestmark = pytest.mark.loops("asyncio", "uvloop")

A, B = "a@127.0.0.1", "b@127.0.0.1"


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


class Ends:
    """Two pipes, crossed: what each side reads and writes."""

    def __init__(self) -> None:
        self.ours_read, self.theirs_write = os.pipe()
        self.theirs_read, self.ours_write = os.pipe()

    @property
    def ours(self) -> tuple[int, int]:
        return self.ours_read, self.ours_write

    @property
    def theirs(self) -> tuple[int, int]:
        return self.theirs_read, self.theirs_write

    @property
    def all(self) -> tuple[int, ...]:
        return *self.ours, *self.theirs


class Recorder(asyncio.BufferedProtocol):
    """A protocol that keeps what it is told."""

    def __init__(self, room: int = 4096) -> None:
        self.buffer = bytearray(room)
        self.data = bytearray()
        self.log: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.log.append("made")

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]

    def eof_received(self) -> None:
        self.log.append("eof")

    def pause_writing(self) -> None:
        self.log.append("pause")

    def resume_writing(self) -> None:
        self.log.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.log.append(("lost", None if exc is None else type(exc)))

    @property
    def lost(self) -> bool:
        return ("lost", None) in self.log or any(isinstance(entry, tuple) for entry in self.log)


def transports(ends: Ends, *protocols: Recorder) -> list[PipeTransport]:
    made = []
    for pair, protocol in zip((ends.ours, ends.theirs), protocols, strict=False):
        transport = PipeTransport(asyncio.get_running_loop(), *pair)
        transport.prepare()
        transport.start(protocol)
        made.append(transport)
    return made


# --- the transport


async def test_bytes_arrive_in_order_however_they_are_cut():
    ends, ours, theirs = Ends(), Recorder(), Recorder(room=1000)
    a, b = transports(ends, ours, theirs)
    cut = random.Random(7)
    sent = bytearray()
    for _ in range(60):
        pieces = [os.urandom(cut.choice((0, 1, 100, 5000, 70_000))) for _ in range(cut.randrange(1, 6))]
        sent += b"".join(pieces)
        a.writelines(pieces) if len(pieces) > 1 else a.write(pieces[0])
        await asyncio.sleep(0)
    await until(lambda: len(theirs.data) == len(sent))
    assert theirs.data == sent
    assert a.get_write_buffer_size() == 0
    a.close()
    await until(lambda: theirs.lost and ours.lost)
    assert b.is_closing()
    assert not any(map(is_open, ends.all))


async def test_more_pieces_than_one_call_takes():
    ends, theirs = Ends(), Recorder(room=65536)
    a, _ = transports(ends, Recorder(), theirs)
    pieces = [b"%04d" % n for n in range(5000)]
    a.writelines(pieces)
    await until(lambda: len(theirs.data) == 20_000)
    assert theirs.data == b"".join(pieces)
    a.close()
    await until(lambda: theirs.lost)


async def test_the_writer_is_asked_to_stop_and_to_go_on():
    ends, ours, theirs = Ends(), Recorder(), Recorder(room=65536)
    a, b = transports(ends, ours, theirs)
    a.set_write_buffer_limits(high=100_000, low=1000)
    assert a.get_write_buffer_limits() == (1000, 100_000)
    b.pause_reading()
    assert not b.is_reading()
    data = os.urandom(3_000_000)
    a.write(data[:1_500_000])
    a.write(data[1_500_000:])
    assert ours.log == ["made", "pause"]
    waiting = a.get_write_buffer_size()
    assert 3_000_000 > waiting >= 1_900_000  # a pipe holds 1 MiB at most
    await asyncio.sleep(0.01)
    assert a.get_write_buffer_size() == waiting
    b.resume_reading()
    await until(lambda: len(theirs.data) == len(data))
    assert theirs.data == data
    await until(lambda: "resume" in ours.log)
    assert ours.log == ["made", "pause", "resume"]
    a.close()
    await until(lambda: theirs.lost)


async def test_nothing_is_copied_before_it_is_written():
    ends, theirs = Ends(), Recorder(room=65536)
    a, b = transports(ends, Recorder(), theirs)
    b.pause_reading()
    a.write(bytes(2_000_000))
    last = bytearray(b"before")
    a.write(memoryview(last))
    last[:] = b"after!"
    b.resume_reading()
    await until(lambda: len(theirs.data) == 2_000_006)
    assert theirs.data.endswith(b"after!")
    a.close()
    await until(lambda: theirs.lost)


async def test_a_close_writes_what_is_pending_first():
    ends, ours, theirs = Ends(), Recorder(), Recorder(room=65536)
    a, _ = transports(ends, ours, theirs)
    a.write(bytes(3_000_000))
    a.close()
    a.write(b"too late")
    assert a.is_closing()
    await until(lambda: theirs.lost and ours.lost)
    assert len(theirs.data) == 3_000_000
    assert ours.log[-1] == ("lost", None)


async def test_an_abort_drops_what_is_pending():
    ends, ours, theirs = Ends(), Recorder(), Recorder(room=65536)
    a, _ = transports(ends, ours, theirs)
    a.write(bytes(3_000_000))
    a.abort()
    assert not ours.lost  # never within the call
    await until(lambda: theirs.lost and ours.lost)
    assert len(theirs.data) < 3_000_000
    assert not any(map(is_open, ends.all))


async def test_last_words_are_read_when_nobody_reads_ours():
    ends, ours = Ends(), Recorder()
    (a,) = transports(ends, ours)
    os.close(ends.theirs_read)
    a.write(b"nobody reads this")
    os.write(ends.theirs_write, b"goodbye")
    os.close(ends.theirs_write)
    await until(lambda: ours.lost)
    assert ours.data == b"goodbye"
    assert ours.log == ["made", "eof", ("lost", None)]
    assert not is_open(ends.ours_read)


async def test_a_peer_that_reads_no_more_is_lost_even_if_it_stays():
    ends, ours = Ends(), Recorder()
    (a,) = transports(ends, ours)
    os.close(ends.theirs_read)
    a.write(b"nobody reads this")
    await until(lambda: ours.lost, LAST_WORDS + 9)
    assert ours.log == ["made", ("lost", BrokenPipeError)]
    os.close(ends.theirs_write)


async def test_a_reader_that_goes_while_much_is_pending():
    ends, ours = Ends(), Recorder()
    (a,) = transports(ends, ours)
    a.write(bytes(3_000_000))
    os.close(ends.theirs_read)
    os.close(ends.theirs_write)
    await until(lambda: ours.lost)
    assert a.get_write_buffer_size() == 0


# --- two nodes


async def join(a: bp.Node, b: bp.Node, ours: Any, theirs: Any) -> None:
    names = await asyncio.gather(a.attach_pipe(*ours, B), b.attach_pipe(*theirs))
    assert names == [B, A]


def node(name: str, **options: Any) -> bp.Node:
    return bp.Node(name, listen=False, **options)


async def echo() -> None:
    bp.register("echo", bp.self())
    async for sender, message in bp.mailbox():
        bp.send(sender, message)


async def test_two_nodes_over_two_pipes():
    ends = Ends()
    async with node(A) as a, node(B) as b:
        await join(a, b, ends.ours, ends.theirs)
        await a.run(carried)
    assert not any(map(is_open, ends.all))


async def carried() -> None:
    assert bp.nodes("all") == [B]
    assert bp.nodes() == []  # who does not listen is hidden
    pid, ref = await bp.spawn(echo, node=B, monitor=True)
    for message in (1, ("two", [3]), b"x" * 100_000):
        bp.send(pid, (bp.self(), message))
        assert await bp.receive(timeout=10) == message
    assert await bp.spawn(echo, node=B)  # a second one
    bp.exit(pid, "enough")
    assert await bp.receive(timeout=10) == bp.Down(ref, pid, "enough")


async def test_bulk_and_small_messages_share_a_pipe():
    ends = Ends()
    async with node(A) as a, node(B) as b:
        await join(a, b, ends.ours, ends.theirs)
        await a.run(bulk)


async def bulk() -> None:
    pid = await bp.spawn(echo, node=B)
    data = os.urandom(20_000_000)
    bp.send(pid, (bp.self(), data))
    bp.send(pid, (bp.self(), "after it"))
    assert await bp.receive(timeout=10) == data
    assert await bp.receive(timeout=10) == "after it"


async def test_info_says_pipe():
    ends = Ends()
    async with node(A) as a, node(B) as b:
        await join(a, b, ends.ours, ends.theirs)
        for end in (a, b):
            assert end._peers is not None
            assert [known["carrier"] for known in end._peers.info()] == ["pipe"]


async def test_one_socket_can_be_both_pipes():
    ours, theirs = socket.socketpair()
    async with node(A) as a, node(B) as b:
        await join(a, b, (ours, ours), (theirs, theirs))
        await a.run(carried)
        await a.run(bulk)
    assert ours.fileno() == theirs.fileno() == -1


async def test_files_are_closed_as_files():
    ends = Ends()
    files = [os.fdopen(fd, mode, buffering=0) for fd, mode in zip(ends.ours, ("rb", "wb"), strict=True)]
    async with node(A) as a, node(B) as b:
        await join(a, b, files, ends.theirs)
    assert all(file.closed for file in files)


async def test_the_end_of_a_node_is_an_orderly_one():
    ends = Ends()
    async with node(A) as a:
        async with node(B) as b:
            await join(a, b, ends.ours, ends.theirs)
            waiting = asyncio.ensure_future(a.run(see_it_go))
            await asyncio.sleep(0.02)
        assert await waiting == bp.NodeDown(B, "shutdown")


async def see_it_go() -> Any:
    bp.monitor_node(B)
    return await bp.receive(timeout=10)


async def test_a_pipe_that_breaks_is_a_lost_connection():
    ends = Ends()
    async with node(A) as a, node(B) as b:
        await join(a, b, ends.ours, ends.theirs)
        waiting = asyncio.ensure_future(a.run(linked))
        await a.run(until_linked)
        assert b._peers is not None
        (connection,) = b._peers.connections
        connection.transport.abort()
        exit_, down = await waiting
        assert exit_.reason == "noconnection"
        assert down == bp.NodeDown(B, "connection_closed")


async def until_linked() -> None:
    while bp.whereis("linked") is None:
        await asyncio.sleep(0.005)


async def linked() -> Any:
    bp.trap_exit(True)
    bp.monitor_node(B)
    await bp.spawn(echo, node=B, link=True)
    bp.register("linked", bp.self())
    return await bp.receive(bp.Exit, timeout=10), await bp.receive(bp.NodeDown, timeout=10)


async def test_a_pipe_can_be_followed_by_another_one():
    async with node(A) as a, node(B) as b:
        for _ in range(3):
            ends = Ends()
            await join(a, b, ends.ours, ends.theirs)
            assert await a.run(disconnect)
            await until(lambda: not a._peers.connections and not b._peers.connections)
            assert not any(map(is_open, ends.all))


async def disconnect() -> bool:
    return bp.disconnect(B)


async def test_a_second_pipe_to_the_same_node_is_refused():
    first, second = Ends(), Ends()
    async with node(A) as a, node(B) as b:
        await join(a, b, first.ours, first.theirs)
        results = await asyncio.gather(
            a.attach_pipe(*second.ours, B), b.attach_pipe(*second.theirs), return_exceptions=True
        )
        assert all(isinstance(result, NotConnected) for result in results), results
        await a.run(carried)
        await until(lambda: not any(map(is_open, second.all)))


async def test_different_cookies():
    ends = Ends()
    async with node(A, cookie="c" * 10 + "1234567890abcdefghijkl") as a, node(B) as b:
        results = await asyncio.gather(
            a.attach_pipe(*ends.ours, B), b.attach_pipe(*ends.theirs), return_exceptions=True
        )
        assert [type(result) for result in results] == [CookieMismatch, CookieMismatch]
        await until(lambda: not any(map(is_open, ends.all)))


async def test_another_node_than_the_one_expected():
    ends = Ends()
    async with node(A) as a, node(B) as b:
        results = await asyncio.gather(
            a.attach_pipe(*ends.ours, "c@127.0.0.1"), b.attach_pipe(*ends.theirs), return_exceptions=True
        )
        assert all(isinstance(result, NotConnected) for result in results), results
        await until(lambda: not any(map(is_open, ends.all)))


# --- before the handshake


async def test_what_a_shell_says_first_is_skipped():
    ends = Ends()
    os.write(ends.theirs_write, "Willkommen\nbeampy pipe\n\xff".encode("latin-1"))
    async with node(A) as a, node(B) as b:
        await join(a, b, ends.ours, ends.theirs)
        await a.run(carried)


async def test_a_mark_in_pieces_is_one():
    ends = Ends()
    os.set_blocking(ends.theirs_read, False)
    async with node(A) as a:
        assert a._peers is not None
        attempt = asyncio.ensure_future(attach(a._peers, *ends.ours, B))
        for byte in b"hello\nbeampy\n" + MARK[:-1]:
            os.write(ends.theirs_write, bytes([byte]))
            await asyncio.sleep(0.001)
        with pytest.raises(BlockingIOError):
            os.read(ends.theirs_read, 1)
        os.write(ends.theirs_write, MARK[-1:])
        await until(lambda: a._peers is not None and a._peers.half_open)  # now it begins
        assert os.read(ends.theirs_read, 4096)
        os.close(ends.theirs_write)
        with pytest.raises(HandshakeFailed, match="it closed the connection during the handshake"):
            await attempt
        os.close(ends.theirs_read)


@pytest.mark.parametrize(
    ("said", "closed", "timeout", "why"),
    [
        (b"python: command not found\n", True, 5, "its pipe was closed before it spoke: it said 'python: command not"),
        (b"", True, 5, "its pipe was closed before it spoke$"),
        (b"password: ", False, 0.05, "no node spoke on its pipe within 0.05 s: it said 'password:'"),
        (b"", False, 0.05, "no node spoke on its pipe within 0.05 s$"),
        (b"x" * (MAX_NOISE + 4096), False, 5, "what its pipe carries is no node: it said 'xxx"),
    ],
)
async def test_no_node_at_the_other_end(said: bytes, closed: bool, timeout: float, why: str):
    ends = Ends()
    async with node(A) as a:
        transport = PipeTransport(asyncio.get_running_loop(), ends.theirs_read, ends.theirs_write)
        transport.prepare()
        os.write(ends.theirs_write, said)
        if closed:
            transport.give_up()
        with pytest.raises(HandshakeFailed, match=why):
            await a.attach_pipe(*ends.ours, B, timeout=timeout)
        assert not any(map(is_open, ends.ours))
        transport.give_up()


async def test_a_file_is_no_pipe(tmp_path: Path):
    read_end, write_end = os.pipe()
    os.close(read_end)
    path = tmp_path / "input"
    path.write_bytes(MARK)
    file = os.open(path, os.O_RDONLY)
    async with node(A) as a:
        with pytest.raises(ValueError, match=f"file descriptor {file} is a file, and neither a pipe nor a socket"):
            await a.attach_pipe(file, write_end, B)
    assert not is_open(file)
    assert not is_open(write_end)


async def test_a_terminal_is_no_pipe():
    ours, theirs = os.openpty()
    async with node(A) as a:
        with pytest.raises(ValueError, match=f"file descriptor {theirs} is a terminal"):
            await a.attach_pipe(theirs, theirs)
    assert not is_open(theirs)
    os.close(ours)


async def test_an_attempt_that_is_given_up_leaves_nothing():
    ends = Ends()
    async with node(A) as a:
        assert a._peers is not None
        attempt = asyncio.ensure_future(attach(a._peers, *ends.ours, B))
        await asyncio.sleep(0.01)
        attempt.cancel()
        await asyncio.wait([attempt])
        assert not any(map(is_open, ends.ours))
    for fd in ends.theirs:
        os.close(fd)


async def test_a_node_without_a_name_has_no_pipes():
    ends = Ends()
    async with bp.Node() as alone:
        with pytest.raises(bp.errors.BeampyError, match="give it a name"):
            await alone.attach_pipe(*ends.ours, B)
    for fd in ends.all:
        os.close(fd)


def test_from_a_thread_without_a_loop():
    ends = Ends()
    with bp.start(A, listen=False) as a, bp.start(B, listen=False) as b:
        waiting = b.attach_pipe(*ends.theirs)
        assert a.attach_pipe(*ends.ours, B).result(10) == B
        assert waiting.result(10) == A
