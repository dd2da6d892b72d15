"""What remote references are told of connections, and what connections do for them: the seam between the two.

Rule: a connection knows transfers only as bytes in front of a body and as frames that only its two ends read; what they
mean, and who is freed, the layer above decides. It is told of every session before anything else of it happens.

Place: `Options.references`, which the runtime gives each node that meets others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from beampy.wire.carrier import Carrier


class References(Protocol):
    """Called on the node's loop. A *session* is one attempt to connect to a peer, and the connection that it becomes.

    The order of a peer's is `session`, then `up`, `heard` and all else, then `down`, then the next `session`; or
    `session`, `unsent`, the next `session`.
    """

    def session(self, peer: str) -> Carrier:
        """The references in messages of the next session with a peer. At the first mention of it, connected or not."""
        ...

    def up(self, peer: str, creation: int) -> None:
        """Connected, to this start of the peer. Nothing has been received; `Peers.tell` works."""

    def down(self, peer: str, reason: str) -> None:
        """A connection that was up has ended: what went with it may or may not have arrived."""

    def unsent(self, carrier: Carrier) -> None:
        """The attempt to connect has failed: nothing that was written with `carrier` has gone anywhere."""

    def heard(self, peer: str, data: bytes) -> None:
        """What the peer's `tell` has sent. Whatever this raises ends the connection as a protocol error."""
