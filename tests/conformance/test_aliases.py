"""Aliases: beam.md 4.17, 3.3. Addresses that can be taken back."""

from __future__ import annotations

import beampy as bp
from beampy.errors import BadDestination, BadRef
from beampy.testing import harness
from tests.conformance.vectors import BADARG, Probe, differs, probe, process, table
from tests.conformance.vocabulary import NONE, absent, c, dead, get1, idler, reason


async def down_or_none(ref: bp.Ref) -> object:
    down = await bp.receive((ref, ..., ..., ...), timeout=harness.QUIET, default=None)
    return NONE if down is None else down.reason


@table("alias")
async def test_alias(row: Probe):
    """Every kind of alias of a monitor against what happens to it."""
    event = row.input["event"]
    pid = await dead() if event == "noproc" else idler()
    ref = bp.monitor(pid, alias=row.input["mode"])
    match event:
        case "second_message":
            bp.send(ref, "one")
            first = await get1()
            bp.send(ref, "two")
            second = await absent()
            bp.exit(pid, "kill")
            return [first, second, await down_or_none(ref)]
        case "demonitor":
            bp.demonitor(ref)
            bp.send(ref, "one")
            return [await absent(), bp.unalias(ref)]
        case "down":
            bp.exit(pid, "kill")
            why = await reason(ref)
            bp.send(ref, "one")
            return [why, await absent(), bp.unalias(ref)]
        case "unalias":
            was = bp.unalias(ref)
            bp.send(ref, "one")
            came = await absent()
            bp.exit(pid, "kill")
            return [was, came, await down_or_none(ref)]
        case "demonitor_info_after_message":
            bp.send(ref, "one")
            return [await get1(), bp.demonitor(ref)]
        case "noproc":
            why = await reason(ref)
            bp.send(ref, "one")
            return [why, await absent()]
    raise AssertionError(event)


@process()
async def test_alias_modes():
    # explicit_unalias: until unalias; reply: one message. The modes of monitors are test_alias's.
    until_taken_back, once = bp.alias(), bp.alias("reply")
    for message in (1, 2):
        bp.send(until_taken_back, message)
        bp.send(once, message * 10)
    assert [await get1() for _ in range(3)] == [1, 10, 2]
    assert (bp.unalias(until_taken_back), bp.unalias(once)) == (True, False)
    for ref in (until_taken_back, once):
        bp.send(ref, "late")
    assert await absent() == NONE


@differs(otp=("none", "none"), ours=("one", "none"))
async def test_alias_after_unalias():
    alias = bp.alias()
    bp.send(alias, "one")
    assert bp.unalias(alias)
    bp.send(alias, "two")
    return await absent(), await absent()


@probe
async def test_alias_delivers():
    alias = bp.alias()
    bp.send(alias, "one")
    first = await get1()
    bp.send(alias, "two")
    second = await get1()
    bp.unalias(alias)
    bp.send(alias, "three")
    return [first, second, await absent()]


@probe
async def test_alias_reply_once():
    alias = bp.alias("reply")
    bp.send(alias, "one")
    bp.send(alias, "two")
    return await absent(), await absent()


@probe
async def test_alias_monitor_reply_demonitor():
    pid = idler()
    ref = bp.monitor(pid, alias="reply_demonitor")
    bp.send(ref, "reply")
    bp.exit(pid, "kill")
    return await absent(), await absent()


@probe
async def test_unalias_twice():
    alias = bp.alias()
    return bp.unalias(alias), bp.unalias(alias)


@probe
async def test_unalias_by_other():
    alias, me = bp.alias(), bp.self()

    async def other():
        bp.send(me, ("answer", bp.unalias(alias)))

    bp.spawn(other)
    _, answer = await harness.expect(("answer", ...))
    bp.send(alias, "hello")
    return answer, await get1()


@probe
async def test_unalias_reply_used():
    alias = bp.alias("reply")
    bp.send(alias, "one")
    return await get1(), bp.unalias(alias)


@probe({"x": None})
async def test_alias_of_dead_owner():
    me = bp.self()

    async def owner():
        bp.send(me, ("alias", bp.alias()))

    _, ref = bp.spawn_monitor(owner)
    await reason(ref)
    _, alias = await harness.expect(("alias", ...))
    return bp.send(alias, "x")


@probe({"x": None})
async def test_alias_not_an_alias():
    me = bp.self()
    return bp.send(bp.Ref(me.node, 10**9, me.creation), "x"), await absent()


@probe({"x": None})
async def test_alias_plain_monitor_ref():
    ref = bp.monitor(idler())
    return bp.send(ref, "x"), await absent()


@probe({BADARG: BadDestination})
async def test_alias_takes_only_messages():
    alias = bp.alias()
    return [
        c(lambda: bp.exit(alias, "x")),
        c(lambda: bp.link(alias)),
        c(lambda: bp.monitor(alias)),
        c(lambda: bp.register("al", alias)),
    ]


@probe
async def test_alias_from_other_process():
    alias, me = bp.alias(), bp.self()

    async def other():
        bp.send(me, 1)
        bp.send(alias, 2)
        bp.send(me, 3)

    bp.spawn(other)
    return [await get1(), await get1(), await get1()]


@probe
async def test_alias_reply_first_of_two_senders():
    alias = bp.alias("reply")

    async def other(message):
        bp.send(alias, message)

    bp.spawn(other, "x")
    first = await get1()
    bp.spawn(other, "y")
    return [first, await absent()]


@probe({BADARG: ValueError})
async def test_alias_bad_option():
    return [c(lambda: bp.alias("bad")), c(lambda: bp.monitor(bp.self(), alias="bad"))]


@process()
async def test_unalias_of_no_ref():
    assert c(lambda: bp.unalias("x")) is BadRef


@process()
async def test_an_alias_of_oneself_outlives_a_monitor_of_oneself():
    ref = bp.monitor(bp.self(), alias="explicit_unalias")
    bp.send(ref, "one")
    assert await get1() == "one"
    assert bp.unalias(ref)


@process()
async def test_aliases_go_with_their_process():
    me = bp.self()

    async def owner():
        bp.send(me, [bp.alias() for _ in range(3)])
        await harness.expect("stop")

    pid, ref = bp.spawn_monitor(owner)
    aliases = await harness.expect(list)
    bp.exit(pid, "kill")
    assert await reason(ref) == "killed"
    for alias in aliases:
        bp.send(alias, "nobody hears")
    assert await absent() == NONE
