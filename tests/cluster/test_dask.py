"""`pool.dask()` and `to_dask` on real runners: workers that live and die with the pool, where the data is."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.errors import BootFailed
from beampy.pool.backends.local import LocalBackend
from beampy.testing import leaks
from tests.cluster.dask_ground import DEADLINE, pids, until, up, workers
from tests.cluster.dask_tasks import slow

distributed = pytest.importorskip("distributed", reason="dask is not installed: pip install 'beampy[dask]'")
dask = pytest.importorskip("dask")
SpecCluster = distributed.SpecCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster]

leaks.allow_thread("Dask-Offload")  # one of dask's for the whole process, from the first use on
ROOT = str(Path(__file__).resolve().parents[2])


@pytest.fixture
def own_tmp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory for temporary files, of this process and of its runners."""
    path = tmp_path / "t"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return path


def left(path: Path) -> list[str]:
    return [name for name in os.listdir(path) if "dask" in name]


@contextmanager
def nothing_left(capfd: pytest.CaptureFixture[str], own_tmp: Path) -> Iterator[None]:
    """No file of dask's is left, and nothing was said."""
    yield
    assert left(own_tmp) == []
    assert capfd.readouterr().err == ""


# workers


def test_workers_run_in_the_runners_and_leave_nothing(capfd: pytest.CaptureFixture[str], own_tmp: Path) -> None:
    with nothing_left(capfd, own_tmp), bp.Pool(max=3) as pool:
        client = pool.dask(workers=2, threads=2)
        assert pids(client) == sorted(up(pool))
        assert client.submit(os.getpid).result() in up(pool)
        assert sorted(client.nthreads().values()) == [2, 2]
        assert client.cluster.scheduler.services == {}
        assert client.scheduler.address.startswith("tls://127.0.0.1:")
        client.close()
        assert pool.call(os.getpid).result() in up(pool)


def test_a_worker_is_where_a_runner_is_and_one_at_least() -> None:
    with bp.Pool(min=2, max=3) as pool:
        until(lambda: len(up(pool)) == 2)
        with pool.dask() as client:
            assert pids(client) == sorted(up(pool))
    with bp.Pool(max=3) as pool, pool.dask() as client:
        assert len(workers(client)) == 1


def test_runners_are_kept_for_workers_and_let_go_with_them() -> None:
    with bp.Pool(max=3, idle_shutdown_after=0.1) as pool:
        client = pool.dask(workers=2)
        before = pids(client)
        questions = pool._working().questions
        pool.resize(min=0)
        until(lambda: pool._working().questions > questions + 2)
        assert pids(client) == before
        client.close()
        until(lambda: not pool.runners())
        assert pool._working().plan.limits.min == 0


def test_scale_up_and_down() -> None:
    with bp.Pool(max=3, idle_shutdown_after=0.1) as pool, pool.dask(workers=1) as client:
        client.cluster.scale(3)
        client.wait_for_workers(3, timeout=DEADLINE)
        assert pids(client) == sorted(up(pool))
        client.cluster.scale(1)
        until(lambda: len(up(pool)) == 1)
        assert pids(client) == up(pool)
        with pytest.raises(ValueError, match=r"at most 3 runners; pool\.resize\(max=4\)"):
            client.cluster.scale(4)
        assert client.submit(sum, [1, 2]).result() == 3


def test_adaptive_workers_come_with_work_and_go_after_it() -> None:
    with bp.Pool(max=2, idle_shutdown_after=0.1) as pool, pool.dask(workers=1) as client:
        client.cluster.adapt(minimum=0, interval="50ms", wait_count=2)
        until(lambda: not up(pool))
        assert client.submit(os.getpid).result(timeout=DEADLINE)
        until(lambda: not up(pool))


def test_two_clusters_share_the_runners() -> None:
    with bp.Pool(max=2) as pool, pool.dask(workers=2) as one, pool.dask(workers=2) as two:
        assert pids(one) == pids(two) == sorted(up(pool))
        one.close()
        assert two.submit(sum, [1, 2]).result() == 3
        assert pool._working().plan.limits.min == 2


def test_what_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with bp.Pool(max=2) as pool:
        with pytest.raises(ValueError, match="workers is a number from 1 to the pool's max, which is 2, not 3"):
            pool.dask(workers=3)
        with pytest.raises(ValueError, match="threads is a number"):
            pool.dask(threads=0)
        with pytest.raises(ValueError, match=r"security=False is for 127\.0\.0\.1 only"):
            pool.dask(security=False, host="192.0.2.1")
        with pytest.raises(ValueError, match=r"workers is a number .*, not '2'"):
            pool.dask(workers="2")  # type: ignore[arg-type]
        with pytest.raises(
            ValueError, match="memory_limit is bytes, 'auto' or a text like '4 GiB': Could not interpret"
        ):
            pool.dask(memory_limit="much")
        with pytest.raises(OSError, match=r"dask's scheduler cannot listen on 192\.0\.2\.1: .*; say another host="):
            pool.dask(host="192.0.2.1")
        with pytest.raises(TypeError, match="security is"):
            pool.dask(security="tls")
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'beampy\[dask\]'"):
            pool.dask()


