"""Global names: who has one, on one node and on several, and what becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy.errors import (
    AlreadyStarted,
    BadDestination,
    BadName,
    NameTaken,
    NodeDown,
    NoProcess,
    NotConnected,
    NotRegistered,
)
from beampy.otp import debug
from beampy.otp import global_names as names
from beampy.otp.global_names_keeper import start_global_names
from beampy.otp.global_names_locks import NAME
from beampy.testing import harness
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.otp.nodes_ground import cluster as any_cluster


def cluster(*hosts: str, **options: Any) -> Any:
    return any_cluster(*hosts, start=[start_global_names], **options)


async def idle() -> None:
    await bp.receive(("never",))


async def everywhere(nodes: Cluster, name: Any, pid: bp.Pid | None) -> None:
    """Wait until all nodes know that this process has the name."""
    for node in nodes.nodes:
        await until(lambda node=node: nodes.run(node, names.whereis, name), pid)


async def state_of(nodes: Cluster, node: str) -> Any:
    return await nodes.run(node, debug.get_state, NAME)


async def nothing_left(nodes: Cluster) -> None:
    """No lock is held, nobody is watched for a name or a lock, and nobody waits."""
    for node in nodes.nodes:
        await until(lambda node=node: leftovers(nodes, node), [])


async def leftovers(nodes: Cluster, node: str) -> list[Any]:
    state = await state_of(nodes, node)
    locks = state["locks"]
    watched = [pid for pid in state["watched"] if pid not in state["held"]]
    return [
        *locks.held, *locks.by_pid, *watched, *state["telling"], *state["waiting"], *state["early"],
        *state["settling"].values(), *(state["held"].keys() - state["watched"].keys()),
    ]  # fmt: skip


class Counter(bp.Server):
    def __init__(self) -> None:
        self.n = 0

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.n += by
        return self.n


# one node


async def test_a_name_on_one_node():
    async def body() -> None:
        me, other = bp.self(), bp.spawn(idle)
        assert names.whereis("n") is None
        assert names.registered() == []
        await names.register("n")
        await names.register(("m", 1))
        assert names.whereis("n") == names.whereis(("m", 1)) == me
        assert sorted(map(str, names.registered())) == ["('m', 1)", "n"]
        with pytest.raises(NameTaken) as taken:
            await names.register("n", other)
        assert (taken.value.name, taken.value.pid) == ("n", me)
        assert names.send("n", "hi") == me
        await harness.expect("hi")
        await names.re_register("n", other)
        assert names.whereis("n") == other
        await names.unregister("n")
        assert names.whereis("n") is None
        assert names.registered() == [("m", 1)]
        with pytest.raises(NotRegistered):
            await names.unregister("n")
        with pytest.raises(NotRegistered):
            names.send("n", "hi")

    await harness.run(body)


async def test_what_cannot_be_registered():
    async def body() -> None:
        for bad in (object(), ["n"], ("n", {}), int):
            with pytest.raises(BadName):
                await names.register(bad)  # type: ignore[arg-type]
            with pytest.raises(BadName):
                await names.set_lock(bad)  # type: ignore[arg-type]
            with pytest.raises(BadName):
                names.via(bad)  # type: ignore[arg-type]
        for nobody in ("n", 7):
            with pytest.raises(BadDestination):
                await names.register("n", nobody)
        with pytest.raises(NotConnected):
            await names.register("n", bp.Pid("far@localhost", 1, 1))
        dead = bp.spawn(idle)
        bp.exit(dead, "kill")
        with pytest.raises(NoProcess):
            await names.register("n", dead)
        await names.register("n")

    await harness.run(body)


async def test_the_dead_have_no_name_from_the_moment_of_their_death():
    async def body() -> None:
        pid = bp.spawn(idle)
        for name in "nm":
            await names.register(name, pid)
        bp.exit(pid, "kill")  # nobody else has run since
        assert names.whereis("n") is None
        assert names.registered() == []
        await names.register("n")
        assert names.whereis("n") == bp.self()

    await harness.run(body)


async def test_a_server_under_a_global_name():
    async def body() -> None:
        hits = names.via("hits")
        assert hits.pid is None
        with pytest.raises(NoProcess):
            await Counter.client(hits).add()
        counter = await Counter.start_link(name=hits)
        assert hits.pid == counter.pid
        assert await Counter.client(hits).add(5) == 5
        with pytest.raises(AlreadyStarted) as again:
            await Counter.start(name=names.via("hits"))
        assert again.value.pid == counter.pid
        await bp.stop(hits)
        assert hits.pid is None
        bp.cast(hits, "nobody gets it")
        assert repr(hits) == "<the global name 'hits'>"
        assert (hits == names.via("hits"), hits == names.via("misses"), hits == "hits") == (True, False, False)
        assert len({hits, names.via("hits")}) == 1

    await harness.run(body)


async def test_on_a_strict_node():
    async def body() -> None:
        await names.register("n", resolve=names.notify_all_name)
        assert names.whereis("n") == bp.self()
        async with names.lock("l"):
            assert not await names.set_lock("l", "other", retries=0)
        await names.unregister("n")

    await harness.run(body, strict=True)


@pytest.mark.loops("asyncio", "uvloop")  # the simulator runs threads inline, where waiting would block its loop
async def test_a_thread_of_a_process():
    async def body() -> None:
        me = bp.self()

        def thread() -> None:
            names.register("n").result(timeout=5)
            assert names.whereis("n") == me
            assert names.registered() == ["n"]
            assert names.set_lock("l").result(timeout=5)

        await asyncio.to_thread(thread)
        assert await names.set_lock("l", retries=0), "the process has it"
        assert not await names.set_lock("l", "other", retries=0)

    await harness.run(body)


async def test_garbage_does_not_hurt_the_keeper(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        await names.register("n")
        pid = bp.whereis(NAME)
        assert pid is not None
        for garbage in (
            "garbage", ("lock", [], 1, pid), ("lock", "r"), ("claim", {}, pid, None, ()), ("drop", [], None), (), 7,
        ):  # fmt: skip
            with pytest.raises(ValueError, match="no request of a keeper"):
                await bp.call(pid, garbage)
            bp.cast(pid, garbage)
            bp.send(pid, garbage)
        bp.send(pid, ("known", bp.self(), 7))
        bp.send(pid, ("look", []))
        assert await bp.call(pid, ("drop", "m", None)) is False
        await names.register("m")
        assert bp.whereis(NAME) == pid

    await harness.run(body)


# several nodes


async def test_a_name_is_known_everywhere_when_register_returns():
    async with cluster("a", "b", "c") as nodes:
        pid = nodes.nodes["a"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        for node in "abc":
            assert await nodes.run(node, names.whereis, "n") == pid
            assert await nodes.run(node, names.registered) == ["n"]
            with pytest.raises(NameTaken):
                await nodes.run(node, names.register, "n")
        await nodes.run("c", names.unregister, "n")
        for node in "abc":
            assert await nodes.run(node, names.whereis, "n") is None
        await nothing_left(nodes)


async def test_a_process_of_another_node_is_registered():
    async with cluster("a", "b", "c") as nodes:
        pid, other = nodes.nodes["b"].spawn(idle), nodes.nodes["c"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        for node in "abc":
            assert await nodes.run(node, names.whereis, "n") == pid
        await nodes.run("a", names.re_register, "n", other)
        for node in "abc":
            assert await nodes.run(node, names.whereis, "n") == other
        await nodes.run("b", names.unregister, "n")
        await nodes.run("c", bp.exit, other, "kill")
        with pytest.raises(NoProcess):
            await nodes.run("a", names.register, "n", other)
        await nothing_left(nodes)


async def test_a_name_goes_with_its_process_and_is_free_when_its_end_is_heard():
    async with cluster("a", "b") as nodes:
        pid = nodes.nodes["b"].spawn(idle)
        await nodes.run("b", names.register, "n", pid)

        async def body() -> None:
            ref = bp.monitor(pid)
            bp.exit(pid, "kill")
            await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)
            await names.register("n")
            assert names.whereis("n") == bp.self()

        await nodes.run("a", body)
        await everywhere(nodes, "n", None)
        await nothing_left(nodes)


async def test_a_name_goes_with_its_node():
    async with cluster("a", "b", "c") as nodes:
        pid, kept = nodes.nodes["c"].spawn(idle), nodes.nodes["b"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        await nodes.run("c", names.register, "kept", kept)
        await nodes.down("c")
        await everywhere(nodes, "n", None)
        await everywhere(nodes, "kept", kept)
        await nodes.run("a", names.register, "n", kept)
        await everywhere(nodes, "n", kept)


async def test_a_node_that_comes_later_learns_all_names():
    async with cluster("a", "b") as nodes:
        pids = {n: nodes.nodes["ab"[n % 2]].spawn(idle) for n in range(10)}
        for n, pid in pids.items():
            await nodes.run("a", names.register, n, pid)
        await nodes.up("c")
        await nodes.connect("a", "b", "c")
        await nodes.run("c", names.sync)
        assert sorted(await nodes.run("c", names.registered)) == list(pids)
        for n, pid in pids.items():
            assert await nodes.run("c", names.whereis, n) == pid


async def test_sync_waits_for_nodes_that_say_nothing():
    async with cluster("a", "b") as nodes:
        await nodes.run("a", names.sync)
        await nodes.run("b", bp.stop, NAME)
        await until(lambda: nodes.run("a", lambda: _sync(0.01)), "timeout")

        async def waits() -> str:
            return await _sync(harness.DEADLINE)

        waiting = asyncio.create_task(nodes.run("a", waits))
        await nodes.run("b", names.whereis, "n")
        await nodes.run("b", names.sync)  # any use that takes time starts it again
        assert await waiting == "synced"


async def _sync(timeout: float) -> str:
    try:
        await names.sync(timeout)
    except bp.errors.CallTimeout:
        return "timeout"
    return "synced"


async def test_a_keeper_that_is_killed_loses_its_names_only():
    async with cluster("a", "b") as nodes:
        mine, other = nodes.nodes["a"].spawn(idle), nodes.nodes["b"].spawn(idle)
        await nodes.run("a", names.register, "mine", mine)
        await nodes.run("b", names.register, "other", other)

        async def body() -> None:
            pid = bp.whereis(NAME)
            assert pid is not None
            bp.exit(pid, "kill")
            assert names.whereis("other") is None
            await names.sync()
            assert names.whereis("other") == other

        await nodes.run("a", body)
        await everywhere(nodes, "mine", None)
        await nodes.run("b", names.register, "mine", mine)
        await everywhere(nodes, "mine", mine)


async def test_one_of_many_that_want_a_name_gets_it():
    async with cluster("a", "b", "c") as nodes:
        outcomes: list[Any] = []

        async def wants(end: asyncio.Event) -> None:
            try:
                await names.register("n")
                outcomes.append(bp.self())
            except NameTaken:
                outcomes.append(None)
            await end.wait()

        for _ in range(3):
            outcomes.clear()
            end = asyncio.Event()
            tasks = [asyncio.create_task(nodes.run(node, wants, end)) for node in "abc" for _ in range(3)]
            await until(lambda: len(outcomes), len(tasks))
            winners = [pid for pid in outcomes if pid is not None]
            assert len(winners) == 1
            for node in "abc":
                assert await nodes.run(node, names.whereis, "n") == winners[0]
            end.set()
            await asyncio.gather(*tasks)
            await everywhere(nodes, "n", None)
        await nothing_left(nodes)


async def test_many_names_at_once():
    async with cluster("a", "b", "c") as nodes:

        async def registers(node: str) -> None:
            for n in range(20):
                await names.register((node, n), kept[node])

        kept = {node: nodes.nodes[node].spawn(idle) for node in "abc"}
        await asyncio.gather(*(nodes.run(node, registers, node) for node in "abc"))
        for node in "abc":
            assert len(await nodes.run(node, names.registered)) == 60
        await nodes.run("a", bp.exit, kept["a"], "kill")
        for node in "abc":
            await until(lambda node=node: nodes.run(node, lambda: len(names.registered())), 40)
        await nothing_left(nodes)


async def test_a_register_that_is_given_up_leaves_no_lock():
    async with cluster("a", "b") as nodes:

        async def gives_up(when: float) -> None:
            try:
                async with asyncio.timeout(when):
                    await names.register("n")
                    await names.unregister("n")
            except TimeoutError:
                return

        async def body() -> None:
            for n in range(20):
                await gives_up(n * 0.0002)
                await nothing_left(nodes)
                if names.whereis("n") is not None:  # it was too late to stop it
                    await names.unregister("n")
            await nodes.run("b", names.register, "n")

        await nodes.run("a", body)


async def test_a_registrant_that_is_killed_leaves_no_lock():
    async with cluster("a", "b") as nodes:

        async def body() -> None:
            for n in range(20):
                pid = bp.spawn(registers)
                await asyncio.sleep(n * 0.0001)
                bp.exit(pid, "kill")

        async def registers() -> None:
            await names.register("n")
            await idle()

        await nodes.run("a", body)
        await everywhere(nodes, "n", None)
        await nothing_left(nodes)
        await nodes.run("b", names.register, "n")


async def test_hidden_nodes_have_names_of_their_own():
    async with cluster("a") as nodes:
        await nodes.up("h", hidden=True)
        await nodes.run("h", bp.connect, nodes.full("a"))
        pid, hidden = nodes.nodes["a"].spawn(idle), nodes.nodes["h"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        await asyncio.sleep(harness.QUIET)
        assert await nodes.run("h", names.whereis, "n") is None
        with pytest.raises(NodeDown):
            await nodes.run("a", names.register, "m", hidden)


async def test_a_server_of_another_node_by_its_global_name():
    async with cluster("a", "b") as nodes:

        async def start() -> None:
            await Counter.start(name=names.via("hits"))

        async def use() -> None:
            assert await Counter.client(names.via("hits")).add(2) == 2
            with pytest.raises(AlreadyStarted):
                await Counter.start(name=names.via("hits"))
            ref = bp.monitor(names.via("hits"))
            await bp.stop(names.via("hits"))
            assert (await harness.expect(bp.Down)).ref == ref
            await Counter.start(name=names.via("hits"))

        await nodes.run("a", start)
        await nodes.run("b", use)
        pid = await nodes.run("b", names.whereis, "hits")
        assert pid.node == nodes.full("b")
        await everywhere(nodes, "hits", pid)
