"""supervisor: who is restarted after whose end, in what order, how often, and when it gives up: beam.md 4.44."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.errors import StartFailed
from beampy.otp import debug
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness
from tests.conformance.kid import (
    child,
    close,
    done,
    dynamic,
    events,
    exit_reason,
    fate,
    finish,
    ignored,
    kid,
    kids,
    no,
    order,
    pid_of,
    result,
    results,
    settled,
    sup,
    until,
    up,
)
from tests.conformance.test_supervisor import BAD_SPEC, bad_flag, reports, start_spec
from tests.conformance.vectors import Probe, differs, probe, table
from tests.conformance.vocabulary import reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from beampy.otp.child import ChildSpec

STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
GROUPS = ("one_for_all", "rest_for_one")


async def gives_up(s: Supervisor) -> bp.Exit:
    """The supervisor's Exit."""
    return await harness.expect(lambda m: isinstance(m, bp.Exit) and m.pid == s.pid)


# the golden probes


@probe
async def test_sup_max_intensity():
    s = await sup([kid("a")], intensity=1, period=5)
    for _ in (1, 2):
        await finish(s, await pid_of(s, "a"), "killed")
    return await gives_up(s)


async def restarted(strategy: str) -> list[str]:
    return [id for id, became in await outcome(strategy, "permanent", "killed") if became == "restarted"]


@probe
async def test_sup_rest_for_one_restarted():
    return await restarted("rest_for_one")


@probe
async def test_sup_one_for_all_restarted():
    return await restarted("one_for_all")


@probe
async def test_sup_one_for_one_restarted():
    return await restarted("one_for_one")


async def golden(restart: str, why: Any) -> str:
    names = {"deleted": "spec_deleted", "stopped": "not_restarted_spec_kept", "restarted": "restarted"}
    return names[dict(await outcome("one_for_one", restart, why))["b"]]


@probe
async def test_sup_transient_normal():
    return await golden("transient", "normal")


@probe
async def test_sup_transient_shutdown_tuple():
    return await golden("transient", ("shutdown", "x"))


@probe
async def test_sup_transient_abnormal():
    return await golden("transient", "oops")


@probe
async def test_sup_temporary_abnormal():
    return await golden("temporary", "oops")


@probe
async def test_sup_permanent_normal():
    return await golden("permanent", "normal")


@probe
async def test_sup_auto_shutdown_any_significant():
    s = await sup([kid("a", restart="transient", significant=True), kid("b")], auto_shutdown="any_significant")
    await finish(s, await pid_of(s, "a"), "normal")
    return await gives_up(s)


# strategy × restart × reason


async def outcome(strategy: str, restart: Any, why: Any) -> list[Any]:
    """What becomes of a, b and c after b's end; a and c are permanent, unless all have one spec."""
    if strategy == "simple_one_for_one":
        d = await dynamic()
        started = [(id, await d.start_child(kid(id, restart=restart))) for id in "abc"]
        await finish(d, dict(started)["b"], why)
        now = [info.pid for info in await d.which_children()]
        gone = "restarted" if len(now) == 3 else "deleted"
        return [(id, "same" if pid in now else gone) for id, pid in started]
    s = await sup([kid("a"), kid("b", restart=restart), kid("c")], strategy=strategy)
    before = [(id, await pid_of(s, id)) for id in "abc"]
    await finish(s, dict(before)["b"], why)
    return [(id, fate(pid, await child(s, id))) for id, pid in before]


@table("restart")
async def test_restart(row: Probe):
    return await outcome(row.input["strategy"], row.input["restart"], row.input["reason"])


# order of stops and starts


@probe
async def test_sup_restart_order():
    seen = []
    for strategy in STRATEGIES:
        s = await sup(kids("abcd"), strategy=strategy)
        await events()
        await finish(s, await pid_of(s, "b"))
        seen.append((strategy, await events()))
        await close(s)
    return seen


@probe
async def test_sup_restart_keeps_order():
    seen = []
    for strategy in STRATEGIES:
        s = await sup(kids("abc"), strategy=strategy)
        before = await order(s)
        await finish(s, await pid_of(s, "b"))
        seen.append((strategy, before, await order(s)))
    return seen


