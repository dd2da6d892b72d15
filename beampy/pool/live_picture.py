"""The picture of a pool in a terminal: `render(view)` gives what rich can print.

Rule: it is a function of the View and of the size of the window, which rich tells when it is drawn; it looks at no
clock. A narrow window loses columns, a low one lines, and says how many; nothing wraps. Where the terminal cannot write
more than ASCII there is nothing else in it.

rich is loaded when a picture is drawn.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from beampy.pool.events import BootFailure, RunnerDown, Saturated, Zombie, line, short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from beampy.pool.live_view import BarView, CurveView, RunnerView, View

# Characters a window needs for a column to have room beside those that matter more.
WITH_RUNNER = 104
WITH_LOAD = 100
WITH_AGE = 86
WITH_FAILED = 76
WITH_COUNTS = 64
WITH_BAR = 52
WITH_STATE = 40

SLOTS = 10  # characters of the bar of a runner's slots
SPARKS = 24  # characters of a curve
BAR = 30  # characters of a progress bar
NAME = 24  # characters of a label

MOST_BARS, MOST_CURVES, MOST_EVENTS = 8, 4, 4  # lines, where there is room

HEAVY, ASCII_HEAVY = "━╸─", "#--"  # done, half of one, to do
BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
FULL, ASCII_FULL = "█░", "#."

STYLES = {"up": "green", "booting": "yellow", "draining": "dim", "away": "yellow", "down": "red"}  # in this order


def render(view: View) -> Any:
    """What to print: `rich.print(render(view))`."""
    return Picture(view)


class Picture:
    """One view, as something that rich can print."""

    def __init__(self, view: View) -> None:
        self.view = view

    def __rich_console__(self, console: Any, options: Any) -> Iterable[Any]:
        from rich.text import Text

        view, width, ascii = self.view, options.max_width, options.ascii_only
        # The last line of a window is the cursor's.
        counts = shares(console.size.height - 2, len(view.runners), len(view.bars), len(view.curves), len(view.events))
        order = {state: at for at, state in enumerate(STYLES)}
        cut: Any = {"no_wrap": True, "overflow": "crop" if ascii else "ellipsis"}
        yield Text(_one_line(summary(view, "-" if ascii else "·", width), ascii), **cut, style="bold")
        sections: list[tuple[Sequence[Any], int, Callable[..., Any], str]] = [
            (sorted(view.runners, key=lambda one: order.get(one.state, len(order))), counts[0], _runners, "runners"),
            (view.bars, counts[1], _bars, "bars"),
            (view.curves, counts[2], _curves, "curves"),
        ]
        for rows, count, draw, what in sections:
            if not count:
                continue
            shown = rows if len(rows) <= count else rows[: count - 1]
            if shown:
                yield draw(shown, width, ascii)
            if len(shown) < len(rows):
                more = f"{'...' if ascii else '…'} and {len(rows) - len(shown)} more {what}"
                yield Text(more, **cut, style="dim")
        for event in view.events[len(view.events) - counts[3] :]:
            clock = time.strftime("%H:%M:%S", time.localtime(event.time))
            bad = isinstance(event, (BootFailure, Saturated, Zombie)) or (isinstance(event, RunnerDown) and event.lost)
            yield Text(f"{clock} {_one_line(line(event), ascii)}", **cut, style="red" if bad else "dim")


def shares(height: int, runners: int, bars: int, curves: int, events: int) -> tuple[int, int, int, int]:
    """How many lines of a window each section gets, below the first line. What has most is cut first.

    >>> shares(24, runners=5, bars=2, curves=1, events=9)
    (5, 2, 1, 4)
    >>> shares(10, runners=100, bars=20, curves=0, events=2)
    (4, 3, 0, 2)
    """
    room = max(1, height - 1)
    wanted = [runners, min(bars, MOST_BARS), min(curves, MOST_CURVES), min(events, MOST_EVENTS)]
    while sum(wanted) > room:
        wanted[max(range(4), key=lambda at: (wanted[at], at))] -= 1
    return wanted[0], wanted[1], wanted[2], wanted[3]


def summary(view: View, dot: str = "·", width: int | None = None) -> str:
    """One line that says how a pool is. In `width` characters: what matters least is left out first.

    >>> from beampy.pool.live_view import RunnerView, View
    >>> view = View("p", age=75, max=4, runners=[RunnerView("r1", "up")], running=1, finished=2003, failed=3, rate=9)
    >>> summary(view)
    'p · 1 of 4 runners · 1 running · 2 000 done · 3 failed · 9/s · 1:15'
    >>> summary(view, width=50)
    'p · 1 of 4 runners · 2 000 done · 3 failed · 9/s'
    """
    up = sum(runner.state == "up" for runner in view.runners)
    booting = sum(runner.state == "booting" for runner in view.runners)
    # What is said, and how little it matters.
    parts = [
        (view.pool, 0),
        (f"{up} of {view.max} runners" if view.max else f"{up} runners", 2),
        (f"{booting} booting" if booting else "", 4),
        (f"{number(view.running)} running", 5),
        (f"{number(view.waiting)} waiting" if view.waiting else "", 3),
        (f"{number(view.finished - view.failed - view.cancelled)} done", 0),
        (f"{number(view.failed)} failed" if view.failed else "", 1),
        (f"{number(view.cancelled)} cancelled" if view.cancelled else "", 3),
        (f"{figures(view.rate)}/s" if view.rate is not None else "", 3),
        ("" if view.age is None else duration(view.age), 6),
    ]
    told = [part for part in parts if part[0]]
    while True:
        text = f" {dot} ".join(what for what, _ in told)
        least = max(told, key=lambda part: part[1])
        if width is None or len(text) <= width or least[1] == 0:
            return text
        told.remove(least)


def _grid(columns: str, ascii: bool) -> Any:
    """A table without lines; `<` and `>` say to which side a column goes."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    for side in columns:
        table.add_column(
            justify="right" if side == ">" else "left", no_wrap=True, overflow="crop" if ascii else "ellipsis"
        )
    return table


