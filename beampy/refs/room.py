"""How much memory there is for an object that is brought here, and how large an object is that is asked for.

Rule: who asks for an object says how much room he has, and the owner compares before the first byte is sent. The room
is what the kernel calls available, and what the limits of our control groups leave of it, less a reserve. An object is
never larger than its whole process, so it is measured only where a large process is asked by one with little room.

Place: beside serving.py, which answers. Where the system tells nothing there is room for everything.
"""

from __future__ import annotations

import io
import pickle
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from beampy.refs.sizes import stated

RESERVE = 64 * 1024 * 1024  # bytes that are left for everything else: an interpreter with its packages
KEEPS = 1.0  # seconds for which what the system said is taken for true: 50 µs are much beside a small object
READ = 16 * 1024  # bytes of a file of the kernel's; /proc/meminfo has 1.5 KiB
ENDLESS = 2**62  # room without a bound: it fits in an integer of every format
PAGE = 4096
COPIES = 2  # of a process's memory that a pickle may have, at most: numbers and short strings grow when written

CGROUPS = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
OWN_GROUP = Path("/proc/self/cgroup")
STATM = Path("/proc/self/statm")

_said: tuple[float, int] = (float("-inf"), 0)  # when it was looked up, and what was found


def room() -> int:
    """Bytes that an object may have which is brought to this node. Any thread."""
    global _said
    now = time.monotonic()
    when, found = _said
    if now - when > KEEPS:
        found = max(0, min(available(), *left_of_groups()) - RESERVE)
        _said = now, found
    return found


def available() -> int:
    """What the kernel has, without swapping."""
    for line in _text(MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            with suppress(ValueError, IndexError):
                return int(line.split()[1]) * 1024
    return ENDLESS


def left_of_groups() -> list[int]:
    """What each memory limit over this process leaves. Both versions of control groups."""
    found = [ENDLESS]
    for line in _text(OWN_GROUP).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            folder, limit, used = CGROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            folder, limit, used = CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        inner = folder / path.strip("/")
        for group in (inner, *inner.parents):  # a container sees its own group as the top
            with suppress(ValueError):
                found.append(int(_text(group / limit)) - int(_text(group / used)))
            if group == folder:
                break
    return found


def _text(path: Path) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return (file.read(READ) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def own_memory() -> int:
    """Bytes of this process that are in memory."""
    with suppress(ValueError, IndexError):
        return int(_text(STATM).split()[1]) * PAGE
    return ENDLESS


def exceeds(obj: Any, limit: int) -> int | None:
    """The bytes of an object in a message, where they are more than `limit`; else None. It may take as long as
    pickling the object, so it runs in a thread where `quick` does not know.
    """
    size = stated(obj)
    if size is not None:
        return size if size > limit else None
    count = _Count(limit)
    try:
        pickle.Pickler(count, 5, buffer_callback=count.buffer).dump(obj)
    except _TooLarge:
        return count.size
    except Exception:  # whether it can travel, and why not, is for its message to say
        return None
    return None


def quick(obj: Any, limit: int) -> bool:
    """Whether `exceeds` answers at once, or need not be asked at all: the object fits because its process does."""
    return stated(obj) is not None or own_memory() * COPIES <= limit


class _TooLarge(Exception):
    pass


class _Count(io.RawIOBase):
    """Where a pickle is written that nobody reads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.add(memoryview(data).nbytes)
        return len(data)

    def buffer(self, buffer: pickle.PickleBuffer) -> None:
        with buffer.raw() as raw:
            self.add(raw.nbytes)

    def add(self, count: int) -> None:
        self.size += count
        if self.size > self.limit:
            raise _TooLarge
