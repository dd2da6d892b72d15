"""Code for one node: whether it takes any, from whom it has what, and what becomes of it when these are gone.

Rule: the code of a node that is lost stays for a while, since it may come back; that of one that was started anew under
the same name is dropped. Place: runtime gives each node one, and connections ask it for the hooks of their codecs
(hook.py). Up, down and what they lead to happen on the loop; finding and asking in threads.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from concurrent.futures import Future
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.code import deps, server
from beampy.code.classify import is_everywhere
from beampy.code.hook import PeerCode
from beampy.code.link import TIMEOUT, Link
from beampy.code.origin import here
from beampy.code.origin_files import files, files_of
from beampy.code.passing import Looks
from beampy.code.skew import compared
from beampy.code.space import spaces
from beampy.code.table import table
from beampy.errors import BeampyError, CodeRefused, NotConnected
from beampy.otp.rpc import remote_call

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from beampy.code.client import SocketSource
    from beampy.code.missing import Missing
    from beampy.core.node import LocalNode

log = logging.getLogger("beampy.code")

STAYS = 600.0  # seconds that the code of a lost node is kept: ten times the silence after which nodes count as lost
LOOK_UP = 2.0  # seconds for the address of a node that is connected already: its name service is near
FEATURE = "code"  # the word of nodes that send and take code, in the handshake


class NodeCode:
    """Code for one node: whether it takes any, what it does about missing packages, and from whom it has what.

    `blocking(peer)`, called on the loop, is a Source for code that blocks the loop, and how to wait until it is ready.
    """

    def __init__(
        self,
        node: LocalNode,
        *,
        accept: bool = True,
        missing: Missing | None = None,
        blocking: Callable[[str], tuple[SocketSource, Callable[[float], None]]] | None = None,
    ) -> None:
        self.node = node
        self.accept = accept
        self.missing = missing
        self.blocking = blocking
        self.environment = ""  # a word for what is installed here, which the handshake compares
        self.links: dict[tuple[str, str], Link] = {}
        self.lines: dict[str, SocketSource] = {}
        self.origins: dict[str, str] = {}  # by node
        self.leaving: dict[str, asyncio.TimerHandle] = {}
        self.without: set[str] = set()  # connected nodes that neither send nor take code
        self.looks = Looks(lambda *at: node.loop.call_later(*at), lambda: bool(table().builder.built.standins))

    def hook(self, peer: str, say: Callable[[bytes], bool] = lambda data: True) -> PeerCode:
        """The hook for messages to and from a peer, for one connection. `say`: see PeerCode.

        By default there is nothing to say, as to oneself.
        """
        return PeerCode(self, peer, say)

    def link(self, peer: str, origin: str, owner: str = "") -> Link:
        """How to ask a peer for code of an origin, which is that of `owner`, by default its own. In a thread."""
        link = self.links.get((peer, origin))
        if link is None:
            link = self.links[peer, origin] = Link(self.node, peer, origin, lambda: self.lines.get(peer))
            if origin and origin != here().id:
                spaces().node = self.node.name
                space = spaces().of(origin, owner or peer)
                if self.missing is not None:
                    space.missing = self.missing
                space.add_source(link)
                self._prepare(peer, "" if owner else origin)
        return link

    def _prepare(self, peer: str, origin: str) -> None:
        """Be ready for imports that hold the loop up, before any code of that origin runs. In a thread."""
        met: Future[Callable[[float], None] | None] = Future()
        try:
            self.node.loop.call_soon_threadsafe(self._met, peer, origin, met)
        except RuntimeError:  # the loop is closed
            return
        if get_ident() != self.node.thread:
            with contextlib.suppress(NotConnected, TimeoutError):  # such imports will say so
                look_up = met.result(LOOK_UP)
                if look_up is not None:
                    look_up(LOOK_UP)

    def _met(self, peer: str, origin: str, met: Future[Callable[[float], None] | None]) -> None:
        """A node has sent code for the first time: its own, of that origin, or another's (""). On the loop."""
        look_up = None
        try:
            if self.node.closed:
                return
            before = self.origins.get(peer, origin)
            if origin and before != origin:
                self._gone(peer, before)  # another process has its name now
            if origin:
                self.origins[peer] = origin
            if self.blocking is not None and (origin or peer not in self.lines):
                self._hang_up(peer)
                self.lines[peer], look_up = self.blocking(peer)
        finally:
            met.set_result(look_up)

    def _hang_up(self, peer: str) -> None:
        line = self.lines.pop(peer, None)
        if line is not None:
            line.close()

    def up(self, peer: str, flags: frozenset[str]) -> None:
        """A node is connected. `flags` are the words that it and this one have in common. On the loop."""
        timer = self.leaving.pop(peer, None)
        if timer is not None:
            timer.cancel()
        if FEATURE not in flags:
            self.without.add(peer)
            return
        self.without.discard(peer)
        if self.environment not in flags:
            process, _ = self.node.spawn(self._state, (peer,), None)
            process.extras().quiet = True

    def down(self, peer: str) -> None:
        """The connection to a node is lost. Its code stays for a while: it may come back. On the loop."""
        self.without.discard(peer)
        if not self.node.closed and any(node == peer for node, _ in self.links):
            self.leaving[peer] = self.node.loop.call_later(STAYS, self._left, peer)

    def _left(self, peer: str) -> None:
        self.leaving.pop(peer, None)
        for node, origin in list(self.links):
            if node == peer and origin != self.origins.get(peer):
                del self.links[node, origin]  # of others, which it has sent on
        if peer in self.origins:
            self._gone(peer, self.origins.pop(peer))

    def _gone(self, peer: str, origin: str) -> None:
        """An origin is gone for good, as far as this node knows."""
        self.links.pop((peer, origin), None)
        self._hang_up(peer)
        if origin and origin != here().id:
            for each in (origin, files_of(origin)):
                spaces().drop(each)
                table().builder.built.drop(each)

    async def _state(self, peer: str) -> None:
        """Say in the log how a node's Python and packages differ from ours."""
        try:
            theirs = await remote_call.options(timeout=TIMEOUT, capture=False)(peer, server.inventory)
            mine = await server.inventory(loaded=True)
        except BeampyError:
            return  # it is gone again, or takes no calls
        differences = deps.skew(deps.Inventory(*mine), deps.Inventory(*theirs))
        if differences:
            log.info("%s", deps.described(peer, differences))

    def close(self) -> None:
        """The node stops."""
        for timer in self.leaving.values():
            timer.cancel()
        self.leaving.clear()
        self.looks.close()
        for peer in list(self.lines):
            self._hang_up(peer)

    def passing(self) -> None:
        """Code was built here that has remote references in it. In a thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.node.loop.call_soon_threadsafe(self._passing)

    def _passing(self) -> None:
        if not self.node.closed:
            self.looks.soon()

    def travels(self, fn: Any) -> bool:
        """Whether a function goes as itself; otherwise every node has it under its name."""
        module = getattr(fn, "__module__", None)
        return isinstance(module, str) and here().kind(module) != "installed"

    def named(self, name: str) -> Any:
        """See core.remote.Code.

        (name, node, origin, module, path, version, digest, process) where its module is our own. Of an installed
        package the version is 0 and the digest empty: any that the other node has will do.
        """
        module, colon, path = name.partition(":")
        parts = name.split(".")
        for at in range(len(parts) - 1, 0, -1) if not colon else (0,):
            if at:
                module, path = ".".join(parts[:at]), ".".join(parts[at:])
            kind = here().kind(module)
            if kind == "source":
                origin, digest = here(), here().digest(module) or b""
                edited = files().digest(module)
                if edited is not None and edited != digest:  # a name means the file as it is now
                    origin, digest = files(), edited
                version = origin.version(module)
                return name, self.node.name, origin.id, module, path, version, digest, here().id
            if kind == "installed" and not is_everywhere(module):
                if module in sys.modules and not hasattr(sys.modules[module], path.partition(".")[0]):
                    break  # nor is it here: no package's version is the reason
                return name, self.node.name, here().id, module, path, 0, b"", here().id
            if kind != "live":
                break
        return name

    def shipped(self, module: str) -> bool:
        """See core.remote.Code."""
        return spaces().shipped(module) is not None

    def find(self, name: Any) -> Any:
        """See core.remote.Code."""
        said, node, origin, module, path, version, digest, process = name
        if not self.accept:
            raise CodeRefused(self.node.name, said.replace(":", "."))
        self.link(node, process)
        if origin != process:
            self.link(node, origin, node)
        space = spaces().of(origin, node)
        with compared(space, self.node.name):
            return space.attribute(module, version, path, digest)
