"""gen_server: starting and calling. beam.md 4.43, 3.5."""

from __future__ import annotations

import asyncio

import pytest

import beampy as bp
from beampy.errors import (
    AlreadyStarted,
    BadDestination,
    CallTimeout,
    NoProcess,
    ServerExited,
    StartFailed,
    StartIgnored,
    StartTimeout,
)
from beampy.testing import harness
from tests.conformance.probed import CALLS, STARTS, Probed, answering, exiting, raising, say, start
from tests.conformance.vectors import A_NODE, A_PID, crashed, differs, probe, process
from tests.conformance.vocabulary import NONE, absent, ca, dead, down, ex, get1, mailbox, reason, until

# start


@probe(STARTS)
async def test_gs_init_stop():
    return await ca(Probed.start(init=answering(bp.Stop("why"))))


@process()
async def test_init_may_raise_stop_too():
    assert await ca(Probed.start(init=raising(bp.Stop("why")))) == (StartFailed, "why")


@probe(STARTS)
async def test_gs_init_ignore():
    return await ca(Probed.start(init=answering(bp.IGNORE)))


@probe(STARTS)
async def test_gs_init_crash():
    return await ca(Probed.start(init=raising(RuntimeError("in_init"))))


@probe(STARTS)
async def test_gs_init_timeout():
    return await ca(Probed.start(init=lambda _: asyncio.sleep(60), timeout=0.02))


@probe
async def test_gs_init_timeout_kills():
    me = bp.self()

    async def init(_):
        bp.send(me, bp.self())
        await asyncio.sleep(60)

    assert await ca(Probed.start(init=init, timeout=0.02)) is StartTimeout
    pid = await get1()
    await harness.arrived(pid)
    return bp.is_alive(pid)


@differs(
    otp=[
        ("error", "oops"),
        ("error", "normal"),
        ("error", ("bad_return_value", "oops")),
        "ok",
        ("error", ("bad_return_value", "nonsense")),
    ],
    ours=[
        (StartFailed, "oops"),
        (StartFailed, "normal"),
        (StartFailed, crashed("oops")),
        "ok",
        (StartFailed, crashed("Probed.init returned 'nonsense'; it may return None, NoReply(…) or Stop(reason)")),
    ],
)
async def test_gs_init_other():
    answers = [
        await ca(Probed.start(init=init))
        for init in (exiting("oops"), exiting("normal"), raising(ValueError("oops")), None, answering("nonsense"))
    ]
    return ["ok" if isinstance(answer, Probed.client(None).__class__) else answer for answer in answers]


@differs(
    otp=[(("error", "why"), [(A_PID, "why")]), ("ignore", [(A_PID, "normal")])],
    ours=[((StartFailed, "why"), []), (StartIgnored, [])],
)
async def test_gs_start_link_init_stop_trapping():
    bp.trap_exit(True)
    return [
        (await ca(Probed.start_link(init=answering(answer))), await mailbox()) for answer in (bp.Stop("why"), bp.IGNORE)
    ]


@differs(
    otp=["why", ("survived", ("error", "normal")), ("survived", "ignore")],
    ours=[
        ("survived", (StartFailed, "why")),
        ("survived", (StartFailed, "normal")),
        ("survived", StartIgnored),
    ],
)
async def test_gs_start_link_init_stop_nontrapping():
    async def body(answer):
        result = await ca(Probed.start_link(init=answering(answer)))
        await absent()
        bp.exit(("survived", result))

    return [await ex(body, answer) for answer in (bp.Stop("why"), bp.Stop("normal"), bp.IGNORE)]


@process()
async def test_a_failed_start_leaves_nothing():
    # No link, no monitor, no message, no name, no process: whatever way it failed.
    me = bp.self()
    bp.trap_exit(True)
    before = bp.processes()
    for init in (
        answering(bp.Stop("why")),
        answering(bp.IGNORE),
        answering("nonsense"),
        raising(RuntimeError("boom")),
        exiting("oops"),
        lambda _: asyncio.sleep(60),
    ):
        with pytest.raises(StartFailed):
            await Probed.start_link(init=init, name="failing", timeout=0.02)
        info = bp.process_info(me)
        assert (info.links, info.monitors, bp.whereis("failing")) == ((), (), None)
    await until(lambda: bp.processes() == before)
    assert await absent() == NONE


@process()
async def test_a_start_whose_process_is_ended_from_outside():
    # That is no failure of init: the starter hears the reason, and its link does what links do.
    bp.trap_exit(True)
    for why, seen in (("oops", "oops"), ("kill", "killed")):

        async def init(_, why=why):
            bp.exit(bp.self(), why)
            await asyncio.sleep(60)

        assert await ca(Probed.start_link(init=init)) == (StartFailed, seen)
        assert (await get1()).reason == seen


