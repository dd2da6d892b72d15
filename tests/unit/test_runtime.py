"""runtime: nodes on this loop, on their own thread, and as programs; their ends in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import pytest

import beampy as bp
from beampy.testing import harness

if TYPE_CHECKING:
    from pathlib import Path

own_loop = pytest.mark.loops("asyncio")  # the test makes its own loops


class Counter(bp.Server):
    def __init__(self, start: int = 0) -> None:
        self.n = start

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    @bp.call(raises=ValueError)
    def fail(self) -> None:
        raise ValueError("as asked")

    @bp.call
    async def sleep(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "slept"


# bp.run


def test_run_returns_the_value_and_raises_the_error() -> None:
    async def main(a: int, b: int) -> int:
        return a + b

    async def fail() -> None:
        raise ValueError("main failed")

    assert bp.run(main, 1, 2) == 3
    with pytest.raises(ValueError, match="main failed"):
        bp.run(fail)


def test_run_logs_a_failing_main_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("main failed")

    with pytest.raises(ValueError):
        bp.run(fail)
    assert not caplog.records


def test_run_with_an_exit_reason() -> None:
    async def orderly() -> None:
        bp.exit("normal")

    async def otherwise() -> None:
        bp.exit("on fire")

    assert bp.run(orderly) is None
    with pytest.raises(bp.errors.Exited, match="on fire") as caught:
        bp.run(otherwise)
    assert caught.value.reason == "on fire"


def test_run_ends_what_main_leaves_behind() -> None:
    ends = []

    async def left_behind() -> None:
        try:
            await bp.receive()
        finally:
            ends.append("ended")

    async def main() -> None:
        bp.spawn(left_behind)
        await asyncio.sleep(0)

    bp.run(main)
    assert ends == ["ended"]


def test_run_refuses_what_is_no_async_function() -> None:
    with pytest.raises(bp.errors.BadFunction, match="not async"):
        bp.run(print)


def test_run_uses_uvloop_where_it_is() -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    pytest.importorskip("uvloop")
    assert bp.run(main) == "uvloop"


PROGRAM = """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
    import beampy as bp

    class Child(bp.Server):
        trap_exit = True
        def __init__(self, name): self.name = name
        async def terminate(self, reason): print("child", self.name, reason, flush=True)

    async def main():
        parent = [await Child.start_link(name) for name in "abc"]
        print("ready", flush=True)
        try:
            await bp.receive()
        finally:
            print("main ends", flush=True)

    bp.run(main)
    print("after run", flush=True)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)])
def test_signals_end_a_program_in_order(number: int, code: int, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    root = os.path.dirname(os.path.dirname(bp.__file__))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    lines = out.splitlines()
    assert lines[0] == "main ends"
    assert sorted(lines[1:4]) == [f"child {name} shutdown" for name in "abc"]
    assert ("after run" in lines) == (number == signal.SIGTERM)
    assert process.returncode == code
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)


# async with bp.Node


async def test_the_body_of_a_node_acts_as_a_process() -> None:
    async def worker(to: bp.Pid) -> None:
        bp.send(to, "hello")

    async with bp.Node("a") as node:
        assert node.name == "a@localhost"
        pid, ref = bp.spawn_monitor(worker, bp.self())
        assert await bp.receive(str) == "hello"
        assert await bp.receive() == bp.Down(ref, pid, "normal")
        with pytest.raises(TimeoutError):
            await bp.receive(timeout=0.01)
        counter = await Counter.start_link(1)
        assert await counter.add(2) == 3


async def test_an_exit_signal_reaches_the_body_as_exited() -> None:
    async def bomb() -> None:
        bp.exit("boom")

    with pytest.raises(bp.errors.Exited) as caught:
        async with bp.Node():
            bp.spawn_link(bomb)
            await bp.receive()
    assert caught.value.reason == "boom"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_an_error_in_the_body_ends_linked_processes_and_comes_out() -> None:
    seen = []

    async def linked() -> None:
        bp.trap_exit()
        seen.append(await bp.receive())

    with pytest.raises(ValueError, match="body"):
        async with bp.Node():
            bp.spawn_link(linked)
            await asyncio.sleep(0)
            raise ValueError("body")
    assert isinstance(seen[0], bp.Exit)
    assert seen[0].reason == bp.Crash("ValueError", "body")


async def test_a_node_cannot_be_started_twice() -> None:
    node = bp.Node()
    async with node:
        pass
    with pytest.raises(bp.errors.BeampyError, match="new Node"):
        async with node:
            pass


async def test_nothing_works_after_the_end() -> None:
    async with bp.Node() as node:
        pid = bp.self()
    for verb in (bp.self, lambda: bp.send(pid, 1), lambda: node.spawn(asyncio.sleep, 0), node.statistics):
        with pytest.raises(bp.errors.NotInNode):
            verb()


