"""One fault at a time: what becomes of references when connections, nodes and leases end. See refs/REFS.md."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy.errors import OwnerLost, RefExpired
from beampy.refs.ledger import DEAD_GRACE, LEASE
from tests.sim.refs_programs import LARGE, Thing, making, mute, number_of
from tests.sim.refs_world import FREED, RefsWorld
from tests.sim.world import SEEDS, World, core_of, scenario


def few(test: Any) -> Any:
    """A scenario for a third of the seeds: little is left to chance here."""
    run = scenario(test)
    run.pytestmark = [pytest.mark.parametrize("seed", SEEDS[::3]).mark]
    return run


class Hands:
    """A process that keeps references until it is told to use or drop them."""

    def __init__(self, refs_world: RefsWorld, name: str) -> None:
        self.world = refs_world.world
        self.name = name
        self.kept: list[Any] = []
        self.pid = self.world.nodes[name].spawn(self._receiving)

    async def _receiving(self) -> None:
        while True:
            self._take(await bp.receive())

    def _take(self, message: Any) -> None:
        self.kept.append(message[0] if type(message) is tuple else message)

    async def make(self) -> None:
        self.kept.append(await self.world.run(self.name, _make))

    async def give(self, other: Hands, room: int = 0) -> None:
        """Hand over what this has, without waiting for its arrival."""

        async def send(ref: Any) -> None:
            bp.send(other.pid, (ref, bytes(room)))

        await self.world.run(self.name, send, self.kept[-1])

    async def gives(self, other: Hands, room: int = 0) -> None:
        """The same, and wait."""
        count = len(other.kept)
        await self.give(other, room)
        await self.world.until(lambda: len(other.kept) > count)

    async def use(self, way: str = "get") -> int:
        """The number of the object."""

        async def use(ref: Any) -> Any:
            return (await ref.get()).number if way == "get" else await ref.apply(number_of)

        number: int = await self.world.run(self.name, use, self.kept[-1])
        return number

    def drop(self) -> None:
        self.kept.clear()


async def _make() -> Any:
    return bp.remote(Thing())


async def hands(world: World, *names: str) -> tuple[RefsWorld, list[Hands]]:
    """Nodes, and a process on each; the oracle watches."""
    refs_world = RefsWorld(world)
    await refs_world.start(*names)
    return refs_world, [Hands(refs_world, name) for name in names]


async def ended(refs_world: RefsWorld, all_of_them: list[Hands]) -> None:
    """Drop everything; then nothing is left."""
    refs_world.world.net.heal()
    await refs_world.connect_all()
    await asyncio.sleep(DEAD_GRACE)
    for one in all_of_them:
        one.drop()
    await refs_world.assert_free()
    refs_world.oracle.check()
    refs_world.forget_consoles()


def owned(refs_world: RefsWorld, name: str) -> int:
    return len(refs_world.refs[name].objects)


@few
async def test_freed_within_a_second_of_the_last_drop(world: World) -> None:
    refs_world, (a, b, c) = await hands(world, "a", "b", "c")
    await a.make()
    await a.gives(b)
    await b.gives(c)
    a.drop()
    b.drop()
    await asyncio.sleep(2 * LEASE)
    assert owned(refs_world, "a") == 1
    assert await c.use() == await c.use("do")
    c.drop()
    await asyncio.sleep(FREED)
    assert owned(refs_world, "a") == 0
    await ended(refs_world, [a, b, c])


@few
async def test_a_split_shorter_than_the_lease_loses_nothing(world: World) -> None:
    refs_world, (a, b) = await hands(world, "a", "b")
    await a.make()
    await a.gives(b)
    a.drop()
    world.net.partition("a", "b", both=world.rng.random() < 0.5)
    await asyncio.sleep(LEASE - 20)  # two attempts to connect at their slowest fit in the rest
    with pytest.raises(OwnerLost, match="comes back within the lease"):
        await b.use()
    world.net.heal()
    await asyncio.sleep(20)
    assert await b.use()
    assert owned(refs_world, "a") == 1
    assert not refs_world.oracle.expired
    await ended(refs_world, [a, b])


@few
async def test_a_split_longer_than_the_lease_frees_what_only_the_other_side_had(world: World) -> None:
    refs_world, (a, b, c) = await hands(world, "a", "b", "c")
    for keeper in (b, c):
        await a.make()
        await a.gives(b)
        if keeper is c:
            await a.gives(c)
    a.drop()
    world.net.partition("a", "b")
    await asyncio.sleep(LEASE + 20)
    assert owned(refs_world, "a") == 1, "c is connected"
    world.net.heal()
    await refs_world.connect_all()
    await asyncio.sleep(FREED)
    assert await b.use(), "the owner has it yet, and lends it anew"
    b.kept.reverse()
    assert "expired" in repr(b.kept[-1])
    for way in ("get", "apply"):
        with pytest.raises(RefExpired, match=r"Thing of .* no longer on a@a"):
            await b.use(way)
    # And what is handed on is as expired there.
    await b.gives(c)
    with pytest.raises(RefExpired):
        await c.use()
    await ended(refs_world, [a, b, c])


@few
async def test_who_handed_it_over_may_end_at_once(world: World) -> None:
    """b gives what is a's to c, and is gone before c can ask: that is what the grace of the dead is for."""
    refs_world, (a, b, c) = await hands(world, "a", "b", "c")
    await refs_world.connect_all()
    await a.make()
    await a.gives(b)
    a.drop()
    way = world.rng.randrange(3)
    world.net.hold("a", "c")  # so that c asks later than a hears of the death
    count = refs_world.oracle.arrivals
    await b.give(c)
    await world.until(lambda: refs_world.oracle.arrivals > count)
    core = core_of(world.nodes["b"])
    b.drop()
    if way == 0:
        await refs_world.stop("b")
    else:
        await refs_world.crash("b")
        for name in ("a", "c"):
            if way == 1:
                refs_world.refs[name].dead("b@b", core.creation)
        if way == 2:
            await refs_world.start("b")
            await world.connect("a", "b")
    await asyncio.sleep(DEAD_GRACE / 2)
    world.net.release()
    await asyncio.sleep(DEAD_GRACE + FREED)
    assert await c.use()
    assert owned(refs_world, "a") == 1
    await ended(refs_world, [a, c])


