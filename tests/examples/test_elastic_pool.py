"""The example of the elastic pool, and the tour's act with it, as a reader runs them."""

from __future__ import annotations

import re

import pytest

from tests.examples.test_two_nodes import program

pytestmark = pytest.mark.cluster


def test_the_example() -> None:
    with program("examples/06_elastic_pool.py") as example:
        assert example.end() == 0, example.said
    lines = example.said.splitlines()
    assert lines[-1] == "the longest chain below 96,001 starts at 77,031 and has 351 numbers"
    looked = re.findall(r"^(\[runner-1\] )?\d+ looks from ([\d,]+) on$", example.said, re.MULTILINE)
    assert [start for label, start in looked if not label] == [f"{1 + 6_000 * n:,}" for n in range(16)]
    assert {start for label, start in looked if label} == {f"{1 + 6_000 * n:,}" for n in range(16)}
    assert len(looked) == 32


def test_the_act_of_the_tour() -> None:
    pytest.importorskip("rich")
    act = (
        "import sys; sys.path.insert(0, 'examples')\n"
        "import logging, rich.console, tour, tour_pool, beampy as bp\n"
        "logging.basicConfig(level=logging.CRITICAL)\n"
        "bp.run(tour_pool.elastic_pool, tour.source_files()[:60], rich.console.Console(width=100))"
    )
    with program("-c", act) as tour:
        assert tour.end() == 0, tour.said
    assert tour.said.splitlines()[-2] == "   60 files = 60 summaries + 0 named failures"
    assert re.search(r"runner-\d+ was killed at half-time,\n +what it had begun ran again", tour.said)
    assert "Traceback" not in tour.said
