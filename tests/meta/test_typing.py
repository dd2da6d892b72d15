"""mypy and pyright see what tests/typing says: the types that users of the public names get."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "typing").glob("*.py"))

pytestmark = pytest.mark.slow


def check(module: str, *args: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed (make check installs it)")
    done = subprocess.run(
        [sys.executable, "-m", module, *args, *FILES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_files() -> None:
    assert FILES


@pytest.mark.timeout(300)
def test_mypy() -> None:
    check("mypy", "--strict", "--warn-unused-ignores")


@pytest.mark.timeout(300)
def test_pyright() -> None:
    check("pyright", "--pythonpath", sys.executable)
