"""The errors of many nodes: connections, handshakes, bytes that cannot be read. See the package's docstring."""

from __future__ import annotations

from typing import Any

from beampy.errors.local import CallFailed
from beampy.errors.root import BeampyError, _said, _shown


class CallKilled(CallFailed):
    """The function that was called on another node ended by an exit signal before it returned."""

    def __str__(self) -> str:
        return f"the call to {_shown(self.target)} was ended there by an exit signal: {_shown(self.reason)}"


class DecodeError(BeampyError):
    """A message arrived that cannot be read here. It is taken out of the mailbox; the connection stays up.

    `sender` is the pid (or node) it came from, `cause` says why, as text; `ref` is where its answer goes, if it
    was a call.
    """

    ref: Any = None

    def __init__(self, sender: Any, cause: str) -> None:
        super().__init__(sender, cause)
        self.sender = sender
        self.cause = cause

    def __str__(self) -> str:
        return f"a message from {_shown(self.sender)} cannot be read here: {self.cause}"


class PeerBusy(BeampyError, BlockingIOError):
    """More than `limit` bytes wait to be sent to `node`, which reads too slowly. Nothing of this message was sent.

    A process is made to wait at its next await long before that; this is for code that never awaits.
    """

    def __init__(self, node: str, limit: int) -> None:
        super().__init__(node, limit)
        self.node = node
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.node} reads too slowly: more than {self.limit} bytes wait for it. Await something between sends"


class NotConnected(BeampyError, ConnectionError):
    """There is no connection to `node`; `why` says what went wrong."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(node, why)
        self.node = node
        self.why = why

    def __str__(self) -> str:
        return f"no connection to {self.node}: {self.why}"


class UnknownNode(NotConnected):
    """The name service knows no such node, its host is unknown, or nobody answers at its address."""


class NameInUse(NotConnected):
    """A node of this name runs already, so this one cannot be found under it."""

    def __str__(self) -> str:
        return f"the name {self.node} is taken: {self.why}"


class HandshakeFailed(NotConnected):
    """The other side answered, and the two could not agree."""


class CookieMismatch(HandshakeFailed):
    """The two nodes have different cookies. The cookie is never sent, so neither learns the other's."""


class VersionMismatch(HandshakeFailed):
    """The two have no version of the protocol in common, or one needs a feature that the other lacks."""


class NotAllowed(HandshakeFailed):
    """The other node accepts only nodes of its list."""


class Superseded(NotConnected):
    """Both sides connected at once and the other one's connection is the one that stays."""


class RemoteProtocolError(BeampyError, ValueError):
    """Bytes from another node that are not the protocol. Only that connection is closed."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"not the protocol: {_said(self.why)}"