@probe
async def test_gs_name_free_after_failed_start():
    found = []
    for init in (answering(bp.Stop("why")), answering(bp.IGNORE), raising(RuntimeError("x"))):
        await ca(Probed.start(init=init, name="gsf"))
        found.append(bp.whereis("gsf"))
    return found


@probe
async def test_gs_name_taken_before_init():
    me = bp.self()
    await start(init=lambda _: bp.send(me, bp.whereis("gsn") == bp.self()), name="gsn")
    return await get1()


@probe({("error", ("already_started", "pid")): AlreadyStarted})
async def test_gs_already_started():
    first = await start(name="gs5")
    with pytest.raises(AlreadyStarted) as caught:
        await start(name="gs5")
    assert caught.value.pid == first
    return type(caught.value)


@probe
async def test_gs_already_started_init_not_run():
    await start(name="gs6")
    await ca(Probed.start(init=say(bp.self(), "ran"), name="gs6"))
    return await absent()


@probe
async def test_gs_start_monitor():
    server = await Probed.start()
    ref = bp.monitor(server.pid)
    await server.stop()
    return await reason(ref)


@differs(otp=["gsa", True], ours=[True, True])
async def test_gs_ancestors():
    # Pids, also of named ones: a name may move, an ancestor does not.
    me = bp.self()
    first = await start(name="gsa")

    async def start_another(_, __):
        return await start(init=lambda _: bp.send(me, bp.ancestors()))

    await bp.call(first, start_another)
    ancestors = await get1()
    return [ancestors[0] == first, ancestors[1] == me]


@probe
async def test_gs_initial_continue():
    me = bp.self()

    def init(_):
        bp.send(bp.self(), say(me, "info"))
        return bp.NoReply(then=say(me, "continued"))

    await start(init=init)
    return [await get1(), await get1()]


@probe
async def test_gs_initial_timeout():
    await start(init=answering(bp.NoReply(timeout=0.01)), info=bp.self())
    return await get1()


# call and cast


@probe(CALLS)
async def test_gs_call_timeout():
    return await ca(bp.call(await start(), ("sleep", 0.1), timeout=0.01))


@probe
async def test_gs_late_reply_in_mailbox():
    server = await start()
    await ca(bp.call(server, ("sleep", 0.05), timeout=0.01))
    await bp.call(server, "ping")
    return await absent()


@probe
async def test_gs_call_timeout_no_DOWN_later():
    server = await start()
    await ca(bp.call(server, ("sleep", 0.05), timeout=0.01))
    bp.exit(server, "kill")
    await down(server)
    return await absent()


@probe(CALLS)
async def test_gs_call_timeout_0():
    return await ca(bp.call(await start(), "ping", timeout=0))


@process()
async def test_a_call_with_timeout_0_is_sent_and_its_reply_dropped():
    server, me = await start(), bp.self()
    for timeout in (0, -1):
        assert await ca(bp.call(server, say(me, "handled", "reply"), timeout=timeout)) is CallTimeout
        assert await get1() == "handled"
    assert await absent() == NONE
    assert bp.process_info(me).monitors == ()
    assert bp.process_info(server).monitored_by == ()


@probe(CALLS)
async def test_gs_call_self():
    return await ca(bp.call(bp.self(), "x"))


@probe(CALLS)
async def test_gs_call_noproc_pid():
    return await ca(bp.call(await dead(), "x"))


@probe(CALLS)
async def test_gs_call_noproc_name():
    return await ca(bp.call("nope", "x"))


@process()
async def test_call_noproc_however_it_is_named():
    me = bp.self()
    ghost = bp.Pid(me.node, me.serial, me.creation ^ 1)
    for server in ("nope", ("nope", me.node), ghost, Probed.client("nope"), Probed.client(await dead())):
        assert await ca(bp.call(server, "x")) is NoProcess
    for server in (7, None, (), ("nope",), ("nope", 7), bp.alias()):
        assert await ca(bp.call(server, "x")) is BadDestination


@probe
async def test_gs_call_by_name():
    await start(name="gcn")
    return [await bp.call("gcn", "ping"), await bp.call(("gcn", bp.self().node), "ping")]


@probe(CALLS)
async def test_gs_cast_noproc():
    return bp.cast("nope", "x")


@probe({"ok": None, "abcast": None})
async def test_gs_cast_dead():
    # abcast is a cast to each of some nodes: of one node here.
    return [bp.cast(await dead(), "x"), bp.cast(("nope", bp.self().node), "x"), bp.cast("nope", "x")]


