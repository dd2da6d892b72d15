"""Addresses: where a node listens, and what it publishes of itself at the name service.

Rule: what a node publishes is small text in epmd's Extra field, written and read by this file only. Reading it never
raises: other programs register there too, and whatever is not ours is None. What is published is a hint and nobody has
proved it: the handshake finds out who answers, and whether plain TCP is acceptable is for the one who connects to say.

Place: dist, under discovery and peers. Knows nothing of sockets: `choose` orders what there is to try.

The field is `beampy1`, then `key=value` items, all separated by NUL bytes; unknown keys are for later versions and
are passed over:

    beampy1 NUL unix=/run/user/1000/beampy/a.sock NUL boot=<boot id> NUL net=4026531840 NUL tls=1 NUL host=10.0.0.2
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = b"beampy1"
FAMILY = b"beampy"  # every version's magic begins so
MAX_EXTRA = 512  # bytes; a real epmd takes 1020, and a path, a host and a boot id need at most 430
MAX_PATH = 107  # bytes; Linux' sun_path has 108, with the NUL at its end
MAX_HOST = 255  # bytes; the longest name of DNS
MAX_BOOT_ID = 64  # bytes; Linux' is 36
ANYWHERE = frozenset({"", "0.0.0.0", "::"})

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NETWORK = "/proc/self/ns/net"


class Place(NamedTuple):
    """A running kernel and one of its network namespaces: what two nodes must share to share a unix socket.

    `boot_id` is "" and `netns` is 0 where the system does not tell; such a place is the same as no other.
    """

    boot_id: str = ""
    netns: int = 0

    @property
    def known(self) -> bool:
        """Whether the system told."""
        return bool(self.boot_id and self.netns)


@functools.cache
def here() -> Place:
    """The place of this process; an unknown one on systems other than Linux."""
    try:
        with open(_BOOT_ID, "rb", buffering=0) as file:
            boot_id = file.read(MAX_BOOT_ID).decode("ascii", "replace").strip()
        return Place(boot_id, os.stat(_NETWORK).st_ino)
    except OSError:
        return Place()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a node listens: `host` and `port` (TCP), `unix` (the path of a unix socket), or both.

    `tls` says whether the TCP port wants TLS, None when that is not known. `boot_id` and `netns` are the node's place,
    "" and 0 when not known. In what a node publishes, `port` is 0 (epmd has a field of its own for it) and an empty
    `host` stands for the host of the node's name.

    >>> Address("10.0.0.2", 9100, tls=True)
    Address(host='10.0.0.2', port=9100, tls=True, unix=None, boot_id='', netns=0)
    """

    host: str = ""
    port: int = 0
    tls: bool | None = None
    unix: str | None = None
    boot_id: str = ""
    netns: int = 0

    @property
    def place(self) -> Place:
        """The place of the node."""
        return Place(self.boot_id, self.netns)

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def encode_extra(address: Address) -> bytes:
    """What a node publishes; its port is not in it. ValueError for what cannot be said in `MAX_EXTRA` bytes.

    >>> encode_extra(Address(tls=True, boot_id="b", netns=7))
    b'beampy1\\x00boot=b\\x00net=7\\x00tls=1'
    """
    path = b"" if address.unix is None else os.fsencode(address.unix)
    host = address.host.encode()
    if address.unix is not None and (not path.startswith(b"/") or len(path) > MAX_PATH):
        raise ValueError(f"the path of a unix socket is absolute and has at most {MAX_PATH} bytes: {address.unix!r}")
    if len(host) > MAX_HOST:
        raise ValueError(f"a host has at most {MAX_HOST} bytes: {address.host!r}")
    items = [MAGIC]
    if path:
        items.append(b"unix=" + path)
    if address.place.known:
        items += [b"boot=" + address.boot_id.encode(), b"net=%d" % address.netns]
    if address.tls is not None:
        items.append(b"tls=%d" % address.tls)
    if host:
        items.append(b"host=" + host)
    extra = b"\0".join(items)
    if any(b"\0" in item for item in items) or decode_extra(extra) is None:
        raise ValueError(f"this cannot be published: {address!r}")
    return extra


def decode_extra(extra: bytes) -> Address | None:
    """What a node published, with port 0; None when it is not beampy's, not this version's, or broken.

    >>> decode_extra(b"beampy1\\x00tls=1\\x00later=x")
    Address(host='', port=0, tls=True, unix=None, boot_id='', netns=0)
    >>> decode_extra(b"") is None
    True
    """
    if len(extra) > MAX_EXTRA:
        return None
    magic, *items = bytes(extra).split(b"\0")
    if magic != MAGIC:
        return None
    found: dict[bytes, bytes] = {}
    for item in items:
        key, equals, value = item.partition(b"=")
        if not equals or key in found:
            return None
        found[key] = value
    try:
        return _read(found)
    except ValueError:  # not UTF-8, not a number, too long
        return None


def _read(found: dict[bytes, bytes]) -> Address:
    path = found.get(b"unix")
    if path is not None and (not path.startswith(b"/") or len(path) > MAX_PATH):
        raise ValueError(path)
    host, boot_id, netns = (found.get(key, b"") for key in (b"host", b"boot", b"net"))
    if len(host) > MAX_HOST or len(boot_id) > MAX_BOOT_ID or len(netns) > 20:  # 20 digits hold 64 bits
        raise ValueError(found)
    tls = found.get(b"tls")
    if tls not in (None, b"0", b"1") or not (netns.isdigit() or not netns) or not host.decode().isprintable():
        raise ValueError(found)
    return Address(
        host=host.decode(),
        tls=None if tls is None else tls == b"1",
        unix=None if path is None else os.fsdecode(path),
        boot_id=boot_id.decode("ascii"),
        netns=int(netns or 0),
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, seen by itself only.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("10.0.0.1")
    (True, True, True, False)
    """
    if host in ("localhost", "127.0.0.1") or host.endswith(".localhost"):
        return True
    import ipaddress  # most nodes need no more than the line above

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def reachable(address: Address, place: Place) -> bool:
    """Whether TCP from `place` can get to an address: not when it is another machine's loopback."""
    if not address.port:
        return False
    elsewhere = address.place.known and place.known and address.place != place
    return not (elsewhere and is_loopback(address.host))


def choose(addresses: Iterable[Address], place: Place, *, unix: bool = True) -> list[Address]:
    """What to try, in this order; each has either a `unix` path or a `host` and `port`.

    Unix sockets come first, and only those of the same place (`unix=False`: none); then TCP, in the order given,
    without what is another machine's loopback. No address twice.

    >>> both = Address("10.0.0.2", 9100, unix="/run/b", boot_id="b", netns=7)
    >>> [str(way) for way in choose([both], Place("b", 7))]
    ['unix:/run/b', '10.0.0.2:9100']
    >>> [str(way) for way in choose([both], Place("c", 7))]
    ['10.0.0.2:9100']
    """
    known = list(addresses)
    ways = [
        Address(unix=address.unix, boot_id=address.boot_id, netns=address.netns)
        for address in known
        if unix and address.unix is not None and place.known and address.place == place
    ]
    ways += [Address(address.host, address.port, address.tls) for address in known if reachable(address, place)]
    return list(dict.fromkeys(ways))
