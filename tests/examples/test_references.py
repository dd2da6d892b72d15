"""The example of references, and the tour's act with them, as a reader runs them."""

from __future__ import annotations

import re

import pytest

from tests.examples.test_two_nodes import program

pytestmark = pytest.mark.cluster


def test_the_example() -> None:
    with program("examples/09_references.py") as example:
        assert example.end() == 0, example.said
    lines = example.said.splitlines()
    assert re.match(r"<RemoteRef list, \d+ MB, on pool-\w+-1@127.0.0.1>", lines[0])
    assert lines[1] == "300000 orders; the last one: {'id': 299999, 'price': 96.3}"
    assert [line.strip() for line in lines[2:5]] == [f"{{'id': {id}, 'price': 99.9}}" for id in (27, 1027, 2027)]
    assert lines[5] == "299700 without the dearest"
    assert re.search(r": 2 objects, \d+ MB$", lines[6])
    assert sum(" list " in line for line in lines[7:]) == 2
    assert "Traceback" not in example.said


def test_the_act_of_the_tour() -> None:
    pytest.importorskip("rich")
    pytest.importorskip("numpy")
    act = (
        "import sys; sys.path.insert(0, 'examples')\n"
        "import rich.console, tour_refs, beampy as bp\n"
        "tour_refs.MB = 100\n"
        "bp.run(tour_refs.references, rich.console.Console(width=100))"
    )
    with program("-c", act) as tour:
        assert tour.end() == 0, tour.said
    assert "<RemoteRef numpy.ndarray, 100 MB, on data-" in tour.said
    held, left = map(int, re.findall(r"(\d+) MB while somebody had a handle, (\d+) MB now", tour.said)[0])
    assert held - left >= 90
    assert "Traceback" not in tour.said
