"""The summary as a picture: what the network gains for each carrier, as inline SVG that any page can show."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, LEFT, RIGHT = 720, 214, 24  # pixels
TOP, LINE = 58, 24
TICK = 2.0  # minutes between the lines of the scale
# Both have a contrast of 4 or more on white and on black; what is drawn needs 3 (WCAG 1.4.11).
BETTER, WORSE = "#1f8a4c", "#c4501f"


class Gain(NamedTuple):
    """One carrier: the typical error of the rule, and of its network, in minutes."""

    name: str
    rule: float
    network: float


class Picture:
    """What IPython shows as HTML."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html


def picture(gains: Sequence[Gain]) -> Picture:
    """A line for each carrier: a ring where the rule is, a dot where the network is. Left is better."""
    errors = [error for gain in gains for error in (gain.rule, gain.network)]
    low = min(errors) // TICK * TICK
    high = -(-max(errors) // TICK) * TICK
    bottom = TOP + LINE * len(gains)

    def x(minutes: float) -> float:
        return round(LEFT + (minutes - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    parts = [
        f'<text x="{LEFT}" y="18" font-weight="600">Typical error in minutes, on days that no network has seen</text>',
        f'<circle cx="{LEFT + 5}" cy="36" r="4.5" fill="none" stroke="currentColor"/>'
        f'<text x="{LEFT + 16}" y="40">the rule</text>'
        f'<circle cx="{LEFT + 91}" cy="36" r="5.5" fill="{BETTER}"/>'
        f'<text x="{LEFT + 102}" y="40">the network, better</text>'
        f'<circle cx="{LEFT + 253}" cy="36" r="5.5" fill="{WORSE}"/><text x="{LEFT + 264}" y="40">or worse</text>',
    ]
    for tick in range(int((high - low) / TICK) + 1):
        minutes = low + tick * TICK
        parts.append(
            f'<path d="M{x(minutes)} {TOP - 6}V{bottom}" stroke="currentColor" opacity=".15"/>'
            f'<text x="{x(minutes)}" y="{bottom + 17}" text-anchor="middle" opacity=".75">{minutes:.0f}</text>'
        )
    for row, gain in enumerate(gains):
        y = TOP + LINE * row + LINE / 2
        colour = BETTER if gain.network < gain.rule else WORSE
        parts.append(
            f"<g><title>{escape(gain.name)}: {gain.rule:.2f} → {gain.network:.2f} minutes</title>"
            f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(gain.name)}</text>'
            f'<line x1="{x(gain.rule)}" x2="{x(gain.network)}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
            f'<circle cx="{x(gain.rule)}" cy="{y}" r="4.5" fill="none" stroke="currentColor" stroke-width="1.5"/>'
            f'<circle cx="{x(gain.network)}" cy="{y}" r="5.5" fill="{colour}"/></g>'
        )
    return Picture(
        f'<svg class="gains" role="img" aria-label="Typical errors of rule and network, by carrier" '
        f'viewBox="0 0 {WIDTH} {bottom + 26}" width="{WIDTH}" style="max-width:100%;height:auto" '
        f'fill="currentColor" font-family="system-ui,sans-serif" font-size="13">{"".join(parts)}</svg>'
    )
