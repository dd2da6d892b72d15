"""Groups: memberships and what is told of them."""

from __future__ import annotations

import asyncio
from collections import Counter as Multiset
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beampy as bp
from beampy.core.ids import Pid
from beampy.errors import AlreadyStarted, BadDestination, NoProcess, NotLocal
from beampy.otp import debug, groups
from beampy.otp.groups import GroupJoin, GroupLeave, Groups, Memberships
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness

PIDS = [Pid("a@localhost", n, 1) for n in range(4)]


async def idle() -> None:
    await bp.receive(("never",))


async def state_of(scope: str = "groups") -> Any:
    return await debug.get_state(scope)


def change(message: Any) -> bool:
    return isinstance(message, (GroupJoin, GroupLeave))


# the table, alone

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "gone"]), st.sampled_from("gh"), st.lists(st.sampled_from(PIDS), max_size=3)
    )
)


@given(STEPS)
def test_memberships_are_a_multiset_for_each_group(steps: list[tuple[str, str, list[Pid]]]):
    table = Memberships()
    model: dict[str, Multiset[Pid]] = {"g": Multiset(), "h": Multiset()}
    for op, group, pids in steps:
        if op == "join":
            table.join(group, pids)
            model[group].update(pids)
        elif op == "leave":
            left = table.leave(group, pids)
            expected = Multiset(pids) & model[group]
            assert Multiset(left) == expected
            model[group] -= expected
        else:
            for pid in pids:
                for name in table.everything(pid):
                    assert table.leave(name, [pid]) == (pid,)
                for members in model.values():
                    del members[pid]
        for name, members in model.items():
            assert Multiset(table.members(name)) == +members
        assert set(table.groups) == {name for name, members in model.items() if +members}
        assert set(table.joined) == {pid for members in model.values() for pid in +members}
        for pid in PIDS:
            assert Multiset(table.everything(pid)) == +Multiset({name: model[name][pid] for name in model})


# the default scope


async def test_the_default_scope_is_there_when_it_is_needed():
    async def body() -> None:
        me = bp.self()
        assert groups.members("g") == groups.local_members("g") == groups.which_groups() == []
        assert groups.broadcast("g", "hi") == 0
        assert bp.whereis("groups") is None
        await groups.join("g")
        assert groups.members("g") == groups.local_members("g") == [me]
        assert groups.which_groups() == ["g"]
        assert await groups.leave("g")
        assert not await groups.leave("g")
        assert groups.which_groups() == []
        pid = bp.whereis("groups")
        assert pid is not None
        assert pid == Groups().pid
        info = bp.process_info(pid)
        assert info is not None
        assert info.links == ()
        bp.exit(pid, "kill")
        assert groups.members("g") == []
        await groups.join("g")
        assert bp.whereis("groups") not in (None, pid)
        assert groups.members("g") == [me]

    await harness.run(body)


async def test_a_join_takes_place_whether_or_not_it_is_awaited():
    async def body() -> None:
        handle = groups.join("g")
        ref, members = await groups.monitor("g")
        assert members == (bp.self(),)
        await handle
        assert await groups.demonitor(ref)

    await harness.run(body)


async def test_processes_that_need_it_at_once_start_it_once():
    async def body() -> None:
        me = bp.self()

        async def member(n: int) -> None:
            for _ in range(n % 3):
                await asyncio.sleep(0)
            await groups.join("g")
            bp.send(me, ("in", bp.self()))
            await idle()

        pids = [bp.spawn(member, n) for n in range(20)]
        bp.exit(pids[0], "kill")  # before it ran
        for _ in pids[1:]:
            await harness.expect(("in", Pid))
        assert sorted(groups.members("g")) == sorted(pids[1:])
        bp.exit(pids[1], "kill")  # who may have started the scope
        assert sorted(groups.members("g")) == sorted(pids[2:])

    await harness.run(body)


# scopes


async def test_a_scope_of_one_s_own():
    async def body() -> None:
        rooms = await Groups.start_link("rooms")
        assert rooms == Groups("rooms") != Groups()
        assert hash(rooms) == hash(Groups("rooms"))
        assert "rooms" in repr(rooms)
        assert rooms != "rooms"
        with pytest.raises(AlreadyStarted):
            await Groups.start("rooms")
        await rooms.join("kitchen")
        assert rooms.members("kitchen") == [bp.self()]
        assert groups.members("kitchen") == []

    await harness.run(body)


