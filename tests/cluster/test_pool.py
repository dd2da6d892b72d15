"""Pools with real machines: what a user's program meets, on runners that are processes of this machine."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import logging
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.errors import EncodeError, PoolClosed, RunnerLost
from beampy.testing.pool_backend import LoopBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

DEADLINE = 20.0  # seconds for what takes parts of one
both = pytest.mark.parametrize("isolation", ["thread", "process"])
either_loop = pytest.mark.loops("asyncio", "uvloop")


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until it is so."""
    async with asyncio.timeout(DEADLINE):
        while not (found := condition()):
            await asyncio.sleep(0.005)
        return found


# what is called


def where(value: Any = None) -> tuple[int, Any]:
    return os.getpid(), value


def meet(folder: str, me: int, count: int) -> int:
    """Return when `count` calls are here at once."""
    (Path(folder) / str(me)).touch()
    while len(os.listdir(folder)) < count:
        time.sleep(0.005)
    return os.getpid()


def wait_for(path: str) -> str:
    """Say that it runs, and wait for a file."""
    Path(f"{path}.begun").touch()
    while not Path(path).exists():
        time.sleep(0.005)
    return path


def leave(status: int) -> None:
    os._exit(status)


def crash() -> None:
    ctypes.string_at(0)


class Cupboard(bp.Server):
    def __init__(self, *jars: str) -> None:
        self.jars = list(jars)

    @bp.call
    async def put(self, jar: str) -> tuple[int, list[str]]:
        self.jars.append(jar)
        return os.getpid(), self.jars


# the first call, and ten at once


@both
@either_loop
async def test_a_cold_call_runs_in_another_process(isolation: Any) -> None:
    async with bp.Pool(max=2, isolation=isolation) as pool:
        assert pool.runners() == []
        pid, value = await pool.call(where, value={"a": (1, None)})
        assert value == {"a": (1, None)}
        runner = pool.runners()[0]
        assert (pid == runner["os_pid"]) == (isolation == "thread")
        assert pid != os.getpid()
        assert (await pool.call(where))[0] == pid
        assert (await pool.call(lambda: runner["state"])) == "up"
    assert repr(pool).endswith("it was stopped>")
    with pytest.raises(PoolClosed, match=r"it was stopped; pool\.start\(\) starts it again"):
        pool.call(where)


@both
async def test_ten_runners_at_once(isolation: Any, tmp_path: Path) -> None:
    async with bp.Pool(max=10, max_concurrency=1, isolation=isolation) as pool:
        pids = await asyncio.gather(*[pool.call(meet, str(tmp_path), n, 10) for n in range(10)])
        assert len(set(pids)) == 10
        assert len(pool.runners()) == 10


async def test_min_runners_are_there_again_after_a_kill() -> None:
    async with bp.Pool(min=2, max=3) as pool:
        first = await until(lambda: len(pids := up(pool)) == 2 and pids)
        os.kill(first[0], signal.SIGKILL)
        await until(lambda: len(pids := up(pool)) == 2 and first[0] not in pids)


def up(pool: bp.Pool) -> list[int]:
    return [runner["os_pid"] for runner in pool.runners() if runner["state"] == "up"]


# losses


async def test_kill_9_of_a_runner_with_thirty_calls(tmp_path: Path) -> None:
    async with bp.Pool(max=1) as pool:
        calls = [pool.call(wait_for, str(tmp_path / str(n))) for n in range(30)]
        await until(lambda: len(list(tmp_path.glob("*.begun"))) == 30)
        [pid] = up(pool)
        os.kill(pid, signal.SIGKILL)
        for lost in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(lost, RunnerLost)
            assert (lost.status, lost.oom, lost.attempts) == (-signal.SIGKILL, False, 1)
            assert str(lost).endswith(f"process {pid} was ended by SIGKILL")
        assert (await pool.call(where))[0] != pid


async def test_with_retries_nobody_notices(tmp_path: Path) -> None:
    async with bp.Pool(max=1) as pool:
        again = pool.options(retries=1)
        calls = [again.call(wait_for, str(tmp_path / str(n))) for n in range(30)]
        await until(lambda: len(list(tmp_path.glob("*.begun"))) == 30)
        os.kill(up(pool)[0], signal.SIGKILL)
        for n in range(30):
            (tmp_path / str(n)).touch()
        assert await asyncio.gather(*calls) == [str(tmp_path / str(n)) for n in range(30)]
        assert pool.metrics()["retries"] == 30


