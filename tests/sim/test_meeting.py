"""How nodes meet: both at once, through a seed node, hidden, allowed or not; and what remains when some lose others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy.errors import HandshakeFailed, NotAllowed, NotConnected
from beampy.testing import simnet
from tests.sim.programs import keeper, node_watcher, sleeper
from tests.sim.world import PORT, World, peers_of, scenario

ROUNDS = 100  # of simultaneous connects in one run; ten seeds make a thousand


async def _connect_and_say(node: str, dest: bp.Pid, what: Any) -> None:
    await bp.connect(node)
    bp.send(dest, what)


@scenario
async def test_both_connect_at_once(world: World) -> None:
    a, b = await world.start("a"), await world.start("b")
    at_a: list[Any] = []
    at_b: list[Any] = []
    told: list[Any] = []
    a.spawn(node_watcher, told)
    to_a, to_b = a.spawn(keeper, at_a), b.spawn(keeper, at_b)
    for n in range(ROUNDS):
        first, second = ("a", "b") if n % 2 else ("b", "a")
        other = {"a": ("b@b", to_b), "b": ("a@a", to_a)}
        one = asyncio.ensure_future(world.run(first, _connect_and_say, *other[first], n))
        await asyncio.sleep(world.rng.choice([0, 0, world.rng.uniform(0, 0.02)]))
        two = asyncio.ensure_future(world.run(second, _connect_and_say, *other[second], n))
        await asyncio.gather(one, two)
        await asyncio.sleep(1)
        assert at_a == at_b == list(range(n + 1)), "what was sent after connect() has arrived"
        assert world.is_mesh("a", "b")
        assert len(peers_of(a).connections) == len(peers_of(b).connections) == 1
        assert not peers_of(a).half_open
        assert not peers_of(b).half_open
        await world.ask("a", lambda: bp.disconnect("b@b"))
        await world.until(lambda: not world.sees("b"))
    await asyncio.sleep(1)
    assert [type(m).__name__ for m in told] == ["NodeUp", "NodeDown"] * ROUNDS


@scenario
async def test_a_connection_that_comes_up_after_a_later_one_is_not_taken(world: World) -> None:
    """b connects anew, and a says that it has a connection yet. That is dead, says b, and its word is long under way;
    meanwhile a sees it for itself, and connects anew, too. What b sent over the former does not come after that."""
    a, b = await world.start("a", mesh=False), await world.start("b", mesh=False)
    got: list[int] = []
    to_a, to_b = a.spawn(keeper, got), b.spawn(keeper, [])
    for n in range(0, 60, 2):  # it comes to that in one of a hundred
        await world.connect("a", "b")
        old = peers_of(a).table["b@b"].connection
        world.net.set_link("a", "b", latency=0.05)
        await world.ask("b", lambda: bp.disconnect("a@a"))
        early = asyncio.ensure_future(world.run("b", _connect_and_say, "a@a", to_a, n))
        while not world.sees("b") or peers_of(a).table["b@b"].connection is old:
            await asyncio.sleep(0.0001)
        world.net.set_link("a", "b", latency=0.00001)
        await world.run("a", _connect_and_say, "b@b", to_b, n)
        await world.run("b", _connect_and_say, "a@a", to_a, n + 1)
        await early
        await asyncio.sleep(1)
        assert got == sorted(got)
        assert world.is_mesh("a", "b")
        assert len(peers_of(a).connections) == len(peers_of(b).connections) == 1


@scenario
async def test_both_send_at_once(world: World) -> None:
    """Without connect(): what was sent before there was a connection arrives, on whichever attempt wins."""
    a, b = await world.start("a"), await world.start("b")
    at_a: list[Any] = []
    at_b: list[Any] = []
    to_a, to_b = a.spawn(keeper, at_a), b.spawn(keeper, at_b)

    async def say(dest: bp.Pid, n: int) -> None:
        for part in range(3):
            bp.send(dest, (n, part))

    for n in range(ROUNDS // 10):
        one = asyncio.ensure_future(world.run("a", say, to_b, n))
        await asyncio.sleep(world.rng.choice([0, 0, world.rng.uniform(0, 0.02)]))
        await asyncio.gather(one, world.run("b", say, to_a, n))
        await asyncio.sleep(1)
        assert at_a[-3:] == at_b[-3:] == [(n, part) for part in range(3)]
        await world.ask("a", lambda: bp.disconnect("b@b"))
        await world.until(lambda: not world.sees("b"))
    assert len(at_a) == len(at_b) == 3 * (ROUNDS // 10)


@scenario
async def test_an_attempt_is_over_when_the_node_is_up(world: World) -> None:
    """No attempt of before may end a connection, or an attempt, of later."""
    a, b = await world.start("a"), await world.start("b")
    for _ in range(20):
        one = asyncio.ensure_future(world.run("a", _just_connect, "b@b"))
        two = asyncio.ensure_future(world.run("b", _just_connect, "a@a"))
        await asyncio.gather(one, two)
        await asyncio.sleep(world.rng.uniform(0.1, 0.5))
        assert peers_of(a).table["b@b"].attempt is None
        assert peers_of(b).table["a@a"].attempt is None
        await world.ask("b", lambda: bp.disconnect("a@a"))
        await world.until(lambda: not world.sees("a"))


async def _just_connect(node: str) -> None:
    await bp.connect(node)


@scenario
async def test_many_wait_for_one_connection(world: World) -> None:
    a = await world.start("a")
    await world.start("b")
    await asyncio.gather(*[world.run("a", _just_connect, "b@b") for _ in range(50)])
    assert len(peers_of(a).connections) == 1


@scenario
async def test_fifty_nodes_form_a_mesh_from_one_seed_and_all_see_one_crash(world: World) -> None:
    if world.loop.seed % 5:
        return  # 1225 connections take a second; two seeds in ten are enough
    names = [f"n{n}" for n in range(50)]
    await world.start(*names)
    told: dict[str, list[Any]] = {name: [] for name in names}
    for name in names:
        world.nodes[name].spawn(node_watcher, told[name])
    await asyncio.gather(*[world.connect(name, names[0]) for name in names[1:]])
    await world.until(lambda: world.is_mesh(*names))
    await world.crash("n7")
    names.remove("n7")
    await world.until(lambda: world.is_mesh(*names))
    await asyncio.sleep(5)
    assert world.is_mesh(*names)
    for name in names:
        assert [m.node for m in told[name] if isinstance(m, bp.NodeDown)] == ["n7@n7"]
        assert len(told[name]) == 50


def _disjoint_meshes(world: World, names: list[str]) -> bool:
    return all(world.sees(other) | {other} == world.sees(name) | {name} for name in names for other in world.sees(name))


@scenario
async def test_a_disconnect_in_a_mesh_of_three(world: World) -> None:
    """a – b – d, a disconnects b: a = {d}, d = {a}, b = {}, as in OTP."""
    await world.start("a", "b", "d")
    await world.connect("a", "b", "d")
    await asyncio.sleep(1)
    assert world.is_mesh("a", "b", "d")
    await world.ask("a", lambda: bp.disconnect("b@b"))
    await asyncio.sleep(5)
    assert {name: world.sees(name) for name in "abd"} == {"a": {"d"}, "b": set(), "d": {"a"}}


@scenario
async def test_lost_links_leave_disjoint_meshes(world: World) -> None:
    names = [f"n{n}" for n in range(world.rng.randint(4, 8))]
    await world.start(*names, tick_time=4.0)
    await world.connect(*names)
    await asyncio.sleep(1)
    assert world.is_mesh(*names)
    for _ in range(world.rng.randint(1, 4)):
        one, other = world.rng.sample(names, 2)
        if world.rng.random() < 0.5:
            world.net.partition(one, other)
        else:
            world.nodes[one]._peers.disconnect(f"{other}@{other}")
        await asyncio.sleep(world.rng.choice([0, 0.01, 3]))
    await asyncio.sleep(60)
    assert _disjoint_meshes(world, names), {name: world.sees(name) for name in names}


@scenario
async def test_a_mesh_is_whole_again_after_a_partition(world: World) -> None:
    names = ["a", "b", "c", "d"]
    await world.start(*names, tick_time=4.0)
    await world.connect(*names)
    for left in ("a", "b"):
        for right in ("c", "d"):
            world.net.partition(left, right)
    await world.until(lambda: world.is_mesh("a", "b") and world.is_mesh("c", "d"))
    world.net.heal()
    await world.connect("a", "d")
    await world.until(lambda: world.is_mesh(*names))
    await asyncio.sleep(10)
    assert world.is_mesh(*names)


@scenario
async def test_hidden_nodes_are_in_no_mesh(world: World) -> None:
    a = await world.start("a")
    await world.start("b")
    h = await world.start("h", hidden=True)
    told: list[Any] = []
    visible: list[Any] = []

    async def watch_visible() -> None:
        bp.monitor_nodes()
        await keeper(visible)

    a.spawn(node_watcher, told)
    a.spawn(watch_visible)
    await world.connect("a", "b")
    await world.connect("h", "a")
    await asyncio.sleep(2)
    assert world.sees("h") == {"a"}
    assert world.sees("b") == {"a"}
    assert await world.ask("a", bp.nodes) == ["b@b"]
    assert await world.ask("a", lambda: bp.nodes("hidden")) == ["h@h"]
    assert await world.ask("h", lambda: bp.nodes("visible")) == []
    assert await world.ask("h", lambda: bp.nodes("hidden")) == ["a@a"], "hidden on one side is hidden on both"
    await world.connect("h", "b")
    await world.ask("h", lambda: bp.disconnect("a@a"))
    await asyncio.sleep(2)
    assert world.is_mesh("a", "b") is False
    assert world.sees("a") == {"b"}, "who loses a hidden node lets go of nobody"
    assert world.sees("b") == {"a", "h"}
    assert [m.node for m in told] == ["b@b", "h@h", "h@h"]
    assert [m.node for m in visible] == ["b@b"]
    assert peers_of(h).identity.hidden


@scenario
async def test_auto_connect_never_and_once(world: World) -> None:
    b = await world.start("b")
    got: list[Any] = []
    there = b.spawn(keeper, got)
    watched = b.spawn(sleeper)
    await world.start("n", auto_connect="never")
    await world.start("o", auto_connect="once")

    async def use(what: str) -> list[Any]:
        bp.trap_exit()
        bp.send(there, what)
        bp.monitor(watched)
        bp.link(watched)
        bp.monitor_node("b@b")
        ended = []
        while (message := await bp.receive(timeout=1.0, default=None)) is not None:
            ended.append((type(message).__name__, message.reason))
        bp.unlink(watched)
        return sorted(ended)

    nothing = [("Down", "noconnection"), ("Exit", "noconnection"), ("NodeDown", "noconnection")]
    assert await world.run("n", use, "never") == nothing
    await world.connect("n", "b")
    assert await world.run("n", use, "connected by hand") == []
    assert await world.run("o", use, "once") == []
    await world.ask("o", lambda: bp.disconnect("b@b"))
    assert await world.run("o", use, "twice") == nothing
    await world.connect("o", "b")
    assert await world.run("o", use, "by hand") == []
    assert got == ["connected by hand", "once", "by hand"]


@scenario
async def test_only_the_allowed_may_connect(world: World) -> None:
    await world.start("a", allowed=["b@b"])
    await world.start("b", "c", mesh=False)
    await world.connect("b", "a")
    for _ in range(3):
        try:
            await world.connect("c", "a")
        except NotAllowed:
            continue
        raise AssertionError("it was let in")
    await asyncio.sleep(1)
    assert world.sees("a") == {"b"}


@scenario
async def test_who_never_answers_is_given_up_in_time(world: World) -> None:
    """It accepts, and is silent; it says the beginning, and no more."""
    await world.start("a", setup_timeout=3.0)
    for name, said in (("mute", b""), ("half", bytes.fromhex("8b6265616d70790100"))):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = said) -> None:
            writer.write(said)
            while await reader.read(100):
                pass
            writer.close()

        with simnet.host(name):
            server = await asyncio.start_server(serve, name, PORT)
        world._table[f"{name}@{name}"] = f"{name}:{PORT}"
        start = world.loop.time()
        with pytest.raises(HandshakeFailed):
            await world.run("a", _just_connect, f"{name}@{name}")
        assert 3.0 <= world.loop.time() - start <= 3.1
        await asyncio.sleep(1)
        assert not peers_of(world.nodes["a"]).half_open
        server.close()


@scenario
async def test_a_node_that_is_stopped_says_so(world: World) -> None:
    names = ["a", "b", "c", "d"]
    await world.start(*names)
    await world.connect(*names)
    await asyncio.sleep(1)
    told: dict[str, list[Any]] = {name: [] for name in names}
    for name in names:
        world.nodes[name].spawn(node_watcher, told[name])
    got: list[Any] = []
    keeping = world.nodes["a"].spawn(keeper, got)

    async def last_words() -> None:
        for n in range(100):
            bp.send(keeping, n)
        bp.send(keeping, b"x" * 3_000_000)
        bp.send(keeping, "end")

    await asyncio.sleep(1)
    await world.run("c", last_words)
    await world.stop("c")
    await asyncio.sleep(5)
    assert [m if m.__class__ is not bytes else len(m) for m in got] == [*range(100), 3_000_000, "end"]
    for name in ("a", "b", "d"):
        assert told[name] == [bp.NodeDown("c@c", "shutdown")], (name, told[name])
    assert world.is_mesh("a", "b", "d")


@scenario
async def test_who_waits_for_a_connection_when_its_node_stops_is_told(world: World) -> None:
    a = await world.start("a")
    await world.start("b")
    world.net.hold("a", "b")
    waiting = asyncio.ensure_future(peers_of(a).connect("b@b"))
    await asyncio.sleep(1)
    await world.stop("a")
    done, _ = await asyncio.wait({waiting}, timeout=20)
    assert done
    assert isinstance(waiting.exception(), NotConnected)


@scenario
async def test_names_that_nobody_has_leave_nothing(world: World) -> None:
    a = await world.start("a")
    before = len(peers_of(a).table)

    async def ping_all() -> None:
        for n in range(2000):
            assert not await bp.ping(f"nobody{n}@nowhere")

    if world.loop.seed % 5 == 0:
        await world.run("a", ping_all)
        assert len(peers_of(a).table) - before <= 1024
