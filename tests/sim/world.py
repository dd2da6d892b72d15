"""A world of nodes for one scenario: each on a simulated host of its own, found by a table, under one seed.

Rule: a scenario is an async function of a World; `scenario` makes it a test for each of a range of seeds. When the body
is through, every node is stopped and looked at: nothing may be left in any table, on the loop or in the network, and
nothing may have been reported to the loop's exception handler. What a test needs to know of beampy's inside is here.

More seeds: BEAMPY_SIM_SEEDS=1000 pytest tests/sim; one of them again: BEAMPY_SIM_SEED=17 BEAMPY_SIM_SEEDS=1.
"""

from __future__ import annotations

import asyncio
import functools
import os
from contextvars import Context
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.dist.discovery import StaticDiscovery
from beampy.testing import simloop, simnet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from beampy.core.node import LocalNode
    from beampy.dist.peers import Peers

FIRST = int(os.environ.get("BEAMPY_SIM_SEED", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("BEAMPY_SIM_SEEDS", "10")))
COOKIE = "k3Jt0cXnq9Vb2mZr7LwYdA"
PORT = 9100
SETTLE = 30.0  # virtual seconds: more than any attempt to connect, any farewell and any time to shut down takes


class World:
    """Nodes by their short names: `a` is the node `a@a`, on the host `a`."""

    def __init__(self) -> None:
        self.loop: Any = asyncio.get_running_loop()
        self.net = simnet.net()
        self.rng = self.loop.rng
        self.nodes: dict[str, bp.Node] = {}
        self.past: list[bp.Node] = []
        self.reported: list[dict[str, Any]] = []
        self._table: dict[str, str] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.loop.set_exception_handler(lambda _, context: self.reported.append(context))

    async def start(self, *names: str, **options: Any) -> bp.Node:
        """Start nodes; the last of them is returned."""
        for name in names:
            options.setdefault("cookie", COOKIE)
            full = f"{name}@{name}"
            self._table[full] = f"{name}:{PORT}"
            started: asyncio.Future[bp.Node] = self.loop.create_future()
            self._ends[name] = asyncio.Event()
            with simnet.host(name):
                coro = self._life(full, {**options}, started, self._ends[name])
                self._tasks[name] = self.loop.create_task(coro, context=_on(name))
            self.nodes[name] = await started
        return self.nodes[names[-1]]

    async def _life(self, name: str, options: dict[str, Any], started: Any, end: asyncio.Event) -> None:
        discovery = StaticDiscovery(dict(self._table) | {name: self._table[name]})
        discovery._nodes = _Live(self._table)  # type: ignore[assignment]
        options = {"discovery": discovery, "bind": "0.0.0.0", "tls": False, "unix": False} | options
        try:
            async with bp.Node(name, **options) as node:
                started.set_result(node)
                await end.wait()
        except bp.errors.Exited:  # its body was killed with it
            return
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    async def stop(self, *names: str) -> None:
        """Stop nodes in order."""
        for name in names:
            self._ends[name].set()
        for name in names:
            self.past.append(self.nodes.pop(name))
            await self._tasks.pop(name)

    async def crash(self, name: str, *, silent: bool = False) -> None:
        """A node dies without a word; with `silent` its machine, too, so that nobody even gets a FIN."""
        node = self.nodes.pop(name)
        peers = peers_of(node)
        peers.stopping = True  # a dead node does nothing; this one has code that still runs
        self.net.crash(name, silent=silent)
        for process in list(core_of(node).processes.values()):
            process.kill()
        self.past.append(node)
        self._ends[name].set()
        await self._tasks.pop(name)
        if silent:
            self.net.links.set_down(name, True)

    async def run(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """`fn(*args)` as a process of a node; its value."""
        return await self.nodes[name].run(fn, *args)

    async def ask(self, name: str, fn: Callable[[], Any]) -> Any:
        """The value of a plain function, called in a process of a node."""

        async def call() -> Any:
            return fn()

        return await self.run(name, call)

    async def connect(self, *names: str) -> None:
        """Connect each with each."""
        for at, name in enumerate(names):
            for other in names[at + 1 :]:
                await self.run(name, _connect, f"{other}@{other}")

    async def until(self, fn: Callable[[], object], seconds: float = 200.0) -> None:
        """Wait, in virtual time, until something is so."""
        end = self.loop.time() + seconds
        while not fn():
            assert self.loop.time() < end, f"not so within {seconds} s: {[self.sees(name) for name in self.nodes]}"
            await asyncio.sleep(0.01)

    def sees(self, name: str) -> set[str]:
        """Whom a node is connected with, by their short names."""
        return {other.partition("@")[0] for other in peers_of(self.nodes[name]).nodes("all")}

    def is_mesh(self, *names: str) -> bool:
        """Whether each of these is connected with all the others, and with nobody else."""
        return all(self.sees(name) == set(names) - {name} for name in names)

    async def close(self) -> None:
        """Stop what is left, and look for what should not be."""
        self.net.heal()
        await self.stop(*list(self.nodes))
        await asyncio.sleep(SETTLE)
        for node in self.past:
            assert_nothing_left(node)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others
        assert not self.net.leftovers()
        assert not self.reported, self.reported


class _Live(dict):  # type: ignore[type-arg]
    """The table of all nodes, those that start later included."""

    def __init__(self, table: dict[str, str]) -> None:
        super().__init__()
        self._table = table

    def get(self, name: str, default: Any = None) -> Any:
        from beampy.dist.discovery import _addresses

        where = self._table.get(name)
        return default if where is None else _addresses(where)


def _on(host: str) -> Context:
    context = Context()
    context.run(simnet.HOST.set, host)
    return context


async def _connect(node: str) -> None:
    await bp.connect(node)


def core_of(node: bp.Node) -> LocalNode:
    """The processes of a node."""
    local = node._local
    assert local is not None
    return local


def peers_of(node: bp.Node) -> Peers:
    """The connections of a node."""
    peers = node._peers
    assert peers is not None
    return peers


def assert_no_ties(node: bp.Node) -> None:
    """Nothing is between this node and others but connections, and the ties of processes that are there."""
    peers, core = peers_of(node), core_of(node)
    for peer in peers.table.values():
        ties = peer.ties
        ends = [ours for ours, _ in ties.links]
        ends += [monitoring.watcher for monitoring in ties.monitors.values()]
        ends += [watched.target for watched in ties.watched.values()]
        dead = [pid for pid in ends if core.find(pid) is None]
        assert not dead, (node, peer.name, dead)
        assert not peer.spawns, (node, peer.name, peer.spawns)
    assert not core.exported, (node, core.exported)
    assert not peers.half_open, (node, peers.half_open)


def assert_nothing_left(node: bp.Node) -> None:
    """A node that has been stopped holds nothing."""
    assert_no_ties(node)
    peers = peers_of(node)
    assert not peers.connections
    assert not peers.listeners.servers
    for peer in peers.table.values():
        assert peer.state == "down", (node, peer.name, peer.state)
        assert peer.channel is None
        assert peer.connection is None
        assert peer.attempt is None
        assert not peer.waiters
        assert not peer.parking.busy
        assert not peer.parking.parked
        assert not peer.parking.receiving.parked


def scenario(test: Callable[..., Awaitable[None]]) -> Any:
    """Make an async function of a World a test that runs with each seed."""

    async def play(*args: Any) -> None:
        world = World()
        await test(world, *args)
        await world.close()

    @pytest.mark.parametrize("seed", SEEDS)
    @functools.wraps(test)
    def run(seed: int) -> None:
        simloop.run(play, seed=seed)

    del run.__wrapped__  # type: ignore[attr-defined]
    return run
