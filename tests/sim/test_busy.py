"""A link that is slower than who writes to it: the writer waits, its timeouts fire, memory is bounded, order holds."""

from __future__ import annotations

import asyncio
from typing import Any

import beampy as bp
from beampy.errors import PeerBusy, ReceiveTimeout
from tests.sim.programs import call, echo, keeper, node_watcher, sleeper
from tests.sim.world import World, peers_of, scenario

SLOW = 1e6  # bytes per second
BIG = 60_000  # bytes of one message: a small frame still, so that all of it is queued at once
MARGIN = 10_000  # bytes of headers and of pickles around them


async def _slow_pair(world: World, **options: Any) -> tuple[bp.Node, bp.Node]:
    a, b = await world.start("a", **options), await world.start("b", **options)
    await world.connect("a", "b")
    await asyncio.sleep(0.5)
    world.net.set_link("a", "b", bandwidth=SLOW)
    return a, b


@scenario
async def test_a_writer_is_parked_and_memory_is_bounded(world: World) -> None:
    a, b = await _slow_pair(world)
    got: list[Any] = []
    there = b.spawn(keeper, got)
    high = peers_of(a).options.high
    most = 0

    async def write() -> None:
        nonlocal most
        for n in range(200):
            bp.send(there, (n, bytes(BIG)))
            channel = peers_of(a).table["b@b"].channel
            assert channel is not None
            most = max(most, channel.queued)
            await asyncio.sleep(0)

    await world.run("a", write)
    assert high < most <= high + BIG + MARGIN
    assert world.loop.time() > 9, "it was written as fast as the link is"
    await world.until(lambda: len(got) == 200)
    assert [n for n, _ in got] == list(range(200))


@scenario
async def test_writers_that_await_other_things_are_parked_too(world: World) -> None:
    """Between two sends they receive, call, wait for futures, or select: each way to wait is one to be parked at."""
    a, b = await _slow_pair(world)
    got: dict[str, list[Any]] = {}
    server = a.spawn(echo)

    async def write(how: str) -> None:
        got[how] = []
        there = b.spawn(keeper, got[how])
        me = bp.self()
        for n in range(60):
            bp.send(there, (n, bytes(BIG)))
            match how:
                case "receive":
                    bp.send(me, n)
                    assert await bp.receive() == n
                case "selective":
                    bp.send(me, ("other", n))
                    bp.send(me, ("this", n))
                    assert await bp.receive(("this", n)) == ("this", n)
                case "call":
                    assert await call(server, n, None) == n
                case "future":
                    future = world.loop.create_future()
                    world.loop.call_later(0.001, future.set_result, n)
                    assert await future == n
                case "task":
                    await asyncio.gather(asyncio.sleep(0.001), asyncio.sleep(0))

    ways = ("receive", "selective", "call", "future", "task")
    high = peers_of(a).options.high
    writing = asyncio.gather(*[world.run("a", write, how) for how in ways])
    most = 0
    while not writing.done():
        channel = peers_of(a).table["b@b"].channel
        assert channel is not None
        most = max(most, channel.queued)
        await asyncio.sleep(0.01)
    await writing
    assert high / 2 < most <= high + len(ways) * (BIG + MARGIN), most
    await world.until(lambda: all(len(of) == 60 for of in got.values()))
    for how in ways:
        assert [n for n, _ in got[how]] == list(range(60)), how


@scenario
async def test_timeouts_fire_while_a_process_is_parked(world: World) -> None:
    a, b = await _slow_pair(world)
    there = b.spawn(sleeper)
    world.net.hold("a", "b")

    def fill() -> None:
        for _ in range(40):
            bp.send(there, bytes(BIG))

    async def with_timeout() -> float:
        start = world.loop.time()
        fill()
        try:
            async with asyncio.timeout(1.0):
                await asyncio.sleep(1e6)
        except TimeoutError:
            return world.loop.time() - start
        raise AssertionError

    async def with_receive() -> float:
        start = world.loop.time()
        fill()
        try:
            await bp.receive(timeout=1.0)
        except ReceiveTimeout:
            return world.loop.time() - start
        raise AssertionError

    async def with_selective_receive() -> float:
        start = world.loop.time()
        fill()
        bp.send(bp.self(), "something else")
        assert await bp.receive(("nothing",), timeout=1.0, default="none") == "none"
        return world.loop.time() - start

    async def with_cancelled_receive() -> float:
        start = world.loop.time()
        fill()
        try:
            async with asyncio.timeout(1.0):
                await bp.receive()
        except TimeoutError:
            return world.loop.time() - start
        raise AssertionError

    for fn in (with_timeout, with_receive, with_selective_receive, with_cancelled_receive):
        running = asyncio.ensure_future(world.run("a", fn))
        done, _ = await asyncio.wait({running}, timeout=5)
        assert done, f"{fn.__name__} hangs"
        assert 0.999 <= running.result() <= 1.01, fn.__name__
    world.net.release()
    await world.until(lambda: not peers_of(a).table["b@b"].parking.busy)


