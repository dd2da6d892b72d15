"""What processes do with references in random runs: make, hand over, use, lose and drop them in every way there is."""

from __future__ import annotations

import asyncio
import copy
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import beampy as bp
from beampy.core.ids import Pid
from beampy.refs.ref import RemoteRef
from tests.sim.refs_world import USE, RefsWorld
from tests.sim.world import core_of

Agents = list["Agent"]
Action = Callable[["Play", "Agent"], Awaitable[None]]

LARGE = 300_000  # bytes: a message in pieces, which small ones overtake
DEPTH = 2  # references in objects in objects: each level is freed one sweep after the other
KEEPS = 5  # references of one agent, at most: few, so that most objects are freed during the run

_numbers = itertools.count(1)


class Thing:
    """An object. It may have references itself, to older ones: there are no circles between nodes."""

    def __init__(self, depth: int = 0, inside: tuple[Any, ...] = ()) -> None:
        self.number = next(_numbers)
        self.depth = depth
        self.inside = inside

    def value(self) -> int:
        return self.number

    def child(self) -> Thing:
        return Thing()

    async def soon(self) -> int:
        await asyncio.sleep(0.05)
        return self.number


class Carrying(Exception):
    """An error that has references."""


def number_of(thing: Thing) -> int:
    return thing.number


async def taken(thing: Thing, others: list[Any]) -> tuple[int, list[Any]]:
    """Called with a reference as an argument, which is the object here, and with others in a list."""
    return thing.number, others


async def handed_back(refs: list[Any], room: bytes, seconds: float) -> list[Any]:
    await asyncio.sleep(seconds)
    return [refs, room]


async def handed_on(node: str, refs: list[Any]) -> list[Any]:
    """By way of a third."""
    return await bp.remote_call.options(timeout=USE / 2)(node, handed_back, refs, b"", 0.0)


async def raising(refs: list[Any]) -> None:
    raise Carrying(refs)


async def making() -> Any:
    return bp.remote(Thing())


async def mute(refs: Any = None, seconds: float = 1.0) -> None:
    """Reads nothing, and ends."""
    await asyncio.sleep(seconds)


async def dead() -> None:
    """Ends at once."""


def refs_in(value: Any) -> list[Any]:
    """All references of a message."""
    if isinstance(value, RemoteRef):
        return [value]
    if isinstance(value, list | tuple):
        return [ref for item in value for ref in refs_in(item)]
    return []


async def receiving(agent: Agent) -> None:
    """Keeps the references that it is sent; answers late where it is asked to."""
    while True:
        agent.take(await bp.receive())


async def answering(to: Any, refs: list[Any], seconds: float) -> None:
    await asyncio.sleep(seconds)
    bp.send(to, refs)


class Agent:
    """A process that has references. What it has is gone with it."""

    def __init__(self, play: Play, name: str) -> None:
        self.play = play
        self.name = name
        self.kept: list[RemoteRef[Any]] = []
        self.pid: Pid = play.world.nodes[name].spawn(receiving, self)

    def take(self, message: Any) -> None:
        match message:
            case ("answer", bp.Ref() as to, float() as seconds):
                bp.spawn(answering, to, self.kept[-2:], seconds)
            case _:
                self.kept += refs_in(message)
                del self.kept[:-KEEPS]


