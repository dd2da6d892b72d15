"""Monitors: beam.md 4.13-4.16, 3.3."""

from __future__ import annotations

from typing import NamedTuple

import beampy as bp
from beampy.core.ids import NO_NODE
from beampy.errors import BadDestination, BadRef
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.vectors import A_PID, A_REF, BADARG, differs, probe, process
from tests.conformance.vocabulary import (
    NONE,
    absent,
    c,
    dead,
    distinct,
    ex,
    get1,
    idler,
    mailbox,
    nothing,
    reason,
    until,
    waiting,
)


def monitors(pid: bp.Pid) -> tuple[object, ...]:
    info = bp.process_info(pid)
    assert info is not None
    return info.monitors


def monitored_by(pid: bp.Pid) -> tuple[bp.Pid, ...]:
    info = bp.process_info(pid)
    assert info is not None
    return info.monitored_by


async def down_of(ref: bp.Ref) -> bp.Down:
    return await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)


# Down


@probe
async def test_monitor_basic():
    async def oops():
        bp.exit("oops")

    async def boom():
        raise RuntimeError("boom")

    async def suicide():
        bp.exit(bp.self(), "kill")

    return [await down_of(bp.spawn_monitor(body)[1]) for body in (nothing, oops, boom, suicide)]


@probe
async def test_monitor_dead():
    bp.monitor(await dead())
    return await get1()


@probe
async def test_monitor_unregistered_name():
    bp.monitor("nope")
    return await get1()


@process()
async def test_monitor_noproc():
    me = bp.self()
    for target, shown in (
        (await dead(), None),
        ("nope", ("nope", me.node)),
        (("nope", me.node), ("nope", me.node)),
        (bp.Pid(me.node, me.serial, me.creation ^ 1), None),
    ):
        ref = bp.monitor(target)
        assert await get1() == bp.Down(ref, shown or target, "noproc")
    assert await absent() == NONE


@process()
async def test_monitor_noconnection():
    # A node that has no connections cannot reach another one.
    for target in (bp.Pid("b@elsewhere", 7, 1), ("name", "b@elsewhere")):
        ref = bp.monitor(target)
        assert await get1() == bp.Down(ref, target, "noconnection")


@one_node.NAMES
@probe
async def test_monitor_named():
    pid = idler()
    bp.register("mn", pid)
    refs = [bp.monitor(target) for target in ("mn", ("mn", pid.node), pid)]
    bp.exit(pid, "bye")
    downs = [await down_of(ref) for ref in refs]
    return [("process", down.target, down.reason) for down in downs]


@one_node.NAMES
@probe
async def test_monitor_name_resolved_once():
    one, two = idler(), idler()
    bp.register("mr", one)
    ref = bp.monitor("mr")
    bp.unregister("mr")
    bp.register("mr", two)
    bp.exit(two, "q")
    first = await absent()
    bp.exit(one, "p")
    down = await down_of(ref)
    return [first, (down.target, down.reason)]


@differs(otp=True, ours=False)
async def test_monitor_self():
    return c(lambda: bp.demonitor(bp.monitor(bp.self())))


@probe
async def test_monitor_is_unidirectional():
    me = bp.self()

    async def watched():
        bp.trap_exit(True)
        bp.send(me, "up")
        bp.send(me, ("got", await bp.receive()))

    async def watcher(pid):
        bp.monitor(pid)
        bp.exit("oops")

    pid = bp.spawn(watched)
    await harness.expect("up")
    why = await ex(watcher, pid)
    seen = why, bp.is_alive(pid), await absent()
    bp.exit(pid, "kill")
    return seen


@probe
async def test_two_monitors_two_downs():
    pid = idler()
    bp.monitor(pid)
    bp.monitor(pid)
    bp.exit(pid, "x")
    return [await get1(), await get1(), await absent()]


@probe
async def test_hundred_monitors_each_once():
    pid = idler()
    refs = [bp.monitor(pid) for _ in range(100)]
    bp.exit(pid, "x")
    found = await mailbox()
    return len(found), sorted(refs) == sorted(down.ref for down in found if down.reason == "x")


@one_node.EXITING
@differs(otp=["noproc"], ours=["oops"])
async def test_monitor_after_exit_signal():
    seen = []
    for _ in range(500):
        pid = idler()
        bp.exit(pid, "oops")
        seen.append(await reason(bp.monitor(pid)))
    return distinct(seen)


@process()
async def test_monitor_after_kill_is_noproc():
    for _ in range(500):
        pid = idler()
        bp.exit(pid, "kill")
        assert await reason(bp.monitor(pid)) == "noproc"


@probe({BADARG: BadDestination})
async def test_monitor_bad_argument():
    return c(lambda: bp.monitor(7))


@differs(otp=("my", "tag"), ours=(True, ("my", "tag")))
async def test_monitor_tag_option():
    # The tag is a field of the Down: it is found by its type, whatever its tag.
    bp.monitor(await dead(), tag=("my", "tag"))
    down = await get1()
    return isinstance(down, bp.Down), down.tag


@differs(otp=("t", A_REF, "process", A_PID, "noproc"), ours=(A_REF, A_PID, "noproc", "t"))
async def test_monitor_tag_whole_message():
    bp.monitor(await dead(), tag="t")
    return tuple(await get1())


# demonitor


async def queued_down() -> bp.Ref:
    """A monitor whose Down is in the mailbox."""
    pid = idler()
    ref = bp.monitor(pid)
    bp.exit(pid, "x")
    await until(lambda: waiting() == 1)
    return ref


