"""Starting processes: beam.md 4.19. `spawn` answers at once, so what is a request in Erlang is plain here."""

from __future__ import annotations

import contextvars

import beampy as bp
from beampy.errors import BadFunction
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.vectors import A_PID, A_REF, BADARG, crashed, differs, probe, process
from tests.conformance.vocabulary import absent, c, distinct, early, ex, get1, mailbox, nothing, reason


@probe
async def test_spawn_monitor_reason():
    _, ref = bp.spawn_monitor(early)
    return await reason(ref)


@probe
async def test_spawn_monitor_reason_500():
    seen = []
    for _ in range(500):
        _, ref = bp.spawn_monitor(early)
        seen.append(await reason(ref))
    return distinct(seen)


@probe
async def test_spawn_opt_link_monitor():
    bp.trap_exit(True)
    pid, ref = bp.spawn(early, link=True, monitor=True)
    return [await reason(ref), (await bp.receive((pid, ...))).reason]


@probe
async def test_spawn_links_nothing():
    async def oops():
        bp.exit("oops")

    async def body():
        bp.trap_exit(True)
        _, ref = bp.spawn_monitor(oops)
        bp.spawn(oops)
        await reason(ref)
        bp.exit(await absent(0.1))

    return await ex(body)


@differs(otp=crashed("undef"), ours=BadFunction)
async def test_spawn_undef():
    return c(lambda: bp.spawn_monitor("nosuchmod.f"))


@probe({BADARG: BadFunction})
async def test_spawn_request_no_fun():
    return [c(lambda: bp.spawn_monitor(7)), c(lambda: bp.spawn(7))]


@differs(otp="spawn_reply_ok", ours=A_PID)
async def test_spawn_request_bad_fun_reply():
    return bp.spawn(nothing)


@differs(otp=[["reply", "message", "down", "exit"]], ours=[["message", "exit", "down"]])
async def test_spawn_request_reply_precedes_child_signals():
    # The pid is there before the child has run: its first line can only come after it.
    bp.trap_exit(True)
    me = bp.self()
    ran = []

    async def child():
        ran.append(bp.self())
        bp.send(me, "child")
        bp.exit("x")

    orders = []
    for _ in range(500):
        pid, ref = bp.spawn(child, link=True, monitor=True)
        assert pid not in ran
        kinds = {"child": "message", bp.Exit(pid, "x"): "exit", bp.Down(ref, pid, "x"): "down"}
        orders.append([kinds[await get1()] for _ in range(3)])
    return distinct(orders)


@differs(
    otp=[[("spawn_reply", A_REF, "ok", A_PID)], [], [], [("spawn_reply", A_REF, "ok", A_PID)]],
    ours=[],
)
async def test_spawn_request_reply_options():
    bp.spawn(nothing)
    return await mailbox()


@differs(otp=("t", A_REF, "ok", A_PID), ours="none")
async def test_spawn_request_reply_tag():
    bp.spawn(nothing)
    return await absent()


@differs(
    otp=[
        (A_REF, [("spawn_reply", A_REF, "error", "badopt")]),
        (A_REF, []),
        (A_REF, [("spawn_reply", A_REF, "error", "badopt")]),
        (A_REF, []),
    ],
    ours=(TypeError, []),
)
async def test_spawn_request_bad_option():
    return c(lambda: bp.spawn(nothing, bad="option")), await mailbox()


@differs(otp=False, ours=(A_PID, "normal"))
async def test_spawn_request_abandon_after_reply():
    # Nothing is outstanding that could be abandoned: the pid is the answer, and exit() takes the child back.
    pid, ref = bp.spawn_monitor(nothing)
    return pid, await reason(ref)


@differs(otp=[(False, "ok")], ours=[(False, "none")])
async def test_spawn_request_abandon_at_once():
    # To think better of it is to end the child: it has not run yet, and no line of it runs.
    seen = []
    for _ in range(50):
        pid = bp.spawn_link(nothing)
        bp.unlink(pid)
        bp.exit(pid, "kill")
        await harness.arrived(pid)
        seen.append((bp.is_alive(pid), await absent(0)))
    return distinct(seen)


@probe({"reply": A_PID})
async def test_spawn_request_monitor_ref_is_request():
    pid, ref = bp.spawn_monitor(early)
    return [pid, await reason(ref)]


# what a child inherits

LEADER: contextvars.ContextVar[object] = contextvars.ContextVar("leader")


@probe
async def test_group_leader_is_inherited():
    # What follows a process to its children is the context: a library's request id, a logger's fields, a leader.
    leader = object()

    async def child():
        bp.exit(LEADER.get() is leader)

    async def body():
        LEADER.set(leader)
        bp.exit(await ex(child))

    return await ex(body)


@process()
async def test_a_child_copies_its_parents_context_and_changes_only_its_own():
    me = bp.self()
    LEADER.set("parent")

    async def child():
        bp.send(me, LEADER.get())
        LEADER.set("child")
        await harness.expect("stop")

    pid, ref = bp.spawn_monitor(child)
    LEADER.set("parent, later")
    assert await get1() == "parent"
    bp.send(pid, "stop")
    await reason(ref)
    assert LEADER.get() == "parent, later"


@process()
async def test_the_first_line_sees_name_link_and_flag():
    me = bp.self()

    async def child():
        info = bp.process_info(bp.self())
        bp.send(me, (bp.whereis("child") == bp.self(), info.links, info.monitored_by, info.trap_exit))

    bp.spawn(child, name="child", link=True, monitor=True, trap_exit=True)
    assert await get1() == (True, (me,), (me,), True)


@one_node.AT_ONCE
@process()
async def test_a_process_ended_before_its_first_line_runs_none():
    me = bp.self()

    async def child():
        bp.send(me, "ran")

    for why, seen in (("oops", "oops"), ("kill", "killed")):
        pid, ref = bp.spawn_monitor(child)
        bp.exit(pid, why)
        assert await reason(ref) == seen
    assert await absent() == "none"
