"""References under random events: nothing is freed that somebody has, and all that nobody has is freed."""

from __future__ import annotations

import asyncio
from typing import Any

from beampy.refs.ledger import LEASE
from tests.sim.refs_programs import Play, used
from tests.sim.refs_world import RefsWorld
from tests.sim.world import World, scenario

EVENTS = 120
SHORT = 25.0  # seconds of a split: with the ticks that find it and the attempts to connect again, less than the lease
PAUSE = 25.0  # seconds between two such splits of the same link, so that these do not add up
LONG = 2 * LEASE
PAUSES = (0.0, 0.0, 0.001, 0.02, 0.1, 0.5, 2.0)


class Links:
    """The faults of links, one at a time for each."""

    def __init__(self, refs_world: RefsWorld, names: list[str]) -> None:
        self.net, self.rng, self.loop = refs_world.net, refs_world.rng, refs_world.loop
        self.names = names
        self.free: dict[tuple[str, ...], float] = {}  # when a link may be hurt again

    def split(self, longest: float) -> None:
        """Cut a link, one way or both, and heal it later."""
        pair = tuple(sorted(self.rng.sample(self.names, 2)))
        if self.free.get(pair, 0.0) > self.loop.time():
            return
        seconds = self.rng.choice((0.1, 3.0, self.rng.uniform(0, longest)))
        self.free[pair] = self.loop.time() + seconds + PAUSE
        one, other = self.rng.sample(pair, 2)
        self.net.partition(one, other, both=self.rng.random() < 0.7)
        self.loop.call_later(seconds, self.net.heal, one, other)

    def slow(self) -> None:
        """A link gets another speed."""
        one, other = self.rng.sample(self.names, 2)
        latency = self.rng.choice((0.0001, 0.002, 0.05))
        self.net.set_link(one, other, latency=latency, bandwidth=self.rng.choice((2e6, 1e7, 1e9)))


async def play_through(
    world: World, names: list[str], *, longest: float, deaths: bool, pauses: tuple[float, ...]
) -> Any:
    """One run; what it was like, for what the scenario itself has to say."""
    refs_world = RefsWorld(world)
    rng, oracle = world.rng, refs_world.oracle
    await refs_world.start(*names)
    play, links = Play(refs_world, names), Links(refs_world, names)
    for _ in range(EVENTS):
        match rng.randrange(40):
            case 0 | 1 | 2 if longest:
                links.split(longest)
            case 3:
                links.slow()
            case 4 | 5:
                refs_world.disconnect(*rng.sample(list(world.nodes), 2)) if len(world.nodes) > 1 else None
            case 6:
                play.replace(rng.choice(play.agents))
            case 7 | 8 if deaths:
                await live_or_die(play)
            case _:
                play.act()
        await asyncio.sleep(rng.choice(pauses))
    world.net.heal()
    for name in names:
        if name not in world.nodes and rng.random() < 0.7:
            await refs_world.start(name)
            play.populate(name)
    await play.quiet()
    await asyncio.sleep(LEASE + 15 if deaths else 20)  # what was lent to the dead is over; all are connected again
    oracle.check()
    await refs_world.connect_all()
    use_all(play)
    await asyncio.sleep(15)
    oracle.check()
    await refs_world.connect_all()
    play.drop_all()
    await refs_world.assert_free()
    oracle.check()
    refs_world.forget_consoles()
    return oracle


def use_all(play: Play) -> None:
    """What is there can be used, what is not says so: the oracle looks at all of it."""
    for agent in play.agents:
        for ref in agent.kept:
            play.world.nodes[agent.name].spawn(used, play, agent, ref, play.rng.choice(("get", "do")))


async def live_or_die(play: Play) -> None:
    """A node dies, or stops, or is there again."""
    world, refs_world, rng = play.world, play.refs_world, play.rng
    gone = [name for name in play.names if name not in world.nodes]
    if gone and (rng.random() < 0.6 or len(gone) > 2):
        name = rng.choice(gone)
        await refs_world.start(name)
        play.populate(name)
        return
    name = rng.choice(list(world.nodes))
    start = refs_world.start_of(name)
    if rng.random() < 0.3:
        await refs_world.stop(name)
    else:
        await refs_world.crash(name)
        if rng.random() < 0.3:  # whoever started its process knows
            for refs in refs_world.refs.values():
                play.loop.call_later(rng.choice((0.0, 0.5, 3.0)), refs.dead, *start)
    play.depopulate(name)


@scenario
async def test_short_splits_lose_nothing(world: World) -> None:
    oracle = await play_through(world, ["a", "b", "c", "d"], longest=SHORT, deaths=False, pauses=PAUSES)
    assert not oracle.excused, "a lease was over"


@scenario
async def test_deaths_and_short_splits(world: World) -> None:
    await play_through(world, ["a", "b", "c", "d", "e"], longest=SHORT, deaths=True, pauses=PAUSES)


@scenario
async def test_deaths_and_long_splits(world: World) -> None:
    await play_through(world, ["a", "b", "c", "d"], longest=LONG, deaths=True, pauses=(*PAUSES, 10.0, 20.0))
