"""gen_statem: beam.md 3.5. What a machine is told of every event, in the order it was told."""

from __future__ import annotations

from typing import Any

import beampy as bp
from beampy.errors import CallTimeout, NoProcess, ServerExited, StartFailed, StartIgnored
from beampy.otp import debug
from beampy.otp.statem import Keep, Next, NextEvent, Postpone, Repeat, Reply, StateTimeout
from tests.conformance.statem_script import (
    BAD,
    LATER,
    MS,
    Probed,
    Script,
    bad,
    ends,
    insert,
    machine,
    raises,
    rest,
    run,
    told,
)
from tests.conformance.vectors import crashed, differs, erlang, probe
from tests.conformance.vocabulary import absent, ca, dead, get1, idle, reason

# postponed events

POSTPONING: Script = {("a", "e1"): LATER, ("a", "e2"): LATER}


@probe
async def test_postpone_retried_after_state_change():
    return await run(6, ["e1", "e2", "go", "e3"], {**POSTPONING, ("a", "go"): Next("b")})


@probe
async def test_postpone_not_retried_on_keep_state():
    return await run(4, ["e1", "e2", "go", "e3"], POSTPONING)


@probe
async def test_postpone_not_retried_on_same_state():
    return await run(4, ["e1", "e2", "go", "e3"], {**POSTPONING, "go": Next("a")})


@probe
async def test_postpone_not_retried_on_repeat_state():
    script = {**POSTPONING, "go": Repeat()}
    return [await run(n, ["e1", "e2", "go", "e3"], script, enter) for enter, n in ((False, 4), (True, 6))]


@probe
async def test_postpone_again_in_next_state():
    script = {("a", "go"): Next("b"), ("b", "go"): Next("c"), ("a", "e1"): LATER, ("b", "e1"): LATER}
    return await run(6, ["e1", "go", "e2", "go"], script)


@probe
async def test_postpone_with_state_change():
    return await run(3, ["e1", "e2"], {("a", "e1"): Next("b", Postpone())})


@probe
async def test_postpone_false():
    return await run(3, ["e1", "go", "e2"], {"e1": Keep(Postpone(), Postpone(False)), "go": Next("b")})


@probe
async def test_postpone_retried_event_changes_state_again():
    script = {**POSTPONING, ("a", "e3"): LATER, ("a", "go"): Next("b"), ("b", "e1"): Next("c")}
    return await run(7, ["e1", "e2", "e3", "go"], script)


@probe
async def test_postpone_call_and_info():
    script: Script = {
        ("a", "hello"): LATER,
        ("a", "ask"): LATER,
        ("b", "ask"): lambda from_: Keep(Reply(from_, "answered_in_b")),
        "go": Next("b"),
    }
    m = await machine(script)
    bp.send(m, "hello")
    pending = bp.call(m, "ask")
    bp.cast(m, "go")
    return ("reply", await pending), await rest()


# inserted events


@probe
async def test_next_event_before_queued():
    return await run(4, ["go", "q"], {"go": Keep(*insert("n1"), NextEvent("cast", "n2"))})


@probe
async def test_next_event_of_next_event():
    return await run(5, ["go", "q"], {"go": Keep(*insert("n1", "n2")), "n1": Keep(*insert("m1"))})


@probe
async def test_next_event_before_postponed():
    return await run(5, ["e1", "go", "q"], {("a", "e1"): LATER, "go": Next("b", *insert("n1"))})


@probe
async def test_next_event_postponed():
    return await run(4, ["go", "q"], {"go": Keep(*insert("n1")), ("a", "n1"): LATER, ("a", "q"): Next("b")})


@probe
async def test_next_event_and_postpone_itself():
    return await run(4, ["go", "q"], {("a", "go"): Next("b", Postpone(), *insert("n1"))})


@probe
async def test_next_event_mixed():
    script = {**POSTPONING, ("a", "go"): Next("b", *insert("n1")), ("b", "n1"): Next("c")}
    return await run(7, ["e1", "e2", "go", "q"], script)


@probe
async def test_next_event_at_start():
    return await run(2, ["q"], {}, first=Next("a", *insert("n1")))


# enter calls


