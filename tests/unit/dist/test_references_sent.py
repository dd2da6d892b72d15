"""References that are sent: wherever in a message they are, once; and taken back where nothing is sent."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import beampy as bp
from beampy.errors import BeampyError, EncodeError, NodeDown, PeerBusy
from tests.unit.dist.ports import until
from tests.unit.dist.references_ground import (
    B,
    WithRef,
    mute,
    run,
    start,
)
from tests.unit.wire.lender import Lenders, Thing

pytestmark = pytest.mark.loops("asyncio", "uvloop")


# everywhere in a message


def give(*things: Any, **more: Any) -> Any:
    return things, more


def items(count: int) -> Any:
    for number in range(count):
        yield [Thing(number)]


def fail(things: Any) -> None:
    raise WithRef(*things)


async def leave(things: Any) -> None:
    await bp.receive(("go",))
    bp.exit(things)


async def crash(things: Any) -> None:
    await bp.receive(("go",))
    raise WithRef(*things)


async def tell_all(to: bp.Pid, things: Any, *, default: Any = None) -> None:
    bp.send(to, things)


async def test_in_calls_and_answers() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        assert await bp.remote_call(B, give, [Thing(1)], key={Thing(2): 3}) == (([Thing(1)],), {"key": {Thing(2): 3}})
        assert theirs.came == ours.came == [[1, 2]]
        with pytest.raises(WithRef) as caught:
            await bp.remote_call(B, fail, [Thing(3), Thing(4)])
        assert caught.value.args == (Thing(3), Thing(4))
        assert ours.came[1:] == [[3, 4]]
        assert len(theirs.lent) == 4  # once each, though it was tried whether the exception can be read
        read = [item async for item in bp.remote_call.stream(B, items, 5)]
        assert read == [[Thing(number)] for number in range(5)]
        assert [number for numbers in ours.came[2:] for number in numbers] == list(range(5))

    await run(test)


async def test_in_functions() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        mine, second, third = Thing(1), Thing(2), Thing(3)

        def closes_over(default: Any = second, *, more: Any = third) -> Any:
            return [mine, default, more]

        assert await bp.remote_call(B, closes_over) == [Thing(1), Thing(2), Thing(3)]
        assert theirs.came == ours.came == [[1, 2, 3]]

    await run(test)


@pytest.mark.parametrize("fn", [leave, crash])
async def test_in_reasons(fn: Any) -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        bp.trap_exit(True)
        pid = await bp.spawn(fn, [Thing(7)], node=B, link=True)
        monitor = bp.monitor(pid)
        bp.send(pid, ("go",))
        for _ in range(2):
            match await bp.receive():
                case bp.Exit(sender, reason):
                    assert sender == pid
                case bp.Down(ref, _, reason):
                    assert ref == monitor
            if fn is crash:
                assert reason.exception.args == (Thing(7),)
            else:
                assert reason == [Thing(7)]
        assert theirs.came == [[7]]
        assert ours.came == [[7], [7]]
        bp.trap_exit(False)

    await run(test)


async def test_in_arguments_of_a_new_process() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        await start(tell_all, bp.self(), [Thing(1)])
        assert await bp.receive() == [Thing(1)]
        with pytest.raises((BeampyError, TypeError)):
            await bp.spawn(tell_all, Thing(2), Thing(3), Thing(4), Thing(5), node=B)
        assert theirs.came[0] == [1]
        assert theirs.came[1] == [2, 3, 4, 5]

    await run(test)


async def test_as_an_argument_of_a_call_it_is_what_it_stands_for() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        assert await bp.remote_call(B, give, Thing(1), key=Thing(2)) == (
            ("what 1 stands for",),
            {"key": "what 2 stands for"},
        )
        assert theirs.came == [[1, 2]]

    await run(test)


# what is not sent


@pytest.mark.parametrize("fn", ["send", "spawn", "call", "exit"])
async def test_what_is_too_large_is_taken_back(fn: str) -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(mute)
        before = len(ours.lent)
        message = [Thing(1), "x" * 400_000, bytearray(50_000)]
        if fn == "exit":
            bp.exit(pid, message)  # it goes as text, so the process ends
            await until(lambda: any(ours.at[B].withdrawn))
        else:
            with pytest.raises(EncodeError, match="262144 are possible"):
                if fn == "send":
                    bp.send(pid, message)
                elif fn == "call":
                    await bp.call(pid, message)
                else:
                    await bp.spawn(tell_all, message, node=B)
        assert ours.lent[before:] == []
        assert not theirs.came
        bp.exit(pid, "kill")

    await run(test, max_message=256 * 1024)


async def test_too_many_buffers_are_taken_back() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(mute)
        large = bytes(20_000)
        with pytest.raises(EncodeError, match="buffers"):
            bp.send(pid, [Thing(1), [memoryview_of(large) for _ in range(65_536)]])
        assert not ours.lent
        bp.exit(pid, "kill")

    await run(test)


def memoryview_of(data: bytes) -> Any:
    import pickle

    return pickle.PickleBuffer(data)


@pytest.mark.parametrize("fn", ["send", "spawn"])
async def test_nobody_to_connect_to(fn: str) -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        if fn == "send":
            bp.send(("somebody", B), Thing(1))
        else:
            with pytest.raises(NodeDown):
                await bp.spawn(tell_all, bp.self(), Thing(1), node=B)
        assert not ours.lent

    await run(test, auto_connect="never")


async def test_who_writes_too_much_lends_nothing() -> None:
    async def test(ours: Lenders, theirs: Lenders) -> None:
        pid = await start(mute)
        peers = bp.api.self_process().node.remote
        peers.options = dataclasses.replace(peers.options, cap=100)  # type: ignore[attr-defined]
        bp.send(pid, "x" * 1000)
        with pytest.raises(PeerBusy):
            bp.send(pid, Thing(1))
        assert not ours.lent
        bp.exit(pid, "kill")

    await run(test)
