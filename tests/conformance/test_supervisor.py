"""supervisor: starting, stopping, and what its functions return: beam.md 4.44. Restarts: test_supervisor_restarts.py.

simple_one_for_one is DynamicSupervisor here, as in Elixir: it has no spec of its own, so where OTP counts one spec,
it counts its children, and each is started with a spec that has all its arguments.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.errors import BadReturn, NoProcess
from beampy.otp import debug
from beampy.otp.child import ChildInfo, ChildSpec
from beampy.otp.dynamic import DynamicSupervisor
from beampy.otp.strategy import Plan
from beampy.otp.supervised import as_spec
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness
from tests.conformance import one_node
from tests.conformance.kid import (
    child,
    close,
    counts,
    done,
    dynamic,
    events,
    fails,
    finish,
    ids,
    ignored,
    kid,
    kids,
    no,
    order,
    pid_of,
    raises,
    result,
    results,
    sup,
    up,
)
from tests.conformance.vectors import A_PID, A_STACK, Some, crashed, differs, probe
from tests.conformance.vocabulary import ca, idle, mailbox, reason

if TYPE_CHECKING:
    import pytest

BOOM = {("EXIT", ("boom", A_STACK)): crashed("boom")}
NO_PID = Some("a crash: no pid was given", lambda x: isinstance(x, bp.Crash) and isinstance(x.exception, BadReturn))


async def started(specs: Any, **flags: Any) -> Any:
    """start_link, as {ok, Pid} or {error, Reason}."""
    bp.trap_exit(True)
    return await result(Supervisor.start_link(specs, **flags))


# start


@probe
async def test_sup_default_flags():
    s = await Supervisor.start_link([])
    state = await debug.get_state(s)
    return (state["strategy"], state["intensity"], state["period"], state["auto_shutdown"])


@probe
async def test_sup_start_order():
    await sup(kids("abc"))
    return await events()


@probe
async def test_sup_init_child_fails():
    return await started([kid("bad", fails("nope"))])


FAILED = ("shutdown", ("failed_to_start_child", "c", "nope"))
STARTS = [("start", "a"), ("start", "b"), ("start", "c"), ("stop", "b", "shutdown"), ("stop", "a", "shutdown")]


@differs(otp=(STARTS, ("error", FAILED), [bp.Exit(A_PID, FAILED)]), ours=(STARTS, ("error", FAILED), []))
async def test_sup_failed_start_stops_started():
    # A start that fails raises, and leaves neither a link nor an Exit.
    answer = await started([kid("a"), kid("b"), kid("c", fails("nope")), kid("d")])
    return await events(), answer, await mailbox()


@probe({**BOOM, ("EXIT", "out"): "out", "nonsense": NO_PID})
async def test_sup_start_child_crashes():
    options = [raises(), {"result": lambda: bp.exit("out")}, {"result": lambda: "nonsense"}]
    return [await started([kid("bad", each)]) for each in options]


@probe({("error", ("bad_return", ("probes_kid", "init", "nonsense"))): ("error", NO_PID)})
async def test_sup_init_results():
    class Odd(Supervisor):
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        async def init(self) -> Any:
            return self.answer

    return [await result(Odd.start_link(answer)) for answer in (bp.IGNORE, "nonsense")]


@probe
async def test_sup_name_taken():
    s = await Supervisor.start_link([], name="taken")
    error, (why, pid) = await result(Supervisor.start_link([], name="taken"))
    return error, (why, pid == s.pid)


@probe
async def test_sup_start_ignore():
    seen: list[Any] = []
    for restart in ("permanent", "transient", "temporary"):
        s = await sup([kid("a", ignored(), restart=restart), kid("b")])
        seen.append((restart, await order(s), await child(s, "a"), counts(await s.count_children())))
        await close(s)
    return seen


@probe
async def test_sup_start_ignore_start_child():
    seen: list[Any] = []
    for restart in ("permanent", "temporary"):
        s = await sup()
        seen.append((restart, await result(s.start_child(kid("a", ignored(), restart=restart))), await ids(s)))
    return seen


@probe
async def test_sup_start_ignore_restart_child():
    s = await sup([kid("a", {"result": results(lambda: bp.IGNORE, up)})])
    return await s.restart_child("a") == await child(s, "a")


@differs(
    otp=(("ok", None), [("specs", 1), ("active", 0), ("supervisors", 0), ("workers", 0)]),
    ours=(("ok", None), [("specs", 0), ("active", 0), ("supervisors", 0), ("workers", 0)]),
)
async def test_sup_start_ignore_simple_one_for_one():
    s = await dynamic()
    return await result(s.start_child(kid("a", ignored()))), counts(await s.count_children())


@probe
async def test_sup_child_info():
    # {ok, Pid, Info} is here an object that has a pid.
    class Started:
        def __init__(self) -> None:
            self.pid = up()
            self.info = "info"

    s = await sup()
    made = await s.start_child(kid("a", {"result": Started}))
    return made.info, await child(s, "a") == made.pid


@probe
async def test_sup_child_ancestors():
    s, me = await sup(), bp.self()
    await s.start_child(kid("a"))
    bp.send(await child(s, "a"), ("run", lambda: bp.send(me, ("ancestors", bp.ancestors()))))
    _, found = await harness.expect(("ancestors", tuple))
    return found[:2] == (s.pid, me)


# stop


@probe
async def test_sup_shutdown_order_reverse():
    s = await sup(kids("abc"))
    await close(s)
    return [event[1:] for event in await events() if event[0] == "stop"]


async def stop(shutdown: Any, options: dict[str, Any]) -> Any:
    """terminate_child of a child with a shutdown and options: {value, exit reason, what the child saw}."""
    s = await sup([kid("a", options, shutdown=shutdown)])
    ref = bp.monitor(await pid_of(s, "a"))
    await events()
    answer = (await done(s.terminate_child("a")), await reason(ref), await events())
    await close(s)
    return answer


@probe
async def test_sup_brutal_kill_reason():
    return "child_reason", (await stop("brutal_kill", {}))[1]


@probe
async def test_sup_stop_timeout():
    return await stop(0.05, {"stubborn": True})


@probe
async def test_sup_stop_brutal_kill():
    return await stop("brutal_kill", {})


@probe
async def test_sup_stop_infinity():
    return await stop("infinity", {})


@probe
async def test_sup_stop_not_trapping():
    return await stop(5, {"trap": False})


@probe
async def test_sup_stop_other_reason():
    return [await stop(5, {"reason": why}) for why in ("normal", ("shutdown", "x"), "oops", "killed")]


def reports(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """What supervisors said since the last look, as OTP's reports: what kind, and the reason."""
    kinds = {
        "ended:": "child_terminated",
        "ended otherwise:": "shutdown_error",
        "did not end within": "shutdown_error",
        "gives up:": "shutdown",
    }
    found = []
    for record in caplog.records:
        if record.name == "beampy.supervisor" and record.levelno > logging.DEBUG:
            kind = next((kind for words, kind in kinds.items() if words in record.message), "error")
            found.append((("supervisor", kind), said(record.message)))
    caplog.clear()
    return found


