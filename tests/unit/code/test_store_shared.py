"""One directory of the cache, or one cache, shared: by threads, by processes that write at once, by forked children.

Each process is a program of its own, since a fork of the test's process would take its threads' locks along.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beampy.code.manifest import digest
from beampy.code.store import Store, _lock

PRELUDE = """
import os, sys
from beampy.code.manifest import digest
from beampy.code.store import Store
input()
"""
LIMIT = 30  # s for a program; each takes less than one


class Program:
    """A Python process that runs this source; it begins once told to, so that several begin together."""

    def __init__(self, source: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(source), *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def run(*programs: Program) -> list[str]:
    """Start all at once and wait for what each prints; what it logs or raises counts as that."""
    try:
        for program in programs:
            assert program.process.stdin is not None
            program.process.stdin.write("\n")
            program.process.stdin.flush()
        results = [program.process.communicate(timeout=LIMIT)[0].strip() for program in programs]
        assert [program.process.returncode for program in programs] == [0] * len(programs), results
        return results
    finally:
        for program in programs:
            if program.process.poll() is None:
                program.process.kill()
                program.process.communicate()


def whole(directory: Path) -> int:
    """The number of files, all of which are in place and whole."""
    store = Store(directory, memory=0)
    paths = [path for path in directory.rglob("*") if path.is_file()]
    for path in paths:
        assert store.get(bytes.fromhex(path.parent.name + path.name)) is not None
    return len(paths)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "code"


def test_two_processes_write_the_same_and_different_keys_at_once(directory: Path) -> None:
    source = """
        directory, own = sys.argv[1:]
        store = Store(directory, memory=0)
        for number in range(150):
            for data in (b"both %d " % number * 2000, b"%b %d " % (own.encode(), number) * 500):
                assert store.get(store.put(data)) == data
    """
    assert run(*(Program(source, directory, own) for own in "ab")) == ["", ""]
    assert whole(directory) == 450


def test_two_processes_evict_at_once(directory: Path) -> None:
    """Each finds files that the other has just removed; what it then misses it puts again."""
    source = """
        directory, own = sys.argv[1:]
        store = Store(directory, limit=1 << 18, memory=0)
        for number in range(150):
            for data in (b"both %d " % number * 500, b"%b %d " % (own.encode(), number) * 500):
                assert store.get(store.put(data)) in (data, None)
    """
    assert run(*(Program(source, directory, own) for own in "ab")) == ["", ""]
    assert whole(directory) > 0
    store = Store(directory, limit=1 << 18)
    store.put(b"last")
    assert store.size() <= 1 << 18


def test_who_reads_what_is_being_replaced_finds_all_of_the_old_or_all_of_the_new(directory: Path) -> None:
    key = digest(b"key")
    values = [bytes([number]) * 200_000 for number in range(2)]
    Store(directory).put_as(key, values[0])
    writer = """
        store = Store(sys.argv[1], memory=0)
        for number in range(200):
            store.put_as(digest(b"key"), bytes([number % 2]) * 200_000)
    """
    reader = """
        store = Store(sys.argv[1], memory=0)
        for _ in range(400):
            data = store.get(digest(b"key"))
            assert data is not None and len(data) == 200_000 and len(set(data)) == 1
    """
    assert run(Program(writer, directory), Program(writer, directory), Program(reader, directory)) == [""] * 3
    assert whole(directory) == 1


def test_children_forked_while_threads_write_find_the_cache_as_it_was(directory: Path) -> None:
    """The lock is free in each child, what the parent kept is there, and nothing is written by two of them."""
    source = """
        import signal, threading
        store = Store(sys.argv[1], memory=1 << 20)
        known = store.put(b"known" * 1000)
        stop = threading.Event()

        def busy(name):
            number = 0
            while not stop.is_set():
                data = b"%d %d " % (name, number % 100) * 1000
                assert store.get(store.put(data)) == data
                number += 1

        threads = [threading.Thread(target=busy, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for number in range(20):
            child = os.fork()
            if not child:
                signal.alarm(10)  # a lock that nobody holds any more would be waited for until then
                data = b"child %d " % (number // 2) * 1000  # each by two children
                good = store.get(store.put(data)) == data and store.get(known) == b"known" * 1000
                good = good and store._kept_size == sum(map(len, store._kept.values()))
                os._exit(0 if good else 1)
            children.append(child)
        results = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        stop.set()
        for thread in threads:
            thread.join()
        assert results == [0] * 20, results
    """
    program = Program("import warnings\nwarnings.simplefilter('ignore')" + textwrap.dedent(source), directory)
    assert run(program) == [""]
    unfinished = [path for path in directory.rglob(".new-*") if path.is_file()]
    assert unfinished == []
    store = Store(directory)
    for number in range(10):
        data = b"child %d " % number * 1000
        assert store.get(digest(data)) == data
    whole(directory)


def test_a_fork_waits_for_a_thread_that_holds_the_lock(directory: Path) -> None:
    source = """
        import signal, threading, time, warnings
        from beampy.code.store import _lock
        warnings.simplefilter("ignore")
        signal.alarm(10)
        store = Store(sys.argv[1])
        held = threading.Event()

        def hold():
            with _lock:
                held.set()
                time.sleep(0.1)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        child = os.fork()
        if not child:
            signal.alarm(5)
            os._exit(0 if store.get(store.put(b"x")) == b"x" else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        thread.join()
    """
    assert run(Program(source, directory)) == ["0"]


def test_a_fork_from_within_the_lock_does_not_wait_for_itself(directory: Path) -> None:
    """As a signal's handler may do it, or a finalizer."""
    source = """
        import signal
        from beampy.code.store import _lock
        signal.alarm(10)
        store = Store(sys.argv[1])
        with _lock:
            child = os.fork()
            if not child:
                signal.alarm(10)
                os._exit(0 if store.get(store.put(b"x")) == b"x" else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(Program(source, directory)) == ["0"]


def test_a_process_whose_files_may_not_grow_works_from_memory_with_one_warning(directory: Path) -> None:
    """The nearest to a full disk that needs no disk: the kernel refuses the rest of a file."""
    source = """
        import logging, resource
        logging.basicConfig(format="%(name)s %(levelname)s")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        store = Store(sys.argv[1])
        for number in range(5):
            data = b"%d" % number * 5000
            assert store.get(store.put(data)) == data
    """
    assert run(Program(source, directory)) == ["beampy.code WARNING"]
    assert [path for path in directory.rglob("*") if path.is_file()] == []


def test_threads_share_a_cache_whose_memory_is_always_full(directory: Path) -> None:
    store = Store(directory, limit=1 << 20, memory=20_000)
    wrong: list[object] = []

    def work(name: int) -> None:
        try:
            for number in range(60):
                for data in (b"all %d " % number * 500, b"%d %d " % (name, number) * 500):
                    assert store.get(store.put(data)) in (data, None)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert wrong == []
    assert store._kept_size == sum(map(len, store._kept.values())) <= 20_000
    assert whole(directory) > 0


def test_no_lock_is_held_while_a_file_is_read_or_written(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs hangs who asked for the disk, and no one who finds in memory what he wants."""
    store = Store(directory, memory=100)
    known = store.put(b"known")
    found: list[bytes | None] = []

    def other() -> None:
        found.append(store.get(known))

    def slowly(call: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any) -> Any:
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(LIMIT)
            return call(*arguments)

        return slow

    monkeypatch.setattr(os, "write", slowly(os.write))
    monkeypatch.setattr(os, "fstat", slowly(os.fstat))
    big = store.put(b"x" * 200)
    assert found[-1] == b"known"
    found.clear()
    assert store.get(big) == b"x" * 200
    assert found[-1] == b"known"
    assert _lock.acquire(blocking=False)
    _lock.release()
