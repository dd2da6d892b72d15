"""Telling: what a peer needs for the definitions in messages is said before them, in frames of their own.

Rule: what was said has arrived whatever becomes of the messages. One may be dropped unread (its process has ended, its
call was cancelled), not be written after all, or be overtaken by a smaller one; so recipes are in none of them, and
are taken in as they come. A frame waits behind no message in pieces: it comes before all that was written after it.

Place: under hook.py. wire has the frames (control.py, CODE), CODEC.md says what is in them. Pure.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from beampy.wire.codec_loads import loads_plain
from beampy.wire.control import MAX_CODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FRONT = 64  # bytes of a frame beside its entries, at most: pickle's own beginning and end
EACH = 32  # bytes of an entry beside what it says, at most: two lengths of up to 9 bytes, and opcodes


def frames(origins: Mapping[str, str], recipes: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """What to say, each piece with the versions whose recipes are in it: which node runs each origin, and recipes.

    A recipe that fills more than a frame is in none: who needs it asks for it.

    >>> [(said, versions)] = frames({"0123456789abcdef": "a@h"}, {bytes(16): b"a recipe"})
    >>> read(said) == ({"0123456789abcdef": "a@h"}, {bytes(16): b"a recipe"})
    True
    """
    said: dict[str | bytes, str | bytes] = {}
    size = FRONT
    entries: list[tuple[str | bytes, str | bytes]] = [*origins.items(), *recipes.items()]
    for key, value in entries:
        more = EACH + sum(len(text.encode() if isinstance(text, str) else text) for text in (key, value))
        if FRONT + more > MAX_CODE:
            continue
        if size + more > MAX_CODE:
            yield pickle.dumps(said, 5), [one for one in said if isinstance(one, bytes)]
            said, size = {}, FRONT
        said[key] = value
        size += more
    if said:
        yield pickle.dumps(said, 5), [one for one in said if isinstance(one, bytes)]


def read(data: bytes) -> tuple[dict[str, str], dict[bytes, bytes]]:
    """(origins, recipes) of what was said. Any Exception for what is not that; it imports nothing."""
    origins: dict[str, str] = {}
    recipes: dict[bytes, bytes] = {}
    for key, value in loads_plain(data, ()).items():
        if type(key) is type(value) is str:
            origins[key] = value
        elif type(key) is type(value) is bytes:
            recipes[key] = value
        else:
            raise TypeError(f"{type(key).__name__} and {type(value).__name__}, neither an origin nor a recipe")
    return origins, recipes