def said(line: str) -> str:
    """The reason in a report."""
    if "gives up" in line:
        return "reached_max_restart_intensity"
    if "was killed" in line:
        return "killed"
    return line.rpartition(": ")[2].partition(";")[0]


@probe({("shutdown", "x"): "('shutdown', 'x')"})
async def test_sup_stop_logs(caplog: pytest.LogCaptureFixture):
    seen = []
    ends: list[tuple[Any, dict[str, Any]]] = [
        *((5, {}), (5, {"reason": "normal"}), (5, {"reason": ("shutdown", "x")}), (5, {"reason": "oops"})),
        *((0.05, {"stubborn": True}), ("brutal_kill", {})),
    ]
    for shutdown, options in ends:
        await stop(shutdown, options)
        seen.append(reports(caplog))
    return seen


@probe
async def test_sup_stop_stubborn_on_shutdown():
    s = await sup([kid("a"), kid("b", {"stubborn": True}, shutdown=0.05), kid("c")])
    ref = bp.monitor(await pid_of(s, "b"))
    await events()
    end = await close(s)
    return await events(), await reason(ref), end


async def unlinked(s: Supervisor, id: str) -> bp.Pid:
    """A child takes its link away."""
    me, pid = bp.self(), await pid_of(s, id)
    bp.send(pid, ("run", lambda: bp.send(me, ("unlinked", bp.unlink(s.pid)))))
    await harness.expect(("unlinked", True))
    return pid


@probe
async def test_child_unlink():
    s = await sup(kids("ab"))
    a = await unlinked(s, "a")
    await unlinked(s, "b")
    ref = bp.monitor(a)
    bp.send(a, ("exit", "oops"))
    await reason(ref)
    known = await child(s, "a") == a
    return [known, await done(s.terminate_child("a")), await child(s, "a"), await close(s)]


@probe
async def test_child_unlink_stop():
    s = await sup([kid("a")])
    ref = bp.monitor(await unlinked(s, "a"))
    return await done(s.terminate_child("a")), await reason(ref)


