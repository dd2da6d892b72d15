"""Looking at processes: beam.md 3.4, 4.49. Nothing that is asked brings an ended process back."""

from __future__ import annotations

import asyncio
import contextvars

import beampy as bp
from beampy.errors import BadDestination, NotLocal
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.vectors import BADARG, PROBES, differs, probe, process
from tests.conformance.vocabulary import c, dead, distinct, down, get1, idle, idler, listed, reason, until


@probe
async def test_process_info_dead():
    return bp.process_info(await dead())


@probe
async def test_process_info_dead_item():
    return getattr(bp.process_info(await dead()), "links", None)


@differs(otp=[], ours=None)
async def test_process_info_item_unregistered():
    return bp.process_info(bp.self()).registered_name


@probe({("registered_name", "ii"): "ii"})
async def test_process_info_item_registered():
    bp.register("ii", bp.self())
    return bp.process_info(bp.self()).registered_name


# Each of process_info/1's keys, and what says the same here; None where Python has no such thing.
KEYS = {
    "current_function": "current_function",
    "initial_call": "initial_call",
    "status": "status",
    "message_queue_len": "message_queue_len",
    "links": "links",
    "dictionary": None,  # context variables are seen by the process itself only
    "trap_exit": "trap_exit",
    "error_handler": None,
    "priority": None,
    "group_leader": None,
    "total_heap_size": "memory",
    "heap_size": "memory",
    "stack_size": "memory",
    "reductions": "reductions",
    "garbage_collection": None,
    "suspending": None,
}


@probe
async def test_process_info_self_keys():
    info = bp.process_info(bp.self())
    assert all(hasattr(info, ours) for ours in KEYS.values() if ours)
    return list(KEYS)


@probe(
    [
        (("messages", [1, 2]), "not shown"),
        (("priority", "normal"), "there is none"),
        (("monitors", []), ("monitors", ())),
    ]
)
async def test_process_info_items():
    me = bp.self()

    async def body():
        bp.trap_exit(True)
        bp.send(me, "up")
        await bp.receive(("never",))

    pid = bp.spawn(body)
    await harness.expect("up")
    bp.send(pid, 1)
    bp.send(pid, 2)
    bp.link(pid)
    bp.monitor(pid)
    await harness.arrived(pid)
    await until(lambda: bp.process_info(pid).status == "waiting")
    info = bp.process_info(pid)
    bp.unlink(pid)
    bp.exit(pid, "kill")
    return [
        ("status", info.status),
        ("message_queue_len", info.message_queue_len),
        "not shown",
        ("trap_exit", info.trap_exit),
        ("links", info.links == (me,)),
        ("monitors", info.monitors),
        ("monitored_by", info.monitored_by == (me,)),
        "there is none",
    ]


@probe({BADARG: "an error"})
async def test_process_info_bad_item():
    assert not hasattr(bp.process_info(bp.self()), "nonsense")
    assert c(lambda: bp.process_info("nobody")) is BadDestination
    return ["an error", "an error"]


K: contextvars.ContextVar[str] = contextvars.ContextVar("k")


@differs(otp=("dictionary", [("k", "v")]), ours=["v", "unset"])
async def test_process_info_dictionary():
    # What a process keeps for itself is a context variable: it sees it, the processes beside it do not.
    me = bp.self()

    async def body(value):
        if value:
            K.set(value)
        await asyncio.sleep(0)
        bp.send(me, K.get("unset"))

    bp.spawn(body, "v")
    bp.spawn(body, None)
    return [await get1(), await get1()]


@probe
async def test_is_process_alive_during_exit():
    seen = []
    for _ in range(500):
        pid = idler()
        bp.exit(pid, "kill")
        await harness.arrived(pid)
        seen.append([bp.is_alive(pid), bp.process_info(pid), bp.is_alive(pid)])
    return distinct(seen)


