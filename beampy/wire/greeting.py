"""The messages of the handshake: their shapes, their bounds, and what two nodes have in common. Pure.

Rule: bytes of a stranger become one of these few records, or RemoteProtocolError. Place: below `handshake.py`, which
says who sends what when. Not known here: cookies, proofs, whose turn it is. HANDSHAKE.md has every byte.

    opening   8 bytes, once at the start of each direction: MAGIC and the number of this format
    frame     u16 length of the rest | u8 n | body: a msgpack array | n seals of 32 bytes

A body begins with its kind. Elements that follow the known ones are ignored, so a later release can say more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, cast

import msgpack

from beampy.core.ids import NODE_NAME
from beampy.errors import BadName, RemoteProtocolError, VersionMismatch

MAGIC = (
    b"\x8bbeampy"  # the first byte is no ASCII, no TLS record and no length of Erlang's handshake: strangers fail at it
)
FORMAT = 1  # of frames and bodies as described here; a change that trailing elements cannot carry raises it
OPENING = MAGIC + bytes([FORMAT])
MAX_FRAME = 4096  # DESIGN: what a stranger may make us hold
HEADER = 3  # u16 length, u8 number of seals
SEAL = 32  # HMAC-SHA256
NONCE = 32  # as long as the seal: 2**128 handshakes until two are likely to be equal
MAX_FLAGS = 64  # as many as Erlang's 64 bits; twice 64 words of 24 characters and two names fill 3.8 KiB
MAX_CREATION = 2**32 - 1
MIN_CREATION = 4  # as OTP, which avoids 0-3
MAX_VERSION = 2**16 - 1
WORD = re.compile(r"[a-z][a-z0-9_]{0,23}\Z")  # a feature, a purpose, a status
MAIN = "main"  # the purpose of a connection that carries messages and signals

# The kinds of bodies.
HELLO, CHALLENGE, PROOF, WELCOME, CLAIM, REFUSED = 1, 2, 3, 4, 5, 9


class Status(StrEnum):
    """What the acceptor says to a peer that proved its cookie."""

    OK = "ok"
    OK_SIMULTANEOUS = "ok_simultaneous"  # ok, and the acceptor gives up its own attempt to connect
    NOK_SIMULTANEOUS = "nok_simultaneous"  # no: the acceptor's own attempt goes on
    ALIVE = "alive"  # a connection to that name is up here: is it dead?
    NOT_ALLOWED = "not_allowed"  # no: not on the acceptor's list
    NAME_IN_USE = "name_in_use"  # no: another node has that name
    WRONG_NAME = "wrong_name"  # no: the acceptor has another name than was expected
    UNAVAILABLE = "unavailable"  # no: not now; the node is stopping


def simultaneous(own: str, peer: str) -> Status:
    """What `own`, which is connecting to `peer`, says to `peer`'s own attempt: the greater name's attempt wins, as OTP.

    >>> simultaneous("a@h", "b@h").value, simultaneous("b@h", "a@h").value
    ('ok_simultaneous', 'nok_simultaneous')
    """
    return Status.NOK_SIMULTANEOUS if own > peer else Status.OK_SIMULTANEOUS


@dataclass(frozen=True, slots=True)
class Identity:
    """One node, as it introduces itself.

    `name` is the full `name@host`. `creation` is the 32-bit number of this start, 4 or more. `flags` are the features
    it has, words of `a-z0-9_` up to 24 characters, 64 at most; it refuses a peer that lacks one of `required`. `hidden`
    nodes are not shown and not meshed. `versions` is the first and the last version of the protocol that it speaks.

    Raises BadName for the name and ValueError for the rest.

    >>> Identity("a@10.0.0.1", 77, frozenset({"bulk"})).versions
    (1, 1)
    """

    name: str
    creation: int
    flags: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    hidden: bool = False
    versions: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise BadName("node", self.name, "name@host, as in app@10.0.0.1")
        if not is_creation(self.creation):
            raise ValueError(f"a creation is an integer from {MIN_CREATION} to 2**32-1, not {self.creation!r}")
        if not (is_words(sorted(self.flags)) and self.required <= self.flags):
            raise ValueError("flags are at most 64 words of a-z, 0-9 and _, and those required are among them")
        first, last = self.versions
        if not (is_version(first) and is_version(last) and first <= last):
            raise ValueError(f"versions are the first and the last, from 1 to {MAX_VERSION}, not {self.versions!r}")


class Peer(NamedTuple):
    """The other node, authenticated. `flags` are the features both have, `version` is the last that both speak."""

    name: str
    creation: int
    flags: frozenset[str]
    hidden: bool
    version: int
    purpose: str = MAIN


class Terms(NamedTuple):
    """What a side says of itself before it is believed: versions and features."""

    first: int
    last: int
    flags: list[str]
    required: list[str]


class Hello(NamedTuple):
    """The initiator's first message. `to` is the name that it expects the acceptor to have."""

    terms: Terms
    purpose: str
    name: str
    creation: int
    hidden: bool
    to: str
    nonce: bytes


