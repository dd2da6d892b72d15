"""What a node says about its names: of objects that are there, of modules, of what calls give. Nothing runs for it."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from beampy.code.browse_paths import Search
from beampy.notebook import evaluator, remote_names
from beampy.notebook.remote_names import (
    facts,
    facts_here,
    facts_of,
    keys,
    keys_here,
    modules_here,
    names_here,
    names_of,
    rows,
    space_here,
)
from beampy.notebook.scope import Scope, Target

OWNER = "notebook-1@localhost"

SOURCE = '''
class Model:
    """A model."""
    kinds = ("a", "b")
    def __init__(self, n: int = 3) -> None:
        self.n = n
    def fit(self, rows, *, lr: float = 0.1) -> "Model":
        """Learn from rows."""
        return self
    def copy(self) -> "typing.Self": ...
    @property
    def boom(self):
        raise SystemExit("a property was run")
    def __getattr__(self, name):
        raise SystemExit("__getattr__ was run")
    def __dir__(self):
        raise SystemExit("__dir__ was run")
    def __repr__(self):
        raise SystemExit("__repr__ was run")
def load(path: str) -> Model: ...
def maybe(path: str) -> "Model | None": ...
def unknown(path): ...
'''


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A namespace, whose code is in a module."""
    module = types.ModuleType("cells_of_this_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(SOURCE, "<cells>", "exec", dont_inherit=True), module.__dict__)
    names = module.__dict__
    names |= {"model": names["Model"](), "data": {"alpha": [1, 2], "beta": "x", 3: None}, "secret": "text"}
    return names


def target(expression: str, text: str = "") -> tuple[Target, ...]:
    """What an expression stands for."""
    found = Scope(text, text.count("\n")).expression(expression).target
    assert found is not None
    return (found,)


def named(space: dict[str, Any], expression: str) -> dict[str, tuple[Any, ...]]:
    """What is in an expression, by name."""
    return {row[0]: row for row in rows(space, target(expression), Search()) or ()}


@pytest.mark.parametrize(
    "expression",
    ["model", "Model()", "load('x')", "maybe('x')", "model.fit(1)", "load('x').fit(1).copy()", "(await load('x'))"],
)
def test_an_instance_has_its_methods_without_self(space: dict[str, Any], expression: str):
    found = named(space, expression)
    assert found["fit"] == ("fit", "method", "(rows, *, lr: float = 0.1) -> Model", "Learn from rows.")
    assert found["boom"][1] == "property"
    assert ("n" in found) == (expression == "model")  # only the object itself has it


def test_a_class_has_its_methods_with_self(space: dict[str, Any]):
    assert named(space, "Model")["fit"][2] == "(self, rows, *, lr: float = 0.1) -> Model"


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("data['alpha']", "append"),
        ("data['alpha'][0]", "bit_length"),
        ("data['beta']", "upper"),
        ("'x'", "upper"),
        ("len", "__call__"),
    ],
)
def test_plain_containers_constants_and_builtins_are_looked_into(space: dict[str, Any], expression: str, name: str):
    assert name in named(space, expression)


@pytest.mark.parametrize(
    "expression",
    ["nothing", "model.nothing", "unknown('x')", "model.boom.real", "data['gamma']", "data[9]", "model.boom()"],
)
def test_what_is_not_known_is_none(space: dict[str, Any], expression: str):
    assert rows(space, target(expression), Search()) is None
    assert facts(space, target(expression), Search(), 0) is None


@pytest.mark.parametrize(
    ("text", "expression", "name"),
    [
        ("import json\n", "json", "loads"),
        ("import os\n", "os.path", "join"),
        ("from os import path as p\n", "p", "join"),
        ("from collections import OrderedDict\n", "OrderedDict()", "move_to_end"),
        ("import xml.dom.minidom\n", "xml.dom.minidom", "parseString"),  # not imported: it is read
    ],
)
def test_modules_are_looked_into(text: str, expression: str, name: str):
    found = rows({}, target(expression, text), Search()) or []
    assert name in [row[0] for row in found]