@probe
async def test_scale_many_children():
    s = await sup([kid(i, {"trap": False}) for i in range(1000)])
    harness.flush()
    pids = [info.pid for info in await s.which_children()]
    count = counts(await s.count_children())
    await close(s)
    return count, any(isinstance(pid, bp.Pid) and bp.is_alive(pid) for pid in pids)


MANY = [("specs", 10_000), ("active", 10_000), ("supervisors", 0), ("workers", 10_000)]
NONE = [("specs", 0), ("active", 0), ("supervisors", 0), ("workers", 0)]


@differs(otp=([("specs", 1), *MANY[1:]], [("specs", 1), *NONE[1:]]), ours=(MANY, NONE))
async def test_scale_many_temporary():
    s = await dynamic()
    pids = [await s.start_child(kid(i, {"trap": False}, restart="temporary")) for i in range(10_000)]
    harness.flush()
    before = counts(await s.count_children())
    refs = [bp.monitor(pid) for pid in pids]
    for pid in pids:
        bp.send(pid, ("exit", "normal"))
    for ref in refs:
        await next_is_down(ref)
    return before, counts(await s.count_children())


async def next_is_down(ref: bp.Ref) -> None:
    """The next message is the Down of this monitor."""
    message = await bp.receive(timeout=harness.DEADLINE)
    assert isinstance(message, bp.Down)
    assert message.ref == ref


# its functions


@probe
async def test_sup_start_child_dup_id():
    s = await sup([kid("a")])
    _, (why, pid) = await result(s.start_child(kid("a")))
    assert pid == await child(s, "a")
    return why


@probe
async def test_sup_start_child():
    s = await sup([kid("a")])
    for id in "bc":
        await s.start_child(kid(id))
    listed = await ids(s)
    await close(s)
    return listed, [event[1] for event in await events() if event[0] == "stop"]


@probe(BOOM)
async def test_sup_start_child_errors():
    s = await sup([kid("a")])
    await s.terminate_child("a")
    return [
        await result(s.start_child(kid("b", fails("nope")))),
        await result(s.start_child(kid("b", raises()))),
        await result(s.start_child(kid("a"))),
        await ids(s),
    ]


@probe
async def test_sup_terminate_child():
    s = await sup(kids("ab"))
    answers = [await done(s.terminate_child(id)) for id in ("a", "a", "nobody", await child(s, "b"))]
    return [*answers, [(info.id, info.pid) for info in await s.which_children() if info.pid is None]]


@probe
async def test_sup_terminate_temporary():
    s = await sup([kid("a", restart="temporary")])
    return await done(s.terminate_child("a")), await ids(s)


@probe
async def test_sup_terminate_child_restarts_nothing():
    s = await sup(kids("ab"), strategy="one_for_all")
    b = await child(s, "b")
    await s.terminate_child("a")
    return await child(s, "b") == b


@probe
async def test_sup_restart_child():
    s = await sup([kid("a"), kid("b", {"result": results(up, no)})])
    answers = [await result(s.restart_child(id)) for id in ("a", "nobody")]
    for id in "ab":
        await s.terminate_child(id)
    return [*answers, *[await result(s.restart_child(id)) for id in "ab"], await child(s, "b")]


@probe
async def test_sup_restart_child_of_ended_transient():
    s = await sup([kid("a", restart="transient")])
    await finish(s, await pid_of(s, "a"), "normal")
    return await result(s.restart_child("a"))


@probe
async def test_sup_delete_child():
    s = await sup([kid("a")])
    answers = [await done(s.delete_child(id)) for id in ("a", "nobody")]
    await s.terminate_child("a")
    return [*answers, *[await done(s.delete_child("a")) for _ in (1, 2)], await ids(s)]


@probe
async def test_sup_order_after_restart_child():
    s = await sup(kids("abc"))
    await s.terminate_child("a")
    await s.restart_child("a")
    listed = await order(s)
    await events()
    await close(s)
    return listed, [event[1] for event in await events()]


@differs(  # there are no modules to tell of
    otp=[("c", None, "worker", ["m"]), ("b", A_PID, "supervisor", "dynamic"), ("a", A_PID, "worker", ["probes_kid"])],
    ours=[("c", None, "worker"), ("b", A_PID, "supervisor"), ("a", A_PID, "worker")],
)
async def test_sup_which_children():
    s = await sup([kid("a"), kid("b", type="supervisor"), kid("c")])
    await s.terminate_child("c")
    return await s.which_children()


