"""The zygote: what a fork gets and does not get, how ends are told, and that nothing it started outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from beampy.pool import reaping
from beampy.pool.spec import RunnerSpec
from beampy.pool.zygote import Zygote, ZygoteError
from beampy.pool.zygote_frames import MAX_FRAME, Frames, packed

pytestmark = [
    pytest.mark.loops("asyncio", "uvloop"),  # real processes
    pytest.mark.skipif(sys.platform != "linux", reason="a zygote needs Linux"),
]

ENTRIES = "tests.unit.pool.zygote_entries"
ROOT = str(Path(__file__).resolve().parents[3])


class Forks:
    """A socket where forks say hello, and what is known of them."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "s")
        self.log = str(folder / "fork.log")
        self.ends: asyncio.Queue[tuple[int, int | None, bool]] = asyncio.Queue()
        self.hellos: asyncio.Queue[tuple[dict[str, Any], asyncio.StreamWriter]] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self._zygotes: list[Zygote] = []

    async def __aenter__(self) -> Forks:
        self._server = await asyncio.start_unix_server(self._accept, self.path, limit=1 << 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        for zygote in self._zygotes:  # of a test that has failed
            await zygote.close()
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        self._server.close()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError):
            self.hellos.put_nowait((json.loads(await reader.readline()), writer))

    def spec(self, name: str = "a@h", **node: Any) -> str:
        return RunnerSpec(name, "p@h", [], self.path, "cookie", "ticket", node={"log": self.log, **node}).to_text()

    async def zygote(self, entry: str = "wait", **options: Any) -> Zygote:
        zygote = Zygote(entry=f"{ENTRIES}:{entry}", on_end=lambda *what: self.ends.put_nowait(what), **options)
        self._zygotes.append(zygote)
        await zygote.start()
        return zygote

    def output(self) -> str:
        return Path(self.log).read_text()


@pytest.fixture
async def forks(monkeypatch: pytest.MonkeyPatch):
    import tempfile

    monkeypatch.setenv("PYTHONPATH", ROOT)
    with tempfile.TemporaryDirectory(prefix="zyg") as folder:  # a short path: it is that of a socket
        async with Forks(Path(folder)) as made:
            yield made


def families(*pids: int) -> list[reaping.Process]:
    """These and all below them."""
    return [found for pid in pids for found in [reaping.look(pid), *reaping.below(pid)] if found is not None]


async def gone(processes: list[reaping.Process]) -> None:
    """Wait until none of them runs; the test's own timeout is the deadline."""
    while any(map(reaping.alive, processes)):
        await asyncio.sleep(0.005)


# ---- frames ----


def test_frames_in_any_pieces() -> None:
    messages = [{"fork": 1, "spec": "x" * 300}, {"done": 2}, {}]
    data = b"".join(map(packed, messages))
    for size in (1, 3, 7, len(data)):
        frames = Frames()
        assert [m for at in range(0, len(data), size) for m in frames.feed(data[at : at + size])] == messages


def test_frames_have_a_bound() -> None:
    with pytest.raises(ValueError, match="at most"):
        packed({"spec": "x" * MAX_FRAME})
    with pytest.raises(ValueError, match="a message of"):
        Frames().feed(b"\xff\xff\xff\xff")


# ---- looking at processes ----


def test_look_at_this_process() -> None:
    me = reaping.look(os.getpid())
    assert me is not None
    assert (me.parent, me.group, me.session, me.ended) == (os.getppid(), os.getpgrp(), os.getsid(0), False)
    assert reaping.alive(me)
    assert not reaping.alive(me._replace(began=me.began + 1))  # another one with its number