def test_nothing_is_imported_for_an_answer():
    assert "xml.dom.pulldom" not in sys.modules
    assert rows({}, target("xml.dom.pulldom", "import xml.dom.pulldom\n"), Search())
    assert "xml.dom.pulldom" not in sys.modules


def test_the_object_itself_counts_more_than_the_class_that_made_it(space: dict[str, Any]):
    both = (*target("Model()"), *target("model"))
    assert "n" in [row[0] for row in rows(space, both, Search()) or ()]
    of_another = (*target("'x'"), *target("model"))  # the text says something else by now
    assert "upper" in [row[0] for row in rows(space, of_another, Search()) or ()]


def test_facts_say_how_it_is_called_what_it_is_and_where_it_is_written(space: dict[str, Any]):
    found = facts(space, target("model.fit"), Search(), 0)
    assert found is not None
    assert found[:6] == ("fit", "method", "(rows, *, lr: float = 0.1) -> Model", "Learn from rows.", "", "")
    of_a_value = facts(space, target("model"), Search(), 0)
    assert of_a_value is not None
    assert (of_a_value.kind, of_a_value.doc) == ("value", "A model.")
    assert of_a_value.type.endswith("Model")
    written = facts({}, target("json.loads", "import json\n"), Search(), 1)
    assert written is not None
    assert written.source is not None
    assert written.source.startswith("def loads(")
    assert ":" in written.where


def test_values_are_shown_of_the_notebooks_own_names_only(space: dict[str, Any]):
    space["config"] = types.SimpleNamespace(password="hidden")

    def value(expression: str) -> str:
        found = facts(space, target(expression), Search(), 0)
        assert found is not None
        return found.value

    assert value("secret") == "'text'"
    assert value("data") == "3 items"
    assert value("config.password") == ""
    assert value("model") == ""


def test_keys_of_a_dict_that_are_texts(space: dict[str, Any]):
    assert keys(space, target("data"), Search()) == ["alpha", "beta"]
    assert keys(space, target("model"), Search()) == []


def test_modules_of_a_package_are_told_by_their_last_parts():
    assert "json" in modules_here("")
    assert "decoder" in modules_here("json")
    assert all("." not in name for name in modules_here("json"))


@pytest.fixture
def ran() -> Iterator[dict[str, Any]]:
    """A notebook that has run a cell here."""
    space: Any = types.SimpleNamespace(names={"__name__": "cells", "display": print})
    evaluator._kept[OWNER] = space
    yield space.names
    evaluator._kept.pop(OWNER, None)


def test_names_of_a_notebooks_cells(ran: dict[str, Any]):
    ran["rows"] = [1, 2]
    assert [row[:2] for row in space_here(OWNER) or ()] == [("rows", "value")]
    assert "append" in [row[0] for row in names_here(OWNER, target("rows")) or ()]
    found = facts_here(OWNER, target("rows"))
    assert found is not None
    assert found.type == "list"
    ran["d"] = {"a": 1}
    assert keys_here(OWNER, target("d")) == ["a"]
    assert names_here("another@localhost", target("rows")) is None


def test_a_notebook_that_has_run_nothing_here_has_no_names():
    assert space_here("another@localhost") is None


def test_objects_of_references(space: dict[str, Any]):
    assert "fit" in [row[0] for row in names_of(space["model"], ()) or ()]
    found = facts_of(space["model"], (("attr", "fit"),))
    assert found is not None
    assert found.signature == "(rows, *, lr: float = 0.1) -> Model"
    assert names_of(space["model"], (("attr", "nothing"),)) is None


def test_an_answer_has_a_limit_in_time_and_in_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_names, "DETAILS", -1.0)
    monkeypatch.setattr(remote_names, "NAMES", 5)
    found = rows({}, target("json", "import json\n"), Search())
    assert found is not None
    assert len(found) == 5
    assert all(row[2] is None for row in found)
    assert not any(row[0].startswith("_") for row in found)  # private ones come last
