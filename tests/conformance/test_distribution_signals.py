"""Signals between nodes where the way matters: bulk, a full channel, chains, third nodes, breaks. beam.md 4.2-4.38.

A message over 64 KiB travels in pieces between which others pass; a writer over 1 MiB waits. Neither may show.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.errors import BadName, EncodeError, NameTaken, NodeDown
from beampy.testing import harness
from tests.conformance.nodes import across, another, cluster, cut, early, echo, is_up, mute, until
from tests.conformance.vocabulary import NONE, absent, ca, get1, idle, mailbox, reason

KIB = 1024
BULK = 200 * KIB  # more than the 64 KiB from which a message is bulk, and more than one piece of it
FULL = 4 * KIB * KIB  # more than the 1 MiB that may wait before a writer is parked


def data(n: int, size: int = BULK) -> bytes:
    """Bytes that tell where they were put together wrongly."""
    return n.to_bytes(4, "big") * (size // 4)


# chains


async def chained(left: int, nodes: list[str], teller: bp.Pid) -> None:
    """A chain of linked processes, each on the next node; the last one tells who it is."""
    if left:
        await bp.spawn(chained, left - 1, [*nodes[1:], nodes[0]], teller, node=nodes[0], link=True)
    else:
        bp.send(teller, ("last", bp.self()))
    match await bp.receive(("exit", ...)):
        case ("exit", why):
            bp.exit(why)


@pytest.mark.parametrize("length", [1, 2, 9, 10])
@pytest.mark.parametrize("how", ["exit1", "exit2"])
async def test_kill_becomes_killed_along_a_chain_over_nodes(how: str, length: int) -> None:
    async def body(there: bp.Node) -> None:
        names = [there.name, bp.node()]
        _, ref = bp.spawn_monitor(chained, length, names, bp.self())
        _, last = await harness.expect(("last", bp.Pid))
        assert last.node == names[(length + 1) % 2]
        if how == "exit2":
            bp.exit(last, "kill")
        else:
            bp.send(last, ("exit", "kill"))
        assert await reason(ref) == ("killed" if how == "exit2" else "kill")

    async with cluster(2) as (here, there):
        await here.run(body, there)


# order: bulk and small, messages and ends


async def tells(to: bp.Pid, count: int, why: Any) -> None:
    """Bulk and small messages in turn, then the end."""
    await harness.expect("go")
    for i in range(count):
        bp.send(to, (i, data(i) if i % 3 == 0 else "small"))
    bp.exit(why)


@across()
async def test_bulk_and_small_messages_of_one_sender_keep_their_order(there):
    bp.trap_exit(True)
    pid, ref = await bp.spawn(tells, bp.self(), 30, "bye", node=there.name, link=True, monitor=True)
    bp.send(pid, "go")
    for i in range(30):
        assert await get1() == (i, data(i) if i % 3 == 0 else "small")
    ends = [await get1(), await get1()]
    assert bp.Exit(pid, "bye") in ends
    assert bp.Down(ref, pid, "bye") in ends


@across()
async def test_the_end_comes_after_bulk_that_was_sent_before_it(there):
    # Also where nothing small follows: the last message of the dead is a bulk message.
    for _ in range(20):
        pid, ref = await bp.spawn(tells, bp.self(), 1, "bye", node=there.name, monitor=True)
        bp.send(pid, "go")
        assert await get1() == (0, data(0))
        assert await get1() == bp.Down(ref, pid, "bye")


@across()
async def test_an_exit_signal_stays_behind_bulk(there):
    bp.trap_exit(True)
    pid, ref = await bp.spawn(collects, bp.self(), node=there.name, monitor=True)
    bp.send(pid, data(1))
    bp.exit(pid, "trapped")
    bp.send(pid, data(2))
    bp.send(pid, "tell")
    assert await get1() == [BULK, ("exit", "trapped"), BULK]
    assert await reason(ref) == "normal"


async def collects(to: bp.Pid) -> None:
    """Tells what it got, bulk by its size."""
    bp.trap_exit(True)
    seen: list[Any] = []
    while (message := await bp.receive()) != "tell":
        seen.append(("exit", message.reason) if isinstance(message, bp.Exit) else len(message))
    bp.send(to, seen)


@across()
async def test_order_of_signals_of_every_kind(there):
    # A message, a link, an exit over it: each is there before the next.
    me = bp.self()
    for _ in range(50):
        pid, ref = await bp.spawn(collects, me, node=there.name, monitor=True)
        bp.send(pid, b"1")
        linker = bp.spawn(links_and_ends, pid)
        sees = bp.monitor(linker)
        assert await reason(sees) == "oops"
        bp.send(pid, "tell")
        assert await get1() == [1, 2, ("exit", "oops")]
        await reason(ref)


async def links_and_ends(pid: bp.Pid) -> None:
    bp.link(pid)
    bp.send(pid, b"22")
    bp.exit("oops")


# a full channel


@across()
async def test_signals_over_a_full_channel_are_complete_and_in_order(there):
    # While megabytes wait, others link, monitor, demonitor and exit: all of it arrives.
    bp.trap_exit(True)
    me = bp.self()
    sink, done = await bp.spawn(collects, me, node=there.name, monitor=True)
    idlers = [await bp.spawn(idle, node=there.name) for _ in range(20)]

    async def floods():
        for i in range(8):
            bp.send(sink, data(i, FULL))
        bp.send(sink, "tell")

    flood = bp.spawn(floods)
    refs = []
    for i, pid in enumerate(idlers):
        bp.link(pid)
        refs.append(bp.monitor(pid))
        taken_off = bp.monitor(pid)
        bp.send(pid, ("exit", i)) if i % 2 else bp.exit(pid, i)
        bp.demonitor(taken_off, flush=True)
    for i, (pid, ref) in enumerate(zip(idlers, refs, strict=True)):
        assert await reason(ref) == i
        assert (await bp.receive((pid, ...))).reason == i
    assert await harness.expect(list) == [FULL] * 8
    assert await reason(done) == "normal"
    assert await harness.ended(flood) in ("normal", "noproc")
    assert await mailbox() == []


@across()
async def test_a_writer_that_is_parked_hears_exits(there):
    sink = await bp.spawn(mute, node=there.name)

    async def floods():
        while True:
            bp.send(sink, data(0, FULL))
            await asyncio.sleep(0)

    pid, ref = bp.spawn_monitor(floods)
    await asyncio.sleep(0.01)
    bp.exit(pid, "enough")
    assert await reason(ref) == "enough"


# monitors and aliases


@across()
async def test_demonitor_tells_the_truth_between_nodes(there):
    lied = []
    for i in range(100):
        pid, ref = await bp.spawn(early, node=there.name, monitor=True)
        for _ in range(i % 5):
            await asyncio.sleep(0)
        was_on = bp.demonitor(ref)
        is_there = await bp.receive(lambda m, ref=ref: isinstance(m, bp.Down) and m.ref == ref, timeout=0, default=None)
        lied.append(was_on == (is_there is not None))
        assert pid.node == there.name
    assert not any(lied)
    assert await absent() == NONE


async def answers(ref: bp.Ref, parts: list[Any], to: bp.Pid) -> None:
    for part in parts:
        bp.send(ref, part)
    bp.send(to, "said")


@across()
async def test_bulk_to_an_alias_that_is_taken_back_meanwhile_is_dropped(there):
    ref = bp.alias()
    await bp.spawn(answers, ref, [b"first", data(1, FULL), data(2)], bp.self(), node=there.name)
    assert await get1() == b"first"
    assert bp.unalias(ref)
    await harness.expect("said")
    assert await absent() == NONE


@pytest.mark.parametrize(("mode", "seen"), [("explicit_unalias", ["one", data(1)]), ("reply", ["one"])])
async def test_aliases_take_what_their_mode_says(mode: Any, seen: list[Any]) -> None:
    async def body(there: bp.Node) -> None:
        ref = bp.alias(mode)
        await bp.spawn(answers, ref, ["one", data(1)], bp.self(), node=there.name)
        assert await mailbox() == [*seen, "said"]
        assert bp.unalias(ref) is (mode == "explicit_unalias")

    async with cluster(2) as (here, there):
        await here.run(body, there)


# names


@across()
async def test_sends_to_unregistered_names_there_are_silent(there):
    for i in range(4096):
        bp.send((f"nobody{i % 7}", there.name), data(i, 100) if i % 100 else data(i))
    pid = await bp.spawn(echo, node=there.name)
    bp.send(pid, (bp.self(), "alive"))
    assert await get1() == "alive"


@across()
async def test_a_name_there_is_looked_up_there_and_once(there):
    me = bp.self()
    first = await bp.spawn(idle, node=there.name, name="service")
    ref = bp.monitor(("service", there.name))
    bp.send(("service", there.name), ("exit", "one"))
    assert await get1() == bp.Down(ref, ("service", there.name), "one")
    second = await bp.spawn(echo, node=there.name, name="service")
    bp.send(("service", there.name), (me, "two"))
    assert await get1() == "two"
    assert first != second


# spawning there


@across()
async def test_a_spawn_that_is_given_up_ends_its_process(there):
    ended = []

    def tracer(event: str, pid: bp.Pid, detail: Any) -> None:
        if event == "exit":
            ended.append(pid)

    there.trace(tracer)
    bp.spawn(mute, node=there.name).cancel()
    await until(lambda: bool(ended))
    there.trace(None)
    assert await absent() == NONE


@across()
async def test_a_spawn_whose_caller_has_ended_ends_its_process(there):
    async def asks():
        bp.spawn(mute, node=there.name, name="orphan", link=True)
        bp.exit("gone")

    _, ref = bp.spawn_monitor(asks)
    assert await reason(ref) == "gone"
    await bp.spawn(mute, node=there.name)  # its answer comes after that of the other
    await harness.arrived(bp.Pid(there.name, 1, 1))
    await until(lambda: there._core.registry.pids.get("orphan") is None)


@across()
async def test_a_connection_that_breaks_before_the_reply_is_nodedown(there):
    spawning = bp.spawn(mute, node=there.name, monitor=True, link=True)
    bp.disconnect(there.name)
    assert await ca(spawning) is NodeDown
    info = bp.process_info(bp.self())
    assert (info.links, info.monitors) == ((), ())
    assert await absent() == NONE


@across()
async def test_a_spawn_there_raises_what_a_spawn_raises(there):
    await bp.spawn(mute, node=there.name, name="taken")
    assert await ca(bp.spawn(mute, node=there.name, name="taken")) is NameTaken
    assert await ca(bp.spawn(mute, node=there.name, name="undefined")) is BadName

    held = threading.Lock()

    async def holding():
        held.acquire()

    with pytest.raises(EncodeError, match=r"the variable 'held' of message\[0\], lock"):
        bp.spawn(holding, node=there.name)
    with pytest.raises(EncodeError, match="lock"):
        bp.spawn(mute, held, node=there.name)
    assert await absent() == NONE


# nodes that come and go


@across(1)
async def test_nodeup_comes_before_messages_and_nodedown_after_them():
    me = bp.self()
    bp.register("main", me)
    bp.monitor_nodes()
    async with another("there@127.0.0.1") as there:
        await there.run(says_to_main, me.node)
        cut(there)
        seen = await mailbox()
    assert seen[0] == bp.NodeUp(there.name)
    assert seen[1:-1] == [data(0), *range(100)]
    assert isinstance(seen[-1], bp.NodeDown)


async def says_to_main(node: str) -> None:
    bp.send(("main", node), data(0))
    for i in range(100):
        bp.send(("main", node), i)
    await harness.arrived(bp.Pid(node, 1, 1))


@across()
async def test_nodedown_once_for_each_subscription_and_none_for_the_dead(there):
    bp.monitor_nodes()
    bp.monitor_nodes()

    async def subscribes():
        bp.monitor_nodes()

    await harness.ended(bp.spawn(subscribes))
    cut(there)
    seen = await mailbox()
    assert [type(message) for message in seen] == [bp.NodeDown, bp.NodeDown]
    assert await bp.ping(there.name)
    assert await mailbox() == [bp.NodeUp(there.name)] * 2


async def test_nodes_that_connect_to_each_other_at_once_have_one_connection() -> None:
    async def floods(to: tuple[str, str], teller: bp.Pid) -> None:
        for i in range(20):
            bp.send(to, i)
        bp.send(teller, "sent")

    async def body(to: tuple[str, str]) -> list[Any]:
        bp.register("main", bp.self())
        bp.spawn(floods, to, bp.self())
        return [await bp.receive(timeout=harness.DEADLINE) for _ in range(21)]

    for _ in range(10):
        async with cluster(1) as (here,), another("there@127.0.0.1") as there:
            seen = await asyncio.gather(
                here.run(body, ("main", there.name)), there.run(body, ("main", here.name)), return_exceptions=True
            )
            numbers = [[message for message in side if message != "sent"] for side in seen]
            # Who had no name yet when a message came did not get it; the rest is in order, each once.
            assert all(side == sorted(set(side)) for side in numbers)
            await until(lambda: is_up(here, there) and is_up(there, here))
            assert [len(node._peers.connections) for node in (here, there)] == [1, 1]


# identities


@across(3)
async def test_pids_and_refs_through_a_third_node_are_the_same(there, third):
    me = bp.self()
    ref = bp.alias()
    other = await bp.spawn(relays, node=third.name)
    one = await bp.spawn(relays, node=there.name)
    bp.send(one, (other, (me, (me, ref, one, other))))
    back = await get1()
    assert back == (me, ref, one, other)
    assert len({me, ref, one, other, *back}) == 4
    assert sorted([*back[:1], *back[2:]]) == sorted([me, one, other])
    bp.send(back[0], "to myself")
    bp.send(back[1], "by the alias that came back")
    bp.send(one, (other, (back[1], "by the alias from a third node")))
    assert await get1() == "to myself"
    assert await get1() == "by the alias that came back"
    assert await get1() == "by the alias from a third node"
    assert bp.unalias(back[1])


async def relays() -> None:
    """Passes on what it is sent with (destination, message)."""
    async for dest, message in bp.mailbox():
        bp.send(dest, message)


@across()
async def test_an_answer_finds_its_way_from_the_callers_own_node(there):
    # The reference of the call comes back as a copy, and a process of this node answers by it.
    server = (await Delegating.start()).pid
    assert server.node == bp.node()
    caller = await bp.spawn(calls, server, bp.self(), node=there.name)
    assert await get1() == ("answered", "by another")
    assert caller.node == there.name


class Delegating(bp.Server):
    """Has its answers given by a process of the caller's node."""

    async def handle_call(self, request, from_):
        await bp.spawn(replies, from_, "by another", node=from_.pid.node)
        return bp.NOREPLY


async def replies(to: Any, answer: Any) -> None:
    bp.reply(to, answer)


async def calls(server: bp.Pid, to: bp.Pid) -> None:
    bp.send(to, ("answered", await bp.call(server, "x")))
