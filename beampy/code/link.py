"""A Source on another node, asked by remote calls over the connection that there is.

So code comes over any carrier, to and from nodes that nobody can connect to. Only for threads: where the event loop
itself waits (an import statement in an async function) no message can arrive, and `blocking` asks instead, on a socket
of its own.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.code import server
from beampy.code.entry import Module
from beampy.core.current import current
from beampy.errors import BeampyError, CallFailed, NotConnected, OriginLost
from beampy.otp.rpc import remote_call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from beampy.code.entry import Source
    from beampy.core.node import LocalNode

TIMEOUT = 30.0  # seconds for one answer: 20 MB of a large package over a slow line


class Link:
    """The code of `origin`, at `peer`, as the node `node` asks for it. `blocking()`: a Source for the loop's thread."""

    def __init__(
        self, node: LocalNode, peer: str, origin: str, blocking: Callable[[], Source | None] = lambda: None
    ) -> None:
        self.node = node
        self.peer = peer
        self.origin = origin
        self.blocking = blocking
        self.questions = 0  # for tests that count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Link) and (self.node, self.peer, self.origin) == (other.node, other.peer, other.origin)

    def __hash__(self) -> int:
        return hash((id(self.node), self.peer, self.origin))

    def ask_origin(self) -> str:
        """Which process the peer runs in."""
        found: str = self._ask("its code", server.origin)
        return found

    def entries(self, names: Sequence[str]) -> list[Module]:
        """See entry.Source."""
        if (other := self._other()) is not None:
            return other.entries(names)
        return [Module(*entry) for entry in self._ask(_some(names), server.entries, self.origin, list(names))]

    def contents(self, digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
        """See entry.Source."""
        if (other := self._other()) is not None:
            return other.contents(digests, magic)
        found: dict[bytes, Any] = self._ask("source", server.contents, list(digests), magic)
        return {
            digest: (bytes(source), None if code is None else bytes(code)) for digest, (source, code) in found.items()
        }

    def resources(self, package: str) -> list[str]:
        """See entry.Source."""
        if (other := self._other()) is not None:
            return other.resources(package)
        found: list[str] = self._ask(f"the data of {package}", server.resources, self.origin, package)
        return found

    def resource(self, package: str, path: str) -> bytes:
        """See entry.Source."""
        if (other := self._other()) is not None:
            return other.resource(package, path)
        return bytes(self._ask(f"{package}/{path}", server.resource, self.origin, package, path))

    def metadata(self, distribution: str) -> dict[str, str]:
        """See entry.Source."""
        if (other := self._other()) is not None:
            return other.metadata(distribution)
        found: dict[str, str] = self._ask(f"the metadata of {distribution}", server.metadata, distribution)
        return found

    def definitions(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """See entry.Source."""
        if (other := self._other()) is not None:
            return other.definitions(digests)
        found: dict[bytes, Any] = self._ask("a definition", server.definitions, list(digests))
        return {version: bytes(recipe) for version, recipe in found.items()}

    def _other(self) -> Source | None:
        if get_ident() != self.node.thread:
            return None
        other = self.blocking()
        if other is None:
            raise OriginLost(
                self.peer,
                "code",
                "it cannot be asked while the event loop waits for the answer. Import it outside of async functions",
            )
        return other

    def _ask(self, what: str, fn: Any, *args: Any) -> Any:
        node = self.node
        if node.closed:
            raise OriginLost(self.peer, what, f"{node.name} has stopped")
        self.questions += 1
        token = current.set(node.voice)
        try:
            return remote_call.options(timeout=TIMEOUT, capture=False)(self.peer, fn, *args).result(TIMEOUT + 1)
        except (CallFailed, NotConnected, TimeoutError) as error:
            raise OriginLost(self.peer, what, str(error)) from error
        except BeampyError as error:  # the node stops
            raise OriginLost(self.peer, what, str(error)) from error
        finally:
            current.reset(token)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
