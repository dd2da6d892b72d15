"""A strict node: every local message is copied through the codec, as if its receiver were elsewhere.

So aliasing, and messages that could not travel, show on one node already. For tests and development.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.code.node_code import NodeCode
from beampy.wire.carrier import MANIFEST, REFERENCES, section_of
from beampy.wire.codec import Decoder, Encoder

if TYPE_CHECKING:
    from beampy.core.node import LocalNode


class Copier:
    """Copies messages of one node. EncodeError for what cannot travel."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.hook = NodeCode(node).hook(node.name)
        self.begin()

    def begin(self) -> None:
        """Begin anew with the remote references that the node has now: they come with their first use."""
        node = self.node
        self.references = node.references
        self.carrier = None if node.references is None else node.references.local()
        self.encoder = Encoder(node.name, node.creation, node.export, self.hook, self.carrier)
        self.decoder = Decoder(node.name, node.creation, self.hook, self.carrier)

    def __call__(self, message: Any) -> Any:
        if self.node.references is not self.references:
            self.begin()
        kind, parts, buffers = self.encoder.encode(message)
        copies: list[Any] = [view if isinstance(view, bytes) else bytearray(view) for view in buffers]
        if not kind & MANIFEST or self.carrier is None:
            return self.decoder.decode(kind, b"".join(parts), copies)
        kept = self.carrier.arrived(section_of(kind, parts, REFERENCES))
        copy = self.decoder.decode(kind - MANIFEST, b"".join(parts[1:]), copies)
        del kept  # it had to live until here
        return copy