@probe
async def test_enter_on_start_and_change():
    script = {"same": Next("a"), "keep": Keep(), "again": Repeat(), "go": Next("b")}
    return await run(7, ["same", "keep", "again", "go"], script, enter=True)


@probe
async def test_enter_repeat_state_and_data():
    return await run(5, ["go", "again"], {"go": Next("b"), "again": Repeat()}, enter=True)


@probe
async def test_enter_before_next_and_retried_events():
    script = {("a", "e1"): LATER, ("a", "go"): Next("b", *insert("n1"))}
    return await run(7, ["e1", "go", "q"], script, enter=True)


@probe
async def test_enter_sets_timeouts():
    script = {("b", "enter"): Keep(StateTimeout(10 * MS, "t")), "go": Next("b")}
    return await run(4, ["go"], script, enter=True)


@probe
async def test_enter_changes_data():
    return await ends({("b", "enter"): (1, Keep()), "go": Next("b", *insert("n")), "n": bp.Stop()}, enter=True)


NOT_IN_ENTER = bad(
    ("bad_state_enter_return_from_state_function", ("next_state", "c", 0)),
    ("bad_state_enter_action_from_state_function", "postpone"),
    ("bad_state_enter_action_from_state_function", ("next_event", "internal", "n")),
)


@probe(NOT_IN_ENTER)
async def test_enter_may_not():
    results = [Next("c"), Keep(Postpone()), Keep(*insert("n"))]
    return [await ends({("b", "enter"): result, ("a", "go"): Next("b")}, enter=True) for result in results]


@probe
async def test_enter_may_stop():
    return await ends({("b", "enter"): bp.Stop("bye"), "go": Next("b")}, enter=True)


@probe
async def test_enter_same_state_as_next():
    return await run(4, ["go", "q"], {("b", "enter"): Next("b"), ("a", "go"): Next("b")}, enter=True)


@probe
async def test_enter_repeats_itself():
    answers = [Repeat(), Keep()]
    return await run(4, ["go"], {("b", "enter"): lambda _: answers.pop(0), "go": Next("b")}, enter=True)


@probe
async def test_enter_replies():
    script: Script = {
        ("a", "go"): lambda from_: Next(("b", from_)),
        ("b", "enter"): lambda state: Keep(Reply(state[1], "entered")),
    }
    return await bp.call(await machine(script, enter=True), "go")


# results


@probe
async def test_stop_results():
    return [await ends({"go": result}) for result in (bp.Stop(), bp.Stop("bye"), (1, bp.Stop(("shutdown", "x"))))]


@probe
async def test_stop_and_reply():
    m = await machine({"go": (7, bp.Stop("bye", reply="last_words"))})
    ref = bp.monitor(m)
    return [await bp.call(m, "go"), await reason(ref), await rest()]


@probe({("exit", "bye"): (ServerExited, "bye")})
async def test_stop_without_reply():
    return await ca(bp.call(await machine({"go": bp.Stop("bye")}), "go"))


@probe
async def test_stop_drops_postponed_and_queued():
    m = await machine({("a", "e1"): LATER, ("a", "go"): bp.Stop()})
    ref = bp.monitor(m)
    await debug.suspend(m)
    for event in ("e1", "go", "q"):
        bp.cast(m, event)
    await debug.resume(m)
    end = await reason(ref)
    return await rest(), end


@probe(bad(("bad_return_from_state_function", "nonsense"), ("bad_return_from_state_function", ("next_state", "b"))))
async def test_bad_return():
    return [await ends({"go": result}) for result in ("nonsense", [Next("b")])]


BAD_ACTIONS = ["nonsense", ("state_timeout", -1, "x"), ("next_event", "nonsense", "x")]


@probe(bad(*[("bad_action_from_state_function", action) for action in BAD_ACTIONS]))
async def test_bad_action():
    unknown: Any = ["nonsense", StateTimeout(-1, "x"), NextEvent("nonsense", "x")]  # type: ignore[arg-type]
    return [await ends({"go": Keep(action)}) for action in unknown]


TERMINATED = ("terminate", "boom", "a", 0), ("terminate", crashed("boom"), "a", 0)


@probe(dict([TERMINATED]))
async def test_callback_crash():
    return [await ends({"go": raises(ValueError("boom"))}), await ends({"go": lambda _: bp.exit("out")})]