def test_no_runner_comes_up() -> None:
    from beampy.frames import dask_seats

    with pytest.MonkeyPatch.context() as patch, bp.Pool(max=1, boot_timeout=0.1) as pool:
        patch.setattr(dask_seats, "STARTING", 0.1)
        patch.setattr(type(pool._working().backend), "boot", refuse)
        patch.setattr(logging.getLogger("distributed"), "handlers", [written := logging.NullHandler()])
        with pytest.raises(BootFailed, match="no machines today"):
            pool.dask(workers=1)
        assert threads() == []
        assert written.filters == []


async def refuse(*_: Any, **__: Any) -> Any:
    raise OSError("no machines today")


class Waiting(LocalBackend):
    """The second machine comes when it is let; of none comes any."""

    def __init__(self) -> None:
        super().__init__()
        self.boots = 0
        self.second = threading.Event()
        self.none = False

    async def boot(self, *args: Any, **kwargs: Any) -> Any:
        self.boots += 1
        if self.boots > 1 and self.none:
            raise OSError("no second machine")
        while self.boots > 1 and not self.second.is_set():
            await asyncio.sleep(0.01)
        return await super().boot(*args, **kwargs)


def threads() -> list[str]:
    """Those of clusters."""
    return [thread.name for thread in threading.enumerate() if thread.name == "IO loop" or "dask " in thread.name]


def test_a_worker_that_is_not_wanted_any_more_is_not_waited_for() -> None:
    backend = Waiting()
    with bp.Pool(max=2, backend=backend) as pool, pool.dask(workers=1) as client:
        before = pids(client)
        client.cluster.scale(2)
        until(lambda: backend.boots == 2)
        client.cluster.scale(1)
        until(lambda: pool._working().plan.limits.min == 1)
        assert pids(client) == before
        client.cluster.scale(2)
        backend.second.set()
        client.wait_for_workers(2, timeout=DEADLINE)


def test_a_worker_that_cannot_be_had_is_said_once_for_each_time(caplog: pytest.LogCaptureFixture) -> None:
    backend = Waiting()
    backend.none = True
    with bp.Pool(max=2, backend=backend, backoff=0.01) as pool, pool.dask(workers=1) as client:
        client.cluster.scale(2)
        until(lambda: [each for each in caplog.messages if "tried again in 0.2 s" in each])
        (first,) = [each for each in caplog.messages if "tried again in 0.1 s" in each]
        assert first.count("after 3 rounds of attempts: OSError: no second machine;") == 1
        assert first.count("got no runner") == 1
        backend.none = False
        backend.second.set()
        client.wait_for_workers(2, timeout=DEADLINE)


def test_ctrl_c_while_it_starts_leaves_nothing(capfd: pytest.CaptureFixture[str], own_tmp: Path) -> None:
    backend = Waiting()

    def interrupt() -> None:
        until(lambda: backend.boots == 2 and pool._working().plan.limits.min == 2)
        os.kill(os.getpid(), signal.SIGINT)

    with nothing_left(capfd, own_tmp), bp.Pool(max=2, backend=backend) as pool:
        with ThreadPoolExecutor(1) as executor:
            told = executor.submit(interrupt)
            with pytest.raises(KeyboardInterrupt):
                pool.dask(workers=2)
            told.result()
        assert threads() == []
        assert pool._working().plan.limits.min == 0
        assert pool._working().guests == []
        backend.second.set()
        with pool.dask(workers=2) as client:
            assert client.submit(sum, [1, 2]).result() == 3


def test_two_at_once_leave_the_configuration_as_it_was() -> None:
    names = ("distributed.worker.profile.enabled", "distributed.admin.tick.interval")
    before = [dask.config.get(name) for name in names]
    with bp.Pool(max=1) as pool:
        with ThreadPoolExecutor(2) as executor:
            clients = [each.result() for each in [executor.submit(pool.dask) for _ in range(2)]]
        assert [dask.config.get(name) for name in names] == before
        assert [client.submit(sum, [1, 2]).result() for client in clients] == [3, 3]
        for client in [*clients, *clients]:
            client.close()
        assert threads() == []


