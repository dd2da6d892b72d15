"""References that arrive: with the frame, whether or not anybody reads the message; and what connections tell of."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
from typing import Any

import pytest

import beampy as bp
from beampy.errors import CallTimeout, DecodeError
from beampy.wire import control
from tests.security.ground import peers_of
from tests.unit.dist.ports import until
from tests.unit.dist.references_ground import (
    GO,
    LARGE,
    READING,
    A,
    B,
    Held,
    Slow,
    Unreadable,
    doors,
    echo,
    mute,
    names,
    peer_of_mine,
    run,
    sleeper,
    start,
    two,
)
from tests.unit.wire.lender import Lenders, Thing

pytestmark = pytest.mark.loops("asyncio", "uvloop")


# what references are told


async def test_sessions_begin_and_end_in_order() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        await bp.connect(B)
        creation = peer_of_mine(B).creation
        assert ours.log == [("session", B), ("up", B, creation)]
        assert bp.disconnect(B)
        assert ours.log[2:] == [("down", B, "disconnect"), ("session", B)]
        await until(lambda: len(theirs.log) == 4)
        assert names(theirs.log) == ["session", "up", "down", "session"]
        await bp.connect(B)
        assert ours.log[4:] == [("up", B, creation)]

    await run(test)


async def test_an_attempt_that_fails_was_never_sent() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        bp.send(("nobody", "c@127.0.0.1"), Thing(1))
        assert ours.lent == [Thing(1)]
        await until(lambda: "unsent" in names(ours.log))
        assert ours.log == [("session", "c@127.0.0.1"), ("unsent", 0), ("session", "c@127.0.0.1")]

    await run(test)


async def test_they_tell_each_other_first_of_all() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        peers = bp.api.self_process().node.remote
        assert not peers.tell(B, b"too early")  # type: ignore[attr-defined]
        ours.on_up = lambda peer: peers.tell(peer, b"first")  # type: ignore[attr-defined]
        pid = await start(echo, bp.self())
        assert theirs.told == [b"first"]
        assert names(theirs.log) == ["session", "up", "heard"]
        assert peers.tell(B, b"x" * control.MAX_REFS)  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="at most"):
            peers.tell(B, b"x" * (control.MAX_REFS + 1))  # type: ignore[attr-defined]
        await until(lambda: len(theirs.told) == 2)
        bp.exit(pid, "kill")

    await run(test)


@pytest.mark.parametrize("how", ["nonsense", "none there", "none there, in a message", "a shape of its own", "garbage"])
async def test_what_is_not_the_protocol_ends_the_connection(how: str) -> None:
    async def test(a: bp.Node, b: bp.Node) -> None:
        await bp.connect(B)
        peer = peers_of(a).table[B]
        assert peer.channel is not None
        if how.startswith("none there"):
            peers_of(b).options = dataclasses.replace(peers_of(b).options, references=None)
            peers_of(b).table[A].incoming.reader.carrier = None
        ours: Any = peers_of(a).options.references
        if how == "none there, in a message":
            bp.send(("somebody", B), Thing(1))
        elif how == "a shape of its own":
            peer.channel.control(0, (control.REFS,), 1, (b"x",))
            peer.wrote(None)
        elif how == "garbage":
            peer.channel.send_name("somebody", 0, 128, (b"no manifest",))
            peer.wrote(None)
        else:
            peer.tell(b"nonsense")
        await until(lambda: "down" in names(ours.log))
        assert peers_of(b).table[A].state == "down" or "down" in names(ours.log)

    async with two() as (a, b, _, _):
        await a.run(test, a, b)


# what arrives


async def test_a_plain_message_is_read_as_it_comes() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(echo, bp.self())
        bp.send(pid, ("text", [Thing(1), Thing(2)]))
        assert await bp.receive() == ("text", [Thing(1), Thing(2)])
        assert theirs.came == ours.came == [[1, 2]]
        assert not theirs.held
        assert not ours.held
        bp.exit(pid, "kill")

    await run(test)


@pytest.mark.parametrize("more", ["", LARGE], ids=["small", "in pieces"])
async def test_one_that_waits_is_kept_until_it_is_read(more: str) -> None:
    async def reader(to: bp.Pid) -> None:
        await doors[0].wait()
        message = await bp.receive()
        bp.send(to, message.ref.id[2])
        del message
        await sleeper()

    async def test(ours: Lenders, theirs: Lenders) -> None:
        doors[:] = [asyncio.Event()]
        pid = await start(reader, bp.self())
        bp.send(pid, Held(Thing(5), more))
        await until(lambda: theirs.came == [[5]])
        await asyncio.sleep(0)
        assert theirs.held == 1
        doors[0].set()
        assert await bp.receive() == 5
        await until(lambda: not theirs.held)
        bp.exit(pid, "kill")

    await run(test)


@pytest.mark.parametrize("more", ["", LARGE], ids=["small", "in pieces"])
async def test_a_process_that_dies_before_it_reads(more: str) -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(sleeper)
        bp.send(pid, Held(Thing(1), more))
        bp.send(pid, (Thing(2), more * 2))
        await until(lambda: theirs.came == [[1], [2]])
        assert theirs.held >= 1
        gc.disable()
        try:
            bp.exit(pid, "kill")
            await until(lambda: not theirs.held)
        finally:
            gc.enable()

    await run(test)


@pytest.mark.parametrize("more", ["", LARGE], ids=["small", "in pieces"])
async def test_what_is_for_nobody_has_arrived(more: str) -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(mute)
        monitor = bp.monitor(pid)
        bp.exit(pid, "kill")
        assert (await bp.receive()).ref == monitor
        bp.send(pid, Held(Thing(1), more))
        bp.send(("nobody", B), Held(Thing(2), more))
        bp.send(bp.Ref(B, 12345, pid.creation), Held(Thing(3), more))
        await until(lambda: len(theirs.came) == 3)
        assert sorted(theirs.came) == [[1], [2], [3]]
        assert not theirs.held

    await run(test)


async def test_an_answer_that_nobody_waits_for_any_more() -> None:
    async def server() -> None:
        call = await bp.receive()
        await bp.receive(("go",))
        bp.reply(call, Held(Thing(3)))
        await sleeper()

    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(server)
        with pytest.raises(CallTimeout):
            await bp.call(pid, "question", timeout=0.05)
        bp.send(pid, ("go",))
        await until(lambda: ours.came == [[3]])
        assert not ours.held
        bp.exit(pid, "kill")

    await run(test)


async def test_reading_that_is_cancelled_is_begun_again() -> None:
    async def reader(to: bp.Pid) -> None:
        try:
            async with asyncio.timeout(0.05):
                await bp.receive()
        except TimeoutError:
            bp.send(to, "cancelled")
        message = await bp.receive()
        bp.send(to, message.ref.id[2])
        del message
        await sleeper()

    async def test(ours: Lenders, theirs: Lenders) -> None:
        GO.clear()
        READING.clear()
        pid = await start(reader, bp.self())
        bp.send(pid, SlowLarge(Thing(4)))
        assert await bp.receive() == "cancelled"
        assert theirs.held == 1
        GO.set()
        assert await bp.receive() == 4
        await until(lambda: not theirs.held)
        bp.exit(pid, "kill")

    await run(test)


class SlowLarge(Slow):
    """It is decoded in a thread."""

    def __init__(self, ref: Any) -> None:
        super().__init__(ref)
        self.text = LARGE


async def test_a_process_that_dies_while_it_reads() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        GO.clear()
        READING.clear()
        pid = await start(reads, bp.self())
        bp.send(pid, SlowLarge(Thing(4)))
        await until(READING.is_set)
        bp.exit(pid, "kill")
        await asyncio.sleep(0)
        assert theirs.held == 1  # while the thread reads
        GO.set()
        await until(lambda: not theirs.held)

    await run(test)


async def reads(to: bp.Pid) -> None:
    try:
        await bp.receive()
    except DecodeError:
        bp.send(to, "unreadable")
    await sleeper()


@pytest.mark.parametrize("more", ["", LARGE], ids=["small", "in pieces"])
async def test_what_cannot_be_read_keeps_nothing(more: str) -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(reads, bp.self())
        gc.disable()
        try:
            bp.send(pid, (Unreadable(Thing(1)), more))
            assert await bp.receive() == "unreadable"
            await until(lambda: theirs.came == [[1]] and not theirs.held)
        finally:
            gc.enable()
        bp.exit(pid, "kill")

    await run(test)
