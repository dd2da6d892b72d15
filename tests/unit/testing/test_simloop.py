"""Virtual time, determinism, and the ways to get stuck."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import math
import signal
import threading
import weakref

import pytest

from beampy import testing
from beampy.testing import simnet
from beampy.testing.simloop import SimFactory, SimLoop, run
from beampy.testing.simtask import SimDeadlock, SimLivelock

LOOP_MEMBERS = """
    _check_callback _check_closed _check_thread _current_handle _debug _executor_shutdown_called
    _ready _run_once _stopping _thread_id _timer_handle_cancelled _write_to_self
"""
HANDLE_MEMBERS = "_callback _run _scheduled"


def test_the_private_members_of_asyncio_that_this_relies_on() -> None:
    loop = asyncio.BaseEventLoop()
    handle = asyncio.TimerHandle(1.0, print, (), loop)
    missing = [name for name in LOOP_MEMBERS.split() if not hasattr(loop, name)]
    missing += [name for name in HANDLE_MEMBERS.split() if not hasattr(handle, name)]
    loop.close()
    assert missing == []


# -- time -------------------------------------------------------------------------------------


def test_time_is_virtual_and_moves_only_when_everybody_is_idle() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        for _ in range(1000):
            await asyncio.sleep(0)
        times.append(loop.time())
        await asyncio.sleep(86400)
        times.append(loop.time())
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(7))
            group.create_task(asyncio.sleep(3))
        times.append(loop.time())
        return times

    assert run(main) == [0, 0, 86400, 86407]


def test_equal_times_fire_in_order_of_creation() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        for number in range(500):
            loop.call_at(5.0, seen.append, number)
        await asyncio.sleep(5)
        assert seen == list(range(500))

    run(main)


def test_a_timer_in_the_past_fires_now_and_time_does_not_go_back() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(10)
        done = loop.create_future()
        loop.call_at(3.0, done.set_result, None)
        await done
        assert loop.time() == 10

    run(main)


def test_cancelled_timers_do_not_move_time_and_do_not_pile_up() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        for _ in range(5000):
            loop.call_later(1000, print).cancel()
        timer = loop.call_later(1, print)
        await asyncio.sleep(0.5)
        timer.cancel()
        await asyncio.sleep(1)
        timer.cancel()
        assert loop.time() == 1.5
        assert len(loop._timers) < 500

    run(main)


def test_an_infinite_timer_never_fires_and_is_no_future() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(math.inf, print).cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(math.inf)
        await asyncio.sleep(math.inf)

    with pytest.raises(SimDeadlock, match=r"stuck at 5\.0 s"):
        run(main)


def test_the_scheduler_clock_is_virtual() -> None:
    loop = SimLoop()
    loop.run_until_complete(asyncio.sleep(3))
    assert loop.scheduler_clock() == loop.time() == 3
    loop.close()


def test_debug_mode(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        await asyncio.sleep(3600)
        with pytest.raises(TypeError):
            loop.call_soon(main)
        with pytest.raises(TypeError):
            loop.call_later(1, main)
        with pytest.raises(TypeError):
            loop.run_in_executor(None, main)  # type: ignore[arg-type]
        loop.call_soon(divmod, 1, 0)
        loop.call_later(1, divmod, 1, 0)
        await asyncio.sleep(2)

    run(main)
    assert caplog.text.count("ZeroDivisionError") == 2
    assert "took" not in caplog.text
    assert caplog.text.count("test_simloop.py") >= 2  # where each callback was scheduled


# -- stuck ------------------------------------------------------------------------------------


async def _wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def test_a_deadlock_names_who_waits() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        task = asyncio.create_task(_wait_for_ever(), name="stuck one")
        await asyncio.sleep(2)
        await task

    with pytest.raises(SimDeadlock) as caught:
        run(main)
    assert caught.value.at == 2
    main_line, stuck_line = caught.value.waiting
    assert main_line.startswith("Task-1: ")
    assert stuck_line.startswith("stuck one: _wait_for_ever at ")
    assert stuck_line.count("test_simloop.py:") == 2, "where it stands, where it was made"
    assert stuck_line in str(caught.value)


def test_a_deadlock_reports_what_others_know() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        loop.deadlock_notes.append(lambda: ["<Pid 1> waits in receive"])
        await _wait_for_ever()

    with pytest.raises(SimDeadlock, match="<Pid 1> waits in receive"):
        run(main)


def test_run_forever_with_nothing_to_do_is_a_deadlock() -> None:
    loop = SimLoop()
    with pytest.raises(SimDeadlock, match="these wait: none"):
        loop.run_forever()
    loop.call_later(5, loop.stop)
    loop.run_forever()
    assert loop.time() == 5
    loop.close()


def test_a_deadlocked_loop_can_be_closed_properly() -> None:
    cleaned: list[str] = []

    async def main() -> None:
        try:
            await _wait_for_ever()
        finally:
            await asyncio.sleep(1)
            cleaned.append("up")

    with pytest.raises(SimDeadlock):
        run(main)
    assert cleaned == ["up"]


def test_polling_without_time_is_a_livelock() -> None:
    async def main() -> None:
        deadline = asyncio.get_running_loop().time() + 1
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0)

    with pytest.raises(SimLivelock, match=r"1000 passes of the loop at 0\.0 s") as caught:
        run(main, max_spin=1000)
    assert "main" in caught.value.waiting[0]


def test_a_foreign_thread_is_refused() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        caught: list[str] = []

        def reach_in() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except RuntimeError as exc:
                caught.append(str(exc))

        thread = threading.Thread(target=reach_in, name="intruder")
        thread.start()
        thread.join()
        return caught[0]

    assert "'intruder' reaches into a simulation" in run(main)


# -- determinism ------------------------------------------------------------------------------


async def _busy(shuffled: list[int] | None = None) -> str:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)

    async def child(number: int) -> None:
        for _ in range(3):
            await asyncio.to_thread(pow, number, 2)
            await asyncio.sleep(0.001)
        if shuffled is not None:
            shuffled.append(number)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(child(number))
        server = await asyncio.start_server(serve, "127.0.0.1", 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", 1)
        writer.write(b"x" * 10_000)
        writer.write_eof()
        assert len(await reader.read()) == 10_000
        writer.close()
        server.close()
    return loop.fingerprint()


def test_equal_seeds_give_equal_runs_and_different_seeds_differ() -> None:
    prints = [run(_busy, seed=seed) for seed in (1, 2, 3, 1, 2, 3)]
    assert prints[:3] == prints[3:]
    assert len(set(prints)) == 3


def test_sets_of_tasks_iterate_alike() -> None:
    async def main() -> list[str]:
        ended: list[str] = []

        async def child() -> None:
            try:
                await _wait_for_ever()
            finally:
                task = asyncio.current_task()
                assert task is not None
                ended.append(task.get_name())

        async def fail() -> None:
            raise LookupError

        async def parent() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(child())
                await asyncio.sleep(0)
                group.create_task(fail())

        with pytest.raises(ExceptionGroup):
            await parent()
        futures = {asyncio.get_running_loop().create_future() for _ in range(20)}
        ended += [str(hash(future)) for future in futures]
        return ended

    ballast = [object() for _ in range(1000)]
    first = run(main)
    del ballast
    assert run(main) == first
    assert len(set(first)) == 40


def test_task_names_count_from_one_in_each_loop() -> None:
    async def main() -> list[str]:
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]
        tasks.append(asyncio.create_task(asyncio.sleep(0), name="mine"))
        await asyncio.gather(*tasks)
        return [task.get_name() for task in tasks]

    assert run(main) == run(main)
    assert run(main)[2] == "mine"


def test_a_task_factory_over_ours_still_makes_our_tasks() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        below = loop.get_task_factory()
        assert below is not None
        made: list[object] = []

        def factory(loop, coro, **options):
            task = below(loop, coro, **options)
            made.append(task)
            return task

        loop.set_task_factory(factory)
        task = asyncio.create_task(asyncio.sleep(0, "value"), name="named")
        assert made == [task]
        assert task.get_name() == "named"
        assert await task == "value"

    run(main)


def test_shuffle_permutes_tasks_and_not_callbacks() -> None:
    async def main() -> tuple[list[int], list[int]]:
        loop = asyncio.get_running_loop()
        tasks: list[int] = []
        callbacks: list[int] = []

        async def child(number: int) -> None:
            tasks.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(child(number))
                loop.call_soon(callbacks.append, number)
        return tasks, callbacks

    fifo = list(range(20))
    assert run(main, seed=1) == (fifo, fifo)
    shuffled, callbacks = run(main, seed=1, shuffle=True)
    assert shuffled != fifo
    assert sorted(shuffled) == fifo
    assert callbacks == fifo
    assert run(main, seed=1, shuffle=True)[0] == shuffled
    assert run(main, seed=2, shuffle=True)[0] != shuffled


def test_notes_are_part_of_the_fingerprint() -> None:
    def fingerprint(*notes: str) -> str:
        loop = SimLoop()
        for note in notes:
            loop.note(note)
        loop.close()
        return loop.fingerprint()

    assert fingerprint("a", "b") == fingerprint("a", "b")
    assert fingerprint("a", "b") != fingerprint("b", "a")
    assert fingerprint(*"a" * 5000) != fingerprint(*"a" * 5001)


def test_the_rng_for_tests_does_not_disturb_the_run() -> None:
    async def main(draws: int) -> str:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        for _ in range(draws):
            loop.rng.random()
        return await _busy()

    assert run(main, 0, seed=5) == run(main, 7, seed=5)


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.myself = self


def test_garbage_is_collected_at_seeded_points() -> None:
    async def main() -> list[int]:
        assert not gc.isenabled()
        collected: list[int] = []
        for number in range(50):
            weakref.finalize(Knot(), collected.append, number)
            collected.append(-1)
            await asyncio.sleep(0)
        return collected

    assert gc.isenabled()
    gc.collect()
    first = run(main, seed=1, gc_every=10)
    assert gc.isenabled()
    assert len([number for number in first if number >= 0]) > 10
    assert run(main, seed=1, gc_every=10) == first
    assert run(main, seed=2, gc_every=10) != first


def test_garbage_collection_can_be_left_to_the_interpreter() -> None:
    async def main() -> bool:
        return gc.isenabled()

    assert run(main, gc_every=0)


# -- executors --------------------------------------------------------------------------------


def test_executors_run_inline_at_a_seeded_delay() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        times: list[float] = []

        def job(number: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            times.append(loop.time())

        with concurrent.futures.ThreadPoolExecutor() as pool:
            jobs = [loop.run_in_executor(pool, job, number) for number in range(20)]
            await asyncio.gather(*jobs)
        times.append(loop.time())
        return times

    first = run(main, seed=1, executor_delay=10)
    assert first == sorted(first)
    assert 1 < first[0] + first[-1] < 20
    assert run(main, seed=1, executor_delay=10) == first
    assert run(main, seed=2, executor_delay=10) != first


def test_an_executor_of_one_worker_keeps_its_order() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            await asyncio.gather(*[loop.run_in_executor(pool, seen.append, number) for number in range(50)])
        return seen

    assert run(main) == list(range(50))


def test_a_job_whose_caller_was_cancelled_in_time_never_runs() -> None:
    async def main() -> tuple[list[int], int]:
        loop = asyncio.get_running_loop()
        ran: list[int] = []
        jobs = [loop.run_in_executor(None, ran.append, number) for number in range(40)]
        await asyncio.sleep(0.5)
        cancelled = sum(job.cancel() for job in jobs)
        await asyncio.sleep(10)
        return ran, cancelled

    ran, cancelled = run(main, executor_delay=1)
    assert 0 < len(ran) < 40
    assert cancelled > 40 - len(ran), "some were cancelled between their run and their result"


def test_what_a_job_sees_and_what_it_raises() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        variable.set("set")
        with simnet.host("n1"):
            assert await loop.run_in_executor(None, variable.get) == "unset"
            assert await loop.run_in_executor(None, simnet.current_host) == "n1"
            assert await asyncio.to_thread(variable.get) == "set"
        for error in (LookupError("x"), asyncio.CancelledError(), SystemExit(3)):

            def fail(error: BaseException = error) -> None:
                raise error

            with pytest.raises(type(error)):
                await loop.run_in_executor(None, fail)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await loop.run_in_executor(None, next, iter(()))
        assert await loop.run_in_executor(None, lambda: asyncio.run(asyncio.sleep(0, "nested")))
        assert asyncio.get_running_loop() is loop

    run(main)


def test_the_default_executor_can_be_shut_down() -> None:
    loop = SimLoop()
    loop.set_default_executor(concurrent.futures.ThreadPoolExecutor())
    assert loop.run_until_complete(loop.run_in_executor(None, pow, 2, 3)) == 8
    loop.run_until_complete(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError, match="shutdown"):
        loop.run_in_executor(None, print)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)


# -- the rest of a loop -----------------------------------------------------------------------


def test_signals_are_recorded_and_raised_by_the_test() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        seen: list[str] = []
        loop.add_signal_handler(signal.SIGTERM, seen.append, "term")
        loop.raise_signal(signal.SIGTERM)
        assert seen == []
        await asyncio.sleep(0)
        assert seen == ["term"]
        assert loop.remove_signal_handler(signal.SIGTERM)
        assert not loop.remove_signal_handler(signal.SIGTERM)
        with pytest.raises(ValueError, match="SIGTERM has no handler"):
            loop.raise_signal(signal.SIGTERM)
        with pytest.raises(TypeError):
            loop.add_signal_handler(signal.SIGTERM, main)
        with pytest.raises(ValueError, match="12345"):
            loop.add_signal_handler(12345, print)

    run(main)


def test_what_is_not_modelled_says_so() -> None:
    loop = SimLoop()
    with pytest.raises(NotImplementedError, match=r"SimLoop\.add_reader"):
        loop.add_reader(0, print)
    with pytest.raises(NotImplementedError, match=r"SimLoop\.subprocess_exec"):
        loop.run_until_complete(loop.subprocess_exec(asyncio.SubprocessProtocol, "true"))
    loop.close()


def test_names_and_addresses_are_the_same() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert (await loop.getaddrinfo("n1", 80))[0][4] == ("n1", 80)
        assert await loop.getnameinfo(("n1", 80)) == ("n1", "80")

    run(main)


def test_factories_serve_asyncio_runners() -> None:
    factory = SimFactory(seed=9, shuffle=True)
    assert factory.last is None
    with asyncio.Runner(loop_factory=factory, debug=True) as runner:
        loop = runner.get_loop()
        assert factory.last is loop
        assert isinstance(loop, SimLoop)
        assert loop.seed == 9
        runner.run(asyncio.sleep(100))
        runner.run(asyncio.sleep(100))
        assert loop.time() == 200
    assert loop.is_closed()
    assert repr(factory) == "SimFactory(seed=9)"


def test_run_passes_arguments_values_and_errors() -> None:
    async def main(value: str, fail: bool = False) -> str:
        await asyncio.sleep(1)
        if fail:
            raise LookupError(value)
        return value

    assert run(main, "value") == "value"
    with pytest.raises(LookupError):
        run(main, "value", True)


def test_the_package_names_are_lazy_and_real() -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        testing.nonsense  # noqa: B018
