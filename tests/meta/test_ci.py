"""The run of CI with a `make` that only writes down what it is asked for: it fails where a part does, not else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.loops("asyncio")


def ran(home: Path, fails: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The run, and what it has asked of make, where that fails for what has `fails` in it."""
    asked = home / "asked"
    for name, text in {
        "make": f'echo "$*" >> "{asked}"; case "$*" in {fails or "nothing"}) exit 2;; esac',
        "apt-get": "exit 0",
    }.items():
        (home / name).write_text(f"#!/bin/sh\n{text}\n")
        (home / name).chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run")],
        env=os.environ | {"PATH": f"{home}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    return done, asked.read_text().splitlines()


def test_where_all_is_well_it_ends_well_and_has_run_every_folder_once(tmp_path: Path) -> None:
    done, asked = ran(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folders = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").iterdir() if path.is_dir()]
    tests = [word for line in asked for word in line.removeprefix("test ARGS=").split() if line.startswith("test ")]
    assert sorted(tests) == sorted(folder for folder in folders if not folder.endswith("__pycache__"))
    assert "--keep-going check" in asked


@pytest.mark.parametrize(
    ("fails", "said"),
    [("*check*", "check"), ("*tests/unit*", "tests/unit"), ("*tests/cluster*", "tests/cluster"), ("polars*", "polars")],
)
def test_where_a_part_fails_it_says_which_and_runs_the_others(tmp_path: Path, fails: str, said: str) -> None:
    done, asked = ran(tmp_path, fails)
    assert done.returncode == 1
    assert said in done.stderr.partition("failed: ")[2]
    assert sum(line.startswith("test ARGS=") for line in asked) == 2
