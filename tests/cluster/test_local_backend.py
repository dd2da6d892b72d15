"""The local backend: held to what every backend does, and that nothing of it is left, however its parent ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.errors.pool import PoolError
from beampy.pool import reaping
from beampy.pool.backend import Backend, Machine
from beampy.pool.backends import LocalBackend, local
from beampy.testing.backends import BackendConformance, Home

ROOT = str(Path(__file__).resolve().parents[2])
BOOTS = 30.0  # seconds for a machine to dial home
GONE = 10.0  # seconds for processes to end

linux = pytest.mark.skipif(sys.platform != "linux", reason="a zygote needs Linux")


@pytest.mark.loops("uvloop")
@linux
class TestForking(BackendConformance):
    def make(self) -> Backend:
        return LocalBackend(fork=True)


@pytest.mark.loops("asyncio")
class TestSpawning(BackendConformance):
    def make(self) -> Backend:
        return LocalBackend(fork=False)


# ---- nothing is left ----


async def parent(*arguments: str) -> asyncio.subprocess.Process:
    """The program, up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.cluster.backend_parent", *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ROOT},
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


async def none_is_left(family: list[reaping.Process]) -> None:
    """Wait until none runs: the issue's 2 seconds, on a machine that does much else."""
    async with asyncio.timeout(GONE):
        while any(map(reaping.alive, family)):
            await asyncio.sleep(0.005)


def logs_of(process: asyncio.subprocess.Process) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"beampy-pool-*/*{process.pid}*.log"))


@pytest.mark.loops("asyncio")
@pytest.mark.parametrize("what", ["idle", "gil", "others", "others gil idle others"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
@linux
async def test_whatever_ends_the_parent_ends_all(what: str, number: int) -> None:
    process = await parent("fork", *what.split())
    family = reaping.below(process.pid)
    assert len(family) >= 1 + len(what.split()) + 6 * what.count("others")
    assert logs_of(process)
    process.send_signal(number)
    await process.wait()
    await none_is_left(family)
    async with asyncio.timeout(GONE):
        while logs_of(process):
            await asyncio.sleep(0.005)


@pytest.mark.loops("asyncio")
@linux
async def test_a_stopped_parent_that_is_killed() -> None:
    process = await parent("fork", "others")
    family = reaping.below(process.pid)
    process.send_signal(signal.SIGSTOP)
    process.kill()
    await process.wait()
    await none_is_left(family)


@pytest.mark.loops("asyncio")
@pytest.mark.parametrize("what", ["idle", "gil"])
@linux
async def test_spawned_runners_end_with_their_parent(what: str) -> None:
    process = await parent("spawn", what)
    family = reaping.below(process.pid)
    assert family
    process.kill()
    await process.wait()
    await none_is_left(family)
    shutil.rmtree(logs_of(process)[0].parent)  # nobody is there who could


# ---- what only this backend has ----


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[LocalBackend, Home]]:
    backend = LocalBackend(**options)
    async with Home() as home:
        await backend.start()
        try:
            yield backend, home
        finally:
            await backend.stop()


async def up(backend: LocalBackend, home: Home) -> Machine:
    machine = await backend.boot(home.order(BOOTS))
    await home.hello(machine.name, BOOTS)
    return machine


@pytest.mark.loops("asyncio", "uvloop")
@linux
async def test_a_preload_that_starts_threads_means_spawning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    async with running(preload=["threaded"]) as (backend, home):
        machines = await asyncio.gather(up(backend, home), up(backend, home))
        warnings = [record.message for record in caplog.records if "without fork" in record.message]
        assert len(warnings) == 1
        assert "2 threads" in warnings[0]
        assert "spawns" in repr(backend)
        await backend.terminate(machines[0])
        assert (await backend.describe(machines[0])).status == -signal.SIGKILL


@pytest.mark.loops("asyncio", "uvloop")
@linux
async def test_a_preloaded_module_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(preload=["sched"]) as (backend, home):
        machine = await up(backend, home)
        assert await bp.remote_call(machine.name, "sys.modules.__contains__", "sched")


@pytest.mark.loops("asyncio", "uvloop")
@linux
async def test_another_zygote_when_the_first_was_killed() -> None:
    async with running() as (backend, home):
        machine = await up(backend, home)
        zygote = reaping.look(machine.detail["os_pid"])
        assert zygote is not None
        os.kill(zygote.parent, signal.SIGKILL)
        found = await backend.describe(machine)
        assert (found.state, found.status) == ("ended", None)
        await up(backend, home)
        await backend.terminate(machine)


@pytest.mark.loops("asyncio", "uvloop")
@linux
async def test_a_first_call_imports_nothing_of_beampy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "forked.py").write_text(
        "import os, sys\n"
        "known = set()\n"
        "os.register_at_fork(after_in_child=lambda: known.update(sys.modules))\n"
        "def later():\n"
        "    return len(known), sorted(set(sys.modules) - known)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    async with running(preload=["forked"]) as (backend, home):
        machine = await up(backend, home)
        job = "beampy.pool.job:run"
        known, later = await bp.remote_call(machine.name, job, 1, "forked:later", (), {}, (None, None, None))
        assert known > 100
        assert [name for name in later if name.partition(".")[0] == "beampy"] == []


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_log_dir_of_ones_own_stays(tmp_path: Path) -> None:
    async with running(log_dir=tmp_path / "logs") as (backend, home):
        machine = await up(backend, home)
        await bp.remote_call(machine.name, "os.write", 2, b"remember\n")
    files = list((tmp_path / "logs").glob("*.log"))
    assert any("remember" in file.read_text() for file in files)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


@pytest.mark.loops("asyncio")
@pytest.mark.parametrize("fork", [True, False])
@linux
async def test_memory_beyond_the_limit_is_an_error_there(fork: bool) -> None:
    async with running(fork=fork, memory=1 << 30) as (backend, home):
        machine = await up(backend, home)
        with pytest.raises(MemoryError):
            await bp.remote_call(machine.name, "builtins.bytearray", 2 << 30)
        assert await bp.remote_call(machine.name, "operator.add", 1, 2) == 3


@pytest.mark.loops("asyncio", "uvloop")
async def test_ended_machines_are_forgotten_at_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "KEPT", 2)
    async with running() as (backend, home):
        machines = []
        for _ in range(4):
            machines.append(await up(backend, home))
            await backend.terminate(machines[-1])
        await up(backend, home)
        states = [(await backend.describe(each)).state for each in machines]
        assert states == ["unknown", "unknown", "ended", "ended"]
        kept = os.listdir(Path(machines[0].detail["log"]).parent)
        assert [Path(each.detail["log"]).name in kept for each in machines] == [False, False, True, True]


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="preload"):
        LocalBackend(preload="numpy")
    with pytest.raises(ValueError, match="memory"):
        LocalBackend(memory=-1)


@pytest.mark.loops("asyncio")
@linux
async def test_an_interpreter_that_has_no_beampy(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho there is no beampy here >&2\nexit 1\n")
    python.chmod(0o700)
    backend = LocalBackend(python=str(python))
    await backend.start()
    async with Home() as home:
        with pytest.raises(PoolError, match="there is no beampy here"):
            await backend.boot(home.order(BOOTS))
    await backend.stop()


@pytest.mark.loops("asyncio")
async def test_no_such_interpreter(tmp_path: Path) -> None:
    backend = LocalBackend(python=str(tmp_path / "python"))
    with pytest.raises(PoolError, match="cannot be run"):
        await backend.start()
        async with Home() as home:
            await backend.boot(home.order(BOOTS))
    await backend.stop()
