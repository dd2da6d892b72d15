"""Runners as real processes, started as backends start them: how they come up, serve, and end, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.pool.messages import Ended, Fork, Forked, Gone, Hello, Kill, Refused, Still, Stop, Welcome
from beampy.pool.spec import VARIABLE, RunnerSpec
from beampy.pool.terminator import DONE, LOST, NEVER, REFUSED

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

COOKIE = "Qh8sT1zFvE5oGx6uPy4iWjAbC93kLmN0"
PARENT = "home@127.0.0.1"
NAME = "runner@127.0.0.1"
MANAGER = "the manager of a test"
DEADLINE = 20.0  # seconds; an interpreter has to start


class Home:
    """The pool's side, and the processes it has started."""

    def __init__(self, directory: Any) -> None:
        self.directory = directory
        self.started: list[subprocess.Popen[bytes]] = []
        self.answer: Any = lambda hello: Welcome(1)
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.node: bp.Node
        self.manager: bp.Pid

    def spec(self, **changes: Any) -> RunnerSpec:
        peers = self.node._peers
        assert peers is not None
        addresses = [asdict(address) for address in peers.listeners.addresses()]
        return replace(RunnerSpec(NAME, PARENT, addresses, MANAGER, COOKIE, "a ticket"), **changes)

    def start(self, text: str | None, *command: str) -> subprocess.Popen[bytes]:
        """A runner with this spec."""
        env = {key: value for key, value in os.environ.items() if key != VARIABLE}
        if text is not None:
            env[VARIABLE] = text
        with open(self.directory / f"log{len(self.started)}", "wb") as log:
            process = subprocess.Popen(
                command or [sys.executable, "-m", "beampy.pool.runner"],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def log(self, number: int = -1) -> str:
        number = range(len(self.started))[number]
        return (self.directory / f"log{number}").read_text()

    async def serve(self) -> None:
        """The pool's process."""
        api.register(MANAGER, api.self())
        while True:
            message = await api.receive()
            if message.__class__ is Hello and (answer := self.answer(message)) is not None:
                api.send(message.pid, answer)
            self.inbox.put_nowait(message)

    async def next(self, kind: type) -> Any:
        try:
            async with asyncio.timeout(DEADLINE):
                while (message := await self.inbox.get()).__class__ is not kind:
                    pass
                return message
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} came\n{self.log()}") from None

    async def status(self, process: subprocess.Popen[bytes]) -> int:
        async with asyncio.timeout(DEADLINE):
            while (status := process.poll()) is None:
                await asyncio.sleep(0.005)
        return status


@contextlib.asynccontextmanager
async def home(directory: Any) -> Any:
    """The pool's node; its body is the test's."""
    there = Home(directory)
    async with bp.Node(PARENT, cookie=COOKIE, hidden=True) as node:
        there.node = node
        there.manager = bp.spawn(there.serve)
        try:
            yield there
        finally:
            for process in there.started:
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def call(fn: Any, *args: Any, number: int = 1, node: str = NAME) -> Any:
    return bp.remote_call(node, "beampy.pool.job:run", number, fn, args, {}, (None, None, None))


def environment() -> dict[str, str]:
    return dict(os.environ)


def os_pid() -> int:
    return os.getpid()


def blocks_the_interpreter(path: str) -> None:
    with open(path, "w"):
        pass
    re.match(r"(a+)+$", "a" * 40 + "b")  # minutes, and the GIL is held all along


def sleeps_long(path: str) -> None:
    with open(path, "w"):
        pass
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            time.sleep(600)


async def forever() -> None:
    await asyncio.sleep(1e6)


async def test_it_boots_serves_and_stops(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec(env={"FROM_SPEC": "yes"}).to_text())
        hello = await there.next(Hello)
        assert hello.ticket == "a ticket"
        assert hello.about["os_pid"] == process.pid
        assert hello.about["python"].startswith("3.")
        assert hello.about["addresses"]
        env = await call(environment)
        assert VARIABLE not in env
        assert env["FROM_SPEC"] == "yes"
        assert COOKIE not in str(env)
        assert bp.nodes() == []
        bp.send(hello.pid, Stop(5.0))
        assert await there.status(process) == DONE
        assert there.log() == ""


async def test_the_command_does_the_same(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec().to_text(), sys.executable, "-m", "beampy", "runner")
        hello = await there.next(Hello)
        assert await call(os_pid) == process.pid
        bp.send(hello.pid, Stop(5.0))
        assert await there.status(process) == DONE
        spec = tmp_path / "spec"
        spec.write_text(there.spec().to_text() + "\n")
        process = there.start(None, sys.executable, "-m", "beampy", "runner", "--spec-file", str(spec))
        bp.send((await there.next(Hello)).pid, Stop(5.0))
        assert await there.status(process) == DONE


