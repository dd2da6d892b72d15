"""What the machines of `beampy.testing.backends` are asked to run, by name. It needs nothing that a runner has not."""

from __future__ import annotations

import os
import subprocess
import sys

OTHERS = 2  # processes that `start_others` starts

_HELD = "import socket, sys, time; c = socket.create_connection((sys.argv[1], int(sys.argv[2]))); c.sendall(b'+'); "
_HELD += "time.sleep(3600)"


def command_line() -> list[str]:
    """With what this process was started, which every user of its machine can read."""
    return sys.orig_argv


def say(text: str) -> None:
    """Write a line where a machine's own log is."""
    os.write(2, f"{text}\n".encode())


def last_words(text: str) -> None:
    """Write a line, and be gone."""
    say(text)
    os._exit(1)


def start_others(host: str, port: int) -> None:
    """Start two processes that run for ever and hold a connection: a child, and one in a session of its own."""
    for session in (False, True):
        subprocess.Popen(
            [sys.executable, "-c", _HELD, host, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=session,
        )
