"""Every benchmark file still runs: --smoke in a process of its own, valid JSON, finite figures.

Peers that need no installation are run with them; the others where they are installed. No figure is
judged here, only that there is one.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import HOT_PATHS
from benchmarks.case import Figure
from benchmarks.compare import changes
from benchmarks.compare import main as compare
from benchmarks.goals import GOALS, Goal, judge
from benchmarks.report import markdown, quantity, table
from benchmarks.subjects import BEAMPY, PEERS
from benchmarks.versus.on_beampy import cases

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ASYNCIO = "queue-asyncio"
GUESTS = ("pykka", "thespian", "xoscar", "erlang-1")

pytestmark = pytest.mark.cluster


def smoke(module: str, *options: str) -> dict[str, Any]:
    """The record of a smoke run."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", "--smoke", "--json", "-", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_every_file_is_a_hot_path() -> None:
    files = {file.stem for file in (ROOT / "benchmarks").glob("*.py") if "\nCASES = " in file.read_text()}
    assert files == set(HOT_PATHS)
    for name in HOT_PATHS:
        for case in importlib.import_module(f"benchmarks.{name}").CASES:
            assert case.name == name or case.name.startswith((f"{name}_", f"{name}."))


BROWSER = pytest.mark.skipif(
    None in map(importlib.util.find_spec, ("jupyterlab", "playwright")) or CHROMIUM is None,
    reason="needs JupyterLab, playwright and Chromium: make test-all installs them",
)


@pytest.mark.parametrize(
    "module",
    [pytest.param(name, marks=[BROWSER, pytest.mark.slow] * (name == "notebook_screen")) for name in HOT_PATHS],
)
def test_smoke(module: str) -> None:
    record = smoke(module, "--peers", ASYNCIO)
    assert record["smoke"] is True
    assert all(not case["failures"] for case in record["cases"])
    assert all(math.isfinite(v) and v > 0 for c in record["cases"] for v in c["calibration"])
    assert record["figures"]
    for row in record["figures"]:
        assert len(row["runs"]["beampy"]) == 1, row
        assert all(math.isfinite(value) for runs in row["runs"].values() for value in runs)
    assert table(record)
    assert markdown(record)


@pytest.mark.parametrize("peer", GUESTS)
def test_guest(peer: str) -> None:
    """A peer that is not installed is named and skipped; one that is has figures."""
    here = shutil.which("erlc") if peer.startswith("erlang") else importlib.util.find_spec(peer)
    record = smoke("oneway", "--peers", peer)
    assert record["cases"][0]["failures"] == {}
    if here:
        assert math.isfinite(record["figures"][0]["runs"][peer][0])
    else:
        assert record["subjects"][peer]["status"] == "not installed"
        assert "not installed" in table(record)


@pytest.mark.parametrize(
    ("module", "peers"),
    [
        ("remote", ("beampy-asyncio", "beampy-tcp", "beampy-tls", "echo-unix", "echo-tcp", "echo-tls", "erlang-1")),
        ("remote_bulk", ("beampy-tls", "socket-fresh", "socket-reused", "pool", "erlang-1")),
        ("remote_call", ("pool", "rpyc", "pyro5", "xoscar", "erlang-1")),
        ("remote_mixed", ("beampy-tcp", "erlang-1")),
        ("remote_connect", ("beampy-tls",)),
        ("code", ("cloudpickle",)),
        ("pool_call", ("executor", "loky", "aiomultiprocess")),
        ("pool_tasks", ("executor", "loky", "aiomultiprocess")),
        ("pool_boot", ("executor", "executor-forkserver")),
        ("pool_cpu", ("executor", "loky")),
    ],
)
def test_between_processes(module: str, peers: tuple[str, ...]) -> None:
    """Every subject that can has figures. (dask, ray and ipyparallel take longer to start than a test may.)"""
    record = smoke(module, "--peers", ",".join(peers))
    (case,) = record["cases"]
    assert case["failures"] == {}
    for peer in peers:
        if record["subjects"][peer]["status"] == "measured":
            found = [row["runs"][peer] for row in record["figures"] if peer in row["runs"]]
            assert found, peer
            assert all(math.isfinite(values[0]) for values in found)