class Play:
    """Agents on all nodes, and what they are told to do."""

    def __init__(self, refs_world: RefsWorld, names: list[str]) -> None:
        self.refs_world = refs_world
        self.world = refs_world.world
        self.oracle = refs_world.oracle
        self.rng: random.Random = refs_world.rng
        self.loop = refs_world.loop
        self.names = names
        self.agents: Agents = []
        self.others: list[Pid] = []  # processes that do not read, and such as have ended
        self.running: dict[Pid, str] = {}
        for name in names:
            self.populate(name)

    def populate(self, name: str) -> None:
        """The agents of a node that has started."""
        self.agents += [Agent(self, name), Agent(self, name)]

    def depopulate(self, name: str) -> None:
        """Those of a node that has ended."""
        for agent in self.agents:
            if agent.name == name:
                agent.kept = []
        self.agents = [agent for agent in self.agents if agent.name != name]

    def replace(self, agent: Agent) -> None:
        """An agent is killed, with all that it has and has not read; another takes its place."""
        self.agents.remove(agent)
        process = core_of(self.world.nodes[agent.name]).find(agent.pid)
        if process is not None:
            process.kill()
        self.others.append(agent.pid)
        agent.kept = []
        self.agents.append(Agent(self, agent.name))

    def act(self) -> None:
        """Somebody does something."""
        agent = self.rng.choice(self.agents)
        name, action = self.rng.choice(ACTIONS if agent.kept else MAKING)
        pid = self.world.nodes[agent.name].spawn(self._acting, action, agent)
        self.running = {pid: name for pid, name in self.running.items() if self._is_alive(pid)}
        self.running[pid] = name

    async def _acting(self, action: Action, agent: Agent) -> None:
        if not agent.kept and action not in dict(MAKING).values():
            return  # it has dropped its last one meanwhile
        limit = asyncio.timeout(USE)
        try:
            async with limit:
                await action(self, agent)
        except (bp.errors.NodeDown, bp.errors.NoProcess, bp.errors.ServerExited, bp.errors.CallKilled):
            return
        except bp.errors.RefError:
            return  # of an argument; those of uses are judged
        except TimeoutError:
            if limit.expired():
                self.oracle.faults.append(f"t={self.loop.time():.3f}: {action} on {agent.name} hangs")
        except Exception as error:
            self.oracle.faults.append(f"t={self.loop.time():.3f}: {action} on {agent.name} raised {error!r}")

    def _is_alive(self, pid: Pid) -> bool:
        node = self.world.nodes.get(pid.node.partition("@")[0])
        return node is not None and core_of(node).find(pid) is not None

    async def quiet(self) -> None:
        """Wait until all that was begun has ended."""
        await self.world.until(lambda: not [pid for pid in self.running if self._is_alive(pid)], USE + 10)

    def drop_all(self) -> None:
        """The last handles of all."""
        for name, node in self.world.nodes.items():
            self.depopulate(name)
            core = core_of(node)
            for process in list(core.processes.values()):
                if process.initial_call().endswith(("receiving", "mute", "answering", "_acting")):
                    process.kill()

    # for actions

    def some(self, agent: Agent) -> list[RemoteRef[Any]]:
        """One to three of its references."""
        return self.rng.sample(agent.kept, min(len(agent.kept), self.rng.randrange(1, 4)))

    def node(self) -> str:
        """A node, which may be dead."""
        name = self.rng.choice(self.names)
        return f"{name}@{name}"

    def room(self) -> bytes:
        """What makes a message small, or large."""
        return bytes(self.rng.choice((0, 0, 100, LARGE)))


async def used(play: Play, agent: Agent, ref: RemoteRef[Any], way: str) -> None:
    """Use a reference, and have the oracle judge what comes of it."""
    at, id, since = play.refs_world.start_of(agent.name), ref.id, play.loop.time()
    try:
        match way:
            case "get":
                number = (await ref.get()).number
            case "do":
                number = await ref.do.value()
            case "soon":
                number = await ref.do.soon()
            case "attribute":
                number = await ref.do.number
            case _:
                number = await ref.apply(number_of)
    except Exception as error:
        play.oracle.failed(at, id, error, since)
    else:
        play.oracle.used(id, number)


# ---- actions ----


async def make(play: Play, agent: Agent) -> None:
    agent.take(bp.remote(Thing()))


async def make_with(play: Play, agent: Agent) -> None:
    """An object that has references."""
    inside = [ref for ref in play.some(agent) if play.oracle.depths[ref.id] < DEPTH]
    depth = max((play.oracle.depths[ref.id] for ref in inside), default=-1) + 1
    agent.take(bp.remote(Thing(depth, tuple(inside))))


async def put(play: Play, agent: Agent) -> None:
    agent.take(await bp.put(Thing(), play.node()))


async def make_there(play: Play, agent: Agent) -> None:
    agent.take(await bp.remote_call(play.node(), making))


async def hand(play: Play, agent: Agent) -> None:
    bp.send(play.rng.choice(play.agents).pid, play.some(agent))


async def hand_with_room(play: Play, agent: Agent) -> None:
    """Messages that may overtake each other."""
    dest = play.rng.choice(play.agents).pid
    for _ in range(play.rng.randrange(1, 4)):
        bp.send(dest, [play.some(agent), play.room()])


async def hand_and_drop(play: Play, agent: Agent) -> None:
    """It has them no more when the message leaves."""
    refs, agent.kept = agent.kept, []
    bp.send(play.rng.choice(play.agents).pid, [refs, play.room()])


