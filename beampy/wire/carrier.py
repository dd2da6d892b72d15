"""What travels beside a body because of what is in it: references, and memory that is shared. The manifest.

Rule: a body names a reference and says no more; that it is *lent* with this message is said once, in front of the body,
where it can be read without reading the message. So a message that is never decoded has arrived all the same, and what
it lent can be given back. The same front has a section for buffers that do not travel at all.

Place: codec.py asks a Carrier while it writes and reads; dist reads the manifest off what arrives (reading.py). What a
section means is its carrier's own. CODEC.md has the bytes. Pure.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgpack

from beampy.errors import EncodeError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MANIFEST",
    "MAX_MANIFEST",
    "REFERENCES",
    "SHARED",
    "Carrier",
    "manifest",
    "read_manifest",
    "section_of",
    "with_section",
]

MANIFEST = 128  # of a kind: the body begins with a manifest
REFERENCES = 1  # the section of the references that the body names: bytes
SHARED = 2  # the section of the buffers that lie in shared memory: plain data
SECTIONS = frozenset({REFERENCES, SHARED})
MAX_MANIFEST = 1024 * 1024  # bytes: some 40,000 references; it is read on the loop, at about 1 ms for each 100 KiB

_SIZE = struct.Struct(">I")


class Carrier(Protocol):
    """What the references in messages to and from one peer are. One for each session: each attempt to connect.

    `kinds` are their classes, exactly; no subclass is one.
    """

    kinds: frozenset[type]

    def name(self, ref: Any) -> tuple[Any, ...]:
        """Which reference it is: hashable plain data, which stands in the body. EncodeError for one that is over."""
        ...

    def lend(self, refs: Sequence[Any]) -> bytes:
        """The section of a message that has these, each once. Called when the whole body is written, once."""
        ...

    def withdraw(self, section: bytes) -> None:
        """The message with this section will not be sent."""

    def arrived(self, section: Any) -> Any:
        """A message with this section has arrived. What is returned is kept until it is decoded, or dropped.

        Whatever it raises ends the connection.
        """

    def made(self, fields: Any) -> Any:
        """The reference of that name. In any thread, while the `arrived` of its message is kept.

        pickle.UnpicklingError for one that its message does not have.
        """


def manifest(sections: dict[int, Any]) -> bytes:
    """The front of a body. EncodeError: it would be too large.

    >>> manifest({1: b"ab"}).hex()
    '000000058101c4026162'
    """
    packed = cast("bytes", msgpack.packb(sections))
    if len(packed) > MAX_MANIFEST:
        raise EncodeError("message", f"what goes beside it has {len(packed)} bytes, and {MAX_MANIFEST} are possible")
    return _SIZE.pack(len(packed)) + packed


def read_manifest(body: Any) -> tuple[dict[int, Any], int]:
    """The sections in front of a body, and where the body begins. RemoteProtocolError.

    >>> read_manifest(manifest({1: b"ab"}) + b"the body")
    ({1: b'ab'}, 9)
    """
    if len(body) < _SIZE.size:
        raise RemoteProtocolError("a manifest that is cut off")
    (size,) = _SIZE.unpack_from(body)
    end = _SIZE.size + size
    if size > MAX_MANIFEST or end > len(body):
        raise RemoteProtocolError(f"a manifest of {size} bytes in a body of {len(body)}")
    try:
        sections = msgpack.unpackb(body[_SIZE.size : end], strict_map_key=False)
    except Exception as error:  # msgpack's are of many types
        raise RemoteProtocolError(f"a manifest that is not msgpack: {error}") from None
    if type(sections) is not dict or not sections or not SECTIONS.issuperset(sections):
        raise RemoteProtocolError("a manifest with sections that are not known here")
    return sections, end


def section_of(kind: int, parts: Sequence[Any], section: int) -> Any:
    """A section of a body that was written here; None where it has none."""
    return read_manifest(parts[0])[0].get(section) if kind & MANIFEST else None


def with_section(kind: int, parts: list[bytes], section: int, value: Any) -> tuple[int, list[bytes]]:
    """A body that was written here, with one section more: its kind and its parts. EncodeError as of `manifest`.

    The manifest is a part of its own, the first.

    >>> with_section(0, [b"the body"], SHARED, [])[0] == MANIFEST
    True
    """
    if kind & MANIFEST:
        sections, _ = read_manifest(parts[0])
        return kind, [manifest({**sections, section: value}), *parts[1:]]
    return kind | MANIFEST, [manifest({section: value}), *parts]
