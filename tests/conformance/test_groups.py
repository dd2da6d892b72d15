"""pg on one node: beam.md 4.42."""

from __future__ import annotations

from typing import Any

import beampy as bp
from beampy.errors import BadDestination, NoProcess
from beampy.otp.groups import GroupJoin, GroupLeave, Groups
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.vectors import probe
from tests.conformance.vocabulary import absent, c, ca, dead, get1, idler, mailbox, reason, until, waiting


async def scope() -> Groups:
    return await Groups.start_link("scope")


async def join(s: Groups, group: Any, pids: Any = None) -> str:
    await s.join(group, pids)
    return "ok"


async def leave(s: Groups, group: Any, pids: Any = None) -> str:
    return "ok" if await s.leave(group, pids) else "not_joined"


async def demonitor(s: Groups, ref: bp.Ref) -> Any:
    return "ok" if await s.demonitor(ref) else False


async def event(ref: bp.Ref, pid: bp.Pid) -> Any:
    """(join or leave, group, how many times the pid)."""
    message = await harness.expect(lambda m: isinstance(m, (GroupJoin, GroupLeave)) and m.ref == ref)
    what = "join" if isinstance(message, GroupJoin) else "leave"
    return what, message.group, message.pids.count(pid)


# groups


@probe
async def test_pg_join_twice():
    s = await scope()
    await s.join("g")
    await s.join("g")
    return len(s.members("g"))


@probe
async def test_pg_leave_not_joined():
    return await leave(await scope(), "nog")


@probe
async def test_pg_empty_group():
    return (await scope()).members("nope")


@probe
async def test_pg_single():
    s, me = await scope(), bp.self()
    return [
        await join(s, "g"),
        s.members("g") == [me],
        s.local_members("g") == [me],
        s.which_groups(),
        await leave(s, "g"),
        s.members("g"),
        s.which_groups(),
    ]


@probe
async def test_pg_joined_twice_leave_once():
    s = await scope()
    await s.join("g")
    await s.join("g")
    return [(await leave(s, "g"), len(s.members("g"))) for _ in range(3)]


@one_node.GROUPS
@probe
async def test_pg_two_members_two_groups():
    s, me, pid = await scope(), bp.self(), idler()
    for group in ("g", "h"):
        for member in (me, pid):
            await s.join(group, member)
    return [sorted(s.members("g")) == sorted([me, pid]), sorted(s.which_groups())]


@one_node.GROUPS
@probe
async def test_pg_list_of_pids():
    s, me, pid = await scope(), bp.self(), idler()
    joined, many = await join(s, "g", [me, pid, me]), len(s.members("g"))
    left, few = await leave(s, "g", [me, pid]), len(s.members("g"))
    return [joined, many, left, few, await leave(s, "g", [pid, me]), s.members("g")]


@one_node.GROUPS
@probe
async def test_pg_leave_on_exit():
    s, pid = await scope(), idler()
    for group in ("g", "g", "h"):
        await s.join(group, pid)
    many = len(s.members("g"))
    bp.exit(pid, "kill")
    return [many, s.members("h"), s.which_groups()]


@one_node.GROUPS
@probe
async def test_pg_join_dead():
    s = await scope()
    answer = await join(s, "g", await dead())
    assert s.members("g") == []
    return answer


@probe({("error", "function_clause"): BadDestination})
async def test_pg_bad_argument():
    s = await scope()
    return [c(lambda bad=bad: s.join("g", bad)) for bad in ("nobody", 7)]


@probe
async def test_pg_scopes_are_apart():
    s, other = await scope(), await Groups.start_link("other_scope")
    await s.join("g")
    return other.members("g")


@probe({("exit", "noproc"): NoProcess, ("error", "badarg"): NoProcess})
async def test_pg_scope_not_started():
    s = Groups("no_scope")
    return [s.members("g"), await ca(s.join("g")), c(s.which_groups)]


@probe
async def test_pg_any_term_is_a_group():
    s = await scope()
    await s.join(("room", 1))
    return [s.which_groups(), len(s.members(("room", 1)))]


