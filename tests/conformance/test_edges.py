"""Edges where two things happen at once, or where somebody's code misbehaves: each was a bug once."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.testing import harness
from tests.conformance import one_node

LONG = 30.0


async def test_an_exit_signal_in_the_tick_of_a_timeout_is_not_lost() -> None:
    """As a cancelled task: the timeout sees two cancellations, so it lets the exit pass."""

    async def worker(to: bp.Pid) -> None:
        async with asyncio.timeout(LONG) as timeout:
            bp.send(to, timeout)
            await asyncio.get_running_loop().create_future()

    async def body() -> object:
        pid, _ = bp.spawn_monitor(worker, bp.self())
        timeout = await bp.receive()
        loop = asyncio.get_running_loop()
        timeout.reschedule(loop.time() - 1)
        loop.call_soon(loop.call_soon, api.self_process().node.exit, bp.self(), pid, "why")
        began = loop.time()
        reason = (await harness.expect(bp.Down)).reason
        assert loop.time() - began < 2
        return reason if isinstance(reason, str) else reason.type

    assert await harness.run(body) in ("why", "TimeoutError")


async def test_an_exit_in_a_task_group_is_an_exit(caplog: pytest.LogCaptureFixture) -> None:
    async def worker() -> None:
        async with asyncio.TaskGroup():
            bp.exit("enough")

    async def body() -> object:
        bp.spawn_monitor(worker)
        return (await harness.expect(bp.Down)).reason

    assert await harness.run(body) == "enough"
    assert not caplog.records


async def test_a_long_chain_of_awaits_ends_without_recursion() -> None:
    async def nest(n: int, to: bp.Pid) -> None:
        if n == 0:
            bp.send(to, "deep")
            await asyncio.sleep(LONG)
        else:
            await bp.Task.spawn(nest, n - 1, to)

    async def body() -> bool:
        before = len(bp.processes())
        for reason, seen in (("kill", "killed"), ("stop", "stop")):
            pid, _ = bp.spawn_monitor(nest, 300, bp.self())
            await harness.expect("deep")
            bp.exit(pid, reason)
            assert (await harness.expect(bp.Down)).reason == seen
        while len(bp.processes()) > before:
            await asyncio.sleep(0.001)
        return len(bp.processes()) == before

    assert await harness.run(body)


async def test_a_kill_closes_an_async_generator_that_awaits() -> None:
    closed = []

    async def numbers(to: bp.Pid) -> Any:
        try:
            while True:
                yield 1
                bp.send(to, "waiting")
                await asyncio.sleep(LONG)
        finally:
            closed.append(True)

    async def worker(to: bp.Pid) -> None:
        async for _ in numbers(to):
            pass

    async def body() -> None:
        pid, _ = bp.spawn_monitor(worker, bp.self())
        await harness.expect("waiting")
        bp.exit(pid, "kill")
        await harness.expect(bp.Down)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert closed == [True]

    await harness.run(body)


async def test_a_crash_is_reported_in_the_context_of_its_process(caplog: pytest.LogCaptureFixture) -> None:
    request = contextvars.ContextVar("request", default="none")
    seen = []

    class Note(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            seen.append((request.get(), bp.self()))
            return True

    async def worker(n: int) -> None:
        request.set(f"request {n}")
        await asyncio.sleep(0)
        raise ValueError(n)

    async def body() -> list[Any]:
        started = [bp.spawn_monitor(worker, n)[0] for n in range(3)]
        for _ in started:
            await harness.expect(bp.Down)
        return started

    note = Note()
    log = logging.getLogger("beampy.process")
    log.addFilter(note)
    try:
        started = await harness.run(body)
    finally:
        log.removeFilter(note)
    assert seen == [(f"request {n}", pid) for n, pid in enumerate(started)]


class Odd(Exception):
    """Its args do not fit its constructor."""

    def __init__(self, code: int, *, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


@one_node.SHARED
async def test_an_error_whose_constructor_its_args_do_not_fit_arrives_as_itself() -> None:
    class Server(bp.Server):
        @bp.call(raises=Odd)
        async def fail(self) -> None:
            raise Odd(404, text="nothing there")

    async def body() -> tuple[object, ...]:
        server = await Server.start()
        try:
            await server.fail()
        except Odd as error:
            return str(error), error.code, error.__notes__ == [f"raised in {server.pid!r}"]
        raise AssertionError("no error")

    assert await harness.run(body) == ("404: nothing there", 404, True)


async def test_an_awaitable_that_misbehaves_is_an_error_of_who_awaits_it() -> None:
    class Broken:
        _asyncio_future_blocking = True

        def __await__(self) -> Any:
            yield self

    async def body() -> str:
        try:
            await Broken()  # type: ignore[misc]
        except AttributeError as error:
            return str(error)
        return "nothing raised"

    assert "get_loop" in await harness.run(body)


@pytest.mark.loops("sim")
async def test_a_node_with_many_processes_gives_each_its_time_to_clean_up(caplog: pytest.LogCaptureFixture) -> None:
    async def worker(n: int) -> None:
        try:
            await bp.receive()
        finally:
            await asyncio.sleep(n / 10_000)

    async def body() -> None:
        for n in range(3000):
            bp.spawn(worker, n)
        await asyncio.sleep(0.1)

    await harness.run(body)
    assert not caplog.records


async def test_the_body_of_a_node_may_exit_and_may_be_killed() -> None:
    async with bp.Node():
        bp.exit("normal")
    with pytest.raises(bp.errors.Exited, match="enough"):
        async with bp.Node():
            bp.exit("enough")
    with pytest.raises(bp.errors.Exited, match="killed"):
        async with bp.Node():
            bp.exit(bp.self(), "kill")
            await asyncio.sleep(LONG)


@pytest.mark.parametrize("pattern", [list[int], ("t", list[int]), ("t", lambda v: v > 1), Any])
async def test_patterns_that_could_never_match_are_refused(pattern: object) -> None:
    async def body() -> None:
        with pytest.raises(bp.errors.BadPattern):
            await bp.receive(pattern)

    await harness.run(body)


async def test_a_union_is_a_pattern() -> None:
    async def body() -> list[object]:
        for message in ("text", 1, ("t", 2.5)):
            bp.send(bp.self(), message)
        return [await bp.receive(("t", int | float)), await bp.receive(int | float)]

    assert await harness.run(body) == [("t", 2.5), 1]


async def test_an_instance_is_no_child() -> None:
    class Child(bp.Server):
        pass

    async def body() -> None:
        with pytest.raises(bp.errors.BadSpec, match="instance of"):
            await bp.Supervisor.start_link([Child()])

    await harness.run(body)


def test_method_names_that_every_server_has_are_refused() -> None:
    with pytest.raises(bp.errors.BadFunction, match="start"):

        class Wrong(bp.Server):
            @bp.call  # type: ignore[arg-type]
            def start(self) -> None: ...


def test_an_error_looked_for_in_the_wrong_place_is_found() -> None:
    with pytest.raises(AttributeError, match=r"bp\.errors\.NoProcess"):
        _ = bp.NoProcess
