"""Classes that are equal and not the same: a number keeps them apart, where a function has made several.

Rule: the first of equal classes has number 0, and the next one a higher one as long as another is alive. So a class
that is made again after the one before is gone is the same definition. Place: under definitions.py.
"""

from __future__ import annotations

import weakref
from typing import Any

MOST = 4096  # contents remembered before those of which no class is left are forgotten


class Alike:
    """The numbers of classes, by what is in them."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, dict[int, tuple[Any, int]]] = {}  # a weak reference and the number, by its id
        self.highest: dict[bytes, int] = {}
        self.limit = MOST

    def number(self, cls: type, content: bytes) -> int:
        """The number of a class with this content, from 0; the same each time it is asked for."""
        living = self.numbers.get(content)
        if living is None:
            if len(self.numbers) >= self.limit:
                self.forget()
            living = self.numbers[content] = {}
        key = id(cls)
        found = living.get(key)
        if found is not None and found[0]() is cls:
            return found[1]

        def gone(_: Any, key: int = key, living: dict[int, tuple[Any, int]] = living) -> None:
            living.pop(key, None)

        number = self.highest[content] + 1 if living else 0
        living[key] = weakref.ref(cls, gone), number
        self.highest[content] = number
        return number

    def forget(self) -> None:
        """Keep nothing of classes that are gone."""
        for content in [content for content, living in self.numbers.items() if not living]:
            del self.numbers[content], self.highest[content]
        self.limit = max(MOST, 2 * len(self.numbers))  # all may be alive: then not again at each one
