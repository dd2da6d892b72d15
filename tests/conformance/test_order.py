"""The order of signals, and what receive takes: beam.md 4.1, 3.1."""

from __future__ import annotations

import asyncio
import sys

import pytest

import beampy as bp
from beampy.errors import NotInProcess
from beampy.testing import harness
from tests.conformance.vectors import probe, process
from tests.conformance.vocabulary import absent, distinct, get1, idler, reason, report, trapper, until


async def sink() -> None:
    """Takes messages; one of them would change its exit reason."""
    async for message in bp.mailbox():
        if message == "may_not":
            bp.exit("bad_order")


async def order_once() -> object:
    pid, ref = bp.spawn_monitor(sink)
    bp.send(pid, "a")
    bp.send(pid, "b")
    bp.exit(pid, "good_order")
    bp.send(pid, "may_not")
    bp.send(pid, "may_not")
    return await reason(ref)


@probe
async def test_signal_order_mixed():
    return distinct([await order_once() for _ in range(1000)])


@probe
async def test_exit_after_messages_order():
    return await order_once()


@process()
async def test_signal_order_mixed_with_turns_between():
    # The receiver runs between the sender's signals, so it is met waiting, running and queued.
    for turns in range(20):
        pid, ref = bp.spawn_monitor(sink)
        for message in range(turns):
            bp.send(pid, message)
            await asyncio.sleep(0)
        bp.exit(pid, "good_order")
        bp.send(pid, "may_not")
        assert await reason(ref) == "good_order"


@probe
async def test_signal_order_trapping():
    pid = await trapper()
    bp.send(pid, 1)
    bp.exit(pid, "x")
    bp.send(pid, 2)
    bp.exit(pid, "normal")
    bp.send(pid, 3)
    return await report(pid)


@probe
async def test_signal_order_link_message_exit():
    me = bp.self()
    bp.trap_exit(True)

    async def child():
        bp.send(me, 1)
        bp.send(me, 2)
        bp.exit("x")

    bp.spawn_link(child)
    return [await get1(), await get1(), await get1()]


@probe
async def test_signal_order_monitor_message_down():
    me = bp.self()

    async def child():
        bp.send(me, 1)
        bp.send(me, 2)
        bp.exit("x")

    bp.spawn_monitor(child)
    return [await get1(), await get1(), await get1()]


@probe
async def test_messages_of_one_sender_in_order():
    me = bp.self()

    async def sender():
        for i in range(10_000):
            bp.send(me, i)

    bp.spawn_link(sender)
    return [await get1() for _ in range(10_000)] == list(range(10_000))


@probe
async def test_messages_of_two_senders_each_in_order():
    me = bp.self()

    async def sender(who, pause):
        for i in range(2000):
            bp.send(me, (who, i))
            if i % pause == 0:
                await asyncio.sleep(0)

    for who, pause in (("a", 7), ("b", 11)):
        bp.spawn_link(sender, who, pause)
    everything = [await get1() for _ in range(4000)]
    return [[i for sender, i in everything if sender == who] == list(range(2000)) for who in ("a", "b")]


@process()
async def test_none_is_a_message_like_any_other():
    me = bp.self()

    async def sender():
        for message in (None, 1, None, 2):
            bp.send(me, message)
            await asyncio.sleep(0)

    bp.spawn_link(sender)
    assert [await bp.receive() for _ in range(4)] == [None, 1, None, 2]


@process()
async def test_order_holds_whatever_way_a_message_takes():
    # By pid, by name, by (name, node), by alias, from a task and from a thread's hand-over: one sender, one order.
    me = bp.self()
    bp.register("order", me)
    alias = bp.alias()
    everywhere = [me, ("order", me.node), alias]

    async def sender():
        ways = [*everywhere, "order"] if bp.node() == me.node else everywhere
        for i in range(200):
            bp.send(ways[i % len(ways)], i)

    bp.spawn_link(sender)
    assert [await get1() for _ in range(200)] == list(range(200))


@probe
async def test_is_process_alive_sees_earlier_exit():
    seen = []
    for _ in range(1000):
        pid = idler()
        bp.exit(pid, "kill")
        await harness.arrived(pid)
        seen.append(bp.is_alive(pid))
    return distinct(seen)


@probe
async def test_receive_selective_leaves_order():
    for message in "abc":
        bp.send(bp.self(), message)
    return [await harness.expect("b"), await get1(), await get1()]


@probe
async def test_receive_timeout_leaves_mailbox():
    bp.send(bp.self(), "a")
    missed = await bp.receive(lambda m: m == "b", timeout=0.01, default="timeout")
    return [missed, await get1()]


@probe
async def test_receive_after_0_empty():
    return await bp.receive(timeout=0, default="timeout")


@probe
async def test_receive_after_0_finds_second():
    bp.send(bp.self(), "p")
    bp.send(bp.self(), "q")
    return [await bp.receive(lambda m: m == "q", timeout=0, default="timeout"), await get1()]


@process()
async def test_a_receive_that_is_cancelled_loses_nothing():
    # A message handed over in the same turn as the cancellation stays unread, in its place.
    me = bp.self()

    async def receiver():
        bp.send(me, asyncio.current_task())
        try:
            await bp.receive()
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        bp.send(me, [await bp.receive() for _ in range(3)])

    pid = bp.spawn(receiver)
    task = await get1()
    await until(lambda: bp.process_info(pid).status == "waiting")
    bp.send(pid, 0)
    task.cancel()
    bp.send(pid, 1)
    bp.send(pid, 2)
    assert await get1() == [0, 1, 2]


@process()
async def test_messages_are_not_copied_on_one_node():
    message = ["as it was"]
    bp.send(bp.self(), message)
    message[0] = "changed after the send"
    assert await get1() is message


@process(strict=True)
async def test_messages_are_copied_on_a_strict_node():
    message = ["as it was"]
    bp.send(bp.self(), message)
    message[0] = "changed after the send"
    assert await get1() == ["as it was"]


@process()
async def test_a_process_that_never_awaits_is_not_interrupted():
    me = bp.self()

    async def busy():
        for i in range(1000):
            bp.send(me, i)
            assert await bp.receive(timeout=0, default="nothing") == "nothing"  # a look does not give way

    bp.spawn(busy)
    bp.spawn(busy)
    assert [await get1() for _ in range(2000)] == [*range(1000), *range(1000)]


@process()
async def test_wait_for_around_receive():
    # asyncio.wait_for makes a task of what it waits for, before 3.12; receive has a timeout of its own.
    bp.send(bp.self(), "message")
    if sys.version_info < (3, 12):
        with pytest.raises(NotInProcess):
            await asyncio.wait_for(bp.receive(), 1)
    else:
        assert await asyncio.wait_for(bp.receive(), 1) == "message"
        bp.send(bp.self(), "message")
    async with asyncio.timeout(1):
        assert await bp.receive() == "message"
    assert await bp.receive(timeout=0, default=None) is None


@process()
async def test_selective_receives_nest_and_keep_order():
    me = bp.self()
    for i in range(10):
        bp.send(me, ("odd" if i % 2 else "even", i))
    assert [(await bp.receive(("odd", ...)))[1] for _ in range(3)] == [1, 3, 5]
    assert (await bp.receive(("even", int)))[1] == 0
    bp.send(me, ("odd", 10))
    assert [(await bp.receive())[1] for _ in range(7)] == [2, 4, 6, 7, 8, 9, 10]
    assert await absent(0) == "none"
