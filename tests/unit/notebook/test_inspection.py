"""What is shown for the name under the cursor, and for what is called."""

from __future__ import annotations

from typing import Any

import pytest

import beampy as bp
from beampy.notebook.hover import WIDE, folded, inspect
from beampy.notebook.parameters import parameters
from tests.unit.notebook.editor_ground import Answered, model_of


def train(rows, *, lr: float = 0.1):
    """Train it."""


class Notebook:
    """A notebook with these names, and a node with those."""

    def __init__(self, here: dict[str, Any], there: dict[str, Any] | None) -> None:
        self.names = here
        self.questions = Answered(there)

    def shown(self, code: str, detail: int = 0) -> str | None:
        """The plain text for where the `|` is, or the end. "" where nothing is known; None: IPython's."""
        before, _, after = code.partition("|")
        found = inspect(before + after, len(before), detail, self.names, self.questions)
        return None if found is None else found.get("text/plain", "")


@pytest.fixture
def notebook() -> Notebook:
    model = model_of()
    there = {"Model": model, "model": model(), "limit": 3}
    return Notebook({"bp": bp, "train": train, "here": 1, "pool": bp.Pool(name="crew")}, there)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (
            "model.fi|t(1)",
            ["Signature: model.fit(rows, *, lr: float = 0.1, steps=10)", "Node: b@localhost", "Learn from rows."],
        ),
        ("model.fit(|", ["Signature: model.fit(rows, *, lr: float = 0.1, steps=10)"]),
        ("model.fit(1, l|r=2)", ["Signature: model.fit(rows, *, lr: float = 0.1, steps=10)"]),
        ("model.fit(lim|it)", ["Type: int", "Value: 3"]),
        ("model.fit(lim|it == 3)", ["Type: int"]),
        ("Model|", ["Init signature: Model(n: int = 3)", "A model."]),
        ("mod|el", ["A model.", "Node: b@localhost"]),
        ("import json\njson.loads|", ["Signature: json.loads("]),
        ("def mine(a):\n    'Mine.'\nmine(|", ["Signature: mine(a)", "Mine.", "Where: this cell"]),
    ],
)
def test_a_cell_for_a_node_shows_what_is_there(notebook: Notebook, body: str, lines: list[str]):
    shown = notebook.shown(f"%%on b@localhost\n{body}")
    assert shown is not None
    assert [line for line in lines if line not in shown] == []


def test_the_source_comes_with_the_second_question(notebook: Notebook):
    code = "%%on b@localhost\nimport json\njson.loads|"
    assert "def loads(" not in (notebook.shown(code) or "")
    assert "def loads(" in (notebook.shown(code, 1) or "")


@pytest.mark.parametrize("body", ["here|", "nothing|", "|", "'text|'", "retu|rn", "# wor|d"])
def test_what_is_not_there_is_not_looked_for_here(notebook: Notebook, body: str):
    assert notebook.shown(f"%%on b@localhost\n{body}") == ""


def test_a_node_that_hangs_leaves_what_is_known_here():
    notebook = Notebook({}, None)
    assert notebook.shown("%%on b@localhost\nmodel|") == ""
    assert "json.loads(" in (notebook.shown("%%on b@localhost\nimport json\njson.loads|") or "")


@pytest.mark.parametrize(
    "code", ["here|", "train(|", "print(|", "", "%%on b@loc|", "%%time\npool.call(train, |", "x = 'a|'"]
)
def test_everything_else_is_ipythons(notebook: Notebook, code: str):
    assert notebook.shown(code) is None


def test_a_function_that_is_given_away_says_how_it_is_called(notebook: Notebook):
    shown = notebook.shown("pool.call(train, |") or ""
    assert shown.splitlines()[:2] == ["Signature: train(rows, *, lr: float = 0.1)", "Note: given to pool.call"]
    assert "Train it." in shown
    assert "Signature: fn(a)" in (notebook.shown("def fn(a): ...\npool.call(fn, |") or "")


def test_a_function_of_a_pool_says_how_it_is_called_and_where_it_runs(notebook: Notebook):
    notebook.names["area"] = notebook.names["pool"].remote(train)
    for code in ("area|", "area(|"):
        shown = notebook.shown(code) or ""
        assert shown.startswith("Signature: area(rows, *, lr: float = 0.1)")
        assert "Pool crew" in shown


def test_both_forms_say_the_same_and_html_is_safe():
    class Odd:
        """<script>alert(1)</script>"""

    questions = Answered({"Odd": Odd})
    found = inspect("%%on b@localhost\nOdd", 20, 0, {}, questions)
    assert found is not None
    assert set(found) == {"text/plain", "text/html"}
    assert "<script>" in found["text/plain"]
    assert "<script>" not in found["text/html"]
    assert "b@localhost" in found["text/html"]


def test_long_signatures_are_folded_one_parameter_a_line():
    text = (
        "(first, /, second: int = 1, *, "
        + ", ".join(f"option_{at}: str = 'a'" for at in range(9))
        + ") -> dict[str, int]"
    )
    assert len(text) > WIDE
    found = folded(text)
    assert found.splitlines()[0] == "("
    assert found.endswith(") -> dict[str, int]")
    assert [one[:2] for one in parameters(found)] == [one[:2] for one in parameters(text)]
    assert folded("(a, *, b)") == "(a, *, b)"
