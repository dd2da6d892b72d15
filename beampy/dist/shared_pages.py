"""Shared pages: the system calls that make a memory file, map one, and copy without Python's lock.

Rule: thin, and only what `mmap` of the library cannot do: a mapping here holds no file descriptor, so there may be
thousands, and it is given back by its address. Linux only: `AVAILABLE` says whether this system has what it takes.

Place: under segments.py (ours, to write) and shared_lane.py (others', to read). It knows no pool and no peer.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import pickle
import stat
from errno import ENOMEM
from typing import Any, NamedTuple

PAGE = mmap.PAGESIZE
FAILED = ctypes.c_void_p(-1).value  # MAP_FAILED
READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
# From linux/memfd.h and linux/fcntl.h: fcntl and os name them on Linux only.
MFD_CLOEXEC, MFD_ALLOW_SEALING = 0x1, 0x2
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
F_SEAL_SHRINK, F_SEAL_GROW = 0x2, 0x4

# An entry of /proc/self/pagemap, for each page: its bytes, and bits of it. From Linux, admin-guide/mm/pagemap.rst.
ENTRY, PRESENT, SWAPPED, OF_FILE = 8, 63, 62, 61

AVAILABLE = hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")


class _View(ctypes.Structure):
    """Py_buffer, as CPython's C API documents it."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


def _foreign(name: str, result: Any, *arguments: Any) -> Any:
    """A function of libc. It runs without the GIL."""
    try:
        found = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (OSError, AttributeError):
        return None
    found.restype, found.argtypes = result, arguments
    return found


_mmap = _foreign(
    "mmap",
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_longlong if ctypes.sizeof(ctypes.c_long) == 8 else ctypes.c_long,
)
_munmap = _foreign("munmap", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_memmove = _foreign("memmove", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_View), ctypes.c_int]
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_View)]


class File(NamedTuple):
    """A memory file of this process: its descriptor and the number by which others know that it is this one."""

    fd: int
    inode: int


def make(name: str, size: int) -> File:
    """A memory file of `size` bytes, which never gets smaller or larger: no reader can meet an end. OSError."""
    fd = os.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
        return File(fd, os.fstat(fd).st_ino)
    except BaseException:
        os.close(fd)
        raise


def open_of(pid: int, file: File) -> int:
    """A descriptor, to read, of another process's memory file. OSError where there is none, or not that one.

    A number that was used again for something else is not opened: that might block, or do something.
    """
    path = f"/proc/{pid}/fd/{file.fd}"
    found = os.stat(path)
    if found.st_ino != file.inode or not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(f"{path} is another file")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if os.fstat(fd).st_ino != file.inode or not fcntl.fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK:
            raise FileNotFoundError(f"{path} is another file")
    except BaseException:
        os.close(fd)
        raise
    return fd


def map_shared(fd: int, size: int) -> int:
    """The address of the first `size` bytes of a file, to write to. OSError."""
    return _map(fd, 0, size, mmap.MAP_SHARED)


def map_private(fd: int, offset: int, size: int) -> int:
    """The address of `size` bytes of a file, from `offset` (a multiple of PAGE); what is written there stays ours.

    OSError.
    """
    return _map(fd, offset, size, mmap.MAP_PRIVATE)


def _map(fd: int, offset: int, size: int, flags: int) -> int:
    found: int | None = _mmap(None, size, READ_WRITE, flags, fd, offset)
    if found is None or found == FAILED:
        error = ctypes.get_errno() or ENOMEM
        raise OSError(error, f"cannot map {size} bytes of shared memory: {os.strerror(error)}")
    return found


def unmap(address: int, size: int) -> None:
    """Give a mapping back. It may be called from a finalizer: it takes no lock."""
    _munmap(address, size)


def is_written(address: int, size: int) -> bool:
    """Whether anything was written to a private mapping: some page of it is no page of the file any more.

    True, too, where the system does not tell. 0.4 ms for 100 MB.
    """
    first = address // PAGE
    count = (address + size - 1) // PAGE + 1 - first
    try:
        fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.pread(fd, ENTRY * count, ENTRY * first)
        finally:
            os.close(fd)
    except OSError:
        return True
    if len(found) != ENTRY * count:
        return True
    entries = int.from_bytes(found, "little")
    ones = int.from_bytes(b"\1".ljust(ENTRY, b"\0") * count, "little")  # one bit in each
    there = (entries >> PRESENT | entries >> SWAPPED) & ones
    return there & (entries >> OF_FILE) != there


def address_of(view: Any) -> int:
    """Where the memory of a contiguous buffer begins; it stays there as long as the buffer is alive. BufferError."""
    found = _View()
    _get_buffer(view, ctypes.byref(found), 0)  # PyBUF_SIMPLE
    address: int = found.buf or 0
    _release_buffer(ctypes.byref(found))
    return address


def copy(to: int, source: int, size: int) -> None:
    """Copy bytes from one address to another. Other threads run meanwhile."""
    _memmove(to, source, size)


def write(fd: int, view: memoryview, offset: int) -> None:
    """Write all of a view to a file. Pages that are not there yet cost half of what a mapping's first touch does.

    Other threads run meanwhile. OSError when there is no memory left.
    """
    view = view.cast("B")
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done


def exporter(address: int, size: int) -> Any:
    """An object whose buffer is the memory at `address`; weak references to it tell when nobody can see it any more."""
    return (ctypes.c_ubyte * size).from_address(address)


def view_of(exporting: Any) -> memoryview:
    """A flat view, of bytes, of an `exporter`."""
    return pickle.PickleBuffer(exporting).raw()


def memory_limit() -> int:
    """How many bytes this process may have, as far as the system says: the machine's, or what its cgroup allows."""
    found = [1 << 40]
    with contextlib.suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(path) as limit:
            found.append(int(limit.read(64)))
    return min(found)