@one_node.GROUPS
@probe
async def test_pg_owner_of_membership_is_the_process():
    s, me = await scope(), bp.self()

    async def joins() -> None:
        await s.join("g", me)

    _, ref = bp.spawn_monitor(joins)
    await reason(ref)
    return s.members("g") == [me]


@probe
async def test_pg_leave_exit_race():
    s = await scope()

    async def member(n: int) -> None:
        await s.join("g")
        await s.join("h")
        if n % 2 == 0:
            await s.leave("g")

    refs = [bp.spawn_monitor(member, n)[1] for n in range(100)]
    for ref in refs:
        await reason(ref)
    assert s.which_groups() == []
    return [s.members("g"), s.members("h")]


@probe
async def test_pg_scope_restart():
    s = await scope()
    await s.join("g")
    pid = bp.whereis("scope")
    assert pid is not None
    bp.unlink(pid)
    await bp.stop(pid)
    return (await scope()).members("g")


@one_node.GROUPS
@probe
async def test_pg_scope_ends_members_live():
    s, member = await scope(), idler()
    await s.join("g", member)
    pid = bp.whereis("scope")
    assert pid is not None
    bp.unlink(pid)
    bp.exit(pid, "kill")
    await until(lambda: bp.whereis("scope") is None)
    info = bp.process_info(member)
    assert info is not None
    return [bp.is_alive(member), list(info.links)]


# events


@one_node.GROUPS
@probe
async def test_pg_monitor_events():
    s, pid = await scope(), idler()
    await s.join("g")
    ref, members = await s.monitor("g")
    await s.join("g", pid)
    await s.join("g", pid)
    await s.leave("g", pid)
    bp.exit(pid, "kill")
    return [len(members), *[await event(ref, pid) for _ in range(4)], await absent()]


@one_node.GROUPS
@probe
async def test_pg_monitor_exit_of_double_member():
    s, pid = await scope(), idler()
    await s.join("g", pid)
    await s.join("g", pid)
    ref, members = await s.monitor("g")
    assert members == (pid, pid)
    bp.exit(pid, "kill")
    return [await event(ref, pid), await event(ref, pid), await absent()]


@one_node.GROUPS
@probe
async def test_pg_monitor_list_join():
    s = await scope()
    ref, _ = await s.monitor("g")
    pid = idler()
    await s.join("g", [pid, pid])
    await s.leave("g", [pid, pid])
    return [await event(ref, pid), await event(ref, pid), await absent()]


@probe
async def test_pg_monitor_other_group():
    s = await scope()
    await s.monitor("g")
    await s.join("h")
    return await absent()


@probe
async def test_pg_monitor_leave_not_joined():
    s = await scope()
    await s.monitor("g")
    await s.leave("g")
    return await absent()


@probe
async def test_pg_monitor_before_group_exists():
    s = await scope()
    ref, members = await s.monitor("g")
    await s.join("g")
    return [list(members), await event(ref, bp.self())]


@probe
async def test_pg_monitor_twice():
    s = await scope()
    one, _ = await s.monitor("g")
    two, _ = await s.monitor("g")
    await s.join("g")
    return [one != two, len(await mailbox())]


@probe
async def test_pg_demonitor():
    s = await scope()
    ref, _ = await s.monitor("g")
    first, again = await demonitor(s, ref), await demonitor(s, ref)
    await s.join("g")
    return [first, again, await absent()]


@probe
async def test_pg_demonitor_flushes():
    s = await scope()
    ref, _ = await s.monitor("g")
    await s.join("g")
    await until(lambda: waiting() == 1)
    return [await demonitor(s, ref), await absent()]


@probe
async def test_pg_monitor_scope():
    s, me = await scope(), bp.self()
    await s.join("g")
    ref, groups = await s.monitor_scope()
    await s.join("h")
    await s.leave("g")
    sizes = {group: len(pids) for group, pids in groups.items()}
    return [sizes, await event(ref, me), await event(ref, me)]


@one_node.GROUPS
@probe
async def test_pg_join_seen_at_once():
    s, me = await scope(), bp.self()
    await s.join("g")

    async def looks() -> None:
        bp.send(me, s.members("g") == [me])

    bp.spawn(looks)
    return await get1()