def _runners(rows: Sequence[RunnerView], width: int, ascii: bool) -> Any:
    from rich.text import Text

    with_state, with_done, with_failed = width >= WITH_STATE, width >= WITH_COUNTS, width >= WITH_FAILED
    with_age = width >= WITH_AGE
    with_load = width >= WITH_LOAD and any(row.cpu is not None or row.memory is not None for row in rows)
    table = _grid(f"<{'<' * with_state}<{'>' * (with_done + with_failed + with_age)}{'>>' * with_load}", ascii)
    for row in rows:
        cells: list[Any] = [Text(_cut(short(row.name), NAME, ascii))]
        if with_state:
            cells.append(Text(row.state, style=STYLES.get(row.state, "")))
        cells.append(_slots(row, ascii))
        if with_done:
            cells.append(Text(f"{number(row.done)} done"))
        if with_failed:
            cells.append(Text(f"{number(row.failed)} failed" if row.failed else "", style="red"))
        if with_age:
            cells.append(Text(duration(row.age), style="dim"))
        if with_load:
            cells += [
                Text("" if row.cpu is None else f"{row.cpu * 100:.0f} %"),
                Text("" if row.memory is None else size(row.memory)),
            ]
        table.add_row(*cells)
    return table


def _slots(row: RunnerView, ascii: bool) -> Any:
    from rich.text import Text

    if not row.slots:
        return Text("")
    marked = ASCII_FULL if ascii else FULL
    length = min(SLOTS, row.slots)
    busy = min(row.busy, row.slots)
    marks = -(-busy * length // row.slots)  # one busy slot of a hundred is seen too
    text = Text(marked[0] * marks, style="cyan").append(marked[1] * (length - marks), style="dim")
    text.append(f" {row.busy}/{row.slots}", style="default")
    if row.zombies:
        text.append(f" {row.zombies} stuck", style="red")
    return text


def _bars(rows: Sequence[BarView], width: int, ascii: bool) -> Any:
    from rich.text import Text

    drawn, with_rate, with_left = width >= WITH_BAR, width >= WITH_STATE, width >= WITH_COUNTS
    with_runner = width >= WITH_RUNNER
    table = _grid(f"<{'<' * drawn}>{'>' * with_rate}{'>' * with_left}{'<' * with_runner}", ascii)
    for row in rows:
        cells: list[Any] = [Text(_cut(row.label, _label(width), ascii))]
        if drawn:
            done, left = progress_bar(row.done / row.total, min(BAR, width // 4), ascii) if row.total else ("", "")
            cells.append(Text(done, style="cyan").append(left, style="dim"))
        cells.append(Text(number(row.done) + (f"/{number(row.total)}" if row.total is not None else "")))
        if with_rate:
            cells.append(Text("" if row.rate is None else f"{figures(row.rate)}/s"))
        if with_left:
            known = bool(row.rate) and row.total is not None
            cells.append(Text(f"{duration(seconds_left(row))} left" if known else "", style="dim"))
        if with_runner:
            cells.append(Text(_cut(_where(row), NAME, ascii), style="dim"))
        table.add_row(*cells)
    return table


def _curves(rows: Sequence[CurveView], width: int, ascii: bool) -> Any:
    from rich.text import Text

    with_range, with_runner = width >= WITH_COUNTS, width >= WITH_RUNNER
    table = _grid(f"<<>{'<' * with_range}{'<' * with_runner}", ascii)
    for row in rows:
        values = [value for _, value in row.points if math.isfinite(value)]
        last = row.points[-1][1] if row.points else math.nan
        cells: list[Any] = [
            Text(_cut(row.name, _label(width), ascii)),
            Text(sparkline(row.points, min(SPARKS, max(4, width // 4)), ascii), style="magenta"),
            Text(figures(last)),
        ]
        if with_range:
            to = "-" if ascii else "…"
            cells.append(Text(f"{figures(min(values))} {to} {figures(max(values))}" if values else "", style="dim"))
        if with_runner:
            cells.append(Text(_cut(_where(row), NAME, ascii), style="dim"))
        table.add_row(*cells)
    return table


def _where(row: BarView | CurveView) -> str:
    return f"{short(row.runner)} #{row.call}" if row.runner else ""


def _label(width: int) -> int:
    """Characters that a label may have in a window."""
    return NAME if width >= WITH_AGE else NAME * 2 // 3 if width >= WITH_COUNTS else NAME // 2


def seconds_left(bar: BarView) -> float:
    """When a bar will be at its end, if it goes on like this."""
    return max(0, (bar.total or 0) - bar.done) / bar.rate if bar.rate else math.inf


def progress_bar(fraction: float, width: int, ascii: bool = False) -> tuple[str, str]:
    """The done part of a bar, and the rest.

    >>> "".join(progress_bar(0.55, 10))
    '━━━━━╸────'
    """
    marks = ASCII_HEAVY if ascii else HEAVY
    halves = int(max(0.0, min(1.0, fraction)) * width * 2)
    done = marks[0] * (halves // 2) + marks[1] * (halves % 2)
    return done, marks[2] * (width - len(done))


def sparkline(points: Sequence[tuple[float, float]], width: int, ascii: bool = False) -> str:
    """A curve as characters of eight heights, from its least to its greatest value; steps go to the right.

    >>> sparkline([(step, step) for step in range(8)], 8)
    '▁▂▃▄▅▆▇█'
    """
    finite = [(_within(step), _within(value)) for step, value in points if math.isfinite(value) and math.isfinite(step)]
    if not finite:
        return ""
    blocks = ASCII_BLOCKS if ascii else BLOCKS
    first, last = min(finite)[0], max(finite)[0]
    sums, counts = [0.0] * width, [0] * width
    for step, value in finite:
        at = min(width - 1, int((step - first) / (last - first) * width)) if last > first else 0
        sums[at] += value
        counts[at] += 1
    heights = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    there = [height for height in heights if height is not None]
    low, high = min(there), max(there)
    marks, mark = [], blocks[0]
    for height in heights[: 1 if last == first else width]:
        if height is not None:  # where no point is, the one before it goes on
            mark = blocks[min(7, int((height - low) / (high - low) * 8))] if high > low else blocks[3]
        marks.append(mark)
    return "".join(marks)


def _within(value: float) -> float:
    """So that sums and differences are numbers too."""
    return max(-1e300, min(1e300, value))


# numbers for people


def number(count: int) -> str:
    """A count.

    >>> number(1234567)
    '1 234 567'
    """
    return f"{count:,}".replace(",", " ")


def figures(value: float) -> str:
    """A measured number, in three figures.

    >>> figures(0.123456), figures(1234.5), figures(12.0)
    ('0.123', '1 234', '12')
    """
    if math.isfinite(value) and 1000 <= abs(value) < 1e9:
        return number(int(value))
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """A time.

    >>> duration(4.2), duration(75), duration(3700), duration(200_000)
    ('4s', '1:15', '1:01:40', '2d 7h')
    """
    if not 0 <= seconds < 1e9:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours < 48 else f"{hours // 24}d {hours % 24}h"


def size(count: int) -> str:
    """Bytes.

    >>> size(512), size(87 * 2**20), size(3 * 2**30)
    ('512 B', '87 MB', '3.0 GB')
    """
    if count < 2**20:
        return f"{count} B" if count < 2**10 else f"{count / 2**10:.0f} KB"
    return f"{count / 2**20:.0f} MB" if count < 2**30 else f"{count / 2**30:.1f} GB"


def _cut(text: str, most: int, ascii: bool) -> str:
    text = _one_line(text, ascii)
    return text if len(text) <= most else f"{text[: most - 1]}{'.' if ascii else '…'}"


def _one_line(text: str, ascii: bool) -> str:
    """Without what would move the cursor, and what the terminal cannot write."""
    text = "".join(mark if mark.isprintable() else " " for mark in text)
    return text.encode("ascii", "replace").decode() if ascii else text
