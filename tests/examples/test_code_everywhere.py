"""The example of code that travels, as a reader runs it: from a copy, with nothing of it importable elsewhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.examples.test_two_nodes import ROOT, program
from tests.unit.dist.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.cluster


def test_a_package_beside_a_script_runs_on_a_node_in_an_empty_directory(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(ROOT / "examples" / "05_code_everywhere", folder, ignore=shutil.ignore_patterns("__pycache__"))
    with program(str(folder / "main.py"), cwd=folder, ERL_EPMD_PORT=str(free_port())) as author:
        here = author.until(r"author@localhost is process (\d+)\n")[1]
        there = author.until(r"HELLO \(said by process (\d+) in \[\]\)\n")[1]
        author.until(r"Fog: 12 words that say something, 5\.1 letters each\nthe longest word: haunches\n")
        author.until(r"HELLO AGAIN!!!\nworker@localhost has def words\(text: str\) -> list\[str\]:\n")
        assert author.end() == 0, author.said
    assert here != there
