"""Installed environments on disk, by key: directories of packages that processes of this user share.

The rule: an environment is there whole or not at all, and stays as long as a process uses it. It is made under another
name and renamed when complete; who uses one holds a shared lock of a file in it, which ends with the process, however
that ends. Place: under environment.py, which makes the keys and installs. It does not know what is in a directory.

    KEY/                 an environment
      site-packages/       for sys.path
      lock.txt             what it was made of
      held                 locked by those that use it; its change time is that of the last use, its text the size
    KEY.lock             locked by who makes it, and there only as long
    new-KEY-RANDOM/      unfinished
    gone-KEY-RANDOM/     being removed

What is in it will be run, so nobody else may write to it: PermissionError. Locks are flock's, which a forked child
shares and a program that is started does not, unless it is given the file: then it holds the lock as well.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("beampy.code")

# Bytes of all environments together. torch alone has 0.7 GB without its GPU libraries.
LIMIT: Final = 8 << 30
# Seconds from one look at somebody's lock to the next.
POLL: Final = 0.1
# Files of one environment that are counted: 16 times what torch has.
FILES: Final = 200_000
# Looks at an environment that somebody is removing: a rename, and then it is gone.
LOOKS: Final = 50
SITE: Final = "site-packages"

_HELD: Final = "held"
_LOCK: Final = ".lock"
_NEW: Final = "new-"
_GONE: Final = "gone-"


def default_directory() -> Path:
    """Where environments are: $BEAMPY_ENVIRONMENTS, else beampy/environments in $XDG_CACHE_HOME or in ~/.cache."""
    if named := os.environ.get("BEAMPY_ENVIRONMENTS"):
        return Path(named).expanduser().absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():  # as its specification says: such a value is to be ignored
        cache = Path.home() / ".cache"
    return cache / "beampy" / "environments"


class Held:
    """An environment that this process uses: it is not removed before `release()`, or the end of the process."""

    def __init__(self, directory: Path, fd: int) -> None:
        self.directory = directory
        self.site = directory / SITE
        self._fd = fd

    def release(self) -> None:
        """It may be removed. Again: nothing happens."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Making:
    """An environment in the making: install into `site`, then `complete()`. `lock` is the file that is locked."""

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self.site = directory / SITE
        self.lock = lock
        self.completed = False

    def complete(self) -> None:
        """It is whole. Whatever is not completed is removed."""
        self.completed = True


