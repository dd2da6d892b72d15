"""Names and sending: beam.md 4.22-4.24, 3.4."""

from __future__ import annotations

import asyncio

import beampy as bp
from beampy.errors import BadDestination, BadName, NameTaken, NoProcess, NotRegistered
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.vectors import BADARG, probe, process
from tests.conformance.vocabulary import (
    absent,
    c,
    dead,
    distinct,
    down,
    get1,
    idler,
    linked_idler,
    mailbox,
    reason,
)

# send


@probe({"x": None})
async def test_send_dead_pid():
    return bp.send(await dead(), "x")


@probe({BADARG: NotRegistered})
async def test_send_unregistered_name():
    return c(lambda: bp.send("no_such_name", "x"))


@probe({"x": None})
async def test_send_unregistered_name_node_tuple():
    return c(lambda: bp.send(("no_such_name", bp.self().node), "x"))


@probe
async def test_send_registered_name():
    bp.register("snd", bp.self())
    bp.send("snd", "x")
    bp.send(("snd", bp.self().node), "y")
    return ["x", "y", await get1(), await get1()]


@probe({BADARG: BadDestination})
async def test_send_bad_destination():
    return c(lambda: bp.send(7, "x"))


@process()
async def test_send_to_another_node_is_silent():
    for dest in (bp.Pid("b@elsewhere", 7, 1), ("name", "b@elsewhere"), bp.Ref("b@elsewhere", 7, 1)):
        bp.send(dest, "x")


# register


@probe
async def test_whereis_none():
    return bp.whereis("no_such_name")


@one_node.NAMES
@probe({BADARG: NameTaken})
async def test_register_taken_name():
    bp.register("nm", idler())
    return c(lambda: bp.register("nm", bp.self()))


@one_node.NAMES
@probe({BADARG: NameTaken})
async def test_register_second_name_same_pid():
    pid = idler()
    bp.register("nm1", pid)
    return c(lambda: bp.register("nm2", pid))


@one_node.NAMES
@probe({BADARG: NoProcess})
async def test_register_dead_pid():
    gone = await dead()
    return c(lambda: bp.register("nm3", gone))


@probe({BADARG: NotRegistered})
async def test_unregister_missing():
    return c(lambda: bp.unregister("nm9"))


@one_node.NAMES
@process()
async def test_register_of_an_exiting_process():
    pid = idler()
    bp.exit(pid, "oops")
    assert c(lambda: bp.register("too_late", pid)) is NoProcess


ERRORS = [NameTaken, BadName, BadName, BadDestination, BadName]


@one_node.NAMES
@probe({BADARG: "its own error"})
async def test_register_errors():
    me = bp.self()
    bp.register("re", me)
    answers = [
        c(lambda: bp.register("re", me)),
        c(lambda: bp.register("undefined", idler())),
        c(lambda: bp.register(7, idler())),
        c(lambda: bp.register("re2", "x")),
        c(lambda: bp.whereis(7)),
    ]
    assert answers == ERRORS
    return ["its own error" for _ in answers]


@one_node.NAMES
@probe({True: None})
async def test_register_again_after_unregister():
    me = bp.self()
    bp.register("ra", me)
    bp.unregister("ra")
    free = bp.whereis("ra")
    bp.register("rb", me)
    assert bp.whereis("rb") == me
    return [free, None, bp.register("ra", idler())]


@one_node.NAMES
@probe({True: None})
async def test_unregister_by_other():
    bp.register("ub", idler())
    return [bp.unregister("ub"), bp.whereis("ub")]


@probe
async def test_registered_lists_names():
    before = "rl" in bp.registered()
    bp.register("rl", bp.self())
    return [before, "rl" in bp.registered()]


# a name goes with its process, before anybody hears of the end


@one_node.NAMES
@probe
async def test_name_gone_when_DOWN_seen():
    pid = idler()
    bp.register("ng", pid)
    ref = bp.monitor(pid)
    bp.send(pid, "stop")
    await reason(ref)
    return bp.whereis("ng")


@one_node.NAMES
@probe
async def test_name_free_when_DOWN():
    seen = []
    for how in ["kill", "oops"] * 100:
        pid = idler()
        bp.register("nf", pid)
        ref = bp.monitor(pid)
        bp.exit(pid, how)
        await reason(ref)
        seen.append(bp.whereis("nf"))
        bp.register("nf", bp.self())
        bp.unregister("nf")
    return distinct(seen)


@one_node.NAMES
@probe
async def test_name_free_when_EXIT():
    bp.trap_exit(True)
    seen = []
    for _ in range(200):
        pid = linked_idler()
        bp.register("ne", pid)
        bp.send(pid, "stop")
        await bp.receive((pid, ...))
        seen.append(bp.whereis("ne"))
    return distinct(seen)


@one_node.NAMES
@probe
async def test_name_free_when_not_alive():
    seen = []
    for _ in range(200):
        pid = idler()
        bp.register("na", pid)
        bp.exit(pid, "kill")
        seen.append((bp.is_alive(pid), bp.whereis("na")))
    return distinct(seen)


@process()
async def test_name_is_kept_while_its_process_cleans_up():
    # An exit signal other than a kill leaves time to clean up: until that is over the name is taken.
    me = bp.self()

    async def named():
        try:
            bp.send(me, "ready")
            await bp.receive(("never",))
        finally:
            await cleaned.wait()
            bp.send(me, bp.whereis("nk") == bp.self())

    cleaned = asyncio.Event()
    pid, ref = bp.spawn_monitor(named, name="nk")
    await harness.expect("ready")
    bp.exit(pid, "oops")
    assert not bp.is_alive(pid)
    assert bp.whereis("nk") == pid
    cleaned.set()
    assert await get1() is True
    assert await reason(ref) == "oops"
    assert bp.whereis("nk") is None


@one_node.NAMES
@probe
async def test_mailbox_dies_with_process():
    pid = idler()
    bp.register("mb", pid)
    bp.send("mb", "x")
    bp.exit(pid, "kill")
    await down(pid)
    me = bp.self()

    async def heir():
        await harness.expect("go")
        bp.send(me, await mailbox())

    bp.spawn(heir, name="mb")
    bp.send("mb", "go")
    return await get1()


@process()
async def test_a_name_is_looked_up_at_each_send():
    one = await dead()
    two = bp.self()
    bp.register("moving", two)
    bp.send("moving", 1)
    bp.unregister("moving")
    assert c(lambda: bp.send("moving", 2)) is NotRegistered
    bp.register("moving", two)
    bp.send("moving", 3)
    bp.send(one, "nobody hears")
    assert [await get1(), await get1(), await absent()] == [1, 3, "none"]