@probe
async def test_sup_last_and_first_crash():
    s = await sup(kids("abc"), strategy="rest_for_one")
    await events()
    await finish(s, await pid_of(s, "a"))
    first = await events()
    await finish(s, await pid_of(s, "c"))
    return first, await events()


@probe
async def test_sup_two_crash_at_once():
    s = await sup([kid(id, {"trap": False}) for id in "ab"], strategy="one_for_all")
    await events()
    pids = [await pid_of(s, id) for id in "ab"]
    await debug.suspend(s)
    for pid in pids:
        bp.exit(pid, "kill")
    for pid in pids:
        await harness.ended(pid)
    await debug.resume(s)
    await settled(s)
    return (await events()).count(("start", "a")), (await s.count_children()).active


# siblings that do not run


@probe
async def test_temporary_bystander():
    seen = []
    for strategy in GROUPS:
        for specs in ([kid("p"), kid("t", restart="temporary")], [kid("t", restart="temporary"), kid("p")]):
            s = await sup(specs, strategy=strategy)
            p, t = await pid_of(s, "p"), await child(s, "t")
            await finish(s, p)
            seen.append((strategy, await order(s), fate(p, await child(s, "p")), fate(t, await child(s, "t"))))
    return seen


@probe
async def test_temporary_crash_restarts_no_sibling():
    return [(strategy, await outcome(strategy, "temporary", "oops")) for strategy in GROUPS]


async def idle_sibling(strategy: str, restart: Any, stop: Callable[[Supervisor], Awaitable[Any]]) -> Any:
    s = await sup([kid("a"), kid("b", restart=restart)], strategy=strategy)
    await stop(s)
    assert await child(s, "b") is None
    await finish(s, await pid_of(s, "a"))
    return strategy, fate("none", await child(s, "b"))


@probe
async def test_transient_that_ended_is_started_again():
    async def stop(s: Supervisor) -> None:
        await finish(s, await pid_of(s, "b"), "normal")

    return [await idle_sibling(strategy, "transient", stop) for strategy in STRATEGIES]


@probe
async def test_terminated_child_is_started_again():
    async def stop(s: Supervisor) -> None:
        await s.terminate_child("b")

    return [await idle_sibling(strategy, "permanent", stop) for strategy in STRATEGIES]


@probe
async def test_ignored_child_is_started_again():
    seen = []
    for strategy in STRATEGIES:
        s = await sup([kid("a"), kid("b", ignored())], strategy=strategy)
        await events()
        await finish(s, await pid_of(s, "a"))
        seen.append((strategy, await events()))
        await close(s)
    return seen


# giving up


@probe
async def test_sup_intensity_counts():
    seen = []
    for intensity in (0, 1, 3):
        s, crashes = await sup([kid("a")], intensity=intensity), 0
        await finish(s, await pid_of(s, "a"))
        while bp.is_alive(s.pid):
            crashes += 1
            await finish(s, await pid_of(s, "a"))
        seen.append((intensity, crashes, await exit_reason(s)))
    return seen


@probe
async def test_sup_intensity_counts_children_together():
    s = await sup(kids("abc"), intensity=2)
    for id in "abc":
        await finish(s, await pid_of(s, id))
    return await exit_reason(s)


@probe
async def test_sup_intensity_not_counted():
    s = await sup([kid("a", restart="transient"), kid("b", restart="temporary")], intensity=0)
    await finish(s, await pid_of(s, "a"), "normal")
    await finish(s, await pid_of(s, "b"))
    return bp.is_alive(s.pid)


@probe
async def test_sup_intensity_one_for_all_counts_once():
    s = await sup(kids("abc"), strategy="one_for_all", intensity=1)
    await finish(s, await pid_of(s, "b"))
    alive = bp.is_alive(s.pid)
    await finish(s, await pid_of(s, "b"))
    return alive, await exit_reason(s)


@pytest.mark.loops("sim")  # seconds pass
@probe
async def test_sup_intensity_window_forgets():
    s = await sup([kid("a")], intensity=1, period=1)
    await finish(s, await pid_of(s, "a"))
    await asyncio.sleep(2.5)
    await finish(s, await pid_of(s, "a"))
    return bp.is_alive(s.pid)


