"""Remote calls between two nodes on one loop: what one node alone cannot show."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import socket
import sys
import threading
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import CallKilled, DecodeError, EncodeError, NodeDown, RemoteTraceback, ServerExited
from beampy.otp.rpc import Ok, multicall, remote_call, remote_cast
from beampy.otp.rpc_server import RPC, start_rpc
from beampy.testing import harness
from tests.unit.otp.tidy import unlooked_at

pytestmark = pytest.mark.loops("asyncio", "uvloop")

A, B = "a@127.0.0.1", "b@127.0.0.1"
COOKIE = "a cookie that is long enough"
FOREVER = 3600.0
MANY = 100


@pytest.fixture(autouse=True)
def _name_service(monkeypatch):
    """A name service of the test's own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("ERL_EPMD_PORT", str(port))


def between(test: Any) -> Any:
    """Run the test as a process of node A; node B is there, too."""

    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:
        async with bp.Node(A, cookie=COOKIE) as a, bp.Node(B, cookie=COOKIE) as b:
            for node in (a, b):
                start_rpc(node._core)
            before = [set(node._core.processes) for node in (a, b)]
            if "b" in wanted:
                fixtures["b"] = b
            await a.run(functools.partial(test, **fixtures))
            async with asyncio.timeout(harness.DEADLINE):
                while any(left(node, old) for node, old in zip((a, b), before, strict=True)):
                    await asyncio.sleep(0.001)

    signature = inspect.signature(test)
    wanted = set(signature.parameters)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[parameter for name, parameter in signature.parameters.items() if name != "b"]
    )
    return run


def left(node: bp.Node, before: set[int]) -> bool:
    """Whether something of a call is left on a node: a process, or an entry of its server."""
    core = node._core
    server = core.find(core.registry.pids[RPC])
    assert server is not None
    serving = server._coro.cr_frame.f_locals["self"]
    processes = set(core.processes) - before - {server.pid.serial}
    return bool(processes or serving.jobs or serving.producers)


async def where(*args: Any, **kwargs: Any) -> Any:
    return bp.self().node, args, kwargs


def where_plain() -> str:
    return bp.self().node


async def fail() -> None:
    raise ValueError("boom")


async def leave() -> None:
    bp.exit("oops")


async def signalled(word: str) -> None:
    bp.exit(bp.self(), word)
    await asyncio.sleep(FOREVER)


async def tell_ends(to: bp.Pid) -> None:
    bp.send(to, "runs")
    try:
        await asyncio.sleep(FOREVER)
    finally:
        bp.send(to, "ended")


async def count_and_tell(to: bp.Pid, n: int) -> Any:
    try:
        for i in range(n):
            yield i
    finally:
        bp.send(to, "closed")


def count_plain(n: int) -> Any:
    yield from range(n)


class Unreadable:
    """It can be written and not be read again."""

    def __reduce__(self) -> Any:
        return refuse, ()


def refuse() -> None:
    raise ImportError("no module named secret")


async def give_unreadable() -> Any:
    return Unreadable()


async def give_lock() -> Any:
    return threading.Lock()


async def speak() -> int:
    print("printed there")  # noqa: T201
    print("and here", file=sys.stderr)  # noqa: T201
    logging.getLogger("far.away").warning("logged there")
    return 7


# --- values and failures


@between
async def test_values():
    assert await remote_call(B, where, 1, x=2) == (B, (1,), {"x": 2})
    assert await remote_call(B, where_plain) == B
    assert await remote_call(B, f"{__name__}.where_plain") == B
    assert await asyncio.gather(*(remote_call(B, where, n) for n in range(MANY))) == [
        (B, (n,), {}) for n in range(MANY)
    ]


@between
async def test_big_values():
    data = bytes(range(256)) * 4096
    _, (back,), _ = await remote_call(B, where, data)
    assert back == data


@between
async def test_failures():
    with pytest.raises(ValueError, match="boom") as raised:
        await remote_call(B, fail)
    assert isinstance(raised.value.__cause__, RemoteTraceback)
    with pytest.raises(ServerExited) as left:
        await remote_call(B, leave)
    assert left.value.reason == "oops"
    for word, reason in (("oops", "oops"), ("kill", "killed")):
        with pytest.raises(CallKilled) as ended:
            await remote_call(B, signalled, word)
        assert ended.value.reason == reason
    with pytest.raises(ModuleNotFoundError):
        await remote_call(B, "no_such_module.fn")


