"""A handler that writes down what it is told, and two channels back to back."""

from __future__ import annotations

from typing import Any

from beampy.wire.buffers import Pool
from beampy.wire.channel import Channel


class Recorder:
    """Each call as a tuple, the bodies copied, since small ones are only lent."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def to_pid(self, serial, creation, sender, kind, body, buffers):
        self._add("to_pid", serial, creation, sender, kind, body, buffers)

    def to_ref(self, id, creation, sender, kind, body, buffers):
        self._add("to_ref", id, creation, sender, kind, body, buffers)

    def to_name(self, name, sender, kind, body, buffers):
        self._add("to_name", name, sender, kind, body, buffers)

    def control(self, sender, args, kind, body, buffers):
        self._add("control", sender, args, kind, body, buffers)

    def monitored(self, sender, creation, serial, ref, flags):
        self.calls.append(("monitored", sender, creation, serial, ref, flags))

    def monitored_name(self, name, sender, ref, flags):
        self.calls.append(("monitored_name", name, sender, ref, flags))

    def demonitored(self, sender, creation, serial, ref):
        self.calls.append(("demonitored", sender, creation, serial, ref))

    def goodbye(self, reason):
        self.calls.append(("goodbye", reason))

    def _add(self, *call: Any) -> None:
        *lead, body, buffers = call
        copies = None if buffers is None else [bytes(buffer) for buffer in buffers]
        self.calls.append((*lead, bytes(body), copies))


def channel(handler: Any = None, **options: Any) -> Channel:
    return Channel(handler or Recorder(), **{"pool": Pool()} | options)


def bytes_of(sender: Channel, limit: int = 1 << 30) -> bytes:
    """What it would write now; what is due is called."""
    chunks, due = sender.take(limit)
    for on_sent in due:
        on_sent()
    return b"".join(chunks)


def move(a: Channel, b: Channel, limit: int = 100_000) -> None:
    """Let two channels talk until neither has anything to write."""
    while (there := bytes_of(a, limit)) + (back := bytes_of(b, limit)):
        b.feed(there)
        a.feed(back)
