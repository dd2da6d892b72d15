"""Timers: beam.md 3.4."""

from __future__ import annotations

import beampy as bp
from beampy.errors import BadDestination, BadRef
from tests.conformance import one_node
from tests.conformance.vectors import BADARG, differs, probe, process
from tests.conformance.vocabulary import NONE, absent, c, dead, down, get1, idler, reason, until, waiting


@probe
async def test_timer_start_msg():
    ref = bp.start_timer(0.005, bp.self(), "hello")
    return "timeout_ref_msg" if await get1() == bp.Timeout(ref, "hello") else "something else"


@differs(otp=True, ours=(True, True))
async def test_timer_cancel_live_is_int():
    left = bp.cancel_timer(bp.send_after(1, bp.self(), "x"))
    return isinstance(left, float), 0 < left < 1.01  # of seconds that may not add up in the last digit


@probe({False: None})
async def test_timer_cancel_after_fire():
    ref = bp.send_after(0.001, bp.self(), "late")
    await until(lambda: waiting() == 1)
    return bp.cancel_timer(ref), await absent()


@probe({False: None})
async def test_timer_cancel_twice():
    ref = bp.send_after(0.02, bp.self(), "x")
    bp.cancel_timer(ref)
    return bp.cancel_timer(ref), await absent()


@one_node.TIMERS
@probe
async def test_timer_cancel_by_other():
    me = bp.self()
    ref = bp.send_after(1, me, "x")

    async def other():
        bp.send(me, ("is_number", isinstance(bp.cancel_timer(ref), float)))

    bp.spawn(other)
    return [await get1(), await absent()]


@probe({False: None, BADARG: BadRef})
async def test_timer_cancel_unknown():
    me = bp.self()
    return [bp.cancel_timer(bp.Ref(me.node, 10**9, me.creation)), c(lambda: bp.cancel_timer("x"))]


@probe
async def test_timer_to_dead_pid():
    return isinstance(bp.send_after(0.001, await dead(), "x"), bp.Ref)


@one_node.TIMERS
@probe({False: None})
async def test_timer_of_dead_target_is_cancelled():
    pid = idler()
    ref = bp.send_after(60, pid, "x")
    bp.exit(pid, "kill")
    await down(pid)
    return bp.cancel_timer(ref)


@probe
async def test_timer_of_dead_creator_fires():
    me = bp.self()

    async def creator():
        bp.send_after(0.02, me, "x")

    _, ref = bp.spawn_monitor(creator)
    await reason(ref)
    return await get1()


@probe
async def test_timer_to_name_resolved_at_expiry():
    bp.send_after(0.02, "tn", "x")
    bp.register("tn", bp.self())
    return await get1()


@probe
async def test_timer_to_unregistered_name():
    answer = isinstance(bp.send_after(0.001, "nobody_at_all", "x"), bp.Ref)
    assert await absent() == NONE  # and when it goes off nothing happens
    return answer


@differs(otp=[BADARG, BADARG, BADARG], ours=[ValueError, BadDestination, True])
async def test_timer_bad_argument():
    me = bp.self()
    return [
        c(lambda: bp.send_after(-1, me, "x")),
        c(lambda: bp.send_after(1, 7, "x")),
        isinstance(bp.send_after(1.5, me, "x"), bp.Ref),
    ]


@process()
async def test_timer_arguments_are_checked_at_once():
    me = bp.self()
    for verb in (bp.send_after, bp.start_timer):
        for seconds in (-0.001, float("nan")):
            assert c(lambda verb=verb, seconds=seconds: verb(seconds, me, "x")) is ValueError
        assert c(lambda verb=verb: verb("1", me, "x")) is TypeError
        for dest in (None, ("name",), ("name", 7)):
            assert c(lambda verb=verb, dest=dest: verb(0.001, dest, "x")) is BadDestination
    assert await absent() == NONE


@probe({20: 0.02, 40: 0.04, 60: 0.06})
async def test_timers_fire_by_deadline():
    for seconds in (0.06, 0.04, 0.02):
        bp.send_after(seconds, bp.self(), seconds)
    return [await get1(), await get1(), await get1()]


@probe
async def test_timer_zero():
    bp.send_after(0, bp.self(), "x")
    return await get1()


@process()
async def test_a_timer_to_an_alias_ends_with_the_alias():
    alias = bp.alias()
    bp.send_after(0.001, alias, "x")
    bp.unalias(alias)
    assert await absent() == NONE
