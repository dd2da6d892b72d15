"""Card: what a live card shows at one moment, in plain values, and the same as JSON for a browser.

Rule: pure. A Card is made from what was heard (activity.py) and drawn by whoever has it: picture.py as HTML, SVG and
text, static/live.js in a browser. `whole(card)` is all of it; `Increments` gives what is new since the last time, so
that a thousand points are sent once and not ten times a second. Numbers that are no JSON (nan, inf) become null.

A picture has a limited number of everything, and says how much it leaves out.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from beampy.pool.progress import Curve

ROWS = 128  # runners that are sent; a view folds them, and opens them when it is asked to
FOLDED = 12  # of them that are shown at first: with curves above it a card still fits on a laptop's screen
GROUPS = 8  # functions whose calls have a bar of their own
BARS = 3  # progress bars of a runner; more calls at once are told as a number
CHARTS = 6  # names of curves that have a chart
POINTS = 12_000  # of all curves in a whole card: about 200 kB, at one a second a fifth of what jupyter_server lets pass
LINE_POINTS = 400  # of one curve in it: a chart has as many columns
GREATEST = 1e300  # of a number: sums and differences of two are numbers, too
COLOURS = 8  # of lines; further runners have dashes

STATES = ("running", "idle", "booting", "away", "draining", "lost", "failed", "ended")  # of a runner, in this order


@dataclass(frozen=True, slots=True)
class Bar:
    """A progress bar of a call: `bp.track`."""

    label: str
    done: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The calls of one function. `total`: how many there will be, where that is known. `left`: seconds, a guess.

    `done` are those that have come to their end: with a value, or `failed`. Those that were `cancelled` are not.
    """

    what: str
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    waiting: int = 0
    total: int | None = None
    rate: float | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A runner, and what it does for this card. `number` gives its colour. `why`: how it was lost."""

    name: str
    state: str
    number: int = 0
    running: int = 0
    slots: int = 0
    done: int = 0
    failed: int = 0
    bars: Sequence[Bar] = ()
    more_bars: int = 0
    cpu: float | None = None  # cores
    memory: int | None = None  # bytes
    why: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve of one call on one runner. `state`: "running", "done", or "lost": it ended before its call did."""

    id: int
    name: str
    runner: str
    number: int
    call: int
    state: str
    curve: Curve


@dataclass(frozen=True, slots=True)
class Card:
    """A card. `state`: "running", "done", "failed", "cancelled" or "stopped". `age` in seconds.

    `button`: "cancel", "stop" or "" where there is nothing to end. `note`: the last thing that a person should know.
    """

    title: str
    pool: str
    state: str = "running"
    age: float = 0.0
    max: int = 0
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    rate: float | None = None
    button: str = ""
    note: str = ""
    groups: Sequence[Group] = ()
    more_groups: int = 0
    rows: Sequence[Row] = ()
    more_rows: Mapping[str, int] = field(default_factory=dict)  # by state: those that are not in `rows`
    lines: Sequence[Line] = ()
    more_lines: int = 0