@probe
async def test_sup_gives_up_stops_the_rest():
    s = await sup(kids("abc"), intensity=0)
    await events()
    await finish(s, await pid_of(s, "b"))
    return await exit_reason(s), await events()


async def inner_child(inner: ChildSpec, why: Any, **flags: Any) -> list[Any]:
    """An inner supervisor's child ends: what becomes of the supervisor as permanent, transient, temporary child."""
    seen = []
    restarts: Any = ("permanent", "transient", "temporary")
    for restart in restarts:
        s = await sup([Supervisor.child_spec([inner], id="inner", restart=restart, **flags)])
        pid = await pid_of(s, "inner")
        ref = bp.monitor(pid)
        k = await pid_of(Supervisor.client(pid), "k")
        if why == "killed":
            bp.exit(k, "kill")
        else:
            bp.send(k, ("exit", why))
        assert await reason(ref) == "shutdown"
        seen.append((restart, fate(pid, await child(s, "inner"))))
    return seen


@probe
async def test_sup_nested_escalation():
    return await inner_child(kid("k"), "killed", intensity=0)


CRASH = ("proc_lib", "crash")


def ended(why: str) -> Any:
    return (("supervisor", "child_terminated"), why)


GIVEN_UP = (("supervisor", "shutdown"), "reached_max_restart_intensity")
ORDERLY: list[Any] = [[ended("normal")], [ended("shutdown")]]


@differs(  # a process that says exit("oops") has not crashed
    otp=[*ORDERLY, [CRASH, ended("oops")], [], [], [CRASH, ended("oops")], [], [CRASH, ended("oops"), GIVEN_UP]],
    ours=[*ORDERLY, [ended("oops")], [], [], [ended("oops")], [], [ended("oops"), GIVEN_UP]],
)
async def test_sup_logs(caplog: pytest.LogCaptureFixture):
    ends: list[tuple[Any, str, int]] = [
        *[("permanent", why, 5) for why in ("normal", "shutdown", "oops")],
        *[("transient", why, 5) for why in ("normal", "shutdown")],
        *[("temporary", why, 5) for why in ("oops", "normal")],
        ("permanent", "oops", 0),
    ]
    seen = []
    for restart, why, intensity in ends:
        s = await sup([kid("a", restart=restart)], intensity=intensity)
        await finish(s, await pid_of(s, "a"), why)
        if intensity == 0:
            await exit_reason(s)
        else:
            await close(s)
        seen.append(reports(caplog))
    return seen


# restarts that fail


@probe
async def test_failing_restart_is_retried():
    s = await sup([kid("a", {"result": results(up, no, no, up)})])
    await finish(s, await pid_of(s, "a"))
    await until(lambda: runs(s, "a"))
    return len(await events()), bp.is_alive(s.pid)


async def runs(s: Supervisor, id: str) -> bool:
    return isinstance(await child(s, id), bp.Pid)


@probe
async def test_failing_restart_counts():
    seen = []
    for intensity in (0, 1, 3):
        s = await sup([kid("a", {"result": results(up, no)})], intensity=intensity)
        bp.send(await child(s, "a"), ("exit", "oops"))
        seen.append((intensity, await exit_reason(s), len(await events())))
    return seen


@probe
async def test_other_child_fails_restart():
    seen = []
    for strategy in GROUPS:
        s = await sup([kid("a"), kid("b", {"result": results(up, no, up)}), kid("c")], strategy=strategy)
        await events()
        await finish(s, await pid_of(s, "a"))
        await until(lambda s=s: runs(s, "c"))
        seen.append((strategy, await events()))
        await close(s)
    return seen


@probe
async def test_other_child_fails_restart_for_ever():
    seen = []
    for strategy in GROUPS:
        s = await sup([kid("a"), kid("b", {"result": results(up, no)}), kid("c")], strategy=strategy, intensity=2)
        await events()
        bp.send(await child(s, "a"), ("exit", "oops"))
        why = await exit_reason(s)
        seen.append((strategy, await events(), why))
    return seen


@probe
async def test_hanging_restart_loop():
    async def slow_no() -> None:
        await asyncio.sleep(0.001)
        raise StartFailed("kid", "no")

    s = await sup([kid("a", {"result": results(up, slow_no)})], intensity=100_000)
    await finish(s, await pid_of(s, "a"))
    return [
        await child(s, "a"),
        await result(s.start_child(kid("a"))),
        await done(s.restart_child("a")),
        await done(s.delete_child("a")),
        await done(s.terminate_child("a")),
        await child(s, "a"),
    ]


