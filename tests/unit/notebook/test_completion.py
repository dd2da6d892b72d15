"""What completes a cell at the cursor: of cells for nodes, and of what runs on nodes in the others."""

from __future__ import annotations

from typing import Any

import pytest

import beampy as bp
from beampy.notebook.completion import joined, reply
from beampy.notebook.hover import inspect
from beampy.notebook.suggestions import Completions, Item, complete, fits
from tests.unit.notebook.editor_ground import Answered, model_of


class Notebook:
    """A notebook with these names, and a node with those."""

    def __init__(self, here: dict[str, Any], there: dict[str, Any] | None) -> None:
        self.names = here
        self.questions = Answered(there)

    def complete(self, code: str) -> Completions | None:
        """What completes it where the `|` is, or at its end."""
        before, _, after = code.partition("|")
        return complete(before + after, len(before), self.names, self.questions)

    def texts(self, code: str) -> list[str]:
        """What is suggested."""
        found = self.complete(code)
        assert found is not None, f"{code!r} is left to IPython"
        return [one.text for one in found.items]

    def left(self, code: str) -> bool:
        """Whether it is left to IPython."""
        return self.complete(code) is None


def train(rows, *, lr: float = 0.1, layers=2):
    """Train it."""


@pytest.fixture
def notebook() -> Notebook:
    model = model_of()
    there = {"Model": model, "model": model(), "data": {"alpha": 1, "beta": 2}, "object": [1, 2], "_hidden": 1}
    return Notebook({"bp": bp, "train": train, "only_here": 1, "pool": bp.Pool(name="crew")}, there)


# cells for a node


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ("mod", ["model"]),
        ("model.", ["fit", "n"]),
        ("model.fi", ["fit"]),
        ("model.fi|t", ["fit"]),
        ("x = model.fit; y = model.n", ["n"]),
        ("model.fit(l", ["lr=", "len", "license", "list", "locals", "lambda"]),
        (
            "model.fit(rows, lr=1, s",
            ["steps=", "set", "setattr", "slice", "sorted", "staticmethod", "str", "sum", "super"],
        ),
        ("Model(", None),
        ("Model().fi", ["fit"]),
        ("import json\njson.load", ["load", "loads"]),
        ("from json import load", ["load", "loads"]),
        ("import on", ["only_there"]),
        ("import only_there.d", ["deep"]),
        ("data['al", ["alpha"]),
        ("_hid", ["_hidden"]),
        ("mine = 1\nmi", ["mine", "min"]),
        ("def mine(a, b=1): ...\nmine(b", ["b=", "bin", "bool", "breakpoint", "bytearray", "bytes", "break"]),
        ("class Mine:\n    def go(self): ...\nMine().g", ["go"]),
        ("only_h", []),
        ("model.nothing.", []),
        ("'mod", []),
    ],
)
def test_a_cell_for_a_node_is_completed_with_what_is_there(notebook: Notebook, body: str, texts: list[str] | None):
    found = notebook.texts(f"%%on b@localhost\n{body}")
    if texts is None:
        assert found[:1] == ["n="]
    else:
        assert found[: len(texts)] == texts or (found == texts)
        assert bool(found) == bool(texts)


def test_what_is_replaced_is_counted_in_the_cell(notebook: Notebook):
    code = "# a comment\n%%on b@localhost -t 3\nmodel.fi|t(1)"
    found = notebook.complete(code)
    assert found is not None
    whole = code.replace("|", "")
    assert whole[found.start : found.end] == "fit"
    module = notebook.complete("%%on b@localhost\nimport only_there.de")
    assert module is not None
    assert "%%on b@localhost\nimport only_there.de"[module.start : module.end] == "de"


def test_types_and_signatures_come_along(notebook: Notebook):
    found = notebook.complete("%%on b@localhost\nmodel.fit(l")
    assert found is not None
    assert found.items[0] == Item("lr=", "param", "lr: float = 0.1")
    method = notebook.complete("%%on b@localhost\nmodel.fi")
    assert method is not None
    assert method.items == [Item("fit", "function", "(rows, *, lr: float=0.1, steps=10)".replace("=0.1", " = 0.1"))]


