"""ending: the order of things at the end, what a waiter for the outcome gets, and cleanups that fail.

The reasons, and who hears of them: tests/conformance. What a kill closes: test_closing.py.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.ending import outcome
from beampy.core.process import Process
from beampy.core.signals import Crash
from beampy.errors import Exited
from beampy.testing import harness

LONG = 30.0


def process(pid: bp.Pid) -> Process:
    found = api.self_process().node.find(pid)
    assert found is not None
    return found


async def idle() -> None:
    await bp.receive(("never",))


async def pause(rounds: int = 3) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["return", "exit", "crash", "signal", "kill"])
async def test_what_can_be_looked_up_is_released_before_anybody_hears(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        me = bp.self()
        node = api.self_process().node
        bp.trap_exit()
        far = bp.spawn(idle)

        async def ends() -> None:
            bp.link(me)
            bp.monitor(far)
            bp.link(far)
            bp.send(me, ("ready", bp.alias(), asyncio.create_task(asyncio.sleep(LONG))))
            match await bp.receive():
                case "return":
                    return
                case "exit":
                    bp.exit("boom")
                case "crash":
                    raise ValueError("boom")

        pid = bp.spawn(ends, name="named")
        one = process(pid)
        _, alias, task = await harness.expect(("ready", ..., ...))
        timer = bp.send_after(LONG, pid, "x")
        pending = bp.request(pid, LONG)
        bp.monitor(pid)
        bp.unlink(far)

        seen: list[Any] = []

        def look(kind: str, reason: Any) -> None:
            seen.append(kind)
            assert bp.whereis("named") is None
            assert node.find(pid) is None
            assert pid not in bp.processes()
            assert not node.timers.pending
            assert alias._holder is None
            assert not process(far)._watchers
            assert one.done()

        deliver = type(one).deliver

        def note(receiver: Any, message: Any) -> None:
            if receiver.pid == me:
                look(type(message).__name__, message.reason)
            deliver(receiver, message)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Process, "deliver", note)
            if how in ("signal", "kill"):
                bp.exit(pid, "boom" if how == "signal" else "kill")
            else:
                bp.send(pid, how)
            while len(seen) < 2:
                await asyncio.sleep(0)
        assert seen == ["Exit", "Down"]
        down, left = await harness.expect(bp.Down), await harness.expect(bp.Exit)
        assert down.reason == left.reason
        assert bp.cancel_timer(timer) is None
        assert pending.exception() is not None
        await pause()
        assert task.cancelled()
        reasons = {"return": "normal", "crash": Crash("ValueError", "boom"), "kill": "killed"}
        assert down.reason == reasons.get(how, "boom")
        # A link made by the ended process is gone at the other end, without harm when the reason was normal.
        assert bp.is_alive(far) == (how == "return")

    with caplog.at_level(logging.CRITICAL):
        await harness.run(body)


# outcomes


@pytest.mark.parametrize("how", ["value", "error", "exit", "normal", "shutdown", "signal", "kill", "cancel"])
async def test_what_a_waiter_for_the_value_gets(how: str) -> None:
    async def ends() -> str:
        match how:
            case "value":
                return "value"
            case "error":
                raise KeyError("x")
            case "exit":
                bp.exit(("odd", 1))
            case "normal" | "shutdown":
                bp.exit(how)
        await bp.receive()
        raise AssertionError

    async def body() -> object:
        pid, ref = bp.spawn_monitor(ends)
        one = process(pid)
        one.extras().quiet = True
        await pause()
        match how:
            case "signal":
                bp.exit(pid, "boom")
            case "kill":
                bp.exit(pid, "kill")
            case "cancel":
                one.cancel()
        await harness.expect(lambda m: isinstance(m, bp.Down) and m.ref == ref)
        return outcome(one)

    expected: dict[str, tuple[type[BaseException], Any]] = {
        "error": (KeyError, None),
        "exit": (Exited, ("odd", 1)),
        "signal": (Exited, "boom"),
        "kill": (Exited, "killed"),
        "cancel": (asyncio.CancelledError, None),
    }
    if how in expected:
        kind, reason = expected[how]
        with pytest.raises(kind) as caught:
            await harness.run(body)
        assert getattr(caught.value, "reason", None) == reason
    else:
        assert await harness.run(body) == ("value" if how == "value" else None)


async def test_a_value_returned_by_a_cleanup_is_no_value() -> None:
    async def ends() -> str:
        try:
            await bp.receive()
        except asyncio.CancelledError:
            return "a value"
        return "never"

    async def body() -> object:
        pid, _ = bp.spawn_monitor(ends)
        one = process(pid)
        await pause()
        bp.exit(pid, "boom")
        assert (await harness.expect(bp.Down)).reason == "boom"
        return outcome(one)

    with pytest.raises(Exited, match="boom"):
        await harness.run(body)


# cleanups


async def test_a_cleanup_that_fails_is_logged_and_the_reason_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def ends() -> None:
        try:
            await bp.receive()
        finally:
            raise ValueError("in the cleanup")

    async def body() -> object:
        pid, _ = bp.spawn_monitor(ends)
        await pause()
        bp.exit(pid, "boom")
        return (await harness.expect(bp.Down)).reason

    assert await harness.run(body) == "boom"
    (record,) = caplog.records
    assert "cleanup after exit signal 'boom' failed" in record.getMessage()
    assert "in the cleanup" in caplog.text


async def test_a_cleanup_that_leaves_by_exit_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def ends() -> None:
        try:
            await bp.receive()
        finally:
            bp.exit("another reason")

    async def body() -> object:
        pid, _ = bp.spawn_monitor(ends)
        await pause()
        bp.exit(pid, "boom")
        return (await harness.expect(bp.Down)).reason

    assert await harness.run(body) == "boom"
    assert caplog.records == []


async def test_a_cleanup_in_time_needs_no_kill(caplog: pytest.LogCaptureFixture) -> None:
    async def ends(to: bp.Pid) -> None:
        try:
            await bp.receive()
        finally:
            await asyncio.sleep(0.001)
            bp.send(to, "cleaned up")

    async def body() -> None:
        pid = bp.spawn(ends, bp.self())
        await pause()
        bp.exit(pid, "shutdown")
        await harness.expect("cleaned up")
        await harness.ended(pid)
        await pause()
        assert api.self_process().node.statistics()["deadlines"] == 0

    await harness.run(body, exit_grace=LONG)
    assert caplog.records == []


# callbacks


async def test_callbacks_come_in_order_after_everybody_has_heard() -> None:
    async def body() -> list[Any]:
        called: list[Any] = []
        pid, ref = bp.spawn_monitor(idle)
        one = process(pid)
        one.add_done_callback(lambda p: called.append(("first", p.done())))
        one.add_done_callback(lambda p: called.append(("second", p.done())))
        bp.exit(pid, "kill")
        assert called == []
        assert (await bp.receive(timeout=0)).ref == ref
        await pause()
        return called

    assert await harness.run(body) == [("first", True), ("second", True)]


async def test_ending_in_the_middle_of_a_slice_drops_the_rest() -> None:
    async def body() -> None:
        seen: list[int] = []

        async def reader() -> None:
            async for message in bp.mailbox():
                seen.append(message)
                if message == 3:
                    return

        pid = bp.spawn(reader)
        await pause()
        for n in range(10):
            bp.send(pid, n)
        assert await harness.ended(pid) in ("normal", "noproc")
        assert seen == [0, 1, 2, 3]

    await harness.run(body)


async def test_a_signal_in_the_middle_of_a_slice_stops_it() -> None:
    async def body() -> None:
        me = bp.self()
        seen: list[Any] = []

        async def reader() -> None:
            async for message in bp.mailbox():
                seen.append(message)
                if message == 3:
                    bp.send(friend, bp.self())
                    bp.exit(friend, "now")
                if message == 5:
                    node.exit(me, bp.self(), "stop")

        async def gets() -> None:
            await idle()

        node = api.self_process().node
        friend = bp.spawn(gets)
        pid, _ = bp.spawn_monitor(reader)
        await pause()
        for n in range(100):
            bp.send(pid, n)
        assert (await harness.expect(bp.Down)).reason == "stop"
        assert seen == [0, 1, 2, 3, 4, 5]

    await harness.run(body)
