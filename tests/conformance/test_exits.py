"""How processes end, and what an exit signal does to them: beam.md 4.2-4.7, 3.2."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import beampy as bp
from beampy.errors import BadDestination, ReceiveTimeout
from beampy.testing import harness
from tests.conformance.vectors import A_STACK, BADARG, crashed, differs, probe, process
from tests.conformance.vocabulary import (
    absent,
    c,
    dead,
    distinct,
    down,
    ex,
    get1,
    idle,
    idler,
    linked_idler,
    mailbox,
    nothing,
    reason,
    report,
    trapper,
    until,
    waiting,
)

if TYPE_CHECKING:
    import pytest

CHAINS = (1, 2, 9, 10)


async def grow(length: int, me: bp.Pid) -> None:
    """A chain of linked processes, the first of which is this one."""
    if length > 1:
        bp.spawn_link(grow, length - 1, me)
    bp.send(me, ("link of chain", bp.self()))
    await idle()


async def chain(length: int, hit) -> list[object]:
    """The reasons that the links of a chain die of when its first is hit."""
    first = bp.spawn(grow, length, bp.self())
    refs = [bp.monitor((await harness.expect(("link of chain", ...)))[1]) for _ in range(length)]
    hit(first)
    return distinct([await reason(ref) for ref in refs])


# kill


@probe
async def test_kill_chain_exit2():
    return [(n, await chain(n, lambda first: bp.exit(first, "kill"))) for n in CHAINS]


@probe
async def test_kill_chain_exit1():
    return [(n, await chain(n, lambda first: bp.send(first, ("exit", "kill")))) for n in CHAINS]


@process()
async def test_kill_becomes_killed():
    # exit(pid, "kill") shows as "killed" along any chain; a process that says exit("kill") itself stays "kill".
    for length in CHAINS:
        assert await chain(length, lambda first: bp.exit(first, "kill")) == ["killed"]
        assert await chain(length, lambda first: bp.send(first, ("exit", "kill"))) == ["kill"]


@probe
async def test_link_exit_reason_unchanged_along_chain():
    return await chain(5, lambda first: bp.send(first, ("exit", "oops")))


@probe
async def test_exit1_kill_reason():
    async def body():
        bp.exit("kill")

    return await ex(body)


async def say_kill():
    bp.exit("kill")


@probe
async def test_exit1_kill_through_link_nontrapping():
    async def body():
        bp.spawn_link(say_kill)
        await absent(1)
        bp.exit("survived")

    return await ex(body)


@probe
async def test_exit1_kill_through_link_trapping():
    async def body():
        bp.trap_exit(True)
        bp.spawn_link(say_kill)
        bp.exit(("trapped", (await bp.receive(bp.Exit)).reason))

    return await ex(body)


@probe
async def test_killed_propagates_through_link():
    async def body():
        bp.exit(linked_idler(), "kill")
        await absent(1)
        bp.exit("survived")

    return await ex(body)


@probe
async def test_exit_kill_reason_seen():
    async def body():
        bp.exit(bp.self(), "kill")
        await absent(0.5)

    return await ex(body)


@probe
async def test_kill_cannot_be_trapped():
    async def body():
        bp.trap_exit(True)
        bp.exit(bp.self(), "kill")
        await absent(0.5)

    return await ex(body)


# the first reason stands


@probe
async def test_exit_twice_first_wins():
    seen = []
    for _ in range(500):
        pid = idler()
        ref = bp.monitor(pid)
        bp.exit(pid, "first")
        bp.exit(pid, "second")
        bp.exit(pid, "kill")
        seen.append(await reason(ref))
    return distinct(seen)


@probe
async def test_exit_twice_one_link_signal():
    bp.trap_exit(True)
    pid = linked_idler()
    bp.exit(pid, "first")
    bp.exit(pid, "second")
    return await mailbox()


# normal


@probe
async def test_exit_normal_to_other():
    pid = idler()
    bp.exit(pid, "normal")
    return bp.is_alive(pid)


@probe
async def test_exit_normal_to_other_trapping():
    pid = await trapper()
    bp.exit(pid, "normal")
    return await report(pid)


@probe
async def test_exit_normal_from_linked_parent():
    pid = linked_idler()
    bp.exit(pid, "normal")
    return bp.is_alive(pid)


@process()
async def test_exit_normal_ignored_by_others():
    pid, ref = bp.spawn_monitor(idle)
    for _ in range(3):
        bp.exit(pid, "normal")
        await asyncio.sleep(0)
    assert bp.is_alive(pid)
    bp.send(pid, ("exit", "told to"))
    assert await reason(ref) == "told to"


@probe
async def test_normal_exit_of_linked_nontrapping():
    async def body():
        _, ref = bp.spawn(nothing, link=True, monitor=True)
        await reason(ref)
        await absent()
        bp.exit("survived")

    return await ex(body)


@probe
async def test_normal_exit_of_linked_trapping():
    async def body():
        bp.trap_exit(True)
        bp.spawn_link(nothing)
        bp.exit(await get1())

    return await ex(body)


# a process and itself


async def say_exit_2(why, after=None):
    """exit(self(), why): nothing of what follows may run."""
    bp.exit(bp.self(), why)
    if after is not None:
        bp.send(after, "ran on")
    await absent(0.5)
    bp.exit("survived")


@probe
async def test_exit_self_normal():
    return await ex(say_exit_2, "normal")


@probe
async def test_exit_self_abnormal():
    return await ex(say_exit_2, "oops")


@process()
async def test_exit_self_normal_and_abnormal():
    for why in ("normal", "oops", ("shutdown", "x"), "kill"):
        assert await ex(say_exit_2, why) == ("killed" if why == "kill" else why)


@probe
async def test_exit_self_runs_nothing_after():
    return await ex(say_exit_2, "oops", bp.self()), await absent()


@process()
async def test_exit_self_kill_runs_nothing_after():
    assert await ex(say_exit_2, "kill", bp.self()) == "killed"
    assert await absent() == "none"


@probe
async def test_exit_self_trapping():
    bp.trap_exit(True)
    bp.exit(bp.self(), "oops")
    bp.exit(bp.self(), "normal")
    return [await get1(), await get1()]


@probe
async def test_exit_not_catchable_signal():
    async def body():
        with contextlib.suppress(Exception):
            bp.exit(bp.self(), "die")
        await absent(0.1)
        bp.exit("caught")

    return await ex(body)


@process()
async def test_exit_signal_not_catchable():
    # Code that catches even the cancellation goes on for a while, but its reason stays and it gets no message.
    me = bp.self()

    async def stubborn():
        bp.send(me, "ready")
        try:
            await bp.receive()
        except asyncio.CancelledError:
            try:
                await bp.receive()
            except asyncio.CancelledError:
                bp.exit("another reason")

    pid, ref = bp.spawn_monitor(stubborn)
    await harness.expect("ready")
    bp.exit(pid, "die")
    bp.send(pid, "late")
    assert await reason(ref) == "die"


@differs(otp=("die", "none"), ours=("die", ["caught", "after ran"]))
async def test_exit_signal_runs_no_cleanup():
    me = bp.self()

    async def body():
        try:
            bp.send(me, "ready")
            await idle()
        except asyncio.CancelledError:
            bp.send(me, "caught")
            raise
        finally:
            bp.send(me, "after ran")

    pid, ref = bp.spawn_monitor(body)
    await harness.expect("ready")
    bp.exit(pid, "die")
    return await reason(ref), await mailbox()


# the grace period


class Echo(bp.Server):
    """Answers what it is asked."""

    async def handle_call(self, request, from_):
        return request


@process()
async def test_cleanup_may_await_send_and_call():
    me = bp.self()
    server = (await Echo.start()).pid

    async def body():
        try:
            bp.send(me, "ready")
            await idle()
        finally:
            await asyncio.sleep(0.01)
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.01))
            bp.send(me, await bp.call(server, "cleaned up"))

    pid, ref = bp.spawn_monitor(body)
    await harness.expect("ready")
    bp.exit(pid, "shutdown")
    await harness.arrived(pid)
    assert not bp.is_alive(pid)
    assert await get1() == "cleaned up"
    assert await reason(ref) == "shutdown"


async def slow_cleanup(me, seconds):
    try:
        bp.send(me, "ready")
        await idle()
    finally:
        bp.send(me, "cleaning")
        await asyncio.sleep(seconds)
        bp.send(me, "cleaned up")


async def _test_cleanup_longer_than_the_grace_is_killed():
    pid, ref = bp.spawn_monitor(slow_cleanup, bp.self(), 60)
    await harness.expect("ready")
    bp.exit(pid, "shutdown")
    assert await get1() == "cleaning"
    assert await reason(ref) == "killed"
    assert await absent() == "none"


async def test_cleanup_longer_than_the_grace_is_killed(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, "beampy"):
        await harness.run(_test_cleanup_longer_than_the_grace_is_killed, exit_grace=0.02)
    assert ["did not end within 0.02 s" in r.getMessage() for r in caplog.records] == [True]


@process(exit_grace=600)
async def test_kill_cuts_a_cleanup_short():
    pid, ref = bp.spawn_monitor(slow_cleanup, bp.self(), 60)
    await harness.expect("ready")
    bp.exit(pid, "shutdown")
    assert await get1() == "cleaning"
    bp.exit(pid, "kill")
    assert await reason(ref) == "killed"
    assert await absent() == "none"


@process()
async def test_a_second_exit_signal_does_not_disturb_a_cleanup():
    pid, ref = bp.spawn_monitor(slow_cleanup, bp.self(), 0.01)
    await harness.expect("ready")
    bp.exit(pid, "first")
    assert await get1() == "cleaning"
    bp.exit(pid, "second")
    assert await get1() == "cleaned up"
    assert await reason(ref) == "first"


@process()
async def test_an_exiting_process_receives_nothing():
    # Not even what was handed to it, or waited in its mailbox, before the signal.
    me = bp.self()

    async def body(*before):
        bp.send(me, "ready")
        seen = []
        try:
            if before:
                await bp.receive(before)
            else:
                await bp.receive()
        except asyncio.CancelledError:
            for receive in (bp.receive, lambda: bp.receive(str), lambda: bp.receive(timeout=0)):
                try:
                    seen.append(await receive())
                except (asyncio.CancelledError, ReceiveTimeout) as error:
                    seen.append(type(error).__name__)
            bp.send(me, seen)

    async def at_once(pid):  # in one step, beside it: from elsewhere it may have the first one before the signal comes
        bp.send(pid, "before")
        bp.send(pid, "and this")
        bp.exit(pid, "die")
        bp.send(pid, "after")

    for pattern in ((), ("never",)):
        pid, ref = bp.spawn_monitor(body, *pattern)
        await harness.expect("ready")
        await until(lambda pid=pid: bp.process_info(pid).status == "waiting")
        bp.spawn(at_once, pid)
        seen = await harness.expect(list)
        assert "before" not in seen, seen
        assert "and this" not in seen, seen
        assert seen[:2] == ["CancelledError", "CancelledError"]
        assert await reason(ref) == "die"


@process()
async def test_a_killed_process_runs_no_line_more():
    me = bp.self()

    async def body():
        try:
            bp.send(me, "ready")
            await idle()
        except asyncio.CancelledError:
            bp.send(me, "cancelled")

    pid, ref = bp.spawn_monitor(body)
    await harness.expect("ready")
    bp.exit(pid, "kill")
    assert await reason(ref) == "killed"
    assert await absent() == "none"


@process()
async def test_kill_closes_the_coroutine():
    # As Python closes any coroutine: `finally` runs up to its first await. Nobody hears what it sends.
    me, ran = bp.self(), []

    async def body():
        try:
            bp.send(me, "ready")
            await idle()
        finally:
            ran.append("before an await")
            bp.send(me, "from the dead")
            await asyncio.sleep(0)
            ran.append("after it")

    pid, ref = bp.spawn_monitor(body)
    await harness.expect("ready")
    bp.exit(pid, "kill")
    assert ran == []
    assert await reason(ref) == "killed"
    assert await absent() == "none"
    assert ran == ["before an await"]


# how it ends by itself


@probe
async def test_error_reason_has_stack():
    async def body():
        raise RuntimeError("boom")

    return await ex(body)


class Ball(BaseException):
    """What is thrown: no Exception, so that only those who know it catch it."""


@differs(otp=(("nocatch", "ball"), A_STACK), ours=("Ball", "a ball"))
async def test_throw_uncaught():
    async def body():
        raise Ball("a ball")

    crash = await ex(body)
    return crash.type.rpartition(".")[2], crash.message


@differs(otp=crashed("undef"), ours=("AttributeError", True))
async def test_call_undef_function():
    async def body():
        asyncio.no_such_function()

    crash = await ex(body)
    return crash.type, "no_such_function" in crash.message


@probe
async def test_return_value_is_dropped():
    async def body():
        return "value"

    return await ex(body)


@process()
async def test_a_crash_says_what_and_where():
    async def body():
        raise KeyError("missing")

    crash = await ex(body)
    assert isinstance(crash, bp.Crash)
    assert (crash.type, crash.message) == ("KeyError", "'missing'")
    assert isinstance(crash.exception, KeyError)
    assert "in body" in crash.traceback
    assert "beampy/core" not in crash.traceback


# exit/2's own arguments


@probe({BADARG: BadDestination, True: None})
async def test_exit2_returns():
    return [c(lambda to=to: bp.exit(to, "r")) for to in (idler(), await dead(), "nobody", 7)]


@probe
async def test_big_exit_reason_intact():
    bp.trap_exit(True)
    big = ("big", list(range(20_000)), b"x" * 131_072)
    one = idler()
    ref = bp.monitor(one)
    bp.exit(one, big)
    two = linked_idler()
    bp.exit(two, big)
    through_link = (await harness.expect(lambda m: isinstance(m, bp.Exit) and m.pid == two)).reason

    async def body():
        bp.exit(big)

    return [await reason(ref) == big, through_link == big, await ex(body) == big]


# trap_exit


@probe
async def test_trap_exit_returns_old():
    return [bp.trap_exit(True), bp.trap_exit(False)]


@probe
async def test_trap_exit_off_leaves_messages():
    bp.trap_exit(True)
    bp.exit(bp.self(), "oops")
    await until(lambda: waiting() == 1)
    bp.trap_exit(False)
    return await get1()


# limits


async def fill_up(count):
    me = bp.self()
    for i in range(count):
        bp.send(me, i)
    await absent(0.5)


@probe
async def test_max_heap_size_kill():
    # A process has no heap of its own here: what grows without bound is its mailbox, so that is what has a limit.
    _, ref = bp.spawn(fill_up, 1000, monitor=True, max_mailbox=100)
    return await reason(ref)


@process()
async def test_max_mailbox_counts_bytes_too():
    me = bp.self()

    async def reader():
        bp.send(me, "ready")
        await bp.receive(("never",))

    pid, ref = bp.spawn(reader, monitor=True, max_mailbox=(1000, 100_000))
    await harness.expect("ready")
    for _ in range(3):
        bp.send(pid, bytes(30_000))
    assert bp.is_alive(pid)
    bp.send(pid, bytes(30_000))
    assert await reason(ref) == "killed"


@probe
async def test_pid_reuse_after_100k_spawns():
    first = bp.spawn(nothing)
    again = False
    for _ in range(100):
        spawned = [bp.spawn(nothing) for _ in range(1000)]
        again = again or first in spawned
        await down(spawned[-1])
    return again


# tasks of a process


@process()
async def test_exit_in_a_task_ends_its_process():
    async def child():
        async def task():
            bp.exit("from a task")

        await asyncio.gather(task(), asyncio.sleep(60))

    assert await ex(child) == "from a task"


@process()
async def test_tasks_end_with_their_process():
    me = bp.self()

    async def child():
        async def task():
            try:
                bp.send(me, "task runs")
                await asyncio.sleep(60)
            finally:
                me_or_nothing = asyncio.current_task()
                assert me_or_nothing is not None
                ended.set()

        keep = asyncio.create_task(task())
        await harness.expect("stop")
        assert not keep.done()

    for how in ("stop", "kill"):
        ended = asyncio.Event()
        pid, ref = bp.spawn_monitor(child)
        await harness.expect("task runs")
        if how == "stop":
            bp.send(pid, "stop")
        else:
            bp.exit(pid, "kill")
        await reason(ref)
        async with asyncio.timeout(harness.DEADLINE):
            await ended.wait()