@differs(otp=("exit", crashed("crashed")), ours=[RuntimeError, "crashed"])
async def test_gs_call_server_crashes():
    server = await start()
    ref = bp.monitor(server)
    with pytest.raises(RuntimeError) as caught:
        await bp.call(server, "crash")
    crash = await reason(ref)
    assert isinstance(crash, bp.Crash)
    assert "raised in" in caught.value.__notes__[0]
    return [type(caught.value), crash.message]


@process()
async def test_a_crash_is_server_exited_for_the_other_callers():
    server = await start()
    first = bp.call(server, ("sleep", 0.001))
    crashing = bp.call(server, "crash")
    waiting = bp.call(server, "ping")
    assert await first == "late"
    assert await ca(crashing) is RuntimeError
    assert await ca(waiting) == (ServerExited, crashed("crashed"))


@probe(CALLS)
async def test_gs_call_server_dies():
    async def killed(_, __):
        bp.exit(bp.self(), "kill")
        await asyncio.sleep(1)

    ends = [*map(exiting, ("normal", "shutdown", ("shutdown", "x"), "oops")), killed]
    return [await ca(bp.call(await start(), end)) for end in ends]


@probe
async def test_gs_call_failed_leaves_nothing():
    server = await start()
    for target, request in ((server, "crash"), (server, "x"), ("nope", "x")):
        await ca(bp.call(target, request))
    return await mailbox(), list(bp.process_info(bp.self()).monitors)


@probe
async def test_gs_call_with_huge_message_queue():
    server, me = await start(), bp.self()
    for i in range(100_000):
        bp.send(me, i)
    answer = await bp.call(server, "ping")
    return answer, [await bp.receive() for _ in range(100_000)] == list(range(100_000)), await absent()


@probe
async def test_gs_calls_in_order():
    server = await start([])
    for i in (1, 2, 3):
        bp.cast(server, lambda s, i=i: s.state.append(i))
    return await bp.call(server, lambda s, _: s.state)


@probe({(A_NODE, "pong"): "pong", A_NODE: NoProcess})
async def test_gs_multi_call_local():
    # A multi_call is several calls at once: what was answered, and what was not.
    await start(name="gmc")

    async def multi_call(name):
        answers = await asyncio.gather(bp.call(name, "ping"), return_exceptions=True)
        good = [answer for answer in answers if not isinstance(answer, Exception)]
        return good, [type(answer) for answer in answers if isinstance(answer, Exception)]

    return [await multi_call("gmc"), await multi_call("nobody")]


@probe({A_NODE: RuntimeError})
async def test_gs_multi_call_down():
    await start(name="gmd")
    answers = await asyncio.gather(bp.call("gmd", "crash"), return_exceptions=True)
    return [], [type(answer) for answer in answers]


# asynchronous calls: a call is a handle, to be awaited when it suits


@probe({"reply": ..., ("reply", "pong"): "pong"})
async def test_gs_send_request():
    pending = bp.call(await start(), "ping")
    return await pending


@differs(otp=[("error", "noproc"), ("error", crashed("crashed"))], ours=[NoProcess, RuntimeError])
async def test_gs_send_request_noproc():
    return [await ca(bp.call(server, "crash")) for server in ("nope", await start())]


@probe
async def test_gs_receive_response_timeout_abandons():
    server = await start()
    pending = bp.call(server, ("sleep", 0.03))
    try:
        async with asyncio.timeout(0.01):
            answer = await pending
    except TimeoutError:
        answer = "timeout"
    assert pending.cancelled()
    await bp.call(server, "ping")
    return [answer, await absent()]


@probe({("reply", "late"): "late"})
async def test_gs_wait_response_timeout_keeps():
    pending = bp.call(await start(), ("sleep", 0.03))
    done, _ = await asyncio.wait([pending], timeout=0.001)
    return ["done" if done else "timeout", await pending]


@probe({"no_reply": False, ("reply", "pong"): "pong"})
async def test_gs_check_response():
    pending = bp.call(await start(), "ping")
    done = pending.done()
    await until(pending.done)
    return [done, pending.result()]


@probe(
    {
        "no_request": None,
        ("a", ("reply", ("r", "a"))): "a",
        ("b", ("reply", ("r", "b"))): "b",
        ("c", ("reply", ("r", "c"))): "c",
    }
)
async def test_gs_request_collection():
    server = await start()
    labels = {bp.call(server, answering(("r", label))): label for label in "abc"}
    found = []
    while labels:
        done, _ = await asyncio.wait(labels, return_when=asyncio.FIRST_COMPLETED)
        for pending in sorted(done, key=lambda p: labels[p]):
            label = labels.pop(pending)
            assert await pending == ("r", label)
            found.append(label)
    return [*found, None]