@few
async def test_a_death_that_is_known_frees_in_a_grace_and_another_with_the_lease(world: World) -> None:
    refs_world, (a, b) = await hands(world, "a", "b")
    await a.make()
    await a.gives(b)
    a.drop()
    start = refs_world.start_of("b")
    known = world.rng.random() < 0.5
    b.drop()
    await refs_world.crash("b")
    if known:
        refs_world.refs["a"].dead(*start)
    await asyncio.sleep(DEAD_GRACE - 0.2)
    assert owned(refs_world, "a") == 1
    await asyncio.sleep(0.2 + FREED)
    assert owned(refs_world, "a") == (0 if known else 1)
    await asyncio.sleep(LEASE - DEAD_GRACE - FREED - 2)
    assert owned(refs_world, "a") == (0 if known else 1)
    await asyncio.sleep(2 + FREED)
    assert owned(refs_world, "a") == 0
    await ended(refs_world, [a])


@few
async def test_an_owner_that_is_there_again_has_lost_its_objects(world: World) -> None:
    refs_world, (a, b, c) = await hands(world, "a", "b", "c")
    await a.make()
    await a.gives(b)
    await b.gives(c)
    a.drop()
    await refs_world.crash("a")
    with pytest.raises(OwnerLost):
        await b.use()
    await refs_world.start("a")
    await refs_world.connect_all()
    # A new object of the same number is another one.
    again = Hands(refs_world, "a")
    await again.make()
    await again.gives(b)
    assert again.kept[0].id.number == c.kept[0].id.number
    assert await b.use()
    for one in (b, c):
        one.kept = one.kept[:1]
        with pytest.raises(OwnerLost, match="has ended"):
            await one.use()
        assert "lost" in repr(one.kept[0])
    await ended(refs_world, [again, b, c])


