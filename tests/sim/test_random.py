"""Long runs of random events: at the end every tie has ended once, on both sides alike, and no table remembers it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import beampy as bp
from tests.sim.programs import sleeper
from tests.sim.world import World, assert_no_ties, core_of, scenario

EVENTS = 150


async def _agent(downs: list[Any], exits: list[Any]) -> None:
    """Does as it is told, and keeps what it hears."""
    bp.trap_exit()
    tasks = []
    async for message in bp.mailbox():
        match message:
            case ("link", pid):
                bp.link(pid)
            case ("unlink", pid):
                bp.unlink(pid)
            case ("monitor", pid):
                bp.monitor(pid)
            case ("spawn", node):
                tasks.append(asyncio.ensure_future(_spawn(node)))
            case bp.Down():
                downs.append(message)
            case bp.Exit():
                exits.append(message)


async def _spawn(node: str) -> None:
    try:
        await bp.spawn(sleeper, node=node, link=True)
    except bp.errors.NodeDown:
        return


@scenario
async def test_random_events(world: World) -> None:
    rng = world.rng
    names = ["a", "b", "c"]
    await world.start(*names, tick_time=4.0, mesh=False)
    downs: list[Any] = []
    exits: list[Any] = []
    agents: list[bp.Pid] = []

    def tell(pid: bp.Pid, what: Any) -> None:
        node = world.nodes.get(pid.node.partition("@")[0])
        if node is not None and (process := core_of(node).find(pid)) is not None:
            process.deliver(what)

    def add() -> None:
        agents.append(world.nodes[rng.choice(names)].spawn(_agent, downs, exits))

    for _ in range(6):
        add()
    for _ in range(EVENTS):
        one, other = rng.sample(agents, 2)
        match rng.randrange(12):
            case 0:
                add()
            case 1:
                world.net.partition(*rng.sample(names, 2))
            case 2 | 3:
                world.net.heal()
            case 4:
                node = world.nodes[one.node.partition("@")[0]]
                process = core_of(node).find(one)
                if process is not None and len(agents) > 4:
                    process.kill()
            case 5:
                node = world.nodes[one.node.partition("@")[0]]
                node._peers.disconnect(other.node)  # type: ignore[union-attr]
            case 6:
                tell(one, ("spawn", other.node))
            case 7:
                tell(one, ("unlink", other))
            case 8 | 9:
                tell(one, ("link", other))
            case _:
                tell(one, ("monitor", other))
        await asyncio.sleep(rng.choice([0, 0, 0.001, 0.1, 3]))
    world.net.heal()
    await asyncio.sleep(60)

    # Every link is known at both ends, or at none.
    cores = {f"{name}@{name}": core_of(world.nodes[name]) for name in names}
    for core in cores.values():
        for process in list(core.processes.values()):
            links = {} if process._extras is None else process._extras.links.links
            for far in links:
                there = cores[far.node].find(far)
                assert there is not None, (process, far)
                assert process.pid in there.extras().links.links, (process, there)

    for core in cores.values():
        for process in list(core.processes.values()):
            if process.initial_call().endswith(("_agent", "sleeper")):
                process.kill()
    await asyncio.sleep(60)
    refs = Counter(down.ref for down in downs)
    assert max(refs.values(), default=1) == 1, "a monitor fired twice"
    for name in names:
        assert_no_ties(world.nodes[name])
