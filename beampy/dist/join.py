"""Join: make a node one of many: its cookie, its listeners, its name, its table of peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.dist import cookie as cookies
from beampy.dist.options import Options
from beampy.dist.peers import Peers

if TYPE_CHECKING:
    from beampy.core.node import LocalNode


async def join(node: LocalNode, cookie: str | bytes | None, options: dict[str, Any]) -> Peers:
    """The peers of `node`, which listens and is registered. NameInUse, OSError (a port that is taken), ValueError."""
    peers = Peers(node, Options(cookies.Cookies(cookies.find(cookie)), **options))
    node.remote = peers  # before others can connect: what runs here meets them from then on
    await peers.start()
    return peers
