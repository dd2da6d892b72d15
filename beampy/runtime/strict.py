"""A strict node: every local message is copied through the codec, as if its receiver were elsewhere.

So aliasing, and messages that could not travel, show on one node already. For tests and development.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.code.node_code import NodeCode
from beampy.wire.codec import Decoder, Encoder

if TYPE_CHECKING:
    from beampy.core.node import LocalNode


class Copier:
    """Copies messages of one node. EncodeError for what cannot travel."""

    def __init__(self, node: LocalNode) -> None:
        hook = NodeCode(node).hook(node.name)
        self.encoder = Encoder(node.name, node.creation, node.export, hook)
        self.decoder = Decoder(node.name, node.creation, hook)

    def __call__(self, message: Any) -> Any:
        kind, parts, buffers = self.encoder.encode(message)
        copies: list[Any] = [view if isinstance(view, bytes) else bytearray(view) for view in buffers]
        return self.decoder.decode(kind, b"".join(parts), copies)