async def test_two_nodes_on_one_loop_do_not_mix() -> None:
    async def name(to: bp.Pid) -> None:
        bp.send(to, bp.self().node)

    async with bp.Node("a") as a:
        here = bp.self()
        bp.register("me", here)
        async with bp.Node("b") as b:
            assert bp.whereis("me") is None
            b.spawn(name, bp.self())
            assert await bp.receive() == "b@localhost"
            bp.send(("me", "a@localhost"), "across")
            with pytest.raises(bp.errors.NotLocal):
                bp.is_alive(here)
            await bp.ping("a@localhost")
            assert bp.nodes() == ["a@localhost"]
        assert await bp.receive(timeout=5) == "across"
        a.spawn(name, here)
        assert await bp.receive(timeout=5) == "a@localhost"


async def test_node_run_gives_the_value_the_error_or_the_exit() -> None:
    async def value(n: int) -> int:
        return n

    async def fail() -> None:
        raise KeyError("x")

    async def killed() -> None:
        bp.exit(bp.self(), "kill")
        await bp.receive()

    async with bp.Node() as node:
        assert await node.run(value, 5) == 5
        with pytest.raises(KeyError):
            await node.run(fail)
        with pytest.raises(bp.errors.Exited, match="killed"):
            await node.run(killed)


async def test_cancelling_node_run_ends_the_process() -> None:
    ends = []

    async def forever() -> None:
        try:
            await bp.receive()
        finally:
            ends.append("ended")

    async with bp.Node() as node:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await node.run(forever)
        assert ends == ["ended"]


@pytest.mark.parametrize("start", ["start", "start_link"])
async def test_a_server_that_traps_exits_terminates_when_its_node_stops(start: str) -> None:
    ends = []

    class Trapping(bp.Server):
        trap_exit = True

        async def handle_info(self, message: object) -> None:
            ends.append(message)

        async def terminate(self, reason: object) -> None:
            ends.append(reason)

    loop = asyncio.get_running_loop()
    async with bp.Node(shutdown_timeout=30):
        await getattr(Trapping, start)()
        began = loop.time()
    assert ends == ["shutdown" if start == "start" else "normal"]
    assert loop.time() - began < 15


