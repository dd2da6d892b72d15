"""gen_server: stop, terminate, and what is reported of an end. beam.md 4.43, 3.5."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.errors import ServerExited, StartFailed
from beampy.testing import harness
from tests.conformance.probed import BAD, CALLS, Probed, answering, exiting, raising, reports, start
from tests.conformance.vectors import Probe, crashed, differs, probe, process, table
from tests.conformance.vocabulary import NONE, absent, ca, dead, down, get1, idle, mailbox, reason, until

if TYPE_CHECKING:
    from collections.abc import Callable

# stop


@probe(CALLS)
async def test_gs_stop_no_reply():
    return await ca(bp.call(await start(), ("stop", "byebye")))


@probe(CALLS)
async def test_gs_stop_normal_no_reply():
    return await ca(bp.call(await start(), ("stop", "normal")))


@probe(CALLS)
async def test_gs_stop_fn():
    server = await start()
    return await bp.stop(server), await ca(bp.stop(server))


@probe(CALLS)
async def test_gs_stop_reason():
    found = []
    for why in ("normal", "shutdown", ("shutdown", "x"), "oops", "kill"):
        server = await start(terminate=bp.self())
        ref = bp.monitor(server)
        found.append((await bp.stop(server, why), await reason(ref), await get1()))
    return found


@probe(CALLS)
async def test_gs_stop_unknown():
    return [await ca(bp.stop(server)) for server in ("nope", ("nope", bp.self().node), await dead())]


@probe(CALLS)
async def test_gs_stop_by_name():
    await start(name="gst")
    return await bp.stop("gst"), bp.whereis("gst")


@probe(CALLS)
async def test_gs_stop_timeout():
    server = await start()
    ref = bp.monitor(server)
    go = asyncio.Event()

    async def busy(_):
        await go.wait()

    bp.send(server, busy)
    answer = await ca(bp.stop(server, "normal", 0.02))
    alive = bp.is_alive(server)
    go.set()
    return answer, alive, await reason(ref)


@differs(
    otp=[(("exit", crashed("in_terminate")), crashed("in_terminate")), (("exit", "out"), "out"), ("ok", "normal")],
    ours=[
        ((ServerExited, crashed("in_terminate")), crashed("in_terminate"), 1),
        ((ServerExited, "out"), "out", 1),
        ((ServerExited, "other"), "other", 1),
    ],
)
async def test_gs_stop_terminate_crashes():
    # The third: what is thrown in Erlang is returned, so it is nothing there; a Stop changes the reason here.
    found = []
    for end in (raising(RuntimeError("in_terminate")), exiting("out"), raising(bp.Stop("other"))):
        times = []

        def terminate(why, end=end, times=times):
            times.append(why)
            return end()

        server = await start(terminate=terminate)
        ref = bp.monitor(server)
        found.append((await ca(bp.stop(server)), await reason(ref), len(times)))
    return found


@probe(CALLS)
async def test_gs_stop_self():
    async def stop_itself(*_):
        return await ca(bp.stop(bp.self(), "normal", 0.05))

    return await ca(bp.call(await start(), stop_itself))


@probe(CALLS)
async def test_gs_stop_killed_meanwhile():
    server = await start()
    bp.send(server, lambda _: asyncio.sleep(60))

    async def killer():
        await until(lambda: bp.process_info(server).message_queue_len > 0)
        bp.exit(server, "kill")

    bp.spawn(killer)
    return await ca(bp.stop(server))


@probe(CALLS)
async def test_gs_stop_linked_starter():
    bp.trap_exit(True)
    server = (await Probed.start_link()).pid
    return await bp.stop(server, "oops"), await mailbox()


# terminate


@probe
async def test_gs_terminate_not_called_when_not_trapping():
    server = await start(terminate=bp.self())
    bp.exit(server, "shutdown")
    await down(server)
    return await absent()


async def orphan(why: Any, trap: bool) -> tuple[Any, Any]:
    """What terminate got, and the server's reason, when its parent ends."""
    me = bp.self()

    async def parent():
        bp.send(me, (await Probed.start_link(terminate=me, trap=trap)).pid)
        await idle()

    pid = bp.spawn(parent)
    server = await get1()
    ref = bp.monitor(server)
    bp.exit(pid, "kill") if why == "kill" else bp.send(pid, ("exit", why))
    patience = harness.QUIET if why == "normal" and not trap else harness.DEADLINE
    ended = await bp.receive((ref, ..., ..., ...), timeout=patience, default=None)
    return await absent(), "alive" if ended is None else ended.reason


@probe
async def test_gs_terminate_called_by_parent_EXIT_when_trapping():
    return (await orphan("parent_gone", True))[0]


@probe
async def test_gs_parent_exit():
    reasons = ("normal", "shutdown", "oops", "kill")
    return [(trap, [await orphan(why, trap) for why in reasons]) for trap in (True, False)]


@probe
async def test_gs_unrelated_EXIT_is_info_when_trapping():
    server = await start(info=bp.self(), trap=True)
    bp.exit(server, "some_reason")
    message = await get1()
    await bp.stop(server)  # what traps exits and has no parent to listen to would hold up the node's end
    return message


async def gone() -> None:
    bp.exit("gone")