async def test_a_scope_ends_with_its_parent_and_the_members_go_on():
    async def body() -> None:
        me = bp.self()

        async def parent() -> None:
            await Groups.start_link("rooms")
            bp.send(me, "started")
            await bp.receive(lambda m: m == "stop")
            bp.exit("oops")

        pid, ref = bp.spawn_monitor(parent)
        await harness.expect("started")
        rooms = Groups("rooms")
        await rooms.join("kitchen")
        waiting = bp.spawn(idle)
        await rooms.join("kitchen", waiting)
        bp.send(pid, "stop")
        assert (await harness.expect(bp.Down)).ref == ref
        assert rooms.members("kitchen") == []
        for ask in (rooms.join, rooms.leave, rooms.monitor):
            with pytest.raises(NoProcess):
                await ask("kitchen")
        with pytest.raises(NoProcess):
            rooms.which_groups()
        assert bp.is_alive(waiting)

    await harness.run(body)


async def test_a_suspended_scope_is_read_and_changes_later():
    async def body() -> None:
        pid = bp.spawn(idle)
        await groups.join("g", pid)
        await debug.suspend("groups")
        handle = groups.join("g")
        assert groups.members("g") == [pid]
        bp.exit(pid, "kill")
        assert groups.members("g") == groups.which_groups() == []
        await debug.resume("groups")
        await handle
        assert groups.members("g") == [bp.self()]

    await harness.run(body)


async def test_a_supervised_scope_comes_back_empty():
    async def body() -> None:
        sup = await Supervisor.start_link([(Groups, "rooms")])
        rooms = Groups("rooms")
        await rooms.join("kitchen")
        bp.exit(rooms.pid or bp.self(), "kill")
        while rooms.pid is None:
            await sup.which_children()
        assert rooms.members("kitchen") == []
        await rooms.join("kitchen")
        assert rooms.members("kitchen") == [bp.self()]

    await harness.run(body)


async def test_two_nodes_of_one_name_do_not_mix():
    async def inner() -> None:
        assert groups.members("g") == []
        await groups.join("g")
        assert groups.members("g") == [bp.self()]

    async def outer() -> None:
        await groups.join("g")
        await harness.run(inner)
        assert groups.members("g") == [bp.self()]

    await harness.run(outer)


# members


async def test_members_come_in_many_shapes():
    class Worker(bp.Server):
        pass

    async def body() -> None:
        me, worker = bp.self(), await Worker.start_link()
        await groups.join("g", worker)
        await groups.join("g", (me, worker))
        await groups.join("g", {me})
        await groups.join("g", [])
        assert groups.members("g") == [worker.pid, worker.pid, me, me]
        assert await groups.leave("g", [worker, worker, worker])
        assert groups.members("g") == [me, me]

    await harness.run(body)


async def test_only_pids_of_this_node_join():
    async def body() -> None:
        for verb in (groups.join, groups.leave):
            with pytest.raises(NotLocal):
                verb("g", [bp.self(), Pid("far@localhost", 1, 1)])
            for bad in ("name", 7, ["name"]):
                with pytest.raises(BadDestination):
                    verb("g", bad)
            with pytest.raises(TypeError):
                verb(["unhashable"])  # type: ignore[arg-type]
        assert groups.members("g") == []
        assert bp.whereis("groups") is None, "nothing was asked"

    await harness.run(body)


async def test_the_dead_are_no_members_from_the_moment_of_their_death():
    async def body() -> None:
        pid, other = bp.spawn(idle), bp.spawn(idle)
        await groups.join("g", [pid, other, pid])
        await groups.join("h", pid)
        bp.exit(pid, "kill")  # nobody else has run since
        assert groups.members("g") == [other]
        assert groups.which_groups() == ["g"]
        assert groups.broadcast("g", "hi") == 1

    await harness.run(body)


async def test_one_that_was_dead_already_joins_and_leaves():
    async def body() -> None:
        pid = bp.spawn(idle)
        bp.exit(pid, "kill")
        ref, _ = await groups.monitor("g")
        await groups.join("g", pid)
        assert await harness.expect(GroupJoin) == (ref, "g", (pid,))
        assert await harness.expect(GroupLeave) == (ref, "g", (pid,))
        assert groups.which_groups() == []

    await harness.run(body)


async def test_broadcast_is_for_each_membership():
    async def body() -> None:
        await groups.join("g")
        await groups.join("g")
        assert groups.broadcast("g", "hi") == 2
        assert harness.flush() == ["hi", "hi"]

    await harness.run(body)


async def test_the_scope_watches_exactly_the_members():
    async def body() -> None:
        pids = [bp.spawn(idle) for _ in range(3)]
        await groups.join("g", pids)
        await groups.join("h", pids)
        await groups.leave("g", pids)
        assert set((await state_of())["watched"]) == set(pids)
        await groups.leave("h", pids[0])
        bp.exit(pids[1], "kill")
        await harness.ended(pids[1])
        assert set((await state_of())["watched"]) == {pids[2]}
        await groups.leave("h", pids[2])
        info = bp.process_info(Groups().pid or bp.self())
        assert info is not None
        assert info.monitors == ()
        memberships = (await state_of())["memberships"]
        assert (memberships.groups, memberships.joined) == ({}, {})

    await harness.run(body)


