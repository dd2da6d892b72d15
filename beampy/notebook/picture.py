"""The picture of a card: as HTML with its curves in it, as SVG, and as text.

Rule: a function of the Card, with no clock and no JavaScript: it is what stays in a saved notebook, on GitHub, in a
page that nbconvert makes, and what is shown where there are no widgets. It has the names of static/live.css, which it
brings along, and is the same to the eye as what static/live.js draws; where a page drops styles, what is left is a
plain table.

All that comes from the user's code is text here: it is escaped.
"""

from __future__ import annotations

import math
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from beampy.notebook.card import COLOURS, FOLDED, by_state, charts, thin
from beampy.pool.live_picture import duration, figures, number, progress_bar, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from beampy.notebook.card import Card, Group, Line, Row

WIDTH, HEIGHT = 460, 150  # of a chart, in pixels: two beside each other in a notebook's column
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 8, 18  # around its curves
MANY = 16  # lines of a chart from which on they are thinner
TINY = 1e-300  # values that are no further apart are one: what is left of their difference is no number to divide by
STATIC_POINTS = 200  # of a curve in a picture; it is written again and again where there is no widget
DASHES = ("", "6 3", "2 3", "9 3 2 3")  # of the lines of further runners, when the colours are used up
# Where a page drops the styles: readable on white and on black.
MIDDLE = ("#3b82c4", "#c8701a", "#3c9150", "#c0559b", "#8467d0", "#2a8fa5", "#d0544b", "#8f7c1d")


@cache
def style() -> str:
    """The style sheet."""
    return (files("beampy.notebook") / "static" / "live.css").read_text(encoding="utf-8")


# HTML


def html(card: Card) -> str:
    """All of a card."""
    lines = charts(card.lines)
    parts = [
        f'<div class="bp-card" data-state="{escape(card.state)}"><style>{style()}</style>',
        f'<div class="bp-head"><span class="bp-dot"></span><span class="bp-title">{escape(card.title)}</span>'
        f'<span class="bp-facts">{escape(facts(card))}</span></div>',
    ]
    if card.groups:
        parts.append(f'<div class="bp-groups">{"".join(_group(card, group) for group in card.groups)}</div>')
    if card.more_groups:
        parts.append(f'<div class="bp-more">and {card.more_groups} more functions</div>')
    if lines:
        drawn = [
            f'<figure class="bp-chart"><figcaption>{escape(name)}</figcaption>{svg(some)}</figure>'
            for name, some in lines.items()
        ]
        parts.append(f'<div class="bp-charts">{"".join(drawn)}</div>')
    if card.rows:
        parts.append(_rows(card, lines))
    if told := left_out(card):
        parts.append(f'<div class="bp-more">{escape(told)}</div>')
    if card.note:
        parts.append(f'<div class="bp-note">{escape(card.note)}</div>')
    return "".join(parts) + "</div>"


def facts(card: Card) -> str:
    """What a card says in its first line, beside its title."""
    up = sum(row.state in ("running", "idle") for row in card.rows)
    up += sum(count for state, count in card.more_rows.items() if state in ("running", "idle"))
    of = f" of {card.max}" if card.max else ""
    parts = [card.pool if card.pool != card.title else "", f"{up}{of} runner{'' if up == 1 and not of else 's'}"]
    if not card.groups:
        parts += [
            f"{number(card.running)} running",
            f"{number(card.waiting)} waiting" if card.waiting else "",
            f"{number(card.done - card.failed)} done",
            f"{number(card.failed)} failed" if card.failed else "",
            f"{figures(card.rate)}/s" if card.rate else "",
        ]
    parts += [card.state if card.state not in ("running", "done") else "", duration(card.age)]
    return " · ".join(part for part in parts if part)


def counts(group: Group) -> str:
    """How far the calls of a function are."""
    return number(group.done) + ("" if group.total is None else f"/{number(group.total)}")


def left_out(card: Card) -> str:
    """What of a card is not in its picture."""
    parts = []
    rest = by_state(card.rows[FOLDED:])
    for state, count in card.more_rows.items():
        rest[state] = rest.get(state, 0) + count
    if rest:
        parts.append(f"and {sum(rest.values())} more runners: {', '.join(f'{n} {state}' for state, n in rest.items())}")
    names = len({line.name for line in card.lines}) - len(charts(card.lines))
    if names:
        parts.append(f"{names} more curves")
    if card.more_lines:
        parts.append(f"the curves of {number(card.more_lines)} earlier calls are not kept")
    return " · ".join(parts)


