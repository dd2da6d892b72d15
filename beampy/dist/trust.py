"""Whom the system itself vouches for: the directory of our unix sockets, and who connects to them."""

from __future__ import annotations

import os
import stat
import struct
import tempfile
from pathlib import Path
from socket import SO_PEERCRED, SOL_SOCKET
from typing import Any

UCRED = struct.Struct("3i")  # pid, uid, gid


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


def is_trusted(sock: Any) -> bool:
    """Whether who connected to a unix socket is this user, or root. On systems that do not tell: the directory does."""
    try:
        _, uid, _ = UCRED.unpack(sock.getsockopt(SOL_SOCKET, SO_PEERCRED, UCRED.size))
    except (OSError, AttributeError, struct.error):
        return True
    return uid in (os.getuid(), 0)
