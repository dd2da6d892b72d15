"""Did it become slower? `python -m benchmarks.compare BASE.json HEAD.json` exits 1 when it did.

The rule: a figure regressed when beampy's median in HEAD is worse than in BASE by more than the
threshold. Speeds are first corrected by the calibration of their own case, because two files are
two moments of a machine whose speed wanders; bytes are compared as they are. A figure that BASE has
and HEAD lost is a regression too. It knows nothing about goals.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.case import Figure

THRESHOLD = 0.15


@dataclass(frozen=True)
class Change:
    """One figure in both files; `better` is above 1 when HEAD is ahead, None when it is lost."""

    figure: str
    unit: str
    base: float
    head: float | None
    better: float | None

    def regressed(self, threshold: float) -> bool:
        return self.better is None or self.better < 1 - threshold


def changes(base: dict[str, Any], head: dict[str, Any], *, corrected: bool = True) -> list[Change]:
    """Every figure of BASE that beampy has, with what became of it."""
    calibrations = [_calibrations(base), _calibrations(head)]
    rows = {row["figure"]: row for row in head["figures"]}
    found = []
    for row in base["figures"]:
        if "beampy" not in row["runs"]:
            continue
        figure = Figure(row["figure"], row["unit"], row["higher"])
        before = median(row["runs"]["beampy"])
        runs = rows.get(figure.name, {"runs": {}})["runs"].get("beampy")
        if not runs:
            found.append(Change(figure.name, figure.unit, before, None, None))
            continue
        after = median(runs)
        better = figure.times_better(after, before)
        if better is None:
            continue
        if corrected and figure.unit != "bytes":
            then, now = (known[row["case"]] for known in calibrations)
            better *= then / now
        found.append(Change(figure.name, figure.unit, before, after, better))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the figures of both files; 1 when one regressed."""
    parser = argparse.ArgumentParser(description="Compare two records.")
    parser.add_argument("base", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="(%(default)s)")
    parser.add_argument("--uncorrected", action="store_true", help="compare as measured, without the calibration")
    options = parser.parse_args(arguments)
    base, head = (json.loads(path.read_text()) for path in (options.base, options.head))
    found = changes(base, head, corrected=not options.uncorrected)
    regressed = [change for change in found if change.regressed(options.threshold)]
    for change in found:
        after = "lost" if change.head is None else f"{change.head:,.6g}"
        factor = "" if change.better is None else f"{change.better:6.2f} ×"
        mark = "  REGRESSED" if change in regressed else ""
        values = f"{change.base:>14,.6g} -> {after:>14} {change.unit:16}"
        sys.stdout.write(f"{change.figure:16} {values} {factor}{mark}\n")
    sys.stdout.write(f"{len(regressed)} of {len(found)} figures regressed\n")
    return 1 if regressed else 0


def _calibrations(data: dict[str, Any]) -> dict[str, float]:
    return {case["case"]: median(case["calibration"]) for case in data["cases"]}


if __name__ == "__main__":
    raise SystemExit(main())
