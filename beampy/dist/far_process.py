"""The process at the other end of a unix socket, and whether it has ended for sure.

Rule: only what the kernel says counts. A process is known by its number and the time when it started, so that another
one with its number is not taken for it. What cannot be told has not ended. Place: each connection over a unix socket
asks once who is there; what a death means, remote references know (runtime/references.py).
"""

from __future__ import annotations

import os
import struct
from socket import SO_PEERCRED, SOL_SOCKET
from typing import Any, NamedTuple

from beampy.dist import trust

STAT = 4096  # bytes of /proc/PID/stat that are read; it has some 300, a name of 64 among them
STATE, THREADS, STARTED = 0, 17, 19  # fields of proc_pid_stat(5) after the name: numbers 3, 20 and 22 there


class FarProcess(NamedTuple):
    """A process of this host: its number, and when it started, in the kernel's ticks since the boot.

    >>> far_process(connection_socket).has_ended()
    False
    """

    pid: int
    started: int

    def has_ended(self) -> bool:
        """Whether it is gone, or only waits for its parent to hear of its end."""
        try:
            fields = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return True
        except (OSError, ValueError, IndexError):
            return False
        if int(fields[STARTED]) != self.started:
            return True
        # A first thread that has ended looks the same as long as others go on: then there are more threads than one.
        return fields[STATE] in (b"Z", b"X") and int(fields[THREADS]) <= 1


def far_process(sock: Any) -> FarProcess | None:
    """Who connected to, or listens on, the other end of a unix socket; None where the system does not tell."""
    try:
        pid, _, _ = trust.UCRED.unpack(sock.getsockopt(SOL_SOCKET, SO_PEERCRED, trust.UCRED.size))
        # 0: of a container that is not ours. /proc may be another one's as well: then it does not know us.
        if pid <= 0 or os.readlink("/proc/self") != str(os.getpid()):
            return None
        return FarProcess(pid, int(_stat(pid)[STARTED]))
    except (OSError, AttributeError, struct.error, ValueError, IndexError):
        return None


def _stat(pid: int) -> list[bytes]:
    """The fields after the name, which may hold anything."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return file.read(STAT).rpartition(b")")[2].split()