def test_variables_that_go_along_are_those_of_the_notebook(notebook: Notebook):
    assert notebook.texts("%%on b@localhost -i only_here\nonly_h") == ["only_here"]
    assert "bit_length" in notebook.texts("%%on b@localhost -i only_here\nonly_here.")


def test_what_the_first_line_takes_is_not_ours(notebook: Notebook):
    assert notebook.left("%%on b@l")
    assert notebook.left("%%on b@l|\nx")


def test_a_node_that_hangs_leaves_what_the_text_and_python_say():
    notebook = Notebook({}, None)
    assert notebook.texts("%%on b@localhost\nmine = 1\nmi") == ["mine", "min"]
    assert notebook.texts("%%on b@localhost\nimport json\njson.load") == ["load", "loads"]
    assert notebook.texts("%%on b@localhost\nmodel.") == []


@pytest.mark.parametrize("target", ["", "b c d", "no.such(", "pool.nothing", "1 / 0"])
def test_a_target_that_means_nothing_asks_nobody(notebook: Notebook, target: str):
    assert notebook.texts(f"%%on {target}\nmine = 1\nmi")[:1] == ["mine"]


def test_no_code_of_a_target_runs():
    class Trap:
        @property
        def node(self) -> str:
            raise SystemExit("a property was run")

        def __call__(self) -> str:
            raise SystemExit("it was called")

    notebook = Notebook({"trap": Trap()}, {})
    for target in ("trap.node", "trap()", "trap.node.x"):
        notebook.complete(f"%%on {target}\nx.")
        assert notebook.questions.asked == []


def test_a_cell_for_a_pool_asks_a_runner_and_knows_no_names_of_cells(notebook: Notebook):
    assert notebook.texts("%%on pool\nimport json\njson.load") == ["load", "loads"]
    assert notebook.questions.asked[-1][1] == "runner-1@localhost"
    assert notebook.texts("%%on pool\nmode") == []


# cells of the kernel


@pytest.mark.parametrize(
    "code",
    [
        "pool.call(train, l",
        "pool.call(train, [1], l",
        "pool.submit(train, l",
        "pool.keep(train, l",
        "pool.stream(train, l",
        "pool.options(timeout=3).call(train, l",
        "x = await pool.call(\n    train,\n    l",
        "bp.remote_call('b@localhost', train, l",
        "bp.remote_call.options(timeout=3)('b@localhost', train, l",
        "bp.remote_cast('b@localhost', train, l",
        "pool2 = bp.Pool()\npool2.call(train, l",
        "def train(lr, layers): ...\npool.call(train, l",
        "async with bp.Pool() as mine:\n    await mine.call(train, l",
        "def work():\n    with bp.Pool() as mine:\n        mine.call(train, l",
    ],
)
def test_arguments_of_a_function_that_is_given_to_a_pool_or_node(notebook: Notebook, code: str):
    assert notebook.texts(code)[:2] == ["lr=", "layers="]


def test_names_of_the_notebook_stand_beside_the_arguments(notebook: Notebook):
    found = notebook.texts("pool.call(train, ")
    assert found[:3] == ["rows=", "lr=", "layers="]
    assert "only_here" in found


def test_functions_of_a_pool_have_their_own_arguments(notebook: Notebook):
    notebook.names["area"] = notebook.names["pool"].remote(train)
    assert notebook.texts("area(l")[:2] == ["lr=", "layers="]
    assert notebook.texts("@pool.remote\ndef fn(radius): ...\nfn(ra")[0] == "radius="


def test_verbs_of_pools_and_of_beampy_have_theirs(notebook: Notebook):
    assert notebook.texts("pool.map(train, rows, ret")[0] == "return_exceptions="
    assert notebook.texts("bp.Pool(max_c")[0] == "max_concurrency="


def test_what_is_beampys_is_completed_without_loading_it(notebook: Notebook):
    assert "Pool" in notebook.texts("bp.Po")
    found = notebook.complete("pool.cal")
    assert found is not None
    assert [one.text for one in found.items] == ["call"]
    assert found.items[0].signature.startswith("(fn")


