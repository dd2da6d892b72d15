"""Lines: pieces of text of several writers, as lines of one cell, each with the name of who wrote it.

Rule: a line is shown when it is whole, and belongs to one writer. One without an end is shown after PARTIAL seconds,
and goes on where it stands as long as nobody else writes. What is written over with a carriage return, as progress
bars do, is no line of the stream: it is a row of the bars, which are drawn in their own place; so the bars of many
runners do not write over each other. Moving up, as nested bars do, works among the rows of one writer.

Pure: the time is an argument. It does not know how anything is shown.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

PARTIAL = 0.25  # seconds until a line without its end is shown; as often as ipykernel shows one (0.2)
LONGEST = 16_384  # characters that wait for the end of their line; more become a line
ROWS = 20  # of one writer that it can still write over: tqdm's nested bars are fewer
BARS = 200  # rows that stay to be seen; more than a screen is high
WIDTH = 500  # characters of a row that are kept

CONTROL = re.compile(r"\r|\n|\x1b\[(\d*)([AK])")


class Row:
    """One row of a writer. `bar`: it has been written over. `returned`: carriage returns since it was written to."""

    __slots__ = ("bar", "returned", "text")

    def __init__(self) -> None:
        self.text = ""
        self.returned = 0
        self.bar = False

    def drawn(self) -> bool:
        """Whether it is no ordinary line, or not known to be one yet."""
        return self.bar or self.returned > 0


class Writer:
    """What one writer has open on one stream."""

    __slots__ = ("column", "rows", "shown", "since", "source", "up")

    def __init__(self, source: str) -> None:
        self.source = source
        self.rows = [Row()]
        self.up = 0  # rows that the cursor is above the last
        self.column = 0
        self.shown = 0  # characters of the last row that stand in the stream already
        self.since = 0.0  # when its last row was begun


class Lines:
    """The lines of a cell. `feed`, `late` and `done` give what is to be added to the streams: (stream, text)."""

    def __init__(self) -> None:
        self._writers: dict[tuple[Hashable, int], Writer] = {}
        self._last: tuple[Hashable, int] | None = None  # whose line without an end the stream ends with
        self._bars: deque[tuple[Writer, Row]] = deque(maxlen=BARS)  # in the order in which they began
        self._begun = 0  # bars so far
        self.redraw = False  # whether the bars have changed; who draws them says False

    def feed(self, writer: Hashable, stream: int, source: str, text: str, now: float) -> list[tuple[int, str]]:
        """A piece of text has come."""
        key = (writer, stream)
        state = self._writers.get(key)
        if state is None:
            state = self._writers[key] = Writer(source)
        state.source = source
        out: list[tuple[int, str]] = []
        if len(state.rows) == 1 and not state.rows[0].drawn() and "\r" not in text and "\x1b" not in text:
            self._plain(key, state, text, now, out)
        else:
            self._drawn(key, state, text, now, out)
        if state.rows[0].text == "" and len(state.rows) == 1 and not state.rows[0].drawn():
            del self._writers[key]
        return out

    def _plain(
        self, key: tuple[Hashable, int], state: Writer, text: str, now: float, out: list[tuple[int, str]]
    ) -> None:
        row = state.rows[0]
        *whole, rest = (row.text + text).split("\n")
        while len(rest) > LONGEST:
            whole.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        if whole:
            label = f"[{state.source}] " if state.source else ""
            first = self._begin(key, state, out)
            whole[0] = whole[0][state.shown :]
            out.append((key[1], first + f"\n{label}".join(whole) + "\n"))
            state.shown = 0
            self._last = None
        if rest and (whole or not row.text):
            state.since = now
        row.text = rest
        state.column = len(rest)

    def _begin(self, key: tuple[Hashable, int], state: Writer, out: list[tuple[int, str]]) -> str:
        """What stands before text of a writer: nothing where its line goes on."""
        if self._last == key:
            return ""
        if self._last is not None:
            out.append((self._last[1], "\n"))
            self._last = None
        return f"[{state.source}] " if state.source else ""

    def _drawn(
        self, key: tuple[Hashable, int], state: Writer, text: str, now: float, out: list[tuple[int, str]]
    ) -> None:
        """The same as a terminal would take it."""
        rows = state.rows
        at = 0
        for control in CONTROL.finditer(text):
            self._write(state, text[at : control.start()], now)
            at = control.end()
            if control[0] == "\r":
                state.column = 0
                rows[-1 - state.up].returned += 1
            elif control[0] == "\n":
                self._down(key, state, out)
            elif control[2] == "A":
                state.up = min(state.up + int(control[1] or 1), len(rows) - 1)
            else:
                row = rows[-1 - state.up]
                row.text = row.text[: state.column]
        self._write(state, text[at:], now)

    def _write(self, state: Writer, text: str, now: float) -> None:
        if not text:
            return
        row = state.rows[-1 - state.up]
        if row.bar and row.returned == 1 and row.text and row.text.isspace():  # a bar was wiped out, and text follows
            if (state, row) in self._bars:
                self._bars.remove((state, row))
                self._begun -= 1
            row.bar, row.text, self.redraw = False, "", True
        elif row.returned:
            self.redraw = True
            if not row.bar:
                row.bar = True
                self._bars.append((state, row))
                self._begun += 1
        row.returned = 0
        if not row.text:
            state.since = now
        if not row.bar:  # so far an ordinary line
            row.text += text
            row.text = row.text[:LONGEST]
        else:
            row.text = (row.text[: state.column].ljust(state.column) + text + row.text[state.column + len(text) :])[
                :WIDTH
            ]
        state.column = min(state.column + len(text), LONGEST)

    def _down(self, key: tuple[Hashable, int], state: Writer, out: list[tuple[int, str]]) -> None:
        """The end of a row: one that was no bar is a line."""
        rows = state.rows
        state.column = 0
        if state.up:
            state.up -= 1
            return
        row = rows[-1]
        if row.bar:
            rows.append(Row())
            if state.shown:  # it began as a line
                state.shown = 0
                if self._last == key:
                    out.append((key[1], "\n"))
                    self._last = None
            del rows[:-ROWS]
            return
        first = self._begin(key, state, out)
        out.append((key[1], f"{first}{row.text[state.shown :]}\n"))
        self._last = None
        state.shown = 0
        rows[-1] = Row()

    def late(self, now: float) -> list[tuple[int, str]]:
        """What has waited long enough for its end."""
        out: list[tuple[int, str]] = []
        for key, state in self._writers.items():
            row = state.rows[-1]
            if state.up or row.drawn() or len(row.text) <= state.shown or now < state.since + PARTIAL:
                continue
            first = self._begin(key, state, out)
            out.append((key[1], first + row.text[state.shown :]))
            state.shown = len(row.text)
            self._last = key
        return out

    def next_late(self) -> float | None:
        """When to look next for what is late; None: there is nothing."""
        times = [
            state.since + PARTIAL
            for state in self._writers.values()
            if not (state.up or state.rows[-1].drawn()) and len(state.rows[-1].text) > state.shown
        ]
        return min(times, default=None)

    def done(self, writer: Hashable) -> list[tuple[int, str]]:
        """Nothing more comes of a writer: what it has open is a line, its bars stay."""
        out: list[tuple[int, str]] = []
        for stream in (1, 2):
            key = (writer, stream)
            state = self._writers.pop(key, None)
            if state is None:
                continue
            row = state.rows[-1]
            if row.text and not row.bar:
                first = self._begin(key, state, out)
                out.append((stream, f"{first}{row.text[state.shown :]}\n"))
                self._last = None
        return out

    def bars(self) -> list[str]:
        """The rows of the bars, the oldest first."""
        rows = [_labelled(state.source, row.text) for state, row in self._bars if row.text.strip()]
        hidden = self._begun - len(self._bars)
        return [f"… {hidden} more", *rows] if hidden else rows


def _labelled(source: str, text: str) -> str:
    return f"[{source}] {text.rstrip()}" if source else text.rstrip()
