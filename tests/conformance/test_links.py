"""Links: beam.md 4.8-4.11, 3.3."""

from __future__ import annotations

import asyncio

import beampy as bp
from beampy.errors import BadDestination, NoProcess
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.vectors import BADARG, probe, process
from tests.conformance.vocabulary import (
    absent,
    c,
    dead,
    distinct,
    ex,
    get1,
    idle,
    idler,
    linked_idler,
    mailbox,
    reason,
    report,
    trapper,
    until,
    waiting,
)


def links(pid: bp.Pid) -> list[bp.Pid]:
    info = bp.process_info(pid)
    assert info is not None
    return list(info.links)


async def relay(me: bp.Pid) -> None:
    """Unlinks whom it is told to unlink."""
    while True:
        _, pid = await bp.receive(("unlink", bp.Pid))
        bp.unlink(pid)
        bp.send(me, "unlinked")


async def say(why: object) -> None:
    bp.exit(why)


# both ends


@probe
async def test_link_bidirectional_trap():
    bp.trap_exit(True)
    pid = idler()
    bp.link(pid)
    bp.exit(pid, "bye")
    here = await get1()
    other = await trapper()

    async def linker():
        bp.link(other)
        bp.exit("farewell")

    await ex(linker)
    return [here, await report(other)]


@probe
async def test_link_symmetric_info():
    me = bp.self()
    pid = bp.spawn(relay, me)
    bp.link(pid)
    await harness.arrived(pid)
    both = (links(me) == [pid], links(pid) == [me])
    bp.send(pid, ("unlink", me))
    await harness.expect("unlinked")
    await harness.arrived(pid)
    return [both, (links(me), links(pid))]


@probe
async def test_unlink_from_other_end():
    bp.trap_exit(True)
    me = bp.self()
    pid, ref = bp.spawn_monitor(relay, me)
    bp.link(pid)
    bp.send(pid, ("unlink", me))
    await harness.expect("unlinked")
    bp.exit(pid, "bad")
    return await reason(ref), await absent()


@probe
async def test_link_chain_stops_at_trapper():
    middle = await trapper()
    me = bp.self()

    async def last():
        bp.link(middle)
        bp.send(me, "linked")
        await idle()

    async def first():
        bp.link(middle)
        bp.exit("oops")

    pid = bp.spawn(last)
    await harness.expect("linked")
    await ex(first)
    return await report(middle), bp.is_alive(pid)


# the dead, oneself, twice, nonsense


@one_node.DEAD
@probe({("error", "noproc"): NoProcess})
async def test_link_dead_local_nontrapping():
    async def body():
        gone = await dead()
        bp.exit(c(lambda: bp.link(gone)))

    return await ex(body)


@probe
async def test_link_dead_local_trapping():
    async def body():
        bp.trap_exit(True)
        assert bp.link(await dead())
        bp.exit(await get1())

    return await ex(body)


@one_node.DEAD
@probe
async def test_link_to_dead_nothing_leaks():
    for _ in range(100):
        gone = await dead()
        assert c(lambda pid=gone: bp.link(pid)) is NoProcess
    plain = links(bp.self())
    bp.trap_exit(True)
    for _ in range(100):
        bp.link(await dead())
        await get1()
    return [plain, links(bp.self())]


@one_node.DEAD
@process()
async def test_link_to_dead():
    # Also one of an earlier start of this node: same name, other creation.
    me = bp.self()
    ghost = bp.Pid(me.node, me.serial, me.creation ^ 1)
    for gone in (await dead(), ghost):
        assert c(lambda pid=gone: bp.link(pid)) is NoProcess
        bp.monitor(gone)
        assert (await get1()).reason == "noproc"
        bp.exit(gone, "nobody hears")
        bp.send(gone, "nobody hears")
    bp.trap_exit(True)
    bp.link(ghost)
    assert await get1() == bp.Exit(ghost, "noproc")
    assert links(me) == []
    assert await absent() == "none"


@probe
async def test_link_self():
    return c(lambda: bp.link(bp.self()))


