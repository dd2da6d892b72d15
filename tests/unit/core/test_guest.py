"""guest: the body of `async with Node()` and the voice of threads, as others see them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.guest import Guest
from beampy.core.signals import Crash
from beampy.errors import Exited
from beampy.testing import harness

LONG = 30.0


async def talks(to: bp.Pid, *words: Any) -> None:
    for word in words:
        bp.send(to, word)


async def watches(pid: bp.Pid, found: list[Any]) -> None:
    bp.monitor(pid)
    bp.trap_exit()
    bp.link(pid)
    while len(found) < 2:
        found.append(await bp.receive())


async def test_the_body_is_a_process_to_others() -> None:
    async with bp.Node() as node:
        me = bp.self()
        assert isinstance(api.self_process(), Guest)
        assert bp.is_alive(me)
        info = bp.process_info(me)
        assert info is not None
        assert "body of" in info.initial_call
        assert info.message_queue_len == 0
        bp.register("body", me)
        bp.spawn(talks, "body", 1)
        assert await bp.receive() == 1
        assert node.statistics()["names"] == 1


async def test_messages_come_in_order_whatever_it_awaits_meanwhile() -> None:
    async with bp.Node():
        bp.spawn(talks, bp.self(), 1, "a", None, 2)
        await asyncio.sleep(0.001)
        assert await bp.receive(str) == "a"
        assert [await bp.receive() for _ in range(3)] == [1, None, 2]
        seen = []
        bp.spawn(talks, bp.self(), 1, 2, "end")
        async for message in bp.mailbox():
            if message == "end":
                break
            seen.append(message)
        assert seen == [1, 2]


async def test_a_timeout_around_its_receive() -> None:
    async with bp.Node():
        for pattern in (None, str):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await (bp.receive() if pattern is None else bp.receive(pattern))
        bp.spawn(talks, bp.self(), "after")
        assert await bp.receive(timeout=LONG) == "after"


async def test_its_tasks_are_its_own_business() -> None:
    async with bp.Node():
        task = asyncio.create_task(asyncio.sleep(0.001, "done"))
        assert not api.self_process().extras().tasks
    assert await task == "done"


@pytest.mark.parametrize("how", ["normal", "error", "exit"])
async def test_how_it_leaves_is_what_others_hear(how: str) -> None:
    found: list[Any] = []
    reasons = {"normal": "normal", "error": Crash("ValueError", "x"), "exit": "boom"}
    expected: Any = {"error": ValueError, "exit": bp.errors.Exited}.get(how)

    async def body() -> None:
        async with bp.Node():
            bp.spawn(watches, bp.self(), found)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if how == "error":
                raise ValueError("x")
            if how == "exit":
                bp.exit("boom")

    if expected is None:
        await body()
    else:
        with pytest.raises(expected):
            await body()
    assert [message.reason for message in found] == [reasons[how]] * 2
    assert {type(message) for message in found} == {bp.Down, bp.Exit}


@pytest.mark.parametrize("reason", ["boom", "kill"])
async def test_an_exit_signal_ends_the_body(reason: str) -> None:
    async def ends(pid: bp.Pid) -> None:
        bp.exit(pid, reason)

    cleaned = []
    with pytest.raises((Exited, asyncio.CancelledError)):
        async with bp.Node():
            bp.spawn(ends, bp.self())
            try:
                await asyncio.sleep(LONG)
            finally:
                cleaned.append("cleaned up")
    assert cleaned == ["cleaned up"]
    task = asyncio.current_task()
    assert task is not None
    while task.uncancel():
        pass


async def test_an_exiting_body_receives_nothing() -> None:
    async def ends(pid: bp.Pid) -> None:
        bp.send(pid, "too late")
        bp.exit(pid, "boom")

    with pytest.raises(Exited):
        async with bp.Node():
            bp.spawn(ends, bp.self())
            try:
                await asyncio.sleep(LONG)
            finally:
                with pytest.raises(asyncio.CancelledError, match="exiting"):
                    await bp.receive()


async def test_a_trapping_body_gets_exit_messages() -> None:
    async def ends(pid: bp.Pid) -> None:
        bp.exit(pid, "boom")

    async with bp.Node():
        bp.trap_exit()
        pid = bp.spawn(ends, bp.self())
        assert await bp.receive() == bp.Exit(pid, "boom")


async def test_calls_from_the_body() -> None:
    async def server() -> None:
        async for ref in bp.mailbox():
            bp.send(ref, "answer")

    async with bp.Node():
        pid = bp.spawn(server)
        for _ in range(2):
            pending = bp.request(pid)
            bp.send(pid, pending.ref)
            assert await pending == "answer"
        hanging = bp.request(pid, 0.001)
        with pytest.raises(bp.errors.CallTimeout):
            await hanging


async def test_leaving_twice_is_leaving_once() -> None:
    async def body() -> None:
        node = api.self_process().node
        guest = Guest(node, node.new_pid(), None, "a guest")
        ref = bp.monitor(guest.pid)
        assert not guest.owns_current_task()
        guest.leave("first")
        guest.leave("second")
        guest.kill()
        assert await harness.expect(bp.Down) == bp.Down(ref, guest.pid, "first")
        assert harness.flush() == []

    await harness.run(body)
