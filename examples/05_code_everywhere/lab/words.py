"""Words, and which of them are too common to count."""

from __future__ import annotations

import re
from importlib.resources import files

COMMON = frozenset(files("lab").joinpath("common.txt").read_text().split())


def words(text: str) -> list[str]:
    """The words of a text that say something, in lower case."""
    return [word for word in re.findall(r"[a-z']+", text.lower()) if word not in COMMON]
