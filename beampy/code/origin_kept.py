"""The sources that an origin has given out, by digest: an edit does not take away what a receiver was told of.

The rule: the least recently used go first once they are too much. Place: in origin.py, under its lock. It does not know
which module a source is of.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

# All that a large application has imported: sympy, the largest pure package at hand, is 30 MB of source.
LIMIT: Final = 64 * 1024 * 1024


class Kept:
    """(source, marshalled code or None) by digest, `limit` bytes of them."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._bytes = 0
        self._by_digest: OrderedDict[bytes, tuple[bytes, bytes | None]] = OrderedDict()

    def put(self, digest: bytes, source: bytes, code: bytes | None) -> None:
        """Keep them. What alone is larger than the limit is not kept."""
        before = self._by_digest.pop(digest, None)
        if before is not None:
            self._bytes -= _size(before)
        entry = (source, code or (before[1] if before is not None else None))
        if _size(entry) > self._limit:
            return
        self._by_digest[digest] = entry
        self._bytes += _size(entry)
        while self._bytes > self._limit:
            _, oldest = self._by_digest.popitem(last=False)
            self._bytes -= _size(oldest)

    def get(self, digest: bytes) -> tuple[bytes, bytes | None] | None:
        """The source and its code; None: not kept, or no longer."""
        found = self._by_digest.get(digest)
        if found is not None:
            self._by_digest.move_to_end(digest)
        return found

    def copy(self) -> Kept:
        """Another one with the same contents."""
        other = Kept(self._limit)
        other._by_digest, other._bytes = self._by_digest.copy(), self._bytes
        return other


def _size(entry: tuple[bytes, bytes | None]) -> int:
    return len(entry[0]) + len(entry[1] or b"")