# monitors


async def test_a_monitor_misses_and_repeats_nothing():
    """Whatever happens meanwhile, the snapshot and the changes after it are what the scope has."""

    async def churn(n: int) -> None:
        for turn in range(n % 4 + 1):
            await groups.join("g")
            await asyncio.sleep(0)
            if (n + turn) % 3 == 0:
                await groups.leave("g")

    async def body() -> None:
        refs = [bp.spawn_monitor(churn, n)[1] for n in range(30)]
        await asyncio.sleep(0)
        ref, snapshot = await groups.monitor("g")
        _, everything = await groups.monitor_scope()
        assert everything.keys() <= {"g"}
        here = Multiset(snapshot)
        for down in refs:
            await harness.expect(lambda m, down=down: isinstance(m, bp.Down) and m.ref == down)
        await state_of()  # the scope has seen the last of them
        while (message := await bp.receive(change, timeout=0, default=None)) is not None:
            if message.ref == ref:
                pids = Multiset(message.pids)
                if isinstance(message, GroupLeave):
                    assert pids <= here
                    here -= pids
                else:
                    here += pids
        assert not here

    await harness.run(body)


async def test_a_subscriber_that_ends_is_forgotten():
    async def body() -> None:
        me = bp.self()

        async def subscriber() -> None:
            await groups.monitor("g")
            await groups.monitor_scope()
            bp.send(me, "watching")
            await idle()

        pid = bp.spawn(subscriber)
        await harness.expect("watching")
        assert len((await state_of())["topics"]) == 2
        bp.exit(pid, "kill")
        await harness.ended(pid)
        state = await state_of()
        assert (state["topics"], state["subscribers"]) == ({}, {})

    await harness.run(body)


async def test_demonitor_takes_its_own_messages_only():
    async def body() -> None:
        one, _ = await groups.monitor("g")
        two, _ = await groups.monitor("g")
        bp.send(bp.self(), "other")
        for _ in range(3):
            await groups.join("g")
        assert await groups.demonitor(one)
        assert not await groups.demonitor(one)
        await groups.leave("g")
        left = harness.flush()
        assert left[0] == "other"
        assert [(type(m), m.ref) for m in left[1:]] == [(GroupJoin, two)] * 3 + [(GroupLeave, two)]

    await harness.run(body)


async def test_demonitor_in_a_task_of_the_subscriber():
    async def body() -> None:
        ref, _ = await groups.monitor("g")
        await groups.join("g")
        assert await asyncio.create_task(leave_alone(ref))
        await harness.nothing()

    async def leave_alone(ref: bp.Ref) -> bool:
        return await groups.demonitor(ref)

    await harness.run(body)


async def test_any_term_is_a_group():
    async def body() -> None:
        for group in (..., (), None, ("room", 1)):
            ref, _ = await groups.monitor(group)
            await groups.join(group)
            assert await harness.expect(GroupJoin) == (ref, group, (bp.self(),))
            assert await groups.leave(group)
            assert await harness.expect(GroupLeave) == (ref, group, (bp.self(),))
        await harness.nothing()

    await harness.run(body)


# where it works


async def test_on_a_strict_node():
    async def body() -> None:
        ref, _ = await groups.monitor(("room", 1))
        scope_ref, _ = await groups.monitor_scope()
        await groups.join(("room", 1))
        assert {(await harness.expect(GroupJoin)).ref for _ in range(2)} == {ref, scope_ref}
        assert groups.members(("room", 1)) == [bp.self()]
        assert await groups.demonitor(ref)

    await harness.run(body, strict=True)


@pytest.mark.loops("asyncio", "uvloop")  # the simulator runs threads inline, where waiting would block its loop
async def test_a_thread_of_a_process_joins_it():
    async def body() -> None:
        def thread() -> list[Pid]:
            groups.join("g").result(timeout=5)
            return groups.members("g")

        me = bp.self()
        assert await asyncio.to_thread(thread) == [me]
        assert groups.members("g") == [me]
        ref, _ = await asyncio.to_thread(lambda: groups.monitor("g").result(timeout=5))
        await groups.join("g")
        await harness.expect(lambda m: m == GroupJoin(ref, "g", (me,)))
        await asyncio.to_thread(lambda: groups.leave("g").result(timeout=5))
        assert await asyncio.to_thread(lambda: groups.demonitor(ref).result(timeout=5))
        await harness.nothing()

    await harness.run(body)