@probe
async def test_restart_returns_ignore():
    s = await sup([kid("a", {"result": results(up, lambda: bp.IGNORE)})])
    await finish(s, await pid_of(s, "a"))
    return await child(s, "a")


# significant children


async def after_end(s: Any, pid: bp.Pid, why: Any) -> Any:
    if not bp.is_alive(s.pid):
        return "ended"
    await finish(s, pid, why)
    return "alive" if bp.is_alive(s.pid) else ("exit", await exit_reason(s))


@table("auto_shutdown")
async def test_auto_shutdown(row: Probe):
    significant = kids("ab", restart=row.input["restart"], significant=True)
    s = await sup([*significant, kid("c")], auto_shutdown=row.input["auto_shutdown"])
    pids = [await pid_of(s, id) for id in "ab"]
    return [await after_end(s, pid, row.input["reason"]) for pid in pids]


def combination(field: str, value: Any) -> Any:
    return ("bad_combination", [(field, value), ("significant", True)])


@differs(  # one error for all; its text says which field
    otp=[
        start_spec(combination("restart", "permanent")),
        start_spec(combination("auto_shutdown", "never")),
        bad_flag(("invalid_auto_shutdown", "nonsense")),
        ("error", combination("auto_shutdown", "never")),
        ("error", combination("restart", "permanent")),
        start_spec(("invalid_significant", "nonsense")),
    ],
    ours=[BAD_SPEC] * 6,
)
async def test_significant_errors():
    def a(**fields: Any) -> dict[str, Any]:
        return {"id": "a", "start": up, **fields}

    never, any_one = await sup(), await sup(auto_shutdown="any_significant")
    transient = a(restart="transient", significant=True)
    return [
        await result(sup([a(restart="permanent", significant=True)], auto_shutdown="any_significant")),
        await result(sup([transient])),
        await result(sup([a()], auto_shutdown="nonsense")),
        await result(never.start_child(transient)),
        await result(any_one.start_child(a(significant=True))),
        await result(sup([a(restart="transient", significant="nonsense")], auto_shutdown="any_significant")),
    ]


@probe
async def test_auto_shutdown_stops_the_rest():
    children = [kid(id, restart="transient", significant=id == "b") for id in "abcd"]
    s = await sup(children, auto_shutdown="any_significant")
    await events()
    await finish(s, await pid_of(s, "b"), "normal")
    return await exit_reason(s), await events()


@probe
async def test_auto_shutdown_other_child():
    children = [kid("a", restart="transient", significant=True), kid("b", restart="transient")]
    s = await sup(children, auto_shutdown="any_significant")
    await finish(s, await pid_of(s, "b"), "normal")
    return bp.is_alive(s.pid)


@probe
async def test_auto_shutdown_terminate_child():
    seen = []
    for auto_shutdown in ("any_significant", "all_significant"):
        s = await sup(kids("ab", restart="transient", significant=True), auto_shutdown=auto_shutdown)
        await s.terminate_child("a")
        alive = bp.is_alive(s.pid)
        await finish(s, await pid_of(s, "b"), "normal")
        seen.append((auto_shutdown, alive, await exit_reason(s)))
    return seen


@probe
async def test_auto_shutdown_sibling_stop():
    children = [kid("a"), kid("b", restart="transient", significant=True)]
    s = await sup(children, strategy="one_for_all", auto_shutdown="any_significant")
    await finish(s, await pid_of(s, "a"))
    return bp.is_alive(s.pid), isinstance(await child(s, "b"), bp.Pid)


@probe
async def test_auto_shutdown_nested():
    inner = kid("k", restart="transient", significant=True)
    return await inner_child(inner, "normal", auto_shutdown="any_significant")


@probe
async def test_auto_shutdown_simple_one_for_one():
    s = await dynamic(auto_shutdown="all_significant")
    pids = [await s.start_child(kid(id, restart="temporary", significant=True)) for id in "ab"]
    return [await after_end(s, pid, "normal") for pid in pids]
