"""Parameters out of texts."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.notebook.parameters import Parameter, left, parameters, without_first


def test_every_kind_is_told_apart():
    found = parameters("(a, b: dict[str, int] = {'x': 1}, /, c=',)', *args, lr: float = 0.1, **more) -> X")
    assert found == [
        Parameter("a", "positional", "a"),
        Parameter("b", "positional", "b: dict[str, int] = {'x': 1}"),
        Parameter("c", "either", "c=',)'"),
        Parameter("args", "rest", "*args"),
        Parameter("lr", "named", "lr: float = 0.1"),
        Parameter("more", "keywords", "**more"),
    ]


def test_they_are_those_that_python_has():
    def fn(a, /, b: int = 3, *, c: tuple[int, str] = (1, "(")): ...

    assert [one.name for one in parameters(str(inspect.signature(fn)))] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "names"), [("()", []), ("", []), ("(a, b: list[i", ["a"]), ("(…)", []), ("(a, …", ["a"])]
)
def test_what_is_cut_off_or_empty_gives_what_is_left(text: str, names: list[str]):
    assert [one.name for one in parameters(text)] == names


def test_what_is_given_is_not_suggested_again():
    text = "(rows, width, *, lr=1, steps=2)"
    assert [one.name for one in left(text, 0, [])] == ["rows", "width", "lr", "steps"]
    assert [one.name for one in left(text, 1, ["lr"])] == ["width", "steps"]
    assert left("(a, /, *rest, **more)", 0, []) == []


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("(self, a, b=1) -> X", "(a, b=1) -> X"),
        ("(x)", "()"),
        ("(x, /, a)", "(a)"),
        ("(x, y, /, a)", "(y, /, a)"),
        ("(*, x)", "(*, x)"),
        ("()", "()"),
    ],
)
def test_a_signature_without_its_first(text: str, rest: str):
    assert without_first(text) == rest


@given(st.text(alphabet="()[]{},'\"\\ab=:*/ ->"))
def test_no_text_is_an_error(text: str):
    parameters(text)
    without_first(text)
