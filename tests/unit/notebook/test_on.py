"""`%%on`: what the first line of a cell says, whatever it says, and what it is completed with."""

from __future__ import annotations

import ast
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.notebook import on
from beampy.notebook.on import Completed, argument_completions, assigned, parse, rewritten, stacked


def said(line: str) -> on.OnCell:
    """What `%%on` and this line say."""
    found = parse(f"%%on {line}\n1")
    assert found is not None
    return found


# --- which cells


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%%on b\nx", 1),
        ("\n\n%%on b\nx", 3),
        ("# why\n  \n#\n%%on b\nx", 4),
        ("   # indented\n%%on b\nx", 2),
    ],
)
def test_blank_lines_and_comments_may_be_above(cell: str, line: int):
    found = parse(cell)
    assert found is not None
    assert (found.target, found.body, found.body_line, found.error) == ("b", "x", line, None)
    assert cell[found.body_offset :] == found.body


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "\n",
        "# %%on b",
        "1\n%%on b",
        "%%online b\n1",
        "%on b\n1",
        " %%on b\n1",
        "%% on b",
        "x = '''\n%%on b\n'''",
        "%%time",
    ],
)
def test_other_cells_are_none(cell: str):
    assert parse(cell) is None
    assert rewritten(cell.splitlines(keepends=True), "run({})") is None


def test_the_body_may_be_missing():
    for cell, offset in (("%%on", 5), ("%%on b", 7), ("%%on b\n", 7), ("\n%%on b", 8)):
        found = parse(cell)
        assert found is not None
        assert (found.body, found.body_offset) == (
            "",
            offset,
        )  # behind the line, where the cursor is not in it any more
        assert found.body_line == 1 + cell.startswith("\n")


def test_the_body_is_text():
    body = "\tx = 1\n\n%%time\nif (\n'''"
    found = parse(f"%%on b\n{body}")
    assert found is not None
    assert (found.body, found.error) == (body, None)


# --- the line


def test_options():
    cell = said("b@localhost -i rows,limit -o best --in more --out=a,b -t 1.5")
    assert cell == on.OnCell("b@localhost", ("rows", "limit", "more"), ("best", "a", "b"), 1.5, "1", 66, 1, None)
    assert said("-i x pool --timeout=60 -o y").target == "pool"
    assert said("b -i x,x -i x").send == ("x",)


@pytest.mark.parametrize(
    "target",
    [
        "pools['a b']",
        'pools["a # b"]',
        "(pool if big else small)",
        "f(1, 2)",
        "w[0]",
        "b",
        "my-node@10.0.0.2",
        "'b@localhost'",
    ],
)
def test_a_target_is_one_word_with_blanks_in_brackets_and_quotes(target: str):
    cell = said(f"{target} -i x")
    assert (cell.target, cell.send, cell.error) == (target, ("x",), None)


def test_a_comment_ends_the_line():
    cell = said("b -i x  # -o y and what not")
    assert (cell.target, cell.send, cell.receive, cell.error) == ("b", ("x",), (), None)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("", on.USAGE),
        ("   # nothing", on.USAGE),
        ("-i x", f"%%on: say where the cell is to run; {on.USAGE}"),
        ("a b", f"%%on takes one target, not 'a' and 'b'; {on.USAGE}"),
        ("b -q", f"%%on has no option '-q'; {on.USAGE}"),
        ("b --into x", f"%%on has no option '--into'; {on.USAGE}"),
        ("b -i", "%%on: -i takes names of variables, as in `-i a,b`, not ''"),
        ("b -i a.b", "%%on: -i takes names of variables, as in `-i a,b`, not 'a.b'"),
        ("b -o a,", "%%on: -o takes names of variables, as in `-o a,b`, not 'a,'"),
        ("b --out=if", "%%on: --out takes names of variables, as in `--out a,b`, not 'if'"),
        ("b -t soon", "%%on: -t takes a number of seconds, not 'soon'"),
        ("b -t", "%%on: -t takes a number of seconds, not ''"),
        ("b -t 0", "%%on: -t takes a number of seconds above 0, not '0'"),
        ("b -t nan", "%%on: -t takes a number of seconds above 0, not 'nan'"),
        ("b -t inf", "%%on: -t takes a number of seconds above 0, not 'inf'"),
        ("b -q -i 1", f"%%on has no option '-q'; {on.USAGE}"),
    ],
)
def test_what_is_wrong_is_one_sentence(line: str, error: str):
    assert said(line).error == error
    assert "\n" not in error


WORDS = st.lists(
    st.sampled_from(["b", "-i", "-o", "--in=x", "a,b", "-t", "2", "(", ")", "'", '"', "#", "=", "\\", "-"])
)


