"""The disk under the cache of code: whose directory is believed, and what happens when it does not work."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beampy.code import store as store_module
from beampy.code.manifest import digest
from beampy.code.store import Store, default_directory

HOUR = 3600


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "code"


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.DEBUG, "beampy.code")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "beampy.code"]


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if not path.is_dir())


def file_of(directory: Path, key: bytes) -> Path:
    return directory / key.hex()[:2] / key.hex()[2:]


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


# ---- directories ----


def test_only_this_user_can_look_into_it(directory: Path) -> None:
    mask = os.umask(0)
    try:
        key = Store(directory).put(b"x")
    finally:
        os.umask(mask)
    path = file_of(directory, key)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (directory, path.parent, path)] == [0o700, 0o700, 0o600]


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_can_write_to_is_refused(
    directory: Path, warnings: Callable[[], list[str]], mode: int
) -> None:
    key = Store(directory).put(b"planted")
    directory.chmod(mode)
    store = Store(directory)
    assert len(warnings()) == 1
    assert "others may write" in warnings()[0]
    assert str(directory) in warnings()[0]
    assert store.get(key) is None
    assert store.get(store.put(b"x")) == b"x"
    assert len(files(directory)) == len(warnings()) == 1


def test_a_directory_of_another_user_is_refused(
    directory: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, user = Store(directory).put(b"planted"), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    store = Store(directory)
    assert len(warnings()) == 1
    assert f"user {user}" in warnings()[0]
    assert store.get(key) is None
    assert store.get(store.put(b"x")) == b"x"
    assert len(files(directory)) == len(warnings()) == 1


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750])
def test_a_directory_that_others_can_only_read_is_good_enough(directory: Path, mode: int) -> None:
    directory.mkdir(parents=True)
    directory.chmod(mode)
    assert Store(directory).put(b"x") in Store(directory)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEAMPY_CODE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_directory() == Path("/home/someone/.cache/beampy/code")
    for ignored in ("", "relative/cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert default_directory() == Path("/home/someone/.cache/beampy/code")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/someone")
    assert default_directory() == Path("/var/cache/someone/beampy/code")
    monkeypatch.setenv("BEAMPY_CODE_CACHE", "")
    assert default_directory() == Path("/var/cache/someone/beampy/code")
    monkeypatch.setenv("BEAMPY_CODE_CACHE", "~/code")
    assert default_directory() == Path("/home/someone/code")
    monkeypatch.setenv("BEAMPY_CODE_CACHE", "code")
    assert default_directory() == Path.cwd() / "code"


def test_who_has_no_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: int) -> Any:
        raise KeyError(user)

    for name in ("BEAMPY_CODE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert default_directory() is None


def test_a_relative_directory_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("code")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store.put(b"x") in Store(tmp_path / "code")


# ---- a disk that does not work ----


def works_from_memory(store: Store) -> None:
    for number in range(3):
        key = store.put(b"%d" % number)
        assert store.get(key) == b"%d" % number
    store.put_as(digest(b"key"), b"derived")
    assert store.get(digest(b"key")) == b"derived"
    assert digest(b"key") in store
    assert store.get(digest(b"nothing")) is None
    assert store.size() >= 0


def test_a_directory_that_cannot_be_made(tmp_path: Path, warnings: Callable[[], list[str]]) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file" / "code")
    works_from_memory(store)
    assert len(warnings()) == 1
    assert str(tmp_path / "file" / "code") in warnings()[0]
    store.clear()


def test_a_directory_that_was_deleted(directory: Path, warnings: Callable[[], list[str]]) -> None:
    store = Store(directory)
    key = store.put(b"before")
    remove(directory)
    works_from_memory(store)
    assert store.get(key) == b"before"
    assert len(warnings()) == 1
    assert not directory.exists()


def remove(directory: Path) -> None:
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    directory.rmdir()


def failing(code: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("tempfile.mkstemp", errno.EROFS),
        ("tempfile.mkstemp", errno.EMFILE),
        ("os.write", errno.ENOSPC),
        ("os.replace", errno.EACCES),
    ],
)
def test_a_disk_that_cannot_be_written_to(
    directory: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    store = Store(directory)
    key = store.put(b"before")
    monkeypatch.setattr(call, failing(code))
    works_from_memory(store)
    assert len(warnings()) == 1
    assert os.strerror(code) in warnings()[0]
    assert files(directory) == [file_of(directory, key)]  # nothing unfinished
    assert Store(directory).get(key) == b"before"


def test_a_disk_that_fills_up_within_a_file(
    directory: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [100]

    def full(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "no space")
        written = write(descriptor, data[: min(room[0], 7)])
        room[0] -= written
        return written

    store = Store(directory, memory=0)
    monkeypatch.setattr(os, "write", full)
    small = store.put(b"x" * 50)  # in eleven pieces
    assert store.get(small) == b"x" * 50
    big = store.put(b"x" * 51)
    assert store.get(big) is None
    assert files(directory) == [file_of(directory, small)]
    assert len(warnings()) == 1


def test_a_disk_that_cannot_be_read(
    directory: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [Store(directory).put(b"%d" % number) for number in range(3)]
    store = Store(directory)
    monkeypatch.setattr(store_module, "_open", failing(errno.EIO))
    assert [store.get(key) for key in keys] == [None] * 3
    assert len(warnings()) == 1
    assert len(files(directory)) == 3


def test_use_that_cannot_be_written_down_does_not_matter(
    directory: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Store(directory).put(b"x")
    age(file_of(directory, key), 2 * HOUR)
    monkeypatch.setattr(os, "utime", failing(errno.EROFS))
    assert Store(directory).get(key) == b"x"
    assert warnings() == []


def test_writing_is_tried_again_a_minute_after_it_failed(
    directory: Path, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("beampy.code.store.time.monotonic", lambda: now[0])
    store = Store(directory)
    remove(directory)
    store.put(b"1")
    now[0] += 59
    store.put(b"2")
    assert not directory.exists()
    now[0] += 2
    assert store.put(b"3") in Store(directory)
    remove(directory)
    store.put(b"4")
    directory.mkdir(mode=0o700)
    directory.chmod(0o777)  # somebody else made it meanwhile
    now[0] += 61
    store.put(b"5")
    assert files(directory) == []
    assert len(warnings()) == 1


def test_an_interrupted_write_leaves_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    store = Store(directory)
    for call in ("write", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.put(call.encode())
    assert files(directory) == []


def test_no_file_is_open_between_calls(directory: Path) -> None:
    def descriptors() -> set[str]:
        return set(os.listdir("/dev/fd"))

    before = descriptors()
    store = Store(directory, memory=0)
    keys = [store.put(b"%d" % number) for number in range(10)]
    file_of(directory, keys[0]).write_bytes(b"damaged")
    assert [store.get(key) is None for key in keys] == [True] + [False] * 9
    assert descriptors() == before