@between
async def test_what_cannot_travel_or_be_read():
    held = threading.Lock()
    with pytest.raises(EncodeError, match="lock"):
        remote_call(B, where, held)
    with pytest.raises(EncodeError, match=r"the variable 'held' of message\.fn, lock"):
        remote_call(B, lambda: held)
    with pytest.raises(EncodeError, match="lock"):
        await remote_call(B, give_lock)
    with pytest.raises(DecodeError, match="secret"):
        await remote_call(B, give_unreadable)
    running = remote_call(B, tell_ends, bp.self())
    await harness.expect("runs")
    with pytest.raises(DecodeError, match="secret"):
        await asyncio.wait_for(remote_call(B, where, Unreadable()), harness.DEADLINE)
    assert not running.done()
    running.cancel()
    await harness.expect("ended")


@between
async def test_multicall_and_cast():
    results = await multicall([A, B, "nobody@127.0.0.1"], where_plain)
    assert results[:2] == [Ok(A, A), Ok(B, B)]
    assert isinstance(results[2].error, NodeDown)  # type: ignore[union-attr]
    remote_cast(B, tell_ends, bp.self())
    await harness.expect("runs")
    pids = await remote_call(B, all_processes)
    for pid in pids:
        bp.exit(pid, "kill")
    assert len(pids) == 1


async def all_processes() -> list[bp.Pid]:
    """Those that run tell_ends."""
    found = [bp.process_info(pid) for pid in bp.processes()]
    return [info.pid for info in found if info is not None and "tell_ends" in str(info.label)]


# --- ends


@between
@pytest.mark.parametrize("how", ["cancel", "timeout", "end"])
async def test_a_caller_that_is_gone_ends_the_function(how):
    me = bp.self()
    if how == "end":

        async def caller() -> None:
            await remote_call(B, tell_ends, me)

        pid = bp.spawn(caller)
        await harness.expect("runs")
        bp.exit(pid, "kill")
    else:
        call = remote_call.options(timeout=0.05 if how == "timeout" else None)(B, tell_ends, me)
        await harness.expect("runs")
        if how == "cancel":
            call.cancel()
        else:
            with pytest.raises(bp.errors.CallTimeout):
                await call
    await harness.expect("ended")


@between
async def test_the_loss_of_the_connection_ends_both_sides(b):
    call = remote_call(B, tell_ends, bp.self())
    stream = remote_call(B, count_and_tell, bp.self(), 10**6)
    await harness.expect("runs")
    assert await anext(stream) == 0
    api.self_process().node.remote.table[B].connection.transport.abort()  # type: ignore[attr-defined]
    with pytest.raises(NodeDown):
        await call
    with pytest.raises(NodeDown):
        while True:
            await anext(stream)
    async with asyncio.timeout(harness.DEADLINE):
        while any("tell" in process.describe() for process in b._core.processes.values()):
            await asyncio.sleep(0.001)
    harness.flush()  # what they said at their end went over a new connection
    assert await remote_call(B, where_plain) == B


@between
async def test_the_server_of_the_other_node_may_be_missing(b):
    bp.exit(b._core.registry.pids[RPC], "kill")
    with pytest.raises(bp.errors.NoProcess):
        await remote_call(B, where_plain)
    start_rpc(b._core)
    assert await remote_call(B, where_plain) == B


# --- streams


@between
async def test_streams():
    assert [item async for item in remote_call(B, count_plain, MANY)] == list(range(MANY))
    stream = remote_call(B, count_and_tell, bp.self(), MANY)
    assert [item async for item in stream] == list(range(MANY))
    await harness.expect("closed")
    async with remote_call(B, count_and_tell, bp.self(), MANY) as stream:
        assert await anext(stream) == 0
    await harness.expect("closed")
    async for _ in remote_call(B, count_and_tell, bp.self(), MANY):
        break
    unlooked_at()
    await harness.expect("closed")


@between
async def test_a_slow_reader_stops_the_producer():
    stream = remote_call.options(window=4)(B, count_and_tell, bp.self(), MANY)
    assert await anext(stream) == 0
    await asyncio.sleep(0.05)
    assert len(stream._feed.arrived) + len(stream._feed.ready) <= 4
    await stream.aclose()
    await harness.expect("closed")


# --- output


@between
async def test_what_is_said_there_is_heard_here(capsys, caplog):
    assert await remote_call(B, speak) == 7
    assert capsys.readouterr() == ("printed there\n", "and here\n")
    assert [(r.name, r.getMessage()) for r in caplog.records if r.name == "far.away"] != []


@between
async def test_a_stuck_reader_of_output_does_not_hold_up_the_value(capsys):
    assert await remote_call(B, shout) == "done"
    out, err = capsys.readouterr()
    assert set(out.splitlines()) <= {"x" * 999, out.splitlines()[-1]}
    assert len(out) <= 2 * 65_536
    assert err.endswith("characters dropped\n")


def shout() -> str:
    for _ in range(1000):
        print("x" * 999)  # noqa: T201
    return "done"
