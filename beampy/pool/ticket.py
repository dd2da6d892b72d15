"""Tickets: what a runner shows when it dials home, so that only machines that the pool asked for get in, and each once.

Rule: a ticket names the pool, the boot and the node it is for, and when it ends; a MAC under a key that only the pool
has signs all of it. The pool redeems each boot number once. A ticket is no secret key of the connection: the cookie of
the pool authenticates that, and both travel together in a runner's spec.

Pure: time and the key are arguments.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field

KEY_BYTES = 32  # as many as SHA-256 gives: a longer key is hashed to that
MAX_TICKET = 1024  # characters; a longer one is none of ours


class BadTicket(ValueError):
    """A ticket that is not accepted; the text says why."""


@dataclass(frozen=True)
class Ticket:
    """Lets `node` join pool `pool` as boot number `boot`, until `expires` (seconds since 1970)."""

    pool: str
    boot: int
    node: str
    expires: float


def signed(ticket: Ticket, key: bytes) -> str:
    """The ticket as text, with its MAC.

    >>> read(signed(Ticket("p", 1, "r@h", 60.0), b"k" * 32), b"k" * 32).boot
    1
    """
    body = json.dumps([ticket.pool, ticket.boot, ticket.node, ticket.expires], separators=(",", ":")).encode()
    return f"{_text(body)}.{_text(hmac.digest(key, body, hashlib.sha256))}"


def read(text: str, key: bytes) -> Ticket:
    """The ticket that `text` is. BadTicket where it was not signed with `key`, or is nothing of the kind."""
    body_text, dot, mac_text = (
        text.partition(".") if isinstance(text, str) and len(text) <= MAX_TICKET else ("", "", "")
    )
    try:
        body, mac = _bytes(body_text), _bytes(mac_text)
    except ValueError:
        body = mac = b""
    if not dot or not hmac.compare_digest(mac, hmac.digest(key, body, hashlib.sha256)):
        raise BadTicket("its ticket is not one of this pool's")
    pool, boot, node, expires = json.loads(body)
    return Ticket(pool, boot, node, expires)


@dataclass
class Tickets:
    """The tickets of one pool: made by number, redeemed once.

    >>> tickets = Tickets("p", b"k" * 32)
    >>> text = tickets.issue(1, "r@h", expires=60.0)
    >>> tickets.redeem(text, "r@h", now=0.0)
    1
    >>> tickets.redeem(text, "r@h", now=0.0)
    Traceback (most recent call last):
        ...
    beampy.pool.ticket.BadTicket: its ticket was used before, or its boot was given up
    """

    pool: str
    key: bytes
    open: dict[int, str] = field(default_factory=dict)  # boot → node

    def issue(self, boot: int, node: str, *, expires: float) -> str:
        """A new ticket."""
        self.open[boot] = node
        return signed(Ticket(self.pool, boot, node, expires), self.key)

    def revoke(self, boot: int) -> None:
        """It is good for nothing from now on."""
        self.open.pop(boot, None)

    def redeem(self, text: str, node: str, *, now: float) -> int:
        """The boot that `node`, which shows this ticket, is. BadTicket says why it is not accepted."""
        ticket = read(text, self.key)
        if ticket.pool != self.pool:
            raise BadTicket("its ticket is another pool's")
        if ticket.node != node:
            raise BadTicket(f"its ticket is for {ticket.node}, and it is {node}")
        if now > ticket.expires:
            raise BadTicket("its ticket has expired")
        if self.open.pop(ticket.boot, None) is None:
            raise BadTicket("its ticket was used before, or its boot was given up")
        return ticket.boot


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
