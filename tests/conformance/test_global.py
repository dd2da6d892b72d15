"""Global names and locks on several nodes, as OTP's global_SUITE has them: beam.md 4.41.

What needs a network that breaks runs on the simulator, where each node is on a host of its own.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

import beampy as bp
from beampy.errors import NameTaken
from beampy.otp import global_names as names
from beampy.otp.global_names_keeper import start_global_names
from beampy.testing import harness
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.otp.nodes_ground import cluster as any_cluster
from tests.unit.otp.test_global_names import everywhere, idle, nothing_left

SIM = pytest.mark.loops("sim")


def cluster(*hosts: str, **options: Any) -> Any:
    return any_cluster(*hosts, start=[start_global_names], **options)


async def collects() -> None:
    """Keeps what it is told, and says so when it is asked."""
    got: list[Any] = []
    while True:
        match await bp.receive():
            case ("what", pid):
                bp.send(pid, ("got", got))
            case message:
                got.append(message)


async def told(nodes: Cluster, pid: bp.Pid) -> list[Any]:
    async def ask() -> list[Any]:
        bp.send(pid, ("what", bp.self()))
        got: list[Any] = (await harness.expect(("got", list)))[1]
        return got

    return await nodes.run(pid.node[0], ask)


async def on_both_sides(nodes: Cluster, resolve: Any = None, sides: tuple[str, ...] = ("a", "bc")) -> dict[str, bp.Pid]:
    """Split, and give "n" away on each side; by the first node of each."""
    await nodes.split(*sides)
    pids = {}
    for side in sides:
        pids[side[0]] = pid = nodes.nodes[side[0]].spawn(collects)
        await nodes.run(side[-1], lambda pid=pid: names.register("n", pid, resolve=resolve))
        for node in side:
            await until(lambda node=node: nodes.run(node, names.whereis, "n"), pid)
    return pids


async def alive(nodes: Cluster, pids: dict[str, bp.Pid]) -> list[str]:
    return [node for node, pid in pids.items() if await nodes.run(node, bp.is_alive, pid)]


# resolvers


@SIM
@pytest.mark.parametrize("sides", [("a", "b"), ("a", "bc"), ("ab", "cd"), ("bc", "a")])
async def test_one_of_two_is_killed_when_the_sides_meet(sides: tuple[str, ...]):
    async with cluster(*"".join(sides)) as nodes:
        pids = await on_both_sides(nodes, sides=sides)
        await nodes.heal()
        await until(lambda: _count(alive(nodes, pids)), 1)
        (winner,) = await alive(nodes, pids)
        await everywhere(nodes, "n", pids[winner])
        await nothing_left(nodes)


@SIM
@pytest.mark.parametrize("sides", [("a", "b", "c"), ("a", "b", "c", "d"), ("ab", "c", "d")])
async def test_one_of_many_is_left_when_all_sides_meet(sides: tuple[str, ...]):
    async with cluster(*"".join(sides)) as nodes:
        pids = await on_both_sides(nodes, sides=sides)
        await nodes.heal()
        await until(lambda: _count(alive(nodes, pids)), 1)
        (winner,) = await alive(nodes, pids)
        await everywhere(nodes, "n", pids[winner])
        await nothing_left(nodes)
        assert await alive(nodes, pids) == [winner]


async def _count(found: Any) -> int:
    return len(await found)


@SIM
async def test_the_loser_is_told():
    async with cluster("a", "b") as nodes:
        pids = await on_both_sides(nodes, names.random_notify_name, ("a", "b"))
        await nodes.heal()
        await until(lambda: _told_in_all(nodes, pids), 1)
        await nothing_left(nodes)
        heard = {node: await told(nodes, pid) for node, pid in pids.items()}
        (loser,) = [node for node, got in heard.items() if got]
        winner = "b" if loser == "a" else "a"
        assert heard[loser] == [names.NameConflict("n", pids[winner])]
        assert await alive(nodes, pids) == ["a", "b"]
        await everywhere(nodes, "n", pids[winner])


async def _told_in_all(nodes: Cluster, pids: dict[str, bp.Pid]) -> int:
    return sum([len(await told(nodes, pid)) for pid in pids.values()])


@SIM
async def test_neither_keeps_it_and_both_are_told():
    async with cluster("a", "b") as nodes:
        pids = await on_both_sides(nodes, names.notify_all_name, ("a", "b"))
        await nodes.heal()
        await until(lambda: _told_in_all(nodes, pids), 2)
        assert await told(nodes, pids["a"]) == [names.NameConflict("n", pids["b"])]
        assert await told(nodes, pids["b"]) == [names.NameConflict("n", pids["a"])]
        await everywhere(nodes, "n", None)
        await nothing_left(nodes)
        await nodes.run("b", names.register, "n", pids["b"])
        await everywhere(nodes, "n", pids["b"])


async def later_one(name: Any, pid1: bp.Pid, pid2: bp.Pid) -> bp.Pid:
    await asyncio.sleep(0.1)
    return max(pid1, pid2)


def fails(name: Any, pid1: bp.Pid, pid2: bp.Pid) -> bp.Pid:
    raise ValueError("cannot choose")


def nonsense(name: Any, pid1: bp.Pid, pid2: bp.Pid) -> Any:
    return "b"


@SIM
@pytest.mark.parametrize(("resolve", "keeps"), [(later_one, "c"), (fails, None), (nonsense, None)])
async def test_a_resolver_of_ones_own(resolve: Any, keeps: str | None, caplog: pytest.LogCaptureFixture):
    async with cluster("a", "b", "c") as nodes:
        pids = await on_both_sides(nodes, resolve, ("a", "b", "c"))
        await nodes.heal()
        # Two of three that fail leave the third, unless all have met at once and it was the third's turn, too.
        left = [None, *pids.values()] if keeps is None else [pids[keeps]]
        for node in "abc":
            await nodes.run(node, names.sync)
        await nothing_left(nodes)
        await until(lambda: _views(nodes, "n"), 1)
        assert await nodes.run("a", names.whereis, "n") in left
        assert await alive(nodes, pids) == list("abc")
        assert ("resolver of the name 'n'" in caplog.text) == (keeps is None)


@SIM
async def test_names_of_both_sides_without_a_conflict():
    async with cluster(*"abcd") as nodes:
        await nodes.split("ab", "cd")
        pids = {node: nodes.nodes[node].spawn(idle) for node in "abcd"}
        for node, pid in pids.items():
            await nodes.run(node, names.register, node, pid)
        await nodes.heal()
        for node, pid in pids.items():
            await everywhere(nodes, node, pid)


# names and nodes


async def test_a_name_survives_the_death_of_a_third_node():
    async with cluster("a", "b", "c") as nodes:
        pid = nodes.nodes["a"].spawn(idle)
        await nodes.run("c", names.register, "n", pid)  # by the node that goes
        await nodes.down("c")
        await everywhere(nodes, "n", pid)
        with pytest.raises(NameTaken):
            await nodes.run("b", names.register, "n")


@SIM
async def test_names_of_a_host_that_dies_are_free():
    async with cluster("a", "b", "c") as nodes:
        pid, heir = nodes.nodes["c"].spawn(idle), nodes.nodes["b"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        await nodes.crash("c")
        await everywhere(nodes, "n", None)
        await nodes.run("a", names.register, "n", heir)
        await everywhere(nodes, "n", heir)


@SIM
async def test_a_registration_while_a_host_dies():
    """Whenever the host goes: the name is given away, and no lock stays."""
    async with cluster("a", "b", "c") as nodes:
        rng = asyncio.get_running_loop().rng  # type: ignore[attr-defined]
        pid = nodes.nodes["a"].spawn(idle)
        registering = asyncio.create_task(nodes.run("a", names.register, "n", pid))
        await asyncio.sleep(rng.uniform(0, 0.005))
        await nodes.crash("c")
        await registering
        await everywhere(nodes, "n", pid)
        await nothing_left(nodes)


async def test_mass_death():
    async with cluster("a", "b", "c", "d") as nodes:
        pids = {(node, n): nodes.nodes[node].spawn(idle) for node in "abcd" for n in range(10)}
        for (node, n), pid in pids.items():
            await nodes.run("a", names.register, (node, n), pid)
        await nodes.down("b", "d")
        for node in "bd":
            for n in range(10):
                del pids[node, n]
        for pid in [pid for (node, n), pid in pids.items() if n < 5]:
            await nodes.run(pid.node[0], bp.exit, pid, "kill")
        for node in "ac":
            await until(
                lambda node=node: nodes.run(node, lambda: sorted(names.registered())),
                sorted((where, n) for where, n in pids if n >= 5),
            )
        await nothing_left(nodes)


async def test_two_nodes_want_a_name_at_once():
    async with cluster("a", "b") as nodes:

        async def wants(pid: bp.Pid) -> bool:
            try:
                await names.register("n", pid)
            except NameTaken:
                return False
            return True

        for _ in range(5):
            pids = {node: nodes.nodes[node].spawn(idle) for node in "ab"}
            got = dict(zip("ab", await asyncio.gather(*(nodes.run(n, wants, pids[n]) for n in "ab")), strict=True))
            assert sorted(got.values()) == [False, True]
            winner = next(node for node, has in got.items() if has)
            for node in "ab":
                assert await nodes.run(node, names.whereis, "n") == pids[winner]
            await nodes.run("a", names.unregister, "n")


# forming


def ring(hosts: str) -> list[tuple[str, str]]:
    return list(zip(hosts, hosts[1:] + hosts[:1], strict=True))


def line(hosts: str) -> list[tuple[str, str]]:
    return list(itertools.pairwise(hosts))


@pytest.mark.parametrize("shape", [ring, line])
async def test_nodes_that_meet_in_a_shape(shape: Any):
    """Each node has a name of its own, and one that all want; then each connects with the next, all at once."""
    hosts = "abcde"
    async with cluster() as nodes:
        await nodes.up(*hosts)
        pids = {node: nodes.nodes[node].spawn(idle) for node in hosts}
        for node, pid in pids.items():
            await nodes.run(node, names.register, node, pid)
            await nodes.run(node, names.register, "n", pid)
        await asyncio.gather(*(nodes.run(one, bp.ping, nodes.full(other)) for one, other in shape(hosts)))
        await nodes.connect(*hosts)
        await until(lambda: _count(alive(nodes, pids)), 1)
        (winner,) = await alive(nodes, pids)
        await everywhere(nodes, "n", pids[winner])
        for node in hosts:
            await everywhere(nodes, node, pids[node] if node == winner else None)
        await nothing_left(nodes)


# locks


@SIM
async def test_both_sides_may_hold_a_lock_while_they_are_split():
    async with cluster("a", "b") as nodes:

        async def holds() -> None:
            assert await names.set_lock("r")
            await idle()

        pid = nodes.nodes["a"].spawn(holds)
        await until(lambda: nodes.run("b", lambda: names.set_lock("r", retries=0)), False)
        await nodes.split("a", "b")
        other = nodes.nodes["b"].spawn(holds)
        await until(lambda: nodes.run("b", lambda: names.set_lock("r", retries=0)), False)
        await nodes.heal()
        for node in "ab":
            assert not await nodes.run(node, lambda: names.set_lock("r", retries=0))
        await nodes.run("a", bp.exit, pid, "kill")
        assert not await nodes.run("a", lambda: names.set_lock("r", retries=0))
        await nodes.run("b", bp.exit, other, "kill")
        assert await nodes.run("a", lambda: names.set_lock("r"))
        await nothing_left(nodes)


@SIM
async def test_whatever_happens_names_agree_in_the_end():
    """Registrations, ends and splits in an order that the seed says: then all nodes agree, and no lock stays."""
    async with cluster("a", "b", "c") as nodes:
        rng = asyncio.get_running_loop().rng  # type: ignore[attr-defined]
        tasks = []

        async def step(node: str, name: str, choice: float) -> None:
            pid = names.whereis(name)
            try:
                if choice < 0.6:
                    await names.register(name, bp.spawn(idle))
                elif choice < 0.7:
                    await names.re_register(name, bp.spawn(idle))
                elif choice < 0.8 and pid is not None:
                    bp.exit(pid, "kill")
                elif choice < 0.9:
                    await names.unregister(name)
            except (NameTaken, bp.errors.NotRegistered, bp.errors.CallFailed):
                return

        for _ in range(40):
            tasks.append(
                asyncio.create_task(
                    nodes.run(node := rng.choice("abc"), step, node, rng.choice(["n", "m"]), rng.random())
                )
            )
            await asyncio.sleep(rng.uniform(0, 0.01))
            if rng.random() < 0.1:
                nodes.net.partition(*rng.sample("abc", 2))
                await asyncio.sleep(rng.uniform(0, 12))
            elif rng.random() < 0.1:
                nodes.net.heal()
                await asyncio.sleep(rng.uniform(0, 1))
        nodes.net.heal()
        await asyncio.gather(*tasks)
        await nodes.heal()
        await nothing_left(nodes)
        for name in "nm":
            await until(lambda name=name: _views(nodes, name), 1)
            pid = await nodes.run("a", names.whereis, name)
            if pid is None:
                await nodes.run("c", names.register, name)
            else:
                assert await nodes.run(pid.node[0], bp.is_alive, pid)
                with pytest.raises(NameTaken):
                    await nodes.run("c", names.register, name)


async def _views(nodes: Cluster, name: str) -> int:
    return len({await nodes.run(node, names.whereis, name) for node in nodes.nodes})
