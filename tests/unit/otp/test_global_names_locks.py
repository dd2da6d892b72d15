"""Locks of many nodes: who gets them, who waits, and when they come back."""

from __future__ import annotations

import asyncio
from collections import Counter as Multiset
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beampy as bp
from beampy.core.ids import Pid
from beampy.errors import NameTaken
from beampy.otp import global_names as names
from beampy.otp.global_names_locks import Locks
from beampy.testing import harness
from tests.unit.otp.nodes_ground import until
from tests.unit.otp.test_global_names import cluster, idle, nothing_left

PIDS = [Pid("a@localhost", n, 1) for n in range(3)]


# the table, alone


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "give_back", "gone"]),
            st.sampled_from("rs"),
            st.sampled_from("xy"),
            st.sampled_from(PIDS),
        )
    )
)
def test_a_lock_has_one_requester_and_counts_its_holders(steps: list[tuple[str, str, str, Pid]]):
    locks = Locks()
    model: dict[str, tuple[str, Multiset[Pid]]] = {}
    for op, resource, requester, pid in steps:
        owner, holders = model.get(resource, (requester, Multiset()))
        if op == "take":
            refused_by = locks.take(resource, requester, pid)
            if owner == requester:
                assert refused_by is None
                model[resource] = owner, holders + Multiset([pid])
            else:
                assert refused_by in holders
        elif op == "give_back":
            freed = locks.give_back(resource, requester, pid)
            if owner == requester and pid in holders:
                model[resource] = owner, holders - Multiset([pid])
            assert freed == (bool(holders) and not model[resource][1])
        else:
            before = {r for r, (_, h) in model.items() if h}
            freed_all = locks.gone(pid)
            model = {r: (o, Multiset({p: n for p, n in h.items() if p != pid})) for r, (o, h) in model.items()}
            assert set(freed_all) == before - {r for r, (_, h) in model.items() if h}
        model = {r: (o, h) for r, (o, h) in model.items() if h}
        assert {r: (held.requester, held.holders) for r, held in locks.held.items()} == model
        assert locks.by_pid.keys() == {p for _, h in model.values() for p in h}


# one node


async def test_a_lock_is_held_as_often_as_it_was_set():
    async def body() -> None:
        assert await names.set_lock("r")
        assert await names.set_lock("r", retries=0)
        assert not await names.set_lock("r", "other", retries=0)
        await names.del_lock("r", "other")
        await names.del_lock("r")
        assert not await names.set_lock("r", "other", retries=0)
        await names.del_lock("r")
        assert await names.set_lock("r", "other", retries=0)
        await names.del_lock("nobody has it")

    await harness.run(body)


async def test_a_lock_is_shared_by_those_with_one_requester():
    async def body() -> None:
        me = bp.self()

        async def shares() -> None:
            bp.send(me, await names.set_lock("r", "we", retries=0))
            await idle()

        assert await names.set_lock("r", "we")
        pid = bp.spawn(shares)
        await harness.expect(True)
        await names.del_lock("r", "we")
        assert not await names.set_lock("r", retries=0), "the other one has it still"
        bp.exit(pid, "kill")
        await harness.ended(pid)
        assert await names.set_lock("r", retries=1)

    await harness.run(body)


async def test_trans_and_lock():
    async def body() -> None:
        async def work(a: int) -> int:
            assert not await names.set_lock("r", "other", retries=0)
            return a + 1

        async def fails() -> None:
            raise ValueError("no")

        assert await names.trans("r", work, 1) == 2
        with pytest.raises(ValueError, match="no"):
            await names.trans("r", fails)
        async with names.lock("r", requester="other", retries=0):
            with pytest.raises(NameTaken) as taken:
                await names.trans("r", work, 1, retries=1)
            assert (taken.value.name, taken.value.pid) == ("r", bp.self())
        assert await names.set_lock("r", retries=0)

    await harness.run(body)


# several nodes


async def test_a_lock_holds_on_all_nodes_or_on_those_that_are_named():
    async with cluster("a", "b", "c") as nodes:

        async def body() -> None:
            assert await names.set_lock("everywhere")
            assert await names.set_lock("here", nodes=[bp.node()])
            for node in "bc":
                assert not await nodes.run(node, lambda: names.set_lock("everywhere", retries=0))
                assert await nodes.run(node, lambda: names.set_lock("here", retries=0, nodes=[bp.node()]))
                assert not await nodes.run(node, lambda: names.set_lock("here", retries=0))
            await names.del_lock("everywhere")
            for node in "bc":
                assert await nodes.run(node, lambda: names.set_lock("everywhere", retries=20))

        await nodes.run("a", body)
        await nothing_left(nodes)


async def test_who_has_a_lock_is_alone():
    """Processes of three nodes want one lock, again and again: never two have it, and all get it."""
    inside: list[Any] = []
    done: list[Any] = []

    async def worker(name: str) -> None:
        for _ in range(3):
            async with names.lock("r"):
                inside.append(name)
                await asyncio.sleep(0.0005)
                assert inside == [name]
                inside.remove(name)
            done.append(name)

    async with cluster("a", "b", "c") as nodes:
        await asyncio.gather(*(nodes.run(node, worker, f"{node}{n}") for node in "abc" for n in range(2)))
        assert len(done) == 18
        await nothing_left(nodes)


async def test_a_lock_comes_back_when_its_holder_dies():
    async with cluster("a", "b") as nodes:

        async def holds() -> None:
            assert await names.set_lock("r")
            await idle()

        for reason in ("kill", "a reason"):
            pid = nodes.nodes["a"].spawn(holds)
            await until(lambda: nodes.run("b", lambda: names.set_lock("r", retries=0)), False)
            waiting = asyncio.create_task(nodes.run("b", lambda: names.set_lock("r")))
            await nodes.run("b", bp.exit, pid, reason)
            assert await waiting
        await nothing_left(nodes)


async def test_a_lock_comes_back_when_its_holders_node_goes():
    async with cluster("a", "b", "c") as nodes:

        async def holds() -> None:
            assert await names.set_lock("r")
            await idle()

        nodes.nodes["a"].spawn(holds)
        await until(lambda: nodes.run("b", lambda: names.set_lock("r", retries=0)), False)
        waiting = [asyncio.create_task(nodes.run(node, names.trans, "r", asyncio.sleep, 0.001)) for node in "bc"]
        await nodes.down("a")
        await asyncio.gather(*waiting)
        await nothing_left(nodes)


async def test_those_who_wait_for_a_lock_may_die():
    async with cluster("a", "b") as nodes:

        async def body() -> None:
            async with names.lock("r"):
                pids = [nodes.nodes[node].spawn(wants) for node in "ab" for _ in range(3)]
                await asyncio.sleep(0.02)
                for pid in pids:
                    bp.exit(pid, "kill")
            assert await names.set_lock("r", "other")

        async def wants() -> None:
            await names.set_lock("r")

        await nodes.run("a", body)
        await nothing_left(nodes)
