"""Objects kept on real machines: they go from one runner to another directly, keep their runners, and are lost with
them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.dist.connection import Connection
from beampy.dist.discovery import StaticDiscovery
from beampy.errors import OwnerLost
from beampy.pool import reaping
from beampy.refs.service import refs_of
from tests.cluster.test_pool import DEADLINE, until, up, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ROOT = str(Path(__file__).resolve().parents[2])
MB = 1_000_000
both = pytest.mark.parametrize("isolation", ["thread", "process"])


class Rows:
    """Something large enough, that knows where it is."""

    def __init__(self, nbytes: int) -> None:
        self.data = bytes(nbytes)
        self.pid = os.getpid()

    def __reduce__(self) -> Any:
        return copied, (self.data, self.pid)


def copied(data: bytes, pid: int) -> Rows:
    rows = Rows(0)
    rows.data, rows.pid = data, pid
    return rows


def rows(nbytes: int) -> Rows:
    return Rows(nbytes)


def look(some: Rows) -> tuple[int, int, int]:
    """Where the object was made, where this is run, how many bytes there are."""
    return some.pid, os.getpid(), len(some.data)


def there() -> int:
    return os.getpid()


def at_once(folder: str, me: str) -> int:
    """Return when two calls are here at once."""
    (Path(folder) / me).touch()
    while len(os.listdir(folder)) < 2:
        time.sleep(0.005)
    return os.getpid()


async def names(pool: bp.Pool, count: int) -> list[str]:
    pool.resize(min=count)
    await until(lambda: len(up(pool)) == count)
    return [runner["node"] for runner in pool.runners()]


def alive(pid: int) -> bool:
    found = reaping.look(pid)
    return found is not None and reaping.alive(found)


def owned() -> list[Any]:
    """What this node has or holds."""
    return list(refs_of(api.self_process().node).rows())


async def test_an_object_goes_from_runner_to_runner_and_not_through_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    came = 0
    updated = Connection.buffer_updated

    def counted(self: Connection, nbytes: int) -> None:
        nonlocal came
        came += nbytes
        updated(self, nbytes)

    monkeypatch.setattr(Connection, "buffer_updated", counted)
    # No unix socket for the caller's own connections: what passed here would be bytes, not pages that are shared.
    node = bp.Node(f"home{os.getpid()}@127.0.0.1", discovery=StaticDiscovery({}), unix=False)
    async with node, bp.Pool(max=2, max_concurrency=1) as pool:
        await names(pool, 2)
        ref = await pool.keep(rows, 50 * MB)
        begun = pool.submit(wait_here, ref, 60)  # its runner has no slot now, so that the other one has to bring it
        await until(lambda: begun.runner == ref.node)
        before = came
        made, run, nbytes = await pool.call(look, ref)
        assert nbytes == 50 * MB
        assert made != run
        assert 0 < came - before < 100_000
        begun.cancel()


def wait_here(some: Rows, seconds: float) -> None:
    time.sleep(seconds)


@both
async def test_a_call_runs_where_its_argument_is(isolation: Any) -> None:
    async with bp.Pool(max=2, isolation=isolation, max_concurrency=2) as pool:
        await names(pool, 2)
        refs = [await pool.keep(rows, 1000) for _ in range(2)]
        for ref in refs * 2:
            made, run, nbytes = await pool.call(look, ref)
            assert (run, nbytes) == (made, 1000)


@both
async def test_a_runner_is_kept_by_its_objects_and_ends_without_them(isolation: Any) -> None:
    async with bp.Pool(max=1, isolation=isolation, max_concurrency=2, idle_shutdown_after=0.1) as pool:
        ref = await pool.keep(rows, 1000)
        pid = (await ref.get()).pid
        await until(lambda: pool._working().questions > 1)
        assert len(up(pool)) == 1
        assert (await ref.get()).pid == pid
        await asyncio.wait_for(gone(ref), DEADLINE)
        del ref
        await until(lambda: not pool.runners())
        assert not alive(pid)
        assert owned() == []


async def gone(ref: Any) -> None:
    ref.drop()


@both
async def test_kill_9_of_a_runner_loses_what_it_kept_and_names_it(isolation: Any) -> None:
    async with bp.Pool(max=1, isolation=isolation) as pool:
        ref = await pool.keep(rows, 1000)
        node, pid = ref.node, (await ref.get()).pid
        os.kill(pid, signal.SIGKILL)
        refs = refs_of(api.self_process().node)
        await until(lambda: refs.trouble(ref.id) is not None)
        with pytest.raises(OwnerLost, match="Rows") as lost:
            await ref.get()
        assert lost.value.node == node
        with pytest.raises(OwnerLost) as lost:
            await pool.call(look, ref)
        assert lost.value.node == node
        # The pool may not have heard of the loss yet: what it gave to that runner runs again elsewhere.
        assert await pool.options(retries=1).call(there) != pid


@both
async def test_a_lost_object_is_made_again(isolation: Any) -> None:
    async with bp.Pool(max=1, isolation=isolation) as pool:
        ref = await pool.options(rebuild=True).keep(rows, 1000)
        pid = (await ref.get()).pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: refs_of(api.self_process().node).trouble(ref.id) is not None)
        made, run, nbytes = await pool.call(look, ref)
        assert made == run != pid
        assert nbytes == 1000
        assert (await ref.get()).pid == made


@both
async def test_the_end_of_a_pool_does_not_wait_for_references(isolation: Any) -> None:
    pool = bp.Pool(max=1, isolation=isolation, shutdown_timeout=3600)
    async with bp.Node(), pool:
        ref = await pool.keep(rows, 1000)
        pid = (await ref.get()).pid
        async with asyncio.timeout(DEADLINE):
            await pool.stop()
        await until(lambda: not alive(pid))
        with pytest.raises(OwnerLost):
            await ref.get()


# processes of slots


async def test_a_process_that_keeps_objects_is_left_alone_while_others_are_to_be_had(tmp_path: Path) -> None:
    async with bp.Pool(max=1, isolation="process", max_concurrency=2) as pool:
        ref = await pool.keep(rows, 1000)
        pid = (await ref.get()).pid
        await until(lambda: [slot.keeps for slot in pool._working().slots.by_name.values()] != [""])  # type: ignore[union-attr]
        other = await pool.call(there)
        assert other != pid
        assert await pool.call(there) == other
        assert {await call for call in [pool.call(at_once, str(tmp_path), n) for n in "ab"]} == {pid, other}
        assert (await pool.call(look, ref))[:2] == (pid, pid)


async def test_a_cancelled_call_does_not_take_the_objects_of_its_process_along(tmp_path: Path) -> None:
    async with bp.Pool(max=1, isolation="process", max_concurrency=1) as pool:
        ref = await pool.keep(rows, 1000)
        pid = (await ref.get()).pid
        slots: Any = pool._working().slots
        await until(lambda: all(slot.keeps for slot in slots.by_name.values()))
        call = pool.call(wait_for, str(tmp_path / "never"))
        await until((tmp_path / "never.begun").exists)
        call.cancel()
        assert (await pool.call(look, ref))[:2] == (pid, pid)  # it has ended, and its process has not
        call = pool.call(wait_for, str(tmp_path / "again"))
        await until((tmp_path / "again.begun").exists)
        del ref
        await until(lambda: not any(slot.keeps for slot in slots.by_name.values()))
        call.cancel()
        await until(lambda: not alive(pid))  # as always, when nothing else is lost with it


async def test_zombies_of_a_process_are_killed_when_its_last_object_is_gone(tmp_path: Path) -> None:
    async with bp.Pool(max=1, isolation="process", max_concurrency=1) as pool:
        ref = await pool.keep(rows, 1000)
        pid = (await ref.get()).pid
        slots: Any = pool._working().slots
        await until(lambda: all(slot.keeps for slot in slots.by_name.values()))
        call = pool.call(deaf, str(tmp_path / "deaf"))
        await until((tmp_path / "deaf").exists)
        call.cancel()
        await until(lambda: pool.metrics()["zombies"] == 1)
        assert alive(pid)
        del ref
        await until(lambda: not alive(pid))
        assert await pool.call(there) != pid


def deaf(path: str) -> None:
    """Hears nothing for a minute, in one call of C."""
    Path(path).touch()
    time.sleep(60)


# programs


SCRIPT = """
import os, sys
import beampy as bp

class Table:
    def __init__(self, numbers): self.numbers, self.pid = numbers, os.getpid()
    def sum(self): return sum(self.numbers)

def load(count): return Table(list(range(count)))
def total(table, factor=1): return table.sum() * factor, os.getpid() == table.pid

with bp.Pool(max=2) as pool:
    table = pool.keep(load, 100).result()
    def here(): return table                                         # a reference that a function finds as a global
    print(type(table).__name__, table.what, table.node != bp.node())
    print(pool.call(total, table, factor=2).result(), table.do.sum().result())
    print(table.apply(lambda t: t.numbers).result() == list(range(100)), pool.call(here).result() == table)
    more = pool.map(load, [1, 2, 3], keep=True).result()
    print([ref.do.sum().result() for ref in more], [pool.call(total, ref).result()[0] for ref in more])
    put = pool.put({"a": table}).result()
    print(put.what, put.do.get("a").result() == table)
"""


def test_a_program_keeps_what_its_own_functions_make(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": ROOT},
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "RemoteRef Table True",
        "(9900, True) 4950",
        "True True",
        "[0, 1, 3] [0, 1, 3]",
        "dict True",
    ]
