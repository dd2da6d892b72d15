"""What stands at the cursor, in code that nobody has finished yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.notebook.cursor import LONGEST, Call, Spot, look, word_at


def at(code: str) -> Spot:
    """What is where the `|` is, or at the end."""
    before, _, after = code.partition("|")
    return look(before + after, len(before))


@pytest.mark.parametrize(
    ("code", "kind", "prefix", "base"),
    [
        ("", "name", "", ""),
        ("mod", "name", "mod", ""),
        ("x = pri", "name", "pri", ""),
        ("np.lin", "attribute", "lin", "np"),
        ("np.linalg.", "attribute", "", "np.linalg"),
        ("a.b(1, [2])[0].c", "attribute", "c", "a.b(1, [2])[0]"),
        ("x = ''.jo", "attribute", "jo", "''"),
        ("[1, 2].ap", "attribute", "ap", "[1, 2]"),
        ("(a + b).re", "attribute", "re", "(a + b)"),
        ("for x in rows.it", "attribute", "it", "rows"),
        ("return self.n", "attribute", "n", "self"),
        ("lambda x: x.f", "attribute", "f", "x"),
        ("a; b.c", "attribute", "c", "b"),
        ("a.\\\nb", "attribute", "b", "a"),
        ("'never closed\nfoo.b", "attribute", "b", "foo"),
        ("import nu", "import", "nu", ""),
        ("import os.pa", "import", "os.pa", ""),
        ("import a.b, c.d", "import", "c.d", ""),
        ("from os.pa", "from", "os.pa", ""),
        ("from a.b import c", "member", "c", "a.b"),
        ("from a.b import (c,\n  d", "member", "d", "a.b"),
        ("from a imp", "name", "imp", ""),
        ("data['al", "key", "al", "data"),
        ("f(data['al", "key", "al", "data"),
        ("f('b@local", "text", "b@local", ""),
        ("f(1, node='b", "text", "b", ""),
        # where nothing is completed
        ("x = 3.", "", "", ""),
        ("x = 31", "", "", ""),
        ("# hello wor", "", "", ""),
        ("'hello wor", "", "hello wor", ""),
        ("f'{x.", "", "{x.", ""),
        ("f('a' + 'b", "", "b", ""),
        ("def fi", "", "fi", ""),
        ("import numpy as n", "", "n", ""),
        ("from a import b as c", "", "c", ""),
        ("if.x", "", "", ""),
    ],
)
def test_what_stands_at_the_cursor(code: str, kind: str, prefix: str, base: str):
    spot = at(code)
    assert (spot.kind, spot.prefix if kind else prefix, spot.base) == (kind, prefix, base)


def test_a_word_is_replaced_whole_when_the_cursor_is_in_the_middle_of_it():
    spot = at("model.fi|t(x)")
    assert (spot.prefix, spot.start, spot.end) == ("fi", 6, 9)
    assert at("f('b@lo|calhost')").end == 14


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("fit(ro", Call("fit", 0, "", (), (), True)),
        ("fit(", Call("fit", 0, "", (), (), True)),
        ("m.fit(rows, lr=2, st", Call("m.fit", 2, "", ("lr",), ("rows",), True)),
        ("fit(a[1, 2], (3, 4), x", Call("fit", 2, "", (), ("a[1, 2]", "(3, 4)"), True)),
        ("fit(\n  a,\n  ro", Call("fit", 1, "", (), ("a",), True)),
        ("f(1).fit(x", Call("f(1).fit", 0, "", (), (), True)),
        ("pool.options(timeout=3).call(train, l", Call("pool.options(timeout=3).call", 1, "", (), ("train",), True)),
        # where no keyword can stand
        ("fit(lr=", Call("fit", 0, "lr", (), (), False)),
        ("fit(a.b", Call("fit", 0, "", (), (), False)),
        ("fit(not x", Call("fit", 0, "", (), (), False)),
        ("fit([x", Call("fit", 0, "", (), (), False)),
        ("fit(a == 1, b", Call("fit", 1, "", (), ("a == 1",), True)),
        # where there is no call
        ("def fit(a", None),
        ("class A(B", None),
        ("print(a) if x", None),
        ("(a", None),
        ("if (a", None),
        ("a[b", None),
    ],
)
def test_the_call_around_the_cursor(code: str, call: Call | None):
    assert at(code).call == call


def test_the_statement_begins_where_its_first_bracket_does():
    assert at("x = 1\nfit(\n  a,\n  ro").line == 1
    assert at("x = 1\ny = 2").line == 1


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("np.lin|alg.norm(x)", "np.linalg"),
        ("|np.linalg", "np"),
        ("np.linalg|", "np.linalg"),
        ("load(path).rows|", "load(path).rows"),
        ("f(x, |)", ""),
        ("f(|", ""),
        ("retu|rn", ""),
        ("'te|xt'", ""),
        ("x = 3|", ""),
    ],
)
def test_the_word_under_the_cursor(code: str, word: str):
    before, _, after = code.partition("|")
    assert word_at(before + after, len(before))[0] == word


def test_a_cell_that_is_data_is_not_read():
    assert look("x" * (LONGEST + 10), LONGEST + 5).kind == ""


@given(st.text(alphabet="ab.(,)[]{}='\"\n #:;\\@fimportasdef=1 \t"), st.integers(0, 60))
def test_no_code_is_an_error(code: str, position: int):
    spot = look(code, position)
    assert 0 <= spot.start <= len(code)
    assert code[spot.start : min(position, len(code))].endswith(spot.prefix) or spot.kind in ("import", "from", "")
    word_at(code, min(position, len(code)))
