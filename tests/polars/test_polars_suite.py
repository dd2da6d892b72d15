"""polars' own tests, unmodified, on remote frames: those of passing.txt have to pass.

Rule: they run in two processes of pytest, one for the quick ones and one for the others, where `import polars` gives a
module whose frames are on another node (remote_polars/). Here each file of theirs is one test: every listed test of it
has run, has passed, and had the other node carry out at least one operation on a frame. `make polars-tests` brings the
files (fetch.py); where they are not here these tests skip, and say what is missing.

What fails is run with polars itself, too: what that does not pass, does not count. So with another polars than that
which the list was made with, or without a package that some of these tests need, it holds for the rest.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from beampy.frames.tree import Object
from tests.polars import fetch
from tests.polars.remote_polars.counting import is_operation

HOME = Path(__file__).resolve().parent
ROOT = HOME.parents[1]
LIST = HOME / "passing.txt"
OTHERS = (
    "datatypes",
    "functions",
    "operations",
)  # folders, of unit/, that are left out of the quick run
LEAST = 300  # tests that have to pass, whatever the versions are
ENDS = 540  # seconds for the longer run, which takes about a minute and a half on two cores that are free


class Listed(NamedTuple):
    """passing.txt: the versions it was made with, and the names of tests by file. A name without its parameters means
    all of them."""

    polars: str
    tests: str
    names: dict[str, list[str]]


def read(text: str) -> Listed:
    """What passing.txt says.

    >>> read("polars 2.1.0, tests of 1.33.1\\n\\ntests/unit/test_a.py\\n    test_b\\n").names
    {'tests/unit/test_a.py': ['test_b']}
    """
    names: dict[str, list[str]] = {}
    file = ""
    versions = re.search(r"polars (\S+), tests of (\S+)", text)
    assert versions is not None, f"{LIST} does not say which versions it is for"
    for line in text.splitlines():
        if line.startswith("    "):
            names[file].append(line[4:])
        elif line and not line.startswith("#") and line.endswith(".py"):
            file = line
            names[file] = []
    return Listed(versions[1], versions[2], names)


LISTED = read(LIST.read_text())


def is_quick(file: str) -> bool:
    return file.removeprefix("tests/unit/").partition("/")[0] not in OTHERS


class Ran(NamedTuple):
    """What a run says: the outcomes by id, and the end of what it printed."""

    outcomes: dict[str, dict[str, Any]]
    printed: str


@functools.cache
def brought() -> tuple[Path, str]:
    """polars' tests, and their version. Skips the test where they are not here."""
    found = fetch.brought()
    if found is None:
        missing = " or ".join(f"polars-{version}.tar.gz" for version in fetch.wanted(fetch.installed()))
        pytest.skip(f"polars' own tests are not here: `make polars-tests` brings them, from {missing} of PyPI")
    return found


@functools.cache
def run(quick: bool, /) -> Ran:
    """Run what is listed of one half, on remote frames."""
    directory, _ = brought()
    files = {file: names for file, names in LISTED.names.items() if is_quick(file) is quick}
    return _pytest(directory, "quick" if quick else "others", files)


def _pytest(directory: Path, name: str, files: dict[str, list[str]], *options: str) -> Ran:
    listed, outcomes, printed = (directory / f"{name}.{suffix}" for suffix in ("list", "jsonl", "out"))
    listed.write_text("".join(f"{file}::{test}\n" for file, tests in files.items() for test in tests))
    outcomes.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(HOME / "suite.ini"), "--rootdir", str(directory)]
    command += ["-p", "remote_polars.plugin", "--listed", str(listed), "--outcomes", str(outcomes), *options]
    command += [file for file in files if (directory / file).exists()]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOME), str(ROOT), os.environ.get("PYTHONPATH", "")])}
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": "", "POLARS_HYPOTHESIS_PROFILE": "fast"}
    faulthandler.cancel_dump_traceback_later()  # what takes this test long is not here
    with printed.open("wb") as out:
        subprocess.run(command, cwd=directory, env=env, stdout=out, stderr=out, timeout=ENDS, check=False)
    found: dict[str, dict[str, Any]] = {}
    for line in outcomes.read_text().splitlines() if outcomes.exists() else ():
        outcome = json.loads(line)
        before = found.setdefault(outcome["id"], outcome)
        if before["outcome"] == "passed":  # its teardown may fail after it has passed
            found[outcome["id"]] = outcome
    return Ran(found, printed.read_text(errors="replace")[-4000:])


def test_the_list_is_long_enough_and_sorted():
    every = [f"{file}::{name}" for file, names in LISTED.names.items() for name in names]
    assert len(every) == len(set(every))
    assert list(LISTED.names) == sorted(LISTED.names)
    assert sum(len(names) for file, names in LISTED.names.items() if is_quick(file)) >= LEAST


