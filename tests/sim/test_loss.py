"""Connections that are lost: partitions, half-open ones, restarts; and what becomes of all that went over them."""

from __future__ import annotations

import asyncio
from typing import Any

import beampy as bp
from beampy.dist.peers import TICK_EVERY
from tests.sim.programs import call, echo, holder, keeper, node_watcher, sleeper
from tests.sim.world import World, assert_no_ties, peers_of, scenario

TICK = 8.0  # seconds: a short tick time for tests of it, and 4 x TICK_EVERY so that it is kept to the quarter


@scenario
async def test_a_partition_ends_links_and_monitors_once_and_the_next_send_connects_again(world: World) -> None:
    a = await world.start("a", tick_time=TICK)
    b = await world.start("b", tick_time=TICK)
    got: list[Any] = []
    here: list[Any] = []
    there = b.spawn(keeper, got)
    linked, watched = b.spawn(sleeper), b.spawn(sleeper)
    a.spawn(holder, here, [linked], [watched])
    await world.until(lambda: world.is_mesh("a", "b"))
    await asyncio.sleep(1)
    world.net.partition("a", "b")
    await world.until(lambda: not world.sees("a") and not world.sees("b"))
    await asyncio.sleep(1)
    assert sorted((type(m).__name__, m.reason) for m in here) == [("Down", "noconnection"), ("Exit", "noconnection")]
    assert_no_ties(a)
    assert_no_ties(b)
    assert b._core.find(watched), "who is only watched keeps running"
    assert not b._core.find(linked), "who is linked gets the exit signal at its end too"

    world.net.heal()
    await world.ask("a", lambda: bp.send(there, "again"))
    await world.until(lambda: "again" in got)
    assert got == ["again"]
    await asyncio.sleep(5)
    assert len(here) == 2, "what has ended once does not come back"


@scenario
async def test_what_was_sent_in_a_partition_is_lost_and_not_delivered_late_or_twice(world: World) -> None:
    await world.start("a", tick_time=TICK)
    b = await world.start("b", tick_time=TICK)
    got: list[Any] = []
    there = b.spawn(keeper, got)

    async def send(n: int) -> None:
        bp.send(there, n)

    for n in range(5):
        await world.run("a", send, n)
    await world.until(lambda: got == list(range(5)))
    for round in range(1, 4):
        world.net.partition("a", "b")
        for n in range(round * 100, round * 100 + 5):
            await world.run("a", send, n)
        await world.until(lambda: not world.sees("a") and not world.sees("b"))
        world.net.heal()
        await world.run("a", send, round * 1000)
        await world.until(lambda last=round * 1000: got[-1] == last)
    assert len(got) == len(set(got)), got
    assert got == sorted(got, key=lambda n: n if n >= 1000 else n * 10), got


@scenario
async def test_a_silent_peer_is_found_by_ticks_in_time(world: World) -> None:
    """The other machine vanishes and sends no FIN. OTP's rule, with its tick time: T - T/4 to T + T/4."""
    tick = 60.0
    a = await world.start("a", tick_time=tick)
    await world.start("b", tick_time=tick)
    told: list[Any] = []
    a.spawn(node_watcher, told)
    await world.connect("a", "b")
    await asyncio.sleep(world.rng.uniform(0, 3 * tick))
    last = world.loop.time()
    await world.crash("b", silent=True)
    await world.until(lambda: not world.sees("a"))
    took = world.loop.time() - last
    # What b said last may be a quarter and two looks old.
    assert tick - tick / 4 - 2 * TICK_EVERY <= took <= tick + tick / 4, took
    await world.until(lambda: len(told) == 2)
    assert told == [bp.NodeUp("b@b"), bp.NodeDown("b@b", "net_tick_timeout")]


@scenario
async def test_a_small_tick_time_is_kept_too(world: World) -> None:
    await world.start("a", tick_time=1.0)
    await world.start("b", tick_time=1.0)
    await world.connect("a", "b")
    await asyncio.sleep(5)
    assert world.is_mesh("a", "b"), "ticks come as often as they have to"
    last = world.loop.time()
    await world.crash("b", silent=True)
    await world.until(lambda: not world.sees("a"))
    # Silence counts from what was heard last, which may be a tick (a quarter) older than the crash.
    assert 0.75 - 0.25 <= world.loop.time() - last <= 1.25


@scenario
async def test_an_idle_connection_stays_for_hours(world: World) -> None:
    a = await world.start("a")
    b = await world.start("b")
    told: list[Any] = []
    a.spawn(node_watcher, told)
    b.spawn(node_watcher, told)
    await world.connect("a", "b")
    await asyncio.sleep(2 * 3600)
    assert world.is_mesh("a", "b")
    assert sorted(told) == [bp.NodeUp("a@a"), bp.NodeUp("b@b")]


@scenario
async def test_one_way_loss_ends_both_sides(world: World) -> None:
    """Only what a sends is lost: b hears nothing and says so by closing."""
    await world.start("a", tick_time=TICK)
    await world.start("b", tick_time=TICK)
    await world.connect("a", "b")
    await asyncio.sleep(1)
    world.net.partition("a", "b", both=False)
    await world.until(lambda: not world.sees("a") and not world.sees("b"))


@scenario
async def test_a_crash_is_seen_by_all_at_once(world: World) -> None:
    names = ["a", "b", "c", "d", "e"]
    await world.start(*names)
    await world.connect(*names)
    told: dict[str, list[Any]] = {name: [] for name in names}
    for name in names:
        world.nodes[name].spawn(node_watcher, told[name])
    await asyncio.sleep(1)
    at = world.loop.time()
    await world.crash("c")
    names.remove("c")
    await world.until(lambda: world.is_mesh(*names), 1.0)
    assert world.loop.time() - at < 15.0
    await asyncio.sleep(1)
    for name in names:
        assert [m.node for m in told[name] if isinstance(m, bp.NodeDown)] == ["c@c"], told[name]