@pytest.mark.parametrize(
    "code", ["tra", "train(l", "only_here.", "import os", "os.pa", "x = '", "%%time\npool.call(train, l", ""]
)
def test_everything_else_is_ipythons(code: str):
    notebook = Notebook({"train": train, "only_here": 1, "pool": 3}, {})
    assert notebook.left(code)


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("bp.remote_call('b", ["b@localhost"]),
        ("bp.put(1, node='", ["notebook-1@localhost", "b@localhost"]),
        ("bp.remote_call('b@localhost', 'on", ["only_there"]),
        ("bp.remote_call('b@localhost', 'json.load", ["load", "loads"]),
        ("pool.call('json.load", ["load", "loads"]),
        ("bp.code.names('b@localhost', 'json.load", ["load", "loads"]),
    ],
)
def test_texts_that_name_nodes_and_functions(notebook: Notebook, code: str, texts: list[str]):
    assert notebook.texts(code) == texts


def test_arguments_of_a_function_that_is_given_by_name(notebook: Notebook):
    assert notebook.texts("bp.remote_call('b@localhost', 'json.loads', x, obj")[0] == "object_hook="
    assert notebook.texts("pool.call('json.loads', x, obj")[0] == "object_hook="


def test_modules_that_only_runners_have(notebook: Notebook):
    assert notebook.texts("import only_th") == ["only_there"]
    found = notebook.complete("import only_th")
    assert found is not None
    assert not found.alone  # IPython's own come behind


def test_private_names_are_for_those_who_ask():
    assert fits("fit", "")
    assert [fits(name, "") for name in ("_one", "__two__")] == [False, False]
    assert [fits(name, "_") for name in ("_one", "__two__")] == [True, False]
    assert fits("__two__", "__")


WHOLE = """
import json, os.path as p
from collections import (OrderedDict as O,
    deque)
@pool.remote
async def area(radius: float, *, unit="m", **more) -> "float":
    '''Its words.'''
    rows = [x for x in await pool.map(train, [1, 2], ordered=False) if x]
    with open("file", mode='r') as file, bp.Pool() as other:
        return other.call(train, rows[0], lr=3 * (2 + 1)).result(timeout=3)
class Mine(json.JSONEncoder):
    kinds = {"a": 1, 'b': [2, 3]}
    def default(self, o): return self.kinds["a"]  # why
bp.remote_call("b@localhost", "json.loads", f"{rows!r}", node='b'); ref.do.fit(1).x
lambda q, /, *r: (q if q == 1 else not r)[1:2, ::3]
"""


@pytest.mark.parametrize("head", ["", "%%on b@localhost\n", "%%on pool -i train\n"])
def test_no_beginning_of_a_cell_is_an_error(notebook: Notebook, head: str):
    for end in range(0, len(WHOLE), 3):
        found = notebook.complete(head + WHOLE[:end])
        assert found is None or found.start <= len(head) + end
        inspect(head + WHOLE[:end], len(head) + end, 0, notebook.names, notebook.questions)
        notebook.complete(head + WHOLE[:end] + "|" + WHOLE[end:])


# the answer


def test_ours_come_before_ipythons_without_doubles():
    ours = Completions(9, 10, [Item("deep", "module")], alone=False)
    theirs = {
        "status": "ok",
        "matches": ["pkg.deep", "pkg.dull"],
        "cursor_start": 5,
        "cursor_end": 10,
        "metadata": {"_jupyter_types_experimental": [{"text": "pkg.deep"}, {"text": "pkg.dull"}]},
    }
    found = joined("from pkg.d", ours, theirs)
    assert found["matches"] == ["pkg.deep", "pkg.dull"]
    assert [one["text"] for one in found["metadata"]["_jupyter_types_experimental"]] == ["pkg.deep", "pkg.dull"]
    assert (found["cursor_start"], found["cursor_end"]) == (5, 10)


@pytest.mark.parametrize("theirs", [{"matches": []}, {}, {"matches": ["x"], "cursor_start": 7, "cursor_end": 9}])
def test_ipythons_answer_for_another_place_is_left_out(theirs: dict[str, Any]):
    ours = Completions(3, 5, [Item("deep", "module")], alone=False)
    assert joined("x = de", ours, theirs) == reply(ours)
