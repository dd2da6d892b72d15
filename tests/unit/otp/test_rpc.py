"""Remote calls: values, names and failures, on one node."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.signals import Crash
from beampy.errors import (
    BadFunction,
    BadName,
    CallKilled,
    NodeDown,
    RemoteError,
    RemoteTraceback,
    ServerExited,
)
from beampy.otp.rpc import remote_call
from beampy.otp.rpc_server import RPC, start_rpc
from beampy.testing import harness
from tests.unit.otp.rpc_ground import FOREVER, calling, here
from tests.unit.otp.tidy import unlooked_at


async def double(n: int) -> int:
    return 2 * n


def triple(n: int) -> int:
    return 3 * n


async def whole(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


async def fail(text: str = "boom") -> None:
    raise ValueError(text)


async def forever() -> None:
    await asyncio.sleep(FOREVER)


class Tools:
    @staticmethod
    async def add(a: int, b: int) -> int:
        return a + b

    async def __call__(self, n: int) -> int:
        return n + 1


# --- values


@calling
async def test_it_gives_the_value_of_an_async_function():
    call = remote_call(here(), double, 4)
    assert not call.done()
    assert await call == 8
    assert call.done()
    assert await call == 8  # again
    assert call.result() == 8


@calling
async def test_it_gives_the_value_of_a_function_that_is_not_async():
    assert await remote_call(here(), triple, 4) == 12


@calling
async def test_what_a_plain_function_returns_is_awaited_where_it_can_be():
    assert await remote_call(here(), lambda n: double(n), 4) == 8


@calling
@pytest.mark.parametrize(
    "fn", [Tools(), Tools().__call__, functools.partial(double, 5)], ids=["object", "method", "partial"]
)
async def test_what_is_called_may_be_anything_async(fn):
    arguments = () if isinstance(fn, functools.partial) else (9,)
    assert await remote_call(here(), fn, *arguments) == 10


@calling
async def test_arguments_pass_through_whole():
    """Also those that look like options, or like our own parameters."""
    given = {"timeout": 1, "node": 2, "fn": 3, "self": 4, "capture": 5, "me": 6, "args": 7, "kwargs": 8}
    assert await remote_call(here(), whole, 1, 2, **given) == ((1, 2), given)


@calling
async def test_a_plain_function_gets_its_keywords_too():
    def keywords(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    given = {"fn": 1, "func": 2, "self": 3, "job": 4}
    assert await remote_call(here(), keywords, **given) == given


@calling
async def test_it_runs_in_a_process_of_its_own_with_a_label():
    async def look() -> Any:
        info = bp.process_info(bp.self())
        assert info is not None
        return bp.self(), info.label

    pid, label = await remote_call(here(), look)
    assert pid != bp.self()
    assert label == f"{__name__}.{look.__qualname__}"


@calling
async def test_None_is_a_value():
    async def nothing() -> None: ...

    assert await remote_call(here(), nothing) is None


@calling
async def test_many_calls_are_in_flight_at_once_and_each_is_answered_when_ready():
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow"

    slow_one = remote_call(here(), slow)
    assert await asyncio.gather(*(remote_call(here(), double, n) for n in range(100))) == list(range(0, 200, 2))
    assert not slow_one.done()
    gate.set()
    assert await slow_one == "slow"


@calling
async def test_asyncio_waits_for_calls():
    calls = [remote_call(here(), double, n) for n in range(3)]
    done, pending = await asyncio.wait(calls)
    assert (done, pending) == (set(calls), set())


async def test_a_node_without_a_server_starts_it_for_its_own_calls():
    async def body() -> None:
        first = bp.whereis(RPC)
        if first is not None:
            bp.exit(first, "kill")
        assert await remote_call(here(), double, 1) == 2
        assert bp.whereis(RPC) not in (None, first)

    await harness.run(body)


# --- names


@calling
async def test_a_function_is_called_by_name():
    assert await remote_call(here(), "os.getpid") == os.getpid()
    assert await remote_call(here(), f"{__name__}:Tools.add", 1, b=2) == 3
    assert await remote_call(here(), f"{__name__}.Tools.add", 1, 2) == 3


@calling
async def test_unknown_modules_and_functions_are_named():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        await remote_call(here(), "no_such_module.fn")
    with pytest.raises(AttributeError, match="no_such_function"):
        await remote_call(here(), "os.no_such_function")
    with pytest.raises(ValueError, match="'module"):
        await remote_call(here(), "fn")
    with pytest.raises(BadFunction, match="str"):
        await remote_call(here(), "os.sep")


@calling
async def test_a_module_is_imported_in_a_thread(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "rpc_late", raising=False)
    (tmp_path / "rpc_late.py").write_text(
        "import asyncio\nrunning = asyncio._get_running_loop()\nasync def fn(): return running\n"
    )
    assert await remote_call(here(), "rpc_late.fn") is None  # a thread has no running loop
    monkeypatch.delitem(sys.modules, "rpc_late")


@calling
async def test_nonsense_is_refused_at_once():
    with pytest.raises(BadFunction):
        remote_call(here(), 7)  # type: ignore[call-overload]
    with pytest.raises(BadFunction, match="leave out the call"):
        remote_call(here(), double(1))  # type: ignore[call-overload]
    with pytest.raises(BadName):
        remote_call(b"x", double, 1)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="timeout"):
        remote_call.options(timeout=-1)
    with pytest.raises(ValueError, match="timeout"):
        remote_call.options(timeout=float("nan"))
    with pytest.raises(ValueError, match="window"):
        remote_call.options(window=0)


# --- failures


@calling
async def test_an_exception_is_raised_as_itself_with_its_traceback(caplog):
    with pytest.raises(ValueError, match="boom") as caught:
        await remote_call(here(), fail)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in fail" in caught.value.__cause__.text
    assert caplog.records == []  # it is raised here, so it is not reported there


@calling
async def test_an_exception_of_a_plain_function_too():
    def bad() -> None:
        raise KeyError("k")

    with pytest.raises(KeyError):
        await remote_call(here(), bad)


@calling
async def test_what_a_failing_function_has_linked_ends_with_it():
    me = bp.self()

    async def start_and_fail() -> None:
        bp.send(me, bp.spawn_link(forever))
        raise ValueError

    with pytest.raises(ValueError):
        await remote_call(here(), start_and_fail)
    assert isinstance(await harness.ended(await harness.expect(bp.Pid)), (Crash, str))


@calling
async def test_exit_in_the_function_and_an_exit_signal_are_told_apart():
    async def leave(reason: Any) -> None:
        bp.exit(reason)

    async def signalled(reason: Any) -> None:
        bp.exit(bp.self(), reason)
        await asyncio.sleep(FOREVER)

    for reason in ("oops", "normal", "killed"):
        with pytest.raises(ServerExited) as left:
            await remote_call(here(), leave, reason)
        assert left.value.reason == reason
    with pytest.raises(CallKilled) as ended:
        await remote_call(here(), signalled, "oops")
    assert (ended.value.reason, ended.value.target.node) == ("oops", here())
    assert "signalled" in str(ended.value)
    with pytest.raises(CallKilled) as killed:
        await remote_call(here(), signalled, "kill")
    assert killed.value.reason == "killed"


@calling
async def test_sys_exit_in_the_function_ends_the_call_and_not_the_node():
    async def stop() -> None:
        sys.exit(3)

    for fn in (stop, lambda: sys.exit(3)):
        with pytest.raises(RemoteError, match="SystemExit"):
            await remote_call(here(), fn)
    assert await remote_call(here(), double, 1) == 2


@calling
async def test_a_cancellation_of_the_functions_own_is_no_exit_signal():
    async def cancel() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ServerExited) as ended:
        await remote_call(here(), cancel)
    assert ended.value.reason == "cancelled"


@calling
async def test_cleanup_after_a_signal_that_fails_changes_nothing(caplog):
    async def messy() -> None:
        try:
            bp.exit(bp.self(), "oops")
        finally:
            raise ValueError("in the cleanup")

    with pytest.raises(CallKilled) as ended:
        await remote_call(here(), messy)
    assert ended.value.reason == "oops"
    assert "cleanup" in caplog.text


@calling
async def test_an_unreachable_node():
    with pytest.raises(NodeDown) as down:
        await remote_call("nobody@nowhere", double, 1)
    assert down.value.target == ("tests.unit.otp.test_rpc.double", "nobody@nowhere")
    assert "double on nobody@nowhere" in str(down.value)


async def test_the_end_of_the_server_is_heard():
    async def body() -> None:
        call = remote_call(here(), forever)
        bp.exit(start_rpc(api.self_process().node), "kill")  # before it has read the call
        with pytest.raises(CallKilled):
            await call

    await harness.run(body)


@calling
async def test_a_failure_nobody_looks_at_is_logged(caplog):
    call = remote_call(here(), fail)
    await asyncio.sleep(0.01)
    assert call.done()
    del call
    unlooked_at()
    assert "nobody looked at the failure" in caplog.text
