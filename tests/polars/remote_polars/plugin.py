"""A pytest plugin: polars' own tests, with remote frames for polars' frames.

    python -m pytest -p remote_polars.plugin --outcomes FILE unit/dataframe/test_df.py

Rule: the files of the tests are as they came. What they import as `polars` is namespace.py's; all other code, polars'
own with it, has polars. The frames are on a second node, an operating-system process that is started once. Each test's
outcome goes to `--outcomes` as a line of JSON: its id, how it ended, and how many operations the other node counted.
With `--local` the tests have polars itself, and nothing is started.

Place: test_polars_suite.py runs it, in a process of its own. `--listed FILE` leaves out what is not in that list, where
a name without parameters means all of them.
"""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any, TextIO

import pytest

import beampy as bp
from beampy.frames.place import on

from . import counting, frames, namespace

TESTS = "tests.unit"  # the package of polars' tests: whose imports are answered with remote frames
NODE = f"frames{os.getpid()}@127.0.0.1"
IDLE = "beampy.testing.cluster_node:idle"  # which ends with this process, however that ends
STARTS = 30  # seconds for a node
ENDS = 5  # seconds for one to end by itself


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("remote polars")
    group.addoption("--outcomes", metavar="FILE", help="where outcomes are written, a line of JSON for each test")
    group.addoption("--listed", metavar="FILE", help="the tests to run, one id a line")
    group.addoption("--local", action="store_true", help="with polars itself")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("outcomes")
    outcomes = open(path, "w", buffering=1) if path else None  # noqa: SIM115 - closed by Suite
    suite = Suite(outcomes, config.getoption("listed"))
    if not config.getoption("local"):
        suite.frames = Frames()
        suite.frames.start()
    config.pluginmanager.register(suite, "polars suite")


class Frames:
    """The node that has the frames, and this one; and what tests import instead of polars."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.node: Any = None

    def start(self) -> None:
        self.node = bp.start(f"tests{os.getpid()}@127.0.0.1")
        frames.ground.node = NODE
        frames.ground.place = on(NODE)
        self.start_node()
        self.give()

    def start_node(self) -> None:
        """The node that has the frames."""
        spec = {"name": NODE, "app": IDLE, "args": [], "options": {}, "parent": os.getpid()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "beampy.testing.cluster_node", json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("REMOTE_POLARS_SHOWN") else subprocess.DEVNULL,
            text=True,
        )
        _until_connected()
        bp.remote_call(NODE, counting.install).result(STARTS)

    def give(self) -> None:
        """From now on tests import remote frames."""
        instead, original = namespace.modules(), builtins.__import__

        def importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            found = original(name, globals, locals, fromlist, level)
            who = str((globals or {}).get("__name__", ""))
            if level or name.partition(".")[0] != "polars" or not who.startswith(TESTS):
                return found
            return instead.get(name, found) if fromlist else instead["polars"]

        builtins.__import__ = importing

    def counts(self) -> dict[str, int]:
        """Since this was asked last: operations there, frames that polars itself computed here, errors of beampy's."""
        ground = frames.ground
        here, refused = namespace.by_hand + ground.fetched, ground.refused
        namespace.by_hand = ground.fetched = ground.refused = 0
        try:
            operations = bp.remote_call(NODE, counting.taken).result(STARTS)
        except (bp.errors.BeampyError, TimeoutError):  # a test has ended it, or made it stand still
            self.stop_node()
            self.start_node()
            operations = 0
        return {"operations": operations, "here": here, "refused": refused}

    def stop(self) -> None:
        if self.node is not None:
            self.node.stop().result(STARTS)
        self.stop_node()

    def stop_node(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(ENDS)
        except subprocess.TimeoutExpired:  # it stands still
            self.process.kill()
            self.process.wait(ENDS)


def _until_connected() -> None:
    end = time.monotonic() + STARTS
    while True:
        try:
            return bp.connect(NODE).result(STARTS)
        except bp.errors.BeampyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Suite:
    """What runs, and how it ended."""

    def __init__(self, outcomes: TextIO | None, listed: str | None) -> None:
        self.outcomes = outcomes
        self.listed = None if listed is None else set(Path(listed).read_text().splitlines())
        self.functions = {each.partition("[")[0] for each in self.listed or ()}
        self.frames: Frames | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: object) -> list[Any] | None:
        """Leave out what is not listed before its parameters are gone through: there are 14 000 of them."""
        skip = self.listed is not None and isinstance(obj, types.FunctionType)
        return [] if skip and f"{collector.nodeid}::{name}" not in self.functions else None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if self.listed is not None:
            chosen = [item for item in items if item.nodeid in self.listed or without_parameters(item) in self.listed]
            left = set(items).difference(chosen)
            config.hook.pytest_deselected(items=list(left))
            items[:] = chosen

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        if self.frames is not None:
            self.frames.counts()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
            why = "" if report.outcome == "passed" else _last_line(report)
            line: dict[str, Any] = {"id": report.nodeid, "outcome": outcome, "when": report.when, "why": why}
            if self.frames is not None:
                line |= self.frames.counts()
            line["seconds"] = round(report.duration, 4)
            if self.outcomes is not None:
                self.outcomes.write(json.dumps(line) + "\n")

    def pytest_unconfigure(self) -> None:
        if self.frames is not None:
            self.frames.stop()
        if self.outcomes is not None:
            self.outcomes.close()


def without_parameters(item: pytest.Item) -> str:
    """The id that all of a test's parameters have in common."""
    return item.nodeid.removesuffix(item.name) + getattr(item, "originalname", item.name)


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longrepr)[:1000]