@probe
async def test_demonitor_leaves_queued_DOWN():
    bp.demonitor(await queued_down())
    return await absent()


@probe
async def test_demonitor_flush():
    ref = await queued_down()
    return bp.demonitor(ref, flush=True), await absent()


@probe
async def test_demonitor_info_active():
    ref = bp.monitor(idler())
    return bp.demonitor(ref), bp.demonitor(ref)


@probe
async def test_demonitor_flush_info_active():
    ref = bp.monitor(idler())
    return bp.demonitor(ref, flush=True), bp.demonitor(ref, flush=True)


@probe
async def test_demonitor_info_queued():
    ref = await queued_down()
    return bp.demonitor(ref), await mailbox()


@probe
async def test_demonitor_flush_received():
    ref = await queued_down()
    await reason(ref)
    return bp.demonitor(ref, flush=True)


@probe
async def test_demonitor_flush_takes_only_its_own():
    pid = idler()
    one, two = bp.monitor(pid), bp.monitor(pid)
    bp.send(bp.self(), "x")
    bp.exit(pid, "bye")
    await until(lambda: waiting() == 3)
    bp.demonitor(one, flush=True)
    found = await mailbox()
    return len(found), two in [message.ref for message in found if isinstance(message, bp.Down)]


class Answer(NamedTuple):
    """A reply of a user's own, with the ref it answers."""

    ref: bp.Ref
    value: object


@process()
async def test_demonitor_flush_takes_nothing_but_its_down():
    # One flush after another, behind other messages; and an answer that carries the same ref is no Down.
    pid = idler()
    bp.send(bp.self(), "before")
    refs = [bp.monitor(pid, alias="explicit_unalias") for _ in range(3)]
    bp.send(refs[1], Answer(refs[1], 42))
    bp.exit(pid, "bye")
    await until(lambda: waiting() == 5)
    gone = bp.monitor(pid)
    await reason(gone)
    assert bp.demonitor(gone, flush=True) is False
    for ref in refs:
        assert bp.demonitor(ref, flush=True) is False
    assert await mailbox() == ["before", Answer(refs[1], 42)]


@differs(otp=[True, True, True, BADARG], ours=[True, False, False, BadRef])
async def test_demonitor_returns():
    ref = bp.monitor(idler())
    me = bp.self()
    unknown = bp.Ref(me.node, 10**9, me.creation)
    return [c(lambda which=which: bp.demonitor(which)) for which in (ref, ref, unknown, "x")]


async def demonitor_race(*, flush: bool) -> tuple[bp.Ref, bool]:
    _, ref = bp.spawn_monitor(nothing)
    return ref, bp.demonitor(ref, flush=flush)


async def lies(*, wait: bool) -> bool:
    """Whether the answer of demonitor is not what the mailbox says."""
    pid, ref = bp.spawn_monitor(nothing)
    if wait:
        await until(lambda: not bp.is_alive(pid))
    live = bp.demonitor(ref)
    came = await bp.receive(lambda m: m.ref == ref, timeout=0, default=None) is not None
    return live is came


@probe
async def test_demonitor_flush_info_truth():
    return sum([await lies(wait=i % 50 == 0) for i in range(2000)])


@probe
async def test_demonitor_flush_leaves_none():
    for _ in range(2000):
        await demonitor_race(flush=True)
    return len(await mailbox())


@differs(otp=[([True, True, False], "bye")] * 2, ours=[([False, False, False], "bye")] * 2)
async def test_demonitor_by_non_owner():
    me = bp.self()
    found = []
    for alias in (None, "demonitor"):
        pid = idler()
        ref = bp.monitor(pid, alias=alias)

        async def other(ref=ref):
            bp.send(me, [bp.demonitor(ref), bp.demonitor(ref, flush=True), bp.demonitor(ref)])

        bp.spawn(other)
        answers = await harness.expect(list)
        bp.exit(pid, "bye")
        found.append((answers, await reason(ref)))
    return found


@process()
async def test_demonitor_by_non_owner_badarg():
    # Someone else's ref is no monitor of mine: False, and it takes nothing out of the owner's mailbox.
    me = bp.self()
    ref = await queued_down()

    async def other():
        bp.send(me, ("answer", bp.demonitor(ref, flush=True)))

    bp.spawn(other)
    assert await harness.expect(("answer", ...)) == ("answer", False)
    assert (await get1()).ref == ref


# what is kept


@probe
async def test_monitor_lists_cleaned():
    me, pid = bp.self(), idler()

    def count():
        return len(monitors(me)), len(monitored_by(pid))

    ref = bp.monitor(pid)
    await harness.arrived(pid)
    live = count()
    bp.demonitor(ref)
    await harness.arrived(pid)
    after = count()
    two = idler()
    ref_two = bp.monitor(two)
    bp.exit(two, "x")
    await reason(ref_two)
    after_down = len(monitors(me))

    async def watcher():
        bp.monitor(pid)

    await ex(watcher)
    await until(lambda: not monitored_by(pid))
    return [live, after, after_down, count()]


@one_node.NAMES
@probe({("process", ("mi", NO_NODE)): ("mi", NO_NODE)})
async def test_monitors_info_shows_name():
    pid = idler()
    bp.register("mi", pid)
    bp.monitor("mi")
    shown = list(monitors(bp.self()))
    bp.exit(pid, "x")
    return shown