def _group(card: Card, group: Group) -> str:
    name = f'<span class="bp-what" title="{escape(group.what)}">{escape(group.what)}</span>'
    facts = [f'<span class="bp-num"><b>{counts(group)}</b></span>']
    if group.failed:
        facts.append(f'<span class="bp-num bp-bad">{number(group.failed)} failed</span>')
    if group.cancelled:
        facts.append(f'<span class="bp-num">{number(group.cancelled)} cancelled</span>')
    if group.rate is not None:
        facts.append(f'<span class="bp-num bp-thin">{figures(group.rate)}/s</span>')
    if group.left is not None and group.done < (group.total or 0):
        facts.append(f'<span class="bp-num bp-slim">{duration(group.left)} left</span>')
    bar = _bar(group.done - group.failed, group.total, group.failed)
    return f'<div class="bp-group">{name if len(card.groups) > 1 else ""}{bar}{"".join(facts)}</div>'


def _bar(done: int, total: int | None, failed: int = 0) -> str:
    if not total:
        return ""
    good, bad = (100 * max(0, min(total, part)) / total for part in (done, failed))
    lost = f'<i class="bp-lost" style="width:{bad:.4g}%"></i>' if failed else ""
    return f'<div class="bp-bar"><i style="width:{good:.4g}%"></i>{lost}</div>'


def last_values(lines: dict[str, list[Line]]) -> dict[tuple[str, str], float]:
    """By runner and name: the newest value of its newest curve."""
    found = {}
    for name, some in lines.items():
        for line in some:
            points = line.curve.points
            if points:
                found[line.runner, name] = points[-1][1]
    return found


def _rows(card: Card, lines: dict[str, list[Line]]) -> str:
    last = last_values(lines)
    drawn = {line.runner for line in card.lines}
    rows = card.rows[:FOLDED]
    called = any(row.bars for row in rows)
    failed = any(row.failed for row in rows)
    load = any(row.memory is not None for row in rows)
    names = list(lines)
    head = ["<th>runner</th>", "<th>state</th>", *(f'<th class="bp-right">{escape(name)}</th>' for name in names)]
    head += ['<th class="bp-right">done</th>'] + ['<th class="bp-right">failed</th>'] * failed
    head += ['<th class="bp-right bp-thin">cpu</th><th class="bp-right bp-thin">memory</th>'] * load
    head += ['<th class="bp-wide bp-slim"></th>']
    body = []
    for row in rows:
        cells = [f"<td>{_swatch(row.number) if row.name in drawn else ''}{escape(row.name)}</td>", _state(row)]
        for name in names:
            value = last.get((row.name, name))
            cells.append(f'<td class="bp-right">{"" if value is None else figures(value)}</td>')
        cells.append(f'<td class="bp-right">{"" if row.state == "booting" else number(row.done)}</td>')
        if failed:
            cells.append(f'<td class="bp-right bp-bad">{number(row.failed) if row.failed else ""}</td>')
        if load:
            cells.append(f'<td class="bp-right bp-thin">{"" if row.cpu is None else f"{row.cpu * 100:.0f} %"}</td>')
            cells.append(f'<td class="bp-right bp-thin">{"" if row.memory is None else size(row.memory)}</td>')
        calls = "".join(
            f'<span class="bp-call">{escape(bar.label)} {_bar(bar.done, bar.total)}'
            f"{number(bar.done)}{'' if bar.total is None else f'/{number(bar.total)}'}</span>"
            for bar in row.bars
        )
        more = f'<span class="bp-call">and {row.more_bars} more</span>' if row.more_bars else ""
        cells.append(f'<td class="bp-wide bp-slim"><div class="bp-calls">{calls}{more}</div></td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    if not called:
        head[-1] = '<th class="bp-wide"></th>'
    table = f"<thead><tr>{''.join(head)}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="bp-scroll"><table class="bp-rows">{table}</table></div>'


def _state(row: Row) -> str:
    title = f' title="{escape(row.why)}"' if row.why else ""
    return f'<td class="bp-state" data-state="{row.state}"{title}>{state_text(row)}</td>'


def state_text(row: Row) -> str:
    """A runner's state, with how many calls it has where it may have several."""
    if row.state == "running" and row.slots > 1 and row.running:
        return f"running {row.running}"
    return row.state


def _swatch(of: int) -> str:
    return f'<svg class="bp-swatch" width="18" height="8"><line x1="0" y1="4" x2="18" y2="4" {stroke(of)}/></svg>'


def stroke(of: int) -> str:
    """The colour and dashes of a runner's lines, as attributes."""
    dash = DASHES[of // COLOURS % len(DASHES)]
    colour = of % COLOURS
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'stroke="{MIDDLE[colour]}" style="stroke:var(--bp-{colour},{MIDDLE[colour]})"{dashes}'


# SVG


def svg(lines: Sequence[Line], width: int = WIDTH, height: int = HEIGHT) -> str:
    """A chart: the curves of one name. Stands alone, too."""
    curves = [(line, thin(line.curve.points, STATIC_POINTS)) for line in lines]
    every = [point for _, points in curves for point in points]
    attributes = (
        f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'class="bp-still" role="img" aria-label="{escape(lines[0].name if lines else "")}" '
        'font-family="sans-serif" font-size="10"'
    )
    if not every:
        return f"<svg {attributes}></svg>"
    left, right = span(x for x, _ in every)
    low, high = span((y for _, y in every), margin=0.04)

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (width - LEFT - RIGHT) * (x / 2 - left / 2) / (right / 2 - left / 2)
        return across, height - BOTTOM - (height - TOP - BOTTOM) * (y / 2 - low / 2) / (high / 2 - low / 2)

    parts = []
    for tick in ticks(low, high, 4):
        _, y = at(left, tick)
        parts.append(
            f'<line class="bp-grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>'
        )
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end" fill="#808080">{tick_text(tick)}</text>'
        )
    for tick in ticks(left, right, 5):
        x, _ = at(tick, low)
        parts.append(f'<text x="{x:.1f}" y="{height - 4}" text-anchor="middle" fill="#808080">{tick_text(tick)}</text>')
    for line, points in curves:
        if not points:
            continue
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*point) for point in points))
        over = "" if line.state == "running" else " bp-over"
        title = f"{line.runner} · call {line.call} · {figures(points[-1][1])}" + (
            " · lost" if line.state == "lost" else ""
        )
        parts.append(
            f'<path class="bp-path{over}" d="{path}" fill="none" stroke-width="1.6" {stroke(line.number)}>'
            f"<title>{escape(title)}</title></path>"
        )
        x, y = at(*points[-1])
        if line.state == "lost":
            cross = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
            parts.append(f'<path class="bp-mark" d="{cross}" fill="none" stroke-width="1.8" {stroke(line.number)}/>')
        elif line.state == "running" or len(points) == 1:
            colour = line.number % COLOURS
            fill = f'fill="{MIDDLE[colour]}" style="fill:var(--bp-{colour},{MIDDLE[colour]})"'
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" {fill}/>')
    kind = ' class="bp-many"' if len(curves) > MANY else ""
    return f"<svg {attributes}><g{kind}>{''.join(parts)}</g></svg>"