@probe
async def test_gs_linked_EXIT_is_info_when_trapping():
    server = await start(info=bp.self(), trap=True)
    await bp.call(server, lambda *_: bp.spawn_link(gone))
    message = await get1()
    await bp.stop(server)
    return message


@differs(
    otp=[
        (("terminate_called", "oops"), "oops"),
        (("terminate_called", "normal"), "normal"),
        (("terminate_called", crashed("boom")), crashed("boom")),
        (("terminate_called", "out"), "out"),
        (("terminate_called", ("bad_return_value", "ball")), ("bad_return_value", "ball")),
        (("terminate_called", ("bad_return_value", "nonsense")), ("bad_return_value", "nonsense")),
    ],
    ours=[
        (("terminate_called", "oops"), "oops"),
        (("terminate_called", "normal"), "normal"),
        (("terminate_called", crashed("boom")), crashed("boom")),
        (("terminate_called", "out"), "out"),
        (("terminate_called", "ball"), "ball"),
        (("terminate_called", crashed(BAD.format("handle_cast"))), crashed(BAD.format("handle_cast"))),
    ],
)
async def test_gs_terminate_reasons():
    found = []
    for request in (
        answering(bp.Stop("oops")),
        answering(bp.Stop("normal")),
        raising(RuntimeError("boom")),
        exiting("out"),
        raising(bp.Stop("ball")),
        answering("nonsense"),
    ):
        server = await start(terminate=bp.self())
        ref = bp.monitor(server)
        bp.cast(server, request)
        found.append((await get1(), await reason(ref)))
    assert await absent() == NONE  # terminate runs once
    return found


@probe
async def test_gs_terminate_crash_replaces_reason():
    found = []
    for terminate in (raising(RuntimeError("in_terminate")), exiting("out"), answering("whatever")):
        server = await start(terminate=terminate)
        ref = bp.monitor(server)
        bp.cast(server, answering(bp.Stop("oops")))
        found.append(await reason(ref))
    return found


@process()
async def test_terminate_runs_once_whatever_ends_the_server():
    me = bp.self()
    for request in (answering(bp.Stop("a")), raising(RuntimeError("b")), exiting("c"), answering("d")):
        for end in (answering(None), raising(RuntimeError("again")), exiting("again"), raising(bp.Stop("again"))):

            def terminate(_, end=end):
                bp.send(me, "terminate")
                end()

            server = await start(terminate=terminate)
            ref = bp.monitor(server)
            bp.cast(server, request)
            await reason(ref)
            assert await mailbox() == ["terminate"]


@probe
async def test_gs_kill_runs_no_terminate():
    server = await start(terminate=bp.self(), trap=True)
    ref = bp.monitor(server)
    bp.exit(server, "kill")
    return await reason(ref), await absent()


@probe
async def test_gs_terminate_before_name_is_free():
    me = bp.self()
    server = await start(terminate=lambda _: bp.send(me, bp.whereis("gtn") == bp.self()), name="gtn")
    ref = bp.monitor(server)
    await bp.stop(server)
    return [await get1(), await reason(ref), bp.whereis("gtn")]


# crash reports: one where Erlang writes two, a server's and its process's


async def cast_down(request: Callable[..., Any]) -> None:
    server = await start()
    ref = bp.monitor(server)
    bp.cast(server, request)
    await reason(ref)


TWO = [("gen_server", "terminate"), ("proc_lib", "crash")]


@probe([(TWO, 1), ([], 0)])
async def test_gs_log_crash(caplog):
    async def terminate_raises():
        await ca(bp.stop(await start(terminate=raising(RuntimeError("x")))))

    async def killed():
        server = await start()
        bp.exit(server, "kill")
        await down(server)

    counts = []
    for end in (
        cast_down(raising(RuntimeError("boom"))),
        cast_down(answering("nonsense")),
        terminate_raises(),
        killed(),
        orphan("oops", True),
    ):
        await end
        counts.append(len(reports(caplog)))
    return counts


INIT = [("proc_lib", "crash")]  # of an init that fails: its starter raises it here, so nobody need be told by a log


@table("gs_log", [(TWO, 1), (INIT, 0), ([], 0)])
async def test_gs_log(row: Probe, caplog):
    how, why = row.input["how"], row.input["reason"]
    match how:
        case "stop":
            await cast_down(answering(bp.Stop(why)))
        case "exit":
            await cast_down(exiting(why))
        case "signal":
            server = await start()
            ref = bp.monitor(server)
            bp.exit(server, why)
            bp.cast(server, answering(bp.Stop("normal")))
            await reason(ref)
        case "init_stop":
            assert await ca(Probed.start(init=answering(bp.Stop(why)))) == (StartFailed, why)
        case "init_exit":
            assert await ca(Probed.start(init=exiting(why))) == (StartFailed, why)
    return len(reports(caplog))


@process()
async def test_a_report_names_server_state_and_message(caplog):
    server = await start("a state to see", name="reported")
    ref = bp.monitor(server)
    await ca(bp.call(server, "crash"))
    await reason(ref)
    [report] = reports(caplog)
    for part in ("reported", "Probed", "a state to see", "'crash'", "RuntimeError: crashed", "handle_call"):
        assert part in report, report
