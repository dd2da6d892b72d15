"""Relay: what this process knows of another origin's modules, for those who cannot ask that origin.

A function that came from one node and is sent on to another brings its origin's name along. Where that origin is gone,
or cannot be reached from there, the node that sent it on answers, with what it has fetched itself.
Place: beside origin.py, behind server.py. It asks nobody.
"""

from __future__ import annotations

from importlib.util import MAGIC_NUMBER
from typing import TYPE_CHECKING

from beampy.code.fetching import code_key
from beampy.code.space import spaces
from beampy.errors import OriginLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from beampy.code.entry import Module


def entries(origin: str, names: Sequence[str], node: str) -> list[Module]:
    """The entries of these modules of another origin, and of what they need, as far as they are known here.

    OriginLost, in the name of `node`, which is this one: none of them is.
    """
    space = spaces().find(origin)
    known: dict[str, Module] = {} if space is None else space.names.known()
    found: dict[str, Module] = {}
    todo = [*names]
    while todo:
        entry = known.get(todo.pop())
        if entry is not None and entry.name not in found:
            found[entry.name] = entry
            todo += [*entry.needs, *_parents(entry.name)]
    if not found:
        raise OriginLost(node, f"module {names[0] if names else ''} of another node", "it has not got it itself")
    return [*found.values()]


def contents(digests: Iterable[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
    """Sources that were fetched here, and their code where the Python is the same."""
    store = spaces().store
    found: dict[bytes, tuple[bytes, bytes | None]] = {}
    for digest in digests:
        source = store.get(digest)
        if source is not None:
            found[digest] = source, store.get(code_key(digest)) if magic == MAGIC_NUMBER else None
    return found


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:at]) for at in range(1, len(parts))]
