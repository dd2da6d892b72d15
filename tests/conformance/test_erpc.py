"""erpc and rpc: beam.md §3.5 and 4.40, and what OTP 25 answered to the probes of remote calls.

The table below has OTP's answers as they were recorded between two nodes (`erpc_*`, `rpc_*`), and what is the same
thing here. OTP's class `exit` with {exception, R} or {signal, R} is ServerExited or CallKilled; a thrown value and an
error are both an exception; the failures of the call itself, {erpc, R}, are errors of their own.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.group_leader import console, leader
from beampy.errors import BadName, CallKilled, CallTimeout, NodeDown, RemoteTraceback, ServerExited
from beampy.otp.rpc import Failure, Ok, multicall, remote_call, remote_cast
from beampy.otp.rpc_server import start_rpc
from beampy.testing import harness
from tests.conformance.vectors import process
from tests.conformance.vocabulary import c, ca, mailbox, what

NOBODY = "nonode@127.0.0.1"

RECORDED: dict[str, tuple[Any, Any]] = {
    # probe: (OTP 25, beampy)
    "erpc_error": (("error", ("exception", "oops", "stack")), RuntimeError),
    "erpc_exit": (("exit", ("exception", "oops")), (ServerExited, "oops")),
    "erpc_throw": (("throw", "oops"), LookupError),
    "erpc_killed_by_signal": (("exit", ("signal", "oops")), (CallKilled, "oops")),
    "erpc_timeout": (("error", ("erpc", "timeout")), CallTimeout),
    "erpc_nonode": (("error", ("erpc", "noconnection")), NodeDown),
    "erpc_badarg": (("error", ("erpc", "badarg")), BadName),
    "rpc_error_shape": (("badrpc", ("EXIT", ("oops", "stack"))), RuntimeError),
    "rpc_nonode": (("badrpc", "nodedown"), NodeDown),
    "erpc_fun_module_absent_remotely": (("error", "undef"), ModuleNotFoundError),
    "erpc_external_fun_module_absent": (("error", "undef"), AttributeError),
}


def here() -> str:
    return bp.self().node


async def outcome(call: Any) -> Any:
    """What a call raised, in the words of the table."""
    try:
        await call
    except CallKilled as killed:
        return CallKilled, killed.reason
    except Exception as error:
        return what(error)
    return "no error"


async def raising(error: Exception) -> None:
    raise error


async def leaving(reason: Any) -> None:
    bp.exit(reason)


async def signalled(reason: Any) -> None:
    bp.exit(bp.self(), reason)
    await bp.receive(("never",))


async def sleeping(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def node_name() -> str:
    return bp.self().node


def expected(probe: str) -> Any:
    return RECORDED[probe][1]


# --- classes of failure


@process()
async def test_erpc_error():
    assert await outcome(remote_call(here(), raising, RuntimeError("oops"))) == expected("erpc_error")


@process()
async def test_erpc_throw():
    """Any exception is itself at the caller: there is no second kind for those that are meant as values."""
    assert await outcome(remote_call(here(), raising, LookupError("oops"))) == expected("erpc_throw")


@process()
async def test_erpc_exit():
    assert await outcome(remote_call(here(), leaving, "oops")) == expected("erpc_exit")


@process()
async def test_erpc_killed_by_signal():
    assert await outcome(remote_call(here(), signalled, "oops")) == expected("erpc_killed_by_signal")
    assert await outcome(remote_call(here(), signalled, "kill")) == (CallKilled, "killed")


@process()
async def test_erpc_timeout():
    call = remote_call.options(timeout=0.02)(here(), sleeping, 0.3)
    assert await outcome(call) == expected("erpc_timeout")
    assert await mailbox() == []


@process()
async def test_erpc_nonode():
    assert await outcome(remote_call(NOBODY, node_name)) == expected("erpc_nonode")


@process()
async def test_erpc_badarg():
    assert c(lambda: remote_call(b"x", node_name)) == expected("erpc_badarg")  # type: ignore[call-overload]


@process()
async def test_rpc_error_shape():
    """rpc's older shape does not exist: a failure is raised, not returned."""
    assert await outcome(remote_call(here(), raising, RuntimeError("oops"))) == expected("rpc_error_shape")
    assert await outcome(remote_call(NOBODY, node_name)) == expected("rpc_nonode")


