"""The leak checks: each catches a leak that was planted for it, and lets clean tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from beampy.testing import leaks

ROOT = __file__.rpartition("/tests/")[0]

PLANTED = """
    import asyncio
    import os
    import socket
    import subprocess
    import sys
    import threading
    import pytest
    from beampy.testing import leaks

    kept = []

    @pytest.fixture(scope="module", autouse=True)
    def end_everything_in_the_end():
        yield
        for end in kept:
            end()

    async def idle():
        await asyncio.get_running_loop().create_future()

    async def test_task():
        kept.append(asyncio.create_task(idle(), name="left over").cancelled)

    async def test_task_in_debug_mode():
        asyncio.get_running_loop().set_debug(True)
        kept.append(asyncio.create_task(idle()).cancelled)

    def test_thread():
        event = threading.Event()
        threading.Thread(target=event.wait, name="left over").start()
        kept.append(event.set)

    async def test_executor_thread():
        import concurrent.futures
        pool = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="mine")
        await asyncio.get_running_loop().run_in_executor(pool, int)
        kept.append(pool.shutdown)

    def test_fd():
        read, write = os.pipe()
        kept.append(lambda: (os.close(read), os.close(write)))

    def test_socket():
        left = socket.socket()
        left.bind(("127.0.0.1", 0))
        kept.append(left.close)

    def test_child():
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        kept.append(lambda: (child.communicate(), child.wait()))

    def test_zombie():
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        kept.append(lambda: os.waitpid(pid, 0))

    nodes = []

    def test_registered():
        leaks.register("running nodes", lambda: len(nodes), lambda: map(repr, nodes))

    def test_registered_is_checked():
        nodes.append("a@host")

    @pytest.mark.loops("sim")
    async def test_simulated_sockets():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, None, 1)
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", 1)
        kept.append(server.is_serving)
        kept.append(transport.is_closing)