STATIC = [("specs", 3), ("active", 2), ("supervisors", 1), ("workers", 2)]
DYNAMIC = [("active", 2), ("supervisors", 0), ("workers", 2)]


@differs(otp=[STATIC, [("specs", 1), *DYNAMIC]], ours=[STATIC, [("specs", 2), *DYNAMIC]])
async def test_sup_count_children():
    s, d = await sup([kid("a"), kid("b", type="supervisor"), kid("c")]), await dynamic()
    await s.terminate_child("c")
    for id in "xy":
        await d.start_child(kid(id))
    return [counts(await each.count_children()) for each in (s, d)]


COMMON = {"restart": "permanent", "significant": False}


@differs(  # no modules; seconds
    otp=[
        {"id": "a", "modules": ["probes_kid"], "shutdown": 5000, "type": "worker", **COMMON},
        {"id": "b", "modules": ["probes_kid"], "shutdown": "infinity", "type": "supervisor", **COMMON},
        ("error", "not_found"),
    ],
    ours=[
        {"id": "a", "shutdown": 5.0, "type": "worker", **COMMON},
        {"id": "b", "shutdown": "infinity", "type": "supervisor", **COMMON},
        ("error", "not_found"),
    ],
)
async def test_sup_get_childspec():
    s = await sup([kid("a"), kid("b", type="supervisor")])
    specs = [await s.get_childspec(id) for id in "ab"]
    fields = ("id", "shutdown", "type", "restart", "significant")
    return [
        *[{field: getattr(spec, field) for field in fields} for spec in specs],
        await result(s.get_childspec("nobody")),
    ]


@probe({("exit", "noproc"): NoProcess})
async def test_sup_call_noproc():
    return await ca(Supervisor.client("nobody").which_children())


# simple_one_for_one


@probe
async def test_simple_start_child():
    me = bp.self()
    s = await dynamic(extra_arguments=("a", me))
    pid = await s.start_child(ChildSpec("x", (kid("x").call[0], {})))
    return await events(), await s.which_children() == [ChildInfo("x", pid, "worker")]


NO_CHILD = [("specs", 1), ("active", 0), ("supervisors", 0), ("workers", 0)]


@differs(
    otp=[(("error", "nope"), NO_CHILD), (("error", ("EXIT", crashed("boom"))), NO_CHILD)],
    ours=[(("error", "nope"), NONE), (("error", crashed("boom")), NONE)],
)
async def test_simple_start_child_error():
    seen = []
    for options in (fails("nope"), raises()):
        s = await dynamic()
        seen.append((await result(s.start_child(kid("a", options))), counts(await s.count_children())))
    return seen


@one_node.LOOKS
@probe({("error", "simple_one_for_one"): ("error", "not_found")})
async def test_simple_terminate_child():
    s = await dynamic()
    pid = await s.start_child(kid("a"))
    return [await done(s.terminate_child(which)) for which in (pid, pid, "a", bp.self())]


@probe({("error", "simple_one_for_one"): "no such function"})
async def test_simple_restart_delete_child():
    s = await dynamic()
    await s.start_child(kid("a"))
    names = ["restart_child", "restart_child", "delete_child", "delete_child"]
    return [getattr(s, name, "no such function") for name in names]


@probe
async def test_simple_restart_gets_same_arguments():
    s = await dynamic()
    for id in "ab":
        await s.start_child(kid(id))
    pid = await s.start_child(kid("c"))
    await events()
    await finish(s, pid)
    return await events()


@probe
async def test_simple_get_childspec():
    s = await dynamic()
    pid = await s.start_child(spec := kid("a"))
    return await s.get_childspec(pid) == spec


@probe({("error", "bad_start_spec"): TypeError})
async def test_simple_two_specs():
    # A DynamicSupervisor is started with no spec at all.
    seen = []
    for given in (kids("ab"), []):
        _, crash = await result(DynamicSupervisor.start_link(given))
        seen.append(type(crash.exception))
    return seen


@probe
async def test_simple_shutdown():
    s = await dynamic()
    for id in "abc":
        await s.start_child(kid(id))
    await events()
    await close(s)
    return sorted(await events())


# specs

BAD_SPEC = ("error", "bad_spec")


def start_spec(what: Any) -> Any:
    return ("error", ("start_spec", what))


