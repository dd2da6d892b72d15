"""Reading: when and where the body of a message that came is decoded.

Rule: what needs no code but beampy's own and is small is decoded as it arrives, on the loop. All else waits, encoded,
for the process that takes it: its classes may have to be imported, and their code is not ours. Large bodies are decoded
in a thread then, so that a node that unpacks them still ticks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.ids import Pid, Ref
from beampy.core.unread import NeedsThread, Unread
from beampy.errors import RemoteProtocolError
from beampy.wire.carrier import MANIFEST, REFERENCES, SHARED, read_manifest
from beampy.wire.codec import FOREIGN, Decoder, Hook, NeedsImport, asked

if TYPE_CHECKING:
    from beampy.dist.shared_lane import Lane
    from beampy.wire.carrier import Carrier

IN_PLACE = 64 * 1024  # bytes in band; a hop to a thread costs as much as decoding some 50 KiB


class Reader:
    """Makes messages of bodies, for one node."""

    __slots__ = ("carrier", "creation", "decoder", "node", "shared")

    def __init__(
        self,
        node: str,
        creation: int,
        hook: Hook | None = None,
        carrier: Carrier | None = None,
        shared: Lane | None = None,
    ) -> None:
        self.node = node  # who sends
        self.creation = creation
        self.carrier = carrier
        self.shared = shared  # says where the buffers are that do not travel
        self.decoder = Decoder(node, creation, hook, carrier)

    def arrived(self, kind: int, body: Any, buffers: Any, sender: int) -> Any:
        """The message, or an Unread for whoever takes it. `body` is only lent where there are no `buffers`."""
        kept = None
        if kind >= MANIFEST:
            kind, body, buffers, kept = self.opened(kind, body, buffers)
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
        return self.unread(kind, body, buffers, sender, kept)

    def opened(self, kind: int, body: Any, buffers: Any) -> tuple[int, Any, Any, Any]:
        """A message with a manifest as it is without: (kind, body, buffers), and what is kept until it is decoded.

        Its references are taken down here, whether anybody reads it or not. RemoteProtocolError.
        """
        sections, start = read_manifest(body)
        body = body[start:]
        if SHARED in sections:
            if self.shared is None:
                raise RemoteProtocolError("buffers in shared memory, which was not agreed on")
            body = bytes(body)
            buffers = self.shared.arrived(sections[SHARED], buffers)
        kept = None
        if REFERENCES in sections:
            if self.carrier is None:
                raise RemoteProtocolError("remote references, and this node has none")
            try:
                kept = self.carrier.arrived(sections[REFERENCES])
            except Exception as error:
                raise RemoteProtocolError(f"references that cannot be read: {error!r}") from error
        return kind - MANIFEST, body, buffers, kept

    def dropped(self, kind: int, body: Any, buffers: Any) -> None:
        """A message arrived for nobody: all that it brought is let go at once."""
        if kind >= MANIFEST:
            self.opened(kind, body, buffers)

    def unread(self, kind: int, body: Any, buffers: Any, sender: int, kept: Any = None) -> Unread:
        """An Unread for a body that is ours to keep. `kept` lives as long."""
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
        return Unread(decode, who, size, asked_by, plain=not kind & FOREIGN, kept=kept)