"""

EXPECTED = {
    "test_task": ["task left over: idle at *test_it.py:19"],
    "test_task_in_debug_mode": ["task Task-*: idle at *test_it.py:19, created at *test_it.py:26"],
    "test_thread": ["thread 'left over', runs Event.wait, now at *threading.py:*"],
    "test_executor_thread": ["thread 'mine_0', runs _worker, now at *thread.py:*"],
    "test_fd": ["file descriptor * on pipe:*"] * 2,
    "test_socket": ["file descriptor * on socket:*: <socket.socket fd=*('127.0.0.1', *"],
    "test_child": ["child process *: *stdin.read*", "file descriptor * on pipe:*: <_io.FileIO *"],
    "test_zombie": ["child process *: a zombie"],
    "test_registered_is_checked": ["running nodes: 0 before, 1 after", "  'a@host'"],
    "test_simulated_sockets": [
        "simulated socket <SimServer *>",
        "simulated socket <SimTransport localhost -> localhost open>",
    ],
}

CLEAN = """
    import asyncio
    import concurrent.futures
    import multiprocessing
    import subprocess
    import sys
    import threading
    import weakref
    import pytest
    import pytest_asyncio

    async def idle():
        await asyncio.get_running_loop().create_future()

    @pytest.fixture
    async def helper():
        task = asyncio.create_task(idle())
        yield
        task.cancel()

    @pytest_asyncio.fixture(loop_scope="module", scope="module")
    async def service():
        task = asyncio.create_task(idle())
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        yield
        server.close()
        task.cancel()

    def test_a_first_loop_of_libuv():
        import uvloop
        uvloop.run(asyncio.sleep(0))

    async def test_tasks_that_end(helper):
        asyncio.create_task(asyncio.sleep(0))
        asyncio.create_task(idle()).cancel()
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))

    async def test_default_executor():
        await asyncio.to_thread(int)

    @pytest.mark.asyncio(loop_scope="module")
    async def test_a_loop_that_lives(service):
        await asyncio.to_thread(int)

    @pytest.mark.asyncio(loop_scope="module")
    async def test_a_loop_that_lives_again(service):
        await asyncio.to_thread(int)

    def test_a_thread_that_is_ending():
        event = threading.Event()
        threading.Thread(target=event.wait).start()
        threading.Timer(0.05, event.set).start()

    async def test_streams():
        async def serve(reader, writer):
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"x" + bytes([10]))
            assert await reader.read() == b"x" + bytes([10])
            writer.close()
            await writer.wait_closed()
        await server.wait_closed()

    async def test_a_child_that_is_awaited():
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        await child.wait()

    def test_children_of_multiprocessing():
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert pool.submit(abs, -1).result() == 1

    def test_garbage_in_a_cycle():
        import socket, warnings
        class Cycle: pass
        cycle = Cycle()
        cycle.self = cycle
        cycle.file = open("/dev/null", buffering=0, mode="rb")
        weakref.finalize(cycle, cycle.file.close)
        file = cycle.file
        del cycle.file

    def test_that_failed():
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        assert False

    def test_that_was_skipped():
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        pytest.skip()
"""


def run_inner(pytester: pytest.Pytester, tests: str, ini: str, *args: str) -> pytest.RunResult:
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n" + ini
    )
    pytester.makepyfile(test_it=tests)
    plugins = ("-p", "no:beampy", "-p", "beampy.testing.plugin")
    return pytester.runpytest_subprocess(*plugins, *args, timeout=50)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_each_planted_leak_is_caught(pytester: pytest.Pytester) -> None:
    result = run_inner(pytester, PLANTED, "beampy_leaks = true\n")
    result.assert_outcomes(passed=len(EXPECTED) + 1, errors=len(EXPECTED))
    # Up to the summary, which repeats the sections at full length where pytest sees a CI.
    report = result.stdout.str().partition("short test summary info")[0]
    sections = report.split("ERROR at teardown of ")[1:]
    found = {
        section.partition(" ")[0]: section.partition("this test leaked:\n")[2].splitlines() for section in sections
    }
    assert list(found) == list(EXPECTED)
    for name, patterns in EXPECTED.items():
        lines = [line[2:] for line in found[name] if line.startswith("  ")]
        assert len(lines) == len(patterns), (name, lines)
        for pattern in patterns:
            pytest.LineMatcher(lines).fnmatch_lines([pattern.replace("[", "[[]")])


def test_clean_tests_pass(pytester: pytest.Pytester) -> None:
    loops = "beampy_leaks = true\nbeampy_loops = asyncio uvloop\n"
    result = run_inner(pytester, CLEAN, loops, "-W", "ignore::ResourceWarning")
    result.assert_outcomes(passed=6 * 2 + 4, failed=1, skipped=1)


def test_nothing_is_checked_unless_asked(pytester: pytest.Pytester) -> None:
    result = run_inner(pytester, PLANTED, "")
    result.assert_outcomes(passed=len(EXPECTED) + 1)


# -- in this process --------------------------------------------------------------------------


def test_a_snapshot_of_nothing_new() -> None:
    assert leaks.Snapshot.take().leaks() == []


def test_an_fd_at_the_number_that_the_listing_had_is_seen() -> None:
    before = leaks.Snapshot.take()
    fds = [os.dup(0) for _ in range(3)]
    try:
        assert len(before.leaks()) == 3
    finally:
        for fd in fds:
            os.close(fd)
    assert before.leaks() == []


def test_what_is_allowed_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_thread_names", ["known-"])
    monkeypatch.setattr(leaks, "_fd_targets", [])
    before = leaks.Snapshot.take()
    event = threading.Event()
    threads = [threading.Thread(target=event.wait, name=name) for name in ("known-1", "other-1")]
    fd = os.open("/dev/null", os.O_RDONLY)
    for thread in threads:
        thread.start()
    try:
        assert [line.split(",")[0] for line in before.leaks()] == [
            "thread 'other-1'",
            f"file descriptor {fd} on /dev/null",
        ]
        leaks.allow_thread("other-")
        leaks.allow_fd("/dev/null")
        assert before.leaks() == []
    finally:
        event.set()
        os.close(fd)
        for thread in threads:
            thread.join()


def test_registered_counts() -> None:
    things: list[str] = []
    leaks.register("things", lambda: len(things))
    try:
        before = leaks.Snapshot.take()
        assert before.leaks() == []
        things.append("x")
        assert before.leaks() == ["things: 0 before, 1 after"]
        leaks.register("things", lambda: len(things), lambda: things)
        assert before.leaks() == ["things: 0 before, 1 after", "  x"]
    finally:
        leaks.unregister("things")
    assert before.leaks() == []


def test_it_works_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_FDS", "/nonexistent")
    monkeypatch.setattr(leaks, "_THREADS", "/nonexistent")
    before = leaks.Snapshot.take()
    assert (before.fds, before.children) == (set(), set())
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert before.leaks() == []