@differs(  # one error for all; its text says which field. There are no modules
    otp=[
        start_spec("missing_id"),
        start_spec("missing_start"),
        start_spec(("invalid_restart_type", "x")),
        start_spec(("invalid_shutdown", "x")),
        start_spec(("invalid_shutdown", -1)),
        start_spec(("invalid_child_type", "x")),
        start_spec(("invalid_modules", "x")),
        start_spec(("invalid_mfa", "x")),
        start_spec(("duplicate_child_name", "a")),
    ],
    ours=[BAD_SPEC] * 9,
)
async def test_sup_bad_specs():
    good: dict[str, Any] = {"id": "a", "start": up}
    bad = [{"start": up}, {"id": "a"}]
    fields = {"restart": "x", "shutdown": "x", "type": "x", "modules": "x", "start": "x"}
    bad += [{**good, field: value} for field, value in fields.items()]
    bad.insert(4, {**good, "shutdown": -1})
    return [await started(each) for each in (*([spec] for spec in bad), [good, good])]


@differs(
    otp=[
        ("error", "missing_start"),
        ("error", ("invalid_restart_type", "x")),
        ("error", ("invalid_child_spec", "nonsense")),
    ],
    ours=[BAD_SPEC] * 3,
)
async def test_sup_bad_specs_start_child():
    s = await sup()
    bad: list[Any] = [{"id": "a"}, {"id": "a", "start": up, "restart": "x"}, "nonsense"]
    return [await result(s.start_child(spec)) for spec in bad]


def bad_flag(what: Any) -> Any:
    return ("error", ("supervisor_data", what))


@differs(
    otp=[
        bad_flag(("invalid_strategy", "x")),
        bad_flag(("invalid_intensity", -1)),
        bad_flag(("invalid_intensity", "x")),
        bad_flag(("invalid_period", 0)),
        bad_flag(("invalid_period", -1)),
    ],
    ours=[BAD_SPEC] * 5,
)
async def test_sup_bad_flags():
    flags = [{"strategy": "x"}, {"intensity": -1}, {"intensity": "x"}, {"period": 0}, {"period": -1}]
    return [await started([], **flag) for flag in flags]


@differs(
    otp=["ok", ("error", "missing_start"), ("error", ("duplicate_child_name", "a"))],
    ours=["ok", BAD_SPEC, BAD_SPEC],
)
async def test_sup_check_childspecs():
    async def check(children: list[Any]) -> None:
        Plan(map(as_spec, children))

    return [await done(check(each)) for each in ([kid("a")], [{"id": "a"}], kids("aa"))]


# how a supervisor ends


@probe
async def test_sup_parent_exit():
    me = bp.self()

    async def parent(a: ChildSpec) -> None:
        s = await Supervisor.start_link([a])
        bp.send(me, ("sup", s.pid))
        await idle()

    seen = []
    for why in ("normal", "shutdown", "oops", "killed"):
        pid = bp.spawn(parent, kid("a"))
        ref = bp.monitor((await harness.expect(("sup", bp.Pid)))[1])
        await events()
        if why == "killed":
            bp.exit(pid, "kill")
        else:
            bp.send(pid, ("exit", why))
        seen.append((why, await reason(ref), await events()))
    return seen


@probe
async def test_sup_stranger_exit():
    s, me = await sup([kid("a")]), bp.self()
    a = await child(s, "a")

    async def stranger(why: str) -> None:
        bp.exit(s.pid, why)
        bp.send(me, "sent")

    async def linked() -> None:
        bp.link(s.pid)
        bp.exit("oops")

    for why in ("shutdown", "oops"):
        bp.spawn(stranger, why)
    for _ in (1, 2):
        await harness.expect("sent")
    _, ref = bp.spawn_monitor(linked)
    await reason(ref)
    return bp.is_alive(s.pid), await child(s, "a") == a


@probe
async def test_sup_killed():
    s = await sup([kid("a"), kid("b", {"trap": False})])
    ref = bp.monitor(await pid_of(s, "b"))
    await events()
    bp.exit(s.pid, "kill")
    return await reason(ref), await events()


@probe
async def test_sup_stopped():
    s = await sup([kid("a")])
    ref = bp.monitor(s.pid)
    await events()
    return await done(s.stop()), await reason(ref), await events()


@probe
async def test_sup_unknown_messages(caplog: pytest.LogCaptureFixture):
    s = await sup()
    bp.send(s.pid, "hello")
    await debug.get_state(s)
    levels = [record.levelname.lower() for record in caplog.records if record.levelno > logging.DEBUG]
    return [levels, bp.is_alive(s.pid)]


@probe
async def test_sup_shutdown_is_not_a_crash(caplog: pytest.LogCaptureFixture):
    await close(await sup([kid("a")]))
    return [record.message for record in caplog.records if record.levelno > logging.DEBUG]
