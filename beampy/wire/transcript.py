"""What was said in one handshake: frames in and out of bytes, and the seals over all of it. Pure.

Rule: every byte that either side sends is hashed, in the order in which it was said, and a seal is HMAC-SHA256 over a
label and that hash. The two sides take turns, so the order is the same for both. Place: between `greeting.py`, the
shapes of bodies, and `handshake.py`, the turns. Not known here: what a message means, who is believed.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest, digest
from typing import TYPE_CHECKING, NamedTuple

from beampy.errors import RemoteProtocolError
from beampy.wire.greeting import HEADER, MAGIC, MAX_FRAME, OPENING, SEAL, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COOKIES = 4  # at once: the new one, the old one, and room for two rotations that overlap

# The labels keep the three seals apart: one that is sent back, or taken from another place, does not fit.
BEGINNING = b"beampy handshake\0"
PROOF_LABEL = b"beampy handshake: the initiator's proof\0"
WELCOME_LABEL = b"beampy handshake: the acceptor's welcome\0"
CLAIM_LABEL = b"beampy handshake: the initiator's claim\0"


class OtherFormat(Exception):
    """The other side is a beampy node whose handshake has another format."""


class Heard(NamedTuple):
    """A frame that came: `head` is all of it up to its seals, `body` the msgpack array in it."""

    head: bytes
    body: bytes
    seals: list[bytes]


class Transcript:
    """One side's account. `binding` is what the handshake is bound to besides itself, b"" for nothing."""

    __slots__ = ("_hash", "_in", "_opened_in", "_opened_out", "_out")

    def __init__(self, binding: bytes) -> None:
        self._hash = sha256(BEGINNING + len(binding).to_bytes(2, "big") + binding)
        self._in = bytearray()
        self._out = bytearray()
        self._opened_in = False
        self._opened_out = False

    # in

    @property
    def opened(self) -> bool:
        """Whether the other side began as a beampy node does."""
        return self._opened_in

    def push(self, data: bytes) -> None:
        self._in += data

    def left(self) -> int:
        """How many bytes came that no frame has taken yet: after a frame, too many; before it, too few."""
        return len(self._in)

    def take_rest(self) -> bytes:
        """All that is left, for somebody else."""
        rest = bytes(self._in)
        self._in.clear()
        return rest

    def pull(self) -> Heard | None:
        """The next frame; None as long as bytes are missing. RemoteProtocolError as soon as they are wrong."""
        got = self._in
        if not self._opened_in and not self._open_in():
            return None
        if len(got) < 2:
            return None
        end = 2 + int.from_bytes(got[:2], "big")
        if not HEADER < end <= MAX_FRAME:
            raise RemoteProtocolError(f"a handshake message of {end} bytes")
        if len(got) < end:
            return None
        first_seal = end - got[2] * SEAL
        if first_seal <= HEADER:
            raise RemoteProtocolError("a handshake message that is all seals")
        head = bytes(got[:first_seal])
        seals = [bytes(got[at : at + SEAL]) for at in range(first_seal, end, SEAL)]
        del got[:end]
        return Heard(head, head[HEADER:], seals)

    def _open_in(self) -> bool:
        """Take the other side's opening. False as long as it is not whole."""
        got = bytes(self._in[: len(OPENING)])
        if got == OPENING:
            self._hash.update(OPENING)
            del self._in[: len(OPENING)]
            self._opened_in = True
            return True
        if OPENING.startswith(got):
            return False
        if got.startswith(MAGIC):
            raise OtherFormat
        # Only the first byte is looked at: the error is the same in whatever pieces the bytes come.
        if got[:1] == b"\x16":
            raise RemoteProtocolError("the other side speaks TLS, and this one does not")
        if b"A" <= got[:1] <= b"Z":
            raise RemoteProtocolError("the other side is no beampy node; it may speak HTTP")
        raise RemoteProtocolError("the other side is no beampy node")

    def hear(self, heard: Heard, keys: Sequence[bytes] = (), label: bytes = b"") -> bytes | None:
        """Add a frame that came. The first of `keys` that made one of its seals, or None."""
        self._hash.update(heard.head)
        found = None
        for key in keys:  # all of them are tried, so the time it takes does not say which one fits
            expected = self._seal(key, label)
            fits = [compare_digest(expected, seal) for seal in heard.seals]
            if found is None and any(fits):
                found = key
        self._hash.update(b"".join(heard.seals))
        return found

    # out

    def open(self) -> None:
        """Send our opening, once."""
        if not self._opened_out:
            self._opened_out = True
            self._hash.update(OPENING)
            self._out += OPENING

    def say(self, kind: int, *fields: object, keys: Sequence[bytes] = (), label: bytes = b"") -> None:
        """Send a frame, with a seal for each key."""
        self.open()
        head = frame(len(keys), kind, *fields)
        self._hash.update(head)
        seals = b"".join([self._seal(key, label) for key in keys])
        self._hash.update(seals)
        self._out += head + seals

    def take_output(self) -> bytes:
        """What is to be sent now."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def _seal(self, key: bytes, label: bytes) -> bytes:
        return digest(key, label + self._hash.digest(), "sha256")


def keys_of(cookies: Sequence[bytes]) -> tuple[bytes, ...]:
    r"""A key for each cookie. Hashed, since HMAC takes b"x" and b"x\0" for the same key."""
    if isinstance(cookies, bytes) or not 1 <= len(cookies) <= MAX_COOKIES or not all(cookies):
        raise ValueError(f"cookies are a list of 1 to {MAX_COOKIES} secrets, none of them empty")
    return tuple([sha256(b"beampy cookie\0" + cookie).digest() for cookie in cookies])