class EnvironmentCache:
    """The environments in `directory`, at most `limit` bytes unless more are in use. It is made at first use, 0700.

    The methods read and write files, and some wait: never on an event loop. OSError: the disk, or its permissions.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, limit: int = LIMIT) -> None:
        self.directory = default_directory() if directory is None else Path(directory).absolute()
        self.limit = limit

    def hold(self, key: str) -> Held | None:
        """The environment of this key, held; None: there is none, or not for long."""
        self._prepare()
        path = self.directory / key
        for _ in range(LOOKS):
            try:
                fd = _locked(path / _HELD, fcntl.LOCK_SH, create=False)
            except BlockingIOError:  # it is being removed
                time.sleep(POLL)
                continue
            if fd is None:
                return None
            os.utime(fd)
            return Held(path, fd)
        return None

    @contextlib.contextmanager
    def making(self, key: str, deadline: float) -> Iterator[Making | None]:
        """A directory to install into, for this process alone; None: another one has made it in the meantime.

        It waits for others that make the same one: TimeoutError at `deadline`, a time of the monotonic clock.
        """
        self._prepare()
        lock = self._wait(key, deadline)
        try:
            if (self.directory / key / _HELD).exists():
                yield None
                return
            with contextlib.suppress(FileNotFoundError):  # damaged by hand: no rename would replace it
                os.rename(self.directory / key, self.directory / f"{_GONE}{key}-{secrets.token_hex(4)}")
            new = self.directory / f"{_NEW}{key}-{secrets.token_hex(4)}"
            making = Making(new, lock)
            making.site.mkdir(parents=True, mode=0o700)
            try:
                yield making
                if making.completed:
                    (new / _HELD).write_text(f"{_size(new)}\n")
                    os.rename(new, self.directory / key)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        finally:
            self._unlock(key, lock)

    def sweep(self) -> list[str]:
        """Remove what nobody finishes, and what was not used for longest until the rest is within the limit.

        Nothing that is in use. The keys of the environments that were removed.
        """
        found: list[tuple[float, str, int]] = []
        with os.scandir(self.directory) as entries:
            names = sorted([entry.name for entry in entries])
        for name in names:
            if name.startswith(_GONE):
                shutil.rmtree(self.directory / name, ignore_errors=True)
            elif name.startswith(_NEW):
                self._remove_unfinished(name)
            elif not name.endswith(_LOCK):
                with contextlib.suppress(OSError, ValueError):
                    held = self.directory / name / _HELD
                    found.append((held.stat().st_mtime, name, int(held.read_text())))
        total, removed = sum([size for _, _, size in found]), []
        for _, key, size in sorted(found):
            if total <= self.limit:
                break
            if self._remove(key):
                total -= size
                removed.append(key)
        return removed

    # ---- the directory ----

    def _prepare(self) -> None:
        """Make it, or see that nobody else can have put anything there."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = os.stat(self.directory)
        if found.st_uid != os.geteuid():
            raise PermissionError(
                errno.EPERM, f"this user's environments cannot be in what user {found.st_uid} has", str(self.directory)
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(
                errno.EPERM, f"others can write to it: chmod go-w {self.directory}", str(self.directory)
            )

    def _wait(self, key: str, deadline: float) -> int:
        """The locked file of the key."""
        said = False
        while True:
            with contextlib.suppress(BlockingIOError):
                fd = _locked(self.directory / f"{key}{_LOCK}", fcntl.LOCK_EX, create=True)
                if fd is not None:
                    return fd
            if not said:
                log.info("waiting for another process that installs the same")
                said = True
            if time.monotonic() >= deadline:
                raise TimeoutError("another process installs the same, and had not ended when the time was over")
            time.sleep(POLL)

    def _remove(self, key: str) -> bool:
        """Remove it unless somebody uses it."""
        with contextlib.suppress(OSError):
            fd = _locked(self.directory / key / _HELD, fcntl.LOCK_EX, create=False)
            if fd is not None:
                gone = self.directory / f"{_GONE}{key}-{secrets.token_hex(4)}"
                try:
                    os.rename(self.directory / key, gone)  # who waits for the lock sees that it is another's
                finally:
                    os.close(fd)
                shutil.rmtree(gone, ignore_errors=True)
                return True
        return False

    def _remove_unfinished(self, name: str) -> None:
        """Its maker has ended if nobody has the lock."""
        key = name.removeprefix(_NEW).rpartition("-")[0]
        with contextlib.suppress(OSError):
            fd = _locked(self.directory / f"{key}{_LOCK}", fcntl.LOCK_EX, create=True)
            if fd is not None:
                shutil.rmtree(self.directory / name, ignore_errors=True)
                self._unlock(key, fd)

    def _unlock(self, key: str, fd: int) -> None:
        """Remove the locked file, and then its lock: who waits for it sees that it has no name any more."""
        with contextlib.suppress(OSError):
            os.unlink(self.directory / f"{key}{_LOCK}")
        os.close(fd)


def _locked(path: Path, kind: int, *, create: bool) -> int | None:
    """This file, open and locked; None: there is no such file. BlockingIOError: it is locked by others.

    Between the opening and the lock it may have been removed, or made anew: then it is another file now.
    """
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _size(directory: Path) -> int:
    """Bytes of all files below, as their lengths are."""
    total = files = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
        files += len(names)
        if files > FILES:
            break
    return total