def test_a_goal_names_subjects() -> None:
    named = {BEAMPY.name, *(peer.name for peer in PEERS)}
    assert {goal.subject for goal in GOALS} | {goal.peer for goal in GOALS} - {None} <= named


def test_tables() -> None:
    """What takes two nodes has a table of its own, and so have pools; each with the subjects that are in it."""
    rows = {
        "spawn": {"runs": {"beampy": [1.0], "queue-uvloop": [2.0]}},
        "remote": {"runs": {"beampy": [3.0], "echo-unix": [2.0]}},
        "pool_call": {"runs": {"beampy": [1.0], "executor": [2.0]}},
    }
    data = smoke("oneway")
    data["figures"] = [
        {"figure": name, "case": name, "unit": "µs", "higher": False, **row} for name, row in rows.items()
    ]
    for name in ("queue-uvloop", "echo-unix", "executor"):
        data["subjects"][name] = {"label": name, "share": 1.0, "status": "measured"}
    heads = [line for line in markdown(data).splitlines() if line.startswith("| workload | unit | beampy")]
    assert ["queue-uvloop" in head for head in heads] == [True, False, False]
    assert ["echo-unix" in head for head in heads] == [False, True, False]
    assert ["executor" in head for head in heads] == [False, False, True]


def test_a_goal_names_a_figure() -> None:
    figures = {figure.name for case in cases() for figure in case.figures}
    assert {goal.figure for goal in GOALS} <= figures
    assert {goal.beside for goal in GOALS} - {None} <= figures


@pytest.mark.parametrize(
    ("goal", "runs", "reached", "word"),
    [
        (Goal("a", at_least=2.0, peer="p"), {"a": {"beampy": [6, 4], "p": [2, 2]}}, 2.5, "met"),
        (Goal("a", at_least=2.0), {"a": {"beampy": [1.0]}}, 1.0, "MISSED"),
        (Goal("a", at_most=2.0), {"a": {"beampy": [1.0, 2.0, 9.0]}}, 2.0, "met"),
        (
            Goal("a", at_most=1.2, beside="b"),
            {"a": {"beampy": [3]}, "b": {"beampy": [2]}},
            1.5,
            "MISSED",
        ),
        (Goal("a", at_least=2.0, peer="p"), {"a": {"beampy": [6.0]}}, None, "not measured"),
        (Goal("a", at_most=2.0, subject="v"), {"a": {"beampy": [1.0], "v": [3.0]}}, 3.0, "MISSED"),
    ],
)
def test_judge(goal: Goal, runs: Any, reached: float | None, word: str) -> None:
    verdict = judge(goal, {"a": Figure("a", "u"), "b": Figure("b", "u")}, runs)
    assert verdict.reached == reached
    assert verdict.word == word


def record_of(value: float, calibration: float = 10.0, **other: Any) -> dict[str, Any]:
    row = {"figure": "a", "case": "c", "unit": "µs", "higher": False, "runs": {"beampy": [value]}}
    return {"figures": [{**row, **other}], "cases": [{"case": "c", "calibration": [calibration]}]}


@pytest.mark.parametrize(
    ("base", "head", "code"),
    [
        (record_of(10.0), record_of(11.0), 0),
        (record_of(10.0), record_of(13.0), 1),
        (record_of(10.0, 10.0), record_of(20.0, 5.0), 0),
        (record_of(10.0, 10.0, unit="bytes"), record_of(20.0, 5.0, unit="bytes"), 1),
        (record_of(10.0), record_of(1.0, runs={}), 1),
    ],
)
def test_compare(tmp_path: Path, base: Any, head: Any, code: int) -> None:
    files = [tmp_path / "base.json", tmp_path / "head.json"]
    for file, record in zip(files, (base, head), strict=True):
        file.write_text(json.dumps(record))
    assert compare([*map(str, files), "--threshold", "0.2"]) == code
    assert len(changes(base, head)) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.333333, "0.333"), (8.25, "8.25"), (996.0, "996"), (4572.0, "4572"), (22_500.0, "22.5 k")],
)
def test_quantity(value: float, text: str) -> None:
    assert quantity(value) == text