def test_what_cannot_be_sent_is_not_kept() -> None:
    lock = threading.Lock()
    with bp.Pool(max=1) as pool, pool.dask() as client:
        with pytest.raises(TypeError, match="Could not serialize"):
            client.submit(lambda: lock)
        assert client.cluster.scheduler._flying == {}


def test_who_has_no_certificate_is_refused() -> None:
    from distributed.comm import connect

    async def knock(address: str, security: Any) -> None:
        comm = await connect(address, timeout=2, **security.get_connection_args("client"))
        comm.abort()

    with bp.Pool(max=1) as pool, pool.dask() as client:
        (worker,) = client.scheduler_info()["workers"]
        for address in (client.scheduler.address, worker):
            asyncio.run(knock(address, client.cluster.security))
            for security in (distributed.Security(), distributed.Security.temporary()):
                other = address if security.require_encryption else address.replace("tls", "tcp")
                with pytest.raises(OSError):
                    asyncio.run(knock(other, security))
        assert client.submit(sum, [1, 2]).result() == 3


def test_plain_connections_on_loopback_where_that_is_said() -> None:
    with bp.Pool(max=1) as pool, pool.dask(security=False) as client:
        assert client.scheduler.address.startswith("tcp://127.0.0.1:")
        assert client.submit(sum, [1, 2]).result() == 3


# losses


def test_a_lost_runner_is_replaced_and_the_work_is_done(tmp_path: Path) -> None:
    with bp.Pool(max=3) as pool, pool.dask(workers=2) as client:
        before = pids(client)
        futures = client.map(slow, range(60), folder=str(tmp_path))
        until(lambda: len(list(tmp_path.glob("*-*"))) > 6)
        os.kill(before[0], signal.SIGKILL)
        assert client.gather(futures) == list(range(60))
        until(lambda: len(workers(client)) == 2)
        now = pids(client)
        assert len(now) == 2
        assert before[0] not in now
        assert before[1] in now


def test_a_worker_that_ends_itself_is_replaced_on_its_runner() -> None:
    with bp.Pool(max=1) as pool, pool.dask(workers=1) as client:
        first = list(client.scheduler_info()["workers"])
        client.restart(timeout=DEADLINE)
        until(lambda: workers(client))
        assert list(client.scheduler_info()["workers"]) != first
        assert pids(client) == up(pool)


def test_the_pool_stops_with_its_client_open(capfd: pytest.CaptureFixture[str], own_tmp: Path, tmp_path: Path) -> None:
    with nothing_left(capfd, own_tmp):
        with bp.Pool(max=2) as pool:
            client = pool.dask(workers=2)
            futures = client.map(slow, range(1000), folder=str(tmp_path))
            until(lambda: list(tmp_path.glob("*-*")))
        assert client.status == "closed"
        assert client.cluster.status == distributed.Status.closed
        with pytest.raises(Exception, match=r"cancel|closed"):
            futures[-1].result(timeout=DEADLINE)
        client.close()


def test_the_node_stops_with_its_client_open(capfd: pytest.CaptureFixture[str], own_tmp: Path) -> None:
    before = threading.active_count() + 1  # dask's own for the whole process
    with nothing_left(capfd, own_tmp):
        node = bp.start()
        pool = bp.Pool(max=1)
        client = pool.dask()
        assert client.submit(sum, [1, 2]).result() == 3
        node.stop().result()
        until(lambda: client.status == "closed" and threading.active_count() <= before)


SCRIPT = """
import sys, beampy as bp
def where(x):
    import os
    return os.getpid()
if __name__ == "__main__":
    node = bp.start()
    pool = bp.Pool(max=2)
    client = pool.dask(workers=2)
    print(len(set(client.gather(client.map(where, range(8), pure=False)))) > 0, flush=True)
    HOW
"""


@pytest.mark.parametrize("how", ["pass", "raise SystemExit(0)", "client.close()", "node.stop().result()"])
def test_a_script_ends_whatever_it_closes(own_tmp: Path, tmp_path: Path, how: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("HOW", how))
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": ROOT}
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True\n", "")
    assert left(own_tmp) == []


def test_a_worker_that_is_lost_while_another_one_comes_is_replaced() -> None:
    backend = Waiting()

    def kill() -> None:
        try:
            until(lambda: backend.boots == 2)
            (worker,) = until(lambda: [worker for worker in created() if worker.status == distributed.Status.running])
            os.kill(up(pool)[0], signal.SIGKILL)
            until(lambda: worker.status == distributed.Status.closed)
        finally:
            backend.second.set()

    def created() -> list[Any]:
        return [worker for each in list(SpecCluster._instances) for worker in list(each._created)]

    with bp.Pool(max=2, backend=backend) as pool, ThreadPoolExecutor(1) as executor:
        killed = executor.submit(kill)
        with pool.dask(workers=2) as client:
            killed.result()
            client.wait_for_workers(2, timeout=DEADLINE)
            assert len(pids(client)) == 2


