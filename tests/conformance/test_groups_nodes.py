"""Groups on several nodes, as OTP's pg_SUITE has them: who knows whose members, and when no more."""

from __future__ import annotations

import asyncio

import pytest

import beampy as bp
from beampy.otp import groups
from beampy.otp.groups import GroupJoin, GroupLeave, Groups
from beampy.testing import harness
from tests.unit.otp.nodes_ground import cluster, idle, join, seen, until

SIM = pytest.mark.loops("sim")
QUIET = harness.QUIET


async def test_members_are_seen_on_the_other_node():
    async with cluster("a", "b") as nodes:
        pid = await join(nodes, "a", "g", times=2)
        await seen(nodes, "b", "g", [pid, pid])
        other = await join(nodes, "b", "g")
        await seen(nodes, "a", "g", [pid, pid, other])
        assert await nodes.run("a", groups.local_members, "g") == [pid, pid]
        assert await nodes.run("b", groups.which_groups) == ["g"]
        await nodes.run("a", groups.leave, "g", pid)
        await seen(nodes, "b", "g", [pid, other])
        await nodes.run("b", bp.exit, pid, "kill")
        await seen(nodes, "b", "g", [other])
        await nodes.run("b", bp.exit, other, "kill")
        await until(lambda: nodes.run("a", groups.which_groups), [])
        await until(lambda: nodes.run("b", groups.which_groups), [])


async def test_a_node_that_comes_later_learns_all():
    async with cluster("a") as nodes:
        pids = [await join(nodes, "a", group) for group in range(3)]
        await nodes.up("b")
        there = await join(nodes, "b", 1)
        await nodes.connect("a", "b")
        await until(lambda: nodes.run("b", lambda: sorted(groups.which_groups())), [0, 1, 2])
        await seen(nodes, "b", 1, [pids[1], there])
        await seen(nodes, "a", 1, [pids[1], there])


async def test_monitors_hear_of_remote_members():
    async with cluster("a", "b") as nodes:
        pid = await join(nodes, "b", "g")
        await seen(nodes, "a", "g", [pid])

        async def watcher() -> None:
            ref, snapshot = await groups.monitor("g")
            assert snapshot == (pid,)
            scope_ref, everything = await groups.monitor_scope()
            assert everything == {"g": (pid,)}
            new = await join(nodes, "b", "g")
            for expected in (ref, scope_ref):
                assert await harness.expect(GroupJoin) == (expected, "g", (new,))
            await nodes.run("b", bp.exit, pid, "kill")
            await nodes.run("b", groups.leave, "g", new)
            left = [await harness.expect(GroupLeave) for _ in range(4)]
            assert sorted(left) == sorted((to, "g", (who,)) for to in (ref, scope_ref) for who in (pid, new))
            await harness.nothing()

        await nodes.run("a", watcher)


async def test_a_broadcast_reaches_all_nodes():
    async with cluster("a", "b", "c") as nodes:

        async def body() -> None:
            me = bp.self()

            async def member() -> None:
                await groups.join("g")
                bp.send(me, "joined")
                bp.send(me, await bp.receive(str))

            for name in "abc":
                nodes.nodes[name].spawn(member)
            for _ in "abc":
                await harness.expect("joined")
            await until(lambda: len(groups.members("g")), 3)
            assert groups.broadcast("g", "hi") == 3
            for _ in "abc":
                await harness.expect("hi")

        await nodes.run("a", body)


async def test_it_is_not_transitive():
    async with cluster("a", "b", "c", mesh=False) as nodes:
        await nodes.connect("a", "b")
        for other in "ac":
            await nodes.run("b", bp.connect, nodes.full(other))
        pid = await join(nodes, "a", "g")
        await seen(nodes, "b", "g", [pid])
        there = await join(nodes, "c", "g")
        await seen(nodes, "b", "g", [pid, there])
        await seen(nodes, "a", "g", [pid])
        await seen(nodes, "c", "g", [there])


async def test_hidden_nodes_take_no_part():
    async with cluster("a") as nodes:
        await nodes.up("h", hidden=True)
        pid, hidden = await join(nodes, "a", "g"), await join(nodes, "h", "g")
        await nodes.run("h", bp.connect, nodes.full("a"))
        await until(lambda: nodes.run("a", bp.nodes, "hidden"), [nodes.full("h")])
        await asyncio.sleep(QUIET)
        assert await nodes.run("a", groups.members, "g") == [pid]
        assert await nodes.run("h", groups.members, "g") == [hidden]


async def test_scopes_of_other_names_are_apart():
    async with cluster("a", "b") as nodes:
        for name in "ab":
            await nodes.run(name, Groups.start, "rooms")
        pid = nodes.nodes["a"].spawn(idle)
        await nodes.run("a", Groups("rooms").join, "g", pid)
        await until(lambda: nodes.run("b", Groups("rooms").members, "g"), [pid])
        assert await nodes.run("b", groups.members, "g") == []


async def test_a_scope_that_is_started_again():
    async with cluster("a", "b") as nodes:
        pid, there = await join(nodes, "a", "g"), await join(nodes, "b", "g")
        await seen(nodes, "b", "g", [pid, there])

        async def restart() -> None:
            await bp.stop("groups")
            await groups.join("h", pid)

        await nodes.run("a", restart)
        await seen(nodes, "b", "g", [there])
        await seen(nodes, "b", "h", [pid])
        await seen(nodes, "a", "g", [there])


async def test_a_scope_that_is_killed_takes_its_members_away():
    async with cluster("a", "b") as nodes:
        pid = await join(nodes, "a", "g")
        await seen(nodes, "b", "g", [pid])

        async def watch() -> None:
            ref, _ = await groups.monitor("g")
            bp.exit(scope, "kill")
            assert await harness.expect(GroupLeave) == (ref, "g", (pid,))

        scope = await nodes.run("a", bp.whereis, "groups")
        await nodes.run("b", watch)


