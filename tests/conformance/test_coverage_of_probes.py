"""Nothing recorded is left out, nothing promised is without a test.

Every probe of the JSON files has a test of its name; every test that core/SEMANTICS.md names exists; every difference
that a test means (`@differs`) is one of its numbered irregularities.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conformance.vectors import PROBES

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TESTS = HERE.parent
SEMANTICS = TESTS.parent / "beampy" / "core" / "SEMANTICS.md"


def functions(tree: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The test functions of a tree of files."""
    for path in sorted(tree.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                yield node


def called(decorator: ast.expr) -> str:
    """The name of a decorator, with or without arguments."""
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)


def irregularities() -> str:
    return SEMANTICS.read_text(encoding="utf-8").partition("\n# Irregularities\n")[2]


@pytest.mark.parametrize("file", sorted({probe.file for probe in PROBES.values()}))
def test_every_probe_has_a_test_of_its_name(file: str) -> None:
    names = {function.name for function in functions(HERE)}
    wanted = {f"test_{probe.name.partition('/')[0]}" for probe in PROBES.values() if probe.file == file}
    assert sorted(wanted - names) == []


def test_every_table_is_read_whole() -> None:
    """The test of a table is one `@table`, which takes all its rows; a row of its own would be left out of it."""
    tables = {probe.name.partition("/")[0] for probe in PROBES.values() if "/" in probe.name}
    for function in functions(HERE):
        name = function.name.removeprefix("test_")
        if name in tables:
            source = "".join(ast.unparse(decorator) for decorator in function.decorator_list)
            assert re.search(rf"(table|rows)\('{name}'", source), f"{function.name}: rows are left out"


def test_semantics_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", SEMANTICS.read_text(encoding="utf-8")))
    assert len(named) > 100
    assert sorted(named - {function.name for function in functions(TESTS)}) == []


def test_every_difference_is_an_irregularity() -> None:
    meant = {f.name for f in functions(HERE) for decorator in f.decorator_list if called(decorator) == "differs"}
    assert sorted(meant - set(re.findall(r"`(test_\w+)`", irregularities()))) == []


def test_irregularities_are_numbered_and_have_tests() -> None:
    items = re.split(r"(?m)^(?=\d+\. )", re.sub(r"(?m)^## .*$", "", irregularities()))[1:]
    assert [int(item.partition(".")[0]) for item in items] == list(range(1, len(items) + 1))
    for item in items:
        assert re.match(r"\d+\. \*\*", item), item
        assert "`test_" in item, item