def test_a_zombie_is_gone() -> None:
    pid = os.posix_spawnp("true", ["true"], os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    found = reaping.look(pid)
    assert found is not None
    assert found.ended
    assert not reaping.alive(found)
    assert pid in reaping.children(os.getpid())
    assert reaping.below(os.getpid()) == []
    os.waitpid(pid, 0)
    assert reaping.look(pid) is None


def test_marks() -> None:
    assert reaping.marked("b@h", reaping.marked("a@h")) == "a@h/b@h"
    assert reaping.variable(os.getpid(), "no such variable") == ""


# ---- what a fork has ----


async def test_a_fork_is_a_process_of_its_own(forks: Forks) -> None:
    zygote = await forks.zygote()
    pid = await zygote.fork(forks.spec(), forks.log, {"COLOUR": "red"})
    said, line = await forks.hellos.get()
    assert said["pid"] == said["session"] == said["group"] == pid
    assert said["parent"] == zygote.pid
    assert said["threads"] == 1
    assert said["handlers"] == ["Handlers.SIG_DFL", "default_int_handler", "Handlers.SIG_DFL"]
    assert said["blocked"] == []
    assert said["wakeup"] == -1
    assert said["environ"]["COLOUR"] == "red"
    assert said["environ"][reaping.MARK].endswith("a@h")
    assert "BEAMPY_RUNNER" not in said["environ"]
    assert said["fds"].keys() == {"0", "1", "2"}
    assert said["fds"]["0"] == os.devnull
    assert said["fds"]["1"] == said["fds"]["2"] == forks.log
    line.write(b"7")
    assert await forks.ends.get() == (pid, 7, False)
    assert "waiting a@h" in forks.output()
    assert os.stat(forks.log).st_mode & 0o777 == 0o600
    await zygote.close()


async def test_forks_throw_their_own_dice(forks: Forks) -> None:
    zygote = await forks.zygote()
    for _ in range(3):
        await zygote.fork(forks.spec(), forks.log)
    assert len({(await forks.hellos.get())[0]["random"] for _ in range(3)}) == 3
    await zygote.close()


async def test_many_at_once(forks: Forks) -> None:
    zygote = await forks.zygote()
    pids = await asyncio.gather(*[zygote.fork(forks.spec(f"{n}@h"), forks.log) for n in range(20)])
    assert len(set(pids)) == 20
    for _ in range(20):
        said, line = await forks.hellos.get()
        assert said["pid"] in pids
        line.write(b"%d" % (pids.index(said["pid"])))
    assert sorted([await forks.ends.get() for _ in pids]) == sorted([(pid, n, False) for n, pid in enumerate(pids)])
    await zygote.close()


async def test_a_preloaded_module_is_there(forks: Forks) -> None:
    zygote = await forks.zygote(preload=["sched"])
    await zygote.fork(forks.spec(), forks.log)
    assert "sched" in (await forks.hellos.get())[0]["modules"]
    await zygote.close()


async def test_a_fork_knows_what_is_installed(forks: Forks) -> None:
    zygote = await forks.zygote("says_environment")
    await zygote.fork(forks.spec(), forks.log)
    said, _ = await forks.hellos.get()
    assert said["prepared"]
    assert len(set(said["words"])) == 1
    assert said["seen"]
    await zygote.close()


async def test_forks_are_origins_of_their_own(forks: Forks) -> None:
    zygote = await forks.zygote("says_origin")
    for _ in range(2):
        await zygote.fork(forks.spec(), forks.log)
    assert len({(await forks.hellos.get())[0]["origin"] for _ in range(2)}) == 2
    await zygote.close()


@pytest.mark.parametrize(("module", "says"), [("no_such_module", "no_such_module"), ("starts_thread", "2 threads")])
async def test_what_cannot_be_preloaded(forks: Forks, tmp_path: Path, monkeypatch, module: str, says: str) -> None:
    (tmp_path / "starts_thread.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    zygote = await forks.zygote(preload=[module])
    with pytest.raises(ZygoteError, match=says):
        await zygote.fork(forks.spec(), forks.log)
    assert zygote.unfit
    await zygote.close()


async def test_no_such_interpreter(forks: Forks) -> None:
    zygote = Zygote(python="/no/such/python")
    with pytest.raises(FileNotFoundError):
        await zygote.start()
    with pytest.raises(ZygoteError, match="not there"):
        await zygote.fork(forks.spec(), forks.log)
    await zygote.close()


# ---- ends ----


@pytest.mark.parametrize(("entry", "status"), [("at_once", 3), ("by_exit", 4), ("fails", 70)])
async def test_ends_are_told(forks: Forks, entry: str, status: int) -> None:
    zygote = await forks.zygote(entry)
    pids = [await zygote.fork(forks.spec(), forks.log) for _ in range(5)]
    assert [(await forks.ends.get())[1:] for _ in pids] == [(status, False)] * 5
    if entry == "fails":
        assert "RuntimeError: it went wrong" in forks.output()
    await zygote.close()


async def test_an_end_is_told_after_its_fork_has_returned(forks: Forks) -> None:
    zygote = await forks.zygote("at_once")
    order: list[str] = []
    zygote.on_end = lambda *_: order.append("ended")
    for _ in range(20):
        await zygote.fork(forks.spec(), forks.log)
        order.append("forked")
        while order[-1] != "ended":
            await asyncio.sleep(0)
    assert order == ["forked", "ended"] * 20
    await zygote.close()


async def test_signals(forks: Forks) -> None:
    zygote = await forks.zygote()
    pids = [await zygote.fork(forks.spec(), forks.log) for _ in range(3)]
    await zygote.kill(pids[0], signal.SIGTERM)  # also before it has set itself up
    assert await forks.ends.get() == (pids[0], -signal.SIGTERM, False)
    await zygote.kill(pids[1])
    assert reaping.look(pids[1]) is None
    assert await forks.ends.get() == (pids[1], -signal.SIGKILL, False)
    os.kill(pids[2], signal.SIGKILL)
    assert await forks.ends.get() == (pids[2], -signal.SIGKILL, False)
    await zygote.kill(pids[1])  # again, and all are gone
    await zygote.kill(1)  # none of its own: nothing is done
    await zygote.close()


async def test_out_of_memory_is_told(forks: Forks, monkeypatch, tmp_path: Path) -> None:
    """As far as it can be tested without running out of it: the count is a file here."""
    count = tmp_path / "count"
    count.write_text("oom 5\noom_kill 1\n")
    (tmp_path / "counting.py").write_text(
        f"from beampy.pool import reaping\nreaping._counters = lambda: [({str(count)!r}, 'oom_kill')]\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    zygote = await forks.zygote(preload=["counting"])
    first, second, third = [await zygote.fork(forks.spec(), forks.log) for _ in range(3)]
    os.kill(first, signal.SIGKILL)
    assert await forks.ends.get() == (first, -signal.SIGKILL, False)
    count.write_text("oom 6\noom_kill 2\n")
    os.kill(second, signal.SIGKILL)
    assert await forks.ends.get() == (second, -signal.SIGKILL, True)
    await zygote.kill(third)  # asked for
    assert await forks.ends.get() == (third, -signal.SIGKILL, False)
    await zygote.close()


async def test_a_cancelled_fork_leaves_none(forks: Forks) -> None:
    zygote = await forks.zygote()
    await zygote.ready()
    for turns in range(12):
        task = asyncio.ensure_future(zygote.fork(forks.spec(), forks.log))
        for _ in range(turns):
            await asyncio.sleep(0 if turns < 8 else 0.001)
        task.cancel()
        try:
            await zygote.kill(await task)
        except asyncio.CancelledError:
            assert reaping.below(zygote.pid) == []
    await zygote.close()


async def test_memory_has_a_limit(forks: Forks) -> None:
    zygote = await forks.zygote()
    pid = await zygote.fork(forks.spec(), forks.log, memory=1 << 40)
    await forks.hellos.get()
    assert resource.prlimit(pid, resource.RLIMIT_DATA) == (1 << 40, 1 << 40)
    await zygote.close()


# ---- nothing is left ----


async def test_what_a_runner_left_goes_with_it(forks: Forks) -> None:
    zygote = await forks.zygote("starts_others")
    pid = await zygote.fork(forks.spec(), forks.log)
    _, line = await forks.hellos.get()
    family = reaping.below(zygote.pid)
    assert len(family) == 7  # with itself
    line.write(b"0")
    assert await forks.ends.get() == (pid, 0, False)
    await gone(family)
    assert reaping.below(zygote.pid) == []
    await zygote.close()


async def test_killing_one_leaves_the_others_and_their_daemons(forks: Forks) -> None:
    zygote = await forks.zygote("starts_others")
    pids = []
    for name in ("a@h", "b@h"):
        pids.append(await zygote.fork(forks.spec(name), forks.log))
        await forks.hellos.get()
    family = reaping.below(zygote.pid)
    await zygote.kill(pids[0])
    left = [each for each in family if reaping.alive(each)]
    assert len(left) == 7
    await zygote.kill(pids[1])
    assert not any(map(reaping.alive, family))
    await zygote.close()


@pytest.mark.parametrize("entry", ["wait", "holds_gil", "starts_others"])
async def test_close_leaves_none(forks: Forks, entry: str) -> None:
    zygote = await forks.zygote(entry)
    for name in ("a@h", "b@h"):
        await zygote.fork(forks.spec(name), forks.log)
        await forks.hellos.get()
    family = families(zygote.pid)
    await zygote.close()
    assert not any(map(reaping.alive, family))
    with pytest.raises(ZygoteError, match="closed"):
        await zygote.fork(forks.spec(), forks.log)
    await zygote.close()


async def test_a_killed_zygote_takes_its_forks_along(forks: Forks) -> None:
    zygote = await forks.zygote("starts_others")
    pid = await zygote.fork(forks.spec("killed-zygote@h"), forks.log)
    await forks.hellos.get()
    silent = [each for each in reaping.below(pid) if not reaping.variable(each.pid, reaping.MARK)]
    family = [each for each in families(zygote.pid) if each not in silent]
    os.kill(zygote.pid, signal.SIGKILL)
    assert await forks.ends.get() == (pid, None, False)
    assert zygote.gone
    await gone([each for each in family if reaping.variable(each.pid, reaping.MARK) or each.session == pid])
    with pytest.raises(ZygoteError, match="by itself"):
        await zygote.fork(forks.spec(), forks.log)
    await zygote.close()
    reaping.kill(families(*[each.pid for each in [*family, *silent] if reaping.alive(each)]))


@pytest.mark.parametrize("slot", ["wait", "starts_others"])
async def test_a_runner_with_a_zygote_of_its_own(forks: Forks, slot: str) -> None:
    zygote = await forks.zygote("with_slots")
    for turn in range(2):
        pid = await zygote.fork(forks.spec(slot=slot), forks.log)
        said = [await forks.hellos.get() for _ in range(3)]
        family = families(pid)
        assert len(family) == (4 if slot == "wait" else 2 + 2 * 7)
        if turn == 0:
            next(line for about, line in said if about["pid"] == pid).write(b"0")
            assert await forks.ends.get() == (pid, 0, False)
        else:
            await zygote.kill(pid)
            assert await forks.ends.get() == (pid, -signal.SIGKILL, False)
        await gone(family)
    await zygote.close()


async def test_a_child_of_the_parent_does_not_keep_it_alive(forks: Forks) -> None:
    zygote = await forks.zygote()
    await zygote.ready()
    pid = os.fork()
    if pid == 0:
        try:
            signal.pause()
        finally:
            os._exit(0)
    await zygote.close()
    assert zygote._process is not None
    assert zygote._process.returncode == 0  # by the end of its line, and not killed
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # noqa: ASYNC222  -- it has ended


def test_from_fork_wants_a_simple_process() -> None:
    async def main() -> None:
        Zygote.from_fork()

    with pytest.raises(RuntimeError, match="without a loop"):
        asyncio.run(main())