async def test_a_disconnect_and_a_reconnect():
    async with cluster("a", "b") as nodes:
        pid, there = await join(nodes, "a", "g", times=2), await join(nodes, "b", "g")
        for _ in range(3):
            await seen(nodes, "a", "g", [pid, pid, there])
            await seen(nodes, "b", "g", [pid, pid, there])
            await nodes.run("a", bp.disconnect, nodes.full("b"))
            await until(lambda: nodes.run("b", bp.nodes), [])
            await seen(nodes, "a", "g", [pid, pid])
            await seen(nodes, "b", "g", [there])
            await nodes.connect("a", "b")


async def test_a_node_of_the_same_name_started_again():
    async with cluster("a", "b") as nodes:
        pid = await join(nodes, "b", "g")
        await seen(nodes, "a", "g", [pid])
        await nodes.down("b")
        await seen(nodes, "a", "g", [])
        await nodes.up("b")
        new = await join(nodes, "b", "g")
        await nodes.connect("a", "b")
        await seen(nodes, "a", "g", [new])
        assert new.creation != pid.creation


async def test_a_thousand_syncs_hold_up_nobody():
    """As OTP's thundering_herd: with many groups, what a sync costs depends on what it says."""
    async with cluster("a", "b") as nodes:
        there = nodes.nodes["b"].spawn(idle)
        scope = await nodes.run("b", bp.whereis, "groups")
        await nodes.run("b", groups.join, "g")  # so that a has heard of the scope

        async def body() -> None:
            for n in range(2000):
                groups.join(("group", n))
            await groups.join("last")
            for _ in range(2000):
                bp.send("groups", ("sync", scope, 0, True, {("group", 1): (there, there)}))
            async with asyncio.timeout(harness.DEADLINE):
                await groups.join("in time")
            assert sorted(groups.members(("group", 1))) == sorted([bp.self(), there, there])

        await nodes.run("a", body)


# splits


@SIM
@pytest.mark.parametrize("sides", [("a", "b"), ("ab", "c"), ("ab", "cd"), ("a", "b", "c"), ("ab", "c", "d")])
async def test_sides_of_a_split_see_themselves_and_later_all(sides: tuple[str, ...]):
    async with cluster(*"".join(sides)) as nodes:
        members = {name: await join(nodes, name, "g") for name in nodes.nodes}
        for name in nodes.nodes:
            await seen(nodes, name, "g", list(members.values()))
        await nodes.split(*sides)
        for side in sides:
            for name in side:
                await seen(nodes, name, "g", [members[one] for one in side])
        gone = members.pop("a")
        await nodes.run("a", bp.exit, gone, "kill")
        members["new"] = await join(nodes, "b", "g")
        await nodes.heal()
        for name in nodes.nodes:
            await seen(nodes, name, "g", list(members.values()))


@SIM
async def test_a_fourfold_split():
    async with cluster(*"abcd") as nodes:
        members = {name: await join(nodes, name, "g") for name in nodes.nodes}
        await nodes.split(*"abcd")
        for name in nodes.nodes:
            await seen(nodes, name, "g", [members[name]])
        await nodes.heal()
        for name in nodes.nodes:
            await seen(nodes, name, "g", list(members.values()))


@SIM
async def test_a_host_that_dies():
    async with cluster("a", "b", "c") as nodes:
        members = [await join(nodes, name, "g") for name in "abc"]
        await seen(nodes, "a", "g", members)
        await nodes.crash("c")
        for name in "ab":
            await seen(nodes, name, "g", members[:2])


@SIM
async def test_whatever_happens_the_copies_agree_in_the_end():
    """Joins, leaves, ends and splits in an order that the seed says: then all nodes see what is."""
    async with cluster("a", "b", "c") as nodes:
        rng = asyncio.get_running_loop().rng  # type: ignore[attr-defined]
        alive: dict[bp.Pid, str] = {}
        for _ in range(60):
            name = rng.choice("abc")
            group = rng.choice("gh")
            step = rng.random()
            mine = [pid for pid, where in alive.items() if where == name]
            if step < 0.4 or not mine:
                alive[await join(nodes, name, group, times=rng.randint(1, 2))] = name
            elif step < 0.6:
                await nodes.run(name, groups.leave, group, rng.choice(mine))
            elif step < 0.8:
                pid = rng.choice(mine)
                del alive[pid]
                await nodes.run(name, bp.exit, pid, "kill")
            elif step < 0.9:
                one, two = rng.sample("abc", 2)
                nodes.net.partition(one, two)
                await asyncio.sleep(rng.uniform(0, 3))
            else:
                nodes.net.heal()
                await asyncio.sleep(rng.uniform(0, 3))
        await nodes.heal()
        for group in "gh":
            truth: list[bp.Pid] = []
            for name in "abc":
                truth += await nodes.run(name, groups.local_members, group)
            for name in "abc":
                await seen(nodes, name, group, truth)


async def test_joins_and_leaves_race_with_ends():
    async with cluster("a", "b") as nodes:

        async def member(n: int) -> None:
            await groups.join("g")
            await groups.join("h")
            if n % 2 == 0:
                await groups.leave("g")

        async def body() -> None:
            refs = [bp.spawn_monitor(member, n)[1] for n in range(50)]
            for ref in refs:
                await harness.expect(lambda m, ref=ref: isinstance(m, bp.Down) and m.ref == ref)

        await nodes.run("a", body)
        last = await join(nodes, "a", "last")
        await seen(nodes, "b", "last", [last])
        for name in "ab":
            await until(lambda name=name: nodes.run(name, groups.which_groups), ["last"])