# async code


@pytest.mark.loops("asyncio", "uvloop")
async def test_async_code_that_leaves_while_it_starts_leaves_no_cluster() -> None:
    backend = Waiting()
    async with bp.Pool(max=2, backend=backend) as pool:
        starts = asyncio.ensure_future(pool.dask(workers=2, asynchronous=True))
        while backend.boots < 2:
            await asyncio.sleep(0)
        starts.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starts
        backend.second.set()
        await asyncio.to_thread(until, lambda: not threads() and pool._working().plan.limits.min == 0)
        assert pool._working().guests == []


def test_a_client_of_a_loop_that_is_over_ends_with_the_pool() -> None:
    async def main() -> Any:
        client = await pool.dask(asynchronous=True)
        assert await client.submit(sum, [1, 2]) == 3
        return client

    with bp.Pool(max=1) as pool:
        client = asyncio.run(main())
    assert client.status == "closed"
    del client
    gc.collect()  # dask closes connections that a loop has left behind


@pytest.mark.loops("asyncio", "uvloop")
async def test_async_code_has_a_client_on_its_own_loop() -> None:
    async with bp.Pool(max=2) as pool:
        with pytest.raises(RuntimeError, match="asynchronous=True"):
            pool.dask()
        client = await pool.dask(workers=1, asynchronous=True)
        assert await client.submit(os.getpid) in up(pool)
        client.cluster.scale(2)
        await client.wait_for_workers(2, timeout=DEADLINE)
        await client.close()
        assert client.cluster.status == distributed.Status.closed
        again = await pool.dask(workers=1, asynchronous=True)
        assert await again.submit(sum, [1, 2]) == 3
    assert again.status == "closed"


# code


MAIN = """
import importlib, os, sys
import beampy as bp, helpers
from beampy.pool.backends.local import LocalBackend

def cell(x):
    from helpers import inner
    print("task", x)
    return helpers.scale(x) + inner(x)

def found():
    return [each for each in sys.path if os.path.exists(os.path.join(each, "helpers.py"))]

if __name__ == "__main__":
    said = []  # what tasks print comes on another way, whenever it does
    with bp.Pool(max=1, backend=LocalBackend(fork=False)) as pool, pool.dask() as client:
        said.append(client.submit(found).result())
        said.append((client.submit(cell, 1).result(), client.submit(helpers.scale, 4).result()))
        said.append(client.submit(lambda: helpers.LIMIT).result())
        said.append(client.gather(client.map(helpers.Point, range(2))))
        try:
            client.submit(helpers.broken).result()
        except ModuleNotFoundError as error:
            said.append(error)
        with open(helpers.__file__, "a") as file:
            print("def scale(x): return 1000 * x", file=file)
        said.append(client.submit(cell, 2).result())
        importlib.reload(helpers)
        said.append((client.submit(cell, 3).result(), client.submit(helpers.scale, 5).result()))
    for each in said:
        print(each)
"""
HELPERS = """
LIMIT = 7
def scale(x):
    return 10 * x
def inner(x):
    import more
    return more.add(x)
def broken():
    import nowhere
class Point:
    def __init__(self, x):
        self.x = x
    def __repr__(self):
        return f"Point({self.x})"
"""


def test_modules_beside_the_script_are_there_in_tasks(tmp_path: Path) -> None:
    home, empty = tmp_path / "home", tmp_path / "empty"
    empty.mkdir()
    home.mkdir()
    for name, text in {"main.py": MAIN, "helpers.py": HELPERS, "more.py": "def add(x):\n    return x + 1\n"}.items():
        (home / name).write_text(text)
    environ = os.environ | {"PYTHONPATH": ROOT}
    ran = subprocess.run(
        [sys.executable, str(home / "main.py")], capture_output=True, text=True, timeout=60, env=environ, cwd=empty
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[:3] == ["task 1", "task 2", "task 3"]
    assert lines[3:7] == ["[]", "(12, 40)", "7", "[Point(0), Point(1)]"]
    assert lines[7:] == ["No module named 'nowhere'", "23", "(3004, 5000)"]  # a module is as it was imported here
    assert len(ran.stderr.splitlines()) <= 1  # that a file was edited, and not reloaded


def test_what_a_task_prints_appears_here(capfd: pytest.CaptureFixture[str]) -> None:
    with bp.Pool(max=1) as pool, pool.dask() as client:
        client.submit(print, "from a task").result()
        until(lambda: "from a task" in capfd.readouterr().out)