def span(values: Iterable[float], margin: float = 0.0) -> tuple[float, float]:
    """The least and the greatest, never equal, with a margin on both sides.

    >>> span([1.0, 3.0]), span([2.0])
    ((1.0, 3.0), (1.0, 3.0))
    """
    some = list(values)
    low, high = min(some), max(some)
    if high / 2 - low / 2 < TINY:
        by = abs(low) / 2 if abs(low) > TINY else 1.0
        return max(-1e308, low - by), min(1e308, high + by)
    by = (high / 2 - low / 2) * 2 * margin if margin else 0.0
    return max(-1e308, low - by), min(1e308, high + by)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most `most`.

    >>> ticks(0.0, 1.0, 5), ticks(3.0, 190.0, 5)
    ([0.0, 0.5, 1.0], [50.0, 100.0, 150.0])
    """
    rough = (high / most - low / most) or 5e-324
    power = 10.0 ** max(-300, math.floor(math.log10(rough)))
    steps = (power * factor for factor in (1, 2, 5, 10, 20, 50))
    step = next((step for step in steps if math.floor(high / step) - math.ceil(low / step) < most), power * 100)
    first = math.ceil(low / step)
    found: list[float] = []
    while first * step <= high and len(found) < most:
        found.append(first * step)
        first += 1
    return found


def tick_text(value: float) -> str:
    """A number at an axis.

    >>> tick_text(0.30000000000000004), tick_text(0.0), tick_text(25000.0)
    ('0.3', '0', '25k')
    """
    if abs(value) < 1e-300:
        return "0"
    for size_, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size_ <= abs(value) < size_ * 1000 or (letter == "k" and 1e4 <= abs(value) < 1e6):
            return f"{value / (1e3 if letter == 'k' else size_):.4g}{letter}"
    return f"{value:.4g}"


# text


def text(card: Card) -> str:
    """A few lines, for where there is nothing better."""
    told = [f"{card.title} · {facts(card)}" if card.title else facts(card)]
    for group in card.groups:
        bar = "".join(progress_bar(group.done / group.total, 20)) + " " if group.total else ""
        failed = f", {group.failed} failed" if group.failed else ""
        failed += f", {group.cancelled} cancelled" if group.cancelled else ""
        told.append(f"  {group.what} {bar}{counts(group)}{failed}")
    for name, some in charts(card.lines).items():
        values = [figures(line.curve.points[-1][1]) for line in some if line.curve.points]
        told.append(f"  {name}: {' '.join(values[:FOLDED])}{' …' if len(values) > FOLDED else ''}")
    if card.note:
        told.append(f"  {card.note}")
    return "\n".join(told)