@scenario
async def test_a_parked_process_can_be_ended(world: World) -> None:
    a, b = await _slow_pair(world)
    there = b.spawn(sleeper)
    world.net.hold("a", "b")

    async def write() -> None:
        for _ in range(40):
            bp.send(there, bytes(BIG))
        await bp.receive()

    for reason in ("kill", "shutdown", "whatever"):
        pid = a.spawn(write)
        await asyncio.sleep(0.1)

        async def end(pid: bp.Pid = pid, reason: str = reason) -> Any:
            ref = bp.monitor(pid)
            bp.exit(pid, reason)
            return (await bp.receive(lambda m: m.ref == ref, timeout=1.0)).reason

        assert await world.run("a", end) == ("killed" if reason == "kill" else reason)
    world.net.release()


@scenario
async def test_a_parked_process_goes_on_when_the_connection_is_lost(world: World) -> None:
    _, b = await _slow_pair(world, tick_time=8.0)
    there = b.spawn(sleeper)
    world.net.hold("a", "b")

    async def write() -> str:
        for _ in range(40):
            bp.send(there, bytes(BIG))
        await asyncio.sleep(0)
        return "on"

    assert await world.run("a", write) == "on"
    assert not world.sees("a"), "it went on before the connection was given up"


@scenario
async def test_who_never_awaits_gets_peer_busy_at_the_cap(world: World) -> None:
    a, b = await _slow_pair(world)
    there = b.spawn(sleeper)
    world.net.hold("a", "b")
    cap = peers_of(a).options.cap

    async def flood() -> tuple[int, PeerBusy]:
        for n in range(cap // BIG + 100):
            try:
                bp.send(there, bytes(BIG))
            except PeerBusy as busy:
                # Signals are small, and go on.
                ref = bp.monitor(there)
                bp.demonitor(ref)
                return n, busy
        raise AssertionError("no limit")

    if world.loop.seed % 5:
        return
    sent, busy = await world.run("a", flood)
    assert busy.node == "b@b"
    assert cap <= sent * BIG + MARGIN * 100
    channel = peers_of(a).table["b@b"].channel
    assert channel is not None
    assert channel.queued <= cap + BIG + MARGIN

    world.net.set_link("a", "b", bandwidth=1e9)
    world.net.release()
    await world.until(lambda: not peers_of(a).table["b@b"].parking.busy)


@scenario
async def test_a_busy_link_is_alive(world: World) -> None:
    """Ticks wait behind data, but data is life."""
    a, b = await _slow_pair(world, tick_time=8.0)
    told: list[Any] = []
    got: list[Any] = []
    a.spawn(node_watcher, told)
    b.spawn(node_watcher, told)
    there = b.spawn(keeper, got)
    await asyncio.sleep(0.1)
    world.net.set_link("a", "b", bandwidth=1e5)

    async def write() -> None:
        bp.send(there, bytes(8_000_000))
        await asyncio.sleep(0)

    await world.run("a", write)
    await world.until(lambda: len(got) == 1, 300)
    assert not told


@scenario
async def test_order_of_each_sender_holds_with_bulk_and_cuts(world: World) -> None:
    """Small and big messages beside each other, from several senders, over a link that is lost again and again.

    What arrives of one sender is in order and once; what is missing was under way at a loss.
    """
    names = ["a", "b"]
    a, b = await _slow_pair(world, tick_time=4.0)
    senders = 3
    got: list[Any] = []
    there = b.spawn(keeper, got)
    losses = world.rng.randint(0, 3)

    async def write(sender: int) -> None:
        for n in range(30):
            size = world.rng.choice([0, 10, 70_000, 300_000])
            bp.send(there, (sender, n, bytes(size)))
            await asyncio.sleep(world.rng.uniform(0, 0.5))
        bp.send(there, (sender, "end", b""))

    writing = asyncio.gather(*[world.run("a", write, sender) for sender in range(senders)])
    for _ in range(losses):
        await asyncio.sleep(world.rng.uniform(0, 5))
        match world.rng.randrange(3):
            case 0:
                await world.ask(world.rng.choice(names), lambda: peers_of(a).disconnect("b@b"))
            case 1:
                world.net.partition("a", "b")
                await asyncio.sleep(world.rng.uniform(0, 10))
                world.net.heal()
            case 2:
                world.net.hold("a", "b")
                await asyncio.sleep(world.rng.uniform(0, 3))
                world.net.release()
    await writing
    await asyncio.sleep(60)
    for sender in range(senders):
        mine = [n for who, n, _ in got if who == sender]
        numbers = [n for n in mine if n != "end"]
        assert numbers == sorted(set(numbers)), mine
        assert mine.count("end") <= 1
        assert "end" not in mine[:-1]
        if not losses:
            assert mine == [*range(30), "end"]


@scenario
async def test_small_messages_pass_a_big_one_of_somebody_else(world: World) -> None:
    _, b = await _slow_pair(world)
    server = b.spawn(echo)
    got: list[Any] = []
    there = b.spawn(keeper, got)

    async def bulk() -> None:
        bp.send(there, bytes(20_000_000))
        bp.send(there, "after it")

    await world.run("a", bulk)
    start = world.loop.time()
    assert await world.run("a", call, server, "small", 15.0) == "small"
    assert world.loop.time() - start < 10, "it did not wait for the 20 s of the other"
    assert got == []
    await world.until(lambda: len(got) == 2)
    assert got[1] == "after it"
