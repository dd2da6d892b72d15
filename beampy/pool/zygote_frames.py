"""What a zygote and its parent say to each other: JSON objects, each behind its length.

Rule: bytes in, messages out, a bound on both; pure. Place: between zygote.py, the parent's side, and zygote_main.py.
The two are always of one version: the parent starts the other with its own files.

    parent                                     zygote
      {"entry", "preload", "remove"}       →              first; see zygote_main
                                           ←     {"ready", "threads", "why"}      "why" is empty when it can fork
      {"fork": n, "spec", "log", "env",    →
       "name", "memory"}                   ←     {"forked": n, "pid"} or {"failed": n, "why"}
      {"kill": n, "pid", "signal"}         →     a signal to one; SIGKILL: to all that it has started, too
      {"forget": n, "fork": m}             →     end what the fork m has made
                                           ←     {"done": n}                      after SIGKILL: they are gone
                                           ←     {"ended": pid, "status", "oom"}  at any time, before its "done"
"""

from __future__ import annotations

import json
import struct
from typing import Any

LENGTH = struct.Struct("!I")
MAX_FRAME = 1 << 20  # bytes; the largest, a spec and an environment, have some KiB


def packed(message: dict[str, Any]) -> bytes:
    """The message as bytes. ValueError: it has more than MAX_FRAME.

    >>> Frames().feed(packed({"done": 1}))
    [{'done': 1}]
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME:
        raise ValueError(f"a message to a zygote has at most {MAX_FRAME} bytes, this one has {len(body)}")
    return LENGTH.pack(len(body)) + body


class Frames:
    """Makes messages of bytes, however these are cut."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are complete now. ValueError: this is not from the other side."""
        self._data += data
        found = []
        while len(self._data) >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._data)
            if size > MAX_FRAME:
                raise ValueError(f"a message of {size} bytes")
            end = LENGTH.size + size
            if len(self._data) < end:
                break
            found.append(json.loads(self._data[LENGTH.size : end]))
            del self._data[:end]
        return found
