"""Measuring: a warm-up, then the subjects in turns, run after run, and the record of all of it.

The rule: A B A B, never A A B B. A shared machine's speed wanders by tens of percent within a
minute, so what is compared has to be measured in the same breath, and a ratio is taken run by run.
At each case a calibration figure and the load are noted, for the same reason.

Each hot-path file ends with `main(CASES)`, so it runs alone; `run` calls it with all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Figures, calibrate
from benchmarks.report import markdown, table
from benchmarks.subjects import BEAMPY, PEERS, Subject, Worker, WorkerFailed

RUNS = 5
WARM_UP = 0.1
Say = Callable[[str], None]


class Record:
    """What was measured, in the shape of the JSON file: machine, subjects, cases, figures."""

    def __init__(self, subjects: Sequence[Subject], smoke: bool) -> None:
        self.smoke = smoke
        self.machine = machine()
        self.subjects: dict[str, dict[str, Any]] = {
            subject.name: {
                "label": subject.label,
                "share": subject.share,
                "status": "measured" if subject.installed() else "not installed",
            }
            for subject in subjects
        }
        self.cases: list[dict[str, Any]] = []
        self.figures: list[dict[str, Any]] = []

    def failed(self, subject: Subject) -> bool:
        """True when a workload of that subject failed."""
        return any(subject.name in case["failures"] for case in self.cases)

    def data(self) -> dict[str, Any]:
        """The whole record."""
        return {
            "machine": {**self.machine, "load at end": _load()},
            "smoke": self.smoke,
            "subjects": self.subjects,
            "cases": self.cases,
            "figures": self.figures,
        }

    def add(
        self,
        case: Case,
        size: int,
        runs: dict[str, list[Figures]],
        failures: dict[str, str],
        calibration: list[float],
        load: float,
    ) -> None:
        """Take in one case: the runs of each subject, transposed to the runs of each figure."""
        self.cases.append(
            {
                "case": case.name,
                "size": size,
                "calibration": calibration,
                "load": load,
                "failures": failures,
            }
        )
        for figure in case.figures:
            values = {
                name: [run[figure.name] for run in found]
                for name, found in runs.items()
                if found and figure.name in found[0]
            }
            self.figures.append(
                {
                    "figure": figure.name,
                    "case": case.name,
                    "unit": figure.unit,
                    "higher": figure.higher,
                    "runs": values,
                }
            )


def machine() -> dict[str, Any]:
    """What this ran on, in the words that a reader compares."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load at start": _load(),
    }


def measure(cases: Sequence[Case], subjects: Sequence[Subject], *, smoke: bool, runs: int, say: Say) -> dict[str, Any]:
    """Run every case with every installed subject that knows it; the record as JSON-able data."""
    record = Record(subjects, smoke)
    present = [s for s in subjects if record.subjects[s.name]["status"] == "measured"]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for case in cases:
            _measure_case(case, present, record, Path(scratch), smoke=smoke, runs=runs, say=say)
    return record.data()


def _measure_case(
    case: Case,
    subjects: Sequence[Subject],
    record: Record,
    scratch: Path,
    *,
    smoke: bool,
    runs: int,
    say: Say,
) -> None:
    size = case.smoke if smoke else case.size
    rounds = 1 if smoke else min(runs, case.runs or runs)
    done: dict[str, list[Figures]] = {}
    failures: dict[str, str] = {}
    calibration: list[float] = []
    load = _load()

    with ExitStack() as stack:
        workers: dict[str, Worker] = {}

        def attempt(subject: Subject, size: int) -> Figures | None:
            """One run of one subject; None where it does not know the case, or fails."""
            if subject.name in failures:
                return None
            try:
                worker = workers.get(subject.name)
                if worker is None:
                    worker = workers[subject.name] = stack.enter_context(Worker(subject, scratch))
                    record.subjects[subject.name].update(versions=worker.hello["versions"], loop=worker.hello["loop"])
                if not worker.knows(case.name):
                    return None
                return worker.run(case.name, max(1, int(size * subject.share)))
            except WorkerFailed as failure:
                failures[subject.name] = str(failure)
                say(f"{case.name}: {subject.label} failed: {failure}")
                return None

        if not (case.fresh or smoke or case.nodes > 1):
            for subject in subjects:
                attempt(subject, max(case.smoke, int(size * WARM_UP)))
        for turn in range(rounds):
            calibration.append(calibrate())
            for subject in subjects:
                figures = attempt(subject, size)
                if figures is not None:
                    done.setdefault(subject.name, []).append(figures)
                if case.fresh and subject.name in workers:
                    workers.pop(subject.name).stop()
            say(f"{case.name}: run {turn + 1} of {rounds}, {calibration[-1]:.1f} M loops/s")
    for name in failures:
        done.pop(name, None)
    record.add(case, size, done, failures, calibration, load)


def main(cases: Sequence[Case], arguments: Sequence[str] | None = None, peers: str = "none") -> int:
    """The command line that every benchmark file shares; 1 when beampy failed a case."""
    options = _options(arguments, peers)
    chosen = [case for case in cases if _named(case, options.only)]
    if not chosen:
        sys.stderr.write(f"no case or figure is called {options.only!r}\n")
        return 2
    try:
        subjects = (BEAMPY, *_peers(options.peers))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    data = measure(chosen, subjects, smoke=options.smoke, runs=options.runs, say=say)
    if options.json is not None:
        text = json.dumps(data, indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text)
    if options.json != "-":
        sys.stdout.write(markdown(data) if options.markdown else table(data))
    absent = data["subjects"][BEAMPY.name]["status"] != "measured"
    return 1 if absent or any(BEAMPY.name in case["failures"] for case in data["cases"]) else 0


def _options(arguments: Sequence[str] | None, peers: str) -> argparse.Namespace:
    names = ", ".join(peer.name for peer in PEERS)
    parser = argparse.ArgumentParser(description="Measure, in turns.")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one run, no warm-up")
    parser.add_argument("--runs", type=int, default=RUNS, help="turns of each case (%(default)s)")
    parser.add_argument("--only", metavar="NAME", help="one case or figure")
    parser.add_argument("--peers", default=peers, metavar="LIST", help=f"all, none, or some of: {names}")
    parser.add_argument("--json", metavar="FILE", help="write the record ('-': standard output)")
    parser.add_argument("--markdown", action="store_true", help="print the page RESULTS.md")
    return parser.parse_args(arguments)


def _named(case: Case, only: str | None) -> bool:
    return only is None or only in {case.name, *(figure.name for figure in case.figures)}


def _peers(names: str) -> list[Subject]:
    if names in ("all", "none"):
        return list(PEERS) if names == "all" else []
    known = {peer.name: peer for peer in PEERS}
    asked = names.split(",")
    if unknown := [name for name in asked if name not in known]:
        raise ValueError(f"unknown peers: {', '.join(unknown)}")
    return [known[name] for name in asked]


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
