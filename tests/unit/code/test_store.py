"""The cache of code: what is kept, for how long, and what is not believed.

Directories and disks that do not work are in test_store_disk.py, processes and forks in test_store_shared.py.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from beampy.code import store as store_module
from beampy.code.manifest import digest
from beampy.code.store import Store

HOUR = 3600
BLOCK = 4096
KIB64 = 64 * 1024  # sixteen blocks: a pass after every second write, which leaves fourteen


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


# ---- what it holds ----


@pytest.fixture(params=["memory", "disk", "both"])
def store(request: pytest.FixtureRequest, directory: Path) -> Store:
    memory = 0 if request.param == "disk" else store_module.MEMORY
    return Store(None if request.param == "memory" else directory, memory=memory)


def test_what_was_put_is_there_under_its_digest(store: Store) -> None:
    key = store.put(b"x = 1")
    assert key == digest(b"x = 1")
    assert store.get(key) == b"x = 1"
    assert key in store
    assert store.get(digest(b"x = 2")) is None
    assert digest(b"x = 2") not in store
    assert store.get(store.put(b"")) == b""


def test_what_was_derived_is_there_under_its_own_key_until_it_is_replaced(store: Store) -> None:
    key = digest(b"code" + digest(b"x = 1"))
    store.put_as(key, b"one")
    assert store.get(key) == b"one"
    assert digest(b"one") not in store
    store.put_as(key, b"another")
    assert store.get(key) == b"another"


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 15, b"x" * 17, b"/" * 5000])
def test_a_key_has_16_bytes(store: Store, key: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        store.put_as(key, b"data")
    assert store.get(key) is None
    assert key not in store


def test_clear_forgets_everything(store: Store, directory: Path) -> None:
    assert store.size() == 0
    keys = [store.put(bytes([number]) * 100) for number in range(10)]
    assert store.size() >= 1000
    store.clear()
    assert store.size() == 0
    assert [store.get(key) for key in keys] == [None] * 10
    assert files(directory) == []
    assert store.get(store.put(b"again")) == b"again"


def test_size_is_what_it_takes_on_disk_or_else_in_memory(directory: Path) -> None:
    on_disk, in_memory = Store(directory), Store(None)
    for each in (on_disk, in_memory):
        each.put(b"a" * 100)
        each.put(b"b" * 5000)
        each.put(b"b" * 5000)
    assert (on_disk.size(), in_memory.size()) == (3 * BLOCK, 5100)


def test_another_store_finds_what_one_wrote(directory: Path) -> None:
    key = Store(directory).put(b"x = 1")
    other = Store(directory)
    assert key in other
    assert other.get(key) == b"x = 1"


def test_what_was_read_from_disk_is_kept_in_memory(directory: Path) -> None:
    key = Store(directory).put(b"x = 1")
    other = Store(directory)
    other.get(key)
    file_of(directory, key).unlink()
    assert other.get(key) == b"x = 1"


def test_what_is_on_disk_is_not_written_again_but_what_was_derived_is(directory: Path) -> None:
    key, derived = digest(b"x"), digest(b"derived")
    for _ in range(2):
        Store(directory).put(b"x")
        Store(directory).put_as(derived, b"y")
        age(file_of(directory, key), 10)
        age(file_of(directory, derived), 10)
    before = file_of(directory, key).stat().st_ino, file_of(directory, derived).stat().st_ino
    Store(directory).put(b"x")
    Store(directory).put_as(derived, b"z")
    assert file_of(directory, key).stat().st_ino == before[0]
    assert file_of(directory, derived).stat().st_ino != before[1]
    assert Store(directory).get(derived) == b"z"


# ---- limits ----


def test_memory_is_bounded_and_forgets_the_least_recently_used() -> None:
    store = Store(None, memory=1000)
    keys = [store.put(bytes([number]) * 100) for number in range(10)]
    assert store.get(keys[0]) is not None
    store.put(bytes([1]) * 100)  # which uses it as well
    store.put(bytes(200))
    assert [number for number, key in enumerate(keys) if key in store] == [0, 1, 4, 5, 6, 7, 8, 9]
    assert store.size() == 1000
    store.put_as(keys[9], bytes(50))
    assert store.size() == 950
    assert store.get(store.put(bytes(1001))) is None
    store.put_as(keys[9], bytes(1001))
    assert keys[9] not in store
    assert store.size() == 900


def test_the_disk_is_bounded_whatever_is_put(directory: Path) -> None:
    store = Store(directory, limit=KIB64, memory=0)
    for number in range(100):
        store.put(b"%d" % number * 10 * number)
        assert store.size() <= KIB64
    assert store.size() > KIB64 // 2


def test_the_least_recently_used_are_evicted_and_those_that_are_used_stay(directory: Path) -> None:
    roomy = Store(directory)
    keys = [roomy.put(b"old %d" % number) for number in range(13)]
    for number, key in enumerate(keys):
        age(file_of(directory, key), HOUR * (100 - number))
    store = Store(directory, limit=KIB64, memory=0)
    assert store.get(keys[0]) is not None
    assert store.get(keys[5]) is not None
    new = [store.put(b"new %d" % number) for number in range(3)]
    store._evict()
    assert [number for number, key in enumerate(keys) if key not in store] == [1, 2]
    assert all(key in store for key in new)


def test_a_cache_left_too_big_is_made_smaller_by_the_first_put(directory: Path) -> None:
    roomy = Store(directory)
    for number in range(40):
        age(file_of(directory, roomy.put(b"old %d" % number)), 60)
    store = Store(directory, limit=KIB64)
    key = store.put(b"new")
    assert store.size() == KIB64 - KIB64 // 8
    assert key in Store(directory)


def test_passes_of_eviction_are_as_rare_as_promised(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    number = 0
    store = Store(directory)
    monkeypatch.setattr(Store, "_evict", lambda self: passes.append(number))
    while number < 600:
        number += 1
        store.put(b"%d" % number)
    assert passes == [1, 257, 513]


def test_a_pass_looks_at_a_bounded_number_of_files(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LIMIT", 10 * BLOCK)
    store = Store(directory)
    for number in range(50):
        store.put(b"%d" % number)
    store.limit = BLOCK
    store._evict()
    assert store.size() == 30 * BLOCK


def test_an_entry_of_more_than_half_the_limit_is_kept_in_memory_only(directory: Path) -> None:
    store = Store(directory, limit=KIB64)
    key = store.put(b"x" * (KIB64 // 2))
    assert files(directory) == []
    assert store.get(key) is not None
    assert store.put(b"x" * (KIB64 // 2 - 100)) in Store(directory)


def test_use_is_written_down_once_an_hour(directory: Path) -> None:
    key = Store(directory).put(b"x")
    path = file_of(directory, key)
    for seconds in (HOUR - 60, HOUR + 60, -2 * HOUR):  # the last: another clock wrote it, or this one was set back
        age(path, seconds)
        before = path.stat().st_mtime
        Store(directory).get(key)
        recently = abs(path.stat().st_mtime - time.time()) < HOUR / 2
        assert recently == (seconds != HOUR - 60)
        assert recently or path.stat().st_mtime == before


def test_what_a_killed_writer_left_is_removed_after_an_hour(directory: Path) -> None:
    store = Store(directory)
    key = store.put(b"x")
    for name in ("old", "young"):
        (file_of(directory, key).parent / f"{store_module._TEMPORARY}{name}").write_bytes(b"unfinished")
    age(file_of(directory, key).parent / f"{store_module._TEMPORARY}old", HOUR + 60)
    store._evict()
    assert [path.name for path in files(directory)] == [f"{store_module._TEMPORARY}young", key.hex()[2:]]
    assert key in Store(directory)


def test_what_another_process_is_writing_is_not_evicted(directory: Path) -> None:
    store = Store(directory)
    keys = [store.put(b"%d" % number) for number in range(40)]
    unfinished = file_of(directory, keys[0]).parent / f"{store_module._TEMPORARY}young"
    unfinished.write_bytes(b"unfinished")
    age(unfinished, HOUR / 2)  # the oldest of all
    store.limit = KIB64
    store._evict()
    assert unfinished.exists()
    assert store.size() == KIB64 - KIB64 // 8


def test_files_of_others_in_the_directory_are_left_alone(directory: Path) -> None:
    directory.mkdir(parents=True, mode=0o700)
    (directory / "README").write_bytes(b"x" * KIB64)
    store = Store(directory, limit=KIB64)
    store.put(b"x")
    store.clear()
    assert files(directory) == [directory / "README"]


# ---- damage ----

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing left": lambda content: b"",
    "only the beginning": lambda content: content[:5],
    "only the header": lambda content: content[:24],
    "no end": lambda content: content[:-1],
    "more at the end": lambda content: content + b"\0",
    "another format": lambda content: b"B" + content[1:],
    "a bit of the checksum": lambda content: content[:10] + bytes([content[10] ^ 1]) + content[11:],
    "a bit of the content": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_a_miss_and_goes(directory: Path, damage: str, warnings: Callable[[], list[str]]) -> None:
    key = Store(directory).put(b"x = 1\n" * 100)
    path = file_of(directory, key)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    store = Store(directory)
    assert store.get(key) is None
    assert not path.exists()
    store.put(b"x = 1\n" * 100)
    assert Store(directory).get(key) == b"x = 1\n" * 100
    assert warnings() == []


def test_a_whole_file_under_another_key_is_damaged(directory: Path) -> None:
    store = Store(directory, memory=0)
    one, other = store.put(b"one"), store.put(b"other")
    os.replace(file_of(directory, one), file_of(directory, other))
    assert store.get(other) is None


def test_no_more_is_read_than_was_ever_written(directory: Path) -> None:
    key = Store(directory).put(b"x")
    os.truncate(file_of(directory, key), 1 << 36)  # 64 GiB of holes
    assert Store(directory).get(key) is None
    assert not file_of(directory, key).exists()


def test_a_file_that_others_can_write_to_or_that_is_anothers_is_not_believed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in (0o620, 0o602):
        key = Store(directory).put(b"x")
        file_of(directory, key).chmod(mode)
        assert Store(directory).get(key) is None
    key = Store(directory).put(b"x")
    store = Store(directory)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert store.get(key) is None


def test_what_is_no_plain_file_is_a_miss(directory: Path) -> None:
    store = Store(directory, memory=0)
    keys = [store.put(b"%d" % number) for number in range(3)]
    link, folder, pipe = paths = [file_of(directory, key) for key in keys]
    real = link.rename(directory / "real")
    for path in paths[1:]:
        path.unlink()
    link.symlink_to(real)
    folder.mkdir()
    os.mkfifo(pipe, 0o600)  # opening it would wait for a writer
    assert [store.get(key) for key in keys] == [None] * 3
