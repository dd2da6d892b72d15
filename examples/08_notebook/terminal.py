"""A live card in a terminal: runners, and how their curves go on, from what the card's widget is told.

Rule: it is given the `snapshot` of the widget, which is JSON, about once a second, and keeps nothing of it.
"""

from __future__ import annotations

import json
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
CURVE = 36  # columns
STYLES = {"running": "cyan", "idle": "dim", "booting": "yellow", "lost": "bold red", "failed": "bold red"}


def card(snapshot: str) -> Group:
    """The card, as it is in this snapshot."""
    told = json.loads(snapshot)
    head, lines = told["head"], told["lines"]
    parts: list[Any] = []
    for group in head["groups"]:
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(group["what"], "bold"),
            ProgressBar(group["total"] or 1, group["done"], width=CURVE),
            f"{group['done']}/{group['total'] or '?'}",
        )
        parts.append(row)
    rows = Table.grid(padding=(0, 2))
    values = [value for line in lines for value in line["points"][1::2]]
    newest = {line["runner"]: line for line in lines}  # the last one of each
    for runner in head["rows"]:
        line = newest.get(runner["name"])
        points = line["points"][1::2] if line else []
        said = f"{line['name']} {points[-1]:.3g}" if line and points else ""
        rows.add_row(
            runner["name"],
            Text(runner["state"], STYLES.get(runner["state"], "")),
            Text(curve(points, min(values, default=0.0), max(values, default=1.0)), "cyan"),
            said,
            Text(f"{runner['done']} done", "dim"),
        )
    parts.append(rows)
    if head["note"]:
        parts.append(Text(head["note"], "red"))
    return Group(*parts)


def curve(points: list[float], low: float, high: float) -> str:
    """One line of blocks, between these two values.

    >>> curve([0.0, 0.5, 1.0], 0.0, 1.0)
    '▁▅█'
    """
    if len(points) > CURVE:
        points = [points[at * (len(points) - 1) // (CURVE - 1)] for at in range(CURVE)]
    top = len(BARS) - 1
    return "".join(BARS[round((point - low) / ((high - low) or 1.0) * top)] for point in points)
