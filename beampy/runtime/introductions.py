"""Introductions: how two nodes meet that cannot find each other, by one that is connected with both.

    asker                          introducer                          wanted
      │  introduce(asker, wanted)      │                                  │
      │ ─────────────────────────────▸ │  accept(asker, cookie)           │
      │                                │ ───────────────────────────────▸ │  lets the asker in
      │                                │ ◂────────── where it listens ─── │
      │ ◂────── where, and the cookie  │                                  │
      │  connects ──────────────────────────────────────────────────────▸ │

Rule: only on demand, once for each attempt to connect, and only nodes that are connected with the introducer. The
cookie is for this pair alone, and the same from one introducer whichever of the two asks. Both forget it when they have
been apart for COMING seconds, or nobody came.

Place: remote references ask for it where the owner of an object is found in no other way (references.py), and runners
of a pool for all nodes that are not their parent (pool/meeting.py). It does not know what the connection is for.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from beampy import api
from beampy.core.current import current
from beampy.core.signals import NodeDown as NodeLost
from beampy.core.signals import NodeUp
from beampy.dist.address import Address
from beampy.errors import BeampyError, ReceiveTimeout
from beampy.otp.rpc import RemoteCaller, remote_call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beampy.core.node import LocalNode

ASKED = 5.0  # seconds for the introducer, which has to ask the other node: less than a setup_timeout
ACCEPTED = 3.0  # seconds for that node, one message there and one back: less than the above
COMING = 30.0  # seconds until who was announced has come; two attempts to connect, and more
SECRET = 32  # bytes, of which an introducer makes cookies: twice what nobody can guess
MOST = 16  # addresses of one node; it has one or two
MOST_EXPECTED = 1024  # nodes at once: a process for each


# who wants to meet another


async def introduced(node: LocalNode, introducer: str, wanted: str) -> list[Address]:
    """Have ourselves introduced to `wanted`. Its addresses. What `introduce` raises, and what a remote call does."""
    caller = RemoteCaller(ASKED, capture=False)
    where, cookie = await caller._ask(node.voice, introducer, f"{__name__}:introduce", (node.name, wanted), {})
    await _expect(node, wanted, cookie)
    return addresses(where)


def addresses(told: Iterable[dict[str, Any]]) -> list[Address]:
    """Addresses as they travel; fields of a later version are left out.

    >>> addresses([{"host": "10.0.0.2", "port": 9100, "color": "blue"}])
    [Address(host='10.0.0.2', port=9100, tls=None, unix=None, boot_id='', netns=0)]
    """
    fields = Address.__dataclass_fields__
    return [Address(**{key: each[key] for key in each if key in fields}) for each in told]


def listening(node: LocalNode) -> list[dict[str, Any]]:
    """Where a node listens, as it travels; nothing for one that does not."""
    listeners = getattr(node.remote, "listeners", None)
    return [] if listeners is None else [asdict(address) for address in listeners.addresses()][:MOST]


# who introduces


async def introduce(asker: str, wanted: str) -> tuple[list[dict[str, Any]], str]:
    """Tell `wanted` to let `asker` in. Where it listens, and the cookie of the two. BeampyError says why not."""
    node = current.get().node
    if wanted not in node.remote.nodes("all"):
        raise BeampyError(f"{node.name} is not connected with {wanted}")
    cookie = cookie_for(node, asker, wanted)
    call = remote_call.options(timeout=ACCEPTED, capture=False)
    where = await call(wanted, f"{__name__}:accept", asker, cookie)
    return where[:MOST], cookie


_secrets: WeakKeyDictionary[LocalNode, bytes] = WeakKeyDictionary()


def cookie_for(node: LocalNode, one: str, other: str) -> str:
    """The cookie of two nodes that this one introduces to each other."""
    secret = _secrets.setdefault(node, secrets.token_bytes(SECRET))
    return hmac.new(secret, "\0".join(sorted((one, other))).encode(), "sha256").hexdigest()


# who is to be met


async def accept(other: str, cookie: str) -> list[dict[str, Any]]:
    """Let a node connect with this one, which `cookie` proves. Where we listen. BeampyError says why not.

    Asked for by the introducer, through a remote call: who can do that can run any code here.
    """
    node = current.get().node
    where = listening(node)
    options = getattr(node.remote, "options", None)
    if not where or options is None:
        raise BeampyError(f"{node.name} does not listen, so nobody can connect with it")
    if options.allowed is not None and other not in options.allowed:
        raise BeampyError(f"{other} is not among the nodes that {node.name} allows")
    await _expect(node, other, cookie)
    return where


_expected: WeakKeyDictionary[LocalNode, dict[str, object]] = WeakKeyDictionary()  # by name: which introduction counts


async def _expect(node: LocalNode, other: str, cookie: str) -> None:
    """From now on the other one is known by this cookie, for as long as it is there."""
    expected = _expected.setdefault(node, {})
    if other not in expected and len(expected) >= MOST_EXPECTED:
        raise BeampyError(f"{node.name} expects {MOST_EXPECTED} nodes already; wait until some have come and gone")
    node.remote.options.cookies.set_for(other, cookie)  # type: ignore[attr-defined]
    expected[other] = this = object()
    ready = asyncio.Event()
    node.spawn(_until_gone, (other, this, ready), None)
    await ready.wait()


async def _until_gone(other: str, this: object, ready: asyncio.Event) -> None:
    """Forget the cookie of a node when it has been away for COMING, or has not come."""
    node = current.get().node
    api.set_label(f"beampy: meets {other}")
    api.monitor_nodes(True, kind="all")
    ready.set()
    patience = None if other in node.remote.nodes("all") else node.loop.time() + COMING
    expected = _expected.get(node, {})
    while expected.get(other) is this:  # else it was introduced again meanwhile, and another one waits
        try:
            message = await api.receive(timeout=None if patience is None else max(0.0, patience - node.loop.time()))
        except ReceiveTimeout:
            break
        if message.__class__ is NodeUp and message.node == other:
            patience = None
        elif message.__class__ is NodeLost and message.node == other:
            patience = node.loop.time() + COMING
    if expected.get(other) is this:
        del expected[other]
        if (options := getattr(node.remote, "options", None)) is not None:
            options.cookies.set_for(other, None)
