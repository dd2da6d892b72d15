"""What can be said about a text."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from .words import words


@dataclass(frozen=True)
class Text:
    """A text and its title."""

    title: str
    body: str


@dataclass(frozen=True)
class Report:
    """How long its words are, and where that was found out."""

    text: Text
    said: int
    mean: float
    host: str

    def __str__(self) -> str:
        return f"{self.text.title}: {self.said} words that say something, {self.mean:.1f} letters each"


def readability(text: Text) -> Report:
    """A short report."""
    found = words(text.body)
    return Report(text, len(found), sum(map(len, found)) / len(found), platform.node())