@pytest.mark.parametrize(
    ("fn", "args", "status", "said"),
    [(leave, (7,), 7, "status 7"), (crash, (), -signal.SIGSEGV, "SIGSEGV")],
    ids=["exit", "segfault"],
)
async def test_a_function_that_ends_its_runner(fn: Any, args: Any, status: int, said: str) -> None:
    async with bp.Pool(max=1) as pool:
        with pytest.raises(RunnerLost, match=said) as lost:
            await pool.call(fn, *args)
        assert lost.value.status == status
        assert (await pool.call(where, 1))[1] == 1


# cancelling


def stuck(pipe: str) -> None:
    """Wait in the system, where nothing of Python reaches a thread, until somebody opens the pipe."""
    Path(f"{pipe}.begun").touch()
    Path(pipe).read_bytes()


async def test_a_thread_that_does_not_end_is_a_zombie_and_too_many_replace_the_runner(tmp_path: Path) -> None:
    pipes = [tmp_path / str(n) for n in range(2)]
    async with bp.Pool(max=2, max_zombies=1) as pool:
        for pipe in pipes:
            os.mkfifo(pipe)
            assert (await pool.call(where))[0] == (await until(lambda: up(pool)))[0]
            call = pool.call(stuck, str(pipe))
            await until(Path(f"{pipe}.begun").exists)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        [old] = up(pool)
        assert pool.metrics()["zombies"] == 2
        async with asyncio.timeout(DEADLINE):
            while (await pool.call(where))[0] == old:  # one would not be too many
                await asyncio.sleep(0.01)
        assert old in up(pool)
        for pipe in pipes:
            os.close(os.open(pipe, os.O_WRONLY))
        await until(lambda: pool.metrics()["zombies"] == 0 and old not in up(pool))


async def test_an_async_function_is_cancelled_where_it_is(tmp_path: Path) -> None:
    async with bp.Pool(max=1) as pool:
        call = pool.call(says_how_it_ends, str(tmp_path / "end"))
        await until((tmp_path / "end").exists)
        call.cancel()
        await until(lambda: (tmp_path / "end").read_bytes() == b"..")


async def says_how_it_ends(path: str) -> None:
    made(path)
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        made(path)
        raise


# the idle edge


async def at_the_edge(pool: bp.Pool, count: int, idle: float) -> None:
    """Each call comes about when its runner has been idle for long enough to end."""
    around = random.Random(5)
    for n in range(count):
        assert await pool.call(double, n) == 2 * n
        await asyncio.sleep(idle * around.uniform(0.9, 1.1))


def double(n: int) -> int:
    return 2 * n


@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.slow)])
async def test_no_call_meets_a_runner_that_is_ending(count: int) -> None:
    async with bp.Pool(max=2, idle_shutdown_after=0.004) as pool:
        await at_the_edge(pool, count, 0.004)
        assert pool.metrics()["boots"] > 1, "the calls were not at the edge"


@pytest.mark.loops("sim")
@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_nor_do_thousands(count: int) -> None:
    async with bp.Pool(max=2, idle_shutdown_after=1.0, backend=LoopBackend(delay=0.01)) as pool:
        await at_the_edge(pool, count, 1.0)
        boots = pool.metrics()["boots"]
        assert count / 10 < boots < count, "the calls were not at the edge"


# what is seen of calls


def talks(word: str) -> None:
    print(f"{word} out")  # noqa: T201
    print(f"{word} err", file=sys.stderr)  # noqa: T201
    logging.getLogger("talks").warning("%s log", word)


