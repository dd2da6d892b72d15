"""environment_cache: whole or not at all, made once, kept while in use, and no more than the limit."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from beampy.code import environment_cache
from beampy.code.environment_cache import EnvironmentCache

LONG = 20.0  # seconds; nothing here takes as long


def made(cache: EnvironmentCache, key: str, text: str = "x = 1\n", used: float | None = None) -> None:
    with cache.making(key, time.monotonic() + LONG) as making:
        assert making is not None
        (making.site / "m.py").write_text(text)
        making.complete()
    if used is not None:
        os.utime(cache.directory / key / "held", (used, used))


def entries(cache: EnvironmentCache) -> list[str]:
    return sorted(os.listdir(cache.directory))


@contextmanager
def another_process(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python that runs this, and has said something."""
    command = [sys.executable, "-c", program, *[str(each) for each in arguments]]
    environ, pipe = {**os.environ, "PYTHONPATH": os.getcwd()}, subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environ, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().strip() == "ready"
            yield process
        finally:
            process.kill()


def test_what_is_complete_is_there_and_the_rest_is_not(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path / "cache")
    assert cache.hold("a") is None
    with cache.making("a", time.monotonic() + LONG) as making:
        assert making is not None
        assert cache.hold("a") is None
    assert entries(cache) == []
    with pytest.raises(RuntimeError), cache.making("a", time.monotonic() + LONG) as making:
        assert making is not None
        making.complete()
        raise RuntimeError
    assert entries(cache) == []
    made(cache, "a")
    held = cache.hold("a")
    assert held is not None
    assert (held.site / "m.py").read_text() == "x = 1\n"
    held.release()
    held.release()
    with cache.making("a", time.monotonic() + LONG) as making:
        assert making is None
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_one_makes_it_and_the_others_wait(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    makers, begun = [], threading.Barrier(4)

    def make() -> None:
        begun.wait(LONG)
        with cache.making("a", time.monotonic() + LONG) as making:
            if making is not None:
                makers.append(making)
                time.sleep(0.05)
                making.complete()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(makers) == 1
    assert entries(cache) == ["a"]


def test_who_waits_has_a_deadline(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    with cache.making("a", time.monotonic() + LONG):
        with pytest.raises(TimeoutError), cache.making("a", time.monotonic() + 0.05):
            pytest.fail("it was entered")
        with cache.making("b", time.monotonic()) as other:
            assert other is not None


MAKER = """
import sys, time
from beampy.code.environment_cache import EnvironmentCache
with EnvironmentCache(sys.argv[1]).making("a", time.monotonic() + 20) as making:
    (making.site / "half.py").write_text("")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_maker_that_was_killed_leaves_nothing_half_made(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    with another_process(MAKER, tmp_path) as maker:
        assert cache.sweep() == []
        assert [name[:4] for name in entries(cache)] == ["a.lo", "new-"]  # its maker lives
        maker.send_signal(signal.SIGKILL)
        maker.wait(LONG)
    assert cache.hold("a") is None
    made(cache, "a")
    cache.sweep()
    assert entries(cache) == ["a"]


def test_a_program_that_has_the_lock_keeps_it_when_its_starter_is_gone(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    program = """
import subprocess, sys, time
from beampy.code.environment_cache import EnvironmentCache
with EnvironmentCache(sys.argv[1]).making("a", time.monotonic() + 20) as making:
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    subprocess.run([sys.executable, "-c", code], pass_fds=[making.lock])
"""
    with another_process(program, tmp_path) as maker:
        maker.send_signal(signal.SIGKILL)
        maker.wait(LONG)
        cache.sweep()
        assert [name[:4] for name in entries(cache)] == ["a.lo", "new-"]
        with pytest.raises(TimeoutError), cache.making("a", time.monotonic()):
            pytest.fail("it was entered")
        assert maker.stdin is not None
        maker.stdin.close()  # and with that the program that it started ends
        with cache.making("a", time.monotonic() + LONG) as making:
            assert making is not None


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path, limit=2500)
    for used, key in enumerate(["c", "a", "d", "b"]):
        made(cache, key, "#" * 1000, used=1000.0 + used)
    held = cache.hold("c")  # the last use is now
    assert held is not None
    held.release()
    assert cache.sweep() == ["a", "d"]
    assert entries(cache) == ["b", "c"]
    assert cache.sweep() == []


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path, limit=0)
    for key in "ab":
        made(cache, key)
    held = cache.hold("a")
    assert held is not None
    os.utime(tmp_path / "a" / "held", (1, 1))
    assert cache.sweep() == ["b"]
    held.release()
    assert cache.sweep() == ["a"]


HOLDER = """
import os, sys
from beampy.code.environment_cache import EnvironmentCache
held = EnvironmentCache(sys.argv[1]).hold("a")
if sys.argv[2] == "fork" and os.fork():
    os._exit(0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["plain", "fork"])
def test_what_another_process_or_its_child_uses_stays(tmp_path: Path, how: str) -> None:
    cache = EnvironmentCache(tmp_path, limit=0)
    made(cache, "a")
    with another_process(HOLDER, tmp_path, how) as holder:
        assert cache.sweep() == []
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.close()
        assert holder.stdout.read() == ""  # it, or its child, has ended
    assert cache.sweep() == ["a"]


def test_what_is_removed_while_somebody_wants_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = EnvironmentCache(tmp_path, limit=0)
    made(cache, "a")
    opened = os.open

    def open_late(path: Path, *args: int) -> int:
        fd = opened(path, *args)
        monkeypatch.setattr(os, "open", opened)
        assert cache.sweep() == ["a"]  # between the opening and the lock
        return fd

    monkeypatch.setattr(os, "open", open_late)
    assert cache.hold("a") is None


def test_an_environment_that_is_locked_for_removal_is_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = EnvironmentCache(tmp_path)
    made(cache, "a")
    fd = environment_cache._locked(tmp_path / "a" / "held", fcntl.LOCK_EX, create=False)
    assert fd is not None
    slept: list[float] = []
    monkeypatch.setattr(environment_cache, "time", SimpleNamespace(sleep=slept.append))
    assert cache.hold("a") is None
    assert len(slept) == environment_cache.LOOKS
    os.close(fd)


def test_one_that_was_damaged_is_made_again(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    made(cache, "a")
    (tmp_path / "a" / "held").unlink()
    assert cache.hold("a") is None
    made(cache, "a", "x = 2\n")
    assert (tmp_path / "a" / "site-packages" / "m.py").read_text() == "x = 2\n"
    cache.sweep()
    assert entries(cache) == ["a"]


def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    made(cache, "a")
    tmp_path.chmod(0o770)
    with pytest.raises(PermissionError, match="chmod go-w"):
        cache.hold("a")
    with pytest.raises(PermissionError, match="chmod go-w"), cache.making("a", 0):
        pytest.fail("it was entered")


def test_strange_files_do_not_matter(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path, limit=0)
    made(cache, "a")
    (tmp_path / "README").write_text("")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "held").write_text("no number")
    assert cache.sweep() == ["a"]
    assert entries(cache) == ["README", "b"]


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"BEAMPY_ENVIRONMENTS": "/e"}, "/e"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/beampy/environments"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/beampy/environments"),
        ({"HOME": "/h"}, "/h/.cache/beampy/environments"),
    ],
)
def test_where_environments_are(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], found: str) -> None:
    for name in ("BEAMPY_ENVIRONMENTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(environment_cache.default_directory()) == found
