"""Reading: when and where the body of a message that came is decoded.

Rule: what needs no code but beampy's own and is small is decoded as it arrives, on the loop. All else waits, encoded,
for the process that takes it: its classes may have to be imported, and their code is not ours. Large bodies are decoded
in a thread then, so that a node that unpacks them still ticks.
"""

from __future__ import annotations

from typing import Any

from beampy.core.ids import Pid, Ref
from beampy.core.unread import NeedsThread, Unread
from beampy.wire.codec import FOREIGN, Decoder, Hook, NeedsImport, asked

IN_PLACE = 64 * 1024  # bytes in band; a hop to a thread costs as much as decoding some 50 KiB


class Reader:
    """Makes messages of bodies, for one node."""

    __slots__ = ("creation", "decoder", "node")

    def __init__(self, node: str, creation: int, hook: Hook | None = None) -> None:
        self.node = node  # who sends
        self.creation = creation
        self.decoder = Decoder(node, creation, hook)

    def arrived(self, kind: int, body: Any, buffers: Any, sender: int) -> Any:
        """The message, or an Unread for whoever takes it. `body` is only lent where there are no `buffers`."""
        if buffers is None:
            if not kind & FOREIGN:
                try:
                    return self.decoder.decode(kind, body, None)
                except Exception:  # bytes that are no message: who takes it is told so
                    pass
            body = bytes(body)
        elif not kind & FOREIGN and len(body) <= IN_PLACE:
            try:
                return self.decoder.decode(kind, body, buffers)
            except Exception:
                pass
        return self.unread(kind, body, buffers, sender)

    def unread(self, kind: int, body: Any, buffers: Any, sender: int) -> Unread:
        """An Unread for a body that is ours to keep."""
        decoder = self.decoder
        small = len(body) <= IN_PLACE

        def decode(in_thread: bool) -> Any:
            if in_thread:
                return decoder.decode(kind, body, buffers)
            if not small:
                raise NeedsThread
            try:
                return decoder.decode_now(kind, body, buffers)
            except (NeedsImport, AttributeError):  # a name that a module here has not: the hook finds out why
                raise NeedsThread from None

        def asked_by() -> Ref | None:
            id = asked(kind, body)
            return None if id is None else Ref(self.node, id, self.creation)

        who = Pid(self.node, sender, self.creation) if sender else self.node
        size = len(body) + sum(map(len, buffers or ()))
        return Unread(decode, who, size, asked_by, plain=not kind & FOREIGN)