@differs(
    otp=erlang("throw_is_result"),
    ours=[([("a", "cast", "go"), ("terminate", "bye", "a", 0)], "bye"), crashed("no result")],
)
async def test_throw_is_result():
    # only Stop can be raised; anything else that is raised is a crash
    _, end = await ends({"go": raises(ValueError("no result"))})
    return [await ends({"go": raises(bp.Stop("bye"))}), end]


@probe
async def test_keep_state_and_data():
    m = await machine({"go": (1, Keep())}, data="data")
    seen = []
    for event in ("x", "go"):
        bp.cast(m, event)
        state, attributes = await debug.get_state(m)
        seen.append((state, attributes["data"]))
    return seen


@probe
async def test_event_types():
    return await run(4, ["go", ("info", "i")], {"go": Keep(*insert("n"), StateTimeout(0, "t"))})


@probe
async def test_reply_actions():
    waiting: list[Any] = []

    def two(from_: Any) -> Keep:
        return Keep(Reply(waiting[0], 1), Reply(from_, 2))

    m = await machine({"one": lambda from_: waiting.append(from_) or Next("b"), "two": two})
    pending = bp.call(m, "one")
    second = await bp.call(m, "two")
    return [("reply", await pending), second]


# start, call, stop

INIT: dict[Any, Any] = {
    ("error", "why"): (StartFailed, "why"),
    "ignore": StartIgnored,
    ("error", "boom"): (StartFailed, crashed("boom")),
    ("error", ("bad_return_from_init", "nonsense")): (StartFailed, BAD),
    ("error", ("bad_return_from_init", ("ok", "a"))): (StartFailed, BAD),
}


@probe(INIT)
async def test_statem_init_results():
    def boom() -> None:
        raise ValueError("boom")

    # any other value is a state; None is what an init without a return gives
    return [await ca(Probed.start({}, first=lambda i=init: i)) for init in (bp.Stop("why"), bp.IGNORE)] + [
        await ca(Probed.start({}, first=first)) for first in (boom, None, Keep())
    ]


@probe
async def test_statem_init_action_timeout():
    return await run(1, [], {}, first=Next("a", StateTimeout(10 * MS, "t")))


@probe({("exit", "timeout"): CallTimeout, ("exit", "noproc"): NoProcess})
async def test_statem_call_errors():
    late = await ca(bp.call(await machine({}), "x", timeout=20 * MS))
    return [late, await ca(bp.call(await dead(), "x")), await ca(bp.call("nobody", "x"))]


@probe
async def test_statem_late_reply():
    waiting: list[Any] = []
    m = (
        await Probed.start({
            "x": lambda from_: waiting.append(from_) or Next("b"),
            "go": lambda _: Next("c", Reply(waiting[0], "late")),
        })
    ).pid  # fmt: skip
    await ca(bp.call(m, "x", timeout=20 * MS))
    bp.cast(m, "go")
    await debug.get_state(m)
    return await absent()


@probe
async def test_statem_cast_noproc():
    return [bp.cast(server, "x") or "ok" for server in (await dead(), "nobody")]


@probe({("exit", "noproc"): NoProcess})
async def test_statem_stop():
    seen: list[Any] = []
    for why in ("normal", "oops"):
        m = await machine({})
        ref = bp.monitor(m)
        seen.append((await bp.stop(m, why) or "ok", await rest(), await reason(ref)))
    return [*seen, await ca(bp.stop(await dead()))]


@probe
async def test_statem_parent_exit():
    class Trapping(Probed):
        trap_exit = True

    async def parent(me: bp.Pid) -> None:
        bp.send(me, (await Trapping.start_link({}, me)).pid)
        await idle()

    starter = bp.spawn(parent, bp.self())
    ref = bp.monitor(await get1())
    bp.send(starter, ("exit", "oops"))
    end = await reason(ref)
    return await rest(), end


@probe
async def test_statem_unrelated_EXIT():
    m = await machine({"go": lambda _: bp.trap_exit(True) or Keep()})
    bp.cast(m, "go")
    await told()
    bp.exit(m, "oops")
    seen = [await told()]
    bp.exit(m, "kill")  # a trapping machine that nobody is linked with would outlast its node's patience
    return seen