@both
async def test_output_is_labelled_and_kept(
    isolation: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with bp.Pool(max=1, isolation=isolation) as pool:
        call = pool.call(talks, "one")
        await call
        await pool.options(capture=False).call(talks, "two")
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == ("[runner-1] one out\n", "[runner-1] one err\n")
        [record] = [record for record in caplog.records if record.name == "talks"]
        assert (record.getMessage(), record.runner) == ("[runner-1] one log", "runner-1")  # type: ignore[attr-defined]
        assert pool.logs() == pool.logs("runner-1") == ["one out", "one err", "WARNING talks: one log"]
        assert call.logs().splitlines() == pool.logs()  # type: ignore[attr-defined]


def trains(path: str) -> None:
    for step in bp.track(range(4), label="steps"):
        bp.log(loss=1 / (step + 1))
        if step == 2:
            wait_for(path)


@both
async def test_progress_is_seen_while_it_runs(isolation: Any, tmp_path: Path) -> None:
    async with bp.Pool(max=1, isolation=isolation) as pool:
        call: Any = pool.call(trains, str(tmp_path / "go"))
        await until(lambda: call.progress is not None and call.progress.bars["steps"].done == 2)
        assert call.progress.curves["loss"].points == ((0, 1.0), (1, 1 / 2), (2, 1 / 3))
        (tmp_path / "go").touch()
        await call
        assert call.progress.bars["steps"].done == 4


# streams


def made(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b".")


def counts(path: str) -> Iterator[int]:
    for n in range(1000):
        made(path)
        yield n


async def counts_async(path: str) -> AsyncIterator[int]:
    for n in range(1000):
        made(path)
        yield n


@both
@pytest.mark.parametrize("fn", [counts, counts_async])
async def test_a_generator_is_no_further_ahead_than_the_window(isolation: Any, fn: Any, tmp_path: Path) -> None:
    async with bp.Pool(max=1, isolation=isolation) as pool:
        path = tmp_path / "made"
        path.touch()
        got = 0
        async with pool.options(window=5).call(fn, str(path)) as items:
            async for item in items:
                assert item == got
                got += 1
                assert path.stat().st_size <= got + 5
                if got == 20:
                    break
        assert (await pool.call(where, 1))[1] == 1
        assert path.stat().st_size <= 25


# what stands on calls


@both
async def test_a_placed_server(isolation: Any) -> None:
    async with bp.Node(), bp.Pool(max=1, isolation=isolation, idle_shutdown_after=0.0) as pool:
        pid = await pool.place_child(Cupboard, "jam")
        cupboard = Cupboard.client(pid)
        assert await cupboard.put("tea") == (pool.runners()[0]["os_pid"], ["jam", "tea"])
        assert await cupboard.put("salt") == (up(pool)[0], ["jam", "tea", "salt"])
        bp.monitor(pid)
        await cupboard.stop()
        assert (await bp.receive(bp.Down, timeout=DEADLINE)).reason == "normal"
        await until(lambda: not pool.runners())


async def test_who_leaves_the_pool_outlives_what_he_has_placed_there() -> None:
    async def main(tell: bp.Pid) -> None:
        async with bp.Pool(max=1) as pool:
            pid = await pool.place_child(Cupboard)
            bp.monitor(pid)
        down = await bp.receive(bp.Down, timeout=DEADLINE)
        bp.send(tell, down.reason)

    async def other(pool: bp.Pool, tell: bp.Pid) -> None:
        await pool.place_child(Cupboard)
        bp.send(tell, "placed")
        await asyncio.sleep(3600)

    async with bp.Node():
        bp.spawn(main, bp.self())
        assert await bp.receive(str, timeout=DEADLINE) in ("shutdown", "noconnection")
        async with bp.Pool(max=1) as pool:
            bp.spawn_monitor(other, pool, bp.self())
            assert await bp.receive(str, timeout=DEADLINE) == "placed"
        assert (await bp.receive(bp.Down, timeout=DEADLINE)).reason in ("shutdown", "noconnection")


@both
def test_the_executor_in_a_script_without_a_loop(isolation: Any) -> None:
    with bp.Pool(max=2, isolation=isolation) as pool, pool.executor() as executor:
        assert executor.submit(divmod, 7, 2).result(DEADLINE) == (3, 1)
        assert list(executor.map(pow, [2, 3], [3, 2])) == [8, 9]
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 7, 0).result(DEADLINE)


@both
def test_calls_of_many_threads(isolation: Any) -> None:
    answers: list[int] = []
    with bp.Pool(max=2, isolation=isolation) as pool:

        def ask(n: int) -> None:
            answers.append(pool.call(double, n).result(DEADLINE))

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
    assert sorted(answers) == [2 * n for n in range(20)]


