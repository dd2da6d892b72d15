"""What a cell's own text says about its names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.notebook.scope import STEPS, Meaning, Scope, Target

CLASS = '''
class Model:
    """A model."""
    def fit(self, rows, *, lr=0.1):
        """Learn."""
    @classmethod
    def load(cls, path): ...
    @staticmethod
    def of(n): ...
'''


def last(text: str) -> Scope:
    """The scope of the last line."""
    line = text.count("\n")
    return Scope(text, line)


@pytest.mark.parametrize(
    ("text", "expression", "target"),
    [
        ("", "x", Target("name", "x")),
        ("", "x.y", Target("name", "x", (("attr", "y"),))),
        ("", "f(1).y", Target("name", "f", (("call", ""), ("attr", "y")))),
        ("", "d['a'][0]", Target("name", "d", (("item", "'a'"), ("item", "0")))),
        ("", "(await f()).y", Target("name", "f", (("call", ""), ("await", ""), ("attr", "y")))),
        ("", "'text'", Target("class", "str")),
        ("", "3.5", Target("class", "float")),
        ("", "[x for x in y]", Target("class", "list")),
        ("import numpy as np\n", "np.linalg", Target("module", "numpy", (("attr", "linalg"),))),
        ("import a.b\n", "a.b", Target("module", "a", (("attr", "b"),))),
        ("from a.b import c as d\n", "d", Target("from", "a.b:c")),
        ("import m\nx = m.f()\ny = x\n", "y", Target("module", "m", (("attr", "f"), ("call", "")))),
        ("with open('x') as f:\n  f.", "f", Target("name", "open", (("call", ""),))),
        ("x = x.lazy()\n", "x", Target("name", "x", (("attr", "lazy"), ("call", "")))),
        ("if (n := load()):\n  n.", "n", Target("name", "load", (("call", ""),))),
        ("def f(df: pl.Frame, n=2):\n    df.", "df", Target("name", "pl", (("attr", "Frame"), ("call", "")))),
        ("def f(n):\n    pass\nn.", "n", Target("name", "n")),
        ("n = []\ndef f():\n    import n\n    n.", "n", Target("module", "n")),
        ("x: m.T = other\n", "x", Target("name", "m", (("attr", "T"), ("call", "")))),
        ("try:\n  pass\nexcept E as error:\n  error.", "error", Target("name", "E", (("call", ""),))),
        ("%time x\n!ls\nprint?\nimport q\n", "q", Target("module", "q")),
    ],
)
def test_what_a_name_stands_for(text: str, expression: str, target: Target):
    assert last(text).expression(expression) == Meaning(target)


@pytest.mark.parametrize(
    "text", ["a = [1]\nfoo(a\nb = {}\nb.", "b = {}\nif x\nb.", "b = {}\ndef f(:\n  pass\nb.", "b = {}\nx = (\n"]
)
def test_what_cannot_be_parsed_is_left_out(text: str):
    assert last(text).expression("b") == Meaning(Target("class", "dict"))


def test_what_the_text_defines_has_its_signature_and_words():
    scope = last(CLASS)
    found = scope.expression("Model.fit").item
    assert found is not None
    assert (found.kind, found.signature, found.doc) == ("method", "(self, rows, *, lr=0.1)", "Learn.")
    of_an_instance = scope.expression("Model().fit").item
    assert of_an_instance is not None
    assert of_an_instance.signature == "(rows, *, lr=0.1)"
    others = [scope.expression(f"Model().{name}").item for name in ("load", "of")]
    assert [item and item.signature for item in others] == ["(path)", "(n)"]
    made = scope.expression("Model()")
    assert made.made
    assert made.item is not None
    assert made.item.kind == "class"


def test_self_is_an_instance_of_the_class_around():
    found = last("class A:\n    def go(self, x): ...\n    def b(self):\n        self.").expression("self.go")
    assert found.item is not None
    assert found.item.signature == "(x)"


def test_names_are_those_that_are_seen_from_the_line():
    text = "import a\nb = 1\ndef f(c):\n    d = 2\n    \ndef g(e): ...\n"
    assert set(Scope(text, 4).names()) == {"a", "b", "c", "d", "f", "g"}
    assert set(last(text).names()) == {"a", "b", "f", "g"}


def test_a_name_that_stands_for_itself_ends():
    scope = last("a = b\nb = c\nc = a\n")
    assert scope.expression("a").item is None
    assert last("x = [y]\nfor i, j in x:\n  i.").expression("i") == Meaning()


def test_a_target_has_a_length():
    target: Target | None = Target("name", "x")
    for _ in range(STEPS):
        assert target is not None
        target = target.then("attr", "y")
    assert target is not None
    assert target.then("attr", "y") is None


@given(st.text(alphabet="ab.(,)[]{}='\"\n #:;@fimport class def with as=1 \t"), st.integers(0, 10))
def test_no_text_is_an_error(text: str, line: int):
    scope = Scope(text, min(line, text.count("\n")))
    scope.names()
    scope.expression("a.b")
