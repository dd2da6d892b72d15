"""Whom the system itself vouches for: the directory of our unix sockets, and who connects to them."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import stat
import struct
import tempfile
import time
from pathlib import Path
from socket import SO_PEERCRED, SOL_SOCKET
from typing import Any

UCRED = struct.Struct("3i")  # pid, uid, gid
MADE = 60.0  # seconds from the birth of a socket's file until somebody listens on it: microseconds, and then some
LOOKED_AT = 1000  # files at most that one look takes: some ten milliseconds


def private_directory() -> Path | None:
    """A directory that only this user can enter; None where somebody else holds the name."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    path = Path(base) / "beampy" if base else Path(tempfile.gettempdir()) / f"beampy-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, parents=False, exist_ok=True)
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        return None
    return path


def remove_dead_sockets(directory: Path) -> None:
    """Remove the sockets that nobody listens on: those of nodes that were killed. Names are never used again.

    One that is being made has a file before somebody listens, so those of the last minute stay. If one is ever taken
    from a node that lives, that node is reached over TCP.
    """
    with contextlib.suppress(OSError), os.scandir(directory) as found:
        for entry in itertools.islice(found, LOOKED_AT):
            with contextlib.suppress(OSError):
                old = time.time() - entry.stat(follow_symlinks=False).st_mtime > MADE
                if old and entry.name.endswith(".sock") and _is_dead(entry.path):
                    os.unlink(entry.path)


def _is_dead(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:  # it is busy: somebody listens
            return False
        return False


def is_trusted(sock: Any) -> bool:
    """Whether who connected to a unix socket is this user, or root. On systems that do not tell: the directory does."""
    try:
        _, uid, _ = UCRED.unpack(sock.getsockopt(SOL_SOCKET, SO_PEERCRED, UCRED.size))
    except (OSError, AttributeError, struct.error):
        return True
    return uid in (os.getuid(), 0)
