"""How every source file of beampy begins, and what none of them holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for tree in ("beampy", "nodes", "examples", "benchmarks")
    for path in (ROOT / tree).rglob("*.py")
)
# A package is not the place for what belongs to no concept.
NAMELESS = {"base", "common", "helpers", "misc", "util", "utils"}


def test_there_are_sources() -> None:
    assert "beampy/errors/__init__.py" in SOURCES


@pytest.mark.parametrize("path", SOURCES)
def test_source(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a file opens by saying what it is for"
    if len(tree.body) > 1:
        first = tree.body[1]
        assert isinstance(first, ast.ImportFrom), "the future import comes first"
        assert first.module == "__future__"
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), "what is not done is an issue, not a note"
    assert Path(path).stem not in NAMELESS, "name the concept"