@few
async def test_who_lends_is_the_lifeline_while_the_owner_is_out_of_reach(world: World) -> None:
    """A chain a-b-c-d in which only neighbours are connected. All but the last drop theirs."""
    refs_world, (a, b, c, d) = await hands(world, "a", "b", "c", "d")
    for one, other in (("a", "c"), ("a", "d"), ("b", "d")):
        world.net.partition(one, other)
    await a.make()
    await a.gives(b)
    await b.gives(c)
    await c.gives(d)
    for hand in (a, b, c):
        hand.drop()
    await asyncio.sleep(3 * LEASE)
    assert owned(refs_world, "a") == 1
    with pytest.raises(OwnerLost):
        await d.use()
    world.net.heal("a", "d")
    await world.until(lambda: "a" in world.sees("d"), 20)
    await asyncio.sleep(FREED)
    # d is registered, and those between it and a need it no more.
    assert not any(refs_world.left(refs_world.refs[name]) for name in ("b", "c"))
    assert await d.use()
    await ended(refs_world, [a, b, c, d])


@few
async def test_messages_that_overtake_each_other(world: World) -> None:
    """A reference in a large message is on its way for long; the same one in small ones comes and goes meanwhile."""
    refs_world, (a, b) = await hands(world, "a", "b")
    await refs_world.connect_all()
    world.net.set_link("a", "b", bandwidth=200_000.0)
    await a.make()
    await a.give(b, 6 * LARGE)
    for _ in range(2):
        await a.gives(b)
        assert len(b.kept) == 1, "the large one is not there yet"
        b.drop()
        await asyncio.sleep(0.15)
    a.drop()
    assert owned(refs_world, "a") == 1
    await world.until(lambda: b.kept, 30)
    world.net.set_link("a", "b", bandwidth=1e9)
    assert await b.use()
    await ended(refs_world, [a, b])


@few
async def test_a_message_that_was_lost_with_its_connection_keeps_nothing(world: World) -> None:
    refs_world, (a, b) = await hands(world, "a", "b")
    await refs_world.connect_all()
    world.net.set_link("a", "b", bandwidth=100_000.0)
    await a.make()
    await a.give(b, 10 * LARGE)
    a.drop()
    await asyncio.sleep(1)
    refs_world.disconnect("a", "b")
    await asyncio.sleep(1)
    await refs_world.connect_all()
    await asyncio.sleep(FREED)
    assert owned(refs_world, "a") == 0
    assert not b.kept
    await ended(refs_world, [a, b])


@few
async def test_a_message_for_a_node_that_cannot_be_reached_keeps_nothing(world: World) -> None:
    refs_world, (a, b) = await hands(world, "a", "b")
    world.net.partition("a", "b")
    await a.make()
    await a.give(b)
    a.drop()
    await asyncio.sleep(10)  # the attempt has failed
    assert owned(refs_world, "a") == 0
    await ended(refs_world, [a, b])


@few
async def test_a_mailbox_keeps_what_is_in_it_until_its_process_ends(world: World) -> None:
    refs_world, (a, b) = await hands(world, "a", "b")
    sleeping = world.nodes["b"].spawn(mute, None, 3 * LEASE)

    async def send() -> None:
        bp.send(sleeping, [(await making()), bytes(LARGE)])
        bp.send(sleeping, await making())

    await world.run("a", send)
    await asyncio.sleep(2 * LEASE)
    assert owned(refs_world, "a") == 2
    await asyncio.sleep(LEASE + FREED)
    assert owned(refs_world, "a") == 0
    await ended(refs_world, [a, b])