@one_node.EXITING
@differs(otp=[["noproc", "noproc"]], ours=[["oops", "oops"]])
async def test_exiting_process_takes_nothing():
    # It still cleans up, so whoever links or monitors it now hears of its real end. It takes no message.
    bp.trap_exit(True)
    seen = []
    for _ in range(500):
        pid = idler()
        bp.exit(pid, "oops")
        bp.link(pid)
        ref = bp.monitor(pid)
        bp.send(pid, "x")
        assert bp.process_info(pid).message_queue_len == 0
        seen.append([await reason(ref), (await bp.receive((pid, ...))).reason])
    return distinct(seen)


@process()
async def test_process_info_during_exit():
    # Not alive, but there: its cleanup can be seen, and nothing that is asked or sent keeps it.
    me = bp.self()

    async def body():
        try:
            bp.send(me, "ready")
            await idle()
        finally:
            await cleaned.wait()

    cleaned = asyncio.Event()
    pid, ref = bp.spawn_monitor(body)
    await harness.expect("ready")
    bp.exit(pid, "oops")
    for _ in range(5):
        await harness.arrived(pid)
        assert not bp.is_alive(pid)
        assert bp.process_info(pid).status == "exiting"
        assert listed(pid)
        bp.send(pid, "x")
        await asyncio.sleep(0)
    cleaned.set()
    assert await reason(ref) == "oops"
    assert (bp.is_alive(pid), bp.process_info(pid), listed(pid)) == (False, None, False)


@process()
async def test_process_info_during_exit_never_resurrects():
    # Every question, and every signal, at every turn between the exit signal and the end.
    pid = idler()
    bp.exit(pid, "kill")
    for _ in range(5):
        bp.send(pid, "x")
        bp.exit(pid, "again")
        await harness.arrived(pid)
        assert (bp.is_alive(pid), bp.process_info(pid), listed(pid)) == (False, None, False)
        assert await down(pid) == "noproc"


@probe
async def test_process_info_after_DOWN():
    pid = idler()
    ref = bp.monitor(pid)
    bp.exit(pid, "kill")
    await reason(ref)
    return [bp.is_alive(pid), bp.process_info(pid), listed(pid)]


@probe
async def test_process_info_with_big_heap_during_exit():
    me = bp.self()

    async def big():
        numbers = list(range(600_000))
        bp.send(me, "up")
        await idle()
        return len(numbers)

    seen = []
    for _ in range(20):
        pid = bp.spawn(big)
        await harness.expect("up")
        bp.exit(pid, "kill")
        await harness.arrived(pid)
        seen.append([bp.is_alive(pid), bp.process_info(pid)])
    return distinct(seen)


@probe({BADARG: BadDestination})
async def test_is_process_alive_self():
    return [bp.is_alive(bp.self()), c(lambda: bp.is_alive("nobody"))]


@process()
async def test_only_local_pids_can_be_looked_at():
    pid = bp.Pid("b@elsewhere", 7, 1)
    for verb in (bp.is_alive, bp.process_info, lambda pid: bp.register("x", pid)):
        assert c(lambda verb=verb: verb(pid)) is NotLocal


@one_node.AT_ONCE
@process()
async def test_status_of_a_process_in_each_of_its_states():
    me = bp.self()

    async def body():
        bp.send(me, bp.process_info(bp.self()).status)
        await bp.receive()
        await bp.receive(("never",), timeout=0.001, default=None)
        bp.send(me, "slept")
        await asyncio.sleep(60)

    pid = bp.spawn(body)
    assert bp.process_info(pid).status == "runnable"
    assert await get1() == "running"
    await until(lambda: bp.process_info(pid).status == "waiting")
    bp.send(pid, "go")
    assert bp.process_info(pid).status == "runnable"
    await harness.expect("slept")
    await until(lambda: bp.process_info(pid).status == "waiting")
    assert "sleep" in bp.process_info(pid).current_function
    assert bp.process_info(pid).initial_call.endswith("body")
    bp.exit(pid, "oops")
    assert bp.process_info(pid).status == "exiting"


def test_every_key_of_the_probe_has_a_reading() -> None:
    assert list(KEYS) == PROBES["process_info_self_keys"].value
