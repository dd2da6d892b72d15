"""Text for people: columns, sizes, and a screen that is drawn again and again."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNITS = ("B", "K", "M", "G", "T")
WIDE = 10_000  # columns where nothing has to fit on a screen


def width() -> int:
    """The columns of the terminal; where stdout is none, as many as there are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE


def lines(heads: Sequence[str], rows: Iterable[Sequence[Any]], fits: int) -> list[str]:
    """A table: heads that begin with `>` are for numbers. No line is longer than `fits`.

    >>> lines([">n", "name"], [[1, "a"], [12, "b"]], 80)
    [' n  name', ' 1  a', '12  b']
    """
    cells = [[head.lstrip(">") for head in heads], *[[_cell(value) for value in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    found = []
    for row in cells:
        parts = [
            text.rjust(size) if head.startswith(">") else text.ljust(size)
            for head, text, size in zip(heads, row, widths, strict=True)
        ]
        found.append(cut("  ".join(parts).rstrip(), fits))
    return found


def _cell(value: Any) -> str:
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    """The same in one line, without what would move a terminal's cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def cut(text: str, fits: int) -> str:
    """The beginning of a line that is too long."""
    return text if len(text) <= fits else f"{text[: max(0, fits - 1)]}…"


def size(count: float | None) -> str:
    """Bytes for people.

    >>> size(900), size(2048), size(3_500_000)
    ('900B', '2.0K', '3.3M')
    """
    if count is None:
        return "?"
    value, unit = float(count), UNITS[0]
    for unit in UNITS:
        if value < 1024 or unit == UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f}{unit}" if unit == "B" else f"{value:.1f}{unit}"


def place(function: str) -> str:
    """`current_function` with the file's name instead of its path."""
    name, _, where = function.partition(" (")
    return f"{name} ({os.path.basename(where)}" if where else name


class Screen:
    """A terminal that shows one picture at a time; the shell's text is back when the block ends."""

    def __enter__(self) -> Screen:
        sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[H")  # the alternate screen, no cursor, home
        return self

    def draw(self, picture: Sequence[str]) -> None:
        """Show lines, as many as fit. The old ones are written over, so nothing flickers."""
        rows = shutil.get_terminal_size().lines
        shown = list(picture[:rows])
        sys.stdout.write("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in shown) + "\x1b[J")
        sys.stdout.flush()

    def __exit__(self, *_: object) -> None:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()