def charts(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """The lines by the names of their curves, at most CHARTS of those, in the order they came.

    >>> charts([])
    {}
    """
    found: dict[str, list[Line]] = {}
    for line in lines:
        if line.name in found or len(found) < CHARTS:
            found.setdefault(line.name, []).append(line)
    return found


def by_state(rows: Iterable[Row]) -> dict[str, int]:
    """How many runners are in each state, in the order of STATES.

    >>> by_state([Row("a", "idle"), Row("b", "running"), Row("c", "idle")])
    {'running': 1, 'idle': 2}
    """
    counts: dict[str, int] = dict.fromkeys(STATES, 0)
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    return {state: count for state, count in counts.items() if count}


def thin(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` points, evenly, and the last one always. What no chart has room for, as nan, is left out.

    >>> thin([(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0), (4, 5.0)], 3)
    [(0, 1.0), (2, 3.0), (4, 5.0)]
    """
    finite = [point for point in points if abs(point[0]) <= GREATEST and abs(point[1]) <= GREATEST]
    count = len(finite)
    if count <= most:
        return finite
    if most < 2:
        return finite[-1:]
    return [finite[at * (count - 1) // (most - 1)] for at in range(most)]


# for a browser


def whole(card: Card, seq: int) -> dict[str, Any]:
    """All of a card. `seq`: the number of the last increment that is in it."""
    shown = [line for lines in charts(card.lines).values() for line in lines]
    most = max(2, min(LINE_POINTS, POINTS // max(1, len(shown))))
    lines = [_line(line) | {"points": _flat(thin(line.curve.points, most))} for line in shown]
    return {"seq": seq, "head": head(card), "lines": lines}


def head(card: Card) -> dict[str, Any]:
    """A card without its curves."""
    return {
        "title": card.title,
        "pool": card.pool,
        "state": card.state,
        "age": round(card.age, 1),
        "max": card.max,
        "waiting": card.waiting,
        "running": card.running,
        "done": card.done,
        "failed": card.failed,
        "rate": _number(card.rate),
        "button": card.button,
        "note": card.note,
        "groups": [
            {
                "what": group.what,
                "done": group.done,
                "failed": group.failed,
                "cancelled": group.cancelled,
                "running": group.running,
                "waiting": group.waiting,
                "total": group.total,
                "rate": _number(group.rate),
                "left": _number(group.left),
            }
            for group in card.groups
        ],
        "more_groups": card.more_groups,
        "rows": [_row(row) for row in card.rows],
        "more_rows": dict(card.more_rows),
        "more_lines": card.more_lines,
        "more_charts": max(0, len({line.name for line in card.lines}) - CHARTS),
    }


def text(value: Any) -> str:
    """As JSON, as short as it is."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


class Increments:
    """What is new of a card each time, with a number: 1, 2, … Who misses one asks for the whole card.

    Of a curve whose steps go on to the right the new points are given, of any other all of them.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._sent: dict[int, tuple[int, float, str]] = {}  # by line: points seen, the last step, its state

    def next(self, card: Card) -> dict[str, Any]:
        """The next increment. `gone`: lines that are not shown any more."""
        self.seq += 1
        lines = []
        sent, self._sent = self._sent, {}
        for of_name in charts(card.lines).values():
            for line in of_name:
                change = self._change(line, sent.pop(line.id, None))
                if change is not None:
                    lines.append(change)
        return {"seq": self.seq, "head": head(card), "lines": lines, "gone": list(sent)}

    def same(self, card: Card) -> bool:
        """Whether the curves are as they were the last time."""
        now = {line.id: (line.curve.seen, line.state) for some in charts(card.lines).values() for line in some}
        return now == {line: (seen, state) for line, (seen, _, state) in self._sent.items()}

    def _change(self, line: Line, sent: tuple[int, float, str] | None) -> dict[str, Any] | None:
        seen = line.curve.seen
        if sent is not None and sent[0] == seen and sent[2] == line.state:
            self._sent[line.id] = sent
            return None
        points = line.curve.points
        last = points[-1][0] if points else -math.inf
        self._sent[line.id] = (seen, last, line.state)
        if sent is None:
            return _line(line) | {"points": _flat(thin(points, LINE_POINTS))}
        new = []
        for point in reversed(points):
            if not point[0] > sent[1]:
                break
            new.append(point)
        if seen > sent[0] and not new:  # its steps went back
            return _line(line) | {"points": _flat(thin(points, LINE_POINTS))}
        return {"id": line.id, "state": line.state, "new": _flat(thin(new[::-1], LINE_POINTS))}


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "state": row.state,
        "number": row.number,
        "running": row.running,
        "slots": row.slots,
        "done": row.done,
        "failed": row.failed,
        "bars": [[bar.label, bar.done, bar.total] for bar in row.bars],
        "more_bars": row.more_bars,
        "cpu": _number(row.cpu),
        "memory": row.memory,
        "why": row.why,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "name": line.name,
        "runner": line.runner,
        "number": line.number,
        "call": line.call,
        "state": line.state,
    }


def _flat(points: Iterable[tuple[float, float]]) -> list[float]:
    """x, y, x, y, … in six figures: more than a screen shows."""
    return [float(f"{value:.6g}") for point in points for value in point]


def _number(value: float | None) -> float | None:
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None