@scenario
async def test_a_restarted_node_is_another_one(world: World) -> None:
    a = await world.start("a")
    b = await world.start("b")
    got: list[Any] = []
    kept: list[Any] = []
    old = b.spawn(keeper, got)
    old_sleeper = b.spawn(sleeper)
    a.spawn(holder, kept, [old_sleeper], [old_sleeper])
    await world.until(lambda: world.is_mesh("a", "b"))
    await asyncio.sleep(1)
    await world.crash("b")
    await world.until(lambda: len(kept) == 2)
    kept.clear()
    b = await world.start("b")
    fresh: list[Any] = []
    new = next(pid for _ in range(100) if (pid := b.spawn(keeper, fresh)).serial >= old.serial)
    assert new != old
    for _ in range(2):  # the first connects, the second is connected
        one: list[Any] = []
        a.spawn(holder, one, [old_sleeper], [old_sleeper])
        await world.until(lambda one=one: len(one) == 2, 20)
        assert sorted((type(m).__name__, m.reason) for m in one) == [("Down", "noproc"), ("Exit", "noproc")]

        async def send() -> None:
            bp.send(old, "to the old one")
            bp.exit(old_sleeper, "kill")
            bp.send(new, "to the new one")

        await world.run("a", send)
        await world.until(lambda: "to the new one" in fresh)
        assert set(fresh) == {"to the new one"}
        fresh.clear()
    assert not kept
    assert got == []


@scenario
async def test_a_late_answer_to_the_former_start_takes_nothing_from_the_new_one(world: World) -> None:
    """Refs are counted anew at each start: the answer to ref 5 of the old a is none of ref 5 of the new one."""
    b = await world.start("b")
    asked: list[Any] = []
    server = b.spawn(keeper, asked)
    for _ in range(2):
        a = await world.start("a")
        calling = asyncio.ensure_future(a.run(call, server, "hello", None))
        count = len(asked)
        await world.until(lambda more=count + 1: len(asked) == more)
        if count == 0:
            await world.crash("a")
            await asyncio.wait({calling})
            calling.exception() if not calling.cancelled() else None
            await asyncio.sleep(1)
    old, new = asked[0][1], asked[1][1]
    assert old.id == new.id
    assert old != new
    await world.ask("b", lambda: bp.send(old, "late"))
    await asyncio.sleep(1)
    await world.ask("b", lambda: bp.exit(server, "kill"))
    done, _ = await asyncio.wait({calling}, timeout=10)
    assert done, "the server has ended, and its caller was not told"
    assert isinstance(calling.exception(), bp.errors.ServerExited)


@scenario
async def test_down_comes_before_up_when_a_node_is_back_at_once(world: World) -> None:
    a = await world.start("a")
    await world.start("b")
    told: list[Any] = []
    a.spawn(node_watcher, told)
    await world.connect("a", "b")
    for _ in range(5):
        await world.crash("b")
        await world.start("b")
        await world.connect("b", "a")
    await asyncio.sleep(1)
    assert [type(m).__name__ for m in told] == ["NodeUp", "NodeDown"] * 5 + ["NodeUp"]


@scenario
async def test_a_stale_connection_is_replaced(world: World) -> None:
    """b is restarted while a still has its old connection: b's attempt hears "alive" and says that one is dead."""
    a = await world.start("a")
    await world.start("b")
    told: list[Any] = []
    a.spawn(node_watcher, told)
    await world.connect("a", "b")
    await asyncio.sleep(1)
    world.net.hold("a", "b")  # nothing of the end of the old one gets through, not even later in order
    await world.crash("b", silent=True)
    world.net.restart("b")
    world.net.release()
    assert world.sees("a") == {"b"}
    b = await world.start("b")
    await world.connect("b", "a")
    await asyncio.sleep(1)
    assert world.is_mesh("a", "b")
    assert [type(m).__name__ for m in told] == ["NodeUp", "NodeDown", "NodeUp"]
    assert peers_of(a).table["b@b"].creation == b._core.creation
    server = b.spawn(echo)
    assert await world.run("a", call, server, 1) == 1


@scenario
async def test_a_slow_link_is_a_link(world: World) -> None:
    world.net.set_link("a", "b", latency=0.3)
    await world.start("a")
    b = await world.start("b")
    server = b.spawn(echo)
    assert await world.run("a", call, server, "slow", 60.0) == "slow"
    assert world.is_mesh("a", "b")


@scenario
async def test_disconnect_and_use_at_the_same_time(world: World) -> None:
    """Disconnecting while messages go both ways loses what is under way, and nothing else, and hangs nobody."""
    await world.start("a", "b")
    got: list[Any] = []
    there = world.nodes["b"].spawn(keeper, got)

    async def send_all() -> None:
        for n in range(30):
            bp.send(there, n)
            if world.rng.random() < 0.3:
                bp.disconnect("b@b")
            await asyncio.sleep(world.rng.uniform(0, 0.01))
        await asyncio.sleep(1)
        bp.send(there, "end")

    async def disconnect_all() -> None:
        for _ in range(10):
            bp.disconnect("a@a")
            await asyncio.sleep(world.rng.uniform(0, 0.03))

    await asyncio.gather(world.run("a", send_all), world.run("b", disconnect_all))
    await world.until(lambda: "end" in got)
    assert got[:-1] == sorted(set(got[:-1]))