@given(st.one_of(st.text(), WORDS.map(" ".join)), st.text())
def test_anything_may_stand_there(line: str, body: str):
    line = line.replace("\n", " ")
    cell = f"%%on {line}\n{body}"
    found = parse(cell)
    assert found is not None
    assert found.body == body == cell[found.body_offset :]
    assert found.error is None or ("\n" not in found.error and not (set(found.error) & set("\x85")))
    if found.error is None:
        assert found.target in line
        assert all(name.isidentifier() for name in (*found.send, *found.receive))


@given(st.text(alphabet=string.ascii_letters + "[](){}'\"#, -=@", max_size=40), st.integers(0, 60))
def test_completion_never_fails(line: str, position: int):
    cell = f"%%on {line}\nfirst = 1"
    found = argument_completions(cell, min(position, len(cell)), nodes=["b"], targets=["pool"], names=["x"])
    if found is not None:
        assert cell[:position].endswith(found.fragment)


# --- the transformer


@pytest.mark.parametrize(
    "cell", ["%%on b\nprint('a', \"b\")\n", "\n# c\n%%on b -i x\n'''\\n'''", "%%on", "%%on b\n\tπ = '\\'\n"]
)
def test_a_cell_becomes_one_statement_with_its_text(cell: str):
    lines = rewritten(cell.splitlines(keepends=True), "await run({})")
    assert lines is not None
    assert len(lines) == 1
    [statement] = compile("".join(lines), "", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).body
    assert statement.value.value.args[0].value == cell
    assert rewritten(lines, "run({})") is None  # it is Python now


def test_magics_above():
    for magic in ("time", "timeit -n 1", "capture out", "prun"):
        cell = f"%%{magic}\n\n%%on b\n1"
        assert stacked(cell) == f"%%on has to come first: %%{magic.split()[0]} above it would run here and not there"
        assert rewritten(cell.splitlines(keepends=True), "run({})") is not None
    for cell in ("%%writefile x\n%%on b", "%%timer\n%%on b", "%%time\n1\n%%on b", "%%on b\n%%time"):
        assert stacked(cell) is None


# --- completion

NODES = ["b@localhost", "notebook-1@localhost"]
NAMES = ["rows", "_hidden", "limit", "_"]


def completed(cell: str) -> Completed | None:
    """What the text with the cursor (|) in it may become."""
    position = cell.index("|")
    return argument_completions(cell.replace("|", ""), position, nodes=NODES, targets=["pool"], names=NAMES)


@pytest.mark.parametrize(
    ("cell", "fragment", "matches"),
    [
        ("%%on |", "", ["b@localhost", "notebook-1@localhost", "pool"]),
        ("%%on b|", "b", ["b@localhost"]),
        ("\n# c\n%%on p|\nx", "p", ["pool"]),
        ("%%on p| -i x", "p", ["pool"]),
        ("%%on -|", "-", ["-i", "--in", "-o", "--out", "-t", "--timeout"]),
        ("%%on b --t|", "--t", ["--timeout"]),
        ("%%on b |", "", ["--in", "--out", "--timeout"]),
        ("%%on b -i |", "", ["rows", "limit"]),
        ("%%on b -i r|", "r", ["rows"]),
        ("%%on b -i _|", "_", ["_hidden", "_"]),
        ("%%on b -i rows,|", "", ["limit"]),
        ("%%on b --in=rows,li|", "li", ["limit"]),
        ("%%on -i rows |", "", ["b@localhost", "notebook-1@localhost", "pool"]),
        ("%%on b -o |\nbest = 1\ndef worst(): pass", "", ["best", "worst"]),
        ("%%on b -o best,w|\nbest = 1\ndef worst(): pass", "w", ["worst"]),
        ("%%on b -o |\nbest = (", "", []),
        ("%%on b -t 1|", "1", []),
        ("%%on x|", "x", []),
    ],
)
def test_what_completes_the_line(cell: str, fragment: str, matches: list[str]):
    assert completed(cell) == Completed(fragment, matches)


@pytest.mark.parametrize("cell", ["%%on|", "%%o|n b", "|%%on b", "%%on b\nx|", "x|\n%%on b", "%%time |"])
def test_elsewhere_nothing_is_said(cell: str):
    assert completed(cell) is None


def test_what_a_body_binds():
    body = """
import os.path, numpy as np
from x import y as z, w
a = b, *c = d[0] = e.f = 1
g: int = 2
for h in i: j = 1
with k as (m, n): pass
async def o(p): q = 1
class R: s = 1
if (t := 1): u += 1
try: pass
except E as v: pass
[x for x in y if (q2 := x)]
lambda: (r2 := 1)
match v2:
    case {"k": k2, **rest}: pass
    case [l2, *more] as whole: pass
await asyncio.sleep(last := 0)
"""
    found = assigned(body)
    expected = "os np z w a b c g h j m n o R t u q2 k2 rest l2 more whole last"
    assert found == expected.split()