async def test_what_does_not_end_in_time_is_killed_and_named(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn() -> None:
        while True:
            try:
                await bp.receive()
            except asyncio.CancelledError:
                await asyncio.sleep(1000)

    async with bp.Node(shutdown_timeout=0.05):
        bp.spawn(stubborn)
        await asyncio.sleep(0)
    assert "stubborn" in caplog.text
    assert "killed" in caplog.text


async def test_strict_copies_messages_and_refuses_what_cannot_travel() -> None:
    async def body() -> tuple[list[int], object]:
        mutable = [1]
        bp.send(bp.self(), mutable)
        mutable.append(2)
        with pytest.raises(bp.errors.EncodeError, match="cannot travel"):
            bp.send(bp.self(), threading.Lock())
        bp.send(bp.self(), bp.self())
        return await bp.receive(), await bp.receive() == bp.self()

    assert await harness.run(body, strict=True) == ([1], True)


async def test_strict_answers_that_cannot_travel_are_the_callers_error() -> None:
    class Locks(bp.Server):
        @bp.call
        def get(self) -> object:
            return threading.Lock()

        async def handle_call(self, request: object, from_: object) -> object:
            return bp.Reply(threading.Lock())

    async def body() -> None:
        server = await Locks.start()
        with pytest.raises(bp.errors.EncodeError):
            await server.get()
        with pytest.raises(bp.errors.EncodeError):
            await bp.call(server, "x")
        assert bp.is_alive(server.pid)

    await harness.run(body, strict=True)


async def test_strict_calls_keep_the_errors_type() -> None:
    async def body() -> None:
        counter = await Counter.start()
        with pytest.raises(ValueError, match="as asked"):
            await counter.fail()
        assert await counter.add(1) == 1

    await harness.run(body, strict=True)


async def test_the_tracer_sees_spawns_sends_and_exits() -> None:
    events = []

    async def worker() -> None:
        await bp.receive()

    async with bp.Node() as node:
        node.trace(lambda event, pid, detail: events.append((event, pid, detail)))
        pid, _ = bp.spawn_monitor(worker)
        bp.send(pid, "work")
        await bp.receive(bp.Down)
        node.trace(None)
        bp.spawn(worker)
        me = bp.self()
    assert events == [("spawn", me, pid), ("send", me, (pid, "work")), ("exit", pid, None)]


async def test_a_tracer_that_fails_is_harmless(caplog: pytest.LogCaptureFixture) -> None:
    def tracer(event: str, pid: bp.Pid, detail: object) -> None:
        raise RuntimeError("tracer")

    async def worker() -> None:
        pass

    async with bp.Node() as node:
        node.trace(tracer)
        bp.spawn_monitor(worker)
        await bp.receive(bp.Down)
        node.trace(None)
    assert "the tracer failed" in caplog.text


# bp.start


@own_loop
def test_start_gives_scripts_a_node() -> None:
    with bp.start("script") as node:
        counter = Counter.start(10).result(timeout=5)
        assert counter.add(5).result(timeout=5) == 15
        pid = bp.spawn(asyncio.sleep, 0)
        assert isinstance(pid, bp.Pid)
        assert node.run(asyncio.sleep, 0, "value").result(5) == "value"
        with pytest.raises(ValueError, match="as asked"):
            counter.fail().result(5)
        with pytest.raises(TimeoutError):
            counter.sleep(30).result(0.01)
    with pytest.raises(bp.errors.NotInNode):
        bp.self()


@own_loop
def test_a_node_may_be_stopped_twice_and_by_several_threads() -> None:
    node = bp.start()
    threads = [threading.Thread(target=lambda: node.stop().result(10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    node.stop().result(10)
    assert "stopped" in repr(node)


@own_loop
def test_start_speaks_for_every_thread() -> None:
    with bp.start():
        results = []

        def work() -> None:
            results.append(Counter.start(1).result(5).add(1).result(5))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert results == [2, 2, 2, 2]


@own_loop
def test_sends_of_one_thread_keep_their_order() -> None:
    seen: list[int] = []
    done = threading.Event()

    async def sink() -> None:
        async for message in bp.mailbox():
            seen.append(message)
            if message == 999:
                done.set()

    with bp.start():
        pid = bp.spawn(sink)
        for n in range(1000):
            bp.send(pid, n)
        assert done.wait(10)
    assert seen == list(range(1000))


@own_loop
def test_a_failing_start_says_why() -> None:
    with pytest.raises(bp.errors.BadName):
        bp.start("no spaces here")


@own_loop
def test_the_interpreter_ends_a_node_that_nobody_stopped(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import beampy as bp
            async def worker():
                try:
                    await bp.receive()
                finally:
                    print("worker ended", flush=True)
            bp.start("script")
            bp.spawn(worker)
            print("end of script", flush=True)
        """)
    )
    root = os.path.dirname(os.path.dirname(bp.__file__))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": root},
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["end of script", "worker ended"]
    assert not done.stderr


# handles


async def test_handles_from_another_loop() -> None:
    """The node runs on its own thread; this test's loop awaits the handles."""
    node = bp.start("elsewhere")
    try:
        counter = await Counter.start(1)
        assert await asyncio.gather(counter.add(1), counter.add(1)) == [2, 3]
        slow = counter.sleep(30)
        assert not slow.done()
        assert "running" in repr(slow)
        assert slow.cancel()
        assert slow.cancelled()
        with pytest.raises(asyncio.CancelledError):
            await slow
    finally:
        await node.stop()


test_handles_from_another_loop = pytest.mark.loops("asyncio", "uvloop")(test_handles_from_another_loop)


@own_loop
def test_cancelling_a_handle_ends_its_work() -> None:
    ended = threading.Event()

    async def forever() -> None:
        try:
            await bp.receive()
        finally:
            ended.set()

    with bp.start() as node:
        handle = node.run(forever)
        while not any(info and "forever" in str(info.label) for info in map(bp.process_info, bp.processes())):
            time.sleep(0.001)
        assert handle.cancel()
        assert ended.wait(10)


@own_loop
def test_a_failure_that_nobody_looks_at_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("lost")

    with bp.start() as node:
        handle = node.run(fail)
        while not handle.done():
            time.sleep(0.001)
        del handle
    assert [r for r in caplog.records if "nobody looked" in r.message]
    caplog.clear()
    with bp.start() as node, pytest.raises(ValueError, match="lost"):
        node.run(fail).result(5)
    assert not caplog.records


async def test_an_unseen_failure_of_a_call_in_a_process_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        bp.call("nobody", "x")

    await harness.run(body)
    assert "nobody looked at the failure of a call" in caplog.text


async def test_result_on_the_nodes_own_loop_is_refused() -> None:
    async def body() -> None:
        counter = await Counter.start()
        call = counter.add()
        with pytest.raises(RuntimeError, match="await the handle"):
            call.result(1)
        assert await call == 1
        assert call.result() == 1
        start = Counter.start()
        with pytest.raises(RuntimeError, match="await the handle"):
            start.result()
        await start

    await harness.run(body)


async def test_a_call_is_sent_at_the_call_not_at_the_await() -> None:
    async def body() -> int:
        counter = await Counter.start()
        first = counter.add(1)
        await counter.add(10)
        assert first.done()
        return await first

    assert await harness.run(body) == 1