async def hand_to_many(play: Play, agent: Agent) -> None:
    refs = play.some(agent)
    for other in play.agents:
        bp.send(other.pid, refs)


async def hand_to_nobody(play: Play, agent: Agent) -> None:
    """To a name that nobody has, and to those who read nothing, or have ended."""
    bp.send(("nobody", play.node()), play.some(agent))
    for pid in play.others[-3:]:
        bp.send(pid, [play.some(agent), play.room()])


async def hand_to_mute(play: Play, agent: Agent) -> None:
    """To a process that never reads, as an argument and as messages; it ends by itself or for a reason."""
    pid = await bp.spawn(mute, play.some(agent), play.rng.choice((0.01, 1.0, 5.0)), node=play.node())
    play.others.append(pid)
    bp.send(pid, [play.some(agent), play.room()])
    if play.rng.random() < 0.5:
        ref = bp.monitor(pid)
        bp.exit(pid, ["bye", play.some(agent)])
        try:
            agent.take((await bp.receive(bp.Down, timeout=USE / 2)).reason)
        finally:
            bp.demonitor(ref)


async def hand_in_call(play: Play, agent: Agent) -> None:
    ask = bp.remote_call.options(timeout=USE / 2)
    agent.take(await ask(play.node(), handed_back, play.some(agent), play.room(), play.rng.choice((0.0, 0.5, 3.0))))


async def hand_in_call_that_is_given_up(play: Play, agent: Agent) -> None:
    """Its answer has references, and its caller is gone."""
    asking = bp.remote_call(play.node(), handed_back, play.some(agent), play.room(), 0.5)
    await asyncio.sleep(play.rng.choice((0.0, 0.3, 0.5)))
    asking.cancel()


async def hand_in_cast(play: Play, agent: Agent) -> None:
    bp.remote_cast(play.node(), handed_back, play.some(agent), play.room(), 0.5)


async def hand_on(play: Play, agent: Agent) -> None:
    ask = bp.remote_call.options(timeout=USE / 2)
    agent.take(await ask(play.node(), handed_on, play.node(), play.some(agent)))


async def hand_in_error(play: Play, agent: Agent) -> None:
    try:
        await bp.remote_call.options(timeout=USE / 2)(play.node(), raising, play.some(agent))
    except Carrying as error:
        agent.take(error.args[0])


async def argument(play: Play, agent: Agent) -> None:
    """The reference becomes the object, wherever it is called."""
    ref = play.rng.choice(agent.kept)
    called: Any = taken
    number, others = await bp.remote_call.options(timeout=USE / 2)(play.node(), called, ref, play.some(agent))
    play.oracle.used(ref.id, number)
    agent.take(others)


async def ask_for_late_answer(play: Play, agent: Agent) -> None:
    """References for an alias that is dead, or soon will be."""
    other = play.rng.choice(play.agents).pid
    pending = bp.request(other, play.rng.choice((0.001, 0.1, 2.0)))
    bp.send(other, ("answer", pending.ref, play.rng.choice((0.0, 0.1, 3.0))))
    agent.take(await pending)


async def use(play: Play, agent: Agent) -> None:
    way = play.rng.choice(("get", "do", "soon", "attribute", "apply"))
    await used(play, agent, play.rng.choice(agent.kept), way)


async def keep(play: Play, agent: Agent) -> None:
    """What a method makes stays there."""
    agent.take(await play.rng.choice(agent.kept).keep.child())


async def drop(play: Play, agent: Agent) -> None:
    copy.copy(agent.kept.pop(play.rng.randrange(len(agent.kept)))).drop()  # others may be using the handle itself


async def drop_many(play: Play, agent: Agent) -> None:
    del agent.kept[: play.rng.randrange(1, KEEPS + 1)]


MAKING = [(fn.__name__, fn) for fn in (make, make, put, make_there)]
_HANDING = (
    *(hand, hand_with_room, hand_and_drop, hand_to_many, hand_to_nobody, hand_to_mute, hand_in_call),
    *(hand_in_call_that_is_given_up, hand_in_cast, hand_on, hand_in_error, ask_for_late_answer),
)
_LIVING = (use, use, keep, drop, drop_many)
ACTIONS = [
    (fn.__name__, fn) for fn in (make, make_with, put, make_there, *_HANDING, *_HANDING, argument, *_LIVING, *_LIVING)
]
