"""What a node may be told about how it meets others: one record, given by the runtime and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from beampy.dist.address import Address
    from beampy.dist.cookie import Cookies
    from beampy.dist.references import References
    from beampy.errors import UnknownNode

KIB = 1024
MIB = 1024 * KIB

AutoConnect = Literal["always", "once", "never"]


@dataclass(frozen=True)
class Options:
    """How a node meets others. `runtime.Node` documents each of them for users."""

    cookies: Cookies
    # What functions and classes travel by: hook(peer, say) for each connection's codec, where say(data) writes a CODE
    # frame now; up(peer, flags) and down(peer).
    code: Any = None
    references: References | None = None  # what remote references are told of connections
    # Who else may know where a node is that discovery does not find: its addresses, or what discovery has raised.
    introduce: Callable[[str, UnknownNode], Awaitable[list[Address]]] | None = None
    features: frozenset[str] = frozenset()  # words that the handshake compares, besides our own
    discovery: Any = None  # None: the name service on each node's host (EPMD)
    bind: str = "127.0.0.1"  # every listener binds loopback unless told otherwise
    port: int = 0  # 0: any free one
    listen: bool = True
    unix: bool = True  # also a unix socket, for nodes of this host
    shared_memory: bool = True  # for large buffers to nodes that are reached over one, see dist/shared.py
    busy_wait: bool = False  # look for answers a moment longer before the loop sleeps, see dist/busy_wait.py
    tls: Any = None  # None: exactly on addresses that are not loopback; True, False, or TlsFiles
    hidden: bool = False
    mesh: bool = True  # connect to whom our peers are connected with, as OTP's connect_all
    allowed: frozenset[str] | None = None  # the nodes that may connect; None: all that have the cookie
    auto_connect: AutoConnect = "always"
    tick_time: float = 60.0  # seconds; OTP's net_ticktime
    setup_timeout: float = 7.0  # seconds for one attempt to connect; OTP's net_setuptime
    max_message: int = 4 * 1024 * MIB  # bytes of one message; what a peer may make us hold at once
    max_half_open: int = 64  # connections that have not proved themselves yet
    high: int = MIB  # bytes that wait before a writing process is parked; OTP's +zdbbl
    low: int = MIB // 4  # bytes that wait when it goes on
    cap: int = 64 * MIB  # bytes that wait before send raises PeerBusy; a message of any size may start below it
