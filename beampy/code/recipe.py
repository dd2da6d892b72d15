"""Recipes: definitions as they travel, and are kept until somebody needs them.

Place: definitions.py writes them, building.py makes live things of them. It knows neither.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from beampy.wire.codec_loads import loads_plain


class Recipe(NamedTuple):
    """A definition as it travels; see definitions.py for what `head` is in each kind."""

    kind: str
    head: Any
    body: bytes
    refs: list[bytes]
    holds: bool = False  # whether remote references stand in its body: see passing.py

    @classmethod
    def read(cls, data: bytes) -> Recipe:
        """From its bytes. Any Exception for what is none."""
        return cls(*loads_plain(data, ()))


class Unknown(LookupError):
    """Something is needed that was here when recipes were put together, and is not any more: its version."""
