"""Remote calls that end early: deadlines, cancellation, lost callers, calls that cannot be read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import (
    CallKilled,
    CallTimeout,
    DecodeError,
)
from beampy.otp.rpc import remote_call
from beampy.otp.rpc_server import RPC, Ask, Call, Unreadable
from beampy.testing import harness
from tests.unit.otp.rpc_ground import FOREVER, calling, here, server


async def double(n: int) -> int:
    return 2 * n


async def forever() -> None:
    await asyncio.sleep(FOREVER)


async def tell_ends(to: bp.Pid) -> None:
    """Says when it runs, and how it ends."""
    bp.send(to, ("runs", bp.self()))
    try:
        await asyncio.sleep(FOREVER)
    except asyncio.CancelledError:
        bp.send(to, "cancelled")
        raise


# --- deadlines and cancellation


@calling
async def test_a_deadline_is_kept_and_ends_the_function():
    call = remote_call.options(timeout=0.02)(here(), tell_ends, bp.self())
    with pytest.raises(CallTimeout) as late:
        await call
    assert (late.value.seconds, late.value.target.node) == (0.02, here())
    await harness.expect(("runs", bp.Pid))
    await harness.expect("cancelled")
    await harness.nothing()


@calling
async def test_no_time_at_all():
    with pytest.raises(CallTimeout):
        await remote_call.options(timeout=0)(here(), double, 1)
    await asyncio.sleep(0.01)  # it was sent, and may have been carried out
    await harness.nothing()


@calling
async def test_options_add_up():
    patient = remote_call.options(timeout=9).options(capture=False)
    assert (patient._timeout, patient._capture) == (9, False)
    assert patient.options(timeout=None)._timeout is None
    assert remote_call._timeout is None


@calling
async def test_a_late_answer_is_dropped():
    gate = asyncio.Event()

    async def stubborn() -> str:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    with pytest.raises(CallTimeout):
        await remote_call.options(timeout=0.01)(here(), stubborn)
    gate.set()
    await harness.nothing()


@calling
@pytest.mark.parametrize("how", ["handle", "task", "wait_for"])
async def test_cancelling_the_caller_cancels_the_function(how):
    call = remote_call(here(), tell_ends, bp.self())
    _, pid = await harness.expect(("runs", bp.Pid))
    if how == "handle":
        assert call.cancel()
        assert not call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    elif how == "task":

        async def wait() -> None:
            await call

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 0.01)
    assert call.cancelled()
    await harness.expect("cancelled")
    assert await harness.ended(pid) in ("shutdown", "noproc")


@calling
@pytest.mark.parametrize("timeout", [None, FOREVER])
@pytest.mark.parametrize("reason", ["kill", "oops"])
async def test_the_end_of_the_caller_ends_the_function(reason, timeout):
    me = bp.self()

    async def caller() -> None:
        await remote_call.options(timeout=timeout)(here(), tell_ends, me)

    pid = bp.spawn(caller)
    await harness.expect(("runs", bp.Pid))
    bp.exit(pid, reason)
    await harness.expect("cancelled")


@calling
async def test_the_end_of_a_caller_that_does_not_wait_ends_the_function():
    me = bp.self()

    async def caller() -> None:
        call = remote_call(here(), tell_ends, me)
        await asyncio.sleep(0.01)
        assert not call.done()

    bp.spawn(caller)
    await harness.expect(("runs", bp.Pid))
    await harness.expect("cancelled")


@calling
async def test_a_call_that_is_cancelled_before_the_server_has_read_it_is_not_carried_out_for_long():
    call = remote_call(here(), tell_ends, bp.self())
    call.cancel()
    await asyncio.sleep(0.01)
    assert not server().jobs
    harness.flush()


@calling
async def test_the_loss_of_the_callers_node_ends_its_functions():
    node = api.self_process().node
    ref = bp.Ref("gone@nowhere", 1, 1)
    caller = bp.Pid("gone@nowhere", 1, 1)
    bp.send(RPC, Call(ref, caller, tell_ends, (bp.self(),), {}))
    # Alone, every other node is lost as soon as the server asks for it.
    await asyncio.sleep(0.01)
    assert not server().jobs
    assert not server().callers
    assert node.name == here()
    harness.flush()


@calling
async def test_the_end_of_the_other_server_is_no_loss_of_its_node():
    ref = bp.Ref("other@nowhere", 1, 1)
    serving = server()
    serving.callers["other@nowhere"] = (None, {ref: None})
    serving.down(bp.Down(ref, None, "shutdown", "other@nowhere"))
    assert serving.callers["other@nowhere"] == (None, {ref: None})
    serving.callers.clear()


@calling
async def test_calls_killed_before_their_first_line_are_forgotten():
    serving = server()
    serving.sweep_at = 0
    call = remote_call(here(), forever)
    while not serving.jobs:
        await asyncio.sleep(0)
    (process,) = serving.jobs.values()
    serving.me.node.exit(bp.self(), process.pid, "kill")
    with pytest.raises(CallKilled):
        await call
    serving.sweep()
    assert not serving.jobs


# --- calls that cannot be read


@calling
async def test_a_call_that_cannot_be_read_fails_and_others_do_not():
    """The callee knows who called, not which call it was: the caller's node asks for all it waits for."""
    running = remote_call(here(), forever)
    lost = remote_call(here(), forever)
    while len(server().jobs) < 2:
        await asyncio.sleep(0)
    job = server().jobs.pop(lost.ref)  # type: ignore[attr-defined]
    bp.send(RPC, Unreadable(bp.self(), here(), "no module named x"))
    with pytest.raises(DecodeError, match="no module named x"):
        await lost
    assert not running.done()
    running.cancel()
    bp.exit(job.pid, "kill")


@calling
async def test_the_server_says_what_it_could_not_read():
    serving = server()
    told = []
    original = serving.ask

    def record(message: Any) -> None:
        told.append(message)
        original(message)

    from beampy.otp import rpc_server

    rpc_server.HANDLERS[Unreadable] = lambda _, message: record(message)
    try:
        serving.unreadable(DecodeError(bp.self(), "cause"))
        await asyncio.sleep(0.01)
    finally:
        rpc_server.HANDLERS[Unreadable] = rpc_server.Server.ask
    assert told == [Unreadable(bp.self(), here(), "cause")]


@calling
async def test_nonsense_to_the_server_is_dropped():
    bp.send(RPC, "nonsense")
    bp.send(RPC, Ask(bp.Ref("x@y", 1, 1), "?"))
    bp.send(RPC, Unreadable(bp.Pid(here(), 10**9, 1), here(), "?"))
    assert await remote_call(here(), double, 1) == 2