@pytest.mark.parametrize("text", [None, "nonsense"])
async def test_a_bad_spec(tmp_path, text):
    async with home(tmp_path) as there:
        for command in ((), (sys.executable, "-m", "beampy", "runner")):
            process = there.start(text, *command)
            assert await there.status(process) == 2
            assert VARIABLE in there.log()
            assert "Traceback" not in there.log()


async def test_failsafe_when_nothing_is_there(tmp_path):
    async with home(tmp_path) as there:
        nowhere = [{"host": "127.0.0.1", "port": 1}]
        process = there.start(there.spec(addresses=nowhere, failsafe=0.5).to_text())
        assert await there.status(process) == NEVER
        assert "nothing took this runner within 0.5 s" in there.log()


async def test_failsafe_with_the_wrong_cookie(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec(cookie="Zz8sT1zFvE5oGx6uPy4iWjAbC93kLmN1", failsafe=0.5).to_text())
        assert await there.status(process) == NEVER
        assert "cookie" in there.log()
        assert len(there.log().splitlines()) < 10


async def test_a_refused_ticket(tmp_path):
    async with home(tmp_path) as there:
        there.answer = lambda hello: Refused("your ticket was used before")
        process = there.start(there.spec().to_text())
        assert await there.status(process) == REFUSED
        assert "your ticket was used before" in there.log()


async def test_sigterm_ends_it_in_order(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec().to_text())
        hello = await there.next(Hello)
        running = asyncio.ensure_future(asyncio.wait_for(call(forever), DEADLINE))
        await call(os_pid, number=2)
        bp.monitor_node(NAME)
        process.terminate()
        with pytest.raises((bp.errors.CallKilled, bp.errors.NodeDown)):
            await running
        assert await there.status(process) == DONE
        assert (await bp.receive(bp.NodeDown, timeout=DEADLINE)).reason == "shutdown"
        assert hello.pid.node == NAME


async def test_without_its_pool_it_ends(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec().to_text())
        await there.next(Hello)
        await call(os_pid)  # it has read the Welcome, too
        bp.exit(there.manager, "kill")
        assert await there.status(process) == LOST
        assert f"lost {PARENT}: killed" in there.log()


async def test_sigterm_before_it_is_taken(tmp_path):
    async with home(tmp_path) as there:
        there.answer = lambda hello: None
        process = there.start(there.spec().to_text())
        await there.next(Hello)
        process.terminate()
        assert await there.status(process) == DONE


async def test_a_thread_that_does_not_end_does_not_hold_it_up(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec().to_text())
        hello = await there.next(Hello)
        running = asyncio.ensure_future(asyncio.wait_for(call(sleeps_long, str(tmp_path / "here")), DEADLINE))
        async with asyncio.timeout(DEADLINE):
            while not (tmp_path / "here").exists():
                await asyncio.sleep(0.005)
        running.cancel()
        bp.send(hello.pid, Stop(0.3))
        assert await there.status(process) == DONE


async def test_what_hangs_is_ended_hard(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec().to_text())
        hello = await there.next(Hello)
        go = tmp_path / "go"
        running = asyncio.ensure_future(asyncio.wait_for(call(blocks_the_loop, str(go)), DEADLINE))
        await call(os_pid, number=2)
        go.touch()
        bp.send(hello.pid, Stop(0.5))
        assert await there.status(process) == 1
        assert "blocks_the_loop" in there.log()  # where it hung
        with pytest.raises(bp.errors.NodeDown):
            await running


async def blocks_the_loop(go: str) -> None:
    while not os.path.exists(go):  # noqa: ASYNC240
        await asyncio.sleep(0.005)
    blocks_the_interpreter(os.devnull)


PARENT_PROGRAM = """
import asyncio, os, subprocess, sys
from dataclasses import asdict, replace
import beampy as bp
from beampy import api
from beampy.pool.messages import Drain, Drained, Hello, Welcome
from beampy.pool.spec import RunnerSpec, VARIABLE

async def main():
    api.register({manager!r}, api.self())
    peers = api.self_process().node.remote
    addresses = [asdict(address) for address in peers.listeners.addresses()]
    spec = RunnerSpec({name!r}, {parent!r}, addresses, {manager!r}, {cookie!r}, "t", grace={grace}, parent_pid={tie})
    if {start}:
        process = subprocess.Popen([sys.executable, "-m", "beampy.pool.runner"],
                                   env=os.environ | {{VARIABLE: spec.to_text()}}, start_new_session=True)
    while True:
        message = await api.receive()
        if isinstance(message, Hello):
            hello = message
            api.send(hello.pid, Welcome(1))
            api.send(hello.pid, Drain(1))
        if isinstance(message, Drained):  # it has read the Welcome
            print("hello", hello.about["os_pid"], hello.about.get("again", False), flush=True)

bp.run(main, name={parent!r}, cookie={cookie!r}, port={port}, hidden=True)
"""