# --- what a field may be -------------------------------------------------------------------------


def is_name(value: object) -> bool:
    """The full name of a node. Erlang's for one without a name counts: nodes that it has started connect to it."""
    return type(value) is str and NODE_NAME.match(value) is not None


def is_creation(value: object) -> bool:
    return type(value) is int and MIN_CREATION <= value <= MAX_CREATION


def is_version(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_VERSION


def is_word(value: object) -> bool:
    return type(value) is str and WORD.match(value) is not None


def is_words(value: object) -> bool:
    return type(value) is list and len(value) <= MAX_FLAGS and all(map(is_word, value))


def is_nonce(value: object) -> bool:
    return type(value) is bytes and len(value) == NONCE


def is_bool(value: object) -> bool:
    return type(value) is bool


# Shape of a body: what each element after its kind must be, with the name it has in errors.
Shape = tuple[tuple[str, Callable[[object], bool]], ...]
TERMS: Shape = (("version", is_version), ("version", is_version), ("flags", is_words), ("flags", is_words))
SHAPES: dict[int, Shape] = {
    HELLO: (
        *TERMS,
        ("purpose", is_word),
        ("name", is_name),
        ("creation", is_creation),
        ("hidden", is_bool),
        ("name", is_name),
        ("nonce", is_nonce),
    ),
    CHALLENGE: (*TERMS, ("nonce", is_nonce)),
    PROOF: (),
    WELCOME: (("status", is_word), ("name", is_name), ("creation", is_creation), ("hidden", is_bool)),
    CLAIM: (("answer", is_bool),),
    REFUSED: (("reason", is_word),),
}


# --- bytes to fields and back --------------------------------------------------------------------


def frame(seals: int, kind: int, *fields: object) -> bytes:
    """A frame up to its seals, which the caller appends."""
    body = cast("bytes", msgpack.packb([kind, *fields]))
    return (1 + len(body) + seals * SEAL).to_bytes(2, "big") + bytes([seals]) + body


def unpack(body: bytes) -> list[Any]:
    """The array that a body is."""
    try:
        # The limits keep a short body from making long lists: 4 KiB can ask for thousands of them.
        fields = msgpack.unpackb(body, max_array_len=MAX_FLAGS, max_map_len=MAX_FLAGS, max_ext_len=0)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise RemoteProtocolError(f"a handshake message is not msgpack: {type(error).__name__}") from None
    if type(fields) is not list or not fields:
        raise RemoteProtocolError("a handshake message is not an array")
    return fields


def fields_of(body: bytes, *kinds: int) -> list[Any]:
    """The elements of a body of one of these kinds, the kind first; those that nobody knows yet are kept."""
    fields = unpack(body)
    if type(fields[0]) is not int or fields[0] not in kinds:
        raise RemoteProtocolError(f"a handshake message of kind {kinds[0]} was expected")
    check(fields, SHAPES[fields[0]])
    return fields


def check(fields: list[Any], shape: Shape) -> None:
    """RemoteProtocolError unless the elements after the kind have this shape."""
    if len(fields) <= len(shape):
        raise RemoteProtocolError("a handshake message is too short")
    for value, (what, good) in zip(fields[1:], shape, strict=False):
        if not good(value):
            raise RemoteProtocolError(f"the {what} in a handshake message is not one")


def terms_of(me: Identity) -> Terms:
    return Terms(*me.versions, sorted(me.flags), sorted(me.required))


def agree(me: Identity, node: str, terms: Terms) -> tuple[int, frozenset[str]]:
    """The version and the features that both sides have. VersionMismatch about `node` when there is no such version."""
    first, last = me.versions
    version = min(last, terms.last)
    if version < max(first, terms.first):
        ours, theirs = _span(first, last), _span(terms.first, terms.last)
        raise VersionMismatch(node, f"it speaks version {theirs} of the protocol and this node {ours}")
    if lacks := me.required.difference(terms.flags):
        raise VersionMismatch(node, f"it lacks what this node needs: {', '.join(sorted(lacks))}")
    if lacks := frozenset(terms.required) - me.flags:
        raise VersionMismatch(node, f"this node lacks what it needs: {', '.join(sorted(lacks))}")
    return version, me.flags.intersection(terms.flags)


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"