@process()
async def test_erpc_fun_module_absent_remotely():
    assert await outcome(remote_call(here(), "nosuchmod.f")) == expected("erpc_fun_module_absent_remotely")
    assert await outcome(remote_call(here(), "os.nosuchfun")) == expected("erpc_external_fun_module_absent")


@process()
async def test_the_stack_of_an_error_is_that_of_the_called_function():
    with pytest.raises(RuntimeError) as caught:
        await remote_call(here(), raising, RuntimeError("oops"))
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    frames = [line for line in caught.value.__cause__.text.splitlines() if line.startswith("  File")]
    assert len(frames) == 1
    assert "raising" in frames[0]


# --- time


@pytest.mark.loops("asyncio", "uvloop")  # a job of the simulator's threads takes no virtual time
@process()
async def test_the_timeout_fires_while_the_callee_is_busy():
    """erpc_timeout_on_time_when_request_stuck: nothing that the other side does or leaves holds it up."""

    def busy() -> None:
        time.sleep(0.2)

    calls = [remote_call.options(timeout=0.02)(here(), busy) for _ in range(3)]
    assert [await ca(call) for call in calls] == [CallTimeout] * 3
    assert await mailbox() == []


@process()
async def test_no_stray_messages_whatever_ends_a_call():
    late = []

    async def stubborn() -> str:
        while not late:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        return "late"

    timed_out = remote_call.options(timeout=0.01)(here(), stubborn)
    assert await ca(timed_out) == CallTimeout
    cancelled = remote_call(here(), stubborn)
    await asyncio.sleep(0.01)
    cancelled.cancel()
    late.append(True)
    assert await mailbox() == []
    info = bp.process_info(bp.self())
    assert info is not None
    assert (info.monitors, info.links) == ((), ())
    assert not api.self_process().node.exported


# --- many nodes, and none


@process()
async def test_erpc_multicall_mixed():
    results = await multicall([here(), here(), NOBODY], node_name)
    assert results[:2] == [Ok(here(), here()), Ok(here(), here())]
    assert isinstance(results[2], Failure)
    assert isinstance(results[2].error, NodeDown)


@process()
async def test_cast_is_silent():
    assert remote_cast(NOBODY, node_name) is None
    assert remote_cast(here(), "nosuchmod.f") is None
    assert await mailbox() == []


@process()
async def test_a_collection_of_requests_is_asyncios_business():
    """erpc's request id collections: `asyncio.wait` and `as_completed`, by the first to be ready."""
    slow = remote_call(here(), sleeping, 0.03)
    quick = remote_call(here(), node_name)
    order = [await one for one in asyncio.as_completed([slow, quick])]
    assert order == [here(), None]


# --- the group leader


@process()
async def test_remote_spawn_group_leader_is_callers():
    """What a called function starts has its caller's group leader, on whatever node that is."""
    me = api.self_process()
    start_rpc(me.node)

    async def leaders() -> Any:
        mine = leader.get()
        assert mine is not None

        async def child(to: bp.Pid) -> None:
            theirs = leader.get()
            bp.send(to, None if theirs is None else theirs.dest)

        bp.spawn(child, bp.self())
        return mine.dest, await harness.expect(bp.Ref)

    from beampy.core.group_leader import Channel

    callers = console(me.node)
    token = leader.set(Channel(me, callers))
    try:
        assert await remote_call(here(), leaders) == (callers, callers)
    finally:
        leader.reset(token)


def test_every_recorded_answer_is_read():
    import inspect
    import sys

    source = inspect.getsource(sys.modules[__name__])
    assert [name for name in RECORDED if f'expected("{name}")' not in source] == []