def parent(directory: Any, *, grace: float, tie: str, start: bool, port: int) -> subprocess.Popen[bytes]:
    """A program that is the pool's side."""
    text = PARENT_PROGRAM.format(
        manager=MANAGER, name=NAME, parent=PARENT, cookie=COOKIE, grace=grace, tie=tie, start=start, port=port
    )
    path = directory / "parent.py"
    path.write_text(text)
    return subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)


async def line(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    return (await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), DEADLINE)).decode().split()


def running(pid: int) -> bool:
    """Whether a process that is not our child runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def ends(pid: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while running(pid):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("tie", ["os.getpid()", "0"])
async def test_kill_9_of_the_parent(tmp_path, tie):
    first = parent(tmp_path, grace=0, tie=tie, start=True, port=0)
    try:
        said, pid, _ = await line(first)
        assert said == "hello"
        assert running(int(pid))
        first.kill()
        await ends(int(pid))
    finally:
        first.kill()
        first.wait()
        first.stdout.close()


async def test_a_parent_that_comes_back_takes_it_again(tmp_path, free_port):
    first = parent(tmp_path, grace=60, tie="0", start=True, port=free_port)
    second = None
    pid = 0
    try:
        said = await line(first)
        pid = int(said[1])
        assert said == ["hello", str(pid), "False"]
        first.kill()
        first.wait()
        second = parent(tmp_path, grace=0, tie="0", start=False, port=free_port)
        assert await line(second) == ["hello", str(pid), "True"]
        assert running(pid)
    finally:
        if pid and running(pid):
            os.kill(pid, signal.SIGTERM)
            await ends(pid)
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()
                process.stdout.close()


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def test_slots_are_processes_of_their_own(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec(isolation="process", slots=2).to_text())
        hello = await there.next(Hello)
        names = [f"runner-s{n}@127.0.0.1" for n in (1, 2)]
        for name in names:
            bp.send(hello.pid, Fork(there.spec(name=name, isolation="slot").to_text()))
        pids: dict[str, int] = {}
        while len(pids) < 2:
            forked = await there.next(Forked)
            pids[forked.name] = forked.os_pid
        for name in names:
            await bp.connect(name) if name in bp.nodes("hidden") else await connected(name)
            assert await call(os_pid, node=name) == pids[name]
            assert (await call(environment, node=name))["OMP_NUM_THREADS"] == str(max(1, hello.about["cpus"] // 2))
        assert await call(os_pid) == process.pid
        begun = tmp_path / "begun"
        blocking = call(blocks_the_interpreter, str(begun), node=names[0])
        stuck = asyncio.ensure_future(asyncio.wait_for(blocking, DEADLINE))
        async with asyncio.timeout(DEADLINE):
            while not begun.exists():
                await asyncio.sleep(0.005)
        bp.send(hello.pid, Kill(names[0], 0.2))
        ended = await there.next(Ended)
        assert (ended.name, ended.status) == (names[0], -9)
        with pytest.raises(bp.errors.NodeDown):
            await stuck
        bp.send(hello.pid, Kill(names[1], 5.0))
        assert await there.next(Ended) == Ended(names[1], 0, False)
        bp.send(hello.pid, Fork(there.spec(name="runner-s3@127.0.0.1", isolation="slot").to_text()))
        last = (await there.next(Forked)).os_pid
        bp.send(hello.pid, Stop(5.0))
        assert await there.status(process) == DONE
        await ends(last)


async def connected(name: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while name not in bp.nodes("hidden"):
            await asyncio.sleep(0.005)


async def exits_in_a_task() -> None:
    await asyncio.create_task(exits())


async def exits() -> None:
    await asyncio.sleep(0.01)
    sys.exit(3)


async def interrupts_in_a_task() -> None:
    await asyncio.create_task(interrupts())


async def interrupts() -> None:
    raise KeyboardInterrupt


async def test_an_exit_in_a_task_of_a_job_ends_the_job_only(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec().to_text())
        hello = await there.next(Hello)
        for _ in range(3):
            with pytest.raises(bp.errors.RemoteError, match="SystemExit"):
                await call(exits_in_a_task)
            with pytest.raises(bp.errors.RemoteError, match="KeyboardInterrupt"):
                await call(interrupts_in_a_task)
        assert await call(os_pid) == process.pid
        bp.send(hello.pid, Stop(1.0))
        assert await there.status(process) == DONE


async def test_jobs_that_are_given_up(tmp_path):
    async with home(tmp_path) as there:
        process = there.start(there.spec().to_text())
        hello = await there.next(Hello)
        job = call(forever, number=77)
        await call(os_pid)
        job.cancel()
        bp.send(hello.pid, Still((77,)))
        assert await there.next(Gone) == Gone((77,))
        bp.send(hello.pid, Stop(1.0))
        assert await there.status(process) == DONE