@functools.cache
def failures(quick: bool, /) -> dict[str, dict[str, str]]:
    """What is wrong with one half, by file and id. What polars itself does not pass here either is not."""
    ran = run(quick)
    found = {file: _of_file(file, ran) for file in _files(quick)}
    bad = {file: [key.partition("::")[2] for key in wrong] for file, wrong in found.items() if wrong}
    if not bad:
        return found
    by_itself = _pytest(brought()[0], "local", bad, "--local").outcomes
    passes = {key for key, each in by_itself.items() if each["outcome"] == "passed"}
    return {
        file: {key: why for key, why in wrong.items() if any(_is_of(key, each) for each in passes)}
        for file, wrong in found.items()
    }


def _of_file(file: str, ran: Ran) -> dict[str, str]:
    wrong = {}
    for name in LISTED.names[file]:
        those = {key: each for key, each in ran.outcomes.items() if _is_of(f"{file}::{name}", key)}
        if not those:
            wrong[f"{file}::{name}"] = "it has not run"
        for key, each in those.items():
            if each["outcome"] != "passed":
                wrong[key] = each["why"]
            elif not each["operations"]:
                wrong[key] = "it passed, and the other node had nothing to do"
    return wrong


def _check(file: str, quick: bool) -> None:
    wrong = failures(quick)[file]
    shown = "\n".join(f"{key}: {why}" for key, why in wrong.items())
    said = run(quick).printed
    assert not wrong, f"{len(wrong)} of polars' own tests fail on remote frames:\n{shown}\n\nThe run said:\n{said}"


def test_what_is_wrong_with_a_run(monkeypatch: pytest.MonkeyPatch):
    file = "tests/unit/test_a.py"
    text = f"polars 1, tests of 1\n{file}\n    test_good\n    test_failed\n    test_idle[1]\n    test_absent\n"
    monkeypatch.setitem(globals(), "LISTED", read(text))
    passed = {"outcome": "passed", "operations": 1, "why": ""}
    outcomes = {
        "test_good[a]": passed,
        "test_good[b]": passed,
        "test_failed": {"outcome": "failed", "operations": 1, "why": "1 == 2"},
        "test_idle[1]": passed | {"operations": 0},
        "test_idle[2]": passed,
        "test_absently": passed,
    }
    assert _of_file(file, Ran({f"{file}::{name}": each for name, each in outcomes.items()}, "")) == {
        f"{file}::test_failed": "1 == 2",
        f"{file}::test_idle[1]": "it passed, and the other node had nothing to do",
        f"{file}::test_absent": "it has not run",
    }


@pytest.mark.parametrize(
    ("root", "steps", "is_one"),
    [
        (0, [("head", (1,), {})], True),
        (0, [("lazy", (), {}), ("filter", (1,), {}), ("collect", (), {})], True),
        (0, [("lazy", (), {}), ("collect", (), {})], False),
        (("DataFrame", ({"a": [1]},), {}), [], False),
        (("Series", ("a", Object(0)), {}), [], False),
        (("DataFrame", ({"a": [1]},), {}), [("height", None, {})], True),
        (("concat", ([Object(0), Object(1)],), {}), [], True),
        (("concat", (), {"items": {"a": (Object(0),)}}), [], True),
        (("read_csv", ("flights.csv",), {}), [], False),
    ],
)
def test_what_counts_as_an_operation(root: Any, steps: list[Any], is_one: bool):
    assert is_operation(root, steps) is is_one


def _is_of(listed: str, key: str) -> bool:
    return key == listed or (key.startswith(listed + "[") and not listed.endswith("]"))


def _files(quick: bool) -> list[str]:
    return [file for file in LISTED.names if is_quick(file) is quick]


@pytest.mark.cluster
@pytest.mark.timeout(ENDS + 30)  # the first one waits for the run
@pytest.mark.parametrize("file", _files(quick=True))
def test_on_remote_frames(file: str):
    _check(file, quick=True)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(ENDS + 30)
@pytest.mark.parametrize("file", _files(quick=False))
def test_more_on_remote_frames(file: str):
    _check(file, quick=False)


@pytest.mark.cluster
@pytest.mark.timeout(ENDS + 30)
def test_enough_of_them_have_passed():
    passed = [each for each in run(True).outcomes.values() if each["outcome"] == "passed" and each["operations"]]
    same = (fetch.installed(), brought()[1]) == (LISTED.polars, LISTED.tests)
    assert len(passed) >= (sum(len(LISTED.names[file]) for file in _files(quick=True)) if same else LEAST)