@probe
async def test_link_self_leaves_no_link():
    bp.link(bp.self())
    return links(bp.self())


@probe
async def test_link_twice_one_exit():
    async def body():
        bp.trap_exit(True)
        pid = idler()
        bp.link(pid)
        bp.link(pid)
        bp.exit(pid, "bye")
        first = await get1()
        bp.exit((first, await absent()))

    return await ex(body)


@probe
async def test_link_twice_one_unlink():
    bp.trap_exit(True)
    pid = idler()
    bp.link(pid)
    bp.link(pid)
    bp.unlink(pid)
    bp.exit(pid, "bad")
    return await absent()


@probe({BADARG: BadDestination})
async def test_link_bad_argument():
    gone = await dead()
    return [
        c(lambda: bp.link("nobody")),
        c(lambda: bp.link(7)),
        c(lambda: bp.unlink(gone)),
        c(lambda: bp.unlink(idler())),
    ]


# unlink


@probe
async def test_unlink_then_exit():
    async def body():
        pid = linked_idler()
        bp.unlink(pid)
        ref = bp.monitor(pid)
        bp.exit(pid, "bad")
        await reason(ref)
        await absent()
        bp.exit("survived")

    return await ex(body)


@probe
async def test_unlink_leaves_queued_EXIT():
    async def body():
        bp.trap_exit(True)
        pid = bp.spawn_link(say, "bad")
        await until(lambda: waiting() == 1)
        bp.unlink(pid)
        bp.exit(await absent())

    return await ex(body)


async def unlink_race() -> int:
    """One when an Exit came after unlink had returned."""

    async def racer():
        await harness.expect("go")
        bp.exit("raced")

    pid, ref = bp.spawn(racer, link=True, monitor=True)
    bp.send(pid, "go")
    bp.unlink(pid)
    await bp.receive((pid, ...), timeout=0, default=None)
    await reason(ref)
    return await bp.receive((pid, ...), timeout=0, default=None) is not None


@probe
async def test_unlink_no_late_exit():
    bp.trap_exit(True)
    late = sum([await unlink_race() for _ in range(1000)])
    return late, await absent()


@probe
async def test_relink_after_unlink_one_exit():
    bp.trap_exit(True)
    pid = idler()
    bp.link(pid)
    bp.unlink(pid)
    bp.link(pid)
    bp.exit(pid, "bye")
    return await mailbox()


@process()
async def test_unlink_ack_leaves_nothing():
    me = bp.self()
    pid = idler()
    for _ in range(100):
        bp.link(pid)
        bp.unlink(pid)
    assert (links(me), links(pid)) == ([], [])


@process()
async def test_no_link_to_the_dead_remains():
    # Not even of a process that is exiting itself, to which the reason makes no difference any more.
    me, peer = bp.self(), idler()
    cleaned = asyncio.Event()

    async def body():
        bp.link(peer)
        try:
            bp.send(me, "ready")
            await bp.receive(("never",))
        finally:
            await cleaned.wait()

    pid = bp.spawn(body)
    await harness.expect("ready")
    bp.exit(pid, "oops")
    await harness.arrived(pid)
    assert links(pid) == [peer]
    ref = bp.monitor(peer)
    bp.exit(peer, "kill")
    await reason(ref)
    assert links(pid) == []
    ref = bp.monitor(pid)
    await harness.arrived(pid)
    cleaned.set()
    assert await reason(ref) == "oops"


# spawn_link


@probe
async def test_spawn_link_child_exits_at_once():
    bp.trap_exit(True)
    seen = []
    for _ in range(500):
        pid = bp.spawn_link(say, "early")
        seen.append((await bp.receive((pid, ...))).reason)
    return distinct(seen)


@probe
async def test_spawn_link_parent_exits():
    me = bp.self()

    async def parent():
        bp.send(me, ("child", linked_idler()))
        await idle()

    pid = bp.spawn(parent)
    _, child = await harness.expect(("child", ...))
    ref = bp.monitor(child)
    bp.send(pid, ("exit", "oops"))
    return await reason(ref)