def nested(n: int) -> tuple[int, int]:
    with bp.Pool(max=1) as pool:
        print("within")  # noqa: T201
        return os.getpid(), pool.call(within, n).result(DEADLINE)


async def nested_async(n: int) -> tuple[int, int]:
    async with bp.Pool(max=1) as pool:
        print("within")  # noqa: T201
        return os.getpid(), await pool.call(within, n)


def within(n: int) -> int:
    print("deep")  # noqa: T201
    return os.getpid() * n


@both
@pytest.mark.parametrize("fn", [nested, nested_async])
async def test_a_pool_in_a_call_of_a_pool(isolation: Any, fn: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async with bp.Pool(max=1, isolation=isolation) as pool:
        there, deep = await pool.call(fn, 1)
        assert len({os.getpid(), there, deep}) == 3
        assert capsys.readouterr().out == "[runner-1] within\n[runner-1] [runner-1] deep\n"


tenant = contextvars.ContextVar("tenant", default="nobody")


def reads_tenant() -> str:
    return tenant.get()


@both
async def test_context_variables_go_along(isolation: Any) -> None:
    async with bp.Pool(max=1, isolation=isolation, context=[tenant]) as pool:
        token = tenant.set("acme")
        call = pool.call(reads_tenant)
        tenant.reset(token)
        assert await call == "acme"
        assert await pool.call(reads_tenant) == "nobody"


def replies(to: bp.Pid, text: str) -> bp.Pid:
    bp.send(to, (text, os.getpid()))
    return to


async def replies_async(to: bp.Pid, text: str) -> bp.Pid:
    return replies(to, text)


@both
@pytest.mark.parametrize("fn", [replies, replies_async])
@pytest.mark.parametrize("name", [None, "caller@127.0.0.1"])
async def test_a_function_sends_to_a_process_of_its_caller(isolation: Any, fn: Any, name: str | None) -> None:
    async with bp.Node(name), bp.Pool(max=1, isolation=isolation) as pool:
        me = bp.self()
        assert await pool.call(fn, me, "hello") == me
        text, pid = await bp.receive((str, int), timeout=DEADLINE)
        assert text == "hello"
        assert pid != os.getpid()


# what cannot be


@both
async def test_what_cannot_travel_is_named(isolation: Any) -> None:
    lock = threading.Lock()
    async with bp.Pool(max=1, isolation=isolation) as pool:
        with pytest.raises(EncodeError, match=r"the call of \S+where: args\[0\]\['a'\], lock .* cannot travel"):
            await pool.call(where, {"a": lock})
        with pytest.raises(EncodeError, match=r"the call of \S+where: kwargs\['value'\], lock .* cannot travel"):
            await pool.call(where, value=lock)
        with pytest.raises(EncodeError, match=r"lambda>: the variable 'lock' of the function, lock .* cannot travel"):
            await pool.call(lambda: lock)
        with pytest.raises(EncodeError, match=r"the value of \S+makes_a_lock\(\)\[1\], lock .* cannot travel"):
            await pool.call(makes_a_lock)
        assert (await pool.call(where, 1))[1] == 1


def makes_a_lock() -> Any:
    return 1, threading.Lock()


async def test_an_exit_of_the_pools_owner_ends_it() -> None:
    async def owner(tell: bp.Pid) -> None:
        async with bp.Pool(min=1) as pool:
            await pool.call(where)
            bp.send(tell, up(pool)[0])
            await asyncio.sleep(3600)

    async with bp.Node():
        pid, _ = bp.spawn_monitor(owner, bp.self())
        runner = await bp.receive(int, timeout=DEADLINE)
        bp.exit(pid, "shutdown")
        await bp.receive(bp.Down, timeout=DEADLINE)
        await until(lambda: not Path(f"/proc/{runner}").exists())


@pytest.mark.loops("sim")
async def test_a_boot_that_is_not_wanted_any_more_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with bp.Pool(max=1, backend=LoopBackend(delay=5.0)) as pool:
        call = pool.call(where)
        await asyncio.sleep(1.0)
        call.cancel()
    assert caplog.messages == []
