"""What a reader sees: a table of medians with the goals, then every figure with its spread.

It turns a record (the JSON data) into text and knows nothing about how it was measured, so an old
file prints as well as a new run.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.case import Figure
from benchmarks.goals import GOALS, Goal, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "beampy"
KINDS = ("remote code_", "pool_")  # what the cases of a table of their own begin with: two nodes, pools
HEADER = """\
# Results

Written by

    python -m benchmarks.run --markdown > benchmarks/RESULTS.md

on the machine named below. How to read it:

- All subjects of a row were measured in the same run, in turns (A B A B), each in a process of its
  own. A cell of the first table is a median; "Every figure" has median [min..max] of the runs.
- **Ratios travel between machines, absolute figures do not.** A ratio is taken run by run and says
  how many times better beampy is than that peer, whichever direction is the good one for the
  figure: above 1, beampy is ahead.
- "to the goal" is how far past its goal a figure is: 1.00 is exactly met. A figure with several
  goals shows the hardest one; all of them are listed under Goals.
- The calibration, in millions of trivial loop iterations a second, and the load say how fast and
  how quiet the machine was at that case. Compare two records only with both in mind
  (`python -m benchmarks.compare`).
- "–": that peer has no such workload. Peers that are not installed are named at the end.

"""


def quantity(value: float) -> str:
    """A number in few characters.

    >>> quantity(412_345.0), quantity(1_234_567.0), quantity(8.25), quantity(996.0)
    ('412 k', '1.23 M', '8.25', '996')
    """
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= unit * (10 if name == " k" else 1):
            return _digits(value / unit) + name
    return _digits(value)


def spread(values: Sequence[float]) -> str:
    """median [min..max], or the value alone where there is one run."""
    if len(values) == 1:
        return quantity(values[0])
    return f"{quantity(median(values))} [{quantity(min(values))}..{quantity(max(values))}]"


def wording(goal: Goal) -> str:
    """A goal in few words.

    >>> wording(Goal("pingpong", at_least=3.0, peer="queue-uvloop")), wording(Goal("ring", 6e5))
    ('≥ 3 × queue-uvloop', '≥ 600 k')
    """
    bound = f"≥ {quantity(goal.at_least)}" if goal.at_least is not None else f"≤ {quantity(goal.at_most or 0.0)}"
    other = goal.peer or goal.beside
    who = "" if goal.subject == OURS else f"{goal.subject}: "
    return f"{who}{bound} × {other}" if other else f"{who}{bound}"


def verdicts(data: dict[str, Any]) -> list[Verdict]:
    """Every goal whose figure was measured here."""
    figures = {row["figure"]: _figure(row) for row in data["figures"]}
    runs = {row["figure"]: row["runs"] for row in data["figures"]}
    return [judge(goal, figures, runs) for goal in GOALS if goal.figure in figures]


def table(data: dict[str, Any]) -> str:
    """The record for a terminal."""
    parts = [*_about(data), "", *(line for rows in _medians(data) for line in (*_aligned(rows), ""))]
    if len(_present(data)) > 1 or _rounds(data) > 1:
        parts += [*_aligned(_details(data)), ""]
    parts += [*_aligned(_goals(data)), *_remarks(data)]
    return "\n".join(parts).rstrip() + "\n"


def markdown(data: dict[str, Any]) -> str:
    """The record as the page RESULTS.md."""
    parts = [
        *(f"- {line}" for line in _about(data)),
        "",
        *(line for rows in _medians(data) for line in (*_piped(rows), "")),
        "## Goals",
        "",
        *_piped(_goals(data)),
        "",
        "## Every figure",
        "",
        *_piped(_details(data)),
        "",
        "## Machine at each case",
        "",
        *_piped(_conditions(data)),
        "",
        *(f"- {line}" for line in _remarks(data)),
    ]
    return HEADER + "\n".join(parts).rstrip() + "\n"


def _about(data: dict[str, Any]) -> list[str]:
    machine = data["machine"]
    calibration = [value for case in data["cases"] for value in case["calibration"]]
    lines = [
        f"machine: {machine['processor']}, {machine['cores']} cores, {machine['system']}",
        f"python: {machine['python']}",
        f"date: {machine['date']}; load {machine['load at start']} to {machine['load at end']}",
        f"calibration: {spread(calibration)} M loop iterations/s",
    ]
    for name in _present(data):
        about = data["subjects"][name]
        versions = ", ".join(f"{k} {v}" for k, v in about.get("versions", {}).items())
        part = "" if about["share"] == 1 else f"; runs {about['share']:.0%} of the size"
        lines.append(f"{name}: {about['label']} ({versions}; loop {about.get('loop')}{part})")
    if data["smoke"]:
        lines.append("smoke run: tiny sizes, one run; the figures say that it works, nothing else")
    return lines


def _medians(data: dict[str, Any]) -> list[list[list[str]]]:
    """The tables of medians: of one node, of two, of pools; each with the subjects that have a figure in it."""
    hardest: dict[str, Verdict] = {}
    for verdict in verdicts(data):
        known = hardest.get(verdict.goal.figure)
        if known is None or _rank(verdict) < _rank(known):
            hardest[verdict.goal.figure] = verdict
    groups: dict[str, list[dict[str, Any]]] = {kind: [] for kind in ("", *KINDS)}
    for row in data["figures"]:
        kind = next((kind for kind in KINDS if row["case"].startswith(tuple(kind.split()))), "")
        groups[kind].append(row)
    return [_medians_of(rows, _present(data), hardest) for rows in groups.values() if rows]


def _medians_of(figures: list[dict[str, Any]], present: list[str], hardest: dict[str, Verdict]) -> list[list[str]]:
    names = [name for name in present if any(name in row["runs"] for row in figures)]
    rows = [["workload", "unit", *names, "goal", "to the goal", ""]]
    for row in figures:
        cells = [quantity(median(row["runs"][name])) if name in row["runs"] else "–" for name in names]
        found = hardest.get(row["figure"])
        if found is None:
            goal = ["", "", ""]
        else:
            margin = "" if found.margin is None else f"{found.margin:.2f}"
            goal = [wording(found.goal), margin, found.word]
        rows.append([row["figure"], row["unit"], *cells, *goal])
    return rows


def _goals(data: dict[str, Any]) -> list[list[str]]:
    rows = [["goal for", "goal", "reached", "to the goal", ""]]
    for verdict in verdicts(data):
        reached, margin = "–", ""
        if verdict.reached is not None and verdict.low is not None and verdict.high is not None:
            reached = spread([verdict.low, verdict.reached, verdict.high])
            margin = f"{verdict.margin:.2f}"
        rows.append([verdict.goal.figure, wording(verdict.goal), reached, margin, verdict.word])
    return rows


def _details(data: dict[str, Any]) -> list[list[str]]:
    rows = [["workload", "unit", "subject", "median [min..max]", "beampy is better by"]]
    for row in data["figures"]:
        figure, ours = _figure(row), row["runs"].get(OURS, [])
        for name, theirs in row["runs"].items():
            ratios = [figure.times_better(a, b) for a, b in zip(ours, theirs, strict=False)]
            known = [ratio for ratio in ratios if ratio is not None]
            better = "" if name == OURS or not known else f"{spread(known)} ×"
            rows.append([row["figure"], row["unit"], name, spread(theirs), better])
    return rows


def _conditions(data: dict[str, Any]) -> list[list[str]]:
    rows = [["case", "size", "runs", "M loop iterations/s", "load"]]
    for case in data["cases"]:
        calibration = case["calibration"]
        rows.append(
            [
                case["case"],
                f"{case['size']:,}",
                str(len(calibration)),
                spread(calibration),
                str(case["load"]),
            ]
        )
    return rows


def _remarks(data: dict[str, Any]) -> list[str]:
    lines = [
        f"{about['label']}: {about['status']}" for about in data["subjects"].values() if about["status"] != "measured"
    ]
    for case in data["cases"]:
        for name, failure in case["failures"].items():
            lines.append(f"{case['case']}: {name} failed: {failure}")
    return lines


def _present(data: dict[str, Any]) -> list[str]:
    return [name for name, about in data["subjects"].items() if about["status"] == "measured"]


def _rounds(data: dict[str, Any]) -> int:
    return max((len(case["calibration"]) for case in data["cases"]), default=0)


def _rank(verdict: Verdict) -> float:
    return float("inf") if verdict.margin is None else verdict.margin


def _figure(row: dict[str, Any]) -> Figure:
    return Figure(row["figure"], row["unit"], row["higher"])


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _piped(rows: list[list[str]]) -> list[str]:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return [head, "|" + "---|" * len(rows[0]), *body]
