"""A cache of code by digest, in memory and on disk: what was fetched or compiled once is not fetched or compiled again.

The rule: nothing depends on it. What is damaged, not ours, evicted or never arrived is a miss, and a disk that does not
work costs one warning. Place: under space.py, which asks for what an origin named; files are shared by all nodes of one
user. It does not know what the bytes are.

What it reads will be run, so only files of this user, in a directory that nobody else can write to, are believed. Every
file is written under another name and then renamed: readers see all of it or nothing, however many processes write.
Between two calls no file is open and no lock is held; around a fork the lock is taken, so a child finds it free.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from beampy.code.manifest import SIZE, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("beampy.code")

MIB: Final = 1 << 20
LIMIT: Final = 256 * MIB  # on disk: 6000 modules like the stdlib's, whose source and compiled code take 43 KiB
MEMORY: Final = 64 * MIB  # a quarter of it: one node uses fewer modules than all of a user's nodes over months

_MAGIC: Final = b"beampy\x01\n"  # with a number that changes when the format does
_HEADER: Final = len(_MAGIC) + SIZE  # and the checksum
_TEMPORARY: Final = ".new-"
_BLOCK: Final = 4096  # bytes; what a file of one byte takes on most filesystems
_PUTS: Final = 256  # writes from one pass to the next, or fewer: a sixteenth of the limit
_HOUR: Final = 3600.0  # s; how exact "recently used" is, and after which an unfinished file is nobody's any more
_RETRY: Final = 60.0  # s without writing after a write failed; a full disk needs a person

# One for all stores, and held for dict operations only. A reentrant one: a signal's handler or a finalizer may fork.
_lock = threading.RLock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def default_directory() -> Path | None:
    """Where code is cached on this machine: $BEAMPY_CODE_CACHE, else beampy/code in $XDG_CACHE_HOME or in ~/.cache.

    None: there is none of them, not even a home.
    """
    if named := os.environ.get("BEAMPY_CODE_CACHE"):
        return Path(os.path.expanduser(named)).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():  # as its specification says: such a value is to be ignored
        cache = Path(os.path.expanduser("~/.cache"))
    return cache / "beampy" / "code" if cache.is_absolute() else None


class _File(NamedTuple):
    used: float  # s since 1970
    size: int  # bytes, in whole blocks
    path: str


class Store:
    """Code by key, in `memory` bytes of memory and then in `limit` bytes below `directory`.

    What was not used for longest goes first. An entry of more than half of `limit` is not written, one of more than
    `memory` not kept. `directory` None, or one that cannot be made, is another user's, or that others can write to:
    memory only, with a warning for the latter three. Any number of threads and processes may use one directory, forked
    ones too. The methods read and write files: never call them on an event loop. None of them raises OSError.

    >>> store = Store(None)
    >>> store.get(store.put(b"x = 1"))
    b'x = 1'
    """

    def __init__(self, directory: str | os.PathLike[str] | None, limit: int = LIMIT, memory: int = MEMORY) -> None:
        self.limit = limit
        self.memory = memory
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._kept_size = 0
        self._warned = False
        self._failed: float | None = None  # when writing did, on the monotonic clock
        self._puts = _PUTS  # the first write makes a pass; a process that only reads makes none
        self._written = 0
        self._directory = None if directory is None else Path(directory).absolute()
        self._prepare()

    # ---- what it holds ----

    def get(self, key: bytes) -> bytes | None:
        """What is kept under this key; None: nothing, or something that was damaged and is removed now."""
        with _lock:
            data = self._kept.get(key)
            if data is not None:
                self._kept.move_to_end(key)
                return data
        data = self._read(key)
        if data is not None:
            self._keep(key, data)
        return data

    def put(self, data: bytes) -> bytes:
        """Keep `data` under its digest, and return that."""
        key = digest(data)
        if self._keep(key, data) and not self._on_disk(key):
            self._write(key, data)
        return key

    def put_as(self, key: bytes, data: bytes) -> None:
        """Keep `data`, which was derived from something else, under `key`, 16 bytes, in the place of what was there.

        ValueError: not 16 bytes. Make the key of all that `data` was derived from, and of what it is:

        >>> Store(None).put_as(digest(b"code" + b"3.11" + digest(b"x = 1")), b"...")
        """
        if len(key) != SIZE:
            raise ValueError(f"a key has {SIZE} bytes, this one has {len(key)}")
        if self._keep(key, data):
            self._write(key, data)

    def __contains__(self, key: bytes) -> bool:
        """Whether there is something under this key; `get` may still find it damaged."""
        with _lock:
            if key in self._kept:
                return True
        return self._on_disk(key)

    def clear(self) -> None:
        """Forget everything, and remove it from the directory for all that share that."""
        with _lock:
            self._kept.clear()
            self._kept_size = 0
        for file in self._files():
            with suppress(OSError):
                os.unlink(file.path)

    def size(self) -> int:
        """The bytes that it takes on disk, in whole blocks; without a directory: in memory."""
        return self._kept_size if self._directory is None else sum(file.size for file in self._files())

    # ---- memory ----

    def _keep(self, key: bytes, data: bytes) -> bool:
        """Whether this is news."""
        with _lock:
            old = self._kept.get(key)
            if old == data:
                self._kept.move_to_end(key)
                return False
            if old is not None:
                del self._kept[key]
                self._kept_size -= len(old)
            if len(data) <= self.memory:
                self._kept[key] = data
                self._kept_size += len(data)
                while self._kept_size > self.memory:
                    self._kept_size -= len(self._kept.popitem(last=False)[1])
            return True

    # ---- disk ----

    def _prepare(self) -> bool:
        """Make the directory, and give it up if others have a hand in it."""
        directory = self._directory
        if directory is None:
            return False
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            found = os.stat(directory)
        except OSError as error:
            self._fail(error)
            return False
        if found.st_uid != os.geteuid():
            why = f"it belongs to user {found.st_uid}"
        elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            why = f"others may write to it (its mode is {stat.S_IMODE(found.st_mode):o})"
        else:
            return True
        self._warn(f"{why}, and what is in it would be run here")
        self._directory = None
        return False

    def _warn(self, why: object) -> None:
        if not self._warned:
            self._warned = True
            log.warning("code is kept in memory only, %s cannot be used: %s", self._directory, why)

    def _fail(self, error: OSError) -> None:
        self._failed = time.monotonic()
        self._warn(error)

    def _path(self, key: bytes) -> str | None:
        """Its file, in one of 256 directories; None: there can be none."""
        directory, name = self._directory, key.hex()
        return os.path.join(directory, name[:2], name[2:]) if directory and len(key) == SIZE else None

    def _on_disk(self, key: bytes) -> bool:
        path = self._path(key)
        return path is not None and os.path.lexists(path)

    def _read(self, key: bytes) -> bytes | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            with open(path, "rb", opener=_open) as file:
                found = os.fstat(file.fileno())
                believed = _ours(found) and found.st_size <= self.limit  # which bounds the read
                content = file.read(found.st_size) if believed else b""
            data = content[_HEADER:]
            if content[:_HEADER] != _MAGIC + _checksum(key, data):
                os.unlink(path)
                return None
            if abs(time.time() - found.st_mtime) > _HOUR:
                with suppress(OSError):  # on a read-only filesystem nothing is evicted either
                    os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(error)
            return None
        return data

    def _write(self, key: bytes, data: bytes) -> None:
        path = self._path(key)
        size = _blocks(_HEADER + len(data))
        if path is None or size > self.limit // 2:
            return
        if self._failed is not None:
            if time.monotonic() - self._failed < _RETRY or not self._prepare():
                return
            self._failed = None
        try:
            temporary = _temporary(os.path.dirname(path), _MAGIC + _checksum(key, data), data)
            try:
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            self._fail(error)
            return
        with _lock:
            self._puts += 1
            self._written += size
            due = self._puts >= _PUTS or self._written > self.limit // 16
            if due:
                self._puts = self._written = 0
        if due:
            self._evict()

    def _evict(self) -> None:
        """Remove the least recently used until an eighth of the limit is free: the next pass comes before it is full.

        A full cache has at most limit / _BLOCK files. Where there are more, a pass looks at twice that and no more.
        """
        files = list(islice(self._files(), 2 * max(self.limit, LIMIT) // _BLOCK))
        total = sum(file.size for file in files)
        limit = self.limit - self.limit // 8
        long_ago = time.time() - _HOUR
        for file in sorted(files):
            unfinished = os.path.basename(file.path).startswith(_TEMPORARY)
            if (unfinished and file.used < long_ago) or (not unfinished and total > limit):
                total -= file.size
                with suppress(OSError):  # another process removes the same
                    os.unlink(file.path)

    def _files(self) -> Iterator[_File]:
        """All files of ours, unfinished ones too."""
        directory = self._directory
        parts = [] if directory is None else [os.path.join(directory, f"{number:02x}") for number in range(256)]
        for part in parts:
            with suppress(OSError), os.scandir(part) as entries:
                for entry in entries:
                    with suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(found.st_mode):
                            yield _File(found.st_mtime, _blocks(found.st_size), entry.path)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _ours(found: os.stat_result) -> bool:
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _checksum(key: bytes, data: bytes) -> bytes:
    """With the key: a whole file under another name is damaged too."""
    return digest(key + digest(data))


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _temporary(directory: str, *parts: bytes) -> str:
    """A new file with this content, mode 0600, in a directory that is made if need be.

    Nothing is buffered: a child forked meanwhile has nothing to write a second time.
    """
    try:
        descriptor, path = tempfile.mkstemp(prefix=_TEMPORARY, dir=directory)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        descriptor, path = tempfile.mkstemp(prefix=_TEMPORARY, dir=directory)
    try:
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
    except BaseException:
        os.unlink(path)
        raise
    return path
