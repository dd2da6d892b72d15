"""The witness: it sees imports and reloads before their code runs, and finds nothing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from types import ModuleType

import pytest

from beampy.code import witness
from tests.unit.code.origin_ground import Project, project

__all__ = ["project"]

Seen = list[tuple[str, ModuleType | None]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, project: Project) -> Seen:
    noticed: Seen = []
    monkeypatch.setattr(witness, "_listener", lambda name, target: noticed.append((name, target)))
    monkeypatch.setattr(witness, "_begun", {})
    witness.remove()
    witness.install()
    return noticed


def test_an_import_is_seen_once_and_found_by_others(seen: Seen, project: Project) -> None:
    project.write("plain.py", "x = 1")
    assert project.load("plain").x == 1
    assert seen == [("plain", None)]
    project.load("plain")
    assert seen == [("plain", None)]


def test_a_reload_is_seen_with_the_module_as_it_was(
    seen: Seen, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("again.py", "x = 1")
    module = project.load("again")
    values = []
    monkeypatch.setattr(witness, "_listener", lambda name, target: values.append((name, target.x)))
    project.write("again.py", "x = 2000")
    project.reload(module)
    assert values == [("again", 1)]
    assert module.x == 2000


def test_an_absent_module_is_absent_still(seen: Seen) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("surely_absent")
    assert importlib.util.find_spec("surely_absent_too") is None


def test_to_look_for_what_is_imported_is_no_import(seen: Seen, project: Project) -> None:
    project.write("looked.py", "x = 1")
    project.load("looked")
    began = witness.import_began("looked")
    assert sys.meta_path[0].find_spec("looked", None) is None
    assert seen == [("looked", None)]
    assert witness.import_began("looked") == began


def test_it_is_installed_once_and_moves_to_the_front(seen: Seen) -> None:
    witness.install()
    first = sys.meta_path[0]
    assert isinstance(first, witness.Witness)
    sys.meta_path.insert(0, importlib.machinery.PathFinder)
    witness.install()
    assert sys.meta_path[0] is first
    assert sum(isinstance(finder, witness.Witness) for finder in sys.meta_path) == 1
    sys.meta_path.remove(importlib.machinery.PathFinder)
    witness.remove()
    assert first not in sys.meta_path


def test_it_knows_when_an_import_began(seen: Seen, project: Project) -> None:
    project.write("timed.py", "import time; ended = time.time()")
    before = time.time()
    module = project.load("timed")
    assert before <= witness.import_began("timed") <= module.ended


def test_what_was_imported_unseen_began_with_the_process(seen: Seen) -> None:
    began = witness.import_began("sys")
    assert began == witness.import_began("os")
    assert began < time.time()
    if sys.platform == "linux":
        assert began > 0


def test_the_times_are_bounded(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "KNOWN", 3)
    for number in range(10):
        importlib.util.find_spec(f"surely_absent_{number}")
    assert len(witness._begun) <= 3


def test_nobody_listens(seen: Seen, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "_listener", None)
    project.write("unheard.py", "x = 1")
    assert project.load("unheard").x == 1
