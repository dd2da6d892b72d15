"""Reading: when and where the body of a message that came is decoded.

Rule: what needs no code but beampy's own and is small is decoded as it arrives, on the loop. All else waits, encoded,
for the process that takes it: its classes may have to be imported, and their code is not ours. Large bodies are decoded
in a thread then, so that a node that unpacks them still ticks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.unread import NeedsThread, Unread
from beampy.wire.codec import FOREIGN, NeedsImport

if TYPE_CHECKING:
    from beampy.wire.codec import Decoder

IN_PLACE = 64 * 1024  # bytes in band; a hop to a thread costs as much as decoding some 50 KiB


class Reader:
    """Makes messages of bodies, for one node."""

    __slots__ = ("decoder",)

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def arrived(self, kind: int, body: Any, buffers: Any, sender: Any) -> Any:
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

    def unread(self, kind: int, body: Any, buffers: Any, sender: Any) -> Unread:
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
            except NeedsImport:
                raise NeedsThread from None

        return Unread(decode, sender, len(body) + sum(map(len, buffers or ())))
